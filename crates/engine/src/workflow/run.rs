//! Step after step, each with its commit.
//!
//! A step with an effect begins when everything before it is on disk, and its result goes to disk with what it made. Steps
//! without effects (`transform`, `condition`, the turns of a `forEach`) are computed on the way and go to disk with the next
//! commit: were they lost, they would come out again, and nobody has seen them.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::limits;
use postrider_domain::run::RunState;
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::{Action, Next, Task};
use postrider_store::runs::{Hold, Intake, IntakeOutcome, RunTo, RunWrite};
use postrider_store::{Commit, CommitOutcome, StoreError};

use super::hand::{self, Hand};
use super::start::Start;
use super::{Runner, Told, steps};
use crate::accept::Accept;
use crate::outbound::lanes::Went;

/// How long a claim holds while no request is under way: a step's commit, and what is computed before it.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// What comes after a step.
pub(super) enum Flow {
    GoesOn,
    /// It waits, has ended, or is in other hands.
    Stops,
}

/// The state of a run that nobody works on.
pub(super) fn state_of_unworked(start: &Start) -> RunState {
    if start.works() { RunState::Queued } else { start.ended_state() }
}

impl Runner {
    /// Works on a run until it waits or ends.
    pub(super) async fn drive(self: &Arc<Self>, mut hand: Hand) {
        let epoch = self.outbound.store.node_epoch();
        let Some(sending) = hand.slot.begin().await else {
            self.hand_back(hand).await;
            return;
        };
        loop {
            // What was frozen, or cut off, must not do what another may be doing by now.
            if !self.outbound.store.node_is_alive() || self.outbound.store.node_epoch() != epoch {
                break;
            }
            if self.outbound.lanes.is_stopped() {
                // The process is ending: whoever comes next goes on from here.
                self.hand_back(hand).await;
                return;
            }
            match self.step(&mut hand).await {
                Ok(Flow::GoesOn) => {}
                Ok(Flow::Stops) => break,
                Err(StoreError::Moved(_)) => {
                    tracing::debug!(run = %hand.run, "run.in_other_hands");
                    break;
                }
                Err(error) => {
                    // What is on disk is not known: it goes on from there, whatever it is.
                    tracing::error!(%error, run = %hand.run, "run.let_go");
                    hand.forget();
                    self.hand_back(hand).await;
                    return;
                }
            }
        }
        hand.slot.went(Went::Well);
        drop(sending);
    }

    async fn step(self: &Arc<Self>, hand: &mut Hand) -> Result<Flow, StoreError> {
        let now = self.outbound.clock.now();
        let Some(next) = hand.next(now, limits::RUN_RESULTS_AT_ONCE) else {
            self.commit(hand, RunTo::Running { lease: now.plus(LEASE) }).await?;
            tokio::task::yield_now().await;
            return Ok(Flow::GoesOn);
        };
        let Next::Step(task) = next else {
            self.commit(hand, hand::to(Some(&next), now)).await?;
            return Ok(Flow::Stops);
        };
        let Task { path, kind, action, .. } = &*task;
        let kind = kind.as_str();
        match action {
            Action::EmitEvent(event) => steps::emit::event(self, hand, path, event, now).await,
            Action::EmitRecord(record) => steps::emit::record(self, hand, path, record, now).await,
            Action::Http(call) => steps::http::call(self, hand, &task, call, now).await,
            Action::Wait(wait) => steps::wait::wait(self, hand, path, wait, now).await,
            Action::Call(call) => steps::call::call(self, hand, &task, call, now).await,
            Action::Respond(respond) => {
                let (result, response) = steps::respond(respond);
                hand.response = Some(response);
                hand.ended(path, kind, result, None, now);
                // The one who waits for it is told as soon as it is on disk.
                self.settle(hand, now).await
            }
        }
    }

    /// Makes a result durable at once: what was done outside, or promised to somebody, is not to be done again.
    pub(super) async fn settle(
        self: &Arc<Self>,
        hand: &mut Hand,
        now: Timestamp,
    ) -> Result<Flow, StoreError> {
        let to = hand::to(hand.peek(now, limits::RUN_RESULTS_AT_ONCE), now);
        let stops = matches!(to, RunTo::Ended { .. });
        self.commit(hand, to).await?;
        Ok(if stops { Flow::Stops } else { Flow::GoesOn })
    }

    /// Writes what is known, with what becomes of the run; tries again while the store cannot.
    pub(super) async fn commit(self: &Arc<Self>, hand: &mut Hand, to: RunTo) -> Result<(), StoreError> {
        self.commit_with(hand, to, Vec::new).await.map(drop)
    }

