//! `POST /v1/connections/{connection}/revoke`: end what a connection may do.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::{CONNECTION, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/connections/{connection}/revoke",
    tag: "Connections",
    summary: "Revoke a connection",
    detail: "Its tokens are ended at the provider, if it can be told (RFC 7009), and removed here in any case; `error` says when the provider could not be told. It can be authorized again.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &CONNECTION),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let connections = call.app.engine.connections();
    let revoked = connections.revoke(&call.actor(), call.tenant(), call.path("connection")).await?;
    answer(StatusCode::OK, &View::of(&revoked))
}
