//! Records that are made from a template by a schedule.

use jiff::{Span, civil};
use serde_json::Value;

use super::{Content, Mapping, Sources, Write};
use crate::expression::Expression;
use crate::limits;
use crate::schedule::{self, Cron};
use crate::time::Timestamp;

/// More days between two occurrences than these are a mistake.
const INTERVAL_DAYS_MAX: i64 = 36_500;

/// How templates of a kind make records of another.
#[derive(Debug)]
pub struct Generator {
    /// Unique among the profile's rules and generators; due times are kept by it.
    pub name: String,
    /// The kind of the template.
    pub record: String,
    /// The kind of what is made.
    pub makes: String,
    /// Where the template has its cron expression, read in the tenant's zone.
    pub cron: Vec<String>,
    /// Where it has, instead, an interval in days: `14`, `"14d"` or `"2w"`.
    pub interval: Vec<String>,
    /// Where it says after how many days what is made is due.
    pub due_after: Option<Vec<String>>,
    /// Whether the template makes anything just now.
    pub when: Option<Expression>,
    /// Of the occurrences that were missed, how many of the last are made up for: at least one.
    pub missed_max: usize,
    /// The record that is made.
    pub content: Mapping,
    /// The event that says so.
    pub event: String,
    pub data: Mapping,
}

/// One occurrence, as a record and an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// `pm-7:20260411T0600`: of the template and the occurrence's time on the wall, so that it is made once.
    pub id: String,
    /// Compact JSON.
    pub content: Vec<u8>,
    /// The event's data: compact JSON.
    pub data: Vec<u8>,
}

/// When a template is looked at again, and what has come meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Generated {
    pub made: Vec<Made>,
    pub due: Option<Timestamp>,
    /// Why nothing could be made of what has come: a sentence. The next occurrence comes all the same.
    pub error: Option<String>,
}

enum Schedule {
    Cron(Box<Cron>),
    /// Days.
    Every(i64),
}

impl Generator {
    /// When a template that was written makes its next record. `waiting`: when it would have before. A schedule that did not
    /// change goes on as it was, also with what was missed. The error is a sentence.
    pub fn after_write(
        &self,
        write: &Write<'_>,
        waiting: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, String> {
        let Some(new) = write.new else { return Ok(None) };
        let Some(schedule) = self.schedule(new)? else { return Ok(None) };
        let same = write.old.is_some_and(|old| {
            old.at(&self.cron) == new.at(&self.cron) && old.at(&self.interval) == new.at(&self.interval)
        });
        match waiting.filter(|_| same) {
            Some(waiting) => Ok(Some(waiting)),
            None => Ok(match schedule {
                Schedule::Cron(cron) => cron.next(write.now, write.zone),
                Schedule::Every(days) => day(schedule::date_in(write.now, write.zone), days, write),
            }),
        }
    }

    /// What the time that it waited for leads to. The error is a sentence.
    pub fn when_due(&self, write: &Write<'_>, waiting: Timestamp) -> Result<Generated, String> {
        let Some(template) = write.new else { return Ok(Generated::default()) };
        let Some(schedule) = self.schedule(template)? else { return Ok(Generated::default()) };
        let (occurrences, due) = match schedule {
            Schedule::Cron(cron) => (
                cron.between(waiting, write.now, write.zone, self.missed_max),
                cron.next(write.now, write.zone),
            ),
            Schedule::Every(days) => every(days, waiting, write, self.missed_max),
        };
        let makes = self
            .when
            .as_ref()
            .map_or(Ok(true), |when| when.holds(&super::scope(write, None, Some(template))));
        let made = makes.and_then(|makes| {
            let occurrences = if makes { occurrences } else { Vec::new() };
            occurrences.into_iter().map(|moment| self.make(write, template, moment)).collect()
        });
        Ok(match made {
            Ok(made) => Generated { made, due, error: None },
            Err(error) => Generated { made: Vec::new(), due, error: Some(error) },
        })
    }

    fn make(&self, write: &Write<'_>, template: &Content, occurrence: Timestamp) -> Result<Made, String> {
        let wall = write.zone.to_datetime(occurrence.to_jiff());
        let id = format!("{}:{}", write.id, wall.strftime("%Y%m%dT%H%M"));
        let day = wall.date();
        let due = match &self.due_after {
            None => day,
            Some(path) => {
                let days = match template.at(path) {
                    None | Some(Value::Null) => 0,
                    Some(value) => days(value).ok_or_else(|| {
                        format!("{} is {}: not a number of days", path.join("."), told(value))
                    })?,
                };
                day.checked_add(Span::new().days(days)).map_err(|error| error.to_string())?
            }
        };
        let (day, due) = (day.to_string(), due.to_string());
        let sources = Sources {
            id: write.id,
            new: Some(&template.json),
            made: Some(&id),
            day: Some(&day),
            due: Some(&due),
            ..Sources::default()
        };
        let (content, data) = (self.content.write(&sources), self.data.write(&sources));
        if id.len() > limits::RECORD_ID_BYTES_MAX || content.len() > limits::RECORD_BYTES_MAX {
            return Err(format!(
                "what it makes has an id of {} bytes and a content of {}; at most {} and {} can be",
                id.len(),
                content.len(),
                limits::RECORD_ID_BYTES_MAX,
                limits::RECORD_BYTES_MAX
            ));
        }
        Ok(Made { id, content, data })
    }

    fn schedule(&self, template: &Content) -> Result<Option<Schedule>, String> {
        match template.at(&self.cron) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::String(text)) => {
                let cron = Cron::parse(text).map_err(|error| format!("{}: {error}", self.cron.join(".")))?;
                return Ok(Some(Schedule::Cron(Box::new(cron))));
            }
            Some(other) => {
                return Err(format!("{} is {}: not a cron expression", self.cron.join("."), told(other)));
            }
        }
        match template.at(&self.interval) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match days(value).filter(|days| *days > 0) {
                Some(days) => Ok(Some(Schedule::Every(days))),
                None => Err(format!(
                    "{} is {}: not a number of days like 14, \"14d\" or \"2w\"",
                    self.interval.join("."),
                    told(value)
                )),
            },
        }
    }
}

