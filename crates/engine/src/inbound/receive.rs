//! A request's way in: slug → enabled → method → source address → rate → (the body, bounded, read by the caller) → open
//! handshake → signature and time → signed handshake → content type and parse → dedup → filter → one transaction → answer.
//!
//! What is refused is written down too, with its cause, as long as it is not a flood. Our own trouble is an error, which the
//! caller answers with 503: never a refusal, so that the sender comes again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use postrider_domain::expression::{Expression, Room, Scope};
use postrider_domain::id::{RequestId, RunId};
use postrider_domain::inbound::{Answer, BodyRefusal, Incoming, Verified, Verifier};
use postrider_domain::limits;
use postrider_domain::run::{RequestCause, RunState, TriggerKind};
use postrider_domain::time::Timestamp;
use postrider_store::runs::{Dedup, Intake, IntakeOutcome, NewRequest};
use postrider_store::{Commit, CommitOutcome, StoreError};
use serde_json::Value;

use super::Inbound;
use super::registered::RegisteredWorkflow;
use super::trigger::{DedupBy, Respond, Trigger};
use crate::accept::Accept;
use crate::catalogue::Tenant;
use crate::error::EngineError;
use crate::workflow::Told;
use crate::workflow::start::{Origin, Start};

/// A request, but for its body.
#[derive(Debug, Clone)]
pub struct Came {
    /// In capitals.
    pub method: String,
    /// The public URL of the trigger by configuration, with the query.
    pub url: String,
    /// Without the question mark.
    pub query: String,
    pub headers: HeaderMap,
    pub peer: IpAddr,
}

/// A request whose body may be read.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub tenant: Arc<Tenant>,
    pub trigger: Arc<Trigger>,
    workflow: Arc<RegisteredWorkflow>,
}

/// What the sender is told.
#[derive(Debug)]
pub enum Reply {
    /// It started a run, or an earlier one of the same did.
    Run {
        run: RunId,
        state: RunState,
        duplicate: bool,
        status: u16,
        body: Option<(&'static str, Vec<u8>)>,
    },
    /// What the run itself answers.
    Responded {
        run: RunId,
        response: Responded,
    },
    /// It ended without an answer of its own.
    Ended {
        run: RunId,
        state: RunState,
    },
    Filtered,
    Handshake(Answer),
    Refused(Refused),
}

/// What a `respond` step says.
#[derive(Debug, Clone, PartialEq)]
pub struct Responded {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// JSON, but for a text, which goes out as it is.
    pub body: Value,
}

/// A refusal, as far as the sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub cause: RequestCause,
    pub status: u16,
    /// For the tenant: why, and what to do.
    pub detail: String,
}

/// What a request is, before anything of it is done.
pub(super) enum Judged {
    Handshake(Answer),
    Refused(Refused),
    Filtered,
    Taken(Box<Taken>),
}

pub(super) struct Taken {
    pub(super) input: Value,
    /// The input as it is stored.
    pub(super) bytes: Bytes,
    /// The input is the body, byte for byte.
    pub(super) verbatim: bool,
    pub(super) dedup: Option<String>,
}

impl Inbound {
    /// Up to the body. `Err`: the answer.
    pub async fn admit(&self, slug: &str, came: &Came) -> Result<Result<Admitted, Reply>, EngineError> {
        let found = self.outbound.catalogue.trigger_by_slug(slug);
        let Some((tenant, trigger)) = found else {
            return Ok(Err(Reply::Refused(unknown())));
        };
        let Some(workflow) = tenant.inbound.workflow_by_id(trigger.workflow).cloned() else {
            return Ok(Err(Reply::Refused(unknown())));
        };
        let admitted = Admitted { tenant, trigger, workflow };
        let trigger = &admitted.trigger;
        let now = self.outbound.clock.now();
        let refused = if !trigger.enabled {
            Refused {
                cause: RequestCause::Disabled,
                status: 404,
                detail: "The trigger is off. Switch it on to take requests again.".into(),
            }
        } else if !trigger.takes_method(&came.method) {
            Refused {
                cause: RequestCause::Method,
                status: 405,
                detail: format!("The trigger takes {}.", trigger.methods().join(", ")),
            }
        } else if !trigger.takes_address(came.peer) {
            Refused {
                cause: RequestCause::Address,
                status: 403,
                detail: format!("{} is not among the trigger's `allowedAddresses`.", came.peer),
            }
        } else if trigger.settings.rate_limit.is_some_and(|limit| !self.rates.takes(trigger.id, limit, now)) {
            Refused {
                cause: RequestCause::RateLimited,
                status: 429,
                detail: "More requests came than the trigger's `rateLimit` takes. The sender was asked to come again.".into(),
            }
        } else {
            return Ok(Ok(admitted));
        };
        self.refuse(&admitted, came, &Bytes::new(), 0, refused).await.map(Err)
    }

