//! A delivery as a row. The list and what follows it live show the same.

use maud::{Markup, html};
use postrider_domain::delivery::{AttemptClass, DeliveryState, Reason};
use postrider_engine::catalogue::Tenant;
use postrider_engine::outbound::explain;
use postrider_store::StoredDelivery;

use crate::form::escaped;
use crate::parts::list::{cell, number};
use crate::parts::{self, time};
use crate::visit::Visit;

/// Whether rows can be selected, to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Select {
    Yes,
    No,
}

impl Select {
    pub(crate) fn of(visit: &Visit) -> Self {
        if visit.may_change() { Self::Yes } else { Self::No }
    }
}

/// The table around rows. `live`: where its changes are told.
pub(crate) fn table(visit: &Visit, select: Select, live: Option<&str>, rows: Markup) -> Markup {
    let t = |text| visit.t(text);
    let columns = [
        t("Time"),
        t("Event type"),
        t("Webhook"),
        t("State"),
        t("Attempts"),
        t("Last answer"),
        t("Next or ended"),
    ];
    html! {
        div .scroll {
            table .cards {
                caption .quiet { (t("Deliveries")) }
                thead {
                    tr {
                        @if select == Select::Yes { th scope="col" { span .quiet { (t("Select")) } } }
                        @for column in columns { th scope="col" { (column) } }
                    }
                }
                tbody data-live=[live] { (rows) }
            }
        }
    }
}

pub(crate) fn row(visit: &Visit, tenant: &Tenant, delivery: &StoredDelivery, select: Select) -> Markup {
    let t = |text| visit.t(text);
    let reason = explain::reason(tenant, delivery);
    html! {
        tr id=(delivery.id) {
            @if select == Select::Yes {
                (cell(t("Select"), html! {
                    input type="checkbox" name="id" value=(delivery.id)
                        aria-label={ (t("Select")) " " (delivery.event_type) ", " (time::stamp(visit, delivery.created)) };
                }))
            }
            (cell(t("Time"), html! {
                a href=(visit.link(&format!("/deliveries/{}", delivery.id))) { (time::stamp(visit, delivery.created)) }
            }))
            (cell(t("Event type"), html! {
                a href=(visit.link(&format!("/events/{}", escaped(&super::event_name(delivery))))) { (delivery.event_type) }
            }))
            (cell(t("Webhook"), webhook(visit, tenant, delivery)))
            (cell(t("State"), html! {
                (parts::state_badge(visit, delivery.state)) " "
                @if delivery.state != DeliveryState::Delivered { span .hint { (t(reason.sentence())) } }
            }))
            (number(t("Attempts"), html! { (delivery.attempts) }))
            (cell(t("Last answer"), last_answer(visit, delivery)))
            (cell(t("Next or ended"), next_or_ended(visit, delivery, reason)))
        }
    }
}

/// In the place of a row that the list does not show any more.
pub(super) fn gone(delivery: postrider_domain::id::DeliveryId) -> Markup {
    html! { tr id=(delivery) hidden {} }
}

fn webhook(visit: &Visit, tenant: &Tenant, delivery: &StoredDelivery) -> Markup {
    html! {
        @match tenant.webhook(delivery.webhook) {
            Some(webhook) => a href=(visit.link(&format!("/webhooks/{}", webhook.id))) { (webhook.name) },
            None => span .hint { (visit.t("deleted")) },
        }
    }
}

/// The newest answer, or how the attempt without one ended.
pub(crate) fn last_answer(visit: &Visit, delivery: &StoredDelivery) -> Markup {
    html! {
        @match (delivery.last_status, delivery.last_class) {
            (Some(status), _) => code { (status) },
            (None, Some(class)) => (visit.t(class_words(class))),
            (None, None) => span .hint { (visit.t("none yet")) },
        }
    }
}

/// What an attempt came to, in words.
pub(crate) const fn class_words(class: AttemptClass) -> &'static str {
    match class {
        AttemptClass::Success => "accepted",
        AttemptClass::Status => "refused",
        AttemptClass::Body => "answer cut off",
        AttemptClass::Timeout => "timed out",
        AttemptClass::Dns => "name not found",
        AttemptClass::Connect => "no connection",
        AttemptClass::Tls => "TLS failed",
        AttemptClass::Reset => "connection lost",
        AttemptClass::Protocol => "no valid HTTP",
        AttemptClass::BlockedTarget => "address not allowed",
        AttemptClass::Unknown => "outcome unknown",
        AttemptClass::NotRenderable => "could not be written",
    }
}

fn next_or_ended(visit: &Visit, delivery: &StoredDelivery, reason: Reason) -> Markup {
    html! {
        @match (delivery.state, delivery.due, delivery.settled) {
            (DeliveryState::Scheduled, ..) if reason == Reason::Held => (visit.t("when switched on")),
            (DeliveryState::Scheduled, Some(due), _) => (time::countdown(visit, due)),
            (DeliveryState::Sending, ..) => (visit.t("now")),
            (_, _, Some(settled)) => (time::short(visit, settled)),
            _ => "",
        }
    }
}
