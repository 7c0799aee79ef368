//! Tokens for steps, fresh enough for a request to arrive; got anew by one at a time, when they are used and before they
//! expire.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use postrider_domain::connection::{ConnectionState, Grant};
use postrider_domain::id::{ConnectionId, TenantId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;
use postrider_egress::FailureClass;
use postrider_store::StoreError;
use postrider_store::config::ConnectionRow;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinSet;

use super::grant::{self, Answer, Refusal, Tokens};
use super::hold::{Held, Hold};
use super::row::Opened;
use super::{Connection, ConnectionError, Connections, Heard, Retry, shown};
use crate::catalogue::Tenant;
use crate::control::Actor;
use crate::error::EngineError;

/// How often it is looked for what expires soon: several times within the last minute of a token.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Rows of one look that are in memory at one time.
const LOOK_ROWS: usize = 200;

/// What a connection's row says about its token.
#[derive(Debug)]
enum Verdict {
    Good(SecretString),
    /// A new one is to be got; until then this one is good, if there is one.
    Renew {
        meanwhile: Option<SecretString>,
    },
    Bad(ConnectionError),
}

/// Why a token is got anew.
#[derive(Debug, Clone, Copy)]
pub(super) enum Demand {
    /// Because what there is will not do.
    Needed,
    /// Because somebody wants another than this one, counted.
    OtherThan(u64),
}

/// What a request for tokens came to.
pub(super) enum Asked {
    Tokens(Tokens),
    Refused(Refusal),
    Unclear { what: String, retry_after: Option<Duration>, blocked: bool },
}

impl Connections {
    /// A token that a step can use now, of a connection by its name or id.
    ///
    /// # Errors
    /// A sentence for the run's step, which says whether to try again.
    pub async fn access_token(
        &self,
        tenant: TenantId,
        connection: &str,
    ) -> Result<SecretString, ConnectionError> {
        let Some(row) = self.find(tenant, connection).await? else {
            return Err(refused(format!(
                "There is no connection `{connection}`. GET /v1/connections lists those that there are."
            )));
        };
        let (id, name, expires) = (row.id, row.name.clone(), row.expires);
        let now = self.now();
        let meanwhile = match verdict(&Opened::of(self.store(), row)?, now) {
            Verdict::Good(token) => return Ok(token),
            Verdict::Bad(error) => return Err(error),
            Verdict::Renew { meanwhile } => meanwhile,
        };
        let renewed = match self.rests(id, now) {
            Some(left) => Err(resting(&name, left)),
            None => self.renew(tenant, id, Demand::Needed).await,
        };
        match (renewed, meanwhile) {
            (Err(ConnectionError { retry: Retry::After(_), .. }), Some(token))
                if expires.is_some_and(|expires| expires > self.now()) =>
            {
                Ok(token)
            }
            (renewed, _) => renewed,
        }
    }

    /// Gets a new token now, whatever is left of the old one: operator, or admin of the tenant. What came of it is in the
    /// connection's `state` and `error`: a provider's failure is none of the caller's.
    pub async fn refresh(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        connection: &str,
    ) -> Result<Connection, EngineError> {
        self.0.control.connection_may(actor, tenant)?;
        let row = self.find(tenant.id, connection).await?.ok_or_else(|| Problem::not_found("connection"))?;
        let id = row.id;
        let opened = Opened::of(self.store(), row)?;
        if !opened.can_renew() || opened.row.state == ConnectionState::Revoked {
            let name = &opened.row.name;
            let detail = match opened.settings.grant {
                Grant::AuthorizationCode => format!(
                    "The connection has no refresh token. Authorize it first: POST /v1/connections/{name}/authorize."
                ),
                Grant::ClientCredentials => {
                    format!(
                        "The connection was revoked. Give it a client secret: PATCH /v1/connections/{name}."
                    )
                }
            };
            return Err(Problem::new(Code::ConnectionNotAuthorized, detail).into());
        }
        // What went wrong is in the row.
        let _ = self.renew(tenant.id, id, Demand::OtherThan(opened.credentials.renewals)).await;
        let row = self.store().connection_get(tenant.id, id).await?;
        Ok(shown(self.store(), row.ok_or_else(|| Problem::not_found("connection"))?)?)
    }

    /// Looks for what expires soon, and for authorizations that nobody came back from. Until the process ends.
    pub(crate) async fn keep_fresh(self) {
        let mut refreshing = JoinSet::new();
        let mut tenants: HashMap<tokio::task::Id, TenantId> = HashMap::new();
        loop {
            self.0.outbound.clock.sleep(LOOK_EVERY).await;
            while let Some(ended) = refreshing.try_join_next_with_id() {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => {
                        tracing::error!(%error, "connection.refresh_panicked");
                        error.id()
                    }
                };
                tenants.remove(&id);
            }
            if !self.0.outbound.leads() {
                continue;
            }
            if let Err(error) = self.store().connection_flow_sweep(self.now()).await {
                tracing::error!(%error, "connection.flows_not_swept");
            }
            let busy: HashSet<TenantId> = tenants.values().copied().collect();
            let due = match self.due(&busy).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::error!(%error, "connection.not_looked_at");
                    continue;
                }
            };
            for (tenant, ids) in due {
                let connections = self.clone();
                let task = refreshing.spawn(async move {
                    for id in ids {
                        // What went wrong is in the row, and in the log.
                        let _ = connections.renew(tenant, id, Demand::Needed).await;
                    }
                });
                tenants.insert(task.id(), tenant);
            }
        }
    }

    /// What is to be refreshed now, of tenants that are not busy with it.
    async fn due(
        &self,
        busy: &HashSet<TenantId>,
    ) -> Result<HashMap<TenantId, Vec<ConnectionId>>, StoreError> {
        let now = self.now();
        let until = now.plus(limits::TOKEN_LOOK_AHEAD);
        let mut from = now.minus(limits::TOKEN_LOOK_AHEAD);
        let mut due: HashMap<TenantId, Vec<ConnectionId>> = HashMap::new();
        loop {
            let rows = self.store().connections_expiring_any_tenant(from, until, LOOK_ROWS).await?;
            let next = rows.last().and_then(|row| row.expires).filter(|_| rows.len() == LOOK_ROWS);
            for row in rows {
                let room = busy.len() + due.len() < limits::REFRESH_TENANTS_AT_ONCE;
                if busy.contains(&row.tenant) || (!room && !due.contains_key(&row.tenant)) {
                    continue;
                }
                let (tenant, id) = (row.tenant, row.id);
                if self.is_due(row, now) {
                    let ids = due.entry(tenant).or_default();
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                }
            }
            match next {
                // All of one millisecond: the rest of it comes with the next look, when these are done.
                Some(next) if next == from => from = next.plus(Duration::from_millis(1)),
                Some(next) => from = next,
                None => return Ok(due),
            }
        }
    }

    /// A client that asks for itself loses nothing when its token expires: it asks when a step wants one.
    fn is_due(&self, row: ConnectionRow, now: Timestamp) -> bool {
        let id = row.id;
        match Opened::of(self.store(), row) {
            Ok(opened) => {
                opened.settings.grant == Grant::AuthorizationCode
                    && matches!(verdict(&opened, now), Verdict::Renew { .. })
                    && self.rests(id, now).is_none()
            }
            Err(error) => {
                tracing::error!(%error, connection = %id, "connection.unreadable");
                false
            }
        }
    }

    /// In a task of its own: a caller that goes away must not lose a refresh token that has replaced the old one.
    async fn renew(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        demand: Demand,
    ) -> Result<SecretString, ConnectionError> {
        let connections = self.clone();
        let renewed = tokio::spawn(async move { connections.renew_now(tenant, id, demand).await }).await;
        renewed.unwrap_or_else(|error| {
            Err(StoreError::Internal(format!("the refresh of a connection panicked: {error}")).into())
        })
    }

    async fn renew_now(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        demand: Demand,
    ) -> Result<SecretString, ConnectionError> {
        let Ok(_call) = self.0.calls.acquire().await else { return Err(stopping()) };
        let clock = self.0.outbound.clock.clone();
        let look = |opened: &Opened| {
            let now = clock.now();
            settled(opened, now, demand).or_else(|| {
                // Who waited while another asked in vain does not ask again at once.
                let left = self.rests(id, now).filter(|_| matches!(demand, Demand::Needed))?;
                Some(Err(resting(&opened.row.name, left)))
            })
        };
        let mut held = match self.hold(tenant, id, look).await? {
            Hold::Held(held) => held,
            Hold::Settled(result) => return result,
            Hold::Gone => return Err(refused("The connection was deleted.".to_owned())),
            Hold::Busy => return Err(busy()),
        };
        let asked = match held.opened.can_renew() {
            true => Some(self.ask(&held.opened, renewal(&held.opened)).await),
            false => None,
        };
        let result = self.conclude(&mut held, asked);
        self.write_down(&held).await?;
        result
    }

    /// Asks the token endpoint. `fields`: of the grant.
    pub(super) async fn ask(&self, opened: &Opened, fields: Vec<(&'static str, String)>) -> Asked {
        let Some(url) = opened.token_url() else {
            let what = "The provider is not known to this version of Postrider.".to_owned();
            return Asked::Unclear { what, retry_after: None, blocked: true };
        };
        let secrets: Vec<String> = fields
            .iter()
            .filter(|(name, _)| matches!(*name, "code" | "code_verifier"))
            .map(|(_, value)| value.clone())
            .collect();
        let said = grant::token_request(&opened.client(), fields);
        match self.call(opened.row.tenant, url, said).await {
            Heard::Answer { status, retry_after, body } => {
                let kinds = opened.provider.map_or(&[][..], |provider| &provider.token_types);
                let mut hidden = opened.credentials.secrets();
                hidden.extend(secrets.iter().map(String::as_str));
                match grant::judge(status, &body, kinds, &hidden) {
                    Answer::Tokens(tokens) => Asked::Tokens(tokens),
                    Answer::Refused(refusal) => Asked::Refused(refusal),
                    Answer::Unclear(what) => Asked::Unclear { what, retry_after, blocked: false },
                }
            }
            Heard::Nothing { class, what } => {
                let blocked = class == Some(FailureClass::Blocked);
                Asked::Unclear { what, retry_after: None, blocked }
            }
        }
    }

    /// What becomes of the connection, and what the caller gets. `None`: there was nothing to ask with.
    fn conclude(&self, held: &mut Held, asked: Option<Asked>) -> Result<SecretString, ConnectionError> {
        let now = self.now();
        let name = held.opened.row.name.clone();
        let error = match asked {
            Some(Asked::Tokens(tokens)) => {
                held.rested();
                let token = tokens.access.clone();
                held.opened.take(tokens, now);
                tracing::info!(connection = %held.opened.row.id, expires = ?held.opened.row.expires, "connection.refreshed");
                return Ok(token);
            }
            Some(Asked::Unclear { what, retry_after, blocked }) => {
                let wait = held.rest(now, retry_after);
                let error = match blocked {
                    true => refused(format!(
                        "{what} The connection's token URL cannot be called from here: make the connection anew with \
                         another one, or ask the operator to allow it."
                    )),
                    false => ConnectionError {
                        detail: format!("{what} It is tried again in {} s.", wait.as_secs()),
                        retry: Retry::After(wait),
                    },
                };
                held.opened.row.error = Some(error.detail.clone());
                error
            }
            Some(Asked::Refused(refusal)) => {
                held.rested();
                let error = refused(refusal_text(&held.opened, &refusal));
                held.opened.fail(&refusal, error.detail.clone());
                error
            }
            None => {
                let error = refused(format!(
                    "The token has expired, and the provider gave no refresh token. Authorize the connection again: \
                     POST /v1/connections/{name}/authorize."
                ));
                let refusal = Refusal { grant_is_gone: true, words: String::new() };
                held.opened.fail(&refusal, error.detail.clone());
                error
            }
        };
        tracing::warn!(connection = %held.opened.row.id, state = held.opened.row.state.as_str(), "connection.not_refreshed");
        Err(ConnectionError {
            detail: format!("The connection `{name}` gives no token. {}", error.detail),
            ..error
        })
    }

    /// Into the store, however long that takes within the lease: a refresh token that was replaced is in no other place.
    pub(super) async fn write_down(&self, held: &Held) -> Result<(), ConnectionError> {
        let row = held.opened.next_row(self.store(), self.now());
        let tries = limits::CONNECTION_LEASE.as_secs() / limits::STORE_RETRY.as_secs();
        for left in (0..tries).rev() {
            match self.store().connection_settle(&row).await {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    tracing::warn!(connection = %row.id, "connection.taken_over");
                    return Err(busy());
                }
                Err(error) if left == 0 => return Err(error.into()),
                Err(error) => {
                    tracing::error!(%error, connection = %row.id, "connection.not_written");
                    // The machine's time, as for everything that waits for the store.
                    tokio::time::sleep(limits::STORE_RETRY).await;
                }
            }
        }
        Err(busy())
    }
}

