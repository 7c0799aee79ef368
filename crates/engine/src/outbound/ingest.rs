//! What a publisher sent, checked: bounds, type, schema, and that the tenant's profile can write it. Pure but for logs.

use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::event::{self, EventKind, OPERATIONAL_TYPES};
use postrider_domain::json::{self, JsonError};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_domain::profile::{EventType, SchemaMode};
use postrider_domain::time::Timestamp;

use crate::catalogue::Tenant;

/// A type registered by API in an open catalogue: the same shape as one of a profile.
pub type RegisteredType = EventType;

/// An event as its publisher sent it.
#[derive(Debug, Clone)]
pub struct Publication<'a> {
    /// The publisher's own id: publishing it again with the same content is the same event.
    pub id: Option<&'a str>,
    pub event_type: &'a str,
    /// When it happened; now, when absent.
    pub time: Option<Timestamp>,
    /// Any JSON value, as text.
    pub data: &'a str,
    /// How many events led to this one.
    pub depth: u8,
}

/// An event that may be accepted.
#[derive(Debug, Clone)]
pub struct Draft {
    pub external_id: Option<String>,
    pub kind: EventKind,
    pub event_type: Arc<str>,
    /// `None`: the moment of acceptance.
    pub time: Option<Timestamp>,
    /// Compact JSON.
    pub data: Bytes,
    pub depth: u8,
    pub warnings: Vec<Warning>,
}

impl Draft {
    /// An event about Postrider's own work. `data` is ours and needs no check.
    pub fn operational(event_type: &str, time: Timestamp, data: serde_json::Value, depth: u8) -> Self {
        Self {
            external_id: None,
            kind: EventKind::Operational,
            event_type: event_type.into(),
            time: Some(time),
            data: Bytes::from(data.to_string()),
            depth,
            warnings: Vec::new(),
        }
    }
}

/// Checks one publication against the tenant's catalogue and profile.
pub fn check(tenant: &Tenant, publication: &Publication<'_>, kind: EventKind) -> Result<Draft, Problem> {
    if !tenant.plan_has_webhooks() {
        return Err(plan_problem(tenant));
    }
    if let Some(id) = publication.id {
        check_caller_id("id", id)?;
    }
    if publication.depth > limits::EVENT_DEPTH_MAX {
        return Err(Problem::new(
            Code::EventLoop,
            format!(
                "This event follows from {} others in a row; the bound is {}. Look for a workflow that reacts to its own events.",
                publication.depth,
                limits::EVENT_DEPTH_MAX
            ),
        ));
    }
    let known = check_type(tenant, publication.event_type)?;
    let data = compact_data(publication.data)?;
    tenant.profile().check_data(publication.event_type, &data)?;
    let warnings = match known {
        Some(known) => check_schema(tenant, known, &data)?,
        None => Vec::new(),
    };
    Ok(Draft {
        external_id: publication.id.map(str::to_owned),
        kind,
        event_type: publication.event_type.into(),
        time: publication.time,
        data: Bytes::from(data),
        depth: publication.depth,
        warnings,
    })
}

/// The refusal for a tenant whose plan does not include webhooks.
pub fn plan_problem(tenant: &Tenant) -> Problem {
    let plans = tenant.profile().access.plans.as_deref().unwrap_or_default().join(", ");
    let plan = tenant.plan.as_deref().unwrap_or("none");
    Problem::new(
        Code::PlanExcludesWebhooks,
        format!(
            "Webhooks need one of these plans: {plans}. The tenant's plan is: {plan}. Change the plan first."
        ),
    )
}

/// Ids that callers bring stand in headers and signed strings: letters, digits, `_`, `-`, `:`, no dots.
pub fn check_caller_id(field: &str, id: &str) -> Result<(), Problem> {
    let fits = (1..=limits::CALLER_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':'));
    if fits {
        return Ok(());
    }
    Err(Problem::at(
        Code::InvalidField,
        field,
        format!("An id has 1 to {} characters of A-Z a-z 0-9 _ - and colon.", limits::CALLER_ID_BYTES_MAX),
    ))
}

