//! From rows to what the catalogue holds.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use postrider_domain::pattern::Patterns;
use postrider_domain::profile::{Profile, TenantValues};
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::Workflow;
use postrider_egress::Target;
use postrider_store::config::{EventTypeRow, SecretRow, SecretState, TenantRow, WebhookRow, WorkflowRow};
use postrider_store::{Store, StoreError};
use zeroize::Zeroizing;

use super::event_types;
use crate::catalogue::{DisabledReason, KeyInForce, Pinned, Tenant, Webhook};
use crate::inbound::registered::{Registered, RegisteredWorkflow};
use crate::inbox::Inboxes;

/// What sealed values are bound to, with the id of the webhook and of the secret.
pub(super) const HEADERS_FIELD: &str = "webhook.headers";
pub(super) const SECRET_FIELD: &str = "webhook_secret.sealed";

/// A tenant without webhooks and types.
pub(super) fn tenant(row: &TenantRow, profile: Arc<Profile>) -> Result<Tenant, StoreError> {
    let corrupt = |what: &str, error: &dyn std::fmt::Display| {
        StoreError::Corrupt(format!("{what} of the tenant {}: {error}", row.id))
    };
    let timezone = TimeZone::get(&row.timezone).map_err(|error| corrupt("the time zone", &error))?;
    let attributes =
        serde_json::from_str(&row.attributes).map_err(|error| corrupt("the attributes", &error))?;
    let settings = serde_json::from_str(&row.settings).map_err(|error| corrupt("the settings", &error))?;
    let values = TenantValues { id: row.public_id.clone(), name: row.name.clone(), timezone, attributes };
    Ok(Tenant {
        id: row.id,
        public_id: row.public_id.as_str().into(),
        version: row.version,
        pinned_since: row.pinned_since,
        pinned: Arc::new(Pinned::new(values, profile)),
        plan: row.plan.clone(),
        settings,
        webhooks: Vec::new(),
        inbound: Arc::default(),
        types: HashMap::new(),
        created: row.created,
        updated: row.updated,
    })
}

/// The same tenant as rows have it: the base of its next version.
pub(super) fn tenant_row(tenant: &Tenant) -> TenantRow {
    let values = &tenant.pinned.values;
    TenantRow {
        id: tenant.id,
        public_id: tenant.public_id.to_string(),
        name: values.name.clone(),
        profile: tenant.profile().name.clone(),
        profile_version: tenant.profile().version.clone(),
        plan: tenant.plan.clone(),
        timezone: values.timezone.iana_name().unwrap_or("UTC").to_owned(),
        attributes: serde_json::to_string(&values.attributes).expect("because a map has text for keys"),
        settings: serde_json::to_string(&tenant.settings).expect("because settings have no map"),
        version: tenant.version,
        pinned_since: tenant.pinned_since,
        created: tenant.created,
        updated: tenant.updated,
        deleted: None,
    }
}

/// The tenant's next version with other webhooks.
pub(super) fn with_webhooks(tenant: &Tenant, webhooks: Vec<Arc<Webhook>>, now: Timestamp) -> Tenant {
    Tenant { webhooks, ..next_version(tenant, now) }
}

/// The tenant's next version with other workflows and triggers.
pub(super) fn with_inbound(tenant: &Tenant, inbound: Registered, now: Timestamp) -> Tenant {
    Tenant { inbound: Arc::new(inbound), ..next_version(tenant, now) }
}

fn next_version(tenant: &Tenant, now: Timestamp) -> Tenant {
    Tenant {
        id: tenant.id,
        public_id: tenant.public_id.clone(),
        version: tenant.version + 1,
        pinned_since: tenant.pinned_since,
        pinned: tenant.pinned.clone(),
        plan: tenant.plan.clone(),
        settings: tenant.settings.clone(),
        webhooks: tenant.webhooks.clone(),
        inbound: tenant.inbound.clone(),
        types: tenant.types.clone(),
        created: tenant.created,
        updated: now,
    }
}

