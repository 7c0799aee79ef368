//! `/workflows`: all of a tenant, with how the last run of each went.

use http::Method;
use maud::html;
use postrider_domain::id::WorkflowId;
use postrider_store::runs::RunFilter;

use super::{example, link};
use crate::page::{Answer, Page, Who};
use crate::pages::runs::run_badge;
use crate::parts::{self, list, time};
use crate::visit::Visit;

pub(crate) static LIST: Page =
    Page { method: Method::GET, path: "/workflows", who: Who::Reader, handle: |visit| Box::pin(show(visit)) };

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let tenant = visit.tenant();
    let before = visit.query.text("cursor").and_then(|cursor| WorkflowId::parse(cursor).ok());
    let mut workflows: Vec<_> = tenant.inbound.workflows.iter().collect();
    workflows.retain(|workflow| before.is_none_or(|before| workflow.id < before));
    workflows.sort_by_key(|workflow| std::cmp::Reverse(workflow.id));
    let next = list::cut(&mut workflows, |workflow| workflow.id.to_string());
    let mut rows = Vec::with_capacity(workflows.len());
    for workflow in workflows {
        let filter = RunFilter { workflow: Some(workflow.id), ..RunFilter::default() };
        let last = visit.store().runs(tenant.id, filter, 1).await?.into_iter().next();
        rows.push((workflow, last));
    }
    let columns = [t("Name"), t("Description"), t("Version"), t("Triggers"), t("Last run")];
    let body = html! {
        (parts::heading(t("Workflows"), html! {
            @if visit.may_change() { a .button href=(visit.link("/workflows/new")) { (t("Create a workflow")) } }
        }))
        (parts::done(&visit, &[("deleted", "The workflow and its triggers were deleted. What has run stays in the history.")]))
        p .lead { (t("What happens when a webhook comes in, at a time, or after an event: steps, one after another, that survive a crash.")) }
        @if tenant.inbound.workflows.is_empty() {
            (parts::empty(t("No workflows yet"), html! {
                p { (t("A workflow is written as YAML or JSON. This one makes an event of each request that a trigger takes:")) }
                (example(&visit))
                @if visit.may_change() { p { a .button href=(visit.link("/workflows/new")) { (t("Create a workflow")) } } }
            }))
        } @else {
            (list::table(t("Workflows, the newest first"), &columns, html! {
                @for (workflow, last) in &rows {
                    tr {
                        (list::cell(columns[0], html! { a href=(link(&visit, &workflow.name, "")) { (workflow.name) } }))
                        (list::cell(columns[1], html! { (workflow.description) }))
                        (list::number(columns[2], html! { (workflow.version) }))
                        (list::number(columns[3], html! { (tenant.inbound.triggers_of(workflow.id).count()) }))
                        (list::cell(columns[4], html! {
                            @match last {
                                Some(run) => {
                                    a href=(visit.link(&format!("/runs/{}", run.id))) { (time::short(&visit, run.created)) }
                                    " " (run_badge(&visit, run.state))
                                }
                                None => (t("never")),
                            }
                        }))
                    }
                }
            }))
        }
        (list::pager(&visit, &visit.query, next.as_deref()))
    };
    Ok(visit.page(t("Workflows"), body))
}
