//! `GET /v1/runs`: the runs of all of a tenant's workflows, newest first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use http::Method;
use postrider_domain::id::RunId;
use postrider_engine::control::Role;
use postrider_store::runs::RunFilter;

use super::{LISTED, View, workflow_name};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT, Parameter};
use crate::v1::workflows::runs::state;

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/runs",
    tag: "Runs",
    summary: "List runs",
    detail: "Of all of a tenant's workflows.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[Parameter::text("state", "In this state."), LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&LISTED),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("all runs", &call.tenant_bytes(), &call.query)?;
    let state = call.query.text("state").map(state).transpose()?;
    let filter = RunFilter { state, before: page.after()?.map(RunId::from_bytes), ..RunFilter::default() };
    let rows = call.app.engine.store().runs(call.tenant().id, filter, page.rows()).await?;
    let mut names = HashMap::new();
    for row in &rows {
        if let Entry::Vacant(unknown) = names.entry(row.workflow) {
            unknown.insert(workflow_name(&call, row).await?);
        }
    }
    let name = |row: &postrider_store::runs::RunRow| names.get(&row.workflow).cloned().unwrap_or_default();
    Ok(page.answer(rows, |row| *row.id.as_bytes(), |row| View::of(&row, &name(&row))))
}
