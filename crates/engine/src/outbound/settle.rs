//! What becomes of a delivery after its attempt, made durable.
//!
//! The result goes through the same writer as new events, so that one sync covers many of both. While the store cannot
//! write, results wait here in memory, bounded by what may be in hand: their slots are not given back.

use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::classify::{self, Seen, Verdict};
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::{DELIVERY_EXHAUSTED, EventKind};
use postrider_domain::limits;
use postrider_domain::profile::{DeliveryMode, OnDisable};
use postrider_domain::retry::{self, Next};
use postrider_domain::time::Timestamp;
use postrider_store::{AttemptRow, AttemptTiming, CommitOutcome, Settled, Settlement, StoreError};
use serde_json::json;
use tokio::sync::mpsc;

use super::attempt::{Attempted, Destination, Work};
use super::dispatch::{Notice, Outbound, PlannedEvent};
use super::in_hand::Held;
use super::ingest::Draft;
use super::lanes::Went;
use crate::accept::{Accept, Answer};

/// Results that are concluded before others get the processor.
const AT_ONCE: usize = 128;

/// What to write about one attempt.
struct Decision {
    class: AttemptClass,
    state: DeliveryState,
    reason: Reason,
    due: Option<Timestamp>,
    step: u32,
    went: Went,
    disable_webhook: bool,
}

/// A result on its way to disk, with everything that waits for it.
pub struct Open {
    work: Work,
    held: Held,
    decision: Decision,
    row: Arc<AttemptRow>,
    /// The event that follows from it, in the same transaction.
    follow: Option<Draft>,
}

/// Decides, and hands the result in. [`conclude`] hears when it is durable.
pub fn settle(outbound: &Arc<Outbound>, work: Work, held: Held, attempted: &Attempted) {
    let decision = decide(outbound, &work, attempted);
    let follow = exhausted_event(&work, &decision, attempted);
    let row = Arc::new(attempt_row(&work, attempted, decision.class));
    outbound.metrics.attempt_done(decision.class, attempted.total_us());
    tracing::debug!(
        tenant = %work.tenant.public_id, event = %work.event.id, delivery = %work.delivery, webhook = %work.webhook.id,
        attempt = work.attempt, class = decision.class.as_str(), status = row.status,
        state = decision.state.as_str(), reason = decision.reason.as_str(), total_us = attempted.total_us(),
        "attempt.done"
    );
    hand_in(outbound, Box::new(Open { work, held, decision, row, follow }));
}

fn hand_in(outbound: &Arc<Outbound>, open: Box<Open>) {
    let settlement = settlement(&open.work, &open.decision, &open.row);
    if let Some(draft) = &open.follow {
        let submitted = outbound.submit_settled_with_event(&open.work.tenant, settlement, draft.clone());
        let outbound = outbound.clone();
        tokio::spawn(async move {
            let applied = with_event(&outbound, submitted).await;
            conclude(&outbound, open, applied);
        });
        return;
    }
    let tenant = open.work.tenant.id;
    if let Err((open, error)) = outbound.accept.settle(tenant, settlement, open, &outbound.settled) {
        conclude(outbound, open, Err(error));
    }
}

