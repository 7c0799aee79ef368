//! Refusals on the wire: `application/problem+json` (RFC 9457), with a stable `code` beside the standard members.
//!
//! Every answer of the API that is not a success passes through here. What the caller did wrong is a 4xx and changed
//! nothing; our own trouble is a 5xx with `Retry-After`, and is never dressed up as the caller's fault.

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use postrider_domain::problem::{Code, Problem};
use postrider_engine::EngineError;
use postrider_store::StoreError;

pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Our own trouble is usually over in moments: a full queue drains within one, a locked disk within a few.
const RETRY_AFTER_SECONDS: &str = "1";

/// The JSON of a refusal: `{type, title, status, code, detail, field?}`. `type` is a reference to the page `/docs`.
#[derive(Debug, Serialize)]
pub(crate) struct ProblemBody {
    r#type: String,
    title: String,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl ProblemBody {
    pub(crate) fn of(problem: Problem) -> Self {
        let code = problem.code.as_str();
        Self {
            r#type: format!("/docs#problem-{code}"),
            title: title(problem.code),
            status: problem.code.status(),
            code,
            detail: problem.detail,
            field: problem.field,
        }
    }
}

/// `unknown_field` → `Unknown field`.
pub(crate) fn title(code: Code) -> String {
    let words = code.as_str().replace('_', " ");
    let (first, rest) = words.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// An endpoint's way out when it is not a success.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: Problem,
    /// The methods that a path does know, for 405.
    allow: Option<HeaderValue>,
}

impl Refusal {
    /// What is told of it.
    pub(crate) fn problem(self) -> Problem {
        self.problem
    }

    pub(crate) fn method_not_allowed(method: &http::Method, allowed: &str) -> Self {
        Self {
            problem: Problem::new(
                Code::MethodNotAllowed,
                format!("This path does not know {method}. It knows {allowed}."),
            ),
            allow: HeaderValue::from_str(allowed).ok(),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, allow: None }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        trouble(&error).into()
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(problem) => problem.into(),
            EngineError::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&ProblemBody::of(self.problem))
            .expect("because a problem holds only strings and a number");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

/// The store's trouble as callers see it: what to do about it, and nothing about our insides, which go to the log.
fn trouble(error: &StoreError) -> Problem {
    match error {
        StoreError::Overloaded => Problem::new(
            Code::Overloaded,
            "More work is waiting than may wait. Nothing was changed; send it again shortly.",
        ),
        StoreError::Closed => Problem::new(
            Code::ShuttingDown,
            "Postrider is stopping. Nothing was changed; send it again shortly.",
        ),
        StoreError::Unavailable(_) | StoreError::Contended(_) => {
            tracing::error!(%error, "store.unavailable");
            Problem::new(
                Code::StoreUnavailable,
                "The store cannot be used at the moment. Nothing was acknowledged; send it again shortly.",
            )
        }
        _ => {
            tracing::error!(%error, "store.failed");
            Problem::new(
                Code::Internal,
                "This failed because of a fault in Postrider, not in the request. The log of the server says more.",
            )
        }
    }
}
