//! Names and addresses at the dial: what was vetted is what is dialled, every time.

mod support;

use std::net::IpAddr;

use postrider_egress::{Budgets, FailureClass, Request, Resolve, Resolving, SystemResolver};
use support::*;

const CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const GENERIC: &str = "The address of this endpoint is not allowed.";

/// Sends to `host`, which has `addresses` and may be allowed. The receiver listens on 127.0.0.1.
async fn dial(host: &str, addresses: &[&str], allow: &[&'static str]) -> Result<u16, FailureClass> {
    let receiver = Receiver::answering(CLOSE).await;
    let egress = Setup::default().names(host, addresses).allow(allow).build();
    let url = format!("http://{host}:{}/", receiver.address.port());
    let exchange = egress.send(request(&url)).await;
    if let Err(failure) = &exchange.result
        && failure.class == FailureClass::Blocked
    {
        assert_eq!(failure.detail, GENERIC);
        assert!(!failure.bytes_sent);
        assert_eq!((exchange.peer, receiver.connections()), (None, 0));
    }
    exchange.result.map(|response| response.status).map_err(|failure| failure.class)
}

#[tokio::test]
async fn a_name_is_judged_by_its_addresses() {
    use FailureClass::{Blocked, Dns};
    for (host, addresses, allow, expected) in [
        ("example.com", &["127.0.0.1"][..], &[][..], Err(Blocked)),
        ("example.com", &["127.0.0.1"], &["127.0.0.0/8"], Ok(200)),
        ("example.com", &["127.0.0.1"], &["example.com"], Ok(200)),
        ("example.com", &["127.0.0.1"], &["other.com"], Err(Blocked)),
        ("example.com", &["::ffff:127.0.0.1"], &[], Err(Blocked)),
        ("example.com", &["::ffff:127.0.0.1"], &["127.0.0.0/8"], Ok(200)),
        ("example.com", &["64:ff9b::7f00:1"], &[], Err(Blocked)),
        ("example.com", &["10.0.0.1"], &["127.0.0.0/8"], Err(Blocked)),
        // One bad address spoils all, wherever it stands.
        ("example.com", &["127.0.0.1", "10.0.0.1"], &["127.0.0.0/8"], Err(Blocked)),
        ("example.com", &["8.8.8.8", "169.254.169.254"], &["127.0.0.0/8"], Err(Blocked)),
        ("example.com", &["127.0.0.1", "fe80::1"], &["127.0.0.0/8"], Err(Blocked)),
        ("example.com", &[], &["127.0.0.0/8"], Err(Dns)),
        // Internal names.
        ("app", &["127.0.0.1"], &["app"], Ok(200)),
        ("app", &["127.0.0.1"], &["127.0.0.0/8"], Ok(200)),
        ("app", &["127.0.0.1"], &[], Err(Blocked)),
        ("db.internal", &["8.8.8.8"], &["127.0.0.0/8"], Err(Blocked)),
        ("a.corp.internal", &["127.0.0.1"], &["*.corp.internal"], Ok(200)),
        // No name server is asked about localhost, nor believed.
        ("localhost", &["8.8.8.8"], &["127.0.0.0/8"], Ok(200)),
        ("x.localhost", &["8.8.8.8"], &["127.0.0.0/8"], Ok(200)),
        ("localhost", &["8.8.8.8"], &[], Err(Blocked)),
        // Literals.
        ("127.0.0.1", &[], &["127.0.0.1"], Ok(200)),
        ("127.0.0.1", &[], &[], Err(Blocked)),
        ("0x7f.1", &[], &[], Err(Blocked)),
        ("[::ffff:127.0.0.1]", &[], &["127.0.0.0/8"], Ok(200)),
        ("[64:ff9b::808:808]", &[], &["127.0.0.0/8"], Err(Blocked)),
        // The trailing dot is the URL's; the name is the same.
        ("missing.example.", &[], &[], Err(Dns)),
    ] {
        assert_eq!(dial(host, addresses, allow).await, expected, "{host} {addresses:?} {allow:?}");
    }
}

#[tokio::test]
async fn a_name_with_a_trailing_dot_is_resolved_without_it_and_sent_with_it() {
    let receiver = Receiver::answering(CLOSE).await;
    let egress = Setup::default().names("example.com", &["127.0.0.1"]).build();
    let url = format!("http://example.com.:{}/", receiver.address.port());
    assert_eq!(response(egress.send(request(&url)).await).status, 200);
    let host = format!("Host: example.com.:{}\r\n", receiver.address.port());
    assert!(receiver.requests()[0].contains(&host));
}

#[tokio::test]
async fn a_name_is_vetted_again_at_every_dial() {
    let receiver = Receiver::answering(CLOSE).await;
    let egress = Setup::default()
        .allow(&["127.0.0.1"])
        .names("example.com", &["127.0.0.1"])
        .names("example.com", &["127.0.0.2"])
        .names("example.com", &["127.0.0.1"])
        .build();
    let url = format!("http://example.com:{}/", receiver.address.port());
    assert_eq!(response(egress.send(request(&url)).await).status, 200);
    assert_eq!(class(&egress.send(request(&url)).await), FailureClass::Blocked);
    assert_eq!(response(egress.send(request(&url)).await).status, 200);
}

#[tokio::test]
async fn a_denied_port_is_blocked_at_the_dial_too() {
    let exchange = egress().send(request("http://127.0.0.1:25/")).await;
    assert_eq!(class(&exchange), FailureClass::Blocked);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let receiver = Receiver::answering(CLOSE).await;
    let egress = Setup::default().names("example.com", &["127.0.0.7", "127.0.0.1"]).build();
    let url = format!("http://example.com:{}/", receiver.address.port());
    let exchange = egress.send(request(&url)).await;
    assert_eq!(exchange.peer, Some(receiver.address));
    assert_eq!(response(exchange).status, 200);
}

/// A name server that never answers.
#[derive(Debug)]
struct Silent;

impl Resolve for Silent {
    fn addresses<'a>(&'a self, _name: &'a str) -> Resolving<'a> {
        Box::pin(std::future::pending::<Result<Vec<IpAddr>, _>>())
    }
}

#[tokio::test]
async fn names_have_their_budget_within_the_attempt() {
    for (dns, timeout) in [(SHORT, LONG), (LONG, SHORT)] {
        let egress = postrider_egress::Egress::new(postrider_egress::EgressConfig {
            policy: postrider_egress::Policy::default(),
            budgets: Budgets { dns, ..budgets() },
            resolver: std::sync::Arc::new(Silent),
            extra_roots_pem: Vec::new(),
        })
        .expect("usable roots");
        let exchange = egress.send(Request { timeout, ..request("http://example.com/") }).await;
        assert_eq!(class(&exchange), FailureClass::Dns);
        assert!(exchange.timing.dns_us >= 1000 && exchange.timing.total_us >= exchange.timing.dns_us);
    }
}

#[tokio::test]
async fn the_system_resolver_can_be_made_on_any_machine() {
    SystemResolver::new().expect("with or without system configuration");
}
