//! `POST /v1/inboxes`: make an inbox.

use http::{Method, StatusCode};
use postrider_engine::control::Role;
use postrider_engine::inbox::Inbox;

use super::{INBOX, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/inboxes",
    tag: "Inboxes",
    summary: "Create an inbox",
    detail: "A receiver of Postrider's own: register its URL as a webhook and see what comes. A tenant has at most 20, and each keeps its newest 100 requests.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::creating_or_empty(&NEW_INBOX, r#"{"status": 200}"#),
    gives: Gives::Json(StatusCode::CREATED, &INBOX),
    handle: |call| Box::pin(handle(call)),
};

static NEW_INBOX: Shape = Shape {
    name: "NewInbox",
    fields: &[Field::new(
        "status",
        Kind::Count,
        "The HTTP status that it answers, from 200 to 599; 200 when absent.",
    )],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    // What is no status is refused by control.
    let status = fields.count("status").map(|status| u16::try_from(status).unwrap_or(0));
    let view = |inbox: &Inbox| written(&View::of(&call.app.public_url, inbox));
    let again = repeatable(&call.idem, &view);
    let created = call.app.engine.control().inbox_create(&call.actor(), call.tenant(), status, again).await?;
    answer_created(StatusCode::CREATED, created, view)
}
