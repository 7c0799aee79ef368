//! `GET /v1/secrets/{name}`: one secret, without its value.

use http::{Method, StatusCode};
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;

use super::{SECRET, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/secrets/{name}",
    tag: "Secrets",
    summary: "Read about a secret",
    detail: "Its version and times; the value is never shown.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &SECRET),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let name = call.path("name");
    let row = match name.contains('\0') {
        true => None,
        false => call.app.engine.store().step_secret_get(call.tenant().id, name).await?,
    };
    answer(StatusCode::OK, &View::of(&row.ok_or_else(|| Problem::not_found("secret"))?))
}
