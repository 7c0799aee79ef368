//! From what is to what happened: records, and the events that follow from their changes and from the passing of time.
//!
//! `records` (a write, up to its commit) → `rules` (what follows from it) → outbound's ingest and accept. `scan` finds what has
//! come due, `place` says where records are kept and whose they are. Records, marks, due times and events become durable in
//! one transaction, or none of them does.

pub mod place;
pub mod records;
mod rules;
pub mod scan;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use postrider_domain::id::TenantId;
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use tokio::sync::{OwnedMutexGuard, Semaphore, SemaphorePermit};

use crate::outbound::dispatch::Outbound;

const POISON: &str = "because no holder of this lock panics";

/// What the stations of this flow share.
pub struct Derive {
    pub(crate) outbound: Arc<Outbound>,
    locks: Arc<Locks>,
    hasher: RandomState,
    last_version: AtomicI64,
    /// For what is stored of records that are judged, in KiB.
    room: Semaphore,
    /// Tenants whose scan runs in this process, and how many of each.
    scanning: Mutex<HashMap<TenantId, usize>>,
}

/// Of records that somebody works on or waits for, by a hash of their keys.
type Locks = Mutex<HashMap<u64, Arc<tokio::sync::Mutex<()>>>>;

/// Held while records are read, judged and written: of this process's writers of a record, one at a time. Those of other
/// processes are told apart by the record's version.
pub struct Held {
    locks: Arc<Locks>,
    guards: Vec<(u64, OwnedMutexGuard<()>)>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut locks = self.locks.lock().expect(POISON);
        for (key, guard) in self.guards.drain(..) {
            drop(guard);
            // One in the map, none with those who wait.
            if locks.get(&key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
                locks.remove(&key);
            }
        }
    }
}

/// That a tenant's scan runs.
struct Scanning<'a> {
    derive: &'a Derive,
    tenant: TenantId,
}

impl Drop for Scanning<'_> {
    fn drop(&mut self) {
        let mut scanning = self.derive.scanning.lock().expect(POISON);
        if let Some(count) = scanning.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                scanning.remove(&self.tenant);
            }
        }
    }
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

impl Derive {
    pub fn new(outbound: Arc<Outbound>) -> Self {
        Self {
            outbound,
            locks: Arc::default(),
            hasher: RandomState::new(),
            last_version: AtomicI64::new(0),
            room: Semaphore::new(kib(limits::RECORDS_READ_BYTES_IN_ALL) as usize),
            scanning: Mutex::default(),
        }
    }

    /// The locks of these records, by kind and id, in one order for all: nobody waits crosswise.
    pub(crate) fn locks_of<'k>(
        &self,
        scope: &[u8; 16],
        keys: impl Iterator<Item = (&'k str, &'k str)>,
    ) -> BTreeSet<u64> {
        keys.map(|key| self.hasher.hash_one((scope, key))).collect()
    }

    /// Waits until nobody else here works on the records of these locks.
    pub(crate) async fn hold(&self, keys: BTreeSet<u64>) -> Held {
        let mut held = Held { locks: self.locks.clone(), guards: Vec::with_capacity(keys.len()) };
        for key in keys {
            let lock = self.locks.lock().expect(POISON).entry(key).or_default().clone();
            let guard = lock.lock_owned().await;
            held.guards.push((key, guard));
        }
        held
    }

    /// Waits until there is room for so many bytes of records, which is given back when the answer is dropped.
    pub(crate) async fn room_for(&self, bytes: u64) -> SemaphorePermit<'_> {
        let all = kib(limits::RECORDS_READ_BYTES_IN_ALL);
        self.room.acquire_many(kib(bytes).min(all)).await.expect("because nobody closes it")
    }

    /// Whether a tenant's scan runs in this process.
    pub(crate) fn is_scanning(&self, tenant: TenantId) -> bool {
        self.scanning.lock().expect(POISON).contains_key(&tenant)
    }

    fn scanning(&self, tenant: TenantId) -> Scanning<'_> {
        *self.scanning.lock().expect(POISON).entry(tenant).or_default() += 1;
        Scanning { derive: self, tenant }
    }

    /// A version above all that this process has given, and above `old`: also over a deletion. Microseconds, about.
    pub(crate) fn next_version(&self, now: Timestamp, old: Option<i64>) -> i64 {
        let floor = now.unix_ms().saturating_mul(1000).max(old.map_or(0, |old| old + 1));
        let rises = |last: i64| Some(floor.max(last + 1));
        match self.last_version.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rises) {
            Ok(last) | Err(last) => floor.max(last + 1),
        }
    }
}
