//! What became of an event at every webhook, or exactly why not. For who reads events: the API and the pages.

use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::EventKind;
use postrider_domain::id::WebhookId;
use postrider_domain::pattern::Patterns;
use postrider_domain::profile::{DeliveryMode, OnDisable};
use postrider_store::{Store, StoreError, StoredDelivery, StoredEvent, WebhookVersion};

use super::matcher::{self, Candidate, No, Question};
use crate::catalogue::Tenant;

/// An event at one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub webhook: WebhookId,
    /// When the event was accepted; of a later webhook, now.
    pub webhook_name: String,
    /// The newest one; none where the event made none.
    pub delivery: Option<StoredDelivery>,
    pub why: Why,
}

/// Why a delivery stands as it does, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Delivery(Reason),
    Missed(No),
}

impl Why {
    /// A stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivery(reason) => reason.as_str(),
            Self::Missed(no) => no.as_str(),
        }
    }

    /// What happened and what to do, for the tenant.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Delivery(reason) => reason.sentence(),
            Self::Missed(no) => no.sentence(),
        }
    }
}

/// An event with everything that it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// All of them, oldest first.
    pub deliveries: Vec<StoredDelivery>,
    /// Of every webhook that there was when the event was accepted, and every one that there is now, oldest first.
    pub outcomes: Vec<Outcome>,
}

pub async fn explain(store: &Store, tenant: &Tenant, event: &StoredEvent) -> Result<Explained, StoreError> {
    let deliveries = store.deliveries_of(tenant.id, event.id).await?;
    let versions = store.webhook_versions(tenant.id, event.tenant_version).await?;
    let outcomes = outcomes(tenant, event, &deliveries, &versions);
    Ok(Explained { deliveries, outcomes })
}

/// Why a delivery stands as it does. Nothing is written when a webhook is switched off, so what waits for it is told by the
/// switch.
pub fn reason(tenant: &Tenant, delivery: &StoredDelivery) -> Reason {
    let is_off = || tenant.webhook(delivery.webhook).is_some_and(|webhook| !webhook.enabled);
    let holds = delivery.state == DeliveryState::Scheduled
        && tenant.delivery_mode() == DeliveryMode::Immediate
        && tenant.profile().delivery.on_disable == OnDisable::Hold;
    if holds && is_off() { Reason::Held } else { delivery.reason }
}

fn outcomes(
    tenant: &Tenant,
    event: &StoredEvent,
    deliveries: &[StoredDelivery],
    versions: &[WebhookVersion],
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for version in versions.iter().filter(|version| !version.deleted) {
        // Deliveries come oldest first; the newest tells how things stand.
        // One that somebody sent to another URL says nothing about the webhook.
        let counts =
            |delivery: &&StoredDelivery| event.kind == EventKind::Test || delivery.kind != DeliveryKind::Test;
        let mut of_webhook = deliveries.iter().filter(|delivery| delivery.webhook == version.webhook);
        let delivery = of_webhook.rfind(counts);
        let why = match delivery {
            Some(delivery) => Why::Delivery(reason(tenant, delivery)),
            None => Why::Missed(why_not(tenant, event, version)),
        };
        outcomes.push(Outcome {
            webhook: version.webhook,
            webhook_name: version.name.clone(),
            delivery: delivery.cloned(),
            why,
        });
    }
    for webhook in &tenant.webhooks {
        if !versions.iter().any(|version| version.webhook == webhook.id) {
            outcomes.push(Outcome {
                webhook: webhook.id,
                webhook_name: webhook.name.clone(),
                delivery: None,
                why: Why::Missed(No::NotRegisteredThen),
            });
        }
    }
    outcomes
}

/// The matcher's answer for the webhook as it was. Patterns that it took once are patterns.
fn why_not(tenant: &Tenant, event: &StoredEvent, version: &WebhookVersion) -> No {
    let texts: Vec<String> = serde_json::from_str(&version.events).unwrap_or_default();
    let Ok(patterns) = Patterns::parse(&texts) else { return No::PatternsDoNotMatch };
    let mode = tenant.delivery_mode();
    let question = Question { kind: event.kind, event_type: &event.event_type, mode };
    let candidate = Candidate { patterns: &patterns, enabled: version.enabled };
    // A yes without a delivery: the delivery mode has changed since, and then the switch decided at once.
    matcher::interested(question, candidate).err().unwrap_or(No::WebhookOff)
}
