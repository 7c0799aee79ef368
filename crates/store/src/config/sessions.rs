//! Sessions of the dashboard and the portal, and one-time links that become one: the hashes of their tokens, never the tokens.

use postrider_domain::id::{KeyId, SessionId, TenantId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use crate::db::{Row, WriteTx};
use crate::{Store, StoreError};

/// Signed in with a key, or with a link.
pub const SESSION_SIGNED_IN: i64 = 0;
/// Good once, to sign in as an operator. No session itself.
pub const SESSION_LINK: i64 = 1;
/// Of the portal.
pub const SESSION_PORTAL: i64 = 2;

/// A session as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub id: SessionId,
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// [`SESSION_SIGNED_IN`], [`SESSION_LINK`] or [`SESSION_PORTAL`].
    pub kind: i64,
    pub role: i64,
    /// None: of the installation.
    pub tenant: Option<TenantId>,
    /// The key that it was made with, and ends with.
    pub key: Option<KeyId>,
    /// A JSON object.
    pub portal: String,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// Signed out, revoked, or used up.
    pub ended: Option<Timestamp>,
}

/// A change of sessions.
#[derive(Debug)]
pub enum SessionWrite {
    Insert(SessionRow),
    /// One that has ended keeps its moment.
    End {
        id: SessionId,
    },
    /// Uses up the link with this hash, which is good once over all nodes.
    UseLink {
        token_hash: [u8; 32],
    },
}

const COLUMNS: &str = "SELECT id, token_hash, kind, role, tenant_id, key_id, portal, created_ms, expires_ms, ended_ms \
     FROM dashboard_session";
/// What was made with a key ends with it, and what belongs to a tenant, with the tenant: in the same look, so that it holds on
/// every node at once. Indexes: the unique one on `token_hash`, then the primary keys.
const BY_TOKEN: &str = " WHERE token_hash = $1 AND ended_ms IS NULL AND expires_ms > $2 \
     AND (key_id IS NULL OR EXISTS (SELECT 1 FROM api_key k WHERE k.id = dashboard_session.key_id AND k.revoked_ms IS NULL)) \
     AND (tenant_id IS NULL OR EXISTS (SELECT 1 FROM tenant t WHERE t.id = dashboard_session.tenant_id AND t.deleted_ms IS NULL))";
const PORTAL_BY_TOKEN: &str = " WHERE token_hash = $1 AND kind = 2";
/// Index: `dashboard_session_tenant`.
const OF_PORTAL: &str = " WHERE tenant_id = $1 AND kind = 2 AND id < $2 ORDER BY id DESC LIMIT $3";
/// Index: `dashboard_session_live`.
const OPEN_OF_PORTAL: &str = "SELECT COUNT(*) AS n FROM dashboard_session WHERE tenant_id = $1 AND kind = 2 AND expires_ms > $2 \
     AND ended_ms IS NULL";
/// Index: `dashboard_session_key`.
const OPEN_OF_KEY: &str = "SELECT COUNT(*) AS n FROM dashboard_session WHERE key_id = $1 AND kind = 0 AND expires_ms > $2 \
     AND ended_ms IS NULL";
/// Index: the unique one on `token_hash`.
const USE_LINK: &str = "UPDATE dashboard_session SET ended_ms = $2 WHERE token_hash = $1 AND kind = 1 AND ended_ms IS NULL \
     AND expires_ms > $2";
/// Index: `dashboard_session_expires`.
const EXPIRED: &str = "SELECT 1 AS one FROM dashboard_session WHERE expires_ms <= $1 LIMIT 1";
const SWEEP: &str = "DELETE FROM dashboard_session WHERE id IN \
     (SELECT id FROM dashboard_session WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2)";

impl SessionRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            token_hash: row.get("token_hash")?,
            kind: row.get("kind")?,
            role: row.get("role")?,
            tenant: row.get("tenant_id")?,
            key: row.get("key_id")?,
            portal: row.get("portal")?,
            created: row.get("created_ms")?,
            expires: row.get("expires_ms")?,
            ended: row.get("ended_ms")?,
        })
    }
}

impl Store {
    /// The session, or the link, with this token, if it is good at `now`: not ended or expired, its key not revoked, its tenant
    /// still there. Indexes: the unique one on `token_hash`, then the primary keys.
    pub async fn session_by_token_any_tenant(
        &self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<SessionRow>, StoreError> {
        let sql = format!("{COLUMNS}{BY_TOKEN}");
        let row = self.read().maybe(sql, &[token_hash.into(), now.into()]).await?;
        row.as_ref().map(SessionRow::read).transpose()
    }

    /// The session of the portal with this token, also one that has ended. Index: the unique one on `token_hash`.
    pub async fn portal_session_by_token_any_tenant(
        &self,
        token_hash: &[u8; 32],
    ) -> Result<Option<SessionRow>, StoreError> {
        let sql = format!("{COLUMNS}{PORTAL_BY_TOKEN}");
        self.read().maybe(sql, &[token_hash.into()]).await?.as_ref().map(SessionRow::read).transpose()
    }

    /// One session, also one that has ended. Index: the primary key.
    pub async fn session_get_any_tenant(&self, id: SessionId) -> Result<Option<SessionRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE id = $1");
        self.read().maybe(sql, &[id.into()]).await?.as_ref().map(SessionRow::read).transpose()
    }

