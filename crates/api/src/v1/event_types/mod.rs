//! `/v1/event-types`: what a tenant's events can be, with schema and example.

pub(crate) mod archive;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod put;

use postrider_domain::profile::EventType;
use postrider_engine::catalogue::Tenant;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::shape::{Field, Kind, Shape};

pub(crate) static EVENT_TYPE: Shape = Shape {
    name: "EventType",
    fields: &[
        Field::new("type", Kind::Text, "As events carry it.").required(),
        Field::new("family", Kind::Text, "What it belongs to.").required(),
        Field::new("description", Kind::Text, "When it happens.").required(),
        Field::new("schema", Kind::Any, "JSON Schema of the data.").required().nullable(),
        Field::new("example", Kind::Any, "The data of an example event; test events send it.").required(),
        Field::new(
            "origin",
            Kind::Word(&["profile", "registered", "operational"]),
            "Whether the profile brings it, it was registered by API, or Postrider makes it about its own work.",
        )
        .required(),
        Field::new("exposed", Kind::Bool, "False: left out by `settings.exposedEventTypes`.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    r#type: &'a str,
    family: &'a str,
    description: &'a str,
    /// As it was written: schemas may hold numbers that a reader would change.
    schema: Option<Box<RawValue>>,
    example: &'a Value,
    origin: &'static str,
    exposed: bool,
}

/// All types of a tenant: the profile's in its order, then the registered ones by name, then the operational ones.
pub(crate) fn views(tenant: &Tenant) -> Vec<View<'_>> {
    let catalogue = &tenant.profile().catalogue;
    let exposed = |event_type: &EventType| {
        let exposed = tenant.settings.exposed_event_types.as_ref();
        exposed.is_none_or(|exposed| exposed.contains(&event_type.name))
    };
    let mut registered: Vec<&EventType> = tenant.types.values().map(|registered| &**registered).collect();
    registered.sort_by(|a, b| a.name.cmp(&b.name));
    let mut views: Vec<View<'_>> = Vec::new();
    views.extend(catalogue.types.iter().map(|known| View::of(known, "profile", exposed(known))));
    views.extend(registered.into_iter().map(|known| View::of(known, "registered", true)));
    views.extend(catalogue.operational.iter().map(|known| View::of(known, "operational", true)));
    views
}

impl<'a> View<'a> {
    fn of(event_type: &'a EventType, origin: &'static str, exposed: bool) -> Self {
        let schema = event_type.schema.as_ref();
        Self {
            r#type: &event_type.name,
            family: &event_type.family,
            description: &event_type.description,
            schema: schema.and_then(|schema| RawValue::from_string(schema.text.clone()).ok()),
            example: &event_type.example,
            origin,
            exposed,
        }
    }

    pub(crate) fn find(tenant: &'a Tenant, name: &str) -> Option<Self> {
        views(tenant).into_iter().find(|view| view.r#type == name)
    }
}