    /// The body is longer than the trigger takes, or was not there in time.
    pub async fn refuse_body(
        &self,
        admitted: &Admitted,
        came: &Came,
        read: u64,
        why: BodyTrouble,
    ) -> Result<Reply, EngineError> {
        let refused = match why {
            BodyTrouble::TooLarge => Refused {
                cause: RequestCause::TooLarge,
                status: 413,
                detail: format!(
                    "The body is longer than {} bytes. Raise the trigger's `maxBytes`, up to {}.",
                    admitted.trigger.body_bytes_max(),
                    limits::TRIGGER_BODY_BYTES_MAX
                ),
            },
            BodyTrouble::TooSlow => Refused {
                cause: RequestCause::Unparsable,
                status: 408,
                detail: format!(
                    "The body was not there within {} seconds.",
                    limits::TRIGGER_BODY_TIMEOUT.as_secs()
                ),
            },
            BodyTrouble::Broken => Refused {
                cause: RequestCause::Unparsable,
                status: 400,
                detail: "The connection ended before the body did.".into(),
            },
        };
        self.refuse(admitted, came, &Bytes::new(), read, refused).await
    }

    /// The rest of the way. What becomes durable is worked on also when the caller hangs up.
    pub async fn take(
        self: &Arc<Self>,
        admitted: Admitted,
        came: Came,
        body: Bytes,
        room: Option<super::Room>,
    ) -> Result<Reply, EngineError> {
        let now = self.outbound.clock.now();
        let judged = if body.len() <= limits::TRIGGER_BODY_SMALL {
            judge(&admitted.trigger, &came, &body, now)
        } else {
            // Megabytes take a processor for a while: not one that others wait for.
            let (trigger, came, body) = (admitted.trigger.clone(), came.clone(), body.clone());
            tokio::task::spawn_blocking(move || judge(&trigger, &came, &body, now))
                .await
                .map_err(|error| StoreError::Internal(format!("judging a request panicked: {error}")))?
        };
        // Others may be read from here on: what is taken goes to the store now.
        drop(room);
        match judged {
            Judged::Refused(refused) => {
                let read = body.len() as u64;
                self.refuse(&admitted, &came, &body, read, refused).await
            }
            Judged::Handshake(answer) => {
                let noted = Noted { cause: RequestCause::Handshake, status: answer.status, detail: None };
                self.note(&admitted, &came, &body, body.len() as u64, noted).await?;
                Ok(Reply::Handshake(answer))
            }
            Judged::Filtered => {
                let detail = "The trigger's `filter` does not hold for it.".to_owned();
                let noted = Noted { cause: RequestCause::Filtered, status: 200, detail: Some(detail) };
                self.note(&admitted, &came, &body, body.len() as u64, noted).await?;
                Ok(Reply::Filtered)
            }
            Judged::Taken(taken) => self.start(admitted, came, body, *taken).await,
        }
    }

