//! The systems that Postrider has to be able to be: each promise of their documentation about the wire and about
//! delivery, by a test named after it. Over the real API, store, engine and sockets, with a clock that tests move.
//!
//! Who wants to know whether a promise is kept looks here first; how it is kept is tested where it is done.

mod stage;
mod system_a;
mod system_a_records;
mod system_b;
mod system_c;
mod system_d;
mod system_d_records;
mod system_e;
mod system_e_records;
