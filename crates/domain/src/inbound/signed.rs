//! Templates: the text that a provider signs, and the text by which a request is known again.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::body::{FORM_FIELDS_MAX, Kind, kind};
use super::path::{Path, scalar};
use super::{Incoming, Refusal, RefusalCode};
use crate::profile::template::{Token, tokens};
use crate::signature;

/// Longer templates are a mistake: the longest known has nine placeholders.
const TEMPLATE_BYTES_MAX: usize = 512;
/// An id for deduplication. It becomes a key of an index.
pub const DEDUP_ID_BYTES_MAX: usize = 256;

const PLACEHOLDERS: &str = "{body} {timestamp} {id} {method} {url} {url|hubspot-decoded} {form|sorted} {json:PATH} \
                            {json:PATH?} {secret} {header:NAME}";
const DEDUP_PLACEHOLDERS: &str = "{id} {json:PATH} {header:NAME}";

/// What is signed, piece by piece.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SignedTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Body,
    Timestamp,
    Id,
    Method,
    Url,
    UrlHubspotDecoded,
    FormSorted,
    Json { path: Path, optional: bool },
    Secret,
    Header(HeaderName),
}

/// A piece of a signed text. The secret is put in by the key that has it.
#[derive(Debug, Clone)]
pub(super) enum Piece<'a> {
    Bytes(Cow<'a, [u8]>),
    Secret,
}

impl Piece<'_> {
    pub(super) fn bytes<'p>(&'p self, secret: &'p [u8]) -> &'p [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Secret => secret,
        }
    }
}

/// What a template takes its values from.
pub(super) struct Values<'a, 'v> {
    pub(super) incoming: &'a Incoming<'a>,
    pub(super) timestamp: Option<&'v str>,
    pub(super) id: Option<&'v str>,
    /// The body, or the item of it, as compact JSON.
    pub(super) json: Option<&'a [u8]>,
}

impl SignedTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("a template has at most {TEMPLATE_BYTES_MAX} bytes"));
        }
        let mut parts = Vec::new();
        for token in tokens(text)? {
            parts.push(match token {
                Token::Text(text) => Part::Text(text.to_owned()),
                Token::Braced(inner) => part(inner)?,
            });
        }
        Ok(Self(parts))
    }

    fn has(&self, wanted: impl Fn(&Part) -> bool) -> bool {
        self.0.iter().any(wanted)
    }

    pub(super) fn has_body(&self) -> bool {
        self.has(|part| *part == Part::Body)
    }

    pub(super) fn has_form(&self) -> bool {
        self.has(|part| *part == Part::FormSorted)
    }

    pub(super) fn has_json(&self) -> bool {
        self.has(|part| matches!(part, Part::Json { .. }))
    }

    pub(super) fn has_timestamp(&self) -> bool {
        self.has(|part| *part == Part::Timestamp)
    }

    pub(super) fn has_id(&self) -> bool {
        self.has(|part| *part == Part::Id)
    }

    pub(super) fn has_url(&self) -> bool {
        self.has(|part| matches!(part, Part::Url | Part::UrlHubspotDecoded))
    }

    pub(super) fn has_secret(&self) -> bool {
        self.has(|part| *part == Part::Secret)
    }

    pub(super) fn has_path(&self, path: &Path) -> bool {
        self.has(|part| matches!(part, Part::Json { path: known, .. } if known == path))
    }

    /// Whether the body alone is signed, with nothing around it.
    pub(super) fn is_body_alone(&self) -> bool {
        self.0 == [Part::Body]
    }

    pub(super) fn render<'a>(&'a self, values: &Values<'a, '_>) -> Result<Vec<Piece<'a>>, Refusal> {
        let mut pieces = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            let bytes: Cow<'a, [u8]> = match part {
                Part::Secret => {
                    pieces.push(Piece::Secret);
                    continue;
                }
                Part::Text(text) => Cow::Borrowed(text.as_bytes()),
                Part::Body => Cow::Borrowed(values.incoming.body),
                Part::Timestamp => text(values.timestamp, RefusalCode::TimestampMissing, "time")?,
                Part::Id => text(values.id, RefusalCode::HeaderMissing, "id")?,
                Part::Method => Cow::Borrowed(values.incoming.method.as_bytes()),
                Part::Url => Cow::Borrowed(values.incoming.url.as_bytes()),
                Part::UrlHubspotDecoded => Cow::Owned(hubspot_decoded(values.incoming.url).into_bytes()),
                Part::FormSorted => Cow::Owned(form_sorted(values.incoming)?),
                Part::Json { path, optional } => {
                    let found = values.json.and_then(|json| path.find(json));
                    match found.map(scalar) {
                        Some(Some(Cow::Borrowed(text))) => Cow::Borrowed(text.as_bytes()),
                        Some(Some(Cow::Owned(text))) => Cow::Owned(text.into_bytes()),
                        None if *optional => Cow::Borrowed(b"".as_slice()),
                        None | Some(None) => {
                            let detail =
                                format!("The body has no text or number at `{path}`, which is signed.");
                            return Err(Refusal::new(RefusalCode::BodyMalformed, detail));
                        }
                    }
                }
                Part::Header(name) => {
                    let value = one_header(values.incoming.headers, name)?;
                    let missing = || {
                        let detail = format!("There is no header {name}, which is signed.");
                        Refusal::new(RefusalCode::HeaderMissing, detail)
                    };
                    Cow::Borrowed(value.ok_or_else(missing)?)
                }
            };
            pieces.push(Piece::Bytes(bytes));
        }
        Ok(pieces)
    }
}

