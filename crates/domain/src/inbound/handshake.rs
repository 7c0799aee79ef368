//! Handshakes: requests by which a provider asks whether somebody is there. They are answered and start nothing.
//!
//! An open one comes unsigned, so it is decided by method, query and headers alone and echoes as plain text. A signed one
//! is looked for only in a request that was verified.

use std::fmt;

use http::HeaderName;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::key::{Key, encode};
use super::path::{Path, scalar};
use super::scheme::Encoding;
use super::signed::{header_name, one_header};
use super::{Answer, Incoming};
use crate::json;
use crate::profile::template::{Token, tokens};

/// An answer to a handshake: what is echoed is somebody else's text, and no provider sends more than a few hundred bytes.
pub const ANSWER_BYTES_MAX: usize = 1024;
/// A text that we sign for whoever asks. Providers send some fifty characters.
const CHALLENGE_BYTES_MAX: usize = 256;
/// Parameters of a query that are looked at.
pub(super) const QUERY_FIELDS_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handshake {
    pub(super) phase: Phase,
    pub(super) method: Option<String>,
    pub(super) when: Vec<Condition>,
    pub(super) status: u16,
    pub(super) answer: AnswerBody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before the signature is looked at.
    Open,
    /// After it held.
    Signed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) source: Source,
    pub(super) expected: Expected,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    Equals(Value),
    /// The trigger's verify token, compared in constant time.
    VerifyToken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Query(String),
    Header(HeaderName),
    Json(Path),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnswerBody {
    Empty,
    /// Plain text.
    Text(Template),
    /// An object: its texts are templates, other values stand as they are.
    Json(Vec<(String, Member)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Member {
    Text(Template),
    Literal(Value),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Source),
    Mac(Encoding, Source),
}

const PLACEHOLDERS: &str = "{query:NAME} {header:NAME} {json:PATH} {hmac-hex:query:NAME} {hmac-base64:query:NAME} (header: and json: alike)";

impl Source {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            Some(("header", name)) => Ok(Self::Header(header_name(name)?)),
            Some(("json", path)) => {
                let path = Path::parse(path)?;
                if path.is_many() { Err(format!("`{path}` names many values")) } else { Ok(Self::Json(path)) }
            }
            _ => Err(format!("unknown placeholder {{{text}}}; here are {PLACEHOLDERS}")),
        }
    }

    /// The value as text; `None` where there is none, or more than one.
    fn text(&self, asked: &Asked<'_>) -> Option<String> {
        match self {
            Self::Query(name) => query_value(asked.incoming.query, name),
            Self::Header(name) => {
                let bytes = one_header(asked.incoming.headers, name).ok()??;
                String::from_utf8(bytes.to_vec()).ok()
            }
            Self::Json(path) => Some(scalar(path.find(asked.json?)?)?.into_owned()),
        }
    }

    fn equals(&self, asked: &Asked<'_>, expected: &Value) -> bool {
        match self {
            Self::Json(path) => {
                let found = asked.json.and_then(|json| path.find(json));
                found.is_some_and(|found| {
                    serde_json::from_slice::<Value>(found).is_ok_and(|found| found == *expected)
                })
            }
            _ => self.text(asked).is_some_and(|found| expected.as_str() == Some(found.as_str())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Json(path) => write!(f, "json:{path}"),
        }
    }
}

/// The decoded value of a query parameter; `None` where it is missing or stands twice.
pub(super) fn query_value(query: &str, name: &str) -> Option<String> {
    let fields = form_urlencoded::parse(query.as_bytes()).take(QUERY_FIELDS_MAX);
    let mut values = fields.filter(|(known, _)| known == name);
    let value = values.next()?.1.into_owned();
    values.next().is_none().then_some(value)
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        for token in tokens(text)? {
            parts.push(match token {
                Token::Text(text) => Part::Text(text.to_owned()),
                Token::Braced(inner) => match inner.split_once(':') {
                    Some(("hmac-hex", source)) => Part::Mac(Encoding::Hex, Source::parse(source)?),
                    Some(("hmac-base64", source)) => Part::Mac(Encoding::Base64, Source::parse(source)?),
                    _ => Part::Value(Source::parse(inner)?),
                },
            });
        }
        Ok(Self(parts))
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(source) | Part::Mac(_, source) => Some(source),
        })
    }

    fn has_mac(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Mac(..)))
    }

    fn render(&self, asked: &Asked<'_>) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(source) => out.push_str(&source.text(asked)?),
                Part::Mac(encoding, source) => {
                    let challenge = source.text(asked)?;
                    if asked.phase == Phase::Open && !may_be_signed(&challenge) {
                        return None;
                    }
                    out.push_str(&encode(*encoding, &asked.key?.mac(challenge.as_bytes())?));
                }
            }
            if out.len() > ANSWER_BYTES_MAX {
                return None;
            }
        }
        Some(out)
    }
}

