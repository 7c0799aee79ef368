//! Idle sockets, kept per origin and partition: for at most their age, in bounded number, the last one used first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::connect::Socket;
use crate::{Budgets, Reuse};

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
    /// One key at a time: the mutex is never held for longer than a poll of one origin's sockets.
    pub(crate) fn sweep(&self, now: Instant) {
        let keys: Vec<PoolKey> = self.lock().keys().cloned().collect();
        for key in keys {
            let mut dropped = Vec::new();
            let mut idle = self.lock();
            let Some(sockets) = idle.get_mut(&key) else { continue };
            let mut kept = Vec::with_capacity(sockets.len());
            for mut entry in sockets.drain(..) {
                let young = now.saturating_duration_since(entry.socket.dialled) < self.age_max;
                if young && entry.socket.is_quiet() { kept.push(entry) } else { dropped.push(entry) }
            }
            *sockets = kept;
            if sockets.is_empty() {
                idle.remove(&key);
            }
            self.count.fetch_sub(dropped.len(), Ordering::Relaxed);
            drop(idle);
            drop(dropped);
        }
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
