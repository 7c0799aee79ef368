//! The audit log: who did what to which part of the configuration. Written with the change itself.

use postrider_domain::id::{AuditId, TenantId};
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use postrider_store::config::AuditRow;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Actor, Control, Role};
use crate::catalogue::Tenant;
use crate::error::EngineError;

/// A row of the audit log, kept when its subject is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub id: AuditId,
    pub at: Timestamp,
    /// The tenant's public id; none for what concerns the installation.
    pub tenant: Option<String>,
    /// `key_…`, `ses_…`, or `postrider` for what it did by itself.
    pub actor: String,
    pub actor_role: Role,
    /// `webhook.created`, `secret.rotated`, `tenant.deleted`, …
    pub action: String,
    /// The id of what was changed.
    pub target: String,
    /// Without secrets and without the values of headers.
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What a row keeps as JSON.
#[derive(Serialize, Deserialize)]
struct Detail {
    tenant: Option<String>,
    role: Role,
    before: Option<Value>,
    after: Option<Value>,
}

/// What was done to what.
pub(super) struct Act {
    pub(super) action: &'static str,
    pub(super) target: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

impl Control {
    /// The audit log of a tenant, or all of it, newest first; `before`: the last id of the page before.
    pub async fn audit(
        &self,
        tenant: Option<TenantId>,
        before: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, EngineError> {
        let rows = self.store().audit_list(tenant, before, limit).await?;
        rows.into_iter().map(entry).collect()
    }

    pub(super) fn audit_row(
        &self,
        actor: &Actor,
        tenant: Option<&Tenant>,
        at: Timestamp,
        act: Act,
    ) -> AuditRow {
        let detail = Detail {
            tenant: tenant.map(|tenant| tenant.public_id.to_string()),
            role: actor.role,
            before: act.before,
            after: act.after,
        };
        let mut ids = self.0.audit_ids.lock().expect("because no holder of this lock panics");
        AuditRow {
            id: AuditId::from_uuid(ids.next(at, self.random())),
            tenant: tenant.map(|tenant| tenant.id),
            at,
            actor: actor.name(),
            action: act.action.to_owned(),
            target: act.target,
            detail: serde_json::to_string(&detail).expect("because its maps have text for keys"),
        }
    }
}

fn entry(row: AuditRow) -> Result<AuditEntry, EngineError> {
    let detail: Detail = serde_json::from_str(&row.detail)
        .map_err(|error| StoreError::Corrupt(format!("the audit row {}: {error}", row.id)))?;
    Ok(AuditEntry {
        id: row.id,
        at: row.at,
        tenant: detail.tenant,
        actor: row.actor,
        actor_role: detail.role,
        action: row.action,
        target: row.target,
        before: detail.before,
        after: detail.after,
    })
}
