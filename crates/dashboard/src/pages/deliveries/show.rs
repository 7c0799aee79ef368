//! `/deliveries/{delivery}`: what became of one event at one webhook, in the order in which it happened.

use http::Method;
use maud::{Markup, html};
use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::DeliveryId;
use postrider_domain::problem::Problem;
use postrider_store::{StoredDelivery, StoredEvent};

use super::timeline::{self, Story};
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, time};
use crate::visit::Visit;

pub(crate) static SHOW: Page = Page {
    method: Method::GET,
    path: "/deliveries/{delivery}",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let id = visit.id("delivery", "delivery", DeliveryId::parse)?;
    let (store, tenant) = (visit.store(), visit.tenant());
    let delivery = store.delivery_get(tenant.id, id).await?.ok_or_else(|| Problem::not_found("delivery"))?;
    let attempts = store.attempts(tenant.id, id).await?;
    let event = store.event_get(tenant.id, delivery.event).await?;
    let patterns = match &event {
        Some(event) => timeline::matched(&visit, event, &delivery).await?,
        None => Vec::new(),
    };
    let story =
        Story { delivery: &delivery, event: event.as_ref(), attempts: &attempts, patterns: &patterns };
    if visit.wants_part() {
        return Ok(visit.part(way(&visit, &story)));
    }
    let title = format!("{} · {}", visit.t("Delivery"), delivery.event_type);
    Ok(visit.page(&title, body(&visit, &story)))
}

fn body(visit: &Visit, story: &Story<'_>) -> Markup {
    let t = |text| visit.t(text);
    html! {
        (parts::heading(&format!("{} {}", t("Delivery of"), story.delivery.event_type), html! {
            a .button .ghost href=(visit.link(&format!("/deliveries/{}/curl", story.delivery.id))) { (t("Copy as curl")) }
            @if visit.may_change() {
                a .button .ghost href=(visit.link(&format!("/deliveries/{}/resend", story.delivery.id))) { (t("Send to another URL")) }
            }
        }))
        @if visit.query.text("done") == Some("retried") {
            (parts::notice(Tone::Good, html! { p { (t("This is the new delivery. The one before it stays as it ended.")) } }))
        }
        @if visit.query.text("done") == Some("resent") {
            (parts::notice(Tone::Good, html! { p { (t("It is on its way to the URL that you gave; below stands what came of it.")) } }))
        }
        (facts(visit, story.delivery, story.event))
        (way(visit, story))
    }
}

fn facts(visit: &Visit, delivery: &StoredDelivery, event: Option<&StoredEvent>) -> Markup {
    let t = |text| visit.t(text);
    let event_name = super::event_name(delivery);
    let kind = match delivery.kind {
        DeliveryKind::Normal => t("normal"),
        DeliveryKind::Test => t("test event"),
        DeliveryKind::Replay => t("sent again"),
    };
    html! {
        (parts::facts(&[
            (t("Event"), html! {
                @if event.is_some() {
                    a href=(visit.link(&format!("/events/{}", escaped(&event_name)))) { code { (event_name) } }
                } @else { code { (event_name) } " " span .hint { (t("past its retention")) } }
            }),
            (t("Webhook"), webhook(visit, delivery)),
            (t("Kind"), html! { (kind) }),
            (t("Made"), time::moment(visit, delivery.created)),
            (t("Delivery id"), html! { code { (delivery.id) } }),
            (t("For the receiver"), html! {
                code { (event_name) } " "
                span .hint { (t("the event's id, the same in every attempt: who has seen it before can leave it")) }
            }),
        ]))
    }
}

fn webhook(visit: &Visit, delivery: &StoredDelivery) -> Markup {
    html! {
        @match visit.tenant().webhook(delivery.webhook) {
            Some(webhook) => {
                a href=(visit.link(&format!("/webhooks/{}", webhook.id))) { (webhook.name) } " "
                span .hint { (webhook.url) }
            },
            None => { code { (delivery.webhook) } " " span .hint { (visit.t("deleted")) } },
        }
    }
}

/// What changes while the delivery is open: it asks for itself until it has ended.
fn way(visit: &Visit, story: &Story<'_>) -> Markup {
    let t = |text| visit.t(text);
    let delivery = story.delivery;
    let is_open = !delivery.state.is_final();
    let here = visit.link(&format!("/deliveries/{}", delivery.id));
    let may_retry = !is_open && visit.may_change() && visit.tenant().webhook(delivery.webhook).is_some();
    html! {
        section #way aria-label=(t("What happened")) hx-get=[is_open.then_some(here.as_str())]
            hx-trigger=[is_open.then_some("every 2s")] hx-swap="outerHTML" {
            div .actions {
                (parts::state_badge(visit, delivery.state))
                @if is_open { span .hint data-without-script { a href=(here) { (t("Look again")) } } }
                @if may_retry {
                    (parts::act(visit, &format!("{here}/retry"), "", t("Retry")))
                }
            }
            (timeline::shown(visit, story))
        }
    }
}
