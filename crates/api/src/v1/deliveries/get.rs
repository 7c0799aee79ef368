//! `GET /v1/deliveries/{delivery}`: one delivery with its attempts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::DeliveryId;
use postrider_domain::problem::Problem;
use postrider_domain::time::Timestamp;
use postrider_engine::control::Role;
use postrider_store::AttemptRow;
use serde::Serialize;

use super::{DELIVERY, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/deliveries/{delivery}",
    tag: "Deliveries",
    summary: "Read a delivery",
    detail: "With every request that was made for it, oldest first.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::WebhooksRead,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &DELIVERY),
    handle: |call| Box::pin(handle(call)),
};

pub(super) static ATTEMPT: Shape = Shape {
    name: "Attempt",
    fields: &[
        Field::new("number", Kind::Count, "From 1.").required(),
        Field::new("startedAt", Kind::Time, "When it began.").required(),
        Field::new("class", Kind::Text, "What it came to: `success`, `status`, `timeout`, `dns`, …")
            .required(),
        Field::new("status", Kind::Count, "The HTTP status.").required().nullable(),
        Field::new("detail", Kind::Text, "What went wrong, in a sentence.").required().nullable(),
        Field::new("timing", Kind::Object(&TIMING), "Where the time went.").required(),
        Field::new("peer", Kind::Text, "The address that was talked to.").required().nullable(),
        Field::new("reusedSocket", Kind::Bool, "Whether the connection was kept alive from before.")
            .required(),
        Field::new("resend", Kind::Bool, "The receiver may have had it before: an earlier outcome was lost.")
            .required(),
        Field::new("bodySha256", Kind::Text, "Of the body that was sent.").required().nullable(),
        Field::new("requestBytes", Kind::Count, "Of the body that was sent.").required(),
        Field::new("responseHeaders", Kind::Text, "The head of the answer, cut at 4 KiB.").required(),
        Field::new("responseBody", Kind::Text, "The body of the answer, cut at 16 KiB.").required(),
        Field::new(
            "responseBodyEncoding",
            Kind::Word(&["utf-8", "base64"]),
            "Base64 where the body is not text.",
        )
        .required(),
        Field::new("responseBytes", Kind::Count, "Of the answer's body that were read.").required(),
    ],
};

static TIMING: Shape = Shape {
    name: "AttemptTiming",
    fields: &[
        Field::new("dnsMs", Kind::Number, "Resolving the name.").required(),
        Field::new("connectMs", Kind::Number, "Connecting.").required(),
        Field::new("tlsMs", Kind::Number, "The TLS handshake.").required(),
        Field::new("waitMs", Kind::Number, "From the request to the head of the answer.").required(),
        Field::new("bodyMs", Kind::Number, "Reading the answer's body.").required(),
        Field::new("totalMs", Kind::Number, "All of it.").required(),
    ],
};

#[derive(Serialize)]
struct WithAttempts {
    #[serde(flatten)]
    delivery: View,
    #[serde(rename = "sentTo", skip_serializing_if = "Option::is_none")]
    sent_to: Option<String>,
    attempts: Vec<AttemptView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptView {
    number: u32,
    started_at: Timestamp,
    class: &'static str,
    status: Option<u16>,
    detail: Option<String>,
    timing: TimingView,
    peer: Option<String>,
    reused_socket: bool,
    resend: bool,
    body_sha256: Option<String>,
    request_bytes: u64,
    response_headers: String,
    response_body: String,
    response_body_encoding: &'static str,
    response_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TimingView {
    dns_ms: f64,
    connect_ms: f64,
    tls_ms: f64,
    wait_ms: f64,
    body_ms: f64,
    total_ms: f64,
}

async fn handle(call: Call) -> Answer {
    let id = call.id("delivery", "delivery", DeliveryId::parse)?;
    let store = call.app.engine.store();
    let tenant = call.tenant();
    let delivery = store.delivery_get(tenant.id, id).await?.ok_or_else(|| Problem::not_found("delivery"))?;
    let sent_to = match delivery.kind {
        DeliveryKind::Test => store.delivery_elsewhere(tenant.id, id).await?,
        DeliveryKind::Normal | DeliveryKind::Replay => None,
    };
    let attempts = store.attempts(tenant.id, id).await?;
    let attempts = attempts.into_iter().map(AttemptView::of).collect();
    answer(StatusCode::OK, &WithAttempts { delivery: View::of(tenant, &delivery), sent_to, attempts })
}

impl AttemptView {
    fn of(attempt: AttemptRow) -> Self {
        let (response_body, response_body_encoding) = match std::str::from_utf8(&attempt.response_body) {
            Ok(text) => (text.to_owned(), "utf-8"),
            Err(_) => (STANDARD.encode(&attempt.response_body), "base64"),
        };
        let ms = |us: u64| us as f64 / 1000.0;
        let timing = attempt.timing;
        Self {
            number: attempt.number,
            started_at: attempt.started,
            class: attempt.class.as_str(),
            status: attempt.status,
            detail: attempt.detail,
            timing: TimingView {
                dns_ms: ms(timing.dns_us),
                connect_ms: ms(timing.connect_us),
                tls_ms: ms(timing.tls_us),
                wait_ms: ms(timing.wait_us),
                body_ms: ms(timing.body_us),
                total_ms: ms(timing.total_us),
            },
            peer: attempt.peer,
            reused_socket: attempt.reused,
            resend: attempt.resend,
            body_sha256: attempt.body_sha256.map(hex::encode),
            request_bytes: attempt.request_bytes,
            response_headers: String::from_utf8_lossy(&attempt.response_head).into_owned(),
            response_body,
            response_body_encoding,
            response_bytes: attempt.response_bytes,
        }
    }
}
