//! The interpreter: where a run stands, what is next, and what follows from a result.
//!
//! A place is a stack of frames, one for each list of steps that the run is inside of. Frames move only when a result is
//! recorded, and only by what the result says, so that the results of a run, put in again in any process, lead to the same
//! place. What depends on the clock (`now`) is evaluated once and stored with its step.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Workflow;
use super::definition::{BlockId, Kind, OnError, Step, StepAt, StepKind, Wait};
use super::facts::{Facts, ItemFact, RunFacts};
use super::http::{HttpCall, check_header_values};
use super::template::{Template, told};
use crate::event::is_event_type;
use crate::expression::{Expression, Room};
use crate::limits;
use crate::pattern::Patterns;
use crate::time::Timestamp;

/// One execution of one step: `fetch`, `big/then/notify`, `each/3/send`, `fetch!/cleanup`. Unique in its run, the same after a
/// restart, at most [`limits::STEP_PATH_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepPath(String);

impl StepPath {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepStatus {
    Succeeded,
    Failed,
    Skipped,
}

impl StepStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Succeeded, Self::Failed, Self::Skipped].into_iter().find(|status| status.as_str() == text)
    }
}

/// What a step leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    pub status: StepStatus,
    pub output: Value,
    /// Of a step that failed: a sentence.
    pub error: Option<String>,
}

impl StepResult {
    pub fn succeeded(output: Value) -> Self {
        Self { status: StepStatus::Succeeded, output, error: None }
    }

    pub fn failed(error: impl Into<String>) -> Self {
        Self { status: StepStatus::Failed, output: Value::Null, error: Some(error.into()) }
    }

    pub fn skipped() -> Self {
        Self { status: StepStatus::Skipped, output: Value::Null, error: None }
    }
}

/// What is next. It stays the same until a result is recorded, but for what `now` decides.
#[derive(Debug)]
pub enum Next {
    /// To be carried out, then recorded.
    Step(Box<Task>),
    /// Known already, to be made durable and recorded as it is: a condition, the beginning of a loop, a transform, a step
    /// that is skipped or whose input cannot be put together.
    Settled(StepPath, StepResult),
    Done {
        output: Value,
    },
    Failed {
        /// A sentence.
        error: String,
        /// The step that failed, where it was one.
        path: Option<StepPath>,
    },
}

/// A step to be carried out.
#[derive(Debug)]
pub struct Task {
    pub path: StepPath,
    /// The step's id in the definition.
    pub id: String,
    pub kind: StepKind,
    pub action: Action,
    /// How long to wait before the second attempt, the third, and so on: there is one attempt more than these.
    pub retries: Vec<Duration>,
    /// Of one attempt of `http`, and of a `call` that is waited for.
    pub timeout: Option<Duration>,
}

/// What is to be done. Everything has its value but secrets and connections.
#[derive(Debug)]
pub enum Action {
    Http(Box<HttpCall>),
    EmitEvent(EmitEvent),
    EmitRecord(EmitRecord),
    Wait(WaitFor),
    Respond(Respond),
    Call(Call),
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmitEvent {
    pub event_type: String,
    pub data: Value,
    /// Where it is absent, one that the run and the path decide keeps a repetition from being a second event.
    pub id: Option<String>,
    pub time: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmitRecord {
    pub kind: String,
    pub id: String,
    /// `None`: it is deleted.
    pub data: Option<Value>,
}

#[derive(Debug)]
pub enum WaitFor {
    /// From when the step was first reached: that moment, or the one this leads to, is to be kept.
    Duration(Duration),
    Until(Timestamp),
    Event {
        types: Patterns,
        filter: Option<EventFilter>,
        timeout: Duration,
    },
}

/// What an event that is waited for must fulfil beside its type.
#[derive(Clone)]
pub struct EventFilter {
    expression: Arc<Expression>,
    facts: Facts,
}

/// Shows what is asked, not what is known of the run.
impl fmt::Debug for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventFilter").field(&self.expression.source()).finish()
    }
}

impl EventFilter {
    /// `event`: with `id`, `type`, `time` and `data`. The error is a sentence: such an event is not the one.
    pub fn holds(&self, event: &Value) -> Result<bool, String> {
        let scope = self.facts.scope().with("event", Some(event));
        self.expression.holds(&scope).map_err(|message| told(&self.expression, &message))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Respond {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Text is sent as it is (`text/plain`), everything else as JSON. `None`: an empty body.
    pub body: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub workflow: String,
    pub input: Value,
    /// Whether the step ends with the run that it begins, and has its output.
    pub wait: bool,
}

/// A result that belongs to no step that is next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the result of {given} does not follow here: {expected} is next")]
pub struct Mismatch {
    pub given: String,
    pub expected: String,
}

/// A run of a workflow: what has been, and where it stands.
#[derive(Clone)]
pub struct Execution {
    workflow: Arc<Workflow>,
    facts: Facts,
    frames: Vec<Frame>,
    recorded: usize,
    output_bytes: usize,
    failed: Option<(StepPath, String)>,
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("place", &self.place().map(|(path, _)| path))
            .field("recorded", &self.recorded)
            .finish_non_exhaustive()
    }
}

/// A list of steps that the run is inside of.
#[derive(Clone)]
struct Frame {
    block: BlockId,
    /// The step of the list that is next.
    at: usize,
    /// What stands before the ids of its steps: `each/3/`.
    prefix: String,
    inside: Inside,
}

/// Why the run is inside of a list.
#[derive(Clone)]
enum Inside {
    Root,
    Branch {
        of: StepAt,
    },
    /// The steps that follow on a failure.
    Cleanup {
        of: StepAt,
    },
    Loop {
        of: StepAt,
        index: usize,
        count: usize,
        item: Option<Arc<Value>>,
    },
}

impl Execution {
    pub fn new(workflow: Arc<Workflow>, facts: &RunFacts, input: Arc<Value>) -> Self {
        let root = Frame { block: workflow.root, at: 0, prefix: String::new(), inside: Inside::Root };
        Self {
            workflow,
            facts: Facts::new(facts, input),
            frames: vec![root],
            recorded: 0,
            output_bytes: 0,
            failed: None,
        }
    }

    /// A run with the results that are stored of it, in any order.
    pub fn restore(
        workflow: Arc<Workflow>,
        facts: &RunFacts,
        input: Arc<Value>,
        results: impl IntoIterator<Item = (String, StepResult)>,
    ) -> Result<Self, Mismatch> {
        let mut execution = Self::new(workflow, facts, input);
        let mut results: HashMap<String, StepResult> = results.into_iter().collect();
        while let Some((path, _)) = execution.place() {
            let Some(result) = results.remove(path.as_str()) else { break };
            execution.record(&path, result)?;
        }
        match results.into_keys().next() {
            Some(given) => Err(Mismatch { given, expected: execution.expected() }),
            None => Ok(execution),
        }
    }

