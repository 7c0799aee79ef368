//! `cargo xtask crash --runs`: triggers are invoked, each invocation with an id of its own, while the server is killed. Runs
//! ask a receiver, wait, answer who invoked them, and make an event; in the end three accounts of that are compared.

mod follower;
mod judge;
mod receiver;
mod sender;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::{KILLS_THAT_CUT, Kills};
use crate::failure::{Failure, Result};
use crate::product::{Api, Server};
use crate::truth::log::{self, details, list, text};

use judge::{Counts, Emitted, Logged, Story, Violation};
use receiver::Other;
use sender::{EMITTED, Sender, TENANTS, Told};

/// How long the end may take: what was refused is tried again within 2 s, waits take 300 ms, a delivery whose attempt was cut
/// short is repeated at once.
const SETTLE_MAX: Duration = Duration::from_secs(120);
const SETTLE_POLL: Duration = Duration::from_millis(200);
/// After the last kill, when all has ended already: long enough for what would be taken up again to be.
const AFTERLIFE: Duration = Duration::from_secs(2);
/// Of all violations; the first few tell what is wrong.
const SHOWN: usize = 30;

pub(super) async fn crash(kills: &Kills<'_>) -> Result<()> {
    let random = &kills.random;
    let other = Other::start(Arc::clone(random)).await;
    let server = kills.start().await?;
    let paths = sender::prepare(&mut server.api().await?, &other).await?;
    let where_it_is = watch::Sender::new(server.address);
    let (follow, news) = mpsc::unbounded_channel();
    let follower = tokio::spawn(follower::follow(where_it_is.subscribe(), news));
    let sender = Sender::start(&where_it_is.subscribe(), &paths, random, &follow);
    drop(follow);

    let progress =
        || format!("{} invocations acknowledged, {} requests seen", sender.acknowledged(), other.count());
    let goes_on = |address| {
        where_it_is.send_replace(address);
    };
    let (server, slowest_restart) = kills.all(server, &goes_on, &progress).await?;
    let told = sender.stop().await;
    let ended = timeout(SETTLE_MAX, follower).await.map_err(|_| {
        Failure::new(format!("acknowledged runs have not ended after {SETTLE_MAX:?}{}", server.last_words()))
    })??;
    await_settled(&mut server.api().await?).await?;

    // Once more, with nothing left to do: what has ended stays as it is.
    let before = runs(server.address).await?;
    server.kill().await?;
    let server = kills.start().await?;
    sleep(AFTERLIFE).await;
    let after = runs(server.address).await?;
    let changed = changed(&ended, &before).chain(changed(&before, &after)).collect();

    let (asked, received) = other.account();
    let Told { invoked, duplicates, responded, complaints } = told;
    let runs = after.values().map(logged).collect::<Result<_>>()?;
    let story = Story { invoked, asked, received, runs, events: events(&server).await?, changed };
    let (violations, counts) = judge::check(&story);
    println!();
    println!("kills                     {}", kills.count + 1);
    println!("slowest restart           {slowest_restart:.1?}");
    println!("answered with an earlier run {duplicates}, by the run itself {responded}");
    print(&story, &after, &violations, &counts);
    if story.invoked.is_empty() || story.asked.is_empty() {
        Err(Failure::new("nothing was invoked or nothing arrived: this run shows nothing"))
    } else if kills.count >= KILLS_THAT_CUT && (counts.unknown == 0 || duplicates == 0) {
        Err(Failure::new(
            "no kill cut a request or an answer short: this run does not show what becomes of one",
        ))
    } else if let Some(complaint) = complaints.first() {
        Err(Failure::new(format!("{} answers that may not be given: {complaint}", complaints.len())))
    } else if violations.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("{} violations, seed {}", violations.len(), random.seed())))
    }
}

/// Waits until no run and no delivery is open.
async fn await_settled(api: &mut Api) -> Result<()> {
    let began = Instant::now();
    loop {
        let mut open = 0;
        for tenant in TENANTS {
            open += log::ledger(api, tenant).await?.open();
            for state in ["queued", "running", "waiting"] {
                open += list(api, tenant, "/v1/runs", &format!("&state={state}")).await?.len() as u64;
            }
        }
        if open == 0 {
            return Ok(());
        }
        if began.elapsed() > SETTLE_MAX {
            return Err(Failure::new(format!("{open} runs and deliveries are still open")));
        }
        sleep(SETTLE_POLL).await;
    }
}

/// Every run as it is shown, by its id.
async fn runs(address: SocketAddr) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for tenant in TENANTS {
        for run in details(address, tenant, "/v1/runs").await? {
            all.insert(text(&run, "id")?, run);
        }
    }
    Ok(all)
}

/// The ids of runs that read otherwise, or are gone.
fn changed(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> impl Iterator<Item = String> {
    before.iter().filter(|(id, run)| after.get(*id) != Some(run)).map(|(id, _)| id.clone())
}

fn logged(run: &Value) -> Result<Logged> {
    let step = |path: &str| {
        let steps = run["steps"].as_array().into_iter().flatten();
        steps.clone().find(|step| step["path"] == path).cloned().unwrap_or_default()
    };
    let attempts = step("ask")["attempts"].as_array().cloned().unwrap_or_default();
    Ok(Logged {
        id: text(run, "id")?,
        invocation: text(&run["input"], "id")?,
        state: text(run, "status")?,
        attempts: attempts.iter().map(|attempt| text(attempt, "class")).collect::<Result<_>>()?,
        event: step("tell")["eventId"].as_str().map(str::to_owned),
    })
}

/// The events that runs made.
async fn events(server: &Server) -> Result<Vec<Emitted>> {
    let mut events = Vec::new();
    for tenant in TENANTS {
        let query = format!("&type={EMITTED}");
        for event in list(&mut server.api().await?, tenant, "/v1/events", &query).await? {
            events.push(Emitted { event: text(&event, "id")?, run: text(&event["data"], "run")? });
        }
    }
    Ok(events)
}

fn print(story: &Story, runs: &BTreeMap<String, Value>, violations: &[Violation], counts: &Counts) {
    let count = |is: fn(&Violation) -> bool| violations.iter().filter(|violation| is(violation)).count();
    let waited = |path: &str| {
        let succeeded = |run: &&Value| {
            let steps = run["steps"].as_array().into_iter().flatten();
            steps.clone().any(|step| step["path"] == path && step["status"] == "succeeded")
        };
        runs.values().filter(succeeded).count()
    };
    let acknowledged = story.invoked.values().filter(|invoked| invoked.acknowledged).count();
    println!("invocations acknowledged  {acknowledged}");
    println!("runs                      {}", story.runs.len());
    println!("  that waited a while     {}", waited("pause"));
    println!("  that waited for an event {}", waited("paid"));
    println!("lost                      {}", count(|found| matches!(found, Violation::Lost(_))));
    println!("requests seen             {}", story.asked.len());
    println!("attempts logged           {} (cut short: {})", counts.attempts, counts.unknown);
    println!("repeated requests         {}", counts.repeated);
    println!("events                    {}", story.events.len());
    println!("changed after their end   {}", story.changed.len());
    for violation in violations.iter().take(SHOWN) {
        println!("VIOLATION {violation}");
    }
    if violations.len() > SHOWN {
        println!("… and {} more", violations.len() - SHOWN);
    }
}
