//! Retry of many: failed deliveries that a selection names are sent again, as new deliveries of the same events, by a job.
//!
//! Over all webhooks of a tenant, where a recovery is of one. What was sent again with success meanwhile or is under way, tests,
//! webhooks that were deleted, and events whose payload is past its retention are left out. Lanes bound what a failing webhook gets.

use std::collections::BTreeSet;
use std::sync::Arc;

use postrider_domain::delivery::{DeliveryKind, Reason};
use postrider_domain::id::{DeliveryId, EventId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;
use postrider_store::config::{ConfigWrite, Count, JOB_DONE, JobRow, Retriable, RetryFilter, RetryPart};
use postrider_store::{Commit, JobMark, NewDelivery, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::Act;
use super::change::After;
use super::jobs::{self, Job, JobKind, Params};
use super::{Actor, Control, Created, Repeatable, Role};
use crate::accept::Accept;
use crate::catalogue::Tenant;
use crate::error::EngineError;

/// Which deliveries to send again; all fields are joined by and, and one at least is there. Without `ids`: those that failed, and of an event's failed
/// deliveries to one webhook the last. With `ids`: of those, the ones that failed or were cancelled, once for each event and webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetrySelection {
    pub webhook: Option<WebhookId>,
    /// In full.
    pub event_type: Option<String>,
    /// The HTTP status of the newest answer.
    pub status: Option<u16>,
    /// Made at or after.
    pub from: Option<Timestamp>,
    /// Made before; at most now.
    pub until: Option<Timestamp>,
    /// At most [`limits::RETRY_IDS_MAX`]. One that is no delivery of the tenant refuses the whole request.
    pub ids: Option<Vec<DeliveryId>>,
}

impl Control {
    /// How many a selection would send again now: for a preview.
    pub async fn retry_count(
        &self,
        tenant: &Tenant,
        selection: &RetrySelection,
    ) -> Result<Count, EngineError> {
        let now = self.now();
        let selection = self.retry_check(tenant, selection.clone(), now).await?;
        self.retry_count_checked(tenant, &selection, now).await
    }

    /// Asks for a retry of many: operator, or admin of the tenant.
    pub async fn retry_many(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        selection: RetrySelection,
        again: Option<Repeatable<'_, Job>>,
    ) -> Result<Created<Job>, EngineError> {
        actor.require(&[Role::Operator, Role::Admin], Some(tenant.id))?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let tenant = self.tenant_now(tenant.id).await?;
        super::webhooks::check_plan(&tenant)?;
        let now = self.now();
        let selection = self.retry_check(&tenant, selection, now).await?;
        let count = self.retry_count_checked(&tenant, &selection, now).await?;
        let target = match selection.webhook {
            Some(webhook) => webhook.to_string(),
            None => tenant.public_id.to_string(),
        };
        let params = Params {
            tenant: tenant.public_id.to_string(),
            tenant_id: tenant.id,
            webhook: selection.webhook,
            from: selection.from,
            until: selection.until,
            retry: Some(selection),
        };
        let mut row = self.job_row(JobKind::Retry, Some(tenant.id), &params, now);
        row.total = Some(count.count);
        let job = jobs::shown(&row)?;
        let selection = params.retry.as_ref();
        let act = Act {
            action: "deliveries.retry_started",
            target,
            before: None,
            after: Some(json!({
                "job": row.id,
                "type": selection.and_then(|selection| selection.event_type.as_deref()),
                "status": selection.and_then(|selection| selection.status),
                "from": params.from,
                "until": params.until,
                "ids": selection.and_then(|selection| selection.ids.as_ref()).map(Vec::len),
                "total": row.total,
            })),
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

    /// Refuses what cannot be meant, and fixes what depends on now.
    async fn retry_check(
        &self,
        tenant: &Tenant,
        mut selection: RetrySelection,
        now: Timestamp,
    ) -> Result<RetrySelection, EngineError> {
        if selection == RetrySelection::default() {
            let detail = "Say what to send again: `webhookId`, `type`, `status`, `from`, `until` or `ids`.";
            return Err(Problem::new(Code::MissingField, detail).into());
        }
        if selection.webhook.is_some_and(|webhook| tenant.webhook(webhook).is_none()) {
            return Err(Problem::not_found("webhook").into());
        }
        if selection.status.is_some_and(|status| !(100..600).contains(&status)) {
            let detail = "`status` is an HTTP status: a number from 100 to 599.";
            return Err(Problem::at(Code::InvalidField, "status", detail).into());
        }
        if selection.until.is_some() || selection.ids.is_none() {
            selection.until = Some(selection.until.map_or(now, |until| until.min(now)));
        }
        if let (Some(from), Some(until)) = (selection.from, selection.until)
            && from >= until
        {
            let detail = "The range is empty: `from` must lie before `until`, and in the past.";
            return Err(Problem::at(Code::InvalidField, "from", detail).into());
        }
        let Some(ids) = &mut selection.ids else { return Ok(selection) };
        if ids.is_empty() || ids.len() > limits::RETRY_IDS_MAX {
            let detail = format!(
                "`ids` names 1 to {} deliveries. Send more in several requests.",
                limits::RETRY_IDS_MAX
            );
            let code = if ids.is_empty() { Code::InvalidField } else { Code::TooManyItems };
            return Err(Problem::at(code, "ids", detail).into());
        }
        ids.sort_unstable();
        ids.dedup();
        let known = self.store().deliveries_known(tenant.id, ids).await?;
        if known.len() < ids.len() {
            return Err(Problem::not_found("delivery").into());
        }
        ids.retain(|id| {
            selection.from.is_none_or(|from| *id >= DeliveryId::lowest_at(from))
                && selection.until.is_none_or(|until| *id < DeliveryId::lowest_at(until))
        });
        Ok(selection)
    }

    async fn retry_count_checked(
        &self,
        tenant: &Tenant,
        selection: &RetrySelection,
        now: Timestamp,
    ) -> Result<Count, EngineError> {
        let filter = filter(tenant.id, selection, now);
        Ok(match &selection.ids {
            None => self.store().retriable_count(&filter).await?,
            Some(ids) => {
                let found = once_each(self.store().retriable_of(&filter, ids).await?);
                Count { count: found.len() as u64, at_least: false }
            }
        })
    }

    /// Sends one batch again. Position and deliveries move in one transaction, so a restart repeats nothing.
    pub(super) async fn retry_batch(&self, row: &mut JobRow, params: &Params) -> Result<(), StoreError> {
        let Some(selection) = &params.retry else {
            return Err(StoreError::Corrupt(format!("the job {} lacks its selection", row.id)));
        };
        let after = jobs::delivery_position(row)?;
        let filter = filter(params.tenant_id, selection, row.created);
        let part = match &selection.ids {
            None => self.store().retriable(&filter, after).await?,
            Some(ids) => {
                let next: Vec<DeliveryId> = ids
                    .iter()
                    .copied()
                    .filter(|id| after.is_none_or(|after| *id > after))
                    .take(limits::RETRY_BATCH_ROWS)
                    .collect();
                let found = self.store().retriable_of(&filter, &next).await?;
                RetryPart { found, looked_until: next.last().copied() }
            }
        };
        let found = once_each(part.found);
        let position = part.looked_until.or(found.last().map(|last| last.delivery));
        let Some(position) = position else {
            return self.job_ended(row, JOB_DONE, "").await;
        };
        let done = found.len() as u64;
        let outbound = &self.0.outbound;
        let mut answer = outbound.accept.submit(|mint| {
            let mut replays = Vec::with_capacity(found.len());
            for Retriable { event, webhook, .. } in &found {
                replays.push(NewDelivery {
                    id: mint.replay(),
                    event: *event,
                    webhook: *webhook,
                    kind: DeliveryKind::Replay,
                    due: mint.now,
                    reason: Reason::Waiting,
                    claim: None,
                });
            }
            let job = Some(JobMark {
                job: row.id,
                after: row.position.clone(),
                position: position.as_bytes().to_vec(),
                done,
            });
            Commit { replays, job, ..Commit::new(params.tenant_id, mint.now) }
        })?;
        Accept::outcome(&mut answer).await?;
        let webhooks: BTreeSet<WebhookId> = found.iter().map(|found| found.webhook).collect();
        for webhook in webhooks {
            outbound.lanes.scheduled(params.tenant_id, webhook.into(), self.now());
        }
        outbound.stirrings.stirred(params.tenant_id);
        tracing::info!(job = %row.id, deliveries = done, "retry.batch");
        Ok(())
    }
}

fn filter(tenant: TenantId, selection: &RetrySelection, began: Timestamp) -> RetryFilter<'_> {
    RetryFilter {
        tenant,
        webhook: selection.webhook,
        event_type: selection.event_type.as_deref(),
        status: selection.status,
        from: selection.from.unwrap_or_default(),
        until: selection.until.unwrap_or(began),
        began,
    }
}

/// The last of each event and webhook, in the order in which they came.
fn once_each(mut found: Vec<Retriable>) -> Vec<Retriable> {
    let mut seen: BTreeSet<(EventId, WebhookId)> = BTreeSet::new();
    found.reverse();
    found.retain(|one| seen.insert((one.event, one.webhook)));
    found.reverse();
    found
}
