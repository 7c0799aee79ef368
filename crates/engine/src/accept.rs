//! The only door to disk for work.
//!
//! Every flow builds a [`Commit`]: events with their deliveries, replays, settled attempts. It becomes durable whole or
//! not at all, in the order in which it was handed in. Ids of events are made here, under the same lock that hands the
//! work to the writer, so that a later commit never has a smaller event id: who polls `after=ID` misses nothing.

use std::sync::{Arc, Mutex};

use postrider_domain::id::{DeliveryId, EventId, RisingIds, RunId, TenantId};
use postrider_domain::random::Random;
use postrider_domain::time::{Clock, Timestamp};
use postrider_store::{Commit, CommitOutcome, Settled, Settlement, Store, StoreError, first_delivery_id};
use tokio::sync::{mpsc, oneshot};

/// The writer's answer, to come.
pub type Answer = oneshot::Receiver<Result<CommitOutcome, StoreError>>;

pub struct Accept {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    ids: Mutex<RisingIds>,
}

/// Makes the ids of one commit. Holding it is holding the order of commits.
pub struct Mint<'a> {
    pub now: Timestamp,
    ids: &'a mut RisingIds,
    random: &'a dyn Random,
}

impl Mint<'_> {
    pub fn event(&mut self) -> EventId {
        EventId::from_uuid(self.ids.next(self.now, self.random))
    }

    /// A delivery that is made with its event.
    pub fn delivery_of(&self, event: EventId) -> DeliveryId {
        first_delivery_id(event, self.random)
    }

    /// Runs that wait for one place get it in the order of their ids.
    pub fn run(&mut self) -> RunId {
        RunId::from_uuid(self.ids.next(self.now, self.random))
    }

    /// A delivery of an event that is stored already.
    pub fn replay(&mut self) -> DeliveryId {
        DeliveryId::from_uuid(self.ids.next(self.now, self.random))
    }
}

impl Accept {
    pub fn new(store: Store, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { store, clock, random, ids: Mutex::default() }
    }

    /// Hands in work that `build` makes from fresh ids. `build` must be quick: it runs under the lock.
    pub fn submit(&self, build: impl FnOnce(&mut Mint<'_>) -> Commit) -> Result<Answer, StoreError> {
        let mut ids = self.ids.lock().expect("because no holder of this lock panics");
        let now = self.clock.now();
        let commit = build(&mut Mint { now, ids: &mut ids, random: &*self.random });
        self.store.commit_enqueue(commit)
    }

    /// Hands in the result of an attempt, see [`Store::settle_enqueue`]. It makes no id, so it needs no turn.
    pub fn settle<P: Send + 'static>(
        &self,
        tenant: TenantId,
        settlement: Settlement,
        holder: P,
        reader: &mpsc::UnboundedSender<Settled<P>>,
    ) -> Result<(), (P, StoreError)> {
        self.store.settle_enqueue(tenant, self.clock.now(), settlement, holder, reader)
    }

    /// Waits for the writer's word on work that was handed in.
    pub async fn outcome(answer: &mut Answer) -> Result<CommitOutcome, StoreError> {
        match answer.await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Closed),
        }
    }
}
