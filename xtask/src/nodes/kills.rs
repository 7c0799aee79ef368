//! SIGKILL of nodes, while the others go on. What they had claimed is taken over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::stage::{Role, Stage};
use super::watch;
use crate::failure::Result;

/// From one kill to the next: several at almost the same time, and nodes that live long enough to lead and to take over.
const GAPS_MS: [std::ops::Range<u64>; 2] = [50..1_000, 2_000..5_000];
/// One kill in so many hits a node that has not come up yet.
const STARTING_ONE_IN: u64 = 6;
const STARTING_MS: std::ops::Range<u64> = 5..300;
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn play(stage: &mut Stage) -> Result<()> {
    let mut dead = Dead::default();
    for kill in 1..=stage.faults {
        let gap = &GAPS_MS[stage.random.below(GAPS_MS.len() as u64) as usize];
        let until = Instant::now() + Duration::from_millis(stage.between(gap));
        while Instant::now() < until {
            sleep(LOOK.min(until.saturating_duration_since(Instant::now()))).await;
            dead.look(stage);
        }
        let n = stage.any_node();
        dead.since.insert(stage.address(n), Instant::now());
        stage.kill(n).await?;
        stage.account.count("kills");
        if stage.random.one_in(STARTING_ONE_IN) {
            let starting = stage.spawn(n, Role::New).await?;
            stage.wait(STARTING_MS).await;
            starting.kill().await?;
            stage.account.count("kills of starting nodes");
        }
        stage.start(n, Role::New).await?;
        stage.check_ledger(n).await?;
        if kill % 10 == 0 {
            println!(
                "{kill} kills, {} events acknowledged, {} requests seen",
                stage.producer.acknowledged(),
                stage.endpoints.count()
            );
        }
    }
    let last: Vec<SocketAddr> = dead.since.keys().copied().collect();
    for node in last {
        watch::taken_over(&stage.postgres, node).await?;
        dead.look(stage);
    }
    Ok(())
}

/// Nodes that were killed and have claims still.
#[derive(Default)]
struct Dead {
    since: BTreeMap<SocketAddr, Instant>,
}

impl Dead {
    fn look(&mut self, stage: &mut Stage) {
        let Some(nodes) = watch::nodes(&stage.postgres) else { return };
        self.since.retain(|node, killed| {
            let over = nodes.get(node).is_none_or(|seen| !seen.alive && seen.sending == 0);
            if over {
                stage.account.took("takeover", killed.elapsed());
            }
            !over
        });
    }
}
