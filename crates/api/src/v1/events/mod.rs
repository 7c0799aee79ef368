//! `/v1/events`: what happened, accepted once and kept with its fate.

pub(crate) mod batch;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod preview;
pub(crate) mod publish;
mod view;

use std::borrow::Cow;
use std::sync::Arc;

use postrider_domain::event::EventKind;
use postrider_domain::id::EventId;
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_domain::time::Timestamp;
use postrider_engine::catalogue::Tenant;
use postrider_engine::outbound::ingest::{self, Draft, Publication};
use postrider_engine::outbound::matcher::{self, Candidate, Question};
use postrider_store::{EventOutcome, StoreError, StoredEvent};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::endpoint::Call;
use crate::json::malformed;
use crate::shape::{Field, Kind, Shape};
use crate::v1::WARNING;

pub(crate) static NEW_EVENT: Shape = Shape {
    name: "NewEvent",
    fields: &[
        Field::new("id", Kind::Text, "Your own id: 1 to 128 of `A-Z a-z 0-9 _ - :`. The same id with the same content is the same event; with other content it is refused.").nullable(),
        Field::new("type", Kind::Text, "What happened, see `/v1/event-types`.").required(),
        Field::new("time", Kind::Time, "When it happened; now when absent.").nullable(),
        Field::new("data", Kind::Any, "Anything, at most 256 KiB; delivered as it is sent.").required(),
    ],
};

pub(crate) static ACCEPTED: Shape = Shape {
    name: "EventAccepted",
    fields: &[
        Field::new("id", Kind::Text, "The id that was brought, or one that was made (`evt_…`).").required(),
        Field::new("type", Kind::Text, "What happened.").required(),
        Field::new("matched", Kind::Count, "Deliveries that were made: webhooks that get the event."),
        Field::new("duplicate", Kind::Bool, "True when this event was here already; nothing was made."),
        Field::new("warnings", Kind::List(&Kind::Object(&WARNING)), "What is worth knowing."),
    ],
};

/// An event as it is published. Read without a copy of its data; a field that is null counts as absent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBody<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(default)]
    time: Option<Timestamp>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A string, borrowed unless it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> EventBody<'a> {
    fn read(json: &'a [u8]) -> Result<Self, Problem> {
        serde_json::from_slice(json).map_err(|error| explain(&NEW_EVENT, json, &error))
    }

    fn draft(&self, tenant: &Tenant) -> Result<Draft, Problem> {
        ingest::check(tenant, &self.publication(), EventKind::Normal)
    }

    fn publication(&self) -> Publication<'_> {
        Publication {
            id: self.id.as_ref().map(|id| &*id.0),
            event_type: &self.r#type.0,
            time: self.time,
            data: self.data.get(),
            depth: 0,
        }
    }
}

/// Why the quick reader refused a body: the slow one knows fields and places.
fn explain(shape: &Shape, json: &[u8], error: &serde_json::Error) -> Problem {
    match serde_json::from_slice(json) {
        Err(error) => malformed(&error),
        // What the slow reader lets pass is JSON that says something twice.
        Ok(value) => shape.check(&value, "").err().unwrap_or_else(|| malformed(error)),
    }
}

/// What is known of an event before it is stored, to answer with afterwards.
#[derive(Clone)]
struct Drafted {
    external_id: Option<String>,
    event_type: Arc<str>,
    warnings: Vec<Warning>,
}

/// The answer for one event. Omits what says nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    id: Cow<'a, str>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<usize>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [Warning],
}

impl Drafted {
    fn of(draft: &Draft) -> Self {
        Self {
            external_id: draft.external_id.clone(),
            event_type: draft.event_type.clone(),
            warnings: draft.warnings.clone(),
        }
    }

    /// `matched`: deliveries that were made, where the event is new.
    fn answer(&self, outcome: EventOutcome, matched: usize) -> Result<Accepted<'_>, Problem> {
        let (id, duplicate) = match outcome {
            EventOutcome::New(id) => (id, false),
            EventOutcome::Same(id) => (id, true),
            EventOutcome::Different => return Err(self.id_taken()),
        };
        Ok(Accepted {
            id: self.external_id.as_deref().map_or_else(|| Cow::Owned(id.to_string()), Cow::Borrowed),
            r#type: &self.event_type,
            matched: (!duplicate).then_some(matched),
            duplicate,
            warnings: &self.warnings,
        })
    }

    fn id_taken(&self) -> Problem {
        let id = self.external_id.as_deref().unwrap_or_default();
        Problem::at(
            Code::IdTaken,
            "id",
            format!("An event `{id}` with other content was accepted before. Give a new event a new id."),
        )
    }
}

/// An event of the caller's tenant, by the id that its publisher brought or by the one that was made for it.
async fn find(call: &Call, id: &str) -> Result<Option<StoredEvent>, StoreError> {
    let store = call.app.engine.store();
    let tenant = call.tenant().id;
    if let Some(event) = store.event_find(tenant, id).await? {
        return Ok(Some(event));
    }
    match EventId::parse(id) {
        // An event that brought its own id is known by that one only.
        Ok(id) => Ok(store.event_get(tenant, id).await?.filter(|event| event.external_id.is_none())),
        Err(_) => Ok(None),
    }
}

/// How many deliveries a draft will make: the answer that an idempotency key keeps is written inside the commit, where
/// nobody counts them.
fn matched(tenant: &Tenant, draft: &Draft) -> usize {
    let mode = tenant.delivery_mode();
    let question = Question { kind: draft.kind, event_type: &draft.event_type, mode };
    let candidates = tenant.webhooks.iter();
    candidates
        .map(|webhook| Candidate { patterns: &webhook.patterns, enabled: webhook.enabled })
        .filter(|candidate| matcher::interested(question, *candidate).is_ok())
        .count()
}
