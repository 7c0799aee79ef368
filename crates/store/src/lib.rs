//! Where everything that must last is kept.
//!
//! Two ways lead in. The hot one ([`Store::commit_enqueue`], claims, sweeps) is queued for one writer that turns what
//! waits into one transaction and one sync. The cold one ([`Store::read`], [`Store::write`]) is for configuration and
//! reads; its statements are portable SQL. No other crate knows which database is behind.
//!
//! Reading order: [`work`] (what goes in and out), `open`, `hot` (the way of an event) with `sqlite` and `postgres` behind
//! it, [`history`] (reads), [`config`], `seal`, `db`, `migrate`. Beside it, for commands that work on a stopped installation:
//! [`transfer`] (from SQLite to PostgreSQL), [`backup_folder`], [`end_restored`].

pub mod config;
pub mod db;
mod error;
pub mod history;
mod hot;
mod migrate;
mod nodes;
mod open;
mod postgres;
mod records;
mod resends;
mod restored;
pub mod runs;
mod scans;
mod seal;
mod sqlite;
pub mod transfer;
pub mod work;

pub use db::{Reader, Row, Value, WriteTx};
pub use error::StoreError;
pub use history::*;
pub use hot::{AfterCrashRule, Settled};
pub use open::{Database, OpenOptions, Store, Synchronous};
pub use postgres::look::{ServerLook, look_at_server};
pub use postgres::{Beat, CONNECTIONS_MAX, Heard, Listener, NODE_LEASE};
pub use records::{
    MarkChange, RecordContent, RecordKey, RecordState, RecordTo, RecordWrite, RuleDue, RuleFault, Rules,
    StoredFault, StoredMark, StoredRecord,
};
pub use restored::{Restored, end_restored};
pub use scans::ScanRow;
pub use seal::MasterKey;
pub use sqlite::backup::{BackupError, backup_folder};
pub use work::*;
