//! One inbox: its URL, what it answers, and what came.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::InboxId;
use postrider_domain::limits;
use postrider_domain::problem::Problem;
use postrider_engine::inbox::Inbox;

use super::{list, requests};
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone, text};
use crate::visit::Visit;

pub(super) static SHOW: Page = Page {
    method: Method::GET,
    path: "/inbox/{inbox}",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let inbox = find(&visit).await?;
    let came = requests::list(&visit, &inbox).await?;
    let url = list::address(&visit, &inbox);
    let webhooks: Vec<_> = visit
        .tenant()
        .webhooks
        .iter()
        .filter(|webhook| webhook.inbox.as_deref() == Some(&*inbox.slug))
        .collect();
    let actions = html! {
        @if visit.may_change() {
            a .button href=(visit.link(&format!("/webhooks/new?url={}", escaped(&url)))) { (t("Use as a webhook's URL")) }
        }
    };
    Ok(visit.page(t("Inbox"), html! {
        (parts::heading(t("Inbox"), actions))
        @if visit.query.text("done") == Some("status") {
            (parts::notice(Tone::Good, html! { p { (t("From now on it answers")) " " (inbox.status) "." } }))
        }
        (text::block(visit.words(), t("URL"), &url))
        (parts::facts(&[
            (t("Webhooks that send here"), html! {
                @if webhooks.is_empty() { (t("none yet")) }
                @for (index, webhook) in webhooks.iter().enumerate() {
                    @if index > 0 { ", " }
                    a href=(visit.link(&format!("/webhooks/{}", webhook.id))) { (webhook.name) }
                }
            }),
            (t("Answers"), html! { (inbox.status) }),
            (t("Keeps"), html! { (t("the newest requests, at most")) " " (limits::INBOX_REQUESTS_MAX) }),
        ]))
        @if visit.may_change() { (controls(&visit, &inbox)) }
        h2 { (t("What came")) }
        (came)
    }))
}

fn controls(visit: &Visit, inbox: &Inbox) -> Markup {
    let t = |text| visit.t(text);
    let current = inbox.status.to_string();
    let mut statuses = vec![
        ("200", t("200: it has the event")),
        ("204", t("204: it has the event, and says nothing")),
        ("302", t("302: it points elsewhere, which is a failure")),
        ("400", t("400: it refuses the request")),
        ("410", t("410: it is gone for good, and the webhook is switched off")),
        ("429", t("429: it asks for a pause")),
        ("500", t("500: it is broken, and the delivery is tried again")),
        ("503", t("503: it is away, and the delivery is tried again")),
    ];
    if statuses.iter().all(|(status, _)| *status != current) {
        statuses.insert(0, (&current, &current));
    }
    let at = |what: &str| visit.link(&format!("/inbox/{}/{what}", inbox.id));
    html! {
        section .card {
            h2 { (t("What it answers")) }
            p .hint { (t("Let it fail to see how deliveries are tried again.")) }
            (parts::form(visit, &at("status"), html! {
                (fields::choice(Field { name: "status", label: t("Status"), value: &current, ..Field::default() }, &statuses))
                div .actions { button type="submit" { (t("Answer with this")) } }
            }))
            form method="post" action=(at("delete")) .inline {
                (parts::hidden(visit))
                button .danger type="submit" data-confirm=(t("Delete this inbox with what came to it?")) { (t("Delete inbox")) }
            }
        }
    }
}

pub(super) async fn find(visit: &Visit) -> Result<Inbox, crate::fault::Fault> {
    let id = visit.id("inbox", "inbox", InboxId::parse)?;
    let inboxes = visit.engine().control().inboxes(visit.tenant().id).await?;
    let inbox = inboxes.into_iter().find(|inbox| inbox.id == id);
    Ok(inbox.ok_or_else(|| Problem::not_found("inbox"))?)
}
