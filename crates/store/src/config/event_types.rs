//! Event types that a tenant with an open catalogue registered.

use postrider_domain::id::TenantId;
use postrider_domain::time::Timestamp;

use crate::db::{Row, WriteTx};
use crate::{Store, StoreError};

/// A registered type as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypeRow {
    pub tenant: TenantId,
    pub name: String,
    pub description: String,
    /// JSON Schema, as text.
    pub schema: Option<String>,
    /// JSON, as text.
    pub example: Option<String>,
    pub archived: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
}

const COLUMNS: &str =
    "SELECT tenant_id, type, description, schema, example, archived, created_ms, updated_ms FROM event_type";

impl EventTypeRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            name: row.get("type")?,
            description: row.get("description")?,
            schema: row.get("schema")?,
            example: row.get("example")?,
            archived: row.get("archived")?,
            created: row.get("created_ms")?,
            updated: row.get("updated_ms")?,
        })
    }
}

impl Store {
    /// Every registered type. Scans the table: at start only.
    pub async fn event_types_any_tenant(&self) -> Result<Vec<EventTypeRow>, StoreError> {
        let sql = format!("{COLUMNS} ORDER BY tenant_id, type");
        self.read().all(sql, &[]).await?.iter().map(EventTypeRow::read).collect()
    }

    /// A tenant's registered types by name, archived ones too. Index: the primary key.
    pub async fn event_types_of(&self, tenant: TenantId) -> Result<Vec<EventTypeRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE tenant_id = $1 ORDER BY type");
        self.read().all(sql, &[tenant.into()]).await?.iter().map(EventTypeRow::read).collect()
    }
}

pub(super) async fn put(tx: &mut WriteTx, row: &EventTypeRow) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO event_type (tenant_id, type, description, schema, example, archived, created_ms, updated_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant_id, type) DO UPDATE SET \
         description = excluded.description, schema = excluded.schema, example = excluded.example, \
         archived = excluded.archived, updated_ms = excluded.updated_ms";
    let values = [
        row.tenant.into(),
        (&row.name).into(),
        (&row.description).into(),
        row.schema.as_deref().into(),
        row.example.as_deref().into(),
        row.archived.into(),
        row.created.into(),
        row.updated.into(),
    ];
    tx.execute(SQL, &values).await.map(drop)
}
