//! The one verifier: a preset with a trigger's secrets, built when the trigger is loaded.
//!
//! A request is accepted when any signature of it matches any secret, so that secrets rotate on either side. The raw bytes are
//! verified before anything is parsed; only where a provider puts its signature into the body is that looked for first, in a
//! bounded way.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::body::{self, Kind, kind};
use super::handshake::{Asked, Phase, query_value};
use super::key::{Key, decode};
use super::parse::claims;
use super::path::{Path, VALUES_MAX, scalar};
use super::scheme::{Content, Place, Preset, Scheme, TimestampAt, Unit};
use super::signed::{Piece, Values, one_header};
use super::{Answer, BodyRefusal, Incoming, Refusal, RefusalCode, parse_body};
use crate::time::Timestamp;
use crate::{limits, signature};

/// Signatures of one header that are looked at: a provider that rotates sends two. Public keys hash the body for each.
const SIGNATURES_MAX: usize = 8;
/// A header's signatures with all that stands beside them.
const SIGNATURE_HEADER_BYTES_MAX: usize = 8 * 1024;

/// A preset, its keys, and how far a time may be from now.
pub struct Verifier {
    pub(super) preset: Arc<Preset>,
    pub(super) keys: Vec<TriggerKey>,
    pub(super) tolerance: Option<Duration>,
    verify_token: Option<Zeroizing<Vec<u8>>>,
}

/// A key, which secret it is of, and the scheme that it belongs to.
pub(super) struct TriggerKey {
    pub(super) scheme: usize,
    pub(super) secret: usize,
    pub(super) key: Key,
    /// As it was given: explanations try how else it may have been meant.
    pub(super) text: Zeroizing<String>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("preset", &self.preset.name)
            .field("secrets", &self.keys.len())
            .field("tolerance", &self.tolerance)
            .finish_non_exhaustive()
    }
}

/// A request that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which of the secrets matched, by its place in what the verifier was given.
    pub secret: usize,
    /// The signed time, where there is one.
    pub timestamp: Option<Timestamp>,
    /// The signed id, where there is one.
    pub id: Option<String>,
    scheme: usize,
}

impl Verifier {
    /// `secrets`: newest first, at most [`limits::SECRETS_IN_FORCE_MAX`]. `tolerance`: instead of the preset's.
    /// `verify_token`: for presets that [take one](Preset::takes_verify_token). An error is a sentence that says which form of
    /// secret is expected; it never holds the secret.
    pub fn new(
        preset: Arc<Preset>,
        secrets: &[&str],
        tolerance: Option<Duration>,
        verify_token: Option<&str>,
    ) -> Result<Self, String> {
        if secrets.is_empty() || secrets.len() > limits::SECRETS_IN_FORCE_MAX {
            return Err(format!("A trigger has 1 to {} secrets.", limits::SECRETS_IN_FORCE_MAX));
        }
        let mut keys = Vec::with_capacity(secrets.len());
        for (at, secret) in secrets.iter().enumerate() {
            let (scheme, key) = key_of(&preset, secret)?;
            keys.push(TriggerKey { scheme, secret: at, key, text: Zeroizing::new((*secret).to_owned()) });
        }
        let verify_token = verify_token.map(|token| Zeroizing::new(token.as_bytes().to_vec()));
        if verify_token.as_ref().is_some_and(|token| token.is_empty()) {
            return Err(
                "The verify token is empty; leave it out, or set the one that the provider sends.".to_owned()
            );
        }
        Ok(Self { preset, keys, tolerance, verify_token })
    }

    pub fn preset(&self) -> &Arc<Preset> {
        &self.preset
    }

