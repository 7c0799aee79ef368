//! `POST /inbox/{slug}`: the public side of an inbox.
//!
//! No key: who knows the URL may send. Other methods arrive here too. Of a body only what is kept is held in memory.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Clock;
use postrider_engine::inbox::{Answered, Came};

use crate::auth::{Access, Gate};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/inbox/{slug}",
    tag: "Inboxes",
    summary: "Send to an inbox",
    detail: "The public URL of an inbox, without an API key, for any method. It answers the status that it was told to.",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[],
    takes: Takes::Unread { example: r#"{"type": "order.created", "data": {"id": 17}}"# },
    gives: Gives::Json(StatusCode::OK, &RECEIVED),
    handle: |call| Box::pin(handle(call)),
};

static RECEIVED: Shape = Shape {
    name: "InboxReceived",
    fields: &[
        Field::new("received", Kind::Bool, "True.").required(),
        Field::new("id", Kind::Text, "Of the request, `inr_…`.").required(),
    ],
};

async fn handle(mut call: Call) -> Answer {
    let engine = call.app.engine.clone();
    let inbox = match engine.inbox_admit(call.path("slug")).await? {
        Ok(inbox) => inbox,
        Err(answered) => return refused(answered),
    };
    let unread = call.lines.take().and_then(|body| body.into_inner().ok()).unwrap_or_default();
    let announced = call.headers.get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits::INBOX_BODY_BYTES_MAX as u64) {
        return Err(too_large().into());
    }
    let (body, body_bytes) = read(engine.clock(), unread).await?;
    let headers = std::mem::take(&mut call.headers);
    let came = Came { method: call.method.as_str().to_owned(), headers, body, body_bytes };
    match engine.inbox_receive(&inbox, came).await? {
        answered @ Answered::Received { .. } => Ok(shown(answered)),
        answered => refused(answered),
    }
}

/// The beginning of the body, and how long all of it is.
async fn read(clock: &Arc<dyn Clock>, mut body: Body) -> Result<(Bytes, u64), Problem> {
    let mut kept = BytesMut::new();
    let mut length = 0;
    let frames = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(Problem::new(Code::MalformedJson, "The body ended before it was complete."));
            };
            let Ok(data) = frame.into_data() else { continue };
            length += data.len();
            if length > limits::INBOX_BODY_BYTES_MAX {
                return Err(too_large());
            }
            let room = limits::INBOX_BODY_KEPT_BYTES - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
        }
        Ok(())
    };
    tokio::select! {
        biased;
        done = frames => done?,
        () = clock.sleep(limits::TRIGGER_BODY_TIMEOUT) => {
            let seconds = limits::TRIGGER_BODY_TIMEOUT.as_secs();
            let detail = format!("The body did not arrive within {seconds} seconds.");
            return Err(Problem::new(Code::MalformedJson, detail));
        }
    }
    Ok((kept.freeze(), length as u64))
}

fn too_large() -> Problem {
    let detail = format!("The body may have at most {} bytes.", limits::INBOX_BODY_BYTES_MAX);
    Problem::new(Code::BodyTooLarge, detail)
}

fn refused(answered: Answered) -> Answer {
    let problem = match answered {
        Answered::TooMany => Problem::new(Code::RateLimited, "Too many requests. Send it again in a moment."),
        _ => Problem::new(Code::NotFound, "There is no such inbox. Check the URL."),
    };
    Err(problem.into())
}

fn shown(answered: Answered) -> Response {
    let status = StatusCode::from_u16(answered.status()).unwrap_or(StatusCode::OK);
    match answered.body() {
        Some(body) => (status, axum::Json(body)).into_response(),
        None => status.into_response(),
    }
}
