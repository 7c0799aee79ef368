//! `/runs`: what workflows did.

mod act;
mod begun;
mod list;
mod show;
mod steps;

use std::collections::HashMap;

use maud::Markup;
use postrider_domain::id::WorkflowId;
use postrider_domain::run::RunState;
use postrider_store::runs::RunRow;

use crate::fault::Fault;
use crate::page::Page;
use crate::parts::{self, Tone};
use crate::visit::Visit;

pub(crate) use begun::{keep, to_run};
pub(crate) use list::table;

pub(crate) static PAGES: &[&Page] = &[&list::LIST, &show::SHOW, &steps::STEP, &act::REPLAY, &act::CANCEL];

pub(crate) fn run_badge(visit: &Visit, state: RunState) -> Markup {
    let tone = match state {
        RunState::Queued | RunState::Running | RunState::Waiting => Tone::Waiting,
        RunState::Succeeded => Tone::Good,
        RunState::Failed => Tone::Bad,
        RunState::Cancelled => Tone::Plain,
    };
    parts::badge(tone, visit.t(state.as_str()))
}

/// The names of the workflows of some runs, also of deleted ones.
async fn names(visit: &Visit, rows: &[RunRow]) -> Result<HashMap<WorkflowId, String>, Fault> {
    let mut names = HashMap::new();
    for row in rows {
        if names.contains_key(&row.workflow) {
            continue;
        }
        let name = match visit.tenant().inbound.workflow_by_id(row.workflow) {
            Some(workflow) => workflow.name.clone(),
            None => visit.store().workflow_name(visit.tenant().id, row.workflow).await?.unwrap_or_default(),
        };
        names.insert(row.workflow, name);
    }
    Ok(names)
}
