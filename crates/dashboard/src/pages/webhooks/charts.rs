//! Outcomes and latency of one webhook over a range: charts, and the same numbers as a table behind them.

use std::collections::HashMap;
use std::time::Duration;

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

/// A range that can be looked at.
struct Range {
    name: &'static str,
    label: &'static str,
    /// How long a bar stands for, and how many there are.
    step: Duration,
    bars: u32,
}

static RANGES: &[Range] = &[
    Range { name: "1h", label: "1 hour", step: MINUTE, bars: 60 },
    Range { name: "24h", label: "24 hours", step: HOUR, bars: 24 },
    Range { name: "7d", label: "7 days", step: Duration::from_secs(6 * 3600), bars: 28 },
    Range { name: "30d", label: "30 days", step: Duration::from_secs(24 * 3600), bars: 30 },
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
    let (first, bars, cut) = read(visit, webhook, range).await?;
    let buckets: Vec<Bucket> = bars
        .iter()
        .enumerate()
        .map(|(index, bar)| Bucket {
            label: time::stamp(visit, first.plus(range.step * index as u32)),
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
                    figure .card { figcaption { (t("Latency: p50 solid, p95 dashed")) } (chart::lines(t("Latency over time"), &[("p50", &p50), ("p95", &p95)])) }
                }
                @if cut { p .hint { (t("There was more than a chart by the minute looks at: its earliest minutes are not complete.")) } }
                details .more {
                    summary { (t("The numbers as a table")) }
                    (numbers(visit, &buckets, &bars))
                }
            }
        }
    })
}

/// The bars of a range, from the first one's beginning.
async fn read(
    visit: &Visit,
    webhook: &Webhook,
    range: &Range,
) -> Result<(Timestamp, Vec<Bar>, bool), StoreError> {
    let tenant = visit.tenant().id;
    let step_ms = range.step.as_millis() as i64;
    let running = Timestamp::from_unix_ms(visit.now.unix_ms().div_euclid(step_ms) * step_ms);
    let first = running.minus(range.step * (range.bars - 1));
    let until = running.plus(range.step);
    let place = |at: Timestamp| ((at.unix_ms() - first.unix_ms()).div_euclid(step_ms)).max(0) as usize;
    let mut bars = vec![Bar::default(); range.bars as usize];
    if range.step == MINUTE {
        let store = visit.store();
        let minutes =
            store.webhook_minutes(tenant, webhook.id, first, until, limits::MINUTES_ATTEMPTS_MAX).await?;
        for minute in &minutes.minutes {
            let Some(bar) = bars.get_mut(place(minute.minute)) else { continue };
            (bar.attempts, bar.succeeded) = (minute.attempts, minute.succeeded);
            (bar.p50_ms, bar.p95_ms) = (minute.p50_ms, minute.p95_ms);
        }
        return Ok((first, bars, minutes.cut));
    }
    for hour in visit.store().webhook_hours(tenant, webhook.id, first, until).await? {
        let Some(bar) = bars.get_mut(place(hour.hour)) else { continue };
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
    Ok((first, bars, false))
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
