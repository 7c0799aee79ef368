//! Tenants in which something waits for an event, and in which one has come: a wake for who looks at the stored events. What is
//! missed here is found by looking now and then.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use postrider_domain::id::TenantId;
use tokio::sync::Notify;

const POISON: &str = "because no holder of this lock panics";

#[derive(Debug, Default)]
pub struct Arrivals {
    /// How many tenants are in `awaited`: most of the time none.
    count: AtomicUsize,
    awaited: Mutex<BTreeSet<TenantId>>,
    come: Mutex<BTreeSet<TenantId>>,
    wake: Notify,
}

impl Arrivals {
    /// Something in this tenant waits for an event.
    pub fn awaits(&self, tenant: TenantId) {
        let mut awaited = self.awaited.lock().expect(POISON);
        awaited.insert(tenant);
        self.count.store(awaited.len(), Ordering::Release);
        drop(awaited);
        // It may have come between the look and this.
        self.came(tenant);
    }

    /// Nothing in this tenant waits any more.
    pub fn forget(&self, tenant: TenantId) {
        let mut awaited = self.awaited.lock().expect(POISON);
        awaited.remove(&tenant);
        self.count.store(awaited.len(), Ordering::Release);
    }

    /// An event of this tenant is on disk.
    pub fn came(&self, tenant: TenantId) {
        if self.count.load(Ordering::Acquire) == 0 || !self.awaited.lock().expect(POISON).contains(&tenant) {
            return;
        }
        self.come.lock().expect(POISON).insert(tenant);
        self.wake.notify_one();
    }

    /// Waits until an event has come where one is awaited.
    pub async fn wake(&self) {
        self.wake.notified().await;
    }

    /// Where events have come.
    pub fn take(&self) -> Vec<TenantId> {
        std::mem::take(&mut *self.come.lock().expect(POISON)).into_iter().collect()
    }
}
