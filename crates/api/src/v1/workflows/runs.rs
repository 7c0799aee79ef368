//! `GET /v1/workflows/{workflow}/runs`: the runs of a workflow, newest first.

use http::Method;
use postrider_domain::id::{RunId, TriggerId};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::run::RunState;
use postrider_engine::control::Role;
use postrider_store::runs::RunFilter;

use super::in_path;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT, Parameter};
use crate::v1::runs::{LISTED, View};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/workflows/{workflow}/runs",
    tag: "Workflows",
    summary: "List a workflow's runs",
    detail: "",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[
        Parameter::text("state", "In this state."),
        Parameter::text("trigger", "Started by this trigger."),
        LIMIT,
        CURSOR,
    ],
    takes: Takes::Nothing,
    gives: Gives::List(&LISTED),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let workflow = in_path(&call)?;
    let page = Page::from_query("runs", workflow.id.as_bytes(), &call.query)?;
    let state = call.query.text("state").map(state).transpose()?;
    let trigger = call.query.text("trigger").map(TriggerId::parse).transpose();
    let trigger = trigger.map_err(|_| Problem::not_found("trigger"))?;
    let before = page.after()?.map(RunId::from_bytes);
    let filter = RunFilter { workflow: Some(workflow.id), trigger, state, before };
    let rows = call.app.engine.store().runs(call.tenant().id, filter, page.rows()).await?;
    Ok(page.answer(rows, |row| *row.id.as_bytes(), |row| View::of(&row, &workflow.name)))
}

pub(crate) fn state(text: &str) -> Result<RunState, Problem> {
    RunState::parse(text).ok_or_else(|| {
        let known: Vec<&str> = RunState::ALL.iter().map(|state| state.as_str()).collect();
        Problem::at(Code::InvalidField, "state", format!("A run is {}.", known.join(", ")))
    })
}
