//! How much a trigger takes: token buckets in this process's memory, one for requests, one for writing down refusals.

use std::sync::Mutex;

use foldhash::HashMap;
use postrider_domain::id::TriggerId;
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use super::trigger::RateLimit;

const POISON: &str = "because no holder of this lock panics";

#[derive(Default)]
pub(super) struct Rates(Mutex<HashMap<TriggerId, Buckets>>);

#[derive(Default)]
struct Buckets {
    taken: Bucket,
    refused: Bucket,
}

#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Requests that were let through and not yet forgotten.
    level: f64,
    at: Timestamp,
}

impl Bucket {
    /// False: it is full.
    pub(crate) fn add(&mut self, now: Timestamp, per_second: f64, size: f64) -> bool {
        let passed = now.since(self.at).as_secs_f64();
        self.level = (self.level - passed * per_second).max(0.0);
        self.at = now;
        if self.level + 1.0 > size {
            return false;
        }
        self.level += 1.0;
        true
    }
}

impl Rates {
    pub(super) fn takes(&self, trigger: TriggerId, limit: RateLimit, now: Timestamp) -> bool {
        let size = limit.burst.map_or(limit.per_second.max(1.0), f64::from);
        self.0.lock().expect(POISON).entry(trigger).or_default().taken.add(now, limit.per_second, size)
    }

    /// Whether a refusal is written down: anybody can cause one.
    pub(super) fn notes_refusal(&self, trigger: TriggerId, now: Timestamp) -> bool {
        let (per_second, size) = (limits::REFUSALS_NOTED_PER_SECOND, limits::REFUSALS_NOTED_AT_ONCE);
        self.0.lock().expect(POISON).entry(trigger).or_default().refused.add(now, per_second, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_its_rate() {
        let mut bucket = Bucket::default();
        let at = |ms: i64| Timestamp::from_unix_ms(1_000_000 + ms);
        let burst = (0..10).filter(|_| bucket.add(at(0), 2.0, 3.0)).count();
        assert_eq!(burst, 3);
        assert!(!bucket.add(at(400), 2.0, 3.0));
        assert!(bucket.add(at(600), 2.0, 3.0));
        assert!(!bucket.add(at(600), 2.0, 3.0));
        // A clock that was set back fills nothing and empties nothing.
        assert!(!bucket.add(at(0), 2.0, 3.0));
    }
}
