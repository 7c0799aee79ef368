//! What JSON an endpoint takes and gives, as tables.
//!
//! One table does three things: it refuses what does not fit (with the field and the nearest name), it becomes the
//! schema in `/openapi.json`, and the tests hold every answer against it. So the document cannot drift from the code.
//! Contents (is this a URL, does this pattern match anything) are judged by the engine, not here.

use serde_json::{Map, Value, json};

use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;

/// An object with named fields. Fields that are not listed are refused.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    kind: Kind,
    doc: &'static str,
    presence: Presence,
    null: Null,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    Refused,
    Allowed,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    /// RFC 3339.
    Time,
    /// A whole number of at least zero.
    Count,
    Number,
    Bool,
    /// Any JSON value.
    Any,
    /// Any JSON object.
    AnyObject,
    Word(&'static [&'static str]),
    Object(&'static Shape),
    List(&'static Kind),
    /// An object whose names the caller chooses.
    Map(&'static Kind),
}

impl Field {
    /// A field that may be left out and, when present, is not null.
    pub(crate) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, doc, presence: Presence::Optional, null: Null::Refused }
    }

    pub(crate) const fn required(self) -> Self {
        Self { presence: Presence::Required, ..self }
    }

    /// May be null: in a PATCH that removes the value, in an answer there is none.
    pub(crate) const fn nullable(self) -> Self {
        Self { null: Null::Allowed, ..self }
    }
}

impl Shape {
    /// Whether `value` fits, with the path of what does not. `at` is the path of the value itself, empty for a whole body.
    pub(crate) fn check(&self, value: &Value, at: &str) -> Result<(), Problem> {
        let Value::Object(given) = value else {
            return Err(wrong_type(value, "an object", at));
        };
        for name in given.keys() {
            if !self.fields.iter().any(|field| field.name == name) {
                return Err(self.unknown_field(name, at));
            }
        }
        for field in self.fields {
            let at = join(at, field.name);
            match given.get(field.name) {
                None if field.presence == Presence::Required => {
                    return Err(Problem::at(
                        Code::MissingField,
                        &at,
                        format!("`{at}` is required: {}", field.doc),
                    ));
                }
                None => {}
                Some(Value::Null) if field.null == Null::Allowed => {}
                Some(value) => field.kind.check(value, &at)?,
            }
        }
        Ok(())
    }

    fn unknown_field(&self, name: &str, at: &str) -> Problem {
        let known: Vec<&str> = self.fields.iter().map(|field| field.name).collect();
        let path = join(at, name);
        let detail = match (nearest(name, &known), known.is_empty()) {
            (Some(nearest), _) => format!("There is no field `{path}`. Did you mean `{nearest}`?"),
            (None, false) => format!("There is no field `{path}`. Known here: {}.", known.join(", ")),
            (None, true) => format!("There is no field `{path}`; this request takes none."),
        };
        Problem::at(Code::UnknownField, path, detail)
    }

    /// The shape as a JSON Schema, for the document.
    pub(crate) fn schema(&self) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in self.fields {
            let mut schema = field.kind.schema();
            if field.null == Null::Allowed {
                schema = allow_null(schema);
            }
            if let Value::Object(schema) = &mut schema {
                schema.insert("description".to_owned(), field.doc.into());
            }
            properties.insert(field.name.to_owned(), schema);
            if field.presence == Presence::Required {
                required.push(Value::from(field.name));
            }
        }
        let mut schema =
            json!({"type": "object", "additionalProperties": false, "properties": Value::Object(properties)});
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }

    /// This shape and every shape it names, each once.
    pub(crate) fn visit(&'static self, seen: &mut Vec<&'static Shape>) {
        if seen.iter().any(|shape| shape.name == self.name) {
            return;
        }
        seen.push(self);
        for field in self.fields {
            field.kind.visit(seen);
        }
    }
}

impl Kind {
    fn check(&self, value: &Value, at: &str) -> Result<(), Problem> {
        match (self, value) {
            (Self::Any, _) | (Self::AnyObject, Value::Object(_)) | (Self::Bool, Value::Bool(_)) => Ok(()),
            (Self::Number, Value::Number(_)) => Ok(()),
            (Self::Count, Value::Number(number)) if number.is_u64() => Ok(()),
            (Self::Text, Value::String(text)) if text.contains('\0') => Err(Problem::at(
                Code::InvalidField,
                at,
                format!("`{at}` must not hold the character U+0000."),
            )),
            (Self::Text, Value::String(_)) => Ok(()),
            (Self::Time, Value::String(text)) if Timestamp::parse_rfc3339(text).is_some() => Ok(()),
            (Self::Word(words), Value::String(text)) if words.contains(&text.as_str()) => Ok(()),
            (Self::Object(shape), _) => shape.check(value, at),
            (Self::List(kind), Value::Array(items)) => {
                items.iter().enumerate().try_for_each(|(n, item)| kind.check(item, &format!("{at}[{n}]")))
            }
            (Self::Map(kind), Value::Object(items)) => {
                items.iter().try_for_each(|(name, item)| kind.check(item, &join(at, name)))
            }
            _ => Err(wrong_type(value, &self.expected(), at)),
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Text => "a string".to_owned(),
            Self::Time => "a time like \"2026-01-31T09:30:00Z\" (RFC 3339)".to_owned(),
            Self::Count => "a whole number of at least 0".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Any => "any JSON value".to_owned(),
            Self::AnyObject | Self::Object(_) | Self::Map(_) => "an object".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::List(kind) => match kind {
                Self::Text => "a list of strings".to_owned(),
                Self::Object(_) => "a list of objects".to_owned(),
                _ => "a list".to_owned(),
            },
        }
    }

