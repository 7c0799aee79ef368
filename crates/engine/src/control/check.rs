//! Checks of what callers write into the configuration. Pure.

use jiff::tz::TimeZone;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use serde_json::{Map, Value};

/// A name: 1 to 200 bytes, no control characters (a NUL cannot be stored everywhere, a line end breaks logs and headers).
pub(super) fn name(field: &str, text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() || text.len() > limits::NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Problem::at(
            Code::InvalidField,
            field,
            format!("A name has 1 to {} bytes and no control characters.", limits::NAME_BYTES_MAX),
        ));
    }
    Ok(())
}

/// Free text, possibly of several lines.
pub(super) fn description(text: &str) -> Result<(), Problem> {
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.len() > limits::DESCRIPTION_BYTES_MAX || text.chars().any(odd) {
        return Err(Problem::at(
            Code::InvalidField,
            "description",
            format!(
                "A description has at most {} bytes and no control characters other than line ends and tabs.",
                limits::DESCRIPTION_BYTES_MAX
            ),
        ));
    }
    Ok(())
}

/// An IANA time zone.
pub(crate) fn timezone(text: &str) -> Result<TimeZone, Problem> {
    TimeZone::get(text).map_err(|_| {
        Problem::at(
            Code::InvalidField,
            "timezone",
            "The time zone is not an IANA name such as Europe/Berlin or UTC.",
        )
    })
}

/// Values that profiles put into bodies.
pub(super) fn attributes(attributes: &Map<String, Value>) -> Result<String, Problem> {
    let text = Value::Object(attributes.clone()).to_string();
    if text.len() > limits::ATTRIBUTES_BYTES_MAX {
        return Err(Problem::at(
            Code::InvalidField,
            "attributes",
            format!(
                "The attributes have {} bytes as JSON; at most {} are kept.",
                text.len(),
                limits::ATTRIBUTES_BYTES_MAX
            ),
        ));
    }
    // As JSON writes it.
    if text.contains("\\u0000") && holds_nul(&Value::Object(attributes.clone())) {
        return Err(Problem::at(
            Code::InvalidField,
            "attributes",
            "The attributes contain the character U+0000.",
        ));
    }
    Ok(text)
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The refusal to change what stored events depend on.
pub(super) fn has_history() -> Problem {
    Problem::at(
        Code::TenantHasHistory,
        "profile",
        "The tenant has events or records, which belong to its profile. Create another tenant for another profile.",
    )
}

/// The name of a secret or a connection: it stands in URLs and in definitions of workflows.
pub(super) fn credential_name(field: &str, text: &str) -> Result<(), Problem> {
    let mut bytes = text.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if begins && goes_on && text.len() <= limits::CREDENTIAL_NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Problem::at(
        Code::InvalidField,
        field,
        format!(
            "A name has 1 to {} of the characters A-Z a-z 0-9 and _, and begins with a letter.",
            limits::CREDENTIAL_NAME_BYTES_MAX
        ),
    ))
}
