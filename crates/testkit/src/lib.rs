//! What tests need and the product must never contain. A dev-dependency only.
//!
//! * [`clock::ManualClock`] and [`random::SeededRandom`] stand in for the domain's two seams.
//! * [`names::NoNames`] stands in for name servers.
//! * [`receiver::Receiver`] is an ordinary webhook endpoint that writes everything down.
//! * [`zoo`] holds the receivers that are anything but ordinary.
//! * [`postgres::Postgres`] is a PostgreSQL server of a test's own, or one that all tests share.
//! * [`home`] says whether a store is kept in a folder or in that server.
//! * [`proxy::FaultProxy`] stands between a client and a server, and breaks what is between them.
//! * [`tls::TestAuthority`] issues the certificates, good and bad, that both of them show.

pub mod clock;
pub mod home;
pub mod names;
pub mod postgres;
pub mod proxy;
pub mod random;
pub mod receiver;
pub mod tls;
pub mod wire;
pub mod zoo;