    /// Commits the request and its run, and begins with it.
    async fn start(
        self: &Arc<Self>,
        admitted: Admitted,
        came: Came,
        body: Bytes,
        taken: Taken,
    ) -> Result<Reply, EngineError> {
        let Admitted { tenant, trigger, workflow } = admitted;
        let accepted = trigger.preset().map(|preset| preset.accepted().clone());
        let status = accepted.as_ref().map_or(202, |accepted| accepted.status);
        let request = NewRequest {
            id: RequestId::new(self.outbound.clock.now(), &*self.outbound.random),
            trigger: trigger.id,
            cause: RequestCause::Accepted,
            status,
            detail: None,
            received: self.outbound.clock.now(),
            method: came.method.clone(),
            query: shown_query(&came.query),
            peer: came.peer.to_string(),
            headers: shown_headers(&trigger, &came.headers),
            body: (!taken.verbatim).then(|| body.clone()),
            body_bytes: body.len() as u64,
        };
        let origin =
            Origin { kind: TriggerKind::Webhook, trigger: Some(trigger.clone()), ..Origin::default() };
        let start = Start::new(&tenant, &workflow, Arc::new(taken.input), taken.bytes, origin);
        let dedup = taken.dedup.map(|key| Dedup { trigger: trigger.id, key, kept: limits::DEDUP_KEPT });
        let waits = trigger.settings.respond == Some(Respond::Wait);
        let seconds = trigger.settings.wait_seconds.unwrap_or(limits::TRIGGER_WAIT_SECONDS_DEFAULT);
        let (outcome, watch) = self.runner.start(start, Some(request), dedup, waits).await?;
        let body = accepted.and_then(|accepted| accepted.body);
        let (run, state) = match outcome {
            IntakeOutcome::Duplicate(run) => {
                let row = self.outbound.store.run_get(tenant.id, run).await?;
                let state = row.map_or(RunState::Succeeded, |row| row.state);
                // A provider that reads the answer reads the same again.
                let status = if body.is_some() { status } else { 200 };
                return Ok(Reply::Run { run, state, duplicate: true, status, body });
            }
            IntakeOutcome::Started { run, claimed } => (run, self.runner.state_at_start(run, claimed)),
            IntakeOutcome::Skipped(run) => (run, RunState::Cancelled),
            IntakeOutcome::Recorded | IntakeOutcome::Taken => {
                return Err(StoreError::Internal("a run was not made".into()).into());
            }
        };
        let state = match (&workflow.compiled, state) {
            (compiled, RunState::Queued) if compiled.is_empty() => RunState::Succeeded,
            (_, state) => state,
        };
        let Some(watch) = watch else {
            return Ok(Reply::Run { run, state, duplicate: false, status, body });
        };
        match self.runner.wait(watch, Duration::from_secs(seconds.into())).await {
            Some(Told::Responded(response)) => Ok(Reply::Responded { run, response }),
            Some(Told::Ended(state)) => Ok(Reply::Ended { run, state }),
            None => Ok(Reply::Run { run, state, duplicate: false, status: 202, body: None }),
        }
    }

    async fn refuse(
        &self,
        admitted: &Admitted,
        came: &Came,
        body: &Bytes,
        read: u64,
        refused: Refused,
    ) -> Result<Reply, EngineError> {
        let noted =
            Noted { cause: refused.cause, status: refused.status, detail: Some(refused.detail.clone()) };
        self.note(admitted, came, body, read, noted).await?;
        Ok(Reply::Refused(refused))
    }

    /// Writes a request down that starts nothing.
    async fn note(
        &self,
        admitted: &Admitted,
        came: &Came,
        body: &Bytes,
        read: u64,
        noted: Noted,
    ) -> Result<(), EngineError> {
        let trigger = &admitted.trigger;
        tracing::debug!(
            tenant = %admitted.tenant.public_id, trigger = %trigger.id, cause = noted.cause.as_str(), "request.refused"
        );
        if !self.rates.notes_refusal(trigger.id, self.outbound.clock.now()) {
            return Ok(());
        }
        let kept = body.slice(..body.len().min(limits::REFUSED_BODY_KEPT_BYTES));
        let mut answer = self.outbound.accept.submit(|mint| {
            let request = NewRequest {
                id: RequestId::new(mint.now, &*self.outbound.random),
                trigger: trigger.id,
                cause: noted.cause,
                status: noted.status,
                detail: noted.detail,
                received: mint.now,
                method: came.method.clone(),
                query: shown_query(&came.query),
                peer: came.peer.to_string(),
                headers: shown_headers(trigger, &came.headers),
                body: Some(kept),
                body_bytes: read,
            };
            let tenant = admitted.tenant.id;
            let intake = Intake {
                tenant,
                with_event: None,
                request: Some(request),
                run: None,
                dedup: None,
                tick: None,
            };
            Commit { intakes: vec![intake], ..Commit::new(tenant, mint.now) }
        })?;
        match Accept::outcome(&mut answer).await? {
            CommitOutcome::Done { .. } => Ok(()),
            _ => Err(StoreError::Internal("a request was not written".into()).into()),
        }
    }
}

/// Why a body could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyTrouble {
    TooLarge,
    TooSlow,
    Broken,
}

struct Noted {
    cause: RequestCause,
    status: u16,
    detail: Option<String>,
}

