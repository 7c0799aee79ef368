//! Why a request is refused, for whoever sets a trigger up: what was found, what was expected, and which of the usual mistakes
//! it is.
//!
//! Of signatures the first characters are shown, which is enough to compare and too little to use. Of tokens nothing is: they
//! are the secret.

use serde::Serialize;
use zeroize::Zeroizing;

use super::key::{Key, encode};
use super::scheme::Scheme;
use super::verifier::{Check, Request};
use super::{Incoming, RefusalCode, Verifier};
use crate::time::Timestamp;
use crate::{ecmascript, json, limits, signature};

/// Characters of a signature that are shown.
const SHOWN_CHARS: usize = 8;
/// Bodies that are rewritten in search of the one that was signed.
const REWRITTEN_BYTES_MAX: usize = limits::BODY_BYTES_MAX;

/// What a check came to, for a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub accepted: bool,
    /// The refusal's code.
    pub code: Option<&'static str>,
    /// What is wrong, in a sentence.
    pub detail: String,
    /// What to do.
    pub advice: Option<&'static str>,
    /// Which of the secrets matched.
    pub secret: Option<usize>,
    /// Where the signature was looked for.
    pub place: String,
    /// What the signature that was found begins with.
    pub found: Option<String>,
    /// What it should begin with, for each secret; nothing for tokens and public keys.
    pub expected: Vec<String>,
    pub body_sha256: String,
    pub body_bytes: usize,
    pub timestamp: Option<Timestamp>,
    /// How long ago the request was signed by its own time; negative when that is to come.
    pub age_seconds: Option<i64>,
    pub tolerance_seconds: Option<u64>,
    /// The usual mistake with which it would hold.
    pub mistake: Option<Mistake>,
}

/// A usual mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// A stable word.
    pub code: &'static str,
    pub sentence: &'static str,
}

const fn mistake(code: &'static str, sentence: &'static str) -> Mistake {
    Mistake { code, sentence }
}

const BODY_REWRITTEN: Mistake = mistake(
    "body_rewritten",
    "The body was parsed and written again on the way: it would hold for the same JSON in another spelling. Pass the raw bytes through.",
);
const LINE_END_LOST: Mistake = mistake(
    "line_end_lost",
    "A line end at the end of the body was lost on the way. Pass the raw bytes through.",
);
const LINE_END_ADDED: Mistake = mistake(
    "whitespace_added",
    "Spaces or line ends around the body were added on the way. Pass the raw bytes through.",
);
const LINE_ENDS: Mistake =
    mistake("line_ends_changed", "The body's line ends were changed on the way. Pass the raw bytes through.");
const BYTE_ORDER_MARK: Mistake = mistake(
    "byte_order_mark",
    "A byte order mark was put before the body on the way. Pass the raw bytes through.",
);
const SECRET_WHITESPACE: Mistake = mistake(
    "secret_whitespace",
    "The secret has spaces or a line end around it that do not belong to it. Set it again without them.",
);
const SECRET_PREFIX_MISSING: Mistake = mistake(
    "secret_prefix_missing",
    "The secret lacks its `whsec_`, which is a part of it here. Set it again with it.",
);
const SECRET_PREFIX_EXTRA: Mistake = mistake(
    "secret_prefix_extra",
    "The provider signs with the secret without its `whsec_`. Set it again without, or use the provider's preset.",
);
const SECRET_DECODED: Mistake = mistake(
    "secret_decoded",
    "The provider signs with the bytes that the secret stands for, in base64 or hexadecimal digits. Use a preset whose key has that form.",
);
const SECRET_NOT_DECODED: Mistake = mistake(
    "secret_not_decoded",
    "The provider signs with the secret's text as it is. Use a preset whose key is utf8.",
);
const URL_SLASH: Mistake = mistake(
    "url_slash",
    "The provider was given the URL with another slash at its end. Give it the trigger's public URL.",
);
const URL_SCHEME: Mistake = mistake(
    "url_scheme",
    "The provider was given the URL with http for https, or the other way round. Give it the trigger's public URL.",
);
const URL_PORT: Mistake = mistake(
    "url_port",
    "The provider signs the URL with its port. Give it the trigger's public URL, or name the port in the public URL.",
);
const URL_QUERY: Mistake =
    mistake("url_query", "The provider signs the URL without its query. Give it the URL without one.");

