//! `/v1/requests`: what came to triggers, taken or refused.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod replay;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use postrider_store::runs::RequestRow;
use serde::Serialize;

use crate::shape::{Field, Kind, Shape};

pub(crate) static REQUEST: Shape = Shape {
    name: "Request",
    fields: &[
        Field::new("id", Kind::Text, "`req_…`").required(),
        Field::new("triggerId", Kind::Text, "The trigger that it came to.").required(),
        Field::new("cause", Kind::Text, "What became of it: `accepted`, or why it started nothing.")
            .required(),
        Field::new("status", Kind::Count, "That it was answered with.").required(),
        Field::new("detail", Kind::Text, "Why, and what to do.").required().nullable(),
        Field::new("runId", Kind::Text, "The run that it started; of a duplicate, the run of the first.")
            .required()
            .nullable(),
        Field::new("receivedAt", Kind::Time, "When it came.").required(),
        Field::new("method", Kind::Text, "Its method.").required(),
        Field::new("query", Kind::Text, "Its query, without credentials.").required(),
        Field::new("peer", Kind::Text, "Where it came from.").required(),
        Field::new(
            "headers",
            Kind::List(&Kind::List(&Kind::Text)),
            "Its headers as `[name, value]`; what may be a credential is masked.",
        )
        .required(),
        Field::new("bodyBytes", Kind::Count, "The length of its body.").required(),
        Field::new("body", Kind::Text, "Its body, where it is text; of one that was refused the beginning."),
        Field::new("bodyBase64", Kind::Text, "Its body, where it is no text."),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    id: String,
    trigger_id: String,
    cause: &'static str,
    status: u16,
    detail: Option<String>,
    run_id: Option<String>,
    received_at: String,
    method: String,
    query: String,
    peer: String,
    headers: Vec<[String; 2]>,
    body_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl View {
    pub(crate) fn of(row: RequestRow) -> Self {
        let request = row.request;
        let (body, body_base64) = match request.body.map(|body| String::from_utf8(body.to_vec())) {
            None => (None, None),
            Some(Ok(text)) => (Some(text), None),
            Some(Err(bytes)) => (None, Some(BASE64.encode(bytes.as_bytes()))),
        };
        Self {
            id: request.id.to_string(),
            trigger_id: request.trigger.to_string(),
            cause: request.cause.as_str(),
            status: request.status,
            detail: request.detail,
            run_id: row.run.map(|run| run.to_string()),
            received_at: request.received.to_string(),
            method: request.method,
            query: request.query,
            peer: request.peer,
            headers: serde_json::from_slice(&request.headers).unwrap_or_default(),
            body_bytes: request.body_bytes,
            body,
            body_base64,
        }
    }
}
