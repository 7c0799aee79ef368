//! Connections: OAuth 2 grants that steps use, refreshed before they expire, by one at a time.
//!
//! Owns every request to a provider. Called by the API (changes, authorizations), by steps ([`Connections::access_token`]) and
//! by its own look at what expires soon. It never shows or logs a token, never calls a provider without the connection's lease,
//! and never holds a transaction across a call.
//!
//! Reading order: `provider` (data), `grant` (pure: what is said and what answers mean), `row`, `hold` (who may call), `refresh`,
//! `authorize`, `change`.

mod authorize;
mod change;
mod grant;
mod hold;
mod provider;
mod refresh;
mod row;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_domain::id::{ConnectionId, TenantId};
use postrider_domain::limits;
use postrider_domain::problem::Problem;
use postrider_domain::time::Timestamp;
use postrider_egress::{BodyEnd, FailureClass, ReadBody, Request, Reuse, Target};
use postrider_store::config::ConnectionRow;
use postrider_store::{Store, StoreError};
use tokio::sync::Semaphore;

use crate::control::Control;
use crate::error::EngineError;
use crate::outbound::dispatch::Outbound;

pub use authorize::{AuthorizationLink, Callback, CallbackOutcome};
pub use change::ConnectionPatch;
pub(crate) use grant::is_scope;
pub use provider::{CUSTOM, ClientAuth, Provider, provider, providers};
pub use row::Connection;
pub(crate) use row::{Credentials, Settings, audit_state};

/// Why a step gets no token: a sentence for the run, and whether the step should try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ConnectionError {
    /// What happened and what to do. Holds no secret.
    pub detail: String,
    pub retry: Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Somebody has to do something first.
    No,
    /// It may pass; not before this long.
    After(Duration),
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    outbound: Arc<Outbound>,
    control: Control,
    /// Of connections that are being worked on, or whose provider could not be asked a moment ago.
    slots: Mutex<HashMap<ConnectionId, Arc<hold::Slot>>>,
    /// What talks to providers. Stopping waits for it: a refresh token that was replaced must be written down.
    calls: Semaphore,
}

impl Connections {
    pub(crate) fn new(outbound: Arc<Outbound>, control: Control) -> Self {
        let (slots, calls) = (Mutex::default(), Semaphore::new(limits::PROVIDER_CALLS_MAX));
        Self(Arc::new(Inner { outbound, control, slots, calls }))
    }

    /// A tenant's connection, by its id or its name. `not_found` for another tenant's.
    pub async fn get(&self, tenant: TenantId, connection: &str) -> Result<Connection, EngineError> {
        let row = self.find(tenant, connection).await?.ok_or_else(|| Problem::not_found("connection"))?;
        Ok(shown(self.store(), row)?)
    }

    /// Newest first; `before`: the last id of the page before.
    pub async fn list(
        &self,
        tenant: TenantId,
        before: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Vec<Connection>, EngineError> {
        let rows = self.store().connection_list(tenant, before, limit).await?;
        let mut connections = Vec::with_capacity(rows.len());
        for row in rows {
            connections.push(shown(self.store(), row)?);
        }
        Ok(connections)
    }

    /// No new calls; those under way end and are written down, which their timeout bounds.
    pub(crate) async fn stop(&self) {
        let all = u32::try_from(limits::PROVIDER_CALLS_MAX).unwrap_or(u32::MAX);
        // The machine's time: nobody moves a provider's answer by hand.
        if tokio::time::timeout(limits::CONNECTION_LEASE, self.0.calls.acquire_many(all)).await.is_err() {
            tracing::warn!("stop.provider_calls_left");
        }
        self.0.calls.close();
    }

    async fn find(&self, tenant: TenantId, connection: &str) -> Result<Option<ConnectionRow>, StoreError> {
        match ConnectionId::parse(connection) {
            Ok(id) => self.store().connection_get(tenant, id).await,
            Err(_) if connection.len() > limits::CREDENTIAL_NAME_BYTES_MAX || connection.contains('\0') => {
                Ok(None)
            }
            Err(_) => self.store().connection_by_name(tenant, connection).await,
        }
    }

    fn store(&self) -> &Store {
        &self.0.outbound.store
    }

    fn now(&self) -> Timestamp {
        self.0.outbound.clock.now()
    }

    /// One request to a provider, over the one client that there is.
    async fn call(&self, tenant: TenantId, url: &str, said: grant::Said) -> Heard {
        let target = match Target::parse_stored(url) {
            Ok(target) => target,
            Err(refusal) => return Heard::Nothing { class: None, what: refusal.detail().to_owned() },
        };
        let request = Request {
            method: http::Method::POST,
            target,
            headers: said.headers,
            body: said.body,
            timeout: limits::CONNECTION_REQUEST_TIMEOUT,
            partition: *tenant.as_bytes(),
            // What was sent over a socket that its peer was closing may have been heard, and is not sent again.
            reuse: Reuse::FreshWithin(Duration::from_secs(1)),
            body_rule: ReadBody::Whole { bytes_max: limits::TOKEN_RESPONSE_BYTES_MAX },
        };
        match self.0.outbound.egress.send(request).await.result {
            Ok(response) if response.body_end == BodyEnd::Complete => Heard::Answer {
                status: response.status,
                retry_after: response.retry_after.as_deref().and_then(seconds),
                body: response.body,
            },
            Ok(response) => {
                let what = match response.body_end {
                    BodyEnd::Capped => {
                        let most = limits::TOKEN_RESPONSE_BYTES_MAX / 1024;
                        format!("The provider's answer is longer than {most} KiB.")
                    }
                    _ => "The provider's answer did not come whole.".to_owned(),
                };
                Heard::Nothing { class: None, what }
            }
            Err(failure) => Heard::Nothing { class: Some(failure.class), what: failure.detail },
        }
    }
}

/// What came of a request.
enum Heard {
    Answer {
        status: u16,
        retry_after: Option<Duration>,
        body: bytes::Bytes,
    },
    /// A sentence about it.
    Nothing {
        class: Option<FailureClass>,
        what: String,
    },
}

/// `Retry-After` in seconds; a date is not worth a calendar here.
fn seconds(value: &[u8]) -> Option<Duration> {
    std::str::from_utf8(value).ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// A connection as it may be shown.
pub(crate) fn shown(store: &Store, row: ConnectionRow) -> Result<Connection, StoreError> {
    Ok(row::Opened::of(store, row)?.shown())
}

impl From<StoreError> for ConnectionError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "connection.store_failed");
        Self {
            detail: "Postrider's own store could not be used. This is no fault of the connection.".to_owned(),
            retry: Retry::After(limits::STORE_RETRY),
        }
    }
}
