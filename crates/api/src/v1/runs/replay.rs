//! `POST /v1/runs/{run}/replay`: do a run once more.

use http::{Method, StatusCode};
use postrider_domain::id::RunId;
use postrider_engine::control::Role;

use super::{STARTED, answer_begun, keep};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/runs/{run}/replay",
    tag: "Runs",
    summary: "Replay a run",
    detail: "A new run with the same input and today's definition: whole, or from a step on, with the results of what came before it.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating_or_empty(&REPLAY, r#"{"from": "notify"}"#),
    gives: Gives::Json(StatusCode::ACCEPTED, &STARTED),
    handle: |call| Box::pin(handle(call)),
};

static REPLAY: Shape = Shape {
    name: "RunReplay",
    fields: &[
        Field::new("from", Kind::Text, "The path of the step to begin at; the first when absent.").nullable()
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let id = call.id("run", "run", RunId::parse)?;
    let from = fields.text("from");
    let runner = call.app.engine.runner();
    answer_begun(runner.replay(call.tenant(), id, from.as_deref(), keep(&call.idem)).await?)
}
