//! `/v1/workflows`: what runs do.

pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod put;
pub(crate) mod runs;
pub(crate) mod start;

use std::sync::Arc;

use postrider_domain::problem::Problem;
use postrider_engine::inbound::registered::RegisteredWorkflow;
use serde::Serialize;
use serde_json::Value;

use crate::endpoint::Call;
use crate::shape::{Field, Kind, Shape};

pub(crate) static WORKFLOW: Shape = Shape {
    name: "Workflow",
    fields: &[
        Field::new("id", Kind::Text, "`wf_…`").required(),
        Field::new("name", Kind::Text, "As in URLs.").required(),
        Field::new("version", Kind::Count, "Of its definition, from 1.").required(),
        Field::new("description", Kind::Text, "For people.").required(),
        Field::new("definition", Kind::AnyObject, "As it was saved; not in lists."),
        Field::new("createdAt", Kind::Time, "When it was first saved.").required(),
        Field::new("updatedAt", Kind::Time, "When it was last saved.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    id: String,
    name: &'a str,
    version: i64,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<&'a Value>,
    created_at: String,
    updated_at: String,
}

impl<'a> View<'a> {
    pub(crate) fn listed(workflow: &'a RegisteredWorkflow) -> Self {
        Self {
            id: workflow.id.to_string(),
            name: &workflow.name,
            version: workflow.version,
            description: &workflow.description,
            definition: None,
            created_at: workflow.created.to_string(),
            updated_at: workflow.updated.to_string(),
        }
    }

    pub(crate) fn whole(workflow: &'a RegisteredWorkflow) -> Self {
        Self { definition: Some(&workflow.definition), ..Self::listed(workflow) }
    }
}

/// The workflow in the path.
pub(crate) fn in_path(call: &Call) -> Result<Arc<RegisteredWorkflow>, Problem> {
    let found = call.tenant().inbound.workflow(call.path("workflow")).cloned();
    found.ok_or_else(|| Problem::not_found("workflow"))
}
