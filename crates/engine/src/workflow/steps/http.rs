//! `http`: a request through egress. It is on disk that it begins before its first byte goes out, and every one of its requests
//! has an attempt's row; what a crash cut off reads `unknown` and is sent again at once, with the same `Idempotency-Key`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use postrider_domain::delivery::AttemptClass;
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::{
    self, HttpCall, HttpOutcome, StepResult, Task, http_outcome, http_output, retry_delay,
};
use postrider_egress::{
    BodyEnd, Exchange, FailureClass, ReadBody, Request, Response, Reuse, Target, UrlRefusal,
};
use postrider_store::runs::RunTo;
use postrider_store::{AttemptRow, AttemptTiming, StoreError};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::connections::{ConnectionError, Retry};
use crate::workflow::Runner;
use crate::workflow::hand::Hand;
use crate::workflow::run::Flow;

const KIND: &str = "http";
const USER_AGENT: HeaderValue = HeaderValue::from_static("Postrider/1.0 (workflow)");

pub(in crate::workflow) async fn call(
    runner: &Arc<Runner>,
    hand: &mut Hand,
    task: &Task,
    call: &HttpCall,
    now: Timestamp,
) -> Result<Flow, StoreError> {
    let path = &task.path;
    let tried = hand.tried.get(path.as_str()).map_or(0, Vec::len);
    let begun = hand.pending.get(path.as_str()).map_or(0, |known| known.tries as usize);
    let attempt = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    if begun > tried {
        // Whoever began it did not live to say how it went.
        let started = hand.pending.get(path.as_str()).map_or(now, |known| known.started);
        hand.attempted(path, unknown(attempt(begun), started));
    }
    let number = attempt(begun + 1);
    let target = match prepared(runner, hand, call).await? {
        Ok(request) => request,
        Err(NotMade::Ever(why)) => {
            hand.ended(path, KIND, StepResult::failed(why), None, now);
            return Ok(Flow::GoesOn);
        }
        Err(NotMade::Yet(why, after)) => {
            let row = AttemptRow {
                detail: Some(why.clone()),
                ..AttemptRow::of(number, now, AttemptClass::Connect)
            };
            hand.attempted(path, row);
            let Some(delay) = delay(hand, task) else {
                hand.ended(path, KIND, StepResult::failed(why), None, now);
                return Ok(Flow::GoesOn);
            };
            return again(runner, hand, task, number, now.plus(retry_delay(delay, Some(after))), now).await;
        }
    };
    hand.began(path, KIND, number, None, None, now);
    let timeout = task.timeout.unwrap_or(limits::STEP_TIMEOUT);
    let lease = now.plus(timeout + limits::LEASE_MARGIN);
    runner.commit(hand, RunTo::Running { lease }).await?;
    let started = runner.outbound.clock.now();
    let key = format!("{}:{path}", hand.run);
    let exchange = runner.outbound.egress.send(request_of(hand, target, &key, timeout)).await;
    let ended = runner.outbound.clock.now();
    let outcome = match &exchange.result {
        Ok(response) if response.body_end == BodyEnd::Complete => {
            http_outcome(response.status, &call.success)
        }
        // The request was taken: to send it again would bring the same answer.
        Ok(response) if response.body_end == BodyEnd::Capped => HttpOutcome::Fail,
        Ok(_) | Err(_) => HttpOutcome::Retry,
    };
    let row = attempt_row(number, started, &exchange, outcome);
    runner.outbound.metrics.step_request_done();
    let (class, status) = (row.class, row.status);
    hand.attempted(path, row);
    let blocked = class == AttemptClass::BlockedTarget;
    match (outcome, delay(hand, task).filter(|_| !blocked)) {
        (HttpOutcome::Success, _) => {
            let output = exchange.result.as_ref().map(output).unwrap_or_default();
            hand.ended(path, KIND, StepResult::succeeded(output), None, ended);
            runner.settle(hand, ended).await
        }
        (HttpOutcome::Retry, Some(delay)) => {
            let asked = exchange.result.as_ref().ok().and_then(|response| retry_after(response, ended));
            again(runner, hand, task, number, ended.plus(retry_delay(delay, asked)), ended).await
        }
        (HttpOutcome::Retry | HttpOutcome::Fail, _) => {
            let why = failure(&exchange, status, number);
            let output = exchange.result.as_ref().map(output).unwrap_or_default();
            hand.ended(path, KIND, StepResult { output, ..StepResult::failed(why) }, None, ended);
            runner.settle(hand, ended).await
        }
    }
}

/// How long until the next attempt; none when there is none. What was lost with a process uses no step of the schedule.
fn delay(hand: &Hand, task: &Task) -> Option<Duration> {
    let tried = hand.tried.get(task.path.as_str()).map(Vec::as_slice).unwrap_or_default();
    let known = tried.iter().filter(|row| row.class != AttemptClass::Unknown).count();
    task.retries.get(known.checked_sub(1)?).copied()
}

async fn again(
    runner: &Arc<Runner>,
    hand: &mut Hand,
    task: &Task,
    number: u32,
    due: Timestamp,
    now: Timestamp,
) -> Result<Flow, StoreError> {
    hand.began(&task.path, KIND, number, None, None, now);
    runner.commit(hand, RunTo::Waiting { due: Some(due), event_after: None }).await?;
    Ok(Flow::Stops)
}

/// Why no request was made, in a sentence.
enum NotMade {
    Ever(String),
    /// It may pass; not before this long.
    Yet(String, Duration),
}

struct Prepared {
    method: Method,
    target: Target,
    headers: HeaderMap,
    body: Bytes,
}

