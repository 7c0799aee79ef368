//! Turns of live pages at the store: the looks of all of them follow one another, with as long a rest after each as it took, so
//! that together they take half of one reader's time at most.

use std::time::Duration;

use postrider_domain::time::{Clock, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

/// Whatever a clock that was set says of a look's length.
const REST_MAX: Duration = Duration::from_secs(2);

pub(crate) struct Looks {
    /// Whoever looks holds the lock; the value is when the next one may.
    free_from: Mutex<Timestamp>,
}

/// The right to look, until it is dropped.
pub(crate) struct Turn<'a> {
    free_from: MutexGuard<'a, Timestamp>,
    began: Timestamp,
}

impl Looks {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { free_from: Mutex::new(now) }
    }

    /// Waits for a turn: first come, first served.
    pub(crate) async fn turn(&self, clock: &dyn Clock) -> Turn<'_> {
        let free_from = self.free_from.lock().await;
        clock.sleep(free_from.since(clock.now()).min(REST_MAX)).await;
        Turn { free_from, began: clock.now() }
    }
}

impl Turn<'_> {
    /// How long the look took.
    pub(crate) fn end(mut self, clock: &dyn Clock) -> Duration {
        let now = clock.now();
        let took = now.since(self.began);
        *self.free_from = now.plus(took.min(REST_MAX));
        took
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postrider_testkit::clock::ManualClock;

    use super::*;

    const LOOK: Duration = Duration::from_millis(70);

    #[tokio::test]
    async fn looks_follow_one_another_and_rest_as_long_as_they_took() {
        let clock = Arc::new(ManualClock::default());
        let looks = Arc::new(Looks::new(clock.now()));
        let first = looks.turn(&*clock).await;
        let second = tokio::spawn({
            let (clock, looks) = (clock.clone(), looks.clone());
            async move {
                let turn = looks.turn(&*clock).await;
                turn.end(&*clock);
                clock.now()
            }
        });
        clock.advance(LOOK);
        assert_eq!(first.end(&*clock), LOOK);
        let ended = clock.now();
        let due = clock.sleeper().await;
        assert_eq!(due.since(ended), LOOK);
        clock.advance(LOOK);
        assert_eq!(second.await.expect("it ends").since(ended), LOOK);
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_stops_nobody_for_long() {
        let clock = Arc::new(ManualClock::default());
        clock.advance(Duration::from_secs(7200));
        let looks = Looks::new(clock.now());
        let back = clock.now().minus(Duration::from_secs(3600));
        clock.set(back);
        let (waits, advances) = tokio::join!(looks.turn(&*clock), async {
            let due = clock.sleeper().await;
            clock.advance(REST_MAX);
            due
        });
        assert_eq!(advances.since(back), REST_MAX);
        drop(waits);
    }
}
