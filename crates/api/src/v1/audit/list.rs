//! `GET /v1/audit`: who changed what, newest first.

use http::Method;
use postrider_domain::id::AuditId;
use postrider_domain::time::Timestamp;
use postrider_engine::control::Role;
use serde::Serialize;
use serde_json::Value;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/audit",
    tag: "Audit",
    summary: "Read the audit log",
    detail: "Kept when what it tells about is deleted. An operator who names no tenant reads all of it. Secrets and the values of headers never stand here.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::TenantIfNamed),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&ENTRY),
    handle: |call| Box::pin(handle(call)),
};

static ENTRY: Shape = Shape {
    name: "AuditEntry",
    fields: &[
        Field::new("id", Kind::Text, "`aud_…`").required(),
        Field::new("at", Kind::Time, "When.").required(),
        Field::new("tenant", Kind::Text, "Whose; null for the installation.").required().nullable(),
        Field::new(
            "actor",
            Kind::Text,
            "The id of the key or the session, or `postrider` for what it did by itself.",
        )
        .required(),
        Field::new("actorRole", Kind::Text, "The role of the key or the session.").required(),
        Field::new("action", Kind::Text, "What was done: `webhook.created`, `secret.rotated`, …").required(),
        Field::new("target", Kind::Text, "The id of what was changed.").required(),
        Field::new("before", Kind::Any, "How it was.").required().nullable(),
        Field::new("after", Kind::Any, "How it is.").required().nullable(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: AuditId,
    at: Timestamp,
    tenant: Option<String>,
    actor: String,
    actor_role: &'static str,
    action: String,
    target: String,
    before: Option<Value>,
    after: Option<Value>,
}

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("audit", &call.tenant_bytes(), &call.query)?;
    let before = page.after()?.map(AuditId::from_bytes);
    let entries = call.app.engine.control().audit(call.tenant_id(), before, page.rows()).await?;
    Ok(page.answer(
        entries,
        |entry| *entry.id.as_bytes(),
        |entry| View {
            id: entry.id,
            at: entry.at,
            tenant: entry.tenant,
            actor: entry.actor,
            actor_role: entry.actor_role.as_str(),
            action: entry.action,
            target: entry.target,
            before: entry.before,
            after: entry.after,
        },
    ))
}
