//! Requests as receivers see them, and responses as receivers should not make them.

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use postrider_egress::{BodyEnd, Budgets, FailureClass, ReadBody, Request};
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

/// Between two bytes of what drips.
const PACE: Duration = Duration::from_millis(5);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn the_request_is_the_callers_bytes_and_nothing_else() {
    let receiver = Receiver::answering(OK).await;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("x-smtm-event", HeaderValue::from_static("a.b"));
    headers.insert("content-length", HeaderValue::from_static("999"));
    let url = format!("http://{}/hook/%C3%A4?b=c&d", receiver.address);
    let exchange =
        egress().send(Request { headers, body: Bytes::from_static(b"{\"a\":1}"), ..request(&url) }).await;
    assert_eq!(exchange.peer, Some(receiver.address));
    assert!(!exchange.reused && !exchange.redialled);
    assert!(exchange.timing.total_us >= exchange.timing.wait_us);
    let response = response(exchange);
    assert_eq!((response.status, &response.body[..], response.body_bytes), (200, &b"ok"[..], 2));
    assert_eq!(response.body_end, BodyEnd::Complete);
    assert_eq!(&response.head[..], b"content-length: 2\n");
    let expected = format!(
        "POST /hook/%C3%A4?b=c&d HTTP/1.1\r\nContent-Type: application/json\r\nX-Smtm-Event: a.b\r\nHost: {}\r\n\
         Content-Length: 7\r\n\r\n{{\"a\":1}}",
        receiver.address
    );
    assert_eq!(receiver.requests(), [expected]);
}

#[tokio::test]
async fn an_empty_body_has_a_length_where_a_body_is_expected() {
    let receiver = Receiver::answering(OK).await;
    let egress = egress();
    for (method, expected) in [(Method::POST, true), (Method::PUT, true), (Method::GET, false)] {
        let request = Request { method: method.clone(), body: Bytes::new(), ..request(&receiver.url()) };
        response(egress.send(request).await);
        let sent = receiver.requests().pop().expect("a request");
        assert_eq!(sent.contains("Content-Length: 0"), expected, "{method}: {sent}");
        assert!(!sent.contains("Transfer-Encoding"), "{method}: {sent}");
    }
}

