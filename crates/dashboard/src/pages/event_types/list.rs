//! `/event-types`: the catalogue, by family.

use http::Method;
use maud::{Markup, html};

use super::{Known, all, may_register, subscribers};
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, list};
use crate::visit::Visit;

pub(crate) static LIST: Page = Page {
    method: Method::GET,
    path: "/event-types",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let types = all(visit.tenant());
    let from = visit.query.text("cursor").and_then(|from| from.parse::<usize>().ok()).unwrap_or(0);
    let shown: Vec<Known<'_>> = types.iter().skip(from).take(list::ROWS).copied().collect();
    let next = (from + shown.len() < types.len()).then(|| (from + shown.len()).to_string());
    let mut families: Vec<(&str, Vec<Known<'_>>)> = Vec::new();
    for known in shown {
        let family = known.event_type.family.as_str();
        match families.iter_mut().find(|(name, _)| *name == family) {
            Some((_, of_it)) => of_it.push(known),
            None => families.push((family, vec![known])),
        }
    }
    let open = visit.tenant().profile().catalogue.open;
    let body = html! {
        (parts::heading(t("Event types"), html! {
            @if may_register(&visit) { a .button href=(visit.link("/register-event-type")) { (t("Register a type")) } }
        }))
        (parts::done(&visit, &[("archived", "The type left the catalogue. Events of it that were accepted stay.")]))
        p .lead { (t("What can happen, and what the data of each event looks like. Webhooks subscribe to types, or to patterns of them.")) }
        @if families.is_empty() {
            (parts::empty(t("No event types yet"), html! {
                p { (t("Types that your application registers stand here, each with its schema and an example. Without any, every event is accepted as it comes.")) }
            }))
        }
        @for (family, types) in &families {
            h2 { (family) }
            (table(&visit, family, types))
        }
        (list::pager(&visit, &visit.query, next.as_deref()))
        @if open { p .hint { (t("This catalogue is open: types are registered beside the profile's own.")) } }
    };
    Ok(visit.page(t("Event types"), body))
}

fn table(visit: &Visit, family: &str, types: &[Known<'_>]) -> Markup {
    let t = |text| visit.t(text);
    let counted = visit.may_see_webhooks();
    let columns = [t("Type"), t("Description"), t("Origin"), t("Subscribers")];
    let columns = &columns[..if counted { 4 } else { 3 }];
    list::table(
        family,
        columns,
        html! {
            @for known in types {
                @let name = known.event_type.name.as_str();
                @let to = visit.link(&format!("/event-types/{}", escaped(name)));
                tr {
                    (list::cell(columns[0], html! {
                        a href=(to) { code { (name) } }
                        @if !known.exposed { " " (parts::badge(Tone::Plain, t("not exposed"))) }
                    }))
                    (list::cell(columns[1], html! { (known.event_type.description) }))
                    (list::cell(columns[2], html! { (t(known.origin.label())) }))
                    @if counted {
                        @let count = subscribers(visit.tenant(), name).count();
                        (list::number(columns[3], html! { a href=(format!("{to}#subscribers")) { (count) } }))
                    }
                }
            }
        },
    )
}
