//! `POST /v1/records/{kind}/batch`: changes of records, in one transaction.

use http::{Method, StatusCode};
use postrider_domain::limits::{BATCH_BODY_BYTES_MAX, RECORDS_BATCH_MAX};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::Role;
use postrider_engine::derive::records::{Batch, Change, Events, Keep, Report, Written};
use postrider_store::NewIdempotency;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::line::{self, CHANGE, ITEM, ItemView};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{
    Answer, BodyPresence, Call, Endpoint, Gives, JsonBody, Repeats, Takes, answer_bytes, answer_replayed,
    written,
};
use crate::json::malformed;
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/records/{kind}/batch",
    tag: "Records",
    summary: "Change up to 500 records",
    detail: "An item each, in order, in one transaction with all that follows. A refused change changes nothing and does not hold up the others. A record may be changed several times: each change is judged after the one before. With an idempotency key the answer does not name the events.",
    access: Access::Roles(&[Role::Operator, Role::Publisher], Scope::Records),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Json(JsonBody {
        shape: &BATCH,
        example: r#"{"changes": [{"id": "p-1", "data": {"name": "bolt", "quantity": 4, "threshold": 5}}, {"id": "p-2", "deleted": true}]}"#,
        bytes_max: BATCH_BODY_BYTES_MAX,
        presence: BodyPresence::Required,
        repeats: Repeats::ByKey,
    }),
    gives: Gives::Json(StatusCode::OK, &RESULT),
    handle: |call| Box::pin(handle(call)),
};

static BATCH: Shape = Shape {
    name: "RecordBatch",
    fields: &[Field::new("changes", Kind::List(&Kind::Object(&CHANGE)), "At most 500 changes.").required()],
};

/// The batch without a look at its items, which answer for themselves.
static ENVELOPE: Shape = Shape {
    name: "RecordBatchEnvelope",
    fields: &[Field::new("changes", Kind::List(&Kind::Any), "At most 500 changes.").required()],
};

static RESULT: Shape = Shape {
    name: "RecordBatchResult",
    fields: &[
        Field::new("data", Kind::List(&Kind::Object(&ITEM)), "An item for each change, in order.").required()
    ],
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
}

#[derive(Serialize)]
struct ResultView<'a> {
    data: Vec<ItemView<'a>>,
}

/// An item as it was sent: its id, and why it is refused, unless it goes on.
type Sent = (Option<String>, Option<Problem>);

async fn handle(call: Call) -> Answer {
    let place = call.records()?;
    let (mut sent, mut changes): (Vec<Sent>, Vec<Change>) = (Vec::new(), Vec::new());
    for change in read(&call.body)? {
        let (id, change) = line::read(change.get().as_bytes());
        sent.push((id, change.as_ref().err().cloned()));
        changes.extend(change);
    }
    let kept = sent.clone();
    let keep = call.idem.clone().map(|idem| {
        move |report: &Report| {
            let answer = shown(&kept, report.clone());
            NewIdempotency {
                scope: idem.scope,
                key: idem.key.clone(),
                fingerprint: idem.fingerprint,
                answer: Box::new(move |_| answer.clone()),
            }
        }
    });
    let keep = keep.as_ref().map(|keep| keep as Keep<'_>);
    let with_key = keep.is_some();
    match call.app.engine.derive().records_change(&place, changes, Events::Fire, keep).await? {
        Batch::Done(mut report) => {
            // The same answer as a repetition gets.
            for written in report.iter_mut().flatten().filter(|_| with_key) {
                written.events.clear();
            }
            answer_bytes(StatusCode::OK, shown(&sent, report))
        }
        Batch::Replayed(stored) => answer_replayed(StatusCode::OK, stored),
    }
}

/// What was sent, and what became of what went on: in the same order.
fn shown(sent: &[Sent], report: Report) -> Vec<u8> {
    let mut report = report.into_iter();
    let items: Vec<(Option<&str>, Result<Written, Problem>)> = sent
        .iter()
        .map(|(id, refused)| {
            let made = match refused {
                Some(problem) => Err(problem.clone()),
                None => report.next().expect("because every change is reported"),
            };
            (id.as_deref(), made)
        })
        .collect();
    written(&ResultView { data: items.iter().map(|(id, made)| ItemView::of(None, *id, made)).collect() })
}

fn read(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    let envelope: Envelope<'_> = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(error) => {
            let value = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
            return Err(ENVELOPE.check(&value, "").err().unwrap_or_else(|| malformed(&error)));
        }
    };
    if envelope.changes.len() > RECORDS_BATCH_MAX {
        let detail = format!(
            "A batch has at most {RECORDS_BATCH_MAX} changes; this one has {}. Send them in several, or as an import.",
            envelope.changes.len()
        );
        return Err(Problem::at(Code::TooManyItems, "changes", detail));
    }
    Ok(envelope.changes)
}
