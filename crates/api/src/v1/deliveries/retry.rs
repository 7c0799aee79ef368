//! `POST /v1/deliveries/{delivery}/retry`: send once more what has ended.

use std::sync::Arc;

use http::{Method, StatusCode};
use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::DeliveryId;
use postrider_domain::problem::Problem;
use postrider_domain::time::{Clock, Timestamp};
use postrider_engine::Answered;
use postrider_engine::control::{Idem, Role};
use postrider_store::NewIdempotency;
use serde::Serialize;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, BodyPresence, Call, Endpoint, Gives, JsonBody, Repeats, Takes, answer};
use crate::problem::Refusal;
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/deliveries/{delivery}/retry",
    tag: "Deliveries",
    summary: "Send a delivery again",
    detail: "Makes a new delivery of the same event; receivers see the same event id. The old one stays as it ended.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::Json(JsonBody {
        shape: &NOTHING,
        example: "{}",
        bytes_max: 1024,
        presence: BodyPresence::Optional,
        repeats: Repeats::ByKey,
    }),
    gives: Gives::Json(StatusCode::ACCEPTED, &RETRIED),
    handle: |call| Box::pin(handle(call)),
};

static NOTHING: Shape = Shape { name: "DeliveryRetry", fields: &[] };

static RETRIED: Shape = Shape {
    name: "DeliveryRetried",
    fields: &[
        Field::new("id", Kind::Text, "The new delivery.").required(),
        Field::new("retryOf", Kind::Text, "The delivery that had ended.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: DeliveryId,
    retry_of: DeliveryId,
}

async fn handle(call: Call) -> Answer {
    call.fields()?;
    let id = call.id("delivery", "delivery", DeliveryId::parse)?;
    let (engine, tenant) = (&call.app.engine, call.tenant());
    let kept = call.idem.as_ref().map(|idem| keep(idem, engine.clock().clone()));
    let made = match engine.delivery_retry(tenant, id, kept).await? {
        Answered::Fresh(made) => made,
        Answered::Replayed(at) => made_before(&call, id, &at).await?,
    };
    answer(StatusCode::ACCEPTED, &View { id: made, retry_of: id })
}

/// The commit knows its moment, and not yet the new delivery's id: the moment is kept, which leads to it.
fn keep(idem: &Idem, clock: Arc<dyn Clock>) -> NewIdempotency {
    NewIdempotency {
        scope: idem.scope,
        key: idem.key.clone(),
        fingerprint: idem.fingerprint,
        answer: Box::new(move |_| clock.now().unix_ms().to_be_bytes().to_vec()),
    }
}

/// The delivery that the same request made before: the newest of its pair by the moment that was kept.
async fn made_before(call: &Call, id: DeliveryId, at: &[u8]) -> Result<DeliveryId, Refusal> {
    let store = call.app.engine.store();
    let tenant = call.tenant().id;
    let at = Timestamp::from_unix_ms(at.try_into().map_or(i64::MAX, i64::from_be_bytes));
    let old = store.delivery_get(tenant, id).await?.ok_or_else(|| Problem::not_found("delivery"))?;
    let deliveries = store.deliveries_of(tenant, old.event).await?;
    let made = deliveries
        .iter()
        .rfind(|made| made.kind == DeliveryKind::Replay && made.webhook == old.webhook && made.created <= at);
    Ok(made.ok_or_else(|| Problem::not_found("delivery"))?.id)
}