/// The type's entry in the catalogue; `None` for one that an open catalogue does not know and takes all the same.
fn check_type<'t>(tenant: &'t Tenant, event_type: &str) -> Result<Option<&'t EventType>, Problem> {
    if !event::is_event_type(event_type) {
        return Err(Problem::at(
            Code::InvalidField,
            "type",
            "An event type is dotted segments of A-Z a-z 0-9 _ and -, such as order.created.",
        ));
    }
    if OPERATIONAL_TYPES.contains(&event_type) {
        return Err(Problem::at(
            Code::UnknownEventType,
            "type",
            format!("{event_type} is made by Postrider itself and cannot be published."),
        ));
    }
    let catalogue = &tenant.profile().catalogue;
    if let Some(known) = catalogue.get(event_type) {
        let exposed = tenant.settings.exposed_event_types.as_ref();
        if exposed.is_some_and(|exposed| !exposed.iter().any(|name| name == event_type)) {
            return Err(Problem::at(
                Code::EventTypeNotExposed,
                "type",
                format!(
                    "{event_type} is not among the event types that this tenant exposes (settings.exposedEventTypes)."
                ),
            ));
        }
        return Ok(Some(known));
    }
    if let Some(registered) = tenant.types.get(event_type) {
        return Ok(Some(registered));
    }
    if catalogue.open && !tenant.settings.strict_event_types {
        return Ok(None);
    }
    let what_to_do = if catalogue.open {
        "Register it first, or switch settings.strictEventTypes off."
    } else {
        "GET /v1/event-types lists the types of the tenant's profile."
    };
    Err(Problem::at(
        Code::UnknownEventType,
        "type",
        format!("{event_type} is not a known event type. {what_to_do}"),
    ))
}

fn compact_data(raw: &str) -> Result<Vec<u8>, Problem> {
    if raw.len() > limits::EVENT_DATA_BYTES_MAX {
        return Err(Problem::at(
            Code::BodyTooLarge,
            "data",
            format!(
                "The data has {} bytes; an event carries at most {}. Send a reference to the rest.",
                raw.len(),
                limits::EVENT_DATA_BYTES_MAX
            ),
        ));
    }
    json::compact(raw, limits::JSON_DEPTH_MAX).map_err(|error| match error {
        JsonError::TooDeep { .. } => Problem::at(
            Code::InvalidField,
            "data",
            format!("The data is nested more than {} levels deep.", limits::JSON_DEPTH_MAX),
        ),
        error => Problem::at(Code::MalformedJson, "data", format!("The data is not JSON: {error}.")),
    })
}

fn check_schema(tenant: &Tenant, known: &EventType, data: &[u8]) -> Result<Vec<Warning>, Problem> {
    let mode = tenant.schema_mode();
    let Some(schema) = known.schema.as_ref().filter(|_| mode != SchemaMode::Off) else {
        return Ok(Vec::new());
    };
    let value: serde_json::Value = serde_json::from_slice(data).map_err(|error| {
        Problem::at(Code::MalformedJson, "data", format!("The data is not JSON: {error}."))
    })?;
    let Err(issues) = schema.validate(&value) else { return Ok(Vec::new()) };
    let first =
        issues.first().map(|issue| format!("data{}: {}", issue.path, issue.message)).unwrap_or_default();
    let detail = match issues.len() {
        0 | 1 => first,
        many => format!("{first} (and {} more)", many - 1),
    };
    match mode {
        SchemaMode::Reject => Err(Problem::at(
            Code::SchemaViolation,
            "data",
            format!(
                "The data does not follow the schema of {}: {detail}. GET /v1/event-types shows the schema.",
                known.name
            ),
        )),
        SchemaMode::Warn | SchemaMode::Off => {
            tracing::debug!(tenant = %tenant.public_id, event_type = %known.name, "event.schema_warning");
            Ok(vec![Warning { code: "schema_violation", detail }])
        }
    }
}
