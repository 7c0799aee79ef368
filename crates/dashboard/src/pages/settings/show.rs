//! The settings as they are, with the forms of those who may change them.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_domain::profile::{DeliveryMode, SchemaMode};
use postrider_engine::catalogue::Tenant;

use super::{form, webhook};
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, text, time};
use crate::visit::Visit;

pub(super) static SHOW: Page = Page {
    method: Method::GET,
    path: "/settings",
    who: Who::Reader,
    handle: |visit| Box::pin(async move { show(visit).await }),
};

async fn show(visit: Visit) -> Answer {
    Ok(visit.page(visit.t("Settings"), body(&visit, None)))
}

/// `problem`: of a form on this page that was refused.
pub(super) fn body(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let tenant = visit.tenant();
    html! {
        (parts::heading(t("Settings"), links(visit)))
        (done(visit))
        (parts::refusal(problem))
        @if tenant.profile().webhook.single && visit.may_see_webhooks() { (webhook::card(visit, problem)) }
        @if visit.is_operator() {
            (form::card(visit, problem))
        } @else {
            section .card {
                h2 { (t("How events are treated")) }
                p .hint { (t("Whoever runs this installation changes these. Ask them.")) }
                (read_only(visit, tenant))
            }
        }
        @if visit.is_operator() {
            section .card {
                h2 { "Delete" }
                p { "Removes the tenant with everything that belongs to it." }
                p { a .button .danger href=(visit.link("/settings/delete")) { "Delete this tenant…" } }
            }
        }
    }
}

fn links(visit: &Visit) -> Markup {
    html! {
        @if visit.may_change() { a .button .ghost href=(visit.link("/portal-links")) { (visit.t("Portal links")) } }
        @if visit.is_operator() { a .button .ghost href=(visit.link("/keys")) { "Keys" } }
    }
}

fn done(visit: &Visit) -> Markup {
    let t = |text| visit.t(text);
    let sentence = match visit.query.text("done") {
        Some("created") => t("The tenant is there. Next: register a webhook, or make a key for it."),
        Some("saved") => t("Saved. It holds for events from now on."),
        Some("webhook") => t("The webhook is saved."),
        Some("webhook-deleted") => t("The webhook is deleted. Nothing is sent any more."),
        _ => return html! {},
    };
    parts::notice(Tone::Good, html! { p { (sentence) } })
}

fn read_only(visit: &Visit, tenant: &Tenant) -> Markup {
    let t = |text| visit.t(text);
    let values = &tenant.pinned.values;
    let (hour, minute) = tenant.scan_at();
    let mode = match tenant.delivery_mode() {
        DeliveryMode::Immediate => html! { (t("at once")) },
        DeliveryMode::Scan => html! { (t("once a day, at")) " " (format!("{hour:02}:{minute:02}")) },
    };
    let https = match tenant.settings.require_https {
        Some(true) => t("yes"),
        Some(false) => t("no"),
        None => t("as the installation has it"),
    };
    let schema = match tenant.schema_mode() {
        SchemaMode::Off => t("not checked"),
        SchemaMode::Warn => t("accepted with a warning"),
        SchemaMode::Reject => t("refused"),
    };
    let attributes = serde_json::to_vec(&values.attributes).unwrap_or_default();
    html! {
        (parts::facts(&[
            (t("Name"), html! { (values.name) }),
            (t("Id"), html! { code { (tenant.public_id) } }),
            (t("Profile"), html! { (tenant.profile().title) }),
            (t("Plan"), html! { (tenant.plan.as_deref().unwrap_or(t("none"))) }),
            (t("Time zone"), html! { (values.timezone.iana_name().unwrap_or("UTC")) }),
            (t("Events go out"), mode),
            (t("Only https webhooks"), html! { (https) }),
            (t("Data that violates its schema"), html! { (schema) }),
            (t("Kept for"), html! { (tenant.settings.retention_days.unwrap_or(form::RETENTION_DAYS)) " " (t("days")) }),
            (t("Created"), time::moment(visit, tenant.created)),
            (t("Changed"), time::moment(visit, tenant.updated)),
        ]))
        @if !values.attributes.is_empty() { (text::json(visit.words(), t("Attributes"), &attributes)) }
        @if let Some(types) = &tenant.settings.exposed_event_types {
            details .more { summary { (t("Event types of this product")) " (" (types.len()) ")" } ul { @for name in types { li { code { (name) } } } } }
        }
    }
}
