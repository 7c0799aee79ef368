//! Jobs: what takes longer than a request. Worked off in batches, going on where it was after a restart.

use postrider_domain::id::{DeliveryId, JobId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use postrider_store::config::{JOB_DONE, JOB_FAILED, JOB_RUNNING, JobRow};
use serde::{Deserialize, Serialize};

use super::Control;
use super::keys::USE_STEP;
use super::retry_many::RetrySelection;
use crate::error::EngineError;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Send again what failed for a webhook in a time range.
    Recover,
    /// Remove everything of a tenant.
    TenantDelete,
    /// Send again what failed, by a selection over the tenant's webhooks.
    Retry,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Running,
    Done,
    Failed,
}

/// `GET /v1/jobs/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    /// The public id of the tenant it works on, kept although the tenant may be gone.
    pub tenant: String,
    pub kind: JobKind,
    pub state: JobState,
    pub webhook: Option<WebhookId>,
    /// Rows to work on as counted at the start; a deletion counts as it goes.
    pub total: u64,
    pub done: u64,
    pub created: Timestamp,
    pub ended: Option<Timestamp>,
    /// Why it failed.
    pub detail: Option<String>,
}

/// What a job was asked to do, as its row keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params {
    /// The tenant's public id.
    pub(super) tenant: String,
    pub(super) tenant_id: TenantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) webhook: Option<WebhookId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retry: Option<RetrySelection>,
}

/// Jobs that take turns, a batch each.
const TURNS_MAX: usize = 64;

impl Control {
    /// A job of a tenant; none: of the installation, which deletions of tenants are.
    pub async fn job_get(&self, tenant: Option<TenantId>, job: JobId) -> Result<Option<Job>, EngineError> {
        self.store().job_get(tenant, job).await?.as_ref().map(shown).transpose()
    }

    /// Works off jobs and writes the uses of keys, for as long as the process lives. Dropping it loses nothing but the last
    /// minute of key uses: a job goes on with its next batch after the restart.
    pub async fn run_jobs(self) {
        let mut uses_due: Option<Timestamp> = None;
        loop {
            // One node works on them for all.
            let stepped = if self.0.outbound.leads() { self.jobs_step().await } else { Ok(false) };
            match stepped {
                Ok(true) => {}
                Ok(false) => self.idle(uses_due).await,
                Err(error) => {
                    tracing::error!(%error, "jobs.wait");
                    self.0.outbound.clock.sleep(limits::STORE_RETRY).await;
                }
            }
            uses_due = match uses_due {
                None => self.has_key_uses().then(|| self.now().plus(USE_STEP)),
                Some(due) if self.now() < due => Some(due),
                Some(_) => {
                    if let Err(error) = self.key_uses_write().await {
                        tracing::warn!(%error, "key_uses.not_written");
                    }
                    None
                }
            };
        }
    }

    /// There may be a job, and it may be this node's to do.
    pub(crate) fn jobs_wait(&self) {
        self.0.work.notify_one();
    }

    /// Waits for a job, for the first key that is used, or until the uses of keys are to be written.
    async fn idle(&self, uses_due: Option<Timestamp>) {
        match uses_due {
            None => self.0.work.notified().await,
            Some(due) => tokio::select! {
                () = self.0.work.notified() => {}
                () = self.0.outbound.clock.sleep_until(due) => {}
            },
        }
    }

    /// One batch of each open job. False: there is none. For tests, and what [`Self::run_jobs`] repeats.
    pub async fn jobs_step(&self) -> Result<bool, EngineError> {
        let rows = self.store().jobs_running_any_tenant(TURNS_MAX).await?;
        let worked = !rows.is_empty();
        for mut row in rows {
            let params = params(&row)?;
            let batch = match kind(&row)? {
                JobKind::Recover => self.recover_batch(&mut row, &params).await,
                JobKind::TenantDelete => self.deletion_batch(&mut row, &params).await,
                JobKind::Retry => self.retry_batch(&mut row, &params).await,
            };
            match batch {
                Ok(()) => {}
                // Another try may succeed: the disk, the queue.
                Err(
                    error @ (StoreError::Overloaded
                    | StoreError::Unavailable(_)
                    | StoreError::Contended(_)
                    | StoreError::Closed
                    | StoreError::Moved(_)),
                ) => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::error!(%error, job = %row.id, "job.failed");
                    self.job_ended(&mut row, JOB_FAILED, "It met an error of ours; the log has it.").await?;
                }
            }
        }
        Ok(worked)
    }

    /// Writes a job's end.
    pub(super) async fn job_ended(
        &self,
        row: &mut JobRow,
        state: i64,
        detail: &str,
    ) -> Result<(), StoreError> {
        end(row, state, detail, self.now());
        self.store().job_progress(row).await?;
        tracing::info!(job = %row.id, done = row.done, state, "job.ended");
        Ok(())
    }

    /// A job that is about to be asked for.
    pub(super) fn job_row(
        &self,
        kind: JobKind,
        tenant: Option<TenantId>,
        params: &Params,
        now: Timestamp,
    ) -> JobRow {
        JobRow {
            tenant,
            id: JobId::new(now, self.random()),
            kind: kind_code(kind),
            state: JOB_RUNNING,
            params: serde_json::to_string(params).expect("because its fields are texts"),
            position: None,
            done: 0,
            total: None,
            detail: String::new(),
            created: now,
            updated: now,
            finished: None,
        }
    }
}

/// Marks a job as ended; the caller writes it.
pub(super) fn end(row: &mut JobRow, state: i64, detail: &str, now: Timestamp) {
    row.state = state;
    row.detail = detail.to_owned();
    row.updated = now;
    row.finished = Some(now);
}

pub(super) fn shown(row: &JobRow) -> Result<Job, EngineError> {
    let params = params(row)?;
    let state = match row.state {
        JOB_RUNNING => JobState::Running,
        JOB_DONE => JobState::Done,
        _ => JobState::Failed,
    };
    Ok(Job {
        id: row.id,
        tenant: params.tenant,
        kind: kind(row)?,
        state,
        webhook: params.webhook,
        total: row.total.unwrap_or(row.done),
        done: row.done,
        created: row.created,
        ended: row.finished,
        detail: (!row.detail.is_empty()).then(|| row.detail.clone()),
    })
}

fn params(row: &JobRow) -> Result<Params, StoreError> {
    serde_json::from_str(&row.params)
        .map_err(|error| StoreError::Corrupt(format!("the job {}: {error}", row.id)))
}

/// How far a job came that goes from delivery to delivery.
pub(super) fn delivery_position(row: &JobRow) -> Result<Option<DeliveryId>, StoreError> {
    let Some(bytes) = row.position.as_deref() else { return Ok(None) };
    let corrupt = |_| StoreError::Corrupt(format!("the position of the job {}", row.id));
    Ok(Some(DeliveryId::from_bytes(bytes.try_into().map_err(corrupt)?)))
}

/// The number in the store. Append only.
const fn kind_code(kind: JobKind) -> i64 {
    match kind {
        JobKind::Recover => 0,
        JobKind::TenantDelete => 1,
        JobKind::Retry => 2,
    }
}

fn kind(row: &JobRow) -> Result<JobKind, StoreError> {
    match row.kind {
        0 => Ok(JobKind::Recover),
        1 => Ok(JobKind::TenantDelete),
        2 => Ok(JobKind::Retry),
        other => Err(StoreError::Corrupt(format!("the kind of the job {} is {other}", row.id))),
    }
}
