//! `/requests/{request}`: one request as it came, what became of it, and what to do.

use http::Method;
use maud::html;
use postrider_domain::id::RequestId;
use postrider_domain::run::RequestCause;

use super::trigger_of;
use super::words::said_of;
use crate::page::{Answer, Page, Who};
use crate::pages::runs;
use crate::parts::{self, text, time};
use crate::visit::Visit;

pub(crate) static SHOW: Page = Page {
    method: Method::GET,
    path: "/requests/{request}",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

pub(crate) static REPLAY: Page = Page {
    method: Method::POST,
    path: "/requests/{request}/replay",
    who: Who::Admin,
    handle: |visit| Box::pin(replay(visit)),
};

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let id = visit.id("request", "request", RequestId::parse)?;
    let row = visit.engine().inbound().request_get(visit.tenant(), id).await?;
    let request = &row.request;
    let said = said_of(request.cause);
    let headers: Vec<(String, String)> = serde_json::from_slice(&request.headers).unwrap_or_default();
    let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let body = request.body.as_deref().unwrap_or_default();
    let mut facts = vec![
        (
            t("Trigger"),
            html! {
                @match trigger_of(&visit, request.trigger) {
                    Some((name, to)) => a href=(to) { (name) },
                    None => { code { (request.trigger) } " (" (t("deleted")) ")" }
                }
            },
        ),
        (t("Received"), time::moment(&visit, request.received)),
        (t("From"), html! { code { (request.peer) } }),
        (t("Answered with"), html! { (request.status) }),
    ];
    if let Some(run) = row.run {
        let label = if request.cause == RequestCause::Duplicate { t("Run of the first") } else { t("Run") };
        facts.push((label, html! { a href=(visit.link(&format!("/runs/{run}"))) { code { (run) } } }));
    }
    let page = html! {
        (parts::heading(&format!("{} {id}", t("Request")), html! {
            @if visit.may_change() {
                (parts::act(&visit, &visit.link(&format!("/requests/{id}/replay")), "ghost", t("Replay")))
            }
        }))
        (parts::notice(said.tone, html! {
            p { (parts::badge(said.tone, t(said.label))) " " (t(said.meaning)) }
            @if let Some(detail) = &request.detail { p { (detail) } }
        }))
        (parts::facts(&facts))
        h2 { (t("As it came")) }
        (text::block(visit.words(), t("Method and query"), &format!("{} {}", request.method, query(&request.query))))
        (text::block(visit.words(), t("Headers"), &head))
        p .hint { (t("What may be a credential is masked.")) }
        @if request.body_bytes == 0 { p { (t("It had no body.")) } }
        @else if body.is_empty() { p { (t("It had a body, which was not kept.")) " " (text::size(request.body_bytes)) }
        } @else {
            (text::json(visit.words(), t("Body"), body))
            @if (body.len() as u64) < request.body_bytes {
                p .hint { (t("Only the beginning was kept, since the request was refused; it had")) " " (text::size(request.body_bytes)) "." }
            }
        }
        @if visit.may_change() {
            p .hint { (t("A replay starts a run with this body, whatever verification, dedup and filter said of it.")) }
        }
    };
    Ok(visit.page(t("Request"), page))
}

fn query(query: &str) -> String {
    if query.is_empty() { String::new() } else { format!("?{query}") }
}

async fn replay(visit: Visit) -> Answer {
    let id = visit.id("request", "request", RequestId::parse)?;
    let begun = visit.engine().inbound().request_replay(visit.tenant(), id, runs::keep(&visit)).await?;
    runs::to_run(&visit, begun)
}
