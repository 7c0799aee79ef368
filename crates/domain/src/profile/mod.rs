//! A profile: one product's wire contract, as data.
//!
//! A profile is read once from TOML and compiled; from then on it turns an event into the exact bytes of a request.
//! Nothing here knows any profile by name.

mod catalogue;
mod envelope;
mod policy;

use serde_json::{Map, Value};
use uuid::Uuid;

pub use catalogue::{EventCatalogue, EventType, SCHEMA_ISSUES_MAX, Schema, SchemaIssue};
pub use policy::{
    Access, BodyPolicy, BodyRule, DeliveryMode, DeliveryPolicy, GonePolicy, Numbers, OnDisable,
    RetryAfterPolicy, SchemaMode, SuccessRule, WebhookPolicy, WebhookReaders,
};

pub use crate::signature::{KeyKind, SecretRule, SignaturePolicy, SigningKey};

use crate::id::DeliveryId;
use crate::problem::{Problem, Warning};
use crate::random::Random;
use crate::time::Timestamp;

/// A compiled profile. Immutable; held in an `Arc`.
#[derive(Debug)]
pub struct Profile {
    pub name: String,
    pub title: String,
    /// The TOML it was read from.
    pub source: String,
    /// The first 16 hex digits of the SHA-256 of `source`.
    pub version: String,
    pub access: Access,
    pub webhook: WebhookPolicy,
    pub body: BodyPolicy,
    pub signature: SignaturePolicy,
    pub delivery: DeliveryPolicy,
    pub catalogue: EventCatalogue,
}

/// What is wrong with a profile, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileError {
    /// 1 for the first line of the source.
    pub line: Option<usize>,
    pub message: String,
}

/// Everything that one request is made from.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The id as receivers know it.
    pub event_id: &'a str,
    pub event_type: &'a str,
    pub event_time: Timestamp,
    pub test: bool,
    /// Compact, valid JSON.
    pub data: &'a [u8],
    pub tenant: &'a TenantValues,
    pub delivery_id: DeliveryId,
    pub delivery_uuid: Uuid,
    /// 1 for the first attempt.
    pub attempt: u32,
    pub sent_at: Timestamp,
}

/// A tenant's values as of the event's acceptance.
#[derive(Debug, Clone)]
pub struct TenantValues {
    /// The id by which the tenant is known outside.
    pub id: String,
    pub name: String,
    pub timezone: jiff::tz::TimeZone,
    pub attributes: Map<String, Value>,
}

/// The event's data cannot be written in this profile's format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub String);

impl Profile {
    /// Reads and compiles a profile. Tells every error that it finds.
    pub fn parse(_source: &str) -> Result<Self, Vec<ProfileError>> {
        Err(Vec::new())
    }

    /// The request body.
    pub fn render_body(&self, _message: &Message<'_>) -> Result<Vec<u8>, RenderError> {
        Ok(Vec::new())
    }

    /// The request's headers: `Content-Type`, the profile's own, and the signature over `body` by the keys in force,
    /// newest first. Names as the profile writes them.
    pub fn render_headers(
        &self,
        _message: &Message<'_>,
        _body: &[u8],
        _keys: &[SigningKey],
    ) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The names of the headers that the profile sets, which a webhook cannot set itself.
    pub fn header_names(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether data can be written in this profile's format; `not_renderable` with the value at fault if not. `data`
    /// is valid JSON.
    pub fn check_data(&self, _event_type: &str, _data: &[u8]) -> Result<(), Problem> {
        Ok(())
    }

    /// The key that a secret stands for. `secret_invalid` with what this profile takes.
    pub fn signing_key(&self, secret: &str) -> Result<SigningKey, Problem> {
        self.signature.signing_key(secret)
    }

    /// Something to tell about a secret that is taken all the same.
    pub fn secret_warning(&self, secret: &str) -> Option<Warning> {
        self.signature.secret_warning(secret)
    }

    /// A new secret of 32 random bytes.
    pub fn generate_secret(&self, random: &dyn Random) -> String {
        self.signature.generate_secret(KeyKind::Shared, random)
    }
}

/// The sources of the built-in profiles: name and TOML.
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    &[]
}

/// The built-in profiles, compiled.
pub fn builtin_profiles() -> Vec<std::sync::Arc<Profile>> {
    Vec::new()
}
