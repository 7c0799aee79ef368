//! The methods of control as they are being built; each moves to the file of its subject.

use std::sync::Arc;

use postrider_domain::id::{JobId, KeyId, TenantId, WebhookId};
use postrider_domain::problem::Warning;
use postrider_domain::time::Timestamp;
use secrecy::SecretString;

use super::*;
use crate::error::EngineError;

impl Control {
    /// Everything from the store into the catalogue; built-in profiles are stored by version first. Once, at start.
    pub async fn load_all(&self) -> Result<(), EngineError> {
        todo!()
    }
    /// One tenant anew from the store.
    pub async fn load_tenant(&self, _tenant: TenantId) -> Result<Option<Arc<Tenant>>, EngineError> {
        todo!()
    }

    // tenants (operator; an admin may change `settings.webhook` of its own)
    pub async fn tenant_create(
        &self,
        _actor: &Actor,
        _new: NewTenant,
        _again: Option<Repeatable<'_, TenantChanged>>,
    ) -> Result<Created<TenantChanged>, EngineError> {
        todo!()
    }
    pub async fn tenant_update(
        &self,
        _actor: &Actor,
        _tenant: TenantId,
        _patch: TenantPatch,
    ) -> Result<TenantChanged, EngineError> {
        todo!()
    }
    /// The tenant leaves the catalogue at once; its rows go in a job.
    pub async fn tenant_delete(&self, _actor: &Actor, _tenant: TenantId) -> Result<Job, EngineError> {
        todo!()
    }

    // keys (operator)
    pub async fn key_create(
        &self,
        _actor: &Actor,
        _new: NewKey,
        _again: Option<Repeatable<'_, KeyCreated>>,
    ) -> Result<Created<KeyCreated>, EngineError> {
        todo!()
    }
    pub async fn key_revoke(&self, _actor: &Actor, _key: KeyId) -> Result<(), EngineError> {
        todo!()
    }
    /// `given`: `POSTRIDER_OPERATOR_KEY`. Returns the key that was made because there was none: to be printed once.
    pub async fn ensure_operator_key(
        &self,
        _given: Option<SecretString>,
    ) -> Result<Option<SecretString>, EngineError> {
        todo!()
    }
    /// Remembers that a key was used; kept in memory, written by `key_uses_write` at most once a minute and key.
    pub fn key_used(&self, _key: KeyId) {
        todo!()
    }
    pub async fn key_uses_write(&self) -> Result<(), EngineError> {
        todo!()
    }

    // webhooks (operator, or admin of the tenant)
    pub async fn webhook_create(
        &self,
        _actor: &Actor,
        _tenant: &Arc<Tenant>,
        _new: NewWebhook,
        _again: Option<Repeatable<'_, WebhookChanged>>,
    ) -> Result<Created<WebhookChanged>, EngineError> {
        todo!()
    }
    pub async fn webhook_update(
        &self,
        _actor: &Actor,
        _tenant: &Arc<Tenant>,
        _webhook: WebhookId,
        _patch: WebhookPatch,
    ) -> Result<WebhookChanged, EngineError> {
        todo!()
    }
    pub async fn webhook_delete(
        &self,
        _actor: &Actor,
        _tenant: &Arc<Tenant>,
        _webhook: WebhookId,
    ) -> Result<(), EngineError> {
        todo!()
    }
    pub async fn secret_rotate(
        &self,
        _actor: &Actor,
        _tenant: &Arc<Tenant>,
        _webhook: WebhookId,
        _rotation: SecretRotation,
        _again: Option<Repeatable<'_, WebhookChanged>>,
    ) -> Result<Created<WebhookChanged>, EngineError> {
        todo!()
    }
    /// By the engine, after 410. False: it was off or gone already.
    pub async fn webhook_disable(
        &self,
        _tenant: TenantId,
        _webhook: WebhookId,
        _reason: &str,
    ) -> Result<bool, EngineError> {
        todo!()
    }

    // profiles (operator), event types of an open catalogue (operator, publisher)
    pub async fn profile_put(
        &self,
        _actor: &Actor,
        _source: &str,
        _again: Option<Repeatable<'_, ProfileStored>>,
    ) -> Result<Created<ProfileStored>, EngineError> {
        todo!()
    }
    pub async fn event_type_put(
        &self,
        _actor: &Actor,
        _tenant: &Arc<Tenant>,
        _put: EventTypePut,
    ) -> Result<Arc<Tenant>, EngineError> {
        todo!()
    }
    pub async fn event_type_archive(
        &self,
        _actor: &Actor,
        _tenant: &Arc<Tenant>,
        _name: &str,
    ) -> Result<Arc<Tenant>, EngineError> {
        todo!()
    }

    // jobs
    pub async fn recover(
        &self,
        _actor: &Actor,
        _tenant: &Arc<Tenant>,
        _webhook: WebhookId,
        _from: Timestamp,
        _until: Timestamp,
        _again: Option<Repeatable<'_, Job>>,
    ) -> Result<Created<Job>, EngineError> {
        todo!()
    }
    /// `tenant`: whose; none: any (operator).
    pub async fn job_get(&self, _tenant: Option<TenantId>, _job: JobId) -> Result<Option<Job>, EngineError> {
        todo!()
    }
    /// Works on open jobs until `stop` resolves; spawned and awaited by the server.
    pub async fn jobs_run(&self, _stop: impl Future<Output = ()> + Send) {
        todo!()
    }
    /// One batch of the oldest open job. False: there is none. For tests, and what `jobs_run` repeats.
    pub async fn jobs_step(&self) -> Result<bool, EngineError> {
        todo!()
    }

    // reads (newest first; `before`: the last id of the page before)
    pub async fn keys(
        &self,
        _tenant: Option<TenantId>,
        _before: Option<KeyId>,
        _limit: usize,
    ) -> Result<Vec<KeyListed>, EngineError> {
        todo!()
    }
    pub async fn audit(
        &self,
        _tenant: Option<TenantId>,
        _before: Option<AuditId>,
        _limit: usize,
    ) -> Result<Vec<AuditEntry>, EngineError> {
        todo!()
    }
}

/// `settings.webhook` of a tenant whose profile has one webhook; none: it has none, or the profile has many.
pub fn webhook_settings(_tenant: &Tenant) -> Option<WebhookSettings> {
    todo!()
}

/// What is worth knowing about a webhook as it stands: `url_not_https`.
pub fn webhook_warnings(_webhook: &Webhook) -> Vec<Warning> {
    todo!()
}
