//! How a webhook stands, in one word with its reason, and the order in which the health page lists them: worst first.

use std::cmp::Reverse;

use maud::{Markup, html};
use postrider_domain::delivery::{AttemptClass, DeliveryState};
use postrider_domain::latency::{LatencyBound, percentile};
use postrider_engine::catalogue::{DisabledReason, Webhook};
use postrider_store::WebhookHealth;

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
        Self::decide(webhook.enabled, webhook.disabled_reason, health)
    }

    fn decide(enabled: bool, reason: Option<DisabledReason>, health: Option<&WebhookHealth>) -> Self {
        match (enabled, reason) {
            (false, Some(DisabledReason::Gone)) => return Self::Gone,
            (false, None) => return Self::Off,
            (true, _) => {}
        }
        let Some(health) = health else { return Self::Quiet };
        // Retries that are still to come do not make a webhook well.
        let fails = health.newest.is_some_and(|newest| {
            newest.state == DeliveryState::Failed
                || newest.class.is_some_and(|class| class != AttemptClass::Success)
        });
        match health.attempts {
            _ if fails => Self::Failing,
            0 => Self::Quiet,
            attempts if health.succeeded < attempts => Self::Shaky,
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

/// Where a webhook stands in the list: by its standing, then the lower success rate, then what has waited longest, then its
/// name, so that the order is the same each time.
pub(crate) fn order(
    webhook: &Webhook,
    health: Option<&WebhookHealth>,
) -> (Standing, u64, Reverse<u64>, String) {
    let standing = Standing::of(webhook, health);
    let (permille, waiting) = health.map_or((1000, 0), |health| (permille(health), health.waiting));
    (standing, permille, Reverse(waiting), webhook.name.to_lowercase())
}

/// Without a request there is nothing to complain about.
fn permille(health: &WebhookHealth) -> u64 {
    (health.succeeded * 1000).checked_div(health.attempts).unwrap_or(1000)
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
    use postrider_domain::id::{DeliveryId, WebhookId};
    use postrider_store::{HEALTH_HOURS, HourOutcome, NewestOutcome};

    use super::*;

    fn health(attempts: u64, succeeded: u64, newest: Option<AttemptClass>) -> WebhookHealth {
        WebhookHealth {
            webhook: WebhookId::from_bytes([1; 16]),
            attempts,
            succeeded,
            latency: [0; 8],
            hours: [HourOutcome::default(); HEALTH_HOURS],
            last_fired: None,
            waiting: 0,
            waiting_at_least: false,
            earliest_due: None,
            newest: newest.map(|class| NewestOutcome {
                delivery: DeliveryId::from_bytes([1; 16]),
                state: DeliveryState::Scheduled,
                class: Some(class),
                status: None,
            }),
        }
    }

    #[test]
    fn a_webhook_stands_as_its_switch_and_its_newest_delivery_say() {
        let fails = health(10, 9, Some(AttemptClass::Timeout));
        let shaky = health(10, 9, Some(AttemptClass::Success));
        let well = health(10, 10, Some(AttemptClass::Success));
        let quiet = health(0, 0, None);
        for (enabled, reason, health, expected) in [
            (true, None, &fails, Standing::Failing),
            (false, Some(DisabledReason::Gone), &fails, Standing::Gone),
            (false, None, &fails, Standing::Off),
            (true, None, &shaky, Standing::Shaky),
            (true, None, &well, Standing::On),
            (true, None, &quiet, Standing::Quiet),
        ] {
            assert_eq!(Standing::decide(enabled, reason, Some(health)), expected);
        }
        assert_eq!(Standing::decide(true, None, None), Standing::Quiet);
    }

    #[test]
    fn the_worst_comes_first() {
        use Standing::{Failing, Gone, Off, On, Quiet, Shaky};
        let mut all = [Off, Quiet, On, Shaky, Gone, Failing];
        all.sort();
        assert_eq!(all, [Failing, Gone, Shaky, On, Quiet, Off]);
        assert!(permille(&health(10, 3, None)) < permille(&health(10, 9, None)));
        assert_eq!(permille(&health(0, 0, None)), 1000);
    }
}
