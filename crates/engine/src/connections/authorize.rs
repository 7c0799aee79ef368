//! Authorization by a person (RFC 6749 §4.1, always with PKCE): the link that is handed out, and the way back.
//!
//! A link's `state` is 256 random bits, kept as a hash, good once and for ten minutes. It decides alone which connection a code
//! belongs to: the way back asks for no key.

use postrider_domain::connection::Grant;
use postrider_domain::id::{KeyId, SessionId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::signature;
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use postrider_store::config::{ConnectionFlowRow, ConnectionWrite};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Connections;
use super::grant;
use super::hold::{Held, Hold};
use super::refresh::Asked;
use super::row::Opened;
use crate::catalogue::Tenant;
use crate::control::{Actor, ConnectionAct, Role, Who};
use crate::error::EngineError;

const FIELD: &str = "connection_flow.sealed";

/// Where a person is sent.
#[derive(Clone)]
pub struct AuthorizationLink {
    pub url: String,
    pub expires: Timestamp,
}

/// What the provider's redirect brought back.
#[derive(Clone, Default)]
pub struct Callback {
    pub state: String,
    pub code: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
    /// RFC 9207.
    pub iss: Option<String>,
}

/// What became of it, for the page that the person sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackOutcome {
    Connected {
        name: String,
    },
    /// The link was used, is too old, or was never ours. Which, is not told.
    LinkIsGone,
    /// The person or the provider said no.
    Declined {
        name: String,
        words: String,
    },
    /// A sentence.
    Failed {
        name: String,
        detail: String,
    },
}

/// What is sealed with a link.
#[derive(Serialize, Deserialize)]
struct Kept {
    verifier: String,
    redirect_uri: String,
    /// Whose key or session asked for the link: the audit names it.
    key: Option<KeyId>,
    #[serde(default)]
    session: Option<SessionId>,
    role: Role,
}

impl Connections {
    /// Makes a link for a person: operator, or admin of the tenant. `redirect_uri`: where the provider sends the person back.
    pub async fn authorize(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        connection: &str,
        redirect_uri: String,
    ) -> Result<AuthorizationLink, EngineError> {
        self.0.control.connection_may(actor, tenant)?;
        let row = self.find(tenant.id, connection).await?.ok_or_else(|| Problem::not_found("connection"))?;
        let opened = Opened::of(self.store(), row)?;
        if opened.settings.grant != Grant::AuthorizationCode {
            return Err(EngineError::refused(
                Code::Conflict,
                "This connection uses client credentials: nobody has to authorize it. Steps can use it as it is.",
            ));
        }
        let Some(base) = opened.authorization_url() else {
            return Err(EngineError::refused(
                Code::UnknownProvider,
                "The connection's provider is not known to this version of Postrider. Make the connection anew.",
            ));
        };
        let random = &*self.0.outbound.random;
        let (mut state, mut verifier) = ([0; 32], [0; 32]);
        random.fill(&mut state);
        random.fill(&mut verifier);
        let (state, verifier) = (grant::url_safe(&state), grant::url_safe(&verifier));
        let url = link(&opened, base, &state, &verifier, &redirect_uri);
        let expires = self.now().plus(limits::CONNECTION_FLOW_KEPT);
        let (key, session) = match actor.who {
            Who::Postrider => (None, None),
            Who::Key(key) => (Some(key), None),
            Who::Session(session) => (None, Some(session)),
        };
        let kept = Kept { verifier, redirect_uri, key, session, role: actor.role };
        let kept = Zeroizing::new(serde_json::to_vec(&kept).expect("because it is plain data"));
        let state_hash = signature::sha256(state.as_bytes());
        let flow = ConnectionFlowRow {
            state_hash,
            tenant: tenant.id,
            connection: opened.row.id,
            sealed: self.store().seal(FIELD, &bound_to(&state_hash), &kept),
            expires,
        };
        self.store().connection_flow_put(&flow, limits::CONNECTION_FLOWS_MAX).await?;
        tracing::info!(connection = %opened.row.id, "connection.link_made");
        Ok(AuthorizationLink { url, expires })
    }

