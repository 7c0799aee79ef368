//! The machine's clock and randomness, behind the domain's seams. Nothing else in the product reads either.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postrider_domain::random::Random;
use postrider_domain::time::{Clock, Timestamp};
use rand::Rng as _;

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
    async fn waiting_for_a_moment_that_has_passed_returns_at_once() {
        SystemClock.sleep_until(Timestamp::from_unix_ms(0)).await;
    }
}