    /// Whether the request is signed by one of the secrets, and in time.
    pub fn verify(&self, incoming: &Incoming<'_>, now: Timestamp) -> Result<Verified, Refusal> {
        let request = Request::new(incoming);
        let mut farthest: Option<Refusal> = None;
        for (at, scheme) in self.preset.schemes.iter().enumerate() {
            if !self.keys.iter().any(|key| key.scheme == at) {
                continue;
            }
            // Doubled is refused even where another header would do: one of the two is not the provider's.
            if let Some(name) = doubled_signature(scheme, incoming) {
                let detail = format!("The header {name} stands more than once.");
                return Err(Refusal::new(RefusalCode::SignatureDoubled, detail));
            }
            for variant in 0..scheme.variants() {
                match self.verify_variant(at, scheme, variant, &request, now) {
                    Ok(verified) => return Ok(verified),
                    Err(refusal) => {
                        if farthest.as_ref().is_none_or(|known| known.code < refusal.code) {
                            farthest = Some(refusal);
                        }
                    }
                }
            }
        }
        Err(farthest.unwrap_or_else(|| Refusal::new(RefusalCode::SignatureMissing, "There is no signature.")))
    }

    fn verify_variant(
        &self,
        at: usize,
        scheme: &Scheme,
        variant: usize,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Result<Verified, Refusal> {
        let check = Check::read(scheme, variant, request)?;
        let keys: Vec<(usize, &Key)> =
            self.keys.iter().filter(|key| key.scheme == at).map(|key| (key.secret, &key.key)).collect();
        let mut secret = None;
        for signed in &check.signed {
            let holder = keys.iter().find(|(_, key)| key.holds(&signed.pieces, &signed.signatures));
            let Some((holder, _)) = holder else {
                return Err(mismatch(scheme, keys.len()));
            };
            secret = Some(*holder);
        }
        let secret = secret.ok_or_else(|| mismatch(scheme, keys.len()))?;
        let timestamp = check.time(scheme, request)?;
        if let (Some(time), Some(tolerance)) = (timestamp, self.tolerance_of(scheme)) {
            check_window(time, now, tolerance)?;
        }
        Ok(Verified { secret, timestamp, id: check.id, scheme: at })
    }

    pub(super) fn tolerance_of(&self, scheme: &Scheme) -> Option<Duration> {
        scheme.timestamp.as_ref().and_then(|time| self.tolerance.or(time.tolerance))
    }

    /// The answer to a handshake that comes unsigned; asked before [`Verifier::verify`].
    pub fn open_handshake(&self, incoming: &Incoming<'_>) -> Option<Answer> {
        let key = self.keys.first().map(|key| &key.key);
        self.handshake(incoming, Phase::Open, None, key)
    }

    /// The answer to a handshake in a request that was verified; it starts no run.
    pub fn signed_handshake(&self, incoming: &Incoming<'_>, verified: &Verified) -> Option<Answer> {
        if !self.preset.handshakes.iter().any(|handshake| handshake.phase == Phase::Signed) {
            return None;
        }
        let json = body::compact(incoming.headers, incoming.body);
        let key = self.keys.iter().find(|key| key.secret == verified.secret).map(|key| &key.key);
        self.handshake(incoming, Phase::Signed, json.as_deref(), key)
    }

    fn handshake(
        &self,
        incoming: &Incoming<'_>,
        phase: Phase,
        json: Option<&[u8]>,
        key: Option<&Key>,
    ) -> Option<Answer> {
        let verify_token = self.verify_token.as_ref().map(|token| token.as_slice());
        let asked = Asked { phase, incoming, json, key, verify_token };
        self.preset.handshakes.iter().find_map(|handshake| handshake.answer(&asked))
    }

    /// By what a request is known again: at most [`super::DEDUP_ID_BYTES_MAX`] bytes. `json`: the body as it was parsed. What was
    /// signed comes before what anybody could change, so that a request that is sent again is known.
    pub fn dedup_id(
        &self,
        incoming: &Incoming<'_>,
        verified: &Verified,
        json: Option<&Value>,
    ) -> Option<String> {
        let templates = self.preset.dedup_of(verified.scheme);
        templates.iter().find_map(|template| template.render(incoming.headers, verified.id.as_deref(), json))
    }
}

impl Preset {
    /// [`parse_body`], within what this provider sends; an empty body is an empty object where the preset allows one. The content
    /// type is signed by nobody: a JSON body that is sent again as a form would otherwise be a new request.
    pub fn parse_body(&self, headers: &http::HeaderMap, body: &[u8]) -> Result<Value, BodyRefusal> {
        if body.is_empty() && self.empty_body {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        let content = match kind(headers) {
            Some(Kind::Json) => Content::Json,
            Some(Kind::Form) => Content::Form,
            None => return parse_body(headers, body),
        };
        if !self.content.contains(&content) {
            let (sent, taken) = if content == Content::Form { ("a form", "json") } else { ("JSON", "form") };
            let detail =
                format!("The body is {sent} by its content type; {} takes {taken} only.", self.title);
            return Err(BodyRefusal::ContentType { detail });
        }
        parse_body(headers, body)
    }
}

/// The first scheme that takes the secret, and its key.
pub(super) fn key_of(preset: &Preset, secret: &str) -> Result<(usize, Key), String> {
    let mut first_error = None;
    for (at, scheme) in preset.schemes.iter().enumerate() {
        match Key::parse(scheme.algorithm, scheme.key, secret) {
            Ok(key) => return Ok((at, key)),
            Err(error) => {
                // A secret with the scheme's own prefix is meant for it, and wrong; it is no token that looks alike.
                if scheme.key.prefix().is_some() && claims(scheme.key, secret) {
                    return Err(error);
                }
                match &mut first_error {
                    None => first_error = Some(error),
                    Some(known) => {
                        known.pop();
                        let form = error.trim_start_matches("The secret must be");
                        known.push_str(&format!(", or{form}"));
                    }
                }
            }
        }
    }
    Err(first_error.unwrap_or_else(|| "The preset takes no secret.".to_owned()))
}

fn doubled_signature<'s>(scheme: &'s Scheme, incoming: &Incoming<'_>) -> Option<&'s HeaderName> {
    match &scheme.signature.at {
        Place::Headers(names) => names.iter().find(|name| incoming.headers.get_all(*name).iter().count() > 1),
        Place::Json(_) => None,
    }
}

fn mismatch(scheme: &Scheme, keys: usize) -> Refusal {
    let secrets = if keys == 1 { "the secret".to_owned() } else { format!("any of {keys} secrets") };
    let what = if scheme.algorithm.is_token() { "The token" } else { "The signature" };
    Refusal::new(
        RefusalCode::SignatureMismatch,
        format!("{what} in {} does not match {secrets}.", scheme.signature.at),
    )
}

fn check_window(time: Timestamp, now: Timestamp, tolerance: Duration) -> Result<(), Refusal> {
    let apart = time.unix_ms().abs_diff(now.unix_ms());
    if u128::from(apart) <= tolerance.as_millis() {
        return Ok(());
    }
    let (code, word) = if time < now {
        (RefusalCode::TimestampOld, "before")
    } else {
        (RefusalCode::TimestampFuture, "after")
    };
    let seconds = apart / 1000;
    let detail = format!("It was signed {seconds} seconds {word} now; {} are allowed.", tolerance.as_secs());
    Err(Refusal::new(code, detail))
}

/// A request, with its body as compact JSON once somebody needed it.
pub(super) struct Request<'a> {
    pub(super) incoming: &'a Incoming<'a>,
    json: OnceCell<Option<Vec<u8>>>,
}

impl<'a> Request<'a> {
    pub(super) fn new(incoming: &'a Incoming<'a>) -> Self {
        Self { incoming, json: OnceCell::new() }
    }

