//! `DELETE /v1/connections/{connection}`: delete a connection for good.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_engine::control::Role;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/connections/{connection}",
    tag: "Connections",
    summary: "Delete a connection",
    detail: "Its tokens are ended at the provider, if it can be told (RFC 7009), and removed here in any case; the audit log says when the provider could not be told. Steps that name it fail from then on, and say so.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let connections = call.app.engine.connections();
    connections.delete(&call.actor(), call.tenant(), call.path("connection")).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
