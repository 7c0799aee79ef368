//! `GET /v1/inboxes`: a tenant's inboxes, newest first.

use http::Method;
use postrider_engine::control::Role;

use super::{INBOX, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/inboxes",
    tag: "Inboxes",
    summary: "List inboxes",
    detail: "Newest first.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::WebhooksRead,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&INBOX),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("inboxes", &call.tenant_bytes(), &call.query)?;
    let before = page.after()?;
    let mut rows = call.app.engine.control().inboxes(call.tenant().id).await?;
    rows.retain(|row| before.is_none_or(|before| *row.id.as_bytes() < before));
    rows.truncate(page.rows());
    let public_url = &call.app.public_url;
    Ok(page.answer(rows, |row| *row.id.as_bytes(), |row| View::of(public_url, &row)))
}