    fn json(&self) -> Option<&[u8]> {
        self.json.get_or_init(|| body::compact(self.incoming.headers, self.incoming.body)).as_deref()
    }
}

/// What is to be checked: signatures with what each of them is over, and the values that stand beside.
pub(super) struct Check<'r> {
    pub(super) signed: Vec<Signed<'r>>,
    /// The text of the signature place, for explanations.
    pub(super) found: String,
    time: Option<String>,
    pub(super) id: Option<String>,
}

/// Signatures, of which one must be over the pieces.
pub(super) struct Signed<'r> {
    pub(super) pieces: Vec<Piece<'r>>,
    pub(super) signatures: Vec<Vec<u8>>,
}

impl<'r> Check<'r> {
    /// Reads one variant of a scheme from a request.
    pub(super) fn read(
        scheme: &'r Scheme,
        variant: usize,
        request: &'r Request<'r>,
    ) -> Result<Self, Refusal> {
        let incoming = request.incoming;
        let Some(header) = scheme.signature.at.header(variant) else {
            return Self::read_body(scheme, request);
        };
        let Some(value) = one_header(incoming.headers, header)? else {
            let detail = format!("There is no header {header}.");
            return Err(Refusal::new(RefusalCode::SignatureMissing, detail));
        };
        let parts = split(scheme, header, value)?;
        let time = match scheme.timestamp.as_ref().map(|time| &time.at) {
            Some(TimestampAt::Part(_)) => Some(parts.time.ok_or_else(|| {
                let detail = format!("The header {header} holds no time.");
                Refusal::new(RefusalCode::TimestampMissing, detail)
            })?),
            Some(TimestampAt::Place(place)) => time_text(place, variant, scheme, request)?,
            None => None,
        };
        if let (Some(place), Some(text)) = (&scheme.timestamp, &time) {
            read_time(place.unit, text)?;
        }
        let id = match &scheme.id {
            Some(place) => Some(id_text(place, variant, request)?),
            None => None,
        };
        check_body_signed(scheme, incoming)?;
        let found = String::from_utf8_lossy(value).into_owned();
        let mut check = Self { signed: Vec::new(), found, time, id };
        let json = if scheme.signed.has_json() { request.json() } else { None };
        let pieces = check.pieces(scheme, incoming, json)?;
        check.signed.push(Signed { pieces, signatures: parts.signatures });
        Ok(check)
    }

