//! `PUT /v1/workflows/{workflow}`: save a workflow, as JSON or YAML.

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use postrider_domain::limits::BODY_BYTES_MAX;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::workflow;
use postrider_engine::control::Role;
use serde_json::Value;

use super::{View, WORKFLOW};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::json::malformed;

const YAML: [&str; 3] = ["application/yaml", "application/x-yaml", "text/yaml"];

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PUT,
    path: "/v1/workflows/{workflow}",
    tag: "Workflows",
    summary: "Save a workflow",
    detail: "201 when it is new, 200 when it changed or is what it was. Everything in it is checked: what is wrong is named with its place. Runs that have begun go on with the definition that they began with.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Object {
        example: r#"{"description": "New leads", "steps": [{"id": "tell", "type": "emit", "event": {"type": "lead.received", "data": {"email": {"$expr": "input.email"}}}}]}"#,
        media_types: &["application/json", "application/yaml", "application/x-yaml", "text/yaml"],
        bytes_max: BODY_BYTES_MAX,
    },
    gives: Gives::Written(&WORKFLOW),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let definition = definition(&call)?;
    let (control, tenant) = (call.app.engine.control(), call.tenant());
    let changed = control.workflow_put(&call.actor(), tenant, call.path("workflow"), definition).await?;
    let status = if changed.created { StatusCode::CREATED } else { StatusCode::OK };
    answer(status, &View::whole(&changed.workflow))
}

fn definition(call: &Call) -> Result<Value, Problem> {
    let kind = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    if !YAML.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return serde_json::from_slice(&call.body).map_err(|error| malformed(&error));
    }
    let text = std::str::from_utf8(&call.body)
        .map_err(|_| Problem::new(Code::MalformedJson, "The YAML is not UTF-8 text."))?;
    workflow::from_yaml(text).map_err(|detail| Problem::new(Code::MalformedJson, detail))
}
