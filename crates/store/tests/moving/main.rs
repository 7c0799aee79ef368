//! An installation that moves: from SQLite into PostgreSQL, into a backup and back out of it.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests; the lint's own exception sees only what is marked as one"
)]

mod backup;
mod installation;
mod removal;
mod restored;
mod transfer;