    /// The same where the signature stands in the body, once for the whole or once for each item.
    fn read_body(scheme: &'r Scheme, request: &'r Request<'r>) -> Result<Self, Refusal> {
        let malformed = |detail: String| Refusal::new(RefusalCode::BodyMalformed, detail);
        let Place::Json(path) = &scheme.signature.at else {
            return Err(Refusal::new(RefusalCode::SignatureMissing, "There is no signature."));
        };
        let json = request.json().ok_or_else(|| {
            let depth = limits::JSON_DEPTH_MAX;
            malformed(format!(
                "The signature stands in the body, which is not JSON of at most {depth} levels."
            ))
        })?;
        let items: Vec<Option<&[u8]>> = match &scheme.items {
            Some(items) => items.find_all(json),
            None => vec![Some(json)],
        };
        if items.is_empty() || items.len() > VALUES_MAX {
            let items = scheme.items.as_ref().map(Path::to_string).unwrap_or_default();
            return Err(malformed(format!("`{items}` of the body must have 1 to {VALUES_MAX} entries.")));
        }
        let time = match &scheme.timestamp {
            Some(place) => match &place.at {
                TimestampAt::Place(at) => {
                    let text = time_text(at, 0, scheme, request)?;
                    text.as_deref().map(|text| read_time(place.unit, text)).transpose()?;
                    text
                }
                TimestampAt::Part(_) => None,
            },
            None => None,
        };
        let id = match &scheme.id {
            Some(place) => Some(id_text(place, 0, request)?),
            None => None,
        };
        let mut check = Self { signed: Vec::new(), found: String::new(), time, id };
        for item in items {
            let found = item.and_then(|item| path.find(item)).and_then(scalar);
            let Some(text) = found.filter(|text| !text.is_empty()) else {
                let within =
                    scheme.items.as_ref().map(|items| format!(" in each `{items}`")).unwrap_or_default();
                let detail = format!("The body has no `{path}`{within}.");
                return Err(Refusal::new(RefusalCode::SignatureMissing, detail));
            };
            let place = format!("`{path}` of the body");
            let signature = one_signature(scheme, &place, text.as_bytes())?;
            let pieces = check.pieces(scheme, request.incoming, item)?;
            check.found = text.into_owned();
            check.signed.push(Signed { pieces, signatures: vec![signature] });
        }
        Ok(check)
    }

