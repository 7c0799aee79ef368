//! `GET /v1/records/{kind}`: records of a kind, in the order of their ids.

use http::Method;
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;
use postrider_engine::derive::place::Owner;
use postrider_store::StoredRecord;
use serde::Serialize;
use serde_json::value::RawValue;

use super::raw;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/records/{kind}",
    tag: "Records",
    summary: "List records",
    detail: "In the order of their ids, which callers choose: unlike other lists, not newest first. Of a kind whose records name their tenant, an operator sees all of the profile's, a tenant its own.",
    access: Access::Roles(&Role::ALL, Scope::Records),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&ROW),
    handle: |call| Box::pin(handle(call)),
};

static ROW: Shape = Shape {
    name: "RecordRow",
    fields: &[
        Field::new("id", Kind::Text, "The caller's id.").required(),
        Field::new("tenant", Kind::Text, "Whose it is; null for a record that names no tenant.")
            .required()
            .nullable(),
        Field::new("version", Kind::Text, "For `If-Match`.").required(),
        Field::new("data", Kind::AnyObject, "The whole record.").required(),
        Field::new("createdAt", Kind::Time, "When it was first told.").required(),
        Field::new("updatedAt", Kind::Time, "When it was last changed.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: &'a str,
    tenant: Option<String>,
    version: String,
    data: &'a RawValue,
    created_at: String,
    updated_at: String,
}

async fn handle(call: Call) -> Answer {
    let place = call.records()?;
    let scope: [u8; 16] = call.tenant_id().map_or(place.scope, |tenant| *tenant.as_bytes());
    let page = Page::from_query(&format!("records {}", place.kind), &scope, &call.query)?;
    let after = page.after_text()?.unwrap_or_default();
    let store = call.app.engine.store();
    let rows = match (&place.owner, call.tenant_id()) {
        (Owner::Named { .. }, Some(tenant)) => {
            store.records_naming(tenant, &place.kind, after, page.rows()).await?
        }
        _ => store.records(&place.scope, &place.kind, after, page.rows()).await?,
    };
    let data: Vec<&RawValue> = rows.iter().map(|row| raw(&row.data)).collect::<Result<_, Problem>>()?;
    let rows: Vec<(&StoredRecord, &RawValue)> = rows.iter().zip(data).collect();
    Ok(page.answer_by(
        rows,
        |(row, _)| row.key.id.as_bytes().to_vec(),
        |(row, data)| View {
            id: &row.key.id,
            tenant: row.tenant.and_then(|tenant| call.app.public_id(tenant)),
            version: row.version.to_string(),
            data,
            created_at: row.created.to_string(),
            updated_at: row.updated.to_string(),
        },
    ))
}
