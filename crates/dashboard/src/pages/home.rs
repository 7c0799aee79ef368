//! A tenant's start: how its webhooks are doing, worst first; and the first steps where there are none.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::WebhookId;
use postrider_domain::profile::WebhookReaders;
use postrider_engine::catalogue::Webhook;
use postrider_store::WebhookHealth;

use super::webhooks::standing::{self, Standing};
use crate::page::{Answer, Page, Who};
use crate::parts::{self, chart, list, text, time};
use crate::visit::Visit;

pub(crate) static HEALTH: Page =
    Page { method: Method::GET, path: "/", who: Who::Reader, handle: |visit| Box::pin(show(visit)) };

async fn show(visit: Visit) -> Answer {
    let title = visit.t("Health");
    if !visit.may_see_webhooks() {
        return Ok(visit.page(title, html! { (parts::heading(title, html! {})) (without_access(&visit)) }));
    }
    let tenant = visit.tenant().clone();
    if tenant.webhooks.is_empty() {
        return Ok(visit.page(title, html! { (parts::heading(title, html! {})) (first_steps(&visit)) }));
    }
    let health = visit.store().webhooks_health(tenant.id, visit.now).await?;
    let health: HashMap<WebhookId, &WebhookHealth> = health.iter().map(|one| (one.webhook, one)).collect();
    let mut webhooks: Vec<&Webhook> = tenant.webhooks.iter().map(|webhook| &**webhook).collect();
    webhooks
        .sort_by_cached_key(|webhook| standing::order(webhook, health.get(&webhook.id).copied(), visit.now));
    let begin = visit.query.text("cursor").and_then(|cursor| cursor.parse::<usize>().ok()).unwrap_or(0);
    let shown = webhooks.iter().skip(begin).take(list::ROWS);
    let next = begin.saturating_add(list::ROWS);
    let next = (next < webhooks.len()).then(|| next.to_string());
    let t = |text| visit.t(text);
    let columns = [
        t("Webhook"),
        t("State"),
        t("Success, 24 h"),
        t("p50"),
        t("p95"),
        t("Waiting"),
        t("Outcomes, 24 h"),
        t("Last fired"),
    ];
    let rows = html! {
        @for webhook in shown { (row(&visit, webhook, health.get(&webhook.id).copied())) }
    };
    Ok(visit.page(
        title,
        html! {
            (parts::heading(title, html! {
                @if visit.may_change() && !tenant.profile().webhook.single {
                    a .button href=(visit.link("/webhooks/new")) { (t("New webhook")) }
                }
            }))
            (tiles(&visit, &webhooks, &health))
            (list::table(t("Webhooks, those that need a look first"), &columns, rows))
            (list::pager(&visit, &visit.query, next.as_deref()))
        },
    ))
}

fn row(visit: &Visit, webhook: &Webhook, health: Option<&WebhookHealth>) -> Markup {
    let t = |text| visit.t(text);
    let standing = Standing::of(webhook, health, visit.now);
    html! {
        tr {
            (list::cell(t("Webhook"), html! {
                a href=(visit.link(&format!("/webhooks/{}", webhook.id))) { (webhook.name) }
            }))
            (list::cell(t("State"), html! { (standing.badge(visit)) " " span .hint { (t(standing.why())) } }))
            (list::number(t("Success, 24 h"), html! { (health.and_then(rate).unwrap_or_else(|| "–".to_owned())) }))
            (list::number(t("p50"), html! { (health.map_or_else(|| "–".to_owned(), |health| standing::latency(health, 0.5))) }))
            (list::number(t("p95"), html! { (health.map_or_else(|| "–".to_owned(), |health| standing::latency(health, 0.95))) }))
            (list::cell(t("Waiting"), html! { @if let Some(health) = health { (waiting(visit, health)) } }))
            (list::cell(t("Outcomes, 24 h"), html! { @if let Some(health) = health { (strip(visit, health)) } }))
            (list::cell(t("Last fired"), html! {
                @match health.and_then(|health| health.last_fired) {
                    Some(at) => (time::short(visit, at)),
                    None => span .hint { (t("never")) },
                }
            }))
        }
    }
}

fn rate(health: &WebhookHealth) -> Option<String> {
    text::percent(health.succeeded, health.attempts)
}

