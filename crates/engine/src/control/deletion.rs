//! The end of a tenant: out of the catalogue at once, out of the store in bounded batches. The audit stays.

use std::sync::Arc;

use postrider_domain::id::TenantId;
use postrider_domain::limits;
use postrider_store::StoreError;
use postrider_store::config::{ConfigWrite, JOB_DONE, JobRow, Over, TenantWrite};

use super::audit::Act;
use super::change::{After, WebhookAfter};
use super::jobs::{self, Job, JobKind, Params};
use super::{Actor, Control, Role, assemble, tenants};
use crate::error::EngineError;
use crate::outbound::lanes::WebhookChange;

impl Control {
    /// Deletes a tenant: operator. From here on it does not exist for anybody; its keys end, its public id is free again, and
    /// what is being sent just now ends. The job removes its rows.
    pub async fn tenant_delete(&self, actor: &Actor, tenant: TenantId) -> Result<Job, EngineError> {
        actor.require(&[Role::Operator], None)?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant).await?;
        let now = self.now();
        let params = Params {
            tenant: tenant.public_id.to_string(),
            tenant_id: tenant.id,
            webhook: None,
            from: None,
            until: None,
            retry: None,
        };
        // Of the installation: what belongs to the tenant goes with it.
        let job_row = self.job_row(JobKind::TenantDelete, None, &params, now);
        let job = jobs::shown(&job_row)?;
        let act = Act {
            action: "tenant.deleted",
            target: tenant.public_id.to_string(),
            before: Some(tenants::audit_state(&tenant)),
            after: None,
        };
        let mut row = assemble::tenant_row(&tenant);
        row.version += 1;
        row.updated = now;
        row.deleted = Some(now);
        // The caller's id may be used again while the rows go.
        row.public_id = tenant.id.to_string();
        let write = ConfigWrite {
            at: now,
            tenant: Some(TenantWrite {
                row,
                over: Over::Version(tenant.version),
                pins: false,
                unless_history: false,
            }),
            jobs: vec![job_row],
            audit: vec![self.audit_row(actor, Some(&tenant), now, act)],
            ..ConfigWrite::default()
        };
        let mut webhooks = Vec::with_capacity(tenant.webhooks.len());
        for webhook in &tenant.webhooks {
            webhooks.push(WebhookAfter { webhook: webhook.id, change: WebhookChange::Closed, cancel: None });
        }
        let after =
            After { removed: Some(tenant.id), gone: Some(Arc::clone(&tenant)), webhooks, ..After::default() };
        self.commit(turn, write, after).await?;
        Ok(job)
    }

    pub(super) async fn deletion_batch(&self, row: &mut JobRow, params: &Params) -> Result<(), StoreError> {
        let now = self.now();
        let mark = |row: &mut JobRow, removed: postrider_store::config::Removed| {
            row.done += removed.rows;
            row.updated = now;
            if removed.finished {
                jobs::end(row, JOB_DONE, "", now);
            }
        };
        let removed = self
            .store()
            .tenant_remove_batch(params.tenant_id, limits::RETENTION_BATCH_ROWS, row, mark)
            .await?;
        if removed.finished {
            tracing::info!(job = %row.id, tenant = %params.tenant, rows = row.done, "tenant.removed");
        }
        Ok(())
    }
}