pub(super) fn webhook(
    store: &Store,
    inboxes: &Inboxes,
    profile: &Profile,
    row: &WebhookRow,
    secrets: &[SecretRow],
) -> Result<Webhook, StoreError> {
    let events = event_patterns(row)?;
    let patterns = Patterns::parse(&events)
        .map_err(|error| StoreError::Corrupt(format!("the events of the webhook {}: {error}", row.id)))?;
    let target = Target::parse_stored(&row.url);
    Ok(Webhook {
        id: row.id,
        tenant: row.tenant,
        name: row.name.clone(),
        url: row.url.clone(),
        inbox: target.as_ref().ok().and_then(|target| inboxes.slug_of(target)),
        target,
        patterns,
        enabled: row.enabled,
        disabled_reason: row.disabled_reason.and_then(DisabledReason::from_code),
        disabled_at: row.disabled,
        headers: headers(store, row)?,
        keys: keys_in_force(store, profile, secrets)?,
        secret_unconfirmed: secrets
            .iter()
            .any(|secret| secret.state == SecretState::Pending && secret.activate_at.is_none()),
        description: row.description.clone(),
        created: row.created,
        updated: row.updated,
    })
}

pub(super) fn event_patterns(row: &WebhookRow) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(&row.events)
        .map_err(|error| StoreError::Corrupt(format!("the events of the webhook {}: {error}", row.id)))
}

pub(super) fn headers(store: &Store, row: &WebhookRow) -> Result<Vec<(String, String)>, StoreError> {
    let Some(sealed) = &row.headers else { return Ok(Vec::new()) };
    let opened = store.open_sealed(HEADERS_FIELD, row.id.as_bytes(), sealed)?;
    serde_json::from_slice(&opened)
        .map_err(|_| StoreError::Corrupt(format!("the headers of the webhook {}", row.id)))
}

/// The secret in clear, wiped when dropped.
pub(super) fn open_secret(store: &Store, row: &SecretRow) -> Result<Zeroizing<String>, StoreError> {
    let opened = store.open_sealed(SECRET_FIELD, &row.id, &row.sealed)?;
    let text = std::str::from_utf8(&opened).map_err(|_| StoreError::Sealed(SECRET_FIELD))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// When each key signs: the active one until a pending one with a date takes over, retiring ones until they expire. A
/// pending key without a date signs only after its confirmation and is not here. Newest first: the active one leads.
fn keys_in_force(
    store: &Store,
    profile: &Profile,
    secrets: &[SecretRow],
) -> Result<Vec<KeyInForce>, StoreError> {
    let takes_over =
        secrets.iter().find(|secret| secret.state == SecretState::Pending).and_then(|row| row.activate_at);
    let mut keys = Vec::with_capacity(secrets.len());
    for row in secrets {
        let (from, until) = match row.state {
            SecretState::Active => (row.created, takes_over),
            SecretState::Retiring => (row.created, row.expires_at),
            SecretState::Pending => match row.activate_at {
                Some(at) => (at, None),
                None => continue,
            },
        };
        let key = profile.signing_key(&open_secret(store, row)?).map_err(|problem| {
            StoreError::Corrupt(format!(
                "a secret of the webhook {} does not fit its profile: {problem}",
                row.webhook
            ))
        })?;
        keys.push((row.state, KeyInForce { key, from, until }));
    }
    let rank = |state: SecretState| match state {
        SecretState::Pending => 0,
        SecretState::Active => 1,
        SecretState::Retiring => 2,
    };
    keys.sort_by(|(a, x), (b, y)| rank(*a).cmp(&rank(*b)).then(y.from.cmp(&x.from)));
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// Archived types are left out: they are no longer offered, and what is published of them counts as unregistered.
pub(super) fn types(
    rows: &[EventTypeRow],
) -> Result<HashMap<String, Arc<crate::outbound::ingest::RegisteredType>>, StoreError> {
    let mut types = HashMap::with_capacity(rows.len());
    for row in rows {
        if !row.archived {
            types.insert(row.name.clone(), Arc::new(event_types::registered(row)?));
        }
    }
    Ok(types)
}

pub(super) fn workflow(row: &WorkflowRow) -> Result<RegisteredWorkflow, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt(format!("the workflow {}: {why}", row.name));
    let definition = serde_json::from_str(&row.definition).map_err(|error| corrupt(error.to_string()))?;
    let compiled = Workflow::compile(&definition)
        .map_err(|errors| corrupt(errors.first().map(ToString::to_string).unwrap_or_default()))?;
    Ok(RegisteredWorkflow {
        id: row.id,
        name: row.name.clone(),
        version: row.version,
        description: row.description.clone(),
        definition,
        compiled: Arc::new(compiled),
        created: row.created,
        updated: row.updated,
    })
}
