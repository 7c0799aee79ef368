//! `POST /v1/scans/run`: run a tenant's scan now.

use http::{Method, StatusCode};
use postrider_engine::control::Role;
use serde::Serialize;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, BodyPresence, Call, Endpoint, Gives, JsonBody, Repeats, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/scans/run",
    tag: "Scans",
    summary: "Run a tenant's scan now",
    detail: "What waits for the tenant's next scan becomes due at once. Running it again finds nothing that waits, so repeating the request is safe.",
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
    fields: &[Field::new("due", Kind::Count, "Deliveries that became due.").required()],
};

#[derive(Serialize)]
struct View {
    due: u64,
}

async fn handle(call: Call) -> Answer {
    call.fields()?;
    let due = call.app.engine.scan_run(call.tenant()).await?;
    answer(StatusCode::ACCEPTED, &View { due })
}
