//! The way of an event, station by station, in reading order.
//!
//! `ingest` → `crate::catalogue` → `matcher` → `due` → `lanes` → (accept) → `dispatch` → `attempt` → `settle`. Retries,
//! replays, operational events and what later flows emit all join this way; there is no second sender. This flow
//! imports no other flow. `preview` and `rendered` show what it would send.

pub mod arrivals;
pub mod attempt;
pub mod dispatch;
pub mod due;
pub mod elsewhere;
pub mod explain;
pub mod in_hand;
pub mod ingest;
pub mod lanes;
pub mod matcher;
pub mod preview;
pub mod rendered;
pub mod settle;
pub mod stirrings;
