//! Whether a captured request carries a signature that holds and, if not, which part is wrong.
//!
//! For people whose receiver refuses our requests: most often the body was changed before it was checked, so the
//! usual changes are tried one after another.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::profile::Profile;
use crate::profile::signer::{Encoding, SignaturePart, SignatureTemplate, Signer, signed_parts};
use crate::profile::template::{Format, Placeholder, Source, TimeFormat};
use crate::signature::{KeyKind, SecretForm, SigningKey, VerifyingKey};
use crate::time::Timestamp;
use crate::{ecmascript, json};

/// How far a signed time may be from now: what Standard Webhooks libraries allow.
pub const TOLERANCE_SECONDS: u64 = 300;

/// What was captured.
#[derive(Debug, Clone, Copy)]
pub struct Capture<'a> {
    /// Names compare without case.
    pub headers: &'a [(String, String)],
    /// The raw body, as bytes.
    pub body: &'a [u8],
    /// When it was received, to tell a stale time; `None` does not look.
    pub received: Option<Timestamp>,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Holds,
    ProfileDoesNotSign,
    /// The secret is not in the form that the profile takes.
    SecretInvalid {
        detail: String,
    },
    HeaderMissing {
        header: String,
    },
    /// A header that carries a signed value is missing.
    SignedHeaderMissing {
        header: String,
    },
    /// The header is not in the profile's form, such as a prefix that is missing.
    FormWrong {
        header: String,
        expected: String,
    },
    /// Where hex or base64 should stand is something else, or it has the wrong length.
    NotEncoded {
        header: String,
        encoding: &'static str,
        bytes: usize,
    },
    /// The signature holds, but its time is too far from now.
    TimeStale {
        header: String,
        seconds: u64,
    },
    /// The header that carries the time holds no number of seconds.
    TimeMalformed {
        header: String,
    },
    /// It would hold had the body not been changed.
    BodyChanged {
        change: BodyChange,
    },
    /// It holds with the secret read in another way.
    SecretMisread {
        misreading: SecretMisreading,
    },
    /// Another secret, or a body that is not the one that was signed.
    Mismatch,
}

/// What was done to the body between us and the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyChange {
    /// Spaces or line ends were added around it.
    WhitespaceAround,
    /// A line end was cut off, or spaces were.
    LineEndLost,
    /// Line ends became CR LF.
    LineEnds,
    /// It was parsed and written again with other whitespace.
    Spaced,
    /// It was parsed and written again by something that writes numbers or escapes in its own way.
    Rewritten,
    /// A byte order mark was put before it.
    ByteOrderMark,
}

/// How a secret was taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretMisreading {
    /// There is whitespace around it that does not belong to it.
    Whitespace,
    /// Its text was the key, not the bytes that it stands for.
    TextAsKey,
    /// The bytes that it decodes to were the key, not its text.
    DecodedAsKey,
}

/// Checks a captured request the way its receiver should. `secret`: the webhook's secret, or the public key
/// (`whpk_…`) where the profile signs with Ed25519.
pub fn verify(profile: &Profile, capture: Capture<'_>, secret: &str) -> Finding {
    let Some(signer) = profile.signer() else { return Finding::ProfileDoesNotSign };
    let Some(value) = header(capture.headers, &signer.header) else {
        return Finding::HeaderMissing { header: signer.header.clone() };
    };
    let mut misreading = None;
    let key = match verifying_key(profile, secret) {
        Ok(key) => key,
        Err(detail) => match verifying_key(profile, secret.trim()) {
            Ok(key) => {
                misreading = Some(SecretMisreading::Whitespace);
                key
            }
            Err(_) => return Finding::SecretInvalid { detail },
        },
    };
    let check = match Check::read(profile, signer, value, key.kind(), capture.headers) {
        Ok(check) => check,
        Err(finding) => return finding,
    };
    if check.holds(&key, capture.body) {
        return match misreading {
            Some(misreading) => Finding::SecretMisread { misreading },
            None => check.time_finding(capture.received),
        };
    }
    if let Some((change, _)) = body_change(&check, &key, capture.body) {
        return Finding::BodyChanged { change };
    }
    for (misreading, key) in other_readings(profile.signature.secret_form, secret) {
        if check.holds(&VerifyingKey::Private(key), capture.body) {
            return Finding::SecretMisread { misreading };
        }
    }
    check.time_malformed().unwrap_or(Finding::Mismatch)
}

