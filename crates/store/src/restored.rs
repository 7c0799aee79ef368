//! What follows a restore from a backup: everything that the backup holds as open ends, so that nothing is sent by itself.
//!
//! What was open when the backup was made may have been delivered between then and the loss; nobody knows. Sent or not, it
//! is recorded as failed for that reason, and whoever wants it sends it again by a recovery. Called once, by
//! `postrider restored`, while no server runs. Cut off, it is called again.

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

/// What was found open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Deliveries that waited to be sent.
    pub scheduled: u64,
    /// Deliveries that were being sent: their attempts read `unknown`.
    pub sending: u64,
    /// Recoveries that were under way.
    pub jobs: u64,
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
        let restored = match (store.backend(), on_server) {
            (Backend::Sqlite(sqlite), _) => sqlite.end_open(now).await?,
            (Backend::Postgres(_), found) => found.unwrap_or_default(),
        };
        Ok((restored, store.ledger(None).await?))
    };
    let ended = ended.await;
    store.close().await;
    ended
}
