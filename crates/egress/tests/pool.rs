//! Which sockets are used again, and which never.

mod support;

use std::sync::Arc;
use std::time::Duration;

use postrider_egress::{Budgets, Egress, FailureClass, Request, Reuse};
use support::*;
use tokio::sync::Notify;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Sends one request and says whether it went over a kept socket.
async fn reused(egress: &Egress, request: Request) -> bool {
    let exchange = egress.send(request).await;
    let reused = exchange.reused;
    assert_eq!(response(exchange).status, 200);
    reused
}

#[tokio::test]
async fn a_socket_is_used_again_for_the_same_origin_and_partition() {
    let receiver = Receiver::answering(OK).await;
    let egress = egress();
    assert!(!reused(&egress, request(&receiver.url())).await);
    for path in ["/hook", "/other?x"] {
        let url = format!("http://{}{path}", receiver.address);
        let exchange = egress.send(request(&url)).await;
        assert!(exchange.reused && !exchange.redialled);
        assert_eq!((exchange.timing.dns_us, exchange.timing.connect_us), (0, 0));
        assert_eq!(exchange.peer, Some(receiver.address));
    }
    assert_eq!((receiver.connections(), egress.idle_sockets()), (1, 1));
}

#[tokio::test]
async fn partitions_and_origins_share_nothing() {
    let receiver = Receiver::answering(OK).await;
    let egress = Setup::default().names("example.com", &["127.0.0.1"]).build();
    assert!(!reused(&egress, request(&receiver.url())).await);
    assert!(!reused(&egress, Request { partition: [2; 16], ..request(&receiver.url()) }).await);
    let same_address = format!("http://example.com:{}/hook", receiver.address.port());
    assert!(!reused(&egress, request(&same_address)).await);
    assert_eq!(egress.idle_sockets(), 3);
}

#[tokio::test]
async fn concurrent_attempts_have_a_socket_each() {
    let receiver = Receiver::answering(OK).await;
    let egress = egress();
    let url = receiver.url();
    let (a, b) = tokio::join!(reused(&egress, request(&url)), reused(&egress, request(&url)));
    assert!(!a && !b);
    let (a, b) = tokio::join!(reused(&egress, request(&url)), reused(&egress, request(&url)));
    assert!(a && b);
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_socket_is_not_kept_when_the_response_leaves_doubt() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"[..],
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let receiver = Receiver::answering(answer).await;
        let egress = egress();
        for _ in 0..2 {
            assert!(!reused(&egress, request(&receiver.url())).await, "{}", String::from_utf8_lossy(answer));
        }
        assert_eq!((receiver.connections(), egress.idle_sockets()), (2, 0));
    }
}

/// Answers once; when told, does `late` with the idle connection, and says so. Later connections are answered as usual.
async fn misbehaving_when_idle(late: &'static [u8], go: Arc<Notify>, done: Arc<Notify>) -> Receiver {
    Receiver::start(move |mut peer| {
        let (go, done) = (Arc::clone(&go), Arc::clone(&done));
        async move {
            peer.request().await;
            peer.send(OK).await;
            if peer.number > 0 {
                peer.until_closed().await;
                return;
            }
            go.notified().await;
            if late.is_empty() {
                drop(peer);
                done.notify_one();
            } else {
                peer.send(late).await;
                done.notify_one();
                peer.until_closed().await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_kept_socket_that_died_is_dialled_anew_within_the_attempt() {
    let late_response = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for late in [&b""[..], b"garbage", late_response] {
        let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let receiver = misbehaving_when_idle(late, Arc::clone(&go), Arc::clone(&done)).await;
        let egress = egress();
        assert!(!reused(&egress, request(&receiver.url())).await);
        assert_eq!(egress.idle_sockets(), 1);
        go.notify_one();
        done.notified().await;
        settle().await;
        let exchange = egress.send(request(&receiver.url())).await;
        assert!(exchange.redialled && !exchange.reused);
        assert_eq!(&response(exchange).body[..], b"ok");
        assert_eq!((receiver.connections(), receiver.requests().len()), (2, 2));
    }
}

#[tokio::test]
async fn a_dead_socket_and_nobody_listening_is_a_connect_failure() {
    let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let receiver = misbehaving_when_idle(b"", Arc::clone(&go), Arc::clone(&done)).await;
    let egress = egress();
    let url = receiver.url();
    assert!(!reused(&egress, request(&url)).await);
    go.notify_one();
    done.notified().await;
    drop(receiver);
    settle().await;
    let exchange = egress.send(request(&url)).await;
    assert_eq!(class(&exchange), FailureClass::Connect);
    assert!(exchange.redialled);
}

#[tokio::test]
async fn a_kept_socket_that_took_the_request_and_died_is_not_tried_again() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await;
        peer.send(OK).await;
        peer.request().await;
    })
    .await;
    let egress = egress();
    assert!(!reused(&egress, request(&receiver.url())).await);
    let exchange = egress.send(request(&receiver.url())).await;
    assert_eq!(class(&exchange), FailureClass::Reset);
    assert!(exchange.reused && !exchange.redialled);
    assert!(exchange.result.expect_err("a failure").bytes_sent);
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 2));
}

