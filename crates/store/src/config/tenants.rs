//! Tenants, and what their events pin.

use postrider_domain::id::TenantId;
use postrider_domain::time::Timestamp;

use crate::db::{Row, Sql, WriteTx};
use crate::{Store, StoreError};

/// A tenant as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    pub id: TenantId,
    pub public_id: String,
    pub name: String,
    pub profile: String,
    pub profile_version: String,
    pub plan: Option<String>,
    pub timezone: String,
    /// A JSON object.
    pub attributes: String,
    /// A JSON object.
    pub settings: String,
    pub version: i64,
    /// Read only: the newest version at or below `version` at which what events pin changed.
    pub pinned_since: i64,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Its deletion was asked for: a job is removing it.
    pub deleted: Option<Timestamp>,
}

/// What events of a version of a tenant pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedRow {
    /// The version with which it began.
    pub since: i64,
    pub name: String,
    pub timezone: String,
    /// A JSON object.
    pub attributes: String,
    pub profile: String,
    pub profile_version: String,
}

const COLUMNS: &str = "SELECT t.id, t.public_id, t.name, t.profile, t.profile_version, t.plan, t.timezone, t.attributes, \
     t.settings, t.version, t.created_ms, t.updated_ms, t.deleted_ms, \
     (SELECT MAX(v.version) FROM tenant_version v WHERE v.tenant_id = t.id) AS pinned_since FROM tenant t";

impl TenantRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let version = row.get("version")?;
        Ok(Self {
            id: row.get("id")?,
            public_id: row.get("public_id")?,
            name: row.get("name")?,
            profile: row.get("profile")?,
            profile_version: row.get("profile_version")?,
            plan: row.get("plan")?,
            timezone: row.get("timezone")?,
            attributes: row.get("attributes")?,
            settings: row.get("settings")?,
            version,
            pinned_since: row.get::<Option<i64>>("pinned_since")?.unwrap_or(version),
            created: row.get("created_ms")?,
            updated: row.get("updated_ms")?,
            deleted: row.get("deleted_ms")?,
        })
    }
}

impl Store {
    /// Every tenant that is not being removed. Scans the table: at start only.
    pub async fn tenants_any_tenant(&self) -> Result<Vec<TenantRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE t.deleted_ms IS NULL");
        self.read().all(sql, &[]).await?.iter().map(TenantRow::read).collect()
    }

    /// The version of every tenant that is not being removed. Scans the table: after an interruption only.
    pub async fn tenant_versions_any_tenant(&self) -> Result<Vec<(TenantId, i64)>, StoreError> {
        const SQL: &str = "SELECT id, version FROM tenant WHERE deleted_ms IS NULL";
        self.read().all(SQL, &[]).await?.iter().map(|row| Ok((row.get("id")?, row.get("version")?))).collect()
    }

    /// Index: the primary key. Also one that is being removed.
    pub async fn tenant_get(&self, tenant: TenantId) -> Result<Option<TenantRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE t.id = $1");
        self.read().maybe(sql, &[tenant.into()]).await?.as_ref().map(TenantRow::read).transpose()
    }

    /// Ids of tenants, newest first, for lists. Index: the primary key.
    pub async fn tenant_ids_any_tenant(
        &self,
        before: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<TenantId>, StoreError> {
        const SQL: &str =
            "SELECT id FROM tenant WHERE deleted_ms IS NULL AND id < $1 ORDER BY id DESC LIMIT $2";
        let before = before.unwrap_or(TenantId::from_bytes([0xff; 16]));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read().all(SQL, &[before.into(), limit.into()]).await?;
        rows.iter().map(|row| row.get("id")).collect()
    }

    /// Whether the tenant has records, or ever had an event: events leave with retention, what was counted of them stays.
    /// Indexes: `event_id`, the primary keys, `record_tenant`.
    pub async fn tenant_has_history(&self, tenant: TenantId) -> Result<bool, StoreError> {
        Ok(self.read().maybe(HAS_HISTORY, &[tenant.into()]).await?.is_some())
    }

    /// What events of a tenant's `version` pinned. Index: the primary key.
    pub async fn tenant_pinned(
        &self,
        tenant: TenantId,
        version: i64,
    ) -> Result<Option<PinnedRow>, StoreError> {
        const SQL: &str = "SELECT version, name, timezone, attributes, profile, profile_version FROM tenant_version \
             WHERE tenant_id = $1 AND version <= $2 ORDER BY version DESC LIMIT 1";
        let Some(row) = self.read().maybe(SQL, &[tenant.into(), version.into()]).await? else {
            return Ok(None);
        };
        Ok(Some(PinnedRow {
            since: row.get("version")?,
            name: row.get("name")?,
            timezone: row.get("timezone")?,
            attributes: row.get("attributes")?,
            profile: row.get("profile")?,
            profile_version: row.get("profile_version")?,
        }))
    }
}

