//! Configuration: tenants, webhooks, keys, profiles, event types, the audit and jobs, as rows.
//!
//! Control is the only caller that writes. A change is one [`ConfigWrite`]: the rows, the tenant's next version, the audit
//! row and the idempotency row become durable together or not at all. Nothing here decides whether a change is allowed.

pub(crate) mod audit;
mod connections;
mod event_types;
mod idempotency;
mod inboxes;
mod jobs;
mod keys;
mod profiles;
mod removal;
mod retry;
mod sessions;
mod step_secrets;
mod tenants;
mod webhooks;
mod workflows;

use postrider_domain::time::Timestamp;

use crate::db::WriteTx;
use crate::postgres::{Heard, tell_at_commit};
use crate::{Store, StoreError};

pub use audit::AuditRow;
pub use connections::{ConnectionFlowRow, ConnectionRow, ConnectionWrite};
pub use event_types::EventTypeRow;
pub use idempotency::IdempotencyRow;
pub use inboxes::{InboxRequestRow, InboxRow, InboxWrite};
pub use jobs::{JOB_DONE, JOB_FAILED, JOB_RUNNING, JobRow, RecoverRange};
pub use keys::KeyRow;
pub use profiles::ProfileRow;
pub use removal::Removed;
pub use retry::{Count, Retriable, RetryFilter, RetryPart};
pub use sessions::{SESSION_LINK, SESSION_PORTAL, SESSION_SIGNED_IN, SessionRow, SessionWrite};
pub use step_secrets::{StepSecretRow, StepSecretWrite};
pub use tenants::{PinnedRow, TenantRow};
pub use webhooks::{SecretRow, SecretState, WebhookRow};
pub use workflows::{TriggerRow, TriggerSecretRow, TriggerWrite, WorkflowRow};

/// One change of the configuration: durable whole or not at all.
#[derive(Debug, Default)]
pub struct ConfigWrite {
    pub at: Timestamp,
    pub tenant: Option<TenantWrite>,
    /// Of `tenant`.
    pub webhooks: Vec<WebhookWrite>,
    /// Of `tenant`.
    pub workflows: Vec<WorkflowRow>,
    /// Of `tenant`.
    pub triggers: Vec<TriggerWrite>,
    /// Of `tenant`.
    pub event_types: Vec<EventTypeRow>,
    /// Of `tenant`.
    pub step_secrets: Vec<StepSecretWrite>,
    pub connections: Vec<ConnectionWrite>,
    /// Of `tenant`.
    pub inboxes: Vec<InboxWrite>,
    pub keys: Vec<KeyRow>,
    pub sessions: Vec<SessionWrite>,
    pub profile: Option<ProfileWrite>,
    pub jobs: Vec<JobRow>,
    pub audit: Vec<AuditRow>,
    pub idempotency: Option<IdempotencyRow>,
}

/// A tenant's row as it is to be; its `version` becomes the webhooks' version too.
#[derive(Debug)]
pub struct TenantWrite {
    pub row: TenantRow,
    pub over: Over,
    /// What events pin has changed: remember it under the new version.
    pub pins: bool,
    /// Only while the tenant has neither events nor records.
    pub unless_history: bool,
}

/// What a tenant's row is written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Nothing,
    /// The row with this version.
    Version(i64),
}

/// A webhook's row as it is to be.
#[derive(Debug)]
pub struct WebhookWrite {
    pub row: WebhookRow,
    /// All of its secrets; none: they stay as they are.
    pub secrets: Option<Vec<SecretRow>>,
}

/// A version of a profile that becomes the one its tenants render with.
#[derive(Debug)]
pub struct ProfileWrite {
    pub row: ProfileRow,
}

/// What a change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOutcome {
    Done,
    /// Nothing was written: the tenant's public id belongs to another tenant.
    IdTaken,
    /// Nothing was written: the tenant has events, and the change allows none.
    HasHistory,
    /// Nothing was written: the tenant, or the connection, has changed or gone since it was read, or the link was used.
    Stale,
    /// Nothing was written: the idempotency key was used meanwhile.
    Repeated,
}

impl Store {
    pub async fn config_write(&self, write: &ConfigWrite) -> Result<ConfigOutcome, StoreError> {
        let mut tx = self.write().await?;
        let outcome = apply(&mut tx, write).await?;
        if outcome == ConfigOutcome::Done {
            for heard in told(write) {
                tell_at_commit(&mut tx, heard).await?;
            }
            tx.commit().await?;
        }
        Ok(outcome)
    }
}

/// What other nodes must hear of a change.
fn told(write: &ConfigWrite) -> Vec<Heard> {
    let mut told = Vec::new();
    if let Some(tenant) = &write.tenant {
        told.push(Heard::TenantChanged(tenant.row.id));
    }
    for event_type in &write.event_types {
        if !told.contains(&Heard::TenantChanged(event_type.tenant)) {
            told.push(Heard::TenantChanged(event_type.tenant));
        }
    }
    if write.profile.is_some() || !write.keys.is_empty() {
        told.push(Heard::InstallationChanged);
    }
    if !write.jobs.is_empty() {
        told.push(Heard::JobsWait);
    }
    told
}

async fn apply(tx: &mut WriteTx, write: &ConfigWrite) -> Result<ConfigOutcome, StoreError> {
    if let Some(idempotency) = &write.idempotency
        && !idempotency::put(tx, idempotency, write.at).await?
    {
        return Ok(ConfigOutcome::Repeated);
    }
    if let Some(profile) = &write.profile {
        profiles::put(tx, &profile.row).await?;
        tenants::follow_profile(tx, &profile.row.name, &profile.row.version, write.at).await?;
    }
    if let Some(tenant) = &write.tenant {
        if tenant.unless_history && tenants::has_history(tx, tenant.row.id).await? {
            return Ok(ConfigOutcome::HasHistory);
        }
        let written = match tenant.over {
            Over::Nothing if !tenants::insert(tx, &tenant.row).await? => return Ok(ConfigOutcome::IdTaken),
            Over::Nothing => true,
            Over::Version(version) => tenants::update(tx, &tenant.row, version).await?,
        };
        if !written {
            return Ok(ConfigOutcome::Stale);
        }
        if tenant.pins {
            tenants::pin(tx, &tenant.row, write.at).await?;
        }
        for webhook in &write.webhooks {
            webhooks::put(tx, &webhook.row, tenant.row.version, write.at).await?;
            if let Some(secrets) = &webhook.secrets {
                webhooks::put_secrets(tx, &webhook.row, secrets).await?;
            }
        }
    }
    for workflow in &write.workflows {
        workflows::put(tx, workflow).await?;
    }
    for trigger in &write.triggers {
        workflows::put_trigger(tx, trigger).await?;
    }
    for event_type in &write.event_types {
        event_types::put(tx, event_type).await?;
    }
    for secret in &write.step_secrets {
        step_secrets::write(tx, secret).await?;
    }
    for connection in &write.connections {
        if !connections::write(tx, connection).await? {
            return Ok(ConfigOutcome::Stale);
        }
    }
    for inbox in &write.inboxes {
        inboxes::write(tx, inbox).await?;
    }
    for key in &write.keys {
        keys::put(tx, key).await?;
    }
    for session in &write.sessions {
        if !sessions::write(tx, session, write.at).await? {
            return Ok(ConfigOutcome::Stale);
        }
    }
    for job in &write.jobs {
        jobs::insert(tx, job).await?;
    }
    for audit in &write.audit {
        audit::insert(tx, audit).await?;
    }
    Ok(ConfigOutcome::Done)
}
