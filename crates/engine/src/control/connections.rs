//! Connections as configuration: what may be made, and the one way to disk for a change of one. What talks to providers is in
//! `engine::connections`.

use std::sync::Arc;

use postrider_domain::connection::{ConnectionState, Grant};
use postrider_domain::id::ConnectionId;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_egress::{Policy, Target, UrlRefusal};
use postrider_store::config::{ConfigWrite, ConnectionRow, ConnectionWrite, Over, TenantWrite};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::audit::Act;
use super::change::After;
use super::{Actor, Control, Created, Repeatable, Role, assemble, check};
use crate::catalogue::Tenant;
use crate::connections::{
    CUSTOM, ClientAuth, Connection, Credentials, Settings, audit_state, is_scope, provider, providers, shown,
};
use crate::error::EngineError;

/// `POST /v1/connections`.
#[derive(Clone)]
pub struct NewConnection {
    pub name: String,
    /// Absent: `custom`.
    pub provider: Option<String>,
    pub grant: Grant,
    pub client_id: String,
    pub client_secret: Option<SecretString>,
    pub scopes: Vec<String>,
    /// Absent: the provider's; so are the other URLs.
    pub authorization_url: Option<String>,
    pub token_url: Option<String>,
    pub revocation_url: Option<String>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    pub resource: Option<String>,
    /// Absent: the provider's.
    pub auth: Option<ClientAuth>,
}

/// Without what may be secret.
impl std::fmt::Debug for NewConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewConnection").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What becomes of a connection, for the audit.
pub(crate) struct ConnectionAct {
    pub(crate) action: &'static str,
    pub(crate) id: ConnectionId,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

const WRITERS: [Role; 2] = [Role::Operator, Role::Admin];
/// What Postrider writes into the authorization URL itself.
const OURS: [&str; 9] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "audience",
    "resource",
];

