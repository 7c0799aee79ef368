//! `GET /v1/webhooks/{webhook}`: one webhook.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::{View, WEBHOOK, in_path};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/webhooks/{webhook}",
    tag: "Webhooks",
    summary: "Read a webhook",
    detail: "Secrets and the values of headers are never shown again.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::WebhooksRead,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &WEBHOOK),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let webhook = in_path(&call)?;
    answer(StatusCode::OK, &View::of(&webhook, call.app.engine.clock().now()))
}
