//! `GET /v1/requests/{request}`: one request with its body.

use http::{Method, StatusCode};
use postrider_domain::id::RequestId;
use postrider_engine::control::Role;

use super::{REQUEST, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/requests/{request}",
    tag: "Requests",
    summary: "Show a request",
    detail: "With its body: as `body` where it is text, otherwise as `bodyBase64`.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &REQUEST),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let id = call.id("request", "request", RequestId::parse)?;
    let row = call.app.engine.inbound().request_get(call.tenant(), id).await?;
    answer(StatusCode::OK, &View::of(row))
}
