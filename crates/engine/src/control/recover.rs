//! Recovery: what failed for a webhook in a time range is sent again, as new deliveries of the same events.

use std::sync::Arc;

use postrider_domain::delivery::{DeliveryKind, Reason};
use postrider_domain::id::WebhookId;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;
use postrider_store::config::{ConfigWrite, JOB_DONE, JOB_FAILED, JobRow, RecoverRange};
use postrider_store::{Commit, JobMark, NewDelivery, StoreError};
use serde_json::json;

use super::audit::Act;
use super::change::After;
use super::jobs::{self, Job, JobKind, Params};
use super::{Actor, Control, Created, Repeatable, Role};
use crate::accept::Accept;
use crate::catalogue::Tenant;
use crate::error::EngineError;

impl Control {
    /// Asks for a recovery: operator, or admin of the tenant. `from` (included) and `until` (not included, at most now) are
    /// times of acceptance. What was sent again with success meanwhile, or is under way, is left out; so are test events and
    /// events whose payload is past its retention.
    pub async fn recover(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        webhook: WebhookId,
        from: Timestamp,
        until: Timestamp,
        again: Option<Repeatable<'_, Job>>,
    ) -> Result<Created<Job>, EngineError> {
        actor.require(&[Role::Operator, Role::Admin], Some(tenant.id))?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let tenant = self.tenant_now(tenant.id).await?;
        super::webhooks::check_plan(&tenant)?;
        if tenant.webhook(webhook).is_none() {
            return Err(Problem::not_found("webhook").into());
        }
        let now = self.now();
        let until = until.min(now);
        if from >= until {
            return Err(Problem::at(
                Code::InvalidField,
                "from",
                "The range is empty: `from` must lie before `until`, and in the past.",
            )
            .into());
        }
        let params = Params {
            tenant: tenant.public_id.to_string(),
            tenant_id: tenant.id,
            webhook: Some(webhook),
            from: Some(from),
            until: Some(until),
            retry: None,
        };
        let mut row = self.job_row(JobKind::Recover, Some(tenant.id), &params, now);
        let range = RecoverRange { tenant: tenant.id, webhook, from, until, began: now };
        row.total = Some(self.store().recoverable_count(range).await?);
        let job = jobs::shown(&row)?;
        let act = Act {
            action: "webhook.recovery_started",
            target: webhook.to_string(),
            before: None,
            after: Some(json!({ "job": row.id, "from": from, "until": until, "total": row.total })),
        };
        let write = ConfigWrite {
            at: now,
            jobs: vec![row],
            audit: vec![self.audit_row(actor, Some(&tenant), now, act)],
            idempotency: again.map(|again| again.row(&job)),
            ..ConfigWrite::default()
        };
        self.commit(turn, write, After::default()).await?;
        Ok(Created::Fresh(job))
    }

    /// Sends one batch again. Position and deliveries move in one transaction, so a restart repeats nothing.
    pub(super) async fn recover_batch(&self, row: &mut JobRow, params: &Params) -> Result<(), StoreError> {
        let (Some(webhook), Some(from), Some(until)) = (params.webhook, params.from, params.until) else {
            return Err(StoreError::Corrupt(format!("the job {} lacks its range", row.id)));
        };
        let registered =
            self.catalogue().tenant(params.tenant_id).is_some_and(|tenant| tenant.webhook(webhook).is_some());
        if !registered {
            return self.job_ended(row, JOB_FAILED, "The webhook was deleted.").await;
        }
        let range = RecoverRange { tenant: params.tenant_id, webhook, from, until, began: row.created };
        let after = jobs::delivery_position(row)?;
        let batch = self.store().recoverable(range, after, limits::RECOVER_BATCH_ROWS).await?;
        let Some((last, _)) = batch.last().copied() else {
            return self.job_ended(row, JOB_DONE, "").await;
        };
        let done = batch.len() as u64;
        let outbound = &self.0.outbound;
        let mut answer = outbound.accept.submit(|mint| {
            let mut replays = Vec::with_capacity(batch.len());
            for (_, event) in &batch {
                replays.push(NewDelivery {
                    id: mint.replay(),
                    event: *event,
                    webhook,
                    kind: DeliveryKind::Replay,
                    due: mint.now,
                    reason: Reason::Waiting,
                    claim: None,
                });
            }
            let job = Some(JobMark {
                job: row.id,
                after: row.position.clone(),
                position: last.as_bytes().to_vec(),
                done,
            });
            Commit { replays, job, ..Commit::new(params.tenant_id, mint.now) }
        })?;
        Accept::outcome(&mut answer).await?;
        outbound.lanes.scheduled(params.tenant_id, webhook.into(), self.now());
        outbound.stirrings.stirred(params.tenant_id);
        tracing::info!(job = %row.id, %webhook, deliveries = done, "recover.batch");
        Ok(())
    }
}