    fn pieces(
        &self,
        scheme: &'r Scheme,
        incoming: &'r Incoming<'r>,
        json: Option<&'r [u8]>,
    ) -> Result<Vec<Piece<'r>>, Refusal> {
        let values = Values { incoming, timestamp: self.time.as_deref(), id: self.id.as_deref(), json };
        scheme.signed.render(&values)
    }

    /// The signed time. In a body that is signed as a whole it is looked for only now.
    pub(super) fn time(&self, scheme: &Scheme, request: &Request<'_>) -> Result<Option<Timestamp>, Refusal> {
        let Some(place) = &scheme.timestamp else { return Ok(None) };
        let late;
        let text = match (&self.time, &place.at) {
            (Some(text), _) => text,
            (None, TimestampAt::Place(Place::Json(path))) => {
                late = json_text(path, request).ok_or_else(|| {
                    let detail = format!("The body has no time at `{path}`.");
                    Refusal::new(RefusalCode::TimestampMissing, detail)
                })?;
                &late
            }
            _ => return Err(Refusal::new(RefusalCode::TimestampMissing, "There is no time.")),
        };
        read_time(place.unit, text).map(Some)
    }
}

/// A signature header, read.
struct Parts {
    signatures: Vec<Vec<u8>>,
    time: Option<String>,
}

fn split(scheme: &Scheme, header: &HeaderName, value: &[u8]) -> Result<Parts, Refusal> {
    let place = format!("the header {header}");
    let malformed = |detail: String| Refusal::new(RefusalCode::SignatureMalformed, detail);
    if value.len() > SIGNATURE_HEADER_BYTES_MAX {
        return Err(malformed(format!("In {place} stand more than {SIGNATURE_HEADER_BYTES_MAX} bytes.")));
    }
    let Some(separator) = &scheme.signature.separator else {
        return Ok(Parts { signatures: vec![one_signature(scheme, &place, value)?], time: None });
    };
    let text =
        std::str::from_utf8(value).map_err(|_| malformed(format!("What stands in {place} is no text.")))?;
    let mut parts = Parts { signatures: Vec::new(), time: None };
    let mut refusal = None;
    let mut seen = 0;
    for part in text.split(separator.as_str()).map(str::trim) {
        if strip_prefix(part.as_bytes(), &scheme.signature.prefix).is_some() {
            seen += 1;
            if seen > SIGNATURES_MAX {
                return Err(malformed(format!("In {place} stand more than {SIGNATURES_MAX} signatures.")));
            }
            match one_signature(scheme, &place, part.as_bytes()) {
                Ok(signature) => parts.signatures.push(signature),
                Err(error) => refusal = Some(error),
            }
        } else if let Some(TimestampAt::Part(prefix)) = scheme.timestamp.as_ref().map(|time| &time.at)
            && let Some(time) = part.strip_prefix(prefix.as_str())
        {
            if parts.time.is_some() {
                return Err(Refusal::new(RefusalCode::HeaderDoubled, format!("In {place} stand two times.")));
            }
            parts.time = Some(time.to_owned());
        }
    }
    if parts.signatures.is_empty() {
        return Err(refusal.unwrap_or_else(|| unknown(scheme, &place)));
    }
    Ok(parts)
}

fn one_signature(scheme: &Scheme, place: &str, text: &[u8]) -> Result<Vec<u8>, Refusal> {
    let Some(text) = strip_prefix(text, &scheme.signature.prefix) else {
        return Err(unknown(scheme, place));
    };
    decode(scheme, text.trim_ascii()).ok_or_else(|| {
        let expected = scheme.expected_form();
        Refusal::new(RefusalCode::SignatureMalformed, format!("What stands in {place} is not {expected}."))
    })
}

