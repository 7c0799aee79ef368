//! How one provider signs, as data: what is signed, with what, and where signature, time and id stand in a request.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderName;

use super::handshake::Handshake;
use super::path::Path;
use super::signed::{DedupTemplate, SignedTemplate};

/// A provider's webhooks as data: one of `presets/*.toml`, or a trigger's own (`custom`).
#[derive(Debug, Clone)]
pub struct Preset {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) note: Option<String>,
    pub(super) methods: Vec<String>,
    pub(super) refused: u16,
    pub(super) accepted: Accepted,
    pub(super) empty_body: bool,
    pub(super) content: Vec<Content>,
    pub(super) dedup: Vec<DedupTemplate>,
    pub(super) schemes: Vec<Scheme>,
    pub(super) handshakes: Vec<Handshake>,
    pub(super) sample: Sample,
}

/// What a provider is told whose request was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub status: u16,
    /// Where the provider reads the answer; otherwise the answer's body is free.
    pub body: Option<(&'static str, Vec<u8>)>,
}

/// What a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Json,
    Form,
}

/// A request as the provider would send it, before it is signed: for tests, tools and documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) body: String,
    pub(super) content_type: String,
}

/// One way of signing. A preset has several where a provider has: each secret belongs to the first that takes it.
#[derive(Debug, Clone)]
pub(super) struct Scheme {
    pub(super) algorithm: Algorithm,
    pub(super) key: KeyForm,
    /// Nothing for tokens, which sign nothing.
    pub(super) signed: SignedTemplate,
    pub(super) signature: SignaturePlace,
    pub(super) timestamp: Option<TimestampPlace>,
    pub(super) id: Option<Place>,
    /// The objects of the body that are signed one by one.
    pub(super) items: Option<Path>,
    /// The query parameter that carries the SHA-256 of a body that is no form.
    pub(super) body_hash_query: Option<String>,
    /// Instead of the preset's.
    pub(super) dedup: Option<Vec<DedupTemplate>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    HmacSha1,
    HmacSha256,
    HmacSha512,
    /// SHA-256 over text that holds the secret.
    Sha256,
    Ed25519,
    /// Signatures as ASN.1 DER.
    EcdsaP256Sha256,
    /// PKCS #1 v1.5, keys of 2048 to 8192 bits.
    RsaSha256,
    /// The secret itself.
    Token,
    /// `username:password`, in base64.
    Basic,
}

pub(super) const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("hmac-sha1", Algorithm::HmacSha1),
    ("hmac-sha256", Algorithm::HmacSha256),
    ("hmac-sha512", Algorithm::HmacSha512),
    ("sha256", Algorithm::Sha256),
    ("ed25519", Algorithm::Ed25519),
    ("ecdsa-p256-sha256", Algorithm::EcdsaP256Sha256),
    ("rsa-sha256", Algorithm::RsaSha256),
    ("token", Algorithm::Token),
    ("basic", Algorithm::Basic),
];

impl Algorithm {
    pub(super) const fn is_hmac(self) -> bool {
        matches!(self, Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha512)
    }

    /// The sender shows the secret itself.
    pub(super) const fn is_token(self) -> bool {
        matches!(self, Self::Token | Self::Basic)
    }

    pub(super) const fn is_public_key(self) -> bool {
        matches!(self, Self::Ed25519 | Self::EcdsaP256Sha256 | Self::RsaSha256)
    }

    /// How many bytes a signature has, where that is fixed.
    pub(super) const fn signature_bytes(self) -> Option<usize> {
        match self {
            Self::HmacSha1 => Some(20),
            Self::HmacSha256 | Self::Sha256 => Some(32),
            Self::HmacSha512 | Self::Ed25519 => Some(64),
            Self::EcdsaP256Sha256 | Self::RsaSha256 | Self::Token | Self::Basic => None,
        }
    }

    /// The key forms that make sense, the usual one first.
    pub(super) const fn key_forms(self) -> &'static [KeyForm] {
        match self {
            Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha512 => {
                &[KeyForm::Utf8, KeyForm::Whsec, KeyForm::Hex, KeyForm::Base64]
            }
            Self::Sha256 | Self::Token => &[KeyForm::Utf8],
            Self::Basic => &[KeyForm::UserPassword],
            Self::Ed25519 => &[KeyForm::Hex, KeyForm::Base64, KeyForm::Whpk, KeyForm::Spki],
            Self::EcdsaP256Sha256 | Self::RsaSha256 => &[KeyForm::Spki],
        }
    }
}

/// How a secret's text stands for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// The text's own bytes.
    Utf8,
    /// `whsec_` and 24 to 64 bytes in base64 (Standard Webhooks).
    Whsec,
    /// `whpk_` and an Ed25519 public key in base64 (Standard Webhooks).
    Whpk,
    Hex,
    Base64,
    /// A SubjectPublicKeyInfo, as PEM or the base64 inside it.
    Spki,
    UserPassword,
}

pub(super) const KEY_FORMS: [(&str, KeyForm); 7] = [
    ("utf8", KeyForm::Utf8),
    ("whsec", KeyForm::Whsec),
    ("whpk", KeyForm::Whpk),
    ("hex", KeyForm::Hex),
    ("base64", KeyForm::Base64),
    ("spki", KeyForm::Spki),
    ("user-password", KeyForm::UserPassword),
];

impl KeyForm {
    /// What such a secret begins with, so that it cannot be meant for another scheme.
    pub(super) const fn prefix(self) -> Option<&'static str> {
        match self {
            Self::Whsec => Some("whsec_"),
            Self::Whpk => Some("whpk_"),
            _ => None,
        }
    }
}