#[tokio::test]
async fn a_large_body_arrives_whole_and_keeps_its_socket() {
    let receiver = Receiver::answering(OK).await;
    let egress = egress();
    // Up to 8 KiB go out with the head, more than that after it; a megabyte does not fit into a socket's buffer.
    for bytes in [8192, 8193, 1_000_000] {
        let body: Vec<u8> = (0..bytes).map(|n| b'a' + (n % 26) as u8).collect();
        response(egress.send(Request { body: body.clone().into(), ..request(&receiver.url()) }).await);
        let sent = receiver.requests().pop().expect("a request");
        assert!(sent.as_bytes().ends_with(&body), "{bytes}");
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn an_answer_without_a_body_is_one_whatever_its_length_says() {
    for length in ["", "0,", "-1", "5"] {
        let receiver =
            Receiver::answering(format!("HTTP/1.1 204 No\r\nContent-Length: {length}\r\n\r\n")).await;
        let egress = egress();
        check_end(response(egress.send(request(&receiver.url())).await), 204, 0, BodyEnd::Complete);
        assert_eq!(egress.idle_sockets(), 0, "{length:?}: what it means by that may still come");
    }
}

#[tokio::test]
async fn empty_lines_before_an_answer_are_skipped_but_not_for_ever() {
    let receiver = Receiver::answering([b"\r\n\n", OK].concat()).await;
    assert_eq!(response(egress().send(request(&receiver.url())).await).status, 200);
    let flood = after_request(vec![b'\n'; 200_000], false).await;
    assert_eq!(class(&egress().send(request(&flood.url())).await), FailureClass::Protocol);
}

#[tokio::test]
async fn redirects_are_answers() {
    let receiver =
        Receiver::answering("HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n")
            .await;
    let response = response(egress().send(request(&receiver.url())).await);
    assert_eq!(response.status, 302);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn retry_after_is_handed_on_as_received() {
    let answer = b"HTTP/1.1 429 Slow\r\nRetry-After: -1\xff\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n";
    let receiver = Receiver::answering(*answer).await;
    let response = response(egress().send(request(&receiver.url())).await);
    assert_eq!(response.retry_after.as_deref(), Some(&b"-1\xff"[..]));
}

#[tokio::test]
async fn bodies_are_kept_as_they_came() {
    let body = b"\x1f\x8b\0\xff<script>";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    let receiver = Receiver::answering([head.as_bytes(), body].concat()).await;
    let response = response(egress().send(request(&receiver.url())).await);
    assert_eq!(&response.body[..], body);
}

#[tokio::test]
async fn a_caller_who_needs_a_whole_body_gets_it_up_to_its_own_bound() {
    let kept = Budgets { response_kept_bytes: 2, response_read_bytes: 4, ..budgets() };
    for (bytes_max, kept_bytes, end) in [(10, 10, BodyEnd::Complete), (9, 9, BodyEnd::Capped)] {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
        let receiver = Receiver::answering(answer).await;
        let request = Request { body_rule: ReadBody::Whole { bytes_max }, ..request(&receiver.url()) };
        let response =
            response(Setup { budgets: kept.clone(), ..Setup::default() }.build().send(request).await);
        assert_eq!((response.body.len(), response.body_end), (kept_bytes, end));
    }
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let receiver = Receiver::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
    )
    .await;
    let egress = egress();
    let response = response(egress.send(request(&receiver.url())).await);
    assert_eq!((&response.body[..], response.body_end), (&b"abcde"[..], BodyEnd::Complete));
    assert_eq!(egress.idle_sockets(), 1);
}

/// Reads the request, sends `answer`, and then either closes or holds the connection.
async fn after_request(answer: Vec<u8>, then_close: bool) -> Receiver {
    Receiver::start(move |mut peer| {
        let answer = answer.clone();
        async move {
            peer.request().await;
            peer.send(&answer).await;
            if !then_close {
                peer.until_closed().await;
            }
        }
    })
    .await
}

#[track_caller]
fn check_end(response: postrider_egress::Response, status: u16, body_bytes: u64, end: BodyEnd) {
    assert_eq!((response.status, response.body_bytes, response.body_end), (status, body_bytes, end));
}

#[tokio::test]
async fn a_body_without_length_ends_with_the_connection() {
    let receiver = after_request(b"HTTP/1.1 200 OK\r\n\r\nabc".to_vec(), true).await;
    let egress = egress();
    check_end(response(egress.send(request(&receiver.url())).await), 200, 3, BodyEnd::Complete);
    assert_eq!(egress.idle_sockets(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_keeps_its_status() {
    let receiver = after_request(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec(), true).await;
    check_end(response(egress().send(request(&receiver.url())).await), 200, 3, BodyEnd::Broken);
    let receiver = after_request(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n".to_vec(),
        false,
    )
    .await;
    check_end(response(egress().send(request(&receiver.url())).await), 200, 3, BodyEnd::Broken);
}

#[tokio::test]
async fn a_body_that_stalls_is_cut_at_its_time_and_keeps_its_status() {
    let receiver = after_request(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec(), false).await;
    for request in [
        Request { body_rule: ReadBody::ForLog { at_most: SHORT }, ..request(&receiver.url()) },
        Request { body_rule: ReadBody::ForLog { at_most: LONG }, timeout: SHORT, ..request(&receiver.url()) },
        Request { body_rule: ReadBody::ToTheEnd, timeout: SHORT, ..request(&receiver.url()) },
    ] {
        let egress = egress();
        let began = Instant::now();
        check_end(response(egress.send(request).await), 200, 3, BodyEnd::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(egress.idle_sockets(), 0);
    }
}

#[tokio::test]
async fn a_dripping_body_is_cut_at_its_time() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await;
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        let mut pace = tokio::time::interval(PACE);
        while peer.stream.write_all(b"1\r\na\r\n").await.is_ok() {
            pace.tick().await;
        }
    })
    .await;
    let request = Request { body_rule: ReadBody::ForLog { at_most: SHORT }, ..request(&receiver.url()) };
    let response = response(egress().send(request).await);
    assert_eq!(response.body_end, BodyEnd::TimedOut);
    assert!(response.body_bytes < 1000, "{}", response.body_bytes);
}

#[tokio::test]
async fn an_endless_body_is_read_to_the_cap() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await;
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n").await;
        while peer.stream.write_all(&[b'x'; 65536]).await.is_ok() {}
    })
    .await;
    let egress = egress();
    let response = response(egress.send(request(&receiver.url())).await);
    assert_eq!((response.body_end, response.body.len()), (BodyEnd::Capped, 16 * 1024));
    assert!(response.body_bytes > 256 * 1024 && response.body_bytes <= 512 * 1024, "{}", response.body_bytes);
    assert_eq!(egress.idle_sockets(), 0);
}

