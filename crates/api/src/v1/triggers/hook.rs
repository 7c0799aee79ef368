//! `POST /v1/workflows/webhooks/{slug}`: the public side of a webhook trigger.
//!
//! No key: who knows the URL may send, and the trigger's verifier says whether that counts. Other methods arrive here too: which
//! of them a trigger takes is its own affair.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::run::RequestCause;
use postrider_domain::time::Clock;
use postrider_engine::inbound::receive::{BodyTrouble, Came, Refused, Reply, Responded};
use postrider_store::StoreError;
use serde_json::{Value, json};

use crate::auth::{Access, Gate};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::problem::Refusal;
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/workflows/webhooks/{slug}",
    tag: "Triggers",
    summary: "Invoke a webhook trigger",
    detail: "The public URL of a trigger, without an API key: the trigger's verifier says who may start runs. The payload becomes the run's input: JSON, or a form. A provider's preset may want another status or body in answer.",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[],
    takes: Takes::Unread { example: r#"{"event": "lead.created", "email": "person@example.com"}"# },
    gives: Gives::Json(StatusCode::ACCEPTED, &TAKEN),
    handle: |call| Box::pin(handle(call)),
};

static TAKEN: Shape = Shape {
    name: "TakenRequest",
    fields: &[
        Field::new("runId", Kind::Text, "The run that it started, or that the same request started before.")
            .required()
            .nullable(),
        Field::new("status", Kind::Text, "Where the run stands; `filtered` when none was started.")
            .required(),
        Field::new("duplicate", Kind::Bool, "Whether the same came before.").required(),
    ],
};

/// Where requests to a trigger go.
pub(crate) fn url(public_url: &str, slug: &str) -> String {
    format!("{public_url}/v1/workflows/webhooks/{slug}")
}

pub(crate) fn url_with(public_url: &str, slug: &str, query: &str) -> String {
    let url = url(public_url, slug);
    if query.is_empty() { url } else { format!("{url}?{query}") }
}

async fn handle(mut call: Call) -> Answer {
    let slug = call.path("slug").to_owned();
    let query = call.uri.query().unwrap_or_default().to_owned();
    let peer = call.peer(&call.headers);
    let came = Came {
        method: call.method.as_str().to_owned(),
        url: url_with(&call.app.public_url, &slug, &query),
        query,
        headers: std::mem::take(&mut call.headers),
        peer,
    };
    let inbound = call.app.engine.inbound().clone();
    let admitted = match inbound.admit(&slug, &came).await? {
        Ok(admitted) => admitted,
        Err(reply) => return Ok(shown(reply)),
    };
    let unread = call.lines.take().and_then(|body| body.into_inner().ok()).unwrap_or_default();
    let most = admitted.trigger.body_bytes_max();
    let announced = came.headers.get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = announced.filter(|length| *length > most as u64) {
        return Ok(shown(inbound.refuse_body(&admitted, &came, length, BodyTrouble::TooLarge).await?));
    }
    let most = announced.map_or(most, |length| usize::try_from(length).unwrap_or(most));
    let clock = call.app.engine.clock();
    let (body, room) = match read(clock, &inbound, unread, most).await {
        Ok(read) => read,
        Err(Unread::Refused(read, why)) => {
            return Ok(shown(inbound.refuse_body(&admitted, &came, read, why).await?));
        }
        Err(Unread::NoRoom) => return Err(StoreError::Overloaded.into()),
    };
    Ok(shown(inbound.take(admitted, came, body, room).await?))
}

/// Why there is no body.
enum Unread {
    /// The sender's fault, and what was read of it.
    Refused(u64, BodyTrouble),
    /// Ours: other bodies take all the room there is.
    NoRoom,
}

/// The body within the trigger's bound. One that is not small waits for its turn: so much is held of all together. The time in
/// which it waits is not the sender's.
async fn read(
    clock: &Arc<dyn Clock>,
    inbound: &postrider_engine::inbound::Inbound,
    mut body: Body,
    most: usize,
) -> Result<(Bytes, Option<postrider_engine::inbound::Room>), Unread> {
    let mut read = BytesMut::new();
    read_beyond(clock, limits::TRIGGER_BODY_SMALL, &mut body, &mut read, most).await?;
    if read.len() <= limits::TRIGGER_BODY_SMALL {
        return Ok((read.freeze(), None));
    }
    let room = in_time(clock, inbound.room(most)).await.ok_or(Unread::NoRoom)?;
    read_beyond(clock, usize::MAX, &mut body, &mut read, most).await?;
    Ok((read.freeze(), Some(room)))
}

