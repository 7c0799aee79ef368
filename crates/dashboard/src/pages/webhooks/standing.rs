//! How a webhook stands, in one word with its reason, and the order in which the health page lists them: worst first.

use std::cmp::Reverse;

use maud::{Markup, html};
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState};
use postrider_domain::latency::{LatencyBound, percentile};
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
    /// On, and a request of the last 24 hours was not taken.
    Shaky,
    On,
    /// On, and nothing was sent to it in the last 24 hours.
    Quiet,
    /// Switched off by a person.
    Off,
}

impl Standing {
    pub(crate) fn of(webhook: &Webhook, health: Option<&WebhookHealth>) -> Self {
        let figures = health.map(|health| Figures {
            attempts: health.attempts,
            succeeded: health.succeeded,
            newest_fails: health.newest.is_some_and(|newest| fails(newest.state, newest.class)),
        });
        Self::decide(webhook.enabled, webhook.disabled_reason, figures.unwrap_or_default())
    }

    /// Of one webhook whose newest deliveries are at hand, newest first.
    pub(crate) fn of_one(webhook: &Webhook, stats: &WebhookStats, newest: &[StoredDelivery]) -> Self {
        let told = newest.iter().filter(|one| one.kind != DeliveryKind::Test);
        let newest = told.into_iter().find(|one| one.last_class.is_some() || one.state.is_final());
        let figures = Figures {
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
            0 => Self::Quiet,
            _ if figures.newest_fails => Self::Failing,
            attempts if figures.succeeded < attempts => Self::Shaky,
            _ => Self::On,
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Gone | Self::Off => "off",
            Self::Shaky | Self::On | Self::Quiet => "on",
        }
    }

    /// Why, in a few words.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Failing => "The newest delivery was not accepted.",
            Self::Gone => "The receiver answered 410 Gone.",
            Self::Off => "Switched off by a person.",
            Self::Shaky => "Some requests were not accepted.",
            Self::On => "Every request was accepted.",
            Self::Quiet => "Nothing was sent in 24 hours.",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Failing | Self::Gone => Tone::Bad,
            Self::Shaky => Tone::Waiting,
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
) -> (Standing, u64, Reverse<u64>, String) {
    let standing = Standing::of(webhook, health);
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
        let figures = |attempts, succeeded, newest_fails| Figures { attempts, succeeded, newest_fails };
        let gone = Some(DisabledReason::Gone);
        for (enabled, reason, figures, expected) in [
            (true, None, figures(10, 9, true), Standing::Failing),
            (false, gone, figures(10, 9, true), Standing::Gone),
            (false, None, figures(10, 9, true), Standing::Off),
            (true, None, figures(10, 9, false), Standing::Shaky),
            (true, None, figures(10, 10, false), Standing::On),
            (true, None, figures(0, 0, true), Standing::Quiet),
        ] {
            assert_eq!(Standing::decide(enabled, reason, figures), expected);
        }
        assert!(fails(DeliveryState::Scheduled, Some(AttemptClass::Timeout)));
        assert!(!fails(DeliveryState::Delivered, Some(AttemptClass::Success)));
        assert!(!fails(DeliveryState::Scheduled, None));
    }

    #[test]
    fn the_worst_comes_first() {
        use Standing::{Failing, Gone, Off, On, Quiet, Shaky};
        let mut all = [Off, Quiet, On, Shaky, Gone, Failing];
        all.sort();
        assert_eq!(all, [Failing, Gone, Shaky, On, Quiet, Off]);
        assert!(permille(3, 10) < permille(9, 10));
        assert_eq!(permille(0, 0), 1000);
    }
}