    pub fn workflow(&self) -> &Arc<Workflow> {
        &self.workflow
    }

    /// How many results it has.
    pub fn recorded(&self) -> usize {
        self.recorded
    }

    /// What is next. Costs what the step's own expressions cost, however many results there are.
    pub fn next(&mut self, now: Timestamp) -> Next {
        if let Some((path, error)) = &self.failed {
            return Next::Failed { error: error.clone(), path: Some(path.clone()) };
        }
        let Some((path, at)) = self.place() else { return self.done(now) };
        if self.recorded >= limits::RUN_STEPS_MAX {
            let error = format!("the run has had {} steps, and there are more", limits::RUN_STEPS_MAX);
            return Next::Failed { error, path: Some(path) };
        }
        self.facts.now = now;
        if let Err(error) = self.load_items() {
            return Next::Failed { error, path: Some(path) };
        }
        let workflow = Arc::clone(&self.workflow);
        let step = &workflow.steps[at.0];
        match self.evaluate(step) {
            Ok(Evaluated::Action(action)) => Next::Step(Box::new(Task {
                path,
                id: step.id.clone(),
                kind: step.kind.kind(),
                action,
                retries: step.retries.clone(),
                timeout: step.timeout,
            })),
            Ok(Evaluated::Result(result)) => Next::Settled(path, self.bounded(result)),
            Err(error) => Next::Settled(path, self.bounded(StepResult::failed(error))),
        }
    }

    /// What of a result is kept: one that is too large, by itself or with those before it, is a failure. To be asked before
    /// the result is made durable; recording it asks again, and gets the same.
    pub fn bounded(&self, mut result: StepResult) -> StepResult {
        if let Some(error) = result.error.as_mut().filter(|error| error.len() > limits::STEP_ERROR_BYTES_MAX)
        {
            let end = error.floor_char_boundary(limits::STEP_ERROR_BYTES_MAX);
            error.truncate(end);
        }
        if result.status == StepStatus::Failed && result.error.is_none() {
            result.error = Some("it failed".to_owned());
        }
        if result.output.is_null() {
            return result;
        }
        let mut room = Room::new(limits::STEP_OUTPUT_BYTES_MAX);
        if let Err(message) = room.take(&result.output) {
            return StepResult::failed(format!("the step's output cannot be kept: {message}"));
        }
        if self.output_bytes + room.used() > limits::RUN_OUTPUT_BYTES_MAX {
            let max = limits::RUN_OUTPUT_BYTES_MAX / 1024 / 1024;
            return StepResult::failed(format!(
                "the outputs of the run's steps have more than {max} MiB together"
            ));
        }
        result
    }

    /// Takes the result of the step that is next, and goes on from there.
    pub fn record(&mut self, path: &StepPath, result: StepResult) -> Result<(), Mismatch> {
        let at = match self.place() {
            Some((expected, at)) if expected == *path && self.failed.is_none() => at,
            _ => return Err(Mismatch { given: path.to_string(), expected: self.expected() }),
        };
        let result = self.bounded(result);
        let mut room = Room::new(limits::STEP_OUTPUT_BYTES_MAX);
        if !result.output.is_null() && room.take(&result.output).is_ok() {
            self.output_bytes += room.used();
        }
        self.recorded += 1;
        self.leave_finished();
        if let Some(frame) = self.frames.last_mut() {
            frame.at += 1;
        }
        let workflow = Arc::clone(&self.workflow);
        let step = &workflow.steps[at.0];
        let output = Arc::new(result.output);
        self.facts.set_step(&step.id, result.status.as_str(), Arc::clone(&output), result.error.as_deref());
        match result.status {
            StepStatus::Skipped => {}
            StepStatus::Succeeded => self.enter(at, step, &output),
            StepStatus::Failed => self.fail(at, path, &result.error.unwrap_or_default()),
        }
        Ok(())
    }

    fn expected(&self) -> String {
        match (&self.failed, self.place()) {
            (None, Some((path, _))) => path.0,
            _ => "nothing".to_owned(),
        }
    }

    /// The step that is next. `None`: there is none, the run is at its end.
    fn place(&self) -> Option<(StepPath, StepAt)> {
        for frame in self.frames.iter().rev() {
            let block = self.workflow.block(frame.block);
            if let Some(at) = block.get(frame.at) {
                return Some((self.path_of(&frame.prefix, *at), *at));
            }
            if let Inside::Loop { of, index, count, .. } = &frame.inside
                && index + 1 < *count
                && let Some(at) = block.first()
            {
                let prefix = self.loop_prefix(frame, *of, index + 1);
                return Some((self.path_of(&prefix, *at), *at));
            }
        }
        None
    }

    fn path_of(&self, prefix: &str, at: StepAt) -> StepPath {
        StepPath(format!("{prefix}{}", self.workflow.steps[at.0].id))
    }

    /// Of the loop's next round.
    fn loop_prefix(&self, frame: &Frame, of: StepAt, index: usize) -> String {
        // `each/3/`, of which the last part is replaced.
        let id_end = frame.prefix.trim_end_matches('/').rfind('/').unwrap_or(0);
        debug_assert!(frame.prefix[..id_end].ends_with(&self.workflow.steps[of.0].id));
        format!("{}/{index}/", &frame.prefix[..id_end])
    }

    /// Leaves the lists that are at their end, and goes to the next round of loops, so that the last frame holds the step that
    /// is next.
    fn leave_finished(&mut self) {
        while let Some(frame) = self.frames.last() {
            let block = self.workflow.block(frame.block);
            if frame.at < block.len() {
                return;
            }
            let next = match &frame.inside {
                Inside::Root => return,
                Inside::Loop { of, index, count, .. } if index + 1 < *count && !block.is_empty() => {
                    Some((self.loop_prefix(frame, *of, index + 1), index + 1))
                }
                _ => None,
            };
            match (next, self.frames.last_mut()) {
                (Some((prefix, next)), Some(frame)) => {
                    frame.prefix = prefix;
                    frame.at = 0;
                    if let Inside::Loop { index, item, .. } = &mut frame.inside {
                        *index = next;
                        *item = None;
                    }
                }
                _ => {
                    self.frames.pop();
                }
            }
        }
    }

