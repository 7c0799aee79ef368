//! `DELETE /v1/webhooks/{webhook}`: delete a webhook for good.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::in_path;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/webhooks/{webhook}",
    tag: "Webhooks",
    summary: "Delete a webhook",
    detail: "What is scheduled for it is cancelled; its deliveries and its entries in the audit log stay. A tenant whose plan no longer includes webhooks can still delete them.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let webhook = in_path(&call)?;
    call.app.engine.control().webhook_delete(&call.actor(), call.tenant(), webhook.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
