//! `GET /v1/rule-errors`: what rules could not decide, with the record and the rule.

use http::{Method, StatusCode};
use postrider_domain::limits::LIST_ITEMS_MAX;
use postrider_engine::control::Role;
use postrider_store::StoredFault;
use serde::Serialize;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/rule-errors",
    tag: "Records",
    summary: "List what rules could not decide",
    detail: "The last 100 of a tenant, newest first: one for a record and a rule, with how often it was seen. The rule fired nothing; nothing else was held up.",
    access: Access::Roles(&Role::ALL, Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &RULE_ERRORS),
    handle: |call| Box::pin(handle(call)),
};

static RULE_ERRORS: Shape = Shape {
    name: "RuleErrors",
    fields: &[
        Field::new("data", Kind::List(&Kind::Object(&RULE_ERROR)), "What could not be decided.").required()
    ],
};

pub(crate) static RULE_ERROR: Shape = Shape {
    name: "RuleError",
    fields: &[
        Field::new("kind", Kind::Text, "The record's kind.").required(),
        Field::new("id", Kind::Text, "The record.").required(),
        Field::new("rule", Kind::Text, "The rule of the profile.").required(),
        Field::new("at", Kind::Time, "When it was last seen.").required(),
        Field::new("times", Kind::Count, "How often it was seen.").required(),
        Field::new("detail", Kind::Text, "What could not be decided.").required(),
    ],
};

#[derive(Serialize)]
struct List<'a> {
    data: Vec<View<'a>>,
}

#[derive(Serialize)]
pub(crate) struct View<'a> {
    kind: &'a str,
    id: &'a str,
    rule: &'a str,
    at: String,
    times: u64,
    detail: &'a str,
}

impl<'a> View<'a> {
    pub(crate) fn of(fault: &'a StoredFault) -> Self {
        Self {
            kind: &fault.key.kind,
            id: &fault.key.id,
            rule: &fault.rule,
            at: fault.at.to_string(),
            times: fault.times,
            detail: &fault.detail,
        }
    }
}

async fn handle(call: Call) -> Answer {
    let faults = call.app.engine.store().rule_faults(call.tenant().id, LIST_ITEMS_MAX).await?;
    answer(StatusCode::OK, &List { data: faults.iter().map(View::of).collect() })
}
