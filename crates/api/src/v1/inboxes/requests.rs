//! `GET /v1/inboxes/{inbox}/requests`: what came to an inbox, newest first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use postrider_domain::id::{InboxId, InboxRequestId};
use postrider_engine::control::Role;
use postrider_store::config::InboxRequestRow;
use serde::Serialize;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/inboxes/{inbox}/requests",
    tag: "Inboxes",
    summary: "List what came to an inbox",
    detail: "Newest first, of the newest 100. Bodies are kept up to 64 KiB.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::WebhooksRead,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&REQUEST),
    handle: |call| Box::pin(handle(call)),
};

static REQUEST: Shape = Shape {
    name: "InboxRequest",
    fields: &[
        Field::new("id", Kind::Text, "`inr_…`").required(),
        Field::new("receivedAt", Kind::Time, "When it came.").required(),
        Field::new("method", Kind::Text, "Its method.").required(),
        Field::new(
            "headers",
            Kind::List(&Kind::List(&Kind::Text)),
            "Its headers as `[name, value]`; what may be a credential is masked.",
        )
        .required(),
        Field::new("status", Kind::Count, "That it was answered with.").required(),
        Field::new("bodyBytes", Kind::Count, "The length of its body.").required(),
        Field::new("body", Kind::Text, "Its body, where it is text."),
        Field::new("bodyBase64", Kind::Text, "Its body, where it is no text."),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: String,
    received_at: String,
    method: String,
    headers: Vec<[String; 2]>,
    status: u16,
    body_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

async fn handle(call: Call) -> Answer {
    let id = call.id("inbox", "inbox", InboxId::parse)?;
    let page = Page::from_query("inbox requests", id.as_bytes(), &call.query)?;
    let before = page.after()?.map(InboxRequestId::from_bytes);
    let control = call.app.engine.control();
    let rows = control.inbox_requests(call.tenant().id, id, before, page.rows()).await?;
    Ok(page.answer(rows, |row| *row.id.as_bytes(), shown))
}

fn shown(row: InboxRequestRow) -> View {
    let (body, body_base64) = match String::from_utf8(row.body.to_vec()) {
        Ok(text) => (Some(text), None),
        Err(bytes) => (None, Some(BASE64.encode(bytes.as_bytes()))),
    };
    View {
        id: row.id.to_string(),
        received_at: row.received.to_string(),
        method: row.method,
        headers: serde_json::from_str(&row.headers).unwrap_or_default(),
        status: row.status,
        body_bytes: row.body_bytes,
        body,
        body_base64,
    }
}
