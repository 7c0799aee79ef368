//! A connection between its row and its meaning: settings in clear, credentials sealed, and what of it may be shown.

use postrider_domain::connection::{ConnectionState, Grant};
use postrider_domain::id::ConnectionId;
use postrider_domain::time::Timestamp;
use postrider_store::config::ConnectionRow;
use postrider_store::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::grant::Client;
use super::provider::{ClientAuth, Format, Provider, provider};

/// What the sealed part is bound to, with the connection's id.
const FIELD: &str = "connection.sealed";

/// A connection as it may be shown.
#[derive(Debug, Clone)]
pub struct Connection {
    pub id: ConnectionId,
    pub name: String,
    pub provider: String,
    pub grant: Grant,
    pub client_id: String,
    pub client_secret_set: bool,
    pub scopes: Vec<String>,
    pub authorization_url: Option<String>,
    pub token_url: Option<String>,
    pub revocation_url: Option<String>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    pub resource: Option<String>,
    pub auth: ClientAuth,
    pub state: ConnectionState,
    /// Of the access token.
    pub expires: Option<Timestamp>,
    /// What went wrong last, and what to do.
    pub error: Option<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// What a caller said about a connection. What is absent is the provider's, as the file has it today.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) grant: Grant,
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revocation_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audience: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<ClientAuth>,
}

impl Settings {
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("because settings have no map")
    }
}

/// What is sealed.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    pub(super) client_secret: Option<SecretString>,
    pub(super) access: Option<SecretString>,
    pub(super) refresh: Option<SecretString>,
    /// When the access token came.
    pub(super) obtained: Option<Timestamp>,
    /// How many access tokens there have been: tells a new one from the one that was seen.
    pub(super) renewals: u64,
}

/// The sealed bytes.
#[derive(Serialize)]
struct Written<'a> {
    client_secret: Option<&'a str>,
    access: Option<&'a str>,
    refresh: Option<&'a str>,
    obtained_ms: Option<i64>,
    renewals: u64,
}

#[derive(Deserialize)]
struct Read {
    client_secret: Option<String>,
    access: Option<String>,
    refresh: Option<String>,
    obtained_ms: Option<i64>,
    renewals: u64,
}

impl Credentials {
    /// Of a connection that nobody used yet.
    pub(crate) fn of_client(client_secret: Option<SecretString>) -> Self {
        Self { client_secret, ..Self::default() }
    }

    pub(crate) fn seal(&self, store: &Store, id: ConnectionId) -> Vec<u8> {
        let text = |secret: &'_ Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
        let (client_secret, access, refresh) =
            (text(&self.client_secret), text(&self.access), text(&self.refresh));
        let (client_secret, access, refresh) =
            (client_secret.map(Zeroizing::new), access.map(Zeroizing::new), refresh.map(Zeroizing::new));
        let written = Written {
            client_secret: client_secret.as_deref().map(String::as_str),
            access: access.as_deref().map(String::as_str),
            refresh: refresh.as_deref().map(String::as_str),
            obtained_ms: self.obtained.map(Timestamp::unix_ms),
            renewals: self.renewals,
        };
        let json = Zeroizing::new(serde_json::to_vec(&written).expect("because it is plain data"));
        store.seal(FIELD, id.as_bytes(), &json)
    }

    fn open(store: &Store, row: &ConnectionRow) -> Result<Self, StoreError> {
        let json = store.open_sealed(FIELD, row.id.as_bytes(), &row.sealed)?;
        // What serde_json would say may hold a piece of a secret.
        let read: Read = serde_json::from_slice(&json)
            .map_err(|_| StoreError::Corrupt(format!("the sealed part of {}", row.id)))?;
        Ok(Self {
            client_secret: read.client_secret.map(SecretString::from),
            access: read.access.map(SecretString::from),
            refresh: read.refresh.map(SecretString::from),
            obtained: read.obtained_ms.map(Timestamp::from_unix_ms),
            renewals: read.renewals,
        })
    }

    /// Forgets what a provider gave.
    pub(super) fn forget_tokens(&mut self) {
        self.access = None;
        self.refresh = None;
        self.obtained = None;
    }

    /// Texts that must not come back in what is shown.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let all = [&self.client_secret, &self.access, &self.refresh];
        all.into_iter().flatten().map(|secret| secret.expose_secret()).collect()
    }
}

/// A row with what is in it.
pub(super) struct Opened {
    pub(super) row: ConnectionRow,
    pub(super) settings: Settings,
    pub(super) credentials: Credentials,
    /// None: the file of this version of Postrider does not have it.
    pub(super) provider: Option<&'static Provider>,
}

