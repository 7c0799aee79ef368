//! A fresh store for each behaviour, and short words for what behaviours do to it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::EventKind;
use postrider_domain::id::{DeliveryId, EventId, RisingIds, TenantId, WebhookId};
use postrider_domain::time::Timestamp;
use postrider_store::{
    AttemptRow, AttemptTiming, ClaimAnswer, Claimed, Commit, CommitOutcome, Database, EventOutcome, Lease,
    MasterKey, NewDelivery, NewEvent, OpenOptions, Settlement, Store, StoreError, StoredDelivery, Want,
    first_delivery_id,
};
use postrider_testkit::postgres::{Database as Server, Postgres};
use postrider_testkit::random::SeededRandom;

/// 2026-04-11T09:15:30.250Z.
const START_MS: i64 = 1_775_898_930_250;
pub(crate) const LEASE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    store: Mutex<Store>,
    home: Home,
    pub(crate) random: Arc<SeededRandom>,
    ids: Mutex<RisingIds>,
    now_ms: AtomicI64,
}

/// Where the store of a world is kept, until the world ends.
enum Home {
    Folder(tempfile::TempDir),
    Server(Server),
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        Self::at(Home::Folder(tempfile::tempdir().unwrap())).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(Home::Server(Postgres::shared_database("store"))).await
    }

    async fn at(home: Home) -> Self {
        let random = Arc::new(SeededRandom::fresh());
        let store = Store::open(options(&home, random.clone(), moment(0))).await.unwrap();
        Self {
            store: Mutex::new(store),
            home,
            random,
            ids: Mutex::default(),
            now_ms: AtomicI64::new(START_MS),
        }
    }

    pub(crate) fn store(&self) -> Store {
        self.store.lock().unwrap().clone()
    }

    /// Of a world on SQLite.
    pub(crate) fn dir(&self) -> &Path {
        match &self.home {
            Home::Folder(dir) => dir.path(),
            Home::Server(_) => panic!("a server has no folder"),
        }
    }

    /// Of a world on PostgreSQL.
    pub(crate) fn server(&self) -> &Server {
        match &self.home {
            Home::Server(server) => server,
            Home::Folder(_) => panic!("a folder has no server"),
        }
    }

    /// For one more process on the same database.
    pub(crate) fn again(&self) -> OpenOptions {
        options(&self.home, self.random.clone(), self.now())
    }

    pub(crate) fn options(&self, dir: impl Into<PathBuf>) -> OpenOptions {
        OpenOptions::new(dir, self.random.clone(), self.now())
    }

    pub(crate) async fn restart(&self) {
        self.store().close().await;
        let store = Store::open(self.again()).await.unwrap();
        *self.store.lock().unwrap() = store;
    }

    /// The ledger of every behaviour's store balances at its end.
    pub(crate) async fn end(self) {
        if let Ok(ledger) = self.store().ledger(None).await {
            assert!(ledger.iter().all(|row| row.is_balanced()), "{ledger:?}");
        }
        self.store().close().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn pass(&self, duration: Duration) -> Timestamp {
        self.now_ms.fetch_add(duration.as_millis() as i64, Ordering::Relaxed);
        self.now()
    }

    pub(crate) fn tenant(&self) -> TenantId {
        TenantId::new(self.now(), &*self.random)
    }

    pub(crate) fn webhook(&self) -> WebhookId {
        WebhookId::new(self.now(), &*self.random)
    }

    pub(crate) fn event_id(&self) -> EventId {
        EventId::from_uuid(self.ids.lock().unwrap().next(self.now(), &*self.random))
    }

    /// An event without deliveries.
    pub(crate) fn event(&self, event_type: &str) -> NewEvent {
        NewEvent {
            id: self.event_id(),
            external_id: None,
            kind: EventKind::Normal,
            event_type: event_type.into(),
            time: self.now(),
            time_given: false,
            data: Bytes::from_static(br#"{"n":1}"#),
            tenant_version: 1,
            depth: 0,
            deliveries: Vec::new(),
        }
    }

    /// One of an event's first deliveries, due now.
    pub(crate) fn delivery(&self, event: EventId, webhook: WebhookId) -> NewDelivery {
        NewDelivery {
            id: first_delivery_id(event, &*self.random),
            event,
            webhook,
            kind: DeliveryKind::Normal,
            due: self.now(),
            reason: Reason::Waiting,
            claim: None,
        }
    }

    pub(crate) fn replay(&self, event: EventId, webhook: WebhookId) -> NewDelivery {
        let id = DeliveryId::new(self.now(), &*self.random);
        NewDelivery { id, kind: DeliveryKind::Replay, ..self.delivery(event, webhook) }
    }

    pub(crate) fn lease(&self) -> Lease {
        Lease::first(self.now().plus(LEASE))
    }

    pub(crate) fn commit(&self, tenant: TenantId) -> Commit {
        Commit::new(tenant, self.now())
    }

    pub(crate) async fn try_commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        self.store().commit_enqueue(commit)?.await.expect("the writer answers")
    }

    pub(crate) async fn done(&self, commit: Commit) -> Done {
        match self.try_commit(commit).await.expect("the commit is good") {
            CommitOutcome::Done { events, replays, settled, .. } => Done { events, replays, settled },
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn accept(&self, tenant: TenantId, event: NewEvent) -> EventOutcome {
        let done = self.done(Commit { events: vec![event], ..self.commit(tenant) }).await;
        done.events[0]
    }

    /// Accepts an event with one delivery, scheduled for now.
    pub(crate) async fn accept_scheduled(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
    ) -> (EventId, DeliveryId) {
        let mut event = self.event("task.completed");
        let delivery = self.delivery(event.id, webhook);
        let ids = (event.id, delivery.id);
        event.deliveries.push(delivery);
        assert_eq!(self.accept(tenant, event).await, EventOutcome::New(ids.0));
        ids
    }

    /// Accepts an event with one delivery that is claimed with it.
    pub(crate) async fn accept_sending(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        kind: DeliveryKind,
    ) -> Sending {
        let mut event = self.event("task.completed");
        let mut delivery = self.delivery(event.id, webhook);
        delivery.kind = kind;
        delivery.claim = Some(self.lease());
        let sending = Sending { event: event.id, delivery: delivery.id, webhook, kind, fence: 1, attempt: 1 };
        event.deliveries.push(delivery);
        assert_eq!(self.accept(tenant, event).await, EventOutcome::New(sending.event));
        sending
    }

    pub(crate) async fn claim(&self, tenant: TenantId, webhook: WebhookId, count: u32) -> ClaimAnswer {
        let want = Want { tenant, webhook, count };
        let until = self.now().plus(LEASE);
        let mut answers = self.store().delivery_claim(self.now(), until, vec![want]).await.unwrap();
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    pub(crate) async fn settle(&self, tenant: TenantId, settlement: Settlement) -> bool {
        self.done(Commit { settled: vec![settlement], ..self.commit(tenant) }).await.settled[0]
    }

    pub(crate) async fn deliver(&self, tenant: TenantId, sending: Sending) -> bool {
        self.settle(tenant, sending.delivered(self.now())).await
    }

    pub(crate) async fn get(&self, tenant: TenantId, delivery: DeliveryId) -> StoredDelivery {
        self.store().delivery_get(tenant, delivery).await.unwrap().expect("the delivery is there")
    }

    pub(crate) async fn state(&self, tenant: TenantId, delivery: DeliveryId) -> (DeliveryState, Reason) {
        let delivery = self.get(tenant, delivery).await;
        (delivery.state, delivery.reason)
    }

    pub(crate) async fn event_count(&self, tenant: TenantId) -> usize {
        use postrider_store::{EventFilter, Order};
        let order = Order::NewestFirst { before: None };
        self.store().event_list(tenant, &EventFilter::default(), order, 10_000).await.unwrap().len()
    }

    /// A row of the configuration, as control writes it.
    pub(crate) async fn register(&self, tenant: TenantId, webhook: WebhookId) {
        const SQL: &str =
            "INSERT INTO webhook (tenant_id, id, name, url, events, headers, description, enabled,
            disabled_reason, single, created_ms, updated_ms, deleted_ms)
          VALUES ($1, $2, 'name', 'https://example.com/', '[\"*\"]', NULL, '', 1, NULL, 0, $3, $3, NULL)";
        let mut tx = self.store().write().await.unwrap();
        tx.execute(SQL, &[tenant.into(), webhook.into(), self.now().into()]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

fn options(home: &Home, random: Arc<SeededRandom>, now: Timestamp) -> OpenOptions {
    match home {
        Home::Folder(dir) => OpenOptions::new(dir.path(), random, now),
        Home::Server(server) => OpenOptions {
            master_key: Some(MasterKey::new(Box::new([7; 32]))),
            // Nothing beats here, and a slow machine is no dead node.
            node_lease: Duration::from_secs(3600),
            ..OpenOptions::of(Database::Postgres(server.url.clone()), random, now)
        },
    }
}

/// What an ordinary commit came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) events: Vec<EventOutcome>,
    pub(crate) replays: Vec<bool>,
    pub(crate) settled: Vec<bool>,
}

/// A claim in hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    pub(crate) event: EventId,
    pub(crate) delivery: DeliveryId,
    pub(crate) webhook: WebhookId,
    pub(crate) kind: DeliveryKind,
    pub(crate) fence: i64,
    pub(crate) attempt: u32,
}

impl Sending {
    pub(crate) fn of(claimed: &Claimed) -> Self {
        Self {
            event: claimed.event.id,
            delivery: claimed.delivery,
            webhook: claimed.webhook,
            kind: claimed.kind,
            fence: claimed.fence,
            attempt: claimed.attempt,
        }
    }

    pub(crate) fn result(self, attempt: AttemptRow, state: DeliveryState, reason: Reason) -> Settlement {
        Settlement {
            delivery: self.delivery,
            event: self.event,
            webhook: self.webhook,
            kind: self.kind,
            fence: self.fence,
            attempt: Arc::new(attempt),
            state,
            reason,
            due: None,
            step: 0,
        }
    }

    pub(crate) fn delivered(self, now: Timestamp) -> Settlement {
        let attempt = attempt(self.attempt, now, AttemptClass::Success);
        self.result(attempt, DeliveryState::Delivered, Reason::Accepted)
    }

    pub(crate) fn failed(self, now: Timestamp) -> Settlement {
        let attempt = attempt(self.attempt, now, AttemptClass::Status);
        self.result(attempt, DeliveryState::Failed, Reason::RetriesExhausted)
    }

    pub(crate) fn retry(self, now: Timestamp, due: Timestamp, step: u32) -> Settlement {
        let attempt = attempt(self.attempt, now, AttemptClass::Status);
        Settlement {
            due: Some(due),
            step,
            ..self.result(attempt, DeliveryState::Scheduled, Reason::RetryDue)
        }
    }
}

pub(crate) fn attempt(number: u32, started: Timestamp, class: AttemptClass) -> AttemptRow {
    AttemptRow {
        number,
        started,
        class,
        status: Some(if class == AttemptClass::Success { 200 } else { 500 }),
        detail: None,
        timing: AttemptTiming {
            dns_us: 1,
            connect_us: 2,
            tls_us: 3,
            wait_us: 4,
            body_us: 5,
            total_us: 20_000,
        },
        peer: Some("192.0.2.1:443".into()),
        reused: false,
        resend: false,
        body_sha256: Some([7; 32]),
        request_bytes: 512,
        response_head: Bytes::from_static(b"HTTP/1.1 200 OK\r\n"),
        response_body: Bytes::from_static(b"ok\0\xff"),
        response_bytes: 4,
    }
}

pub(crate) fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(START_MS + seconds * 1000)
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
