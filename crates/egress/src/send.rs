//! One attempt: a socket, one request on it, its response within the bounds, and the verdict whether the socket is kept.
//!
//! The connection is driven from here, inside the caller's future. There is no task per connection: an attempt that is dropped
//! takes its socket along, and an idle socket costs nothing but memory.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;

use crate::connect::{Connector, ReadLimit, Socket, Unasked, micros};
use crate::http1::{self, BodyReader, Framing, Head, HeadError, Parsed, Step};
use crate::pool::{Pool, PoolKey};
use crate::{
    BodyEnd, Budgets, Exchange, Failure, FailureClass, ReadBody, Request, Response, Target, Timing, explain,
};

/// A body up to this goes out in one piece with its head; to copy it costs less than a second write.
const COPIED_BODY_BYTES_MAX: usize = 8 * 1024;
/// A head that comes in more reads than this is only looked at again once it may be whole: to parse it anew for every byte
/// would take the square of its length.
const EAGER_PARSES: u32 = 64;
/// What may be read of the network, as a multiple of what is to be read: TLS and chunks wrap it.
const WRAPPING: usize = 4;
/// So that a small budget still lets the end of a body be read.
const BODY_BYTES_MIN: usize = 64 * 1024;

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
    let write = |out: &mut Vec<u8>| {
        out.clear();
        http1::write_head(out, &method, target.path(), target.host_header(), &headers, body.len());
        if body.len() <= COPIED_BODY_BYTES_MAX {
            out.extend_from_slice(&body);
        }
    };
    let rest = if body.len() <= COPIED_BODY_BYTES_MAX { Bytes::new() } else { body.clone() };
    let timing = Timing::default();
    let mut attempt =
        Attempt { budgets, target: &target, method: &method, rest, body_rule, deadline, timing };

    let mut redialled = false;
    if let Some(mut socket) = pool.take(&key, reuse, began) {
        write(&mut socket.outbound);
        let result = attempt.request(&mut socket, began).await;
        if !result.as_ref().is_err_and(Failure::is_dead_socket) {
            let exchange = attempt.conclude(pool, key, socket, result, began);
            return Exchange { reused: true, ..exchange };
        }
        redialled = true;
    }
    // Boxed, so that the future of the usual attempt, which needs none of it, stays small.
    let opened = Box::pin(connector.open(&target, deadline, &mut attempt.timing)).await;
    let exchange = match opened {
        Ok(mut socket) => {
            write(&mut socket.outbound);
            let result = attempt.request(&mut socket, Instant::now()).await;
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
    method: &'a Method,
    /// Of the request: what comes after the socket's `outbound`.
    rest: Bytes,
    body_rule: ReadBody,
    deadline: Instant,
    timing: Timing,
}

struct Answer {
    response: Response,
    ended: Instant,
    /// As far as the exchange says: the request is out, the response was read to its end, and its framing leaves no doubt where
    /// that is.
    keeps_socket: bool,
}

/// How far a request is written.
#[derive(Default)]
struct Written {
    bytes: usize,
    done: bool,
}

impl Attempt<'_> {
    async fn request(&mut self, socket: &mut Socket, began: Instant) -> Result<Answer, Failure> {
        match socket.unasked() {
            Unasked::Nothing => {}
            Unasked::Data => return Err(explain::unasked()),
            Unasked::End => return Err(explain::closed()),
            Unasked::Error(error) => return Err(explain::broken(self.target, &error)),
        }
        let written_before = socket.written();
        let mut written = Written::default();
        let head = self.head(socket, &mut written).await;
        let head_at = Instant::now();
        self.timing.wait_us = micros(head_at - began);
        let bytes_sent = socket.written() > written_before;
        let head = match head {
            // An answer to what is still to be asked.
            Ok(_) if !bytes_sent => return Err(explain::unasked()),
            Ok(head) => head,
            Err(failure) => return Err(Failure { bytes_sent, ..failure }),
        };
        let Head { status, text, retry_after, framing, keeps_socket } = head;
        if !(200..=599).contains(&status) {
            let detail =
                format!("The endpoint answered with status {status}, which is no answer to a request.");
            return Err(Failure { class: FailureClass::Protocol, detail, bytes_sent: true });
        }
        let read = self.body(socket, &mut written, framing, head_at).await;
        let ended = Instant::now();
        self.timing.body_us = micros(ended - head_at);
        Ok(Answer {
            ended,
            keeps_socket: keeps_socket && written.done && read.end == BodyEnd::Complete,
            response: Response {
                status,
                head: text,
                retry_after,
                body: Bytes::from(read.kept),
                body_bytes: read.bytes,
                body_end: read.end,
            },
        })
    }

    /// Writes what the network takes of the request.
    fn poll_write(
        &self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
        written: &mut Written,
    ) -> Poll<io::Result<()>> {
        while !written.done {
            let head = socket.outbound.len();
            let bytes = if written.bytes < head {
                ready!(socket.poll_write_outbound(cx, written.bytes))?
            } else if written.bytes < head + self.rest.len() {
                ready!(socket.poll_write(cx, &self.rest[written.bytes - head..]))?
            } else {
                ready!(socket.poll_flush(cx))?;
                written.done = true;
                return Poll::Ready(Ok(()));
            };
            if bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            written.bytes += bytes;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the request and reads until the response's head is there, which may be before all is written.
    async fn head(&mut self, socket: &mut Socket, written: &mut Written) -> Result<Head, Failure> {
        socket.timer.as_mut().reset(self.deadline);
        socket.limit_reading(WRAPPING * self.budgets.response_head_bytes);
        let mut unwritten: Option<io::Error> = None;
        let mut parser =
            HeadParser { method: self.method, budgets: self.budgets, seen: 0, parses: 0, skipped: 0 };
        poll_fn(|cx| {
            // A peer that takes no more may have answered before: its words count, if there are any.
            if unwritten.is_none()
                && let Poll::Ready(Err(error)) = self.poll_write(socket, cx, written)
            {
                unwritten = Some(error);
            }
            while let Poll::Ready(read) = socket.poll_read(cx, self.budgets.response_head_bytes) {
                match (read, &unwritten) {
                    (Ok(0), None) => return Poll::Ready(Err(explain::closed())),
                    (Ok(0), Some(error)) => return Poll::Ready(Err(explain::broken(self.target, error))),
                    (Err(error), _) => return Poll::Ready(Err(explain::broken(self.target, &error))),
                    (Ok(_), _) => {}
                }
                if let Some(head) = parser.next(socket).transpose() {
                    return Poll::Ready(head);
                }
            }
            match &unwritten {
                // What the peer said before it broke the connection is on its way to us, or the news that it did.
                Some(error) if !is_of_socket(error) => {
                    return Poll::Ready(Err(explain::broken(self.target, error)));
                }
                _ => {}
            }
            socket.poll_timer(cx).map(|()| Err(explain::timed_out()))
        })
        .await
    }

    /// Reads what the rule and the budgets allow. How it ended is part of the answer, never a failure.
    async fn body(
        &mut self,
        socket: &mut Socket,
        written: &mut Written,
        framing: Framing,
        head_at: Instant,
    ) -> ReadSoFar {
        let mut read = ReadSoFar { kept: Vec::new(), bytes: 0, pieces: 0, end: BodyEnd::Complete };
        let (kept_bytes, read_bytes) = match self.body_rule {
            ReadBody::Whole { bytes_max } => (bytes_max, bytes_max),
            ReadBody::ForLog { .. } | ReadBody::ToTheEnd => {
                (self.budgets.response_kept_bytes, self.budgets.response_read_bytes)
            }
        };
        let mut reader = BodyReader::new(framing);
        socket.limit_reading(WRAPPING * read_bytes.max(BODY_BYTES_MIN));
        let until = match self.body_rule {
            ReadBody::ForLog { at_most } => self.deadline.min(head_at + at_most),
            ReadBody::ToTheEnd | ReadBody::Whole { .. } => self.deadline,
        };
        let mut timer_is_set = until == self.deadline;
        read.end = poll_fn(|cx| {
            loop {
                let Ok((step, taken)) = reader.step(socket.inbound.bytes()) else {
                    return Poll::Ready(BodyEnd::Broken);
                };
                let step = match step {
                    Step::Data(data) => read.add(data, kept_bytes, read_bytes).map(|()| Step::Data(&[])),
                    Step::More => Ok(Step::More),
                    Step::End => Ok(Step::End),
                };
                socket.inbound.used(taken);
                match step {
                    Err(TooMuch) => return Poll::Ready(BodyEnd::Capped),
                    Ok(Step::Data(_)) => continue,
                    Ok(Step::End) => return Poll::Ready(BodyEnd::Complete),
                    Ok(Step::More) => {}
                }
                // A peer may want the rest of the request before it gives the rest of its answer. If it cannot be written,
                // it stays undone, and the socket is not kept.
                let _ = self.poll_write(socket, cx, written);
                match socket.poll_read_body(cx) {
                    Poll::Ready(Ok(0)) if reader.ends_with_connection() => {
                        return Poll::Ready(BodyEnd::Complete);
                    }
                    Poll::Ready(Err(error)) if ReadLimit::is(&error) => return Poll::Ready(BodyEnd::Capped),
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(BodyEnd::Broken),
                    Poll::Ready(Ok(_)) => {}
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
                if answer.keeps_socket && socket.is_quiet() {
                    socket.give_up_memory();
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

/// Finds the final response's head in what was read.
struct HeadParser<'a> {
    method: &'a Method,
    budgets: &'a Budgets,
    /// Of the unused bytes: how many were looked at.
    seen: usize,
    parses: u32,
    /// Bytes of interim responses and of empty lines so far.
    skipped: usize,
}

impl HeadParser<'_> {
    /// `None`: more has to be read, for which there is room.
    fn next(&mut self, socket: &mut Socket) -> Result<Option<Head>, Failure> {
        loop {
            // Empty lines before an answer mean nothing (RFC 9112 §2.2).
            let empty =
                socket.inbound.bytes().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            socket.inbound.used(empty);
            self.seen = self.seen.saturating_sub(empty);
            self.skip(empty)?;
            let bytes = socket.inbound.bytes();
            let may_be_whole = self.parses < EAGER_PARSES || ends_a_head(bytes, self.seen);
            self.seen = bytes.len();
            self.parses += 1;
            let parsed = if may_be_whole {
                http1::parse_head(bytes, self.method, self.budgets.response_headers_max)
                    .map_err(explain::bad_head)?
            } else {
                Parsed::Partial
            };
            match parsed {
                Parsed::Final(head, length) => {
                    socket.inbound.used(length);
                    return Ok(Some(head));
                }
                Parsed::Interim(length) => {
                    socket.inbound.used(length);
                    self.seen = 0;
                    self.skip(length)?;
                }
                Parsed::Partial if bytes.len() >= self.budgets.response_head_bytes => {
                    return Err(explain::bad_head(HeadError::TooLarge));
                }
                Parsed::Partial => return Ok(None),
            }
        }
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Failure> {
        self.skipped += bytes;
        if self.skipped > self.budgets.response_head_bytes {
            return Err(explain::endless_interim());
        }
        Ok(())
    }
}

/// Whether an error of writing says no more than that the connection is broken.
fn is_of_socket(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Whether an empty line ends after `seen`.
fn ends_a_head(bytes: &[u8], seen: usize) -> bool {
    let mut after_line = false;
    for byte in &bytes[seen.saturating_sub(2)..] {
        match byte {
            b'\n' if after_line => return true,
            b'\n' => after_line = true,
            b'\r' => {}
            _ => after_line = false,
        }
    }
    false
}

/// Of a chunked body. 8,192 of them take some 3 ms however small they are; 256 KiB in single bytes would take 100 ms.
const PIECES_MAX: u32 = 8192;

struct ReadSoFar {
    kept: Vec<u8>,
    bytes: u64,
    pieces: u32,
    end: BodyEnd,
}

/// What may be read of a body was read.
struct TooMuch;

impl ReadSoFar {
    fn add(&mut self, data: &[u8], kept_bytes: usize, read_bytes: usize) -> Result<(), TooMuch> {
        let kept = data.len().min(kept_bytes.saturating_sub(self.kept.len()));
        // Copied: a slice would hold the connection's whole read buffer for as long as the excerpt lives. Exactly, since most
        // bodies come in one piece.
        self.kept.reserve_exact(kept);
        self.kept.extend_from_slice(&data[..kept]);
        self.bytes += data.len() as u64;
        self.pieces += 1;
        let too_much = self.bytes > read_bytes as u64 || self.pieces > PIECES_MAX;
        if too_much { Err(TooMuch) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_seen_however_it_is_cut() {
        for head in ["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\n"] {
            let bytes = head.as_bytes();
            for seen in 0..bytes.len() {
                assert!(ends_a_head(bytes, seen), "{head:?} after {seen}");
                assert!(
                    !ends_a_head(&bytes[..bytes.len() - 1], seen.min(bytes.len() - 1)),
                    "{head:?} after {seen}"
                );
            }
        }
    }
}
