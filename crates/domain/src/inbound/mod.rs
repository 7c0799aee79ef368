//! Webhooks from outside: is this request from whom it says, is it a handshake, have we had it before, what does it say.
//!
//! A provider is data ([`Preset`], one file each in `presets/`), and one [`Verifier`] serves them all. The API calls, in this
//! order: [`Verifier::open_handshake`], [`Verifier::verify`] (signature and time), [`Verifier::signed_handshake`],
//! [`Preset::parse_body`], [`Verifier::dedup_id`]. The caller has bounded the body before; nothing here reads a clock, trusts
//! the Host header, or shows a secret.

mod body;
mod builtin;
pub mod cases;
mod explain;
mod handshake;
mod key;
mod parse;
mod path;
mod scheme;
pub mod sign;
mod signed;
mod spki;
mod verifier;

use std::fmt;

use http::HeaderMap;

pub use body::{BodyRefusal, FORM_FIELDS_MAX, JSON_VALUES_MAX, is_form, parse_body};
pub use builtin::{preset, presets, sources};
pub use explain::{Explanation, Mistake};
pub use handshake::ANSWER_BYTES_MAX;
pub use parse::PresetError;
pub use scheme::{Accepted, Content, Preset};
pub use signed::DEDUP_ID_BYTES_MAX;
pub use verifier::{Verified, Verifier};

/// A request as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// In capitals.
    pub method: &'a str,
    /// The public URL of the trigger by configuration, with the query as it was received. Never from the Host header.
    pub url: &'a str,
    /// As it was received, without the question mark.
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// The raw bytes.
    pub body: &'a [u8],
}

/// An answer to a handshake, to be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
    /// Beside the content type.
    pub headers: Vec<(&'static str, String)>,
}

/// Why a request was refused, and which part is at fault. The detail holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    pub detail: String,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Refusal {}

/// The order is how far a request came: of several ways to sign, the refusal that came farthest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalCode {
    SignatureMissing,
    /// The header of the signature stands twice.
    SignatureDoubled,
    /// Another header that matters stands twice.
    HeaderDoubled,
    /// A header that is signed is not there.
    HeaderMissing,
    TimestampMissing,
    TimestampMalformed,
    /// The signature is made in a way that is not taken, such as `sha1=`.
    SchemeUnknown,
    /// Not in its encoding, or of another length.
    SignatureMalformed,
    /// Signed values, or the signature itself, should stand in the body and cannot be found there.
    BodyMalformed,
    /// The body is neither signed nor of the hash that is.
    BodyUnsigned,
    SignatureMismatch,
    TimestampOld,
    TimestampFuture,
}

impl RefusalCode {
    pub const ALL: [Self; 13] = [
        Self::SignatureMissing,
        Self::SignatureDoubled,
        Self::HeaderDoubled,
        Self::HeaderMissing,
        Self::TimestampMissing,
        Self::TimestampMalformed,
        Self::SchemeUnknown,
        Self::SignatureMalformed,
        Self::BodyMalformed,
        Self::BodyUnsigned,
        Self::SignatureMismatch,
        Self::TimestampOld,
        Self::TimestampFuture,
    ];

    /// The text form is a contract: it is kept with refused requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignatureMissing => "signature_missing",
            Self::SignatureDoubled => "signature_doubled",
            Self::HeaderDoubled => "header_doubled",
            Self::HeaderMissing => "header_missing",
            Self::TimestampMissing => "timestamp_missing",
            Self::TimestampMalformed => "timestamp_malformed",
            Self::SchemeUnknown => "scheme_unknown",
            Self::SignatureMalformed => "signature_malformed",
            Self::BodyMalformed => "body_malformed",
            Self::BodyUnsigned => "body_unsigned",
            Self::SignatureMismatch => "signature_mismatch",
            Self::TimestampOld => "timestamp_old",
            Self::TimestampFuture => "timestamp_future",
        }
    }

    /// What whoever set the trigger up should do.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::SignatureMissing => {
                "Check that the provider signs its requests, that this is its preset, and that nothing on the way removes the header."
            }
            Self::SignatureDoubled | Self::HeaderDoubled => {
                "Something on the way adds the header a second time; let it pass the provider's through unchanged."
            }
            Self::HeaderMissing => "Let everything on the way pass the provider's headers through.",
            Self::TimestampMissing => {
                "Check that this is the provider's preset, and that its headers come through."
            }
            Self::TimestampMalformed => {
                "Check that this is the provider's preset; a custom one may name another unit."
            }
            Self::SchemeUnknown => {
                "Let the provider sign in the way that the preset names, or use the provider's own preset."
            }
            Self::SignatureMalformed => {
                "Check that this is the provider's preset; a custom one may name another encoding."
            }
            Self::BodyMalformed => "Check that this is the provider's preset.",
            Self::BodyUnsigned => {
                "Check that nothing on the way changes the body, its content type or the query."
            }
            Self::SignatureMismatch => {
                "Most often the secret is another one; otherwise something on the way changed the body or the public URL is not the configured one."
            }
            Self::TimestampOld => {
                "Check the clocks. A request that was sent again long after it was signed is refused on purpose."
            }
            Self::TimestampFuture => "Check the clocks.",
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
