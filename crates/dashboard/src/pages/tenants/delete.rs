//! The end of a tenant: asked for by typing its id.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::{Code, Problem};

use crate::page::{Answer, Page, Who, see_other};
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone};
use crate::visit::Visit;

pub(crate) static ASKED: Page = Page {
    method: Method::GET,
    path: "/settings/delete",
    who: Who::TenantOperator,
    handle: |visit| Box::pin(async move { Ok(visit.page("Delete this tenant", ask(&visit, None))) }),
};

pub(crate) static DELETED: Page = Page {
    method: Method::POST,
    path: "/settings/delete",
    who: Who::TenantOperator,
    handle: |visit| Box::pin(delete(visit)),
};

fn ask(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let tenant = visit.tenant();
    html! {
        (parts::heading("Delete this tenant", html! {}))
        (parts::notice(Tone::Bad, html! {
            p { strong { (tenant.pinned.values.name) } " is gone for everybody at once: its " (tenant.webhooks.len())
                " webhooks, its events and records, its workflows, and its keys, which end. This cannot be undone." }
        }))
        p { "The audit log keeps what was done." }
        (parts::form(visit, &visit.link("/settings/delete"), html! {
            (fields::text(Field {
                name: "id", label: "The tenant's id, to confirm", value: "",
                hint: &format!("Type {}", tenant.public_id), required: true, problem,
            }, "text"))
            div .actions {
                button .danger type="submit" { "Delete the tenant" }
                a .button .ghost href=(visit.link("/settings")) { "Keep it" }
            }
        }))
    }
}

async fn delete(visit: Visit) -> Answer {
    if visit.form.text("id") != Some(&*visit.tenant().public_id) {
        let problem =
            Problem::at(Code::InvalidField, "id", "This is not the tenant's id, so nothing was deleted.");
        return Ok(visit.page_with_status(422, "Delete this tenant", ask(&visit, Some(&problem))));
    }
    let job = visit.engine().control().tenant_delete(&visit.actor(), visit.tenant().id).await?;
    Ok(see_other(&format!("/dashboard/jobs/{}", job.id)))
}
