//! One delivery sent again, by a button on its page.

use std::sync::Arc;

use http::Method;
use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::DeliveryId;
use postrider_domain::problem::Problem;
use postrider_domain::time::{Clock, Timestamp};
use postrider_engine::Answered;
use postrider_engine::control::Idem;
use postrider_store::NewIdempotency;

use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::visit::Visit;

pub(crate) static RETRY: Page = Page {
    method: Method::POST,
    path: "/deliveries/{delivery}/retry",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(retry(visit)),
};

async fn retry(visit: Visit) -> Answer {
    let id = visit.id("delivery", "delivery", DeliveryId::parse)?;
    let kept = visit.idem().map(|idem| keep(idem, visit.engine().clock().clone()));
    let made = match visit.engine().delivery_retry(visit.tenant(), id, kept).await? {
        Answered::Fresh(made) => made,
        Answered::Replayed(at) => made_before(&visit, id, &at).await?,
    };
    Ok(see_other(&visit.link(&format!("/deliveries/{made}?done=retried"))))
}

/// The commit knows its moment, and not yet the new delivery's id: the moment is kept, which leads to it.
fn keep(idem: Idem, clock: Arc<dyn Clock>) -> NewIdempotency {
    NewIdempotency {
        scope: idem.scope,
        key: idem.key,
        fingerprint: idem.fingerprint,
        answer: Box::new(move |_| clock.now().unix_ms().to_be_bytes().to_vec()),
    }
}

/// The delivery that the same form made before: the newest of its pair by the moment that was kept.
async fn made_before(visit: &Visit, id: DeliveryId, at: &[u8]) -> Result<DeliveryId, Fault> {
    let (store, tenant) = (visit.store(), visit.tenant().id);
    let at = Timestamp::from_unix_ms(at.try_into().map_or(i64::MAX, i64::from_be_bytes));
    let old = store.delivery_get(tenant, id).await?.ok_or_else(|| Problem::not_found("delivery"))?;
    let deliveries = store.deliveries_of(tenant, old.event).await?;
    let made = deliveries
        .iter()
        .rfind(|made| made.kind == DeliveryKind::Replay && made.webhook == old.webhook && made.created <= at);
    Ok(made.ok_or_else(|| Problem::not_found("delivery"))?.id)
}
