//! Control: the only writer of configuration.
//!
//! Tenants, keys, profiles, event types, webhooks and their secrets, and the jobs that work on many rows. The API and the
//! pages call the same methods, so a rule stands in one place: who may do it, what is refused, what the audit keeps. Each
//! write is one transaction (the rows, the tenant's next version, the audit row, the idempotency row); after it the tenant
//! is put into the catalogue anew, and what sends is told. Control never sends anything and never reads a clock of its own.

mod actor;
mod signatures;

use std::time::Duration;

use postrider_domain::id::{AuditId, JobId, KeyId, TenantId, WebhookId};
use postrider_domain::problem::Warning;
use postrider_domain::time::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::sync::Arc;

use crate::outbound::catalogue::{Tenant, Webhook};

pub use actor::{Actor, Role};
pub use signatures::{webhook_settings, webhook_warnings};

/// What the installation decides for every tenant.
#[derive(Debug, Clone)]
pub struct Installation {
    /// `POSTRIDER_REQUIRE_HTTPS`. A tenant can be stricter, not laxer.
    pub require_https: bool,
    /// Profiles that ship with the binary, as TOML. A name that is already in use by a profile stored through the API stays its own.
    pub builtin_profiles: Vec<&'static str>,
}

/// The writer of configuration. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {}

/// A creation that may be repeated: who asks (`scope`: a hash of key and route), under which `Idempotency-Key`, with what
/// content (`fingerprint`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idem {
    pub scope: [u8; 16],
    pub key: String,
    pub fingerprint: [u8; 32],
}

/// An idempotency key and how the answer reads that is kept for a repetition. `answer` writes the JSON body without
/// secrets, with `secretShown: true` in their place; it runs before the commit and must not block.
pub struct Repeatable<'a, T> {
    pub idem: Idem,
    pub answer: &'a (dyn Fn(&T) -> Vec<u8> + Sync),
}

/// What a creation ends in.
#[derive(Debug)]
pub enum Created<T> {
    Fresh(T),
    /// The same request came before: the stored JSON answer.
    Replayed(Vec<u8>),
}

/// `POST /v1/tenants`.
#[derive(Debug, Clone, Default)]
pub struct NewTenant {
    /// The caller's own id: 1 to 128 of `A-Z a-z 0-9 _ -`. Generated (`ten_…`) when absent.
    pub id: Option<String>,
    /// Absent: the id.
    pub name: Option<String>,
    pub profile: String,
    pub plan: Option<String>,
    /// An IANA name; absent: UTC.
    pub timezone: Option<String>,
    pub attributes: Option<Map<String, Value>>,
    /// The JSON of `settings`, `webhook` included.
    pub settings: Option<Map<String, Value>>,
}

/// `PATCH /v1/tenants/{id}`: what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct TenantPatch {
    pub name: Option<String>,
    pub profile: Option<String>,
    /// `Some(None)`: no plan.
    pub plan: Option<Option<String>>,
    pub timezone: Option<String>,
    /// Replaces all attributes.
    pub attributes: Option<Map<String, Value>>,
    /// Merged into the settings (RFC 7396): null removes. `webhook` is the tenant's one webhook where the profile has only one.
    pub settings: Option<Map<String, Value>>,
}

/// The answer to a tenant's creation or change.
#[derive(Debug, Clone)]
pub struct TenantChanged {
    pub tenant: Arc<Tenant>,
    /// The secret of `settings.webhook`, when this change generated one: to be shown now and never again.
    pub secret: Option<SecretString>,
    /// About `settings.webhook`.
    pub warnings: Vec<Warning>,
}

/// `settings.webhook` as it is read: never the secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSettings {
    pub id: WebhookId,
    pub url: String,
    pub enabled: bool,
    pub secret_set: bool,
}

/// `POST /v1/keys`.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub role: Role,
    /// Required for admin and viewer, not allowed for operator; a publisher without one publishes for all tenants.
    pub tenant: Option<TenantId>,
    pub name: String,
}

/// A new key. `key` is shown now and never again.
#[derive(Debug, Clone)]
pub struct KeyCreated {
    pub id: KeyId,
    pub key: SecretString,
    pub role: Role,
    pub tenant: Option<TenantId>,
    pub name: String,
    pub created: Timestamp,
}