impl Verifier {
    /// Looks at a request as [`Verifier::verify`] does, and tells everything about it.
    pub fn explain(&self, incoming: &Incoming<'_>, now: Timestamp) -> Explanation {
        let result = self.verify(incoming, now);
        let mut explanation = Explanation {
            accepted: result.is_ok(),
            code: None,
            detail: "The signature holds.".to_owned(),
            advice: None,
            secret: result.as_ref().ok().map(|verified| verified.secret),
            place: self.place(),
            found: None,
            expected: Vec::new(),
            body_sha256: hex::encode(signature::sha256(incoming.body)),
            body_bytes: incoming.body.len(),
            timestamp: None,
            age_seconds: None,
            tolerance_seconds: None,
            mistake: None,
        };
        if let Err(refusal) = &result {
            explanation.code = Some(refusal.code.as_str());
            explanation.detail.clone_from(&refusal.detail);
            explanation.advice = Some(refusal.code.advice());
        }
        self.describe(incoming, now, &mut explanation);
        let mismatch = |code| matches!(code, RefusalCode::SignatureMismatch | RefusalCode::BodyUnsigned);
        if result.is_err_and(|refusal| mismatch(refusal.code)) {
            explanation.mistake = self.mistake(incoming);
        }
        explanation
    }

    /// The schemes that a secret belongs to, with their index.
    fn schemes(&self) -> impl Iterator<Item = (usize, &Scheme)> {
        self.preset.schemes.iter().enumerate().filter(|(at, _)| self.keys.iter().any(|key| key.scheme == *at))
    }

    fn place(&self) -> String {
        let places: Vec<String> = self.schemes().map(|(_, scheme)| scheme.signature.at.to_string()).collect();
        places.join(", or ")
    }

    /// What stands in the first signature that can be read.
    fn describe(&self, incoming: &Incoming<'_>, now: Timestamp, explanation: &mut Explanation) {
        let request = Request::new(incoming);
        for (at, scheme) in self.schemes() {
            for variant in 0..scheme.variants() {
                let Ok(check) = Check::read(scheme, variant, &request) else {
                    self.describe_unread(scheme, variant, incoming, explanation);
                    continue;
                };
                explanation.tolerance_seconds =
                    self.tolerance_of(scheme).map(|tolerance| tolerance.as_secs());
                if let Ok(Some(time)) = check.time(scheme, &request) {
                    explanation.timestamp = Some(time);
                    explanation.age_seconds = Some(now.unix_seconds().saturating_sub(time.unix_seconds()));
                }
                let Some(signed) = check.signed.first() else { continue };
                if scheme.algorithm.is_token() {
                    explanation.found = Some(format!("{} characters", check.found.chars().count()));
                    return;
                }
                let shown = |bytes: &[u8]| -> String {
                    encode(scheme.signature.encoding, bytes).chars().take(SHOWN_CHARS).collect()
                };
                explanation.found = signed.signatures.first().map(|signature| shown(signature));
                let keys = self.keys.iter().filter(|key| key.scheme == at);
                explanation.expected =
                    keys.filter_map(|key| Some(shown(&key.key.expected(&signed.pieces)?))).collect();
                return;
            }
        }
    }

    fn describe_unread(
        &self,
        scheme: &Scheme,
        variant: usize,
        incoming: &Incoming<'_>,
        explanation: &mut Explanation,
    ) {
        let value = scheme.signature.at.header(variant).and_then(|name| incoming.headers.get(name));
        if let Some(value) = value
            && !scheme.algorithm.is_token()
            && explanation.found.is_none()
        {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            explanation.found = Some(text.chars().take(SHOWN_CHARS).collect());
        }
    }

    /// The first change of body, secret or URL with which the signature holds; times are not looked at.
    fn mistake(&self, incoming: &Incoming<'_>) -> Option<Mistake> {
        for (mistake, body) in other_bodies(incoming.body) {
            if body != incoming.body && self.would_hold(&Incoming { body: &body, ..*incoming }) {
                return Some(mistake);
            }
        }
        for key in &self.keys {
            let scheme = self.preset.schemes.get(key.scheme)?;
            if scheme.algorithm.is_public_key() {
                continue;
            }
            for (mistake, bytes) in other_keys(&key.text) {
                let other = Key::from_bytes(scheme.algorithm, bytes);
                if holds(scheme, &[&other], incoming) {
                    return Some(mistake);
                }
            }
        }
        if self.preset.signs_url() {
            for (mistake, url) in other_urls(incoming.url) {
                if self.would_hold(&Incoming { url: &url, ..*incoming }) {
                    return Some(mistake);
                }
            }
        }
        None
    }