fn waiting(visit: &Visit, health: &WebhookHealth) -> Markup {
    let count = text::count(health.waiting);
    let since = health.earliest_due.filter(|due| *due < visit.now);
    html! {
        @if health.waiting_at_least { (visit.t("at least")) " " }
        (count)
        @if let Some(since) = since { " " span .hint { (visit.t("the first due")) " " (time::short(visit, since)) } }
    }
}

fn strip(visit: &Visit, health: &WebhookHealth) -> Markup {
    let first = visit.now.hour().minus(Duration::from_secs(3600) * (health.hours.len() as u32 - 1));
    let mut buckets = Vec::with_capacity(health.hours.len());
    for (index, hour) in health.hours.iter().enumerate() {
        buckets.push(chart::Bucket {
            label: time::stamp(visit, first.plus(Duration::from_secs(3600) * index as u32)),
            succeeded: hour.succeeded,
            failed: hour.attempts.saturating_sub(hour.succeeded),
        });
    }
    // What the strip shows, in words.
    let label = format!("{} / {}", health.succeeded, health.attempts);
    chart::strip(&label, &buckets)
}

fn tiles(visit: &Visit, webhooks: &[&Webhook], health: &HashMap<WebhookId, &WebhookHealth>) -> Markup {
    let t = |text| visit.t(text);
    let standings =
        webhooks.iter().map(|webhook| Standing::of(webhook, health.get(&webhook.id).copied(), visit.now));
    let failing = standings
        .filter(|standing| matches!(standing, Standing::Failing | Standing::Gone | Standing::Late))
        .count();
    let sum = |value: fn(&WebhookHealth) -> u64| health.values().map(|health| value(health)).sum::<u64>();
    let (attempts, succeeded) = (sum(|health| health.attempts), sum(|health| health.succeeded));
    let more = if health.values().any(|health| health.waiting_at_least) { "≥ " } else { "" };
    let tiles = [
        (t("Webhooks"), text::count(webhooks.len() as u64)),
        (t("Need a look"), text::count(failing as u64)),
        (t("Requests, 24 h"), text::count(attempts)),
        (t("Success, 24 h"), text::percent(succeeded, attempts).unwrap_or_else(|| "–".to_owned())),
        (t("Waiting"), format!("{more}{}", text::count(sum(|health| health.waiting)))),
    ];
    html! {
        dl .tiles { @for (label, value) in tiles { div .tile { dt { (label) } dd { (value) } } } }
    }
}

/// For who has registered nothing yet.
fn first_steps(visit: &Visit) -> Markup {
    let t = |text| visit.t(text);
    let single = visit.tenant().profile().webhook.single;
    parts::empty(
        t("No webhook yet"),
        html! {
            p { (t("A webhook is a URL of yours that gets a signed request for each event you choose. Three steps to the first one:")) }
            ol {
                li { strong { (t("Create a webhook.")) } " " (t("Enter the URL of your receiver. You have none yet? Use the built-in inbox, which shows what arrives.")) }
                li { strong { (t("Send a test event.")) } " " (t("You see the request and the answer, byte for byte.")) }
                li { strong { (t("Verify the signature.")) } " " (t("Copy the code for your language, filled in for this webhook.")) }
            }
            @if visit.may_change() {
                p {
                    @if single { a .button href=(visit.link("/settings")) { (t("Create a webhook")) } }
                    @else { a .button href=(visit.link("/webhooks/new")) { (t("Create a webhook")) } }
                }
            } @else {
                p { (t("You may look, and change nothing. Ask an admin to create the first webhook.")) }
            }
        },
    )
}

/// A profile may keep webhooks from viewers, and a plan may have none.
fn without_access(visit: &Visit) -> Markup {
    let t = |text| visit.t(text);
    let tenant = visit.tenant();
    html! {
        p .lead {
            @if !tenant.plan_has_webhooks() {
                (t("The plan does not include webhooks."))
            } @else if tenant.profile().access.webhooks == WebhookReaders::Admin {
                (t("Webhooks and what was sent to them are for admins here."))
            } @else {
                (t("You may not see webhooks here."))
            }
        }
        p { (t("You may see these pages:")) }
        ul {
            li { a href=(visit.link("/events")) { (t("Events")) } }
            li { a href=(visit.link("/event-types")) { (t("Event types")) } }
            li { a href=(visit.link("/workflows")) { (t("Workflows")) } }
        }
    }
}
