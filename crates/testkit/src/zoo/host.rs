//! A hostile receiver as a running thing: its socket, its tasks, its count of what it saw.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{Behaviour, act};
use crate::tls::{Flaw, TestAuthority};

/// Connections served at once; more wait unaccepted. A client that opens this many to one receiver is broken anyway.
const CONNECTIONS_MAX: usize = 64;
/// Small, so that a receiver that never reads stops the sender after a few packets.
const RECEIVE_BUFFER_BYTES: u32 = 4 * 1024;
/// How long a connection to a full backlog is given before the backlog counts as full. Loopback needs microseconds.
const BACKLOG_PROBE: Duration = Duration::from_millis(250);

/// A receiver with one [`Behaviour`]. It stops, with all its connections, when it is dropped.
pub struct Hostile {
    behaviour: Behaviour,
    address: SocketAddr,
    seen: Arc<Seen>,
    accepting: Option<AbortHandle>,
    /// What fills the backlog of a receiver that never accepts, and the listener itself.
    held: Option<(TcpListener, Vec<TcpStream>)>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Hostile {
    /// `pace` is the time between two bytes of those that drip. `authority` signs the certificates.
    pub async fn start(behaviour: Behaviour, pace: Duration, authority: &TestAuthority) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let backlog = if behaviour == Behaviour::NeverAccepts { 1 } else { 128 };
        let listener = socket.listen(backlog)?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());

        let (accepting, held) = if behaviour == Behaviour::NeverAccepts {
            let filling = fill_backlog(address).await?;
            (None, Some((listener, filling)))
        } else {
            let tls = acceptor(behaviour, authority);
            let serving = accept(listener, Server { behaviour, address, pace, tls, seen: Arc::clone(&seen) });
            (Some(tokio::spawn(serving).abort_handle()), None)
        };
        Ok(Self { behaviour, address, seen, accepting, held })
    }

    /// Where it lives. The host is an IP address, as its certificate says where it has a good one.
    pub fn url(&self) -> String {
        let scheme = if self.behaviour.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}/hook", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that it accepted.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Whole requests that it read.
    pub fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
        self.held = None;
    }
}

#[derive(Clone)]
struct Server {
    behaviour: Behaviour,
    address: SocketAddr,
    pace: Duration,
    tls: Option<TlsAcceptor>,
    seen: Arc<Seen>,
}

fn acceptor(behaviour: Behaviour, authority: &TestAuthority) -> Option<TlsAcceptor> {
    let flaw = match behaviour {
        Behaviour::TlsExpired => Flaw::Expired,
        Behaviour::TlsSelfSigned => Flaw::SelfSigned,
        Behaviour::TlsWrongName => Flaw::WrongName,
        _ => return None,
    };
    Some(TlsAcceptor::from(authority.server(flaw)))
}

/// Connects until nothing more fits; the connections must be kept as long as the backlog is to stay full.
async fn fill_backlog(address: SocketAddr) -> Result<Vec<TcpStream>> {
    let mut filling = Vec::new();
    while filling.len() < CONNECTIONS_MAX {
        match tokio::time::timeout(BACKLOG_PROBE, TcpSocket::new_v4()?.connect(address)).await {
            Ok(stream) => filling.push(stream?),
            Err(_elapsed) => break,
        }
    }
    Ok(filling)
}

async fn accept(listener: TcpListener, server: Server) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else { break };
        while connections.try_join_next().is_some() {}
        server.seen.connections.fetch_add(1, Ordering::SeqCst);
        let server = server.clone();
        connections.spawn(async move {
            // The client hangs up on most of these; that is the point, not an error.
            let _ = serve(stream, &server).await;
            drop(slot);
        });
    }
}

async fn serve(mut stream: TcpStream, server: &Server) -> Result<()> {
    stream.set_nodelay(true)?;
    if let Some(tls) = &server.tls {
        let mut stream = tls.accept(stream).await?;
        return act::answer_well(&mut stream, &mut BytesMut::new(), &server.seen.requests).await;
    }
    let ground = act::Ground { address: server.address, pace: server.pace, requests: &server.seen.requests };
    act::act(server.behaviour, &mut stream, &ground).await
}
