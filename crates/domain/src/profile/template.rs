//! Text with placeholders: `sha256={…}`, `{event.type}`. A closed list; compiled once, so that rendering cannot fail.

use std::io::Write as _;

use jiff::tz::{Offset, TimeZone};
use serde_json::Value;

use super::Message;
use crate::event::OPERATIONAL_TYPES;
use crate::json;
use crate::time::Timestamp;

/// Text with values in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Value(Placeholder),
}

/// One value of a message, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placeholder {
    pub(crate) source: Source,
    pub(crate) format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    EventId,
    EventType,
    EventTime,
    EventTest,
    /// The data, or what is at a path in it.
    EventData(Vec<String>),
    TenantId,
    TenantName,
    TenantAttribute(Vec<String>),
    DeliveryUuid,
    DeliveryId,
    AttemptNumber,
    AttemptTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As it is; JSON null where it is missing.
    Plain,
    Time(TimeFormat),
    OmitWhenMissing,
    OnlyWhenTrue,
    OnlyWhenOperational,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    Rfc3339Millis,
    Rfc3339Seconds,
    Rfc3339SecondsInTenantZone,
    UnixSeconds,
}

const TIME_FORMATS: [(&str, TimeFormat); 4] = [
    ("rfc3339-millis", TimeFormat::Rfc3339Millis),
    ("rfc3339-seconds", TimeFormat::Rfc3339Seconds),
    ("rfc3339-seconds-in-tenant-zone", TimeFormat::Rfc3339SecondsInTenantZone),
    ("unix-seconds", TimeFormat::UnixSeconds),
];

/// Where a template stands: decides which placeholders make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Envelope,
    /// A header, or what is signed: the event's data is not for these.
    Line,
}

/// What stands between braces, and what stands between those.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Text(&'a str),
    Braced(&'a str),
}

/// Splits a template at its outermost braces.
pub(crate) fn tokens(template: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut depth = 0usize;
    let mut start = 0;
    for (at, byte) in template.bytes().enumerate() {
        match byte {
            b'{' => {
                if depth == 0 {
                    if at > start {
                        tokens.push(Token::Text(&template[start..at]));
                    }
                    start = at + 1;
                }
                depth += 1;
            }
            b'}' => {
                depth = depth.checked_sub(1).ok_or_else(|| format!("a '}}' without '{{' in `{template}`"))?;
                if depth == 0 {
                    tokens.push(Token::Braced(&template[start..at]));
                    start = at + 1;
                }
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err(format!("a '{{' without '}}' in `{template}`"));
    }
    if start < template.len() {
        tokens.push(Token::Text(&template[start..]));
    }
    Ok(tokens)
}

impl Template {
    /// Whether every message of one event gets the same text.
    pub(crate) fn depends_on_event_only(&self) -> bool {
        self.0.iter().all(|part| match part {
            Part::Text(_) => true,
            Part::Value(placeholder) => placeholder.depends_on_event_only(),
        })
    }

    pub(crate) fn parse(template: &str, place: Place) -> Result<Self, String> {
        let mut parts = Vec::new();
        for token in tokens(template)? {
            parts.push(match token {
                Token::Text(text) => Part::Text(text.to_owned()),
                Token::Braced(inner) => Part::Value(Placeholder::parse(inner, place)?),
            });
        }
        Ok(Self(parts))
    }

    /// The placeholder that this template consists of, if it is nothing else.
    pub(crate) fn only(&self) -> Option<&Placeholder> {
        match self.0.as_slice() {
            [Part::Value(placeholder)] => Some(placeholder),
            _ => None,
        }
    }

    /// The text, if there is no value in it.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Writes it as text. False when one of its values is left out, and with it the whole.
    pub(crate) fn write_text(&self, out: &mut Vec<u8>, message: &Message<'_>, data: &[u8]) -> bool {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value(placeholder) => {
                    if !placeholder.write_text(out, message, data) {
                        return false;
                    }
                }
            }
        }
        true
    }
}

impl Placeholder {
    /// The event and its tenant, not the delivery nor the attempt.
    pub(crate) fn depends_on_event_only(&self) -> bool {
        !matches!(
            self.source,
            Source::DeliveryId | Source::DeliveryUuid | Source::AttemptNumber | Source::AttemptTime
        )
    }

