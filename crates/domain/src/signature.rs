//! Signatures: keys from secrets, and the header that proves who sent a body.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::limits;
use crate::problem::{Code, Problem, Warning};
use crate::random::Random;

/// How a profile signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignaturePolicy {
    pub secret: SecretRule,
    /// The header carries one signature for each key in force, so secrets rotate with overlap. Otherwise a new secret
    /// is pending until it is confirmed or its time comes.
    pub carries_list: bool,
    pub secret_form: SecretForm,
    /// Whether Ed25519 keys (`whsk_…`) can be chosen instead of shared secrets.
    pub asymmetric: bool,
}

/// Whether a webhook must have a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretRule {
    /// One is generated where none is given.
    Required,
    /// Requests go out unsigned without one.
    Optional,
}

/// How a secret's text stands for key bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretForm {
    /// The text's own bytes.
    Utf8,
    /// `whsec_` and 24 to 64 bytes as base64 (Standard Webhooks 1.0).
    Whsec,
}

/// SHA-256, for the log's fingerprint of a body.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().try_into().expect("because a SHA-256 has 32 bytes")
}

/// Which kind of key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A shared secret for HMAC-SHA256.
    Shared,
    /// An Ed25519 key pair: receivers get the public half.
    Ed25519,
}

/// A key that is ready to sign. Holds the keyed state of the MAC and never shows itself.
///
/// The MAC is ring's: on processors without SHA instructions it takes little more than half the time of a portable one,
/// and every attempt makes one.
#[derive(Clone)]
pub struct SigningKey(Key);

#[derive(Clone)]
enum Key {
    Shared(hmac::Key),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

const WHSEC: &str = "whsec_";
const WHSK: &str = "whsk_";
const WHPK: &str = "whpk_";

impl SigningKey {
    pub fn shared(key: &[u8]) -> Self {
        Self(Key::Shared(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    pub fn kind(&self) -> KeyKind {
        match self.0 {
            Key::Shared(_) => KeyKind::Shared,
            Key::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// What receivers verify with, as `whpk_` and base64; `None` for a shared secret.
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            Key::Shared(_) => None,
            Key::Ed25519(key) => Some(format!("{WHPK}{}", BASE64.encode(key.verifying_key().as_bytes()))),
        }
    }

    /// Begins a MAC or signature over what [`Signing::update`] is given.
    pub(crate) fn begin(&self) -> Signing<'_> {
        match &self.0 {
            Key::Shared(keyed) => Signing::Shared(hmac::Context::with_key(keyed)),
            Key::Ed25519(key) => Signing::Ed25519(key, Vec::new()),
        }
    }

    /// The MAC or signature over the parts, one after another.
    pub(crate) fn sign(&self, parts: &[Cow<'_, [u8]>]) -> Signature {
        let mut signing = self.begin();
        for part in parts {
            signing.update(part);
        }
        signing.end()
    }
}

/// A signature being made. Lives on the stack, for a moment.
#[expect(
    clippy::large_enum_variant,
    reason = "boxing the usual one would cost an allocation for each request"
)]
pub(crate) enum Signing<'k> {
    Shared(hmac::Context),
    /// Signs twice over the whole message, so it is gathered.
    Ed25519(&'k ed25519_dalek::SigningKey, Vec<u8>),
}

/// 32 bytes of a MAC or 64 of a signature.
pub(crate) enum Signature {
    Shared(hmac::Tag),
    Ed25519([u8; 64]),
}

impl Signing<'_> {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Shared(mac) => mac.update(bytes),
            Self::Ed25519(_, gathered) => gathered.extend_from_slice(bytes),
        }
    }

    pub(crate) fn end(self) -> Signature {
        match self {
            Self::Shared(mac) => Signature::Shared(mac.sign()),
            Self::Ed25519(key, gathered) => {
                use ed25519_dalek::Signer as _;
                Signature::Ed25519(key.sign(&gathered).to_bytes())
            }
        }
    }
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Shared(tag) => tag.as_ref(),
            Self::Ed25519(bytes) => bytes,
        }
    }
}

