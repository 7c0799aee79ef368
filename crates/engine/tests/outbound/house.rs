//! An engine of its own for each test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::random::Random;
use postrider_domain::time::{Clock, Timestamp};
use postrider_egress::{AllowList, Egress, EgressConfig, Policy};
use postrider_engine::catalogue::{Catalogue, Tenant, Webhook};
use postrider_engine::control::{
    Actor, Created, Installation, NewTenant, NewWebhook, TenantPatch, WebhookPatch,
};
use postrider_engine::outbound::dispatch::Published;
use postrider_engine::outbound::ingest::Publication;
use postrider_engine::outbound::lanes::LaneLimits;
use postrider_engine::{Answered, Engine, EngineError, Parts};
use postrider_store::{
    Database, DeliveryFilter, EventOutcome, MasterKey, OpenOptions, Store, StoredDelivery,
};
use postrider_testkit::clock::ManualClock;
use postrider_testkit::home::database_of;
use postrider_testkit::names::NoNames;
use postrider_testkit::postgres::{Database as Server, Postgres};
use postrider_testkit::random::SeededRandom;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// On loopback, without TLS, where nobody listens.
pub(crate) const PUBLIC_URL: &str = "http://127.0.0.1:1";

pub(crate) struct House {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Engine,
    pub(crate) folder: TempDir,
    /// Of nodes on one server.
    _database: Option<Arc<Server>>,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(LaneLimits::default()).await
    }

    pub(crate) async fn open_with(lanes: LaneLimits) -> Self {
        let folder = TempDir::new().expect("a folder for the store");
        let clock = Arc::new(ManualClock::default());
        Self::open_in(folder, clock, lanes).await
    }

    pub(crate) async fn open_in(folder: TempDir, clock: Arc<ManualClock>, lanes: LaneLimits) -> Self {
        let random = Arc::new(SeededRandom::fresh());
        // Boxed: a test may hold several houses, and an unoptimized future is large.
        let options = store_options(folder.path(), random.clone(), clock.now());
        let engine = Box::pin(start(options, clock.clone(), random, lanes)).await;
        Self { clock, engine, folder, _database: None }
    }

    /// Two nodes on one PostgreSQL, with one clock.
    pub(crate) async fn two_nodes() -> [Self; 2] {
        let database = Arc::new(Postgres::shared_database("nodes"));
        let clock = Arc::new(ManualClock::default());
        let one = Self::node(&database, &clock).await;
        [one, Self::node(&database, &clock).await]
    }

    async fn node(database: &Arc<Server>, clock: &Arc<ManualClock>) -> Self {
        let random = Arc::new(SeededRandom::fresh());
        let options = on_server(database.url.clone(), random.clone(), clock.now());
        let engine = Box::pin(start(options, clock.clone(), random, LaneLimits::default())).await;
        let folder = TempDir::new().expect("a folder");
        Self { clock: clock.clone(), engine, folder, _database: Some(database.clone()) }
    }

    /// Waits until this node's catalogue has heard of what another did.
    pub(crate) async fn heard(&self, holds: impl Fn(&Catalogue) -> bool) {
        let patience = tokio::time::Instant::now() + Duration::from_secs(30);
        while !holds(self.engine.catalogue()) {
            assert!(tokio::time::Instant::now() < patience, "nothing was heard");
            postrider_testkit::clock::turn().await;
        }
    }

    /// The same installation as a second process would find it after this one was cut off now: the files as they are.
    pub(crate) async fn after_power_loss(&self) -> Self {
        Self::open_in(self.copied(), self.clock.clone(), LaneLimits::default()).await
    }

    /// Stopped well, and started again on the same store.
    pub(crate) async fn restarted(self) -> Self {
        self.engine.stop(Duration::from_secs(1)).await;
        self.engine.store().close().await;
        Self::open_in(self.folder, self.clock, LaneLimits::default()).await
    }

    /// The same, and meanwhile somebody changed the file by hand.
    pub(crate) async fn after_damage(&self, sql: &str) -> Self {
        let folder = self.copied();
        let file = Connection::open(folder.path().join("postrider.db")).expect("the store's file");
        assert!(file.execute(sql, []).expect("a statement") > 0, "something is damaged");
        drop(file);
        Self::open_in(folder, self.clock.clone(), LaneLimits::default()).await
    }

    fn copied(&self) -> TempDir {
        let folder = TempDir::new().expect("a folder for the copy");
        for file in std::fs::read_dir(self.folder.path()).expect("the folder can be read") {
            let file = file.expect("a file of the store");
            let name = file.file_name();
            // SQLite's shared memory is rebuilt from the log; a copy taken under way could be torn.
            if !name.to_string_lossy().ends_with("-shm") {
                std::fs::copy(file.path(), folder.path().join(&name)).expect("the file can be copied");
            }
        }
        folder
    }

    pub(crate) fn now_by_clock(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn tenant(&self, profile: &str) -> Arc<Tenant> {
        let new = NewTenant {
            id: Some(format!("a-{profile}")),
            profile: profile.to_owned(),
            plan: Some("pro".to_owned()),
            ..NewTenant::default()
        };
        match self.engine.control().tenant_create(&Actor::postrider(), new, None).await {
            Ok(Created::Fresh(changed)) => changed.tenant,
            other => panic!("the tenant was not created: {other:?}"),
        }
    }

    pub(crate) async fn webhook(&self, tenant: &Tenant, url: &str, events: &[&str]) -> Arc<Webhook> {
        let new = NewWebhook {
            url: url.to_owned(),
            events: Some(events.iter().map(|event| (*event).to_owned()).collect()),
            ..NewWebhook::default()
        };
        let tenant = self.now(tenant);
        match self.engine.control().webhook_create(&Actor::postrider(), &tenant, new, None).await {
            Ok(Created::Fresh(changed)) => changed.webhook,
            other => panic!("the webhook was not created: {other:?}"),
        }
    }

    pub(crate) async fn switch(&self, webhook: &Webhook, enabled: bool) {
        let tenant = self.engine.catalogue().tenant(webhook.tenant).expect("the tenant is there");
        let patch = WebhookPatch { enabled: Some(enabled), ..WebhookPatch::default() };
        self.engine
            .control()
            .webhook_update(&Actor::postrider(), &tenant, webhook.id, patch)
            .await
            .expect("the webhook is switched");
    }

    /// Changes some of a tenant's settings.
    pub(crate) async fn set(&self, tenant: &Tenant, settings: Value) {
        let patch = TenantPatch { settings: settings.as_object().cloned(), ..TenantPatch::default() };
        self.update(tenant, patch).await;
    }

    pub(crate) async fn update(&self, tenant: &Tenant, patch: TenantPatch) {
        let actor = Actor::postrider();
        self.engine.control().tenant_update(&actor, tenant.id, patch).await.expect("the tenant is changed");
    }

    /// The tenant as the catalogue has it now.
    pub(crate) fn now(&self, tenant: &Tenant) -> Arc<Tenant> {
        self.engine.catalogue().tenant(tenant.id).expect("the tenant is there")
    }

    pub(crate) async fn publish(&self, tenant: &Tenant, event_type: &str) -> Published {
        self.try_publish(tenant, event_type, None, "{\"n\":1}").await.expect("the event is accepted")
    }

    pub(crate) async fn try_publish(
        &self,
        tenant: &Tenant,
        event_type: &str,
        id: Option<&str>,
        data: &str,
    ) -> Result<Published, EngineError> {
        let publication = Publication { id, event_type, time: None, data, depth: 0 };
        match self.engine.publish(&self.now(tenant), &publication, None).await? {
            Answered::Fresh((published, _)) => Ok(published),
            Answered::Replayed(_) => panic!("no idempotency key was given"),
        }
    }

    pub(crate) async fn deliveries(&self, tenant: &Tenant) -> Vec<StoredDelivery> {
        let mut all = self
            .engine
            .store()
            .delivery_list(tenant.id, &DeliveryFilter::default(), 1000)
            .await
            .expect("a list");
        all.reverse();
        all
    }

    /// Waits until `holds` is true of the tenant's deliveries, oldest first. What it waits for is done by other tasks of
    /// this runtime and by the writer's thread; neither needs time to pass.
    pub(crate) async fn until(
        &self,
        tenant: &Tenant,
        holds: impl Fn(&[StoredDelivery]) -> bool,
    ) -> Vec<StoredDelivery> {
        let patience = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let deliveries = self.deliveries(tenant).await;
            if holds(&deliveries) {
                return deliveries;
            }
            assert!(tokio::time::Instant::now() < patience, "waited in vain: {deliveries:#?}");
            postrider_testkit::clock::turn().await;
        }
    }

    /// Waits until every delivery has ended.
    pub(crate) async fn all_ended(&self, tenant: &Tenant) -> Vec<StoredDelivery> {
        self.until(tenant, |all| all.iter().all(|delivery| delivery.state.is_final())).await
    }

    /// Moves the clock to when the tenant's only scheduled delivery is due, and says how long that was. By then the lanes
    /// know how the attempt before it went: else a pace would begin at the later time, and end after the standing clock.
    pub(crate) async fn until_due(&self, tenant: &Tenant) -> Duration {
        let now = self.clock.now();
        let waits = |delivery: &StoredDelivery| delivery.due.is_some_and(|due| due > now);
        let deliveries = self
            .until(tenant, |all| {
                self.engine.in_hand() == 0
                    && all.iter().any(waits)
                    && all.iter().all(|delivery| delivery.state.is_final() || waits(delivery))
            })
            .await;
        let due =
            deliveries.iter().filter_map(|delivery| delivery.due).min().expect("something is scheduled");
        let wait = due.since(self.clock.now());
        self.clock.set(self.clock.now().max(due));
        wait
    }

    /// What holds at any moment and of every test: the ledger balances.
    pub(crate) async fn ledger_balances(&self) {
        for row in self.engine.store().ledger(None).await.expect("a ledger") {
            assert!(row.is_balanced(), "{row:?}");
        }
    }
}

