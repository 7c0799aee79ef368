//! A run to be: what starts it, its place among the others of its workflow, and its first commit.

use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::id::{EventId, RunId, TenantId, WorkflowId};
use postrider_domain::limits;
use postrider_domain::run::{RunState, TriggerKind};
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::OnConflict;
use postrider_store::runs::{
    Conflict, Dedup, Intake, IntakeOutcome, NewRequest, NewRun, RunFilter, Slot, StepRow,
};
use postrider_store::{Commit, CommitOutcome, Lease, StoreError};
use serde_json::Value;

use super::hand::Hand;
use super::{Runner, Watch};
use crate::accept::Accept;
use crate::catalogue::Tenant;
use crate::inbound::registered::RegisteredWorkflow;
use crate::inbound::trigger::{Overlap, Trigger};
use crate::outbound::lanes::{self, Ahead};

/// Runs that one can take the place of and whose watchers hear of it at once: more than are active under one key.
const REPLACED_MAX: usize = 100;

/// What started a run.
#[derive(Clone)]
pub struct Origin {
    pub kind: TriggerKind,
    pub trigger: Option<Arc<Trigger>>,
    pub event: Option<EventId>,
    pub replay_of: Option<RunId>,
    /// The run whose step called it.
    pub parent: Option<RunId>,
    pub depth: u8,
    /// What a replay takes over.
    pub steps: Vec<StepRow>,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            kind: TriggerKind::Manual,
            trigger: None,
            event: None,
            replay_of: None,
            parent: None,
            depth: 0,
            steps: Vec::new(),
        }
    }
}

/// A run to be.
pub struct Start {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) workflow: Arc<RegisteredWorkflow>,
    pub(crate) input: Arc<Value>,
    pub(crate) bytes: Bytes,
    pub(crate) origin: Origin,
    slot: Option<Slot>,
    /// Why it fails before it begins.
    error: Option<String>,
}

/// What was made of a start.
pub enum Started {
    Done(IntakeOutcome, Option<Watch>),
    /// The idempotency key was used before: this was the answer.
    Replayed(Vec<u8>),
    KeyReused,
}

impl Start {
    /// `bytes`: the input as it is stored.
    pub(crate) fn new(
        tenant: &Arc<Tenant>,
        workflow: &Arc<RegisteredWorkflow>,
        input: Arc<Value>,
        bytes: Bytes,
        origin: Origin,
    ) -> Self {
        let (slot, error) = match prepared(workflow, &input, &origin) {
            Ok(slot) => (slot, None),
            Err(why) => (None, Some(why)),
        };
        Self { tenant: tenant.clone(), workflow: workflow.clone(), input, bytes, origin, slot, error }
    }

    /// What becomes of it while a run of the same trigger is active; where the workflow itself bounds its runs, that holds.
    pub(crate) fn overlapping(mut self, overlap: Overlap) -> Self {
        let Some(trigger) = self.origin.trigger.as_ref().filter(|_| self.slot.is_none()) else { return self };
        let conflict = match overlap {
            Overlap::Skip => Conflict::Skip,
            Overlap::Queue => Conflict::Queue,
        };
        self.slot = Some(Slot { key: format!("trigger:{}", trigger.id), max: 1, conflict });
        self
    }

    /// Whether it would have to wait for a run that holds the only place in its slot.
    pub(crate) fn waits_behind(&self, workflow: WorkflowId, key: Option<&str>) -> bool {
        self.workflow.id == workflow
            && self.slot.as_ref().is_some_and(|slot| slot.max == 1 && Some(slot.key.as_str()) == key)
    }

    pub(crate) fn slot_key(&self) -> Option<String> {
        self.slot.as_ref().map(|slot| slot.key.clone())
    }

    /// The state that it has when nobody works on it.
    pub(crate) fn ended_state(&self) -> RunState {
        if self.error.is_some() { RunState::Failed } else { RunState::Succeeded }
    }

    /// Whether there is anything to work on.
    pub(crate) fn works(&self) -> bool {
        self.error.is_none() && !self.workflow.compiled.is_empty()
    }

