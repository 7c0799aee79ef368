//! `POST /v1/webhooks/{webhook}/test`: send a test event to one webhook, also when that is off.

use http::{Method, StatusCode};
use postrider_domain::id::{DeliveryId, EventId, WebhookId};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::EventType;
use postrider_engine::Answered;
use postrider_engine::catalogue::Tenant;
use postrider_engine::control::{Idem, Role};
use postrider_engine::outbound::ingest::Publication;
use postrider_store::{EventOutcome, NewIdempotency};
use serde::Serialize;

use super::in_path;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/webhooks/{webhook}/test",
    tag: "Webhooks",
    summary: "Send a test event",
    detail: "Goes to this webhook only, also when it is off, flagged as a test, and counts in no statistic.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::creating_or_empty(&TEST, r#"{"type": "order.created"}"#),
    gives: Gives::Json(StatusCode::ACCEPTED, &TESTED),
    handle: |call| Box::pin(handle(call)),
};

static TEST: Shape = Shape {
    name: "WebhookTest",
    fields: &[
        Field::new(
            "type",
            Kind::Text,
            "An event type; the first that the webhook's patterns match when absent.",
        ),
        Field::new("data", Kind::Any, "The event's data; the type's example when absent."),
    ],
};

static TESTED: Shape = Shape {
    name: "WebhookTested",
    fields: &[
        Field::new("id", Kind::Text, "The test event's id (`evt_…`).").required(),
        Field::new("type", Kind::Text, "The event's type.").required(),
        Field::new("webhookId", Kind::Text, "The webhook that it goes to.").required(),
        Field::new("deliveryId", Kind::Text, "Where to see what came of it.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: EventId,
    r#type: String,
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
}

async fn handle(call: Call) -> Answer {
    let webhook = in_path(&call)?;
    let tenant = call.tenant();
    let mut fields = call.fields()?;
    let given_type = fields.text("type");
    let given_data = fields.any("data").map(|data| data.to_string());
    let known = match &given_type {
        Some(name) => types(tenant).find(|known| known.name == *name),
        None => types(tenant).find(|known| webhook.patterns.matches(&known.name)),
    };
    let event_type = given_type.as_deref().or(known.map(|known| known.name.as_str())).ok_or_else(|| {
        Problem::at(
            Code::MissingField,
            "type",
            "The tenant has no event type that this webhook listens to. Name one.",
        )
    })?;
    let example = known.map(|known| String::from_utf8_lossy(&known.example_json).into_owned());
    let data = given_data.or(example).unwrap_or_else(|| "{}".to_owned());
    let publication = Publication { id: None, event_type, time: None, data: &data, depth: 0 };
    let engine = &call.app.engine;
    let event =
        match engine.publish_test(tenant, &webhook, &publication, call.idem.as_ref().map(keep)).await? {
            Answered::Fresh(published) => published.event.id,
            Answered::Replayed(id) => {
                id.try_into().map(EventId::from_bytes).map_err(|_| Problem::not_found("event"))?
            }
        };
    let deliveries = engine.store().deliveries_of(tenant.id, event).await?;
    let delivery = deliveries.first().ok_or_else(|| Problem::not_found("event"))?;
    let view =
        View { id: event, r#type: event_type.to_owned(), webhook_id: webhook.id, delivery_id: delivery.id };
    answer(StatusCode::ACCEPTED, &view)
}

/// What a tenant's events can be: what its profile brings, then what was registered.
fn types(tenant: &Tenant) -> impl Iterator<Item = &EventType> {
    tenant.profile().catalogue.types.iter().chain(tenant.types.values().map(|registered| &**registered))
}

/// The id of the test event is all that a repetition needs.
fn keep(idem: &Idem) -> NewIdempotency {
    let write = |outcomes: &[EventOutcome]| match outcomes.first() {
        Some(EventOutcome::New(id) | EventOutcome::Same(id)) => id.as_bytes().to_vec(),
        Some(EventOutcome::Different) | None => Vec::new(),
    };
    NewIdempotency {
        scope: idem.scope,
        key: idem.key.clone(),
        fingerprint: idem.fingerprint,
        answer: Box::new(write),
    }
}
