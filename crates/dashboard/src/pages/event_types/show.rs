//! `/event-types/{type}`: one type with its schema as a tree, its example, and who subscribes.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use serde_json::Value;

use super::{Known, Origin, find, may_register, schema, subscribers};
use crate::form::escaped;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::{self, Tone, list, text};
use crate::visit::Visit;

pub(crate) static SHOW: Page = Page {
    method: Method::GET,
    path: "/event-types/{type}",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

pub(crate) static ARCHIVE: Page = Page {
    method: Method::POST,
    path: "/event-types/{type}/archive",
    who: Who::Admin,
    handle: |visit| Box::pin(archive(visit)),
};

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let known = find(visit.tenant(), visit.path("type")).ok_or_else(|| Problem::not_found("event type"))?;
    let event_type = known.event_type;
    let name = event_type.name.as_str();
    let editable = known.origin == Origin::Registered && may_register(&visit);
    let body = html! {
        (parts::heading(name, html! {
            @if visit.may_change() && visit.may_see_webhooks() && known.origin != Origin::Operational {
                a .button href=(visit.link(&format!("/dry-run?type={}", escaped(name)))) { (t("Dry run")) }
            }
            @if editable {
                a .button .ghost href=(visit.link(&format!("/register-event-type?type={}", escaped(name)))) { (t("Edit")) }
            }
        }))
        (parts::done(&visit, &[("saved", "Saved. Events of this type are held against it from now on.")]))
        p .lead { (event_type.description) }
        (parts::facts(&[
            (t("Family"), html! { (event_type.family) }),
            (t("Origin"), html! {
                (t(known.origin.label()))
                @if !known.exposed { " " (parts::badge(Tone::Plain, t("not exposed"))) }
            }),
        ]))
        h2 { (t("Schema")) }
        @match event_type.schema.as_ref() {
            Some(given) => {
                (schema::tree(visit.words(), &serde_json::from_str(&given.text).unwrap_or(Value::Null)))
                details .more {
                    summary { (t("As JSON Schema")) }
                    (text::json(visit.words(), t("Schema"), given.text.as_bytes()))
                }
            }
            None => p { (t("This type has no schema: its data may be any JSON.")) },
        }
        h2 { (t("Example")) }
        (text::json(visit.words(), t("The data of an example event"), &event_type.example_json))
        @if visit.may_see_webhooks() { (who_subscribes(&visit, &known)) }
        @if editable {
            (parts::danger(
                &visit,
                &visit.link(&format!("/event-types/{}/archive", escaped(name))),
                t("Archive this type"),
                t("The type leaves the catalogue. Events of it that were accepted stay, and webhooks keep their patterns."),
            ))
        }
    };
    Ok(visit.page(name, body))
}

fn who_subscribes(visit: &Visit, known: &Known<'_>) -> Markup {
    let t = |text| visit.t(text);
    let name = known.event_type.name.as_str();
    let count = subscribers(visit.tenant(), name).count();
    let may_test = visit.may_change() && known.origin != Origin::Operational;
    html! {
        h2 #subscribers { (t("Who subscribes")) }
        @if count == 0 {
            p {
                (t("No webhook gets events of this type.")) " "
                @if visit.may_change() { a href=(visit.link("/webhooks/new")) { (t("Create a webhook")) } }
            }
        } @else {
            (list::table(t("Webhooks that get this type"), &[t("Webhook"), t("Patterns"), t("State"), t("Try it")], html! {
                @for webhook in subscribers(visit.tenant(), name).take(list::ROWS) {
                    tr {
                        (list::cell(t("Webhook"), html! {
                            a href=(visit.link(&format!("/webhooks/{}", webhook.id))) { (webhook.name) }
                        }))
                        (list::cell(t("Patterns"), html! { code { (webhook.patterns.as_strings().join(", ")) } }))
                        (list::cell(t("State"), html! {
                            @if webhook.enabled { (parts::badge(Tone::Good, t("active"))) }
                            @else { (parts::badge(Tone::Plain, t("off"))) }
                        }))
                        (list::cell(t("Try it"), html! {
                            @if may_test {
                                a href=(visit.link(&format!("/webhooks/{}/test?type={}", webhook.id, escaped(name)))) { (t("Send a test event")) }
                            }
                        }))
                    }
                }
            }))
            @if count > list::ROWS { p .hint { (count - list::ROWS) " " (t("more are not shown here.")) } }
        }
    }
}

async fn archive(visit: Visit) -> Answer {
    visit.engine().control().event_type_archive(&visit.actor(), visit.tenant(), visit.path("type")).await?;
    Ok(see_other(&visit.link("/event-types?done=archived")))
}
