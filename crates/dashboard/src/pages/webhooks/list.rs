//! `/webhooks`: every webhook, newest first, with a switch each.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::WebhookId;
use postrider_engine::catalogue::Webhook;
use postrider_engine::control::WebhookPatch;
use postrider_store::WebhookStats;

use super::{in_path, link};
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::{self, Tone, list, text, time};
use crate::visit::Visit;

pub(super) static LIST: Page = Page {
    method: Method::GET,
    path: "/webhooks",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(show(visit)),
};

pub(super) static SWITCH: Page = Page {
    method: Method::POST,
    path: "/webhooks/{webhook}/active",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(switch(visit)),
};

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let title = t("Webhooks");
    let tenant = visit.tenant().clone();
    let before = visit.query.text("cursor").and_then(|cursor| WebhookId::parse(cursor).ok());
    let mut webhooks: Vec<&Webhook> = tenant.webhooks.iter().map(|webhook| &**webhook).collect();
    webhooks.retain(|webhook| before.is_none_or(|before| webhook.id < before));
    webhooks.sort_by_key(|webhook| std::cmp::Reverse(webhook.id));
    let more = webhooks.len() > list::ROWS;
    webhooks.truncate(list::ROWS);
    let next = webhooks.last().filter(|_| more).map(|webhook| webhook.id.to_string());
    let mut rows = Vec::with_capacity(webhooks.len());
    for webhook in &webhooks {
        let stats = visit.store().webhook_stats(tenant.id, webhook.id, visit.now).await?;
        rows.push(row(&visit, webhook, &stats));
    }
    let single = tenant.profile().webhook.single;
    let columns = [t("Name"), t("URL"), t("Events"), t("Last fired"), t("Success rate"), t("Active")];
    let rows = html! { @for row in rows { (row) } };
    Ok(visit.page(title, html! {
        (parts::heading(title, html! {
            @if visit.may_change() && !single { a .button href=(visit.link("/webhooks/new")) { (t("New webhook")) } }
        }))
        @if visit.query.text("done") == Some("deleted") {
            (parts::notice(Tone::Good, html! { p { (t("The webhook was deleted. Its deliveries and the audit log stay.")) } }))
        }
        @if single {
            (parts::notice(Tone::Plain, html! {
                p { (t("There is one webhook here, and it lives in the settings.")) " " a href=(visit.link("/settings")) { (t("Open the settings")) } }
            }))
        }
        @if webhooks.is_empty() {
            (parts::empty(t("No webhook yet"), html! {
                p { (t("Each webhook is a URL that gets a signed request for every event that it asks for.")) }
                @if visit.may_change() && !single { p { a .button href=(visit.link("/webhooks/new")) { (t("Create a webhook")) } } }
            }))
        } @else {
            (list::table(t("Webhooks, newest first"), &columns, rows))
            (list::pager(&visit, &visit.query, next.as_deref()))
        }
    }))
}

fn row(visit: &Visit, webhook: &Webhook, stats: &WebhookStats) -> Markup {
    let t = |text| visit.t(text);
    let rate = text::percent(stats.succeeded, stats.attempts);
    html! {
        tr id=(webhook.id) {
            (list::cell(t("Name"), html! { a href=(link(visit, webhook.id, "")) { (webhook.name) } }))
            (list::cell(t("URL"), html! { code { (webhook.url) } }))
            (list::cell(t("Events"), html! { (patterns(visit, webhook)) }))
            (list::cell(t("Last fired"), html! {
                @match stats.last_fired {
                    Some(at) => (time::short(visit, at)),
                    None => span .hint { (t("never")) },
                }
            }))
            (list::number(t("Success rate"), html! { (rate.as_deref().unwrap_or("–")) }))
            (list::cell(t("Active"), html! { (toggle(visit, webhook)) }))
        }
    }
}

/// The first few; the webhook's own page has all.
fn patterns(visit: &Visit, webhook: &Webhook) -> Markup {
    const SHOWN: usize = 3;
    let all = webhook.patterns.as_strings();
    html! {
        @for (index, pattern) in all.iter().take(SHOWN).enumerate() {
            @if index > 0 { ", " }
            code { (pattern) }
        }
        @if all.len() > SHOWN { " " span .hint { "+" (all.len() - SHOWN) " " (visit.t("more")) } }
    }
}

/// A switch that is a form: it works without script, and with script changes its row in place.
fn toggle(visit: &Visit, webhook: &Webhook) -> Markup {
    let t = |text| visit.t(text);
    let state = if webhook.enabled { t("on") } else { t("off") };
    html! {
        @if visit.may_change() {
            @let action = link(visit, webhook.id, "/active");
            form method="post" action=(action) .inline hx-post=(action) hx-target="closest tr" hx-swap="outerHTML" {
                (parts::hidden(visit))
                input type="hidden" name="on" value=(if webhook.enabled { "0" } else { "1" });
                button .switch type="submit" role="switch" aria-checked=(if webhook.enabled { "true" } else { "false" })
                    aria-label={ (t("Active")) ": " (webhook.name) } { (state) }
            }
        } @else {
            (parts::badge(if webhook.enabled { Tone::Good } else { Tone::Plain }, state))
        }
    }
}

async fn switch(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    let on = visit.form.text("on") == Some("1");
    let patch = WebhookPatch { enabled: Some(on), ..WebhookPatch::default() };
    let control = visit.engine().control();
    let changed = control.webhook_update(&visit.actor(), visit.tenant(), webhook.id, patch).await?;
    if visit.wants_part() {
        let stats = visit.store().webhook_stats(visit.tenant().id, webhook.id, visit.now).await?;
        return Ok(visit.part(row(&visit, &changed.webhook, &stats)));
    }
    let to = if visit.form.text("back") == Some("webhook") {
        link(&visit, webhook.id, if on { "?done=on" } else { "?done=off" })
    } else {
        visit.link("/webhooks")
    };
    Ok(see_other(&to))
}
