//! Who is interested in an event: tenants, their webhooks, workflows, profiles and keys, in memory.
//!
//! A snapshot of the configuration in the store. Only `control` changes the configuration, and it puts what changed
//! here after its transaction committed. Readers take an `Arc` and keep it for as long as one piece of work lasts.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jiff::tz::TimeZone;
use postrider_domain::id::{KeyId, TenantId, TriggerId, WebhookId};
use postrider_domain::limits;
use postrider_domain::pattern::Patterns;
use postrider_domain::profile::{DeliveryMode, Profile, SchemaMode, TenantValues};
use postrider_domain::signature::SigningKey;
use postrider_domain::time::Timestamp;
use postrider_egress::{Target, UrlRefusal};
use postrider_store::{Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::inbound::registered::Registered;
use crate::inbound::trigger::Trigger;
use crate::outbound::ingest::RegisteredType;

/// What an event pins at its acceptance, so that a retry renders the same bytes.
#[derive(Debug)]
pub struct Pinned {
    pub values: TenantValues,
    pub profile: Arc<Profile>,
    /// The headers that the profile sets, in its order: the name, and the value where every request has the same.
    pub headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

impl Pinned {
    pub fn new(values: TenantValues, profile: Arc<Profile>) -> Self {
        let header = |(index, name): (usize, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("because profiles are checked for it");
            let fixed = profile.fixed_header(index).and_then(|value| HeaderValue::from_str(value).ok());
            (name, fixed)
        };
        let headers = profile.header_names().into_iter().enumerate().map(header).collect();
        Self { values, profile, headers }
    }
}

/// A tenant as the way of an event sees it.
#[derive(Debug)]
pub struct Tenant {
    pub id: TenantId,
    /// The id that callers use: theirs, or ours in text form.
    pub public_id: Arc<str>,
    /// Rises with every change of the tenant's configuration. Events pin it.
    pub version: i64,
    /// The version since which `pinned` has been what it is.
    pub pinned_since: i64,
    pub pinned: Arc<Pinned>,
    pub plan: Option<String>,
    pub settings: Settings,
    /// Oldest first; deleted ones are not here.
    pub webhooks: Vec<Arc<Webhook>>,
    /// Workflows and triggers.
    pub inbound: Arc<Registered>,
    /// Types that were registered by API, for profiles with an open catalogue.
    pub types: HashMap<String, Arc<RegisteredType>>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl Tenant {
    pub fn profile(&self) -> &Arc<Profile> {
        &self.pinned.profile
    }

    pub fn webhook(&self, id: WebhookId) -> Option<&Arc<Webhook>> {
        self.webhooks.iter().find(|webhook| webhook.id == id)
    }

    pub fn delivery_mode(&self) -> DeliveryMode {
        self.settings.delivery.map_or(self.profile().delivery.mode, DeliveryChoice::mode)
    }

    pub fn schema_mode(&self) -> SchemaMode {
        self.settings.schema.map_or(self.profile().catalogue.schema_mode, SchemaChoice::mode)
    }

    /// The hour and minute of the daily scan, in the tenant's zone.
    pub fn scan_at(&self) -> (i8, i8) {
        self.settings.scan_at.map_or(self.profile().delivery.scan_at, |at| (at.hour, at.minute))
    }

    /// How long payloads and attempts are kept.
    pub fn retention(&self) -> Duration {
        let days = |days: u32| Duration::from_secs(u64::from(days) * 24 * 3600);
        self.settings.retention_days.map_or(limits::RETENTION_DEFAULT, days)
    }

    /// Whether the tenant's plan includes webhooks.
    pub fn plan_has_webhooks(&self) -> bool {
        match &self.profile().access.plans {
            None => true,
            Some(plans) => self.plan.as_ref().is_some_and(|plan| plans.contains(plan)),
        }
    }
}

/// `settings` of a tenant, as the API shows and takes it; `settings.webhook` is a view of the tenant's one webhook and
/// not kept here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Overrides the profile's delivery mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryChoice>,
    /// `HH:MM` in the tenant's zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_at: Option<ScanAt>,
    /// Overrides the installation's rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_https: Option<bool>,
    /// In an open catalogue: refuse types that are not registered.
    pub strict_event_types: bool,
    /// In a closed catalogue: the types that this tenant's installation exposes; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_event_types: Option<Vec<String>>,
    /// Overrides what the profile does about data that violates its schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaChoice>,
    /// Days for which payloads and attempts are kept; 30 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryChoice {
    Immediate,
    Scan,
}

impl DeliveryChoice {
    const fn mode(self) -> DeliveryMode {
        match self {
            Self::Immediate => DeliveryMode::Immediate,
            Self::Scan => DeliveryMode::Scan,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaChoice {
    Off,
    Warn,
    Reject,
}

impl SchemaChoice {
    const fn mode(self) -> SchemaMode {
        match self {
            Self::Off => SchemaMode::Off,
            Self::Warn => SchemaMode::Warn,
            Self::Reject => SchemaMode::Reject,
        }
    }
}

/// A time of day. Text form `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanAt {
    pub hour: i8,
    pub minute: i8,
}

impl Serialize for ScanAt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", self.hour, self.minute))
    }
}

impl<'de> Deserialize<'de> for ScanAt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let two_digits = |text: &str| (text.len() == 2).then(|| text.parse::<i8>().ok()).flatten();
        text.split_once(':')
            .and_then(|(hour, minute)| Some(Self { hour: two_digits(hour)?, minute: two_digits(minute)? }))
            .filter(|at| (0..24).contains(&at.hour) && (0..60).contains(&at.minute))
            .ok_or_else(|| serde::de::Error::custom("expected a time of day like 06:00"))
    }
}