/// The beginning of the day that lies `days` after another.
fn day(from: civil::Date, days: i64, write: &Write<'_>) -> Option<Timestamp> {
    let day = from.checked_add(Span::new().days(days)).ok()?;
    schedule::start_of_day(day, write.zone)
}

/// Days count from the one for which it waited, however late it is.
fn every(
    days: i64,
    waiting: Timestamp,
    write: &Write<'_>,
    max: usize,
) -> (Vec<Timestamp>, Option<Timestamp>) {
    let first = schedule::date_in(waiting, write.zone);
    let today = schedule::date_in(write.now, write.zone);
    let passed = first.until(today).map_or(0, |span| i64::from(span.get_days())) / days;
    let oldest = (passed + 1 - i64::try_from(max).unwrap_or(i64::MAX)).max(0);
    let occurrences = (oldest..=passed)
        .filter_map(|number| day(first, number * days, write))
        .filter(|moment| *moment <= write.now)
        .collect();
    (occurrences, day(first, (passed + 1) * days, write))
}

/// A number of days, as records write it.
fn days(value: &Value) -> Option<i64> {
    let days = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => match text.strip_suffix('w') {
            Some(weeks) => weeks.parse::<i64>().ok()?.checked_mul(7)?,
            None => text.strip_suffix('d').unwrap_or(text).parse().ok()?,
        },
        _ => return None,
    };
    (0..=INTERVAL_DAYS_MAX).contains(&days).then_some(days)
}