    pub(crate) fn run(&self, id: RunId, claim: Option<Lease>) -> NewRun {
        NewRun {
            id,
            workflow: self.workflow.id,
            version: self.workflow.version,
            trigger: self.origin.trigger.as_ref().map(|trigger| trigger.id),
            kind: self.origin.kind,
            event: self.origin.event,
            replay_of: self.origin.replay_of,
            parent: self.origin.parent,
            input: self.bytes.clone(),
            depth: self.origin.depth,
            slot: self.slot.clone(),
            claim,
            ended: self.workflow.compiled.is_empty(),
            error: self.error.clone(),
            steps: self.origin.steps.clone(),
        }
    }

    pub(crate) fn intake(&self, run: NewRun) -> Intake {
        Intake {
            tenant: self.tenant.id,
            with_event: None,
            request: None,
            run: Some(run),
            dedup: None,
            tick: None,
        }
    }
}

/// The slot that the run wants, if its workflow bounds how many are active; the error fails it.
fn prepared(workflow: &RegisteredWorkflow, input: &Value, origin: &Origin) -> Result<Option<Slot>, String> {
    if origin.depth > limits::EVENT_DEPTH_MAX {
        return Err(format!(
            "This run follows from {} events and runs in a row; the bound is {}. Look for a workflow that reacts to its own \
             events, or calls itself.",
            origin.depth,
            limits::EVENT_DEPTH_MAX
        ));
    }
    workflow.compiled.check_input(input)?;
    let concurrency = workflow.compiled.concurrency(input)?;
    Ok(concurrency.map(|concurrency| Slot {
        key: concurrency.key,
        max: concurrency.max,
        conflict: match concurrency.on_conflict {
            OnConflict::Queue => Conflict::Queue,
            OnConflict::Skip => Conflict::Skip,
            OnConflict::CancelPrevious => Conflict::CancelPrevious,
        },
    }))
}

impl Runner {
    /// Commits a start and begins with the run, if a slot is free. `watches`: who asks wants to hear of its answer.
    pub(crate) async fn start(
        self: &Arc<Self>,
        start: Start,
        request: Option<NewRequest>,
        dedup: Option<Dedup>,
        watches: bool,
    ) -> Result<(IntakeOutcome, Option<Watch>), StoreError> {
        let asked = Asked { request, dedup, watches, ..Asked::default() };
        match self.start_asked(start, asked).await? {
            Started::Done(outcome, watch) => Ok((outcome, watch)),
            Started::Replayed(_) | Started::KeyReused => {
                Err(StoreError::Internal("nobody gave an idempotency key".into()))
            }
        }
    }

    /// In a task of its own: what became durable is worked on also when the caller hangs up.
    pub(crate) async fn start_asked(
        self: &Arc<Self>,
        start: Start,
        asked: Asked,
    ) -> Result<Started, StoreError> {
        let runner = self.clone();
        let apart = tokio::spawn(async move { runner.start_now(start, asked).await });
        apart
            .await
            .unwrap_or_else(|error| Err(StoreError::Internal(format!("starting a run panicked: {error}"))))
    }

