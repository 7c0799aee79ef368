//! From a target to a connection: resolve, vet, dial the vetted address, TLS, HTTP/1.1. Used by `send` only.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::explain;
use crate::policy::{Policy, is_localhost};
use crate::resolve::Resolve;
use crate::target::{Target, TargetHost};
use crate::{Budgets, Failure, FailureClass, Timing};

/// Of an answer this many addresses are tried. Each gets its share of what is left of the connect budget.
const ADDRESSES_TRIED_MAX: usize = 6;

/// What hyper's buffers need at least.
const BUFFER_BYTES_MIN: usize = 8192;
/// hyper's own bound on headers, for which it needs no allocation.
const HEADERS_MAX_UNALLOCATED: usize = 100;

/// Makes connections.
#[derive(Debug)]
pub(crate) struct Connector {
    policy: Policy,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnectorDebug,
    http: Builder,
    dns: Duration,
    connect: Duration,
    tls_budget: Duration,
}

/// An HTTP/1.1 connection with everything that belongs to it. Nobody polls it but its owner: dropping it closes the socket.
pub(crate) struct Socket {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    driver: Connection<TokioIo<Stream>, Full<Bytes>>,
    driven: Driven,
    pub(crate) traffic: Arc<Traffic>,
    /// Set anew for every request. Moving a timer to a later time takes no lock; making one does, and dropping it.
    pub(crate) timer: Pin<Box<Sleep>>,
    /// For the request on its way; kept for its memory only.
    pub(crate) scratch: Vec<u8>,
    pub(crate) peer: SocketAddr,
    pub(crate) dialled: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driven {
    Open,
    /// The connection is closed. Nothing more comes of it.
    Ended,
}

/// Bytes that the network took and gave, below TLS: zero more of them written is the proof that a request was not begun.
///
/// Shared between the stream, which is inside the connection, and its user; both are in one task, so nothing is ordered by it.
#[derive(Debug)]
pub(crate) struct Traffic {
    written: AtomicU64,
    read: AtomicU64,
    /// Reading fails once `read` has come this far.
    read_limit: AtomicU64,
}

/// The error of a read beyond [`Traffic::limit_reading`].
#[derive(Debug, thiserror::Error)]
#[error("the peer sent more than was to be read")]
pub(crate) struct ReadLimit;

pub(crate) enum Stream {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
}

pub(crate) struct Counted {
    tcp: TcpStream,
    traffic: Arc<Traffic>,
}

/// `TlsConnector` without its roots in debug output.
struct TlsConnectorDebug(TlsConnector);

impl std::fmt::Debug for TlsConnectorDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl Connector {
    pub(crate) fn new(
        policy: Policy,
        resolver: Arc<dyn Resolve>,
        tls: Arc<rustls::ClientConfig>,
        budgets: &Budgets,
    ) -> Self {
        let mut http = Builder::new();
        http.title_case_headers(true)
            .max_header_size(budgets.response_head_bytes)
            .max_buf_size(budgets.response_head_bytes.max(BUFFER_BYTES_MIN));
        if budgets.response_headers_max != HEADERS_MAX_UNALLOCATED {
            http.max_headers(budgets.response_headers_max);
        }
        Self {
            policy,
            resolver,
            tls: TlsConnectorDebug(TlsConnector::from(tls)),
            http,
            dns: budgets.dns,
            connect: budgets.connect,
            tls_budget: budgets.tls,
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A new connection to `target`, vetted now. `timing` gets the phases, also those of a failure.
    pub(crate) async fn open(
        &self,
        target: &Target,
        deadline: Instant,
        timing: &mut Timing,
    ) -> Result<Box<Socket>, Failure> {
        let began = Instant::now();
        let resolved = self.resolve(target, deadline).await;
        let resolved_at = Instant::now();
        timing.dns_us = micros(resolved_at - began);
        let addresses = resolved?;
        self.policy.vet(target, &addresses).map_err(|blocked| explain::blocked(target, &blocked))?;

        let connected = self.connect(target, &addresses, deadline).await;
        let connected_at = Instant::now();
        timing.connect_us = micros(connected_at - resolved_at);
        let (tcp, peer) = connected?;

        let traffic = Arc::new(Traffic::default());
        let counted = Counted { tcp, traffic: Arc::clone(&traffic) };
        let stream = if target.is_https() {
            let secured = self.secure(target, counted, deadline).await;
            timing.tls_us = micros(connected_at.elapsed());
            secured?
        } else {
            Stream::Plain(counted)
        };
        let (sender, driver) = self
            .http
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| explain::failure(FailureClass::Protocol, "The connection could not be used."))?;
        Ok(Box::new(Socket {
            sender,
            driver,
            driven: Driven::Open,
            traffic,
            timer: Box::pin(sleep_until(deadline)),
            scratch: Vec::new(),
            peer,
            dialled: connected_at,
        }))
    }

    async fn resolve(&self, target: &Target, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
        let name = match target.host() {
            TargetHost::Address(address) => return Ok(vec![*address]),
            TargetHost::Name(name) if is_localhost(name) => {
                let open = self.policy.localhost_addresses(name);
                return if open.is_empty() { Err(explain::blocked_name(target)) } else { Ok(open) };
            }
            TargetHost::Name(name) => name,
        };
        match timeout_at(earlier(deadline, self.dns), self.resolver.addresses(name)).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(explain::unresolved(name, &error)),
            Err(_elapsed) => Err(explain::failure(
                FailureClass::Dns,
                format!("The name {name} could not be resolved in time."),
            )),
        }
    }

