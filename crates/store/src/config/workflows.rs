//! Workflows and their triggers, with the triggers' sealed secrets.

use postrider_domain::id::{TenantId, TriggerId, WorkflowId};
use postrider_domain::run::TriggerKind;
use postrider_domain::time::Timestamp;

use crate::db::{Row, Value, WriteTx};
use crate::{Store, StoreError};

/// A workflow as stored, with its newest definition.
#[derive(Debug, Clone)]
pub struct WorkflowRow {
    pub tenant: TenantId,
    pub id: WorkflowId,
    pub name: String,
    pub version: i64,
    pub description: String,
    /// JSON.
    pub definition: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub deleted: Option<Timestamp>,
}

/// A trigger as stored.
#[derive(Debug, Clone)]
pub struct TriggerRow {
    pub tenant: TenantId,
    pub id: TriggerId,
    pub workflow: WorkflowId,
    pub kind: TriggerKind,
    pub name: String,
    pub enabled: bool,
    /// Of its public URL.
    pub slug: Option<String>,
    /// JSON object.
    pub settings: String,
    /// Since when its clock counts.
    pub since: Timestamp,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub deleted: Option<Timestamp>,
}

/// What verifies requests to a trigger.
#[derive(Debug, Clone)]
pub struct TriggerSecretRow {
    pub tenant: TenantId,
    pub trigger: TriggerId,
    pub id: [u8; 16],
    pub sealed: Vec<u8>,
    /// It was replaced, and is taken until then.
    pub expires_at: Option<Timestamp>,
    pub created: Timestamp,
}

/// A trigger's row as it is to be.
#[derive(Debug)]
pub struct TriggerWrite {
    pub row: TriggerRow,
    /// All of its secrets; none: they stay as they are.
    pub secrets: Option<Vec<TriggerSecretRow>>,
}

const WORKFLOW: &str = "SELECT w.tenant_id, w.id, w.name, w.version, w.description, v.definition, w.created_ms, w.updated_ms, \
     w.deleted_ms FROM workflow w JOIN workflow_version v \
     ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id AND v.version = w.version";
const TRIGGER: &str = "SELECT tenant_id, id, workflow_id, kind, name, enabled, slug, settings, since_ms, created_ms, updated_ms, \
     deleted_ms FROM workflow_trigger";
const SECRET: &str =
    "SELECT tenant_id, trigger_id, id, sealed, expires_at_ms, created_ms FROM trigger_secret";

impl WorkflowRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            id: row.get("id")?,
            name: row.get("name")?,
            version: row.get("version")?,
            description: row.get("description")?,
            definition: row.get("definition")?,
            created: row.get("created_ms")?,
            updated: row.get("updated_ms")?,
            deleted: row.get("deleted_ms")?,
        })
    }
}

impl TriggerRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            id: row.get("id")?,
            workflow: row.get("workflow_id")?,
            kind: row.get("kind")?,
            name: row.get("name")?,
            enabled: row.get("enabled")?,
            slug: row.get("slug")?,
            settings: row.get("settings")?,
            since: row.get("since_ms")?,
            created: row.get("created_ms")?,
            updated: row.get("updated_ms")?,
            deleted: row.get("deleted_ms")?,
        })
    }
}

impl TriggerSecretRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            trigger: row.get("trigger_id")?,
            id: row.get("id")?,
            sealed: row.get("sealed")?,
            expires_at: row.get("expires_at_ms")?,
            created: row.get("created_ms")?,
        })
    }
}

impl Store {
    /// Workflows that are not deleted, oldest first: all, which scans the table and is for the start, or a tenant's. Index:
    /// the primary key.
    pub async fn workflows(&self, tenant: Option<TenantId>) -> Result<Vec<WorkflowRow>, StoreError> {
        let (condition, values) = of_tenant("w.tenant_id", tenant);
        let sql = format!("{WORKFLOW} WHERE {condition}w.deleted_ms IS NULL ORDER BY w.tenant_id, w.id");
        self.read().all(sql, &values).await?.iter().map(WorkflowRow::read).collect()
    }

