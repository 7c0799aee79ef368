//! What follows an attempt: delivered, due again, or failed. Pure.

use std::time::Duration;

use crate::classify::Verdict;
use crate::delivery::{DeliveryState, Reason};
use crate::limits;
use crate::profile::{DeliveryPolicy, GonePolicy, RetryAfterPolicy};
use crate::random::{self, Random};
use crate::time::Timestamp;

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Delivered,
    /// Try again at `due`; `step` steps of the schedule are then used.
    Retry {
        due: Timestamp,
        step: u32,
    },
    Failed {
        reason: Reason,
        disable_webhook: bool,
    },
}

impl Next {
    pub const fn state(self) -> DeliveryState {
        match self {
            Self::Delivered => DeliveryState::Delivered,
            Self::Retry { .. } => DeliveryState::Scheduled,
            Self::Failed { .. } => DeliveryState::Failed,
        }
    }
}

/// Decides. `step` is how many steps of the schedule this delivery had used before the attempt (0 for the first),
/// `ended` is when the attempt ended: delays run from there, so that a slow receiver is not asked again at once.
pub fn next(
    policy: &DeliveryPolicy,
    verdict: &Verdict,
    step: u32,
    ended: Timestamp,
    random: &dyn Random,
) -> Next {
    match verdict {
        Verdict::Success => Next::Delivered,
        Verdict::Gone if policy.gone == GonePolicy::Disable => {
            Next::Failed { reason: Reason::Gone, disable_webhook: true }
        }
        Verdict::NotRenderable => Next::Failed { reason: Reason::NotRenderable, disable_webhook: false },
        Verdict::Unknown if policy.at_most_once => {
            Next::Failed { reason: Reason::OutcomeUnknown, disable_webhook: false }
        }
        // An unknown outcome says nothing about the receiver: it uses no step and is due at once.
        Verdict::Unknown => Next::Retry { due: ended, step },
        Verdict::Gone | Verdict::Failure { .. } => {
            let asked = match verdict {
                Verdict::Failure { retry_after } if policy.retry_after == RetryAfterPolicy::Honour => {
                    *retry_after
                }
                _ => None,
            };
            after_failure(policy, asked, step, ended, random)
        }
    }
}

fn after_failure(
    policy: &DeliveryPolicy,
    asked: Option<Duration>,
    step: u32,
    ended: Timestamp,
    random: &dyn Random,
) -> Next {
    let Some(delay) = policy.retries.get(step as usize) else {
        let reason =
            if policy.retries.is_empty() { Reason::SingleAttemptFailed } else { Reason::RetriesExhausted };
        return Next::Failed { reason, disable_webhook: false };
    };
    let delay = jittered(*delay, policy.jitter, random);
    // The receiver may ask for more time, never for less.
    let delay = delay.max(asked.unwrap_or(Duration::ZERO).min(limits::RETRY_AFTER_MAX));
    Next::Retry { due: ended.plus(delay), step: step + 1 }
}

