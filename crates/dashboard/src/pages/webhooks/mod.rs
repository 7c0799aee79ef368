//! A tenant's webhooks: the list, the form, one webhook with what becomes of its events, its secret, its tests.

mod act;
mod charts;
mod checks;
mod create;
mod delete;
mod edit;
mod form;
mod list;
mod recipe;
mod secret;
mod show;
pub(super) mod standing;
mod test;
mod tested;
mod verify;
mod why;

use std::sync::Arc;

use maud::{Markup, html};
use postrider_domain::id::WebhookId;
use postrider_domain::problem::Problem;
use postrider_domain::profile::EventType;
use postrider_engine::catalogue::{Tenant, Webhook};

use crate::page::Page;
use crate::parts::{self, Tone, text};
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[
    &list::LIST,
    &list::SWITCH,
    &create::FORM,
    &create::CREATE,
    &checks::MATCHES,
    &checks::CHECK,
    &show::SHOW,
    &edit::FORM,
    &edit::SAVE,
    &delete::ASK,
    &delete::DELETE,
    &secret::SHOW,
    &secret::ROTATE,
    &test::FORM,
    &test::SEND,
    &tested::SHOW,
    &act::RETRY,
    &act::RECOVER,
    &verify::SHOW,
];

/// The webhook in the path.
fn in_path(visit: &Visit) -> Result<Arc<Webhook>, Problem> {
    let id = visit.id("webhook", "webhook", WebhookId::parse)?;
    visit.tenant().webhook(id).cloned().ok_or_else(|| Problem::not_found("webhook"))
}

/// The address of a page about a webhook; `to` is empty or begins with a slash.
fn link(visit: &Visit, webhook: WebhookId, to: &str) -> String {
    visit.link(&format!("/webhooks/{webhook}{to}"))
}

/// The event types that this tenant can have: what its profile brings, then what was registered, as far as they are offered.
fn types(tenant: &Tenant) -> Vec<&EventType> {
    let exposed = tenant.settings.exposed_event_types.as_deref();
    let registered = tenant.types.values().map(|registered| &**registered);
    let mut registered: Vec<&EventType> = registered.collect();
    registered.sort_by(|a, b| a.name.cmp(&b.name));
    let all = tenant.profile().catalogue.types.iter().chain(registered);
    all.filter(|known| exposed.is_none_or(|exposed| exposed.contains(&known.name))).collect()
}

/// A secret on the page that follows its making.
fn secret_once(visit: &Visit, secret: &str) -> Markup {
    let t = |text| visit.t(text);
    html! {
        (parts::notice(Tone::Waiting, html! {
            p { strong { (t("Copy the signing secret now.")) } " " (t("It is shown this once; afterwards only a new one can be made.")) }
        }))
        (text::block(visit.words(), t("Signing secret"), secret))
    }
}