    /// A version of a workflow's definition, JSON. Index: the primary key.
    pub async fn workflow_definition(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
        version: i64,
    ) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT definition FROM workflow_version WHERE tenant_id = $1 AND workflow_id = $2 AND version = $3";
        let row = self.read().maybe(SQL, &[tenant.into(), workflow.into(), version.into()]).await?;
        row.map(|row| row.get("definition")).transpose()
    }

    /// Names of workflows, also of deleted ones. Index: the primary key.
    pub async fn workflow_name(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
    ) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT name FROM workflow WHERE tenant_id = $1 AND id = $2";
        let row = self.read().maybe(SQL, &[tenant.into(), workflow.into()]).await?;
        row.map(|row| row.get("name")).transpose()
    }

    /// Triggers that are not deleted, oldest first, of all or of a tenant. Index: the primary key.
    pub async fn triggers(&self, tenant: Option<TenantId>) -> Result<Vec<TriggerRow>, StoreError> {
        let (condition, values) = of_tenant("tenant_id", tenant);
        let sql = format!("{TRIGGER} WHERE {condition}deleted_ms IS NULL ORDER BY tenant_id, id");
        self.read().all(sql, &values).await?.iter().map(TriggerRow::read).collect()
    }

    /// Secrets of triggers, newest first, of all or of a tenant. Index: the primary key.
    pub async fn trigger_secrets(
        &self,
        tenant: Option<TenantId>,
    ) -> Result<Vec<TriggerSecretRow>, StoreError> {
        let (condition, values) = of_tenant("tenant_id", tenant);
        let sql =
            format!("{SECRET} WHERE {condition}1 = 1 ORDER BY tenant_id, trigger_id, created_ms DESC, id");
        self.read().all(sql, &values).await?.iter().map(TriggerSecretRow::read).collect()
    }
}

fn of_tenant(column: &str, tenant: Option<TenantId>) -> (String, Vec<Value<'static>>) {
    match tenant {
        Some(tenant) => (format!("{column} = $1 AND "), vec![tenant.into()]),
        None => (String::new(), Vec::new()),
    }
}

pub(super) async fn put(tx: &mut WriteTx, row: &WorkflowRow) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO workflow (tenant_id, id, name, version, description, created_ms, updated_ms, deleted_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (tenant_id, id) DO UPDATE SET version = excluded.version, description = excluded.description, \
         updated_ms = excluded.updated_ms, deleted_ms = excluded.deleted_ms";
    const VERSION: &str = "INSERT INTO workflow_version (tenant_id, workflow_id, version, definition, created_ms) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, workflow_id, version) DO NOTHING";
    let values = [
        row.tenant.into(),
        row.id.into(),
        (&row.name).into(),
        row.version.into(),
        (&row.description).into(),
        row.created.into(),
        row.updated.into(),
        row.deleted.into(),
    ];
    tx.execute(PUT, &values).await?;
    let values =
        [row.tenant.into(), row.id.into(), row.version.into(), (&row.definition).into(), row.updated.into()];
    tx.execute(VERSION, &values).await.map(drop)
}

pub(super) async fn put_trigger(tx: &mut WriteTx, write: &TriggerWrite) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO workflow_trigger (tenant_id, id, workflow_id, kind, name, enabled, slug, settings, since_ms, \
         created_ms, updated_ms, deleted_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled, slug = excluded.slug, \
         settings = excluded.settings, since_ms = excluded.since_ms, updated_ms = excluded.updated_ms, \
         deleted_ms = excluded.deleted_ms";
    const CLEAR: &str = "DELETE FROM trigger_secret WHERE tenant_id = $1 AND trigger_id = $2";
    const SECRET: &str = "INSERT INTO trigger_secret (tenant_id, trigger_id, id, sealed, expires_at_ms, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)";
    let row = &write.row;
    let values = [
        row.tenant.into(),
        row.id.into(),
        row.workflow.into(),
        row.kind.into(),
        (&row.name).into(),
        row.enabled.into(),
        row.slug.as_deref().into(),
        (&row.settings).into(),
        row.since.into(),
        row.created.into(),
        row.updated.into(),
        row.deleted.into(),
    ];
    tx.execute(PUT, &values).await?;
    let Some(secrets) = &write.secrets else { return Ok(()) };
    tx.execute(CLEAR, &[row.tenant.into(), row.id.into()]).await?;
    for secret in secrets {
        let values = [
            secret.tenant.into(),
            secret.trigger.into(),
            Value::Id(Some(secret.id)),
            (&secret.sealed).into(),
            secret.expires_at.into(),
            secret.created.into(),
        ];
        tx.execute(SECRET, &values).await?;
    }
    Ok(())
}
