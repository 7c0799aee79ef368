//! Moments, and the seam for the clock.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Text form: RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The first and the last moment that can be shown: years 0 to 9999, two days short so that any time zone can show it.
const EARLIEST_MS: i64 = -62_167_046_400_000;
const LATEST_MS: i64 = 253_402_041_600_000;

impl Timestamp {
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// For ids, whose time field has no sign: a clock before 1970 counts as 1970.
    pub fn unix_ms_unsigned(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The start of this moment's hour, UTC: the key of the hourly buckets.
    pub const fn hour(self) -> Self {
        Self(self.0.div_euclid(3_600_000) * 3_600_000)
    }

    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same moment for calendar work. Moments beyond what a calendar can show are moved to its border.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0.clamp(EARLIEST_MS, LATEST_MS))
            .expect("because the value was clamped to the calendar's range")
    }

    pub fn from_jiff(moment: jiff::Timestamp) -> Self {
        Self(moment.as_millisecond())
    }

    /// RFC 3339 with any offset; fractions beyond milliseconds are cut.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(Self::from_jiff)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_rfc3339(&text)
            .ok_or_else(|| serde::de::Error::custom("expected a time like 2026-01-31T09:30:00Z"))
    }
}

/// The wall clock, and waiting on it. The process has one that follows the machine; tests have one they move by hand.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Returns when `now()` is at or past `at`, also after the wall clock stepped.
    fn sleep_until<'a>(&'a self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    /// Returns after `duration`, whatever the wall clock does meanwhile.
    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_unix_ms(1_775_933_112_123).to_string(), "2026-04-11T18:45:12.123Z");
        assert_eq!(Timestamp::from_unix_ms(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn absurd_moments_do_not_panic() {
        for ms in [i64::MIN, -1, i64::MAX] {
            let _ = Timestamp::from_unix_ms(ms).to_string();
            let _ = Timestamp::from_unix_ms(ms).plus(Duration::MAX).hour();
        }
    }

    #[test]
    fn a_time_with_an_offset_is_the_same_moment() {
        assert_eq!(
            Timestamp::parse_rfc3339("2026-04-24T09:15:30+07:00"),
            Some(Timestamp::from_unix_ms(1_776_996_930_000))
        );
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }
}
