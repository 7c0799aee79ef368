//! `DELETE /v1/portal-sessions/{session}`: end a session of the portal.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_domain::id::SessionId;
use postrider_engine::control::Role;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/portal-sessions/{session}",
    tag: "Portal sessions",
    summary: "Revoke a session of the portal",
    detail: "From now on its URL opens nothing, and who is in is out with their next click. The session stays in the list.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let id = call.id("session", "portal session", SessionId::parse)?;
    call.app.engine.control().portal_session_revoke(&call.actor(), call.tenant(), id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
