//! The connector at work: take, send, remove, and again; and what it does when one of the two sides is away.

use std::time::Duration;

use http::Method;
use postrider_domain::problem::Code;
use tokio::sync::watch;
use tokio::time::Instant;

use super::batch::{Batch, Prepared, Refused};
use super::outbox::{Outbox, Source, SourceError};
use crate::client::{About, Answer, Client, NoAnswer};
use crate::complaint::Complaint;

/// Behind the triggers' wake-ups, and in their place where there are none.
const LOOK: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connector that was killed may have its lock for a moment longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// When the connector ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Stopped,
    /// The outbox has nothing more.
    Empty,
}

/// The server that is told, and how.
pub(crate) struct Server {
    pub(crate) client: Client,
    pub(crate) profile: Option<String>,
}

/// Runs until it is told to stop: what is under way then is finished.
pub(crate) async fn run(
    source: &Source,
    server: &Server,
    until: Until,
    stop: watch::Receiver<bool>,
) -> Result<(), Complaint> {
    let mut connector = Connector {
        server,
        until,
        stop,
        source_away: Away::new("the source"),
        server_away: Away::new("Postrider"),
    };
    loop {
        let ended = match source.open().await {
            Ok(mut outbox) => {
                let ended = connector.work(&mut outbox).await;
                if ended.is_ok() {
                    outbox.close().await;
                }
                ended
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => return Ok(()),
            Err(SourceError::Wrong(complaint)) => return Err(complaint),
            Err(SourceError::Away(why)) => {
                let pause = connector.source_away.failed(&why);
                if connector.pause(pause).await == Told::ToStop {
                    return Ok(());
                }
            }
        }
    }
}

struct Connector<'a> {
    server: &'a Server,
    until: Until,
    stop: watch::Receiver<bool>,
    source_away: Away,
    server_away: Away,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    ToStop,
    Nothing,
}

impl Connector<'_> {
    /// With one connection to the source, until the end or until it is lost.
    async fn work(&mut self, outbox: &mut Outbox) -> Result<(), SourceError> {
        if self.lock(outbox).await? == Told::ToStop {
            return Ok(());
        }
        let mut taken = outbox.under_way().await?;
        self.source_away.over();
        loop {
            if *self.stop.borrow() {
                return Ok(());
            }
            if taken.is_none() {
                taken = outbox.take().await?;
            }
            let Some(batch) = taken.take() else {
                if self.until == Until::Empty {
                    return Ok(());
                }
                let mut stop = self.stop.clone();
                tokio::select! {
                    waited = outbox.wait(LOOK) => waited?,
                    _ = stop.wait_for(|told| *told) => return Ok(()),
                }
                continue;
            };
            let refused = match outbox.read(&batch).await? {
                Some(changes) => match self.tell(&changes, outbox).await? {
                    Some(refused) => refused,
                    None => return Ok(()),
                },
                None => Vec::new(),
            };
            outbox.finish(&batch, &refused).await?;
        }
    }

    /// One connector works on an outbox; the others wait for it to end.
    async fn lock(&mut self, outbox: &mut Outbox) -> Result<Told, SourceError> {
        let began = Instant::now();
        let mut said = false;
        while !outbox.lock().await? {
            self.source_away.over();
            if self.until == Until::Empty && began.elapsed() > LOCK_PATIENCE {
                return Err(SourceError::Wrong(Complaint::new(
                    "another connector works on this outbox",
                    "it holds the outbox's lock",
                    "leave it to that one, or stop it first",
                )));
            }
            if !std::mem::replace(&mut said, true) {
                tracing::info!(
                    "connect.waits: another connector works on this outbox; this one waits for it to end"
                );
            }
            if self.pause(LOOK).await == Told::ToStop {
                return Ok(Told::ToStop);
            }
        }
        if said {
            tracing::info!("connect.begins: the other connector is gone");
        }
        Ok(Told::Nothing)
    }

    /// Tells the server of a batch, as often as it takes. Answers what it has refused of it, or `None` when it was told to
    /// stop before there was an answer.
    async fn tell(&mut self, batch: &Batch, outbox: &Outbox) -> Result<Option<Vec<Refused>>, SourceError> {
        let prepared = batch.prepare();
        let key = prepared.idempotency_key(outbox.identity(), batch.number);
        let began = Instant::now();
        let mut refused = prepared.refused.clone();
        if prepared.body.is_some() {
            let path = format!("/v1/records/{}/batch", in_path(&batch.kind));
            loop {
                match self.send(&path, batch, &prepared, &key).await {
                    Sent::Answered(of_server) => {
                        self.server_away.over();
                        refused.extend(of_server);
                        break;
                    }
                    Sent::Never(complaint) => return Err(SourceError::Wrong(complaint)),
                    Sent::NotNow(why) => {
                        let pause = self.server_away.failed(&why);
                        if self.pause(pause).await == Told::ToStop {
                            return Ok(None);
                        }
                    }
                }
            }
        }
        say(batch, &prepared, &refused, began);
        Ok(Some(refused))
    }

    async fn send(&self, path: &str, batch: &Batch, prepared: &Prepared, key: &str) -> Sent {
        let about = About {
            tenant: batch.tenant.as_deref(),
            profile: self.server.profile.as_deref(),
            idempotency_key: Some(key),
        };
        let sent = self.server.client.send(Method::POST, path, about, prepared.body.clone()).await;
        let refused = |why: String, remedy: &str| {
            let of = batch.tenant.as_deref().map(|tenant| format!(" of the tenant {tenant}"));
            Sent::Never(Complaint::new(
                format!("the server does not take changes of {}{}", batch.kind, of.unwrap_or_default()),
                why,
                remedy,
            ))
        };
        match sent {
            Err(NoAnswer::Unsendable(why)) => refused(why, "correct what the reason names; nothing is lost"),
            Err(NoAnswer::Unheard(why)) => Sent::NotNow(why),
            Ok(answer @ Answer { status: 200, .. }) => match prepared.refusals(&answer.body) {
                Ok(refusals) => Sent::Answered(refusals),
                Err(why) => refused(
                    format!("its answer is not Postrider's: {why}"),
                    "check that POSTRIDER_URL leads to a Postrider of this version; nothing is lost",
                ),
            },
            Ok(Answer { status: status @ (408 | 425 | 429 | 500..), body }) => {
                let code = body["code"].as_str().unwrap_or("no code");
                Sent::NotNow(format!("it answers {status} {code}"))
            }
            Ok(Answer { status, body }) => {
                let detail = body["detail"].as_str().unwrap_or("it gives no reason");
                let code = body["code"].as_str().unwrap_or("no code");
                refused(format!("{status} {code}: {detail}"), remedy(code))
            }
        }
    }

    async fn pause(&mut self, pause: Duration) -> Told {
        match tokio::time::timeout(pause, self.stop.wait_for(|told| *told)).await {
            Ok(_) => Told::ToStop,
            Err(_) => Told::Nothing,
        }
    }
}