const HAS_HISTORY: &str = "SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM event WHERE tenant_id = $1) \
     OR EXISTS (SELECT 1 FROM ledger_hour WHERE tenant_id = $1) OR EXISTS (SELECT 1 FROM record WHERE scope = $1) \
     OR EXISTS (SELECT 1 FROM record WHERE tenant_id = $1 AND scope <> tenant_id)";

pub(super) async fn has_history(tx: &mut WriteTx, tenant: TenantId) -> Result<bool, StoreError> {
    Ok(tx.maybe(HAS_HISTORY, &[tenant.into()]).await?.is_some())
}

/// False: the public id is taken.
pub(super) async fn insert(tx: &mut WriteTx, row: &TenantRow) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO tenant (id, public_id, name, profile, profile_version, plan, timezone, attributes, settings, \
         version, created_ms, updated_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
    let values = [
        row.id.into(),
        (&row.public_id).into(),
        (&row.name).into(),
        (&row.profile).into(),
        (&row.profile_version).into(),
        row.plan.as_deref().into(),
        (&row.timezone).into(),
        (&row.attributes).into(),
        (&row.settings).into(),
        row.version.into(),
        row.created.into(),
        row.updated.into(),
    ];
    Ok(tx.execute(SQL, &values).await? == 1)
}

/// False: there is no such tenant with this version.
pub(super) async fn update(tx: &mut WriteTx, row: &TenantRow, over: i64) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE tenant SET public_id = $3, name = $4, profile = $5, profile_version = $6, plan = $7, timezone = $8, \
         attributes = $9, settings = $10, version = $11, updated_ms = $12, deleted_ms = $13 \
         WHERE id = $1 AND version = $2 AND deleted_ms IS NULL";
    let values = [
        row.id.into(),
        over.into(),
        (&row.public_id).into(),
        (&row.name).into(),
        (&row.profile).into(),
        (&row.profile_version).into(),
        row.plan.as_deref().into(),
        (&row.timezone).into(),
        (&row.attributes).into(),
        (&row.settings).into(),
        row.version.into(),
        row.updated.into(),
        row.deleted.into(),
    ];
    Ok(tx.execute(SQL, &values).await? == 1)
}

pub(super) async fn pin(tx: &mut WriteTx, row: &TenantRow, at: Timestamp) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO tenant_version (tenant_id, version, name, timezone, attributes, profile, profile_version, \
         created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = [
        row.id.into(),
        row.version.into(),
        (&row.name).into(),
        (&row.timezone).into(),
        (&row.attributes).into(),
        (&row.profile).into(),
        (&row.profile_version).into(),
        at.into(),
    ];
    tx.execute(SQL, &values).await.map(drop)
}

/// Moves a profile's tenants to its new version. Scans the tenants: once per change of a profile.
pub(super) async fn follow_profile(
    tx: &mut WriteTx,
    profile: &str,
    version: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    const MOVE: &str = "UPDATE tenant SET profile_version = $2, version = version + 1, updated_ms = $3 \
         WHERE profile = $1 AND profile_version <> $2 AND deleted_ms IS NULL";
    const PIN: &str = "INSERT INTO tenant_version (tenant_id, version, name, timezone, attributes, profile, profile_version, \
         created_ms) SELECT id, version, name, timezone, attributes, profile, profile_version, $2 FROM tenant \
         WHERE profile = $1 AND deleted_ms IS NULL ON CONFLICT DO NOTHING";
    if tx.execute(MOVE, &[profile.into(), version.into(), at.into()]).await? > 0 {
        tx.execute(Sql::Const(PIN), &[profile.into(), at.into()]).await?;
    }
    Ok(())
}