    /// The values of the loops that the run is inside of. They are not stored: what they come from is.
    fn load_items(&mut self) -> Result<(), String> {
        self.leave_finished();
        self.facts.items.clear();
        let workflow = Arc::clone(&self.workflow);
        for frame in &mut self.frames {
            let Inside::Loop { of, index, item, .. } = &mut frame.inside else { continue };
            let Kind::ForEach { items, name, .. } = &workflow.steps[of.0].kind else { continue };
            let value = match item {
                Some(value) => Arc::clone(value),
                None => {
                    let room = &mut Room::new(limits::STEP_OUTPUT_BYTES_MAX);
                    let value = items
                        .item(&self.facts.scope(), *index, room)
                        .map_err(|message| told(items, &format!("item {index}: {message}")))?;
                    Arc::clone(item.insert(Arc::new(value)))
                }
            };
            self.facts.items.push(ItemFact { name: Arc::clone(name), item: value, index: *index });
        }
        Ok(())
    }

    /// Goes into the lists of a step that has begun.
    fn enter(&mut self, at: StepAt, step: &Step, output: &Value) {
        let path = self.frames.last().map(|frame| format!("{}{}", frame.prefix, step.id)).unwrap_or_default();
        match &step.kind {
            Kind::Condition { then, otherwise, .. } => {
                let (branch, block) = match output.get("branch").and_then(Value::as_str) {
                    Some("then") => ("then", *then),
                    _ => ("else", *otherwise),
                };
                let prefix = format!("{path}/{branch}/");
                self.frames.push(Frame { block, at: 0, prefix, inside: Inside::Branch { of: at } });
            }
            Kind::ForEach { body, .. } => {
                let count = output.get("count").and_then(Value::as_u64).unwrap_or(0);
                let count = usize::try_from(count).unwrap_or(0).min(limits::FOR_EACH_ITEMS_MAX);
                if count > 0 {
                    let inside = Inside::Loop { of: at, index: 0, count, item: None };
                    self.frames.push(Frame { block: *body, at: 0, prefix: format!("{path}/0/"), inside });
                }
            }
            _ => {}
        }
    }

    /// A step failed for good. Its own `onError` says what follows; where that is to fail, the step around it fails, and so
    /// on outwards.
    fn fail(&mut self, at: StepAt, path: &StepPath, error: &str) {
        let mut at = at;
        let mut handled = self.workflow.steps[at.0].on_error;
        loop {
            match handled {
                OnError::Continue => return,
                OnError::Steps(block) => {
                    let prefix = self.frames.last().map_or("", |frame| frame.prefix.as_str());
                    let prefix = format!("{prefix}{}!/", self.workflow.steps[at.0].id);
                    self.frames.push(Frame { block, at: 0, prefix, inside: Inside::Cleanup { of: at } });
                    return;
                }
                OnError::Fail => {}
            }
            let around = match self.frames.last().map(|frame| &frame.inside) {
                None | Some(Inside::Root) => None,
                // It has had its `onError`: what fails in there fails what is around it.
                Some(Inside::Cleanup { of }) => Some((*of, true)),
                Some(Inside::Branch { of } | Inside::Loop { of, .. }) => Some((*of, false)),
            };
            let Some((of, is_cleanup)) = around else {
                self.failed = Some((path.clone(), error.to_owned()));
                return;
            };
            self.frames.pop();
            at = of;
            handled = if is_cleanup { OnError::Fail } else { self.workflow.steps[of.0].on_error };
            if !is_cleanup {
                let step = &self.workflow.steps[of.0];
                let error = format!("{path}: {error}");
                let end = error.floor_char_boundary(limits::STEP_ERROR_BYTES_MAX);
                self.facts.fail_step(&step.id, &error[..end]);
            }
        }
    }

    fn done(&mut self, now: Timestamp) -> Next {
        let Some(template) = &self.workflow.output else { return Next::Done { output: Value::Null } };
        self.facts.now = now;
        self.facts.items.clear();
        let room = &mut Room::new(limits::STEP_OUTPUT_BYTES_MAX);
        match template.value(&self.facts.scope(), room) {
            Ok(output) => Next::Done { output },
            Err(error) => Next::Failed { error: format!("the workflow's output: {error}"), path: None },
        }
    }

    fn evaluate(&self, step: &Step) -> Result<Evaluated, String> {
        let scope = self.facts.scope();
        if let Some(when) = &step.when {
            let holds = when.holds(&scope).map_err(|message| format!("when: {}", told(when, &message)))?;
            if !holds {
                return Ok(Evaluated::Result(StepResult::skipped()));
            }
        }
        let room = &mut Room::new(limits::STEP_OUTPUT_BYTES_MAX);
        let action = match &step.kind {
            Kind::Http(http) => Action::Http(Box::new(http.call(&self.facts)?)),
            Kind::Transform { output } => {
                return Ok(Evaluated::Result(StepResult::succeeded(output.value(&scope, room)?)));
            }
            Kind::Condition { holds, .. } => {
                let holds = holds.holds(&scope).map_err(|message| told(holds, &message))?;
                let branch = if holds { "then" } else { "else" };
                return Ok(Evaluated::Result(StepResult::succeeded(json!({"branch": branch}))));
            }
            Kind::ForEach { items, max, .. } => {
                let count = items
                    .items(&scope, *max, limits::STEP_OUTPUT_BYTES_MAX)
                    .map_err(|message| told(items, &message))?;
                return Ok(Evaluated::Result(StepResult::succeeded(json!({"count": count}))));
            }
            Kind::EmitEvent { event_type, data, id, time } => {
                let event_type = event_type.text(&scope, room)?;
                if !is_event_type(&event_type) {
                    return Err(format!("`{}` is not an event type", shortened(&event_type)));
                }
                Action::EmitEvent(EmitEvent {
                    event_type,
                    data: data.value(&scope, room)?,
                    id: optional(id.as_ref(), |id| {
                        id_of(id, "id", limits::CALLER_ID_BYTES_MAX, &self.facts)
                    })?,
                    time: optional(time.as_ref(), |time| moment(&time.text(&scope, room)?))?,
                })
            }
            Kind::EmitRecord { kind, id, data } => Action::EmitRecord(EmitRecord {
                kind: id_of(kind, "kind", limits::CALLER_ID_BYTES_MAX, &self.facts)?,
                id: id_of(id, "id", limits::RECORD_ID_BYTES_MAX, &self.facts)?,
                data: optional(data.as_ref(), |data| data.value(&scope, room))?,
            }),
            Kind::Wait(wait) => Action::Wait(self.wait(wait, room)?),
            Kind::Respond { status, headers, body } => {
                let status = status.value(&scope, room)?;
                let status = status.as_u64().and_then(|status| u16::try_from(status).ok());
                let Some(status) = status.filter(|status| (200..=599).contains(status)) else {
                    return Err("the status is not a whole number from 200 to 599".to_owned());
                };
                let mut made = Vec::with_capacity(headers.len());
                for (name, template) in headers {
                    made.push((name.clone(), template.text(&scope, room)?));
                }
                check_header_values(&made)?;
                Action::Respond(Respond {
                    status,
                    headers: made,
                    body: optional(body.as_ref(), |body| body.value(&scope, room))?,
                })
            }
            Kind::Fail { message } => return Err(message.text(&scope, room)?),
            Kind::Call { workflow, input, wait } => Action::Call(Call {
                workflow: workflow.clone(),
                input: optional(input.as_ref(), |input| input.value(&scope, room))?.unwrap_or_default(),
                wait: *wait,
            }),
        };
        Ok(Evaluated::Action(action))
    }

