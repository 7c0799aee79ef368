//! How a change becomes durable, and then visible: the one way to disk for configuration.

use std::sync::Arc;

use postrider_domain::delivery::Reason;
use postrider_domain::id::{KeyId, TenantId, WebhookId};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::Profile;
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use postrider_store::config::{ConfigOutcome, ConfigWrite, IdempotencyRow};
use tokio::sync::OwnedMutexGuard;

use super::Control;
use crate::catalogue::{ApiKey, KeyHash, Tenant};
use crate::error::EngineError;
use crate::outbound::lanes::WebhookChange;

/// A creation that may be repeated: for whom and what (`scope`), under which `Idempotency-Key`, with what content.
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

impl<T> Repeatable<'_, T> {
    pub(super) fn row(&self, created: &T) -> IdempotencyRow {
        IdempotencyRow {
            scope: self.idem.scope,
            key: self.idem.key.clone(),
            fingerprint: self.idem.fingerprint,
            answer: (self.answer)(created),
        }
    }
}

/// What a creation ends in.
#[derive(Debug)]
pub enum Created<T> {
    Fresh(T),
    /// The same request came before: the stored JSON answer.
    Replayed(Vec<u8>),
}

/// The right to change the configuration. Held from the decision to the catalogue.
pub(super) type Turn = OwnedMutexGuard<()>;

/// What follows a commit.
#[derive(Default)]
pub(super) struct After {
    pub(super) tenant: Option<Arc<Tenant>>,
    pub(super) removed: Option<TenantId>,
    /// How the removed tenant was.
    pub(super) gone: Option<Arc<Tenant>>,
    pub(super) key: Option<(KeyHash, Arc<ApiKey>)>,
    pub(super) revoked: Vec<KeyId>,
    /// Its tenants are read anew.
    pub(super) profile: Option<Arc<Profile>>,
    pub(super) webhooks: Vec<WebhookAfter>,
}

/// What follows for one webhook.
pub(super) struct WebhookAfter {
    pub(super) webhook: WebhookId,
    pub(super) change: WebhookChange,
    /// Why what is scheduled for it is cancelled; none: it stays.
    pub(super) cancel: Option<Reason>,
}

impl Control {
    pub(super) async fn turn(&self) -> Turn {
        self.0.turn.clone().lock_owned().await
    }

    /// The tenant as it is now, also when another node changed it a moment ago. `not_found` once its deletion was asked for.
    /// Called within a turn.
    pub(super) async fn tenant_now(&self, tenant: TenantId) -> Result<Arc<Tenant>, EngineError> {
        if self.store().is_shared() {
            self.follow_tenant(tenant).await?;
        }
        Ok(self.catalogue().tenant(tenant).ok_or_else(|| Problem::not_found("tenant"))?)
    }

    /// The stored answer, if this very request came before.
    ///
    /// # Errors
    /// `idempotency_key_reused` when another request had the key.
    pub(super) async fn repeated<T>(
        &self,
        again: Option<&Repeatable<'_, T>>,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let Some(Repeatable { idem, .. }) = again else { return Ok(None) };
        match self.store().config_answer(idem.scope, &idem.key, self.now()).await? {
            None => Ok(None),
            Some((fingerprint, answer)) if fingerprint == idem.fingerprint => Ok(Some(answer)),
            Some(_) => Err(EngineError::Refused(Problem::at(
                Code::IdempotencyKeyReused,
                "Idempotency-Key",
                "This key was used within 24 hours for another request. Use a new key for a new request.",
            ))),
        }
    }

    /// Writes, then shows. In a task of its own: a caller that hangs up between the two must not leave the catalogue behind
    /// the store.
    pub(super) async fn commit(
        &self,
        turn: Turn,
        write: ConfigWrite,
        after: After,
    ) -> Result<(), EngineError> {
        let control = self.clone();
        let done = tokio::spawn(async move { control.commit_now(turn, write, after).await }).await;
        done.unwrap_or_else(|error| {
            Err(EngineError::Store(StoreError::Internal(format!(
                "a change of the configuration panicked: {error}"
            ))))
        })
    }

    async fn commit_now(&self, turn: Turn, write: ConfigWrite, after: After) -> Result<(), EngineError> {
        match self.store().config_write(&write).await? {
            ConfigOutcome::Done => {}
            ConfigOutcome::IdTaken => {
                return Err(Problem::at(
                    Code::IdTaken,
                    "id",
                    "Another tenant has this id. Choose another one.",
                )
                .into());
            }
            ConfigOutcome::HasHistory => return Err(super::check::has_history().into()),
            // By a node beside this one: within a process changes take turns.
            ConfigOutcome::Stale | ConfigOutcome::Repeated => {
                return Err(Problem::new(
                    Code::Conflict,
                    "The configuration was changed by somebody else at the same moment. Send the request again.",
                )
                .into());
            }
        }
        for audit in &write.audit {
            tracing::info!(actor = %audit.actor, action = %audit.action, target = %audit.target, "configuration.changed");
        }
        if let Some(profile) = after.profile {
            self.catalogue().profile_put(profile.clone());
            self.load_profile_tenants(&profile.name).await?;
            self.tell_lanes_of_switches(&profile.name);
        }
        if let Some(tenant) = &after.tenant {
            self.catalogue().replace(tenant.clone());
        }
        if let Some(removed) = after.removed {
            self.catalogue().remove(removed);
            self.catalogue().keys_retain(|key| key.tenant != Some(removed));
        }
        if let Some((hash, key)) = after.key {
            self.catalogue().key_put(hash, key);
        }
        if !after.revoked.is_empty() {
            self.catalogue().keys_retain(|key| !after.revoked.contains(&key.id));
        }
        if !write.jobs.is_empty() {
            self.0.work.notify_one();
        }
        let tenant = after.tenant.or(after.gone);
        // Within the turn: two changes reach the lanes in the order in which they were made.
        for webhook in &after.webhooks {
            if let Some(tenant) = &tenant {
                self.0.outbound.webhook_changed(tenant, webhook.webhook, webhook.change);
            }
        }
        // The moment of the cause: what comes after it is not cancelled.
        let now = self.now();
        drop(turn);
        if let Some(tenant) = tenant {
            for webhook in after.webhooks {
                if let Some(reason) = webhook.cancel {
                    self.cancel_scheduled(now, tenant.id, webhook.webhook, reason).await;
                }
            }
        }
        Ok(())
    }

    /// What being off means may have changed with the profile.
    fn tell_lanes_of_switches(&self, profile: &str) {
        let tenants = self.catalogue().tenants();
        for tenant in tenants.iter().filter(|tenant| tenant.profile().name == profile) {
            for webhook in tenant.webhooks.iter().filter(|webhook| !webhook.enabled) {
                self.0.outbound.webhook_changed(tenant, webhook.id, WebhookChange::Disabled);
            }
        }
    }

    /// What is not cancelled now because the store failed is cancelled at the next start.
    pub(super) async fn cancel_scheduled(
        &self,
        now: Timestamp,
        tenant: TenantId,
        webhook: WebhookId,
        reason: Reason,
    ) {
        if let Err(error) = self.store().delivery_cancel(now, tenant, webhook, reason, None).await {
            tracing::error!(%error, %webhook, reason = reason.as_str(), "cancel.waits_for_restart");
        }
    }
}
