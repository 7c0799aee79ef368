//! A rolling change of the version, there and back: each node ends well under load, so nothing may be sent twice.

use std::time::Duration;

use super::stage::{NODES, Role, Stage};
use crate::failure::Result;

const BETWEEN_MS: std::ops::Range<u64> = 500..2_000;
/// The product's own grace is 65 s.
const ENDS_MAX: Duration = Duration::from_secs(90);

pub(super) async fn play(stage: &mut Stage) -> Result<()> {
    stage.graceful = true;
    for change in 0..stage.faults {
        let role = if change.is_multiple_of(2) { Role::New } else { Role::Old };
        for n in 0..NODES {
            stage.wait(BETWEEN_MS).await;
            let began = tokio::time::Instant::now();
            stage.end(n, ENDS_MAX).await?;
            stage.account.took("end", began.elapsed());
            stage.account.count("restarts");
            stage.start(n, role).await?;
            stage.check_ledger(n).await?;
        }
    }
    Ok(())
}
