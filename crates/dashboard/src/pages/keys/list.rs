//! The keys there are, without the keys themselves, and the form for a new one.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::KeyId;
use postrider_domain::problem::Problem;
use postrider_engine::catalogue::Role;
use postrider_engine::control::KeyListed;

use crate::fault::Fault;
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone, list, time};
use crate::visit::Visit;

pub(super) static ALL: Page =
    Page { method: Method::GET, path: "/keys", who: Who::Operator, handle: |visit| Box::pin(show(visit)) };

pub(super) static OF_TENANT: Page = Page {
    method: Method::GET,
    path: "/keys",
    who: Who::TenantOperator,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let body = body(&visit, None).await?;
    Ok(visit.page("Keys", body))
}

/// `problem`: of a new key that was refused.
pub(super) async fn body(visit: &Visit, problem: Option<&Problem>) -> Result<Markup, Fault> {
    let before = visit.query.text("cursor").and_then(|cursor| KeyId::parse(cursor).ok());
    let tenant = visit.tenant_if_any().map(|tenant| tenant.id);
    let mut keys = visit.engine().control().keys(tenant, before, list::ROWS + 1).await?;
    let more = keys.len() > list::ROWS;
    keys.truncate(list::ROWS);
    let next = keys.last().filter(|_| more).map(|key| key.id.to_string());
    Ok(html! {
        (parts::heading("Keys", html! {}))
        @if visit.query.text("done") == Some("revoked") {
            (parts::notice(Tone::Good, html! { p { "The key is revoked. Requests with it are refused from now on, and who signed in with it is out." } }))
        }
        p { "Programs and people show who they are with a key. What is kept is its hash: a key is shown once, when it is made." }
        section .card { h2 { "New key" } (parts::refusal(problem)) (form(visit, problem)) }
        h2 { "All keys" }
        @if keys.is_empty() {
            (parts::empty("No key yet", html! { p { "Make one above, for the program that publishes or for an admin of the tenant." } }))
        } @else {
            (list::table("Keys, newest first", &COLUMNS, html! { @for key in &keys { (row(visit, key)) } }))
            (list::pager(visit, &visit.query, next.as_deref()))
        }
    })
}

const COLUMNS: [&str; 7] = ["Name", "Role", "Tenant", "Id", "Made", "Last used", "State"];

fn row(visit: &Visit, key: &KeyListed) -> Markup {
    let tenant = key.tenant.and_then(|tenant| visit.engine().catalogue().tenant(tenant));
    html! {
        tr {
            (list::cell("Name", html! { (key.name) }))
            (list::cell("Role", html! { (key.role.as_str()) }))
            (list::cell("Tenant", html! {
                @match (&tenant, key.tenant) {
                    (Some(tenant), _) => a href=(format!("/dashboard/t/{}/keys", escaped(&tenant.public_id))) { (tenant.public_id) },
                    (None, Some(_)) => span .hint { "deleted" },
                    (None, None) => "all",
                }
            }))
            (list::cell("Id", html! { code { (key.id) } }))
            (list::cell("Made", time::short(visit, key.created)))
            (list::cell("Last used", html! { @match key.last_used { Some(at) => (time::short(visit, at)), None => "never" } }))
            (list::cell("State", html! {
                @match key.revoked {
                    Some(at) => { (parts::badge(Tone::Plain, "revoked")) " " (time::short(visit, at)) },
                    None => {
                        form method="post" action=(visit.link(&format!("/keys/{}/revoke", key.id))) .inline {
                            (parts::hidden(visit))
                            button .danger type="submit" aria-label={ "Revoke " (key.name) }
                                data-confirm={ "Revoke the key " (key.name) "? Programs that use it are refused at once." } { "Revoke" }
                        }
                    },
                }
            }))
        }
    }
}

fn form(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let typed = |name: &str| visit.form.text(name).unwrap_or_default().to_owned();
    let (role, tenant, name) = (typed("role"), typed("tenant"), typed("name"));
    let all: &[(&str, &str)] = &[
        (Role::Publisher.as_str(), "Publisher: sends events and records"),
        (Role::Admin.as_str(), "Admin: a tenant's webhooks and workflows"),
        (Role::Viewer.as_str(), "Viewer: reads a tenant, changes nothing"),
        (Role::Operator.as_str(), "Operator: the whole installation"),
    ];
    let of_tenant = visit.tenant_if_any().is_some();
    parts::form(
        visit,
        &visit.link("/keys"),
        html! {
            (fields::text(Field { name: "name", label: "Name", value: &name, hint: "Who uses it. The role when empty.", problem, ..Field::default() }, "text"))
            (fields::choice(Field { name: "role", label: "Role", value: &role, problem, ..Field::default() }, if of_tenant { &all[..3] } else { all }))
            @if !of_tenant {
                (fields::text(Field { name: "tenant", label: "Tenant", value: &tenant, hint: "The id of the tenant that it belongs to. Empty for an operator, and for a publisher of all tenants.", problem, ..Field::default() }, "text"))
            }
            div .actions { button type="submit" { "Make key" } }
        },
    )
}
