//! `POST /v1/workflows/{workflow}/runs`: start a run by hand.

use http::{Method, StatusCode};
use postrider_domain::id::TriggerId;
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;

use super::in_path;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::shape::{Field, Kind, Shape};
use crate::v1::runs::{STARTED, answer_begun, keep};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/workflows/{workflow}/runs",
    tag: "Workflows",
    summary: "Start a run",
    detail: "By hand, with any input.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating_or_empty(&NEW_RUN, r#"{"input": {"email": "person@example.com"}}"#),
    gives: Gives::Json(StatusCode::ACCEPTED, &STARTED),
    handle: |call| Box::pin(handle(call)),
};

static NEW_RUN: Shape = Shape {
    name: "NewRun",
    fields: &[
        Field::new("input", Kind::Any, "What the run begins with; the trigger's when absent, or `{}`.")
            .nullable(),
        Field::new("trigger", Kind::Text, "A trigger of type `manual`, in whose name it starts."),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let workflow = in_path(&call)?;
    let input = fields.any("input");
    let trigger = match fields.text("trigger") {
        None => None,
        Some(id) => {
            let id = TriggerId::parse(&id).map_err(|_| Problem::not_found("trigger"))?;
            let found = call.tenant().inbound.trigger(id).filter(|trigger| trigger.workflow == workflow.id);
            Some(found.cloned().ok_or_else(|| Problem::not_found("trigger"))?)
        }
    };
    let (runner, kept) = (call.app.engine.runner(), keep(&call.idem));
    let begun = runner.start_by_hand(call.tenant(), &workflow, trigger.as_ref(), input, kept).await?;
    answer_begun(begun)
}
