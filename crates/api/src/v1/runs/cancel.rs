//! `POST /v1/runs/{run}/cancel`: end a run where it stands.

use http::{Method, StatusCode};
use postrider_domain::id::RunId;
use postrider_engine::control::Role;

use super::{LISTED, View, workflow_name};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/runs/{run}/cancel",
    tag: "Runs",
    summary: "Cancel a run",
    detail: "No further step begins. A request that is under way is not called back. A run that has succeeded or failed stays as it is (409).",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &LISTED),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let id = call.id("run", "run", RunId::parse)?;
    let row = call.app.engine.runner().cancel(call.tenant(), id).await?;
    answer(StatusCode::OK, &View::of(&row, &workflow_name(&call, &row).await?))
}
