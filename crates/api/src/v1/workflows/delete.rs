//! `DELETE /v1/workflows/{workflow}`: forget a workflow.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_engine::control::Role;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/workflows/{workflow}",
    tag: "Workflows",
    summary: "Delete a workflow",
    detail: "Its triggers go with it, and its runs that have not ended are cancelled. What has ended stays in the history.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let (engine, tenant) = (&call.app.engine, call.tenant());
    let gone = engine.control().workflow_delete(&call.actor(), tenant, call.path("workflow")).await?;
    engine.runner().cancel_all(tenant.id, gone).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
