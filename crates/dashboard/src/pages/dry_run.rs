//! `/dry-run`: who would get an event if it were published now, and as which bytes. Nothing is sent or stored.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_domain::profile::EventType;
use postrider_engine::catalogue::Tenant;
use postrider_engine::outbound::due::FirstDue;
use postrider_engine::outbound::ingest::Publication;
use postrider_engine::outbound::preview::{Preview, PreviewOutcome, Verdict, preview};

use super::deliveries::next_step;
use crate::fault::Fault;
use crate::page::{Answer, Page, Who};
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone, list, text, time};
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[&ASK, &RUN];

static ASK: Page = Page {
    method: Method::GET,
    path: "/dry-run",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(async move { Ok(ask(&visit)) }),
};

static RUN: Page = Page {
    method: Method::POST,
    path: "/dry-run",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(async move { run(&visit) }),
};

/// Requests on one page, in all: a page stays below 100 KiB compressed whatever is in them.
const SHOWN_BYTES_MAX: usize = 96 * 1024;

fn ask(visit: &Visit) -> axum::response::Response {
    let known = types(visit.tenant());
    let chosen = visit.query.text("type");
    let found = known.iter().find(|known| chosen.is_none_or(|name| known.name == name));
    let event_type = chosen.or(found.map(|known| known.name.as_str())).unwrap_or_default();
    let data = found.map(|known| example(known)).unwrap_or_else(|| "{}".to_owned());
    visit.page(visit.t("Dry run"), body(visit, event_type, &data, None, html! {}))
}

fn run(visit: &Visit) -> Answer {
    let event_type = visit.form.text("type").unwrap_or_default();
    let data = visit.form.raw("data").unwrap_or_default();
    let publication = Publication { id: None, event_type, time: None, data, depth: 0 };
    match preview(visit.engine(), visit.tenant(), &publication) {
        Ok(found) => {
            let body = body(visit, event_type, data, None, outcomes(visit, &found));
            Ok(visit.page(visit.t("Dry run"), body))
        }
        Err(error) => {
            let problem = Fault::from(error).problem()?;
            let body = body(visit, event_type, data, Some(&problem), html! {});
            Ok(visit.page_with_status(problem.code.status(), visit.t("Dry run"), body))
        }
    }
}

/// What the tenant's events can be: what its profile brings, then what was registered.
fn types(tenant: &Tenant) -> Vec<&EventType> {
    let mut registered: Vec<&EventType> = tenant.types.values().map(|registered| &**registered).collect();
    registered.sort_by(|a, b| a.name.cmp(&b.name));
    tenant.profile().catalogue.types.iter().chain(registered).collect()
}

fn example(event_type: &EventType) -> String {
    serde_json::to_string_pretty(&event_type.example).unwrap_or_else(|_| "{}".to_owned())
}

fn body(visit: &Visit, event_type: &str, data: &str, problem: Option<&Problem>, result: Markup) -> Markup {
    let t = |text| visit.t(text);
    let here = visit.link("/dry-run");
    let known = types(visit.tenant());
    let mut options: Vec<(&str, &str)> =
        known.iter().map(|known| (known.name.as_str(), known.name.as_str())).collect();
    if !event_type.is_empty() && !options.iter().any(|(name, _)| *name == event_type) {
        options.push((event_type, event_type));
    }
    html! {
        (parts::heading(t("Dry run"), html! {}))
        p .lead { (t("If this event were published now, who would get it, and as which bytes? Nothing is sent and nothing is stored.")) }
        (parts::refusal(problem))
        @if !known.is_empty() {
            form .find method="get" action=(here) {
                div .field {
                    label for="example" { (t("Begin with the example of")) }
                    select id="example" name="type" data-submits {
                        @for (value, label) in &options { option value=(value) selected[*value == event_type] { (label) } }
                    }
                }
                button type="submit" .ghost { (t("Load")) }
            }
        }
        form method="post" action=(here) .form {
            (parts::hidden(visit))
            (fields::text(Field {
                name: "type",
                label: t("Event type"),
                value: event_type,
                required: true,
                problem,
                ..Field::default()
            }, "text"))
            (fields::area(Field {
                name: "data",
                label: t("Data"),
                value: data,
                hint: t("Any JSON."),
                required: true,
                problem,
            }, 12))
            div .actions { button type="submit" { (t("Who would get it?")) } }
        }
        (result)
    }
}

