//! `POST /v1/events/batch`: up to 1,000 events in one transaction, each judged on its own.

use http::{Method, StatusCode};
use postrider_domain::limits::{BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::Answered;
use postrider_engine::control::Role;
use postrider_store::{EventOutcome, NewIdempotency};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Accepted, Drafted, EventBody, NEW_EVENT, explain, matched};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{
    Answer, BodyPresence, Call, Endpoint, Gives, JsonBody, Repeats, Takes, answer, answer_replayed, written,
};
use crate::problem::ProblemBody;
use crate::shape::{Field, Kind, Shape};
use crate::v1::{PROBLEM, WARNING};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/events/batch",
    tag: "Events",
    summary: "Publish up to 1,000 events",
    detail: "An item each, in order: what `POST /v1/events` would have answered. A refused item does not hold up the others; what is accepted becomes durable together.",
    access: Access::Roles(&[Role::Operator, Role::Publisher], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Json(JsonBody {
        shape: &BATCH,
        example: r#"{"events": [{"type": "order.created", "data": {"id": 17}}, {"type": "order.paid", "data": {"id": 17}}]}"#,
        bytes_max: BATCH_BODY_BYTES_MAX,
        presence: BodyPresence::Required,
        repeats: Repeats::ByKey,
    }),
    gives: Gives::Json(StatusCode::OK, &BATCH_RESULT),
    handle: |call| Box::pin(handle(call)),
};

static BATCH: Shape = Shape {
    name: "EventBatch",
    fields: &[Field::new("events", Kind::List(&Kind::Object(&NEW_EVENT)), "At most 1,000 events.").required()],
};

/// The batch without a look at its items, which answer for themselves.
static ENVELOPE: Shape = Shape {
    name: "EventBatchEnvelope",
    fields: &[Field::new("events", Kind::List(&Kind::Any), "At most 1,000 events.").required()],
};

static BATCH_RESULT: Shape = Shape {
    name: "EventBatchResult",
    fields: &[
        Field::new("data", Kind::List(&Kind::Object(&ITEM)), "An item for each event, in order.").required()
    ],
};

static ITEM: Shape = Shape {
    name: "EventBatchItem",
    fields: &[
        Field::new("status", Kind::Count, "202, or the status of the problem.").required(),
        Field::new("id", Kind::Text, "The id that was brought, or one that was made (`evt_…`)."),
        Field::new("type", Kind::Text, "What happened."),
        Field::new("matched", Kind::Count, "Deliveries that were made: webhooks that get the event."),
        Field::new("duplicate", Kind::Bool, "True when this event was here already; nothing was made."),
        Field::new("warnings", Kind::List(&Kind::Object(&WARNING)), "What is worth knowing."),
        Field::new("problem", Kind::Object(&PROBLEM), "Why the event was refused."),
    ],
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[derive(Serialize)]
struct ResultView<'a> {
    data: Vec<ItemView<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemView<'a> {
    Accepted {
        status: u16,
        #[serde(flatten)]
        accepted: Accepted<'a>,
    },
    Refused {
        status: u16,
        problem: ProblemBody,
    },
}

async fn handle(call: Call) -> Answer {
    let tenant = call.tenant();
    let mut drafts = Vec::new();
    let mut items = Vec::new();
    for event in read(&call.body)? {
        match EventBody::read(event.get().as_bytes()).and_then(|event| event.draft(tenant)) {
            Ok(draft) => {
                items.push(Ok(Drafted::of(&draft)));
                drafts.push(draft);
            }
            Err(problem) => items.push(Err(problem)),
        }
    }
    if drafts.is_empty() {
        return answer(StatusCode::OK, &result(&items, &[]));
    }
    let kept = call.idem.as_ref().map(|idem| {
        let counts: Vec<usize> = drafts.iter().map(|draft| matched(tenant, draft)).collect();
        let items = items.clone();
        let write = move |outcomes: &[EventOutcome]| {
            let ends: Vec<_> = outcomes.iter().copied().zip(counts.iter().copied()).collect();
            written(&result(&items, &ends))
        };
        NewIdempotency {
            scope: idem.scope,
            key: idem.key.clone(),
            fingerprint: idem.fingerprint,
            answer: Box::new(write),
        }
    });
    match call.app.engine.publish_drafts(tenant, drafts, kept).await? {
        Answered::Fresh(published) => {
            let ends: Vec<_> = published.iter().map(|event| (event.outcome, event.matched)).collect();
            answer(StatusCode::OK, &result(&items, &ends))
        }
        Answered::Replayed(stored) => answer_replayed(StatusCode::OK, stored),
    }
}

fn read(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(body).map_err(|error| explain(&ENVELOPE, body, &error))?;
    if envelope.events.len() > BATCH_EVENTS_MAX {
        let detail = format!(
            "A batch has at most {BATCH_EVENTS_MAX} events; this one has {}. Send them in several.",
            envelope.events.len()
        );
        return Err(Problem::at(Code::TooManyItems, "events", detail));
    }
    Ok(envelope.events)
}

/// `items` as they were sent, and what became of those that were not refused before: in the same order.
fn result<'a>(items: &'a [Result<Drafted, Problem>], ends: &[(EventOutcome, usize)]) -> ResultView<'a> {
    let mut ends = ends.iter();
    let mut data = Vec::with_capacity(items.len());
    for item in items {
        let told = match item {
            Ok(drafted) => {
                let (outcome, matched) = ends.next().expect("because every draft becomes an event");
                drafted.answer(*outcome, *matched)
            }
            Err(problem) => Err(problem.clone()),
        };
        data.push(match told {
            Ok(accepted) => ItemView::Accepted { status: StatusCode::ACCEPTED.as_u16(), accepted },
            Err(problem) => {
                ItemView::Refused { status: problem.code.status(), problem: ProblemBody::of(problem) }
            }
        });
    }
    ResultView { data }
}
