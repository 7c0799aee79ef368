//! What the resolver asks a name server, and what it makes of the answers.

mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use postrider_egress::{Egress, EgressConfig, FailureClass, Policy, Resolve, ResolveError, SystemResolver};
use support::*;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;

/// A name server of a few names, over UDP (RFC 1035 §4). Everything else does not exist.
struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
    task: JoinHandle<()>,
}

/// Response code and records, each a type and its data.
fn answer(name: &str, kind: u16) -> (u8, Vec<(u16, Vec<u8>)>) {
    let v4 = |last| (A, vec![127, 0, 0, last]);
    let link_local = (AAAA, "fe80::1".parse::<std::net::Ipv6Addr>().expect("an address").octets().to_vec());
    match (name, kind) {
        ("one.example", A) => (NO_ERROR, vec![v4(1)]),
        ("mixed.example", A) => (NO_ERROR, vec![v4(1), v4(2)]),
        ("mixed.example", AAAA) => (NO_ERROR, vec![link_local]),
        ("alias.example", A) => (NO_ERROR, vec![(CNAME, b"\x03one\x07example\0".to_vec())]),
        ("one.example" | "alias.example" | "empty.example", _) => (NO_ERROR, vec![]),
        ("broken.example", _) => (SERVER_FAILURE, vec![]),
        _ => (NO_SUCH_NAME, vec![]),
    }
}

impl NameServer {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((_, from)) = socket.recv_from(&mut query).await {
                let (name, kind, question_end) = question(&query);
                log.lock().expect("not poisoned").push((name.clone(), kind));
                socket.send_to(&reply(&query[..question_end], &name, kind), from).await.expect("sent");
            }
        });
        Self { address, asked, task }
    }

    fn asked(&self) -> Vec<(String, u16)> {
        let mut asked = self.asked.lock().expect("not poisoned").clone();
        asked.sort();
        asked
    }

    fn resolver(&self) -> SystemResolver {
        SystemResolver::asking(&[self.address]).expect("a resolver")
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The name (in lower case), the type, and where the question ends.
fn question(query: &[u8]) -> (String, u16, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_lowercase());
        at += 1 + length;
    }
    (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5)
}

fn reply(query: &[u8], name: &str, kind: u16) -> Vec<u8> {
    let (code, records) = answer(name, kind);
    let mut reply = query.to_vec();
    // A response, recursion available, one question and so many answers.
    reply[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    for (kind, data) in records {
        reply.extend_from_slice(&[0xc0, 12]);
        reply.extend_from_slice(&kind.to_be_bytes());
        reply.extend_from_slice(&[0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        reply.extend_from_slice(&data);
    }
    reply
}

#[tokio::test]
async fn both_families_are_asked_for_and_all_addresses_told() {
    let server = NameServer::start().await;
    let resolver = server.resolver();
    let resolve = async |name: &str| {
        let addresses = resolver.addresses(name).await;
        addresses.map(|list| list.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(resolve("one.example").await.as_deref(), Ok("127.0.0.1"));
    assert_eq!(resolve("mixed.example").await.as_deref(), Ok("127.0.0.1 127.0.0.2 fe80::1"));
    assert_eq!(resolve("alias.example").await.as_deref(), Ok("127.0.0.1"));
    assert_eq!(resolve("empty.example").await, Err(ResolveError::NoAddress));
    assert_eq!(resolve("missing.example").await, Err(ResolveError::NoAddress));
    assert!(matches!(resolve("broken.example").await, Err(ResolveError::Unanswered(_))));
}

#[tokio::test]
async fn a_name_is_asked_for_as_it_is() {
    let server = NameServer::start().await;
    for name in ["app", "missing.example"] {
        let resolver = server.resolver();
        server.asked.lock().expect("not poisoned").clear();
        assert_eq!(resolver.addresses(name).await, Err(ResolveError::NoAddress));
        assert_eq!(server.asked(), [(name.to_owned(), A), (name.to_owned(), AAAA)]);
    }
}

#[tokio::test]
async fn answers_are_vetted_wherever_they_come_from() {
    let server = NameServer::start().await;
    let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
    for (host, allow, expected) in [
        ("one.example", &["127.0.0.0/8"][..], Ok(204)),
        ("one.example", &[], Err(FailureClass::Blocked)),
        ("alias.example", &["127.0.0.0/8"], Ok(204)),
        ("alias.example", &["alias.example"], Ok(204)),
        ("alias.example", &["one.example"], Err(FailureClass::Blocked)),
        ("mixed.example", &["127.0.0.0/8"], Err(FailureClass::Blocked)),
        ("missing.example", &["127.0.0.0/8"], Err(FailureClass::Dns)),
        ("broken.example", &["127.0.0.0/8"], Err(FailureClass::Dns)),
    ] {
        let allow: Vec<_> = allow.iter().map(|entry| (*entry).to_owned()).collect();
        let egress = Egress::new(EgressConfig {
            policy: Policy::new(postrider_egress::AllowList::parse(&allow).expect("a valid list")),
            budgets: budgets(),
            resolver: Arc::new(server.resolver()),
            extra_roots_pem: Vec::new(),
        })
        .expect("usable roots");
        let url = format!("http://{host}:{}/", receiver.address.port());
        let result = egress.send(request(&url)).await.result;
        let seen = result.map(|response| response.status).map_err(|failure| failure.class);
        assert_eq!(seen, expected, "{host} {allow:?}");
    }
}
