//! The way of an event, from publish to the ledger, over a real store, a real socket and a clock that tests move.

mod crash;
mod delivery;
mod house;
mod nodes;
mod records;
mod scan;
mod switch;
