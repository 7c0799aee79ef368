//! What those who watch over the process ask: is it alive, can it take work, what does it count.

use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;

use crate::auth::{Access, Gate};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINTS: &[&Endpoint] = &[&HEALTHZ, &READYZ, &METRICS];

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

static HEALTHZ: Endpoint = Endpoint {
    method: Method::GET,
    path: "/healthz",
    tag: "Watching",
    summary: "Is the process alive",
    detail: "Answers without asking anything else. Restart the process when it does not.",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &HEALTH),
    handle: |_| Box::pin(async { Ok(ok()) }),
};

static READYZ: Endpoint = Endpoint {
    method: Method::GET,
    path: "/readyz",
    tag: "Watching",
    summary: "Can it take work",
    detail: "200 when the store can be written. 503 otherwise: send traffic elsewhere for the time being.",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &HEALTH),
    handle: |call| Box::pin(ready(call)),
};

static METRICS: Endpoint = Endpoint {
    method: Method::GET,
    path: "/metrics",
    tag: "Watching",
    summary: "Counters for Prometheus",
    detail: "Holds no tenant's id and nothing that a tenant sent.",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Other(METRICS_TYPE),
    handle: |call| Box::pin(metrics(call)),
};

static HEALTH: Shape =
    Shape { name: "Health", fields: &[Field::new("status", Kind::Word(&["ok"]), "All is well.").required()] };

#[derive(Serialize)]
struct View {
    status: &'static str,
}

fn ok() -> axum::response::Response {
    let no_store = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (StatusCode::OK, [no_store], axum::Json(View { status: "ok" })).into_response()
}

async fn ready(call: Call) -> Answer {
    call.app.engine.ready().await?;
    Ok(ok())
}

async fn metrics(call: Call) -> Answer {
    let content_type = (CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
    Ok((StatusCode::OK, [content_type], call.app.engine.metrics()).into_response())
}