    fn wait(&self, wait: &Wait, room: &mut Room) -> Result<WaitFor, String> {
        let scope = self.facts.scope();
        Ok(match wait {
            Wait::For(template) => {
                let text = template.text(&scope, room)?;
                WaitFor::Duration(super::duration(&text, limits::WAIT_MAX)?)
            }
            Wait::Until(template) => {
                let until = moment(&template.text(&scope, room)?)?;
                if until.since(self.facts.now) > limits::WAIT_MAX {
                    return Err(format!("{until} is more than a year away: a step waits 365 days at most"));
                }
                WaitFor::Until(until)
            }
            Wait::Event { types, filter, timeout } => WaitFor::Event {
                types: types.clone(),
                filter: filter.as_ref().map(|expression| EventFilter {
                    expression: Arc::clone(expression),
                    facts: self.facts.clone(),
                }),
                timeout: *timeout,
            },
        })
    }
}

enum Evaluated {
    Action(Action),
    Result(StepResult),
}

fn optional<T, V>(
    template: Option<&T>,
    made: impl FnOnce(&T) -> Result<V, String>,
) -> Result<Option<V>, String> {
    template.map(made).transpose()
}

/// A name that is kept elsewhere: of so many bytes, and of no control characters.
fn id_of(template: &Template, what: &str, bytes_max: usize, facts: &Facts) -> Result<String, String> {
    let id = template.text(&facts.scope(), &mut Room::new(limits::STEP_OUTPUT_BYTES_MAX))?;
    if !(1..=bytes_max).contains(&id.len()) || id.contains(char::is_control) {
        return Err(format!("the {what} has 1 to {bytes_max} bytes and no control characters"));
    }
    Ok(id)
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| format!("`{}` is not a time like 2026-01-31T09:30:00Z", shortened(text)))
}

fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 100;
    let text = text.replace(char::is_control, " ");
    match text.char_indices().nth(CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STARTED: Timestamp = Timestamp::from_unix_ms(1_775_901_600_000);

    fn facts() -> RunFacts {
        RunFacts {
            run: "run_1".to_owned(),
            workflow: "leads".to_owned(),
            started: STARTED,
            trigger_type: "webhook".to_owned(),
            trigger_name: Some("form".to_owned()),
        }
    }

    fn compiled(definition: &Value) -> Arc<Workflow> {
        match Workflow::compile(definition) {
            Ok(workflow) => Arc::new(workflow),
            Err(errors) => panic!("{definition}: {errors:#?}"),
        }
    }

    fn begin(definition: &Value, input: Value) -> Execution {
        Execution::new(compiled(definition), &facts(), Arc::new(input))
    }

    /// The clock is the number of results, so that a run that is restored sees the time that the live one saw.
    fn now(execution: &Execution) -> Timestamp {
        STARTED.plus(Duration::from_secs(execution.recorded() as u64))
    }

    /// What is asked for, in words that say all of it.
    fn told(task: &Task) -> String {
        let rendered = match &task.action {
            Action::Http(call) => {
                let request =
                    call.render(&|name| Some(format!("<{name}>")), &|name| Some(format!("<token {name}>")));
                match request {
                    Ok(request) => format!(
                        "{} {} {:?} {}",
                        request.method,
                        request.url,
                        request.headers,
                        String::from_utf8_lossy(&request.body.unwrap_or_default())
                    ),
                    Err(error) => error,
                }
            }
            other => format!("{other:?}"),
        };
        format!("{} {rendered} {:?} {:?}", task.kind.as_str(), task.retries, task.timeout)
    }

    /// Runs to the end. What each step is given, with what it leaves behind; and how the run ends.
    fn drive(
        execution: &mut Execution,
        carried_out: &dyn Fn(&Task) -> StepResult,
    ) -> (Vec<(String, String, StepResult)>, String) {
        let mut log = Vec::new();
        loop {
            let next = execution.next(now(execution));
            let (path, asked, result) = match next {
                Next::Step(task) => {
                    let result = execution.bounded(carried_out(&task));
                    (task.path.clone(), told(&task), result)
                }
                Next::Settled(path, result) => (path, "settled".to_owned(), result),
                Next::Done { output } => return (log, format!("done {output}")),
                Next::Failed { error, path } => {
                    let path = path.map_or("-".to_owned(), |path| path.to_string());
                    return (log, format!("failed {path}: {error}"));
                }
            };
            assert!(path.as_str().len() <= limits::STEP_PATH_BYTES_MAX);
            log.push((path.to_string(), asked, result.clone()));
            execution.record(&path, result).expect("it was next");
        }
    }

    /// The paths in order, with a mark for those that failed or were skipped, and the end.
    fn walk(definition: &Value, input: Value, failing: &[&str]) -> (String, String) {
        let (log, end) = drive(&mut begin(definition, input), &|task| {
            if failing.contains(&task.path.as_str()) {
                return StepResult::failed("it broke");
            }
            StepResult::succeeded(json!({"of": task.path.as_str()}))
        });
        let mut paths = Vec::new();
        for (path, _, result) in &log {
            paths.push(match result.status {
                StepStatus::Succeeded => path.clone(),
                StepStatus::Failed => format!("{path}(failed)"),
                StepStatus::Skipped => format!("{path}(skipped)"),
            });
        }
        (paths.join(" "), end)
    }

    fn call(id: &str) -> Value {
        json!({"id": id, "type": "call", "workflow": "other"})
    }

    fn with(mut step: Value, key: &str, value: Value) -> Value {
        step[key] = value;
        step
    }

    #[test]
    fn a_workflow_without_steps_is_done_at_once() {
        assert_eq!(walk(&json!({}), json!({"a": 1}), &[]), (String::new(), "done null".to_owned()));
        let definition = json!({"output": {"seen": "{{ input.a }}", "by": "{{ trigger.name }}"}});
        assert_eq!(walk(&definition, json!({"a": 1}), &[]).1, r#"done {"seen":"1","by":"form"}"#);
        assert!(compiled(&json!({})).is_empty());
    }

    #[test]
    fn steps_follow_each_other_through_branches_loops_and_failures() {
        let branches = json!({"steps": [
            {"id": "big", "type": "condition", "if": "input.n > 3", "then": [call("t")], "else": [call("e")]},
            call("after"),
        ]});
        let one_armed = json!({"steps": [
            {"id": "big", "type": "condition", "if": "input.n > 3", "then": [call("t")]},
            call("after"),
        ]});
        let each = json!({"steps": [
            {"id": "each", "type": "forEach", "items": {"$expr": "input.items"}, "steps": [
                with(call("a"), "when", json!("item != 2")),
                {"id": "inner", "type": "forEach", "items": {"$expr": "[index, item]"}, "as": "x", "steps": [call("b")]},
            ]},
            call("after"),
        ], "output": {"count": {"$expr": "steps.each.output.count"}}});
        let handled =
            |on_error: Value| json!({"steps": [with(call("a"), "onError", on_error), call("after")]});
        let cleanup = json!({"steps": [call("x"), call("y")]});
        let nested = |on_error: Value| {
            let body = json!([call("a"), call("b")]);
            let each = json!({"id": "each", "type": "forEach", "items": {"$expr": "[1, 2]"}, "steps": body});
            json!({"steps": [
                {"id": "if", "type": "condition", "if": "true", "then": [with(each, "onError", on_error), call("c")]},
                call("after"),
            ]})
        };
        for (definition, input, failing, expected, end) in [
            (&branches, json!({"n": 4}), vec![], "big big/then/t after", "done null"),
            (&branches, json!({"n": 3}), vec![], "big big/else/e after", "done null"),
            (
                &branches,
                json!({}),
                vec![],
                "big(failed)",
                "failed big: `input.n > 3`: there is no member `n`: ask `has(…)` first",
            ),
            (&one_armed, json!({"n": 4}), vec![], "big big/then/t after", "done null"),
            (&one_armed, json!({"n": 3}), vec![], "big after", "done null"),
            (
                &branches,
                json!({"n": 4}),
                vec!["big/then/t"],
                "big big/then/t(failed)",
                "failed big/then/t: it broke",
            ),
            (&each, json!({"items": []}), vec![], "each after", r#"done {"count":0}"#),
            (
                &each,
                json!({"items": [1, 2]}),
                vec![],
                "each each/0/a each/0/inner each/0/inner/0/b each/0/inner/1/b \
                 each/1/a(skipped) each/1/inner each/1/inner/0/b each/1/inner/1/b after",
                r#"done {"count":2}"#,
            ),
            (
                &each,
                json!({"items": [1, 2]}),
                vec!["each/0/inner/1/b"],
                "each each/0/a each/0/inner each/0/inner/0/b each/0/inner/1/b(failed)",
                "failed each/0/inner/1/b: it broke",
            ),
            (&handled(json!("fail")), json!({}), vec!["a"], "a(failed)", "failed a: it broke"),
            (&handled(json!("continue")), json!({}), vec!["a"], "a(failed) after", "done null"),
            (&handled(cleanup.clone()), json!({}), vec![], "a after", "done null"),
            (&handled(cleanup.clone()), json!({}), vec!["a"], "a(failed) a!/x a!/y after", "done null"),
            (
                &handled(cleanup.clone()),
                json!({}),
                vec!["a", "a!/x"],
                "a(failed) a!/x(failed)",
                "failed a!/x: it broke",
            ),
            (
                &nested(json!("continue")),
                json!({}),
                vec![],
                "if if/then/each if/then/each/0/a if/then/each/0/b if/then/each/1/a if/then/each/1/b if/then/c after",
                "done null",
            ),
            (
                &nested(json!("continue")),
                json!({}),
                vec!["if/then/each/0/a"],
                "if if/then/each if/then/each/0/a(failed) if/then/c after",
                "done null",
            ),
            (
                &nested(cleanup),
                json!({}),
                vec!["if/then/each/0/b"],
                "if if/then/each if/then/each/0/a if/then/each/0/b(failed) if/then/each!/x if/then/each!/y if/then/c after",
                "done null",
            ),
        ] {
            assert_eq!(
                walk(definition, input.clone(), &failing),
                (expected.to_owned(), end.to_owned()),
                "{definition} {input}"
            );
        }
    }

    #[test]
    fn what_failed_can_be_seen_by_what_follows() {
        let definition = json!({
            "steps": [
                with(call("a"), "onError", json!({"steps": [
                    {"id": "note", "type": "transform", "output": "{{ steps.a.status }}: {{ steps.a.error }}"},
                ]})),
                {"id": "each", "type": "forEach", "items": {"$expr": "[7]"}, "steps": [call("b")], "onError": "continue"},
                with(call("c"), "when", json!("steps.a.status == 'succeeded'")),
            ],
            "output": ["{{ steps.each.status }}", "{{ steps.each.error }}", {"$expr": "steps.each.output.count"},
                "{{ steps.c.status }}", {"$expr": "steps.c.output"}],
        });
        let (log, end) = drive(&mut begin(&definition, json!({})), &|_| StepResult::failed("it broke"));
        assert_eq!(log[1].2.output, json!("failed: it broke"));
        assert_eq!(end, r#"done ["failed","each/0/b: it broke",1,"skipped",null]"#);
    }

    #[test]
    fn actions_have_their_values() {
        let definition = json!({"steps": [
            {"id": "shape", "type": "transform", "output": {"full": "{{ input.first }} {{ input.last }}", "n": {"$expr": "size(input.items)"}, "raw": {"$literal": {"$expr": "1"}}}},
            {"id": "tell", "type": "emit", "event": {"type": "lead.created", "data": {"$expr": "steps.shape.output"}, "id": "lead-{{ run.id }}", "time": "{{ run.startedAt }}"}},
            {"id": "save", "type": "emit", "record": {"kind": "job", "id": "{{ input.id }}", "data": {"n": {"$expr": "steps['shape'].output.n"}}}},
            {"id": "gone", "type": "emit", "record": {"kind": "job", "id": "{{ input.id }}", "deleted": true}},
            {"id": "pause", "type": "wait", "for": "{{ input.id }}m"},
            {"id": "till", "type": "wait", "until": "{{ now }}"},
            {"id": "hear", "type": "wait", "event": {"types": ["job.*"], "filter": "event.data.id == input.id", "timeout": "1d"}},
            {"id": "answer", "type": "respond", "status": {"$expr": "200 + 1"}, "headers": {"X-A": "{{ input.id }}"}, "body": {"ok": true}},
            {"id": "text", "type": "respond", "body": "hello {{ input.first }}"},
            {"id": "sub", "type": "call", "workflow": "enrich", "input": {"of": {"$expr": "input.id"}}, "wait": false, "timeout": "1h", "retries": ["1s"]},
        ]});
        let input = json!({"first": "Ada", "last": "L", "items": [1, 2], "id": 7});
        let (log, end) = drive(&mut begin(&definition, input), &|_| StepResult::succeeded(Value::Null));
        assert_eq!(end, "done null");
        assert_eq!(log[0].2.output, json!({"full": "Ada L", "n": 2, "raw": {"$expr": "1"}}));
        for (at, expected) in [
            (
                1,
                r#"EmitEvent { event_type: "lead.created", data: Object {"full": String("Ada L"), "n": Number(2), "raw": Object {"$expr": String("1")}}, id: Some("lead-run_1"), time: Some(2026-04-11T10:00:00.000Z) }"#,
            ),
            (2, r#"EmitRecord { kind: "job", id: "7", data: Some(Object {"n": Number(2)}) }"#),
            (3, r#"EmitRecord { kind: "job", id: "7", data: None }"#),
            (4, "Wait(Duration(420s))"),
            (5, "Wait(Until(2026-04-11T10:00:05.000Z))"),
            (6, r#"filter: Some(EventFilter("event.data.id == input.id")), timeout: 86400s"#),
            (7, r#"Respond { status: 201, headers: [("X-A", "7")], body: Some(Object {"ok": Bool(true)}) }"#),
            (8, r#"Respond { status: 200, headers: [], body: Some(String("hello Ada")) }"#),
            (
                9,
                r#"Call { workflow: "enrich", input: Object {"of": Number(7)}, wait: false }) [1s] Some(3600s)"#,
            ),
        ] {
            assert!(log[at].1.contains(expected), "{}: {}", log[at].0, log[at].1);
        }
    }

    #[test]
    fn an_event_is_the_one_that_is_waited_for_or_it_is_not() {
        let definition = json!({"steps": [
            {"id": "each", "type": "forEach", "items": {"$expr": "[{'id': 1}]"}, "steps": [
                {"id": "hear", "type": "wait", "event": {"types": ["job.*"], "filter": "event.data.id == item.id", "timeout": "1d"}},
            ]},
        ]});
        let mut execution = begin(&definition, json!({}));
        let Next::Settled(path, result) = execution.next(STARTED) else { panic!("a loop begins") };
        execution.record(&path, result).expect("it was next");
        let Next::Step(task) = execution.next(STARTED) else { panic!("a wait") };
        let Action::Wait(WaitFor::Event { types, filter: Some(filter), .. }) = &task.action else {
            panic!("a wait for an event")
        };
        assert!(types.matches("job.done") && !types.matches("jobs"));
        assert_eq!(filter.holds(&json!({"data": {"id": 1}})), Ok(true));
        assert_eq!(filter.holds(&json!({"data": {"id": 2}})), Ok(false));
        assert!(filter.holds(&json!({"data": null})).is_err());
    }

    #[test]
    fn what_cannot_be_put_together_fails_its_step() {
        let step = |step: Value| json!({"steps": [step]});
        let event = |event: Value| step(json!({"id": "a", "type": "emit", "event": event}));
        let http = |url: &str| step(json!({"id": "a", "type": "http", "url": url}));
        let input = json!({
            "no": "not an event!", "line": "a\r\nb: c", "far": "2036-01-01T00:00:00Z", "items": {"a": 1},
            "dots": "..", "word": "word", "big": "x".repeat(300_000), "long": "x".repeat(3000), "many": vec![1; 11], "n": 7,
        });
        for (definition, expected) in [
            (
                step(json!({"id": "a", "type": "transform", "output": {"$expr": "input.missing"}})),
                "`input.missing`: there is no member",
            ),
            (
                step(json!({"id": "a", "type": "transform", "output": "{{ input.big }}"})),
                "larger than 256 KiB",
            ),
            (
                step(
                    json!({"id": "a", "type": "transform", "output": ["{{ input.word }}", {"$expr": "1.0 / 0.0"}]}),
                ),
                "JSON can hold",
            ),
            (step(json!({"id": "a", "type": "condition", "if": "input.n", "then": []})), "not true or false"),
            (
                step(json!({"id": "a", "type": "transform", "output": 1, "when": "input.n + 1"})),
                "when: `input.n + 1`: it is a number",
            ),
            (
                step(json!({"id": "a", "type": "forEach", "items": {"$expr": "input.items"}, "steps": []})),
                "an object, not a list",
            ),
            (
                step(
                    json!({"id": "a", "type": "forEach", "items": {"$expr": "input.many"}, "max": 10, "steps": []}),
                ),
                "there are 11 items; at most 10",
            ),
            (
                step(json!({"id": "a", "type": "forEach", "items": {"$expr": "[input.big]"}, "steps": []})),
                "item 0: it is larger",
            ),
            (event(json!({"type": "{{ input.no }}", "data": {}})), "`not an event!` is not an event type"),
            (event(json!({"type": "a", "data": {}, "id": "{{ input.big }}"})), "larger than 256"),
            (event(json!({"type": "a", "data": {}, "id": "{{ input.line }}"})), "no control characters"),
            (event(json!({"type": "a", "data": {}, "time": "{{ input.word }}"})), "`word` is not a time"),
            (
                step(json!({"id": "a", "type": "emit", "record": {"kind": "k", "id": "", "data": 1}})),
                "the id has 1 to 200",
            ),
            (step(json!({"id": "a", "type": "wait", "for": "{{ input.word }}"})), "it must be like 500ms"),
            (step(json!({"id": "a", "type": "wait", "for": "0s"})), ""),
            (step(json!({"id": "a", "type": "wait", "until": "{{ input.far }}"})), "more than a year away"),
            (
                step(json!({"id": "a", "type": "respond", "status": {"$expr": "input.word"}})),
                "not a whole number from 200",
            ),
            (
                step(json!({"id": "a", "type": "respond", "headers": {"X-A": "{{ input.line }}"}})),
                "header `X-A` has a character",
            ),
            (step(json!({"id": "a", "type": "fail", "message": "no {{ input.word }}"})), "no word"),
            (http("https://a.example/{{ input.dots }}/x"), "a part of the URL's path is"),
            (http("{{ input.word }}"), "does not begin with http://"),
            (http("https://a.example/{{ input.long }}"), "more than 2048 bytes"),
            (http("https://a.example/{{ input.big }}"), "larger than 256 KiB"),
            (http("https://a.example/ x{{ input.n }}"), "a space"),
            (
                step(
                    json!({"id": "a", "type": "http", "url": "https://a.example", "headers": {"X-A": "{{ input.line }}"}}),
                ),
                "header `X-A` has a character",
            ),
            (
                step(
                    json!({"id": "a", "type": "http", "url": "https://a.example", "query": {"q": "{{ input.missing }}"}}),
                ),
                "no member `missing`",
            ),
        ] {
            let Ok(workflow) = Workflow::compile(&definition) else {
                assert_eq!(expected, "", "{definition}");
                continue;
            };
            let mut execution = Execution::new(Arc::new(workflow), &facts(), Arc::new(input.clone()));
            let Next::Settled(path, result) = execution.next(STARTED) else { panic!("{definition}") };
            let error = result.error.clone().unwrap_or_default();
            assert!(result.status == StepStatus::Failed && error.contains(expected), "{definition}: {error}");
            execution.record(&path, result).expect("it was next");
            assert!(matches!(execution.next(STARTED), Next::Failed { path: Some(at), .. } if at == path));
        }
        let (_, end) = walk(&json!({"output": {"$expr": "input.missing"}}), json!({}), &[]);
        assert!(end.starts_with("failed -: the workflow's output: `input.missing`"), "{end}");
    }

    #[test]
    fn what_a_run_leaves_behind_is_bounded() {
        let definition = json!({"steps": [
            {"id": "each", "type": "forEach", "items": {"$expr": "input"}, "steps": [with(call("a"), "onError", json!("continue"))]},
        ]});
        let large = || StepResult::succeeded(json!("x".repeat(200 * 1024)));
        let (log, end) = drive(&mut begin(&definition, json!(vec![0; 30])), &|_| large());
        let kept = log.iter().filter(|(_, _, result)| result.output.is_string()).count();
        assert_eq!((kept, end.as_str()), (20, "done null"));
        let why = log.last().and_then(|(_, _, result)| result.error.clone()).unwrap_or_default();
        assert!(why.contains("more than 4 MiB together"), "{why}");

        let execution = begin(&definition, json!([]));
        for (result, expected) in [
            (StepResult::succeeded(json!("x".repeat(256 * 1024))), "larger than 256 KiB"),
            (StepResult::succeeded(json!(vec![0; 20_000])), "larger than 256 KiB"),
            (StepResult::succeeded((0..65).fold(json!(0), |value, _| json!([value]))), "deeper than 64"),
            (StepResult::failed("é".repeat(5000)), "é"),
            (StepResult { status: StepStatus::Failed, output: Value::Null, error: None }, "it failed"),
        ] {
            let kept = execution.bounded(result);
            let error = kept.error.clone().unwrap_or_default();
            assert!(error.contains(expected) && error.len() <= limits::STEP_ERROR_BYTES_MAX, "{error}");
            assert_eq!((kept.status, &kept.output), (StepStatus::Failed, &Value::Null));
            assert_eq!(execution.bounded(kept.clone()), kept);
        }
    }

    #[test]
    fn a_loop_out_of_hand_ends_the_run() {
        let each = |id: &str, body: Value| json!({"id": id, "type": "forEach", "as": id, "items": {"$expr": "input"}, "steps": body});
        let definition = json!({"steps": [each("a", json!([each("b", json!([call("c")]))]))]});
        let (log, end) =
            drive(&mut begin(&definition, json!(vec![0; 200])), &|_| StepResult::succeeded(json!(1)));
        assert_eq!(log.len(), limits::RUN_STEPS_MAX);
        assert!(end.contains("the run has had 10000 steps"), "{end}");
    }

    #[test]
    fn a_result_that_is_not_next_is_refused() {
        let definition = json!({"steps": [call("a"), call("b")]});
        let mut execution = begin(&definition, json!({}));
        let first = match execution.next(STARTED) {
            Next::Step(task) => task.path,
            other => panic!("{other:?}"),
        };
        execution.record(&first, StepResult::succeeded(json!(1))).expect("it was next");
        let again = execution.record(&first, StepResult::succeeded(json!(1)));
        assert_eq!(again, Err(Mismatch { given: "a".to_owned(), expected: "b".to_owned() }));
        for stored in [vec!["b"], vec!["a", "c"], vec!["a", "b", "a/0/b"]] {
            let stored = stored.into_iter().map(|path| (path.to_owned(), StepResult::skipped()));
            let restored = Execution::restore(compiled(&definition), &facts(), Arc::default(), stored);
            assert!(restored.is_err());
        }
        // A run that failed goes nowhere.
        let failed = [("a".to_owned(), StepResult::failed("x")), ("b".to_owned(), StepResult::skipped())];
        assert!(Execution::restore(compiled(&definition), &facts(), Arc::default(), failed).is_err());
    }

    #[test]
    fn a_run_can_go_from_thread_to_thread() {
        fn can_go<T: Send + Sync>() {}
        can_go::<(Execution, Next, Workflow)>();
    }

    #[test]
    fn an_input_is_shared_not_copied() {
        let input = Arc::new(json!({"items": [1, 2], "big": "x".repeat(1000)}));
        let definition = json!({"steps": [
            {"id": "each", "type": "forEach", "items": {"$expr": "input.items"}, "steps": [
                {"id": "get", "type": "http", "url": "https://a.example", "headers": {"X-A": "{{ secrets.A + input.big }}"}},
            ]},
        ]});
        let mut execution = Execution::new(compiled(&definition), &facts(), Arc::clone(&input));
        let Next::Settled(path, result) = execution.next(STARTED) else { panic!("a loop begins") };
        execution.record(&path, result).expect("it was next");
        let next = execution.next(STARTED);
        let again = execution.clone();
        // This one, the execution's, the request's, and the copy's.
        assert_eq!(Arc::strong_count(&input), 4);
        drop((next, again));
        assert_eq!(Arc::strong_count(&input), 2);
    }

    /// A step of a random definition, before it has an id.
    #[derive(Debug, Clone)]
    enum Shape {
        Call,
        Http,
        Transform(u8),
        Emit,
        Wait,
        Fail,
        Condition(u8, Vec<Made>, Vec<Made>),
        Each(u8, Vec<Made>),
    }

    #[derive(Debug, Clone)]
    struct Made {
        shape: Shape,
        on_error: Handling,
        when: Option<u8>,
    }

    #[derive(Debug, Clone)]
    enum Handling {
        Fail,
        Continue,
        Steps(Vec<Made>),
    }

    fn made() -> impl Strategy<Value = Made> {
        let leaf = prop_oneof![
            3 => Just(Shape::Call),
            2 => Just(Shape::Http),
            2 => any::<u8>().prop_map(Shape::Transform),
            1 => Just(Shape::Emit),
            1 => Just(Shape::Wait),
            1 => Just(Shape::Fail),
        ];
        let plain = |shape: Shape| Made { shape, on_error: Handling::Fail, when: None };
        leaf.prop_map(plain).prop_recursive(3, 24, 4, |inner| {
            let list = || prop::collection::vec(inner.clone(), 0..3);
            let shape = prop_oneof![
                2 => inner.clone().prop_map(|made| made.shape),
                1 => (any::<u8>(), list(), list()).prop_map(|(seed, a, b)| Shape::Condition(seed, a, b)),
                1 => (any::<u8>(), list()).prop_map(|(seed, body)| Shape::Each(seed, body)),
            ];
            let handling = prop_oneof![
                2 => Just(Handling::Fail),
                2 => Just(Handling::Continue),
                1 => list().prop_map(Handling::Steps),
            ];
            (shape, handling, prop::option::weighted(0.2, any::<u8>()))
                .prop_map(|(shape, on_error, when)| Made { shape, on_error, when })
        })
    }

    /// Gives ids, and lets expressions name what they see.
    #[derive(Default)]
    struct Writer {
        ids: usize,
        visible: Vec<String>,
        loops: usize,
    }

    impl Writer {
        fn list(&mut self, list: &[Made]) -> Value {
            let outside = self.visible.len();
            let steps: Vec<Value> = list.iter().map(|made| self.step(made)).collect();
            self.visible.truncate(outside);
            Value::Array(steps)
        }

        /// A number that depends on what a step before left behind.
        fn number(&self, seed: u8) -> String {
            let of_step = self.visible.get(usize::from(seed) % self.visible.len().max(1));
            let of_step = of_step.map_or("0".to_owned(), |id| {
                format!("(steps['{id}'].status == 'succeeded' ? 1 : 0) + size(string(steps['{id}'].error == null))")
            });
            let of_item =
                if self.loops > 0 { format!("index + x{}", self.loops) } else { "input.n".to_owned() };
            format!("({of_step} + {of_item} + {seed})")
        }

        fn step(&mut self, made: &Made) -> Value {
            self.ids += 1;
            let id = format!("s{}", self.ids);
            let mut step = match &made.shape {
                Shape::Call => json!({"type": "call", "workflow": "w", "input": {"$expr": self.number(1)}}),
                Shape::Http => json!({
                    "type": "http", "url": format!("https://a.example/{{{{ {} }}}}", self.number(2)),
                    "headers": {"X-A": "{{ secrets.A }}{{ now }}"}, "connection": "c",
                }),
                Shape::Transform(seed) => {
                    json!({"type": "transform", "output": [{"$expr": self.number(*seed)}, "{{ now }}"]})
                }
                Shape::Emit => {
                    json!({"type": "emit", "event": {"type": "a.b", "data": {"$expr": self.number(3)}, "id": "{{ now }}"}})
                }
                Shape::Wait => json!({"type": "wait", "for": format!("{{{{ {} }}}}s", self.number(4))}),
                Shape::Fail => json!({"type": "fail", "message": format!("{{{{ {} }}}}", self.number(5))}),
                Shape::Condition(seed, ..) => {
                    json!({"type": "condition", "if": format!("{} % 2 == 0", self.number(*seed))})
                }
                Shape::Each(seed, _) => json!({
                    "type": "forEach", "as": format!("x{}", self.loops + 1),
                    "items": {"$expr": format!("[1, {}, 3].filter(i, i % {} != 0)", self.number(*seed), seed % 3 + 1)},
                }),
            };
            step["id"] = json!(id);
            if let Some(seed) = made.when {
                step["when"] = json!(format!("{} % 3 != 0", self.number(seed)));
            }
            self.visible.push(id);
            match &made.shape {
                Shape::Condition(_, then, otherwise) => {
                    step["then"] = self.list(then);
                    step["else"] = self.list(otherwise);
                }
                Shape::Each(_, body) => {
                    self.loops += 1;
                    step["steps"] = self.list(body);
                    self.loops -= 1;
                }
                _ => {}
            }
            match (&made.on_error, &made.shape) {
                (_, Shape::Fail) | (Handling::Fail, _) => {}
                (Handling::Continue, _) => step["onError"] = json!("continue"),
                (Handling::Steps(list), _) => step["onError"] = json!({"steps": self.list(list)}),
            }
            step
        }
    }

    /// What a step comes to, decided by its path and a seed.
    fn decided(seed: u64, task: &Task) -> StepResult {
        let hash =
            task.path.as_str().bytes().fold(seed, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(17)
            });
        match hash % 4 {
            0 => StepResult::failed(format!("broke {hash}")),
            _ => StepResult::succeeded(json!({"n": hash % 1000})),
        }
    }

    proptest! {
        #[test]
        fn a_run_that_is_restored_goes_on_as_the_live_one(
            list in prop::collection::vec(made(), 0..5),
            seed in any::<u64>(),
        ) {
            let definition = json!({"steps": Writer::default().list(&list), "output": "{{ run.id }}"});
            let workflow = compiled(&definition);
            let input = Arc::new(json!({"n": 1}));
            let carried_out = |task: &Task| decided(seed, task);
            let mut live = Execution::new(Arc::clone(&workflow), &facts(), Arc::clone(&input));
            let (log, end) = drive(&mut live, &carried_out);
            let unique: std::collections::HashSet<&String> = log.iter().map(|(path, ..)| path).collect();
            prop_assert_eq!(unique.len(), log.len(), "a path twice in {}", definition);
            // Every prefix of a short run, and some of a long one.
            for stored in (0..=log.len()).step_by(1 + log.len() / 40) {
                // As a store may give them: in another order.
                let results = log[..stored].iter().rev().map(|(path, _, result)| (path.clone(), result.clone()));
                let restored = Execution::restore(Arc::clone(&workflow), &facts(), Arc::clone(&input), results);
                let mut restored = restored.map_err(|error| TestCaseError::fail(format!("{definition}: {error}")))?;
                // Looking at what is next changes nothing.
                let _ = restored.next(now(&restored));
                let (rest, ended) = drive(&mut restored, &carried_out);
                prop_assert_eq!(&rest, &log[stored..], "after {} of {}", stored, definition);
                prop_assert_eq!(&ended, &end);
            }
        }
    }
}
