//! `DELETE /v1/keys/{key}`: revoke an API key.

use http::{Method, StatusCode};
use postrider_domain::id::KeyId;
use postrider_engine::control::Role;

use axum::response::IntoResponse;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/keys/{key}",
    tag: "Keys",
    summary: "Revoke an API key",
    detail: "From now on requests with this key are refused (401). The key stays in the list.",
    access: Access::Roles(&[Role::Operator], Scope::Installation),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let id = call.id("key", "key", KeyId::parse)?;
    call.app.engine.control().key_revoke(&call.actor(), id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
