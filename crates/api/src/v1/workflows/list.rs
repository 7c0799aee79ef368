//! `GET /v1/workflows`: a tenant's workflows.

use http::Method;
use postrider_engine::control::Role;

use super::{View, WORKFLOW};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/workflows",
    tag: "Workflows",
    summary: "List workflows",
    detail: "Without their definitions.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&WORKFLOW),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("workflows", &call.tenant_bytes(), &call.query)?;
    let mut rows: Vec<_> = call.tenant().inbound.workflows.iter().collect();
    let before = page.after()?;
    rows.retain(|workflow| before.is_none_or(|after| *workflow.id.as_bytes() < after));
    rows.sort_by_key(|workflow| std::cmp::Reverse(workflow.id));
    rows.truncate(page.rows());
    Ok(page.answer(rows, |workflow| *workflow.id.as_bytes(), |workflow| View::listed(workflow)))
}
