//! `/secrets`: what steps of workflows use by name. A value goes in here and never comes out.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_store::config::StepSecretRow;
use secrecy::SecretString;

use crate::fault::Fault;
use crate::form::escaped;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::{self, fields, list, time};
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[&LIST, &PUT, &DELETE];

static LIST: Page =
    Page { method: Method::GET, path: "/secrets", who: Who::Reader, handle: |visit| Box::pin(show(visit)) };

static PUT: Page =
    Page { method: Method::POST, path: "/secrets", who: Who::Admin, handle: |visit| Box::pin(put(visit)) };

static DELETE: Page = Page {
    method: Method::POST,
    path: "/secrets/{name}/delete",
    who: Who::Admin,
    handle: |visit| Box::pin(delete(visit)),
};

async fn show(visit: Visit) -> Answer {
    Ok(visit.page(visit.t("Secrets"), page(&visit, None).await?))
}

async fn put(visit: Visit) -> Answer {
    let name = visit.form.text("name").unwrap_or_default();
    // As it was typed: spaces may belong to it.
    let value = SecretString::from(visit.form.raw("value").unwrap_or_default());
    match visit.engine().control().secret_put(&visit.actor(), visit.tenant(), name, &value).await {
        Ok(_) => Ok(see_other(&visit.link("/secrets?done=saved"))),
        Err(error) => {
            let problem = Fault::from(error).problem()?;
            let body = page(&visit, Some(&problem)).await?;
            Ok(visit.page_with_status(problem.code.status(), visit.t("Secrets"), body))
        }
    }
}

async fn delete(visit: Visit) -> Answer {
    let name = visit.path("name");
    if name.contains('\0') {
        return Err(Problem::not_found("secret").into());
    }
    visit.engine().control().secret_delete(&visit.actor(), visit.tenant(), name).await?;
    Ok(see_other(&visit.link("/secrets?done=deleted")))
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Result<Markup, Fault> {
    let t = |text| visit.t(text);
    // A tenant has 200 at most.
    let mut rows = visit.store().step_secrets(visit.tenant().id).await?;
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(html! {
        (parts::heading(t("Secrets"), html! {}))
        (parts::done(visit, &[
            ("saved", "Saved. Steps that begin from now on use this value."),
            ("deleted", "Deleted. Steps that name it fail from now on, and say so."),
        ]))
        p .lead { (t("Tokens and passwords that steps of workflows use by name. Values are sealed, and never shown again.")) }
        @if rows.is_empty() {
            (parts::empty(t("No secrets yet"), html! {
                p { (t("Put the token of another system here. A step then says")) " " code { "{{ secrets.NAME }}" } " "
                    (t("where the token belongs, and the token stays out of the definition and of every run.")) }
            }))
        } @else {
            (table(visit, &rows))
        }
        @if visit.may_change() {
            h2 { (t("Put a secret")) }
            (parts::refusal(problem))
            (form(visit, problem))
        }
    })
}

fn table(visit: &Visit, rows: &[StepSecretRow]) -> Markup {
    let t = |text| visit.t(text);
    let columns = [t("Name"), t("Version"), t("Updated"), t("Created"), t("Delete")];
    let columns = &columns[..if visit.may_change() { 5 } else { 4 }];
    list::table(
        t("Secrets"),
        columns,
        html! {
            @for row in rows {
                tr {
                    (list::cell(columns[0], html! { code { (row.name) } }))
                    (list::number(columns[1], html! { (row.version) }))
                    (list::cell(columns[2], time::short(visit, row.updated)))
                    (list::cell(columns[3], time::short(visit, row.created)))
                    @if visit.may_change() {
                        (list::cell(columns[4], parts::danger(
                            visit,
                            &visit.link(&format!("/secrets/{}/delete", escaped(&row.name))),
                            t("Delete"),
                            t("Steps that name it fail from then on. This cannot be taken back."),
                        )))
                    }
                }
            }
        },
    )
}

fn form(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    parts::form(
        visit,
        &visit.link("/secrets"),
        html! {
            (fields::text(fields::Field {
                name: "name",
                label: t("Name"),
                value: visit.form.raw("name").unwrap_or_default(),
                hint: t("Letters, digits and _. A name that is there gets the new value."),
                required: true,
                problem,
            }, "text"))
            (fields::text(fields::Field {
                name: "value",
                label: t("Value"),
                hint: t("It is taken as you type it, spaces included, and not shown again."),
                required: true,
                problem,
                ..fields::Field::default()
            }, "password"))
            div .actions { button type="submit" { (t("Save")) } }
        },
    )
}
