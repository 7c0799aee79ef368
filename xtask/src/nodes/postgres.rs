//! SIGKILL of the whole PostgreSQL, and its restart.

use tokio::task::block_in_place;
use tokio::time::Instant;

use super::stage::Stage;
use crate::failure::Result;

const BETWEEN_MS: std::ops::Range<u64> = 200..3_000;
const AWAY_MS: std::ops::Range<u64> = 10..1_500;
/// Once in so many times it is away until a node has said so, and for the first time at once.
const ASKED_EVERY: u32 = 3;
/// Once in so many times it is away for longer than any lease.
const LONG_EVERY: u32 = 18;
const LONG_MS: std::ops::Range<u64> = 11_000..15_000;

pub(super) async fn play(stage: &mut Stage) -> Result<()> {
    for kill in 0..stage.faults {
        stage.wait(BETWEEN_MS).await;
        block_in_place(|| stage.postgres.kill());
        stage.account.count("kills of PostgreSQL");
        let n = stage.any_node();
        if kill.is_multiple_of(ASKED_EVERY) {
            stage.refuses(n).await?;
        }
        stage.wait(if kill % LONG_EVERY == LONG_EVERY - 1 { LONG_MS } else { AWAY_MS }).await;
        block_in_place(|| stage.postgres.start_again());
        let back = Instant::now();
        stage.all_work().await?;
        stage.account.took("recovery", back.elapsed());
        stage.check_ledger(n).await?;
        if (kill + 1) % 10 == 0 {
            println!("{} kills, {} events acknowledged", kill + 1, stage.producer.acknowledged());
        }
    }
    Ok(())
}
