//! A clock that stands still until a test moves it.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use postrider_domain::time::{Clock, Timestamp};
use tokio::sync::watch;

/// The clock of a test. Moving it wakes every sleeper whose time has come.
///
/// A test that has to know that a station went to sleep before it moves the clock awaits [`ManualClock::sleeper`]:
/// there is never a reason to wait for real time.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
    sleepers: Mutex<Sleepers>,
    earliest: watch::Sender<Option<Timestamp>>,
}

#[derive(Debug, Default)]
struct Sleepers {
    /// When each wants to be woken, told apart by a number.
    waiting: BTreeSet<(Timestamp, u64)>,
    numbers: u64,
}

impl Default for ManualClock {
    /// Stands at 2026-04-11T09:15:30.250Z: no round number, so that a lost fraction shows.
    fn default() -> Self {
        Self::at(Timestamp::from_unix_ms(1_775_898_930_250))
    }
}

impl ManualClock {
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: watch::Sender::new(now),
            sleepers: Mutex::new(Sleepers::default()),
            earliest: watch::Sender::new(None),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = now.plus(by));
    }

    /// Sets the clock, backwards too, as an operator or NTP would.
    pub fn set(&self, now: Timestamp) {
        self.now.send_replace(now);
    }

    /// Waits until somebody sleeps for a moment that has not come, and says which moment (the earliest).
    pub async fn sleeper(&self) -> Timestamp {
        let mut earliest = self.earliest.subscribe();
        let found = earliest
            .wait_for(|at| at.is_some_and(|at| at > self.now()))
            .await
            .expect("because the clock owns the sender");
        found.expect("because only a moment passes the filter")
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().expect("because nothing panics while it holds the lock")
    }

    fn enter(&self, at: Timestamp) -> Sleeper<'_> {
        let mut sleepers = self.lock();
        sleepers.numbers += 1;
        let entry = (at, sleepers.numbers);
        sleepers.waiting.insert(entry);
        self.publish(&sleepers);
        Sleeper { clock: self, entry }
    }

    fn publish(&self, sleepers: &Sleepers) {
        self.earliest.send_replace(sleepers.waiting.first().map(|(at, _)| *at));
    }
}

/// Takes a sleeper off the list when it wakes or is dropped.
struct Sleeper<'a> {
    clock: &'a ManualClock,
    entry: (Timestamp, u64),
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.clock.lock();
        sleepers.waiting.remove(&self.entry);
        self.clock.publish(&sleepers);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until<'a>(&'a self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let mut now = self.now.subscribe();
            let _listed = self.enter(at);
            now.wait_for(|now| *now >= at).await.expect("because the clock owns the sender");
        })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.sleep_until(self.now().plus(duration))
    }
}

/// Lets every other task and thread go on, for tests that look again until something holds.
///
/// A bare `yield_now` is not enough: a runtime of one thread that never parks may not hear of what the store's writer
/// woke. Handing a turn to another thread makes it park.
pub async fn turn() {
    tokio::task::spawn_blocking(std::thread::yield_now).await.expect("because yielding does not panic");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn advancing_wakes_the_sleepers_whose_time_has_come_and_no_other() {
        let clock = Arc::new(ManualClock::default());
        let start = clock.now();
        let sleep = |seconds| {
            let clock = Arc::clone(&clock);
            tokio::spawn(async move { clock.sleep_until(start.plus(Duration::from_secs(seconds))).await })
        };
        let (soon, late) = (sleep(1), sleep(60));

        assert_eq!(clock.sleeper().await.since(start), Duration::from_secs(1));
        clock.advance(Duration::from_secs(5));
        soon.await.expect("the first sleeper wakes");
        assert_eq!(clock.sleeper().await.since(start), Duration::from_secs(60));
        assert!(!late.is_finished());

        clock.set(start.plus(Duration::from_secs(60)));
        late.await.expect("the second sleeper wakes at its very moment");
    }

    #[tokio::test]
    async fn a_moment_that_has_passed_needs_no_waking() {
        let clock = ManualClock::default();
        clock.sleep_until(clock.now()).await;
        clock.sleep_until(clock.now().minus(Duration::from_secs(1))).await;
    }

    #[tokio::test]
    async fn a_sleeper_that_is_dropped_is_forgotten() {
        let clock = ManualClock::default();
        let (soon, later) =
            (clock.now().plus(Duration::from_secs(1)), clock.now().plus(Duration::from_secs(2)));
        tokio::select! {
            biased;
            () = clock.sleep_until(soon) => panic!("woke although nobody moved the clock"),
            at = clock.sleeper() => assert_eq!(at, soon),
        }
        tokio::select! {
            biased;
            () = clock.sleep_until(later) => panic!("woke although nobody moved the clock"),
            at = clock.sleeper() => assert_eq!(at, later),
        }
    }
}
