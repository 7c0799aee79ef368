//! `POST /v1/connections/{connection}/refresh`: get a new token now.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::{CONNECTION, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/connections/{connection}/refresh",
    tag: "Connections",
    summary: "Refresh a connection now",
    detail: "Tokens are refreshed by themselves before they expire: this is to see whether it works, and to try one again that failed. What came of it is in `state`, `expiresAt` and `error`.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &CONNECTION),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let connections = call.app.engine.connections();
    let refreshed = connections.refresh(&call.actor(), call.tenant(), call.path("connection")).await?;
    answer(StatusCode::OK, &View::of(&refreshed))
}