fn unknown() -> Refused {
    Refused {
        cause: RequestCause::Disabled,
        status: 404,
        detail: "There is no such webhook, or it is off.".into(),
    }
}

/// What a request is. Pure; takes a while for megabytes.
pub(super) fn judge(trigger: &Trigger, came: &Came, body: &Bytes, now: Timestamp) -> Judged {
    let incoming =
        Incoming { method: &came.method, url: &came.url, query: &came.query, headers: &came.headers, body };
    if let Some(answer) = trigger.verifier_at(now).and_then(|verifier| verifier.open_handshake(&incoming)) {
        return Judged::Handshake(answer);
    }
    let verified = match verify(trigger, &incoming, now) {
        Ok(verified) => verified,
        Err(refused) => return Judged::Refused(refused),
    };
    if let Some((verifier, verified)) = &verified
        && let Some(answer) = verifier.signed_handshake(&incoming, verified)
    {
        return Judged::Handshake(answer);
    }
    let parsed = match &verified {
        Some((verifier, _)) => verifier.preset().parse_body(&came.headers, body),
        None => postrider_domain::inbound::parse_body(&came.headers, body),
    };
    let input = match parsed {
        Ok(input) => input,
        Err(refusal) => return Judged::Refused(unreadable(&refusal)),
    };
    let dedup = match dedup_key(trigger, came, &incoming, verified.as_ref(), &input) {
        Ok(dedup) => dedup,
        Err(refused) => return Judged::Refused(refused),
    };
    match &trigger.filter {
        None => {}
        Some(filter) => match holds(filter, came, &input) {
            Ok(true) => {}
            Ok(false) => return Judged::Filtered,
            Err(why) => {
                return Judged::Refused(Refused {
                    cause: RequestCause::Filtered,
                    status: 200,
                    detail: format!("The trigger's `filter` cannot be decided for it: {why}."),
                });
            }
        },
    }
    // JSON is kept as it was sent; a form, and no body where that is taken for an object, as what they became.
    let verbatim = !body.is_empty() && !postrider_domain::inbound::is_form(&came.headers);
    let bytes = if verbatim { body.clone() } else { Bytes::from(input.to_string()) };
    Judged::Taken(Box::new(Taken { input, bytes, verbatim, dedup }))
}

fn verify<'t>(
    trigger: &'t Trigger,
    incoming: &Incoming<'_>,
    now: Timestamp,
) -> Result<Option<(&'t Verifier, Verified)>, Refused> {
    if trigger.verifiers.is_empty() {
        return Ok(None);
    }
    let (status, detail) = match trigger.verifier_at(now) {
        Some(verifier) => match verifier.verify(incoming, now) {
            Ok(verified) => return Ok(Some((verifier, verified))),
            Err(refusal) => {
                (verifier.preset().refused_status(), format!("{refusal} {}", refusal.code.advice()))
            }
        },
        None => (401, "No secret of this trigger is in force. Give it one.".to_owned()),
    };
    Err(Refused { cause: RequestCause::VerificationFailed, status, detail })
}

fn unreadable(refusal: &BodyRefusal) -> Refused {
    let (cause, status) = match refusal {
        BodyRefusal::ContentType { .. } => (RequestCause::ContentType, 415),
        BodyRefusal::Unparsable { .. } => (RequestCause::Unparsable, 400),
    };
    Refused { cause, status, detail: refusal.detail().to_owned() }
}

fn dedup_key(
    trigger: &Trigger,
    came: &Came,
    incoming: &Incoming<'_>,
    verified: Option<&(&Verifier, Verified)>,
    input: &Value,
) -> Result<Option<String>, Refused> {
    let header = |name: &str| {
        let mut values = came.headers.get_all(name).iter();
        let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
        (1..=DEDUP_BYTES_MAX).contains(&value.len()).then(|| value.to_owned())
    };
    match &trigger.settings.dedup {
        Some(DedupBy::None) => Ok(None),
        Some(DedupBy::Header(name)) => Ok(header(name)),
        Some(DedupBy::Expression(_)) => {
            let Some(expression) = &trigger.dedup else { return Ok(None) };
            match value_of(expression, came, input) {
                Ok(Value::Null) => Ok(None),
                Ok(Value::String(text)) if text.len() <= DEDUP_BYTES_MAX && !text.contains('\0') => {
                    Ok(Some(text))
                }
                Ok(Value::Number(number)) => Ok(Some(number.to_string())),
                Ok(_) => Err(undecided("it gives neither a short text nor a number")),
                Err(why) => Err(undecided(&why)),
            }
        }
        None => match verified {
            Some((verifier, verified)) if !is_own_secret(verifier) => {
                Ok(verifier.dedup_id(incoming, verified, Some(input)))
            }
            _ => Ok(header("idempotency-key")),
        },
    }
}

