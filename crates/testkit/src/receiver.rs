//! An ordinary webhook endpoint on loopback: it writes everything down and answers as it is told.

use std::collections::VecDeque;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::tls::{Flaw, TestAuthority};
use crate::wire::{self, WireRequest};

/// How long a test waits for requests that never come. Not a pause: what comes is seen at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Counts connections from 0 in the order in which they were accepted.
    pub connection: usize,
    pub request: WireRequest,
}

impl std::ops::Deref for Received {
    type Target = WireRequest;

    fn deref(&self) -> &WireRequest {
        &self.request
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    gate: Option<Gate>,
}

impl Answer {
    /// 200 with an empty body.
    pub fn ok() -> Self {
        Self::status(200)
    }

    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), gate: None }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The answer is kept back until the gate is open.
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    fn to_wire(&self) -> Vec<u8> {
        // A reason phrase may be empty (RFC 9112, section 4); the space before it may not be left out.
        let mut wire = format!("HTTP/1.1 {} \r\n", self.status);
        // These two have no body and may not speak of its length (RFC 9110, section 8.6).
        if !matches!(self.status, 204 | 304) {
            wire.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            wire.push_str(&format!("{name}: {value}\r\n"));
        }
        wire.push_str("\r\n");
        let mut wire = wire.into_bytes();
        wire.extend_from_slice(&self.body);
        wire
    }
}

/// Holds answers back. One that is never opened makes an endpoint that hangs.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        let mut open = self.0.subscribe();
        open.wait_for(|open| *open).await.expect("because the gate owns the sender");
    }
}

type Decide = Box<dyn FnMut(&Received) -> Answer + Send>;

struct State {
    received: Vec<Received>,
    next: VecDeque<Answer>,
    decide: Decide,
}

struct Shared {
    state: Mutex<State>,
    count: watch::Sender<usize>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("because a test whose answers panic has failed already")
    }
}

/// The endpoint. It stops, with all its connections, when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl Receiver {
    /// An endpoint that answers 200 until it is told otherwise.
    pub async fn start() -> Self {
        Self::listen(None).await.expect("because loopback has a free port")
    }

    /// The same over TLS, with a good certificate of `authority` for `localhost` and 127.0.0.1.
    pub async fn start_tls(authority: &TestAuthority) -> Self {
        let acceptor = TlsAcceptor::from(authority.server(Flaw::None));
        Self::listen(Some(acceptor)).await.expect("because loopback has a free port")
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = State { received: Vec::new(), next: VecDeque::new(), decide: Box::new(|_| Answer::ok()) };
        let shared = Arc::new(Shared { state: Mutex::new(state), count: watch::Sender::new(0) });
        let accepting = tokio::spawn(accept(listener, tls, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, scheme, shared, accepting })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// What to answer from now on.
    pub fn answer(&self, answer: Answer) {
        self.answer_with(move |_| answer.clone());
    }

    /// Decides from now on what to answer, request by request.
    pub fn answer_with(&self, decide: impl FnMut(&Received) -> Answer + Send + 'static) {
        self.shared.lock().decide = Box::new(decide);
    }

    /// Answers to the next requests, one each, before the rule of [`Receiver::answer`] holds again.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().next.extend(answers);
    }

    /// Everything that arrived until now, in the order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// Waits until at least `n` requests have arrived, and gives all that have. Panics when they do not come.
    pub async fn wait_for(&self, n: usize) -> Vec<Received> {
        let mut count = self.shared.count.subscribe();
        let arrived = tokio::time::timeout(PATIENCE, count.wait_for(|count| *count >= n)).await;
        assert!(arrived.is_ok(), "{} of {n} requests arrived within {PATIENCE:?}", self.received().len());
        self.received()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    for connection in 0.. {
        let Ok((stream, _)) = listener.accept().await else { break };
        while connections.try_join_next().is_some() {}
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        connections.spawn(async move {
            // A client that goes away is not this endpoint's failure; the test sees what arrived before.
            let _ = serve(stream, tls, connection, &shared).await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    connection: usize,
    shared: &Shared,
) -> Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => converse(tls.accept(stream).await?, connection, shared).await,
        None => converse(stream, connection, shared).await,
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    shared: &Shared,
) -> Result<()> {
    let mut buffer = BytesMut::new();
    while let Some(request) = wire::read_request(&mut stream, &mut buffer).await? {
        let received = Received { connection, request };
        let (answer, count) = {
            let mut state = shared.lock();
            let answer = match state.next.pop_front() {
                Some(answer) => answer,
                None => (state.decide)(&received),
            };
            state.received.push(received);
            (answer, state.received.len())
        };
        shared.count.send_replace(count);
        if let Some(gate) = &answer.gate {
            gate.pass().await;
        }
        stream.write_all(&answer.to_wire()).await?;
        stream.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpSocket;

    use super::*;

    async fn connect(address: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.connect(address).await.expect("the receiver listens")
    }

    async fn read_until(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.expect("more of the answer");
            text.push(char::from(byte[0]));
        }
        text
    }

    #[tokio::test]
    async fn it_writes_down_what_came_and_answers_as_told() {
        let receiver = Receiver::start().await;
        receiver.answer(Answer::status(503).header("Retry-After", "7").body("busy"));
        receiver.answer_next([Answer::ok()]);

        let mut stream = connect(receiver.address()).await;
        let request = b"POST /hook HTTP/1.1\r\nX-N: 1\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all(request).await.expect("the first request goes out");
        assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request).await.expect("the second goes out on the same connection");
        let answer = read_until(&mut stream, "busy").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 7\r\n"), "{answer}");

        let received = receiver.wait_for(2).await;
        assert_eq!(received.len(), 2);
        assert_eq!((received[0].path.as_str(), received[0].body.as_ref()), ("/hook", &b"{}"[..]));
        assert!(received.iter().all(|received| received.connection == 0));
    }

    #[tokio::test]
    async fn an_answer_behind_a_gate_waits_for_it_to_open() {
        let receiver = Receiver::start().await;
        let gate = Gate::closed();
        receiver.answer(Answer::status(204).behind(&gate));
        let mut stream = connect(receiver.address()).await;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("the request goes out");
        receiver.wait_for(1).await;
        let nothing = stream.try_read(&mut [0]).expect_err("no byte of the answer before the gate opens");
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        gate.open();
        assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 204 "));
    }

    #[tokio::test]
    async fn it_stops_when_it_is_dropped() {
        let receiver = Receiver::start().await;
        let mut stream = connect(receiver.address()).await;
        drop(receiver);
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
}
