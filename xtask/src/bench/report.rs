//! The table and the file. Every rate stands beside its ratio to the raw limit of the same run.

use std::path::Path;

use serde_json::{Value, json};

use super::load::median;
use super::scenario::Scale;
use crate::failure::Result;

/// One measured number, and what is asked of it.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: Unit,
    pub(super) asked: Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    PerSecond,
    Ms,
    Kib,
    Mib,
    Times,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Asked {
    Nothing,
    /// Of a rate: at least this share of the raw limit.
    RatioMin(f64),
    Min(f64),
    Max(f64),
}

impl Figure {
    pub(super) fn new(name: &str, value: f64, unit: Unit, asked: Asked) -> Self {
        Self { name: name.to_owned(), value, unit, asked }
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Ms => "ms",
            Self::Kib => "KiB",
            Self::Mib => "MiB",
            Self::Times => "×",
        }
    }
}

pub(super) struct Report {
    scale: Scale,
    body_bytes: usize,
    raw: Vec<f64>,
    scenarios: Vec<(&'static str, Vec<Figure>)>,
}

impl Report {
    pub(super) fn new(scale: Scale, body_bytes: usize) -> Self {
        Self { scale, body_bytes, raw: Vec::new(), scenarios: Vec::new() }
    }

    pub(super) fn raw(&mut self, per_second: f64) {
        println!("… raw: {per_second:.0}/s");
        self.raw.push(per_second);
    }

    pub(super) fn add(&mut self, scenario: &'static str, figures: Vec<Figure>) {
        for figure in &figures {
            println!("    {} {}", figure.name, number(figure));
        }
        self.scenarios.push((scenario, figures));
    }

    fn raw_median(&self) -> f64 {
        median(self.raw.clone())
    }

    fn ratio(&self, figure: &Figure) -> Option<f64> {
        (figure.unit == Unit::PerSecond).then(|| figure.value / self.raw_median())
    }

    fn verdict(&self, figure: &Figure) -> Option<(String, bool)> {
        match figure.asked {
            Asked::Nothing => None,
            Asked::RatioMin(min) => {
                Some((format!("≥ {min} × raw"), self.ratio(figure).is_some_and(|ratio| ratio >= min)))
            }
            Asked::Min(min) => Some((format!("≥ {min} {}", figure.unit.name()), figure.value >= min)),
            Asked::Max(max) => Some((format!("≤ {max} {}", figure.unit.name()), figure.value <= max)),
        }
    }

    pub(super) fn print(&self) {
        let range = |pick: fn(f64, f64) -> f64| self.raw.iter().copied().reduce(pick).unwrap_or_default();
        println!();
        if self.scale == Scale::Tenth {
            println!("A quick run: a tenth of the load. Not for quoting.");
        }
        println!(
            "raw limit {:.0}/s (median of {}, {:.0} to {:.0}), {} bytes a body",
            self.raw_median(),
            self.raw.len(),
            range(f64::min),
            range(f64::max),
            self.body_bytes
        );
        println!("{:<12} {:<34} {:>12} {:>8}  {:<14}", "scenario", "figure", "value", "÷ raw", "asked");
        for (scenario, figures) in &self.scenarios {
            for figure in figures {
                let ratio = self.ratio(figure).map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
                let asked = self.verdict(figure);
                let asked =
                    asked.map(|(asked, holds)| format!("{asked} {}", if holds { "yes" } else { "NO" }));
                let asked = asked.unwrap_or_default();
                println!("{scenario:<12} {:<34} {:>12} {ratio:>8}  {asked}", figure.name, number(figure));
            }
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let figure = |figure: &Figure| {
            let verdict = self.verdict(figure);
            json!({
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit.name(),
                "ratioToRaw": self.ratio(figure),
                "asked": verdict.as_ref().map(|(asked, _)| asked),
                "holds": verdict.as_ref().map(|(_, holds)| holds),
            })
        };
        let scenarios: Vec<Value> = self
            .scenarios
            .iter()
            .map(|(name, figures)| json!({"name": name, "figures": figures.iter().map(figure).collect::<Vec<_>>()}))
            .collect();
        let processors = std::thread::available_parallelism().map(usize::from).unwrap_or_default();
        let document = json!({
            "quick": self.scale == Scale::Tenth,
            "processors": processors,
            "bodyBytes": self.body_bytes,
            "raw": {"median": self.raw_median(), "all": self.raw},
            "scenarios": scenarios,
        });
        std::fs::write(path, format!("{document:#}\n"))?;
        println!("\nwrote {}", path.display());
        Ok(())
    }
}

fn number(figure: &Figure) -> String {
    let unit = figure.unit.name();
    match figure.unit {
        Unit::PerSecond | Unit::Kib | Unit::Mib => format!("{:.0} {unit}", figure.value),
        Unit::Ms | Unit::Times => format!("{:.3} {unit}", figure.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_judged_by_its_ratio_to_the_median_of_raw() {
        let mut report = Report::new(Scale::Full, 512);
        report.raw = vec![90.0, 100.0, 200.0];
        let rate = |value| Figure::new("delivered", value, Unit::PerSecond, Asked::RatioMin(0.15));
        assert_eq!(report.verdict(&rate(15.0)).map(|(_, holds)| holds), Some(true));
        assert_eq!(report.verdict(&rate(14.0)).map(|(_, holds)| holds), Some(false));
    }

    #[test]
    fn a_limit_is_judged_by_the_value_itself() {
        let report = Report::new(Scale::Full, 512);
        let p99 = |value| Figure::new("p99", value, Unit::Ms, Asked::Max(15.0));
        assert_eq!(report.verdict(&p99(15.0)), Some(("≤ 15 ms".to_owned(), true)));
        assert_eq!(report.verdict(&p99(15.1)).map(|(_, holds)| holds), Some(false));
    }
}