/// The request with its secrets, or a sentence why it cannot be made.
async fn prepared(
    runner: &Arc<Runner>,
    hand: &Hand,
    call: &HttpCall,
) -> Result<Result<Prepared, NotMade>, StoreError> {
    let tenant = hand.tenant.id;
    let names: Vec<&str> = call.secret_names().into_iter().collect();
    let secrets = if names.is_empty() {
        HashMap::new()
    } else {
        match runner.control.secret_values(tenant, &names).await {
            Ok(secrets) => secrets,
            Err(crate::EngineError::Refused(problem)) => return Ok(Err(NotMade::Ever(problem.detail))),
            Err(crate::EngineError::Store(error)) => return Err(error),
        }
    };
    let mut tokens: HashMap<String, SecretString> = HashMap::new();
    for name in call.connection_names() {
        match runner.connections.access_token(tenant, name).await {
            Ok(token) => drop(tokens.insert(name.to_owned(), token)),
            Err(ConnectionError { detail, retry: Retry::No }) => return Ok(Err(NotMade::Ever(detail))),
            Err(ConnectionError { detail, retry: Retry::After(after) }) => {
                return Ok(Err(NotMade::Yet(detail, after)));
            }
        }
    }
    let secret = |name: &str| secrets.get(name).map(|value| value.expose_secret().to_owned());
    let token = |name: &str| tokens.get(name).map(|value| value.expose_secret().to_owned());
    let request = call.render(&secret, &token).and_then(|request| made(runner, request));
    Ok(request.map_err(NotMade::Ever))
}

fn made(runner: &Runner, request: workflow::Request) -> Result<Prepared, String> {
    let target =
        Target::parse(&request.url, runner.outbound.egress.policy()).map_err(|refusal| match refusal {
            UrlRefusal::Invalid { detail } | UrlRefusal::Forbidden { detail } => detail,
        })?;
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 2);
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` is no name of a header."))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            format!("The value of the header `{name}` has characters that HTTP does not allow.")
        })?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| format!("`{}` is no method.", request.method))?;
    Ok(Prepared { method, target, headers, body: Bytes::from(request.body.unwrap_or_default()) })
}

fn request_of(hand: &Hand, prepared: Prepared, key: &str, timeout: Duration) -> Request {
    let Prepared { method, target, mut headers, body } = prepared;
    headers.entry(::http::header::USER_AGENT).or_insert(USER_AGENT);
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.entry("idempotency-key").or_insert(key);
    }
    Request {
        method,
        target,
        headers,
        body,
        timeout,
        partition: *hand.tenant.id.as_bytes(),
        reuse: Reuse::Any,
        body_rule: ReadBody::Whole { bytes_max: limits::RESPONSE_READ_BYTES_MAX },
    }
}

/// What later steps see of an answer.
fn output(response: &Response) -> Value {
    let headers = response.head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = std::str::from_utf8(&line[..colon]).ok()?;
        Some((name, line[colon + 1..].trim_ascii()))
    });
    http_output(response.status, headers, &response.body)
}

fn failure(exchange: &Exchange, status: Option<u16>, number: u32) -> String {
    let tries = if number > 1 { format!(" It was tried {number} times.") } else { String::new() };
    match (&exchange.result, status) {
        (Err(failure), _) => format!("{}{tries}", failure.detail),
        (Ok(response), _) if response.body_end != BodyEnd::Complete => {
            format!("The answer's body could not be read to its end.{tries}")
        }
        (Ok(_), status) => format!("The answer was {}.{tries}", status.unwrap_or_default()),
    }
}

fn retry_after(response: &Response, now: Timestamp) -> Option<Duration> {
    if !matches!(response.status, 429 | 503) {
        return None;
    }
    postrider_domain::classify::parse_retry_after(response.retry_after.as_deref()?, now)
}

fn attempt_row(number: u32, started: Timestamp, exchange: &Exchange, outcome: HttpOutcome) -> AttemptRow {
    let (class, status, detail, head, body, bytes) = match &exchange.result {
        Ok(response) => {
            let kept = response.body.len().min(limits::RESPONSE_KEPT_BYTES_MAX);
            (
                match (outcome, response.body_end) {
                    (HttpOutcome::Success, _) => AttemptClass::Success,
                    (_, BodyEnd::Complete) => AttemptClass::Status,
                    _ => AttemptClass::Body,
                },
                Some(response.status),
                None,
                response.head.clone(),
                response.body.slice(..kept),
                response.body_bytes,
            )
        }
        Err(failure) => {
            let class = match failure.class {
                FailureClass::Dns => AttemptClass::Dns,
                FailureClass::Connect => AttemptClass::Connect,
                FailureClass::Tls => AttemptClass::Tls,
                FailureClass::Timeout => AttemptClass::Timeout,
                FailureClass::Reset => AttemptClass::Reset,
                FailureClass::Protocol => AttemptClass::Protocol,
                FailureClass::Blocked => AttemptClass::BlockedTarget,
            };
            (class, None, Some(failure.detail.clone()), Bytes::new(), Bytes::new(), 0)
        }
    };
    AttemptRow {
        status,
        detail,
        timing: AttemptTiming { total_us: exchange.timing.total_us, ..AttemptTiming::default() },
        peer: exchange.peer.map(|peer| peer.to_string()),
        reused: exchange.reused,
        response_head: head,
        response_body: body,
        response_bytes: bytes,
        ..AttemptRow::of(number, started, class)
    }
}

fn unknown(number: u32, started: Timestamp) -> AttemptRow {
    AttemptRow::of(number, started, AttemptClass::Unknown)
}
