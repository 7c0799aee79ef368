//! `/v1/records`: the application's own objects as last told to us, from whose changes events follow.

pub(crate) mod batch;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod import;
mod line;
pub(crate) mod list;
pub(crate) mod patch;
pub(crate) mod put;

use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_engine::derive::place::Place;
use postrider_engine::derive::records::{Condition, Written, check_id};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::endpoint::{Answer, Call};
use crate::shape::{Field, Kind, Shape};
use crate::v1::WARNING;

/// The words of paths that stand where an id would.
const RESERVED: [&str; 2] = ["batch", "import"];

static CAUSED: Shape = Shape {
    name: "CausedEvent",
    fields: &[
        Field::new("id", Kind::Text, "`evt_…`").required(),
        Field::new("type", Kind::Text, "What happened.").required(),
    ],
};

static WRITTEN: Shape = Shape {
    name: "RecordWritten",
    fields: &[
        Field::new("kind", Kind::Text, "What it is.").required(),
        Field::new("id", Kind::Text, "The caller's id.").required(),
        Field::new("tenant", Kind::Text, "Whose it is; null for a record that names no tenant.")
            .required()
            .nullable(),
        Field::new("became", Kind::Word(&["created", "updated", "unchanged"]), "What the write did.")
            .required(),
        Field::new("version", Kind::Text, "For `If-Match`; also in the header `ETag`, in quotes.").required(),
        Field::new("data", Kind::AnyObject, "The whole record.").required(),
        Field::new(
            "events",
            Kind::List(&Kind::Object(&CAUSED)),
            "Events that follow, in the same transaction.",
        )
        .required(),
        Field::new("warnings", Kind::List(&Kind::Object(&WARNING)), "What is worth knowing."),
    ],
};

#[derive(Serialize)]
struct WrittenView<'a> {
    kind: &'a str,
    id: &'a str,
    tenant: Option<&'a str>,
    became: &'static str,
    version: String,
    data: &'a RawValue,
    events: Vec<CausedView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningView<'a>>,
}

#[derive(Serialize)]
struct CausedView<'a> {
    id: String,
    r#type: &'a str,
}

#[derive(Serialize)]
struct WarningView<'a> {
    code: &'a str,
    detail: &'a str,
}

fn caused(written: &Written) -> Vec<CausedView<'_>> {
    written
        .events
        .iter()
        .map(|(id, event_type)| CausedView { id: id.to_string(), r#type: event_type })
        .collect()
}

fn warnings(all: &[Warning]) -> Vec<WarningView<'_>> {
    all.iter().map(|warning| WarningView { code: warning.code, detail: &warning.detail }).collect()
}

/// A record's JSON, as it is stored.
fn raw(data: &[u8]) -> Result<&RawValue, Problem> {
    serde_json::from_slice(data)
        .map_err(|_| Problem::new(Code::Internal, "The stored record cannot be read."))
}

fn answer_written(place: &Place, id: &str, written: &Written) -> Answer {
    let data = written.content.as_ref().map(|content| &*content.json).unwrap_or_default();
    let version = written.version.unwrap_or_default().to_string();
    let view = WrittenView {
        kind: &place.kind,
        id,
        tenant: written.tenant.as_ref().map(|tenant| &*tenant.public_id),
        became: written.became.as_str(),
        version: version.clone(),
        data: raw(data)?,
        events: caused(written),
        warnings: warnings(&written.warnings),
    };
    Ok(with_etag(&version, axum::Json(view).into_response()))
}

fn with_etag(version: &str, mut response: Response) -> Response {
    debug_assert_eq!(response.status(), StatusCode::OK);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The id in the path of one record.
fn id(call: &Call) -> Result<String, Problem> {
    let id = call.path("id");
    check_record_id(id)?;
    Ok(id.to_owned())
}

fn check_record_id(id: &str) -> Result<(), Problem> {
    check_id(id)?;
    if RESERVED.contains(&id) {
        let detail = format!(
            "`{}` stand for something else in paths; no record can have them as its id.",
            RESERVED.join("` and `")
        );
        return Err(Problem::at(Code::InvalidField, "id", detail));
    }
    Ok(())
}

/// `If-Match` and `If-None-Match`.
fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    let text = |name: &http::HeaderName| {
        headers.get(name).map(|value| value.to_str().unwrap_or("").trim().to_owned())
    };
    let condition = match (text(&IF_MATCH), text(&IF_NONE_MATCH)) {
        (None, None) => Condition::None,
        (Some(tags), None) if tags == "*" => Condition::Exists,
        (Some(tags), None) => Condition::Version(tags.split(',').filter_map(version).collect()),
        (None, Some(tags)) if tags == "*" => Condition::Absent,
        (None, Some(_)) => {
            let detail = "Of If-None-Match only `*` is known here: write where there is no such record yet.";
            return Err(Problem::at(Code::InvalidField, "If-None-Match", detail));
        }
        (Some(_), Some(_)) => {
            let detail = "If-Match asks for a record and If-None-Match for none. Send one of them.";
            return Err(Problem::at(Code::InvalidField, "If-None-Match", detail));
        }
    };
    Ok(condition)
}

/// What is no version of ours matches none.
fn version(tag: &str) -> Option<i64> {
    tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|_| Problem::new(Code::MalformedJson, "The body is not UTF-8."))
}
