//! `GET /v1/keys`: the API keys there are, without the keys themselves.

use http::Method;
use postrider_domain::id::KeyId;
use postrider_domain::time::Timestamp;
use postrider_engine::control::Role;
use serde::Serialize;

use super::ROLES;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/keys",
    tag: "Keys",
    summary: "List API keys",
    detail: "All keys, or those of the tenant named in `Postrider-Tenant`.",
    access: Access::Roles(&[Role::Operator], Scope::TenantIfNamed),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&KEY),
    handle: |call| Box::pin(handle(call)),
};

static KEY: Shape = Shape {
    name: "Key",
    fields: &[
        Field::new("id", Kind::Text, "`key_…`").required(),
        Field::new("role", ROLES, "What the key may do.").required(),
        Field::new("tenant", Kind::Text, "The tenant that it belongs to.").required().nullable(),
        Field::new("name", Kind::Text, "Who uses it.").required(),
        Field::new("createdAt", Kind::Time, "When it was created.").required(),
        Field::new("lastUsedAt", Kind::Time, "When it was last used, to the minute.").required().nullable(),
        Field::new("revokedAt", Kind::Time, "When it was revoked.").required().nullable(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: KeyId,
    role: &'static str,
    tenant: Option<String>,
    name: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("keys", &call.tenant_bytes(), &call.query)?;
    let before = page.after()?.map(KeyId::from_bytes);
    let keys = call.app.engine.control().keys(call.tenant_id(), before, page.rows()).await?;
    Ok(page.answer(
        keys,
        |key| *key.id.as_bytes(),
        |key| View {
            id: key.id,
            role: key.role.as_str(),
            tenant: key.tenant.and_then(|id| call.app.public_id(id)),
            name: key.name,
            created_at: key.created,
            last_used_at: key.last_used,
            revoked_at: key.revoked,
        },
    ))
}
