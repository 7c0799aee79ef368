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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Profile, builtin_profiles};

    const ENDED: Timestamp = Timestamp::from_unix_ms(1_776_996_930_000);

    fn profile(name: &str) -> std::sync::Arc<Profile> {
        builtin_profiles().into_iter().find(|known| known.name == name).expect("a built-in profile")
    }

    fn answer(status: u16) -> Seen<'static> {
        Seen::Answer { status, body_complete: true, retry_after: None }
    }

    const FAILURE: Verdict = Verdict::Failure { retry_after: None };

    #[test]
    fn any_2xx_is_a_success_and_nothing_else_is() {
        for profile in builtin_profiles() {
            for status in [200, 201, 202, 204, 226, 299] {
                let expected = (AttemptClass::Success, Verdict::Success);
                assert_eq!(classify(&profile.delivery, answer(status), ENDED), expected, "{status}");
            }
            for status in [100, 101, 199, 300, 301, 302, 304, 307, 400, 401, 404, 429, 500, 503, 599, 0, 999]
            {
                let expected = (AttemptClass::Status, FAILURE);
                assert_eq!(classify(&profile.delivery, answer(status), ENDED), expected, "{status}");
            }
            assert_eq!(
                classify(&profile.delivery, answer(410), ENDED),
                (AttemptClass::Status, Verdict::Gone)
            );
        }
    }

    #[test]
    fn a_body_that_broke_off_fails_only_where_the_profile_wants_it_complete() {
        let seen = Seen::Answer { status: 200, body_complete: false, retry_after: None };
        assert_eq!(classify(&profile("rcmanager").delivery, seen, ENDED), (AttemptClass::Body, FAILURE));
        for name in ["standard", "runtight", "smartmaintenance", "org-jobs"] {
            let expected = (AttemptClass::Success, Verdict::Success);
            assert_eq!(classify(&profile(name).delivery, seen, ENDED), expected, "{name}");
        }
        // A failed status stays one, whatever became of the body.
        let seen = Seen::Answer { status: 500, body_complete: false, retry_after: None };
        assert_eq!(classify(&profile("rcmanager").delivery, seen, ENDED), (AttemptClass::Status, FAILURE));
    }

    #[test]
    fn no_answer_keeps_its_class() {
        let policy = &profile("standard").delivery;
        for class in AttemptClass::ALL {
            let expected = match class {
                AttemptClass::Success | AttemptClass::Status | AttemptClass::Body => continue,
                AttemptClass::Unknown => Verdict::Unknown,
                AttemptClass::NotRenderable => Verdict::NotRenderable,
                _ => FAILURE,
            };
            assert_eq!(classify(policy, Seen::Nothing(class), ENDED), (class, expected));
        }
    }

    #[test]
    fn retry_after_is_heard_on_429_and_503_only() {
        let policy = &profile("standard").delivery;
        for status in [400, 408, 429, 500, 502, 503, 301] {
            let seen = Seen::Answer { status, body_complete: true, retry_after: Some(b"120") };
            let heard = matches!(status, 429 | 503).then_some(Duration::from_secs(120));
            let expected = (AttemptClass::Status, Verdict::Failure { retry_after: heard });
            assert_eq!(classify(policy, seen, ENDED), expected, "{status}");
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_or_a_date_and_nothing_else() {
        // ENDED is Fri, 24 Apr 2026 02:15:30 GMT.
        for (value, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("  120\t", Some(120)),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Fri, 24 Apr 2026 02:16:30 GMT", Some(60)),
            ("Fri, 24 Apr 2026 04:16:30 +0200", Some(60)),
            ("Sat, 24 Apr 2286 02:16:30 GMT", Some(86_400)),
            ("Fri, 24 Apr 2026 02:15:30 GMT", None),
            ("Fri, 24 Apr 2020 02:15:30 GMT", None),
            ("Mon, 24 Apr 2026 02:16:30 GMT", None),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("1e3", None),
            ("NaN", None),
            ("inf", None),
            ("soon", None),
            ("", None),
            ("   ", None),
            ("120, 240", None),
            ("0x10", None),
            ("2026-04-24T02:16:30Z", None),
            ("\u{661}\u{662}", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(parse_retry_after(value.as_bytes(), ENDED), expected, "{value:?}");
        }
        assert_eq!(parse_retry_after(b"\xff\xfe", ENDED), None);
        assert_eq!(parse_retry_after(b"12\x000", ENDED), None);
    }
}
