//! When a tenant's daily scan comes. Pure calendar work.

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::time::Timestamp;

/// The first scan strictly after `after`, at `at` (hour, minute) of the clock on the wall in `zone`.
///
/// A scan whose time does not exist that day (clocks go forward over it) comes at the moment of the change; one whose
/// time exists twice comes once, at the first.
pub fn next_scan(after: Timestamp, zone: &TimeZone, at: (i8, i8)) -> Timestamp {
    let time = civil::Time::new(at.0, at.1, 0, 0).unwrap_or(civil::Time::midnight());
    let mut date = zone.to_datetime(after.to_jiff()).date();
    // Today's scan is over, or is still to come; in the first case tomorrow's is later than `after` in every zone but
    // one that skips or repeats a day, which the third and fourth turn cover.
    for _ in 0..4 {
        let scan = moment(zone, date.to_datetime(time));
        match scan {
            Some(scan) if scan > after => return scan,
            _ => {}
        }
        let Ok(tomorrow) = date.tomorrow() else { break };
        date = tomorrow;
    }
    // The calendar ends here.
    after.plus(std::time::Duration::from_secs(24 * 3600))
}

fn moment(zone: &TimeZone, wall: civil::DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    let moment = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok()?,
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok()?,
        // Read with the offset before the change, the time lies at or after it: the change is the last one until then.
        AmbiguousOffset::Gap { before, .. } => {
            let until =
                before.to_timestamp(wall).ok()?.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
            zone.preceding(until).next()?.timestamp()
        }
    };
    Some(Timestamp::from_jiff(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, at: (i8, i8), after: &str, expected: &str) {
        let zone = TimeZone::get(zone).expect("a known zone");
        let after = Timestamp::parse_rfc3339(after).expect("a time");
        let expected = Timestamp::parse_rfc3339(expected).expect("a time");
        assert_eq!(next_scan(after, &zone, at), expected);
    }

    #[test]
    fn the_scan_comes_at_its_hour_in_the_tenants_zone() {
        check("UTC", (6, 0), "2026-04-11T05:59:59.999Z", "2026-04-11T06:00:00Z");
        check("UTC", (6, 0), "2026-04-11T06:00:00Z", "2026-04-12T06:00:00Z");
        check("Asia/Jakarta", (6, 0), "2026-04-11T00:00:00Z", "2026-04-11T23:00:00Z");
        check("America/New_York", (6, 0), "2026-01-11T00:00:00Z", "2026-01-11T11:00:00Z");
        check("America/New_York", (6, 0), "2026-07-11T00:00:00Z", "2026-07-11T10:00:00Z");
    }

    #[test]
    fn the_scan_keeps_its_wall_time_over_a_change_of_clocks() {
        check("America/New_York", (6, 0), "2026-03-07T11:00:00Z", "2026-03-08T10:00:00Z");
        check("America/New_York", (6, 0), "2026-10-31T10:00:00Z", "2026-11-01T11:00:00Z");
    }

    #[test]
    fn a_scan_hour_that_does_not_exist_comes_at_the_change() {
        check("America/New_York", (2, 30), "2026-03-08T00:00:00-05:00", "2026-03-08T03:00:00-04:00");
        check("America/New_York", (2, 30), "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00");
        check("Europe/Berlin", (2, 0), "2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00");
        check("Europe/Berlin", (3, 0), "2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00");
    }

    #[test]
    fn a_scan_hour_that_comes_twice_runs_once() {
        check("America/New_York", (1, 30), "2026-11-01T00:00:00-04:00", "2026-11-01T01:30:00-04:00");
        check("America/New_York", (1, 30), "2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00");
        check("Europe/Berlin", (2, 30), "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00");
    }

    #[test]
    fn a_skipped_day_and_the_calendars_ends_do_not_stop_the_scan() {
        // Samoa had no 30 December 2011.
        check("Pacific/Apia", (6, 0), "2011-12-29T06:00:00-10:00", "2011-12-31T00:00:00+14:00");
        let zone = TimeZone::get("America/New_York").expect("a known zone");
        for ms in [i64::MIN, i64::MAX] {
            assert!(next_scan(Timestamp::from_unix_ms(ms), &zone, (6, 0)) >= Timestamp::from_unix_ms(ms));
        }
    }
}
