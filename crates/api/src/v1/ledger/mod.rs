//! `/v1/ledger`: every event × webhook pair, counted.

pub(crate) mod get;
