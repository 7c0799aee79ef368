//! `GET /v1/workflows/{workflow}/triggers/{trigger}`: one trigger.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::{TRIGGER, View, in_path};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/workflows/{workflow}/triggers/{trigger}",
    tag: "Triggers",
    summary: "Show a trigger",
    detail: "",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &TRIGGER),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let (workflow, trigger) = in_path(&call)?;
    answer(StatusCode::OK, &View::of(&call, &workflow, &trigger))
}
