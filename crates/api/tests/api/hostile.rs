//! What strangers send to a trigger's URL to do harm: refused early, within a bound, and the process answers afterwards.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request};
use http_body::Frame;
use postrider_domain::limits;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tower::ServiceExt as _;

use crate::inbound::{acme, ended, hook, invoke, recorder, requests_of, run_of, runs_of};
use crate::serving::{connect, serve};
use crate::world::{Reply, World};

const PIECE: usize = 64 * 1024;

/// Verifies nothing, so that everything is looked at.
fn open() -> Value {
    json!({"type": "webhook", "verification": {"preset": "none"}})
}

async fn causes(world: &World, trigger: &Value) -> Vec<String> {
    let rows = requests_of(world, trigger).await;
    rows.iter().map(|row| row["cause"].as_str().expect("a cause").to_owned()).collect()
}

/// The next one is served as ever.
async fn expect_alive(world: &World, trigger: &Value) {
    world.ask(Method::GET, "/healthz").send().await.expect_status(200);
    let before = runs_of(world, trigger).await.len();
    let reply = invoke(world, trigger).raw("{\"fine\": true}").send().await.expect_status(202);
    let run = ended(world, &run_of(&reply)).await;
    assert_eq!(run["input"], json!({"fine": true}));
    assert_eq!(runs_of(world, trigger).await.len(), before + 1);
}

#[tokio::test]
async fn a_body_is_read_by_its_type_and_no_other() {
    let world = acme().await;
    let trigger = recorder(&world, &open()).await;
    let send = async |types: &[&str], body: &[u8]| {
        let mut ask = invoke(&world, &trigger);
        for kind in types {
            ask = ask.header("Content-Type", kind);
        }
        ask.untyped(body).send().await
    };
    let form = "application/x-www-form-urlencoded";
    for (types, body, input) in [
        (&["application/json"][..], "{\"a\": 1}", json!({"a": 1})),
        (&["application/json; charset=utf-8"], "{\"a\": 1}", json!({"a": 1})),
        (&["application/cloudevents+json"], "[1]", json!([1])),
        (&["text/plain"], "\"text\"", json!("text")),
        (&[], "{\"a\": 1}", json!({"a": 1})),
        (&[form], "a=1&b=x+y&a=2", json!({"a": ["1", "2"], "b": "x y"})),
        (&["application/x-www-form-urlencoded; charset=UTF-8"], "a=%FF", json!({"a": "\u{fffd}"})),
        // JSON by its bytes, a form by its type.
        (&[form], "{\"a\":1}", json!({"{\"a\":1}": ""})),
        (&[form], "1", json!({"1": ""})),
    ] {
        let reply = send(types, body.as_bytes()).await.expect_status(202);
        let run = ended(&world, &run_of(&reply)).await;
        assert_eq!(run["input"], input, "{types:?} {body}");
    }
    for (types, body, status, code) in [
        (&["application/xml"][..], "<a/>", 415, "unsupported_media_type"),
        (&["text/html"], "{}", 415, "unsupported_media_type"),
        (&["multipart/form-data; boundary=x"], "--x--", 415, "unsupported_media_type"),
        (&["application/octet-stream"], "{}", 415, "unsupported_media_type"),
        (&["nonsense"], "{}", 415, "unsupported_media_type"),
        (&["application/json", "application/json"], "{}", 415, "unsupported_media_type"),
        (&["application/json", form], "{}", 415, "unsupported_media_type"),
        (&["text/plain"], "only text", 400, "malformed_json"),
        (&[form], "", 400, "malformed_json"),
        (&[], "", 400, "malformed_json"),
    ] {
        send(types, body.as_bytes()).await.expect_problem(status, code, "");
    }
    expect_alive(&world, &trigger).await;
}

