//! Outcomes and latency of one webhook over a range: charts, and the same numbers as a table behind them.

use std::collections::HashMap;
use std::time::Duration;

use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use postrider_domain::latency::{LatencyBound, percentile};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use postrider_engine::catalogue::Webhook;
use postrider_store::StoreError;

use super::link;
use crate::parts::chart::{self, Bucket};
use crate::parts::{list, text, time};
use crate::visit::Visit;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_MS: i64 = 60_000;

/// A range that can be looked at.
struct Range {
    name: &'static str,
    label: &'static str,
    step: Step,
    bars: u32,
}

/// How long a bar stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Minute,
    Hour,
    /// So many hours of the tenant's clock, from its midnight.
    PartOfDay(i8),
}

static RANGES: &[Range] = &[
    Range { name: "1h", label: "1 hour", step: Step::Minute, bars: 60 },
    Range { name: "24h", label: "24 hours", step: Step::Hour, bars: 24 },
    Range { name: "7d", label: "7 days", step: Step::PartOfDay(6), bars: 28 },
    Range { name: "30d", label: "30 days", step: Step::PartOfDay(24), bars: 30 },
];

/// What happened in a bar's time.
#[derive(Default, Clone)]
struct Bar {
    attempts: u64,
    succeeded: u64,
    latency: [u64; 8],
    p50_ms: Option<u64>,
    p95_ms: Option<u64>,
}

/// The section of a webhook's page.
pub(super) async fn section(visit: &Visit, webhook: &Webhook) -> Result<Markup, StoreError> {
    let t = |text| visit.t(text);
    let asked = visit.query.text("range");
    let range = RANGES.iter().find(|range| Some(range.name) == asked).unwrap_or(&RANGES[1]);
    let begins = begins(range, visit.now, &visit.zone());
    let (bars, cut) = read(visit, webhook, range, &begins).await?;
    let buckets: Vec<Bucket> = bars
        .iter()
        .zip(&begins)
        .map(|(bar, begin)| Bucket {
            label: time::stamp(visit, *begin),
            succeeded: bar.succeeded,
            failed: bar.attempts.saturating_sub(bar.succeeded),
        })
        .collect();
    let p50: Vec<Option<u64>> = bars.iter().map(|bar| bar.p50_ms).collect();
    let p95: Vec<Option<u64>> = bars.iter().map(|bar| bar.p95_ms).collect();
    let attempts: u64 = bars.iter().map(|bar| bar.attempts).sum();
    Ok(html! {
        section #charts {
            h2 { (t("How it went")) }
            ul .tabs {
                @for one in RANGES {
                    li { a href=(link(visit, webhook.id, &format!("?range={}#charts", one.name)))
                        aria-current=[(one.name == range.name).then_some("true")] { (t(one.label)) } }
                }
            }
            @if attempts == 0 {
                p .hint { (t("Nothing was sent in this time. Tests are not counted.")) }
            } @else {
                div .columns {
                    figure .card { figcaption { (t("Requests: accepted, and not accepted")) } (chart::outcomes(visit.words(), t("Requests over time"), &buckets)) }
                    figure .card { figcaption { (t("Latency: p50 solid, p95 dashed")) } (chart::lines(t("Latency over time"), &[("p50", &p50), ("p95", &p95)], &buckets)) }
                }
                @if range.step == Step::Minute { p .hint { (t("Retries of what was published before this hour are not among these; the 24 hours have them.")) } }
                @if cut { p .hint { (t("There was more than a chart by the minute looks at: its earliest minutes are not complete.")) } }
                details .more {
                    summary { (t("The numbers as a table")) }
                    (numbers(visit, &buckets, &bars))
                }
            }
        }
    })
}

/// When each bar of a range begins; the last is the running one.
fn begins(range: &Range, now: Timestamp, zone: &TimeZone) -> Vec<Timestamp> {
    let back = (0..range.bars).rev();
    match range.step {
        Step::Minute => {
            let running = Timestamp::from_unix_ms(now.unix_ms().div_euclid(MINUTE_MS) * MINUTE_MS);
            back.map(|n| running.minus(MINUTE * n)).collect()
        }
        Step::Hour => back.map(|n| now.hour().minus(HOUR * n)).collect(),
        Step::PartOfDay(hours) => {
            let civil = now.to_jiff().to_zoned(zone.clone()).datetime();
            let running = civil.date().at(civil.hour() / hours * hours, 0, 0, 0);
            // A time that a clock skips is the moment of its change.
            back.filter_map(|n| running.checked_sub(i64::from(hours).hours() * i64::from(n)).ok())
                .filter_map(|begin| begin.to_zoned(zone.clone()).ok())
                .map(|begin| Timestamp::from_jiff(begin.timestamp()))
                .collect()
        }
    }
}

