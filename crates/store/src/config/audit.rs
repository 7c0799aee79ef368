//! The audit log. Only ever added to.

use postrider_domain::id::{AuditId, TenantId};
use postrider_domain::time::Timestamp;

use crate::db::{Row, Value, WriteTx};
use crate::{Store, StoreError};

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub id: AuditId,
    /// None: about the installation.
    pub tenant: Option<TenantId>,
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub target: String,
    /// A JSON object without secrets.
    pub detail: String,
}

const COLUMNS: &str = "SELECT id, tenant_id, at_ms, actor, action, target, detail FROM audit";
/// The tenant of what concerns the installation.
const INSTALLATION: TenantId = TenantId::from_bytes([0; 16]);

impl AuditRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let tenant: TenantId = row.get("tenant_id")?;
        Ok(Self {
            id: row.get("id")?,
            tenant: (tenant != INSTALLATION).then_some(tenant),
            at: row.get("at_ms")?,
            actor: row.get("actor")?,
            action: row.get("action")?,
            target: row.get("target")?,
            detail: row.get("detail")?,
        })
    }
}

impl Store {
    /// The audit log, newest first: a tenant's (index: the primary key), or all of it (index: `audit_id`).
    pub async fn audit_list(
        &self,
        tenant: Option<TenantId>,
        before: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let before = before.unwrap_or(AuditId::from_bytes([0xff; 16]));
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
        rows.iter().map(AuditRow::read).collect()
    }
}

pub(crate) const INSERT: &str = "INSERT INTO audit (tenant_id, id, at_ms, actor, action, target, detail) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

pub(super) async fn insert(tx: &mut WriteTx, row: &AuditRow) -> Result<(), StoreError> {
    tx.execute(INSERT, &values(row)).await.map(drop)
}

/// For [`INSERT`].
pub(crate) fn values(row: &AuditRow) -> [Value<'_>; 7] {
    [
        row.tenant.unwrap_or(INSTALLATION).into(),
        row.id.into(),
        row.at.into(),
        (&row.actor).into(),
        (&row.action).into(),
        (&row.target).into(),
        (&row.detail).into(),
    ]
}
