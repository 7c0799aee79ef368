//! Workflows: what may be saved, and what goes with one that is deleted.

use std::sync::Arc;

use postrider_domain::id::WorkflowId;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::workflow::{DefinitionError, Workflow};
use postrider_store::config::{ConfigWrite, Over, TenantWrite, TriggerRow, TriggerWrite, WorkflowRow};
use serde_json::{Value, json};

use super::audit::Act;
use super::change::{After, Turn};
use super::{Actor, Control, Role, assemble};
use crate::catalogue::Tenant;
use crate::error::EngineError;
use crate::inbound::registered::{Registered, RegisteredWorkflow};

const WRITERS: [Role; 2] = [Role::Operator, Role::Admin];
/// A name stands in URLs.
const NAME_BYTES_MAX: usize = 64;
/// Errors of a definition that one answer names.
const ERRORS_TOLD_MAX: usize = 5;

/// The answer to a workflow's creation or change.
#[derive(Debug, Clone)]
pub struct WorkflowChanged {
    pub workflow: Arc<RegisteredWorkflow>,
    pub created: bool,
}

impl Control {
    /// Saves a workflow under a name: operator, or admin of the tenant. The same definition again changes nothing.
    pub async fn workflow_put(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        name: &str,
        definition: Value,
    ) -> Result<WorkflowChanged, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let compiled = Workflow::compile(&definition).map_err(|errors| problem(&errors))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let now = self.now();
        let existing = tenant.inbound.workflow(name).cloned();
        // One that is there goes on, whatever is asked of names by now.
        if existing.is_none() {
            check_name(name)?;
        }
        if let Some(existing) = existing.as_ref().filter(|existing| existing.definition == definition) {
            return Ok(WorkflowChanged { workflow: existing.clone(), created: false });
        }
        if existing.is_none() && tenant.inbound.workflows.len() >= limits::WORKFLOWS_PER_TENANT_MAX {
            return Err(Problem::new(
                Code::TooManyItems,
                format!(
                    "A tenant has at most {} workflows. Delete one first.",
                    limits::WORKFLOWS_PER_TENANT_MAX
                ),
            )
            .into());
        }
        let workflow = Arc::new(RegisteredWorkflow {
            id: existing.as_ref().map_or_else(|| WorkflowId::new(now, self.random()), |existing| existing.id),
            name: name.to_owned(),
            version: existing.as_ref().map_or(1, |existing| existing.version + 1),
            description: compiled.description.clone().unwrap_or_default(),
            definition,
            compiled: Arc::new(compiled),
            created: existing.as_ref().map_or(now, |existing| existing.created),
            updated: now,
        });
        let act = Act {
            action: if existing.is_some() { "workflow.updated" } else { "workflow.created" },
            target: name.to_owned(),
            before: existing.as_ref().map(|existing| json!({ "version": existing.version })),
            after: Some(json!({ "version": workflow.version })),
        };
        let mut workflows = tenant.inbound.workflows.clone();
        match workflows.iter_mut().find(|known| known.id == workflow.id) {
            Some(known) => *known = workflow.clone(),
            None => workflows.push(workflow.clone()),
        }
        let inbound = Registered { workflows, triggers: tenant.inbound.triggers.clone() };
        let row = row(&tenant, &workflow);
        let change = InboundChange { workflows: vec![row], triggers: Vec::new(), act, idempotency: None };
        self.inbound_commit(turn, actor, &tenant, inbound, change).await?;
        Ok(WorkflowChanged { workflow, created: existing.is_none() })
    }

    /// Deletes a workflow with its triggers: operator, or admin of the tenant. Its runs stay in the history.
    pub async fn workflow_delete(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        name: &str,
    ) -> Result<WorkflowId, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let workflow =
            tenant.inbound.workflow(name).cloned().ok_or_else(|| Problem::not_found("workflow"))?;
        let now = self.now();
        let mut row = row(&tenant, &workflow);
        (row.deleted, row.updated) = (Some(now), now);
        let (gone, kept): (Vec<_>, Vec<_>) =
            tenant.inbound.triggers.iter().cloned().partition(|trigger| trigger.workflow == workflow.id);
        let deleted = |trigger: &Arc<crate::inbound::trigger::Trigger>| TriggerWrite {
            row: TriggerRow {
                deleted: Some(now),
                updated: now,
                slug: None,
                ..super::triggers::row(&tenant, trigger)
            },
            secrets: Some(Vec::new()),
        };
        let triggers = gone.iter().map(deleted).collect();
        let workflows =
            tenant.inbound.workflows.iter().filter(|known| known.id != workflow.id).cloned().collect();
        let act = Act {
            action: "workflow.deleted",
            target: name.to_owned(),
            before: Some(json!({ "version": workflow.version, "triggers": gone.len() })),
            after: None,
        };
        let inbound = Registered { workflows, triggers: kept };
        let change = InboundChange { workflows: vec![row], triggers, act, idempotency: None };
        self.inbound_commit(turn, actor, &tenant, inbound, change).await?;
        Ok(workflow.id)
    }

    /// Writes workflows and triggers under the tenant's next version.
    pub(super) async fn inbound_commit(
        &self,
        turn: Turn,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        inbound: Registered,
        change: InboundChange,
    ) -> Result<(), EngineError> {
        let now = self.now();
        let next = Arc::new(assemble::with_inbound(tenant, inbound, now));
        let write = ConfigWrite {
            at: now,
            tenant: Some(TenantWrite {
                row: assemble::tenant_row(&next),
                over: Over::Version(tenant.version),
                pins: false,
                unless_history: false,
            }),
            workflows: change.workflows,
            triggers: change.triggers,
            audit: vec![self.audit_row(actor, Some(tenant), now, change.act)],
            idempotency: change.idempotency,
            ..ConfigWrite::default()
        };
        self.commit(turn, write, After { tenant: Some(next), ..After::default() }).await
    }
}

