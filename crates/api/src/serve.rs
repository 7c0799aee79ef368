//! Serving a router on a listener: HTTP/1.1, with a bound on everything a client can make us hold.
//!
//! Clients are servers and proxies on the same side of the internet as we are; a proxy in front speaks HTTP/1.1 to us
//! even where it speaks HTTP/2 to the world, so the simpler protocol, with fewer ways to be flooded, is the only one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Each holds a descriptor and some 10 KiB; beyond it, new clients wait in the kernel's queue.
const CLIENTS_MAX: usize = 4096;
/// A head takes one packet; a client that needs longer is broken or hostile. Also ends idle connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Four times what common proxies send. hyper looks before it reads on, so that a head of up to twice this may pass; it
/// answers 431 by itself, also above its own bound of 100 headers.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long a stop waits for requests under way: accepting an event takes milliseconds.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// After `accept` failed (out of descriptors, most of the time) another try at once would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is connected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Serves `router` on `listener` until `shutdown` resolves, then lets the requests under way end.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(true)
        .pipeline_flush(false);
    let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &clients) => accepted,
        };
        let (stream, peer, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "api.accept_failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are small and complete: waiting to fill a packet would only add latency.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "api.nodelay_failed");
        }
        let peer = Peer(peer.ip().to_canonical());
        let known = router.clone().map_request(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.map(Body::new)
        });
        let service = TowerToHyperService::new(known);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        // Owned by `graceful`, which waits for it below.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "api.connection_ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(STOP_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = STOP_GRACE.as_secs(), "api.stopped_with_requests_under_way");
    }
}

async fn accept(
    listener: &TcpListener,
    clients: &Arc<Semaphore>,
) -> std::io::Result<(tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(clients).acquire_owned().await.expect("because the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slot))
}
