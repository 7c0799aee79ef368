//! Runs of workflows, and what came to their triggers: rows in and out.
//!
//! `write` is hot: it is part of a [`Commit`](crate::Commit), so that what a step made and how far its run has come become
//! durable together. `claim` says who works on what. Both are written once, over [`exec::Exec`], for both databases. `read` is
//! cold.

mod claim;
mod exec;
mod read;
mod sweep;
pub(crate) mod write;

use std::time::Duration;

use bytes::Bytes;
use postrider_domain::id::{EventId, RequestId, RunId, TenantId, TriggerId, WorkflowId};
use postrider_domain::run::{RequestCause, RunState, StepStatus, TriggerKind};
use postrider_domain::time::Timestamp;

use crate::work::{AttemptRow, Lease};

pub use claim::{RunClaimAnswer, RunWant, RunsReaped};
pub(crate) use exec::{Exec, OnServer, now_ready};
pub use read::{RequestFilter, RunFilter};
pub use write::RUN_MOVED;

/// What has come in, and the run that it starts. All of it becomes durable, or nothing.
pub struct Intake {
    pub tenant: TenantId,
    /// Only with this event of the commit, by its place among all of them, if that is new.
    pub with_event: Option<usize>,
    /// What came, where it came by HTTP.
    pub request: Option<NewRequest>,
    pub run: Option<NewRun>,
    /// Of what a trigger takes once only.
    pub dedup: Option<Dedup>,
    /// The moment of a trigger's clock that this decides: somebody else may have.
    pub tick: Option<(TriggerId, Timestamp)>,
}

/// The same key again starts no run.
pub struct Dedup {
    pub trigger: TriggerId,
    pub key: String,
    /// For so long.
    pub kept: Duration,
}

/// A request to a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    pub id: RequestId,
    pub trigger: TriggerId,
    pub cause: RequestCause,
    /// That it is answered with.
    pub status: u16,
    /// For the tenant, in a sentence.
    pub detail: Option<String>,
    pub received: Timestamp,
    pub method: String,
    pub query: String,
    pub peer: String,
    /// JSON array of `[name, value]`, without secrets.
    pub headers: Bytes,
    /// `None`: it is the input of its run, byte for byte.
    pub body: Option<Bytes>,
    pub body_bytes: u64,
}

/// A run to be.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub id: RunId,
    pub workflow: WorkflowId,
    pub version: i64,
    pub trigger: Option<TriggerId>,
    pub kind: TriggerKind,
    pub event: Option<EventId>,
    pub replay_of: Option<RunId>,
    /// The run whose step waits for it.
    pub parent: Option<RunId>,
    /// JSON.
    pub input: Bytes,
    pub depth: u8,
    pub slot: Option<Slot>,
    /// Claimed in the same transaction, unless it has to wait for its slot.
    pub claim: Option<Lease>,
    /// Its workflow has no steps: it has ended as it begins.
    pub ended: bool,
    /// Why it failed before it began.
    pub error: Option<String>,
    /// What a replay takes over from the run before.
    pub steps: Vec<StepRow>,
}

/// How many runs of a workflow with the same key may be active, and what becomes of one more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub key: String,
    pub max: u32,
    pub conflict: Conflict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// It waits for one of them to end.
    Queue,
    /// It is not done.
    Skip,
    /// They are cancelled.
    CancelPrevious,
}

/// What became of an intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntakeOutcome {
    /// Its run was made; false: it is not claimed, though that was asked for.
    Started { run: RunId, claimed: bool },
    /// Another run was active, and the workflow wants no second one.
    Skipped(RunId),
    /// The same came before.
    Duplicate(RunId),
    /// Only the request was written down.
    Recorded,
    /// Somebody else has decided this moment of the trigger's clock, or its event is not new. Nothing was written.
    Taken,
}

/// How far a run has come. The commit fails as [`StoreError::Moved`](crate::StoreError::Moved) when the run is no longer in
/// these hands.
#[derive(Debug, Clone)]
pub struct RunWrite {
    pub tenant: TenantId,
    pub run: RunId,
    pub workflow: WorkflowId,
    pub hold: Hold,
    /// The key of its slot, to be passed on when it ends.
    pub slot: Option<String>,
    /// Who waits for its end.
    pub parent: Option<RunId>,
    pub steps: Vec<StepRow>,
    /// The last of `steps` emits the commit's first event under a given id. This stands in its place where another event has
    /// that id; where the same event was stored before, the step's link becomes that one.
    pub unless_emitted: Option<StepRow>,
    /// The step's path with each.
    pub attempts: Vec<(String, AttemptRow)>,
    pub to: RunTo,
}

/// By what right a run is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It was claimed under this fence.
    Claim(i64),
    /// It waits, since it was claimed under this fence.
    Waiting(i64),
    /// Whatever it does: it is cancelled.
    Any,
}

#[derive(Debug, Clone)]
pub enum RunTo {
    /// It goes on in the same hands.
    Running {
        lease: Timestamp,
    },
    /// Until `due`; without one, until it is woken. `event_after`: also for an event of the tenant after this one.
    Waiting {
        due: Option<Timestamp>,
        event_after: Option<EventId>,
    },
    /// What it waited for has come.
    Woken,
    /// Back to where others find it, nothing of the step having begun.
    HandedBack,
    Ended {
        state: RunState,
        output: Option<Bytes>,
        error: Option<String>,
    },
}

/// A step that began or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    pub path: String,
    /// In the order in which they began.
    pub seq: i64,
    /// As in the definition.
    pub kind: String,
    pub status: StepStatus,
    /// HTTP requests begun.
    pub tries: u32,
    pub started: Timestamp,
    pub finished: Option<Timestamp>,
    /// The end of a wait.
    pub until: Option<Timestamp>,
    /// The event that it made or waited for, the run that it called.
    pub link: Option<[u8; 16]>,
    /// JSON.
    pub output: Option<Bytes>,
    pub error: Option<String>,
}

/// A run as stored, without its input and steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub tenant: TenantId,
    pub id: RunId,
    pub workflow: WorkflowId,
    pub version: i64,
    pub trigger: Option<TriggerId>,
    pub kind: TriggerKind,
    pub request: Option<RequestId>,
    pub event: Option<EventId>,
    pub replay_of: Option<RunId>,
    pub parent: Option<RunId>,
    pub state: RunState,
    pub depth: u8,
    pub slot: Option<String>,
    pub fence: i64,
    pub due: Option<Timestamp>,
    pub error: Option<String>,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
}

/// One HTTP request of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAttemptRow {
    pub path: String,
    pub attempt: AttemptRow,
}

/// A request as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    pub tenant: TenantId,
    pub run: Option<RunId>,
    pub request: NewRequest,
}

/// A run that waits for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitRow {
    pub tenant: TenantId,
    pub run: RunId,
    pub path: String,
    /// Events up to it have been looked at.
    pub after: EventId,
}