/// What a dedup key may be long.
const DEDUP_BYTES_MAX: usize = postrider_domain::inbound::DEDUP_ID_BYTES_MAX;

fn is_own_secret(verifier: &Verifier) -> bool {
    verifier.preset().name() == super::trigger::HEADER_SECRET
}

fn undecided(why: &str) -> Refused {
    Refused {
        cause: RequestCause::Unparsable,
        status: 400,
        detail: format!("The trigger's `dedup` expression cannot be decided for it: {why}."),
    }
}

fn holds(filter: &Expression, came: &Came, input: &Value) -> Result<bool, String> {
    let headers = headers_value(filter, came);
    filter.holds(&scope(came, input, &headers))
}

fn value_of(expression: &Expression, came: &Came, input: &Value) -> Result<Value, String> {
    let headers = headers_value(expression, came);
    expression.value(&scope(came, input, &headers), &mut Room::new(limits::STEP_OUTPUT_BYTES_MAX))
}

fn scope<'a>(came: &Came, input: &'a Value, headers: &'a Value) -> Scope<'a> {
    Scope::default()
        .with("input", Some(input))
        .with("headers", Some(headers))
        .with_text("method", came.method.clone())
        .with_text("query", came.query.clone())
}

/// Names in small letters; of a header that stands more than once, the last.
fn headers_value(expression: &Expression, came: &Came) -> Value {
    if !expression.source().contains("headers") {
        return Value::Null;
    }
    let text =
        |value: &http::HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned());
    Value::Object(came.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
}

pub(crate) const MASK: &str = "********";

/// As they are stored and shown: what may be a credential is not.
fn shown_headers(trigger: &Trigger, headers: &HeaderMap) -> Bytes {
    let tokens: Vec<&HeaderName> = trigger.preset().into_iter().flat_map(|it| it.token_headers()).collect();
    shown_but(&tokens, headers)
}

fn shown_but(tokens: &[&HeaderName], headers: &HeaderMap) -> Bytes {
    let shown: Vec<[String; 2]> = headers
        .iter()
        .map(|(name, value)| {
            let value = match tokens.contains(&name) || is_credential(name.as_str()) {
                true => MASK.to_owned(),
                false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
            };
            [name.as_str().to_owned(), value]
        })
        .collect();
    Bytes::from(serde_json::to_vec(&shown).expect("because pairs of texts are JSON"))
}

pub(crate) fn is_credential(name: &str) -> bool {
    const WORDS: [&str; 8] = ["auth", "cookie", "secret", "token", "key", "passw", "pwd", "credential"];
    let name = name.to_ascii_lowercase();
    // Signatures prove, they give nothing away; and people look for them here.
    WORDS.iter().any(|word| name.contains(word)) || name == "sig" || name == "pass"
}

/// A parameter's name as it is meant.
fn decoded(name: &str) -> String {
    form_urlencoded::parse(name.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

fn shown_query(query: &str) -> String {
    let shown: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_credential(&decoded(name)) => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        })
        .collect();
    let mut shown = shown.join("&").replace('\0', "");
    shown.truncate(shown.floor_char_boundary(QUERY_BYTES_MAX));
    shown
}

/// Of a query, what is kept.
const QUERY_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_credential_is_not_shown() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-webhook-secret", "s3cret"),
            ("authorization", "Bearer s3cret"),
            ("x-gitlab-token", "s3cret"),
            ("x-of-a-custom-preset", "s3cret"),
            ("x-github-event", "push"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        let token = HeaderName::from_static("x-of-a-custom-preset");
        let shown = String::from_utf8(shown_but(&[&token], &headers).to_vec()).expect("text");
        assert!(!shown.contains("s3cret") && shown.contains("push"), "{shown}");
        assert_eq!(
            shown_query("hub.mode=subscribe&hub.verify_token=s3cret&api_key=s3cret&a"),
            "hub.mode=subscribe&hub.verify_token=********&api_key=********&a"
        );
    }
}
