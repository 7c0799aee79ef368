//! `POST /v1/inboxes`: make an inbox.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::{INBOX, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, written};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/inboxes",
    tag: "Inboxes",
    summary: "Create an inbox",
    detail: "A receiver of Postrider's own: register its URL as a webhook and see what comes. A tenant has at most 20, and each keeps its newest 100 requests.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::CREATED, &INBOX),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let created = call.app.engine.control().inbox_create(&call.actor(), call.tenant(), None).await?;
    answer_created(StatusCode::CREATED, created, |inbox| written(&View::of(&call.app.public_url, inbox)))
}
