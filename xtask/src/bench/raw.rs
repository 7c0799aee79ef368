//! The raw limit: what a bare hyper client gets out of this machine, posting the product's own bytes to the same sink.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request};
use tokio::task::JoinSet;

use super::receiver::Sink;
use crate::clock::now_ns;
use crate::failure::{Failure, Result};
use crate::http::Connection;

/// The sink's slot for raw requests.
const SLOT: usize = 15;
const CONNECTIONS: usize = 64;

/// One delivery as the product sent it.
#[derive(Clone)]
pub(super) struct Sample {
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Sample {
    /// From the bytes that the sink kept.
    pub(super) fn parse(wire: &Bytes) -> Result<Self> {
        let mut parsed = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut parsed);
        let httparse::Status::Complete(body_at) = request.parse(wire)? else {
            return Err(Failure::new("the sink kept no whole request"));
        };
        let mut headers = HeaderMap::new();
        for header in request.headers.iter() {
            // The length follows from the body, which stays as it is.
            if !header.name.eq_ignore_ascii_case("content-length") {
                headers.append(
                    HeaderName::from_bytes(header.name.as_bytes())?,
                    HeaderValue::from_bytes(header.value)?,
                );
            }
        }
        Ok(Self { headers, body: wire.slice(body_at..) })
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = hyper::Uri::from_static("/s/15");
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Requests per second, closed loop over [`CONNECTIONS`] kept-alive connections.
pub(super) async fn measure(sink: &Sink, sample: &Sample, requests: usize) -> Result<f64> {
    sink.reset().await?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(open(sink.address, sample).await?);
    }
    let left = Arc::new(AtomicUsize::new(requests));
    let began = now_ns();
    let mut workers = JoinSet::new();
    for mut connection in connections {
        let (left, sample) = (Arc::clone(&left), sample.clone());
        workers.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            {
                connection.send(sample.request()).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    let stats = sink.wait_for(SLOT, (requests + CONNECTIONS) as u64).await?;
    Ok(requests as f64 / (stats.last_ns.saturating_sub(began) as f64 / 1e9))
}

/// Opened and used once, so that no handshake is measured.
async fn open(address: SocketAddr, sample: &Sample) -> Result<Connection> {
    let mut connection = Connection::open(address).await?;
    connection.send(sample.request()).await?;
    Ok(connection)
}