    /// Tries the vetted addresses in turn. The last failure is the one that is told.
    async fn connect(
        &self,
        target: &Target,
        addresses: &[IpAddr],
        deadline: Instant,
    ) -> Result<(TcpStream, SocketAddr), Failure> {
        let until = earlier(deadline, self.connect);
        let tried = &addresses[..addresses.len().min(ADDRESSES_TRIED_MAX)];
        let mut failure = explain::failure(FailureClass::Dns, "The endpoint's name has no address.");
        for (index, address) in tried.iter().enumerate() {
            let peer = SocketAddr::new(address.to_canonical(), target.port());
            let now = Instant::now();
            let left = u32::try_from(tried.len() - index).expect("because few addresses are tried");
            let share = until.saturating_duration_since(now) / left;
            match timeout_at(now + share, dial(peer)).await {
                Ok(Ok(tcp)) => return self.check_peer(target, tcp, peer),
                Ok(Err(error)) => failure = explain::unconnected(&error),
                Err(_elapsed) => {
                    failure = explain::failure(
                        FailureClass::Connect,
                        "The endpoint did not accept the connection in time.",
                    );
                }
            }
        }
        Err(failure)
    }

    /// Whatever routed this connection, it has to have ended where it was sent.
    fn check_peer(
        &self,
        target: &Target,
        tcp: TcpStream,
        dialled: SocketAddr,
    ) -> Result<(TcpStream, SocketAddr), Failure> {
        let peer = tcp.peer_addr().map_err(|error| explain::unconnected(&error))?;
        let same = peer.ip().to_canonical() == dialled.ip() && peer.port() == dialled.port();
        let vetted = self.policy.vet(target, &[peer.ip()]);
        match vetted {
            Ok(()) if same => Ok((tcp, dialled)),
            Ok(()) => Err(explain::blocked_name(target)),
            Err(blocked) => Err(explain::blocked(target, &blocked)),
        }
    }

    async fn secure(&self, target: &Target, counted: Counted, deadline: Instant) -> Result<Stream, Failure> {
        let handshake = self.tls.0.connect(target.server_name().clone(), counted);
        match timeout_at(earlier(deadline, self.tls_budget), handshake).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(explain::insecure(target, &error)),
            Err(_elapsed) => Err(explain::failure(
                FailureClass::Tls,
                "The endpoint did not complete the TLS handshake in time.",
            )),
        }
    }
}

/// The product's one way to a foreign host. `peer` was vetted.
#[expect(clippy::disallowed_methods, reason = "egress is where bytes go out, and this is its only dial")]
async fn dial(peer: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(peer).await?;
    // Requests are written whole; waiting for more only delays them.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

fn earlier(deadline: Instant, budget: Duration) -> Instant {
    deadline.min(Instant::now() + budget)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Socket {
    /// Lets the connection do what it can: write, read, notice its end.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> Driven {
        if self.driven == Driven::Open && Pin::new(&mut self.driver).poll(cx).is_ready() {
            self.driven = Driven::Ended;
        }
        self.driven
    }

    /// Outside the task's budget: a peer that floods us would use that up, and the timer would never be asked.
    pub(crate) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        pin!(unconstrained(self.timer.as_mut())).poll(cx)
    }

    /// After a response: whether the connection is open and asks for the next request. It asks after it has seen that nothing
    /// follows the response, so one that asks already need not be driven.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.driven == Driven::Open && (self.sender.is_ready() || self.is_quiet())
    }

    /// Whether an idle connection is still open and nothing came that nobody asked for. Nobody is woken by what comes later: the
    /// next user drives it again.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop())) == Driven::Open && self.sender.is_ready()
    }
}

impl Traffic {
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Lets `bytes` more be read, or at most one buffer more than that. It holds within a single poll, in which a flooding peer
    /// could otherwise keep the connection's loop busy for as long as its socket has data.
    pub(crate) fn limit_reading(&self, bytes: u64) {
        self.read_limit.store(self.read.load(Ordering::Relaxed).saturating_add(bytes), Ordering::Relaxed);
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self { written: AtomicU64::new(0), read: AtomicU64::new(0), read_limit: AtomicU64::new(u64::MAX) }
    }
}

impl Counted {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = result {
            self.traffic.written.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.traffic.read.load(Ordering::Relaxed);
        if read >= self.traffic.read_limit.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::other(ReadLimit)));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.tcp).poll_read(cx, buf);
        let bytes = buf.filled().len() - before;
        self.traffic.read.store(read + bytes as u64, Ordering::Relaxed);
        result
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
