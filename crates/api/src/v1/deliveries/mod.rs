//! `/v1/deliveries`: one event to one webhook, and every request that was made for it.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod resend;
pub(crate) mod retry;
pub(crate) mod retry_many;

use postrider_domain::delivery::DeliveryState;
use postrider_domain::id::{DeliveryId, WebhookId};
use postrider_domain::time::Timestamp;
use postrider_engine::catalogue::Tenant;
use postrider_engine::outbound::explain::reason;
use postrider_store::StoredDelivery;
use serde::Serialize;

use crate::shape::{Field, Kind, Shape};

/// The words for `DeliveryState`.
pub(crate) const STATES: Kind = Kind::Word(&["scheduled", "sending", "delivered", "failed", "cancelled"]);

pub(crate) static DELIVERY: Shape = Shape {
    name: "Delivery",
    fields: &[
        Field::new("id", Kind::Text, "`dlv_…`").required(),
        Field::new("eventId", Kind::Text, "The event's id.").required(),
        Field::new("eventType", Kind::Text, "What happened.").required(),
        Field::new("webhookId", Kind::Text, "The webhook's id.").required(),
        Field::new(
            "kind",
            Kind::Word(&["normal", "test", "replay"]),
            "Replay: a retry by hand, or a recovery.",
        )
        .required(),
        Field::new("state", STATES, "The last three are final.").required(),
        Field::new("reason", Kind::Text, "Why it is in this state, as a stable word.").required(),
        Field::new("detail", Kind::Text, "The reason in a sentence, with what to do.").required(),
        Field::new("attemptCount", Kind::Count, "Requests that were begun.").required(),
        Field::new("lastStatus", Kind::Count, "The HTTP status of the last answer.").required().nullable(),
        Field::new("lastClass", Kind::Text, "What the last attempt came to.").required().nullable(),
        Field::new("createdAt", Kind::Time, "When it was made.").required(),
        Field::new("nextAttemptAt", Kind::Time, "When it is sent next.").required().nullable(),
        Field::new("endedAt", Kind::Time, "When it came to its final state.").required().nullable(),
        Field::new(
            "sentTo",
            Kind::Text,
            "Where it went by hand instead of to its webhook, where one delivery is read.",
        ),
        Field::new(
            "attempts",
            Kind::List(&Kind::Object(&get::ATTEMPT)),
            "Its requests, oldest first, where one delivery is read.",
        ),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    id: DeliveryId,
    event_id: String,
    event_type: String,
    pub(crate) webhook_id: WebhookId,
    kind: &'static str,
    pub(crate) state: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) detail: &'static str,
    attempt_count: u32,
    last_status: Option<u16>,
    last_class: Option<&'static str>,
    created_at: Timestamp,
    next_attempt_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl View {
    pub(crate) fn of(tenant: &Tenant, delivery: &StoredDelivery) -> Self {
        let reason = reason(tenant, delivery);
        let external_id = delivery.external_id.clone();
        Self {
            id: delivery.id,
            event_id: external_id.unwrap_or_else(|| delivery.event.to_string()),
            event_type: delivery.event_type.to_string(),
            webhook_id: delivery.webhook,
            kind: delivery.kind.as_str(),
            state: delivery.state.as_str(),
            reason: reason.as_str(),
            detail: reason.sentence(),
            attempt_count: delivery.attempts,
            last_status: delivery.last_status,
            last_class: delivery.last_class.map(|class| class.as_str()),
            created_at: delivery.created,
            next_attempt_at: delivery.due.filter(|_| delivery.state == DeliveryState::Scheduled),
            ended_at: delivery.settled,
        }
    }
}
