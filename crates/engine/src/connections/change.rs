//! Changes of a connection: its credentials and scopes, its end. Each takes the connection's lease first, so that no refresh
//! under way writes over it, nor it over a refresh token that a provider has just replaced.

use std::sync::Arc;

use postrider_domain::connection::{ConnectionState, Grant};
use postrider_domain::problem::{Code, Problem};
use postrider_store::StoreError;
use postrider_store::config::ConnectionWrite;
use secrecy::SecretString;

use super::hold::{Held, Hold};
use super::row::Opened;
use super::{Connection, Connections, Heard, grant};
use crate::catalogue::Tenant;
use crate::control::{Actor, ConnectionAct, check_client_secret, check_scopes};
use crate::error::EngineError;

/// `PATCH /v1/connections/{connection}`: what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct ConnectionPatch {
    /// `Some(None)`: a public client.
    pub client_secret: Option<Option<SecretString>>,
    pub scopes: Option<Vec<String>>,
}

impl Connections {
    /// Changes a connection: operator, or admin of the tenant.
    pub async fn update(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        connection: &str,
        patch: ConnectionPatch,
    ) -> Result<Connection, EngineError> {
        self.0.control.connection_may(actor, tenant)?;
        if let Some(Some(secret)) = &patch.client_secret {
            check_client_secret(secret)?;
        }
        if let Some(scopes) = &patch.scopes {
            check_scopes(scopes)?;
        }
        let mut held = self.hold_for_change(tenant, connection).await?;
        let before = held.opened.audit_state();
        let opened = &mut held.opened;
        let asks_for_itself = opened.settings.grant == Grant::ClientCredentials;
        if asks_for_itself && matches!(patch.client_secret, Some(None)) {
            self.let_go(&held).await;
            return Err(Problem::at(
                Code::SecretInvalid,
                "clientSecret",
                "A client that asks for itself needs its secret. Give another one, or delete the connection.",
            )
            .into());
        }
        let secret_replaced = patch.client_secret.is_some();
        if let Some(secret) = patch.client_secret {
            opened.credentials.client_secret = secret;
        }
        if let Some(scopes) = patch.scopes {
            opened.settings.scopes = scopes;
            // For a person's grant they count when it is authorized again.
            if asks_for_itself {
                opened.credentials.forget_tokens();
                opened.row.expires = None;
            }
        }
        let revived = match opened.row.state {
            // What failed gets another chance.
            ConnectionState::Failed => true,
            ConnectionState::Revoked => asks_for_itself && secret_replaced,
            ConnectionState::Pending | ConnectionState::Active => {
                asks_for_itself && opened.credentials.access.is_none()
            }
        };
        if revived {
            opened.row.error = None;
            opened.row.state = match opened.credentials.refresh {
                Some(_) => ConnectionState::Active,
                None => ConnectionState::Pending,
            };
        }
        held.rested();
        let mut after = held.opened.audit_state();
        if secret_replaced {
            after["clientSecretReplaced"] = true.into();
        }
        self.write_change(actor, tenant, &held, "connection.updated", before, Some(after)).await
    }

    /// Ends what the connection may do, at the provider if it can be told (RFC 7009), and here in any case: operator, or admin
    /// of the tenant. `error` says so when the provider could not be told.
    pub async fn revoke(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        connection: &str,
    ) -> Result<Connection, EngineError> {
        self.0.control.connection_may(actor, tenant)?;
        let held = self.hold_for_change(tenant, connection).await?;
        let (connections, actor, tenant) = (self.clone(), *actor, tenant.clone());
        in_a_task(async move { connections.revoke_held(&actor, &tenant, held).await }).await
    }

    async fn revoke_held(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        mut held: Box<Held>,
    ) -> Result<Connection, EngineError> {
        let before = held.opened.audit_state();
        let told = self.revoke_at_provider(&held.opened).await;
        let opened = &mut held.opened;
        opened.credentials.forget_tokens();
        if opened.settings.grant == Grant::ClientCredentials {
            // With it a token could be had at any time.
            opened.credentials.client_secret = None;
        }
        opened.row.state = ConnectionState::Revoked;
        opened.row.expires = None;
        opened.row.error = told.err();
        held.rested();
        let after = held.opened.audit_state();
        self.write_change(actor, tenant, &held, "connection.revoked", before, Some(after)).await
    }

