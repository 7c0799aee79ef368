//! `/v1/runs`: what workflows did.

pub(crate) mod cancel;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod replay;

use http::StatusCode;
use postrider_domain::id::RunId;
use postrider_engine::Answered;
use postrider_engine::control::Idem;
use postrider_engine::workflow::act::{Begun, Keep};
use postrider_store::NewIdempotency;
use postrider_store::runs::RunRow;
use serde::Serialize;
use serde_json::json;

use crate::endpoint::{Answer, Call, answer, answer_replayed};
use crate::problem::Refusal;
use crate::shape::{Field, Kind, Shape};

static STATES: &[&str] = &["queued", "running", "waiting", "succeeded", "failed", "cancelled"];
static KINDS: &[&str] = &["webhook", "cron", "event", "manual", "call", "replay"];

pub(crate) static LISTED: Shape = Shape {
    name: "Run",
    fields: &[
        Field::new("id", Kind::Text, "`run_…`").required(),
        Field::new("workflow", Kind::Text, "The workflow's name.").required(),
        Field::new("workflowVersion", Kind::Count, "Of the definition that it began with.").required(),
        Field::new("triggerId", Kind::Text, "What started it.").required().nullable(),
        Field::new("triggerType", Kind::Word(KINDS), "What kind of thing started it.").required(),
        Field::new("status", Kind::Word(STATES), "Where it stands. The last three never change.").required(),
        Field::new("createdAt", Kind::Time, "When it was accepted.").required(),
        Field::new("startedAt", Kind::Time, "When it was first worked on.").required().nullable(),
        Field::new("finishedAt", Kind::Time, "When it ended.").required().nullable(),
        Field::new("error", Kind::Text, "Why it failed or was cancelled.").required().nullable(),
        Field::new("requestId", Kind::Text, "The request that started it.").required().nullable(),
        Field::new("eventId", Kind::Text, "The event that started it.").required().nullable(),
        Field::new("replayOf", Kind::Text, "The run that it does once more.").required().nullable(),
        Field::new("parentRunId", Kind::Text, "The run whose step waits for it.").required().nullable(),
    ],
};

pub(crate) static STARTED: Shape = Shape {
    name: "StartedRun",
    fields: &[
        Field::new("runId", Kind::Text, "`run_…`").required(),
        Field::new("status", Kind::Word(STATES), "Where it stands now.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    id: RunId,
    workflow: String,
    workflow_version: i64,
    trigger_id: Option<String>,
    trigger_type: &'static str,
    status: &'static str,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    error: Option<String>,
    request_id: Option<String>,
    event_id: Option<String>,
    replay_of: Option<String>,
    parent_run_id: Option<String>,
}

impl View {
    pub(crate) fn of(row: &RunRow, workflow: &str) -> Self {
        Self {
            id: row.id,
            workflow: workflow.to_owned(),
            workflow_version: row.version,
            trigger_id: row.trigger.map(|id| id.to_string()),
            trigger_type: row.kind.as_str(),
            status: row.state.as_str(),
            created_at: row.created.to_string(),
            started_at: row.started.map(|at| at.to_string()),
            finished_at: row.finished.map(|at| at.to_string()),
            error: row.error.clone(),
            request_id: row.request.map(|id| id.to_string()),
            event_id: row.event.map(|id| id.to_string()),
            replay_of: row.replay_of.map(|id| id.to_string()),
            parent_run_id: row.parent.map(|id| id.to_string()),
        }
    }
}

/// The name of a run's workflow, also of a deleted one.
pub(crate) async fn workflow_name(call: &Call, row: &RunRow) -> Result<String, Refusal> {
    if let Some(workflow) = call.tenant().inbound.workflow_by_id(row.workflow) {
        return Ok(workflow.name.clone());
    }
    let name = call.app.engine.store().workflow_name(call.tenant().id, row.workflow).await?;
    Ok(name.unwrap_or_default())
}

/// How a start is kept for a repetition: by its run's id.
pub(crate) fn keep(idem: &Option<Idem>) -> Option<Keep> {
    let idem = idem.clone()?;
    Some(Box::new(move |run, state| {
        let answer = json!({ "runId": run.to_string(), "status": state.as_str() }).to_string().into_bytes();
        NewIdempotency {
            scope: idem.scope,
            key: idem.key,
            fingerprint: idem.fingerprint,
            answer: Box::new(move |_| answer.clone()),
        }
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartedView {
    run_id: RunId,
    status: &'static str,
}

pub(crate) fn answer_begun(begun: Answered<Begun>) -> Answer {
    match begun {
        Answered::Fresh(begun) => {
            let view = StartedView { run_id: begun.run, status: begun.state.as_str() };
            answer(StatusCode::ACCEPTED, &view)
        }
        Answered::Replayed(stored) => answer_replayed(StatusCode::ACCEPTED, stored),
    }
}