fn outcomes(visit: &Visit, preview: &Preview) -> Markup {
    let t = |text| visit.t(text);
    let (would, not): (Vec<_>, Vec<_>) =
        preview.outcomes.iter().partition(|outcome| !matches!(outcome.verdict, Verdict::Not(_)));
    let mut shown_bytes = 0;
    html! {
        section aria-label=(t("Result")) {
            @for warning in &preview.warnings { (parts::notice(Tone::Waiting, html! { p { (warning.detail) } })) }
            h2 { (t("Would get it")) " (" (would.len()) ")" }
            @if preview.outcomes.is_empty() {
                p { (t("There is no webhook yet.")) " " a href=(visit.link("/webhooks")) { (t("Go to the webhooks")) } }
            } @else if would.is_empty() {
                p { (t("Nobody. The reasons are below.")) }
            }
            @for outcome in would.iter().take(list::ROWS) { (yes(visit, outcome, &mut shown_bytes)) }
            (more(visit, would.len()))
            @if !not.is_empty() {
                h2 { (t("Would not get it")) " (" (not.len()) ")" }
                (no(visit, &not))
                (more(visit, not.len()))
            }
        }
    }
}

fn more(visit: &Visit, number: usize) -> Markup {
    html! {
        @if number > list::ROWS { p .hint { "… " (number - list::ROWS) " " (visit.t("more webhooks")) } }
    }
}

/// Takes room on the page for a request, if there is some; the first one always gets it.
fn has_room(shown_bytes: &mut usize, bytes: usize) -> bool {
    let fits = *shown_bytes == 0 || *shown_bytes + bytes <= SHOWN_BYTES_MAX;
    if fits {
        *shown_bytes += bytes;
    }
    fits
}

fn yes(visit: &Visit, outcome: &PreviewOutcome, shown_bytes: &mut usize) -> Markup {
    let t = |text| visit.t(text);
    html! {
        div .card {
            h3 { a href=(visit.link(&format!("/webhooks/{}", outcome.webhook))) { (outcome.name) } }
            p .hint { (outcome.url) }
            @match &outcome.verdict {
                Verdict::Would { due, method, headers, body } => {
                    p { (when(visit, *due)) }
                    @let head = head(method, headers);
                    @let is_first = *shown_bytes == 0;
                    @if has_room(shown_bytes, head.len() + body.len()) {
                        details .more open[is_first] {
                            summary { (t("The request, byte for byte")) }
                            (text::block(visit.words(), t("Headers"), &head))
                            (text::bytes(visit.words(), t("Body"), body))
                        }
                    } @else {
                        p .hint { (t("Its request is left out here: the requests above fill the page.")) }
                    }
                },
                Verdict::Unshown { due, why } => { p { (when(visit, *due)) } p { (why) } },
                Verdict::Not(_) => {},
            }
        }
    }
}

fn head(method: &str, headers: &[(String, String)]) -> String {
    let mut head = method.to_owned();
    for (name, value) in headers {
        head.push_str(&format!("\n{name}: {value}"));
    }
    head
}

fn when(visit: &Visit, due: FirstDue) -> Markup {
    html! {
        @match due {
            FirstDue::Now => (visit.t("At once.")),
            FirstDue::AtScan(at) => { (visit.t("With the next scan, at")) " " (time::stamp(visit, at)) "." },
        }
    }
}

fn no(visit: &Visit, outcomes: &[&PreviewOutcome]) -> Markup {
    let t = |text| visit.t(text);
    let rows = html! {
        @for outcome in outcomes.iter().take(list::ROWS) {
            @if let Verdict::Not(no) = outcome.verdict {
                tr {
                    (list::cell(t("Webhook"), html! {
                        a href=(visit.link(&format!("/webhooks/{}", outcome.webhook))) { (outcome.name) }
                    }))
                    (list::cell(t("Why not"), html! { (t(no.sentence())) }))
                    (list::cell(t("What to do"), next_step(visit, visit.tenant(), outcome.webhook, no)))
                }
            }
        }
    };
    list::table(t("Webhooks that would not get it"), &[t("Webhook"), t("Why not"), t("What to do")], rows)
}
