//! From a target to a connection: resolve, vet, dial the vetted address, TLS; and the connection. Used by `send` only.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

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

/// What an idle socket keeps of its buffers: enough for most requests and answers.
const BUFFER_KEPT_BYTES: usize = 8 * 1024;
/// What a peer may send during the TLS handshake: certificates, most of it.
const HANDSHAKE_BYTES_MAX: usize = 256 * 1024;
/// What a peer may send between requests: session tickets.
const UNASKED_BYTES_MAX: usize = 16 * 1024;
/// What is read first. Most answers fit.
const READ_BYTES_MIN: usize = 2 * 1024;
/// To read a body, the buffer grows to this.
const READ_BYTES_MAX: usize = 16 * 1024;

/// Makes connections.
#[derive(Debug)]
pub(crate) struct Connector {
    policy: Policy,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnectorDebug,
    dns: Duration,
    connect: Duration,
    tls_budget: Duration,
}

/// A connection with everything that belongs to it. Nobody polls it but its owner: dropping it closes the socket.
pub(crate) struct Socket {
    stream: Stream,
    /// The request on its way.
    pub(crate) outbound: Vec<u8>,
    pub(crate) inbound: Inbound,
    /// Set anew for every request. Moving a timer to a later time takes no lock; making one does, and dropping it.
    pub(crate) timer: Pin<Box<Sleep>>,
    pub(crate) peer: SocketAddr,
    pub(crate) dialled: Instant,
}

/// What was read and not yet used.
#[derive(Default)]
pub(crate) struct Inbound {
    /// All of it initialised; what was read lies between `start` and `end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read filled it: there may be more.
    was_full: bool,
}

enum Stream {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
}

/// What the network took and gave, below TLS: zero more bytes written is the proof that a request was not begun.
struct Counted {
    tcp: TcpStream,
    written: u64,
    /// How much more may be read. Records without data come to nobody above TLS, and a peer that floods us with them would
    /// keep us busy within a single poll, in which no timer is asked.
    readable: usize,
}

/// The error of a read beyond [`Socket::limit_reading`].
#[derive(Debug, thiserror::Error)]
#[error("the peer sent more than was to be read")]
pub(crate) struct ReadLimit;

impl ReadLimit {
    pub(crate) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
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
        Self {
            policy,
            resolver,
            tls: TlsConnectorDebug(TlsConnector::from(tls)),
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

        let counted = Counted { tcp, written: 0, readable: HANDSHAKE_BYTES_MAX };
        let stream = if target.is_https() {
            let secured = self.secure(target, counted, deadline).await;
            timing.tls_us = micros(connected_at.elapsed());
            secured?
        } else {
            Stream::Plain(counted)
        };
        Ok(Box::new(Socket {
            stream,
            outbound: Vec::new(),
            inbound: Inbound::default(),
            timer: Box::pin(sleep_until(deadline)),
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
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, bytes)
    }

    /// Writes of `outbound` what comes after `at`.
    pub(crate) fn poll_write_outbound(&mut self, cx: &mut Context<'_>, at: usize) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, &self.outbound[at..])
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            // Nothing is buffered.
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Bytes that the network took, since the dial.
    pub(crate) fn written(&self) -> u64 {
        match &self.stream {
            Stream::Plain(counted) => counted.written,
            Stream::Tls(stream) => stream.get_ref().0.written,
        }
    }

    /// From here on, reading fails after so many bytes of the network.
    pub(crate) fn limit_reading(&mut self, bytes: usize) {
        match &mut self.stream {
            Stream::Plain(counted) => counted.readable = bytes,
            Stream::Tls(stream) => stream.get_mut().0.readable = bytes,
        }
    }

    /// Reads what is there into `inbound`; zero bytes are the end. `room`: as far as the buffer may grow.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let spare = self.inbound.spare(room);
        let wanted = spare.len();
        let mut buf = ReadBuf::new(spare);
        ready!(match &mut self.stream {
            Stream::Plain(counted) => Pin::new(counted).poll_read(cx, &mut buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buf),
        })?;
        let bytes = buf.filled().len();
        self.inbound.end += bytes;
        self.inbound.was_full = bytes == wanted;
        Poll::Ready(Ok(bytes))
    }

    /// As much of a body as is read at once.
    pub(crate) fn poll_read_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read(cx, READ_BYTES_MAX)
    }

    /// Outside the task's budget: a peer that floods us would use that up, and the timer would never be asked.
    pub(crate) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        pin!(unconstrained(self.timer.as_mut())).poll(cx)
    }

    /// What the peer did while nobody asked it for anything. Nobody is woken by what comes later: the next user looks again.
    pub(crate) fn unasked(&mut self) -> Unasked {
        if !self.inbound.bytes().is_empty() {
            return Unasked::Data;
        }
        self.limit_reading(UNASKED_BYTES_MAX);
        // Outside the task's budget, without which every socket would seem quiet.
        let read = poll_fn(|cx| self.poll_read(cx, READ_BYTES_MIN));
        match pin!(unconstrained(read)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Unasked::Nothing,
            Poll::Ready(Ok(0)) => Unasked::End,
            Poll::Ready(Ok(_)) => Unasked::Data,
            Poll::Ready(Err(error)) => Unasked::Error(error),
        }
    }

    pub(crate) fn is_quiet(&mut self) -> bool {
        matches!(self.unasked(), Unasked::Nothing)
    }

    /// Before it waits among the idle ones.
    pub(crate) fn give_up_memory(&mut self) {
        self.outbound.clear();
        self.outbound.shrink_to(BUFFER_KEPT_BYTES);
        if self.inbound.buffer.len() > BUFFER_KEPT_BYTES {
            self.inbound = Inbound::default();
        }
    }
}

pub(crate) enum Unasked {
    Nothing,
    Data,
    End,
    Error(io::Error),
}

impl Inbound {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The first `count` bytes are used.
    pub(crate) fn used(&mut self, count: usize) {
        self.start += count;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Where to read to. Never empty: whoever lets the buffer be full up to `room` has to use some of it first.
    fn spare(&mut self, room: usize) -> &mut [u8] {
        if self.start > 0 && self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let length = self.buffer.len();
        if self.end == length || (self.was_full && length < room) {
            let grown = (length * 4).clamp(READ_BYTES_MIN, room.max(READ_BYTES_MIN));
            self.buffer.resize(grown.max(length + 1), 0);
        }
        &mut self.buffer[self.end..]
    }
}

impl Stream {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.readable == 0 {
            return Poll::Ready(Err(io::Error::other(ReadLimit)));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        self.readable = self.readable.saturating_sub(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.tcp).poll_write(cx, buf))?;
        self.written += bytes as u64;
        Poll::Ready(Ok(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs))?;
        self.written += bytes as u64;
        Poll::Ready(Ok(bytes))
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn nobody_reads_beyond_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let tcp = dial(listener.local_addr().expect("bound")).await.expect("it listens");
        let (mut peer, _) = listener.accept().await.expect("it was dialled");
        let mut counted = Counted { tcp, written: 0, readable: 3 };
        peer.write_all(b"abcdef").await.expect("an open connection");
        let mut bytes = [0; 2];
        for (expected, left) in [(b"ab", 1), (b"cd", 0)] {
            counted.read_exact(&mut bytes).await.expect("within the limit, or one read beyond it");
            assert_eq!((&bytes, counted.readable), (expected, left));
        }
        let error = counted.read_exact(&mut bytes).await.expect_err("the limit");
        assert!(ReadLimit::is(&error));
    }
}
