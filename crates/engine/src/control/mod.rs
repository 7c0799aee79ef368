//! Control: the only writer of configuration.
//!
//! Tenants, keys, sessions, profiles, event types, webhooks and their secrets, and the jobs that work on many rows. The API and the
//! pages call the same methods, so a rule stands in one place: who may do it, what is refused, what the audit keeps. Each
//! change is one transaction (the rows, the tenant's next version, the audit row, the idempotency row); after it the tenant
//! is put into the catalogue anew, and what sends is told. Control sends nothing itself and reads no clock of its own.

mod access;
mod actor;
mod assemble;
mod audit;
mod change;
mod check;
mod connections;
mod deletion;
mod event_types;
mod follow;
mod inboxes;
mod jobs;
mod keys;
mod load;
mod look;
mod profiles;
mod recover;
mod resend;
mod retry_many;
mod secrets;
mod sessions;
mod settings;
mod step_secrets;
mod tenants;
mod triggers;
mod webhooks;
mod workflows;

use std::sync::{Arc, Mutex};

use postrider_domain::id::RisingIds;
use postrider_domain::random::Random;
use postrider_domain::time::Timestamp;
use postrider_store::Store;
use tokio::sync::Notify;

use crate::catalogue::Catalogue;
use crate::outbound::dispatch::Outbound;

pub use access::{WebhookUse, check_webhooks, may_see_webhooks};
pub use actor::{Actor, Role, Who};
pub use audit::AuditEntry;
pub use change::{Created, Idem, Repeatable};
pub(crate) use check::timezone;
pub use connections::NewConnection;
pub(crate) use connections::{ConnectionAct, check_client_secret, check_scopes};
pub use event_types::EventTypePut;
pub use jobs::{Job, JobKind, JobState};
pub use keys::{KeyCreated, KeyListed, NewKey};
pub use look::{LANGUAGES, Look};
pub use profiles::ProfileStored;
pub use retry_many::RetrySelection;
pub use secrets::SecretRotation;
pub use sessions::{NewPortalSession, PortalSession, PortalSessionCreated, Session, SessionKind};
pub use settings::{WebhookSettings, webhook_settings};
pub use step_secrets::StepSecretPut;
pub use tenants::{NewTenant, TenantChanged, TenantPatch};
pub use triggers::{NewTrigger, TriggerChanged, TriggerPatch};
pub use webhooks::{NewWebhook, WebhookChanged, WebhookPatch, webhook_warnings};
pub use workflows::WorkflowChanged;

/// What the installation decides for every tenant.
#[derive(Debug, Clone, Default)]
pub struct Installation {
    /// `POSTRIDER_REQUIRE_HTTPS`; a tenant's `settings.requireHttps` overrides it.
    pub require_https: bool,
}

/// The writer of configuration. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    outbound: Arc<Outbound>,
    installation: Installation,
    /// One change at a time: it is decided on what the catalogue holds, which must be what the store holds.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Of audit rows: what was done later reads later, also within a millisecond.
    audit_ids: Mutex<RisingIds>,
    key_uses: keys::Uses,
    /// There is a job to work on, or a key's use to remember.
    work: Notify,
}

impl Control {
    pub fn new(outbound: Arc<Outbound>, installation: Installation) -> Self {
        Self(Arc::new(Inner {
            outbound,
            installation,
            turn: Arc::default(),
            audit_ids: Mutex::default(),
            key_uses: keys::Uses::default(),
            work: Notify::new(),
        }))
    }

    fn store(&self) -> &Store {
        &self.0.outbound.store
    }

    fn catalogue(&self) -> &Catalogue {
        &self.0.outbound.catalogue
    }

    fn random(&self) -> &dyn Random {
        &*self.0.outbound.random
    }

    fn now(&self) -> Timestamp {
        self.0.outbound.clock.now()
    }
}
