//! Idle sockets, kept per origin and partition: for at most their age, in bounded number, the last one used first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::connect::Socket;
use crate::{Budgets, Reuse};

/// Sockets that a sweep has in its hands, where an attempt would miss them.
const SWEPT_AT_ONCE: usize = 16;

/// One mutex: it is held for a hash and a push, some 50 ns, against 30 µs and more that the request takes.
pub(crate) struct Pool {
    idle: Mutex<HashMap<PoolKey, Vec<Idle>>>,
    /// Of all keys together. Changed under the mutex; read without it.
    count: AtomicUsize,
    age_max: Duration,
    per_key_max: usize,
    total_max: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) partition: [u8; 16],
    /// Scheme, host and port.
    pub(crate) origin: Arc<str>,
}

struct Idle {
    socket: Box<Socket>,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(budgets: &Budgets) -> Self {
        Self {
            idle: Mutex::default(),
            count: AtomicUsize::new(0),
            age_max: budgets.socket_age,
            per_key_max: budgets.idle_per_origin_max,
            total_max: budgets.idle_total_max,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The socket that was used last, if it is young enough. It may still be dead: using it will tell.
    pub(crate) fn take(&self, key: &PoolKey, reuse: Reuse, now: Instant) -> Option<Box<Socket>> {
        // Declared first, so that sockets are closed after the mutex is released.
        let mut old = Vec::new();
        let mut idle = self.lock();
        let sockets = idle.get_mut(key)?;
        while let Some(last) = sockets.last() {
            if let Reuse::FreshWithin(limit) = reuse
                && now.saturating_duration_since(last.since) >= limit
            {
                return None;
            }
            let Idle { socket, .. } = sockets.pop().expect("because there is a last one");
            self.count.fetch_sub(1, Ordering::Relaxed);
            if now.saturating_duration_since(socket.dialled) < self.age_max {
                return Some(socket);
            }
            old.push(socket);
        }
        None
    }

    /// Keeps a socket whose last response was read to its end. Drops it when there is no room.
    pub(crate) fn put(&self, key: PoolKey, socket: Box<Socket>, now: Instant) {
        if now.saturating_duration_since(socket.dialled) >= self.age_max {
            return;
        }
        let mut idle = self.lock();
        if self.count() >= self.total_max {
            return;
        }
        let sockets = idle.entry(key).or_default();
        if sockets.len() < self.per_key_max {
            sockets.push(Idle { socket, since: now });
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drops what is too old, what its peer has closed, and what its peer has sent something on.
    ///
    /// A few sockets at a time, and polled without the mutex: what a peer sent may take a while to decrypt.
    pub(crate) fn sweep(&self, now: Instant) {
        let keys: Vec<PoolKey> = self.lock().keys().cloned().collect();
        for key in keys {
            let mut seen = 0;
            while let Some(entries) = self.some_of(&key, seen) {
                let before = entries.len();
                let is_good = |entry: &mut Idle| {
                    now.saturating_duration_since(entry.socket.dialled) < self.age_max
                        && entry.socket.is_quiet()
                };
                let kept: Vec<_> =
                    entries.into_iter().filter_map(|mut e| is_good(&mut e).then_some(e)).collect();
                self.count.fetch_sub(before - kept.len(), Ordering::Relaxed);
                let kept_now = kept.len();
                let mut idle = self.lock();
                let sockets = idle.entry(key.clone()).or_default();
                let at = seen.min(sockets.len());
                sockets.splice(at..at, kept);
                seen += kept_now;
            }
        }
    }

    /// Takes some of the key's sockets out, those after `seen`. `None`: there are no more.
    fn some_of(&self, key: &PoolKey, seen: usize) -> Option<Vec<Idle>> {
        let mut idle = self.lock();
        let sockets = idle.get_mut(key)?;
        if sockets.is_empty() {
            idle.remove(key);
            return None;
        }
        let end = sockets.len().min(seen + SWEPT_AT_ONCE);
        (seen < end).then(|| sockets.drain(seen..end).collect())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PoolKey, Vec<Idle>>> {
        self.idle.lock().expect("because nothing panics while holding it")
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("idle", &self.count()).finish_non_exhaustive()
    }
}
