//! `/webhooks/{webhook}`: everything about one webhook.

use http::Method;
use maud::{Markup, html};
use postrider_domain::delivery::DeliveryState;
use postrider_domain::id::JobId;
use postrider_engine::catalogue::Webhook;
use postrider_store::{DeliveryFilter, StoredDelivery};

use super::standing::Standing;
use super::{charts, in_path, link, why};
use crate::page::{Answer, Page, Who};
use crate::parts::attempt::outcome_badge;
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone, facts, list, time};
use crate::visit::Visit;

pub(super) static SHOW: Page = Page {
    method: Method::GET,
    path: "/webhooks/{webhook}",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(show(visit)),
};

/// Rows of each of the two lists; the page of deliveries has all.
const DELIVERIES_SHOWN: usize = 10;

/// What a form on another page, or here, came to.
const DONE: &[(&str, &str)] = &[
    ("saved", "The change is saved, and holds for the next event."),
    ("on", "The webhook is on."),
    ("off", "The webhook is off. Nothing is sent to it until it is switched on."),
    ("retried", "The delivery is sent again as a new one."),
    ("recovering", "What failed since then is being sent again."),
    ("secret", "The new secret signs from now on."),
    ("cancelled", "The new secret was forgotten; the old one stays."),
];

async fn show(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    let tenant = visit.tenant().id;
    let stats = visit.store().webhook_stats(tenant, webhook.id, visit.now).await?;
    let filter = DeliveryFilter { webhook: Some(webhook.id), ..DeliveryFilter::default() };
    let of_failed = DeliveryFilter { state: Some(DeliveryState::Failed), ..filter.clone() };
    let failed = visit.store().delivery_page(tenant, &of_failed, list::ROWS).await?;
    let (failed, looked_until) = (failed.deliveries, failed.looked_until);
    let newest = visit.store().delivery_page(tenant, &filter, DELIVERIES_SHOWN).await?.deliveries;
    let earliest_due = visit.store().webhook_earliest_due(tenant, webhook.id).await?;
    let standing = Standing::of_one(&webhook, &stats, &newest, earliest_due, visit.now);
    let charts = charts::section(&visit, &webhook).await?;
    // Its schedule may take hours: what fails is told before the last of its attempts.
    let of_open = DeliveryFilter { state: Some(DeliveryState::Scheduled), ..filter.clone() };
    let open = visit.store().delivery_page(tenant, &of_open, list::ROWS).await?.deliveries;
    let why = why::section(&visit, &webhook, &failed, &open).await?;
    let t = |text| visit.t(text);
    let done = DONE.iter().find(|(word, _)| Some(*word) == visit.query.text("done"));
    let job = visit.query.text("job").and_then(|job| JobId::parse(job).ok());
    let few = &failed[..failed.len().min(DELIVERIES_SHOWN)];
    Ok(visit.page(&webhook.name, html! {
        (parts::heading(&webhook.name, actions(&visit, &webhook)))
        @if let Some((_, sentence)) = done {
            (parts::notice(Tone::Good, html! { p { (t(sentence))
                @if let Some(job) = job { " " a href=(visit.link(&format!("/jobs/{job}"))) { (t("Follow its progress")) } } } }))
        }
        (about(&visit, &webhook, standing))
        (charts)
        h2 { (t("Newest failed deliveries")) }
        @if few.is_empty() {
            @match looked_until {
                None => p .hint { (t("No delivery has failed.")) },
                Some(until) => {
                    p .hint { (t("None among the newest failures of all webhooks, back to")) " " (time::moment(&visit, until.time())) "." }
                    @if visit.may_change() { (recover(&visit, &webhook)) }
                }
            }
        } @else {
            (deliveries(&visit, t("Newest failed deliveries"), few, true))
            @if visit.may_change() { (recover(&visit, &webhook)) }
        }
        h2 { (t("Newest deliveries")) }
        @if newest.is_empty() {
            p .hint { (t("Nothing was sent yet.")) " "
                @if visit.may_change() { a href=(link(&visit, webhook.id, "/test")) { (t("Send a test event")) } } }
        } @else {
            (deliveries(&visit, t("Newest deliveries"), &newest, false))
            p { a href=(visit.link(&format!("/deliveries?webhook={}", webhook.id))) { (t("All deliveries")) } }
        }
        (why)
    }))
}

