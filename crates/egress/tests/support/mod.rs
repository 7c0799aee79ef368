//! A receiver of raw bytes, and an egress with budgets that a test can wait for.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use postrider_egress::{
    AllowList, Budgets, Egress, EgressConfig, Exchange, FailureClass, FixedNames, Policy, ReadBody, Request,
    Response, Reuse, Target,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub const SHORT: Duration = Duration::from_millis(60);
/// No test waits for this one.
pub const LONG: Duration = Duration::from_secs(20);

/// Counts what reaches it. Closed when dropped.
pub struct Receiver {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

/// One accepted connection. `number` counts from 0.
pub struct Peer {
    pub number: usize,
    pub stream: TcpStream,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// Runs `behaviour` for every connection, all at the same time.
    pub async fn start<F, W>(behaviour: F) -> Self
    where
        F: Fn(Peer) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counter, log) = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            let mut peers = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                peers.spawn(behaviour(Peer { number, stream, requests: Arc::clone(&log) }));
            }
        });
        Self { address, connections, requests, task }
    }

    /// Answers every request on every connection with the same bytes.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                while peer.request().await.is_some() {
                    peer.send(&answer).await;
                }
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// The next whole request as text; `None` at the end.
    pub async fn request(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |value| value.parse::<usize>().expect("a length"));
                if bytes.len() >= end + 4 + length {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    self.requests.lock().expect("not poisoned").push(text.clone());
                    return Some(text);
                }
            }
            match self.stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// What cannot be written is not missed: the other side has gone.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Holds the connection open until the other side closes it.
    pub async fn until_closed(&mut self) {
        let mut rest = [0; 4096];
        while matches!(self.stream.read(&mut rest).await, Ok(1..)) {}
    }
}

pub fn budgets() -> Budgets {
    Budgets {
        dns: LONG,
        connect: LONG,
        tls: LONG,
        response_read_bytes: 256 * 1024,
        response_kept_bytes: 16 * 1024,
        response_head_bytes: 64 * 1024,
        response_headers_max: 100,
        socket_age: Duration::from_secs(60),
        idle_per_origin_max: 8,
        idle_total_max: 16,
    }
}

pub struct Setup {
    pub allow: Vec<&'static str>,
    pub budgets: Budgets,
    pub names: FixedNames,
    pub extra_roots_pem: Vec<u8>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            allow: vec!["127.0.0.0/8"],
            budgets: budgets(),
            names: FixedNames::new(),
            extra_roots_pem: Vec::new(),
        }
    }
}

impl Setup {
    pub fn names(mut self, name: &str, addresses: &[&str]) -> Self {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        self.names = self.names.with(name, &addresses);
        self
    }

    pub fn allow(self, allow: &[&'static str]) -> Self {
        Self { allow: allow.to_vec(), ..self }
    }

    pub fn build(self) -> Egress {
        let allow: Vec<_> = self.allow.iter().map(|entry| (*entry).to_owned()).collect();
        Egress::new(EgressConfig {
            policy: Policy::new(AllowList::parse(&allow).expect("a valid list")),
            budgets: self.budgets,
            resolver: Arc::new(self.names),
            extra_roots_pem: self.extra_roots_pem,
        })
        .expect("usable roots")
    }
}

pub fn egress() -> Egress {
    Setup::default().build()
}

pub fn request(url: &str) -> Request {
    Request {
        method: Method::POST,
        target: Target::parse_stored(url).expect("a valid URL"),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
        timeout: LONG,
        partition: [1; 16],
        reuse: Reuse::Any,
        body_rule: ReadBody::ForLog { at_most: LONG },
    }
}

#[track_caller]
pub fn response(exchange: Exchange) -> Response {
    exchange.result.expect("a response")
}

#[track_caller]
pub fn class(exchange: &Exchange) -> FailureClass {
    exchange.result.as_ref().expect_err("a failure").class
}

/// Lets the runtime look at its sockets: what a peer did before this is known after it.
pub async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}
