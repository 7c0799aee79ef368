//! Hot work: what the way of an event asks of the database, statement by statement, run by the writer's thread.
//!
//! Each file is one operation with its statements beside it. These are SQLite's; a second database has its own.

mod accept;
mod cancel;
mod claim;
pub(crate) mod claims;
pub(crate) mod counters;
mod ready;
mod reap;
mod settle;
mod sweep;

pub use reap::AfterCrashRule;
pub use settle::Settled;

use postrider_domain::id::{EventId, TenantId};
use postrider_domain::time::Timestamp;
use rusqlite::Row;

use crate::StoreError;

/// A row's column as an id.
fn id<T>(row: &Row<'_>, column: usize, from: fn([u8; 16]) -> T) -> rusqlite::Result<T> {
    row.get(column).map(from)
}

fn ms(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_unix_ms)
}

fn code<T>(found: Option<T>, what: &str) -> Result<T, StoreError> {
    found.ok_or_else(|| StoreError::Corrupt(format!("an unknown {what}")))
}

/// SQLite's integers have a sign.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn missing_event(tenant: TenantId, event: EventId) -> StoreError {
    StoreError::Corrupt(format!("event {event} of {tenant} has deliveries and no row"))
}
