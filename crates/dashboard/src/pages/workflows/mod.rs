//! `/workflows`: what runs do. Their triggers are in `pages::triggers`, their runs in `pages::runs`.

mod edit;
mod list;
mod show;
mod start;

use std::sync::Arc;

use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_engine::inbound::registered::RegisteredWorkflow;

use crate::form::escaped;
use crate::page::Page;
use crate::parts::text;
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[
    &list::LIST,
    &edit::NEW,
    &edit::CREATE,
    &show::SHOW,
    &edit::EDIT,
    &edit::SAVE,
    &start::START,
    &show::DELETE,
];

/// What a newcomer can save as it is.
const EXAMPLE: &str = "\
description: Tell the CRM about new leads
input:
  type: object
  required: [email]
steps:
  - id: tell
    type: emit
    event:
      type: lead.received
      data: { email: \"{{ input.email }}\" }
";

/// The workflow in the path.
pub(crate) fn in_path(visit: &Visit) -> Result<Arc<RegisteredWorkflow>, Problem> {
    let found = visit.tenant().inbound.workflow(visit.path("workflow")).cloned();
    found.ok_or_else(|| Problem::not_found("workflow"))
}

/// The address of a workflow's page, or of one below it.
pub(crate) fn link(visit: &Visit, workflow: &str, below: &str) -> String {
    visit.link(&format!("/workflows/{}{below}", escaped(workflow)))
}

fn example(visit: &Visit) -> Markup {
    html! { (text::block(visit.words(), visit.t("An example"), EXAMPLE)) }
}
