//! How a webhook stands, in one word with its reason, and the order in which the health page lists them: worst first.

use std::cmp::Reverse;
use std::time::Duration;

use maud::{Markup, html};
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState};
use postrider_domain::latency::{LatencyBound, percentile};
use postrider_domain::time::Timestamp;
use postrider_engine::catalogue::{DisabledReason, Webhook};
use postrider_store::{StoredDelivery, WebhookHealth, WebhookStats};

use crate::parts::{Tone, badge};
use crate::visit::Visit;

/// From the worst to what needs no look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// On, and what was sent last was not taken.
    Failing,
    /// Switched off because the receiver answered 410.
    Gone,
    /// On, and nothing was sent for [`LATE_AFTER`] though something was due.
    Late,
    /// On, and a request of the last 24 hours was not taken.
    Shaky,
    On,
    /// On, and nothing was sent to it in the last 24 hours.
    Quiet,
    /// Switched off by a person.
    Off,
}

impl Standing {
    pub(crate) fn of(webhook: &Webhook, health: Option<&WebhookHealth>, now: Timestamp) -> Self {
        let figures = health.map(|health| Figures {
            is_late: is_late(health.earliest_due, health.last_fired, now),
            attempts: health.attempts,
            succeeded: health.succeeded,
            newest_fails: health.newest.is_some_and(|newest| fails(newest.state, newest.class)),
        });
        Self::decide(webhook.enabled, webhook.disabled_reason, figures.unwrap_or_default())
    }

    /// Of one webhook whose newest deliveries are at hand, newest first; `earliest_due`: of what waits.
    pub(crate) fn of_one(
        webhook: &Webhook,
        stats: &WebhookStats,
        newest: &[StoredDelivery],
        earliest_due: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let told = newest.iter().filter(|one| one.kind != DeliveryKind::Test);
        let newest = told.into_iter().find(|one| one.last_class.is_some() || one.state.is_final());
        let figures = Figures {
            is_late: is_late(earliest_due, stats.last_fired, now),
            attempts: stats.attempts,
            succeeded: stats.succeeded,
            newest_fails: newest.is_some_and(|newest| fails(newest.state, newest.last_class)),
        };
        Self::decide(webhook.enabled, webhook.disabled_reason, figures)
    }

    fn decide(enabled: bool, reason: Option<DisabledReason>, figures: Figures) -> Self {
        match (enabled, reason) {
            (false, Some(DisabledReason::Gone)) => return Self::Gone,
            (false, None) => return Self::Off,
            (true, _) => {}
        }
        match figures.attempts {
            // What failed longer than a day ago says nothing about today.
            1.. if figures.newest_fails => Self::Failing,
            _ if figures.is_late => Self::Late,
            0 => Self::Quiet,
            attempts if figures.succeeded < attempts => Self::Shaky,
            _ => Self::On,
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Gone | Self::Off => "off",
            Self::Late => "late",
            Self::Shaky | Self::On | Self::Quiet => "on",
        }
    }

    /// Why, in a few words.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Failing => "The newest delivery was not accepted.",
            Self::Gone => "The receiver answered 410 Gone.",
            Self::Off => "Switched off by a person.",
            Self::Late => "Deliveries are due, and nothing was sent for a minute.",
            Self::Shaky => "Some requests were not accepted.",
            Self::On => "Every request was accepted.",
            Self::Quiet => "Nothing was sent in 24 hours.",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Failing | Self::Gone => Tone::Bad,
            Self::Late | Self::Shaky => Tone::Waiting,
            Self::On => Tone::Good,
            Self::Quiet | Self::Off => Tone::Plain,
        }
    }

    pub(crate) fn badge(self, visit: &Visit) -> Markup {
        html! { (badge(self.tone(), visit.t(self.label()))) }
    }
}

/// What of the last 24 hours decides.
#[derive(Clone, Copy, Default)]
struct Figures {
    attempts: u64,
    succeeded: u64,
    newest_fails: bool,
    is_late: bool,
}

/// What is due is on its way within moments; a backlog that was held goes out at a steady pace, and is not late while it moves.
const LATE_AFTER: Duration = Duration::from_secs(60);

