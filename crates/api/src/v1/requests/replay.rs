//! `POST /v1/requests/{request}/replay`: start a run from a stored request.

use http::{Method, StatusCode};
use postrider_domain::id::RequestId;
use postrider_engine::control::Role;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::shape::Shape;
use crate::v1::runs::{STARTED, answer_begun, keep};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/requests/{request}/replay",
    tag: "Requests",
    summary: "Replay a request",
    detail: "Starts a run with the request's body, whatever its verification, dedup and filter said. Of a refused request with a long body only the beginning is kept: that cannot be replayed.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating_or_empty(&NOTHING, "{}"),
    gives: Gives::Json(StatusCode::ACCEPTED, &STARTED),
    handle: |call| Box::pin(handle(call)),
};

static NOTHING: Shape = Shape { name: "RequestReplay", fields: &[] };

async fn handle(call: Call) -> Answer {
    call.fields()?;
    let id = call.id("request", "request", RequestId::parse)?;
    let inbound = call.app.engine.inbound();
    answer_begun(inbound.request_replay(call.tenant(), id, keep(&call.idem)).await?)
}
