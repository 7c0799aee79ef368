//! `POST …/triggers/{trigger}/slug/rotate`: another URL.

use http::{Method, StatusCode};
use postrider_domain::id::TriggerId;
use postrider_engine::control::Role;

use super::{TRIGGER, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/workflows/{workflow}/triggers/{trigger}/slug/rotate",
    tag: "Triggers",
    summary: "Give a trigger another URL",
    detail: "The old URL is unknown at once. The trigger keeps its id, its secret and its history.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &TRIGGER),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let id = call.id("trigger", "trigger", TriggerId::parse)?;
    let control = call.app.engine.control();
    let changed =
        control.trigger_slug_rotate(&call.actor(), call.tenant(), call.path("workflow"), id).await?;
    let (url, now) = (call.app.public_url.as_str(), call.app.engine.clock().now());
    answer(StatusCode::OK, &View::of_change(url, now, &changed))
}
