//! The operator's start: every tenant, with what it sent and how that went.

use http::Method;
use maud::html;

use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, list};
use crate::visit::Visit;

pub(crate) static LIST: Page =
    Page { method: Method::GET, path: "/", who: Who::Operator, handle: |visit| Box::pin(show(visit)) };

async fn show(visit: Visit) -> Answer {
    let mut tenants = visit.engine().catalogue().tenants();
    tenants.sort_by(|a, b| a.public_id.cmp(&b.public_id));
    let rows = html! {
        @for tenant in tenants.iter().take(list::ROWS) {
            tr {
                (list::cell("Name", html! {
                    a href=(format!("/dashboard/t/{}/", escaped(&tenant.public_id))) { (tenant.pinned.values.name) }
                }))
                (list::cell("Id", html! { code { (tenant.public_id) } }))
                (list::cell("Profile", html! { (tenant.profile().title) }))
                (list::number("Webhooks", html! { (tenant.webhooks.len()) }))
            }
        }
    };
    Ok(visit.page("Tenants", html! {
        (parts::heading("Tenants", html! {}))
        (list::table("Tenants", &["Name", "Id", "Profile", "Webhooks"], rows))
    }))
}
