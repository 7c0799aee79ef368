//! One attempt: a socket, one request on it, its response within the bounds, and the verdict whether the socket is kept.
//!
//! The connection is driven from here, inside the caller's future. There is no task per connection: an attempt that is dropped
//! takes its socket along, and an idle socket costs nothing but memory.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::connect::{Connector, Driven, Socket, micros};
use crate::pool::{Pool, PoolKey};
use crate::{
    BodyEnd, Budgets, Exchange, Failure, FailureClass, HEAD_KEPT_BYTES, ReadBody, Request, Response, Target,
    Timing, explain,
};

type Message = http::Request<Full<Bytes>>;

/// Makes one attempt. At most one request goes out: another socket is only used after one that took no byte of it.
pub(crate) async fn send(
    connector: &Connector,
    pool: &Pool,
    budgets: &Budgets,
    request: Request,
) -> Exchange {
    let began = Instant::now();
    let Request { method, target, headers, body, timeout, partition, reuse, body_rule } = request;
    let deadline = began + timeout;
    let key = PoolKey { partition, origin: target.origin().clone() };
    let mut headers = with_framing(headers, &method, &target, &body);
    let mut attempt = Attempt { budgets, target: &target, body_rule, deadline, timing: Timing::default() };

    let mut redialled = false;
    if let Some(mut socket) = pool.take(&key, reuse, began) {
        remember(&headers, &mut socket.scratch);
        let message = message(&method, &target, headers, &body);
        let result = attempt.request(&mut socket, message, began).await;
        if !result.as_ref().is_err_and(Failure::is_dead_socket) {
            let exchange = attempt.conclude(pool, key, socket, result, began);
            return Exchange { reused: true, ..exchange };
        }
        headers = remembered(&socket.scratch);
        redialled = true;
    }
    // Boxed, so that the future of the usual attempt, which needs none of it, stays small.
    let opened = Box::pin(connector.open(&target, deadline, &mut attempt.timing)).await;
    let exchange = match opened {
        Ok(mut socket) => {
            let message = message(&method, &target, headers, &body);
            let result = attempt.request(&mut socket, message, Instant::now()).await;
            attempt.conclude(pool, key, socket, result, began)
        }
        Err(failure) => attempt.exchange(Err(failure), None, began, Instant::now()),
    };
    Exchange { redialled, ..exchange }
}

/// One attempt while it goes on.
struct Attempt<'a> {
    budgets: &'a Budgets,
    target: &'a Target,
    body_rule: ReadBody,
    deadline: Instant,
    timing: Timing,
}

struct Answer {
    response: Response,
    ended: Instant,
    /// As far as the response says: it was read to its end, and its framing leaves no doubt where that is.
    keeps_socket: bool,
}

impl Attempt<'_> {
    async fn request(
        &mut self,
        socket: &mut Socket,
        message: Message,
        began: Instant,
    ) -> Result<Answer, Failure> {
        let written_before = socket.traffic.written();
        let head = self.head(socket, message).await;
        let head_at = Instant::now();
        self.timing.wait_us = micros(head_at - began);
        let head = match head {
            Ok(head) => head,
            Err(failure) => {
                let bytes_sent = socket.traffic.written() > written_before;
                return Err(Failure { bytes_sent, ..failure });
            }
        };
        let status = head.status().as_u16();
        if !(200..=599).contains(&status) {
            let detail =
                format!("The endpoint answered with status {status}, which is no answer to a request.");
            return Err(Failure { class: FailureClass::Protocol, detail, bytes_sent: true });
        }
        let clear_framing = head.version() == Version::HTTP_11
            && !(head.headers().contains_key(TRANSFER_ENCODING)
                && head.headers().contains_key(CONTENT_LENGTH));
        let (parts, body) = head.into_parts();
        let read = self.body(socket, body, head_at).await;
        let ended = Instant::now();
        self.timing.body_us = micros(ended - head_at);
        Ok(Answer {
            ended,
            keeps_socket: clear_framing && read.end == BodyEnd::Complete,
            response: Response {
                status,
                head: head_text(&parts.headers),
                retry_after: parts
                    .headers
                    .get(RETRY_AFTER)
                    .map(|value| Bytes::copy_from_slice(value.as_bytes())),
                body: Bytes::from(read.kept),
                body_bytes: read.bytes,
                body_end: read.end,
            },
        })
    }

    /// Drives the connection until the response's head is there.
    async fn head(
        &mut self,
        socket: &mut Socket,
        message: Message,
    ) -> Result<http::Response<Incoming>, Failure> {
        let target = self.target;
        // Interim responses (1xx) are skipped below us, one by one, and have no end of their own. Twice, since the beginning of
        // the body comes along with the head, at most a buffer of it.
        socket.traffic.limit_reading(2 * self.budgets.response_head_bytes as u64);
        socket.timer.as_mut().reset(self.deadline);
        let mut response = pin!(socket.sender.send_request(message));
        poll_fn(move |cx| {
            let driven = socket.drive(cx);
            if let Poll::Ready(result) = response.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(|error| explain::no_response(target, &error)));
            }
            if driven == Driven::Ended {
                return Poll::Ready(Err(explain::closed()));
            }
            socket.poll_timer(cx).map(|()| Err(explain::timed_out()))
        })
        .await
    }

    /// Reads what the rule and the budgets allow. How it ended is part of the answer, never a failure.
    async fn body(&mut self, socket: &mut Socket, mut body: Incoming, head_at: Instant) -> ReadSoFar {
        // The body is pulled out of the connection piece by piece: what is not asked for is not read.
        socket.traffic.limit_reading(u64::MAX);
        let mut read = ReadSoFar { kept: Vec::new(), bytes: 0, pieces: 0, end: BodyEnd::Complete };
        let until = match self.body_rule {
            ReadBody::ForLog { at_most } => self.deadline.min(head_at + at_most),
            ReadBody::ToTheEnd => self.deadline,
        };
        let budgets = self.budgets;
        let mut timer_is_set = until == self.deadline;
        read.end = poll_fn(|cx| {
            loop {
                let mut next = Pin::new(&mut body).poll_frame(cx);
                let mut driven = Driven::Open;
                if next.is_pending() {
                    driven = socket.drive(cx);
                    next = Pin::new(&mut body).poll_frame(cx);
                }
                match next {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Some(data) = frame.data_ref()
                            && read.add(data, budgets) == Room::None
                        {
                            return Poll::Ready(BodyEnd::Capped);
                        }
                    }
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(BodyEnd::Broken),
                    Poll::Ready(None) => return Poll::Ready(BodyEnd::Complete),
                    Poll::Pending if driven == Driven::Ended => return Poll::Ready(BodyEnd::Broken),
                    Poll::Pending => break,
                }
            }
            if !timer_is_set {
                timer_is_set = true;
                socket.timer.as_mut().reset(until);
            }
            socket.poll_timer(cx).map(|()| BodyEnd::TimedOut)
        })
        .await;
        read
    }

    fn conclude(
        self,
        pool: &Pool,
        key: PoolKey,
        mut socket: Box<Socket>,
        result: Result<Answer, Failure>,
        began: Instant,
    ) -> Exchange {
        let peer = Some(socket.peer);
        match result {
            Ok(answer) => {
                if answer.keeps_socket && socket.is_idle() {
                    pool.put(key, socket, answer.ended);
                }
                self.exchange(Ok(answer.response), peer, began, answer.ended)
            }
            Err(failure) => self.exchange(Err(failure), peer, began, Instant::now()),
        }
    }

    fn exchange(
        self,
        result: Result<Response, Failure>,
        peer: Option<SocketAddr>,
        began: Instant,
        ended: Instant,
    ) -> Exchange {
        let timing = Timing { total_us: micros(ended - began), ..self.timing };
        Exchange { result, timing, peer, reused: false, redialled: false }
    }
}