#[tokio::test]
async fn a_body_in_crumbs_is_read_to_a_number_of_them() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (chunks, end) in [(8192, BodyEnd::Complete), (8193, BodyEnd::Capped)] {
        let answer = format!("{head}{}0\r\n\r\n", "1\r\na\r\n".repeat(chunks));
        let receiver = Receiver::answering(answer).await;
        check_end(response(egress().send(request(&receiver.url())).await), 200, chunks as u64, end);
    }
}

#[tokio::test]
async fn endless_interim_responses_end_soon() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await;
        let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        while peer.stream.write_all(flood.as_bytes()).await.is_ok() {}
    })
    .await;
    let exchange = egress().send(request(&receiver.url())).await;
    assert_eq!(class(&exchange), FailureClass::Protocol);
    assert!(exchange.result.expect_err("a failure").detail.contains("1xx"));
}

#[tokio::test]
async fn a_body_as_long_as_the_cap_is_complete() {
    for (length, end) in [(1000, BodyEnd::Complete), (1001, BodyEnd::Capped)] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let receiver = Receiver::answering([head.into_bytes(), vec![b'x'; length]].concat()).await;
        let budgets = Budgets { response_read_bytes: 1000, response_kept_bytes: 10, ..budgets() };
        let egress = Setup { budgets, ..Setup::default() }.build();
        let response = response(egress.send(request(&receiver.url())).await);
        assert_eq!((response.body_end, response.body.len()), (end, 10));
    }
}

