//! `GET /v1/secrets`: the names of a tenant's secrets.

use http::Method;
use postrider_engine::control::Role;

use super::{SECRET, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/secrets",
    tag: "Secrets",
    summary: "List secrets",
    detail: "Names, versions and times, in the order of names; never a value.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&SECRET),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("secrets", &call.tenant_bytes(), &call.query)?;
    let mut rows = call.app.engine.store().step_secrets(call.tenant().id).await?;
    // Databases sort text in ways of their own; a tenant has 200 at most.
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(after) = page.after_text()? {
        rows.retain(|row| row.name.as_str() > after);
    }
    rows.truncate(page.rows());
    let rows: Vec<_> = rows.iter().collect();
    Ok(page.answer_by(rows, |row| row.name.clone().into_bytes(), View::of))
}