#[tokio::test]
async fn sweeping_drops_what_peers_closed_or_wrote_to() {
    for late in [&b""[..], b"garbage"] {
        let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let receiver = misbehaving_when_idle(late, Arc::clone(&go), Arc::clone(&done)).await;
        let egress = egress();
        assert!(!reused(&egress, request(&receiver.url())).await);
        settle().await;
        egress.sweep_idle();
        assert_eq!(egress.idle_sockets(), 1, "a quiet socket stays");
        go.notify_one();
        done.notified().await;
        settle().await;
        egress.sweep_idle();
        assert_eq!(egress.idle_sockets(), 0);
    }
}

#[tokio::test]
async fn a_swept_socket_still_works() {
    let receiver = Receiver::answering(OK).await;
    let egress = egress();
    for round in 0..3 {
        assert_eq!(reused(&egress, request(&receiver.url())).await, round > 0);
        settle().await;
        egress.sweep_idle();
    }
}

#[tokio::test]
async fn an_attempt_may_refuse_sockets_that_idled() {
    let receiver = Receiver::answering(OK).await;
    let egress = egress();
    let fresh = |limit| Request { reuse: Reuse::FreshWithin(limit), ..request(&receiver.url()) };
    assert!(!reused(&egress, fresh(LONG)).await);
    assert!(reused(&egress, fresh(LONG)).await);
    assert!(!reused(&egress, fresh(Duration::ZERO)).await);
    assert!(reused(&egress, request(&receiver.url())).await);
}

#[tokio::test]
async fn sockets_are_not_used_beyond_their_age() {
    let receiver = Receiver::answering(OK).await;
    let egress = egress();
    let age = budgets().socket_age;
    assert!(!reused(&egress, request(&receiver.url())).await);
    pass(age - Duration::from_secs(1)).await;
    assert!(reused(&egress, request(&receiver.url())).await, "using it does not make it younger");
    pass(Duration::from_secs(1)).await;
    assert!(!reused(&egress, request(&receiver.url())).await);
    pass(age).await;
    egress.sweep_idle();
    assert_eq!(egress.idle_sockets(), 0);
}

/// Moves the clock, and nothing else.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn the_number_of_idle_sockets_is_bounded() {
    let receiver = Receiver::answering(OK).await;
    let budgets = Budgets { idle_per_origin_max: 2, idle_total_max: 3, ..budgets() };
    let egress = Setup { budgets, ..Setup::default() }.build();
    let url = receiver.url();
    let burst = async |partition| {
        let send = || egress.send(Request { partition: [partition; 16], ..request(&url) });
        tokio::join!(send(), send(), send(), send());
    };
    burst(1).await;
    assert_eq!(egress.idle_sockets(), 2);
    burst(2).await;
    assert_eq!(egress.idle_sockets(), 3);
}
