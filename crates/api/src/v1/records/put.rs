//! `PUT /v1/records/{kind}/{id}`: write a record, whole.

use http::{Method, StatusCode};
use postrider_domain::limits::IMPORT_LINE_BYTES_MAX;
use postrider_engine::control::Role;
use postrider_engine::derive::records::{Change, Edit, content};

use super::{WRITTEN, answer_written, condition, id, text};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PUT,
    path: "/v1/records/{kind}/{id}",
    tag: "Records",
    summary: "Write a record, whole",
    detail: "The body is the record. What follows from the change, by the rules of the tenant's profile, is in the answer, and on disk with it. The same content again changes nothing and causes nothing.",
    access: Access::Roles(&[Role::Operator, Role::Publisher], Scope::RecordIf),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Object {
        example: r#"{"title": "Inspect the press", "status": "open", "due_date": "2026-04-11"}"#,
        media_types: &["application/json"],
        bytes_max: IMPORT_LINE_BYTES_MAX,
    },
    gives: Gives::Json(StatusCode::OK, &WRITTEN),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let (place, id) = (call.records()?, id(&call)?);
    let condition = condition(&call.headers)?;
    let edit = Edit::Put(content(text(&call.body)?)?);
    let change = Change { id: id.clone(), edit, old: None, condition };
    let written = call.app.engine.derive().record_change(&place, change).await?;
    answer_written(&place, &id, &written)
}
