//! What people do with runs: start one by hand, end one, do one once more.

use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::id::{RunId, TenantId, WorkflowId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::run::{RunState, StepStatus, TriggerKind};
use postrider_store::runs::{IntakeOutcome, RunFilter, RunRow, StepRow};
use postrider_store::{NewIdempotency, StoreError};
use serde_json::Value;

use super::start::{Asked, Origin, Start, Started};
use super::{Runner, Told};
use crate::Answered;
use crate::catalogue::Tenant;
use crate::error::EngineError;
use crate::inbound::registered::RegisteredWorkflow;
use crate::inbound::trigger::Trigger;

/// Runs that are cancelled in one go, of a workflow that was deleted.
const CANCEL_PAGE: usize = 100;

/// A run that was started by hand, and its state as it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    pub run: RunId,
    pub state: RunState,
}

/// Makes what is kept for a repetition of a start, from its run and the state in which it begins.
pub type Keep = Box<dyn FnOnce(RunId, RunState) -> NewIdempotency + Send>;

impl Runner {
    /// Starts a run by hand, in the name of a trigger or of none.
    pub async fn start_by_hand(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        workflow: &Arc<RegisteredWorkflow>,
        trigger: Option<&Arc<Trigger>>,
        input: Option<Value>,
        idempotency: Option<Keep>,
    ) -> Result<Answered<Begun>, EngineError> {
        if trigger.is_some_and(|trigger| !trigger.enabled || trigger.kind != TriggerKind::Manual) {
            return Err(EngineError::refused(
                Code::Conflict,
                "Only a trigger of type `manual` that is on starts runs by hand.",
            ));
        }
        let preset = trigger.and_then(|trigger| trigger.settings.input.clone());
        let input = input.or(preset).unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let bytes = Bytes::from(input.to_string());
        if bytes.len() > limits::BODY_BYTES_MAX {
            return Err(EngineError::refused(Code::BodyTooLarge, "The input has more than 1 MiB as JSON."));
        }
        let origin = Origin { trigger: trigger.cloned(), ..Origin::default() };
        let start = Start::new(tenant, workflow, Arc::new(input), bytes, origin);
        self.begun(start, idempotency).await
    }

