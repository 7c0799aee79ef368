//! `/requests`: the newest first.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::{RequestId, TriggerId};
use postrider_domain::run::{RequestCause, TriggerKind};
use postrider_store::runs::{RequestFilter, RequestRow};

use super::trigger_of;
use super::words::said_of;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, fields, list, text, time};
use crate::visit::Visit;

pub(crate) static LIST: Page =
    Page { method: Method::GET, path: "/requests", who: Who::Reader, handle: |visit| Box::pin(show(visit)) };

/// Triggers that a list to choose from holds; beyond it the id is typed.
const CHOICES_MAX: usize = 100;

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let filter = RequestFilter {
        trigger: visit.query.text("trigger").and_then(|id| TriggerId::parse(id).ok()),
        cause: visit.query.text("cause").and_then(RequestCause::parse),
        before: visit.query.text("cursor").and_then(|id| RequestId::parse(id).ok()),
    };
    let mut rows = visit.store().requests(visit.tenant().id, filter, list::ROWS + 1).await?;
    let next = list::cut(&mut rows, |row| row.request.id.to_string());
    let filtered = filter.trigger.is_some() || filter.cause.is_some();
    let body = html! {
        (parts::heading(t("Requests"), html! {}))
        p .lead { (t("Every request that came to a trigger, taken or refused, with its cause.")) }
        (filters(&visit))
        @if rows.is_empty() && filtered {
            (parts::empty(t("No such requests"), html! { p { (t("No request came to this trigger, or ended so. Show all, or choose another.")) } }))
        } @else if rows.is_empty() {
            (parts::empty(t("No requests yet"), html! {
                p { (t("Give a workflow a webhook trigger, and register its URL with the sender. Every request stands here from the first on, also those that are refused.")) }
                p { a .button href=(visit.link("/workflows")) { (t("Go to the workflows")) } }
            }))
        } @else {
            (table(&visit, &rows))
        }
        (list::pager(&visit, &visit.query, next.as_deref()))
        p .hint { (t("Of refused requests a trigger keeps the last 1000, and writes down ten a second.")) }
    };
    Ok(visit.page(t("Requests"), body))
}

fn table(visit: &Visit, rows: &[RequestRow]) -> Markup {
    let t = |text| visit.t(text);
    let columns = [t("Request"), t("Trigger"), t("Outcome"), t("Answer"), t("Body"), t("Received")];
    list::table(
        t("Requests, the newest first"),
        &columns,
        html! {
            @for row in rows {
                @let said = said_of(row.request.cause);
                tr {
                    (list::cell(columns[0], html! {
                        a href=(visit.link(&format!("/requests/{}", row.request.id))) { code { (row.request.id) } }
                    }))
                    (list::cell(columns[1], html! {
                        @match trigger_of(visit, row.request.trigger) {
                            Some((name, to)) => a href=(to) { (name) },
                            None => { (t("deleted")) }
                        }
                    }))
                    (list::cell(columns[2], parts::badge(said.tone, t(said.label))))
                    (list::number(columns[3], html! { (row.request.status) }))
                    (list::number(columns[4], html! { (text::size(row.request.body_bytes)) }))
                    (list::cell(columns[5], time::short(visit, row.request.received)))
                }
            }
        },
    )
}

fn filters(visit: &Visit) -> Markup {
    let t = |text| visit.t(text);
    let inbound = &visit.tenant().inbound;
    let webhooks = inbound.triggers.iter().filter(|trigger| trigger.kind == TriggerKind::Webhook);
    let named: Vec<(String, String)> = webhooks
        .take(CHOICES_MAX + 1)
        .filter_map(|trigger| Some((trigger.id.to_string(), trigger_of(visit, trigger.id)?.0)))
        .collect();
    let mut triggers = vec![("", t("all"))];
    triggers.extend(named.iter().map(|(id, name)| (id.as_str(), name.as_str())));
    let mut causes = vec![("", t("all"))];
    causes.extend(RequestCause::ALL.iter().map(|cause| (cause.as_str(), t(said_of(*cause).label))));
    let field = |name, label| fields::Field {
        name,
        label,
        value: visit.query.raw(name).unwrap_or_default(),
        ..fields::Field::default()
    };
    list::filters(
        visit,
        &visit.link("/requests"),
        html! {
            @if named.len() <= CHOICES_MAX { (fields::choice(field("trigger", t("Trigger")), &triggers)) }
            @else { (fields::text(field("trigger", t("Trigger's id")), "text")) }
            (fields::choice(field("cause", t("Outcome")), &causes))
        },
    )
}
