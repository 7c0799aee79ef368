//! `/runs`: the runs of a tenant's workflows, the newest first.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::{RunId, TriggerId};
use postrider_domain::problem::Problem;
use postrider_domain::run::RunState;
use postrider_store::runs::{RunFilter, RunRow};

use super::{names, run_badge};
use crate::page::{Answer, Page, Who};
use crate::parts::{self, fields, list, time};
use crate::visit::Visit;

pub(crate) static LIST: Page =
    Page { method: Method::GET, path: "/runs", who: Who::Reader, handle: |visit| Box::pin(show(visit)) };

/// Workflows that a list to choose from holds; beyond it the name is typed.
const CHOICES_MAX: usize = 100;

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let tenant = visit.tenant();
    let workflow = match visit.query.text("workflow") {
        None => None,
        Some(name) => Some(tenant.inbound.workflow(name).ok_or_else(|| Problem::not_found("workflow"))?.id),
    };
    let filter = RunFilter {
        workflow,
        trigger: visit.query.text("trigger").and_then(|id| TriggerId::parse(id).ok()),
        state: visit.query.text("state").and_then(RunState::parse),
        before: visit.query.text("cursor").and_then(|id| RunId::parse(id).ok()),
    };
    let mut rows = visit.store().runs(tenant.id, filter, list::ROWS + 1).await?;
    let next = list::cut(&mut rows, |row| row.id.to_string());
    let names = names(&visit, &rows).await?;
    let filtered = workflow.is_some() || filter.state.is_some() || filter.trigger.is_some();
    let body = html! {
        (parts::heading(t("Runs"), html! {}))
        (filters(&visit))
        @if rows.is_empty() && filtered {
            (parts::empty(t("No such runs"), html! { p { (t("No run has this state here. Show all, or choose another.")) } }))
        } @else if rows.is_empty() {
            (parts::empty(t("No runs yet"), html! {
                p { (t("Each time a trigger takes a request, a time comes, or somebody starts a workflow by hand, its run stands here, step by step.")) }
                p { a .button href=(visit.link("/workflows")) { (t("Go to the workflows")) } }
            }))
        } @else {
            (table(&visit, &rows, |row| names.get(&row.workflow).cloned().unwrap_or_default()))
        }
        (list::pager(&visit, &visit.query, next.as_deref()))
    };
    Ok(visit.page(t("Runs"), body))
}

fn filters(visit: &Visit) -> Markup {
    let t = |text| visit.t(text);
    let query = |name| visit.query.raw(name).unwrap_or_default();
    let field = |name, label| fields::Field { name, label, value: query(name), ..fields::Field::default() };
    let workflows = &visit.tenant().inbound.workflows;
    let mut choices = vec![("", t("all"))];
    choices.extend(workflows.iter().map(|workflow| (workflow.name.as_str(), workflow.name.as_str())));
    let mut states = vec![("", t("all"))];
    states.extend(RunState::ALL.iter().map(|state| (state.as_str(), t(state.as_str()))));
    list::filters(
        visit,
        &visit.link("/runs"),
        html! {
            @if workflows.len() <= CHOICES_MAX { (fields::choice(field("workflow", t("Workflow")), &choices)) }
            @else { (fields::text(field("workflow", t("Workflow")), "text")) }
            (fields::choice(field("state", t("State")), &states))
            @if let Some(trigger) = visit.query.text("trigger") { input type="hidden" name="trigger" value=(trigger); }
        },
    )
}

pub(crate) fn table(visit: &Visit, rows: &[RunRow], name: impl Fn(&RunRow) -> String) -> Markup {
    let t = |text| visit.t(text);
    let columns = [t("Run"), t("Workflow"), t("State"), t("Started by"), t("Took"), t("Accepted")];
    list::table(
        t("Runs, the newest first"),
        &columns,
        html! {
            @for row in rows {
                tr {
                    (list::cell(columns[0], html! {
                        a href=(visit.link(&format!("/runs/{}", row.id))) { code { (row.id) } }
                    }))
                    (list::cell(columns[1], html! { (name(row)) }))
                    (list::cell(columns[2], html! {
                        (run_badge(visit, row.state))
                        @if let Some(error) = &row.error { div .hint { (shortened(error)) } }
                    }))
                    (list::cell(columns[3], html! { (t(row.kind.as_str())) }))
                    (list::cell(columns[4], html! {
                        @if let Some((started, finished)) = row.started.zip(row.finished) {
                            (time::duration(finished.since(started)))
                        }
                    }))
                    (list::cell(columns[5], time::short(visit, row.created)))
                }
            }
        },
    )
}

fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 140;
    match text.char_indices().nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
