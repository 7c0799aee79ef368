//! Request bodies: read within a bound and a time, parsed, and held against the endpoint's shape.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;

use crate::shape::Shape;

/// A caller who sends 8 MiB (the largest body) at 2 Mbit/s needs 34 s; one who trickles is cut off.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The whole body, or a refusal when it is longer than `bytes_max`, stops early, or trickles.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    let whole = Limited::new(body, bytes_max).collect();
    let Ok(read) = tokio::time::timeout(BODY_TIMEOUT, whole).await else {
        return Err(Problem::new(
            Code::MalformedJson,
            format!("The body did not arrive within {} seconds.", BODY_TIMEOUT.as_secs()),
        ));
    };
    match read {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Err(_) => Err(Problem::new(Code::MalformedJson, "The body ended before it was complete.")),
    }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("The body may have at most {bytes_max} bytes."))
}

/// What NDJSON calls itself.
pub(crate) const LINES: &[&str] = &["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// A body that is there must say that it is JSON: a browser's form cannot, so no other site can post one for a user.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    check_media_type(headers, &["application/json"])
}

pub(crate) fn check_media_type(headers: &HeaderMap, known: &[&str]) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or(""));
    let essence = given.split(';').next().unwrap_or("").trim();
    if known.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    let form = if known == LINES { "one JSON object on each line" } else { "JSON" };
    let names: Vec<String> = known.iter().map(|known| format!("`Content-Type: {known}`")).collect();
    let detail = format!("Send {form}, with {}.", names.join(" or "));
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

/// JSON that is not JSON, with the place where reading stopped.
pub(crate) fn malformed(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    // serde_json ends its sentences with the place, which is said once here.
    let what = text.split(" at line ").next().unwrap_or(&text);
    Problem::new(Code::MalformedJson, format!("The body is not valid JSON: {what}, at {place}."))
}

/// A body that was held against its shape: what the getters expect is then true. A field that is absent and one that
/// is null both read as none; [`Fields::given`] tells them apart.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

/// A field of a PATCH: not mentioned, to be removed, or to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change<T> {
    Keep,
    Remove,
    Set(T),
}

impl<T> Change<T> {
    /// As engine patches say it: `None` keeps, `Some(None)` removes.
    pub(crate) fn nested(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Remove => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

impl Fields {
    pub(crate) fn parse(shape: &Shape, body: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        shape.check(&value, "")?;
        Ok(Self::of(value))
    }

    /// An object that has been checked before.
    pub(crate) fn of(value: Value) -> Self {
        match value {
            Value::Object(fields) => Self(fields),
            _ => Self(Map::new()),
        }
    }

    pub(crate) fn empty() -> Self {
        Self(Map::new())
    }

    pub(crate) fn given(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn any(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.any(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn time(&mut self, name: &str) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(&self.text(name)?)
    }

    pub(crate) fn bool(&mut self, name: &str) -> Option<bool> {
        self.any(name)?.as_bool()
    }

    pub(crate) fn count(&mut self, name: &str) -> Option<u64> {
        self.any(name)?.as_u64()
    }

    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let Some(Value::Array(items)) = self.any(name) else { return None };
        Some(items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
    }

    /// Names with texts, in the order in which they were sent.
    pub(crate) fn pairs(&mut self, name: &str) -> Option<Vec<(String, String)>> {
        let pairs = self.map(name)?;
        Some(pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect())
    }

    pub(crate) fn map(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.any(name) {
            Some(Value::Object(map)) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn change<T>(&mut self, name: &str, get: fn(&mut Self, &str) -> Option<T>) -> Change<T> {
        if !self.given(name) {
            return Change::Keep;
        }
        get(self, name).map_or(Change::Remove, Change::Set)
    }
}