impl Control {
    /// Makes a connection: operator, or admin of the tenant. No provider is asked yet.
    pub async fn connection_create(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        new: NewConnection,
        again: Option<Repeatable<'_, Connection>>,
    ) -> Result<Created<Connection>, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let tenant = self.tenant_now(tenant.id).await?;
        let (row, settings) = self.connection_new(&tenant, new)?;
        if self.store().connection_by_name(tenant.id, &row.name).await?.is_some() {
            return Err(Problem::at(
                Code::NameTaken,
                "name",
                "The tenant has a connection of this name. Choose another name, or change that one.",
            )
            .into());
        }
        if self.store().connection_count(tenant.id).await? >= limits::CONNECTIONS_PER_TENANT_MAX as u64 {
            return Err(EngineError::refused(
                Code::ConnectionLimit,
                format!(
                    "A tenant has at most {} connections. Delete one first.",
                    limits::CONNECTIONS_PER_TENANT_MAX
                ),
            ));
        }
        let now = row.created;
        let made = shown(self.store(), row.clone())?;
        let act = Act {
            action: "connection.created",
            target: row.id.to_string(),
            before: None,
            after: Some(audit_state(&row.name, &row.provider, &settings, row.state)),
        };
        // The tenant's next version: of two nodes that write at once, one is told to try again.
        let next = Arc::new(assemble::with_webhooks(&tenant, tenant.webhooks.clone(), now));
        let write = ConfigWrite {
            at: now,
            tenant: Some(TenantWrite {
                row: assemble::tenant_row(&next),
                over: Over::Version(tenant.version),
                pins: false,
                unless_history: false,
            }),
            connections: vec![ConnectionWrite::Insert(row)],
            audit: vec![self.audit_row(actor, Some(&tenant), now, act)],
            idempotency: again.map(|again| again.row(&made)),
            ..ConfigWrite::default()
        };
        self.commit(turn, write, After { tenant: Some(next), ..After::default() }).await?;
        Ok(Created::Fresh(made))
    }

    /// Passes who may change the tenant's connections.
    pub(crate) fn connection_may(&self, actor: &Actor, tenant: &Tenant) -> Result<(), Problem> {
        actor.require(&WRITERS, Some(tenant.id))
    }

    /// Writes a change of a connection whose lease the caller has.
    ///
    /// # Errors
    /// `conflict` when another took over the lease, or the connection is gone.
    pub(crate) async fn connection_commit(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        change: ConnectionWrite,
        act: ConnectionAct,
    ) -> Result<(), EngineError> {
        let turn = self.turn().await;
        let now = self.now();
        let ConnectionAct { action, id, before, after } = act;
        let act = Act { action, target: id.to_string(), before, after };
        let write = ConfigWrite {
            at: now,
            connections: vec![change],
            audit: vec![self.audit_row(actor, Some(tenant), now, act)],
            ..ConfigWrite::default()
        };
        self.commit(turn, write, After::default()).await
    }

    fn connection_new(
        &self,
        tenant: &Tenant,
        new: NewConnection,
    ) -> Result<(ConnectionRow, Settings), Problem> {
        check_name(&new.name)?;
        let provider_name = new.provider.unwrap_or_else(|| CUSTOM.to_owned());
        let Some(provider) = provider(&provider_name) else {
            let known: Vec<&str> = providers().iter().map(|known| known.name.as_str()).collect();
            return Err(Problem::at(
                Code::UnknownProvider,
                "provider",
                format!(
                    "This provider is not known here. Known are {}. For any other use `custom` and give its URLs.",
                    known.join(", ")
                ),
            ));
        };
        if !provider.grants.contains(&new.grant) {
            return Err(Problem::at(
                Code::InvalidField,
                "grant",
                format!("{} does not offer the grant {}.", provider.title, new.grant.as_str()),
            ));
        }
        check_text("clientId", &new.client_id, limits::CLIENT_ID_BYTES_MAX)?;
        if let Some(secret) = &new.client_secret {
            check_client_secret(secret)?;
        } else if new.grant == Grant::ClientCredentials {
            return Err(Problem::at(
                Code::MissingField,
                "clientSecret",
                "A client that asks for itself needs its secret: give `clientSecret`.",
            ));
        }
        check_scopes(&new.scopes)?;
        for (field, value) in
            [("audience", &new.audience), ("resource", &new.resource), ("issuer", &new.issuer)]
        {
            if let Some(value) = value {
                check_text(field, value, limits::CLIENT_ID_BYTES_MAX)?;
            }
        }
        let policy = self.0.outbound.egress.policy();
        let called =
            |field: &str, url: Option<String>| url.map(|url| called_url(policy, field, &url)).transpose();
        let token_url = called("tokenUrl", new.token_url)?;
        let revocation_url = called("revocationUrl", new.revocation_url)?;
        let authorization_url =
            new.authorization_url.map(|url| authorization_url(policy, &url)).transpose()?;
        if token_url.is_none() && provider.token_url.is_none() {
            return Err(missing_url("tokenUrl", "where tokens are given"));
        }
        let asks_a_person = new.grant == Grant::AuthorizationCode;
        if asks_a_person && authorization_url.is_none() && provider.authorization_url.is_none() {
            return Err(missing_url("authorizationUrl", "where a person consents"));
        }
        let settings = Settings {
            grant: new.grant,
            client_id: new.client_id,
            scopes: new.scopes,
            authorization_url,
            token_url,
            revocation_url,
            issuer: new.issuer,
            audience: new.audience,
            resource: new.resource,
            auth: new.auth,
        };
        let now = self.now();
        let id = ConnectionId::new(now, self.random());
        let credentials = Credentials::of_client(new.client_secret);
        let row = ConnectionRow {
            tenant: tenant.id,
            id,
            name: new.name,
            provider: provider_name,
            settings: settings.to_json(),
            sealed: credentials.seal(self.store(), id),
            state: ConnectionState::Pending,
            expires: None,
            error: None,
            version: 1,
            lease: None,
            created: now,
            updated: now,
        };
        Ok((row, settings))
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    check::credential_name("name", name)?;
    if name == "callback" || name.starts_with(ConnectionId::PREFIX) {
        return Err(Problem::at(
            Code::InvalidField,
            "name",
            "A connection is called neither `callback` nor anything that begins with `con_`: paths could not tell it \
             from something else.",
        ));
    }
    Ok(())
}