impl Opened {
    /// Takes what a provider gave.
    pub(super) fn take(&mut self, tokens: Tokens, now: Timestamp) {
        let credentials = &mut self.credentials;
        credentials.access = Some(tokens.access);
        // Absent: the old one stays good (RFC 6749 §6).
        if tokens.refresh.is_some() {
            credentials.refresh = tokens.refresh;
        }
        credentials.obtained = Some(now);
        credentials.renewals += 1;
        // One that cannot be renewed is used for as long as it is good.
        let assumed = self.can_renew().then_some(limits::TOKEN_LIFETIME_ASSUMED);
        self.row.expires = tokens.lifetime.or(assumed).map(|lifetime| now.plus(lifetime));
        self.row.state = ConnectionState::Active;
        self.row.error = None;
    }

    /// Remembers that somebody has to do something.
    pub(super) fn fail(&mut self, refusal: &Refusal, error: String) {
        if refusal.grant_is_gone && self.settings.grant == Grant::AuthorizationCode {
            self.credentials.forget_tokens();
            self.row.expires = None;
        }
        self.row.state = ConnectionState::Failed;
        self.row.error = Some(error);
    }
}

/// What was refused, and what to do.
fn refusal_text(opened: &Opened, refusal: &Refusal) -> String {
    let (name, words) = (&opened.row.name, &refusal.words);
    if refusal.grant_is_gone && opened.settings.grant == Grant::AuthorizationCode {
        return format!(
            "The provider does not take the refresh token any more ({words}). Authorize the connection again: \
             POST /v1/connections/{name}/authorize."
        );
    }
    format!(
        "The provider refuses the client ({words}). Check the client's id, secret and scopes at the provider, put them \
         right with PATCH /v1/connections/{name}, then try POST /v1/connections/{name}/refresh."
    )
}