fn text(value: Option<&str>, code: RefusalCode, what: &str) -> Result<Cow<'static, [u8]>, Refusal> {
    match value {
        Some(text) => Ok(Cow::Owned(text.as_bytes().to_vec())),
        None => Err(Refusal::new(code, format!("The {what} that is signed is missing."))),
    }
}

fn part(inner: &str) -> Result<Part, String> {
    Ok(match inner {
        "body" => Part::Body,
        "timestamp" => Part::Timestamp,
        "id" => Part::Id,
        "method" => Part::Method,
        "url" => Part::Url,
        "url|hubspot-decoded" => Part::UrlHubspotDecoded,
        "form|sorted" => Part::FormSorted,
        "secret" => Part::Secret,
        _ => {
            if let Some(path) = inner.strip_prefix("json:") {
                let (path, optional) = match path.strip_suffix('?') {
                    Some(path) => (path, true),
                    None => (path, false),
                };
                let path = Path::parse(path)?;
                if path.is_many() {
                    return Err(format!("`{path}` names many values; sign them one by one with `items`"));
                }
                return Ok(Part::Json { path, optional });
            }
            match inner.strip_prefix("header:") {
                Some(name) => Part::Header(header_name(name)?),
                None => return Err(format!("unknown placeholder {{{inner}}}; here are {PLACEHOLDERS}")),
            }
        }
    })
}

pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is not a header name"))
}

/// The bytes of a header that may stand once. Spaces around it do not belong to it.
pub(super) fn one_header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        let detail = format!("The header {name} stands more than once; one of them may be somebody else's.");
        return Err(Refusal::new(RefusalCode::HeaderDoubled, detail));
    }
    Ok(first.map(|value| value.as_bytes().trim_ascii()))
}

/// The URL with the characters decoded that HubSpot decodes before it signs, and no others.
fn hubspot_decoded(url: &str) -> String {
    const DECODED: [(&str, char); 12] = [
        ("%3A", ':'),
        ("%2F", '/'),
        ("%3F", '?'),
        ("%40", '@'),
        ("%21", '!'),
        ("%24", '$'),
        ("%27", '\''),
        ("%28", '('),
        ("%29", ')'),
        ("%2A", '*'),
        ("%2C", ','),
        ("%3B", ';'),
    ];
    let mut decoded = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        let (before, escaped) = rest.split_at(at);
        decoded.push_str(before);
        let known = DECODED.iter().find(|(escape, _)| escaped.starts_with(escape));
        rest = match known {
            Some((escape, character)) => {
                decoded.push(*character);
                &escaped[escape.len()..]
            }
            None => {
                decoded.push('%');
                &escaped[1..]
            }
        };
    }
    decoded.push_str(rest);
    decoded
}

/// The fields of a form by name, each name directly followed by its value; of a name that stands several times the different
/// values by order. Nothing for a body that is no form.
fn form_sorted(incoming: &Incoming<'_>) -> Result<Vec<u8>, Refusal> {
    if kind(incoming.headers) != Some(Kind::Form) {
        return Ok(Vec::new());
    }
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> =
        form_urlencoded::parse(incoming.body).take(FORM_FIELDS_MAX + 1).collect();
    if fields.len() > FORM_FIELDS_MAX {
        let detail = format!("The form has more than {FORM_FIELDS_MAX} fields.");
        return Err(Refusal::new(RefusalCode::BodyMalformed, detail));
    }
    fields.sort_unstable();
    fields.dedup();
    let mut out = Vec::with_capacity(incoming.body.len());
    for (name, value) in &fields {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    Ok(out)
}

/// Where the id of a request is found, so that a second one with the same is a duplicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DedupTemplate(Vec<DedupPart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum DedupPart {
    Text(String),
    Id,
    Json(Path),
    Header(HeaderName),
}

