//! Webhooks, their history as far as matching needs it, and their sealed secrets.

use postrider_domain::id::{TenantId, WebhookId};
use postrider_domain::time::Timestamp;

use crate::db::{Row, Value, WriteTx};
use crate::{Store, StoreError};

/// A webhook as stored.
#[derive(Debug, Clone)]
pub struct WebhookRow {
    pub tenant: TenantId,
    pub id: WebhookId,
    pub name: String,
    pub url: String,
    /// A JSON array of patterns.
    pub events: String,
    /// Sealed.
    pub headers: Option<Vec<u8>>,
    pub description: String,
    pub enabled: bool,
    /// Why Postrider switched it off.
    pub disabled_reason: Option<i64>,
    /// Since when it has been off.
    pub disabled: Option<Timestamp>,
    /// The tenant's one webhook.
    pub single: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub deleted: Option<Timestamp>,
}

/// A signing secret as stored.
#[derive(Debug, Clone)]
pub struct SecretRow {
    pub tenant: TenantId,
    pub webhook: WebhookId,
    pub id: [u8; 16],
    pub sealed: Vec<u8>,
    pub state: SecretState,
    /// Pending: when it takes over by itself.
    pub activate_at: Option<Timestamp>,
    /// Retiring: when it stops signing.
    pub expires_at: Option<Timestamp>,
    pub created: Timestamp,
}

/// Whether a secret signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretState {
    Active,
    /// Not yet: it waits for its time or a confirmation.
    Pending,
    /// Still, beside the active one.
    Retiring,
}

impl SecretState {
    const fn code(self) -> i64 {
        match self {
            Self::Active => 0,
            Self::Pending => 1,
            Self::Retiring => 2,
        }
    }

    fn from_code(code: i64) -> Result<Self, StoreError> {
        match code {
            0 => Ok(Self::Active),
            1 => Ok(Self::Pending),
            2 => Ok(Self::Retiring),
            _ => Err(StoreError::Corrupt(format!("a secret's state is {code}"))),
        }
    }
}

const WEBHOOK: &str = "SELECT tenant_id, id, name, url, events, headers, description, enabled, disabled_reason, disabled_ms, \
     single, created_ms, updated_ms, deleted_ms FROM webhook";
const SECRET: &str = "SELECT tenant_id, webhook_id, id, sealed, state, activate_at_ms, expires_at_ms, created_ms FROM webhook_secret";

impl WebhookRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            id: row.get("id")?,
            name: row.get("name")?,
            url: row.get("url")?,
            events: row.get("events")?,
            headers: row.get("headers")?,
            description: row.get("description")?,
            enabled: row.get("enabled")?,
            disabled_reason: row.get("disabled_reason")?,
            disabled: row.get("disabled_ms")?,
            single: row.get("single")?,
            created: row.get("created_ms")?,
            updated: row.get("updated_ms")?,
            deleted: row.get("deleted_ms")?,
        })
    }
}

impl SecretRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            webhook: row.get("webhook_id")?,
            id: row.get("id")?,
            sealed: row.get("sealed")?,
            state: SecretState::from_code(row.get("state")?)?,
            activate_at: row.get("activate_at_ms")?,
            expires_at: row.get("expires_at_ms")?,
            created: row.get("created_ms")?,
        })
    }
}

impl Store {
    /// Every webhook that is not deleted, oldest first. Scans the table: at start only.
    pub async fn webhooks_any_tenant(&self) -> Result<Vec<WebhookRow>, StoreError> {
        let sql = format!("{WEBHOOK} WHERE deleted_ms IS NULL ORDER BY tenant_id, id");
        self.read().all(sql, &[]).await?.iter().map(WebhookRow::read).collect()
    }

    /// Every secret, oldest first. Scans the table: at start only.
    pub async fn secrets_any_tenant(&self) -> Result<Vec<SecretRow>, StoreError> {
        let sql = format!("{SECRET} ORDER BY tenant_id, webhook_id, id");
        self.read().all(sql, &[]).await?.iter().map(SecretRow::read).collect()
    }

