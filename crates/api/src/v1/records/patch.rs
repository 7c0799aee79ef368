//! `PATCH /v1/records/{kind}/{id}`: change members of a record.

use http::{Method, StatusCode};
use postrider_domain::limits::IMPORT_LINE_BYTES_MAX;
use postrider_engine::control::Role;
use postrider_engine::derive::records::{Change, Edit, patch};

use super::{WRITTEN, answer_written, condition, id, text};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PATCH,
    path: "/v1/records/{kind}/{id}",
    tag: "Records",
    summary: "Change members of a record",
    detail: "The body is a JSON merge patch (RFC 7396): members that are null are removed, the others replaced. What it does not name stays as it is.",
    access: Access::Roles(&[Role::Operator, Role::Publisher], Scope::RecordIf),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Object {
        example: r#"{"status": "completed", "completed_at": "2026-04-11T18:45:10.567Z"}"#,
        media_types: &["application/merge-patch+json", "application/json"],
        bytes_max: IMPORT_LINE_BYTES_MAX,
    },
    gives: Gives::Json(StatusCode::OK, &WRITTEN),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let (place, id) = (call.records()?, id(&call)?);
    let condition = condition(&call.headers)?;
    let edit = Edit::Patch(patch(text(&call.body)?)?);
    let change = Change { id: id.clone(), edit, old: None, condition };
    let written = call.app.engine.derive().record_change(&place, change).await?;
    answer_written(&place, &id, &written)
}
