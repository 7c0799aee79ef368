//! A profile: one product's wire contract, as data.
//!
//! A profile is read once from TOML and compiled; from then on it turns an event into the exact bytes of a request.
//! Nothing here knows any profile by name.

mod builtin;
mod catalogue;
mod derive;
mod envelope;
mod parse;
mod policy;
mod recipe;
pub(crate) mod signer;
mod source;
pub(crate) mod template;

use serde_json::{Map, Value};

pub use builtin::{builtin, builtin_profiles};
pub use catalogue::{EventCatalogue, EventType, SCHEMA_ISSUES_MAX, Schema, SchemaIssue};
pub use policy::{
    Access, BodyPolicy, BodyRule, DeliveryMode, DeliveryPolicy, GonePolicy, Numbers, OnDisable,
    RetryAfterPolicy, SchemaMode, SuccessRule, WebhookPolicy, WebhookReaders,
};
pub use recipe::{Recipe, Stretch};

pub use crate::signature::{KeyKind, SecretForm, SecretRule, SignaturePolicy, SigningKey};

use signer::Signer;
use template::Template;

use crate::ecmascript;
use crate::id::{DeliveryId, DeliveryUuid};
use crate::problem::{Code, Problem, Warning};
use crate::random::Random;
use crate::rules::{Generator, RecordKind, Rule};
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
    pub records: Vec<RecordKind>,
    pub rules: Vec<Rule>,
    pub generators: Vec<Generator>,
    /// Whether any event type's data is cut to a list of fields.
    shapes_data: bool,
    envelope: envelope::Envelope,
    headers: Vec<(String, Template)>,
    signer: Option<Signer>,
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
    pub delivery_uuid: DeliveryUuid,
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
    /// Reads and compiles a profile. Tells every error that it finds, in the order of the source.
    pub fn parse(source: &str) -> Result<Self, Vec<ProfileError>> {
        parse::parse(source)
    }

    /// The request body. Fails only for data that [`Self::check_data`] refuses.
    pub fn render_body(&self, message: &Message<'_>) -> Result<Vec<u8>, RenderError> {
        // Data, names and ids, and some room for the envelope's own keys: one allocation.
        let mut body = Vec::with_capacity(message.data.len() + message.tenant.name.len() + 384);
        match self.shaped(message.event_type, message.data) {
            Some(shaped) => self.envelope.write(&mut body, message, &shaped),
            None => self.envelope.write(&mut body, message, message.data),
        }
        match self.body.numbers {
            Numbers::Verbatim => Ok(body),
            Numbers::Ecmascript => rewritten(&body).map_err(|error| RenderError(error.to_string())),
        }
    }

    /// Whether all deliveries and attempts of an event have the same body, so that it can be rendered once.
    pub fn body_depends_on_event_only(&self) -> bool {
        self.envelope.depends_on_event_only()
    }

    /// The data with only the fields that its type's bodies carry, where the profile lists them.
    fn shaped(&self, event_type: &str, data: &[u8]) -> Option<Vec<u8>> {
        if !self.shapes_data {
            return None;
        }
        let fields = self.catalogue.get(event_type).map(|known| known.fields.as_slice())?;
        (!fields.is_empty()).then(|| envelope::shape(fields, data))
    }

    /// The request's headers: `Content-Type`, `User-Agent`, the profile's own, and the signature over `body` by the
    /// keys in force, newest first. Names as the profile writes them; without a key there is no signature header.
    pub fn render_headers(
        &self,
        message: &Message<'_>,
        body: &[u8],
        keys: &[SigningKey],
    ) -> Vec<(&str, String)> {
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for (index, name) in self.header_names().into_iter().enumerate() {
            let mut value = Vec::with_capacity(96);
            if self.write_header(index, &mut value, message, body, keys.iter()) {
                headers.push((name, String::from_utf8_lossy(&value).into_owned()));
            }
        }
        headers
    }

    /// The names of the headers that the profile sets, which a webhook cannot set itself.
    pub fn header_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.extend(self.signer.as_ref().map(|signer| signer.header.as_str()));
        names
    }

    /// The value of the header at `index` of [`Self::header_names`], if it is the same in every request.
    pub fn fixed_header(&self, index: usize) -> Option<&str> {
        self.headers.get(index).and_then(|(_, template)| template.fixed())
    }

    /// Writes the value of the header at `index` of [`Self::header_names`]. False, and nothing written: it is left out.
    pub fn write_header<'k>(
        &self,
        index: usize,
        out: &mut Vec<u8>,
        message: &Message<'_>,
        body: &[u8],
        keys: impl Iterator<Item = &'k SigningKey>,
    ) -> bool {
        if let Some((_, template)) = self.headers.get(index) {
            let start = out.len();
            if !template.write_text(out, message, message.data) {
                out.truncate(start);
                return false;
            }
            without_controls(out, start);
            return true;
        }
        self.signer.as_ref().is_some_and(|signer| signer.write(out, message, body, keys))
    }

    /// Whether data can be written in this profile's format; `not_renderable` with the value at fault if not. `data`
    /// is valid JSON.
    pub fn check_data(&self, event_type: &str, data: &[u8]) -> Result<(), Problem> {
        if self.body.numbers == Numbers::Verbatim {
            return Ok(());
        }
        let shaped = self.shaped(event_type, data);
        match rewritten(shaped.as_deref().unwrap_or(data)) {
            Ok(_) => Ok(()),
            Err(error) => {
                let field =
                    format!("data{}{}", if error.path.starts_with('[') { "" } else { "." }, error.path);
                Err(Problem::at(
                    Code::NotRenderable,
                    field.trim_end_matches('.'),
                    format!("Receivers of this profile could not read this value: {}.", error.why),
                ))
            }
        }
    }

    /// The key that a secret stands for. `secret_invalid` with what this profile takes.
    pub fn signing_key(&self, secret: &str) -> Result<SigningKey, Problem> {
        self.signature.signing_key(secret)
    }

    /// Something to tell about a secret that is taken all the same.
    pub fn secret_warning(&self, secret: &str) -> Option<Warning> {
        self.signature.secret_warning(secret)
    }

    /// A new shared secret of 32 random bytes, in the form that this profile takes.
    pub fn generate_secret(&self, random: &dyn Random) -> String {
        self.signature.generate_secret(KeyKind::Shared, random)
    }

    /// The signature's header and its form for people, such as `sha256=<hex>`; none: the profile does not sign.
    pub fn signature_header(&self) -> Option<(&str, String)> {
        self.signer.as_ref().map(|signer| (signer.header.as_str(), signer.form(KeyKind::Shared)))
    }

    pub(crate) fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    pub(crate) fn headers(&self) -> &[(String, Template)] {
        &self.headers
    }
}

fn rewritten(json: &[u8]) -> Result<Vec<u8>, ecmascript::NotRepresentable> {
    ecmascript::rewrite(&String::from_utf8_lossy(json))
}

/// Makes a header's value of what stands in `out` from `start` on. A tenant's name may hold anything; a line break in it
/// must not become one in the head.
fn without_controls(out: &mut Vec<u8>, start: usize) {
    /// The first byte of U+0080 to U+009F, and of some harmless characters.
    const MAYBE_C1: u8 = 0xc2;
    if !out[start..].iter().any(|byte| byte.is_ascii_control() || *byte == MAYBE_C1) {
        return;
    }
    let text = String::from_utf8_lossy(&out[start..]).replace(char::is_control, " ");
    out.truncate(start);
    out.extend_from_slice(text.as_bytes());
}
