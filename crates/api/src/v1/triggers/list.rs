//! `GET /v1/workflows/{workflow}/triggers`: a workflow's triggers.

use http::Method;
use postrider_engine::control::Role;

use super::{TRIGGER, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};
use crate::v1::workflows;

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/workflows/{workflow}/triggers",
    tag: "Triggers",
    summary: "List a workflow's triggers",
    detail: "",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&TRIGGER),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let workflow = workflows::in_path(&call)?;
    let page = Page::from_query("triggers", workflow.id.as_bytes(), &call.query)?;
    let mut rows: Vec<_> = call.tenant().inbound.triggers_of(workflow.id).collect();
    let before = page.after()?;
    rows.retain(|trigger| before.is_none_or(|after| *trigger.id.as_bytes() < after));
    rows.sort_by_key(|trigger| std::cmp::Reverse(trigger.id));
    rows.truncate(page.rows());
    Ok(page.answer(rows, |row| *row.id.as_bytes(), |row| View::of(&call, &workflow, row)))
}