/// What a signature is checked with.
pub(crate) enum VerifyingKey {
    Private(SigningKey),
    /// The public half of an Ed25519 key.
    Public(Box<ed25519_dalek::VerifyingKey>),
}

impl VerifyingKey {
    /// Reads `whpk_…`.
    pub(crate) fn public(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.strip_prefix(WHPK)?).ok()?;
        let key = ed25519_dalek::VerifyingKey::try_from(bytes.as_slice()).ok()?;
        Some(Self::Public(Box::new(key)))
    }

    pub(crate) fn kind(&self) -> KeyKind {
        match self {
            Self::Private(key) => key.kind(),
            Self::Public(_) => KeyKind::Ed25519,
        }
    }

    /// Whether this is the signature over the parts; shared secrets are compared in constant time.
    pub(crate) fn verify(&self, parts: &[Cow<'_, [u8]>], signature: &[u8]) -> bool {
        match self {
            Self::Public(key) => ed25519_verifies(key, parts, signature),
            Self::Private(SigningKey(Key::Ed25519(key))) => {
                ed25519_verifies(&key.verifying_key(), parts, signature)
            }
            Self::Private(key) => key.sign(parts).as_ref().ct_eq(signature).into(),
        }
    }
}

fn ed25519_verifies(key: &ed25519_dalek::VerifyingKey, parts: &[Cow<'_, [u8]>], signature: &[u8]) -> bool {
    ed25519_dalek::Signature::from_slice(signature)
        .is_ok_and(|signature| key.verify_strict(&parts.concat(), &signature).is_ok())
}

impl SignaturePolicy {
    /// The key that a secret stands for, or `secret_invalid` with what is taken.
    pub fn signing_key(&self, secret: &str) -> Result<SigningKey, Problem> {
        if secret.is_empty() || secret.len() > limits::SECRET_BYTES_MAX {
            return Err(invalid(format!("A secret has 1 to {} bytes.", limits::SECRET_BYTES_MAX)));
        }
        if self.asymmetric
            && let Some(text) = secret.strip_prefix(WHSK)
        {
            return ed25519_key(text);
        }
        match self.secret_form {
            SecretForm::Utf8 => Ok(SigningKey::shared(secret.as_bytes())),
            SecretForm::Whsec => whsec_key(secret),
        }
    }

    pub fn secret_warning(&self, secret: &str) -> Option<Warning> {
        let short = self.secret_form == SecretForm::Utf8 && secret.len() < limits::SECRET_BYTES_ADVISED;
        short.then(|| Warning {
            code: "secret_short",
            detail: format!(
                "The secret has {} bytes; use at least {}, or let Postrider generate one.",
                secret.len(),
                limits::SECRET_BYTES_ADVISED
            ),
        })
    }

    /// A new secret of 32 random bytes in the form that this profile takes. [`KeyKind::Ed25519`] is for profiles whose
    /// policy is `asymmetric`.
    pub fn generate_secret(&self, kind: KeyKind, random: &dyn Random) -> String {
        let mut bytes = Zeroizing::new([0u8; 32]);
        random.fill(bytes.as_mut());
        match (kind, self.secret_form) {
            (KeyKind::Ed25519, _) => format!("{WHSK}{}", BASE64.encode(bytes.as_ref())),
            (KeyKind::Shared, SecretForm::Whsec) => format!("{WHSEC}{}", BASE64.encode(bytes.as_ref())),
            (KeyKind::Shared, SecretForm::Utf8) => hex::encode(bytes.as_ref()),
        }
    }
}

fn whsec_key(secret: &str) -> Result<SigningKey, Problem> {
    const TAKEN: &str = "This profile's secrets are `whsec_` followed by 24 to 64 bytes in base64. Leave the secret \
                         out to have one generated.";
    let text = secret.strip_prefix(WHSEC).ok_or_else(|| invalid(TAKEN))?;
    let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| invalid(TAKEN))?);
    if !(24..=64).contains(&bytes.len()) {
        return Err(invalid(TAKEN));
    }
    Ok(SigningKey::shared(&bytes))
}

