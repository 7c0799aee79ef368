//! What came to an inbox, newest first, byte for byte; asked for again every two seconds while somebody looks.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use maud::{Markup, html};
use postrider_domain::id::InboxRequestId;
use postrider_engine::inbox::Inbox;
use postrider_store::config::InboxRequestRow;

use super::{show, verdict};
use crate::fault::Fault;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, list, text, time};
use crate::visit::Visit;

pub(super) static REQUESTS: Page = Page {
    method: Method::GET,
    path: "/inbox/{inbox}/requests",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(poll(visit)),
};

/// Each with up to 32 KiB of body.
const SHOWN: usize = 10;

/// Nothing new: 204, and the page stays as it is, with what is folded open in it.
async fn poll(visit: Visit) -> Answer {
    let inbox = show::find(&visit).await?;
    let newest = visit.engine().control().inbox_requests(visit.tenant().id, inbox.id, None, 1).await?;
    let newest = newest.first().map(|row| row.id.to_string()).unwrap_or_default();
    if visit.query.raw("seen").unwrap_or_default() == newest {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(visit.part(list(&visit, &inbox).await?))
}

pub(super) async fn list(visit: &Visit, inbox: &Inbox) -> Result<Markup, Fault> {
    let t = |text| visit.t(text);
    let before = visit.query.text("cursor").and_then(|cursor| InboxRequestId::parse(cursor).ok());
    let control = visit.engine().control();
    let mut rows = control.inbox_requests(visit.tenant().id, inbox.id, before, SHOWN + 1).await?;
    let more = rows.len() > SHOWN;
    rows.truncate(SHOWN);
    let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
    let seen = rows.first().map(|row| row.id.to_string()).unwrap_or_default();
    // An older page does not move.
    let asks = before.is_none().then(|| visit.link(&format!("/inbox/{}/requests?seen={seen}", inbox.id)));
    Ok(html! {
        div #came hx-get=[asks.as_deref()] hx-trigger=[asks.as_ref().map(|_| "every 2s")] hx-swap="outerHTML" {
            @if rows.is_empty() {
                (parts::empty(t("Nothing came yet"), html! {
                    p { (t("Requests stand here as they arrive. Register the URL as a webhook and send a test event to it, or send anything to it from outside:")) }
                    (text::block(visit.words(), "curl", &format!("curl -d '{{\"hello\": true}}' {}", super::list::address(visit, inbox))))
                }))
            }
            @for (index, row) in rows.iter().enumerate() { (request(visit, inbox, row, index == 0)) }
            @if !rows.is_empty() { (pager(visit, inbox, next.as_deref())) }
        }
    })
}

fn pager(visit: &Visit, inbox: &Inbox, next: Option<&str>) -> Markup {
    let at = visit.link(&format!("/inbox/{}", inbox.id));
    html! {
        nav .pager aria-label=(visit.t("More of the list")) {
            @if visit.query.text("cursor").is_some() { a .button .ghost href=(at) { (visit.t("Newest")) } }
            @if let Some(next) = next { a .button .ghost href={ (at) "?cursor=" (next) } { (visit.t("Older")) } }
        }
    }
}

fn request(visit: &Visit, inbox: &Inbox, row: &InboxRequestRow, open: bool) -> Markup {
    let t = |text| visit.t(text);
    let headers: Vec<[String; 2]> = serde_json::from_str(&row.headers).unwrap_or_default();
    let headers: Vec<(String, String)> = headers.into_iter().map(|[name, value]| (name, value)).collect();
    let verdict = verdict::judge(visit, inbox, row, &headers);
    html! {
        details .card .more open[open] id=(row.id) {
            summary {
                strong { (row.method) } " " (time::short(visit, row.received)) " "
                (verdict::badge(visit, &verdict)) " "
                span .hint { (text::size(row.body_bytes)) ", " (t("answered")) " " (row.status) }
            }
            p { (verdict::sentence(visit, &verdict)) }
            (list::table(t("Headers"), &[t("Header"), t("Value")], html! {
                @for (name, value) in &headers {
                    tr { (list::cell(t("Header"), html! { code { (name) } })) (list::cell(t("Value"), html! { code { (value) } })) }
                }
            }))
            @if row.body.is_empty() { p .hint { (t("It has no body.")) } }
            @else { (text::bytes(visit.words(), t("Body, as it came"), &row.body)) }
            @if row.body_bytes > row.body.len() as u64 {
                (parts::notice(Tone::Plain, html! { p { (t("Only the beginning of the body is kept:")) " " (text::size(row.body.len() as u64)) } }))
            }
        }
    }
}
