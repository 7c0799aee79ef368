//! `/v1/scans`: tenants whose events go out once a day.

pub(crate) mod run;
