//! `DELETE /v1/secrets/{name}`: delete a secret for good.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/secrets/{name}",
    tag: "Secrets",
    summary: "Delete a secret",
    detail: "Steps that name it fail from then on, and say so.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let name = call.path("name");
    if name.contains('\0') {
        return Err(Problem::not_found("secret").into());
    }
    call.app.engine.control().secret_delete(&call.actor(), call.tenant(), name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
