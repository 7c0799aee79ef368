//! TLS: who is trusted, under which name, and what else the connection is held to.

mod support;

use std::sync::{Arc, Mutex};

use postrider_egress::{
    Budgets, Egress, EgressConfig, EgressError, FailureClass, FixedNames, Policy, Request,
};
use postrider_testkit::tls::{Flaw, TestAuthority};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the handshakes asked for: server name and protocol.
type Seen = Arc<Mutex<Vec<(Option<String>, Option<Vec<u8>>)>>>;

async fn secure(authority: &TestAuthority, flaw: Flaw) -> (Receiver, Seen) {
    let acceptor = TlsAcceptor::from(authority.server(flaw));
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let receiver = Receiver::start(move |peer| {
        let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
        async move {
            let Ok(mut stream) = acceptor.accept(peer.stream).await else { return };
            let session = stream.get_ref().1;
            log.lock().expect("not poisoned").push((
                session.server_name().map(str::to_owned),
                session.alpn_protocol().map(<[u8]>::to_vec),
            ));
            let mut request = [0; 4096];
            while matches!(stream.read(&mut request).await, Ok(1..)) {
                if stream.write_all(OK).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (receiver, seen)
}

fn trusting(authority: &TestAuthority) -> Setup {
    Setup { extra_roots_pem: authority.certificate_pem().into_bytes(), ..Setup::default() }
}

#[tokio::test]
async fn the_original_name_is_asked_for_and_the_socket_is_kept() {
    let authority = TestAuthority::default();
    let (receiver, seen) = secure(&authority, Flaw::None).await;
    let egress = trusting(&authority).build();
    let url = format!("https://localhost:{}/hook", receiver.address.port());
    let first = egress.send(request(&url)).await;
    assert!(first.timing.tls_us > 0);
    assert_eq!(response(first).status, 200);
    let second = egress.send(request(&url)).await;
    assert!(second.reused);
    assert_eq!((response(second).status, receiver.connections()), (200, 1));
    let seen = seen.lock().expect("not poisoned").clone();
    assert_eq!(seen, [(Some("localhost".to_owned()), Some(b"http/1.1".to_vec()))]);
}

#[tokio::test]
async fn a_name_at_another_address_keeps_its_name() {
    let authority = TestAuthority::default();
    let (receiver, seen) = secure(&authority, Flaw::WrongName).await;
    let egress = trusting(&authority).names("elsewhere.example", &["127.0.0.1"]).build();
    let url = format!("https://elsewhere.example.:{}/", receiver.address.port());
    assert_eq!(response(egress.send(request(&url)).await).status, 200);
    assert_eq!(seen.lock().expect("not poisoned")[0].0.as_deref(), Some("elsewhere.example"));
}

#[tokio::test]
async fn an_address_can_have_a_certificate() {
    let authority = TestAuthority::default();
    let (receiver, _) = secure(&authority, Flaw::None).await;
    let url = format!("https://{}/", receiver.address);
    assert_eq!(response(trusting(&authority).build().send(request(&url)).await).status, 200);
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said() {
    let authority = TestAuthority::default();
    for (flaw, expected) in [
        (Flaw::Expired, "expired"),
        (Flaw::WrongName, "not for localhost"),
        (Flaw::SelfSigned, "nobody that is trusted"),
    ] {
        let (receiver, _) = secure(&authority, flaw).await;
        let url = format!("https://localhost:{}/", receiver.address.port());
        let exchange = trusting(&authority).build().send(request(&url)).await;
        let failure = exchange.result.expect_err("a bad certificate");
        assert_eq!((failure.class, failure.bytes_sent), (FailureClass::Tls, false), "{flaw:?}");
        assert!(failure.detail.contains(expected), "{flaw:?}: {}", failure.detail);
        assert!(receiver.requests().is_empty());
    }
}

#[tokio::test]
async fn an_authority_that_is_not_configured_is_not_trusted() {
    let (receiver, _) = secure(&TestAuthority::default(), Flaw::None).await;
    let url = format!("https://localhost:{}/", receiver.address.port());
    assert_eq!(class(&egress().send(request(&url)).await), FailureClass::Tls);
}

#[tokio::test]
async fn a_peer_without_tls_is_a_tls_failure() {
    let plain = Receiver::start(|mut peer| async move {
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        peer.until_closed().await;
    })
    .await;
    let closing = Receiver::start(|_| async {}).await;
    for receiver in [&plain, &closing] {
        let exchange = egress().send(request(&format!("https://{}/", receiver.address))).await;
        assert_eq!(class(&exchange), FailureClass::Tls);
        assert_eq!(receiver.connections(), 1);
    }
}

#[tokio::test]
async fn a_handshake_has_its_budget() {
    let silent = Receiver::start(|mut peer| async move { peer.until_closed().await }).await;
    let egress = Setup { budgets: Budgets { tls: SHORT, ..budgets() }, ..Setup::default() }.build();
    let exchange = egress.send(request(&format!("https://{}/", silent.address))).await;
    assert_eq!(class(&exchange), FailureClass::Tls);
    assert!(exchange.timing.tls_us > 0);
}

/// Session tickets are records without data: a reader above TLS never gets to see one. So many at once are too many for
/// rustls; the limit on reading has a test beside it.
#[tokio::test]
async fn a_peer_that_floods_us_with_tickets_ends_its_attempt() {
    let authority = TestAuthority::default();
    let mut config = ServerConfig::clone(&authority.server(Flaw::None));
    config.send_tls13_tickets = 10_000;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let receiver = Receiver::start(move |peer| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(peer.stream).await else { return };
            let _ = stream.flush().await;
            while matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {}
        }
    })
    .await;
    let egress = trusting(&authority).build();
    let exchange = egress.send(request(&format!("https://{}/", receiver.address))).await;
    assert_eq!(class(&exchange), FailureClass::Tls);
    assert_eq!((egress.idle_sockets(), receiver.connections()), (0, 1));
}

#[tokio::test]
async fn a_large_request_arrives_whole_and_keeps_its_socket() {
    const BYTES: usize = 300_000;
    let authority = TestAuthority::default();
    let acceptor = TlsAcceptor::from(authority.server(Flaw::None));
    let receiver = Receiver::start(move |peer| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(peer.stream).await.expect("a handshake");
            let mut request = Vec::new();
            while matches!(stream.read_buf(&mut request).await, Ok(1..)) {
                let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else {
                    continue;
                };
                let body = &request[head + 4..];
                if body.len() == BYTES {
                    assert!(body.iter().zip(0u32..).all(|(byte, n)| u32::from(*byte) == n % 251));
                    stream.write_all(OK).await.expect("an open connection");
                    request.clear();
                }
            }
        }
    })
    .await;
    let egress = trusting(&authority).build();
    let body: Vec<u8> = (0..BYTES).map(|n| (n % 251) as u8).collect();
    for reused in [false, true] {
        let url = format!("https://{}/", receiver.address);
        let exchange = egress.send(Request { body: body.clone().into(), ..request(&url) }).await;
        assert_eq!(exchange.reused, reused);
        assert_eq!(&response(exchange).body[..], b"ok");
    }
}

#[tokio::test]
async fn roots_that_are_none_are_refused() {
    let config = |pem: &str| EgressConfig {
        policy: Policy::default(),
        budgets: budgets(),
        resolver: Arc::new(FixedNames::new()),
        extra_roots_pem: pem.as_bytes().to_vec(),
    };
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(Egress::new(config(bad)), Err(EgressError::ExtraRoots(_))));
    assert!(Egress::new(config("")).is_ok());
}