/// Reads on until there is more than `enough`, or the body ends.
async fn read_beyond(
    clock: &Arc<dyn Clock>,
    enough: usize,
    body: &mut Body,
    read: &mut BytesMut,
    most: usize,
) -> Result<(), Unread> {
    let frames = async {
        while read.len() <= enough {
            let Some(frame) = body.frame().await else { break };
            let Ok(frame) = frame else { return Err(BodyTrouble::Broken) };
            let Ok(data) = frame.into_data() else { continue };
            if read.len() + data.len() > most {
                return Err(BodyTrouble::TooLarge);
            }
            read.extend_from_slice(&data);
        }
        Ok(())
    };
    let trouble = match in_time(clock, frames).await {
        Some(Ok(())) => return Ok(()),
        Some(Err(trouble)) => trouble,
        None => BodyTrouble::TooSlow,
    };
    Err(Unread::Refused(read.len() as u64, trouble))
}

/// By the clock that is handed in, which a test moves.
async fn in_time<T>(clock: &Arc<dyn Clock>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep(limits::TRIGGER_BODY_TIMEOUT) => None,
    }
}

fn shown(reply: Reply) -> Response {
    match reply {
        Reply::Run { run, state, duplicate, status, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::ACCEPTED);
            match body {
                Some((kind, body)) => {
                    (status, [(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
                }
                None => {
                    let body = json!({ "runId": run, "status": state.as_str(), "duplicate": duplicate });
                    (status, axum::Json(body)).into_response()
                }
            }
        }
        Reply::Responded { response, .. } => responded(response),
        Reply::Ended { run, state } => {
            // The request was taken, also when its run failed: to send it again would start another.
            let body = json!({ "runId": run, "status": state.as_str(), "duplicate": false });
            (StatusCode::OK, axum::Json(body)).into_response()
        }
        Reply::Filtered => {
            let body = json!({ "runId": null, "status": "filtered", "duplicate": false });
            (StatusCode::OK, axum::Json(body)).into_response()
        }
        Reply::Handshake(answer) => {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
            let mut response = (status, answer.body).into_response();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
            for (name, value) in answer.headers {
                let name = HeaderName::from_bytes(name.as_bytes());
                if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
                    headers.insert(name, value);
                }
            }
            response
        }
        Reply::Refused(refused) => refusal(refused),
    }
}

fn responded(response: Responded) -> Response {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::OK);
    let (kind, body) = match response.body {
        Value::Null => ("", Vec::new()),
        Value::String(text) => ("text/plain; charset=utf-8", text.into_bytes()),
        other => ("application/json", other.to_string().into_bytes()),
    };
    let mut shown = (status, body).into_response();
    let headers = shown.headers_mut();
    headers.remove(CONTENT_TYPE);
    if !kind.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    for (name, value) in response.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    // What a workflow says must not act as a page of ours.
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("content-security-policy", HeaderValue::from_static("sandbox"));
    shown
}

/// Strangers are told what was wrong with their request, and of a signature only that it does not hold: its reasons are with
/// the trigger's requests.
fn refusal(refused: Refused) -> Response {
    let (code, detail) = match refused.cause {
        RequestCause::Disabled => (Code::NotFound, "There is no such webhook.".to_owned()),
        RequestCause::VerificationFailed => (
            Code::VerificationFailed,
            "The request could not be verified. Whoever set this webhook up finds the reason in its list of requests.".to_owned(),
        ),
        RequestCause::Address => (Code::Forbidden, "Requests from this address are not taken.".to_owned()),
        RequestCause::Method => (Code::MethodNotAllowed, refused.detail.clone()),
        RequestCause::TooLarge => (Code::BodyTooLarge, refused.detail.clone()),
        RequestCause::ContentType => (Code::UnsupportedMediaType, refused.detail.clone()),
        RequestCause::RateLimited => (Code::RateLimited, "Too many requests. Send it again in a moment.".to_owned()),
        RequestCause::Filtered => {
            let body = json!({ "runId": null, "status": "filtered", "duplicate": false });
            return (StatusCode::OK, axum::Json(body)).into_response();
        }
        _ => (Code::MalformedJson, refused.detail.clone()),
    };
    let mut response = Refusal::from(Problem::new(code, detail)).into_response();
    if let Ok(status) = StatusCode::from_u16(refused.status) {
        *response.status_mut() = status;
    }
    if refused.cause == RequestCause::Method {
        let methods = refused.detail.trim_start_matches("The trigger takes ").trim_end_matches('.');
        if let Ok(methods) = HeaderValue::from_str(methods) {
            response.headers_mut().insert(ALLOW, methods);
        }
    }
    response
}
