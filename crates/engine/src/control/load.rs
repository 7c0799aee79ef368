//! From the store into the catalogue: everything at the start, a profile's tenants after it changed.

use std::collections::HashMap;
use std::sync::Arc;

use postrider_domain::delivery::Reason;
use postrider_domain::id::{TenantId, TriggerId, WebhookId};
use postrider_domain::profile::{Profile, builtin_profiles};
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use postrider_store::config::{
    ConfigWrite, EventTypeRow, ProfileRow, SecretRow, TenantRow, TriggerRow, TriggerSecretRow, WebhookRow,
    WorkflowRow,
};

use super::audit::Act;
use super::change::After;
use super::{Actor, Control, assemble, keys, profiles, secrets, triggers, webhooks};
use crate::catalogue::{ApiKey, Tenant};
use crate::error::EngineError;
use crate::inbound::registered::Registered;

/// The rows that belong to one tenant.
#[derive(Default)]
struct Parts {
    webhooks: Vec<WebhookRow>,
    secrets: HashMap<WebhookId, Vec<SecretRow>>,
    types: Vec<EventTypeRow>,
    workflows: Vec<WorkflowRow>,
    triggers: Vec<TriggerRow>,
    trigger_secrets: HashMap<TriggerId, Vec<TriggerSecretRow>>,
}

impl Control {
    /// Everything from the store into the catalogue. Built-in profiles are stored by version first, so that what events
    /// pinned stays readable after an upgrade. Once, at start.
    pub async fn load_all(&self) -> Result<(), EngineError> {
        let current = self.load_profiles().await?;
        self.store_builtin_profiles(&current).await?;
        let mut parts: HashMap<TenantId, Parts> = HashMap::new();
        for row in self.store().webhooks_any_tenant().await? {
            parts.entry(row.tenant).or_default().webhooks.push(row);
        }
        for row in self.store().secrets_any_tenant().await? {
            parts.entry(row.tenant).or_default().secrets.entry(row.webhook).or_default().push(row);
        }
        for row in self.store().event_types_any_tenant().await? {
            parts.entry(row.tenant).or_default().types.push(row);
        }
        for row in self.store().workflows(None).await? {
            parts.entry(row.tenant).or_default().workflows.push(row);
        }
        for row in self.store().triggers(None).await? {
            parts.entry(row.tenant).or_default().triggers.push(row);
        }
        for row in self.store().trigger_secrets(None).await? {
            parts.entry(row.tenant).or_default().trigger_secrets.entry(row.trigger).or_default().push(row);
        }
        let now = self.now();
        let mut count = 0usize;
        for row in self.store().tenants_any_tenant().await? {
            let tenant = self.assembled(&row, parts.remove(&row.id).unwrap_or_default(), now)?;
            self.catalogue().replace(Arc::new(tenant));
            count += 1;
        }
        self.load_keys().await?;
        self.finish_cancellations().await;
        tracing::info!(tenants = count, profiles = self.catalogue().profiles().len(), "catalogue.loaded");
        Ok(())
    }

    /// All keys anew. One of a tenant that is being removed is no key.
    pub(super) async fn load_keys(&self) -> Result<(), EngineError> {
        let mut found = HashMap::new();
        for row in self.store().keys_any_tenant().await? {
            if row.tenant.is_some_and(|tenant| self.catalogue().tenant(tenant).is_none()) {
                continue;
            }
            let key =
                ApiKey { id: row.id, role: keys::role(&row)?, tenant: row.tenant, name: row.name.clone() };
            found.insert(row.hash, Arc::new(key));
        }
        self.catalogue().keys_replace(found);
        Ok(())
    }

    /// One tenant anew from the store; none: it is not there, or being removed.
    pub async fn load_tenant(&self, tenant: TenantId) -> Result<Option<Arc<Tenant>>, EngineError> {
        let row = self.store().tenant_get(tenant).await?;
        let Some(row) = row.filter(|row| row.deleted.is_none()) else {
            self.catalogue().remove(tenant);
            return Ok(None);
        };
        let mut parts = Parts {
            webhooks: self.store().webhooks_of(tenant).await?,
            secrets: HashMap::new(),
            types: self.store().event_types_of(tenant).await?,
            workflows: self.store().workflows(Some(tenant)).await?,
            triggers: self.store().triggers(Some(tenant)).await?,
            trigger_secrets: HashMap::new(),
        };
        for secret in self.store().trigger_secrets(Some(tenant)).await? {
            parts.trigger_secrets.entry(secret.trigger).or_default().push(secret);
        }
        for secret in self.store().secrets_of(tenant).await? {
            parts.secrets.entry(secret.webhook).or_default().push(secret);
        }
        let tenant = Arc::new(self.assembled(&row, parts, self.now())?);
        self.catalogue().replace(tenant.clone());
        Ok(Some(tenant))
    }

