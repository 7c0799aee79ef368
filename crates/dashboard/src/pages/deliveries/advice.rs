//! What to do next about a delivery, or about one that was never made, with the links to do it. The sentence of what happened is
//! the engine's; this is the step after it.

use maud::{Markup, html};
use postrider_domain::delivery::{AttemptClass, DeliveryState, Reason};
use postrider_domain::id::WebhookId;
use postrider_engine::catalogue::Tenant;
use postrider_engine::outbound::explain;
use postrider_engine::outbound::matcher::No;
use postrider_store::StoredDelivery;

use super::row::class_words;
use crate::parts::time;
use crate::visit::Visit;

/// Of a delivery: why it stands as it does, and what to do.
pub(crate) fn of_delivery(visit: &Visit, tenant: &Tenant, delivery: &StoredDelivery) -> Markup {
    let t = |text| visit.t(text);
    let reason = explain::reason(tenant, delivery);
    let is_blocked = delivery.state != DeliveryState::Delivered
        && delivery.last_class == Some(AttemptClass::BlockedTarget);
    html! {
        p { (t(reason.sentence())) }
        @if is_blocked {
            p {
                strong { (t("The address of the webhook is not allowed.")) } " "
                (t("Nothing was sent: the URL leads to a private or reserved network. Give the webhook a public URL, or ask the operator to allow the address.")) " "
                (edit(visit, tenant, delivery.webhook, t("Change the URL")))
            }
        } @else if let (DeliveryState::Scheduled | DeliveryState::Failed, Some(class)) = (delivery.state, delivery.last_class) {
            p {
                (t("The last attempt:")) " "
                @match delivery.last_status {
                    Some(status) => { (t("the receiver answered")) " " strong { (status) } },
                    None => strong { (t(class_words(class))) },
                }
                ". "
                @if let Some(what) = mend(delivery.last_status, class) { (t(what)) }
            }
        }
        (then(visit, tenant, delivery, reason))
    }
}

/// What the way on is, by the reason.
fn then(visit: &Visit, tenant: &Tenant, delivery: &StoredDelivery, reason: Reason) -> Markup {
    let t = |text| visit.t(text);
    let webhook = delivery.webhook;
    html! {
        @match reason {
            Reason::RetryDue => @if let Some(due) = delivery.due {
                p { (t("The next attempt is at")) " " (time::stamp(visit, due)) ", " (time::countdown(visit, due)) }
            },
            Reason::WaitingForScan => @if let Some(due) = delivery.due {
                p { (t("The next scan is at")) " " (time::stamp(visit, due)) ", " (time::countdown(visit, due)) }
                p { (t("Nothing needs to be done.")) }
            },
            Reason::Held | Reason::Paused | Reason::WebhookOff | Reason::HeldTooLong | Reason::Gone => p {
                (to_webhook(visit, tenant, webhook, t("Switch the webhook on")))
            },
            Reason::RetriesExhausted | Reason::SingleAttemptFailed | Reason::OutcomeUnknown | Reason::Restored => p {
                (t("When the endpoint works again, send it once more by “Retry”.")) " "
                (to_webhook(visit, tenant, webhook, t("Go to the webhook")))
            },
            Reason::NotRenderable => p { (t("The event itself has to change: publish it again with data that the format can carry.")) },
            Reason::WebhookDeleted | Reason::Accepted | Reason::Waiting | Reason::Interrupted => {},
        }
    }
}

/// What an answer, or none, most likely means for the endpoint.
const fn mend(status: Option<u16>, class: AttemptClass) -> Option<&'static str> {
    match (status, class) {
        (Some(401 | 403), _) => Some(
            "The endpoint refused the request's credentials: check the secret with which it verifies the signature, and the webhook's headers.",
        ),
        (Some(404 | 405), _) => Some("The path or the method is not known there: check the webhook's URL."),
        (Some(408 | 429 | 503), _) => Some("The endpoint asks for patience: it is busy or down for a while."),
        (Some(300..=399), _) => {
            Some("Redirects are not followed: give the webhook the URL that it leads to.")
        }
        (Some(400..=499), _) => Some("The endpoint did not like the request: its answer below may say why."),
        (Some(500..=599), _) => Some("The endpoint failed at it: look into its log at this time."),
        (None, AttemptClass::Timeout) => {
            Some("The endpoint took too long. It should answer at once and do its work afterwards.")
        }
        (None, AttemptClass::Dns) => {
            Some("The name in the URL leads nowhere: check its spelling and its DNS records.")
        }
        (None, AttemptClass::Connect) => Some(
            "Nobody listens at the address: check that the endpoint runs and its firewall lets requests in.",
        ),
        (None, AttemptClass::Tls) => {
            Some("The endpoint's certificate does not hold: it may have expired, or be for another name.")
        }
        _ => None,
    }
}

/// Of an event that made no delivery to a webhook.
pub(crate) fn next_step(visit: &Visit, tenant: &Tenant, webhook: WebhookId, no: No) -> Markup {
    let t = |text| visit.t(text);
    html! {
        @match no {
            No::PatternsDoNotMatch | No::OperationalNotNamed => (edit(visit, tenant, webhook, t("Add the type to its events"))),
            No::WebhookOff => (to_webhook(visit, tenant, webhook, t("Switch it on"))),
            No::NotRegisteredThen => { (t("It gets later events. Publish the event again to have it there, too.")) },
            No::TestOfAnotherWebhook => (to_webhook(visit, tenant, webhook, t("Send it a test event of its own"))),
        }
    }
}

fn to_webhook(visit: &Visit, tenant: &Tenant, webhook: WebhookId, label: &str) -> Markup {
    linked(visit, tenant, webhook, "", label)
}

fn edit(visit: &Visit, tenant: &Tenant, webhook: WebhookId, label: &str) -> Markup {
    let to = if visit.may_change() { "/edit" } else { "" };
    linked(visit, tenant, webhook, to, label)
}

fn linked(visit: &Visit, tenant: &Tenant, webhook: WebhookId, to: &str, label: &str) -> Markup {
    html! {
        @if tenant.webhook(webhook).is_some() {
            a href=(visit.link(&format!("/webhooks/{webhook}{to}"))) { (label) }
        } @else { (visit.t("The webhook was deleted since.")) }
    }
}
