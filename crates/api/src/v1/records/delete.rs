//! `DELETE /v1/records/{kind}/{id}`: a record is gone.

use axum::response::IntoResponse;
use http::{Method, StatusCode};
use postrider_engine::control::Role;
use postrider_engine::derive::records::{Change, Edit};

use super::{condition, id};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/records/{kind}/{id}",
    tag: "Records",
    summary: "Delete a record",
    detail: "What follows from that is on disk with it. That a rule has fired once for it is remembered: a record of the same id does not fire it again.",
    access: Access::Roles(&[Role::Operator, Role::Publisher], Scope::RecordIf),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Nothing,
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let (place, id) = (call.records()?, id(&call)?);
    let change = Change { id, edit: Edit::Delete, old: None, condition: condition(&call.headers)? };
    call.app.engine.derive().record_change(&place, change).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