    /// Revokes, then removes: operator, or admin of the tenant.
    pub async fn delete(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        connection: &str,
    ) -> Result<(), EngineError> {
        self.0.control.connection_may(actor, tenant)?;
        let held = self.hold_for_change(tenant, connection).await?;
        let (connections, actor, tenant) = (self.clone(), *actor, tenant.clone());
        in_a_task(async move { connections.delete_held(&actor, &tenant, held).await }).await
    }

    async fn delete_held(&self, actor: &Actor, tenant: &Tenant, held: Box<Held>) -> Result<(), EngineError> {
        let mut before = held.opened.audit_state();
        if let Err(why) = self.revoke_at_provider(&held.opened).await {
            before["notRevoked"] = why.into();
        }
        held.rested();
        let row = &held.opened.row;
        let delete = ConnectionWrite::Delete { tenant: row.tenant, id: row.id, version: row.version };
        let act =
            ConnectionAct { action: "connection.deleted", id: row.id, before: Some(before), after: None };
        self.0.control.connection_commit(actor, tenant, delete, act).await
    }

    async fn hold_for_change(&self, tenant: &Tenant, connection: &str) -> Result<Box<Held>, EngineError> {
        let row = self.find(tenant.id, connection).await?.ok_or_else(|| Problem::not_found("connection"))?;
        match self.hold::<()>(tenant.id, row.id, |_| None).await? {
            Hold::Held(held) => Ok(held),
            Hold::Gone | Hold::Settled(()) => Err(Problem::not_found("connection").into()),
            Hold::Busy => Err(EngineError::refused(
                Code::Conflict,
                "The connection is being refreshed or changed just now. Send the request again in a minute.",
            )),
        }
    }

    async fn write_change(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        held: &Held,
        action: &'static str,
        before: serde_json::Value,
        after: Option<serde_json::Value>,
    ) -> Result<Connection, EngineError> {
        let row = held.opened.next_row(self.store(), self.now());
        let act = ConnectionAct { action, id: row.id, before: Some(before), after };
        let write = ConnectionWrite::Update(row.clone());
        self.0.control.connection_commit(actor, tenant, write, act).await?;
        Ok(super::shown(self.store(), row)?)
    }

    /// Nothing was changed: others need not wait for the lease's end.
    async fn let_go(&self, held: &Held) {
        let row = postrider_store::config::ConnectionRow {
            updated: held.opened.row.updated,
            ..held.opened.next_row(self.store(), self.now())
        };
        if let Err(error) = self.store().connection_settle(&row).await {
            tracing::error!(%error, connection = %row.id, "connection.not_let_go");
        }
    }

    /// The refresh token first: with it goes, at most providers, all that came of it. The error is a sentence for people.
    async fn revoke_at_provider(&self, opened: &Opened) -> Result<(), String> {
        let credentials = &opened.credentials;
        let tokens: Vec<(&SecretString, &'static str)> = [
            credentials.refresh.as_ref().map(|token| (token, "refresh_token")),
            credentials.access.as_ref().map(|token| (token, "access_token")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if tokens.is_empty() {
            return Ok(());
        }
        let todo = "The tokens were removed here; end the app's access at the provider by hand.";
        let Some(url) = opened.revocation_url() else {
            return Err(format!(
                "The connection has no revocation URL, so its provider could not be told. {todo}"
            ));
        };
        let Ok(_call) = self.0.calls.acquire().await else {
            return Err(format!("Postrider is stopping, so the provider was not told. {todo}"));
        };
        let mut failed = None;
        for (token, hint) in tokens {
            let said = grant::revocation_request(&opened.client(), token, hint);
            let why = match self.call(opened.row.tenant, url, said).await {
                Heard::Answer { status, body, .. } => {
                    grant::judge_revocation(status, &body, &credentials.secrets())
                }
                Heard::Nothing { what, .. } => Some(what.trim_end_matches('.').to_owned()),
            };
            // The refresh token's answer counts: what it gave is short-lived, and some providers revoke it along.
            if hint == "refresh_token" || credentials.refresh.is_none() {
                failed = why;
            }
        }
        match failed {
            None => Ok(()),
            Some(why) => Err(format!("The provider could not be told: {why}. {todo}")),
        }
    }
}

/// A caller who hangs up must not leave a connection whose tokens are ended at the provider and kept here.
async fn in_a_task<T: Send + 'static>(
    change: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::spawn(change).await.unwrap_or_else(|error| {
        Err(StoreError::Internal(format!("a change of a connection panicked: {error}")).into())
    })
}