/// Why Postrider switched a webhook off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// The receiver answered 410 Gone.
    Gone,
}

impl DisabledReason {
    /// As stored. Append only.
    pub fn code(self) -> i64 {
        match self {
            Self::Gone => 1,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        (code == Self::Gone.code()).then_some(Self::Gone)
    }

    /// As the API names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Gone => "The receiver answered 410 Gone.",
        }
    }
}

/// A tenant's registration of a URL. Shows itself by id and name only: its headers and its URL may hold secrets.
#[derive(Clone)]
pub struct Webhook {
    pub id: WebhookId,
    pub tenant: TenantId,
    pub name: String,
    pub url: String,
    /// The URL under today's policy: one that was stored when it was allowed may be forbidden now.
    pub target: Result<Target, UrlRefusal>,
    /// The slug of the inbox that the URL is: it is handed over in process, to inboxes of the same tenant.
    pub inbox: Option<String>,
    pub patterns: Patterns,
    pub enabled: bool,
    /// Why Postrider switched it off; none when a person did, or when it is on.
    pub disabled_reason: Option<DisabledReason>,
    pub disabled_at: Option<Timestamp>,
    /// The tenant's extra headers. Values are secrets.
    pub headers: Vec<(String, String)>,
    pub keys: Vec<KeyInForce>,
    /// A new secret is there that signs only once it is confirmed.
    pub secret_unconfirmed: bool,
    pub description: String,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Whether a new secret waits for its time or its confirmation.
    pub fn secret_pending(&self, now: Timestamp) -> bool {
        self.secret_unconfirmed || self.keys.iter().any(|key| now < key.from)
    }

    /// The keys that sign at `now`, newest first.
    pub fn keys_at(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        self.keys
            .iter()
            .filter(move |key| key.from <= now && key.until.is_none_or(|until| now < until))
            .map(|key| &key.key)
    }
}

