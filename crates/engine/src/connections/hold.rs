//! Who may call a connection's provider, or change the connection: one at a time. Within a process its callers queue for a
//! mutex; between nodes the row's lease decides. A refresh token is often good once, so that two who use it at one time would
//! lose the connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_domain::id::{ConnectionId, TenantId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use tokio::time::Instant;

use super::Connections;
use super::row::Opened;

/// How often it is looked whether another node is done: nothing wakes across nodes for this.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long it is waited for another node: its lease, and a little.
const PATIENCE: Duration = limits::CONNECTION_LEASE.saturating_add(Duration::from_secs(5));

const POISON: &str = "because no holder of this lock panics";

/// What a process knows of a connection beyond its row.
#[derive(Default)]
pub(super) struct Slot {
    turn: Arc<tokio::sync::Mutex<()>>,
    rest: Mutex<Option<Rest>>,
}

/// After the provider could not be asked: it is left alone for a while.
#[derive(Clone, Copy)]
struct Rest {
    until: Timestamp,
    failures: u32,
}

/// A connection in hand. Dropped without being written, it is free again when its lease ends.
pub(super) struct Held {
    pub(super) opened: Opened,
    _turn: Turn,
}

pub(super) struct Turn {
    connections: Connections,
    id: ConnectionId,
    slot: Arc<Slot>,
    _turn: tokio::sync::OwnedMutexGuard<()>,
}

/// What came of the wish to hold a connection.
pub(super) enum Hold<T> {
    Held(Box<Held>),
    /// The look at its row said that there is no need any more.
    Settled(T),
    Gone,
    /// Another node has it, for longer than its lease.
    Busy,
}

impl Connections {
    /// Waits for the turn, then takes the lease; `look` may end the waiting with each row that is read.
    pub(super) async fn hold<T>(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        mut look: impl FnMut(&Opened) -> Option<T>,
    ) -> Result<Hold<T>, StoreError> {
        let turn = self.turn(id).await;
        let patience = Instant::now() + PATIENCE;
        loop {
            let Some(row) = self.store().connection_get(tenant, id).await? else { return Ok(Hold::Gone) };
            let mut opened = Opened::of(self.store(), row)?;
            if let Some(settled) = look(&opened) {
                return Ok(Hold::Settled(settled));
            }
            let now = self.now();
            let until = now.plus(limits::CONNECTION_LEASE);
            // A clock that was set back must not make a lease last for ever.
            let free = opened.row.lease.is_none_or(|lease| lease <= now || lease > until.plus(PATIENCE));
            if free && self.store().connection_lease(&opened.row, now, until).await? {
                opened.row.version += 1;
                opened.row.lease = Some(until);
                return Ok(Hold::Held(Box::new(Held { opened, _turn: turn })));
            }
            if Instant::now() > patience {
                return Ok(Hold::Busy);
            }
            // The machine's time: another process works meanwhile, whatever the clock of this one says.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn turn(&self, id: ConnectionId) -> Turn {
        let slot = self.0.slots.lock().expect(POISON).entry(id).or_default().clone();
        let turn = slot.turn.clone().lock_owned().await;
        Turn { connections: self.clone(), id, slot, _turn: turn }
    }

    /// How long the provider is left alone yet.
    pub(super) fn rests(&self, id: ConnectionId, now: Timestamp) -> Option<Duration> {
        let slot = self.0.slots.lock().expect(POISON).get(&id)?.clone();
        let rest = (*slot.rest.lock().expect(POISON))?;
        let left = rest.until.since(now);
        // A clock that was set back must not put it off.
        (!left.is_zero() && left <= limits::PROVIDER_RETRY_MAX).then_some(left)
    }
}

impl Held {
    /// The provider could not be asked: says how long it is left alone.
    pub(super) fn rest(&self, now: Timestamp, asked_for: Option<Duration>) -> Duration {
        let mut rest = self._turn.slot.rest.lock().expect(POISON);
        let failures = rest.map_or(0, |rest| rest.failures);
        let doubled = limits::PROVIDER_RETRY_FIRST.saturating_mul(1 << failures.min(16));
        let wait = doubled.max(asked_for.unwrap_or_default()).min(limits::PROVIDER_RETRY_MAX);
        *rest = Some(Rest { until: now.plus(wait), failures: failures.saturating_add(1) });
        wait
    }

    /// The provider answered.
    pub(super) fn rested(&self) {
        *self._turn.slot.rest.lock().expect(POISON) = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut slots = self.connections.0.slots.lock().expect(POISON);
        // The map's and ours: nobody waits, and there is nothing to remember.
        if Arc::strong_count(&self.slot) <= 2 && self.slot.rest.lock().expect(POISON).is_none() {
            slots.remove(&self.id);
        }
    }
}
