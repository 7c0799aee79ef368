//! `DELETE /v1/event-types/{type}`: take a registered type out of the catalogue.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_engine::control::Role;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/event-types/{type}",
    tag: "Event types",
    summary: "Archive an event type",
    detail: "The type leaves the catalogue; events of it that were accepted stay, and webhooks keep their patterns.",
    access: Access::Roles(&[Role::Operator, Role::Publisher], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    call.app.engine.control().event_type_archive(&call.actor(), call.tenant(), call.path("type")).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
