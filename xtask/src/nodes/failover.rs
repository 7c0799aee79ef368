//! The primary goes, and its synchronous standby takes its place.

use std::mem;

use tokio::task::block_in_place;
use tokio::time::Instant;

use super::stage::Stage;
use crate::failure::{Failure, Result};

const BEFORE_MS: std::ops::Range<u64> = 2_000..4_000;
/// Between the end of the primary and the promotion: somebody has to notice.
const NOTICE_MS: std::ops::Range<u64> = 200..2_000;
const AFTER_MS: std::ops::Range<u64> = 3_000..5_000;

pub(super) async fn killed(stage: &mut Stage) -> Result<()> {
    stage.wait(BEFORE_MS).await;
    block_in_place(|| stage.postgres.kill());
    stage.account.count("failovers");
    promote(stage).await?;
    stage.wait(AFTER_MS).await;
    Ok(())
}

/// The machine of the primary hangs: its connections stay open and nobody answers. When it goes on, it still takes itself
/// for the primary, and its commits wait for a standby that is none any more.
pub(super) async fn frozen(stage: &mut Stage) -> Result<()> {
    stage.wait(BEFORE_MS).await;
    block_in_place(|| stage.postgres.pause());
    stage.account.count("failovers");
    promote(stage).await?;
    stage.wait(AFTER_MS).await;
    let former = stage.standby.take().ok_or_else(|| Failure::new("the former primary is gone"))?;
    block_in_place(|| former.resume());
    stage.standby = Some(former);
    stage.wait(AFTER_MS).await;
    stage.all_work().await?;
    stage.check_ledger(0).await
}

/// The standby becomes the stage's database, and what was it becomes the standby.
async fn promote(stage: &mut Stage) -> Result<()> {
    let gone = Instant::now();
    let standby = stage.standby.take().ok_or_else(|| Failure::new("there is no standby"))?;
    stage.wait(NOTICE_MS).await;
    block_in_place(|| standby.promote());
    stage.standby = Some(mem::replace(&mut stage.postgres, standby));
    let promoted = Instant::now();
    stage.all_work().await?;
    stage.account.took("recovery", promoted.elapsed());
    stage.account.took("failover", gone.elapsed());
    stage.check_ledger(0).await
}