/// A key as it is listed: never the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyListed {
    pub id: KeyId,
    pub role: Role,
    pub tenant: Option<TenantId>,
    pub name: String,
    pub created: Timestamp,
    /// To the minute.
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

/// `POST /v1/webhooks`.
#[derive(Debug, Clone, Default)]
pub struct NewWebhook {
    /// Absent: the host of the URL.
    pub name: Option<String>,
    pub url: String,
    /// Absent only where the profile's webhooks take every event.
    pub events: Option<Vec<String>>,
    pub secret: Option<SecretString>,
    pub generate_secret: bool,
    pub headers: Vec<(String, String)>,
    pub description: Option<String>,
    /// Absent: on.
    pub enabled: Option<bool>,
}

/// `PATCH /v1/webhooks/{id}`: what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct WebhookPatch {
    pub name: Option<String>,
    pub url: Option<String>,
    pub events: Option<Vec<String>>,
    /// Replaces every secret at once; `Some(None)` removes them. For a change without a gap there is the rotation.
    pub secret: Option<Option<SecretString>>,
    pub generate_secret: bool,
    /// Replaces all headers.
    pub headers: Option<Vec<(String, String)>>,
    /// `Some(None)`: no description.
    pub description: Option<Option<String>>,
    pub enabled: Option<bool>,
}

/// The answer to a webhook's creation, change or rotation.
#[derive(Debug, Clone)]
pub struct WebhookChanged {
    pub tenant: Arc<Tenant>,
    pub webhook: Arc<Webhook>,
    /// To be shown now and never again: what was generated, and what the caller gave on creation or rotation.
    pub secret: Option<SecretString>,
    pub warnings: Vec<Warning>,
}

/// `POST /v1/webhooks/{id}/secret/rotate`.
#[derive(Debug, Clone)]
pub enum SecretRotation {
    Begin {
        /// Absent: generated.
        secret: Option<SecretString>,
        /// Where the header carries a list: how long the old secret goes on beside the new one. Default 24 h, at most 30 days.
        overlap: Option<Duration>,
        /// Where the header carries one value: when the new secret takes over. Absent: on confirmation.
        activate_at: Option<Timestamp>,
    },
    /// The receiver has the pending secret: use it from now on.
    Confirm,
    /// Forget the pending secret.
    Cancel,
}

/// `POST /v1/event-types` of a tenant whose profile has an open catalogue; the same name again changes it.
#[derive(Debug, Clone, Default)]
pub struct EventTypePut {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema; remote `$ref` is refused.
    pub schema: Option<Value>,
    pub example: Option<Value>,
}

/// A profile that was stored.
#[derive(Debug, Clone)]
pub struct ProfileStored {
    pub profile: Arc<postrider_domain::profile::Profile>,
    /// False: this very version was there already, nothing changed.
    pub changed: bool,
    /// Tenants that now render with it.
    pub tenants: u64,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Send again what failed for a webhook in a time range.
    Recover,
    /// Remove everything of a tenant.
    TenantDelete,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Running,
    Done,
    Failed,
}

/// `GET /v1/jobs/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    /// The public id of the tenant it works on, kept although the tenant may be gone.
    pub tenant: String,
    pub kind: JobKind,
    pub state: JobState,
    pub webhook: Option<WebhookId>,
    /// Rows to work on as counted at the start; a deletion counts as it goes.
    pub total: u64,
    pub done: u64,
    pub created: Timestamp,
    pub ended: Option<Timestamp>,
    /// Why it failed.
    pub detail: Option<String>,
}

/// A row of the audit log, kept when its subject is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub id: AuditId,
    pub at: Timestamp,
    /// The tenant's public id; none for what concerns the installation.
    pub tenant: Option<String>,
    /// `key_…`, or `postrider` for what it did by itself.
    pub actor: String,
    pub actor_role: Role,
    /// `webhook.created`, `secret.rotated`, `tenant.deleted`, …
    pub action: String,
    /// The id of what was changed.
    pub target: String,
    /// Without secrets and without the values of headers.
    pub before: Option<Value>,
    pub after: Option<Value>,
}
