//! Sessions: of people who sign in to the dashboard, and of the portal, where a product shows a tenant what is theirs.
//!
//! A session's token is made here, shown once and kept as a hash, as an API key is. It is looked up in the store with
//! every request, so that one that was ended, on whichever node, is not found any more. How often somebody may try to sign
//! in is for the caller to bound.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::id::{KeyId, SessionId, TenantId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::signature;
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use postrider_store::config::{
    ConfigWrite, SESSION_LINK, SESSION_PORTAL, SESSION_SIGNED_IN, SessionRow, SessionWrite,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use super::audit::Act;
use super::change::After;
use super::{Actor, Control, Created, Look, Repeatable, Role, Who, keys};
use crate::catalogue::{ApiKey, Tenant};
use crate::error::EngineError;

/// A session that is good now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub kind: SessionKind,
    pub role: Role,
    /// None: of the installation.
    pub tenant: Option<TenantId>,
    /// Of the portal; empty for who signed in.
    pub look: Look,
    pub created: Timestamp,
    pub expires: Timestamp,
}

/// How somebody came to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// With a key, or with an operator's link.
    SignedIn,
    /// By the product that they use.
    Portal,
}

impl Session {
    /// Who acts in it.
    pub const fn actor(&self) -> Actor {
        Actor { role: self.role, who: Who::Session(self.id), tenant: self.tenant }
    }

    fn of(row: &SessionRow) -> Result<Option<Self>, StoreError> {
        let kind = match row.kind {
            SESSION_SIGNED_IN => SessionKind::SignedIn,
            SESSION_PORTAL => SessionKind::Portal,
            // A link is no session yet.
            SESSION_LINK => return Ok(None),
            other => {
                return Err(StoreError::Corrupt(format!("the kind of the session {} is {other}", row.id)));
            }
        };
        Ok(Some(Self {
            id: row.id,
            kind,
            role: role(row)?,
            tenant: row.tenant,
            look: look(row)?,
            created: row.created,
            expires: row.expires,
        }))
    }
}

/// `POST /v1/portal-sessions`.
#[derive(Debug, Clone)]
pub struct NewPortalSession {
    /// Admin or viewer.
    pub role: Role,
    pub look: Look,
    /// Absent: an hour.
    pub lifetime: Option<Duration>,
}

/// A session of the portal as it is listed: never the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalSession {
    pub id: SessionId,
    pub role: Role,
    pub tenant: TenantId,
    pub look: Look,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// When it was signed out of, or revoked.
    pub ended: Option<Timestamp>,
}

/// A new session of the portal. `token` is shown now and never again.
#[derive(Debug, Clone)]
pub struct PortalSessionCreated {
    pub session: PortalSession,
    pub token: SecretString,
}

const WRITERS: [Role; 2] = [Role::Operator, Role::Admin];
/// 24 random bytes are 192 bits.
const TOKEN_BYTES: usize = 24;
const TOKEN_PREFIX: &str = "prs_";

impl Control {
    /// Signs in with a key: a new session that ends with it. The caller has looked the key up.
    ///
    /// # Errors
    /// `forbidden` for a publisher; `session_limit`.
    pub async fn session_sign_in(&self, key: &ApiKey) -> Result<(SecretString, Session), EngineError> {
        if key.role == Role::Publisher {
            return Err(EngineError::refused(
                Code::Forbidden,
                "A publisher's key is for programs that publish. Sign in with the key of an operator, an admin or a viewer.",
            ));
        }
        let actor = Actor { role: key.role, who: Who::Key(key.id), tenant: key.tenant };
        let now = self.now();
        let open = self.store().session_count_of_key_any_tenant(key.id, now).await?;
        if open >= limits::SESSIONS_PER_KEY_MAX as u64 {
            return Err(EngineError::refused(
                Code::SessionLimit,
                format!(
                    "{} sessions that were signed in with this key are open. Sign out of one, or use another key.",
                    limits::SESSIONS_PER_KEY_MAX
                ),
            ));
        }
        let (token, row) =
            self.session_row(SESSION_SIGNED_IN, &actor, Some(key.id), limits::SESSION_LIFETIME);
        let session = signed_in(&row)?;
        self.session_commit(&actor, "session.signed_in", &session, vec![SessionWrite::Insert(row)]).await?;
        Ok((token, session))
    }

    /// The token of a link that signs an operator in, once: printed where the server starts, for who has its terminal.
    pub async fn operator_link(&self) -> Result<SecretString, EngineError> {
        let actor = Actor::postrider();
        let (token, row) = self.session_row(SESSION_LINK, &actor, None, limits::OPERATOR_LINK_LIFETIME);
        let write = ConfigWrite {
            at: row.created,
            sessions: vec![SessionWrite::Insert(row)],
            ..ConfigWrite::default()
        };
        self.commit(self.turn().await, write, After::default()).await?;
        Ok(token)
    }

