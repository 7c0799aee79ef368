//! A workflow, compiled: what the interpreter walks. Steps and lists of steps stand in two flat lists and name each other by
//! position, so that a place in a run is a few numbers.

use std::sync::Arc;
use std::time::Duration;

use super::http::HttpStep;
use super::template::Template;
use crate::expression::Expression;
use crate::pattern::Patterns;

/// A list of steps, by its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockId(pub(super) usize);

/// A step, by its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepAt(pub(super) usize);

#[derive(Debug)]
pub(super) struct Step {
    pub(super) id: String,
    pub(super) when: Option<Arc<Expression>>,
    pub(super) kind: Kind,
    pub(super) on_error: OnError,
    pub(super) retries: Vec<Duration>,
    pub(super) timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    Fail,
    Continue,
    Steps(BlockId),
}

#[derive(Debug)]
pub(super) enum Kind {
    Http(HttpStep),
    Transform { output: Template },
    Condition { holds: Arc<Expression>, then: BlockId, otherwise: BlockId },
    ForEach { items: Arc<Expression>, name: Arc<str>, max: usize, body: BlockId },
    EmitEvent { event_type: Template, data: Template, id: Option<Template>, time: Option<Template> },
    EmitRecord { kind: Template, id: Template, data: Option<Template> },
    Wait(Wait),
    Respond { status: Template, headers: Vec<(String, Template)>, body: Option<Template> },
    Fail { message: Template },
    Call { workflow: String, input: Option<Template>, wait: bool },
}

impl Kind {
    pub(super) const fn kind(&self) -> StepKind {
        match self {
            Self::Http(_) => StepKind::Http,
            Self::Transform { .. } => StepKind::Transform,
            Self::Condition { .. } => StepKind::Condition,
            Self::ForEach { .. } => StepKind::ForEach,
            Self::EmitEvent { .. } | Self::EmitRecord { .. } => StepKind::Emit,
            Self::Wait(_) => StepKind::Wait,
            Self::Respond { .. } => StepKind::Respond,
            Self::Fail { .. } => StepKind::Fail,
            Self::Call { .. } => StepKind::Call,
        }
    }
}

#[derive(Debug)]
pub(super) enum Wait {
    For(Template),
    Until(Template),
    Event { types: Patterns, filter: Option<Arc<Expression>>, timeout: Duration },
}

/// What a step does, as `type` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    Http,
    Transform,
    Condition,
    ForEach,
    Emit,
    Wait,
    Respond,
    Fail,
    Call,
}

impl StepKind {
    pub const ALL: [Self; 9] = [
        Self::Http,
        Self::Transform,
        Self::Condition,
        Self::ForEach,
        Self::Emit,
        Self::Wait,
        Self::Respond,
        Self::Fail,
        Self::Call,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Transform => "transform",
            Self::Condition => "condition",
            Self::ForEach => "forEach",
            Self::Emit => "emit",
            Self::Wait => "wait",
            Self::Respond => "respond",
            Self::Fail => "fail",
            Self::Call => "call",
        }
    }
}

/// What happens when a run begins while as many of its key run as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// It waits for its turn.
    Queue,
    /// It ends at once, skipped.
    Skip,
    /// The earlier one is cancelled.
    CancelPrevious,
}

impl OnConflict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Skip => "skip",
            Self::CancelPrevious => "cancelPrevious",
        }
    }
}

#[derive(Debug)]
pub(super) struct ConcurrencyRule {
    pub(super) max: u32,
    pub(super) key: Option<Arc<Expression>>,
    pub(super) on_conflict: OnConflict,
}
