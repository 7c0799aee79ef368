//! `POST /v1/deliveries/{delivery}/resend`: send once more, to another URL.

use http::{Method, StatusCode};
use postrider_domain::id::DeliveryId;
use postrider_engine::Answered;
use postrider_engine::control::Role;
use postrider_store::NewIdempotency;
use serde::Serialize;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/deliveries/{delivery}/resend",
    tag: "Deliveries",
    summary: "Send a delivery to another URL",
    detail: "Sends its event once more, to a URL of yours: the request is made as for the webhook, with its headers and its signature. \
             It is one request, counts in no statistic and changes nothing about the webhook, which gets nothing.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::creating(&RESEND, r#"{"url": "https://dev.example.com/hooks"}"#),
    gives: Gives::Json(StatusCode::ACCEPTED, &RESENT),
    handle: |call| Box::pin(handle(call)),
};

static RESEND: Shape = Shape {
    name: "DeliveryResend",
    fields: &[Field::new("url", Kind::Text, "Where it goes: http or https, under the rules for webhooks.")
        .required()],
};

static RESENT: Shape = Shape {
    name: "DeliveryResent",
    fields: &[
        Field::new("id", Kind::Text, "The new delivery.").required(),
        Field::new("resendOf", Kind::Text, "The delivery whose event it sends.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: DeliveryId,
    resend_of: DeliveryId,
}

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let id = call.id("delivery", "delivery", DeliveryId::parse)?;
    let url = fields.text("url").unwrap_or_default();
    let kept = call.idem.as_ref().map(|idem| NewIdempotency {
        scope: idem.scope,
        key: idem.key.clone(),
        fingerprint: idem.fingerprint,
        // The engine keeps the new delivery's id.
        answer: Box::new(|_| Vec::new()),
    });
    let engine = &call.app.engine;
    let made = match engine.delivery_resend(&call.actor(), call.tenant(), id, &url, kept).await? {
        Answered::Fresh(made) => made,
        Answered::Replayed(kept) => DeliveryId::from_bytes(kept.try_into().unwrap_or_default()),
    };
    answer(StatusCode::ACCEPTED, &View { id: made, resend_of: id })
}
