//! Requests that a preset must accept and requests that it must refuse, made from its data: for the tests here and for those
//! that send them over HTTP. The product itself never calls this.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::rand::SecureRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::Value;

use super::RefusalCode;
use super::scheme::{Algorithm, Encoding, KeyForm, Place, Preset, Scheme, TimestampAt};
use super::sign::{Draft, Sent, sign_by};
use crate::time::Timestamp;

/// A request, and what must come of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// As the trigger takes them, newest first.
    pub secrets: Vec<String>,
    /// For the trigger; `None` is the preset's.
    pub tolerance: Option<Duration>,
    pub request: Sent,
    pub expected: Expected,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    Accepted,
    /// With one of these codes.
    Refused(Vec<RefusalCode>),
}

/// What is applied where a preset looks at no time by itself.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Every case that the preset's ways of signing allow. `url`: the trigger's public URL. `now`: when they are verified; what is
/// below a second of it is cut, as providers do.
pub fn cases(preset: &Preset, url: &str, now: Timestamp, random: &dyn SecureRandom) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, scheme) in preset.schemes.iter().enumerate() {
        let (Some(first), Some(second), Some(other)) =
            (Pair::new(scheme, 1), Pair::new(scheme, 2), Pair::new(scheme, 3))
        else {
            continue;
        };
        let now = Timestamp::from_unix_ms(now.unix_seconds() * 1000);
        let name = if preset.schemes.len() > 1 { format!("scheme {}: ", at + 1) } else { String::new() };
        let mut maker =
            Maker { preset, scheme, url, now, random, first, second, other, name, cases: Vec::new() };
        maker.secrets();
        maker.times();
        maker.bodies();
        match &scheme.signature.at {
            Place::Headers(names) => {
                maker.signature_header(names);
                maker.lists(names);
            }
            Place::Json(_) => maker.signature_in_body(),
        }
        maker.signed_headers();
        maker.urls();
        cases.append(&mut maker.cases);
    }
    cases
}

/// A secret as the trigger takes it, and as the provider signs with it.
struct Pair {
    trigger: String,
    provider: String,
}

/// One to three times the generator of P-256: keys that everybody knows.
const P256_POINTS: [&str; 3] = [
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    "047cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc4766997807775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
    "045ecbe4d1a6330a44c8f7ef951d4bf165e6c6b721efada985fb41661bc6e7fd6c8734640c4998ff7e374b06ce1a64a2ecd82ab036384fb83d9a79b127a27d5032",
];
const P256_SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
const ED25519_SPKI: &str = "302a300506032b6570032100";

impl Pair {
    /// `None` for RSA, whose keys are not made from a number.
    fn new(scheme: &Scheme, number: u8) -> Option<Self> {
        let bytes = [number; 32];
        let same = |text: String| Some(Self { trigger: text.clone(), provider: text });
        match (scheme.algorithm, scheme.key) {
            (Algorithm::RsaSha256, _) => None,
            (Algorithm::EcdsaP256Sha256, _) => {
                let point = P256_POINTS.get(usize::from(number).checked_sub(1)?)?;
                let spki = hex::decode(format!("{P256_SPKI}{point}")).ok()?;
                Some(Self { trigger: BASE64.encode(spki), provider: format!("{number:064x}:{point}") })
            }
            (Algorithm::Ed25519, form) => {
                let pair = Ed25519KeyPair::from_seed_unchecked(&bytes).ok()?;
                let public = pair.public_key().as_ref();
                let (trigger, provider) = match form {
                    KeyForm::Whpk => {
                        (format!("whpk_{}", BASE64.encode(public)), format!("whsk_{}", BASE64.encode(bytes)))
                    }
                    KeyForm::Hex => (hex::encode(public), hex::encode(bytes)),
                    KeyForm::Spki => {
                        let spki = [hex::decode(ED25519_SPKI).ok()?.as_slice(), public].concat();
                        (BASE64.encode(spki), BASE64.encode(bytes))
                    }
                    _ => (BASE64.encode(public), BASE64.encode(bytes)),
                };
                Some(Self { trigger, provider })
            }
            (_, KeyForm::Whsec) => same(format!("whsec_{}", BASE64.encode(bytes))),
            (_, KeyForm::Hex) => same(hex::encode(bytes)),
            (_, KeyForm::Base64) => same(BASE64.encode(bytes)),
            (_, KeyForm::UserPassword) => same(format!("user-{number}:password-{number}")),
            _ => same(format!("test-secret-number-{number}-of-a-provider")),
        }
    }
}