#[tokio::test]
async fn bytes_that_are_no_json_are_refused_and_odd_json_is_taken_as_it_is() {
    let world = acme().await;
    let trigger = recorder(&world, &open()).await;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let gzip = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0xff];
    for (what, body) in [
        ("brackets that never close", "[".repeat(10_000).into_bytes()),
        ("brackets that close", deep(10_000).into_bytes()),
        ("one level too many", deep(limits::JSON_DEPTH_MAX + 1).into_bytes()),
        ("objects in objects", "{\"a\":".repeat(10_000).into_bytes()),
        ("invalid UTF-8", b"{\"a\": \"\xff\xfe\"}".to_vec()),
        ("a NUL byte in a text", b"{\"a\": \"\0\"}".to_vec()),
        ("half a surrogate", br#"{"a": "\ud800"}"#.to_vec()),
        ("a number that is too large", b"{\"a\": 1e400}".to_vec()),
        ("two documents", b"{}{}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("compressed", gzip.to_vec()),
    ] {
        let reply = invoke(&world, &trigger).header("Content-Encoding", "gzip").raw(body).send().await;
        assert_eq!(reply.status, 400, "{what}: {}", reply.text);
        reply.expect_problem(400, "malformed_json", "");
    }
    let refused = causes(&world, &trigger).await;
    assert!(refused.len() == 11 && refused.iter().all(|cause| cause == "unparsable"), "{refused:?}");
    assert!(runs_of(&world, &trigger).await.is_empty());
    for (body, input) in [
        (r#"{"a": "\u0000"}"#.to_owned(), json!({"a": "\u{0}"})),
        (r#"{"a": 1, "a": 2}"#.to_owned(), json!({"a": 2})),
        ("{\"a\": 1e308}".to_owned(), json!({"a": 1e308})),
        ("12345678901234567890123".to_owned(), json!(12_345_678_901_234_567_890_123_f64)),
        (
            deep(limits::JSON_DEPTH_MAX - 1),
            serde_json::from_str(&deep(limits::JSON_DEPTH_MAX - 1)).expect("JSON"),
        ),
    ] {
        let reply = invoke(&world, &trigger).raw(body.as_str()).send().await.expect_status(202);
        let run = ended(&world, &run_of(&reply)).await;
        assert_eq!(run["input"], input, "{body}");
        let path = format!("/v1/requests/{}", run["requestId"].as_str().expect("an id"));
        let kept = world.operator(Method::GET, path, "acme").send().await.expect_status(200);
        assert_eq!(kept.json["body"], body, "kept byte for byte");
    }
    expect_alive(&world, &trigger).await;
}

#[tokio::test]
async fn a_nul_byte_in_an_id_is_nobodys_trouble() {
    let world = acme().await;
    let mut made = open();
    made["dedup"] = json!({"expression": "input.id"});
    let trigger = recorder(&world, &made).await;
    let reply = invoke(&world, &trigger).raw(r#"{"id": "a\u0000b"}"#).send().await;
    reply.expect_problem(400, "malformed_json", "");
    let linked = json!({"preset": "okta", "secrets": ["s"]});
    let trigger = recorder(&world, &json!({"type": "webhook", "verification": linked})).await;
    for duplicate in [false, true] {
        let ask = invoke(&world, &trigger).header("Authorization", "s");
        let reply = ask.raw(r#"{"eventId": "a\u0000b"}"#).send().await.expect_status(200);
        assert_eq!(reply.json["duplicate"], duplicate);
    }
}

/// A body without an end: how many pieces were asked for is counted.
struct Endless {
    asked: Arc<AtomicUsize>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; PIECE])))))
    }
}

#[tokio::test]
async fn of_a_body_without_an_end_no_more_is_read_than_the_trigger_takes() {
    let world = acme().await;
    for most in [1, 2 * PIECE, limits::TRIGGER_BODY_BYTES_DEFAULT] {
        let mut made = open();
        made["maxBytes"] = most.into();
        let trigger = recorder(&world, &made).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let body = Body::new(Endless { asked: asked.clone() });
        let request = Request::post(hook(&trigger)).body(body).expect("a request");
        let reply = world.router.clone().oneshot(request).await.expect("the router always answers");
        Reply::of(reply).await.expect_problem(413, "body_too_large", "");
        let pieces = asked.load(Ordering::Relaxed);
        assert_eq!(pieces, most / PIECE + 1, "for {most} bytes");
        assert_eq!(causes(&world, &trigger).await, ["too_large"]);
    }
}

