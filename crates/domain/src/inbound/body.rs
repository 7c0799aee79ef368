//! Bodies: what kind they are, and JSON of them. What a provider sends is bounded here in depth and in the number of its
//! values, before it is given memory.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::{json, limits};

/// Keys, values and containers of one JSON body. Measured, so many numbers take 77 MB once they are parsed, and the worst shape,
/// objects of one short member each, 150 MB. A body of 25 MB reaches it where its members have less than 50 bytes on average.
pub const JSON_VALUES_MAX: usize = 1_000_000;
/// Fields of one form.
pub const FORM_FIELDS_MAX: usize = 10_000;

/// What a body is by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Form,
}

/// Why a body is not taken. The codes are the causes under which refused requests are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyRefusal {
    ContentType { detail: String },
    Unparsable { detail: String },
}

impl BodyRefusal {
    /// A stable word for each.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ContentType { .. } => "content_type",
            Self::Unparsable { .. } => "unparsable",
        }
    }

    pub fn detail(&self) -> &str {
        match self {
            Self::ContentType { detail } | Self::Unparsable { detail } => detail,
        }
    }

    fn unparsable(detail: impl Into<String>) -> Self {
        Self::Unparsable { detail: detail.into() }
    }
}

/// The kind that the headers say; `None` for any that is not taken, and where several are said.
pub(super) fn kind(headers: &HeaderMap) -> Option<Kind> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Some(Kind::Json) };
    if values.next().is_some() {
        return None;
    }
    let value = value.to_str().ok()?;
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "" | "application/json" | "text/json" | "text/plain" => Some(Kind::Json),
        "application/x-www-form-urlencoded" => Some(Kind::Form),
        other => other.ends_with("+json").then_some(Kind::Json),
    }
}

/// Whether a body is a form by its content type: it is not JSON then, even where its bytes are.
pub fn is_form(headers: &HeaderMap) -> bool {
    kind(headers) == Some(Kind::Form)
}

/// The body as JSON. `application/json`, `*+json`, `text/plain` and no type at all are JSON; a form becomes an object whose
/// values are texts, or lists of texts where a name stands several times. An empty body is no JSON.
pub fn parse_body(headers: &HeaderMap, body: &[u8]) -> Result<Value, BodyRefusal> {
    match kind(headers) {
        Some(Kind::Json) => parse_json(body),
        Some(Kind::Form) => parse_form(body),
        None => {
            let shown = match headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
                Some(text) => format!("`{}`", text.chars().take(100).collect::<String>()),
                None => "not readable".to_owned(),
            };
            let detail = format!(
                "The content type is {shown}; JSON (application/json, any +json, text/plain, or none) and \
                 application/x-www-form-urlencoded are taken, and only one."
            );
            Err(BodyRefusal::ContentType { detail })
        }
    }
}

fn parse_json(body: &[u8]) -> Result<Value, BodyRefusal> {
    if body.is_empty() {
        return Err(BodyRefusal::unparsable("The body is empty; JSON is expected."));
    }
    if std::str::from_utf8(body).is_err() {
        return Err(BodyRefusal::unparsable("The body is not UTF-8."));
    }
    check_size(body)?;
    serde_json::from_slice(body)
        .map_err(|error| BodyRefusal::unparsable(format!("The body is not JSON: {error}.")))
}

/// Counts, in one look at each byte, what a reader would make of the body if it is JSON.
fn check_size(body: &[u8]) -> Result<(), BodyRefusal> {
    let mut depth = 0usize;
    let mut values = 1usize;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                values += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' | b':' => values += 1,
            b'"' => {
                loop {
                    at += json::plain_len(&body[at..]);
                    match body.get(at) {
                        Some(b'"') | None => break,
                        Some(b'\\') => at = (at + 2).min(body.len()),
                        Some(_) => at += 1,
                    }
                }
                at = (at + 1).min(body.len());
            }
            _ => {}
        }
        if depth > limits::JSON_DEPTH_MAX {
            let detail = format!("The body's JSON nests deeper than {} levels.", limits::JSON_DEPTH_MAX);
            return Err(BodyRefusal::unparsable(detail));
        }
        if values > JSON_VALUES_MAX {
            let detail = format!("The body's JSON has more than {JSON_VALUES_MAX} values.");
            return Err(BodyRefusal::unparsable(detail));
        }
    }
    Ok(())
}