    /// The way back. In a task of its own: a browser that is closed must not lose what a code was good for.
    pub async fn complete(&self, callback: Callback) -> Result<CallbackOutcome, EngineError> {
        let connections = self.clone();
        let done = tokio::spawn(async move { connections.complete_now(callback).await }).await;
        done.unwrap_or_else(|error| {
            Err(StoreError::Internal(format!("an authorization panicked: {error}")).into())
        })
    }

    async fn complete_now(&self, callback: Callback) -> Result<CallbackOutcome, EngineError> {
        let state_hash = signature::sha256(callback.state.as_bytes());
        let Some(flow) = self.store().connection_flow_take(&state_hash).await? else {
            return Ok(CallbackOutcome::LinkIsGone);
        };
        let tenant = self.0.outbound.catalogue.tenant(flow.tenant);
        let (Some(tenant), true) = (tenant, self.now() < flow.expires) else {
            return Ok(CallbackOutcome::LinkIsGone);
        };
        let kept = self.store().open_sealed(FIELD, &bound_to(&state_hash), &flow.sealed)?;
        let kept: Kept = serde_json::from_slice(&kept)
            .map_err(|_| StoreError::Corrupt("the sealed part of an authorization".to_owned()))?;
        let Ok(_call) = self.0.calls.acquire().await else { return Err(StoreError::Closed.into()) };
        let mut held = match self.hold::<()>(flow.tenant, flow.connection, |_| None).await? {
            Hold::Held(held) => held,
            Hold::Gone | Hold::Settled(()) => return Ok(CallbackOutcome::LinkIsGone),
            Hold::Busy => {
                return Ok(CallbackOutcome::Failed {
                    name: flow.connection.to_string(),
                    detail: "It was being refreshed or changed at the same moment. Start again in a minute."
                        .to_owned(),
                });
            }
        };
        let name = held.opened.row.name.clone();
        let before = held.opened.audit_state();
        let outcome = self.exchange(&mut held.opened, &callback, &kept).await;
        if !matches!(outcome, CallbackOutcome::Connected { .. }) {
            tracing::warn!(connection = %held.opened.row.id, "connection.not_authorized");
            // The person reads why either way; that it could not be noted is in the log.
            let _ = self.write_down(&held).await;
            return Ok(outcome);
        }
        held.rested();
        match self.write_authorized(&tenant, &kept, &held, before).await {
            Ok(()) => Ok(outcome),
            Err(EngineError::Refused(problem)) => {
                Ok(CallbackOutcome::Failed { name, detail: problem.detail })
            }
            Err(error) => Err(error),
        }
    }

