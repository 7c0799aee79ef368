//! `/deliveries/{delivery}/curl`: the delivery's request as a command, signed now, to be tried by hand.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::DeliveryId;
use postrider_engine::outbound::preview::Reveal;
use postrider_engine::outbound::rendered::{as_curl, rendered};

use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, text};
use crate::visit::Visit;

pub(crate) static CURL: Page = Page {
    method: Method::GET,
    path: "/deliveries/{delivery}/curl",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(show(visit, Reveal::No)),
};

/// With the values of the webhook's own headers. Asked for by a form, so that no address and no history leads to it.
pub(crate) static REVEALED: Page = Page {
    method: Method::POST,
    path: "/deliveries/{delivery}/curl",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(show(visit, Reveal::Yes)),
};

async fn show(visit: Visit, reveal: Reveal) -> Answer {
    let id = visit.id("delivery", "delivery", DeliveryId::parse)?;
    let request = rendered(visit.engine(), visit.tenant(), id, reveal).await;
    let title = visit.t("Copy as curl");
    let back = visit.link(&format!("/deliveries/{id}"));
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            let problem = crate::fault::Fault::from(error).problem()?;
            let body = html! {
                (parts::heading(title, html! {}))
                (parts::refusal(Some(&problem)))
                (way_back(&visit, &back))
            };
            return Ok(visit.page_with_status(problem.code.status(), title, body));
        }
    };
    let store = visit.store();
    let delivery = store.delivery_get(visit.tenant().id, id).await?;
    let has_own_headers = delivery
        .and_then(|delivery| visit.tenant().webhook(delivery.webhook).cloned())
        .is_some_and(|webhook| !webhook.headers.is_empty());
    let t = |text| visit.t(text);
    Ok(visit.page(title, html! {
        (parts::heading(title, html! {}))
        p { (t("The request as it would be sent now: the same body, and a signature that is valid now. Most receivers take it for some minutes; load this page again for a new one.")) }
        @if has_own_headers && reveal == Reveal::No {
            (parts::notice(Tone::Plain, html! {
                p { (t("The values of the webhook's own headers are hidden.")) }
                @if visit.may_change() {
                    (parts::act(&visit, &format!("{back}/curl"), "ghost", t("Show them")))
                } @else { p { (t("An admin can show them.")) } }
            }))
        }
        (text::block(visit.words(), t("Command"), &as_curl(&request)))
        (way_back(&visit, &back))
    }))
}

fn way_back(visit: &Visit, to: &str) -> Markup {
    html! { p { a href=(to) { (visit.t("Back to the delivery")) } } }
}
