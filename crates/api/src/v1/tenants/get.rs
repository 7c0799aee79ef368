//! `GET /v1/tenants/{tenant}`: one tenant.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::{TENANT, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/tenants/{tenant}",
    tag: "Tenants",
    summary: "Read a tenant",
    detail: "A tenant's own key reads its own tenant only.",
    access: Access::Roles(&Role::ALL, Scope::TenantInPath),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &TENANT),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    answer(StatusCode::OK, &View::of(call.tenant()))
}
