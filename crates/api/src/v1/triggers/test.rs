//! `POST …/triggers/{trigger}/test`: explain a pasted request.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::Role;
use postrider_engine::inbound::receive::Came;

use super::{hook, in_path};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, BodyPresence, Call, Endpoint, Gives, JsonBody, Repeats, Takes, answer};
use crate::shape::{Field, Kind, Shape};

/// A pasted body of the default size, as base64 and a little around it.
const TEST_BYTES_MAX: usize = 2 * 1024 * 1024;

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/workflows/{workflow}/triggers/{trigger}/test",
    tag: "Triggers",
    summary: "Explain a pasted request",
    detail: "Runs the trigger's verifier and filter over a request that you paste, and says what would become of it: the beginning of the signature that was expected and of the one that was found, the body's hash, how far the clocks are apart. Starts no run and is not kept.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Json(JsonBody {
        shape: &PASTED,
        example: r#"{"headers": {"X-Hub-Signature-256": "sha256=…", "Content-Type": "application/json"}, "body": "{\"zen\": \"…\"}"}"#,
        bytes_max: TEST_BYTES_MAX,
        presence: BodyPresence::Required,
        repeats: Repeats::No,
    }),
    gives: Gives::Json(StatusCode::OK, &EXPLAINED),
    handle: |call| Box::pin(handle(call)),
};

static PASTED: Shape = Shape {
    name: "PastedRequest",
    fields: &[
        Field::new("method", Kind::Text, "POST when absent."),
        Field::new("query", Kind::Text, "Without the question mark."),
        Field::new("headers", Kind::Map(&Kind::Text), "As they were received.").required(),
        Field::new("body", Kind::Text, "The raw body, as text."),
        Field::new("bodyBase64", Kind::Text, "The raw body, where it is no text."),
    ],
};

static EXPLAINED: Shape = Shape {
    name: "ExplainedRequest",
    fields: &[
        Field::new("accepted", Kind::Bool, "Whether it would start a run.").required(),
        Field::new("cause", Kind::Text, "Why not, as in the list of requests.").required().nullable(),
        Field::new("detail", Kind::Text, "What would become of it, and what to do.").required(),
        Field::new(
            "verification",
            Kind::List(&Kind::AnyObject),
            "What was found against the secrets in force; empty where nothing is verified.",
        )
        .required(),
        Field::new("dedupId", Kind::Text, "By what it would be known again.").required().nullable(),
        Field::new("input", Kind::Any, "What the run would begin with.").required().nullable(),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let (_, trigger) = in_path(&call)?;
    let Some(slug) = &trigger.slug else {
        return Err(Problem::new(Code::Conflict, "Only triggers of type `webhook` take requests.").into());
    };
    let body = match (fields.text("body"), fields.text("bodyBase64")) {
        (Some(_), Some(_)) => {
            let detail = "Give the body as text or as base64; not both.";
            return Err(Problem::at(Code::InvalidField, "bodyBase64", detail).into());
        }
        (Some(text), None) => Bytes::from(text),
        (None, Some(encoded)) => BASE64.decode(encoded).map(Bytes::from).map_err(|_| {
            Problem::at(Code::InvalidField, "bodyBase64", "This is not base64 with its padding.")
        })?,
        (None, None) => Bytes::new(),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.pairs("headers").unwrap_or_default() {
        let odd = |()| {
            let detail = "A header has a name without spaces and a value of one line, in visible ASCII.";
            Problem::at(Code::HeaderInvalid, format!("headers.{name}"), detail)
        };
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| odd(()))?;
        headers.append(known, HeaderValue::from_str(&value).map_err(|_| odd(()))?);
    }
    let query = fields.text("query").unwrap_or_default();
    let came = Came {
        method: fields.text("method").unwrap_or_else(|| "POST".to_owned()).to_ascii_uppercase(),
        url: hook::url_with(&call.app.public_url, slug, &query),
        query,
        headers,
        peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let inbound = call.app.engine.inbound().clone();
    let explained = tokio::task::spawn_blocking(move || inbound.explain(&trigger, &came, &body)).await;
    let explained = explained.map_err(|error| {
        postrider_store::StoreError::Internal(format!("explaining a request panicked: {error}"))
    });
    answer(StatusCode::OK, &explained.map_err(postrider_engine::EngineError::from)?.to_json())
}
