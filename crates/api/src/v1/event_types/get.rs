//! `GET /v1/event-types/{type}`: one event type.

use http::{Method, StatusCode};
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;

use super::{EVENT_TYPE, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/event-types/{type}",
    tag: "Event types",
    summary: "Read an event type",
    detail: "",
    access: Access::Roles(&Role::ALL, Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &EVENT_TYPE),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let view = View::find(call.tenant(), call.path("type"));
    answer(StatusCode::OK, &view.ok_or_else(|| Problem::not_found("event type"))?)
}
