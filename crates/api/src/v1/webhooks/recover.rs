//! `POST /v1/webhooks/{webhook}/recover`: send again what failed in a time range.

use http::{Method, StatusCode};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::Role;

use super::in_path;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::shape::{Field, Kind, Shape};
use crate::v1::jobs::{JOB, View};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/webhooks/{webhook}/recover",
    tag: "Webhooks",
    summary: "Send again what failed",
    detail: "Every event whose delivery to this webhook failed in the range gets a new delivery. The answer is a job with its progress.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::creating(&RECOVERY, r#"{"from": "2026-01-31T00:00:00Z", "until": "2026-02-01T00:00:00Z"}"#),
    gives: Gives::Json(StatusCode::ACCEPTED, &JOB),
    handle: |call| Box::pin(handle(call)),
};

static RECOVERY: Shape = Shape {
    name: "Recovery",
    fields: &[
        Field::new("from", Kind::Time, "The start of the range.").required(),
        Field::new("until", Kind::Time, "The end of the range, not included; now when absent."),
    ],
};

async fn handle(call: Call) -> Answer {
    let webhook = in_path(&call)?;
    let mut fields = call.fields()?;
    let from = fields.time("from").unwrap_or_default();
    let until = fields.time("until").unwrap_or_else(|| call.app.engine.clock().now());
    if from >= until {
        return Err(Problem::at(Code::InvalidField, "until", "The range must end after it begins.").into());
    }
    let again = repeatable(&call.idem, &|job| written(&View::of(job)));
    let control = &call.app.engine.control();
    let created = control.recover(&call.actor(), call.tenant(), webhook.id, from, until, again).await?;
    answer_created(StatusCode::ACCEPTED, created, |job| written(&View::of(job)))
}