    /// Uses up a link. None: it was used, is too old, or was never ours; which, is not told.
    pub async fn session_from_link(
        &self,
        token: &str,
    ) -> Result<Option<(SecretString, Session)>, EngineError> {
        let Some(link) = self.session_row_find(token).await?.filter(|row| row.kind == SESSION_LINK) else {
            return Ok(None);
        };
        let actor = Actor::postrider();
        let (token, row) = self.session_row(SESSION_SIGNED_IN, &actor, None, limits::SESSION_LIFETIME);
        let session = signed_in(&row)?;
        // In one commit: a link that is used up without a session would leave its owner outside.
        let writes = vec![SessionWrite::UseLink { token_hash: link.token_hash }, SessionWrite::Insert(row)];
        match self.session_commit(&actor, "session.signed_in", &session, writes).await {
            Ok(()) => Ok(Some((token, session))),
            // Somebody else was first.
            Err(EngineError::Refused(problem)) if problem.code == Code::Conflict => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a session of the portal: operator, which the product is, or admin of the tenant. Nobody in the portal makes
    /// another, which would outlast their own.
    pub async fn portal_session_create(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        new: NewPortalSession,
        again: Option<Repeatable<'_, PortalSessionCreated>>,
    ) -> Result<Created<PortalSessionCreated>, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let key = self.key_behind(actor).await?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let tenant = self.tenant_now(tenant.id).await?;
        if !matches!(new.role, Role::Admin | Role::Viewer) {
            return Err(Problem::at(
                Code::InvalidField,
                "role",
                "A session of the portal is for an admin or a viewer of the tenant.",
            )
            .into());
        }
        let lifetime = checked_lifetime(new.lifetime)?;
        let look = new.look.checked()?;
        if self.store().portal_session_count(tenant.id, self.now()).await?
            >= limits::PORTAL_SESSIONS_PER_TENANT_MAX as u64
        {
            return Err(EngineError::refused(
                Code::SessionLimit,
                format!(
                    "The tenant has {} open sessions of the portal. Revoke one, or give sessions a shorter lifetime.",
                    limits::PORTAL_SESSIONS_PER_TENANT_MAX
                ),
            ));
        }
        let holder = Actor { role: new.role, who: actor.who, tenant: Some(tenant.id) };
        let (token, mut row) = self.session_row(SESSION_PORTAL, &holder, key, lifetime);
        row.portal = serde_json::to_string(&look).expect("because it is plain data");
        let created = PortalSessionCreated { session: listed(&row)?, token };
        let act = Act {
            action: "portal_session.created",
            target: row.id.to_string(),
            before: None,
            after: Some(json!({ "role": new.role.as_str(), "expires": row.expires, "look": look })),
        };
        let write = ConfigWrite {
            at: row.created,
            audit: vec![self.audit_row(actor, Some(&tenant), row.created, act)],
            sessions: vec![SessionWrite::Insert(row)],
            idempotency: again.map(|again| again.row(&created)),
            ..ConfigWrite::default()
        };
        self.commit(turn, write, After::default()).await?;
        Ok(Created::Fresh(created))
    }

    /// The session with this token, if it is good now: not ended or expired, its key not revoked, its tenant still there.
    pub async fn session_find(&self, token: &str) -> Result<Option<Session>, EngineError> {
        match self.session_row_find(token).await? {
            Some(row) => Ok(Session::of(&row)?),
            None => Ok(None),
        }
    }

    /// How the portal of this token looks, also when its session has ended; none once it is forgotten.
    pub async fn portal_look(&self, token: &str) -> Result<Option<Look>, EngineError> {
        let Some(hash) = hash_of(token) else { return Ok(None) };
        let row = self.store().portal_session_by_token_any_tenant(&hash).await?;
        Ok(row.as_ref().map(look).transpose()?)
    }

    /// Signs out.
    pub async fn session_end(&self, session: &Session) -> Result<(), EngineError> {
        let writes = vec![SessionWrite::End { id: session.id }];
        self.session_commit(&session.actor(), "session.signed_out", session, writes).await
    }

    /// A tenant's sessions of the portal, newest first, for a day also those that have ended; `before`: the last id of the
    /// page before.
    pub async fn portal_sessions(
        &self,
        tenant: TenantId,
        before: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<PortalSession>, EngineError> {
        let rows = self.store().portal_session_list(tenant, before, limit).await?;
        rows.iter().map(|row| listed(row).map_err(EngineError::from)).collect()
    }

    /// Ends a session of the portal at once: operator, or admin of the tenant. A second time it changes nothing.
    pub async fn portal_session_revoke(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        id: SessionId,
    ) -> Result<(), EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        let row = self.store().session_get_any_tenant(id).await?;
        let row = row.filter(|row| row.kind == SESSION_PORTAL && row.tenant == Some(tenant.id));
        let row = row.ok_or_else(|| Problem::not_found("portal session"))?;
        if row.ended.is_some() {
            return Ok(());
        }
        let now = self.now();
        let act = Act {
            action: "portal_session.revoked",
            target: id.to_string(),
            before: Some(json!({ "role": role(&row)?.as_str(), "expires": row.expires })),
            after: None,
        };
        let write = ConfigWrite {
            at: now,
            audit: vec![self.audit_row(actor, Some(tenant), now, act)],
            sessions: vec![SessionWrite::End { id }],
            ..ConfigWrite::default()
        };
        self.commit(turn, write, After::default()).await
    }

    /// The key that what an actor makes ends with: a key that leaked takes with it whatever was made with it.
    async fn key_behind(&self, actor: &Actor) -> Result<Option<KeyId>, EngineError> {
        let session = match actor.who {
            Who::Postrider => return Ok(None),
            Who::Key(key) => return Ok(Some(key)),
            Who::Session(session) => session,
        };
        match self.store().session_get_any_tenant(session).await? {
            Some(row) if row.kind == SESSION_SIGNED_IN => Ok(row.key),
            _ => Err(EngineError::refused(
                Code::Forbidden,
                "In the portal nobody makes sessions of the portal. The product that you came from makes one.",
            )),
        }
    }

    async fn session_row_find(&self, token: &str) -> Result<Option<SessionRow>, EngineError> {
        let Some(hash) = hash_of(token) else { return Ok(None) };
        Ok(self.store().session_by_token_any_tenant(&hash, self.now()).await?)
    }

    /// A session for `holder`, with its token; the caller writes it.
    fn session_row(
        &self,
        kind: i64,
        holder: &Actor,
        key: Option<KeyId>,
        lifetime: Duration,
    ) -> (SecretString, SessionRow) {
        let mut bytes = Zeroizing::new([0u8; TOKEN_BYTES]);
        self.random().fill(bytes.as_mut());
        let token: SecretString =
            format!("{TOKEN_PREFIX}{}", *Zeroizing::new(hex::encode(bytes.as_ref()))).into();
        let now = self.now();
        let row = SessionRow {
            id: SessionId::new(now, self.random()),
            token_hash: signature::sha256(token.expose_secret().as_bytes()),
            kind,
            role: keys::role_code(holder.role),
            tenant: holder.tenant,
            key,
            portal: "{}".to_owned(),
            created: now,
            expires: now.plus(lifetime),
            ended: None,
        };
        (token, row)
    }

    async fn session_commit(
        &self,
        actor: &Actor,
        action: &'static str,
        session: &Session,
        sessions: Vec<SessionWrite>,
    ) -> Result<(), EngineError> {
        let turn = self.turn().await;
        let now = self.now();
        let tenant = session.tenant.and_then(|tenant| self.catalogue().tenant(tenant));
        let state = json!({ "role": session.role.as_str(), "expires": session.expires });
        let act = Act { action, target: session.id.to_string(), before: None, after: Some(state) };
        let audit = vec![self.audit_row(actor, tenant.as_deref(), now, act)];
        let write = ConfigWrite { at: now, sessions, audit, ..ConfigWrite::default() };
        self.commit(turn, write, After::default()).await
    }
}

/// What is no token of ours has none, and does not trouble the store.
fn hash_of(token: &str) -> Option<[u8; 32]> {
    let digits = token.strip_prefix(TOKEN_PREFIX)?;
    (digits.len() == 2 * TOKEN_BYTES).then(|| signature::sha256(token.as_bytes()))
}

fn checked_lifetime(wanted: Option<Duration>) -> Result<Duration, Problem> {
    const RANGE: std::ops::RangeInclusive<Duration> =
        limits::PORTAL_SESSION_LIFETIME_MIN..=limits::PORTAL_SESSION_LIFETIME_MAX;
    let lifetime = wanted.unwrap_or(limits::PORTAL_SESSION_LIFETIME);
    if RANGE.contains(&lifetime) {
        return Ok(lifetime);
    }
    Err(Problem::at(
        Code::InvalidField,
        "expiresInSeconds",
        format!(
            "A session of the portal lasts {} to {} seconds.",
            RANGE.start().as_secs(),
            RANGE.end().as_secs()
        ),
    ))
}

fn signed_in(row: &SessionRow) -> Result<Session, StoreError> {
    Ok(Session::of(row)?.expect("because the row was made as one of a session"))
}

fn listed(row: &SessionRow) -> Result<PortalSession, StoreError> {
    let tenant =
        row.tenant.ok_or_else(|| StoreError::Corrupt(format!("the tenant of the session {}", row.id)))?;
    Ok(PortalSession {
        id: row.id,
        role: role(row)?,
        tenant,
        look: look(row)?,
        created: row.created,
        expires: row.expires,
        ended: row.ended,
    })
}

fn role(row: &SessionRow) -> Result<Role, StoreError> {
    keys::role_of_code(row.role)
        .ok_or_else(|| StoreError::Corrupt(format!("the role of the session {}", row.id)))
}

fn look(row: &SessionRow) -> Result<Look, StoreError> {
    serde_json::from_str(&row.portal)
        .map_err(|error| StoreError::Corrupt(format!("the look of the session {}: {error}", row.id)))
}
