//! The vocabulary of Postrider and its pure decisions.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no randomness, no async runtime. Time and
//! randomness are described by the seams in [`time`] and [`random`] and handed in by whoever owns the process.

pub mod delivery;
pub mod event;
pub mod id;
pub mod limits;
pub mod problem;
pub mod random;
pub mod time;
// Modules joined by the profile work: classify ecmascript json pattern profile retry schedule signature