fn parse_form(body: &[u8]) -> Result<Value, BodyRefusal> {
    let mut object = serde_json::Map::new();
    for (at, (name, value)) in form_urlencoded::parse(body).enumerate() {
        if at == FORM_FIELDS_MAX {
            let detail = format!("The form has more than {FORM_FIELDS_MAX} fields.");
            return Err(BodyRefusal::unparsable(detail));
        }
        let value = Value::String(value.into_owned());
        match object.get_mut(name.as_ref()) {
            None => drop(object.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    if object.is_empty() {
        return Err(BodyRefusal::unparsable("The body is empty; a form is expected."));
    }
    Ok(Value::Object(object))
}

/// The body as compact JSON bytes, for looking into it without parsing it: nothing where it is not JSON, nests too deep, or
/// says that it is something else.
pub(super) fn compact(headers: &HeaderMap, body: &[u8]) -> Option<Vec<u8>> {
    if kind(headers) != Some(Kind::Json) {
        return None;
    }
    json::compact(std::str::from_utf8(body).ok()?, limits::JSON_DEPTH_MAX).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(content_type: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).expect("a value"));
        }
        headers
    }

    fn check(content_type: &str, body: &[u8], expected: Result<Value, &str>) {
        let found = parse_body(&headers(content_type), body).map_err(|refusal| refusal.code());
        assert_eq!(found, expected, "{content_type} {}", String::from_utf8_lossy(body));
    }

    #[test]
    fn a_body_is_read_by_its_type() {
        let json = || Ok(serde_json::json!({ "a": 1 }));
        for content_type in [
            "",
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/cloudevents+json",
            "text/plain",
            "text/plain;charset=utf-8",
        ] {
            check(content_type, b"{\"a\":1}", json());
        }
        for content_type in ["text/html", "application/xml", "multipart/form-data; boundary=x", "json"] {
            check(content_type, b"{\"a\":1}", Err("content_type"));
        }
        let mut twice = headers("application/json");
        twice.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert_eq!(parse_body(&twice, b"{}").expect_err("doubled").code(), "content_type");
    }

    #[test]
    fn a_form_is_an_object_of_texts_and_lists() {
        const FORM: &str = "application/x-www-form-urlencoded";
        check(FORM, b"a=1&b=x+y%26&a=2&c", Ok(serde_json::json!({ "a": ["1", "2"], "b": "x y&", "c": "" })));
        check(FORM, b"", Err("unparsable"));
        let many = vec!["a=1"; FORM_FIELDS_MAX + 1].join("&");
        check(FORM, many.as_bytes(), Err("unparsable"));
    }

    #[test]
    fn what_is_not_json_is_unparsable() {
        for body in [
            &b""[..],
            b" ",
            b"{",
            b"not json",
            b"{} {}",
            b"\xff",
            b"\xef\xbb\xbf{}",
            b"\"\\",
            b"\"",
            b"1e999",
        ] {
            check("application/json", body, Err("unparsable"));
        }
    }

    #[test]
    fn depth_and_number_are_bounded_before_anything_is_built() {
        for nested in [10_000, 10_000_000] {
            check("", "[".repeat(nested).as_bytes(), Err("unparsable"));
        }
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_body(&headers(""), nested(limits::JSON_DEPTH_MAX).as_bytes()).is_ok());
        check("", nested(limits::JSON_DEPTH_MAX + 1).as_bytes(), Err("unparsable"));
        // Brackets in texts do not count.
        let text = format!("\"{}\\\"{}\"", "[".repeat(1000), "{".repeat(1000));
        assert!(parse_body(&headers(""), text.as_bytes()).is_ok());
        let many = format!("[{}0]", "0,".repeat(12_500_000));
        check("", many.as_bytes(), Err("unparsable"));
    }

    proptest! {
        #[test]
        fn any_bytes_of_any_type_are_taken_or_refused(
            body in prop::collection::vec(any::<u8>(), 0..100),
            content_type in "[ -~]{0,30}",
        ) {
            let _ = parse_body(&headers(content_type.trim()), &body);
            let _ = parse_body(&headers("application/x-www-form-urlencoded"), &body);
            let _ = parse_body(&headers(""), &body);
        }

        #[test]
        fn what_is_counted_is_never_less_than_what_a_reader_builds(text in "[\\[\\]{}\",:0-9\\\\ ]{0,16}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert!(check_size(text.as_bytes()).is_ok(), "{value}");
            }
        }
    }
}
