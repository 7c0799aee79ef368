//! `GET /v1/events/{event}`: one event, and what became of it at every webhook.

use http::{Method, StatusCode};
use postrider_domain::id::{DeliveryId, WebhookId};
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;
use postrider_engine::outbound::explain::Outcome;
use serde::Serialize;

use super::find;
use super::view::{EVENT, View};
use crate::auth::{Access, Gate, Scope, may_see_webhooks};
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
    if may_see_webhooks(call.key(), tenant) {
        let explained = call.app.engine.explain(tenant, &event).await?;
        let views = explained.deliveries.iter().map(|delivery| deliveries::View::of(tenant, delivery));
        view.deliveries = Some(views.collect());
        view.outcomes = Some(explained.outcomes.into_iter().map(OutcomeView::of).collect());
    }
    answer(StatusCode::OK, &view)
}

impl OutcomeView {
    fn of(outcome: Outcome) -> Self {
        Self {
            webhook_id: outcome.webhook,
            webhook_name: outcome.webhook_name,
            outcome: if outcome.delivery.is_some() { "delivery" } else { "not_matched" },
            delivery_id: outcome.delivery.as_ref().map(|delivery| delivery.id),
            state: outcome.delivery.as_ref().map(|delivery| delivery.state.as_str()),
            reason: outcome.why.as_str(),
            detail: outcome.why.sentence(),
        }
    }
}