/// What became of a request.
enum Sent {
    Answered(Vec<Refused>),
    /// The same request may go through later.
    NotNow(String),
    Never(Complaint),
}

fn remedy(code: &str) -> &'static str {
    const KEYS: [Code; 3] = [Code::KeyMissing, Code::KeyInvalid, Code::Forbidden];
    if KEYS.iter().any(|key| key.as_str() == code) {
        return "give a publisher's key in POSTRIDER_API_KEY; all changes wait in the outbox";
    }
    "create what is missing, or run --apply again with what is right; all changes wait in the outbox"
}

fn say(batch: &Batch, prepared: &Prepared, refused: &[Refused], began: Instant) {
    let tenant = batch.tenant.as_deref().unwrap_or("-");
    tracing::info!(
        batch = batch.number,
        kind = batch.kind,
        tenant,
        changes = batch.changes.len(),
        refused = refused.len(),
        bytes = prepared.body.as_ref().map_or(0, bytes::Bytes::len),
        ms = began.elapsed().as_millis() as u64,
        "connect.told"
    );
    if let Some(first) = refused.first() {
        tracing::warn!(
            batch = batch.number,
            refused = refused.len(),
            first_seq = first.seq,
            first_code = first.problem["code"].as_str().unwrap_or("-"),
            "connect.refused: see postrider_outbox_refused"
        );
    }
}

/// A side that does not answer: how long to wait, and who was told of it. One line when it begins, one when it is over.
struct Away {
    who: &'static str,
    since: Option<Instant>,
    pause: Duration,
}

impl Away {
    fn new(who: &'static str) -> Self {
        Self { who, since: None, pause: PAUSE_MIN }
    }

    fn failed(&mut self, why: &str) -> Duration {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!("connect.away: {} is away, and is tried until it is back: {why}", self.who);
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause
    }

    fn over(&mut self) {
        if let Some(since) = self.since.take() {
            tracing::info!("connect.back: {} is back after {:.1} s", self.who, since.elapsed().as_secs_f64());
        }
        self.pause = PAUSE_MIN;
    }
}

/// A kind as a part of a path.
fn in_path(kind: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    kind.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut away = Away::new("it");
        let pauses: Vec<Duration> = (0..10).map(|_| away.failed("gone")).collect();
        assert_eq!(pauses[0], PAUSE_MIN);
        assert!(pauses.is_sorted() && pauses[9] == PAUSE_MAX, "{pauses:?}");
        away.over();
        assert_eq!(away.failed("gone"), PAUSE_MIN);
    }

    #[test]
    fn a_kind_stays_one_part_of_the_path() {
        assert_eq!(in_path("work_order"), "work_order");
        assert_eq!(in_path("a/b c?é"), "a%2Fb%20c%3F%C3%A9");
    }
}