/// As [`verify`], with keys instead of a secret's text: one that holds is enough.
pub fn verify_with_keys<'k>(
    profile: &Profile,
    capture: Capture<'_>,
    keys: impl Iterator<Item = &'k SigningKey>,
) -> Finding {
    let Some(signer) = profile.signer() else { return Finding::ProfileDoesNotSign };
    let Some(value) = header(capture.headers, &signer.header) else {
        return Finding::HeaderMissing { header: signer.header.clone() };
    };
    let mut found = Finding::Mismatch;
    for key in keys {
        let key = VerifyingKey::Private(key.clone());
        let finding = match Check::read(profile, signer, value, key.kind(), capture.headers) {
            Err(finding) => finding,
            Ok(check) if check.holds(&key, capture.body) => return check.time_finding(capture.received),
            Ok(check) => match body_change(&check, &key, capture.body) {
                Some((change, _)) => Finding::BodyChanged { change },
                None => check.time_malformed().unwrap_or(Finding::Mismatch),
            },
        };
        // `Mismatch` says the least.
        if found == Finding::Mismatch {
            found = finding;
        }
    }
    found
}

/// The body as it was signed, where [`verify`] finds [`Finding::BodyChanged`]: what was changed shows beside it.
pub fn signed_body(profile: &Profile, capture: Capture<'_>, secret: &str) -> Option<Vec<u8>> {
    let signer = profile.signer()?;
    let value = header(capture.headers, &signer.header)?;
    let key = verifying_key(profile, secret).ok()?;
    let check = Check::read(profile, signer, value, key.kind(), capture.headers).ok()?;
    if check.holds(&key, capture.body) {
        return None;
    }
    body_change(&check, &key, capture.body).map(|(_, signed)| signed)
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn verifying_key(profile: &Profile, secret: &str) -> Result<VerifyingKey, String> {
    if profile.signature.asymmetric
        && let Some(key) = VerifyingKey::public(secret)
    {
        return Ok(key);
    }
    profile.signing_key(secret).map(VerifyingKey::Private).map_err(|problem| problem.detail)
}

/// A signature header, read: what is to be checked against what.
struct Check<'a> {
    template: &'a SignatureTemplate,
    /// Each signature of the header whose form fits the key.
    signatures: Vec<Vec<u8>>,
    /// The signed values, with the header that told each.
    values: Vec<(&'a Placeholder, String, String)>,
}

impl<'a> Check<'a> {
    fn read(
        profile: &'a Profile,
        signer: &'a Signer,
        value: &str,
        kind: KeyKind,
        headers: &[(String, String)],
    ) -> Result<Self, Finding> {
        let wrong_form = || Finding::FormWrong { header: signer.header.clone(), expected: signer.form(kind) };
        let template = signer.template(kind).ok_or_else(wrong_form)?;
        let mut signatures = Vec::new();
        let mut values = Vec::new();
        let mut not_encoded = None;
        let items: Vec<&str> = match &signer.separator {
            Some(separator) => value.split(separator.as_str()).filter(|item| !item.is_empty()).collect(),
            None => vec![value],
        };
        for item in items {
            let Some(read) = read_item(template, item) else { continue };
            match read.encoding.decode(read.signature) {
                Some(bytes) if bytes.len() == signature_len(kind) => signatures.push(bytes),
                decoded => {
                    not_encoded = Some(Finding::NotEncoded {
                        header: signer.header.clone(),
                        encoding: read.encoding.name(),
                        bytes: decoded.map_or(0, |bytes| bytes.len()),
                    });
                }
            }
            for (placeholder, text) in read.values {
                values.push((placeholder, text, signer.header.clone()));
            }
        }
        if signatures.is_empty() {
            return Err(not_encoded.unwrap_or_else(wrong_form));
        }
        for placeholder in template.signed_values() {
            if values.iter().any(|(known, ..)| *known == placeholder) {
                continue;
            }
            let carrier = profile.headers().iter().find(|(_, template)| template.only() == Some(placeholder));
            let Some((name, _)) = carrier else { return Err(wrong_form()) };
            let value = header(headers, name);
            let value = value.ok_or_else(|| Finding::SignedHeaderMissing { header: name.clone() })?;
            values.push((placeholder, value.to_owned(), name.clone()));
        }
        Ok(Self { template, signatures, values })
    }

    fn holds(&self, key: &VerifyingKey, body: &[u8]) -> bool {
        let mut content = None;
        for part in &self.template.0 {
            if let SignaturePart::Signature { content: signed, .. } = part {
                content = Some(signed);
            }
        }
        let Some(content) = content else { return false };
        let parts = signed_parts(content, body, |placeholder| {
            let (_, text, _) = self.values.iter().find(|(known, ..)| *known == placeholder)?;
            Some(Cow::Borrowed(text.as_bytes()))
        });
        parts.is_some_and(|parts| self.signatures.iter().any(|signature| key.verify(&parts, signature)))
    }

    /// The header that carries the signed time in seconds, and what it says.
    fn time(&self) -> Option<(&str, Option<i64>)> {
        let seconds = Format::Time(TimeFormat::UnixSeconds);
        let carried = self.values.iter().find(|(placeholder, ..)| {
            placeholder.source == Source::AttemptTime && placeholder.format == seconds
        });
        carried.map(|(_, text, header)| (header.as_str(), text.parse().ok()))
    }

    fn time_malformed(&self) -> Option<Finding> {
        match self.time() {
            Some((header, None)) => Some(Finding::TimeMalformed { header: header.to_owned() }),
            _ => None,
        }
    }

    fn time_finding(&self, received: Option<Timestamp>) -> Finding {
        let (Some(received), Some((header, Some(signed)))) = (received, self.time()) else {
            return Finding::Holds;
        };
        let seconds = received.unix_seconds().abs_diff(signed);
        if seconds > TOLERANCE_SECONDS {
            return Finding::TimeStale { header: header.to_owned(), seconds };
        }
        Finding::Holds
    }
}

struct ReadItem<'t, 'v> {
    encoding: Encoding,
    signature: &'v str,
    values: Vec<(&'t Placeholder, String)>,
}

/// Reads one signature by its template: text must stand as it is, a value goes on until the next text.
fn read_item<'t, 'v>(template: &'t SignatureTemplate, item: &'v str) -> Option<ReadItem<'t, 'v>> {
    let mut rest = item;
    let mut values = Vec::new();
    let mut signature = None;
    for (at, part) in template.0.iter().enumerate() {
        if let SignaturePart::Text(text) = part {
            rest = rest.strip_prefix(text.as_str())?;
            continue;
        }
        let end = match template.0.get(at + 1) {
            Some(SignaturePart::Text(text)) => rest.find(text.as_str())?,
            _ => rest.len(),
        };
        let (value, after) = rest.split_at(end);
        rest = after;
        match part {
            SignaturePart::Value(placeholder) => values.push((placeholder, value.to_owned())),
            SignaturePart::Signature { encoding, .. } => signature = Some((*encoding, value)),
            SignaturePart::Text(_) => {}
        }
    }
    let (encoding, signature) = signature?;
    rest.is_empty().then_some(ReadItem { encoding, signature, values })
}

const fn signature_len(kind: KeyKind) -> usize {
    match kind {
        KeyKind::Shared => 32,
        KeyKind::Ed25519 => 64,
    }
}

/// Undoes the usual changes, one at a time: the one that was made, and the body before it.
fn body_change(check: &Check<'_>, key: &VerifyingKey, body: &[u8]) -> Option<(BodyChange, Vec<u8>)> {
    let mut candidates = vec![(BodyChange::WhitespaceAround, body.trim_ascii().to_vec())];
    for end in [b"\n".as_slice(), b"\r\n"] {
        candidates.push((BodyChange::LineEndLost, [body, end].concat()));
    }
    if let Some(rest) = body.strip_prefix(b"\xef\xbb\xbf") {
        candidates.push((BodyChange::ByteOrderMark, rest.to_vec()));
    }
    if let Ok(text) = std::str::from_utf8(body) {
        candidates.push((BodyChange::LineEnds, text.replace("\r\n", "\n").into_bytes()));
        if let Ok(compact) = json::compact(text, crate::limits::JSON_DEPTH_MAX + 16) {
            candidates.push((BodyChange::Spaced, compact));
        }
        if let Ok(rewritten) = ecmascript::rewrite(text) {
            candidates.push((BodyChange::Rewritten, rewritten));
        }
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
            candidates.push((BodyChange::Rewritten, value.to_string().into_bytes()));
        }
    }
    for (change, candidate) in candidates {
        if candidate != body && check.holds(key, &candidate) {
            return Some((change, candidate));
        }
    }
    None
}

/// The keys for which a secret of this form is taken by mistake.
fn other_readings(form: SecretForm, secret: &str) -> Vec<(SecretMisreading, SigningKey)> {
    let mut keys = Vec::new();
    let trimmed = secret.trim();
    match form {
        SecretForm::Utf8 => {
            keys.push((SecretMisreading::Whitespace, SigningKey::shared(trimmed.as_bytes())));
            for decoded in [BASE64.decode(trimmed).ok(), hex::decode(trimmed).ok()].into_iter().flatten() {
                keys.push((SecretMisreading::DecodedAsKey, SigningKey::shared(&decoded)));
            }
        }
        SecretForm::Whsec => {
            let bare = trimmed.strip_prefix("whsec_").unwrap_or(trimmed);
            for text in [trimmed, bare] {
                keys.push((SecretMisreading::TextAsKey, SigningKey::shared(text.as_bytes())));
            }
        }
    }
    keys
}

impl Finding {
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }

    /// A stable word for each.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::ProfileDoesNotSign => "profile_does_not_sign",
            Self::SecretInvalid { .. } => "secret_invalid",
            Self::HeaderMissing { .. } => "header_missing",
            Self::SignedHeaderMissing { .. } => "signed_header_missing",
            Self::FormWrong { .. } => "form_wrong",
            Self::NotEncoded { .. } => "not_encoded",
            Self::TimeStale { .. } => "time_stale",
            Self::TimeMalformed { .. } => "time_malformed",
            Self::BodyChanged { .. } => "body_changed",
            Self::SecretMisread { .. } => "secret_misread",
            Self::Mismatch => "mismatch",
        }
    }

    /// Which part is wrong, and what to do.
    pub fn sentence(&self) -> String {
        match self {
            Self::Holds => "The signature holds.".to_owned(),
            Self::ProfileDoesNotSign => "This profile does not sign its requests.".to_owned(),
            Self::SecretInvalid { detail } => format!("The secret is not one of this profile. {detail}"),
            Self::HeaderMissing { header } => format!(
                "There is no header {header}. Either the webhook has no secret, or something on the way removed it."
            ),
            Self::SignedHeaderMissing { header } => {
                format!("There is no header {header}, whose value is signed together with the body. Capture it too.")
            }
            Self::FormWrong { header, expected } => {
                format!("The header {header} is not in this profile's form, which is {expected}.")
            }
            Self::NotEncoded { header, encoding, bytes } => {
                let found = match bytes {
                    0 => format!("is not {encoding}"),
                    bytes => format!("decodes to {bytes} bytes, which is not a signature's length"),
                };
                format!("The signature in {header} {found}. It was cut or changed on the way.")
            }
            Self::TimeStale { header, seconds } => format!(
                "The signature holds, but the time in {header} is {seconds} s away from now, and receivers allow \
                 {TOLERANCE_SECONDS} s. Check the clocks, or the request was kept and sent again by someone else."
            ),
            Self::TimeMalformed { header } => format!("The header {header} must hold seconds since 1970."),
            Self::BodyChanged { change } => change.sentence().to_owned(),
            Self::SecretMisread { misreading } => misreading.sentence().to_owned(),
            Self::Mismatch => "The signature is in the right form but was not made with this secret over this body. \
                               Compare the secret with the webhook's, and check that the body is the raw bytes of \
                               the request."
                .to_owned(),
        }
    }
}

