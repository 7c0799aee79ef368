//! Moments and durations, for people.

use std::time::Duration;

use maud::{Markup, html};
use postrider_domain::time::Timestamp;

use crate::visit::Visit;

/// A moment in the tenant's zone, and how long ago it was; the title has it in UTC, to the millisecond.
pub(crate) fn moment(visit: &Visit, at: Timestamp) -> Markup {
    html! {
        time datetime=(at) title=(at) { (stamp(visit, at)) " " span .hint { "(" (ago(visit, at)) ")" } }
    }
}

/// The same, in little room. A script keeps it moving, in the words that stand in the attribute.
pub(crate) fn short(visit: &Visit, at: Timestamp) -> Markup {
    html! { time datetime=(at) title=(stamp(visit, at)) data-ago=(visit.t("{} ago")) { (ago(visit, at)) } }
}

/// `2026-01-31 09:30:00` in the tenant's zone.
pub(crate) fn stamp(visit: &Visit, at: Timestamp) -> String {
    at.to_jiff().to_zoned(visit.zone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment to come, counted down by script: at the end of a line, since it keeps the room that it may need.
pub(crate) fn countdown(visit: &Visit, at: Timestamp) -> Markup {
    let left = at.since(visit.now);
    html! {
        time datetime=(at) title=(stamp(visit, at)) data-countdown=(visit.t("in {}")) data-now=(visit.t("now")) {
            @if left.is_zero() { (visit.t("now")) } @else { (ahead(visit, left)) }
        }
    }
}

pub(crate) fn ago(visit: &Visit, at: Timestamp) -> String {
    if at > visit.now {
        return ahead(visit, at.since(visit.now));
    }
    visit.t("{} ago").replace("{}", &duration(visit.now.since(at)))
}

fn ahead(visit: &Visit, left: Duration) -> String {
    visit.t("in {}").replace("{}", &duration(left))
}

/// Two units at most: `42 ms`, `3.4 s`, `2 min 5 s`, `3 h`, `4 d`.
pub(crate) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 if length.as_millis() < 1000 && !length.is_zero() => format!("{} ms", length.as_millis()),
        0..10 => format!("{:.1} s", length.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

pub(crate) fn micros(us: u64) -> String {
    if us < 1000 { format!("{us} µs") } else { format!("{:.1} ms", us as f64 / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (ms, text) in [
            (0, "0.0 s"),
            (42, "42 ms"),
            (3400, "3.4 s"),
            (59_000, "59 s"),
            (125_000, "2 min 5 s"),
            (180_000, "3 min"),
            (10_860_000, "3 h 1 min"),
            (400_000_000, "4 d"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }
}