/// Whether there is no need for a new token, and what is had instead.
fn settled(opened: &Opened, now: Timestamp, demand: Demand) -> Option<Result<SecretString, ConnectionError>> {
    let is_other = match demand {
        Demand::Needed => true,
        Demand::OtherThan(renewals) => opened.credentials.renewals != renewals,
    };
    match verdict(opened, now) {
        Verdict::Good(token) if is_other => Some(Ok(token)),
        // What failed may be tried by hand.
        Verdict::Bad(_) if !is_other && opened.can_renew() && opened.row.state == ConnectionState::Failed => {
            None
        }
        Verdict::Bad(error) => Some(Err(error)),
        Verdict::Good(_) | Verdict::Renew { .. } => None,
    }
}

fn verdict(opened: &Opened, now: Timestamp) -> Verdict {
    let Opened { row, credentials, .. } = opened;
    let name = &row.name;
    let again = format!("POST /v1/connections/{name}/authorize");
    match row.state {
        ConnectionState::Pending | ConnectionState::Active => {}
        ConnectionState::Failed => {
            let why = row.error.as_deref().unwrap_or("The provider refused.");
            return Verdict::Bad(refused(format!("The connection `{name}` gives no token. {why}")));
        }
        ConnectionState::Revoked => {
            let todo = match opened.settings.grant {
                Grant::AuthorizationCode => format!("Authorize it again: {again}."),
                Grant::ClientCredentials => {
                    format!("Give it a client secret: PATCH /v1/connections/{name}.")
                }
            };
            return Verdict::Bad(refused(format!("The connection `{name}` was revoked. {todo}")));
        }
    }
    let Some(token) = &credentials.access else {
        if opened.can_renew() {
            return Verdict::Renew { meanwhile: None };
        }
        let what = format!("The connection `{name}` has not been authorized yet. Do it once: {again}.");
        return Verdict::Bad(refused(what));
    };
    let Some(expires) = row.expires else { return Verdict::Good(token.clone()) };
    let left = expires.since(now);
    if left > left_min(credentials.obtained, expires) || (!opened.can_renew() && !left.is_zero()) {
        return Verdict::Good(token.clone());
    }
    Verdict::Renew { meanwhile: (!left.is_zero()).then(|| token.clone()) }
}

