//! A database on which a command is not done: half a copy, or half of what follows a restore. No server runs on it.
//!
//! The command says so in a row of `meta` before it begins, under the lock under which nodes join, and looks whether one is
//! alive. A node looks for the row after it has joined: so one of them sees the other.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::StoreError;

/// The keys of `meta`, and what they hold until the command is done.
pub(super) const COPY: &str = "migration.state";
pub(super) const COPYING: &[u8] = b"copying";
pub(super) const COPY_DONE: &[u8] = b"done";
pub(super) const RESTORED: &str = "restored.state";

const HALF_A_COPY: &str = "SELECT 1 FROM meta WHERE key = $1 AND value = $2";
const HALF_RESTORED: &str = "SELECT 1 FROM meta WHERE key = $1";
const WITHDRAW: &str = "DELETE FROM node WHERE id = $1";
const LOCK_NODES: &str = "LOCK TABLE node IN SHARE ROW EXCLUSIVE MODE";
const ALIVE: &str = "SELECT COUNT(*) FROM node WHERE alive_until > clock_timestamp()";

/// Refuses a node that has just joined, and takes it away again.
pub(super) async fn refuse(connection: &mut PgConnection, node: Uuid) -> Result<(), StoreError> {
    let Err(why) = refuse_unfinished(connection).await else { return Ok(()) };
    sqlx::query(WITHDRAW).bind(node).execute(connection).await?;
    Err(why)
}

/// For what would work on all of a copy.
pub(super) async fn refuse_half_a_copy(connection: &mut PgConnection) -> Result<(), StoreError> {
    match sqlx::query(HALF_A_COPY).bind(COPY).bind(COPYING).fetch_optional(connection).await? {
        Some(_) => Err(StoreError::Misconfigured(
            "This database holds a copy of a data folder that is not complete. Run `postrider migrate-to` with that folder \
             again: it goes on where it stopped."
                .into(),
        )),
        None => Ok(()),
    }
}

async fn refuse_unfinished(connection: &mut PgConnection) -> Result<(), StoreError> {
    refuse_half_a_copy(connection).await?;
    match sqlx::query(HALF_RESTORED).bind(RESTORED).fetch_optional(connection).await? {
        Some(_) => Err(StoreError::Misconfigured(
            "`postrider restored` is at work on this database, or was cut off. Run it again to its end."
                .into(),
        )),
        None => Ok(()),
    }
}

/// How many nodes are alive. None joins before the transaction that asks has ended.
pub(super) async fn nodes_alive(tx: &mut PgConnection) -> Result<i64, StoreError> {
    sqlx::query(LOCK_NODES).execute(&mut *tx).await?;
    Ok(sqlx::query_scalar(ALIVE).fetch_one(tx).await?)
}
