//! `GET /v1/webhooks`: a tenant's webhooks, newest first.

use http::Method;
use postrider_engine::control::Role;

use super::{View, WEBHOOK};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/webhooks",
    tag: "Webhooks",
    summary: "List webhooks",
    detail: "",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::WebhooksRead,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&WEBHOOK),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("webhooks", &call.tenant_bytes(), &call.query)?;
    let mut rows: Vec<_> = call.tenant().webhooks.iter().collect();
    let before = page.after()?;
    rows.retain(|webhook| before.is_none_or(|after| *webhook.id.as_bytes() < after));
    rows.sort_by_key(|webhook| std::cmp::Reverse(webhook.id));
    rows.truncate(page.rows());
    let now = call.app.engine.clock().now();
    Ok(page.answer(rows, |webhook| *webhook.id.as_bytes(), |webhook| View::of(webhook, now)))
}