#[tokio::test]
async fn a_gigabyte_in_chunks_is_refused_after_the_first_of_them() {
    const GIGABYTE: usize = 1 << 30;
    let world = acme().await;
    let trigger = recorder(&world, &open()).await;
    let server = serve(&world).await;
    let stream = connect(&server).await;
    let (mut from, mut to) = stream.into_split();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        hook(&trigger)
    );
    let writing = tokio::spawn(async move {
        let mut chunk = format!("{PIECE:x}\r\n").into_bytes();
        chunk.extend_from_slice(&[b' '; PIECE]);
        chunk.extend_from_slice(b"\r\n");
        let mut written = 0;
        if to.write_all(head.as_bytes()).await.is_ok() {
            while written < GIGABYTE && to.write_all(&chunk).await.is_ok() {
                written += PIECE;
            }
        }
        written
    });
    let mut answer = Vec::new();
    // The server closes while we are writing: the answer may be lost on the way, its reason is in the history.
    let _ = from.read_to_end(&mut answer).await;
    let written = writing.await.expect("writing does not panic");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // The trigger's mebibyte, and what the sockets' buffers on both sides hold.
    assert!(written < 64 * 1024 * 1024, "{written} bytes were taken");
    assert_eq!(causes(&world, &trigger).await, ["too_large"]);
    expect_alive(&world, &trigger).await;
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_before_a_byte_is_read() {
    let world = acme().await;
    let trigger = recorder(&world, &open()).await;
    let server = serve(&world).await;
    let mut stream = connect(&server).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n",
        hook(&trigger)
    );
    stream.write_all(head.as_bytes()).await.expect("the head is taken");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let row = requests_of(&world, &trigger).await.remove(0);
    assert_eq!((&row["cause"], &row["bodyBytes"]), (&json!("too_large"), &json!(1_073_741_824)));
    expect_alive(&world, &trigger).await;
}

/// One byte, and then nothing more; says when it was asked again.
struct Stalled {
    first: bool,
    asked: Option<oneshot::Sender<()>>,
}

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if std::mem::take(&mut self.first) {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{")))));
        }
        if let Some(asked) = self.asked.take() {
            let _ = asked.send(());
        }
        Poll::Pending
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_waited_for_half_a_minute_and_no_longer() {
    let world = acme().await;
    let trigger = recorder(&world, &open()).await;
    let (asked, stalls) = oneshot::channel();
    let body = Body::new(Stalled { first: true, asked: Some(asked) });
    let request = Request::post(hook(&trigger)).body(body).expect("a request");
    let answer = tokio::spawn(world.router.clone().oneshot(request));
    stalls.await.expect("the body is read");
    world.clock.advance(limits::TRIGGER_BODY_TIMEOUT - Duration::from_secs(1));
    postrider_testkit::clock::turn().await;
    assert!(!answer.is_finished(), "it is not yet late");
    world.clock.advance(Duration::from_secs(1));
    let reply = answer.await.expect("no panic").expect("the router always answers");
    let reply = Reply::of(reply).await;
    assert_eq!(reply.status, 408, "{}", reply.text);
    let row = requests_of(&world, &trigger).await.remove(0);
    assert_eq!((&row["cause"], &row["status"]), (&json!("unparsable"), &json!(408)));
    expect_alive(&world, &trigger).await;
}

#[tokio::test]
async fn a_body_that_stops_early_starts_nothing() {
    let world = acme().await;
    let trigger = recorder(&world, &open()).await;
    let server = serve(&world).await;
    let mut stream = connect(&server).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"a\": 1}}",
        hook(&trigger)
    );
    stream.write_all(head.as_bytes()).await.expect("the head is taken");
    stream.shutdown().await.expect("the writing side closes");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains(" 202 "));
    assert!(runs_of(&world, &trigger).await.is_empty());
    expect_alive(&world, &trigger).await;
}

#[tokio::test]
async fn twenty_five_megabytes_are_taken_where_the_trigger_takes_them() {
    let world = acme().await;
    let mut made = open();
    made["maxBytes"] = limits::TRIGGER_BODY_BYTES_MAX.into();
    let trigger = recorder(&world, &made).await;
    let of = |bytes: usize| format!("{{\"blob\": \"{}\"}}", "x".repeat(bytes - 12));
    let body = of(25_000_000);
    let reply = invoke(&world, &trigger).raw(body.as_str()).send().await.expect_status(202);
    let run = ended(&world, &run_of(&reply)).await;
    assert_eq!(run["input"]["blob"].as_str().map(str::len), Some(25_000_000 - 12));
    let over = of(limits::TRIGGER_BODY_BYTES_MAX + 1);
    let reply = invoke(&world, &trigger).raw(over).send().await;
    reply.expect_problem(413, "body_too_large", "");
    // Many values are another matter: parsed, they take many times as much.
    let many = format!("[{}0]", "0,".repeat(2_000_000));
    invoke(&world, &trigger).raw(many).send().await.expect_problem(400, "malformed_json", "");
    let mut causes = causes(&world, &trigger).await;
    causes.sort();
    assert_eq!(causes, ["accepted", "too_large", "unparsable"]);
    expect_alive(&world, &trigger).await;
}
