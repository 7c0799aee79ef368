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