    /// Does a run once more, with the same input and today's definition: whole, or from a step on, with the results of what
    /// came before it.
    pub async fn replay(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        run: RunId,
        from: Option<&str>,
        idempotency: Option<Keep>,
    ) -> Result<Answered<Begun>, EngineError> {
        let store = &self.outbound.store;
        let row = store.run_get(tenant.id, run).await?.ok_or_else(|| Problem::not_found("run"))?;
        if !row.state.is_final() {
            return Err(EngineError::refused(
                Code::Conflict,
                format!(
                    "The run is {}; it can be replayed once it has ended, or cancelled.",
                    row.state.as_str()
                ),
            ));
        }
        let workflow = tenant.inbound.workflow_by_id(row.workflow).cloned().ok_or_else(|| {
            Problem::new(Code::Conflict, "The run's workflow was deleted. Save it again to start runs.")
        })?;
        let bytes = store.run_input(tenant.id, run).await?.ok_or(StoreError::NotFound)?;
        let input = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::Corrupt(format!("the input of {run}: {error}")))?;
        let steps = match from {
            None => Vec::new(),
            Some(from) => before(store.run_steps(tenant.id, run).await?, from)?,
        };
        let origin = Origin {
            kind: TriggerKind::Replay,
            replay_of: Some(run),
            depth: row.depth,
            steps,
            ..Origin::default()
        };
        let start = Start::new(tenant, &workflow, Arc::new(input), bytes, origin);
        self.begun(start, idempotency).await
    }

    async fn begun(
        self: &Arc<Self>,
        start: Start,
        idempotency: Option<Keep>,
    ) -> Result<Answered<Begun>, EngineError> {
        let works = start.works();
        let unworked = start.ended_state();
        let asked = Asked { idempotency, ..Asked::default() };
        match self.start_asked(start, asked).await? {
            Started::Done(IntakeOutcome::Started { run, claimed }, _) => {
                let state = if works { self.state_at_start(run, claimed) } else { unworked };
                Ok(Answered::Fresh(Begun { run, state }))
            }
            Started::Done(IntakeOutcome::Skipped(run), _) => {
                Ok(Answered::Fresh(Begun { run, state: RunState::Cancelled }))
            }
            Started::Done(..) => Err(StoreError::Internal("a run was not made".into()).into()),
            Started::Replayed(answer) => Ok(Answered::Replayed(answer)),
            Started::KeyReused => Err(crate::key_reused().into()),
        }
    }

    /// Ends a run where it stands. One that has ended stays as it is.
    pub async fn cancel(self: &Arc<Self>, tenant: &Tenant, run: RunId) -> Result<RunRow, EngineError> {
        let store = &self.outbound.store;
        let row = store.run_get(tenant.id, run).await?.ok_or_else(|| Problem::not_found("run"))?;
        if row.state == RunState::Cancelled {
            return Ok(row);
        }
        let ended = |state: RunState| {
            EngineError::refused(
                Code::Conflict,
                format!("The run has {}: what has ended does not change.", state.as_str()),
            )
        };
        if row.state.is_final() {
            return Err(ended(row.state));
        }
        if !self.end(&row, "It was cancelled.").await? {
            let now = store.run_get(tenant.id, run).await?;
            return Err(ended(now.map_or(row.state, |now| now.state)));
        }
        tracing::info!(tenant = %tenant.public_id, %run, "run.cancelled");
        Ok(store.run_get(tenant.id, run).await?.unwrap_or(row))
    }

    /// Cancels a run. False: it has ended by itself.
    async fn end(&self, row: &RunRow, why: &str) -> Result<bool, StoreError> {
        match self.write(super::run::cancelling(row, why)).await {
            Ok(()) => {}
            Err(StoreError::Moved(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.was_cancelled(row).await;
        Ok(true)
    }

    /// Who waits for a run that was cancelled is told, and what waits for its place goes on.
    pub(super) async fn was_cancelled(&self, row: &RunRow) {
        self.outbound.metrics.run_ended(RunState::Cancelled);
        self.tell(row.id, &Told::Ended(RunState::Cancelled));
        self.after_end(row.tenant, row.workflow, row.slot.is_some(), row.parent).await;
    }

    /// Ends all runs of a workflow that was deleted.
    pub async fn cancel_all(
        self: &Arc<Self>,
        tenant: TenantId,
        workflow: WorkflowId,
    ) -> Result<(), StoreError> {
        // One that begins to run or to wait meanwhile is found by the next round.
        loop {
            let mut found = 0;
            for state in [RunState::Queued, RunState::Waiting, RunState::Running] {
                let filter =
                    RunFilter { workflow: Some(workflow), state: Some(state), ..RunFilter::default() };
                loop {
                    let rows = self.outbound.store.runs(tenant, filter, CANCEL_PAGE).await?;
                    found += rows.len();
                    for row in &rows {
                        self.end(row, "Its workflow was deleted.").await?;
                    }
                    // All that are queued first: else the end of one that runs begins the next.
                    if rows.len() < CANCEL_PAGE {
                        break;
                    }
                }
            }
            if found == 0 {
                return Ok(());
            }
        }
    }
}

/// The results of what ended before a step began.
fn before(steps: Vec<StepRow>, from: &str) -> Result<Vec<StepRow>, Problem> {
    let Some(at) = steps.iter().find(|step| step.path == from).map(|step| step.seq) else {
        let known: Vec<&str> = steps.iter().map(|step| step.path.as_str()).take(20).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let detail = format!("The run has no step `{from}`. Its steps are: {known}.");
        return Err(Problem::at(Code::InvalidField, "from", detail));
    };
    let inside = format!("{from}/");
    let kept = |step: &StepRow| {
        step.seq < at && step.status != StepStatus::Pending && !step.path.starts_with(&inside)
    };
    Ok(steps.into_iter().filter(kept).collect())
}