fn actions(visit: &Visit, webhook: &Webhook) -> Markup {
    let t = |text| visit.t(text);
    html! {
        @if visit.may_change() {
            a .button href=(link(visit, webhook.id, "/test")) { (t("Send test event")) }
            a .button .ghost href=(link(visit, webhook.id, "/edit")) { (t("Edit")) }
            a .button .ghost href=(link(visit, webhook.id, "/secret")) { (t("Rotate secret")) }
            form method="post" action=(link(visit, webhook.id, "/active")) .inline {
                (parts::hidden(visit))
                input type="hidden" name="back" value="webhook";
                input type="hidden" name="on" value=(if webhook.enabled { "0" } else { "1" });
                button .ghost type="submit" { (if webhook.enabled { t("Pause") } else { t("Activate") }) }
            }
            a .button .danger href=(link(visit, webhook.id, "/delete")) { (t("Delete")) }
        }
        a .button .ghost href=(link(visit, webhook.id, "/verify")) { (t("Code to verify")) }
    }
}

fn about(visit: &Visit, webhook: &Webhook, standing: Standing) -> Markup {
    let t = |text| visit.t(text);
    let secret = match (webhook.keys.is_empty(), webhook.secret_pending(visit.now)) {
        (_, true) => t("set; a new one waits to take over"),
        (false, false) => t("set"),
        (true, false) => t("none: requests are not signed"),
    };
    facts(&[
        (
            t("State"),
            html! { (standing.badge(visit)) " " (t(standing.why()))
            @if let (false, Some(at)) = (webhook.enabled, webhook.disabled_at) { " " (time::short(visit, at)) } },
        ),
        (
            t("URL"),
            html! { code { (webhook.url) }
            @if webhook.inbox.is_some() { " " a href=(visit.link("/inbox")) { (t("an inbox of yours")) } }
            @if let Err(_) = &webhook.target { p .bad-text { (t("This address is not allowed any more; nothing is sent to it. Change the URL.")) } } },
        ),
        (
            t("Events"),
            html! { @for (index, pattern) in webhook.patterns.as_strings().iter().enumerate() {
            @if index > 0 { ", " } code { (pattern) } } },
        ),
        (t("Signing secret"), html! { (secret) }),
        (
            t("Extra headers"),
            html! { @if webhook.headers.is_empty() { (t("none")) }
            @for (name, _) in &webhook.headers { code { (name) ": ********" } " " } },
        ),
        (t("Description"), html! { (webhook.description) }),
        (t("Created"), time::moment(visit, webhook.created)),
        (t("Id"), html! { code { (webhook.id) } }),
    ])
}

fn deliveries(visit: &Visit, caption: &str, rows: &[StoredDelivery], failed: bool) -> Markup {
    let t = |text| visit.t(text);
    let retries = failed && visit.may_change();
    let mut columns = vec![t("Event"), t("State"), t("Last answer"), t("Attempts"), t("Made")];
    if retries {
        columns.push(t("Retry"));
    }
    list::table(
        caption,
        &columns,
        html! {
            @for delivery in rows {
                tr {
                    (list::cell(t("Event"), html! {
                        a href=(visit.link(&format!("/deliveries/{}", delivery.id))) { code { (delivery.event_type) } }
                    }))
                    (list::cell(t("State"), html! { (parts::state_badge(visit, delivery.state)) }))
                    (list::cell(t("Last answer"), html! {
                        @if let Some(class) = delivery.last_class { (outcome_badge(visit, class, delivery.last_status)) }
                        @else { span .hint { (t("none yet")) } }
                    }))
                    (list::number(t("Attempts"), html! { (delivery.attempts) }))
                    (list::cell(t("Made"), html! { (time::short(visit, delivery.created)) }))
                    @if retries {
                        (list::cell(t("Retry"), html! {
                            (parts::act(visit, &link(visit, delivery.webhook, &format!("/retry/{}", delivery.id)), "ghost", t("Retry")))
                        }))
                    }
                }
            }
        },
    )
}

fn recover(visit: &Visit, webhook: &Webhook) -> Markup {
    let t = |text| visit.t(text);
    html! {
        details .more {
            summary { (t("Send again everything that failed since …")) }
            (parts::form(visit, &link(visit, webhook.id, "/recover"), html! {
                (fields::text(Field {
                    name: "from",
                    label: t("Since"),
                    hint: t("Events that were accepted at or after this time, and whose delivery to this webhook failed."),
                    required: true,
                    ..Field::default()
                }, "datetime-local"))
                div .actions { button type="submit" { (t("Send them again")) } }
            }))
        }
    }
}