fn check_text(field: &str, text: &str, bytes_max: usize) -> Result<(), Problem> {
    if text.trim().is_empty() || text.len() > bytes_max || text.chars().any(char::is_control) {
        return Err(Problem::at(
            Code::InvalidField,
            field,
            format!("`{field}` has 1 to {bytes_max} bytes and no control characters."),
        ));
    }
    Ok(())
}

pub(crate) fn check_client_secret(secret: &SecretString) -> Result<(), Problem> {
    let text = secret.expose_secret();
    let most = limits::CLIENT_SECRET_BYTES_MAX;
    if text.is_empty() || text.len() > most || text.chars().any(char::is_control) {
        return Err(Problem::at(
            Code::SecretInvalid,
            "clientSecret",
            format!("A client's secret has 1 to {most} bytes and no control characters."),
        ));
    }
    Ok(())
}

pub(crate) fn check_scopes(scopes: &[String]) -> Result<(), Problem> {
    if scopes.len() > limits::SCOPES_MAX
        || scopes.iter().map(String::len).sum::<usize>() > limits::SCOPES_BYTES_MAX
    {
        return Err(Problem::at(
            Code::TooManyItems,
            "scopes",
            format!(
                "A connection asks for at most {} scopes of {} bytes together.",
                limits::SCOPES_MAX,
                limits::SCOPES_BYTES_MAX
            ),
        ));
    }
    match scopes.iter().position(|scope| !is_scope(scope)) {
        Some(at) => Err(Problem::at(
            Code::InvalidField,
            format!("scopes[{at}]"),
            "A scope is one word of ASCII without spaces, commas, quotes and backslashes. Give each scope by itself.",
        )),
        None => Ok(()),
    }
}

/// A URL that Postrider calls: under the address policy, and https, since the client's secret goes there.
fn called_url(policy: &Policy, field: &str, url: &str) -> Result<String, Problem> {
    let target = Target::parse(url, policy).map_err(|refusal| match refusal {
        UrlRefusal::Invalid { detail } => Problem::at(Code::UrlInvalid, field, detail),
        UrlRefusal::Forbidden { detail } => Problem::at(Code::UrlForbidden, field, detail),
    })?;
    https(policy, field, &target)?;
    Ok(target.as_str().to_owned())
}

/// A URL that a person's browser calls, from wherever that is: only its form is judged.
fn authorization_url(policy: &Policy, url: &str) -> Result<String, Problem> {
    const FIELD: &str = "authorizationUrl";
    let target = Target::parse_stored(url)
        .map_err(|refusal| Problem::at(Code::UrlInvalid, FIELD, refusal.detail().to_owned()))?;
    https(policy, FIELD, &target)?;
    let query = target.as_str().split_once('?').map_or("", |(_, query)| query);
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if OURS.contains(&&*name) {
            return Err(Problem::at(
                Code::UrlInvalid,
                FIELD,
                format!("Postrider writes `{name}` into this URL itself. Leave it out."),
            ));
        }
    }
    Ok(target.as_str().to_owned())
}

fn https(policy: &Policy, field: &str, target: &Target) -> Result<(), Problem> {
    if target.is_https() || target.is_allow_listed(policy) {
        return Ok(());
    }
    Err(Problem::at(
        Code::HttpsRequired,
        field,
        "The URL must be https: secrets and tokens would travel in clear.",
    ))
}

fn missing_url(field: &str, what: &str) -> Problem {
    Problem::at(
        Code::MissingField,
        field,
        format!("The provider has no URL of its own here: give `{field}`, {what}."),
    )
}
