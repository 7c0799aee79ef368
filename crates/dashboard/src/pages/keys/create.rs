//! A new key, shown once.

use axum::response::Response;
use http::Method;
use maud::html;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::catalogue::Role;
use postrider_engine::control::{Created, KeyCreated, NewKey, Repeatable};
use secrecy::ExposeSecret;

use super::list;
use crate::fault::Fault;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, text};
use crate::visit::Visit;

pub(super) static OF_ALL: Page =
    Page { method: Method::POST, path: "/keys", who: Who::Operator, handle: |visit| Box::pin(create(visit)) };

pub(super) static OF_TENANT: Page = Page {
    method: Method::POST,
    path: "/keys",
    who: Who::TenantOperator,
    handle: |visit| Box::pin(create(visit)),
};

async fn create(visit: Visit) -> Answer {
    match created(&visit).await {
        Ok(made) => Ok(shown(&visit, made.as_ref())),
        Err(error) => {
            let problem = error.problem()?;
            let body = list::body(&visit, Some(&problem)).await?;
            Ok(visit.page_with_status(problem.code.status(), "Keys", body))
        }
    }
}

/// None: the same form came before, and its key was shown then.
async fn created(visit: &Visit) -> Result<Option<KeyCreated>, Fault> {
    let role = visit.form.text("role").and_then(Role::parse);
    let role = role.ok_or_else(|| Problem::at(Code::InvalidField, "role", "Choose one of the roles."))?;
    let tenant = match (visit.tenant_if_any(), visit.form.text("tenant")) {
        (Some(tenant), _) => Some(tenant.id),
        (None, None) => None,
        (None, Some(id)) => {
            let tenant = visit.engine().catalogue().tenant_by_public_id(id);
            let unknown = || Problem::at(Code::InvalidField, "tenant", format!("There is no tenant `{id}`."));
            Some(tenant.ok_or_else(unknown)?.id)
        }
    };
    let name = visit.form.text("name").unwrap_or(role.as_str()).to_owned();
    let id = |made: &KeyCreated| made.id.to_string().into_bytes();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &id });
    let new = NewKey { role, tenant, name };
    Ok(match visit.engine().control().key_create(&visit.actor(), new, again).await? {
        Created::Fresh(made) => Some(made),
        Created::Replayed(_) => None,
    })
}

fn shown(visit: &Visit, made: Option<&KeyCreated>) -> Response {
    visit.page("New key", html! {
        (parts::heading("New key", html! {}))
        @match made {
            Some(made) => {
                p { "This is the key " strong { (made.name) } " (" (made.role.as_str()) "). It is shown once: keep it now." }
                (text::block(visit.words(), "Key", made.key.expose_secret()))
                p { "Programs send it in the header " code { "Authorization: Bearer KEY" } "." }
                @if made.role != Role::Publisher { p { "It also signs in here." } }
            },
            None => (parts::notice(Tone::Waiting, html! {
                p { "This form was sent twice. The key was made once and shown then; it cannot be shown again. Where it is lost, revoke it and make another." }
            })),
        }
        p { a .button href=(visit.link("/keys")) { "I have it" } }
    })
}