    fn schema(&self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
            Self::Count => json!({"type": "integer", "minimum": 0}),
            Self::Number => json!({"type": "number"}),
            Self::Bool => json!({"type": "boolean"}),
            Self::Any => json!({}),
            Self::AnyObject => json!({"type": "object"}),
            Self::Word(words) => json!({"type": "string", "enum": words}),
            Self::Object(shape) => json!({"$ref": reference(shape.name)}),
            Self::List(kind) => json!({"type": "array", "items": kind.schema()}),
            Self::Map(kind) => json!({"type": "object", "additionalProperties": kind.schema()}),
        }
    }

    fn visit(&self, seen: &mut Vec<&'static Shape>) {
        match self {
            Self::Object(shape) => shape.visit(seen),
            Self::List(kind) | Self::Map(kind) => kind.visit(seen),
            _ => {}
        }
    }
}

/// Where a shape stands in the document.
pub(crate) fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

fn allow_null(schema: Value) -> Value {
    match schema.get("type").and_then(Value::as_str) {
        Some(kind) if schema.get("enum").is_none() => {
            let mut schema = schema.clone();
            schema["type"] = json!([kind, "null"]);
            schema
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

fn wrong_type(value: &Value, expected: &str, at: &str) -> Problem {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string that is not",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let what = if at.is_empty() { "The body".to_owned() } else { format!("`{at}`") };
    // A string where a string was wanted has the wrong content: an unknown word, not a time.
    let detail = match value {
        Value::String(_) if !expected.starts_with("one of") && !expected.starts_with("a time") => {
            format!("{what} must be {expected}, and is a string.")
        }
        Value::String(_) => format!("{what} must be {expected}."),
        _ => format!("{what} must be {expected}, and is {found}."),
    };
    Problem { code: Code::InvalidField, detail, field: (!at.is_empty()).then(|| at.to_owned()) }
}

pub(crate) fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// The known name that was probably meant: two slips away, or a third of its letters, but not all of them.
pub(crate) fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (distance(&given.to_ascii_lowercase(), &name.to_ascii_lowercase()), *name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(2) && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's, over bytes. Long names are not worth the square of their length.
fn distance(a: &str, b: &str) -> usize {
    const COMPARED_BYTES_MAX: usize = 64;
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().max(b.len()) > COMPARED_BYTES_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Shape =
        Shape { name: "Inner", fields: &[Field::new("url", Kind::Text, "Where to.").required()] };
    static OUTER: Shape = Shape {
        name: "Outer",
        fields: &[
            Field::new("name", Kind::Text, "What it is called.").required(),
            Field::new("events", Kind::List(&Kind::Text), "Patterns."),
            Field::new("from", Kind::Time, "The start."),
            Field::new("mode", Kind::Word(&["scan", "immediate"]), "When."),
            Field::new("note", Kind::Text, "May be removed.").nullable(),
            Field::new("inner", Kind::Object(&INNER), "A part."),
            Field::new("headers", Kind::Map(&Kind::Text), "More headers."),
        ],
    };

    #[test]
    fn what_does_not_fit_is_named_with_its_path() {
        let check = |text: &str| {
            let value: Value = serde_json::from_str(text).expect("the test's JSON is JSON");
            OUTER.check(&value, "").err().map(|problem| (problem.code, problem.field.unwrap_or_default()))
        };
        assert_eq!(check(r#"{"name":"a","note":null,"from":"2026-01-31T09:30:00Z","mode":"scan"}"#), None);
        for (text, code, field) in [
            (r#"[]"#, Code::InvalidField, ""),
            (r#"{}"#, Code::MissingField, "name"),
            (r#"{"nmae":"a"}"#, Code::UnknownField, "nmae"),
            (r#"{"name":null}"#, Code::InvalidField, "name"),
            (r#"{"name":7}"#, Code::InvalidField, "name"),
            (r#"{"name":"a\u0000b"}"#, Code::InvalidField, "name"),
            (r#"{"name":"a","events":"b"}"#, Code::InvalidField, "events"),
            (r#"{"name":"a","events":["b",3]}"#, Code::InvalidField, "events[1]"),
            (r#"{"name":"a","from":"yesterday"}"#, Code::InvalidField, "from"),
            (r#"{"name":"a","mode":"sometimes"}"#, Code::InvalidField, "mode"),
            (r#"{"name":"a","inner":{}}"#, Code::MissingField, "inner.url"),
            (r#"{"name":"a","inner":{"url":"b","uri":"c"}}"#, Code::UnknownField, "inner.uri"),
            (r#"{"name":"a","headers":{"X":1}}"#, Code::InvalidField, "headers.X"),
        ] {
            assert_eq!(check(text), Some((code, field.to_owned())), "{text}");
        }
    }

    #[test]
    fn an_unknown_field_names_the_nearest_known_one() {
        let problem = OUTER.check(&json!({"nmae": "a"}), "").expect_err("nmae is not a field");
        assert!(problem.detail.contains("`name`"), "{}", problem.detail);
        let problem = OUTER.check(&json!({"zzzzzz": "a"}), "").expect_err("zzzzzz is not a field");
        assert!(problem.detail.contains("name, events"), "{}", problem.detail);
    }
}
