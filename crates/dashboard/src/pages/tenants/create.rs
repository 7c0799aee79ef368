//! Making a tenant.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_engine::control::{Created, NewTenant, Repeatable, TenantChanged};

use crate::fault::Fault;
use crate::form::escaped;
use crate::page::{Answer, Page, Who, see_other};
use crate::pages::settings::form as settings;
use crate::parts;
use crate::parts::fields::{self, Field};
use crate::visit::Visit;

pub(crate) static FORM: Page = Page {
    method: Method::GET,
    path: "/tenants/new",
    who: Who::Operator,
    handle: |visit| Box::pin(async move { Ok(visit.page("New tenant", form(&visit, None))) }),
};

pub(crate) static CREATED: Page = Page {
    method: Method::POST,
    path: "/tenants/new",
    who: Who::Operator,
    handle: |visit| Box::pin(create(visit)),
};

fn form(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let profiles = visit.engine().catalogue().profiles();
    let profiles: Vec<(&str, &str)> =
        profiles.iter().map(|profile| (profile.name.as_str(), profile.title.as_str())).collect();
    let typed = |name: &str| visit.form.text(name).unwrap_or_default().to_owned();
    let (id, name, profile) = (typed("id"), typed("name"), typed("profile"));
    let (plan, timezone, attributes) = (typed("plan"), typed("timezone"), typed("attributes"));
    html! {
        (parts::heading("New tenant", html! {}))
        p { "A tenant is one customer of your product. Its profile decides what its webhooks look like on the wire." }
        (parts::refusal(problem))
        (parts::form(visit, "/dashboard/tenants/new", html! {
            (fields::text(Field { name: "name", label: "Name", value: &name, hint: "Stands in the bodies of some profiles. The id when empty.", problem, ..Field::default() }, "text"))
            (fields::text(Field { name: "id", label: "Id", value: &id, hint: "As your product knows it: 1 to 128 of A-Z a-z 0-9 _ -. Made when empty, and kept for ever.", problem, ..Field::default() }, "text"))
            (fields::choice(Field { name: "profile", label: "Profile", value: &profile, hint: "Can be changed until the tenant has events.", problem, ..Field::default() }, &profiles))
            (fields::text(Field { name: "plan", label: "Plan", value: &plan, hint: "What the tenant pays for. Some profiles ask for one before they allow webhooks.", problem, ..Field::default() }, "text"))
            (fields::text(Field { name: "timezone", label: "Time zone", value: &timezone, hint: "An IANA name such as Europe/Berlin. UTC when empty.", problem, ..Field::default() }, "text"))
            (fields::area(Field { name: "attributes", label: "Attributes", value: &attributes, hint: "A JSON object of values that profiles put into bodies. None when empty.", problem, ..Field::default() }, 4))
            div .actions { button type="submit" { "Create tenant" } a .button .ghost href="/dashboard/" { "Cancel" } }
        }))
    }
}

async fn create(visit: Visit) -> Answer {
    match created(&visit).await {
        Ok(id) => Ok(see_other(&format!("/dashboard/t/{}/settings?done=created", escaped(&id)))),
        Err(error) => {
            let problem = error.problem()?;
            Ok(visit.page_with_status(problem.code.status(), "New tenant", form(&visit, Some(&problem))))
        }
    }
}

/// The new tenant's id.
async fn created(visit: &Visit) -> Result<String, Fault> {
    let text = |name: &str| visit.form.text(name).map(str::to_owned);
    let new = NewTenant {
        id: text("id"),
        name: text("name"),
        profile: text("profile").unwrap_or_default(),
        plan: text("plan"),
        timezone: text("timezone"),
        attributes: settings::attributes(&visit.form)?,
        settings: None,
    };
    let id = |changed: &TenantChanged| changed.tenant.public_id.as_bytes().to_vec();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &id });
    Ok(match visit.engine().control().tenant_create(&visit.actor(), new, again).await? {
        Created::Fresh(changed) => changed.tenant.public_id.to_string(),
        Created::Replayed(id) => String::from_utf8_lossy(&id).into_owned(),
    })
}
