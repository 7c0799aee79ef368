//! `DELETE /v1/inboxes/{inbox}`: delete an inbox with what came to it.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_domain::id::InboxId;
use postrider_engine::control::Role;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/inboxes/{inbox}",
    tag: "Inboxes",
    summary: "Delete an inbox",
    detail: "What came to it goes with it. A webhook that still sends to it gets 404.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let id = call.id("inbox", "inbox", InboxId::parse)?;
    call.app.engine.control().inbox_delete(&call.actor(), call.tenant(), id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
