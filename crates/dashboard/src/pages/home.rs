//! A tenant's start: how its webhooks are doing.

use http::Method;
use maud::html;

use crate::page::{Answer, Page, Who};
use crate::parts;
use crate::visit::Visit;

pub(crate) static HEALTH: Page =
    Page { method: Method::GET, path: "/", who: Who::Reader, handle: |visit| Box::pin(show(visit)) };

async fn show(visit: Visit) -> Answer {
    Ok(visit.page(visit.t("Health"), html! { (parts::heading(visit.t("Health"), html! {})) }))
}