fn told(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::json;

    use super::*;
    use crate::profile::Profile;

    fn generator(missed: &str) -> Generator {
        let source = format!(
            r#"
name = "plant"
[envelope]
data = "{{event.data}}"
[catalogue]
open = true
[[record]]
kind = "template"
[[record]]
kind = "order"
[[generator]]
event = "order.due"
record = "template"
makes = "order"
due_after = "days"
when = "!has(new.paused) || !new.paused"
missed = {missed}
[generator.content]
title = "{{new.title}}"
due = "{{due}}"
[generator.data]
order = "{{made}}"
day = "{{day}}"
"#
        );
        Profile::parse(&source).expect("it is right").generators.remove(0)
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a time")
    }

    fn content(value: Value) -> Content {
        Content::read(value.to_string().into_bytes()).expect("an object")
    }

    fn ids(generated: &Generated) -> Vec<&str> {
        generated.made.iter().map(|made| made.id.as_str()).collect()
    }

    #[test]
    fn what_was_missed_is_made_up_for_up_to_a_bound() {
        let zone = TimeZone::UTC;
        let template = content(json!({"title": "t", "cron": "0 6 * * *", "days": 2}));
        let now = at("2026-04-15T12:00:00Z");
        let write = Write { id: "t-1", old: None, new: Some(&template), now, zone: &zone, told: true };
        let waiting = at("2026-04-11T06:00:00Z");
        for (missed, expected) in [
            ("\"latest\"", vec!["t-1:20260415T0600"]),
            ("2", vec!["t-1:20260414T0600", "t-1:20260415T0600"]),
            (
                "366",
                vec![
                    "t-1:20260411T0600",
                    "t-1:20260412T0600",
                    "t-1:20260413T0600",
                    "t-1:20260414T0600",
                    "t-1:20260415T0600",
                ],
            ),
        ] {
            let generated = generator(missed).when_due(&write, waiting).expect("it is made");
            assert_eq!(ids(&generated), expected, "{missed}");
            assert_eq!(generated.due, Some(at("2026-04-16T06:00:00Z")));
        }
        let last = &generator("1").when_due(&write, waiting).expect("it is made").made[0];
        assert_eq!(last.content, br#"{"title":"t","due":"2026-04-17"}"#);
        assert_eq!(last.data, br#"{"order":"t-1:20260415T0600","day":"2026-04-15"}"#);
    }

    #[test]
    fn days_are_counted_on_the_wall_and_over_changes_of_clocks() {
        let zone = TimeZone::get("America/New_York").expect("a known zone");
        let template = content(json!({"title": "t", "interval": 7}));
        let now = at("2026-03-03T15:00:00Z");
        let write = |now| Write { id: "t-1", old: None, new: Some(&template), now, zone: &zone, told: true };
        let first = generator("9").after_write(&write(now), None).expect("a schedule").expect("a time");
        assert_eq!(first, at("2026-03-10T00:00:00-04:00"), "clocks went forward on the 8th");
        let late = write(at("2026-03-25T10:00:00Z"));
        let generated = generator("9").when_due(&late, first).expect("it is made");
        assert_eq!(ids(&generated), ["t-1:20260310T0000", "t-1:20260317T0000", "t-1:20260324T0000"]);
        assert_eq!(generated.due, Some(at("2026-03-31T00:00:00-04:00")));
        assert_eq!(ids(&generator("2").when_due(&late, first).expect("it is made")).len(), 2);
    }

    #[test]
    fn a_template_that_is_paused_or_odd_makes_nothing_and_says_why() {
        let zone = TimeZone::UTC;
        let now = at("2026-04-15T12:00:00Z");
        let write = |template: &Value| {
            let template = content(template.clone());
            let write = Write { id: "t-1", old: None, new: Some(&template), now, zone: &zone, told: true };
            (generator("1").after_write(&write, None), generator("1").when_due(&write, now))
        };
        let (due, generated) = write(&json!({"cron": "0 12 * * *", "paused": true}));
        assert_eq!(due, Ok(Some(at("2026-04-16T12:00:00Z"))));
        assert_eq!(
            generated,
            Ok(Generated { due: Some(at("2026-04-16T12:00:00Z")), ..Generated::default() })
        );
        assert_eq!(write(&json!({"title": "t"})), (Ok(None), Ok(Generated::default())));
        for odd in [
            json!({"cron": "every day"}),
            json!({"cron": 5}),
            json!({"interval": 0}),
            json!({"interval": "1y"}),
        ] {
            let (due, generated) = write(&odd);
            assert!(due.is_err() && generated.is_err(), "{odd}");
        }
        // What can be read of the schedule goes on.
        let generated = write(&json!({"cron": "0 12 * * *", "days": "soon"})).1.expect("a schedule");
        assert!(generated.error.is_some_and(|why| why.contains("soon")));
        assert_eq!(generated.due, Some(at("2026-04-16T12:00:00Z")));
    }

    #[test]
    fn a_schedule_that_did_not_change_goes_on_as_it_was() {
        let zone = TimeZone::UTC;
        let (old, new) =
            (content(json!({"cron": "0 6 * * *"})), content(json!({"cron": "0 6 * * *", "title": "t"})));
        let other = content(json!({"cron": "0 7 * * *"}));
        let (now, waiting) = (at("2026-04-15T12:00:00Z"), at("2026-04-13T06:00:00Z"));
        let after = |new| {
            let write = Write { id: "t-1", old: Some(&old), new: Some(new), now, zone: &zone, told: true };
            generator("1").after_write(&write, Some(waiting)).expect("a schedule")
        };
        assert_eq!(after(&new), Some(waiting), "what was missed is not forgotten");
        assert_eq!(after(&other), Some(at("2026-04-16T07:00:00Z")));
    }
}
