//! Secrets that steps use, sealed.

use postrider_domain::id::TenantId;
use postrider_domain::time::Timestamp;

use crate::db::{Row, Value, WriteTx};
use crate::{Store, StoreError};

/// A secret as it may be listed: all but its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSecretRow {
    pub tenant: TenantId,
    pub name: String,
    /// Of the value: rises with each.
    pub version: i64,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// A change of a tenant's secrets.
#[derive(Debug)]
pub enum StepSecretWrite {
    Put { row: StepSecretRow, sealed: Vec<u8> },
    Delete { tenant: TenantId, name: String },
}

const LISTED: &str = "SELECT tenant_id, name, version, created_ms, updated_ms FROM secret";

impl StepSecretRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            name: row.get("name")?,
            version: row.get("version")?,
            created: row.get("created_ms")?,
            updated: row.get("updated_ms")?,
        })
    }
}

impl Store {
    /// A tenant's secrets in the order of their names, which has a bound. Index: the primary key.
    pub async fn step_secrets(&self, tenant: TenantId) -> Result<Vec<StepSecretRow>, StoreError> {
        let sql = format!("{LISTED} WHERE tenant_id = $1 ORDER BY name");
        self.read().all(sql, &[tenant.into()]).await?.iter().map(StepSecretRow::read).collect()
    }

    /// Index: the primary key.
    pub async fn step_secret_get(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<StepSecretRow>, StoreError> {
        let sql = format!("{LISTED} WHERE tenant_id = $1 AND name = $2");
        let row = self.read().maybe(sql, &[tenant.into(), name.into()]).await?;
        row.as_ref().map(StepSecretRow::read).transpose()
    }

    /// Names and sealed values of those of `names` that exist. Index: the primary key.
    pub async fn step_secret_values(
        &self,
        tenant: TenantId,
        names: &[&str],
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (0..names.len()).map(|n| format!("${}", n + 2)).collect();
        let sql = format!(
            "SELECT name, sealed FROM secret WHERE tenant_id = $1 AND name IN ({})",
            places.join(", ")
        );
        let mut values: Vec<Value<'_>> = vec![tenant.into()];
        values.extend(names.iter().map(|name| Value::from(*name)));
        let rows = self.read().all(sql, &values).await?;
        rows.iter().map(|row| Ok((row.get("name")?, row.get("sealed")?))).collect()
    }
}

pub(super) async fn write(tx: &mut WriteTx, write: &StepSecretWrite) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO secret (tenant_id, name, version, sealed, created_ms, updated_ms) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, name) DO UPDATE SET version = excluded.version, \
         sealed = excluded.sealed, updated_ms = excluded.updated_ms";
    const DELETE: &str = "DELETE FROM secret WHERE tenant_id = $1 AND name = $2";
    match write {
        StepSecretWrite::Put { row, sealed } => {
            let values = [
                row.tenant.into(),
                (&row.name).into(),
                row.version.into(),
                sealed.into(),
                row.created.into(),
                row.updated.into(),
            ];
            tx.execute(PUT, &values).await
        }
        StepSecretWrite::Delete { tenant, name } => {
            tx.execute(DELETE, &[(*tenant).into(), name.into()]).await
        }
    }
    .map(drop)
}
