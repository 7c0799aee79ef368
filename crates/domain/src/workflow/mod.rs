//! Workflows as data: a definition is compiled and checked when it is saved, and an interpreter says which step is next.
//!
//! Everything here is pure. The engine carries out what [`Execution::next`] asks for, makes each result durable, and hands it
//! to [`Execution::record`]; a run whose node died is put together again from its stored results by [`Execution::restore`] and
//! goes on where it stood. Secrets come in at the very end, when a request is sent: they are in nothing that is stored.

mod compile;
mod definition;
mod execution;
mod facts;
mod http;
mod reader;
mod schema;
mod template;
mod yaml;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::expression::{Room, Scope};
use crate::limits;
use definition::{BlockId, ConcurrencyRule, Step};
use schema::InputSchema;
use template::{Template, text_of, told};

pub use definition::{OnConflict, StepKind};
pub use execution::{
    Action, Call, EmitEvent, EmitRecord, EventFilter, Execution, Mismatch, Next, Respond, StepPath,
    StepResult, StepStatus, Task, WaitFor,
};
pub use facts::RunFacts;
pub use http::{HttpCall, HttpOutcome, Request, Success, http_outcome, http_output, retry_delay};
pub use yaml::from_yaml;

/// A compiled workflow. Immutable; held in an `Arc`.
#[derive(Debug)]
pub struct Workflow {
    pub description: Option<String>,
    input: Option<InputSchema>,
    concurrency: Option<ConcurrencyRule>,
    steps: Vec<Step>,
    blocks: Vec<Vec<definition::StepAt>>,
    root: BlockId,
    output: Option<Template>,
    secret_names: BTreeSet<String>,
    connection_names: BTreeSet<String>,
    called: BTreeSet<String>,
}

/// What is wrong with a definition, and where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DefinitionError {
    /// The place in the definition: `steps[2].then[0].url`. Empty for the definition itself.
    pub path: String,
    /// Inside the text at that place, where it holds an expression; both begin at 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    pub message: String,
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// How many runs of a workflow may go on beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    pub max: u32,
    /// Runs with the same key are counted together; empty where the workflow names none.
    pub key: String,
    pub on_conflict: OnConflict,
}

impl Workflow {
    /// Compiles a definition. Tells what is wrong with it all at once, the first [`limits::WORKFLOW_ERRORS_MAX`] of it.
    pub fn compile(definition: &Value) -> Result<Self, Vec<DefinitionError>> {
        compile::compile(definition)
    }

    /// Whether it has no steps: its runs record what came in.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The secrets that its steps name.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.secret_names.iter().map(String::as_str)
    }

    /// The connections that its steps name.
    pub fn connection_names(&self) -> impl Iterator<Item = &str> {
        self.connection_names.iter().map(String::as_str)
    }

    /// The workflows that its steps call.
    pub fn called_workflows(&self) -> impl Iterator<Item = &str> {
        self.called.iter().map(String::as_str)
    }

    /// Each step with its kind, in the order in which the definition names their ends: those inside a step before it.
    pub fn steps(&self) -> impl Iterator<Item = (&str, StepKind)> {
        self.steps.iter().map(|step| (step.id.as_str(), step.kind.kind()))
    }

    /// Whether an input follows the workflow's schema. The error is a sentence.
    pub fn check_input(&self, input: &Value) -> Result<(), String> {
        self.input.as_ref().map_or(Ok(()), |schema| schema.check(input))
    }

    /// How many runs may go on beside the one that this input begins. The error is a sentence: the key has no value that can
    /// be compared, and the run cannot begin.
    pub fn concurrency(&self, input: &Value) -> Result<Option<Concurrency>, String> {
        let Some(rule) = &self.concurrency else { return Ok(None) };
        let key = match &rule.key {
            Some(expression) => {
                let scope = Scope::default().with("input", Some(input));
                let max = limits::CONCURRENCY_KEY_BYTES_MAX;
                let too_long = || format!("`concurrency.key` has more than {max} bytes for this input");
                let value = expression
                    .value(&scope, &mut Room::new(limits::STEP_OUTPUT_BYTES_MAX))
                    .map_err(|message| format!("`concurrency.key`: {}", told(expression, &message)))?;
                let key = text_of(value);
                if key.len() > max {
                    return Err(too_long());
                }
                key
            }
            None => String::new(),
        };
        Ok(Some(Concurrency { max: rule.max, key, on_conflict: rule.on_conflict }))
    }

    fn block(&self, block: BlockId) -> &[definition::StepAt] {
        self.blocks.get(block.0).map_or(&[], Vec::as_slice)
    }
}

/// Whether something may be called so: a workflow, a secret, a connection.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Reads `10m`: more than nothing and at most `max`. The error is a sentence.
fn duration(text: &str, max: Duration) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let ms =
        number.parse::<u64>().ok().zip(unit_ms).and_then(|(number, unit_ms)| number.checked_mul(unit_ms));
    let duration = ms.map(Duration::from_millis).filter(|duration| !duration.is_zero() && *duration <= max);
    duration.ok_or_else(|| {
        format!("it must be like 500ms, 30s, 5m, 2h or 1d, above 0 and at most {} s", max.as_secs())
    })
}
