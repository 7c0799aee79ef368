//! What an attempt came to, seen through the profile's success rule. Pure.

use std::time::Duration;

use crate::delivery::AttemptClass;
use crate::limits;
use crate::profile::{BodyRule, DeliveryPolicy};
use crate::time::Timestamp;

/// What the network said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// An answer came. `body_complete`: its body was read to its end, in time and within the cap.
    Answer { status: u16, body_complete: bool, retry_after: Option<&'a [u8]> },
    /// No answer came, for this reason (never `Success`, `Status` or `Body`).
    Nothing(AttemptClass),
}

/// What it means for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Success,
    /// 410: the receiver says that it will not come back.
    Gone,
    /// `retry_after`: how long the receiver asked to be left alone, from the end of the attempt.
    Failure {
        retry_after: Option<Duration>,
    },
    /// The process stopped between the claim and the result.
    Unknown,
    NotRenderable,
}

/// The class to record and the verdict to act on.
pub fn classify(policy: &DeliveryPolicy, seen: Seen<'_>, ended: Timestamp) -> (AttemptClass, Verdict) {
    match seen {
        Seen::Nothing(AttemptClass::Unknown) => (AttemptClass::Unknown, Verdict::Unknown),
        Seen::Nothing(AttemptClass::NotRenderable) => (AttemptClass::NotRenderable, Verdict::NotRenderable),
        Seen::Nothing(class) => (class, Verdict::Failure { retry_after: None }),
        Seen::Answer { status, body_complete, .. } if policy.success.holds(status) => {
            if policy.success.body == BodyRule::Complete && !body_complete {
                (AttemptClass::Body, Verdict::Failure { retry_after: None })
            } else {
                (AttemptClass::Success, Verdict::Success)
            }
        }
        Seen::Answer { status: 410, .. } => (AttemptClass::Status, Verdict::Gone),
        Seen::Answer { status: 429 | 503, retry_after, .. } => {
            let retry_after = retry_after.and_then(|value| parse_retry_after(value, ended));
            (AttemptClass::Status, Verdict::Failure { retry_after })
        }
        Seen::Answer { .. } => (AttemptClass::Status, Verdict::Failure { retry_after: None }),
    }
}

/// `Retry-After` (RFC 9110, 10.2.3): whole seconds, or an HTTP date. Anything else is as if it were absent.
pub fn parse_retry_after(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 holds still mean "very long".
        let seconds = text.parse::<u64>().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(limits::RETRY_AFTER_MAX));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let wait = Timestamp::from_jiff(date).since(now);
    (!wait.is_zero()).then(|| wait.min(limits::RETRY_AFTER_MAX))
}