    /// `event.time|rfc3339-millis`, without the braces.
    pub(crate) fn parse(inner: &str, place: Place) -> Result<Self, String> {
        let (name, format) = match inner.split_once('|') {
            Some((name, format)) => (name.trim(), Some(format.trim())),
            None => (inner.trim(), None),
        };
        let source = Source::parse(name)
            .filter(|source| place == Place::Envelope || !matches!(source, Source::EventData(_)))
            .ok_or_else(|| format!("unknown placeholder {{{name}}}; here are {}", known(place)))?;
        let formats = source.formats();
        let format = match format {
            None => formats.first().map_or(Format::Plain, |(_, format)| match format {
                Format::Time(_) => *format,
                _ => Format::Plain,
            }),
            Some(wanted) => {
                let found = formats.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, format)| *format).ok_or_else(|| unknown_format(name, wanted, &formats))?
            }
        };
        Ok(Self { source, format })
    }

    /// Writes the value as JSON, in its own type. False when it is left out.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>, message: &Message<'_>, data: &[u8]) -> bool {
        match &self.source {
            Source::EventTest | Source::EventData(_) | Source::TenantAttribute(_) => {
                return self.write_typed(out, message, data);
            }
            Source::AttemptNumber => write(out, message.attempt),
            Source::EventId => json::write_string(out, message.event_id),
            Source::EventType => json::write_string(out, message.event_type),
            Source::TenantId => json::write_string(out, &message.tenant.id),
            Source::TenantName => json::write_string(out, &message.tenant.name),
            Source::EventTime | Source::AttemptTime
                if self.format == Format::Time(TimeFormat::UnixSeconds) =>
            {
                self.write_text(out, message, data);
            }
            // None of these has a character that JSON would escape.
            Source::EventTime | Source::AttemptTime | Source::DeliveryUuid | Source::DeliveryId => {
                out.push(b'"');
                self.write_text(out, message, data);
                out.push(b'"');
            }
        }
        true
    }

    /// The values that have a JSON type of their own, or may be missing.
    fn write_typed(&self, out: &mut Vec<u8>, message: &Message<'_>, data: &[u8]) -> bool {
        let operational = || OPERATIONAL_TYPES.contains(&message.event_type);
        match (&self.source, self.format) {
            (Source::EventTest, Format::OnlyWhenTrue) if !message.test => return false,
            (Source::EventTest, _) => write(out, message.test),
            (_, Format::OnlyWhenOperational) if !operational() => return false,
            (Source::EventData(path), format) => match json::find(data, path) {
                Some(value) => out.extend_from_slice(value),
                None if format == Format::OmitWhenMissing => return false,
                None => out.extend_from_slice(b"null"),
            },
            (Source::TenantAttribute(path), format) => match attribute(message, path) {
                Some(value) => write(out, value),
                None if format == Format::OmitWhenMissing => return false,
                None => out.extend_from_slice(b"null"),
            },
            _ => {}
        }
        true
    }

    /// Writes the value as plain text: strings without quotes, a missing value as nothing. False when it is left out.
    pub(crate) fn write_text(&self, out: &mut Vec<u8>, message: &Message<'_>, data: &[u8]) -> bool {
        match &self.source {
            Source::EventId => out.extend_from_slice(message.event_id.as_bytes()),
            Source::EventType => out.extend_from_slice(message.event_type.as_bytes()),
            Source::TenantId => out.extend_from_slice(message.tenant.id.as_bytes()),
            Source::TenantName => out.extend_from_slice(message.tenant.name.as_bytes()),
            Source::EventTime => self.write_time(out, message.event_time, &message.tenant.timezone),
            Source::AttemptTime => self.write_time(out, message.sent_at, &message.tenant.timezone),
            Source::DeliveryUuid => write(out, message.delivery_uuid.get()),
            Source::DeliveryId => write(out, message.delivery_id),
            Source::AttemptNumber => write(out, message.attempt),
            Source::EventTest | Source::EventData(_) | Source::TenantAttribute(_) => {
                let mut value = Vec::new();
                if !self.write_typed(&mut value, message, data) {
                    return false;
                }
                match json::text(&value) {
                    Some(text) => out.extend_from_slice(text.as_bytes()),
                    None if value == b"null" => {}
                    None => out.extend_from_slice(&value),
                }
            }
        }
        true
    }

    fn write_time(&self, out: &mut Vec<u8>, time: Timestamp, zone: &TimeZone) {
        match self.format {
            Format::Time(TimeFormat::UnixSeconds) => write(out, time.unix_seconds()),
            Format::Time(TimeFormat::Rfc3339Seconds) => {
                write_utc(out, time, Precision::Seconds);
                out.push(b'Z');
            }
            Format::Time(TimeFormat::Rfc3339SecondsInTenantZone) => {
                // RFC 3339 has no offsets with seconds, which zones had before they had whole hours.
                let minutes = zone.to_offset(time.to_jiff()).seconds() / 60;
                let offset = Offset::from_seconds(minutes * 60).unwrap_or(Offset::UTC);
                let sign = if minutes < 0 { '-' } else { '+' };
                let shifted = time.to_jiff().as_millisecond() + i64::from(offset.seconds()) * 1000;
                write_utc(out, Timestamp::from_unix_ms(shifted), Precision::Seconds);
                let minutes = minutes.unsigned_abs();
                let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
            }
            _ => {
                write_utc(out, time, Precision::Millis);
                out.push(b'Z');
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Precision {
    Seconds,
    Millis,
}

/// `2026-04-11T18:45:12` with or without `.123`, written digit by digit: it stands in every request.
fn write_utc(out: &mut Vec<u8>, time: Timestamp, precision: Precision) {
    let civil = Offset::UTC.to_datetime(time.to_jiff());
    let digits = |out: &mut Vec<u8>, number: i64, width: u32| {
        for place in (0..width).rev() {
            let digit = number / 10i64.pow(place) % 10;
            out.push(b'0' + u8::try_from(digit).unwrap_or(0));
        }
    };
    digits(out, i64::from(civil.year()), 4);
    for (mark, number) in [
        (b'-', civil.month()),
        (b'-', civil.day()),
        (b'T', civil.hour()),
        (b':', civil.minute()),
        (b':', civil.second()),
    ] {
        out.push(mark);
        digits(out, i64::from(number), 2);
    }
    if precision == Precision::Millis {
        out.push(b'.');
        digits(out, i64::from(civil.millisecond()), 3);
    }
}

fn write(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("because writing to memory does not fail");
}

fn attribute<'a>(message: &'a Message<'_>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let mut value = message.tenant.attributes.get(first)?;
    for key in rest {
        value = value.get(key)?;
    }
    Some(value)
}

const PLACEHOLDERS: [&str; 12] = [
    "event.id",
    "event.type",
    "event.time|FORMAT",
    "event.test",
    "event.data",
    "event.data.PATH",
    "tenant.id",
    "tenant.name",
    "tenant.attributes.NAME",
    "delivery.uuid",
    "delivery.id",
    "attempt.number",
];

fn known(place: Place) -> String {
    let mut names = Vec::new();
    for name in PLACEHOLDERS.iter().chain(&["attempt.time|FORMAT"]) {
        if place == Place::Envelope || !name.starts_with("event.data") {
            names.push(format!("{{{name}}}"));
        }
    }
    names.join(" ")
}

fn unknown_format(name: &str, wanted: &str, formats: &[(&str, Format)]) -> String {
    if formats.is_empty() {
        return format!("{{{name}}} takes no format, and `{wanted}` is none of its own");
    }
    let names: Vec<&str> = formats.iter().map(|(name, _)| *name).collect();
    format!("unknown format `{wanted}` of {{{name}}}; it takes {}", names.join(", "))
}

impl Source {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "event.id" => Self::EventId,
            "event.type" => Self::EventType,
            "event.time" => Self::EventTime,
            "event.test" => Self::EventTest,
            "event.data" => Self::EventData(Vec::new()),
            "tenant.id" => Self::TenantId,
            "tenant.name" => Self::TenantName,
            "delivery.uuid" => Self::DeliveryUuid,
            "delivery.id" => Self::DeliveryId,
            "attempt.number" => Self::AttemptNumber,
            "attempt.time" => Self::AttemptTime,
            _ => {
                if let Some(path) = name.strip_prefix("event.data.") {
                    Self::EventData(segments(path)?)
                } else {
                    Self::TenantAttribute(segments(name.strip_prefix("tenant.attributes.")?)?)
                }
            }
        })
    }

    fn formats(&self) -> Vec<(&'static str, Format)> {
        match self {
            Self::EventTime | Self::AttemptTime => {
                TIME_FORMATS.into_iter().map(|(name, format)| (name, Format::Time(format))).collect()
            }
            Self::EventTest => vec![("only-when-true", Format::OnlyWhenTrue)],
            Self::EventData(_) => vec![
                ("omit-when-missing", Format::OmitWhenMissing),
                ("only-when-operational", Format::OnlyWhenOperational),
            ],
            Self::TenantAttribute(_) => vec![("omit-when-missing", Format::OmitWhenMissing)],
            _ => Vec::new(),
        }
    }
}

/// The keys of a dotted path; `None` when one is empty.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
    keys.iter().all(|key| !key.is_empty()).then_some(keys)
}
