//! A delivery that was asked for by hand to another URL than its webhook's, for a developer who looks at it there.
//!
//! It is the webhook's delivery in everything but the address: rendered and signed as for the webhook, sent by the one sender. Its
//! kind is a test's, so it counts nowhere, is one request, and goes out also when the webhook is off. Where it goes is written in
//! the commit that makes it: whoever claims it later reads it there. `control` decides about it and hands it in here.

use std::sync::Arc;

use postrider_domain::delivery::{DeliveryKind, Reason};
use postrider_domain::id::DeliveryId;
use postrider_domain::limits;
use postrider_egress::Target;
use postrider_store::config::AuditRow;
use postrider_store::{
    Claimed, Commit, CommitOutcome, Lease, NewDelivery, NewIdempotency, Resend, StoreError, StoredEvent,
};

use super::attempt::{Destination, EventInHand, Work};
use super::dispatch::{Outbound, ReplayOutcome};
use super::lanes::Slot;
use crate::accept::Accept;
use crate::catalogue::{Pinned, Tenant, Webhook};
use crate::inbox::Inboxes;

/// What to send to another URL, decided and vetted.
pub struct Resending {
    pub tenant: Arc<Tenant>,
    pub webhook: Arc<Webhook>,
    /// What the event was accepted with.
    pub pinned: Arc<Pinned>,
    pub event: StoredEvent,
    /// From the event's, see `postrider_store::first_delivery_id`.
    pub delivery: DeliveryId,
    pub url: String,
    pub audit: AuditRow,
    /// Of a test, reserved beforehand.
    pub slot: Slot,
}

impl Outbound {
    /// Makes the delivery and sends it. Apart from who asks: what became durable is sent also when the caller stops waiting.
    pub async fn resend(
        self: &Arc<Self>,
        resending: Resending,
        idempotency: Option<NewIdempotency>,
    ) -> Result<ReplayOutcome, StoreError> {
        let outbound = self.clone();
        let done = tokio::spawn(async move { outbound.resend_now(resending, idempotency).await }).await;
        done.unwrap_or_else(|error| Err(StoreError::Internal(format!("a resend panicked: {error}"))))
    }

    async fn resend_now(
        self: &Arc<Self>,
        resending: Resending,
        idempotency: Option<NewIdempotency>,
    ) -> Result<ReplayOutcome, StoreError> {
        let Resending { tenant, webhook, pinned, event, delivery, url, audit, slot } = resending;
        let there = webhook_at(&webhook, &url, &self.inboxes);
        let mut answer = self.accept.submit(|mint| {
            let until = mint.now.plus(pinned.profile.delivery.timeout + limits::LEASE_MARGIN);
            let replays = vec![NewDelivery {
                id: delivery,
                event: event.id,
                webhook: webhook.id,
                kind: DeliveryKind::Test,
                due: mint.now,
                reason: Reason::Waiting,
                claim: Some(Lease::first(until)),
            }];
            let resends = vec![Resend { delivery, url, audit }];
            Commit { replays, resends, idempotency, ..Commit::new(tenant.id, mint.now) }
        })?;
        match Accept::outcome(&mut answer).await? {
            CommitOutcome::Done { replays, .. } if replays.first() == Some(&true) => {
                self.stirrings.stirred(tenant.id);
                let work = Work {
                    tenant,
                    webhook: there,
                    destination: Destination::Elsewhere,
                    pinned,
                    event: EventInHand::new(event.into()),
                    delivery,
                    kind: DeliveryKind::Test,
                    fence: Lease::first(Default::default()).fence,
                    attempt: 1,
                    step: 0,
                    resend: false,
                    slot,
                };
                let outbound = self.clone();
                tokio::spawn(async move { outbound.run(work).await });
                Ok(ReplayOutcome::Done(vec![Some(delivery)]))
            }
            CommitOutcome::Done { .. } => Ok(ReplayOutcome::Done(vec![None])),
            CommitOutcome::Replayed(answer) => Ok(ReplayOutcome::Replayed(answer)),
            CommitOutcome::KeyReused => Ok(ReplayOutcome::KeyReused),
        }
    }

    /// Where a claimed delivery goes, and the webhook as its request is made of it.
    pub(super) async fn destination(
        &self,
        claimed: &Claimed,
        webhook: Arc<Webhook>,
    ) -> Result<(Arc<Webhook>, Destination), StoreError> {
        if claimed.kind != DeliveryKind::Test {
            return Ok((webhook, Destination::Webhook));
        }
        Ok(match self.store.delivery_elsewhere(claimed.tenant, claimed.delivery).await? {
            Some(url) => (webhook_at(&webhook, &url, &self.inboxes), Destination::Elsewhere),
            None => (webhook, Destination::Webhook),
        })
    }
}

/// The webhook as it is, but for where it is.
fn webhook_at(webhook: &Webhook, url: &str, inboxes: &Inboxes) -> Arc<Webhook> {
    let target = Target::parse_stored(url);
    let inbox = target.as_ref().ok().and_then(|target| inboxes.slug_of(target));
    Arc::new(Webhook { url: url.to_owned(), target, inbox, ..webhook.clone() })
}
