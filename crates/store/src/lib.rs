//! Where everything that must last is kept.
//!
//! Two ways lead in. The hot one ([`Store::commit_enqueue`], claims, sweeps) is queued for one writer that turns what
//! waits into one transaction and one sync. The cold one ([`Store::read`], [`Store::write`]) is for configuration and
//! reads; its statements are portable SQL. No other crate knows which database is behind.
//!
//! Reading order: [`work`] (what goes in and out), `open`, `writer` and `hot` (the way of an event), [`history`] (reads),
//! [`config`], `seal`, `db`, `migrate`.

pub mod config;
pub mod db;
mod error;
pub mod history;
mod hot;
mod migrate;
mod open;
#[cfg(test)]
mod plans;
mod seal;
pub mod work;
mod writer;

pub use db::{Reader, Row, Value, WriteTx};
pub use error::StoreError;
pub use history::*;
pub use hot::{AfterCrashRule, Settled};
pub use open::{OpenOptions, Store, Synchronous};
pub use seal::MasterKey;
pub use work::*;
