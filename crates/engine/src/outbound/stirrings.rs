//! "Something changed in this tenant", for pages that are open: a wake to read the store again, and nothing else. While nobody
//! watches it costs the way of an event one atomic load. Only this process's own work is told here; a page also looks now and
//! then by itself, for what other nodes did.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use postrider_domain::id::TenantId;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use tokio::sync::watch;

const POISON: &str = "because no holder of this lock panics";

#[derive(Debug, Default)]
pub struct Stirrings {
    /// How many watch, in all: most of the time none.
    count: AtomicUsize,
    watched: Mutex<HashMap<TenantId, Watched>>,
    ended: watch::Sender<bool>,
}

#[derive(Debug)]
struct Watched {
    teller: watch::Sender<()>,
    by: usize,
}

/// One who watches a tenant, until it is dropped.
#[derive(Debug)]
pub struct Changes {
    stirrings: Arc<Stirrings>,
    tenant: TenantId,
    heard: watch::Receiver<()>,
    ended: watch::Receiver<bool>,
}

impl Stirrings {
    /// # Errors
    /// `overloaded`, when as many watch as may.
    pub fn watch(self: &Arc<Self>, tenant: TenantId) -> Result<Changes, Problem> {
        let mut watched = self.watched.lock().expect(POISON);
        let of_tenant = watched.get(&tenant).map_or(0, |watched| watched.by);
        if self.count.load(Ordering::Acquire) >= limits::WATCHERS_MAX
            || of_tenant >= limits::WATCHERS_PER_TENANT_MAX
        {
            return Err(Problem::new(
                Code::Overloaded,
                "As many pages as possible are told of changes already. Close some, or load this one again now and then.",
            ));
        }
        let entry = watched.entry(tenant).or_insert_with(|| Watched { teller: watch::channel(()).0, by: 0 });
        entry.by += 1;
        let heard = entry.teller.subscribe();
        self.count.fetch_add(1, Ordering::Release);
        Ok(Changes { stirrings: self.clone(), tenant, heard, ended: self.ended.subscribe() })
    }

    /// Something of this tenant is on disk that was not before: an event, or what became of a delivery.
    pub fn stirred(&self, tenant: TenantId) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some(watched) = self.watched.lock().expect(POISON).get(&tenant) {
            watched.teller.send_replace(());
        }
    }

    /// Nobody is told anything more: who watches is let go, so that a stop need not wait for pages that are open.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    fn left(&self, tenant: TenantId) {
        let mut watched = self.watched.lock().expect(POISON);
        if let Some(entry) = watched.get_mut(&tenant) {
            entry.by = entry.by.saturating_sub(1);
            if entry.by == 0 {
                watched.remove(&tenant);
            }
        }
        self.count.fetch_sub(1, Ordering::Release);
    }
}

impl Changes {
    /// Waits until something has changed since the last call, or since it began to watch. Many changes are one.
    pub async fn next(&mut self) {
        if self.heard.changed().await.is_err() {
            // Its teller lives as long as it does.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the server stops.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            // Its teller lives as long as the engine.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.stirrings.left(self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId::from_bytes([1; 16]);
    const TWO: TenantId = TenantId::from_bytes([2; 16]);

    async fn is_told(changes: &mut Changes) -> bool {
        tokio::select! {
            biased;
            () = changes.next() => true,
            () = tokio::task::yield_now() => false,
        }
    }

    #[tokio::test]
    async fn who_watches_a_tenant_is_told_once_of_many_changes_and_of_no_other_tenants() {
        let stirrings = Arc::new(Stirrings::default());
        stirrings.stirred(ONE);
        let mut one = stirrings.watch(ONE).expect("there is room");
        let mut also = stirrings.watch(ONE).expect("there is room");
        let mut two = stirrings.watch(TWO).expect("there is room");
        assert!(!is_told(&mut one).await);
        stirrings.stirred(ONE);
        stirrings.stirred(ONE);
        assert!(is_told(&mut one).await);
        assert!(!is_told(&mut one).await);
        assert!(is_told(&mut also).await);
        assert!(!is_told(&mut two).await);
        drop(one);
        stirrings.stirred(ONE);
        assert!(is_told(&mut also).await);
    }

    #[tokio::test]
    async fn a_stop_lets_go_who_watches_and_who_comes_late() {
        let stirrings = Arc::new(Stirrings::default());
        let early = stirrings.watch(ONE).expect("there is room");
        let stopped = tokio::spawn(early.stopped());
        stirrings.end();
        stopped.await.expect("it ends");
        early.stopped().await;
        stirrings.watch(ONE).expect("there is room").stopped().await;
    }

    #[test]
    fn watchers_are_bounded_per_tenant_and_in_all_and_leave_their_room() {
        let stirrings = Arc::new(Stirrings::default());
        let mut watchers = Vec::new();
        for n in 0..limits::WATCHERS_MAX {
            let tenant = TenantId::from_bytes([(n / limits::WATCHERS_PER_TENANT_MAX) as u8; 16]);
            watchers.push(stirrings.watch(tenant).expect("there is room"));
        }
        let other = TenantId::from_bytes([0xee; 16]);
        assert_eq!(stirrings.watch(other).expect_err("it is full").code, Code::Overloaded);
        watchers.remove(0);
        // Its place is free; the second tenant has as many as it may.
        let second = TenantId::from_bytes([1; 16]);
        assert_eq!(stirrings.watch(second).expect_err("it has its share").code, Code::Overloaded);
        watchers.push(stirrings.watch(other).expect("there is room"));
        drop(watchers);
        assert_eq!(stirrings.count.load(Ordering::Acquire), 0);
        assert!(stirrings.watched.lock().expect(POISON).is_empty());
    }
}