/// The store of a folder, or of the database that stands for it.
fn store_options(folder: &Path, random: Arc<dyn Random>, now: Timestamp) -> OpenOptions {
    match database_of(folder) {
        None => OpenOptions::new(folder, random, now),
        Some(url) => on_server(url, random, now),
    }
}

fn on_server(url: String, random: Arc<dyn Random>, now: Timestamp) -> OpenOptions {
    OpenOptions {
        master_key: Some(MasterKey::new(Box::new([7; 32]))),
        ..OpenOptions::of(Database::Postgres(url), random, now)
    }
}

async fn start(
    options: OpenOptions,
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
    lanes: LaneLimits,
) -> Engine {
    let random: Arc<dyn Random> = random;
    let store = Store::open(options).await.expect("the store opens");
    Engine::start(Parts {
        store,
        egress: Arc::new(egress()),
        clock,
        random,
        installation: Installation::default(),
        lanes,
        public_url: Some(PUBLIC_URL.to_owned()),
    })
    .await
    .expect("the engine starts")
}

fn egress() -> Egress {
    let allow = AllowList::parse(&["127.0.0.0/8".to_owned()]).expect("a good range");
    Egress::new(EgressConfig {
        policy: Policy::new(allow),
        budgets: postrider_engine::egress_budgets(),
        resolver: Arc::new(NoNames),
        extra_roots_pem: Vec::new(),
    })
    .expect("an egress")
}

/// All of them at once.
pub(crate) async fn all_of<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> =
        futures.into_iter().map(|future| Box::pin(tokio::task::unconstrained(future))).collect();
    let mut ended: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut open = false;
        for (future, ended) in waiting.iter_mut().zip(&mut ended) {
            if ended.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(output) => *ended = Some(output),
                    std::task::Poll::Pending => open = true,
                }
            }
        }
        if open { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    ended.into_iter().flatten().collect()
}

/// Whether a publication made a new event.
pub(crate) fn is_new(published: &Published) -> bool {
    matches!(published.outcome, EventOutcome::New(_))
}
