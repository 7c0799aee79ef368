//! A run in this process's hands: how far it has come, and what of that is not on disk yet.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::id::{EventId, RunId, WorkflowId};
use postrider_domain::run::{RunState, StepStatus};
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::{Execution, Next, RunFacts, StepPath, StepResult};
use postrider_store::AttemptRow;
use postrider_store::runs::{Hold, RunRow, RunTo, RunWrite, StepRow};
use serde_json::Value;

use super::room::Room;
use super::run::LEASE;
use super::start::Start;
use crate::catalogue::Tenant;
use crate::inbound::receive::Responded;
use crate::outbound::lanes;

pub(crate) struct Hand {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) run: RunId,
    pub(crate) workflow: WorkflowId,
    pub(crate) fence: i64,
    pub(crate) depth: u8,
    /// The key of its slot among the workflow's runs.
    key: Option<String>,
    pub(crate) parent: Option<RunId>,
    pub(crate) slot: lanes::Slot,
    execution: Execution,
    /// What comes next, when that is known already.
    next: Option<Next>,
    /// Steps that began and have not ended, as they are on disk.
    pub(crate) pending: HashMap<String, StepRow>,
    /// Requests made of the steps that have not ended.
    pub(crate) tried: HashMap<String, Vec<AttemptRow>>,
    /// Of results that wait for the next commit.
    steps: Vec<StepRow>,
    attempts: Vec<(String, AttemptRow)>,
    seq: i64,
    /// What a `respond` step said, to be told once it is on disk.
    pub(crate) response: Option<Responded>,
    /// For its input.
    _room: Option<Room>,
}

/// A run that was claimed from the store, with everything that is needed to go on with it.
pub(crate) struct Stored {
    pub(crate) row: RunRow,
    pub(crate) fence: i64,
    pub(crate) input: Arc<Value>,
    pub(crate) steps: Vec<StepRow>,
    pub(crate) attempts: Vec<postrider_store::runs::RunAttemptRow>,
    pub(crate) room: Room,
}

impl Hand {
    /// One that was started here a moment ago.
    /// The error is a sentence: what a replay takes over does not fit today's definition.
    pub(crate) fn fresh(
        start: Start,
        run: RunId,
        now: Timestamp,
        slot: lanes::Slot,
        room: Option<Room>,
    ) -> Result<Self, String> {
        let facts = RunFacts {
            run: run.to_string(),
            workflow: start.workflow.name.clone(),
            started: now,
            trigger_type: start.origin.kind.as_str().to_owned(),
            trigger_name: start.origin.trigger.as_ref().map(|trigger| trigger.name.clone()),
        };
        let compiled = start.workflow.compiled.clone();
        let results = results(&start.origin.steps);
        let seq = next_seq(&start.origin.steps);
        let execution = Execution::restore(compiled, &facts, start.input.clone(), results)
            .map_err(|mismatch| changed(&mismatch))?;
        Ok(Self {
            run,
            workflow: start.workflow.id,
            fence: postrider_store::Lease::first(now).fence,
            depth: start.origin.depth,
            key: start.slot_key(),
            parent: start.origin.parent,
            slot,
            execution,
            next: None,
            pending: HashMap::new(),
            tried: HashMap::new(),
            steps: Vec::new(),
            attempts: Vec::new(),
            seq,
            response: None,
            _room: room,
            tenant: start.tenant,
        })
    }

