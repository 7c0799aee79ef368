//! `/docs` and `/openapi.json`: the API, to read and to try. All of it comes from the binary; nothing is fetched elsewhere.

use axum::response::IntoResponse;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};

use crate::auth::{Access, Gate};
use crate::endpoint::{Answer, Endpoint, Gives, Takes, answer_bytes};

pub(crate) static ENDPOINTS: &[&Endpoint] = &[&OPENAPI, &PAGE, &SCRIPT, &STYLE];

/// Scripts, styles and requests from this server only; no frames, no forms, no plug-ins. A payload that finds its way
/// onto the page stays text. `data:` is the page's icon, which is none.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static OPENAPI: Endpoint = Endpoint {
    method: Method::GET,
    path: "/openapi.json",
    tag: "Documentation",
    summary: "This document",
    detail: "",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Other("application/json"),
    handle: |call| Box::pin(async move { answer_bytes(StatusCode::OK, call.app.document.clone()) }),
};

static PAGE: Endpoint = Endpoint {
    method: Method::GET,
    path: "/docs",
    tag: "Documentation",
    summary: "A page to read and try the API",
    detail: "",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Other("text/html; charset=utf-8"),
    handle: |_| Box::pin(async { asset("text/html; charset=utf-8", include_str!("../assets/docs.html")) }),
};

static SCRIPT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/docs/docs.js",
    tag: "Documentation",
    summary: "The page's script",
    detail: "",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Other("text/javascript; charset=utf-8"),
    handle: |_| {
        Box::pin(async { asset("text/javascript; charset=utf-8", include_str!("../assets/docs.js")) })
    },
};

static STYLE: Endpoint = Endpoint {
    method: Method::GET,
    path: "/docs/docs.css",
    tag: "Documentation",
    summary: "The page's style",
    detail: "",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Other("text/css; charset=utf-8"),
    handle: |_| Box::pin(async { asset("text/css; charset=utf-8", include_str!("../assets/docs.css")) }),
};

fn asset(content_type: &'static str, text: &'static str) -> Answer {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // The page belongs to the running version: an old one would show an old API.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((StatusCode::OK, headers, text).into_response())
}