    /// A tenant's webhooks that are not deleted, oldest first. Index: the primary key.
    pub async fn webhooks_of(&self, tenant: TenantId) -> Result<Vec<WebhookRow>, StoreError> {
        let sql = format!("{WEBHOOK} WHERE tenant_id = $1 AND deleted_ms IS NULL ORDER BY id");
        self.read().all(sql, &[tenant.into()]).await?.iter().map(WebhookRow::read).collect()
    }

    /// The secrets of all webhooks of a tenant, oldest first. Index: the primary key.
    pub async fn secrets_of(&self, tenant: TenantId) -> Result<Vec<SecretRow>, StoreError> {
        let sql = format!("{SECRET} WHERE tenant_id = $1 ORDER BY webhook_id, id");
        self.read().all(sql, &[tenant.into()]).await?.iter().map(SecretRow::read).collect()
    }

    /// One webhook, also a deleted one. Index: the primary key.
    pub async fn webhook_get(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
    ) -> Result<Option<WebhookRow>, StoreError> {
        let sql = format!("{WEBHOOK} WHERE tenant_id = $1 AND id = $2");
        let row = self.read().maybe(sql, &[tenant.into(), webhook.into()]).await?;
        row.as_ref().map(WebhookRow::read).transpose()
    }

    /// A webhook's secrets, oldest first. Index: the primary key.
    pub async fn webhook_secrets(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
    ) -> Result<Vec<SecretRow>, StoreError> {
        let sql = format!("{SECRET} WHERE tenant_id = $1 AND webhook_id = $2 ORDER BY id");
        let rows = self.read().all(sql, &[tenant.into(), webhook.into()]).await?;
        rows.iter().map(SecretRow::read).collect()
    }
}

/// `version`: the tenant's, under which the webhook is now what it is.
pub(super) async fn put(
    tx: &mut WriteTx,
    row: &WebhookRow,
    version: i64,
    at: Timestamp,
) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO webhook (tenant_id, id, name, url, events, headers, description, enabled, disabled_reason, \
         disabled_ms, single, created_ms, updated_ms, deleted_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name, url = excluded.url, events = excluded.events, \
         headers = excluded.headers, description = excluded.description, enabled = excluded.enabled, \
         disabled_reason = excluded.disabled_reason, disabled_ms = excluded.disabled_ms, single = excluded.single, \
         updated_ms = excluded.updated_ms, deleted_ms = excluded.deleted_ms";
    const VERSION: &str = "INSERT INTO webhook_version (tenant_id, webhook_id, version, name, events, enabled, deleted, \
         created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = [
        row.tenant.into(),
        row.id.into(),
        (&row.name).into(),
        (&row.url).into(),
        (&row.events).into(),
        row.headers.as_deref().into(),
        (&row.description).into(),
        row.enabled.into(),
        row.disabled_reason.into(),
        row.disabled.into(),
        row.single.into(),
        row.created.into(),
        row.updated.into(),
        row.deleted.into(),
    ];
    tx.execute(PUT, &values).await?;
    let values = [
        row.tenant.into(),
        row.id.into(),
        version.into(),
        (&row.name).into(),
        (&row.events).into(),
        row.enabled.into(),
        row.deleted.is_some().into(),
        at.into(),
    ];
    tx.execute(VERSION, &values).await.map(drop)
}

pub(super) async fn put_secrets(
    tx: &mut WriteTx,
    webhook: &WebhookRow,
    secrets: &[SecretRow],
) -> Result<(), StoreError> {
    const CLEAR: &str = "DELETE FROM webhook_secret WHERE tenant_id = $1 AND webhook_id = $2";
    const PUT: &str = "INSERT INTO webhook_secret (tenant_id, webhook_id, id, sealed, state, activate_at_ms, expires_at_ms, \
         created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    tx.execute(CLEAR, &[webhook.tenant.into(), webhook.id.into()]).await?;
    for secret in secrets {
        let values = [
            secret.tenant.into(),
            secret.webhook.into(),
            Value::Id(Some(secret.id)),
            (&secret.sealed).into(),
            secret.state.code().into(),
            secret.activate_at.into(),
            secret.expires_at.into(),
            secret.created.into(),
        ];
        tx.execute(PUT, &values).await?;
    }
    Ok(())
}