    pub(crate) fn stored(
        tenant: Arc<Tenant>,
        compiled: Arc<postrider_domain::workflow::Workflow>,
        facts: RunFacts,
        stored: Stored,
        slot: lanes::Slot,
    ) -> Result<Self, String> {
        let Stored { row, fence, input, steps, attempts, room } = stored;
        let seq = next_seq(&steps);
        let execution = Execution::restore(compiled, &facts, input, results(&steps))
            .map_err(|mismatch| changed(&mismatch))?;
        let pending = steps.into_iter().filter(|step| step.status == StepStatus::Pending);
        let mut tried: HashMap<String, Vec<AttemptRow>> = HashMap::new();
        for one in attempts {
            tried.entry(one.path).or_default().push(one.attempt);
        }
        Ok(Self {
            tenant,
            run: row.id,
            workflow: row.workflow,
            fence,
            depth: row.depth,
            key: row.slot,
            parent: row.parent,
            slot,
            execution,
            next: None,
            pending: pending.map(|step| (step.path.clone(), step)).collect(),
            tried,
            steps: Vec::new(),
            attempts: Vec::new(),
            seq,
            response: None,
            _room: Some(room),
        })
    }

    /// What comes next. Steps without effects are done on the way, up to `at_most` of them: `None` then.
    pub(crate) fn next(&mut self, now: Timestamp, at_most: usize) -> Option<Next> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        for _ in 0..at_most {
            match self.execution.next(now) {
                Next::Settled(path, result) => {
                    let kind = self.kind_of(&path);
                    self.ended(&path, kind, result, None, now);
                }
                next => return Some(next),
            }
        }
        None
    }

    /// As in the definition.
    fn kind_of(&self, path: &StepPath) -> &'static str {
        let id = path.as_str().rsplit('/').next().unwrap_or_default();
        let found = self.execution.workflow().steps().find(|(known, _)| *known == id);
        found.map_or("", |(_, kind)| kind.as_str())
    }

    /// Looks at what comes next without taking it.
    pub(crate) fn peek(&mut self, now: Timestamp, at_most: usize) -> Option<&Next> {
        self.next = self.next(now, at_most);
        self.next.as_ref()
    }

    /// A step has ended. `link`: what it made or waited for.
    pub(crate) fn ended(
        &mut self,
        path: &StepPath,
        kind: &str,
        result: StepResult,
        link: Option<[u8; 16]>,
        now: Timestamp,
    ) {
        let result = self.execution.bounded(result);
        let row = self.row_of(path, kind, &result, link, now);
        self.steps.push(row);
        self.recorded(path, result);
    }

    /// The row of a step that ends so.
    pub(crate) fn row_of(
        &self,
        path: &StepPath,
        kind: &str,
        result: &StepResult,
        link: Option<[u8; 16]>,
        now: Timestamp,
    ) -> StepRow {
        let text = path.as_str();
        let known = self.pending.get(text);
        let tries = known.map_or(0, |known| known.tries);
        StepRow {
            path: text.to_owned(),
            seq: known.map_or(self.seq, |known| known.seq),
            kind: kind.to_owned(),
            status: status(result),
            tries,
            started: known.map_or(now, |known| known.started),
            finished: Some(now),
            until: known.and_then(|known| known.until),
            link: link.or_else(|| known.and_then(|known| known.link)),
            output: Some(Bytes::from(result.output.to_string())),
            error: result.error.clone(),
        }
    }

    /// A step has ended whose row is written already.
    pub(crate) fn recorded(&mut self, path: &StepPath, result: StepResult) {
        if self.pending.remove(path.as_str()).is_none() {
            self.seq += 1;
        }
        self.tried.remove(path.as_str());
        if let Err(mismatch) = self.execution.record(path, result) {
            // What was asked for is what is recorded: this cannot be.
            tracing::error!(%mismatch, run = %self.run, "run.result_does_not_follow");
        }
    }

    /// A step has begun, or goes on after a while.
    pub(crate) fn began(
        &mut self,
        path: &StepPath,
        kind: &str,
        tries: u32,
        until: Option<Timestamp>,
        link: Option<[u8; 16]>,
        now: Timestamp,
    ) {
        let text = path.as_str();
        let known = self.pending.get(text);
        let step = StepRow {
            path: text.to_owned(),
            seq: known.map_or(self.seq, |known| known.seq),
            kind: kind.to_owned(),
            status: StepStatus::Pending,
            tries,
            started: known.map_or(now, |known| known.started),
            finished: None,
            until,
            link,
            output: None,
            error: None,
        };
        if known.is_none() {
            self.seq += 1;
        }
        self.pending.insert(text.to_owned(), step.clone());
        self.steps.retain(|other| other.path != step.path);
        self.steps.push(step);
    }

    pub(crate) fn attempted(&mut self, path: &StepPath, attempt: AttemptRow) {
        self.tried.entry(path.as_str().to_owned()).or_default().push(attempt.clone());
        self.attempts.push((path.as_str().to_owned(), attempt));
    }

    /// The key of its slot among the workflow's runs.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// What is to be written, with what becomes of the run.
    pub(crate) fn write(&mut self, to: RunTo) -> RunWrite {
        RunWrite {
            tenant: self.tenant.id,
            run: self.run,
            workflow: self.workflow,
            hold: Hold::Claim(self.fence),
            slot: self.key.clone(),
            parent: self.parent,
            steps: std::mem::take(&mut self.steps),
            unless_emitted: None,
            attempts: std::mem::take(&mut self.attempts),
            to,
        }
    }

    /// What is not on disk is given up.
    pub(crate) fn forget(&mut self) {
        self.steps.clear();
        self.attempts.clear();
        self.response = None;
    }

    /// What was taken to be written, and was not.
    pub(crate) fn put_back(&mut self, write: RunWrite) {
        self.steps = write.steps;
        self.attempts = write.attempts;
    }

    /// The event that an `emit` step made goes into its row.
    pub(crate) fn link_of(write: &mut RunWrite, path: &str, event: EventId) {
        if let Some(step) = write.steps.iter_mut().find(|step| step.path == path) {
            step.link = Some(*event.as_bytes());
        }
    }
}

