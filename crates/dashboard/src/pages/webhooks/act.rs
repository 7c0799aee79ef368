//! What sends again: one delivery, or all that failed since a moment.

use std::sync::Arc;

use http::Method;
use postrider_domain::id::DeliveryId;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Clock;
use postrider_engine::control::{Idem, Job, Repeatable};
use postrider_store::NewIdempotency;

use super::{in_path, link};
use crate::page::{Answer, Page, Who, see_other};
use crate::visit::Visit;

pub(super) static RETRY: Page = Page {
    method: Method::POST,
    path: "/webhooks/{webhook}/retry/{delivery}",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(retry(visit)),
};

pub(super) static RECOVER: Page = Page {
    method: Method::POST,
    path: "/webhooks/{webhook}/recover",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(recover(visit)),
};

async fn retry(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    let delivery = visit.id("delivery", "delivery", DeliveryId::parse)?;
    let engine = visit.engine();
    let kept = visit.idem().map(|idem| keep(idem, engine.clock().clone()));
    engine.delivery_retry(visit.tenant(), delivery, kept).await?;
    Ok(see_other(&link(&visit, webhook.id, "?done=retried")))
}

/// That it was done is all that a second click needs.
fn keep(idem: Idem, clock: Arc<dyn Clock>) -> NewIdempotency {
    NewIdempotency {
        scope: idem.scope,
        key: idem.key,
        fingerprint: idem.fingerprint,
        answer: Box::new(move |_| clock.now().unix_ms().to_be_bytes().to_vec()),
    }
}

async fn recover(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    let from = visit.time("from")?;
    let from = from.ok_or_else(|| Problem::at(Code::MissingField, "from", "Say since when."))?;
    if from >= visit.now {
        return Err(Problem::at(Code::InvalidField, "from", "Choose a time that is past.").into());
    }
    let kept = |job: &Job| job.id.to_string().into_bytes();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &kept });
    let control = visit.engine().control();
    control.recover(&visit.actor(), visit.tenant(), webhook.id, from, visit.now, again).await?;
    Ok(see_other(&link(&visit, webhook.id, "?done=recovering")))
}
