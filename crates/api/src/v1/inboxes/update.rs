//! `PATCH /v1/inboxes/{inbox}`: say what an inbox answers.

use http::{Method, StatusCode};
use postrider_domain::id::InboxId;
use postrider_engine::control::Role;

use super::{INBOX, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PATCH,
    path: "/v1/inboxes/{inbox}",
    tag: "Inboxes",
    summary: "Change what an inbox answers",
    detail: "With 500, say, to see how deliveries are retried.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::json(&PATCH, r#"{"status": 500}"#),
    gives: Gives::Json(StatusCode::OK, &INBOX),
    handle: |call| Box::pin(handle(call)),
};

static PATCH: Shape = Shape {
    name: "InboxPatch",
    fields: &[
        Field::new("status", Kind::Count, "The HTTP status that it answers, from 200 to 599.").required()
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let id = call.id("inbox", "inbox", InboxId::parse)?;
    let status = fields.count("status").and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
    let inbox = call.app.engine.control().inbox_status(&call.actor(), call.tenant(), id, status).await?;
    answer(StatusCode::OK, &View::of(&call.app.public_url, &inbox))
}