/// What must be left of a token: a minute or a tenth of its lifetime, whichever is more; of one that lives for less than two
/// minutes, half of its life, or each use would get another.
fn left_min(obtained: Option<Timestamp>, expires: Timestamp) -> Duration {
    let lifetime = obtained.map_or(limits::TOKEN_LIFETIME_ASSUMED, |obtained| expires.since(obtained));
    limits::TOKEN_LEFT_MIN.max(lifetime / 10).min(lifetime / 2)
}

/// The request that gets the next token.
fn renewal(opened: &Opened) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    match &opened.credentials.refresh {
        Some(refresh) if opened.settings.grant == Grant::AuthorizationCode => {
            fields.push(("grant_type", "refresh_token".to_owned()));
            fields.push(("refresh_token", refresh.expose_secret().to_owned()));
        }
        _ => {
            fields.push(("grant_type", "client_credentials".to_owned()));
            let scope = opened.scope();
            if !scope.is_empty() {
                fields.push(("scope", scope));
            }
            if let Some(audience) = &opened.settings.audience {
                fields.push(("audience", audience.clone()));
            }
        }
    }
    if let Some(resource) = &opened.settings.resource {
        fields.push(("resource", resource.clone()));
    }
    fields
}

fn resting(name: &str, left: Duration) -> ConnectionError {
    ConnectionError {
        detail: format!(
            "The provider of the connection `{name}` could not be asked for a token a moment ago, and is left alone for \
             {} s.",
            left.as_secs().max(1)
        ),
        retry: Retry::After(left),
    }
}

fn refused(detail: String) -> ConnectionError {
    ConnectionError { detail, retry: Retry::No }
}

fn busy() -> ConnectionError {
    ConnectionError {
        detail: "The connection was being changed or refreshed by somebody else at the same moment."
            .to_owned(),
        retry: Retry::After(limits::STORE_RETRY),
    }
}

fn stopping() -> ConnectionError {
    ConnectionError { detail: "Postrider is stopping.".to_owned(), retry: Retry::After(limits::STORE_RETRY) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_a_minute_or_a_tenth_of_its_life_before_it_ends() {
        let obtained = Timestamp::from_unix_ms(1_000_000);
        for (lifetime, left) in
            [(36_000, 3600), (3600, 360), (600, 60), (300, 60), (120, 60), (60, 30), (10, 5)]
        {
            let expires = obtained.plus(Duration::from_secs(lifetime));
            assert_eq!(left_min(Some(obtained), expires), Duration::from_secs(left), "{lifetime}");
        }
    }
}
