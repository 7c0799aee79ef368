//! OAuth 2 connections, and the authorizations that people were sent away for.
//!
//! Whoever changes a connection, or calls its provider, has taken its lease before: [`Store::connection_lease`] takes it by
//! comparing the row's version, so that of two that want it at once one gets it, on whichever node. Every write compares the
//! version again, and lets go of the lease: what comes late, after another took over, changes nothing.

use postrider_domain::connection::ConnectionState;
use postrider_domain::id::{ConnectionId, TenantId};
use postrider_domain::time::Timestamp;

use crate::db::{Row, WriteTx};
use crate::{Store, StoreError};

/// A connection as stored.
#[derive(Clone)]
pub struct ConnectionRow {
    pub tenant: TenantId,
    pub id: ConnectionId,
    pub name: String,
    pub provider: String,
    /// A JSON object, without secrets.
    pub settings: String,
    /// The client's secret and the tokens.
    pub sealed: Vec<u8>,
    pub state: ConnectionState,
    /// When the access token expires.
    pub expires: Option<Timestamp>,
    pub error: Option<String>,
    pub version: i64,
    /// Until when somebody has it.
    pub lease: Option<Timestamp>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// Without settings and tokens.
impl std::fmt::Debug for ConnectionRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionRow")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A change of a connection.
#[derive(Debug)]
pub enum ConnectionWrite {
    Insert(ConnectionRow),
    /// Over the version before the row's own.
    Update(ConnectionRow),
    /// Of this version, with the authorizations that are under way.
    Delete {
        tenant: TenantId,
        id: ConnectionId,
        version: i64,
    },
}

/// An authorization that is under way.
#[derive(Clone)]
pub struct ConnectionFlowRow {
    /// SHA-256 of the `state` in the link.
    pub state_hash: [u8; 32],
    pub tenant: TenantId,
    pub connection: ConnectionId,
    pub sealed: Vec<u8>,
    pub expires: Timestamp,
}

const COLUMNS: &str = "SELECT tenant_id, id, name, provider, settings, sealed, state, expires_ms, error, version, lease_ms, \
     created_ms, updated_ms FROM connection";

/// Index: `connection_expiry`.
const EXPIRING: &str =
    " WHERE expires_ms >= $1 AND expires_ms < $2 AND state = 1 ORDER BY expires_ms LIMIT $3";

impl ConnectionRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            id: row.get("id")?,
            name: row.get("name")?,
            provider: row.get("provider")?,
            settings: row.get("settings")?,
            sealed: row.get("sealed")?,
            state: row.get("state")?,
            expires: row.get("expires_ms")?,
            error: row.get("error")?,
            version: row.get("version")?,
            lease: row.get("lease_ms")?,
            created: row.get("created_ms")?,
            updated: row.get("updated_ms")?,
        })
    }
}

impl Store {
    /// A tenant's connections, newest first; `before`: the last id of the page before. Index: the primary key.
    pub async fn connection_list(
        &self,
        tenant: TenantId,
        before: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Vec<ConnectionRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
        let before = before.unwrap_or(ConnectionId::from_bytes([0xff; 16]));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read().all(sql, &[tenant.into(), before.into(), limit.into()]).await?;
        rows.iter().map(ConnectionRow::read).collect()
    }

