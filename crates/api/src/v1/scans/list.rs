//! `GET /v1/scans`: a tenant's scans that found something, or were asked for.

use http::{Method, StatusCode};
use postrider_domain::limits::LIST_ITEMS_MAX;
use postrider_domain::time::Timestamp;
use postrider_engine::control::Role;
use postrider_store::ScanRow;
use serde::Serialize;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::query::Parameter;
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/scans",
    tag: "Scans",
    summary: "List a tenant's last scans",
    detail: "The last 100, newest first. A scan that found nothing due leaves no row; one that is under way, or was cut short and goes on, has no `endedAt`.",
    access: Access::Roles(&Role::ALL, Scope::Tenant),
    gate: Gate::Open,
    query: &[Parameter::time("from", "For a moment at or after this time.")],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &SCANS),
    handle: |call| Box::pin(handle(call)),
};

static SCANS: Shape = Shape {
    name: "Scans",
    fields: &[Field::new("data", Kind::List(&Kind::Object(&ROW)), "Scans.").required()],
};

static ROW: Shape = Shape {
    name: "ScanRow",
    fields: &[
        Field::new("tick", Kind::Time, "The moment for which it was due, or at which it was asked for.")
            .required(),
        Field::new("startedAt", Kind::Time, "When it began.").required(),
        Field::new("endedAt", Kind::Time, "When it was done.").required().nullable(),
        Field::new("looked", Kind::Count, "Due times of records that were looked at.").required(),
        Field::new("events", Kind::Count, "Events that they caused.").required(),
        Field::new("made", Kind::Count, "Records that were made from templates.").required(),
        Field::new("errors", Kind::Count, "What rules could not decide: `GET /v1/rule-errors`.").required(),
    ],
};

#[derive(Serialize)]
struct List {
    data: Vec<View>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    tick: String,
    started_at: String,
    ended_at: Option<String>,
    looked: u64,
    events: u64,
    made: u64,
    errors: u64,
}

async fn handle(call: Call) -> Answer {
    let since = call.query.time("from")?.unwrap_or(Timestamp::from_unix_ms(0));
    let scans = call.app.engine.store().scans_since(call.tenant().id, since, LIST_ITEMS_MAX).await?;
    answer(StatusCode::OK, &List { data: scans.iter().map(view).collect() })
}

fn view(row: &ScanRow) -> View {
    View {
        tick: row.tick.to_string(),
        started_at: row.started.to_string(),
        ended_at: row.ended.map(|ended| ended.to_string()),
        looked: row.looked,
        events: row.events,
        made: row.made,
        errors: row.errors,
    }
}