/// What is written of workflows and triggers.
pub(super) struct InboundChange {
    pub(super) workflows: Vec<WorkflowRow>,
    pub(super) triggers: Vec<TriggerWrite>,
    pub(super) act: Act,
    pub(super) idempotency: Option<postrider_store::config::IdempotencyRow>,
}

fn row(tenant: &Tenant, workflow: &RegisteredWorkflow) -> WorkflowRow {
    WorkflowRow {
        tenant: tenant.id,
        id: workflow.id,
        name: workflow.name.clone(),
        version: workflow.version,
        description: workflow.description.clone(),
        definition: workflow.definition.to_string(),
        created: workflow.created,
        updated: workflow.updated,
        deleted: None,
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let goes_on =
        bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'));
    // Names of routes beside those of workflows.
    let taken = matches!(name, "webhooks" | "new");
    if begins && goes_on && name.len() <= NAME_BYTES_MAX && !taken {
        return Ok(());
    }
    Err(Problem::at(
        Code::InvalidField,
        "name",
        format!(
            "A workflow's name has 1 to {NAME_BYTES_MAX} characters of a-z 0-9 - and _, begins with a letter or digit, and is \
             neither `webhooks` nor `new`."
        ),
    ))
}

fn problem(errors: &[DefinitionError]) -> Problem {
    let told: Vec<String> = errors.iter().take(ERRORS_TOLD_MAX).map(ToString::to_string).collect();
    let more = errors.len().saturating_sub(ERRORS_TOLD_MAX);
    let more = if more > 0 { format!(" And {more} more.") } else { String::new() };
    let detail = format!("The workflow does not compile. {}{more}", told.join(" "));
    match errors.first() {
        Some(first) => Problem::at(Code::WorkflowInvalid, first.path.clone(), detail),
        None => Problem::new(Code::WorkflowInvalid, detail),
    }
}