impl Opened {
    pub(super) fn of(store: &Store, row: ConnectionRow) -> Result<Self, StoreError> {
        let settings = settings(&row)?;
        let credentials = Credentials::open(store, &row)?;
        Ok(Self { settings, credentials, provider: provider(&row.provider), row })
    }

    pub(super) fn token_url(&self) -> Option<&str> {
        let known = || self.provider?.token_url.as_deref();
        self.settings.token_url.as_deref().or_else(known)
    }

    pub(super) fn authorization_url(&self) -> Option<&str> {
        let known = || self.provider?.authorization_url.as_deref();
        self.settings.authorization_url.as_deref().or_else(known)
    }

    /// Absent also where the provider's own would be told of tokens that another server gave.
    pub(super) fn revocation_url(&self) -> Option<&str> {
        let known = || self.provider.filter(|_| self.settings.token_url.is_none())?.revocation_url.as_deref();
        self.settings.revocation_url.as_deref().or_else(known)
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        let known = || self.provider.filter(|_| self.settings.token_url.is_none())?.issuer.as_deref();
        self.settings.issuer.as_deref().or_else(known)
    }

    pub(super) fn client(&self) -> Client<'_> {
        Client {
            id: &self.settings.client_id,
            secret: self.credentials.client_secret.as_ref(),
            auth: self.auth(),
            format: self.provider.map_or(Format::Form, |provider| provider.format),
        }
    }

    fn auth(&self) -> ClientAuth {
        self.settings.auth.unwrap_or_else(|| self.provider.map(|known| known.auth).unwrap_or_default())
    }

    /// The caller's scopes and those that the provider always needs.
    pub(super) fn scope(&self) -> String {
        let mut scopes: Vec<&str> = self.settings.scopes.iter().map(String::as_str).collect();
        let mut separator = " ";
        if let Some(provider) = self.provider {
            separator = &provider.scope_separator;
            // They are about refresh tokens, which a client that asks for itself does not get.
            if self.settings.grant == Grant::AuthorizationCode {
                for scope in &provider.scopes {
                    if !scopes.contains(&scope.as_str()) {
                        scopes.push(scope);
                    }
                }
            }
        }
        scopes.join(separator)
    }

    /// Whether a new access token can be had without a person.
    pub(super) fn can_renew(&self) -> bool {
        self.settings.grant == Grant::ClientCredentials || self.credentials.refresh.is_some()
    }

    /// The row with the credentials sealed anew, as it is written next.
    pub(super) fn next_row(&self, store: &Store, now: Timestamp) -> ConnectionRow {
        ConnectionRow {
            settings: self.settings.to_json(),
            sealed: self.credentials.seal(store, self.row.id),
            version: self.row.version + 1,
            lease: None,
            updated: now,
            ..self.row.clone()
        }
    }

    pub(super) fn shown(&self) -> Connection {
        let row = &self.row;
        Connection {
            id: row.id,
            name: row.name.clone(),
            provider: row.provider.clone(),
            grant: self.settings.grant,
            client_id: self.settings.client_id.clone(),
            client_secret_set: self.credentials.client_secret.is_some(),
            scopes: self.settings.scopes.clone(),
            authorization_url: self.authorization_url().map(str::to_owned),
            token_url: self.token_url().map(str::to_owned),
            revocation_url: self.revocation_url().map(str::to_owned),
            issuer: self.issuer().map(str::to_owned),
            audience: self.settings.audience.clone(),
            resource: self.settings.resource.clone(),
            auth: self.auth(),
            state: row.state,
            expires: row.expires,
            error: row.error.clone(),
            created: row.created,
            updated: row.updated,
        }
    }

    /// What the audit keeps: everything but secrets.
    pub(super) fn audit_state(&self) -> serde_json::Value {
        audit_state(&self.row.name, &self.row.provider, &self.settings, self.row.state)
    }
}

/// A connection's settings, as its row has them.
fn settings(row: &ConnectionRow) -> Result<Settings, StoreError> {
    serde_json::from_str(&row.settings)
        .map_err(|error| StoreError::Corrupt(format!("the settings of {}: {error}", row.id)))
}

/// What the audit keeps of a connection: everything but secrets.
pub(crate) fn audit_state(
    name: &str,
    provider: &str,
    settings: &Settings,
    state: ConnectionState,
) -> serde_json::Value {
    let mut kept = serde_json::to_value(settings).expect("because settings have no map");
    kept["name"] = name.into();
    kept["provider"] = provider.into();
    kept["state"] = state.as_str().into();
    kept
}
