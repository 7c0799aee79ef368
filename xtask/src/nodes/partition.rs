//! The network between a node and its database: gone, silent, or gone in the middle of a statement.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::stage::{RECOVERS_MAX, Stage};
use super::watch;
use crate::failure::Result;

/// In turn.
const CUTS: [Cut; 6] = [
    Cut::Reset,
    Cut::After("the commit of new events", Needle::Commit),
    Cut::Stall,
    Cut::After("the rows of an event", Needle::Event),
    Cut::After("results", Needle::Peer),
    Cut::After("a beat, claims or new deliveries", Needle::Node),
];

#[derive(Clone, Copy)]
enum Cut {
    /// Connections are reset and refused until another node has taken over.
    Reset,
    /// Packets vanish until another node has taken over.
    Stall,
    /// A request still reaches the database, its answer not the node.
    After(&'static str, Needle),
}

/// What tells a statement on the wire, where only its parameters are sent in full.
#[derive(Clone, Copy)]
enum Needle {
    Commit,
    /// An event's data.
    Event,
    /// Where an attempt went.
    Peer,
    /// The node's own id.
    Node,
}

const BETWEEN_MS: std::ops::Range<u64> = 300..2_000;
/// Under load each kind of statement comes many times a second, and a beat every 2 s.
const SPRINGS_MAX: Duration = Duration::from_secs(20);

pub(super) async fn play(stage: &mut Stage) -> Result<()> {
    for fault in 0..stage.faults as usize {
        stage.wait(BETWEEN_MS).await;
        let n = stage.any_node();
        match CUTS[fault % CUTS.len()] {
            Cut::Reset => {
                stage.proxies[n].cut();
                stage.account.count("cuts");
                partitioned(stage, n).await?;
            }
            Cut::Stall => {
                stage.proxies[n].stall();
                stage.account.count("stalls");
                partitioned(stage, n).await?;
            }
            Cut::After(what, needle) => cut_after(stage, n, what, needle).await?,
        }
        stage.check_ledger(n).await?;
    }
    Ok(())
}

/// The node has just lost its database.
async fn partitioned(stage: &mut Stage, n: usize) -> Result<()> {
    let began = Instant::now();
    stage.refuses(n).await?;
    let (claims, _) = watch::taken_over(&stage.postgres, stage.address(n)).await?;
    stage.account.add("claims taken over", claims);
    stage.account.took("takeover", began.elapsed());
    stage.wait(BETWEEN_MS).await;
    stage.proxies[n].mend();
    let mended = Instant::now();
    stage.works(n).await?;
    watch::alive(&stage.postgres, stage.address(n), RECOVERS_MAX).await?;
    stage.account.took("recovery", mended.elapsed());
    Ok(())
}

async fn cut_after(stage: &mut Stage, n: usize, what: &str, needle: Needle) -> Result<()> {
    let Some(needle) = bytes(stage, n, needle) else { return Ok(()) };
    let sprung = stage.proxies[n].cut_after_request(&needle);
    // An error means that it was not sprung.
    if !matches!(timeout(SPRINGS_MAX, sprung).await, Ok(Ok(()))) {
        stage.account.complain(format!("no statement with {what} came within {SPRINGS_MAX:?}"));
        return Ok(());
    }
    stage.account.count("cuts in mid-statement");
    let took = stage.works(n).await?;
    stage.account.took("recovery", took);
    Ok(())
}

fn bytes(stage: &Stage, n: usize, needle: Needle) -> Option<Vec<u8>> {
    match needle {
        Needle::Commit => Some(b"COMMIT".to_vec()),
        Needle::Event => Some(br#"{"number":"#.to_vec()),
        Needle::Peer => Some(stage.endpoints.address().to_string().into_bytes()),
        Needle::Node => watch::id(&stage.postgres, stage.address(n)),
    }
}
