//! `/events/{event}`: one event, and what became of it at every webhook.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_store::StoredEvent;

use super::{find, list, outcomes};
use crate::page::{Answer, Page, Who};
use crate::parts::{self, text, time};
use crate::visit::Visit;

pub(crate) static SHOW: Page = Page {
    method: Method::GET,
    path: "/events/{event}",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let event = find::event(&visit, visit.path("event")).await?.ok_or_else(|| Problem::not_found("event"))?;
    // Who may not see webhooks gets the event alone.
    let fate = match visit.may_see_webhooks() {
        true => {
            let explained = visit.engine().explain(visit.tenant(), &event).await?;
            Some(outcomes::shown(&visit, &event, explained))
        }
        false => None,
    };
    let title = format!("{} · {}", visit.t("Event"), event.event_type);
    Ok(visit.page(
        &title,
        html! {
            (parts::heading(&format!("{} {}", visit.t("Event"), event.event_type), html! {}))
            (facts(&visit, &event))
            @if let Some(fate) = fate { (fate) }
            h2 { (visit.t("Payload")) }
            (text::json(visit.words(), visit.t("As it was published"), &event.data))
        },
    ))
}

fn facts(visit: &Visit, event: &StoredEvent) -> Markup {
    let t = |text| visit.t(text);
    html! {
        (parts::facts(&[
            (t("Id"), html! {
                @match &event.external_id {
                    Some(id) => { code { (id) } " " span .hint { (t("given by the publisher")) } },
                    None => code { (event.id) },
                }
            }),
            (t("Kind"), html! { (list::kind(visit, event.kind)) }),
            (t("Happened"), time::moment(visit, event.time)),
            (t("Accepted"), time::moment(visit, event.accepted)),
            (t("Size"), html! { (text::size(event.data.len() as u64)) }),
            (t("Depth"), html! {
                (event.depth) " "
                span .hint {
                    @if event.depth == 0 { (t("published by itself, not made by another event")) }
                    @else { (t("events led to this one")) }
                }
            }),
        ]))
    }
}
