//! `postrider connect postgres` as people run it: the binary, a server, and a real PostgreSQL with an application's tables.

mod crashes;
mod order;
mod refusals;
mod rows;
mod stage;
mod triggers;
