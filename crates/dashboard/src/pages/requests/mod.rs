//! `/requests`: what came to triggers, taken or refused, and why.

mod list;
mod show;
mod words;

use postrider_domain::id::TriggerId;

use crate::form::escaped;
use crate::page::Page;
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[&list::LIST, &show::SHOW, &show::REPLAY];

/// A trigger's name and page, while it is there.
fn trigger_of(visit: &Visit, id: TriggerId) -> Option<(String, String)> {
    let inbound = &visit.tenant().inbound;
    let trigger = inbound.trigger(id)?;
    let workflow = inbound.workflow_by_id(trigger.workflow)?;
    let to = visit.link(&format!("/workflows/{}/triggers/{id}", escaped(&workflow.name)));
    Some((format!("{} · {}", workflow.name, trigger.name), to))
}
