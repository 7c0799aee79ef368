//! The time of day, as the processes of a bench share it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970. Driver and sink are processes of one machine, so the difference of two readings is a duration
/// as long as nobody sets the clock during a bench.
#[allow(clippy::disallowed_methods)] // a bench measures real time: there is nothing to hand in
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
