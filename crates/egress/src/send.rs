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
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::connect::{Connector, Socket, micros};
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
    let headers = with_framing(headers, &method, &target, &body);
    let mut attempt = Attempt {
        budgets,
        target: &target,
        body_rule,
        deadline,
        timer: pin!(sleep_until(deadline)),
        timing: Timing::default(),
    };

    let mut redialled = false;
    let pooled = pool.take(&key, reuse, began);
    let mut reused = pooled.is_some();
    let mut socket = match pooled {
        Some(socket) => socket,
        None => match connector.open(&target, deadline, &mut attempt.timing).await {
            Ok(socket) => socket,
            Err(failure) => return attempt.exchange(Err(failure), None, began),
        },
    };
    // The copy is for the second try, which only a kept-alive socket can need.
    let spare = reused.then(|| headers.clone());
    let mut result = attempt.request(&mut socket, message(&method, &target, headers, &body)).await;
    if let Some(headers) = spare
        && result.as_ref().is_err_and(Failure::is_dead_socket)
    {
        (reused, redialled) = (false, true);
        socket = match connector.open(&target, deadline, &mut attempt.timing).await {
            Ok(socket) => socket,
            Err(failure) => {
                return Exchange { redialled, ..attempt.exchange(Err(failure), None, began) };
            }
        };
        result = attempt.request(&mut socket, message(&method, &target, headers, &body)).await;
    }
    let peer = Some(socket.peer);
    let result = result.map(|answer| {
        if answer.keeps_socket && socket.is_idle() {
            pool.put(key, socket, Instant::now());
        }
        answer.response
    });
    Exchange { reused, redialled, ..attempt.exchange(result, peer, began) }
}

/// One attempt while it goes on.
struct Attempt<'a> {
    budgets: &'a Budgets,
    target: &'a Target,
    body_rule: ReadBody,
    deadline: Instant,
    /// Set to the deadline; moved forward when the body has less time.
    timer: Pin<&'a mut Sleep>,
    timing: Timing,
}

struct Answer {
    response: Response,
    /// As far as the response says: it was read to its end, and its framing leaves no doubt where that is.
    keeps_socket: bool,
}

impl Attempt<'_> {
    async fn request(&mut self, socket: &mut Socket, message: Message) -> Result<Answer, Failure> {
        let began = Instant::now();
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
        self.timing.body_us = micros(head_at.elapsed());
        Ok(Answer {
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
        let mut response = pin!(socket.sender.send_request(message));
        let driver = &mut socket.driver;
        let timer = &mut self.timer;
        poll_fn(move |cx| {
            let ended = Pin::new(&mut *driver).poll(cx).is_ready();
            if let Poll::Ready(result) = response.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(|error| explain::no_response(target, &error)));
            }
            if ended {
                return Poll::Ready(Err(explain::closed()));
            }
            // Without a budget of its own a flooding peer would use up the task's, and the timer would never be asked.
            if pin!(unconstrained(timer.as_mut())).poll(cx).is_ready() {
                return Poll::Ready(Err(explain::timed_out()));
            }
            Poll::Pending
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
        let driver = &mut socket.driver;
        let timer = &mut self.timer;
        let mut ended = false;
        let mut timer_is_set = until == self.deadline;
        read.end = poll_fn(|cx| {
            loop {
                let mut next = Pin::new(&mut body).poll_frame(cx);
                if next.is_pending() && !ended {
                    ended = Pin::new(&mut *driver).poll(cx).is_ready();
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
                    Poll::Pending if ended => return Poll::Ready(BodyEnd::Broken),
                    Poll::Pending => break,
                }
            }
            if !timer_is_set {
                timer_is_set = true;
                timer.as_mut().reset(until);
            }
            if pin!(unconstrained(timer.as_mut())).poll(cx).is_ready() {
                return Poll::Ready(BodyEnd::TimedOut);
            }
            Poll::Pending
        })
        .await;
        read
    }

    fn exchange(
        self,
        result: Result<Response, Failure>,
        peer: Option<SocketAddr>,
        began: Instant,
    ) -> Exchange {
        let timing = Timing { total_us: micros(began.elapsed()), ..self.timing };
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
        // Copied: a slice would hold the connection's whole read buffer for as long as the excerpt lives.
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
    let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 3).sum();
    let mut text = Vec::with_capacity(length.min(HEAD_KEPT_BYTES));
    for (name, value) in headers {
        if text.len() + name.as_str().len() + value.len() + 3 > HEAD_KEPT_BYTES {
            break;
        }
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.push(b'\n');
    }
    Bytes::from(text)
}
