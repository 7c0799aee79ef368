//! A tenant's workflows and triggers as the way in sees them: compiled, and part of the tenant's snapshot in the catalogue.

use std::sync::Arc;

use postrider_domain::id::{TriggerId, WorkflowId};
use postrider_domain::run::TriggerKind;
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::Workflow;
use serde_json::Value;

use super::trigger::Trigger;

/// Both, oldest first; deleted ones are not here.
#[derive(Debug, Default)]
pub struct Registered {
    pub workflows: Vec<Arc<RegisteredWorkflow>>,
    pub triggers: Vec<Arc<Trigger>>,
}

/// A workflow in its newest version.
#[derive(Debug)]
pub struct RegisteredWorkflow {
    pub id: WorkflowId,
    pub name: String,
    pub version: i64,
    pub description: String,
    /// As it was written.
    pub definition: Value,
    pub compiled: Arc<Workflow>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl Registered {
    pub fn workflow(&self, name: &str) -> Option<&Arc<RegisteredWorkflow>> {
        self.workflows.iter().find(|workflow| workflow.name == name)
    }

    pub fn workflow_by_id(&self, id: WorkflowId) -> Option<&Arc<RegisteredWorkflow>> {
        self.workflows.iter().find(|workflow| workflow.id == id)
    }

    pub fn trigger(&self, id: TriggerId) -> Option<&Arc<Trigger>> {
        self.triggers.iter().find(|trigger| trigger.id == id)
    }

    pub fn triggers_of(&self, workflow: WorkflowId) -> impl Iterator<Item = &Arc<Trigger>> {
        self.triggers.iter().filter(move |trigger| trigger.workflow == workflow)
    }

    /// Those that an event may start.
    pub fn on_events(&self) -> impl Iterator<Item = &Arc<Trigger>> {
        self.triggers.iter().filter(|trigger| trigger.kind == TriggerKind::Event && trigger.enabled)
    }

    /// Those that the clock starts.
    pub fn on_clock(&self) -> impl Iterator<Item = &Arc<Trigger>> {
        self.triggers.iter().filter(|trigger| trigger.kind == TriggerKind::Cron && trigger.enabled)
    }
}
