//! The server on a socket: keeps connections, bounds heads, ends well.

use std::net::SocketAddr;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::world::{OPERATOR, World};

pub(crate) struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub(crate) async fn serve(world: &World) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let router = world.router.clone();
    let task = tokio::spawn(postrider_api::serve(listener, router, async {
        let _ = stopped.await;
    }));
    Server { address, stop, task }
}

#[expect(clippy::disallowed_methods, reason = "the test is the client of the product's own listener")]
pub(crate) async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.expect("the server listens")
}

async fn client(server: &Server) -> SendRequest<Body> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(connect(server).await)).await.expect("a handshake");
    tokio::spawn(async move {
        // Ends with the server.
        let _ = connection.await;
    });
    sender
}

fn publish() -> Request<Body> {
    Request::post("/v1/events")
        .header("Host", "postrider.test")
        .header("Authorization", format!("Bearer {OPERATOR}"))
        .header("Postrider-Tenant", "acme")
        .header("Content-Type", "application/json")
        .body(Body::from(json!({"type": "a.b", "data": 1}).to_string()))
        .expect("a test's request is a request")
}

#[tokio::test]
async fn one_connection_carries_many_requests_and_a_stop_ends_it() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let server = serve(&world).await;
    let mut sender = client(&server).await;
    for _ in 0..3 {
        let response = sender.send_request(publish()).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        response.into_body().collect().await.expect("a whole body");
        sender.ready().await.expect("the connection is kept");
    }
    server.stop.send(()).expect("the server runs");
    server.task.await.expect("the server ends well");
    assert!(sender.send_request(publish()).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_head_beyond_the_bound_is_refused_and_the_next_client_is_served() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let server = serve(&world).await;
    let mut stream = connect(&server).await;
    let head = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(64 * 1024));
    // The server may close before all of it is written.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let response = client(&server).await.send_request(publish()).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_body_that_stops_early_accepts_nothing() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let server = serve(&world).await;
    let mut stream = connect(&server).await;
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {OPERATOR}\r\nPostrider-Tenant: acme\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"type\": \"a.b\", \"data\": 1}}"
    );
    stream.write_all(head.as_bytes()).await.expect("the head is taken");
    stream.shutdown().await.expect("the writing side closes");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(world.whole_list("/v1/events", "acme").await.is_empty());
    assert!(!String::from_utf8_lossy(&answer).contains(" 202 "));
}
