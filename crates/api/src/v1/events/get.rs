//! `GET /v1/events/{event}`: one event, and what became of it at every webhook.

use http::{Method, StatusCode};
use postrider_domain::id::{DeliveryId, WebhookId};
use postrider_domain::pattern::Patterns;
use postrider_domain::problem::Problem;
use postrider_engine::catalogue::Tenant;
use postrider_engine::control::{Role, may_see_webhooks};
use postrider_engine::outbound::matcher::{self, Candidate, No, Question};
use postrider_store::{StoredDelivery, StoredEvent, WebhookVersion};
use serde::Serialize;

use super::find;
use super::view::{EVENT, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};
use crate::v1::deliveries;

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/events/{event}",
    tag: "Events",
    summary: "Read an event",
    detail: "With `outcomes`: for every webhook of the tenant its newest delivery, or the reason why the event made none. A viewer who may not see webhooks gets the event alone.",
    access: Access::Roles(&Role::ALL, Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &EVENT),
    handle: |call| Box::pin(handle(call)),
};

pub(super) static OUTCOME: Shape = Shape {
    name: "EventOutcome",
    fields: &[
        Field::new("webhookId", Kind::Text, "The webhook's id.").required(),
        Field::new("webhookName", Kind::Text, "Its name when the event was accepted.").required(),
        Field::new(
            "outcome",
            Kind::Word(&["delivery", "not_matched"]),
            "Whether the event is delivered to it.",
        )
        .required(),
        Field::new("deliveryId", Kind::Text, "The newest delivery to it."),
        Field::new("state", deliveries::STATES, "The state of that delivery."),
        Field::new("reason", Kind::Text, "Why it is in that state, or why there is none, as a stable word.")
            .required(),
        Field::new("detail", Kind::Text, "The reason in a sentence, with what to do.").required(),
    ],
};

#[derive(Serialize)]
struct WithOutcomes<'a> {
    #[serde(flatten)]
    event: View<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<deliveries::View>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcomes: Option<Vec<OutcomeView>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeView {
    webhook_id: WebhookId,
    webhook_name: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_id: Option<DeliveryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    reason: &'static str,
    detail: &'static str,
}

async fn handle(call: Call) -> Answer {
    let event = find(&call, call.path("event")).await?.ok_or_else(|| Problem::not_found("event"))?;
    let mut view = WithOutcomes { event: View::of(&event), deliveries: None, outcomes: None };
    let tenant = call.tenant();
    if may_see_webhooks(call.key().role, tenant) {
        let store = call.app.engine.store();
        let deliveries = store.deliveries_of(tenant.id, event.id).await?;
        let versions = store.webhook_versions(tenant.id, event.tenant_version).await?;
        view.outcomes = Some(outcomes(tenant, &event, &deliveries, &versions));
        view.deliveries =
            Some(deliveries.iter().map(|delivery| deliveries::View::of(tenant, delivery)).collect());
    }
    answer(StatusCode::OK, &view)
}

/// Every webhook that there was when the event was accepted, and every one that there is now, oldest first.
fn outcomes(
    tenant: &Tenant,
    event: &StoredEvent,
    deliveries: &[StoredDelivery],
    versions: &[WebhookVersion],
) -> Vec<OutcomeView> {
    let mut outcomes = Vec::new();
    for version in versions.iter().filter(|version| !version.deleted) {
        // Deliveries come oldest first; the newest tells how things stand.
        let delivery = deliveries.iter().rfind(|delivery| delivery.webhook == version.webhook);
        outcomes.push(match delivery {
            Some(delivery) => OutcomeView::delivered(tenant, version, delivery),
            None => {
                OutcomeView::missed(version.webhook, version.name.clone(), why_not(tenant, event, version))
            }
        });
    }
    for webhook in &tenant.webhooks {
        if !versions.iter().any(|version| version.webhook == webhook.id) {
            outcomes.push(OutcomeView::missed(webhook.id, webhook.name.clone(), No::NotRegisteredThen));
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

impl OutcomeView {
    fn delivered(tenant: &Tenant, version: &WebhookVersion, delivery: &StoredDelivery) -> Self {
        let reason = deliveries::reason(tenant, delivery);
        Self {
            webhook_id: version.webhook,
            webhook_name: version.name.clone(),
            outcome: "delivery",
            delivery_id: Some(delivery.id),
            state: Some(delivery.state.as_str()),
            reason: reason.as_str(),
            detail: reason.sentence(),
        }
    }

    fn missed(webhook_id: WebhookId, webhook_name: String, no: No) -> Self {
        Self {
            webhook_id,
            webhook_name,
            outcome: "not_matched",
            delivery_id: None,
            state: None,
            reason: no.as_str(),
            detail: no.sentence(),
        }
    }
}
