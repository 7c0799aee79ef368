//! The way of an event, from publish to the ledger, and of a run, from what starts it to its end: over a real store, a real
//! socket and a clock that tests move.

mod connections;
mod crash;
mod delivery;
mod elsewhere;
mod house;
mod inbox;
mod nodes;
mod records;
mod rendered;
mod scan;
mod switch;
mod workflow;
