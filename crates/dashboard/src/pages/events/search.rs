//! `/search`: one box for the whole of sending. What is an id, a type or a code leads there; anything else is looked for in payloads.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::EventId;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_store::EventSearch;

use super::find::{Found, find};
use super::list;
use crate::form::escaped;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::text::count;
use crate::parts::{self, Tone, time};
use crate::visit::Visit;

pub(crate) static SEARCH: Page =
    Page { method: Method::GET, path: "/search", who: Who::Reader, handle: |visit| Box::pin(search(visit)) };

/// The box, on every list of sending.
pub(crate) fn search_box(visit: &Visit, value: &str) -> Markup {
    let t = |text| visit.t(text);
    html! {
        form .find method="get" action=(visit.link("/search")) role="search" aria-label=(t("Find anything sent")) {
            div .field {
                label for="q" { (t("Find")) }
                input id="q" name="q" type="search" value=(value) maxlength=(limits::SEARCH_TEXT_BYTES_MAX)
                    placeholder=(t("An id, an event type, an HTTP code, or text of a payload"));
            }
            button type="submit" { (t("Find")) }
        }
    }
}

async fn search(visit: Visit) -> Answer {
    let Some(text) = visit.query.text("q") else { return Ok(see_other(&visit.link("/events"))) };
    if text.len() > limits::SEARCH_TEXT_BYTES_MAX {
        let detail = format!("Look for at most {} characters.", limits::SEARCH_TEXT_BYTES_MAX);
        return Ok(refused(&visit, &Problem::at(Code::InvalidField, "q", detail)));
    }
    let before = match visit.query.text("cursor") {
        Some(before) => match EventId::parse(before) {
            Ok(before) => Some(before),
            Err(_) => {
                let detail = "This place of the list is unknown. Search again from the newest.";
                return Ok(refused(&visit, &Problem::at(Code::InvalidField, "cursor", detail)));
            }
        },
        None => None,
    };
    let found = match before {
        // Its beginning was a search in payloads.
        Some(_) => Found::Text,
        None => find(&visit, text).await?,
    };
    let to = match found {
        Found::Event(id) => format!("/events/{}", escaped(&id)),
        Found::Delivery(id) => format!("/deliveries/{id}"),
        Found::Webhook(id) => format!("/webhooks/{id}"),
        Found::Type(name) => format!("/events?type={}", escaped(&name)),
        Found::Code(status) => format!("/deliveries?code={status}"),
        Found::Types(names) => {
            let body = html! { (top(&visit, text)) (types(&visit, &names)) };
            return Ok(visit.page(visit.t("Search"), body));
        }
        Found::Text => {
            let (store, tenant) = (visit.store(), visit.tenant().id);
            let search = store.event_search(tenant, text, before, visit.now).await?;
            let body = html! { (top(&visit, text)) (hits(&visit, text, &search, before)) };
            return Ok(visit.page(visit.t("Search"), body));
        }
    };
    Ok(see_other(&visit.link(&to)))
}

fn top(visit: &Visit, text: &str) -> Markup {
    html! {
        (parts::heading(visit.t("Search"), html! {}))
        (search_box(visit, text))
    }
}

fn refused(visit: &Visit, problem: &Problem) -> axum::response::Response {
    let body = html! { (top(visit, "")) (parts::refusal(Some(problem))) };
    visit.page_with_status(problem.code.status(), visit.t("Search"), body)
}

/// A catalogue has some hundred types; registered ones may add more.
const TYPES_SHOWN_MAX: usize = 200;

fn types(visit: &Visit, names: &[String]) -> Markup {
    let t = |text| visit.t(text);
    html! {
        @if names.is_empty() { p { (t("No event type matches this pattern.")) } } @else {
            p { (t("These event types match. Choose one:")) }
            ul {
                @for name in names.iter().take(TYPES_SHOWN_MAX) {
                    li {
                        a href=(visit.link(&format!("/events?type={}", escaped(name)))) { code { (name) } }
                        @if visit.may_see_webhooks() {
                            " · " a href=(visit.link(&format!("/deliveries?type={}", escaped(name))))
                                aria-label={ (t("Deliveries of")) " " (name) } { (t("deliveries")) }
                        }
                    }
                }
            }
            @if names.len() > TYPES_SHOWN_MAX { p .hint { "… " (names.len() - TYPES_SHOWN_MAX) " " (t("more")) } }
        }
    }
}

fn hits(visit: &Visit, text: &str, search: &EventSearch, before: Option<EventId>) -> Markup {
    let t = |text| visit.t(text);
    html! {
        p {
            @if search.events.is_empty() { (t("No payload holds")) } @else {
                (count(search.events.len() as u64)) " "
                @if search.events.len() == 1 { (t("event whose payload holds")) } @else { (t("events whose payload holds")) }
            }
            " " code { (text) } "."
        }
        @if !search.events.is_empty() { (list::table(visit, &search.events)) }
        (parts::notice(Tone::Plain, html! {
            p {
                @if search.looked_at == 0 && search.complete {
                    (t("There were no events to look at."))
                } @else {
                    (t("Searched"))
                    @if before.is_none() { " " (t("the newest")) } " "
                    (count(search.looked_at as u64)) " " (t("events"))
                    @if let Some(until) = search.looked_until { ", " (t("back to")) " " (time::stamp(visit, until.time())) }
                    ". "
                    @if search.complete { (t("That is all there is.")) }
                }
            }
            @if let (Some(until), false) = (search.looked_until, search.complete) {
                p {
                    a href=(format!("{}{}", visit.uri.path(), visit.query.with(&[("cursor", &until.to_string())]))) {
                        (t("Go on before this time"))
                    }
                }
            }
            p .hint {
                (t("A search looks at 10,000 events or a day of them at a time.")) " "
                (t("If you meant an event type,")) " "
                a href=(visit.link(&format!("/events?type={}", escaped(text)))) { (t("list the events of this type")) } "."
            }
        }))
    }
}