#[tokio::test]
async fn no_answer_is_a_timeout() {
    let silent = Receiver::start(|mut peer| async move { peer.until_closed().await }).await;
    let unread = Receiver::start(|peer| async move {
        let _held = peer;
        std::future::pending::<()>().await;
    })
    .await;
    let drip = Receiver::start(|mut peer| async move {
        peer.request().await;
        let mut pace = tokio::time::interval(PACE);
        for byte in b"HTTP/1.1 200 OK\r\nX-A: ".iter().chain([b'a'; 10_000].iter()) {
            peer.send(&[*byte]).await;
            pace.tick().await;
        }
    })
    .await;
    for (receiver, body) in [
        (&silent, Bytes::from_static(b"{}")),
        (&unread, Bytes::from(vec![b'x'; 32 * 1024 * 1024])),
        (&drip, Bytes::from_static(b"{}")),
    ] {
        let began = Instant::now();
        let exchange = egress().send(Request { timeout: SHORT, body, ..request(&receiver.url()) }).await;
        assert_eq!(class(&exchange), FailureClass::Timeout);
        assert!(exchange.result.expect_err("a failure").bytes_sent);
        assert_eq!(exchange.peer, Some(receiver.address));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(receiver.connections(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_is_a_reset_and_no_second_request() {
    let fin = Receiver::start(|mut peer| async move {
        peer.request().await;
    })
    .await;
    let rst = Receiver::start(|mut peer| async move {
        peer.request().await;
        peer.stream.set_zero_linger().expect("a socket");
    })
    .await;
    let within_the_head = after_request(b"HTTP/1.1 200 O".to_vec(), true).await;
    for receiver in [&fin, &rst, &within_the_head] {
        let exchange = egress().send(request(&receiver.url())).await;
        assert_eq!(class(&exchange), FailureClass::Reset);
        assert!(exchange.result.expect_err("a failure").bytes_sent);
        assert!(!exchange.redialled);
        assert_eq!((receiver.connections(), receiver.requests().len()), (1, 1));
    }
}

#[tokio::test]
async fn what_is_no_http_response_is_a_protocol_failure() {
    let headers: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    for answer in [
        b"HTTP/1.1 0 Zero\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 999 High\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok".to_vec(),
        b"HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nX-A: b\0c\r\n\r\n".to_vec(),
        b"HTTP/2.0 200 OK\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\x00\x04\x00\xff\xff\xff".to_vec(),
        b"<html>".to_vec(),
        format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes(),
        format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(1_000_000)).into_bytes(),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000).into_bytes(),
    ] {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        let receiver = after_request(answer, false).await;
        let egress = egress();
        let exchange = egress.send(request(&receiver.url())).await;
        assert_eq!(class(&exchange), FailureClass::Protocol, "{start:?}");
        assert!(exchange.result.expect_err("a failure").bytes_sent, "{start:?}");
        assert_eq!((receiver.connections(), receiver.requests().len()), (1, 1), "{start:?}");
        assert_eq!(egress.idle_sockets(), 0);
    }
}

#[tokio::test]
async fn a_few_interim_responses_are_skipped() {
    let answer = [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", OK].concat();
    let receiver = Receiver::answering(answer).await;
    let egress = egress();
    for _ in 0..2 {
        assert_eq!(response(egress.send(request(&receiver.url())).await).status, 200);
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn of_a_long_head_whole_lines_are_kept() {
    let lines: String = (0..90).map(|n| format!("x-{n:02}: {}\r\n", "v".repeat(100))).collect();
    let receiver = Receiver::answering(format!("HTTP/1.1 204 No Content\r\n{lines}\r\n")).await;
    let response = response(egress().send(request(&receiver.url())).await);
    assert!(response.head.len() <= 4096 && response.head.len() > 3900, "{}", response.head.len());
    assert!(response.head.ends_with(b"v\n"));
}

#[tokio::test]
async fn an_answer_before_the_body_was_read_is_an_answer() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.stream.readable().await.expect("a request");
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let egress = egress();
    let body = Bytes::from(vec![b'x'; 32 * 1024 * 1024]);
    let exchange = egress.send(Request { body, ..request(&receiver.url()) }).await;
    assert_eq!(response(exchange).status, 413);
    assert_eq!(egress.idle_sockets(), 0, "a half-written request is on it");
}

#[tokio::test]
async fn nobody_listening_is_a_connect_failure() {
    let receiver = Receiver::answering(OK).await;
    let url = receiver.url();
    drop(receiver);
    settle().await;
    let exchange = egress().send(request(&url)).await;
    assert_eq!(class(&exchange), FailureClass::Connect);
    assert_eq!(exchange.peer, None);
    assert!(!exchange.result.expect_err("a failure").bytes_sent);
}

#[tokio::test]
async fn dropping_an_attempt_closes_its_socket() {
    let (closed, is_closed) = tokio::sync::oneshot::channel();
    let closed = std::sync::Mutex::new(Some(closed));
    let receiver = Receiver::start(move |mut peer| {
        let closed = closed.lock().expect("not poisoned").take();
        async move {
            peer.until_closed().await;
            closed.expect("one connection").send(()).expect("a test that waits");
        }
    })
    .await;
    let egress = egress();
    let cut = tokio::time::timeout(SHORT, egress.send(request(&receiver.url()))).await;
    assert!(cut.is_err());
    is_closed.await.expect("closed");
}
