//! `/workflows/new` and `/workflows/{workflow}/edit`: write a definition; what is wrong with it is told with its place.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;

use super::{EXAMPLE, in_path, link};
use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::pages::typed;
use crate::parts::{self, fields, text};
use crate::visit::Visit;

pub(crate) static NEW: Page = Page {
    method: Method::GET,
    path: "/workflows/new",
    who: Who::Admin,
    handle: |visit| Box::pin(new(visit)),
};

pub(crate) static CREATE: Page = Page {
    method: Method::POST,
    path: "/workflows/new",
    who: Who::Admin,
    handle: |visit| Box::pin(create(visit)),
};

pub(crate) static EDIT: Page = Page {
    method: Method::GET,
    path: "/workflows/{workflow}/edit",
    who: Who::Admin,
    handle: |visit| Box::pin(edit(visit)),
};

pub(crate) static SAVE: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/edit",
    who: Who::Admin,
    handle: |visit| Box::pin(save(visit)),
};

async fn new(visit: Visit) -> Answer {
    Ok(visit.page(visit.t("Create a workflow"), form(&visit, None, EXAMPLE, None)))
}

async fn create(visit: Visit) -> Answer {
    let name = visit.form.text("name").unwrap_or_default().to_owned();
    put(&visit, &name, None).await
}

async fn edit(visit: Visit) -> Answer {
    let workflow = in_path(&visit)?;
    let definition = serde_json::to_string_pretty(&workflow.definition).unwrap_or_default();
    Ok(visit.page(&workflow.name, form(&visit, Some(&workflow.name), &definition, None)))
}

async fn save(visit: Visit) -> Answer {
    let workflow = in_path(&visit)?;
    put(&visit, &workflow.name, Some(&workflow.name)).await
}

/// `known`: of one that is there, its name, which stays.
async fn put(visit: &Visit, name: &str, known: Option<&str>) -> Answer {
    let saved: Result<(), Fault> = async {
        let definition = typed::definition(&visit.form, "definition")?;
        visit.engine().control().workflow_put(&visit.actor(), visit.tenant(), name, definition).await?;
        Ok(())
    }
    .await;
    match saved {
        Ok(()) => Ok(see_other(&link(visit, name, "?done=saved"))),
        Err(fault) => {
            let mut problem = fault.problem()?;
            // Its field is a place in the definition, which the sentence names.
            if problem.field.as_deref() != Some("name") {
                problem.field = Some("definition".to_owned());
            }
            let typed = visit.form.raw("definition").unwrap_or_default();
            let body = form(visit, known, typed, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Save a workflow"), body))
        }
    }
}

fn form(visit: &Visit, known: Option<&str>, definition: &str, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let action = known.map_or_else(|| visit.link("/workflows/new"), |name| link(visit, name, "/edit"));
    let back = known.map_or_else(|| visit.link("/workflows"), |name| link(visit, name, ""));
    html! {
        (parts::heading(known.unwrap_or(t("Create a workflow")), html! {}))
        (parts::refusal(problem))
        (parts::form(visit, &action, html! {
            @if known.is_none() {
                (fields::text(fields::Field {
                    name: "name",
                    label: t("Name"),
                    value: visit.form.raw("name").unwrap_or_default(),
                    hint: t("a-z, 0-9, - and _. It stands in addresses and does not change."),
                    required: true,
                    problem,
                }, "text"))
            } @else {
                p { (t("Runs that have begun go on with the definition that they began with.")) }
            }
            (fields::area(fields::Field {
                name: "definition",
                label: t("Definition"),
                value: definition,
                hint: t("YAML or JSON. Everything in it is checked before it is saved."),
                required: true,
                problem,
            }, 24))
            div .actions {
                button type="submit" { (t("Save")) }
                a .button .ghost href=(back) { (t("Cancel")) }
            }
        }))
        @if known.is_some() {
            details .more {
                summary { (t("An example of a definition")) }
                (text::block(visit.words(), t("An example"), EXAMPLE))
            }
        }
    }
}
