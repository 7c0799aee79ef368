//! `GET /v1/connections`: a tenant's connections, newest first.

use http::Method;
use postrider_domain::id::ConnectionId;
use postrider_engine::control::Role;

use super::{CONNECTION, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/connections",
    tag: "Connections",
    summary: "List connections",
    detail: "",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&CONNECTION),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("connections", &call.tenant_bytes(), &call.query)?;
    let before = page.after()?.map(ConnectionId::from_bytes);
    let rows = call.app.engine.connections().list(call.tenant().id, before, page.rows()).await?;
    let rows: Vec<_> = rows.iter().collect();
    Ok(page.answer(rows, |connection| *connection.id.as_bytes(), View::of))
}
