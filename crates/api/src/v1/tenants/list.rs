//! `GET /v1/tenants`: all tenants, newest first.

use http::Method;
use postrider_engine::control::Role;

use super::{TENANT, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/tenants",
    tag: "Tenants",
    summary: "List tenants",
    detail: "",
    access: Access::Roles(&[Role::Operator], Scope::Installation),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&TENANT),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("tenants", &call.tenant_bytes(), &call.query)?;
    let mut tenants = call.app.engine.catalogue().tenants();
    let before = page.after()?;
    tenants.retain(|tenant| before.is_none_or(|after| *tenant.id.as_bytes() < after));
    tenants.sort_by_key(|tenant| std::cmp::Reverse(tenant.id));
    tenants.truncate(page.rows());
    Ok(page.answer(tenants.iter().collect(), |tenant| *tenant.id.as_bytes(), |tenant| View::of(tenant)))
}