/// Of a chunked body. 8,192 of them take some 3 ms however small they are; 256 KiB in single bytes would take 100 ms.
const PIECES_MAX: u32 = 8192;

struct ReadSoFar {
    kept: Vec<u8>,
    bytes: u64,
    pieces: u32,
    end: BodyEnd,
}

#[derive(PartialEq)]
enum Room {
    Left,
    None,
}

impl ReadSoFar {
    fn add(&mut self, data: &[u8], budgets: &Budgets) -> Room {
        let kept = data.len().min(budgets.response_kept_bytes.saturating_sub(self.kept.len()));
        // Copied: a slice would hold the connection's whole read buffer for as long as the excerpt lives. Exactly, since most
        // bodies come in one piece.
        self.kept.reserve_exact(kept);
        self.kept.extend_from_slice(&data[..kept]);
        self.bytes += data.len() as u64;
        self.pieces += 1;
        let too_much = self.bytes > budgets.response_read_bytes as u64 || self.pieces > PIECES_MAX;
        if too_much { Room::None } else { Room::Left }
    }
}

/// The caller's headers, `Host`, and a length for an empty body too (RFC 9110 §8.6); hyper adds the length of any other.
fn with_framing(mut headers: HeaderMap, method: &Method, target: &Target, body: &Bytes) -> HeaderMap {
    headers.remove(TRANSFER_ENCODING);
    headers.insert(HOST, target.host_header().clone());
    if body.is_empty() && matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    } else {
        headers.remove(CONTENT_LENGTH);
    }
    headers
}

fn message(method: &Method, target: &Target, headers: HeaderMap, body: &Bytes) -> Message {
    let mut message = Message::new(Full::new(body.clone()));
    *message.method_mut() = method.clone();
    *message.uri_mut() = target.uri().clone();
    *message.headers_mut() = headers;
    message
}

fn head_text(headers: &HeaderMap) -> Bytes {
    let length = headers.iter().map(|(name, value)| line_length(name, value)).sum::<usize>();
    let mut text = Vec::with_capacity(length.min(HEAD_KEPT_BYTES));
    for (name, value) in headers {
        if text.len() + line_length(name, value) > HEAD_KEPT_BYTES {
            break;
        }
        write_line(&mut text, name, value);
    }
    Bytes::from(text)
}

fn line_length(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + ": ".len() + value.len() + "\n".len()
}

fn write_line(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    text.extend_from_slice(name.as_str().as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value.as_bytes());
    text.push(b'\n');
}

/// Writes the headers of a request into its socket's scratch buffer. A copy of the map would cost an allocation per header, and
/// only a socket that turns out dead has a use for it.
fn remember(headers: &HeaderMap, scratch: &mut Vec<u8>) {
    scratch.clear();
    for (name, value) in headers {
        write_line(scratch, name, value);
    }
}

fn remembered(scratch: &[u8]) -> HeaderMap {
    scratch.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> (HeaderName, HeaderValue) {
    let colon = line.iter().position(|byte| *byte == b':').expect("because a colon was written");
    let name = HeaderName::from_bytes(&line[..colon]).expect("because it was a name");
    let value = HeaderValue::from_bytes(&line[colon + 2..]).expect("because it was a value");
    (name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_being_remembered() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("x-a", ""), ("x-colon", "a: b:c"), ("x-space", " ")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("x-raw", HeaderValue::from_bytes(b"\xff\t\x80").expect("obs-text"));
        let mut scratch = b"of the request before".to_vec();
        remember(&headers, &mut scratch);
        assert_eq!(remembered(&scratch), headers);
    }
}
