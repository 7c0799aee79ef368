//! A delivery's way, read from top to bottom: accepted, matched, each attempt with what came back, and how it ended or when it
//! goes on.

use maud::{Markup, html};
use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_domain::pattern::Patterns;
use postrider_domain::time::Timestamp;
use postrider_engine::outbound::explain;
use postrider_store::{AttemptRow, StoreError, StoredDelivery, StoredEvent};

use super::advice;
use super::row::class_words;
use crate::parts::{Tone, attempt, time};
use crate::visit::Visit;

/// Everything known of a delivery.
pub(super) struct Story<'a> {
    pub(super) delivery: &'a StoredDelivery,
    /// None once it is past its retention.
    pub(super) event: Option<&'a StoredEvent>,
    pub(super) attempts: &'a [AttemptRow],
    /// Those of the webhook that fit the type, as they were when the event was accepted.
    pub(super) patterns: &'a [String],
}

/// The newest attempts are shown; a schedule has some dozen at most, and interruptions may add more.
const SHOWN_MAX: usize = 25;

/// Which of the webhook's patterns asked for the event.
pub(super) async fn matched(
    visit: &Visit,
    event: &StoredEvent,
    delivery: &StoredDelivery,
) -> Result<Vec<String>, StoreError> {
    let versions = visit.store().webhook_versions(visit.tenant().id, event.tenant_version).await?;
    let version = versions.iter().find(|version| version.webhook == delivery.webhook);
    let Some(version) = version else { return Ok(Vec::new()) };
    let texts: Vec<String> = serde_json::from_str(&version.events).unwrap_or_default();
    let fits = |text: &String| {
        Patterns::parse(std::slice::from_ref(text)).is_ok_and(|pattern| pattern.matches(&event.event_type))
    };
    Ok(texts.into_iter().filter(fits).collect())
}

pub(super) fn shown(visit: &Visit, story: &Story<'_>) -> Markup {
    let t = |text| visit.t(text);
    let delivery = story.delivery;
    let first = story.attempts.len().saturating_sub(SHOWN_MAX);
    html! {
        ol .timeline {
            (step(Tone::Good, t("Accepted"), story.event.map(|event| event.accepted), visit, html! {
                p { (t("The event was accepted and written to disk.")) }
            }))
            (made(visit, story))
            @if first > 0 {
                (step(Tone::Plain, t("Earlier attempts"), None, visit, html! { p { (first) " " (t("earlier attempts are not shown here; the API has all of them.")) } }))
            }
            @for (index, row) in story.attempts.iter().enumerate().skip(first) {
                (tried(visit, row, index + 1 == story.attempts.len()))
            }
            (stands(visit, delivery))
        }
    }
}

fn step(tone: Tone, title: &str, at: Option<Timestamp>, visit: &Visit, body: Markup) -> Markup {
    html! {
        li class=(tone.class()) {
            h2 .step { (title) }
            @if let Some(at) = at { p .hint { (time::moment(visit, at)) } }
            (body)
        }
    }
}

fn made(visit: &Visit, story: &Story<'_>) -> Markup {
    let t = |text| visit.t(text);
    let delivery = story.delivery;
    let (title, body) = match delivery.kind {
        DeliveryKind::Test => (t("Addressed"), html! { p { (t("A test event for this webhook alone.")) } }),
        DeliveryKind::Replay => (
            t("Sent again"),
            html! { p { (t("An earlier delivery of the event to this webhook had ended; this is a new one.")) } },
        ),
        DeliveryKind::Normal => (
            t("Matched"),
            html! {
                p {
                    @if story.patterns.is_empty() {
                        (t("The webhook asked for this type."))
                    } @else {
                        (t("The webhook's events include")) " "
                        @for (index, pattern) in story.patterns.iter().take(5).enumerate() {
                            @if index > 0 { ", " }
                            code { (pattern) }
                        }
                        "."
                    }
                }
            },
        ),
    };
    step(Tone::Good, title, Some(delivery.created), visit, body)
}

fn tried(visit: &Visit, row: &AttemptRow, is_last: bool) -> Markup {
    let t = |text| visit.t(text);
    let outcome = match row.status {
        Some(status) => status.to_string(),
        None => t(class_words(row.class)).to_owned(),
    };
    let is_good = row.class == postrider_domain::delivery::AttemptClass::Success;
    let wait = retry_after(&row.response_head);
    let title = format!("{} {}: {outcome}", t("Attempt"), row.number);
    step(
        if is_good { Tone::Good } else { Tone::Bad },
        &title,
        Some(row.started),
        visit,
        html! {
            @if let Some(detail) = &row.detail { p { (detail) } }
            @if let (false, Some(wait)) = (is_good, &wait) {
                p { (t("The receiver asked to wait:")) " " code { "Retry-After: " (wait) } }
            }
            // Once written it never changes: what the reader opened stays open while the rest is renewed.
            details .more id={ "attempt-" (row.number) } hx-preserve="true" open[is_last] {
                summary { (t("Answer and times of attempt")) " " (row.number) }
                (attempt::received(visit, row))
            }
        },
    )
}

/// What a receiver asked for, as it wrote it.
fn retry_after(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let line = head.lines().filter_map(|line| line.split_once(':'));
    let mut named = line.filter(|(name, _)| name.trim().eq_ignore_ascii_case("retry-after"));
    let value: String = named.next()?.1.trim().chars().take(64).collect();
    Some(match value.parse::<u64>() {
        Ok(seconds) => format!("{seconds} s"),
        Err(_) => value,
    })
}

/// Where it stands now.
fn stands(visit: &Visit, delivery: &StoredDelivery) -> Markup {
    let t = |text| visit.t(text);
    let reason = explain::reason(visit.tenant(), delivery);
    let (tone, title, at) = match delivery.state {
        DeliveryState::Scheduled if reason == Reason::Held => (Tone::Waiting, t("Held"), None),
        DeliveryState::Scheduled => (Tone::Waiting, t("Waits"), None),
        DeliveryState::Sending => (Tone::Waiting, t("Sending"), delivery.claimed),
        DeliveryState::Delivered => (Tone::Good, t("Delivered"), delivery.settled),
        DeliveryState::Failed => (Tone::Bad, t("Failed"), delivery.settled),
        DeliveryState::Cancelled => (Tone::Plain, t("Cancelled"), delivery.settled),
    };
    step(
        tone,
        title,
        at,
        visit,
        html! {
            @if delivery.state == DeliveryState::Sending {
                p { (t("Attempt")) " " (delivery.attempts) " " (t("is under way.")) }
            } @else { (advice::of_delivery(visit, visit.tenant(), delivery)) }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_asked_for_is_read_from_its_answer() {
        for (head, wait) in [
            (&b"HTTP/1.1 503 Unavailable\r\nRetry-After: 120\r\n\r\n"[..], Some("120 s")),
            (b"retry-after:  Wed, 21 Oct 2026 07:28:00 GMT\r\n", Some("Wed, 21 Oct 2026 07:28:00 GMT")),
            (b"HTTP/1.1 200 OK\r\n", None),
            (b"\xff\xfe", None),
        ] {
            assert_eq!(retry_after(head).as_deref(), wait);
        }
    }
}