fn is_late(earliest_due: Option<Timestamp>, last_fired: Option<Timestamp>, now: Timestamp) -> bool {
    let long_ago = |at: Timestamp| now.since(at) > LATE_AFTER;
    earliest_due.is_some_and(long_ago) && last_fired.is_none_or(long_ago)
}

/// Retries that are still to come do not make a webhook well.
fn fails(state: DeliveryState, class: Option<AttemptClass>) -> bool {
    state == DeliveryState::Failed || class.is_some_and(|class| class != AttemptClass::Success)
}

/// Where a webhook stands in the list: by its standing, then the lower success rate, then what has waited longest, then its
/// name, so that the order is the same each time.
pub(crate) fn order(
    webhook: &Webhook,
    health: Option<&WebhookHealth>,
    now: Timestamp,
) -> (Standing, u64, Reverse<u64>, String) {
    let standing = Standing::of(webhook, health, now);
    let (permille, waiting) =
        health.map_or((1000, 0), |health| (permille(health.succeeded, health.attempts), health.waiting));
    (standing, permille, Reverse(waiting), webhook.name.to_lowercase())
}

/// Without a request there is nothing to complain about.
fn permille(succeeded: u64, attempts: u64) -> u64 {
    (succeeded * 1000).checked_div(attempts).unwrap_or(1000)
}

/// A percentile of the last 24 hours, for people.
pub(crate) fn latency(health: &WebhookHealth, share: f64) -> String {
    match percentile(&health.latency, share) {
        None => "–".to_owned(),
        Some(LatencyBound::About(ms)) if ms < 1000.0 => format!("~{ms:.0} ms"),
        Some(LatencyBound::About(ms)) => format!("~{:.1} s", ms / 1000.0),
        Some(LatencyBound::Over(ms)) => format!("> {} s", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_stands_as_its_switch_and_its_newest_delivery_say() {
        let figures =
            |attempts, succeeded, newest_fails| Figures { attempts, succeeded, newest_fails, is_late: false };
        let late = |figures| Figures { is_late: true, ..figures };
        let gone = Some(DisabledReason::Gone);
        for (enabled, reason, figures, expected) in [
            (true, None, figures(10, 9, true), Standing::Failing),
            (false, gone, figures(10, 9, true), Standing::Gone),
            (false, None, figures(10, 9, true), Standing::Off),
            (true, None, figures(10, 9, false), Standing::Shaky),
            (true, None, figures(10, 10, false), Standing::On),
            (true, None, figures(0, 0, true), Standing::Quiet),
            (true, None, late(figures(10, 9, true)), Standing::Failing),
            (true, None, late(figures(10, 10, false)), Standing::Late),
            (true, None, late(figures(0, 0, false)), Standing::Late),
            (false, None, late(figures(0, 0, false)), Standing::Off),
        ] {
            assert_eq!(Standing::decide(enabled, reason, figures), expected);
        }
        let now = Timestamp::from_unix_ms(100_000);
        let due = |ms| Some(Timestamp::from_unix_ms(ms));
        assert!(is_late(due(39_999), None, now));
        assert!(is_late(due(1), due(39_999), now));
        assert!(!is_late(due(1), due(40_000), now), "it moves");
        for due in [due(40_000), due(200_000), None] {
            assert!(!is_late(due, None, now));
        }
        assert!(fails(DeliveryState::Scheduled, Some(AttemptClass::Timeout)));
        assert!(!fails(DeliveryState::Delivered, Some(AttemptClass::Success)));
        assert!(!fails(DeliveryState::Scheduled, None));
    }

    #[test]
    fn the_worst_comes_first() {
        use Standing::{Failing, Gone, Late, Off, On, Quiet, Shaky};
        let mut all = [Off, Quiet, On, Shaky, Late, Gone, Failing];
        all.sort();
        assert_eq!(all, [Failing, Gone, Late, Shaky, On, Quiet, Off]);
        assert!(permille(3, 10) < permille(9, 10));
        assert_eq!(permille(0, 0), 1000);
    }
}
