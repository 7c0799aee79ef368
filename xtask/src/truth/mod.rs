//! What a run under faults is judged by: what the producer was told, what the receivers wrote down, and what our own log
//! says. `crash` and `nodes` bring the faults, and let [`checker`] compare the three.

pub(crate) mod checker;
pub(crate) mod endpoint;
pub(crate) mod log;
pub(crate) mod producer;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::failure::{Failure, Result};
use crate::product::Api;

use checker::{Findings, Story};
use producer::TENANTS;

const SETTLE_POLL: Duration = Duration::from_millis(200);

/// Waits until no delivery of any tenant is open, and says how long that took.
pub(crate) async fn await_settled(api: &mut Api, patience: Duration) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let mut open = 0;
        for tenant in TENANTS {
            open += log::ledger(api, tenant).await?.open();
        }
        if open == 0 {
            return Ok(began.elapsed());
        }
        if began.elapsed() > patience {
            return Err(Failure::new(format!("{open} deliveries are still open after {patience:?}")));
        }
        sleep(SETTLE_POLL).await;
    }
}

/// The figures of a run, and what is wrong with it.
pub(crate) fn print(story: &Story, findings: &Findings) {
    /// Of all violations; the first few tell what is wrong.
    const SHOWN: usize = 30;
    let counts = &findings.counts;
    println!(
        "events acknowledged       {}",
        story.published.values().filter(|event| event.acknowledged).count()
    );
    println!("requests seen             {}", story.seen.len());
    println!("attempts logged           {}", counts.attempts);
    println!("lost                      {}", counts.lost);
    println!("un-logged                 {}", counts.unlogged);
    println!("phantom                   {}", counts.phantom);
    println!("duplicates                {} (attempts cut short: {})", counts.duplicates, counts.unknown);
    for violation in findings.violations.iter().take(SHOWN) {
        println!("VIOLATION {violation}");
    }
    if findings.violations.len() > SHOWN {
        println!("… and {} more", findings.violations.len() - SHOWN);
    }
}
