//! `DELETE /v1/workflows/{workflow}/triggers/{trigger}`: forget a trigger.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_domain::id::TriggerId;
use postrider_engine::control::Role;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/workflows/{workflow}/triggers/{trigger}",
    tag: "Triggers",
    summary: "Delete a trigger",
    detail: "Its URL is unknown from here on; its requests and runs stay in the history.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let id = call.id("trigger", "trigger", TriggerId::parse)?;
    let control = call.app.engine.control();
    control.trigger_delete(&call.actor(), call.tenant(), call.path("workflow"), id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
