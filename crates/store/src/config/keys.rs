//! API keys: their hashes, never the keys.

use postrider_domain::id::{KeyId, TenantId};
use postrider_domain::time::Timestamp;

use crate::db::{Row, WriteTx};
use crate::{Store, StoreError};

/// A key as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    pub id: KeyId,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    pub role: i64,
    /// None: of the installation.
    pub tenant: Option<TenantId>,
    pub name: String,
    pub created: Timestamp,
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

const COLUMNS: &str =
    "SELECT id, hash, role, tenant_id, name, created_ms, last_used_ms, revoked_ms FROM api_key";

impl KeyRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            hash: row.get("hash")?,
            role: row.get("role")?,
            tenant: row.get("tenant_id")?,
            name: row.get("name")?,
            created: row.get("created_ms")?,
            last_used: row.get("last_used_ms")?,
            revoked: row.get("revoked_ms")?,
        })
    }
}

impl Store {
    /// Every key that is not revoked. Scans the table: at start only.
    pub async fn keys_any_tenant(&self) -> Result<Vec<KeyRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE revoked_ms IS NULL");
        self.read().all(sql, &[]).await?.iter().map(KeyRow::read).collect()
    }

    /// Keys, newest first, revoked ones too: a tenant's (index: `api_key_tenant`), or all (index: the primary key).
    pub async fn key_list(
        &self,
        tenant: Option<TenantId>,
        before: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeyRow>, StoreError> {
        let before = before.unwrap_or(KeyId::from_bytes([0xff; 16]));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = match tenant {
            Some(tenant) => {
                let sql = format!("{COLUMNS} WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
                self.read().all(sql, &[tenant.into(), before.into(), limit.into()]).await?
            }
            None => {
                let sql = format!("{COLUMNS} WHERE id < $1 ORDER BY id DESC LIMIT $2");
                self.read().all(sql, &[before.into(), limit.into()]).await?
            }
        };
        rows.iter().map(KeyRow::read).collect()
    }

    /// One key, also a revoked one. Index: the primary key.
    pub async fn key_get(&self, key: KeyId) -> Result<Option<KeyRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE id = $1");
        self.read().maybe(sql, &[key.into()]).await?.as_ref().map(KeyRow::read).transpose()
    }

    /// One key by its hash, also a revoked one. Index: the unique one on `hash`.
    pub async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE hash = $1");
        self.read().maybe(sql, &[hash.into()]).await?.as_ref().map(KeyRow::read).transpose()
    }

    /// Remembers when keys were last used, all in one transaction. Index: the primary key.
    pub async fn keys_used(&self, uses: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE api_key SET last_used_ms = $2 WHERE id = $1 AND (last_used_ms IS NULL OR last_used_ms < $2)";
        if uses.is_empty() {
            return Ok(());
        }
        let mut tx = self.write().await?;
        for (key, at) in uses {
            tx.execute(SQL, &[(*key).into(), (*at).into()]).await?;
        }
        tx.commit().await
    }
}

pub(super) async fn put(tx: &mut WriteTx, row: &KeyRow) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO api_key (id, hash, role, tenant_id, name, created_ms, revoked_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET revoked_ms = excluded.revoked_ms";
    let values = [
        row.id.into(),
        (&row.hash).into(),
        row.role.into(),
        row.tenant.into(),
        (&row.name).into(),
        row.created.into(),
        row.revoked.into(),
    ];
    tx.execute(SQL, &values).await.map(drop)
}
