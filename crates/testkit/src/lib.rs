//! What tests need and the product must never contain. A dev-dependency only.
//!
//! * [`clock::ManualClock`] and [`random::SeededRandom`] stand in for the domain's two seams.
//! * [`names::NoNames`] stands in for name servers.
//! * [`receiver::Receiver`] is an ordinary webhook endpoint that writes everything down.
//! * [`zoo`] holds the receivers that are anything but ordinary.
//! * [`tls::TestAuthority`] issues the certificates, good and bad, that both of them show.

pub mod clock;
pub mod names;
pub mod random;
pub mod receiver;
pub mod tls;
pub mod wire;
pub mod zoo;
