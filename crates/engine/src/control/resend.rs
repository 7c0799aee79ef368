//! A delivery sent once more to another URL: who may, where to, and of what.

use std::sync::Arc;

use postrider_domain::id::DeliveryId;
use postrider_domain::problem::{Code, Problem};
use postrider_store::{NewIdempotency, StoreError, first_delivery_id};
use serde_json::json;

use super::audit::Act;
use super::{Actor, Control, Role, webhooks};
use crate::catalogue::Tenant;
use crate::error::EngineError;
use crate::outbound::dispatch::{ReplayOutcome, UNREADABLE};
use crate::outbound::elsewhere::Resending;

impl Control {
    /// Operator, or admin of the tenant. The answer that is kept for a repetition is the new delivery's id, its 16 bytes.
    pub(crate) async fn delivery_resend(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        delivery: DeliveryId,
        url: &str,
        idempotency: Option<NewIdempotency>,
    ) -> Result<ReplayOutcome, EngineError> {
        actor.require(&[Role::Operator, Role::Admin], Some(tenant.id))?;
        webhooks::check_plan(tenant)?;
        let store = self.store();
        let old = store.delivery_get(tenant.id, delivery).await?;
        let old = old.ok_or_else(|| Problem::not_found("delivery"))?;
        let target = self.check_url(tenant, url)?;
        let webhook = tenant.webhook(old.webhook).ok_or_else(|| {
            Problem::new(
                Code::Conflict,
                "The delivery's webhook was deleted, and with it what its requests are made and signed with.",
            )
        })?;
        let now = self.now();
        let event = store.event_get(tenant.id, old.event).await?;
        // What is past its retention may go at any moment.
        let event =
            event.filter(|event| now.since(event.accepted) < tenant.retention()).ok_or_else(|| {
                Problem::new(
                    Code::PayloadExpired,
                    "The event's payload is past its retention. Publish the event again.",
                )
            })?;
        let outbound = &self.0.outbound;
        let pinned = match outbound.pinned(tenant, event.tenant_version).await {
            Ok(pinned) => pinned,
            Err(StoreError::Corrupt(_) | StoreError::NotFound) => {
                return Err(Problem::new(Code::NotRenderable, UNREADABLE).into());
            }
            Err(error) => return Err(error.into()),
        };
        let id = first_delivery_id(event.id, self.random());
        let act = Act {
            action: "delivery.resent_elsewhere",
            target: delivery.to_string(),
            before: None,
            // The rest of a URL may hold credentials.
            after: Some(json!({ "resend": id, "host": target.host_text() })),
        };
        let slot = outbound.lanes.reserve_test(tenant.id, webhook.id.into()).ok_or_else(|| {
            Problem::new(
                Code::Overloaded,
                "Every sending slot is taken just now. Try again in a few seconds.",
            )
        })?;
        let resending = Resending {
            tenant: tenant.clone(),
            webhook: webhook.clone(),
            pinned,
            event,
            delivery: id,
            url: target.as_str().to_owned(),
            audit: self.audit_row(actor, Some(tenant), now, act),
            slot,
        };
        let idempotency = idempotency
            .map(|given| NewIdempotency { answer: Box::new(move |_| id.as_bytes().to_vec()), ..given });
        Ok(outbound.resend(resending, idempotency).await?)
    }
}
