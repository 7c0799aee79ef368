//! From outside to a run: triggers, and what comes to them.
//!
//! `trigger` (what a trigger is, compiled) → `receive` (a request's way in, in the order that the documents of providers ask
//! for) → a [`Commit`](postrider_store::Commit) with the request and its run. `rate` bounds how much a trigger takes, `test`
//! explains a request without taking it.

pub(crate) mod rate;
pub mod receive;
pub mod registered;
pub mod replay;
pub mod test;
pub mod trigger;

use std::sync::Arc;

use postrider_domain::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::outbound::dispatch::Outbound;
use crate::workflow::Runner;

/// What the stations of this flow share.
pub struct Inbound {
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) runner: Arc<Runner>,
    rates: rate::Rates,
    /// For bodies that are not small, in KiB.
    room: Arc<Semaphore>,
}

/// The right to hold a body that is not small.
pub struct Room {
    _permit: OwnedSemaphorePermit,
}

impl Inbound {
    pub fn new(outbound: Arc<Outbound>, runner: Arc<Runner>) -> Self {
        let room = Arc::new(Semaphore::new(limits::TRIGGER_BYTES_IN_ALL / 1024));
        Self { outbound, runner, rates: rate::Rates::default(), room }
    }

    /// Waits until there is room for a body of so many bytes, which is given back when the answer is dropped.
    pub async fn room(&self, bytes: usize) -> Room {
        let kib = bytes.div_ceil(1024).min(limits::TRIGGER_BYTES_IN_ALL / 1024);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let permit = self.room.clone().acquire_many_owned(kib).await;
        Room { _permit: permit.expect("because nobody closes it") }
    }
}
