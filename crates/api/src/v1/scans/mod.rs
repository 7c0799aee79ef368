//! `/v1/scans`: what a tenant's profile does once a day.

pub(crate) mod list;
pub(crate) mod run;
