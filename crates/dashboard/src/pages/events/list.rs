//! `/events`: what a tenant's application has published, newest first.

use http::Method;
use maud::{Markup, html};
use postrider_domain::event::EventKind;
use postrider_domain::id::EventId;
use postrider_domain::problem::{Code, Problem};
use postrider_store::{EventFilter, EventPage, StoredEvent};

use super::find;
use super::search::search_box;
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::pages::deliveries::local;
use crate::parts::fields::{self, Field};
use crate::parts::list::{self, cell, number};
use crate::parts::{self, Tone, text, time};
use crate::visit::Visit;

pub(crate) static LIST: Page =
    Page { method: Method::GET, path: "/events", who: Who::Reader, handle: |visit| Box::pin(show(visit)) };

async fn show(visit: Visit) -> Answer {
    let (filter, before) = match read(&visit) {
        Ok(read) => read,
        Err(problem) => {
            let body = html! { (top(&visit, Some(&problem))) (parts::refusal(Some(&problem))) };
            return Ok(visit.page_with_status(problem.code.status(), visit.t("Events"), body));
        }
    };
    // One more than is shown tells whether there are more.
    let page = visit.store().event_page(visit.tenant().id, &filter, before, list::ROWS + 1).await?;
    let body = html! { (top(&visit, None)) (rows(&visit, before, page)) };
    Ok(visit.page(visit.t("Events"), body))
}

fn read(visit: &Visit) -> Result<(EventFilter, Option<EventId>), Problem> {
    let before = match visit.query.text("cursor") {
        None => None,
        Some(text) => Some(EventId::parse(text).map_err(|_| {
            Problem::at(
                Code::InvalidField,
                "cursor",
                "This place of the list is unknown. Begin with the newest.",
            )
        })?),
    };
    let filter = EventFilter {
        event_type: visit.query.text("type").map(str::to_owned),
        from: visit.time("from")?,
        until: visit.time("until")?,
    };
    Ok((filter, before))
}

fn top(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let (from, until) = (local(visit, "from"), local(visit, "until"));
    let field = |name, label, value| Field { name, label, value, problem, ..Field::default() };
    html! {
        (parts::heading(t("Events"), html! {}))
        (search_box(visit, ""))
        (list::filters(visit, &visit.link("/events"), html! {
            (types(visit, field("type", t("Event type"), visit.query.text("type").unwrap_or_default())))
            (fields::text(field("from", t("Accepted from"), &from), "datetime-local"))
            (fields::text(field("until", t("Accepted before"), &until), "datetime-local"))
        }))
    }
}

/// A menu of the known types, where they are few; one that is asked for stays in it.
fn types(visit: &Visit, field: Field<'_>) -> Markup {
    const MENU_MAX: usize = 100;
    let known = find::types(visit.tenant());
    if known.len() > MENU_MAX || visit.tenant().profile().catalogue.open {
        return fields::text(field, "text");
    }
    let mut options = vec![("", visit.t("All types"))];
    options.extend(known.iter().map(|name| (*name, *name)));
    if !field.value.is_empty() && !known.contains(&field.value) {
        options.push((field.value, field.value));
    }
    fields::choice(field, &options)
}

fn rows(visit: &Visit, before: Option<EventId>, mut page: EventPage) -> Markup {
    let t = |text| visit.t(text);
    let filtered = ["type", "from", "until"].iter().any(|name| visit.query.text(name).is_some());
    if page.events.is_empty() && before.is_none() && !filtered {
        return empty(visit);
    }
    let is_more = page.events.len() > list::ROWS;
    page.events.truncate(list::ROWS);
    let next = page.events.last().filter(|_| is_more).map(|last| last.id.to_string());
    html! {
        @if page.events.is_empty() && page.looked_until.is_none() {
            p { (t("No event matches. Take a filter away, or look at another time.")) }
        }
        @if !page.events.is_empty() { (table(visit, &page.events)) }
        @if let Some(until) = page.looked_until {
            (parts::notice(Tone::Plain, html! {
                p {
                    (t("Looked at everything back to")) " " (time::stamp(visit, until.time())) ". "
                    (t("There is more before it.")) " "
                    a href=(format!("{}{}", visit.uri.path(), visit.query.with(&[("cursor", &until.to_string())]))) {
                        (t("Go on before this time"))
                    }
                }
            }))
        }
        (list::pager(visit, &visit.query, next.as_deref()))
    }
}

pub(super) fn table(visit: &Visit, events: &[StoredEvent]) -> Markup {
    let t = |text| visit.t(text);
    let rows = html! {
        @for event in events {
            @let name = event.external_id.clone().unwrap_or_else(|| event.id.to_string());
            tr {
                (cell(t("Accepted"), html! {
                    a href=(visit.link(&format!("/events/{}", escaped(&name)))) { (time::stamp(visit, event.accepted)) }
                }))
                (cell(t("Event type"), html! { (event.event_type) }))
                (cell(t("Id"), html! { code { (name) } }))
                (cell(t("Kind"), html! { (kind(visit, event.kind)) }))
                (number(t("Size"), html! { (text::size(event.data.len() as u64)) }))
            }
        }
    };
    list::table(t("Events"), &[t("Accepted"), t("Event type"), t("Id"), t("Kind"), t("Size")], rows)
}

pub(super) fn kind(visit: &Visit, kind: EventKind) -> &'static str {
    match kind {
        EventKind::Normal => visit.t("published"),
        EventKind::Test => visit.t("test event"),
        EventKind::Operational => visit.t("of Postrider itself"),
    }
}

fn empty(visit: &Visit) -> Markup {
    let t = |text| visit.t(text);
    parts::empty(
        t("No events yet"),
        html! {
            p { (t("An event says that something happened in your application. What it publishes stands here, with what became of it at every webhook.")) }
            div .actions {
                a .button href=(visit.link("/event-types")) { (t("See what can be published")) }
                @if visit.may_change() { a .button .ghost href=(visit.link("/dry-run")) { (t("See who would get an event")) } }
            }
        },
    )
}