    /// The tenants of a profile anew, after it got another version.
    pub(super) async fn load_profile_tenants(&self, profile: &str) -> Result<(), EngineError> {
        for tenant in self.catalogue().tenants() {
            if tenant.profile().name == profile {
                self.load_tenant(tenant.id).await?;
            }
        }
        Ok(())
    }

    /// All stored versions, and which is in use of each name.
    pub(super) async fn load_profiles(&self) -> Result<HashMap<String, ProfileRow>, EngineError> {
        let mut current = HashMap::new();
        for row in self.store().profiles_all().await? {
            match Profile::parse(&row.source) {
                Ok(profile) => self.catalogue().profile_put(Arc::new(profile)),
                // The format moved on. Events that pinned this version cannot be rendered; everything else can.
                Err(errors) => {
                    tracing::error!(profile = %row.name, version = %row.version, ?errors, "profile.unreadable");
                }
            }
            // Rows come with each name's current version last.
            current.insert(row.name.clone(), row);
        }
        Ok(current)
    }

    /// Stores what is new of the built-in profiles and moves their tenants to it.
    async fn store_builtin_profiles(&self, current: &HashMap<String, ProfileRow>) -> Result<(), EngineError> {
        for profile in builtin_profiles() {
            match current.get(&profile.name) {
                Some(row) if !row.builtin => {
                    // Its tenants were promised another wire format than this one.
                    tracing::warn!(profile = %profile.name, "profile.stored_one_stays_in_use");
                    continue;
                }
                // Stored before and no longer in use: a later program has another one, beside this one.
                Some(row)
                    if row.version != profile.version
                        && self.catalogue().profile_version(&profile.name, &profile.version).is_some() =>
                {
                    tracing::warn!(profile = %profile.name, "profile.later_one_stays_in_use");
                    continue;
                }
                Some(row) if row.version == profile.version => {
                    self.catalogue().profile_put(profile);
                    continue;
                }
                _ => {}
            }
            let turn = self.turn().await;
            let now = self.now();
            let before = current.get(&profile.name).map(|row| serde_json::json!({ "version": row.version }));
            let act = Act {
                action: "profile.stored",
                target: profile.name.clone(),
                before,
                after: Some(serde_json::json!({ "version": profile.version, "builtin": true })),
            };
            let write = ConfigWrite {
                at: now,
                profile: Some(profiles::profile_write(&profile, true, now)),
                audit: vec![self.audit_row(&Actor::postrider(), None, now, act)],
                ..ConfigWrite::default()
            };
            self.commit(turn, write, After { profile: Some(profile), ..After::default() }).await?;
        }
        Ok(())
    }

    fn assembled(&self, row: &TenantRow, mut parts: Parts, now: Timestamp) -> Result<Tenant, EngineError> {
        let profile =
            self.catalogue().profile_version(&row.profile, &row.profile_version).ok_or_else(|| {
                StoreError::Corrupt(format!(
                    "the tenant {} has the profile {} {}, which is not stored or cannot be read",
                    row.public_id, row.profile, row.profile_version
                ))
            })?;
        let mut tenant = assemble::tenant(row, profile)?;
        for webhook in &parts.webhooks {
            let secrets = secrets::settled(parts.secrets.remove(&webhook.id).unwrap_or_default(), now);
            let webhook = assemble::webhook(
                self.store(),
                &self.0.outbound.inboxes,
                tenant.profile(),
                webhook,
                &secrets,
            )?;
            tenant.webhooks.push(Arc::new(webhook));
        }
        tenant.types = assemble::types(&parts.types)?;
        tenant.inbound = Arc::new(self.registered(&parts));
        Ok(tenant)
    }

    /// One that this version of the program cannot read is left out, and said: it must not keep the tenant from its others.
    fn registered(&self, parts: &Parts) -> Registered {
        let mut registered = Registered::default();
        for row in &parts.workflows {
            match assemble::workflow(row) {
                Ok(workflow) => registered.workflows.push(Arc::new(workflow)),
                Err(error) => tracing::error!(%error, "workflow.unreadable"),
            }
        }
        for row in &parts.triggers {
            let secrets = parts.trigger_secrets.get(&row.id).map(Vec::as_slice).unwrap_or_default();
            match triggers::assembled(self.store(), row, secrets) {
                Ok(trigger) => registered.triggers.push(Arc::new(trigger)),
                Err(error) => tracing::error!(%error, "trigger.unreadable"),
            }
        }
        registered
    }

    /// A crash between a switch and its cancellations left deliveries scheduled; this ends them.
    async fn finish_cancellations(&self) {
        for tenant in self.catalogue().tenants() {
            if !webhooks::cancels_when_off(&tenant) {
                continue;
            }
            for webhook in tenant.webhooks.iter().filter(|webhook| !webhook.enabled) {
                self.cancel_scheduled(self.now(), tenant.id, webhook.id, Reason::WebhookOff).await;
            }
        }
    }
}
