//! Bytes out, safely. The only client in the product, and the only place that opens sockets to the outside.
//!
//! What it promises about every request: the address that was vetted is the address that is dialled; no redirect is followed;
//! nothing is decompressed; nothing is read or waited for without a bound; and no request is sent a second time.
//!
//! It knows neither deliveries nor tenants: the engine gives it a [`Request`] and gets an [`Exchange`], whatever the receiver does.

mod address;
mod connect;
mod exchange;
mod explain;
mod headers;
mod http1;
mod policy;
mod pool;
mod resolve;
mod send;
mod target;
mod tls;

pub use address::{AddressVerdict, ForbiddenAddress, classify};
pub use exchange::{BodyEnd, Exchange, Failure, FailureClass, ReadBody, Request, Response, Reuse, Timing};
pub use headers::{HEADERS_BYTES_MAX, HEADERS_MAX, HeaderRefusal, HeaderRefusalKind, check_headers};
pub use policy::{AllowList, AllowListError, Policy};
pub use resolve::{FixedNames, Resolve, ResolveError, Resolving, SystemResolver};
pub use target::{Target, URL_BYTES_MAX, UrlRefusal};

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::connect::Connector;
use crate::pool::Pool;

/// Of a response's headers this much is kept, as text.
pub const HEAD_KEPT_BYTES: usize = 4096;

/// Every bound of an attempt. The reasons are with the values, in the caller's limits.
#[derive(Debug, Clone)]
pub struct Budgets {
    pub dns: Duration,
    pub connect: Duration,
    pub tls: Duration,
    /// Of a response's body. What lies beyond is not read, and the socket is dropped.
    pub response_read_bytes: usize,
    pub response_kept_bytes: usize,
    /// The status line and all headers; also what interim responses may have together.
    pub response_head_bytes: usize,
    pub response_headers_max: usize,
    /// Since the dial.
    pub socket_age: Duration,
    /// Per origin and partition.
    pub idle_per_origin_max: usize,
    pub idle_total_max: usize,
}

/// What an [`Egress`] is made of.
#[derive(Debug)]
pub struct EgressConfig {
    pub policy: Policy,
    pub budgets: Budgets,
    pub resolver: Arc<dyn Resolve>,
    /// Certificates (PEM) that are trusted besides Mozilla's and the system's.
    pub extra_roots_pem: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("an extra root certificate cannot be used: {0}")]
    ExtraRoots(String),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// The client. One per process; share it by reference or in an `Arc`. Dropping it closes its idle sockets.
#[derive(Debug)]
pub struct Egress {
    connector: Connector,
    pool: Pool,
    budgets: Budgets,
}

impl Egress {
    /// Reads the system's root certificates.
    pub fn new(config: EgressConfig) -> Result<Self, EgressError> {
        let tls = tls::client_config(&config.extra_roots_pem)?;
        let connector = Connector::new(config.policy, config.resolver, tls, &config.budgets);
        Ok(Self { connector, pool: Pool::new(&config.budgets), budgets: config.budgets })
    }

    pub fn policy(&self) -> &Policy {
        self.connector.policy()
    }

    /// Makes one attempt. Never fails: what goes wrong is in the exchange. Ends within the request's timeout.
    ///
    /// The request's own `Host`, `Content-Length` and `Transfer-Encoding` are replaced. Dropping the future drops the socket.
    pub async fn send(&self, request: Request) -> Exchange {
        send::send(&self.connector, &self.pool, &self.budgets, request).await
    }

    /// Drops idle sockets that are too old or that their peers have closed. To be called every few seconds.
    pub fn sweep_idle(&self) {
        self.pool.sweep(Instant::now());
    }

    pub fn idle_sockets(&self) -> usize {
        self.pool.count()
    }
}
