//! `POST /v1/scans/run`: run a tenant's scan now.

use http::{Method, StatusCode};
use postrider_engine::control::Role;
use postrider_engine::derive::scan::Scanned;
use serde::Serialize;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, BodyPresence, Call, Endpoint, Gives, JsonBody, Repeats, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/scans/run",
    tag: "Scans",
    summary: "Run a tenant's scan now",
    detail: "What has come due by now fires, templates make their records, and what waits for the tenant's next scan goes out at once. The answer comes when that is done. Running it again finds nothing, so repeating the request is safe.",
    access: Access::Roles(&[Role::Operator], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Json(JsonBody {
        shape: &NOTHING,
        example: "{}",
        bytes_max: 1024,
        presence: BodyPresence::Optional,
        repeats: Repeats::No,
    }),
    gives: Gives::Json(StatusCode::ACCEPTED, &SCAN),
    handle: |call| Box::pin(handle(call)),
};

static NOTHING: Shape = Shape { name: "ScanRun", fields: &[] };

static SCAN: Shape = Shape {
    name: "Scan",
    fields: &[
        Field::new("due", Kind::Count, "Deliveries that waited for the scan and became due.").required(),
        Field::new("looked", Kind::Count, "Due times of records that were looked at.").required(),
        Field::new("events", Kind::Count, "Events that they caused.").required(),
        Field::new("made", Kind::Count, "Records that were made from templates.").required(),
        Field::new("errors", Kind::Count, "What rules could not decide: `GET /v1/rule-errors`.").required(),
    ],
};

#[derive(Serialize)]
struct View {
    due: u64,
    looked: u64,
    events: u64,
    made: u64,
    errors: u64,
}

async fn handle(call: Call) -> Answer {
    call.fields()?;
    let (due, scanned) = call.app.engine.scan_run(call.tenant()).await?;
    let Scanned { looked, events, made, errors } = scanned;
    answer(StatusCode::ACCEPTED, &View { due, looked, events, made, errors })
}