/// The bars of a range, one for each of `begins`, and whether the first ones are not whole. An hour belongs to the bar in which
/// it begins: where a zone is half an hour off, its days are so too.
async fn read(
    visit: &Visit,
    webhook: &Webhook,
    range: &Range,
    begins: &[Timestamp],
) -> Result<(Vec<Bar>, bool), StoreError> {
    let tenant = visit.tenant().id;
    let (first, until) = (begins.first().copied().unwrap_or(visit.now), visit.now.plus(HOUR));
    let mut bars = vec![Bar::default(); begins.len()];
    let place = |at: Timestamp| begins.partition_point(|begin| *begin <= at).checked_sub(1);
    if range.step == Step::Minute {
        let store = visit.store();
        let minutes =
            store.webhook_minutes(tenant, webhook.id, first, until, limits::MINUTES_ATTEMPTS_MAX).await?;
        for minute in &minutes.minutes {
            let Some(at) = place(minute.minute) else { continue };
            let bar = &mut bars[at];
            (bar.attempts, bar.succeeded) = (minute.attempts, minute.succeeded);
            (bar.p50_ms, bar.p95_ms) = (minute.p50_ms, minute.p95_ms);
        }
        return Ok((bars, minutes.cut));
    }
    for hour in visit.store().webhook_hours(tenant, webhook.id, first, until).await? {
        let Some(at) = place(hour.hour) else { continue };
        let bar = &mut bars[at];
        bar.attempts += hour.attempts;
        bar.succeeded += hour.succeeded;
        for (sum, count) in bar.latency.iter_mut().zip(hour.latency) {
            *sum += count;
        }
    }
    for bar in &mut bars {
        bar.p50_ms = percentile(&bar.latency, 0.5).map(bound_ms);
        bar.p95_ms = percentile(&bar.latency, 0.95).map(bound_ms);
    }
    Ok((bars, false))
}

fn bound_ms(bound: LatencyBound) -> u64 {
    match bound {
        LatencyBound::About(ms) => ms.ceil() as u64,
        LatencyBound::Over(ms) => ms,
    }
}

fn numbers(visit: &Visit, buckets: &[Bucket], bars: &[Bar]) -> Markup {
    let t = |text| visit.t(text);
    let columns = [t("From"), t("Accepted"), t("Not accepted"), t("p50"), t("p95")];
    let ms = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |ms| format!("~{ms} ms"));
    let rows = html! {
        @for (bucket, bar) in buckets.iter().zip(bars).rev() {
            @if bar.attempts > 0 {
                tr {
                    (list::cell(t("From"), html! { (bucket.label) }))
                    (list::number(t("Accepted"), html! { (text::count(bucket.succeeded)) }))
                    (list::number(t("Not accepted"), html! { (text::count(bucket.failed)) }))
                    (list::number(t("p50"), html! { (ms(bar.p50_ms)) }))
                    (list::number(t("p95"), html! { (ms(bar.p95_ms)) }))
                }
            }
        }
    };
    list::table(t("Times without a request are left out"), &columns, rows)
}

/// Counts of equal things, the most frequent first.
pub(super) fn tally<T: std::hash::Hash + Eq + Copy + Ord>(
    things: impl Iterator<Item = T>,
) -> Vec<(T, usize)> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for thing in things {
        *counts.entry(thing).or_default() += 1;
    }
    let mut counts: Vec<(T, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, now: &str) -> Vec<String> {
        let range = RANGES.iter().find(|range| range.name == name).unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let begins = begins(range, Timestamp::parse_rfc3339(now).unwrap(), &zone);
        assert_eq!(begins.len(), range.bars as usize);
        begins.iter().rev().take(3).map(ToString::to_string).collect()
    }

    #[test]
    fn days_are_those_of_the_tenants_zone_also_where_its_clock_changes() {
        // On 2026-10-25 Berlin goes from +02:00 to +01:00.
        assert_eq!(
            shown("30d", "2026-10-26T12:00:00Z"),
            ["2026-10-25T23:00:00.000Z", "2026-10-24T22:00:00.000Z", "2026-10-23T22:00:00.000Z"]
        );
        assert_eq!(
            shown("7d", "2026-10-25T06:30:00Z"),
            ["2026-10-25T05:00:00.000Z", "2026-10-24T22:00:00.000Z", "2026-10-24T16:00:00.000Z"]
        );
        assert_eq!(
            shown("24h", "2026-10-25T00:59:00Z"),
            ["2026-10-25T00:00:00.000Z", "2026-10-24T23:00:00.000Z", "2026-10-24T22:00:00.000Z"]
        );
        assert_eq!(
            shown("1h", "2026-10-25T00:59:59Z"),
            ["2026-10-25T00:59:00.000Z", "2026-10-25T00:58:00.000Z", "2026-10-25T00:57:00.000Z"]
        );
    }
}