/// A signing key and the time in which it signs.
#[derive(Debug, Clone)]
pub struct KeyInForce {
    pub key: SigningKey,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

/// What the holder of an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The whole installation.
    Operator,
    /// Events and records, of all tenants or one.
    Publisher,
    /// One tenant's webhooks.
    Admin,
    /// One tenant, reading.
    Viewer,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Operator, Self::Publisher, Self::Admin, Self::Viewer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Publisher => "publisher",
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// An API key that is not revoked.
#[derive(Debug)]
pub struct ApiKey {
    pub id: KeyId,
    pub role: Role,
    /// `None`: all tenants (operators, and publishers of the product itself).
    pub tenant: Option<TenantId>,
    pub name: String,
}

/// SHA-256 of an API key. Keys have at least 128 bits, so a plain hash keeps them.
pub type KeyHash = [u8; 32];

/// The configuration in memory.
#[derive(Debug, Default)]
pub struct Catalogue {
    tenants: RwLock<Tenants>,
    profiles: RwLock<Profiles>,
    keys: RwLock<HashMap<KeyHash, Arc<ApiKey>>>,
    older: RwLock<HashMap<(TenantId, i64), Arc<Pinned>>>,
}

#[derive(Debug, Default)]
struct Tenants {
    by_id: HashMap<TenantId, Arc<Tenant>>,
    by_public_id: HashMap<Arc<str>, TenantId>,
    by_slug: HashMap<String, (TenantId, TriggerId)>,
}

impl Tenants {
    /// Of what was here of a tenant, the public URLs go.
    fn forget_slugs(&mut self, tenant: TenantId) {
        let Some(known) = self.by_id.get(&tenant) else { return };
        for slug in known.inbound.triggers.iter().filter_map(|trigger| trigger.slug.as_ref()) {
            self.by_slug.remove(slug);
        }
    }
}

#[derive(Debug, Default)]
struct Profiles {
    latest: HashMap<String, Arc<Profile>>,
    by_version: HashMap<(String, String), Arc<Profile>>,
}

/// Pinned values of older versions kept in memory. Each is a few hundred bytes; beyond it all are read anew.
const OLDER_KEPT_MAX: usize = 10_000;

const POISON: &str = "because no holder of this lock panics";

impl Catalogue {
    pub fn tenant(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.tenants.read().expect(POISON).by_id.get(&id).cloned()
    }

    pub fn tenant_by_public_id(&self, public_id: &str) -> Option<Arc<Tenant>> {
        let tenants = self.tenants.read().expect(POISON);
        tenants.by_public_id.get(public_id).and_then(|id| tenants.by_id.get(id)).cloned()
    }

    /// The trigger behind a public URL, and whose it is.
    pub fn trigger_by_slug(&self, slug: &str) -> Option<(Arc<Tenant>, Arc<Trigger>)> {
        let tenants = self.tenants.read().expect(POISON);
        let (tenant, trigger) = tenants.by_slug.get(slug)?;
        let tenant = tenants.by_id.get(tenant)?;
        Some((tenant.clone(), tenant.inbound.trigger(*trigger)?.clone()))
    }

    /// All tenants, in no order. For the clock's work, not for the way of an event.
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.tenants.read().expect(POISON).by_id.values().cloned().collect()
    }

    /// Puts a tenant as it is after a change. One that is older than what is here is left out: two changes may
    /// commit in one order and be read back in the other.
    pub fn replace(&self, tenant: Arc<Tenant>) {
        let mut tenants = self.tenants.write().expect(POISON);
        if tenants.by_id.get(&tenant.id).is_some_and(|here| here.version > tenant.version) {
            return;
        }
        tenants.forget_slugs(tenant.id);
        for trigger in &tenant.inbound.triggers {
            if let Some(slug) = &trigger.slug {
                tenants.by_slug.insert(slug.clone(), (tenant.id, trigger.id));
            }
        }
        tenants.by_public_id.insert(tenant.public_id.clone(), tenant.id);
        tenants.by_id.insert(tenant.id, tenant);
    }

