//! What other nodes changed, brought into this one's catalogue. The store is right; what it holds is read, never guessed.

use std::collections::HashMap;
use std::sync::Arc;

use postrider_domain::id::TenantId;
use postrider_store::StoreError;

use super::Control;
use crate::catalogue::Tenant;
use crate::error::EngineError;
use crate::outbound::lanes::WebhookChange;

impl Control {
    /// A tenant that another node changed, or removed. Waits for a change of this node's own that is under way.
    pub async fn tenant_changed_elsewhere(&self, tenant: TenantId) -> Result<(), EngineError> {
        let _turn = self.turn().await;
        self.follow_tenant(tenant).await
    }

    /// Keys or profiles that another node changed, with the tenants that follow a profile; everything that changed while
    /// nobody was listening. By the versions of tenants: only those that changed are read.
    pub async fn anything_changed_elsewhere(&self) -> Result<(), EngineError> {
        let _turn = self.turn().await;
        self.load_profiles().await?;
        let stored: HashMap<TenantId, i64> =
            self.store().tenant_versions_any_tenant().await?.into_iter().collect();
        let gone = self.catalogue().tenants().into_iter().filter(|here| !stored.contains_key(&here.id));
        let changed = stored.iter().filter(|(tenant, version)| {
            self.catalogue().tenant(**tenant).is_none_or(|here| here.version != **version)
        });
        let differ: Vec<TenantId> =
            gone.map(|here| here.id).chain(changed.map(|(tenant, _)| *tenant)).collect();
        let mut followed = Ok(());
        for tenant in differ {
            // One that this version of the program cannot read must not keep it from following the others.
            if let Err(error) = self.follow_tenant(tenant).await {
                tracing::error!(%error, %tenant, "tenant.not_followed");
                followed = Err(error);
            }
        }
        self.load_keys().await?;
        followed
    }

    /// Within a turn.
    pub(super) async fn follow_tenant(&self, tenant: TenantId) -> Result<(), EngineError> {
        let before = self.catalogue().tenant(tenant);
        let now = match self.load_tenant(tenant).await {
            // It renders with a version of a profile that came with the same change: that is heard of apart.
            Err(EngineError::Store(StoreError::Corrupt(_))) => {
                self.load_profiles().await?;
                self.load_tenant(tenant).await?
            }
            loaded => loaded?,
        };
        if now.is_none() {
            self.catalogue().keys_retain(|key| key.tenant != Some(tenant));
        }
        self.tell_lanes(before.as_ref(), now.as_ref());
        Ok(())
    }

    /// What a change means for deliveries that this node has in hand or waits for.
    fn tell_lanes(&self, before: Option<&Arc<Tenant>>, now: Option<&Arc<Tenant>>) {
        let Some(tenant) = now.or(before) else { return };
        let was_on = |id| before.and_then(|tenant| tenant.webhook(id)).map(|webhook| webhook.enabled);
        for webhook in now.map(|tenant| tenant.webhooks.as_slice()).unwrap_or_default() {
            let change = match (was_on(webhook.id), webhook.enabled) {
                (Some(false), true) => WebhookChange::Enabled,
                (Some(true) | None, false) => WebhookChange::Disabled,
                _ => continue,
            };
            self.0.outbound.webhook_changed(tenant, webhook.id, change);
        }
        for webhook in before.map(|tenant| tenant.webhooks.as_slice()).unwrap_or_default() {
            if now.is_none_or(|tenant| tenant.webhook(webhook.id).is_none()) {
                self.0.outbound.webhook_changed(tenant, webhook.id, WebhookChange::Closed);
            }
        }
    }
}
