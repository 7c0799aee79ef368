//! `GET /v1/jobs/{job}`: how far a job has come.

use http::{Method, StatusCode};
use postrider_domain::id::JobId;
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;

use super::{JOB, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/jobs/{job}",
    tag: "Jobs",
    summary: "Read a job",
    detail: "The deletion of a tenant is seen by an operator who names no tenant.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::TenantIfNamed),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &JOB),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let id = call.id("job", "job", JobId::parse)?;
    let job = call.app.engine.control().job_get(call.tenant_id(), id).await?;
    answer(StatusCode::OK, &View::of(&job.ok_or_else(|| Problem::not_found("job"))?))
}
