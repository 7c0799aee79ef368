//! The vocabulary of Postrider and its pure decisions.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no randomness, no async runtime. Time and
//! randomness are described by the seams in [`time`] and [`random`] and handed in by whoever owns the process.

pub mod capture;
pub mod classify;
pub mod connection;
pub mod delivery;
pub mod ecmascript;
pub mod event;
pub mod expression;
pub mod id;
pub mod inbound;
pub mod json;
pub mod latency;
pub mod limits;
mod nearest;
pub mod pattern;
pub mod problem;
pub mod profile;
pub mod random;
pub mod retry;
pub mod rules;
pub mod run;
pub mod schedule;
pub mod signature;
pub mod time;
pub mod verify;
pub mod workflow;
