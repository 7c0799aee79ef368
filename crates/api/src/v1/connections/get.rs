//! `GET /v1/connections/{connection}`: one connection.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::{CONNECTION, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/connections/{connection}",
    tag: "Connections",
    summary: "Read a connection",
    detail: "By its name or its id. The client's secret and the tokens are never shown.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &CONNECTION),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let connections = call.app.engine.connections();
    let connection = connections.get(call.tenant().id, call.path("connection")).await?;
    answer(StatusCode::OK, &View::of(&connection))
}