/// Waits until the result and its event are durable. False: fenced off.
async fn with_event(
    outbound: &Arc<Outbound>,
    submitted: Result<(Answer, Vec<PlannedEvent>), StoreError>,
) -> Result<bool, StoreError> {
    let (mut answer, planned) = submitted?;
    match Accept::outcome(&mut answer).await? {
        CommitOutcome::Done { settled, .. } if settled.first() == Some(&true) => {
            outbound.scheduled_of(&planned);
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Until the process ends.
pub async fn conclude_all(outbound: Arc<Outbound>, mut settled: mpsc::UnboundedReceiver<Settled<Box<Open>>>) {
    let mut some = Vec::with_capacity(AT_ONCE);
    while settled.recv_many(&mut some, AT_ONCE).await > 0 {
        for (open, applied) in some.drain(..) {
            conclude(&outbound, open, applied);
        }
    }
}

/// What follows once the store has answered. `applied`: false when fenced off.
fn conclude(outbound: &Arc<Outbound>, open: Box<Open>, applied: Result<bool, StoreError>) {
    let applied = match applied {
        Ok(applied) => applied,
        // The process ends; the claim stays and reads `unknown` after the restart.
        Err(_) if outbound.is_abandoned() => return,
        Err(error) => {
            tracing::error!(delivery = %open.work.delivery, %error, "settle.waits");
            let outbound = outbound.clone();
            tokio::spawn(async move {
                outbound.clock.sleep(limits::STORE_RETRY).await;
                hand_in(&outbound, open);
            });
            return;
        }
    };
    // Given up last, so that a sweep never takes what is being concluded for an orphan.
    let Open { held: _held, mut work, decision, .. } = *open;
    work.slot.went(decision.went);
    if applied {
        outbound.metrics.delivery_moved(decision.state);
        outbound.stirrings.stirred(work.tenant.id);
    } else {
        // Another claim holds this delivery: what we saw is late, and what became durable stands.
        // Or this very result is durable already, and only its first answer was lost: the lane hears of it either way.
        tracing::warn!(delivery = %work.delivery, attempt = work.attempt, "attempt.fenced");
    }
    if let Some(due) = decision.due {
        outbound.lanes.scheduled(work.tenant.id, work.webhook.id.into(), due);
    }
    if applied && decision.disable_webhook {
        outbound.notify(Notice::WebhookGone {
            tenant: work.tenant.id,
            webhook: work.webhook.id,
            updated: work.webhook.updated,
        });
    }
}

fn decide(outbound: &Outbound, work: &Work, attempted: &Attempted) -> Decision {
    let policy = &work.pinned.profile.delivery;
    let (class, verdict) = classify::classify(policy, attempted.seen(), attempted.ended);
    let went = match (class, verdict) {
        _ if work.destination == Destination::Elsewhere => Went::Nowhere,
        (_, Verdict::Success) => Went::Well,
        (AttemptClass::NotRenderable | AttemptClass::Unknown, _) => Went::Nowhere,
        _ => Went::Badly,
    };
    // A test is one request: who pressed the button wants its outcome, not a schedule.
    let is_test = work.event.kind == EventKind::Test || work.kind == DeliveryKind::Test;
    let next = match is_test && verdict != Verdict::Success {
        true => Next::Failed { reason: Reason::SingleAttemptFailed, disable_webhook: false },
        false => retry::next(policy, &verdict, work.step, attempted.ended, &*outbound.random),
    };
    let decision = |state, reason| Decision {
        class,
        state,
        reason,
        due: None,
        step: work.step,
        went,
        disable_webhook: false,
    };
    match next {
        Next::Delivered => decision(DeliveryState::Delivered, Reason::Accepted),
        Next::Failed { reason, disable_webhook } => {
            Decision { disable_webhook, ..decision(DeliveryState::Failed, reason) }
        }
        Next::Retry { due, step } => match standing(outbound, work) {
            Standing::Deleted => decision(DeliveryState::Cancelled, Reason::WebhookDeleted),
            Standing::OffAndCancels => decision(DeliveryState::Cancelled, Reason::WebhookOff),
            Standing::OffAndHolds => {
                Decision { due: Some(due), step, ..decision(DeliveryState::Scheduled, Reason::Held) }
            }
            Standing::On => {
                Decision { due: Some(due), step, ..decision(DeliveryState::Scheduled, Reason::RetryDue) }
            }
        },
    }
}

enum Standing {
    On,
    OffAndHolds,
    OffAndCancels,
    Deleted,
}

/// The webhook as it is now: it may have been changed while the attempt was under way.
fn standing(outbound: &Outbound, work: &Work) -> Standing {
    let Some(tenant) = outbound.catalogue.tenant(work.tenant.id) else { return Standing::Deleted };
    let Some(webhook) = tenant.webhook(work.webhook.id) else { return Standing::Deleted };
    if webhook.enabled || tenant.delivery_mode() == DeliveryMode::Scan {
        return Standing::On;
    }
    match tenant.profile().delivery.on_disable {
        OnDisable::Hold => Standing::OffAndHolds,
        OnDisable::Cancel => Standing::OffAndCancels,
    }
}

fn attempt_row(work: &Work, attempted: &Attempted, class: AttemptClass) -> AttemptRow {
    let (status, head, body, body_bytes) = match attempted.exchange.as_ref().map(|exchange| &exchange.result)
    {
        Some(Ok(response)) => {
            (Some(response.status), response.head.clone(), response.body.clone(), response.body_bytes)
        }
        _ => (None, Bytes::new(), Bytes::new(), 0),
    };
    let timing = attempted.exchange.as_ref().map(|exchange| exchange.timing).unwrap_or_default();
    AttemptRow {
        number: work.attempt,
        started: attempted.started,
        class,
        status,
        detail: attempted.detail(),
        timing: AttemptTiming {
            dns_us: timing.dns_us,
            connect_us: timing.connect_us,
            tls_us: timing.tls_us,
            wait_us: timing.wait_us,
            body_us: timing.body_us,
            total_us: timing.total_us,
        },
        peer: attempted.exchange.as_ref().and_then(|exchange| exchange.peer).map(|peer| peer.to_string()),
        reused: attempted.exchange.as_ref().is_some_and(|exchange| exchange.reused),
        resend: work.resend,
        body_sha256: attempted.body_sha256,
        request_bytes: attempted.request_bytes,
        response_head: head,
        response_body: body,
        response_bytes: body_bytes,
    }
}

/// `delivery.exhausted`, for webhooks of the tenant that name it. Never about another operational event or a test:
/// a failing endpoint that subscribes to its own failures would feed itself.
fn exhausted_event(work: &Work, decision: &Decision, attempted: &Attempted) -> Option<Draft> {
    let used_up = matches!(decision.reason, Reason::RetriesExhausted | Reason::SingleAttemptFailed);
    if !used_up || work.event.kind != EventKind::Normal || work.kind == DeliveryKind::Test {
        return None;
    }
    if !work.tenant.webhooks.iter().any(|webhook| webhook.patterns.names_exactly(DELIVERY_EXHAUSTED)) {
        return None;
    }
    let status = match attempted.seen() {
        Seen::Answer { status, .. } => Some(status),
        Seen::Nothing(_) => None,
    };
    let data = json!({
        "deliveryId": work.delivery.to_string(),
        "eventId": work.event.wire_id(),
        "eventType": &*work.event.event_type,
        "webhookId": work.webhook.id.to_string(),
        "webhookName": work.webhook.name,
        "attempts": work.attempt,
        "reason": decision.reason.as_str(),
        "lastClass": decision.class.as_str(),
        "lastStatus": status,
    });
    Some(Draft::operational(DELIVERY_EXHAUSTED, attempted.ended, data, work.event.depth.saturating_add(1)))
}

fn settlement(work: &Work, decision: &Decision, row: &Arc<AttemptRow>) -> Settlement {
    Settlement {
        delivery: work.delivery,
        event: work.event.id,
        webhook: work.webhook.id,
        kind: work.kind,
        fence: work.fence,
        attempt: row.clone(),
        state: decision.state,
        reason: decision.reason,
        due: decision.due,
        step: decision.step,
    }
}