/// Where the signatures stand, and how each is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignaturePlace {
    pub(super) at: Place,
    /// What stands before a signature; compared without case.
    pub(super) prefix: String,
    /// Divides the parts of the header: signatures, the time, and others that are passed over.
    pub(super) separator: Option<String>,
    pub(super) encoding: Encoding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Either case.
    Hex,
    /// The standard alphabet, padded.
    Base64,
    /// As it is: for tokens.
    Text,
}

pub(super) const ENCODINGS: [(&str, Encoding); 3] =
    [("hex", Encoding::Hex), ("base64", Encoding::Base64), ("text", Encoding::Text)];

/// Where a text stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The names that a provider uses for the same header, or the several headers it signs in. The first of the signature
    /// belongs to the first of the time and of the id, and so on; a single one belongs to all.
    Headers(Vec<HeaderName>),
    /// In the body; inside the item where items are signed.
    Json(Path),
}

impl Place {
    /// The header of a variant: of the first, second, … name of the signature.
    pub(super) fn header(&self, variant: usize) -> Option<&HeaderName> {
        match self {
            Self::Headers(names) => names.get(variant).or_else(|| names.first()),
            Self::Json(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headers(names) => {
                let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
                write!(f, "header {}", names.join(" or "))
            }
            Self::Json(path) => write!(f, "`{path}` of the body"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimestampPlace {
    pub(super) at: TimestampAt,
    pub(super) unit: Unit,
    /// How far it may be from now, before and after. `None`: as far as it likes, unless the trigger says otherwise.
    pub(super) tolerance: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimestampAt {
    Place(Place),
    /// A part of the signature header that begins with this.
    Part(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Rfc3339,
}

pub(super) const UNITS: [(&str, Unit); 3] =
    [("s", Unit::Seconds), ("ms", Unit::Milliseconds), ("rfc3339", Unit::Rfc3339)];

impl Scheme {
    /// How many headers a signature may stand in.
    pub(super) fn variants(&self) -> usize {
        match &self.signature.at {
            Place::Headers(names) => names.len(),
            Place::Json(_) => 1,
        }
    }

    /// How one signature is written, as the end of a sentence.
    pub(super) fn expected_form(&self) -> String {
        let encoding = match self.signature.encoding {
            Encoding::Hex => "hexadecimal digits",
            Encoding::Base64 => "base64",
            Encoding::Text => return "a token".to_owned(),
        };
        match self.algorithm.signature_bytes() {
            Some(bytes) => format!("{bytes} bytes in {encoding}"),
            None => encoding.to_owned(),
        }
    }

    /// Whether a change of any byte of the body is noticed.
    pub(super) fn signs_body(&self) -> bool {
        self.signed.has_body() || self.signed.has_form()
    }
}

impl Preset {
    /// `stripe`; `custom` for a trigger's own.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `Stripe`.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What to know before one relies on it.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The methods that a request may have, those of handshakes among them.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// Whether every way of signing covers the whole body.
    pub fn signs_body(&self) -> bool {
        self.schemes.iter().all(Scheme::signs_body)
    }

    /// Whether every way of signing carries a time.
    pub fn has_timestamp(&self) -> bool {
        self.schemes.iter().all(|scheme| scheme.timestamp.is_some())
    }

    /// The headers that carry the secret itself.
    pub fn token_headers(&self) -> impl Iterator<Item = &HeaderName> {
        let tokens = self.schemes.iter().filter(|scheme| scheme.algorithm.is_token());
        tokens.flat_map(|scheme| match &scheme.signature.at {
            Place::Headers(names) => names.as_slice(),
            Place::Json(_) => &[],
        })
    }

    /// How far a time may be from now where the trigger does not say. `None`: times are not looked at, or there are none.
    pub fn tolerance(&self) -> Option<Duration> {
        self.schemes.iter().find_map(|scheme| scheme.timestamp.as_ref()?.tolerance)
    }

    /// The answer to a request that was accepted.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// The status for a request whose signature or time was refused.
    pub fn refused_status(&self) -> u16 {
        self.refused
    }

    /// Whether `{url}` is signed, so that the provider must know the very URL that is configured.
    pub fn signs_url(&self) -> bool {
        self.schemes.iter().any(|scheme| scheme.signed.has_url())
    }

    /// Whether there is a verify token to configure beside the secret.
    pub fn takes_verify_token(&self) -> bool {
        self.handshakes.iter().any(Handshake::takes_verify_token)
    }

    /// A secret of these bytes as the preset takes one, to be entered at the provider: a token where it shows one, which every
    /// version of it knows. None: it takes a public key, and only the provider has the other half.
    pub fn secret_of(&self, random: &[u8; 32]) -> Option<String> {
        let token = self.schemes.iter().find(|scheme| scheme.algorithm == Algorithm::Token);
        let scheme = token.or(self.schemes.first())?;
        if scheme.algorithm.is_public_key() {
            return None;
        }
        Some(match scheme.key {
            KeyForm::Whsec => format!("whsec_{}", BASE64.encode(random)),
            KeyForm::UserPassword => format!("postrider:{}", hex::encode(random)),
            _ => hex::encode(random),
        })
    }

    pub(super) fn dedup_of(&self, scheme: usize) -> &[DedupTemplate] {
        self.schemes.get(scheme).and_then(|scheme| scheme.dedup.as_deref()).unwrap_or(&self.dedup)
    }
}
