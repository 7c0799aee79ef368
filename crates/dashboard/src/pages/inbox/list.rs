//! A tenant's inboxes. They are few: the engine bounds them.

use http::Method;
use maud::{Markup, html};
use postrider_engine::inbox::{self, Inbox};

use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, list, text, time};
use crate::visit::Visit;

pub(super) static LIST: Page = Page {
    method: Method::GET,
    path: "/inbox",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let inboxes = visit.engine().control().inboxes(visit.tenant().id).await?;
    let new = html! {
        @if visit.may_change() { (parts::act(&visit, &visit.link("/inbox/new"), "", t("New inbox"))) }
    };
    Ok(visit.page(t("Inbox"), html! {
        (parts::heading(t("Inbox"), if inboxes.is_empty() { html! {} } else { new.clone() }))
        @if visit.query.text("done") == Some("deleted") {
            (parts::notice(Tone::Good, html! { p { (t("The inbox is deleted, with what came to it. A webhook that sends to it is answered 404 from now on.")) } }))
        }
        p { (t("An inbox is a receiver that lives here: register its URL as a webhook, and see what comes, byte for byte.")) }
        @if inboxes.is_empty() {
            (parts::empty(t("No inbox yet"), html! {
                p { (t("With an inbox you see your first delivery arrive without writing a line of code.")) }
                (new)
            }))
        } @else {
            (list::table(t("Inboxes, newest first"), &[t("URL"), t("Answers"), t("Webhooks"), t("Made")],
                html! { @for inbox in &inboxes { (row(&visit, inbox)) } }))
        }
    }))
}

fn row(visit: &Visit, inbox: &Inbox) -> Markup {
    let t = |text| visit.t(text);
    let webhooks =
        visit.tenant().webhooks.iter().filter(|webhook| webhook.inbox.as_deref() == Some(&*inbox.slug));
    html! {
        tr {
            (list::cell(t("URL"), html! { a href=(visit.link(&format!("/inbox/{}", inbox.id))) { (address(visit, inbox)) } }))
            (list::cell(t("Answers"), html! { (inbox.status) }))
            (list::number(t("Webhooks"), html! { (text::count(webhooks.count() as u64)) }))
            (list::cell(t("Made"), time::short(visit, inbox.created)))
        }
    }
}

/// What to register as a webhook.
pub(super) fn address(visit: &Visit, inbox: &Inbox) -> String {
    inbox.url.clone().unwrap_or_else(|| inbox::url(&visit.app.public_url, &inbox.slug))
}
