//! Charts as SVG, drawn here: no script, no style attribute. Each has a text for those who do not see it, and pages put the
//! numbers in a table behind it.

use std::time::Duration;

use maud::{Markup, html};

use super::{text, time};
use crate::words::Words;

/// A stretch of time and what happened in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// For people: when.
    pub(crate) label: String,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
}

/// A strip of small bars, one for each hour: green what went well, red what did not, by share; its height says how much.
pub(crate) fn strip(title: &str, buckets: &[Bucket]) -> Markup {
    const WIDTH: usize = 5;
    const HEIGHT: usize = 24;
    let most = buckets.iter().map(|bucket| bucket.succeeded + bucket.failed).max().unwrap_or(0).max(1);
    html! {
        svg .strip role="img" aria-label=(title) viewBox=(format!("0 0 {} {HEIGHT}", buckets.len() * (WIDTH + 1)))
            width=(buckets.len() * (WIDTH + 1)) height=(HEIGHT) {
            title { (title) }
            @for (index, bucket) in buckets.iter().enumerate() {
                @let x = index * (WIDTH + 1);
                @let (good, bad) = heights(bucket, most, HEIGHT as u64);
                @if good + bad == 0 {
                    rect .none x=(x) y=(HEIGHT - 2) width=(WIDTH) height="2" {}
                } @else {
                    rect .good x=(x) y=(HEIGHT as u64 - good) width=(WIDTH) height=(good) {}
                    rect .bad x=(x) y=(HEIGHT as u64 - good - bad) width=(WIDTH) height=(bad) {}
                }
            }
        }
    }
}

/// Bars of outcomes over time.
pub(crate) fn outcomes(words: Words, title: &str, buckets: &[Bucket]) -> Markup {
    const WIDTH: u64 = 720;
    const HEIGHT: u64 = 160;
    let t = |text| words.say(text);
    let most = buckets.iter().map(|bucket| bucket.succeeded + bucket.failed).max().unwrap_or(0).max(1);
    let step = WIDTH as f64 / buckets.len().max(1) as f64;
    let svg = html! {
        svg .chart role="img" aria-label=(title) viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + 18)) preserveAspectRatio="none" {
            title { (title) }
            line .axis x1="0" y1=(HEIGHT) x2=(WIDTH) y2=(HEIGHT) {}
            @for (index, bucket) in buckets.iter().enumerate() {
                @let (good, bad) = heights(bucket, most, HEIGHT);
                @let x = format!("{:.1}", index as f64 * step);
                @let width = format!("{:.1}", (step - 1.0).max(0.5));
                g {
                    title { (bucket.label) ": " (bucket.succeeded) " " (t("succeeded")) ", " (bucket.failed) " " (t("failed")) }
                    rect .good x=(x) y=(HEIGHT - good) width=(width) height=(good) {}
                    rect .bad x=(x) y=(HEIGHT - good - bad) width=(width) height=(bad) {}
                }
            }
        }
    };
    scaled(&text::count(most), buckets, svg)
}

/// A line for each series, from the same zero, in milliseconds. A gap is where there is nothing to say. `buckets`: the same
/// stretches of time.
pub(crate) fn lines(title: &str, series: &[(&str, &[Option<u64>])], buckets: &[Bucket]) -> Markup {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 160.0;
    let most =
        series.iter().flat_map(|(_, values)| values.iter().flatten()).max().copied().unwrap_or(0).max(1);
    let svg = html! {
        svg .chart role="img" aria-label=(title) viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + 18.0)) preserveAspectRatio="none" {
            title { (title) }
            line .axis x1="0" y1=(HEIGHT) x2=(WIDTH) y2=(HEIGHT) {}
            @for (index, (_, values)) in series.iter().enumerate() {
                path class={ "line line-" (index) } d=(path(values, most, WIDTH, HEIGHT)) fill="none" {}
            }
        }
    };
    scaled(&time::duration(Duration::from_millis(most)), buckets, svg)
}

/// With what its height stands for, and when it begins and ends: as text, which the picture would stretch.
fn scaled(most: &str, buckets: &[Bucket], svg: Markup) -> Markup {
    let (first, last) = (buckets.first(), buckets.last());
    html! {
        p .scale { "max. " (most) }
        (svg)
        p .scale { @for bucket in [first, last].into_iter().flatten() { span { (bucket.label) } } }
    }
}

/// How high the two parts of a bar are; what is there at all is seen.
fn heights(bucket: &Bucket, most: u64, height: u64) -> (u64, u64) {
    let part = |count: u64| if count == 0 { 0 } else { (count * height / most).max(1) };
    let bad = part(bucket.failed);
    (part(bucket.succeeded).min(height - bad), bad)
}

fn path(values: &[Option<u64>], most: u64, width: f64, height: f64) -> String {
    let step = width / values.len().max(1) as f64;
    let mut path = String::new();
    let known = |index: Option<usize>| index.and_then(|index| values.get(index)).is_some_and(Option::is_some);
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        let x = (index as f64 + 0.5) * step;
        let y = height - *value as f64 / most as f64 * (height - 4.0);
        match (known(index.checked_sub(1)), known(index.checked_add(1))) {
            (true, _) => path.push_str(&format!("L{x:.1} {y:.1}")),
            (false, true) => path.push_str(&format!("M{x:.1} {y:.1}")),
            // A point of its own would not be seen: it gets a line as wide as a bar.
            (false, false) => {
                path.push_str(&format!("M{:.1} {y:.1}H{:.1}", x - step * 0.4, x + step * 0.4));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_at_all_is_seen() {
        let bucket = |succeeded, failed| Bucket { label: String::new(), succeeded, failed };
        assert_eq!(heights(&bucket(0, 0), 100, 20), (0, 0));
        assert_eq!(heights(&bucket(1_000_000, 1), 1_000_001, 20), (19, 1));
        assert_eq!(heights(&bucket(50, 50), 100, 20), (10, 10));
    }

    #[test]
    fn a_line_breaks_where_nothing_is_known() {
        assert_eq!(path(&[Some(0), None, Some(4)], 4, 30.0, 10.0), "M1.0 10.0H9.0M21.0 4.0H29.0");
        assert_eq!(path(&[Some(0), Some(4), None], 4, 30.0, 10.0), "M5.0 10.0L15.0 4.0");
    }
}
