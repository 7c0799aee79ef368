//! An event as it is read back.

use postrider_domain::time::Timestamp;
use postrider_store::StoredEvent;
use serde::Serialize;
use serde_json::value::RawValue;

use super::get::OUTCOME;
use crate::shape::{Field, Kind, Shape};
use crate::v1::deliveries::DELIVERY;

pub(crate) static EVENT: Shape = Shape {
    name: "Event",
    fields: &[
        Field::new("id", Kind::Text, "The id that was brought, or one that was made (`evt_…`).").required(),
        Field::new("type", Kind::Text, "What happened.").required(),
        Field::new(
            "kind",
            Kind::Word(&["normal", "test", "operational"]),
            "Operational: made by Postrider about its own work.",
        )
        .required(),
        Field::new("time", Kind::Time, "When it happened.").required(),
        Field::new("acceptedAt", Kind::Time, "When it was accepted.").required(),
        Field::new("data", Kind::Any, "As it was sent.").required(),
        Field::new(
            "deliveries",
            Kind::List(&Kind::Object(&DELIVERY)),
            "Where one event is read: what was made of it.",
        ),
        Field::new(
            "outcomes",
            Kind::List(&Kind::Object(&OUTCOME)),
            "Where one event is read: every webhook, with its delivery or the reason why it has none.",
        ),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    id: String,
    r#type: &'a str,
    kind: &'static str,
    time: Timestamp,
    accepted_at: Timestamp,
    /// The bytes that are stored: a reader would change numbers and the order of names.
    data: &'a RawValue,
}

impl<'a> View<'a> {
    pub(crate) fn of(event: &'a StoredEvent) -> Self {
        // What is stored was compact JSON when it was accepted.
        let data = serde_json::from_slice(&event.data).unwrap_or(RawValue::NULL);
        let external_id = event.external_id.clone();
        Self {
            id: external_id.unwrap_or_else(|| event.id.to_string()),
            r#type: &event.event_type,
            kind: event.kind.as_str(),
            time: event.time,
            accepted_at: event.accepted,
            data,
        }
    }
}
