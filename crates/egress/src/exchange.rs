//! What goes into an attempt and what comes out of it. Plain data: the engine turns it into rows, tests into expectations.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::Target;

/// One HTTP request of one attempt.
///
/// On the wire are these headers, then `Host` and `Content-Length`, and nothing else. Names go out in title case.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub target: Target,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The whole attempt: names, connection, TLS, request, response and its body.
    pub timeout: Duration,
    /// Sockets are shared within a partition (a tenant), never across.
    pub partition: [u8; 16],
    pub reuse: Reuse,
    pub body_rule: ReadBody,
}

/// Without path, headers and body: all three may hold credentials.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("origin", self.target.origin())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Which kept-alive sockets the attempt may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    Any,
    /// Only one that was idle for less than this: an attempt that is not repeated should not meet a socket that its
    /// peer is about to close.
    FreshWithin(Duration),
}

/// What the response's body is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBody {
    /// For the log: reading ends `at_most` after the head, and a body that stalls is no failure.
    ForLog { at_most: Duration },
    /// The caller judges how the body ended: reading goes on until the attempt's timeout.
    ToTheEnd,
    /// The same, for a caller who needs all of it: so much is kept, and no more is read.
    Whole { bytes_max: usize },
}

/// An attempt as seen from here.
#[derive(Debug)]
pub struct Exchange {
    pub result: Result<Response, Failure>,
    pub timing: Timing,
    /// Who was dialled: the vetted address. `None` when no connection came about.
    pub peer: Option<SocketAddr>,
    /// The request went over a kept-alive socket.
    pub reused: bool,
    /// A kept-alive socket turned out dead before a byte was written to it, so another was dialled.
    pub redialled: bool,
}

/// Microseconds. A phase that did not happen is 0 (a reused socket has neither `dns` nor `connect` nor `tls`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    pub dns_us: u64,
    pub connect_us: u64,
    pub tls_us: u64,
    /// From the first byte of the request until the response's head.
    pub wait_us: u64,
    pub body_us: u64,
    pub total_us: u64,
}

/// A response with a status from 200 to 599.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The headers as `name: value` lines, cut at a whole line below [`crate::HEAD_KEPT_BYTES`].
    pub head: Bytes,
    /// The first `Retry-After`, as received.
    pub retry_after: Option<Bytes>,
    /// The beginning of the body, at most `response_kept_bytes` (or what [`ReadBody::Whole`] says), as received: not decompressed, not decoded.
    pub body: Bytes,
    /// Bytes of the body that were read; with [`BodyEnd::Complete`] its length.
    pub body_bytes: u64,
    pub body_end: BodyEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// Read to its end.
    Complete,
    /// More than `response_read_bytes`, or in more than 8,192 chunks: reading stopped there.
    Capped,
    /// Not at its end when the time was up.
    TimedOut,
    /// The connection broke, or the body's framing did.
    Broken,
}

/// No response that could be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: FailureClass,
    /// A sentence for the tenant. It names no address that the tenant did not name.
    pub detail: String,
    /// At least one byte of the request may have reached the network. When false, the receiver saw nothing.
    pub bytes_sent: bool,
}

/// In which phase an attempt failed. Time that runs out belongs to the phase: `Timeout` is the wait for the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    Dns,
    Connect,
    Tls,
    Timeout,
    Reset,
    Protocol,
    Blocked,
}

impl FailureClass {
    /// As in logs, metrics and the API: the attempt class of the same name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::Blocked => "blocked_target",
        }
    }
}

impl Failure {
    /// The socket failed before it took a byte of the request, so that another may be tried.
    pub(crate) fn is_dead_socket(&self) -> bool {
        !self.bytes_sent && self.class != FailureClass::Timeout
    }
}
