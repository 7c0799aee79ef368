//! `DELETE /v1/tenants/{tenant}`: remove a tenant and everything that belongs to it.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::v1::jobs::{JOB, View};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/tenants/{tenant}",
    tag: "Tenants",
    summary: "Delete a tenant",
    detail: "The tenant is gone for every caller at once; its rows are removed by the job in the answer. The audit log keeps what was done.",
    access: Access::Roles(&[Role::Operator], Scope::TenantInPath),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::ACCEPTED, &JOB),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let job = call.app.engine.control().tenant_delete(&call.actor(), call.tenant().id).await?;
    answer(StatusCode::ACCEPTED, &View::of(&job))
}
