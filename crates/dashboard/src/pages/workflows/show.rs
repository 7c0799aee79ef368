//! `/workflows/{workflow}`: what it does, what starts it, and how its runs went.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_domain::run::TriggerKind;
use postrider_engine::inbound::registered::RegisteredWorkflow;
use postrider_store::runs::{RunFilter, RunRow};

use super::{in_path, link};
use crate::page::{Answer, Page, Who, see_other};
use crate::pages::{runs, triggers};
use crate::parts::{self, fields, text, time};
use crate::visit::Visit;

pub(crate) static SHOW: Page = Page {
    method: Method::GET,
    path: "/workflows/{workflow}",
    who: Who::Reader,
    handle: |visit| {
        Box::pin(async move {
            let workflow = in_path(&visit)?;
            let body = page(&visit, &workflow, newest(&visit, &workflow).await?, None);
            Ok(visit.page(&workflow.name, body))
        })
    },
};

pub(crate) static DELETE: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/delete",
    who: Who::Admin,
    handle: |visit| Box::pin(delete(visit)),
};

/// Runs on the workflow's own page.
const RUNS_SHOWN: usize = 10;

pub(super) async fn newest(
    visit: &Visit,
    workflow: &RegisteredWorkflow,
) -> Result<Vec<RunRow>, crate::fault::Fault> {
    let filter = RunFilter { workflow: Some(workflow.id), ..RunFilter::default() };
    Ok(visit.store().runs(visit.tenant().id, filter, RUNS_SHOWN).await?)
}

/// `problem`: of an input that was sent to start a run.
pub(super) fn page(
    visit: &Visit,
    workflow: &RegisteredWorkflow,
    newest: Vec<RunRow>,
    problem: Option<&Problem>,
) -> Markup {
    let t = |text| visit.t(text);
    let definition = serde_json::to_vec(&workflow.definition).unwrap_or_default();
    html! {
        (parts::heading(&workflow.name, html! {
            @if visit.may_change() {
                a .button href=(link(visit, &workflow.name, "/edit")) { (t("Edit")) }
                a .button .ghost href=(link(visit, &workflow.name, "/triggers/new")) { (t("Add a trigger")) }
            }
        }))
        (parts::done(visit, &[
            ("saved", "Saved. Runs that start from now on use this definition."),
            ("trigger-deleted", "The trigger was deleted. Its URL, if it had one, is unknown from now on."),
        ]))
        @if !workflow.description.is_empty() { p .lead { (workflow.description) } }
        (parts::facts(&[
            (t("Version"), html! { (workflow.version) }),
            (t("Saved"), time::moment(visit, workflow.updated)),
            (t("Created"), time::moment(visit, workflow.created)),
        ]))
        h2 { (t("Triggers")) }
        (triggers::of_workflow(visit, workflow))
        h2 { (t("Newest runs")) }
        @if newest.is_empty() {
            p { (t("It has not run yet. Start it by hand below, or add a trigger.")) }
        } @else {
            (runs::table(visit, &newest, |_| workflow.name.clone()))
            p { a href=(visit.link(&format!("/runs?workflow={}", crate::form::escaped(&workflow.name)))) { (t("All its runs")) } }
        }
        @if visit.may_change() {
            h2 #start { (t("Start it by hand")) }
            (parts::refusal(problem))
            (start(visit, workflow, problem))
        }
        h2 { (t("Definition")) }
        (text::json(visit.words(), t("As it was saved"), &definition))
        @if visit.may_change() {
            (parts::danger(
                visit,
                &link(visit, &workflow.name, "/delete"),
                t("Delete this workflow"),
                t("Its triggers go with it, and its runs that have not ended are cancelled. What has ended stays in the history. This cannot be taken back."),
            ))
        }
    }
}

fn start(visit: &Visit, workflow: &RegisteredWorkflow, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let manual: Vec<(String, &str)> = visit
        .tenant()
        .inbound
        .triggers_of(workflow.id)
        .filter(|trigger| trigger.kind == TriggerKind::Manual && trigger.enabled)
        .map(|trigger| (trigger.id.to_string(), trigger.name.as_str()))
        .collect();
    let mut options = vec![("", t("none"))];
    options.extend(manual.iter().map(|(id, name)| (id.as_str(), *name)));
    parts::form(
        visit,
        &link(visit, &workflow.name, "/start"),
        html! {
            (fields::area(fields::Field {
                name: "input",
                label: t("Input"),
                value: visit.form.raw("input").unwrap_or("{}"),
                hint: t("JSON that the run begins with. Empty: the trigger's own input, or {}."),
                problem,
                ..fields::Field::default()
            }, 6))
            @if options.len() > 1 {
                (fields::choice(fields::Field {
                    name: "trigger",
                    label: t("In the name of a trigger"),
                    value: visit.form.raw("trigger").unwrap_or_default(),
                    problem,
                    ..fields::Field::default()
                }, &options))
            }
            div .actions { button type="submit" { (t("Start a run")) } }
        },
    )
}

async fn delete(visit: Visit) -> Answer {
    let tenant = visit.tenant();
    let control = visit.engine().control();
    let gone = control.workflow_delete(&visit.actor(), tenant, visit.path("workflow")).await?;
    visit.engine().runner().cancel_all(tenant.id, gone).await?;
    Ok(see_other(&visit.link("/workflows?done=deleted")))
}