    pub fn remove(&self, id: TenantId) {
        let mut tenants = self.tenants.write().expect(POISON);
        tenants.forget_slugs(id);
        if let Some(tenant) = tenants.by_id.remove(&id) {
            tenants.by_public_id.remove(&tenant.public_id);
        }
        drop(tenants);
        self.older.write().expect(POISON).retain(|(tenant, _), _| *tenant != id);
    }

    /// The newest version of a profile.
    pub fn profile(&self, name: &str) -> Option<Arc<Profile>> {
        self.profiles.read().expect(POISON).latest.get(name).cloned()
    }

    pub fn profile_version(&self, name: &str, version: &str) -> Option<Arc<Profile>> {
        let key = (name.to_owned(), version.to_owned());
        self.profiles.read().expect(POISON).by_version.get(&key).cloned()
    }

    /// The newest versions, by name.
    pub fn profiles(&self) -> Vec<Arc<Profile>> {
        let mut all: Vec<_> = self.profiles.read().expect(POISON).latest.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Adds a version that tenants may have pinned, without making it the newest.
    pub fn profile_version_put(&self, profile: Arc<Profile>) {
        let key = (profile.name.clone(), profile.version.clone());
        self.profiles.write().expect(POISON).by_version.insert(key, profile);
    }

    /// Adds a version and makes it what new tenants of the profile get.
    pub fn profile_put(&self, profile: Arc<Profile>) {
        self.profile_version_put(profile.clone());
        self.profiles.write().expect(POISON).latest.insert(profile.name.clone(), profile);
    }

    pub fn key(&self, hash: &KeyHash) -> Option<Arc<ApiKey>> {
        self.keys.read().expect(POISON).get(hash).cloned()
    }

    pub fn key_put(&self, hash: KeyHash, key: Arc<ApiKey>) {
        self.keys.write().expect(POISON).insert(hash, key);
    }

    pub fn keys_replace(&self, keys: HashMap<KeyHash, Arc<ApiKey>>) {
        *self.keys.write().expect(POISON) = keys;
    }

    pub fn keys_retain(&self, keep: impl Fn(&ApiKey) -> bool) {
        self.keys.write().expect(POISON).retain(|_, key| keep(key));
    }

    /// What an event of `tenant` pinned, if it is in memory; otherwise the caller reads it and calls [`Self::older_put`].
    pub fn pinned_at(&self, tenant: &Tenant, version: i64) -> Option<Arc<Pinned>> {
        if version >= tenant.pinned_since {
            return Some(tenant.pinned.clone());
        }
        self.older.read().expect(POISON).get(&(tenant.id, version)).cloned()
    }

    /// Reads what an event of `tenant` pinned from the store.
    pub async fn read_pinned(
        &self,
        store: &Store,
        tenant: &Tenant,
        version: i64,
    ) -> Result<Arc<Pinned>, StoreError> {
        let row = store.tenant_pinned(tenant.id, version).await?.ok_or(StoreError::NotFound)?;
        let corrupt = |what: String| {
            StoreError::Corrupt(format!("version {version} of the tenant {}: {what}", tenant.id))
        };
        let profile = self.profile_version(&row.profile, &row.profile_version).ok_or_else(|| {
            corrupt(format!("the profile {} has no version {}", row.profile, row.profile_version))
        })?;
        let values = TenantValues {
            id: tenant.public_id.to_string(),
            name: row.name,
            timezone: TimeZone::get(&row.timezone).map_err(|error| corrupt(error.to_string()))?,
            attributes: serde_json::from_str(&row.attributes).map_err(|error| corrupt(error.to_string()))?,
        };
        Ok(Arc::new(Pinned::new(values, profile)))
    }

    pub fn older_put(&self, tenant: TenantId, version: i64, pinned: Arc<Pinned>) {
        let mut older = self.older.write().expect(POISON);
        if older.len() >= OLDER_KEPT_MAX {
            older.clear();
        }
        older.insert((tenant, version), pinned);
    }
}
