//! `GET /v1/workflows/{workflow}`: one workflow with its definition.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::{View, WORKFLOW, in_path};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/workflows/{workflow}",
    tag: "Workflows",
    summary: "Show a workflow",
    detail: "",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &WORKFLOW),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    answer(StatusCode::OK, &View::whole(&*in_path(&call)?))
}
