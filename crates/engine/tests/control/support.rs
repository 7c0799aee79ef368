//! A house without doors: store, catalogue and control, and nothing that sends.

use std::path::Path;
use std::sync::Arc;

use postrider_domain::id::{KeyId, TenantId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::random::Random;
use postrider_domain::time::{Clock, Timestamp};
use postrider_egress::{AllowList, Budgets, Egress, EgressConfig, Policy, SystemResolver};
use postrider_engine::EngineError;
use postrider_engine::catalogue::{Catalogue, Tenant};
use postrider_engine::control::{
    Actor, AuditEntry, Control, Created, Idem, Installation, NewTenant, NewWebhook, Role, WebhookChanged,
};
use postrider_engine::inbox::Inboxes;
use postrider_engine::metrics::Metrics;
use postrider_engine::outbound::dispatch::Outbound;
use postrider_engine::outbound::lanes::{LaneLimits, Lanes};
use postrider_store::{Database, MasterKey, OpenOptions, Store};
use postrider_testkit::clock::ManualClock;
use postrider_testkit::home::database_of;
use postrider_testkit::random::SeededRandom;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::sync::mpsc;

pub(crate) struct House {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
    pub(crate) control: Control,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) clock: Arc<ManualClock>,
    random: Arc<dyn Random>,
    installation: Installation,
    allow: Vec<String>,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Installation::default(), &[]).await
    }

    pub(crate) async fn with(installation: Installation, allow: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ManualClock::default());
        let random: Arc<dyn Random> = Arc::new(SeededRandom::fresh());
        let allow: Vec<String> = allow.iter().map(|entry| (*entry).to_owned()).collect();
        let (store, outbound, control) = open(dir.path(), &clock, &random, &installation, &allow).await;
        Self { dir, store, control, outbound, clock, random, installation, allow }
    }

    /// The process ends and another one opens the same folder.
    pub(crate) async fn restarted(self) -> Self {
        let Self { dir, store, control, outbound, clock, random, installation, allow } = self;
        store.close().await;
        drop((store, control, outbound));
        let (store, outbound, control) = open(dir.path(), &clock, &random, &installation, &allow).await;
        Self { dir, store, control, outbound, clock, random, installation, allow }
    }

    pub(crate) fn tenant(&self, public_id: &str) -> Arc<Tenant> {
        self.outbound.catalogue.tenant_by_public_id(public_id).expect("the tenant is in the catalogue")
    }

    pub(crate) async fn create_tenant(&self, id: &str, profile: &str) -> Arc<Tenant> {
        let new = NewTenant { plan: Some("pro".to_owned()), ..tenant(id, profile) };
        fresh(self.control.tenant_create(&OPERATOR, new, None).await).tenant
    }

    pub(crate) async fn create_webhook(&self, tenant: &str, new: NewWebhook) -> WebhookChanged {
        fresh(self.control.webhook_create(&OPERATOR, &self.tenant(tenant), new, None).await)
    }

    pub(crate) async fn audit(&self) -> Vec<AuditEntry> {
        self.control.audit(None, None, 1000).await.expect("the audit can be read")
    }

    /// Everything that a refusal must leave alone.
    pub(crate) async fn state(&self) -> String {
        let mut tenants = self.store.tenants_any_tenant().await.expect("tenants");
        tenants.sort_by_key(|tenant| tenant.id);
        format!(
            "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
            tenants,
            self.store.webhooks_any_tenant().await.expect("webhooks"),
            self.store.secrets_any_tenant().await.expect("secrets"),
            self.store.keys_any_tenant().await.expect("keys"),
            self.store.event_types_any_tenant().await.expect("event types"),
            self.store.profiles_all().await.expect("profiles"),
            self.audit().await,
        )
    }

    /// Every byte of the data folder but the master key.
    pub(crate) fn bytes_on_disk(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(self.dir.path()).expect("the data folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() && path.file_name().is_some_and(|name| name != "master.key") {
                bytes.extend(std::fs::read(path).expect("a file"));
            }
        }
        bytes
    }

    pub(crate) fn is_on_disk(&self, text: &str) -> bool {
        let bytes = self.bytes_on_disk();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// The store of a folder, or of the database that stands for it.
fn store_options(folder: &Path, random: Arc<dyn Random>, now: Timestamp) -> OpenOptions {
    match database_of(folder) {
        None => OpenOptions::new(folder, random, now),
        Some(url) => OpenOptions {
            master_key: Some(MasterKey::new(Box::new([7; 32]))),
            // Nothing beats here, and a slow machine is no dead node.
            node_lease: std::time::Duration::from_secs(3600),
            ..OpenOptions::of(Database::Postgres(url), random, now)
        },
    }
}

async fn open(
    dir: &Path,
    clock: &Arc<ManualClock>,
    random: &Arc<dyn Random>,
    installation: &Installation,
    allow: &[String],
) -> (Store, Arc<Outbound>, Control) {
    let options = store_options(dir, random.clone(), clock.now());
    let store = Store::open(options).await.expect("the store opens");
    let egress = Egress::new(EgressConfig {
        policy: Policy::new(AllowList::parse(allow).expect("an allow list")),
        budgets: Budgets {
            dns: limits::DNS_TIMEOUT,
            connect: limits::CONNECT_TIMEOUT,
            tls: limits::TLS_TIMEOUT,
            response_read_bytes: limits::RESPONSE_READ_BYTES_MAX,
            response_kept_bytes: limits::RESPONSE_KEPT_BYTES_MAX,
            response_head_bytes: limits::RESPONSE_HEAD_BYTES_MAX,
            response_headers_max: limits::RESPONSE_HEADERS_MAX,
            socket_age: limits::SOCKET_AGE_MAX,
            idle_per_origin_max: 1,
            idle_total_max: 1,
        },
        resolver: Arc::new(SystemResolver::new().expect("a resolver")),
        extra_roots_pem: Vec::new(),
    })
    .expect("a client");
    let clock: Arc<dyn Clock> = clock.clone();
    let lanes = Lanes::new(LaneLimits::default(), clock.clone());
    // Nothing gets a slot: what is published waits in the store.
    lanes.stop();
    let (notices, _) = mpsc::channel(1);
    let outbound = Arc::new(Outbound::new(
        store.clone(),
        Arc::new(egress),
        Arc::new(Catalogue::default()),
        lanes,
        clock,
        random.clone(),
        Arc::new(Metrics::default()),
        notices,
        mpsc::unbounded_channel().0,
        mpsc::unbounded_channel().0,
        Inboxes::default(),
    ));
    // There is nobody else, and nothing runs that would find it out.
    outbound.set_leads(true);
    let control = Control::new(outbound.clone(), installation.clone());
    control.load_all().await.expect("the configuration loads");
    (store, outbound, control)
}

pub(crate) const OPERATOR: Actor = Actor { role: Role::Operator, key: None, tenant: None };

/// The key of somebody at a tenant.
pub(crate) fn of(tenant: TenantId, role: Role) -> Actor {
    Actor { role, key: Some(KeyId::from_bytes([7; 16])), tenant: Some(tenant) }
}

pub(crate) fn tenant(id: &str, profile: &str) -> NewTenant {
    NewTenant { id: Some(id.to_owned()), profile: profile.to_owned(), ..NewTenant::default() }
}

pub(crate) fn webhook(url: &str, events: &[&str]) -> NewWebhook {
    NewWebhook { url: url.to_owned(), events: Some(strings(events)), ..NewWebhook::default() }
}

pub(crate) fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is not an object"),
    }
}