    /// Index: the primary key.
    pub async fn connection_get(
        &self,
        tenant: TenantId,
        id: ConnectionId,
    ) -> Result<Option<ConnectionRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE tenant_id = $1 AND id = $2");
        let row = self.read().maybe(sql, &[tenant.into(), id.into()]).await?;
        row.as_ref().map(ConnectionRow::read).transpose()
    }

    /// Index: `connection_name`.
    pub async fn connection_by_name(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<ConnectionRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE tenant_id = $1 AND name = $2");
        let row = self.read().maybe(sql, &[tenant.into(), name.into()]).await?;
        row.as_ref().map(ConnectionRow::read).transpose()
    }

    /// How many a tenant has. Index: the primary key.
    pub async fn connection_count(&self, tenant: TenantId) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS n FROM connection WHERE tenant_id = $1";
        self.read().one(SQL, &[tenant.into()]).await?.get("n")
    }

    /// Active connections whose token expires from `from` until before `until`, the first to expire first. Index:
    /// `connection_expiry`.
    pub async fn connections_expiring_any_tenant(
        &self,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<ConnectionRow>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = format!("{COLUMNS}{EXPIRING}");
        let rows = self.read().all(sql, &[from.into(), until.into(), limit.into()]).await?;
        rows.iter().map(ConnectionRow::read).collect()
    }

    /// Takes the connection until `until`, if it still has this version and nobody has it. It then has the next version.
    /// Index: the primary key.
    pub async fn connection_lease(
        &self,
        row: &ConnectionRow,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const LEASE: &str = "UPDATE connection SET lease_ms = $1, version = version + 1 \
             WHERE tenant_id = $2 AND id = $3 AND version = $4 AND (lease_ms IS NULL OR lease_ms <= $5)";
        let mut tx = self.write().await?;
        let values = [until.into(), row.tenant.into(), row.id.into(), row.version.into(), now.into()];
        let taken = tx.execute(LEASE, &values).await? == 1;
        tx.commit().await?;
        Ok(taken)
    }

    /// Writes what a call of the provider came to, over the version before the row's own, and lets go of the lease.
    /// False: another took over meanwhile, or it was deleted; nothing was written.
    pub async fn connection_settle(&self, row: &ConnectionRow) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let written = update(&mut tx, row).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// Remembers an authorization. Of one connection's the oldest go when there are more than `open_max`. Index:
    /// `connection_flow_tenant`.
    pub async fn connection_flow_put(
        &self,
        flow: &ConnectionFlowRow,
        open_max: usize,
    ) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO connection_flow (state_hash, tenant_id, connection_id, sealed, expires_ms) \
             VALUES ($1, $2, $3, $4, $5)";
        const BOUND: &str = "DELETE FROM connection_flow WHERE tenant_id = $1 AND connection_id = $2 AND state_hash NOT IN \
             (SELECT state_hash FROM connection_flow WHERE tenant_id = $1 AND connection_id = $2 \
             ORDER BY expires_ms DESC, state_hash LIMIT $3)";
        let mut tx = self.write().await?;
        let values = [
            (&flow.state_hash).into(),
            flow.tenant.into(),
            flow.connection.into(),
            (&flow.sealed).into(),
            flow.expires.into(),
        ];
        tx.execute(PUT, &values).await?;
        let open_max = i64::try_from(open_max).unwrap_or(i64::MAX);
        tx.execute(BOUND, &[flow.tenant.into(), flow.connection.into(), open_max.into()]).await?;
        tx.commit().await
    }

    /// Takes an authorization away, so that its `state` is good once. Index: the primary key.
    pub async fn connection_flow_take(
        &self,
        state_hash: &[u8; 32],
    ) -> Result<Option<ConnectionFlowRow>, StoreError> {
        const FIND: &str = "SELECT state_hash, tenant_id, connection_id, sealed, expires_ms FROM connection_flow \
             WHERE state_hash = $1";
        const TAKE: &str = "DELETE FROM connection_flow WHERE state_hash = $1";
        // Most that is asked for without a key is no state of ours: the writer is not troubled with it.
        let Some(row) = self.read().maybe(FIND, &[state_hash.into()]).await? else { return Ok(None) };
        let flow = ConnectionFlowRow {
            state_hash: row.get("state_hash")?,
            tenant: row.get("tenant_id")?,
            connection: row.get("connection_id")?,
            sealed: row.get("sealed")?,
            expires: row.get("expires_ms")?,
        };
        let mut tx = self.write().await?;
        let taken = tx.execute(TAKE, &[state_hash.into()]).await? == 1;
        tx.commit().await?;
        Ok(taken.then_some(flow))
    }

    /// Removes authorizations that nobody came back from. Scans the table, which holds ten minutes of them at most.
    pub async fn connection_flow_sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        const LEFT: &str = "SELECT 1 AS one FROM connection_flow WHERE expires_ms <= $1 LIMIT 1";
        const SWEEP: &str = "DELETE FROM connection_flow WHERE expires_ms <= $1";
        if self.read().maybe(LEFT, &[now.into()]).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        let removed = tx.execute(SWEEP, &[now.into()]).await?;
        tx.commit().await?;
        Ok(removed)
    }
}

/// False: the row is not what it was.
pub(super) async fn write(tx: &mut WriteTx, write: &ConnectionWrite) -> Result<bool, StoreError> {
    const DELETE: &str = "DELETE FROM connection WHERE tenant_id = $1 AND id = $2 AND version = $3";
    const FLOWS: &str = "DELETE FROM connection_flow WHERE tenant_id = $1 AND connection_id = $2";
    match write {
        ConnectionWrite::Insert(row) => insert(tx, row).await,
        ConnectionWrite::Update(row) => update(tx, row).await,
        ConnectionWrite::Delete { tenant, id, version } => {
            let (tenant, id) = ((*tenant).into(), (*id).into());
            let deleted = tx.execute(DELETE, &[tenant, id, (*version).into()]).await? == 1;
            tx.execute(FLOWS, &[tenant, id]).await?;
            Ok(deleted)
        }
    }
}

async fn insert(tx: &mut WriteTx, row: &ConnectionRow) -> Result<bool, StoreError> {
    const INSERT: &str = "INSERT INTO connection (tenant_id, id, name, provider, settings, sealed, state, expires_ms, error, \
         version, lease_ms, created_ms, updated_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $11, $12)";
    let values = [
        row.tenant.into(),
        row.id.into(),
        (&row.name).into(),
        (&row.provider).into(),
        (&row.settings).into(),
        (&row.sealed).into(),
        row.state.into(),
        row.expires.into(),
        row.error.as_deref().into(),
        row.version.into(),
        row.created.into(),
        row.updated.into(),
    ];
    Ok(tx.execute(INSERT, &values).await? == 1)
}

async fn update(tx: &mut WriteTx, row: &ConnectionRow) -> Result<bool, StoreError> {
    const UPDATE: &str = "UPDATE connection SET settings = $1, sealed = $2, state = $3, expires_ms = $4, error = $5, \
         version = $6, lease_ms = NULL, updated_ms = $7 WHERE tenant_id = $8 AND id = $9 AND version = $10";
    let values = [
        (&row.settings).into(),
        (&row.sealed).into(),
        row.state.into(),
        row.expires.into(),
        row.error.as_deref().into(),
        row.version.into(),
        row.updated.into(),
        row.tenant.into(),
        row.id.into(),
        (row.version - 1).into(),
    ];
    Ok(tx.execute(UPDATE, &values).await? == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        let expiring = format!("{COLUMNS}{EXPIRING}");
        plans::check(&expiring, &["INDEX connection_expiry (expires_ms>? AND expires_ms<?)"]);
        let by_name = format!("{COLUMNS} WHERE tenant_id = $1 AND name = $2");
        plans::check(&by_name, &["INDEX connection_name (tenant_id=? AND name=?)"]);
    }
}