    /// The same, with runs that begin in the same transaction.
    pub(super) async fn commit_with(
        self: &Arc<Self>,
        hand: &mut Hand,
        to: RunTo,
        intakes: impl Fn() -> Vec<Intake>,
    ) -> Result<Vec<IntakeOutcome>, StoreError> {
        let ended = ended_state(&to);
        let due = waits_until(&to);
        let write = hand.write(to);
        let made = loop {
            match self.commit_once(write.clone(), intakes()).await {
                // What a request came to is not thrown away because the store is busy: it would be made again.
                Err(error @ (StoreError::Overloaded | StoreError::Unavailable(_)))
                    if !self.outbound.is_abandoned() =>
                {
                    tracing::error!(%error, run = %hand.run, "run.commit_waits");
                    self.outbound.clock.sleep(limits::STORE_RETRY).await;
                }
                made => break made?,
            }
        };
        self.written(hand, ended, due).await;
        Ok(made)
    }

    async fn commit_once(
        &self,
        write: RunWrite,
        intakes: Vec<Intake>,
    ) -> Result<Vec<IntakeOutcome>, StoreError> {
        let tenant = write.tenant;
        let mut answer = self.outbound.accept.submit(|mint| Commit {
            runs: vec![write],
            intakes,
            ..Commit::new(tenant, mint.now)
        })?;
        match Accept::outcome(&mut answer).await? {
            CommitOutcome::Done { intakes, .. } => Ok(intakes),
            _ => Err(StoreError::Internal("a run's progress was not written".into())),
        }
    }

    /// What follows from a commit of a run.
    pub(super) async fn written(&self, hand: &mut Hand, ended: Option<RunState>, due: Option<Timestamp>) {
        let (tenant, workflow) = (hand.tenant.id, hand.workflow);
        if let Some(response) = hand.response.take() {
            self.tell(hand.run, &Told::Responded(response));
        }
        if let Some(due) = due {
            self.outbound.lanes.scheduled(tenant, workflow.into(), due);
        }
        let Some(state) = ended else { return };
        tracing::debug!(
            tenant = %hand.tenant.public_id, run = %hand.run, workflow = %workflow, state = state.as_str(), "run.ended"
        );
        self.outbound.metrics.run_ended(state);
        self.tell(hand.run, &Told::Ended(state));
        self.after_end(tenant, workflow, hand.has_key(), hand.parent).await;
    }

    /// Others may go on: who waits for its slot, and who waits for its end.
    pub(crate) async fn after_end(
        &self,
        tenant: postrider_domain::id::TenantId,
        workflow: postrider_domain::id::WorkflowId,
        had_slot: bool,
        parent: Option<postrider_domain::id::RunId>,
    ) {
        if had_slot {
            self.queued(tenant, workflow);
        }
        let Some(parent) = parent else { return };
        match self.outbound.store.run_get(tenant, parent).await {
            Ok(Some(parent)) => self.queued(tenant, parent.workflow),
            Ok(None) => {}
            // The regular look finds it.
            Err(error) => tracing::warn!(%error, run = %parent, "run.parent_waits"),
        }
    }

    /// Returns a claim of which nothing was done.
    async fn hand_back(self: &Arc<Self>, mut hand: Hand) {
        let (tenant, workflow) = (hand.tenant.id, hand.workflow);
        while let Err(error) = self.commit(&mut hand, RunTo::HandedBack).await {
            if self.outbound.is_abandoned() || matches!(error, StoreError::Closed | StoreError::Moved(_)) {
                return;
            }
            tracing::error!(%error, run = %hand.run, "run.hand_back_waits");
            self.outbound.clock.sleep(limits::STORE_RETRY).await;
        }
        self.queued(tenant, workflow);
    }
}

/// The final state, if a run's write is its last.
pub(super) fn ended_state(to: &RunTo) -> Option<RunState> {
    match to {
        RunTo::Ended { state, .. } => Some(*state),
        _ => None,
    }
}

pub(super) fn waits_until(to: &RunTo) -> Option<Timestamp> {
    match to {
        RunTo::Waiting { due, .. } => *due,
        _ => None,
    }
}

/// What ends a run from outside, whatever it does.
pub(crate) fn cancelling(row: &postrider_store::runs::RunRow, why: &str) -> RunWrite {
    RunWrite {
        tenant: row.tenant,
        run: row.id,
        workflow: row.workflow,
        hold: Hold::Any,
        slot: row.slot.clone(),
        parent: row.parent,
        steps: Vec::new(),
        unless_emitted: None,
        attempts: Vec::new(),
        to: RunTo::Ended { state: RunState::Cancelled, output: None, error: Some(why.to_owned()) },
    }
}
