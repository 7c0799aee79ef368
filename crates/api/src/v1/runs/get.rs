//! `GET /v1/runs/{run}`: one run with its input, steps and requests.

use std::collections::HashMap;

use http::{Method, StatusCode};
use postrider_domain::id::{EventId, RunId};
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;
use postrider_store::runs::{RunAttemptRow, StepRow};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{KINDS, STATES, View, workflow_name};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/runs/{run}",
    tag: "Runs",
    summary: "Show a run",
    detail: "With its input, its output, and every step with the requests that it made.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &RUN),
    handle: |call| Box::pin(handle(call)),
};

static RUN: Shape = Shape {
    name: "RunDetail",
    fields: &[
        Field::new("id", Kind::Text, "`run_…`").required(),
        Field::new("workflow", Kind::Text, "The workflow's name.").required(),
        Field::new("workflowVersion", Kind::Count, "Of the definition that it began with.").required(),
        Field::new("triggerId", Kind::Text, "What started it.").required().nullable(),
        Field::new("triggerType", Kind::Word(KINDS), "What kind of thing started it.").required(),
        Field::new("status", Kind::Word(STATES), "Where it stands. The last three never change.").required(),
        Field::new("createdAt", Kind::Time, "When it was accepted.").required(),
        Field::new("startedAt", Kind::Time, "When it was first worked on.").required().nullable(),
        Field::new("finishedAt", Kind::Time, "When it ended.").required().nullable(),
        Field::new("error", Kind::Text, "Why it failed or was cancelled.").required().nullable(),
        Field::new("requestId", Kind::Text, "The request that started it.").required().nullable(),
        Field::new("eventId", Kind::Text, "The event that started it.").required().nullable(),
        Field::new("replayOf", Kind::Text, "The run that it does once more.").required().nullable(),
        Field::new("parentRunId", Kind::Text, "The run whose step waits for it.").required().nullable(),
        Field::new("input", Kind::Any, "What it began with.").required().nullable(),
        Field::new("output", Kind::Any, "What it ended in.").required().nullable(),
        Field::new("steps", Kind::List(&Kind::Object(&STEP)), "In the order in which they began.").required(),
    ],
};

static STEP: Shape = Shape {
    name: "RunStep",
    fields: &[
        Field::new("path", Kind::Text, "Its id, behind those of the steps that it stands in.").required(),
        Field::new("type", Kind::Text, "As in the definition.").required(),
        Field::new("status", Kind::Word(&["pending", "succeeded", "failed", "skipped"]), "How it went.")
            .required(),
        Field::new("tries", Kind::Count, "Requests that it began.").required(),
        Field::new("startedAt", Kind::Time, "When it began.").required(),
        Field::new("finishedAt", Kind::Time, "When it ended.").required().nullable(),
        Field::new("until", Kind::Time, "The end of its wait.").required().nullable(),
        Field::new("output", Kind::Any, "What later steps see of it.").required().nullable(),
        Field::new("error", Kind::Text, "Why it failed.").required().nullable(),
        Field::new("eventId", Kind::Text, "The event that it made, or waited for.").required().nullable(),
        Field::new("runId", Kind::Text, "The run that it called.").required().nullable(),
        Field::new("attempts", Kind::List(&Kind::Object(&ATTEMPT)), "Its requests.").required(),
    ],
};

static ATTEMPT: Shape = Shape {
    name: "RunAttempt",
    fields: &[
        Field::new("number", Kind::Count, "From 1.").required(),
        Field::new("startedAt", Kind::Time, "When it began.").required(),
        Field::new(
            "class",
            Kind::Text,
            "What came of it. `unknown`: the process stopped before it could say, and the request was sent again.",
        )
        .required(),
        Field::new("status", Kind::Count, "Of the answer.").required().nullable(),
        Field::new("detail", Kind::Text, "What went wrong.").required().nullable(),
        Field::new("durationMs", Kind::Number, "How long it took.").required(),
        Field::new("responseHeaders", Kind::Text, "The beginning of the answer's head.").required(),
        Field::new("responseBody", Kind::Text, "The beginning of the answer's body.").required(),
        Field::new("responseBytes", Kind::Count, "Read of the body.").required(),
    ],
};

#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    run: View,
    input: Option<Box<RawValue>>,
    output: Option<Box<RawValue>>,
    steps: Vec<Step>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    path: String,
    r#type: String,
    status: &'static str,
    tries: u32,
    started_at: String,
    finished_at: Option<String>,
    until: Option<String>,
    output: Option<Value>,
    error: Option<String>,
    event_id: Option<String>,
    run_id: Option<String>,
    attempts: Vec<Attempt>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attempt {
    number: u32,
    started_at: String,
    class: &'static str,
    status: Option<u16>,
    detail: Option<String>,
    duration_ms: f64,
    response_headers: String,
    response_body: String,
    response_bytes: u64,
}

async fn handle(call: Call) -> Answer {
    let id = call.id("run", "run", RunId::parse)?;
    let (store, tenant) = (call.app.engine.store(), call.tenant().id);
    let row = store.run_get(tenant, id).await?.ok_or_else(|| Problem::not_found("run"))?;
    let input = store.run_input(tenant, id).await?;
    let output = store.run_output(tenant, id).await?;
    let steps = store.run_steps(tenant, id).await?;
    let mut attempts: HashMap<String, Vec<Attempt>> = HashMap::new();
    for one in store.run_attempts(tenant, id).await? {
        attempts.entry(one.path.clone()).or_default().push(attempt(one));
    }
    let raw = |json: Option<bytes::Bytes>| {
        json.and_then(|json| RawValue::from_string(String::from_utf8(json.to_vec()).ok()?).ok())
    };
    let detail = Detail {
        run: View::of(&row, &workflow_name(&call, &row).await?),
        input: raw(input),
        output: raw(output),
        steps: steps.into_iter().map(|row| step(row, &mut attempts)).collect(),
    };
    answer(StatusCode::OK, &detail)
}

fn step(row: StepRow, attempts: &mut HashMap<String, Vec<Attempt>>) -> Step {
    let calls = row.kind == "call";
    let event = row.link.filter(|_| !calls).map(|id| EventId::from_bytes(id).to_string());
    let run = row.link.filter(|_| calls).map(|id| RunId::from_bytes(id).to_string());
    Step {
        attempts: attempts.remove(&row.path).unwrap_or_default(),
        path: row.path,
        r#type: row.kind,
        status: row.status.as_str(),
        tries: row.tries,
        started_at: row.started.to_string(),
        finished_at: row.finished.map(|at| at.to_string()),
        until: row.until.map(|at| at.to_string()),
        output: row.output.and_then(|output| serde_json::from_slice(&output).ok()),
        error: row.error,
        event_id: event,
        run_id: run,
    }
}

fn attempt(row: RunAttemptRow) -> Attempt {
    let attempt = row.attempt;
    Attempt {
        number: attempt.number,
        started_at: attempt.started.to_string(),
        class: attempt.class.as_str(),
        status: attempt.status,
        detail: attempt.detail,
        duration_ms: attempt.timing.total_us as f64 / 1000.0,
        response_headers: String::from_utf8_lossy(&attempt.response_head).into_owned(),
        response_body: String::from_utf8_lossy(&attempt.response_body).into_owned(),
        response_bytes: attempt.response_bytes,
    }
}
