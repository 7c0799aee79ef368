//! Webhooks from outside: every preset against golden vectors of other origin, against the cases that are made for it, and the
//! rules that hold for all.

mod cases;
mod custom;
mod oracles;
mod vectors;
