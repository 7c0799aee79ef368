//! The machine's clock and randomness, behind the domain's seams. Nothing else in the product reads either.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postrider_domain::random::Random;
use postrider_domain::time::{Clock, Timestamp};
use rand::Rng as _;
use tokio::sync::watch;

/// The longest single sleep. Sleeping follows the monotonic clock, waiting follows the wall clock: when somebody sets the
/// clock forward, what became due by that is noticed after this time at the latest.
const SLICE: Duration = Duration::from_secs(5);

pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is handed")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep_until<'a>(&'a self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            loop {
                let left = at.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(SLICE)).await;
            }
        })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The machine's clock, and some time ahead of it: what waits for an hour of tomorrow can be seen today.
pub(crate) struct AdvancedClock {
    ahead: watch::Sender<Duration>,
}

impl AdvancedClock {
    pub(crate) fn new() -> Self {
        Self { ahead: watch::Sender::new(Duration::ZERO) }
    }

    /// Goes ahead by so much more, at once.
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead.send_modify(|ahead| *ahead += by);
    }
}

impl Clock for AdvancedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(*self.ahead.borrow())
    }

    fn sleep_until<'a>(&'a self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let mut ahead = self.ahead.subscribe();
            loop {
                let left = at.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(left.min(SLICE)) => {}
                    // An error would mean that this clock is gone.
                    _ = ahead.changed() => {}
                }
            }
        })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        SystemClock.sleep(duration)
    }
}

/// A generator seeded by the operating system and reseeded as it goes (ChaCha, one per thread): strong enough for keys, and
/// no system call for each id.
pub(crate) struct OsRandom;

impl Random for OsRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the randomness that everything else is handed")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_this_century_and_randomness_differs() {
        assert!(SystemClock.now() > Timestamp::from_unix_ms(1_700_000_000_000));
        let (mut one, mut other) = ([0u8; 32], [0u8; 32]);
        OsRandom.fill(&mut one);
        OsRandom.fill(&mut other);
        assert_ne!(one, other);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_goes_ahead_wakes_who_waits() {
        let clock = AdvancedClock::new();
        let day = Duration::from_secs(24 * 3600);
        let tomorrow = clock.now().plus(day);
        tokio::join!(clock.sleep_until(tomorrow), async { clock.advance(day) });
        assert!(clock.now() >= tomorrow);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_moment_that_has_passed_returns_at_once() {
        SystemClock.sleep_until(Timestamp::from_unix_ms(0)).await;
    }
}
