//! What follows a restore from a backup: everything that the backup holds as open ends, so that nothing is sent by itself.
//!
//! What was open when the backup was made may have been delivered between then and the loss; nobody knows. Sent or not, it
//! is recorded as failed for that reason, and whoever wants it sends it again by a recovery. Called once, by
//! `postrider restored`, while no server runs. Cut off, it is called again.

use postrider_domain::run::RunState;
use postrider_domain::time::Timestamp;

use crate::open::Backend;
use crate::postgres::restored;
use crate::{Database, LedgerRow, OpenOptions, Store, StoreError};

/// Deliveries ended in one transaction.
pub(crate) const ROWS_MAX: usize = 4096;

/// Jobs of tenants send: recoveries, asked for before the backup. Those of the installation remove tenants, and go on.
/// Index: `job_running`.
pub(crate) const END_JOBS: &str = "UPDATE job SET state = 2, detail = $1, updated_ms = $2, finished_ms = $2 WHERE state = 0 AND tenant_id <> $3";
pub(crate) const JOB_ENDED: &str = "The installation was restored from a backup meanwhile. Ask for it again.";
/// The tenant of what concerns the installation.
pub(crate) const INSTALLATION: [u8; 16] = [0; 16];

/// What a run had done since the backup was made nobody knows: to go on would do it again.
const END_RUNS: &str = "UPDATE run SET state = $1, error = $2, finished_ms = $3, fence = fence + 1, due_ms = NULL, lease_ms = NULL, \
     node_id = NULL WHERE state < 3";
const END_WAITS: &str = "DELETE FROM run_wait";
const RUN_ENDED: &str =
    "The installation was restored from a backup while this run was open. Replay it if it is still wanted.";

async fn end_runs(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    let mut tx = store.write().await?;
    let ended = tx.execute(END_RUNS, &[RunState::Failed.into(), RUN_ENDED.into(), now.into()]).await?;
    tx.execute(END_WAITS, &[]).await?;
    tx.commit().await?;
    Ok(ended)
}

/// What was found open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Deliveries that waited to be sent.
    pub scheduled: u64,
    /// Deliveries that were being sent: their attempts read `unknown`.
    pub sending: u64,
    /// Recoveries that were under way.
    pub jobs: u64,
    /// Runs of workflows that had not ended.
    pub runs: u64,
    /// Events whose place in the order of acceptance was that of another PostgreSQL: they are in the order of their ids now.
    pub renumbered: u64,
}

/// Ends everything that is open in a store on which no server runs. Answers also the ledger after that.
pub async fn end_restored(options: OpenOptions) -> Result<(Restored, [LedgerRow; 3]), StoreError> {
    let now = options.now;
    let on_server = match &options.database {
        Database::Postgres(url) => Some(restored::end_open(url, &options).await?),
        Database::Folder(_) => None,
    };
    let store = Store::open(options).await?;
    let ended = async {
        let mut restored = match (store.backend(), on_server) {
            (Backend::Sqlite(sqlite), _) => sqlite.end_open(now).await?,
            (Backend::Postgres(_), found) => found.unwrap_or_default(),
        };
        restored.runs = end_runs(&store, now).await?;
        Ok((restored, store.ledger(None).await?))
    };
    let ended = ended.await;
    store.close().await;
    ended
}
