//! `GET /v1/records/{kind}/{id}`: a record with what its rules know of it.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{id, raw, with_etag};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::shape::{Field, Kind, Shape};
use crate::v1::rule_errors::{RULE_ERROR, View as FaultView};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/records/{kind}/{id}",
    tag: "Records",
    summary: "Read a record",
    detail: "With its marks (rules that fired once for it), when rules look at it again, and what they could not decide.",
    access: Access::Roles(&Role::ALL, Scope::Records),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &RECORD),
    handle: |call| Box::pin(handle(call)),
};

static RECORD: Shape = Shape {
    name: "Record",
    fields: &[
        Field::new("kind", Kind::Text, "What it is.").required(),
        Field::new("id", Kind::Text, "The caller's id.").required(),
        Field::new("tenant", Kind::Text, "Whose it is; null for a record that names no tenant.")
            .required()
            .nullable(),
        Field::new("version", Kind::Text, "For `If-Match`; also in the header `ETag`, in quotes.").required(),
        Field::new("data", Kind::AnyObject, "The whole record.").required(),
        Field::new("createdAt", Kind::Time, "When it was first told.").required(),
        Field::new("updatedAt", Kind::Time, "When it was last changed.").required(),
        Field::new("marks", Kind::List(&Kind::Object(&MARK)), "Rules that have fired for it, and fire once.")
            .required(),
        Field::new("due", Kind::List(&Kind::Object(&DUE)), "When rules look at it again.").required(),
        Field::new("errors", Kind::List(&Kind::Object(&RULE_ERROR)), "What rules could not decide.")
            .required(),
    ],
};

static MARK: Shape = Shape {
    name: "RecordMark",
    fields: &[
        Field::new("rule", Kind::Text, "The rule of the profile.").required(),
        Field::new("firedAt", Kind::Time, "When it fired.").required(),
        Field::new("event", Kind::Text, "The event; null when it was set by an import without events.")
            .required()
            .nullable(),
    ],
};

static DUE: Shape = Shape {
    name: "RecordDue",
    fields: &[
        Field::new("rule", Kind::Text, "The rule of the profile.").required(),
        Field::new("at", Kind::Time, "From when on it is looked at.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    kind: &'a str,
    id: &'a str,
    tenant: Option<String>,
    version: String,
    data: &'a RawValue,
    created_at: String,
    updated_at: String,
    marks: Vec<MarkView<'a>>,
    due: Vec<DueView<'a>>,
    errors: Vec<FaultView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MarkView<'a> {
    rule: &'a str,
    fired_at: String,
    event: Option<String>,
}

#[derive(Serialize)]
struct DueView<'a> {
    rule: &'a str,
    at: String,
}

async fn handle(call: Call) -> Answer {
    let (place, id) = (call.records()?, id(&call)?);
    let state = call.app.engine.derive().record_get(&place, &id).await?;
    let record = state.record.as_ref().ok_or_else(|| Problem::not_found("record"))?;
    let faults = call.app.engine.store().record_faults(&record.key).await?;
    let version = record.version.to_string();
    let marks = state.marks.iter().filter(|mark| Some(mark.tenant) == record.tenant);
    let view = View {
        kind: &place.kind,
        id: &id,
        tenant: record.tenant.and_then(|tenant| call.app.public_id(tenant)),
        version: version.clone(),
        data: raw(&record.data)?,
        created_at: record.created.to_string(),
        updated_at: record.updated.to_string(),
        marks: marks
            .map(|mark| MarkView {
                rule: &mark.rule,
                fired_at: mark.fired.to_string(),
                event: mark.event.map(|event| event.to_string()),
            })
            .collect(),
        due: state.due.iter().map(|due| DueView { rule: &due.rule, at: due.at.to_string() }).collect(),
        errors: faults
            .iter()
            .filter(|fault| Some(fault.tenant) == record.tenant)
            .map(FaultView::of)
            .collect(),
    };
    Ok(with_etag(&version, axum::Json(view).into_response()))
}
