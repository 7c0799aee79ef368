//! What became of an event at every webhook, or exactly why not: what went wrong first, then what waits, what arrived, and what was
//! never meant for a webhook.

use maud::{Markup, html};
use postrider_domain::delivery::DeliveryState;
use postrider_domain::limits;
use postrider_engine::outbound::explain::{Explained, Outcome, Why};
use postrider_engine::outbound::matcher::No;
use postrider_store::StoredEvent;

use crate::pages::deliveries::{last_answer, next_step, of_delivery};
use crate::parts::list::{self, cell};
use crate::parts::{self, Tone, time};
use crate::visit::Visit;

pub(super) fn shown(visit: &Visit, event: &StoredEvent, explained: Explained) -> Markup {
    let t = |text| visit.t(text);
    let mut outcomes = explained.outcomes;
    if outcomes.is_empty() {
        return html! {
            h2 { (t("Who got it")) }
            (parts::empty(t("There is no webhook"), html! {
                p { (t("Nobody is told of this tenant's events. A webhook gets the events that come after it was registered.")) }
                div .actions { a .button href=(visit.link("/webhooks")) { (t("Go to the webhooks")) } }
            }))
        };
    }
    outcomes.sort_by_key(urgency);
    let count = |wanted: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
    let state = |wanted: DeliveryState| {
        count(&move |outcome| outcome.delivery.as_ref().is_some_and(|delivery| delivery.state == wanted))
    };
    let open = state(DeliveryState::Scheduled) + state(DeliveryState::Sending);
    let ended_badly = state(DeliveryState::Failed) + state(DeliveryState::Cancelled);
    let missed = count(&|outcome| outcome.delivery.is_none());
    let from = visit.query.text("from").and_then(|from| from.parse::<usize>().ok()).unwrap_or(0);
    let from = from.min(outcomes.len());
    let until = outcomes.len().min(from + list::ROWS);
    html! {
        h2 { (t("Who got it")) }
        p {
            (state(DeliveryState::Delivered)) " " (t("delivered")) " · "
            (open) " " (t("waiting")) " · "
            (ended_badly) " " (t("failed or cancelled")) " · "
            (missed) " " (t("not for it"))
        }
        (send_again(visit, &outcomes))
        (table(visit, event, &outcomes[from..until]))
        nav .pager aria-label=(t("More webhooks")) {
            @if from > 0 { a .button .ghost href=(visit.uri.path()) { (t("First webhooks")) } }
            @if until < outcomes.len() { a .button .ghost href=(format!("{}?from={until}", visit.uri.path())) { (t("Further webhooks")) } }
        }
        @if explained.deliveries.len() > outcomes.len() - missed {
            p .hint { (t("It was sent again by hand or by a recovery: each webhook shows its newest delivery.")) }
        }
    }
}

fn urgency(outcome: &Outcome) -> u8 {
    match outcome.delivery.as_ref().map(|delivery| delivery.state) {
        Some(DeliveryState::Failed) => 0,
        Some(DeliveryState::Cancelled) => 1,
        Some(DeliveryState::Scheduled | DeliveryState::Sending) => 2,
        Some(DeliveryState::Delivered) => 3,
        None => 4,
    }
}

fn table(visit: &Visit, event: &StoredEvent, outcomes: &[Outcome]) -> Markup {
    let t = |text| visit.t(text);
    let rows = html! {
        @for outcome in outcomes {
            tr {
                (cell(t("Webhook"), webhook(visit, outcome)))
                (cell(t("What happened"), html! {
                    @match &outcome.delivery {
                        Some(delivery) => (parts::state_badge(visit, delivery.state)),
                        None => (parts::badge(Tone::Plain, t("not sent"))),
                    }
                }))
                (cell(t("Why, and what to do"), why(visit, event, outcome)))
                (cell(t("Last answer"), html! {
                    @if let Some(delivery) = &outcome.delivery { (last_answer(visit, delivery)) }
                }))
            }
        }
    };
    let columns = [t("Webhook"), t("What happened"), t("Why, and what to do"), t("Last answer")];
    list::table(t("Every webhook, and what became of the event there"), &columns, rows)
}

fn webhook(visit: &Visit, outcome: &Outcome) -> Markup {
    html! {
        @if visit.tenant().webhook(outcome.webhook).is_some() {
            a href=(visit.link(&format!("/webhooks/{}", outcome.webhook))) { (outcome.webhook_name) }
        } @else { (outcome.webhook_name) " " span .hint { (visit.t("deleted since")) } }
    }
}

fn why(visit: &Visit, event: &StoredEvent, outcome: &Outcome) -> Markup {
    let t = |text| visit.t(text);
    let tenant = visit.tenant();
    html! {
        @match (&outcome.delivery, outcome.why) {
            (Some(delivery), _) => {
                (of_delivery(visit, tenant, delivery))
                p { a href=(visit.link(&format!("/deliveries/{}", delivery.id))) { (t("See the delivery")) } }
            },
            (None, Why::Missed(no)) => {
                p { (t(no.sentence())) }
                (evidence(visit, event, outcome, no))
                p { (next_step(visit, tenant, outcome.webhook, no)) }
            },
            (None, Why::Delivery(reason)) => p { (t(reason.sentence())) },
        }
    }
}

/// What the reason rests on.
fn evidence(visit: &Visit, event: &StoredEvent, outcome: &Outcome, no: No) -> Markup {
    const PATTERNS_SHOWN_MAX: usize = 5;
    let t = |text| visit.t(text);
    let webhook = visit.tenant().webhook(outcome.webhook);
    html! {
        @match (no, webhook) {
            (No::PatternsDoNotMatch | No::OperationalNotNamed, Some(webhook)) => p .hint {
                @let patterns = webhook.patterns.as_strings();
                (t("Its events today:")) " "
                @for (index, pattern) in patterns.iter().take(PATTERNS_SHOWN_MAX).enumerate() {
                    @if index > 0 { ", " }
                    code { (pattern) }
                }
                @if patterns.len() > PATTERNS_SHOWN_MAX { ", … " }
            },
            (No::NotRegisteredThen, Some(webhook)) => p .hint {
                (t("Registered at")) " " (time::stamp(visit, webhook.created)) "; "
                (t("the event was accepted at")) " " (time::stamp(visit, event.accepted)) "."
            },
            (No::WebhookOff, Some(webhook)) if webhook.enabled => p .hint { (t("It is on today.")) },
            _ => {},
        }
    }
}

/// All that ended without success, by way of the page that says how many they are.
fn send_again(visit: &Visit, outcomes: &[Outcome]) -> Markup {
    if !visit.may_change() {
        return html! {};
    }
    let failed: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.delivery.as_ref())
        .filter(|delivery| matches!(delivery.state, DeliveryState::Failed | DeliveryState::Cancelled))
        .filter(|delivery| visit.tenant().webhook(delivery.webhook).is_some())
        .take(limits::RETRY_IDS_MAX)
        .collect();
    html! {
        @if !failed.is_empty() {
            form method="post" action=(visit.link("/deliveries/retry/preview")) .form {
                (parts::hidden(visit))
                input type="hidden" name="what" value="selected";
                @for delivery in &failed { input type="hidden" name="id" value=(delivery.id); }
                div .actions { button type="submit" { (visit.t("Send again to all that failed")) } }
            }
        }
    }
}