/// Whoever asks openly gets a MAC with the key that also signs bodies, so nothing that could be taken for a body may be
/// signed for them: only what a token looks like, and not what is JSON by itself.
fn may_be_signed(challenge: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte);
    (1..=CHALLENGE_BYTES_MAX).contains(&challenge.len())
        && challenge.bytes().all(token)
        && json::compact(challenge, 1).is_err()
}

/// What a handshake is decided by.
pub(super) struct Asked<'a> {
    pub(super) phase: Phase,
    pub(super) incoming: &'a Incoming<'a>,
    /// The body as compact JSON, if it is any; nothing in the open phase.
    pub(super) json: Option<&'a [u8]>,
    /// The key that held, or the first.
    pub(super) key: Option<&'a Key>,
    pub(super) verify_token: Option<&'a [u8]>,
}

impl Handshake {
    pub(super) fn takes_verify_token(&self) -> bool {
        self.when.iter().any(|condition| condition.expected == Expected::VerifyToken)
    }

    pub(super) fn sources(&self) -> Vec<&Source> {
        let mut sources: Vec<&Source> = self.when.iter().map(|condition| &condition.source).collect();
        match &self.answer {
            AnswerBody::Empty => {}
            AnswerBody::Text(template) => sources.extend(template.sources()),
            AnswerBody::Json(members) => {
                for (_, member) in members {
                    if let Member::Text(template) = member {
                        sources.extend(template.sources());
                    }
                }
            }
        }
        sources
    }

    pub(super) fn answers_with_mac(&self) -> bool {
        match &self.answer {
            AnswerBody::Empty => false,
            AnswerBody::Text(template) => template.has_mac(),
            AnswerBody::Json(members) => {
                members.iter().any(|(_, member)| matches!(member, Member::Text(it) if it.has_mac()))
            }
        }
    }

    /// The answer, if this is such a handshake.
    pub(super) fn answer(&self, asked: &Asked<'_>) -> Option<Answer> {
        let method_fits = self.method.as_deref().is_none_or(|method| method == asked.incoming.method);
        if self.phase != asked.phase || !method_fits {
            return None;
        }
        for condition in &self.when {
            let holds = match &condition.expected {
                Expected::Equals(value) => condition.source.equals(asked, value),
                Expected::VerifyToken => {
                    let found = condition.source.text(asked)?;
                    asked.verify_token?.ct_eq(found.as_bytes()).into()
                }
            };
            if !holds {
                return None;
            }
        }
        let (content_type, body) = match &self.answer {
            AnswerBody::Empty => (TEXT, Vec::new()),
            AnswerBody::Text(template) => (TEXT, template.render(asked)?.into_bytes()),
            AnswerBody::Json(members) => {
                let mut object = serde_json::Map::new();
                for (name, member) in members {
                    let value = match member {
                        Member::Literal(value) => value.clone(),
                        Member::Text(template) => Value::String(template.render(asked)?),
                    };
                    object.insert(name.clone(), value);
                }
                (JSON, Value::Object(object).to_string().into_bytes())
            }
        };
        if body.len() > ANSWER_BYTES_MAX {
            return None;
        }
        let headers = vec![("X-Content-Type-Options", "nosniff".to_owned())];
        Some(Answer { status: self.status, content_type, body, headers })
    }
}

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_body_is_not_signed_for_whoever_asks() {
        for (challenge, signed) in [
            ("ZDgzN2EzMjYtYWRj", true),
            ("a-b_c.d~e+f/g==", true),
            ("", false),
            ("{}", false),
            ("[1]", false),
            ("\"text\"", false),
            ("17", false),
            ("-1.5e3", false),
            ("true", false),
            ("null", false),
            ("a b", false),
            ("a&b", false),
            (&"x".repeat(257), false),
        ] {
            assert_eq!(may_be_signed(challenge), signed, "{challenge}");
        }
    }

    #[test]
    fn a_parameter_that_stands_twice_is_none() {
        assert_eq!(query_value("a=1&b=%20x+y", "b"), Some(" x y".to_owned()));
        assert_eq!(query_value("a=1&a=1", "a"), None);
        assert_eq!(query_value("", "a"), None);
        assert_eq!(query_value("a", "a"), Some(String::new()));
    }
}