fn jittered(delay: Duration, jitter: f64, random: &dyn Random) -> Duration {
    if jitter == 0.0 {
        return delay;
    }
    delay.mul_f64(1.0 + jitter * (2.0 * random::fraction(random) - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Profile, builtin_profiles};

    const ENDED: Timestamp = Timestamp::from_unix_ms(1_776_996_930_000);
    const FAILURE: Verdict = Verdict::Failure { retry_after: None };

    /// Always the same byte: 0 is the least jitter, 255 the most.
    struct Bytes(u8);
    impl Random for Bytes {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn profile(name: &str) -> std::sync::Arc<Profile> {
        builtin_profiles().into_iter().find(|known| known.name == name).expect("a built-in profile")
    }

    /// The delays in milliseconds of a delivery that fails until it is given up.
    fn delays(profile: &str, random: &dyn Random) -> (Vec<u64>, Reason) {
        let profile = self::profile(profile);
        let mut delays = Vec::new();
        let mut step = 0;
        loop {
            match next(&profile.delivery, &FAILURE, step, ENDED, random) {
                Next::Retry { due, step: used } => {
                    assert_eq!(used, step + 1);
                    step = used;
                    delays.push(u64::try_from(due.since(ENDED).as_millis()).expect("a short delay"));
                }
                Next::Failed { reason, disable_webhook } => {
                    assert!(!disable_webhook);
                    return (delays, reason);
                }
                Next::Delivered => panic!("a failure is not a delivery"),
            }
        }
    }

    #[test]
    fn the_schedules_are_the_promised_ones_to_the_millisecond() {
        for random in [Bytes(0), Bytes(255)] {
            let (smartmaintenance, reason) = delays("smartmaintenance", &random);
            assert_eq!(smartmaintenance, [1000, 5000, 25_000, 125_000, 625_000]);
            assert_eq!(reason, Reason::RetriesExhausted);
            let (rcmanager, reason) = delays("rcmanager", &random);
            assert_eq!(rcmanager, [5000, 30_000, 120_000, 600_000, 3_600_000]);
            assert_eq!(reason, Reason::RetriesExhausted);
            for single in ["runtight", "org-jobs"] {
                assert_eq!(delays(single, &random), (vec![], Reason::SingleAttemptFailed));
            }
        }
    }

    #[test]
    fn jitter_stays_within_a_tenth_of_the_delay() {
        let hours = |hours: u64| hours * 3_600_000;
        let nominal =
            [5000, 300_000, 1_800_000, hours(2), hours(5), hours(10), hours(14), hours(20), hours(24)];
        let (least, _) = delays("standard", &Bytes(0));
        let (most, _) = delays("standard", &Bytes(255));
        for (at, nominal) in nominal.into_iter().enumerate() {
            assert_eq!(least[at], nominal * 9 / 10);
            assert!(
                most[at] <= nominal * 11 / 10 && most[at] >= nominal * 11 / 10 - 1,
                "{} of {nominal}",
                most[at]
            );
        }
        assert_eq!(least.len(), nominal.len());
    }

    #[test]
    fn a_receiver_can_ask_for_more_time_but_not_for_less() {
        let policy = &profile("standard").delivery;
        let asked = |seconds: u64| {
            let verdict = Verdict::Failure { retry_after: Some(Duration::from_secs(seconds)) };
            match next(policy, &verdict, 0, ENDED, &Bytes(0)) {
                Next::Retry { due, step: 1 } => due.since(ENDED),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(asked(0), Duration::from_millis(4500));
        assert_eq!(asked(3), Duration::from_millis(4500));
        assert_eq!(asked(120), Duration::from_secs(120));
        assert_eq!(asked(u64::MAX), limits::RETRY_AFTER_MAX);
    }

    #[test]
    fn a_fixed_schedule_does_not_hear_retry_after() {
        let verdict = Verdict::Failure { retry_after: Some(Duration::from_secs(3600)) };
        let due = ENDED.plus(Duration::from_secs(1));
        let policy = &profile("smartmaintenance").delivery;
        assert_eq!(next(policy, &verdict, 0, ENDED, &Bytes(0)), Next::Retry { due, step: 1 });
    }

    #[test]
    fn asking_for_time_does_not_lengthen_the_schedule() {
        let verdict = Verdict::Failure { retry_after: Some(Duration::from_secs(3600)) };
        let policy = &profile("standard").delivery;
        let last = Next::Failed { reason: Reason::RetriesExhausted, disable_webhook: false };
        assert_eq!(next(policy, &verdict, 9, ENDED, &Bytes(0)), last);
    }

    #[test]
    fn gone_switches_the_webhook_off_only_where_the_profile_says_so() {
        let disabled = Next::Failed { reason: Reason::Gone, disable_webhook: true };
        assert_eq!(next(&profile("standard").delivery, &Verdict::Gone, 0, ENDED, &Bytes(0)), disabled);
        for name in ["smartmaintenance", "rcmanager"] {
            let after = next(&profile(name).delivery, &Verdict::Gone, 0, ENDED, &Bytes(0));
            assert!(matches!(after, Next::Retry { step: 1, .. }), "{name}: {after:?}");
        }
        let single = Next::Failed { reason: Reason::SingleAttemptFailed, disable_webhook: false };
        assert_eq!(next(&profile("runtight").delivery, &Verdict::Gone, 0, ENDED, &Bytes(0)), single);
    }

    #[test]
    fn an_unknown_outcome_uses_no_step_and_is_due_at_once() {
        let policy = &profile("rcmanager").delivery;
        for step in [0, 3, 5] {
            let after = next(policy, &Verdict::Unknown, step, ENDED, &Bytes(0));
            assert_eq!(after, Next::Retry { due: ENDED, step });
        }
    }

    #[test]
    fn at_most_once_never_sends_again() {
        for name in ["runtight", "org-jobs"] {
            let after = next(&profile(name).delivery, &Verdict::Unknown, 0, ENDED, &Bytes(0));
            let expected = Next::Failed { reason: Reason::OutcomeUnknown, disable_webhook: false };
            assert_eq!(after, expected, "{name}");
        }
    }

    #[test]
    fn what_succeeded_or_cannot_be_rendered_is_over() {
        let policy = &profile("standard").delivery;
        assert_eq!(next(policy, &Verdict::Success, 9, ENDED, &Bytes(0)), Next::Delivered);
        let failed = Next::Failed { reason: Reason::NotRenderable, disable_webhook: false };
        assert_eq!(next(policy, &Verdict::NotRenderable, 0, ENDED, &Bytes(0)), failed);
    }
}
