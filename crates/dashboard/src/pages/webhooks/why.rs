//! "Why does nothing arrive?": the four questions of everybody's troubleshooting, answered from what is known of this webhook.

use maud::{Markup, html};
use postrider_domain::delivery::{AttemptClass, DeliveryState};
use postrider_domain::profile::DeliveryMode;
use postrider_engine::catalogue::{DisabledReason, Webhook};
use postrider_store::{EventFilter, Order, StoreError, StoredDelivery};

use super::charts::tally;
use super::link;
use crate::form::escaped;
use crate::parts::attempt::{advice, outcome_badge};
use crate::visit::Visit;

/// Events that are looked at to say whether the patterns match what happens here.
const EVENTS_LOOKED_AT: usize = 50;

/// `failed`: the newest failed deliveries. `open`: the newest that wait, for their first attempt or another one.
pub(super) async fn section(
    visit: &Visit,
    webhook: &Webhook,
    failed: &[StoredDelivery],
    open: &[StoredDelivery],
) -> Result<Markup, StoreError> {
    let t = |text| visit.t(text);
    let tenant = visit.tenant();
    let newest = Order::NewestFirst { before: None };
    let events =
        visit.store().event_list(tenant.id, &EventFilter::default(), newest, EVENTS_LOOKED_AT).await?;
    let missed = events.iter().filter(|event| !webhook.patterns.matches(&event.event_type));
    let missed = tally(missed.map(|event| &*event.event_type));
    let matched = events.iter().any(|event| webhook.patterns.matches(&event.event_type));
    Ok(html! {
        section .card {
            h2 { (t("Why does nothing arrive?")) }
            details .more open[!webhook.enabled || !matched] {
                summary { (t("It never fires")) }
                @if !webhook.enabled {
                    p { strong { (t("It is switched off.")) } " " (t(off_because(webhook))) }
                }
                @if events.is_empty() {
                    p { (t("No event has been published here yet.")) " " a href=(visit.link("/dry-run")) { (t("Try one in a dry run")) } }
                } @else if matched {
                    p { (t("Its patterns match events that happened lately, so it is asked for.")) }
                } @else {
                    p { strong { (t("Its patterns match none of the newest events.")) } " " (t("What happened instead:")) }
                    ul { @for (event_type, count) in missed.iter().take(5) { li { code { (event_type) } " × " (count) } } }
                    @if visit.may_change() { p { a href=(link(visit, webhook.id, "/edit")) { (t("Change the patterns")) } } }
                }
                @if tenant.delivery_mode() == DeliveryMode::Scan {
                    p { (t("Deliveries go out with the daily scan, not at once.")) }
                }
            }
            details .more {
                summary { (t("The signature fails")) }
                @if webhook.keys.is_empty() {
                    p { (t("It has no secret, so nothing is signed: a receiver that wants a signature refuses everything.")) " "
                        a href=(link(visit, webhook.id, "/secret")) { (t("Make a secret")) } }
                } @else {
                    @if webhook.secret_pending(visit.now) {
                        p { strong { (t("A new secret waits.")) } " " (t("Until it takes over, requests are signed with the old one.")) }
                    }
                    p { (t("Mostly the body was parsed before it was checked, or the secret is another one. Paste a request and see which:")) " "
                        a href=(visit.link(&format!("/signature?webhook={}", webhook.id))) { (t("Signature helper")) } }
                    p { a href=(link(visit, webhook.id, "/verify")) { (t("Code to verify")) } }
                }
            }
            details .more open[!failed.is_empty() || open.iter().any(|one| one.last_class.is_some())] {
                summary { (t("Failures accumulate")) }
                (failures(visit, webhook, failed, open))
            }
            details .more {
                summary { (t("Events come twice")) }
                p { (t("Each event is sent at least once: after an answer that was lost it is sent again.")) " "
                    @match tenant.profile().idempotency_header() {
                        Some(header) => { (t("Remember this header's value, and skip what you have seen:")) " " code { (header) } },
                        None => (t("This profile has no header for it: compare what the body says of the event.")),
                    }
                }
            }
        }
    })
}

fn off_because(webhook: &Webhook) -> &'static str {
    match webhook.disabled_reason {
        Some(DisabledReason::Gone) => {
            "The receiver answered 410 Gone, which says that it will never come back. Switch it on when it has."
        }
        None => "A person did that. Switch it on to send again.",
    }
}

/// The newest failures by what they came to, each with what to do: those that are over, and those that are tried again.
fn failures(visit: &Visit, webhook: &Webhook, failed: &[StoredDelivery], open: &[StoredDelivery]) -> Markup {
    let t = |text| visit.t(text);
    let over = outcomes(visit, webhook, DeliveryState::Failed, failed);
    let again = outcomes(visit, webhook, DeliveryState::Scheduled, open);
    html! {
        @if over.is_none() && again.is_none() {
            p { (t("No delivery has failed lately.")) }
        }
        @if let Some(again) = again {
            p { (t("Not accepted so far, and tried again by themselves:")) }
            (again)
        }
        @if let Some(over) = over {
            p { (t("The newest failures, and what to do:")) }
            (over)
        }
    }
}

fn outcomes(
    visit: &Visit,
    webhook: &Webhook,
    state: DeliveryState,
    deliveries: &[StoredDelivery],
) -> Option<Markup> {
    let t = |text| visit.t(text);
    let outcomes = deliveries.iter().filter_map(|one| Some((one.last_class?.code(), one.last_status)));
    let counts = tally(outcomes);
    (!counts.is_empty()).then(|| {
        html! {
            ul {
                @for ((class, status), count) in counts {
                    @let class = AttemptClass::from_code(class).unwrap_or(AttemptClass::Unknown);
                    li {
                        (outcome_badge(visit, class, status)) " × " (count) ". " (t(advice(class, status))) " "
                        a href=(visit.link(&filter(webhook, state, class, status))) { (t("Show them")) }
                    }
                }
            }
        }
    })
}

/// The list of deliveries, narrowed to one kind of failure.
fn filter(webhook: &Webhook, state: DeliveryState, class: AttemptClass, status: Option<u16>) -> String {
    let code = status.map_or_else(|| escaped(class.as_str()), |status| status.to_string());
    format!("/deliveries?webhook={}&state={}&code={code}", webhook.id, state.as_str())
}
