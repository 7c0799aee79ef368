//! `/v1/jobs`: work on many rows, with its progress.

pub(crate) mod get;

use postrider_domain::id::{JobId, WebhookId};
use postrider_domain::time::Timestamp;
use postrider_engine::control::{Job, JobKind, JobState};
use serde::Serialize;

use crate::shape::{Field, Kind, Shape};

pub(crate) static JOB: Shape = Shape {
    name: "Job",
    fields: &[
        Field::new("id", Kind::Text, "`job_…`").required(),
        Field::new("tenant", Kind::Text, "The tenant that it works on.").required(),
        Field::new("kind", Kind::Word(&["recover", "tenant_delete", "retry"]), "What it does.").required(),
        Field::new("state", Kind::Word(&["running", "done", "failed"]), "Where it stands.").required(),
        Field::new("webhookId", Kind::Text, "The webhook that it works on.").required().nullable(),
        Field::new("total", Kind::Count, "Rows to work on, as counted at its start.").required(),
        Field::new("done", Kind::Count, "Rows worked on.").required(),
        Field::new("createdAt", Kind::Time, "When it was asked for.").required(),
        Field::new("endedAt", Kind::Time, "When it ended.").required().nullable(),
        Field::new("detail", Kind::Text, "Why it failed.").required().nullable(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    id: JobId,
    tenant: &'a str,
    kind: &'static str,
    state: &'static str,
    webhook_id: Option<WebhookId>,
    total: u64,
    done: u64,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
    detail: Option<&'a str>,
}

impl<'a> View<'a> {
    pub(crate) fn of(job: &'a Job) -> Self {
        Self {
            id: job.id,
            tenant: &job.tenant,
            kind: match job.kind {
                JobKind::Recover => "recover",
                JobKind::TenantDelete => "tenant_delete",
                JobKind::Retry => "retry",
            },
            state: match job.state {
                JobState::Running => "running",
                JobState::Done => "done",
                JobState::Failed => "failed",
            },
            webhook_id: job.webhook,
            total: job.total,
            done: job.done,
            created_at: job.created,
            ended_at: job.ended,
            detail: job.detail.as_deref(),
        }
    }
}