    async fn start_now(self: &Arc<Self>, start: Start, asked: Asked) -> Result<Started, StoreError> {
        let outbound = &self.outbound;
        let (tenant, workflow) = (start.tenant.id, start.workflow.id);
        let may_claim = start.works() && outbound.store.node_is_alive();
        // Without room for its input it waits in the store.
        let room = if may_claim { self.inputs.try_room(&start.bytes) } else { None };
        let slot = room.as_ref().and_then(|_| outbound.lanes.reserve(tenant, workflow.into(), Ahead::Yes));
        let Asked { request, dedup, tick, idempotency, watches } = asked;
        let replaces = start.slot.as_ref().is_some_and(|slot| slot.conflict == Conflict::CancelPrevious);
        let mut made: Option<(RunId, Timestamp)> = None;
        let mut answer = outbound.accept.submit(|mint| {
            let id = mint.run();
            made = Some((id, mint.now));
            let claim = slot.as_ref().map(|_| Lease::first(mint.now.plus(super::run::LEASE)));
            let mut intake = start.intake(start.run(id, claim));
            (intake.request, intake.dedup, intake.tick) = (request, dedup, tick);
            let begins = match (&slot, start.works()) {
                (_, false) => start.ended_state(),
                (Some(_), true) => RunState::Running,
                (None, true) => RunState::Queued,
            };
            let idempotency = idempotency.map(|make| make(id, begins));
            Commit { intakes: vec![intake], idempotency, ..Commit::new(tenant, mint.now) }
        })?;
        let Some((id, now)) = made else { return Err(StoreError::Closed) };
        let _held = self.hold(id);
        let watch = watches.then(|| self.watch(id));
        let outcome = match Accept::outcome(&mut answer).await? {
            CommitOutcome::Done { intakes, .. } => intakes.into_iter().next().ok_or(StoreError::Closed)?,
            CommitOutcome::Replayed(answer) => return Ok(Started::Replayed(answer)),
            CommitOutcome::KeyReused => return Ok(Started::KeyReused),
        };
        if replaces && matches!(outcome, IntakeOutcome::Started { .. }) {
            self.replaced(tenant, workflow, now).await;
        }
        match (outcome, slot) {
            (IntakeOutcome::Started { claimed: true, .. }, Some(slot)) => {
                match Hand::fresh(start, id, now, slot, room) {
                    Ok(hand) => self.begin(hand),
                    Err(why) => self.fail_claimed(tenant, id, &why).await?,
                }
            }
            (IntakeOutcome::Started { .. }, slot) if start.works() => {
                drop(slot);
                outbound.lanes.scheduled(tenant, workflow.into(), now);
            }
            (IntakeOutcome::Started { run, .. }, _) => {
                self.ended_at_once(run, super::run::state_of_unworked(&start));
            }
            (IntakeOutcome::Skipped(run), _) => self.ended_at_once(run, RunState::Cancelled),
            _ => {}
        }
        // What came before, or was decided elsewhere, was counted then.
        if matches!(outcome, IntakeOutcome::Started { .. } | IntakeOutcome::Skipped(_)) {
            outbound.metrics.run_started();
        }
        Ok(Started::Done(outcome, watch))
    }

    /// A run that nobody works on has ended with the commit that made it.
    fn ended_at_once(&self, run: RunId, state: RunState) {
        self.outbound.metrics.run_ended(state);
        self.tell(run, &super::Told::Ended(state));
    }

    /// Who waits for the runs whose place another took in a commit of this moment is told.
    async fn replaced(&self, tenant: TenantId, workflow: WorkflowId, at: Timestamp) {
        let cancelled = Some(RunState::Cancelled);
        let filter = RunFilter { workflow: Some(workflow), state: cancelled, ..RunFilter::default() };
        match self.outbound.store.runs(tenant, filter, REPLACED_MAX).await {
            Ok(rows) => {
                for row in rows.iter().filter(|row| row.finished == Some(at)) {
                    self.was_cancelled(row).await;
                }
            }
            // The regular look finds what goes on now.
            Err(error) => tracing::warn!(%error, %workflow, "run.replaced_not_told"),
        }
    }

    /// Works on a run in a task of its own.
    pub(crate) fn begin(self: &Arc<Self>, hand: Hand) {
        let runner = self.clone();
        let held = self.hold(hand.run);
        tokio::spawn(async move {
            runner.drive(hand).await;
            drop(held);
        });
    }

    /// Runs that were made in another commit, queued and unclaimed.
    pub(crate) fn queued(&self, tenant: TenantId, workflow: WorkflowId) {
        self.outbound.lanes.scheduled(tenant, lanes::LaneKey::Workflow(workflow), self.outbound.clock.now());
    }
}

/// What comes with a start.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) request: Option<NewRequest>,
    pub(crate) dedup: Option<Dedup>,
    pub(crate) tick: Option<(postrider_domain::id::TriggerId, Timestamp)>,
    pub(crate) idempotency: Option<super::act::Keep>,
    pub(crate) watches: bool,
}