pub(crate) fn idem(key: &str, content: u8) -> Idem {
    Idem { scope: [1; 16], key: key.to_owned(), fingerprint: [content; 32] }
}

pub(crate) fn fresh<T>(created: Result<Created<T>, EngineError>) -> T {
    match created.expect("it is allowed") {
        Created::Fresh(created) => created,
        Created::Replayed(_) => panic!("it was asked for before"),
    }
}

pub(crate) fn replayed<T>(created: Result<Created<T>, EngineError>) -> Vec<u8> {
    match created.expect("it is allowed") {
        Created::Fresh(_) => panic!("it was made a second time"),
        Created::Replayed(answer) => answer,
    }
}

pub(crate) fn refused<T>(result: Result<T, EngineError>) -> Problem {
    match result {
        Err(EngineError::Refused(problem)) => problem,
        Err(EngineError::Store(error)) => panic!("the store failed: {error}"),
        Ok(_) => panic!("it was allowed"),
    }
}

/// The refusal's code and field, and that nothing changed.
pub(crate) async fn refuses<T>(
    house: &House,
    code: Code,
    field: Option<&str>,
    asked: impl Future<Output = Result<T, EngineError>>,
) {
    let before = house.state().await;
    let problem = refused(asked.await);
    assert_eq!((problem.code, problem.field.as_deref()), (code, field), "{problem}");
    assert_eq!(house.state().await, before, "{problem}");
}
