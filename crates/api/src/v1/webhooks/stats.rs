//! `GET /v1/webhooks/{webhook}/stats`: how a webhook has fared over the last 24 hours.

use http::{Method, StatusCode};
use postrider_domain::time::Timestamp;
use postrider_engine::control::Role;
use serde::Serialize;

use super::in_path;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/webhooks/{webhook}/stats",
    tag: "Webhooks",
    summary: "Read a webhook's statistics",
    detail: "Over the last 24 hours, kept in hourly buckets; test events count in none.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::WebhooksRead,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &STATS),
    handle: |call| Box::pin(handle(call)),
};

static STATS: Shape = Shape {
    name: "WebhookStats",
    fields: &[
        Field::new("lastFiredAt", Kind::Time, "When the last request was made, ever.").required().nullable(),
        Field::new("attempts", Kind::Count, "Requests.").required(),
        Field::new("succeeded", Kind::Count, "Requests that the profile's success rule took.").required(),
        Field::new("successRate", Kind::Number, "0 to 1; null without requests.").required().nullable(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    last_fired_at: Option<Timestamp>,
    attempts: u64,
    succeeded: u64,
    success_rate: Option<f64>,
}

async fn handle(call: Call) -> Answer {
    let webhook = in_path(&call)?;
    let engine = &call.app.engine;
    let stats = engine.store().webhook_stats(call.tenant().id, webhook.id, engine.clock().now()).await?;
    let view = View {
        last_fired_at: stats.last_fired,
        attempts: stats.attempts,
        succeeded: stats.succeeded,
        success_rate: (stats.attempts > 0).then(|| stats.succeeded as f64 / stats.attempts as f64),
    };
    answer(StatusCode::OK, &view)
}