impl DedupTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("a template has at most {TEMPLATE_BYTES_MAX} bytes"));
        }
        let mut parts = Vec::new();
        for token in tokens(text)? {
            parts.push(match token {
                Token::Text(text) => DedupPart::Text(text.to_owned()),
                Token::Braced("id") => DedupPart::Id,
                Token::Braced(inner) => match (inner.strip_prefix("json:"), inner.strip_prefix("header:")) {
                    (Some(path), _) => DedupPart::Json(Path::parse(path)?),
                    (_, Some(name)) => DedupPart::Header(header_name(name)?),
                    _ => {
                        return Err(format!(
                            "unknown placeholder {{{inner}}}; here are {DEDUP_PLACEHOLDERS}"
                        ));
                    }
                },
            });
        }
        if parts.iter().all(|part| matches!(part, DedupPart::Text(_))) {
            return Err(format!("it needs a placeholder of {DEDUP_PLACEHOLDERS}"));
        }
        Ok(Self(parts))
    }

    pub(super) fn has_id(&self) -> bool {
        self.0.contains(&DedupPart::Id)
    }

    /// The id, or `None` when a part of it is missing, empty, or stands twice. One that is too long is replaced by its
    /// SHA-256: cut, two could become the same.
    pub(super) fn render(
        &self,
        headers: &HeaderMap,
        id: Option<&str>,
        json: Option<&Value>,
    ) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                DedupPart::Text(text) => out.push_str(text),
                DedupPart::Id => out.push_str(id.filter(|id| !id.is_empty())?),
                DedupPart::Header(name) => {
                    let value = std::str::from_utf8(one_header(headers, name).ok()??).ok()?;
                    out.push_str(Some(value).filter(|value| !value.is_empty())?);
                }
                DedupPart::Json(path) => {
                    let mut found = Vec::new();
                    for value in path.find_in(json?) {
                        found.push(match value {
                            Value::String(text) => text.clone(),
                            Value::Number(number) => number.to_string(),
                            _ => return None,
                        });
                    }
                    let joined = found.join(",");
                    out.push_str(Some(joined.as_str()).filter(|joined| !joined.is_empty())?);
                }
            }
        }
        if out.len() > DEDUP_ID_BYTES_MAX || out.contains(char::is_control) {
            return Some(format!("sha256:{}", hex::encode(signature::sha256(out.as_bytes()))));
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_placeholder_is_told_with_the_list() {
        let error = SignedTemplate::parse("{body}{boddy}").expect_err("unknown");
        assert!(error.contains("{boddy}") && error.contains("{url|hubspot-decoded}"), "{error}");
        let error = DedupTemplate::parse("{body}").expect_err("unknown");
        assert!(error.contains("{header:NAME}"), "{error}");
        for bad in ["{body", "body}", "{json:}", "{json:a[].b}", "{header:a b}", &"x".repeat(600)] {
            assert!(SignedTemplate::parse(bad).is_err(), "{bad}");
        }
        assert!(DedupTemplate::parse("same for all").is_err());
    }

    #[test]
    fn hubspot_decodes_twelve_characters_and_no_others() {
        for (url, expected) in [
            ("https://a.b/c?d=%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B", "https://a.b/c?d=:/?@!$'()*,;"),
            ("%20%26%3D%25%2B%23", "%20%26%3D%25%2B%23"),
            // Decoded once: what comes out is not looked at again.
            ("%253A", "%253A"),
            ("%3a%", "%3a%"),
            ("é%3Aé", "é:é"),
        ] {
            assert_eq!(hubspot_decoded(url), expected, "{url}");
        }
    }

    #[test]
    fn a_long_id_for_deduplication_is_hashed_not_cut() {
        let template = DedupTemplate::parse("{json:id}").expect("a template");
        let render =
            |id: &str| template.render(&HeaderMap::new(), None, Some(&serde_json::json!({ "id": id })));
        assert_eq!(render("short"), Some("short".to_owned()));
        assert_eq!(render(""), None);
        let (one, other) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        assert_ne!(render(&one), render(&other));
        assert_eq!(render(&one).map(|id| id.len()), Some(71));
    }
}
