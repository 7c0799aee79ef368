//! SIGSTOP beyond the lease, and SIGCONT: what the node did meanwhile comes late, and is fenced off.

use tokio::time::Instant;

use super::stage::Stage;
use super::watch;
use crate::failure::Result;

const BEFORE_MS: std::ops::Range<u64> = 500..3_000;
/// After the takeover.
const LONGER_MS: std::ops::Range<u64> = 500..4_000;
const AFTER_MS: std::ops::Range<u64> = 2_000..4_000;

pub(super) async fn play(stage: &mut Stage) -> Result<()> {
    for _ in 0..stage.faults {
        stage.wait(BEFORE_MS).await;
        let n = stage.any_node();
        let address = stage.address(n);
        stage.freeze(n)?;
        stage.account.count("freezes");
        let (claims, took) = watch::taken_over(&stage.postgres, address).await?;
        stage.account.add("claims taken over", claims);
        stage.account.took("takeover", took);
        stage.wait(LONGER_MS).await;
        stage.thaw(n)?;
        let thawed = Instant::now();
        stage.works(n).await?;
        watch::alive(&stage.postgres, address, super::stage::RECOVERS_MAX).await?;
        stage.account.took("recovery", thawed.elapsed());
        stage.check_ledger(n).await?;
        stage.wait(AFTER_MS).await;
    }
    Ok(())
}
