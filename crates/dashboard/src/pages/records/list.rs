//! `/records` and `/records/{kind}`: kinds, records of one in the order of their ids, and what rules could not decide.

use http::Method;
use maud::{Markup, html};
use postrider_domain::rules::{On, Rule};
use postrider_engine::derive::place::Owner;
use postrider_store::StoredFault;

use super::place;
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, list, time};
use crate::visit::Visit;

pub(crate) static KINDS: Page =
    Page { method: Method::GET, path: "/records", who: Who::Reader, handle: |visit| Box::pin(kinds(visit)) };

pub(crate) static LIST: Page = Page {
    method: Method::GET,
    path: "/records/{kind}",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

/// Of one record, in a list.
const PREVIEW_CHARS: usize = 120;
/// Faults below the kinds.
const FAULTS_SHOWN: usize = 20;

async fn kinds(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let profile = visit.tenant().profile();
    let faults = visit.store().rule_faults(visit.tenant().id, FAULTS_SHOWN).await?;
    let body = html! {
        (parts::heading(t("Records"), html! {}))
        p .lead { (t("Your application's own objects, as it last told them. Rules watch them, and make events of what changes.")) }
        @if profile.records.is_empty() {
            (parts::empty(t("This profile has no records"), html! {
                p { (t("A profile may name kinds of records and rules over them. This one does not: events are published by the application.")) }
            }))
        } @else {
            (list::table(t("Kinds of records"), &[t("Kind"), t("Rules")], html! {
                @for kind in &profile.records {
                    tr {
                        (list::cell(t("Kind"), html! {
                            a href=(visit.link(&format!("/records/{}", escaped(&kind.name)))) { (kind.name) }
                        }))
                        (list::cell(t("Rules"), html! {
                            @for rule in profile.rules.iter().filter(|rule| rule.record == kind.name) {
                                (rule_line(&visit, rule))
                            }
                        }))
                    }
                }
            }))
        }
        @if !faults.is_empty() {
            h2 { (t("What rules could not decide")) }
            p { (t("These rules fired nothing for these records; nothing else was held up. Correct the record, or the rule.")) }
            (faults_table(&visit, &faults))
        }
    };
    Ok(visit.page(t("Records"), body))
}

fn rule_line(visit: &Visit, rule: &Rule) -> Markup {
    let t = |text| visit.t(text);
    let on = match &rule.on {
        On::Created => t("when it is created").to_owned(),
        On::Changed => t("when it changes").to_owned(),
        On::Deleted => t("when it is deleted").to_owned(),
        On::BecomesTrue => t("when its condition becomes true").to_owned(),
        On::Due(due) => t("when {} has come").replace("{}", &due.field.join(".")),
    };
    html! { div { code { (rule.event) } " " span .hint { (on) @if rule.once { ", " (t("once")) } } } }
}

pub(super) fn faults_table(visit: &Visit, faults: &[StoredFault]) -> Markup {
    let t = |text| visit.t(text);
    let columns = [t("Record"), t("Rule"), t("What"), t("Times"), t("Last")];
    list::table(
        t("What rules could not decide"),
        &columns,
        html! {
            @for fault in faults {
                tr {
                    (list::cell(columns[0], html! {
                        a href=(visit.link(&format!("/records/{}/{}", escaped(&fault.key.kind), escaped(&fault.key.id)))) {
                            (fault.key.kind) " " (fault.key.id)
                        }
                    }))
                    (list::cell(columns[1], html! { code { (fault.rule) } }))
                    (list::cell(columns[2], html! { (fault.detail) }))
                    (list::number(columns[3], html! { (fault.times) }))
                    (list::cell(columns[4], time::short(visit, fault.at)))
                }
            }
        },
    )
}

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let place = place(&visit)?;
    let tenant = visit.tenant().id;
    let after = visit.query.text("cursor").filter(|after| !after.contains(char::is_control)).unwrap_or("");
    let store = visit.store();
    let mut rows = match place.owner {
        Owner::Named { .. } => store.records_naming(tenant, &place.kind, after, list::ROWS + 1).await?,
        Owner::Tenant(_) => store.records(&place.scope, &place.kind, after, list::ROWS + 1).await?,
    };
    let next = list::cut(&mut rows, |row| row.key.id.clone());
    let here = visit.link(&format!("/records/{}", escaped(&place.kind)));
    let columns = [t("Id"), t("Record"), t("Changed")];
    let body = html! {
        (parts::heading(&place.kind, html! { a .button .ghost href=(visit.link("/records")) { (t("All kinds")) } }))
        @if rows.is_empty() && after.is_empty() {
            (parts::empty(t("No records of this kind yet"), html! {
                p { (t("Your application writes them with")) " " code { "PUT /v1/records/" (place.kind) "/{id}" }
                    ". " (t("Then they stand here, with the rules that fired for each.")) }
            }))
        } @else {
            (list::table(t("Records in the order of their ids"), &columns, html! {
                @for row in &rows {
                    tr {
                        (list::cell(columns[0], html! { a href=(format!("{here}/{}", escaped(&row.key.id))) { (row.key.id) } }))
                        (list::cell(columns[1], html! { code { (preview(&row.data)) } }))
                        (list::cell(columns[2], time::short(&visit, row.updated)))
                    }
                }
            }))
        }
        nav .pager aria-label=(t("More of the list")) {
            @if !after.is_empty() { a .button .ghost href=(here) { (t("First")) } }
            @if let Some(next) = &next { a .button .ghost href=(format!("{here}?cursor={}", escaped(next))) { (t("Next")) } }
        }
    };
    Ok(visit.page(&place.kind, body))
}

fn preview(data: &[u8]) -> String {
    let beginning = &data[..data.len().min(PREVIEW_CHARS * 4)];
    let text = String::from_utf8_lossy(beginning);
    let mut shown: String = text.chars().take(PREVIEW_CHARS).collect();
    if shown.len() < data.len() {
        shown.push('…');
    }
    shown
}