impl BodyChange {
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::WhitespaceAround => {
                "The signature holds once whitespace around the body is removed: something added a line end or \
                 spaces. Check the raw bytes."
            }
            Self::LineEndLost => {
                "The signature holds once a line end is put behind the body: something cut it off. Check the raw bytes."
            }
            Self::LineEnds => {
                "The signature holds once the line ends are LF: something turned them into CR LF. Check the raw bytes."
            }
            Self::Spaced => {
                "The signature holds for the compact form of this body: it was parsed and written again with other \
                 whitespace. Check the raw bytes, before any JSON parser."
            }
            Self::Rewritten => {
                "The signature holds for this body written in another way: it was parsed and written again, which \
                 changed numbers, escapes or the order of keys. Check the raw bytes, before any JSON parser."
            }
            Self::ByteOrderMark => {
                "The signature holds once the byte order mark before the body is removed. Check the raw bytes."
            }
        }
    }
}

impl SecretMisreading {
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Whitespace => {
                "The signature holds once whitespace around the secret is removed: it was copied with a line end or \
                 a space."
            }
            Self::TextAsKey => {
                "The signature was made with the secret's text as the key. This profile's key is what the text after \
                 `whsec_` decodes to from base64."
            }
            Self::DecodedAsKey => {
                "The signature was made with the bytes that the secret decodes to. This profile's key is the secret's \
                 text itself."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DeliveryId;
    use crate::profile::{Message, TenantValues, builtin_profiles};

    const SECRET: &str = "a-secret-of-more-than-24-bytes";
    const SENT: Timestamp = Timestamp::from_unix_ms(1_776_996_930_000);

    /// A request of a built-in profile as it would be captured.
    struct Sent {
        profile: std::sync::Arc<Profile>,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    }

    fn sent(profile: &str, secret: &str) -> Sent {
        let profile =
            builtin_profiles().into_iter().find(|known| known.name == profile).expect("a built-in profile");
        let tenant = TenantValues {
            id: "t".to_owned(),
            name: "Tänant".to_owned(),
            timezone: jiff::tz::TimeZone::UTC,
            attributes: serde_json::Map::new(),
        };
        let message = Message {
            event_id: "evt_1",
            event_type: "task.completed",
            event_time: SENT,
            test: false,
            data: br#"{"a":1.0,"b":"\u00e9","c":[1,2]}"#,
            tenant: &tenant,
            delivery_id: DeliveryId::from_bytes([1; 16]),
            delivery_uuid: crate::id::DeliveryUuid::Is(uuid::Uuid::nil()),
            attempt: 1,
            sent_at: SENT,
        };
        let key = profile.signing_key(secret).expect("a good secret");
        let body = profile.render_body(&message).expect("good data");
        let headers = profile.render_headers(&message, &body, &[key]);
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Sent { profile, headers, body }
    }

    impl Sent {
        fn verify(&self, secret: &str) -> Finding {
            self.verify_body(&self.body, secret)
        }

        fn verify_body(&self, body: &[u8], secret: &str) -> Finding {
            let capture = Capture { headers: &self.headers, body, received: Some(SENT) };
            verify(&self.profile, capture, secret)
        }

        fn header(&mut self, name: &str) -> &mut String {
            let header = self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
            &mut header.expect("a header that was sent").1
        }
    }

    const STANDARD_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const PRIVATE_KEY: &str = "whsk_BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY=";
    const PUBLIC_KEY: &str = "whpk_ANBaHR6iUTltVXr71FiLPG2Z2+uXL+0QoyVi6ibc3Po=";

    #[test]
    fn what_every_profile_sends_holds() {
        for profile in builtin_profiles() {
            let secret = if profile.name == "standard" { STANDARD_SECRET } else { SECRET };
            assert_eq!(sent(&profile.name, secret).verify(secret), Finding::Holds, "{}", profile.name);
        }
    }

    #[test]
    fn an_ed25519_signature_holds_for_either_half_of_its_key() {
        let sent = sent("standard", PRIVATE_KEY);
        assert_eq!(sent.verify(PRIVATE_KEY), Finding::Holds);
        assert_eq!(sent.verify(PUBLIC_KEY), Finding::Holds);
        assert_eq!(sent.verify_body(b"{}", PUBLIC_KEY), Finding::Mismatch);
    }

    #[test]
    fn a_header_that_is_missing_is_named() {
        let mut request = sent("standard", STANDARD_SECRET);
        request.headers.retain(|(name, _)| name != "webhook-timestamp");
        let expected = Finding::SignedHeaderMissing { header: "webhook-timestamp".to_owned() };
        assert_eq!(request.verify(STANDARD_SECRET), expected);
        request.headers.clear();
        let expected = Finding::HeaderMissing { header: "webhook-signature".to_owned() };
        assert_eq!(request.verify(STANDARD_SECRET), expected);
    }

    #[test]
    fn a_header_in_another_form_is_told_from_a_wrong_signature() {
        let mut request = sent("smartmaintenance", SECRET);
        let good = request.header("x-smtm-signature").clone();
        let bare = good.trim_start_matches("sha256=").to_owned();
        for (value, code) in [
            (bare.clone(), "form_wrong"),
            (format!("sha1={bare}"), "form_wrong"),
            ("sha256=".to_owned(), "not_encoded"),
            ("sha256=zz".to_owned(), "not_encoded"),
            (good[..good.len() - 2].to_owned(), "not_encoded"),
            (format!("sha256={}", "0".repeat(64)), "mismatch"),
            (format!("  {good} "), "holds"),
        ] {
            *request.header("X-SMTM-Signature") = value.clone();
            assert_eq!(request.verify(SECRET).code(), code, "{value}");
        }
    }

    #[test]
    fn a_body_that_was_changed_is_told_from_another_secret() {
        let request = sent("smartmaintenance", SECRET);
        let text = String::from_utf8(request.body.clone()).expect("UTF-8");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let pretty = serde_json::to_string_pretty(&serde_json::json!({"event": 1})).expect("JSON");
        for (body, change) in [
            (format!("{text}\n"), BodyChange::WhitespaceAround),
            (format!("\u{feff}{text}"), BodyChange::ByteOrderMark),
            (text.replace("\":", "\": "), BodyChange::Spaced),
        ] {
            assert_eq!(
                request.verify_body(body.as_bytes(), SECRET),
                Finding::BodyChanged { change },
                "{body}"
            );
        }
        assert_eq!(request.verify_body(value.to_string().as_bytes(), SECRET), Finding::Mismatch);
        assert_eq!(request.verify_body(pretty.as_bytes(), SECRET), Finding::Mismatch);
        assert_eq!(request.verify("another-secret-of-24-bytes"), Finding::Mismatch);
        assert_eq!(request.verify_body(b"\xff\xfe", SECRET), Finding::Mismatch);
    }

    #[test]
    fn keys_judge_as_their_secrets_do_and_the_signed_body_is_found_again() {
        let request = sent("smartmaintenance", SECRET);
        let key = request.profile.signing_key(SECRET).expect("a good secret");
        let other = request.profile.signing_key("another-secret-of-24-bytes").expect("a good secret");
        let judge = |body: &[u8], keys: &[&SigningKey]| {
            let capture = Capture { headers: &request.headers, body, received: Some(SENT) };
            verify_with_keys(&request.profile, capture, keys.iter().copied())
        };
        assert_eq!(judge(&request.body, &[&other, &key]), Finding::Holds);
        assert_eq!(judge(&request.body, &[&other]), Finding::Mismatch);
        assert_eq!(judge(&request.body, &[]), Finding::Mismatch);
        let changed = [&request.body[..], b"\n"].concat();
        let finding = Finding::BodyChanged { change: BodyChange::WhitespaceAround };
        assert_eq!(judge(&changed, &[&other, &key]), finding);
        let capture = |body| Capture { headers: &request.headers, body, received: None };
        assert_eq!(signed_body(&request.profile, capture(&changed), SECRET), Some(request.body.clone()));
        assert_eq!(signed_body(&request.profile, capture(&request.body), SECRET), None);
    }

    #[test]
    fn a_body_of_the_rewriting_kind_is_recognised_when_it_was_written_again() {
        let request = sent("rcmanager", SECRET);
        let text = String::from_utf8(request.body.clone()).expect("UTF-8");
        let escaped = text.replace('é', "\\u00e9").replace("\"a\":1,", "\"a\":1.0,");
        assert_ne!(escaped, text);
        let expected = Finding::BodyChanged { change: BodyChange::Rewritten };
        assert_eq!(request.verify_body(escaped.as_bytes(), SECRET), expected);
    }

    #[test]
    fn a_secret_that_was_read_in_another_way_is_told() {
        let request = sent("smartmaintenance", SECRET);
        let expected = Finding::SecretMisread { misreading: SecretMisreading::Whitespace };
        assert_eq!(request.verify(&format!("{SECRET}\n")), expected);

        let mut request = sent("standard", STANDARD_SECRET);
        assert_eq!(request.verify("no-prefix").code(), "secret_invalid");
        assert_eq!(request.verify(&format!(" {STANDARD_SECRET}\n")), expected);
        // A sender that took the secret's text for the key.
        let signed = [b"evt_1.1776996930.".as_slice(), &request.body].concat();
        let signature = SigningKey::shared(STANDARD_SECRET.as_bytes()).sign(&[Cow::Borrowed(&signed)]);
        *request.header("webhook-signature") = format!("v1,{}", BASE64.encode(signature));
        let expected = Finding::SecretMisread { misreading: SecretMisreading::TextAsKey };
        assert_eq!(request.verify(STANDARD_SECRET), expected);
    }

    #[test]
    fn a_stale_time_and_one_that_is_none_are_told() {
        let mut request = sent("standard", STANDARD_SECRET);
        let received = Some(Timestamp::from_unix_ms(SENT.unix_ms() + 301_000));
        let capture = Capture { headers: &request.headers, body: &request.body, received };
        let expected = Finding::TimeStale { header: "webhook-timestamp".to_owned(), seconds: 301 };
        assert_eq!(verify(&request.profile, capture, STANDARD_SECRET), expected);
        let capture = Capture { received: None, ..capture };
        assert_eq!(verify(&request.profile, capture, STANDARD_SECRET), Finding::Holds);
        *request.header("webhook-timestamp") = "yesterday".to_owned();
        assert_eq!(request.verify(STANDARD_SECRET).code(), "time_malformed");
        *request.header("webhook-timestamp") = "1776996931".to_owned();
        assert_eq!(request.verify(STANDARD_SECRET), Finding::Mismatch);
    }

    #[test]
    fn one_good_signature_of_a_list_is_enough() {
        let mut request = sent("standard", STANDARD_SECRET);
        let good = request.header("webhook-signature").clone();
        let other = BASE64.encode([0u8; 32]);
        *request.header("webhook-signature") = format!("v1,{other} v2,unknown v1a,x {good}");
        assert_eq!(request.verify(STANDARD_SECRET), Finding::Holds);
        *request.header("webhook-signature") = "v2,unknown".to_owned();
        assert_eq!(request.verify(STANDARD_SECRET).code(), "form_wrong");
    }
}