    fn would_hold(&self, incoming: &Incoming<'_>) -> bool {
        self.schemes().any(|(at, scheme)| {
            let keys: Vec<&Key> =
                self.keys.iter().filter(|key| key.scheme == at).map(|key| &key.key).collect();
            holds(scheme, &keys, incoming)
        })
    }
}

fn holds(scheme: &Scheme, keys: &[&Key], incoming: &Incoming<'_>) -> bool {
    let request = Request::new(incoming);
    (0..scheme.variants()).any(|variant| {
        Check::read(scheme, variant, &request).is_ok_and(|check| {
            let by_any = |key: &&Key| check.signed.iter().all(|it| key.holds(&it.pieces, &it.signatures));
            !check.signed.is_empty() && keys.iter().any(by_any)
        })
    })
}

/// What the body may have been before something on the way changed it.
fn other_bodies(body: &[u8]) -> Vec<(Mistake, Vec<u8>)> {
    let mut bodies = Vec::new();
    if body.len() > REWRITTEN_BYTES_MAX {
        return bodies;
    }
    for end in [b"\n".as_slice(), b"\r\n"] {
        bodies.push((LINE_END_LOST, [body, end].concat()));
    }
    bodies.push((LINE_END_ADDED, body.trim_ascii().to_vec()));
    if let Some(rest) = body.strip_prefix(b"\xef\xbb\xbf") {
        bodies.push((BYTE_ORDER_MARK, rest.to_vec()));
    }
    let Ok(text) = std::str::from_utf8(body) else { return bodies };
    let unix = text.replace("\r\n", "\n");
    bodies.push((LINE_ENDS, unix.replace('\n', "\r\n").into_bytes()));
    bodies.push((LINE_ENDS, unix.into_bytes()));
    let Ok(compact) = json::compact(text, limits::JSON_DEPTH_MAX) else { return bodies };
    bodies.push((BODY_REWRITTEN, compact));
    bodies.extend(ecmascript::rewrite(text).ok().map(|body| (BODY_REWRITTEN, body)));
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        bodies.push((BODY_REWRITTEN, value.to_string().into_bytes()));
        bodies.push((BODY_REWRITTEN, format!("{value:#}").into_bytes()));
        bodies.push((BODY_REWRITTEN, spaced(&value.to_string())));
    }
    bodies
}

/// Compact JSON with a space after each comma and colon: what Python's json writes.
fn spaced(compact: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 2);
    let (mut in_text, mut escaped) = (false, false);
    for byte in compact.bytes() {
        out.push(byte);
        match byte {
            b'"' if !escaped => in_text = !in_text,
            b',' | b':' if !in_text => out.push(b' '),
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    out
}

/// The keys for which a secret may have been meant.
fn other_keys(secret: &str) -> Vec<(Mistake, Zeroizing<Vec<u8>>)> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    let trimmed = secret.trim();
    let bare = trimmed.strip_prefix("whsec_");
    let mut keys = vec![(SECRET_WHITESPACE, trimmed.as_bytes().to_vec())];
    match bare {
        Some(bare) => {
            keys.extend(BASE64.decode(bare).ok().map(|bytes| (SECRET_DECODED, bytes)));
            keys.push((SECRET_PREFIX_EXTRA, bare.as_bytes().to_vec()));
        }
        None => keys.push((SECRET_PREFIX_MISSING, format!("whsec_{trimmed}").into_bytes())),
    }
    keys.extend(hex::decode(trimmed).ok().map(|bytes| (SECRET_DECODED, bytes)));
    keys.extend(BASE64.decode(trimmed).ok().map(|bytes| (SECRET_DECODED, bytes)));
    keys.push((SECRET_NOT_DECODED, secret.as_bytes().to_vec()));
    if trimmed == secret {
        keys.remove(0);
    }
    keys.into_iter().map(|(mistake, bytes)| (mistake, Zeroizing::new(bytes))).collect()
}

/// How the provider may have been given the URL.
fn other_urls(url: &str) -> Vec<(Mistake, String)> {
    let mut urls = Vec::new();
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (url, String::new()),
    };
    let slash = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
    urls.push((URL_SLASH, format!("{slash}{query}")));
    if !query.is_empty() {
        urls.push((URL_QUERY, path.to_owned()));
    }
    for (from, to, port) in [("https://", "http://", 443), ("http://", "https://", 80)] {
        let Some(rest) = url.strip_prefix(from) else { continue };
        urls.push((URL_SCHEME, format!("{to}{rest}")));
        let (host, after) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let bare = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
        let other = if bare == host { format!("{host}:{port}") } else { bare.to_owned() };
        urls.push((URL_PORT, format!("{from}{other}{after}")));
    }
    urls
}
