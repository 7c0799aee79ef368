//! All profiles.

use std::collections::HashMap;

use http::Method;
use maud::html;
use postrider_domain::profile::builtin;

use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, list, text};
use crate::visit::Visit;

pub(super) static LIST: Page = Page {
    method: Method::GET,
    path: "/profiles",
    who: Who::Operator,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let profiles = visit.engine().catalogue().profiles();
    let mut tenants: HashMap<String, u64> = HashMap::new();
    for tenant in visit.engine().catalogue().tenants() {
        *tenants.entry(tenant.profile().name.clone()).or_default() += 1;
    }
    let start: usize = visit.query.text("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let next = (profiles.len() > start.saturating_add(list::ROWS)).then(|| (start + list::ROWS).to_string());
    let rows = html! {
        @for profile in profiles.iter().skip(start).take(list::ROWS) {
            tr {
                (list::cell("Title", html! { a href=(format!("/dashboard/profiles/{}", escaped(&profile.name))) { (profile.title) } }))
                (list::cell("Name", html! {
                    code { (profile.name) }
                    @if builtin().iter().any(|(name, _)| *name == profile.name) { " " (parts::badge(Tone::Plain, "built in")) }
                }))
                (list::cell("Version", html! { code { (profile.version) } }))
                (list::number("Event types", html! { (profile.catalogue.types.len()) @if profile.catalogue.open { " and more" } }))
                (list::number("Tenants", html! { (text::count(tenants.get(&profile.name).copied().unwrap_or(0))) }))
            }
        }
    };
    Ok(visit.page("Profiles", html! {
        (parts::heading("Profiles", html! { a .button href="/dashboard/profiles/new" { "Store a profile" } }))
        p { "A profile is a wire contract: what bodies and headers look like, how they are signed, and when failed deliveries are tried again." }
        (list::table("Profiles by name", &["Title", "Name", "Version", "Event types", "Tenants"], rows))
        (list::pager(&visit, &visit.query, next.as_deref()))
    }))
}