fn unknown(scheme: &Scheme, place: &str) -> Refusal {
    let detail = format!("In {place} nothing begins with `{}`.", scheme.signature.prefix);
    Refusal::new(RefusalCode::SchemeUnknown, detail)
}

fn strip_prefix<'t>(text: &'t [u8], prefix: &str) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

/// The text of the time, where it must be known before the signature is checked.
fn time_text(
    place: &Place,
    variant: usize,
    scheme: &Scheme,
    request: &Request<'_>,
) -> Result<Option<String>, Refusal> {
    let missing = |what: String| Refusal::new(RefusalCode::TimestampMissing, what);
    match place {
        Place::Headers(_) => match header_text(place, variant, request)? {
            Some(text) => Ok(Some(text)),
            None => Err(missing(format!("There is no {place}, which holds the time."))),
        },
        Place::Json(path) if scheme.signed.has_timestamp() || scheme.signed.has_path(path) => {
            let text = json_text(path, request);
            text.map(Some).ok_or_else(|| missing(format!("The body has no time at `{path}`.")))
        }
        Place::Json(_) => Ok(None),
    }
}

fn id_text(place: &Place, variant: usize, request: &Request<'_>) -> Result<String, Refusal> {
    let text = match place {
        Place::Headers(_) => header_text(place, variant, request)?,
        Place::Json(path) => json_text(path, request),
    };
    text.ok_or_else(|| {
        Refusal::new(RefusalCode::HeaderMissing, format!("There is no {place}, which holds the id."))
    })
}

fn header_text(place: &Place, variant: usize, request: &Request<'_>) -> Result<Option<String>, Refusal> {
    let Some(name) = place.header(variant) else { return Ok(None) };
    let Some(bytes) = one_header(request.incoming.headers, name)? else { return Ok(None) };
    Ok(std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty()).map(str::to_owned))
}

fn json_text(path: &Path, request: &Request<'_>) -> Option<String> {
    Some(scalar(path.find(request.json()?)?)?.into_owned()).filter(|text| !text.is_empty())
}

/// Digits only, and only as many as a moment has: neither signs nor fractions nor spaces.
fn read_time(unit: Unit, text: &str) -> Result<Timestamp, Refusal> {
    let digits = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
    let time = match unit {
        Unit::Seconds => digits().and_then(|seconds| seconds.checked_mul(1000)).map(Timestamp::from_unix_ms),
        Unit::Milliseconds => digits().map(Timestamp::from_unix_ms),
        Unit::Rfc3339 => Timestamp::parse_rfc3339(text),
    };
    time.ok_or_else(|| {
        let expected = match unit {
            Unit::Seconds => "seconds since 1970",
            Unit::Milliseconds => "milliseconds since 1970",
            Unit::Rfc3339 => "a time like 2026-01-31T09:30:00Z",
        };
        Refusal::new(RefusalCode::TimestampMalformed, format!("The time is not {expected}."))
    })
}

/// Where a form is signed field by field, a body that is no form must be covered by its hash in the signed URL: otherwise a
/// change of the content type would make any body pass.
fn check_body_signed(scheme: &Scheme, incoming: &Incoming<'_>) -> Result<(), Refusal> {
    let refused = |detail: &str| Err(Refusal::new(RefusalCode::BodyUnsigned, detail));
    if let Some(name) = &scheme.body_hash_query {
        let mut given = form_urlencoded::parse(incoming.query.as_bytes()).filter(|(known, _)| known == name);
        if given.next().is_some() {
            let given = query_value(incoming.query, name).and_then(|text| hex::decode(text).ok());
            let hash = signature::sha256(incoming.body);
            let holds = given.is_some_and(|given| hash.as_slice().ct_eq(&given).into());
            if !holds {
                return refused("The hash in the query is not the one of this body.");
            }
            return Ok(());
        }
    }
    let covered = !scheme.signed.has_form() || scheme.signed.has_body() || incoming.body.is_empty();
    if !covered && kind(incoming.headers) != Some(Kind::Form) {
        return refused("The body is no form, and no hash of it is signed.");
    }
    Ok(())
}