    /// Turns the code into tokens. A connection that worked before goes on with what it has when this does not succeed.
    async fn exchange(&self, opened: &mut Opened, callback: &Callback, kept: &Kept) -> CallbackOutcome {
        let name = opened.row.name.clone();
        if let Some(code) = callback.error.as_deref().filter(|code| !code.is_empty()) {
            let description = callback.error_description.as_deref().unwrap_or("");
            let mut secrets = opened.credentials.secrets();
            secrets.extend([kept.verifier.as_str(), callback.state.as_str()]);
            let words = grant::spoken(code, description, &secrets);
            opened.note(format!(
                "The authorization was declined ({words}). Start again: POST /v1/connections/{name}/authorize."
            ));
            return CallbackOutcome::Declined { name, words };
        }
        let wrong_issuer = match (callback.iss.as_deref(), opened.issuer()) {
            (Some(given), Some(expected)) => given != expected,
            _ => false,
        };
        let code =
            callback.code.as_deref().filter(|code| !code.is_empty() && code.len() <= limits::TOKEN_BYTES_MAX);
        let (detail, todo) = match code {
            _ if wrong_issuer => (
                "The answer came from another server than the connection's (its `iss` is not the connection's issuer)."
                    .to_owned(),
                "Check `issuer`, or who sent you there.",
            ),
            None => ("The provider sent neither a code nor an error.".to_owned(), "Start again."),
            Some(code) => {
                let mut fields = vec![
                    ("grant_type", "authorization_code".to_owned()),
                    ("code", code.to_owned()),
                    ("redirect_uri", kept.redirect_uri.clone()),
                    ("code_verifier", kept.verifier.clone()),
                ];
                if let Some(resource) = &opened.settings.resource {
                    fields.push(("resource", resource.clone()));
                }
                match self.ask(opened, fields).await {
                    Asked::Tokens(tokens) => {
                        // What the old grant gave is not this one's.
                        opened.credentials.forget_tokens();
                        opened.take(tokens, self.now());
                        return CallbackOutcome::Connected { name };
                    }
                    Asked::Refused(refusal) => (
                        format!("The provider refused to give tokens ({}).", refusal.words),
                        "Check the client's id and secret and the redirect URI at the provider, then start again.",
                    ),
                    Asked::Unclear { what, blocked: true, .. } => {
                        (what, "The connection's token URL cannot be called from here: make it anew with another one.")
                    }
                    Asked::Unclear { what, .. } => (what, "Start again in a moment."),
                }
            }
        };
        let detail = format!("{detail} {todo}");
        opened.note(format!("{detail} POST /v1/connections/{name}/authorize makes another link."));
        CallbackOutcome::Failed { name, detail }
    }

    async fn write_authorized(
        &self,
        tenant: &Tenant,
        kept: &Kept,
        held: &Held,
        before: serde_json::Value,
    ) -> Result<(), EngineError> {
        let opened = &held.opened;
        let act = ConnectionAct {
            action: "connection.authorized",
            id: opened.row.id,
            before: Some(before),
            after: Some(opened.audit_state()),
        };
        let who = match (kept.key, kept.session) {
            (Some(key), _) => Who::Key(key),
            (None, Some(session)) => Who::Session(session),
            (None, None) => Who::Postrider,
        };
        let actor = Actor { role: kept.role, who, tenant: Some(tenant.id) };
        let write = ConnectionWrite::Update(opened.next_row(self.store(), self.now()));
        self.0.control.connection_commit(&actor, tenant, write, act).await
    }
}

impl Opened {
    /// Remembers what went wrong with an authorization.
    fn note(&mut self, error: String) {
        self.row.error = Some(error);
    }
}

/// The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3).
fn link(opened: &Opened, base: &str, state: &str, verifier: &str, redirect_uri: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("response_type", "code");
    query.append_pair("client_id", &opened.settings.client_id);
    query.append_pair("redirect_uri", redirect_uri);
    let scope = opened.scope();
    if !scope.is_empty() {
        query.append_pair("scope", &scope);
    }
    query.append_pair("state", state);
    query.append_pair("code_challenge", &grant::challenge(verifier));
    query.append_pair("code_challenge_method", "S256");
    for (name, value) in [("audience", &opened.settings.audience), ("resource", &opened.settings.resource)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let given = base.split_once('?').map_or("", |(_, given)| given);
    let is_given = |name: &str| form_urlencoded::parse(given.as_bytes()).any(|(given, _)| given == name);
    for (name, value) in opened.provider.iter().flat_map(|provider| &provider.authorize) {
        let is_ours = name == "audience" && opened.settings.audience.is_some();
        if !is_given(name) && !is_ours {
            query.append_pair(name, value);
        }
    }
    let joint = if base.contains('?') { '&' } else { '?' };
    format!("{base}{joint}{}", query.finish())
}

/// What stands for the row's id.
fn bound_to(state_hash: &[u8; 32]) -> [u8; 16] {
    state_hash[..16].try_into().expect("because the slice has that length")
}