/// 32 bytes are the private seed; 64 are the seed and the public key, which must belong together.
fn ed25519_key(text: &str) -> Result<SigningKey, Problem> {
    const TAKEN: &str = "A signing key is `whsk_` followed by an Ed25519 private key (32 bytes), or a key pair \
                         (64 bytes), in base64.";
    let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| invalid(TAKEN))?);
    let key = match bytes.len() {
        32 => ed25519_dalek::SigningKey::try_from(bytes.as_slice()),
        64 => <&[u8; 64]>::try_from(bytes.as_slice())
            .map_err(|_| ed25519_dalek::SignatureError::new())
            .and_then(ed25519_dalek::SigningKey::from_keypair_bytes),
        _ => return Err(invalid(TAKEN)),
    };
    Ok(SigningKey(Key::Ed25519(Box::new(key.map_err(|_| invalid(TAKEN))?))))
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::at(Code::SecretInvalid, "secret", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builtin_profiles;

    struct Sevens;
    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn policy(profile: &str) -> SignaturePolicy {
        let found = builtin_profiles().into_iter().find(|known| known.name == profile);
        found.expect("a built-in profile").signature.clone()
    }

    fn whsec(bytes: usize) -> String {
        format!("whsec_{}", BASE64.encode(vec![1u8; bytes]))
    }

    #[test]
    fn a_standard_secret_has_its_prefix_and_24_to_64_bytes() {
        let policy = policy("standard");
        for (secret, good) in [
            (whsec(24), true),
            (whsec(32), true),
            (whsec(64), true),
            (whsec(23), false),
            (whsec(65), false),
            (whsec(32).replace("whsec_", ""), false),
            (whsec(32).replace("whsec_", "WHSEC_"), false),
            ("whsec_".to_owned(), false),
            ("whsec_not base64!".to_owned(), false),
            (format!("{}\n", whsec(32)), false),
            (String::new(), false),
            (format!("whsk_{}", BASE64.encode([7u8; 32])), true),
            (format!("whsk_{}", BASE64.encode([7u8; 31])), false),
            // A pair whose halves do not belong together.
            (format!("whsk_{}", BASE64.encode([7u8; 64])), false),
        ] {
            let key = policy.signing_key(&secret);
            assert_eq!(key.is_ok(), good, "{secret}");
            if let Err(problem) = key {
                assert_eq!(problem.code, Code::SecretInvalid);
                assert!(secret.len() < 8 || !problem.detail.contains(&secret), "a secret in an error");
            }
        }
    }

    #[test]
    fn a_callers_secret_has_1_to_256_bytes_and_a_warning_below_24() {
        let policy = policy("smartmaintenance");
        for (bytes, good, warned) in [
            (0, false, true),
            (1, true, true),
            (23, true, true),
            (24, true, false),
            (256, true, false),
            (257, false, false),
        ] {
            let secret = "s".repeat(bytes);
            assert_eq!(policy.signing_key(&secret).is_ok(), good, "{bytes}");
            assert_eq!(policy.secret_warning(&secret).is_some(), warned, "{bytes}");
        }
        assert!(self::policy("standard").secret_warning(&whsec(24)).is_none());
    }

    #[test]
    fn a_generated_secret_is_one_that_the_profile_takes() {
        for profile in builtin_profiles() {
            let secret = profile.generate_secret(&Sevens);
            assert_eq!(profile.signing_key(&secret).expect("good").kind(), KeyKind::Shared);
            assert!(profile.secret_warning(&secret).is_none());
        }
        let secret = policy("standard").generate_secret(KeyKind::Ed25519, &Sevens);
        let key = policy("standard").signing_key(&secret).expect("good");
        assert_eq!(key.kind(), KeyKind::Ed25519);
        assert!(key.public_key().expect("a public half").starts_with("whpk_"));
        assert!(
            policy("rcmanager").signing_key(&secret).expect("a text like any other").public_key().is_none()
        );
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = policy("rcmanager").signing_key("do-not-show-me").expect("good");
        assert_eq!(format!("{key:?}"), "SigningKey");
    }
}
