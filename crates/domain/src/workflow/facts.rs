//! What the expressions of a run can name. Cheap to copy: everything large is shared.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::expression::{Member, Members, Scope};
use crate::time::Timestamp;

/// What is known of a run when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFacts {
    /// The run's id, as it is shown.
    pub run: String,
    /// The workflow's name.
    pub workflow: String,
    pub started: Timestamp,
    /// What began it: `webhook`, `cron`, `event`, `manual`, `call`.
    pub trigger_type: String,
    pub trigger_name: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) input: Arc<Value>,
    run: Arc<Value>,
    trigger: Arc<Value>,
    pub(super) steps: Arc<Members>,
    /// The items that loops are at, the outermost first.
    pub(super) items: Vec<ItemFact>,
    pub(super) now: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct ItemFact {
    pub(super) name: Arc<str>,
    pub(super) item: Arc<Value>,
    pub(super) index: usize,
}

impl Facts {
    pub(super) fn new(facts: &RunFacts, input: Arc<Value>) -> Self {
        let run = json!({
            "id": facts.run,
            "workflow": facts.workflow,
            "startedAt": facts.started.to_string(),
        });
        let trigger = json!({"type": facts.trigger_type, "name": facts.trigger_name});
        Self {
            input,
            run: Arc::new(run),
            trigger: Arc::new(trigger),
            steps: Arc::default(),
            items: Vec::new(),
            now: facts.started,
        }
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        let mut scope = Scope::default()
            .with("input", Some(&self.input))
            .with_members("steps", &self.steps)
            .with("run", Some(&self.run))
            .with("trigger", Some(&self.trigger))
            .with_text("now", self.now.to_string());
        for item in &self.items {
            scope = scope
                .with(&item.name, Some(&item.item))
                .with_int("index", i64::try_from(item.index).unwrap_or(i64::MAX));
        }
        scope
    }

    /// `output` is shared with whoever holds the step's result.
    pub(super) fn set_step(&mut self, id: &str, status: &str, output: Arc<Value>, error: Option<&str>) {
        let text = |text: &str| Member::Value(Arc::new(Value::String(text.to_owned())));
        let mut step = Members::default();
        step.insert("status", text(status));
        step.insert("output", Member::Value(output));
        step.insert("error", error.map_or_else(|| Member::Value(Arc::new(Value::Null)), text));
        Arc::make_mut(&mut self.steps).insert(id, Member::Members(step));
    }

    /// A step that had begun fails after all. What it left behind stays.
    pub(super) fn fail_step(&mut self, id: &str, error: &str) {
        let begun = match self.steps.get(id) {
            Some(Member::Members(step)) => step.get("output"),
            _ => None,
        };
        let output = match begun {
            Some(Member::Value(output)) => Arc::clone(output),
            _ => Arc::new(Value::Null),
        };
        self.set_step(id, "failed", output, Some(error));
    }
}