struct Maker<'a> {
    preset: &'a Preset,
    scheme: &'a Scheme,
    url: &'a str,
    now: Timestamp,
    random: &'a dyn SecureRandom,
    first: Pair,
    second: Pair,
    other: Pair,
    name: String,
    cases: Vec<Case>,
}

impl Maker<'_> {
    fn sign_at(&self, secrets: &[&str], time: Timestamp) -> Option<Sent> {
        let mut headers = HeaderMap::new();
        let content_type = HeaderValue::from_str(&self.preset.sample.content_type).ok()?;
        headers.insert(http::header::CONTENT_TYPE, content_type);
        let draft = Draft {
            method: self.preset.methods.first().map_or("POST", String::as_str),
            url: self.url,
            headers,
            body: self.preset.sample.body.as_bytes(),
            timestamp: time,
            id: "msg_1",
        };
        sign_by(self.scheme, secrets, &draft, self.random)
    }

    fn sign(&self) -> Option<Sent> {
        self.sign_at(&[&self.first.provider], self.now)
    }

    fn add(&mut self, name: &str, request: Option<Sent>, expected: Expected) {
        let secrets = vec![self.first.trigger.clone()];
        self.add_for(name, secrets, request, expected);
    }

    fn add_for(&mut self, name: &str, secrets: Vec<String>, request: Option<Sent>, expected: Expected) {
        if let Some(request) = request {
            let name = format!("{}{name}", self.name);
            self.cases.push(Case { name, secrets, tolerance: None, request, expected });
        }
    }

    /// The good request, changed.
    fn add_changed(&mut self, name: &str, change: impl FnOnce(&mut Sent), codes: &[RefusalCode]) {
        let request = self.sign().map(|mut request| {
            change(&mut request);
            request
        });
        let expected = if codes.is_empty() { Expected::Accepted } else { refused(codes) };
        self.add(name, request, expected);
    }

    fn secrets(&mut self) {
        let (first, second) = (self.first.trigger.clone(), self.second.trigger.clone());
        let both = vec![second.clone(), first.clone()];
        let mismatch = || refused(&[RefusalCode::SignatureMismatch]);
        self.add("a signed request", self.sign(), Expected::Accepted);
        let by_second = self.sign_at(&[&self.second.provider], self.now);
        let by_other = self.sign_at(&[&self.other.provider], self.now);
        self.add_for(
            "while the secret changes, by the old one",
            both.clone(),
            self.sign(),
            Expected::Accepted,
        );
        self.add_for(
            "while the secret changes, by the new one",
            both.clone(),
            by_second.clone(),
            Expected::Accepted,
        );
        self.add_for("while the secret changes, by neither", both, by_other.clone(), mismatch());
        self.add_for("after the old secret was removed, by it", vec![second], self.sign(), mismatch());
        self.add_for("before the new secret was added, by it", vec![first], by_second, mismatch());
        self.add("by another secret", by_other, mismatch());
    }

    fn times(&mut self) {
        let Some(place) = &self.scheme.timestamp else { return };
        let tolerance = place.tolerance.unwrap_or(TOLERANCE);
        let second = Duration::from_secs(1);
        let from = self.cases.len();
        for (name, time, code) in [
            ("as old as may be", self.now.minus(tolerance), None),
            ("older than may be", self.now.minus(tolerance + second), Some(RefusalCode::TimestampOld)),
            ("as far ahead as may be", self.now.plus(tolerance), None),
            (
                "further ahead than may be",
                self.now.plus(tolerance + second),
                Some(RefusalCode::TimestampFuture),
            ),
        ] {
            let request = self.sign_at(&[&self.first.provider], time);
            self.add(name, request, code.map_or(Expected::Accepted, |code| refused(&[code])));
        }
        if place.tolerance.is_none() {
            self.cases[from..].iter_mut().for_each(|case| case.tolerance = Some(TOLERANCE));
        }
    }

    fn bodies(&mut self) {
        if !self.scheme.signs_body() {
            return;
        }
        let mut codes = vec![RefusalCode::SignatureMismatch, RefusalCode::BodyUnsigned];
        if matches!(self.scheme.id, Some(Place::Json(_))) {
            codes.push(RefusalCode::HeaderMissing);
        }
        let is_json = serde_json::from_str::<Value>(&self.preset.sample.body).is_ok();
        let more = if is_json { b' ' } else { b'x' };
        self.add_changed("one byte more", |request| request.body.push(more), &codes);
        self.add_changed(
            "one byte less",
            |request| request.body.truncate(request.body.len().saturating_sub(1)),
            &codes,
        );
        self.add_changed("no body", |request| request.body.clear(), &codes);
        if is_json {
            let again = |pretty: bool| {
                move |request: &mut Sent| {
                    let value: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                    request.body = if pretty { format!("{value:#}") } else { value.to_string() }.into_bytes();
                }
            };
            self.add_changed("parsed and written again with spaces", again(true), &codes);
            let compact = |request: Sent| {
                let mut written = request.clone();
                again(false)(&mut written);
                written.body != request.body
            };
            if self.sign().is_some_and(compact) {
                self.add_changed("parsed and written again without spaces", again(false), &codes);
            }
        }
    }

    fn signature_header(&mut self, names: &[HeaderName]) {
        let name = &names[0];
        let token = self.scheme.algorithm.is_token();
        // A header that ends with a space loses it, and a prefix that ends with one is none then.
        let wrong: &[RefusalCode] =
            &[RefusalCode::SignatureMalformed, RefusalCode::SignatureMismatch, RefusalCode::SchemeUnknown];
        self.add_changed(
            "without the signature's header",
            |request| drop(request.headers.remove(name)),
            &[RefusalCode::SignatureMissing],
        );
        self.add_changed(
            "the signature's header twice",
            |request| twice(request, name),
            &[RefusalCode::SignatureDoubled],
        );
        let prefix = self.scheme.signature.prefix.clone();
        for (case, text) in [
            ("a word for a signature", "!not-a-signature!"),
            ("no signature behind its prefix", ""),
            ("half a byte", "0"),
        ] {
            self.add_changed(
                case,
                |request| each_signature(self.scheme, request, name, |_| format!("{prefix}{text}")),
                wrong,
            );
        }
        self.add_changed(
            "a signature without its end",
            |request| {
                each_signature(self.scheme, request, name, |text| {
                    text[..text.len().saturating_sub(2)].to_owned()
                });
            },
            wrong,
        );
        self.add_changed(
            "bytes that are no text",
            |request| {
                if let Ok(value) = HeaderValue::from_bytes(b"\xff\xfe") {
                    request.headers.insert(name, value);
                }
            },
            &[RefusalCode::SignatureMalformed, RefusalCode::SignatureMismatch, RefusalCode::SchemeUnknown],
        );
        if !prefix.is_empty() {
            self.add_changed(
                "another prefix",
                |request| {
                    each_signature(self.scheme, request, name, |text| format!("other{text}"));
                },
                &[RefusalCode::SchemeUnknown],
            );
            self.add_changed(
                "the prefix in capitals",
                |request| {
                    each_signature(self.scheme, request, name, |text| {
                        format!("{}{}", prefix.to_ascii_uppercase(), &text[prefix.len()..])
                    });
                },
                &[],
            );
        }
        if self.scheme.signature.encoding == Encoding::Hex && !token {
            self.add_changed(
                "hexadecimal digits in capitals",
                |request| {
                    each_signature(self.scheme, request, name, |text| {
                        format!("{prefix}{}", text[prefix.len()..].to_ascii_uppercase())
                    });
                },
                &[],
            );
        }
    }

    fn lists(&mut self, names: &[HeaderName]) {
        let mismatch = || refused(&[RefusalCode::SignatureMismatch]);
        let first = self.first.provider.clone();
        let other = self.other.provider.clone();
        if self.scheme.signature.separator.is_some() {
            let listed = |secrets: &[&str]| self.sign_at(secrets, self.now);
            let (last, both) = (listed(&[&other, &first]), listed(&[&other, &other]));
            self.add("two signatures, of which the second matches", last, Expected::Accepted);
            self.add("two signatures, of which none matches", both, mismatch());
        }
        let Some(last) = names.last().filter(|_| names.len() > 1) else { return };
        let at = names.len() - 1;
        let time = self.scheme.timestamp.as_ref().and_then(|place| match &place.at {
            TimestampAt::Place(place) => place.header(at).zip(place.header(0)),
            TimestampAt::Part(_) => None,
        });
        let id = self.scheme.id.as_ref().and_then(|place| place.header(at).zip(place.header(0)));
        let to_last = |request: &mut Sent| {
            for (to, from) in [Some((last, &names[0])), time, id].into_iter().flatten() {
                if let Some(value) = request.headers.remove(from) {
                    request.headers.insert(to, value);
                }
            }
        };
        self.add_changed("under the last of its headers", to_last, &[]);
        let mut both = self.sign();
        if let (Some(good), Some(bad)) = (&mut both, self.sign_at(&[&other], self.now)) {
            to_last(good);
            for (name, value) in &bad.headers {
                good.headers.entry(name).or_insert(value.clone());
            }
        }
        self.add("under two of its headers, of which the last matches", both, Expected::Accepted);
    }

    fn signature_in_body(&mut self) {
        let Place::Json(path) = self.scheme.signature.at.clone() else { return };
        let items = self.scheme.items.clone();
        let put = move |new: Value| {
            move |request: &mut Sent| {
                let mut body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                match &items {
                    Some(items) => items.set_each(&mut body, &path, &mut std::iter::once(new)),
                    None => path.set(&mut body, &new),
                }
                request.body = body.to_string().into_bytes();
            }
        };
        let wrong = [RefusalCode::SignatureMalformed, RefusalCode::SignatureMismatch];
        self.add_changed("null for a signature", put.clone()(Value::Null), &[RefusalCode::SignatureMissing]);
        self.add_changed(
            "a list for a signature",
            put.clone()(serde_json::json!([1])),
            &[RefusalCode::SignatureMissing],
        );
        self.add_changed("a word for a signature", put(Value::from("!not-a-signature!")), &wrong);
        let malformed = [RefusalCode::BodyMalformed];
        self.add_changed("no body", |request| request.body.clear(), &malformed);
        self.add_changed(
            "a body without its end",
            |request| request.body.truncate(request.body.len().saturating_sub(1)),
            &malformed,
        );
        self.add_changed(
            "a body that nests too deep",
            |request| request.body = "[".repeat(10_000).into_bytes(),
            &malformed,
        );
        if self.scheme.items.is_some() {
            self.add_changed(
                "a body without items",
                |request| request.body = b"[]".to_vec(),
                &[RefusalCode::BodyMalformed, RefusalCode::SignatureMissing],
            );
        }
    }

    /// Time and id, where they have headers of their own or a part of the signature's.
    fn signed_headers(&mut self) {
        let missing = [RefusalCode::TimestampMissing];
        match self.scheme.timestamp.as_ref().map(|place| place.at.clone()) {
            Some(TimestampAt::Place(Place::Headers(names))) => {
                let name = &names[0];
                self.add_changed("without the time", |request| drop(request.headers.remove(name)), &missing);
                self.add_changed(
                    "the time twice",
                    |request| twice(request, name),
                    &[RefusalCode::HeaderDoubled],
                );
                for (case, text) in [
                    ("a word for a time", "soon"),
                    ("a time with a sign", "+1700000000"),
                    ("a time with more digits than fit", "99999999999999999999999"),
                ] {
                    self.add_changed(
                        case,
                        |request| put(request, name, text),
                        &[RefusalCode::TimestampMalformed],
                    );
                }
                let later = self.now.plus(Duration::from_secs(1));
                let moved =
                    self.sign_at(&[&self.first.provider], later).and_then(|it| it.headers.get(name).cloned());
                if let Some(moved) = moved {
                    let change = |request: &mut Sent| drop(request.headers.insert(name, moved));
                    self.add_changed(
                        "another time than was signed",
                        change,
                        &[RefusalCode::SignatureMismatch],
                    );
                }
            }
            Some(TimestampAt::Part(part)) => {
                let Place::Headers(names) = self.scheme.signature.at.clone() else { return };
                let separator = self.scheme.signature.separator.clone().unwrap_or_default();
                let replace = |with: Vec<String>| {
                    let (part, separator, name) = (part.clone(), separator.clone(), names[0].clone());
                    move |request: &mut Sent| {
                        let value =
                            request.headers.get(&name).and_then(|it| it.to_str().ok()).unwrap_or_default();
                        let rest = value
                            .split(separator.as_str())
                            .filter(|it| !it.starts_with(&part))
                            .map(str::to_owned);
                        let value: Vec<String> = with.into_iter().chain(rest).collect();
                        put(request, &name, &value.join(&separator));
                    }
                };
                self.add_changed("without the time", replace(vec![]), &missing);
                let two = vec![format!("{part}1"), format!("{part}2")];
                self.add_changed("the time twice", replace(two), &[RefusalCode::HeaderDoubled]);
                let word = vec![format!("{part}soon")];
                self.add_changed("a word for a time", replace(word), &[RefusalCode::TimestampMalformed]);
                let later = vec![format!("{part}{}", self.now.unix_seconds() + 1)];
                self.add_changed(
                    "another time than was signed",
                    replace(later),
                    &[RefusalCode::SignatureMismatch],
                );
            }
            _ => {}
        }
        if let Some(Place::Headers(names)) = self.scheme.id.clone() {
            let name = &names[0];
            self.add_changed(
                "without the id",
                |request| drop(request.headers.remove(name)),
                &[RefusalCode::HeaderMissing],
            );
            self.add_changed("the id twice", |request| twice(request, name), &[RefusalCode::HeaderDoubled]);
            self.add_changed(
                "another id",
                |request| put(request, name, "msg_2"),
                &[RefusalCode::SignatureMismatch],
            );
        }
    }

    fn urls(&mut self) {
        if self.scheme.signed.has_url() {
            let url = self.url.to_owned();
            let signed =
                Maker { url: "https://elsewhere.example.com/", first: self.first.copy(), ..self.alike() }
                    .sign();
            let request = signed.map(|request| Sent { url, ..request });
            self.add(
                "signed for another URL",
                request,
                refused(&[RefusalCode::SignatureMismatch, RefusalCode::BodyUnsigned]),
            );
        }
    }

    fn alike(&self) -> Maker<'_> {
        let Self { preset, scheme, url, now, random, first, second, other, .. } = self;
        let (first, second, other) = (first.copy(), second.copy(), other.copy());
        Maker {
            preset,
            scheme,
            url,
            now: *now,
            random: *random,
            first,
            second,
            other,
            name: String::new(),
            cases: Vec::new(),
        }
    }
}

impl Pair {
    fn copy(&self) -> Self {
        Self { trigger: self.trigger.clone(), provider: self.provider.clone() }
    }
}

fn refused(codes: &[RefusalCode]) -> Expected {
    Expected::Refused(codes.to_vec())
}

fn put(request: &mut Sent, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        request.headers.insert(name, value);
    }
}

fn twice(request: &mut Sent, name: &HeaderName) {
    if let Some(value) = request.headers.get(name).cloned() {
        request.headers.append(name, value);
    }
}

/// Changes each signature of a header, with its prefix, and leaves what stands beside.
fn each_signature(scheme: &Scheme, request: &mut Sent, name: &HeaderName, change: impl Fn(&str) -> String) {
    let value =
        request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let prefix = &scheme.signature.prefix;
    let changed = match &scheme.signature.separator {
        None => change(&value),
        Some(separator) => {
            let parts = value.split(separator.as_str());
            let parts: Vec<String> = parts
                .map(|part| if part.starts_with(prefix) { change(part) } else { part.to_owned() })
                .collect();
            parts.join(separator)
        }
    };
    put(request, name, &changed);
}
