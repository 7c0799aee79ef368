//! What protects those who look at a page: where scripts may come from, who may frame it, and that a form is ours.

use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::Look;
use subtle::ConstantTimeEq;

use crate::form::Form;
use crate::page::Face;
use crate::session::Bearer;

pub(crate) const CSRF_FIELD: &str = "csrf";
const CSRF_HEADER: &str = "x-csrf-token";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Headers of every page. `look`: whose logo it shows, and who may show it in a frame, where somebody is signed in.
pub(crate) fn protect(mut response: Response, face: Face, look: Option<&Look>) -> Response {
    let framed = look.filter(|look| face == Face::Portal && !look.origins.is_empty());
    let ancestors = framed.map_or_else(|| "'none'".to_owned(), |look| look.origins.join(" "));
    // The product team's logo lies elsewhere; everything else comes from here.
    let logo = look.and_then(Look::logo_origin).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' {logo}; \
         form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    if framed.is_none() {
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A form counts only when it came from one of our own pages: it carries its session's token, and the browser, where it says
/// so, saw it come from here.
pub(crate) fn check_origin(headers: &HeaderMap, bearer: Option<&Bearer>, form: &Form) -> Result<(), Problem> {
    let elsewhere =
        headers.get(SEC_FETCH_SITE).is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    let refused = || {
        Problem::new(
            Code::Forbidden,
            "This form did not come from a page of this session. Open the page again and send it from there.",
        )
    };
    if elsewhere {
        return Err(refused());
    }
    let Some(bearer) = bearer else { return Ok(()) };
    let given = form.raw(CSRF_FIELD).map(str::as_bytes);
    let given = given.or_else(|| headers.get(CSRF_HEADER).map(HeaderValue::as_bytes)).unwrap_or_default();
    if bool::from(given.ct_eq(bearer.csrf.as_bytes())) { Ok(()) } else { Err(refused()) }
}
