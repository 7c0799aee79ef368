//! When a tenant's daily scan comes, and the occurrences of schedules. Pure calendar work.
//!
//! One rule for changes of clocks: what lies in an hour that is skipped comes at the moment of the change, what lies in an
//! hour that is repeated comes once, at the first.

use croner::parser::{CronParser, Seconds, Year};
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

/// The last scan at or before `until`.
pub fn last_scan(until: Timestamp, zone: &TimeZone, at: (i8, i8)) -> Timestamp {
    let day = std::time::Duration::from_secs(24 * 3600);
    // The one that follows three days before, and those after it: at least two days have a scan.
    let mut scan = next_scan(until.minus(3 * day), zone, at);
    loop {
        let next = next_scan(scan, zone, at);
        if next > until || next <= scan {
            return scan;
        }
        scan = next;
    }
}

/// A date in words, as records write it: `2026-04-11`.
pub fn date_in(moment: Timestamp, zone: &TimeZone) -> civil::Date {
    zone.to_datetime(moment.to_jiff()).date()
}

/// More than any schedule that people write.
const CRON_BYTES_MAX: usize = 100;
/// A pattern of minutes has as many in a week; more than these are never looked at for one answer.
const STEPS_MAX: usize = 10_080;

/// A cron expression of five fields: minute, hour, day of the month, month, day of the week.
#[derive(Debug, Clone)]
pub struct Cron(croner::Cron);

impl Cron {
    /// The error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > CRON_BYTES_MAX {
            return Err(format!("a cron expression has at most {CRON_BYTES_MAX} characters"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| {
            format!("`{text}` is not a cron expression like `0 6 * * 1` (06:00 on Mondays): {error}")
        })?;
        Ok(Self(cron))
    }

    /// The first occurrence strictly after `after`. `None`: there is none in this calendar.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut wall = zone.to_datetime(after.to_jiff());
        for _ in 0..STEPS_MAX {
            wall = self.0.find_next_occurrence(&wall, false).ok()?;
            match moment(zone, wall) {
                Some(moment) if moment > after => return Some(moment),
                _ => {}
            }
        }
        None
    }

    /// Of the occurrences from `since` to `until`, both included, the last `max`: the earliest first.
    pub fn between(&self, since: Timestamp, until: Timestamp, zone: &TimeZone, max: usize) -> Vec<Timestamp> {
        let mut found: Vec<Timestamp> = Vec::new();
        // In an hour that is repeated, later times of the clock on the wall have been already.
        let Ok(mut wall) = zone.to_datetime(until.to_jiff()).checked_add(jiff::Span::new().hours(3)) else {
            return found;
        };
        for _ in 0..STEPS_MAX + max {
            if found.len() >= max {
                break;
            }
            let Ok(earlier) = self.0.find_previous_occurrence(&wall, false) else { break };
            wall = earlier;
            let Some(moment) = moment(zone, wall) else { continue };
            if moment < since {
                break;
            }
            if moment <= until && found.last() != Some(&moment) {
                found.push(moment);
            }
        }
        found.reverse();
        found
    }
}

/// When a day begins in a zone: midnight, or the end of a change of clocks over it.
pub fn start_of_day(day: civil::Date, zone: &TimeZone) -> Option<Timestamp> {
    moment(zone, day.to_datetime(civil::Time::midnight()))
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

    #[test]
    fn the_last_scan_is_the_one_before_the_next() {
        for (zone, until, expected) in [
            ("UTC", "2026-04-11T06:00:00Z", "2026-04-11T06:00:00Z"),
            ("UTC", "2026-04-11T05:59:59.999Z", "2026-04-10T06:00:00Z"),
            ("America/New_York", "2026-03-08T10:00:00Z", "2026-03-08T10:00:00Z"),
            ("America/New_York", "2026-03-08T09:59:59Z", "2026-03-07T11:00:00Z"),
            // Samoa had no 30 December 2011: its scan came at the change, and the 31st's six hours later.
            ("Pacific/Apia", "2011-12-31T07:00:00+14:00", "2011-12-31T06:00:00+14:00"),
        ] {
            let zone = TimeZone::get(zone).expect("a known zone");
            let at = |text| Timestamp::parse_rfc3339(text).expect("a time");
            assert_eq!(last_scan(at(until), &zone, (6, 0)), at(expected));
        }
    }

    fn occurrences(cron: &str, zone: &str, since: &str, until: &str, max: usize) -> Vec<String> {
        let cron = Cron::parse(cron).expect("a cron expression");
        let zone = TimeZone::get(zone).expect("a known zone");
        let at = |text| Timestamp::parse_rfc3339(text).expect("a time");
        let back = cron.between(at(since), at(until), &zone, max);
        // The way there agrees with the way back.
        let mut there = Vec::new();
        let mut after = at(since).minus(std::time::Duration::from_millis(1));
        while let Some(next) = cron.next(after, &zone).filter(|next| *next <= at(until)) {
            there.push(next);
            after = next;
        }
        assert_eq!(there[there.len().saturating_sub(max)..], back);
        back.iter()
            .map(|moment| moment.to_jiff().to_zoned(zone.clone()).strftime("%d %H:%M %z").to_string())
            .collect()
    }

    #[test]
    fn occurrences_in_a_skipped_hour_come_at_the_change_and_in_a_repeated_one_once() {
        let days =
            occurrences("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", "2026-03-10T00:00:00Z", 9);
        assert_eq!(days, ["07 02:30 -0500", "08 03:00 -0400", "09 02:30 -0400"]);
        let hours = occurrences(
            "*/30 * * * *",
            "America/New_York",
            "2026-03-08T06:30:00Z",
            "2026-03-08T07:30:00Z",
            9,
        );
        assert_eq!(hours, ["08 01:30 -0500", "08 03:00 -0400", "08 03:30 -0400"]);
        let days =
            occurrences("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", "2026-10-26T12:00:00Z", 9);
        assert_eq!(days, ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"]);
        // 02:45 by the first clock has been when it is 02:10 by the second.
        let last =
            occurrences("45 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T01:10:00Z", 9);
        assert_eq!(last, ["25 02:45 +0200"]);
    }

    #[test]
    fn of_what_was_missed_the_last_ones_are_told() {
        let days =
            occurrences("0 6 * * 1", "Asia/Jakarta", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 2);
        assert_eq!(days, ["19 06:00 +0700", "26 06:00 +0700"]);
        let leap = occurrences("0 0 29 2 *", "UTC", "2024-01-01T00:00:00Z", "2033-01-01T00:00:00Z", 9);
        assert_eq!(leap.len(), 3, "2024, 2028, 2032");
        assert_eq!(
            Cron::parse("0 0 30 2 *").ok().and_then(|cron| cron.next(Timestamp::default(), &TimeZone::UTC)),
            None
        );
        for bad in ["", "* * * *", "60 * * * *", "0 6 * * 1 2027 9", "@reboot", &"1,".repeat(60)] {
            assert!(Cron::parse(bad).is_err(), "{bad}");
        }
    }
}