/// What becomes of a run by what comes next, as far as no step has to be begun for that.
pub(crate) fn to(next: Option<&Next>, now: Timestamp) -> RunTo {
    match next {
        Some(Next::Done { output }) => RunTo::Ended {
            state: RunState::Succeeded,
            output: Some(Bytes::from(output.to_string())),
            error: None,
        },
        Some(Next::Failed { error, path }) => {
            let error = path.as_ref().map_or_else(|| error.clone(), |path| format!("{path}: {error}"));
            RunTo::Ended { state: RunState::Failed, output: None, error: Some(error) }
        }
        _ => RunTo::Running { lease: now.plus(LEASE) },
    }
}

pub(crate) fn results(steps: &[StepRow]) -> Vec<(String, StepResult)> {
    let result = |step: &StepRow| {
        let status = match step.status {
            StepStatus::Pending => return None,
            StepStatus::Succeeded => postrider_domain::workflow::StepStatus::Succeeded,
            StepStatus::Failed => postrider_domain::workflow::StepStatus::Failed,
            StepStatus::Skipped => postrider_domain::workflow::StepStatus::Skipped,
        };
        let output = step.output.as_deref().and_then(|output| serde_json::from_slice(output).ok());
        let result = StepResult { status, output: output.unwrap_or_default(), error: step.error.clone() };
        Some((step.path.clone(), result))
    };
    steps.iter().filter_map(result).collect()
}

fn changed(mismatch: &postrider_domain::workflow::Mismatch) -> String {
    format!(
        "The results that are stored do not fit the workflow's definition: {mismatch}. Start the run anew."
    )
}

fn next_seq(steps: &[StepRow]) -> i64 {
    steps.iter().map(|step| step.seq + 1).max().unwrap_or(0)
}

fn status(result: &StepResult) -> StepStatus {
    match result.status {
        postrider_domain::workflow::StepStatus::Succeeded => StepStatus::Succeeded,
        postrider_domain::workflow::StepStatus::Failed => StepStatus::Failed,
        postrider_domain::workflow::StepStatus::Skipped => StepStatus::Skipped,
    }
}