    /// A tenant's sessions of the portal, newest first, ended ones too; `before`: the last id of the page before. Index:
    /// `dashboard_session_tenant`.
    pub async fn portal_session_list(
        &self,
        tenant: TenantId,
        before: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let sql = format!("{COLUMNS}{OF_PORTAL}");
        let before = before.unwrap_or(SessionId::from_bytes([0xff; 16]));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read().all(sql, &[tenant.into(), before.into(), limit.into()]).await?;
        rows.iter().map(SessionRow::read).collect()
    }

    /// How many of a tenant's sessions of the portal are open. Index: `dashboard_session_live`.
    pub async fn portal_session_count(&self, tenant: TenantId, now: Timestamp) -> Result<u64, StoreError> {
        self.read().one(OPEN_OF_PORTAL, &[tenant.into(), now.into()]).await?.get("n")
    }

    /// How many open sessions were signed in with a key. Index: `dashboard_session_key`.
    pub async fn session_count_of_key_any_tenant(
        &self,
        key: KeyId,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.read().one(OPEN_OF_KEY, &[key.into(), now.into()]).await?.get("n")
    }

    /// Removes a bounded batch of what expired before a moment. Index: `dashboard_session_expires`.
    pub async fn sessions_sweep(&self, before: Timestamp) -> Result<u64, StoreError> {
        // Most minutes nothing is old enough: the writer is not troubled then.
        if self.read().maybe(EXPIRED, &[before.into()]).await?.is_none() {
            return Ok(0);
        }
        let rows = i64::try_from(limits::RETENTION_BATCH_ROWS).unwrap_or(i64::MAX);
        let mut tx = self.write().await?;
        let removed = tx.execute(SWEEP, &[before.into(), rows.into()]).await?;
        tx.commit().await?;
        Ok(removed)
    }
}

/// False: the link was used before, has expired, or never was.
pub(super) async fn write(tx: &mut WriteTx, write: &SessionWrite, at: Timestamp) -> Result<bool, StoreError> {
    const END: &str = "UPDATE dashboard_session SET ended_ms = $2 WHERE id = $1 AND ended_ms IS NULL";
    match write {
        SessionWrite::Insert(row) => insert(tx, row).await.map(|()| true),
        SessionWrite::End { id } => tx.execute(END, &[(*id).into(), at.into()]).await.map(|_| true),
        SessionWrite::UseLink { token_hash } => {
            Ok(tx.execute(USE_LINK, &[token_hash.into(), at.into()]).await? == 1)
        }
    }
}

async fn insert(tx: &mut WriteTx, row: &SessionRow) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO dashboard_session (id, token_hash, kind, role, tenant_id, key_id, portal, created_ms, \
         expires_ms, ended_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = [
        row.id.into(),
        (&row.token_hash).into(),
        row.kind.into(),
        row.role.into(),
        row.tenant.into(),
        row.key.into(),
        (&row.portal).into(),
        row.created.into(),
        row.expires.into(),
        row.ended.into(),
    ];
    tx.execute(INSERT, &values).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        const UNIQUE: &str = "INDEX sqlite_autoindex_dashboard_session_2 (token_hash=?)";
        plans::check(
            &format!("{COLUMNS}{BY_TOKEN}"),
            &[UNIQUE, "sqlite_autoindex_api_key_1 (id=?)", "sqlite_autoindex_tenant_1 (id=?)"],
        );
        plans::check(&format!("{COLUMNS}{PORTAL_BY_TOKEN}"), &[UNIQUE]);
        plans::check(USE_LINK, &[UNIQUE]);
        plans::check(
            &format!("{COLUMNS}{OF_PORTAL}"),
            &["INDEX dashboard_session_tenant (tenant_id=? AND kind=? AND id<?)"],
        );
        plans::check(
            OPEN_OF_PORTAL,
            &["INDEX dashboard_session_live (tenant_id=? AND kind=? AND expires_ms>?)"],
        );
        plans::check(OPEN_OF_KEY, &["INDEX dashboard_session_key (key_id=? AND kind=? AND expires_ms>?)"]);
        for sql in [EXPIRED, SWEEP] {
            plans::check(sql, &["INDEX dashboard_session_expires (expires_ms<?)"]);
        }
    }
}
