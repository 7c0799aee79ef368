//! An installation with a row of every kind, and all that can be seen of it through the store.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use postrider_domain::connection::ConnectionState;
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::EventKind;
use postrider_domain::id::{
    AuditId, ConnectionId, DeliveryId, EventId, InboxId, InboxRequestId, JobId, KeyId, RequestId, RisingIds,
    RunId, SessionId, TenantId, TriggerId, WebhookId, WorkflowId,
};
use postrider_domain::run::{RequestCause, RunState, StepStatus, TriggerKind};
use postrider_domain::time::Timestamp;
use postrider_store::config::{
    AuditRow, ConfigOutcome, ConfigWrite, ConnectionFlowRow, ConnectionRow, ConnectionWrite, EventTypeRow,
    IdempotencyRow, InboxRequestRow, InboxRow, InboxWrite, JOB_DONE, JOB_RUNNING, JobRow, KeyRow, Over,
    ProfileRow, ProfileWrite, SESSION_PORTAL, SecretRow, SecretState, SessionRow, SessionWrite,
    StepSecretRow, StepSecretWrite, TenantRow, TenantWrite, TriggerRow, TriggerSecretRow, TriggerWrite,
    WebhookRow, WebhookWrite, WorkflowRow,
};
use postrider_store::runs::{
    Conflict, Dedup, Hold, Intake, NewRequest, NewRun, RequestFilter, RunFilter, RunTo, RunWant, RunWrite,
    Slot, StepRow,
};
use postrider_store::{
    AfterCrash, AttemptRow, AttemptTiming, Commit, CommitOutcome, Database, DeliveryFilter, EventFilter,
    Lease, MarkChange, MasterKey, NewDelivery, NewEvent, NewIdempotency, OpenOptions, Order, RecordContent,
    RecordKey, RecordTo, RecordWrite, Resend, RuleDue, RuleFault, Rules, Settlement, Store, Want,
    first_delivery_id,
};
use postrider_testkit::random::SeededRandom;

/// 2026-04-11T09:15:30.250Z.
const START_MS: i64 = 1_775_898_930_250;
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(crate) const KEY: [u8; 32] = [7; 32];

/// A store, the time, and what makes ids.
pub(crate) struct Installation {
    pub(crate) store: Store,
    pub(crate) random: Arc<SeededRandom>,
    ids: Mutex<RisingIds>,
    pub(crate) now: Timestamp,
    pub(crate) tenants: Vec<(TenantId, [WebhookId; 2])>,
    jobs: Vec<(Option<TenantId>, JobId)>,
}

pub(crate) fn key() -> Option<MasterKey> {
    Some(MasterKey::new(Box::new(KEY)))
}

pub(crate) fn folder(path: &Path) -> Database {
    Database::Folder(path.to_owned())
}

impl Installation {
    pub(crate) async fn start(database: Database) -> Self {
        let random = Arc::new(SeededRandom::fresh());
        let now = Timestamp::from_unix_ms(START_MS);
        let options = OpenOptions { master_key: key(), ..OpenOptions::of(database, random.clone(), now) };
        let store = Store::open(options).await.unwrap();
        Self { store, random, ids: Mutex::default(), now, tenants: Vec::new(), jobs: Vec::new() }
    }

    /// For another look at a store, this one's or a copy.
    pub(crate) fn options(&self, database: Database) -> OpenOptions {
        OpenOptions { master_key: key(), ..OpenOptions::of(database, self.random.clone(), self.now) }
    }

    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
    }

    /// Everything that an installation can hold, over a week.
    pub(crate) async fn of_every_kind(database: Database) -> Self {
        let mut all = Self::start(database).await;
        for name in ["acme", "globex"] {
            all.configure(name).await;
        }
        all.change_configuration().await;
        for at in 0..all.tenants.len() {
            all.records(at).await;
            let (tenant, _) = all.tenants[at];
            all.inbound(tenant).await;
            all.dashboard(tenant).await;
        }
        for _ in 0..4 {
            for at in 0..all.tenants.len() {
                all.deliveries_of_every_kind(at).await;
            }
            all.pass(2 * DAY);
        }
        all
    }

    /// A tenant with two webhooks and all that configuration knows.
    pub(crate) async fn configure(&mut self, public_id: &str) {
        let tenant = TenantId::new(self.now, &*self.random);
        let webhooks = [WebhookId::new(self.now, &*self.random), WebhookId::new(self.now, &*self.random)];
        let at = self.now;
        let row = TenantRow {
            id: tenant,
            public_id: public_id.to_owned(),
            name: "Müller & Søn 雪 \u{1F600} '\"\\\n".into(),
            profile: "custom".into(),
            profile_version: "3".into(),
            plan: (public_id == "acme").then(|| "gold".into()),
            timezone: "Europe/Berlin".into(),
            attributes: r#"{"a":"\u0001","b":[1,2.5,null]}"#.into(),
            settings: "{}".into(),
            version: 1,
            pinned_since: 1,
            created: at,
            updated: at,
            deleted: None,
        };
        let states = [SecretState::Active, SecretState::Pending, SecretState::Retiring];
        let written = webhooks.iter().enumerate().map(|(n, webhook)| WebhookWrite {
            row: WebhookRow {
                tenant,
                id: *webhook,
                name: format!("webhook {n}"),
                url: "https://example.com/a?b=c".into(),
                events: r#"["order.*"]"#.into(),
                headers: (n == 0).then(|| {
                    self.store.seal("webhook.headers", webhook.as_bytes(), b"Authorization: secret")
                }),
                description: "two\nlines".into(),
                enabled: n == 0,
                disabled_reason: (n == 1).then_some(1),
                disabled: (n == 1).then_some(at),
                single: n == 0,
                created: at,
                updated: at,
                deleted: None,
            },
            secrets: Some(
                states
                    .into_iter()
                    .map(|state| {
                        let id = *WebhookId::new(at, &*self.random).as_bytes();
                        SecretRow {
                            tenant,
                            webhook: *webhook,
                            id,
                            sealed: self.store.seal(
                                "webhook.secret",
                                &id,
                                format!("secret {n} {state:?}").as_bytes(),
                            ),
                            state,
                            activate_at: (state == SecretState::Pending).then(|| at.plus(DAY)),
                            expires_at: (state == SecretState::Retiring).then(|| at.plus(DAY)),
                            created: at,
                        }
                    })
                    .collect(),
            ),
        });
        let jobs = [(Some(tenant), 0, JOB_RUNNING), (Some(tenant), 0, JOB_DONE), (None, 1, JOB_RUNNING)];
        let jobs: Vec<JobRow> = jobs
            .into_iter()
            .map(|(of, kind, state)| JobRow {
                tenant: of,
                id: JobId::new(at, &*self.random),
                kind,
                state,
                params: "{}".into(),
                position: (state == JOB_RUNNING).then(|| vec![0, 255, 1]),
                done: 3,
                total: (state == JOB_DONE).then_some(3),
                detail: String::new(),
                created: at,
                updated: at,
                finished: (state == JOB_DONE).then_some(at),
            })
            .collect();
        self.jobs.extend(jobs.iter().map(|job| (job.tenant, job.id)));
        let keys = [(Some(tenant), 3), (None, 1)].map(|(of, role)| {
            let mut hash = [0; 32];
            postrider_domain::random::Random::fill(&*self.random, &mut hash);
            KeyRow {
                id: KeyId::new(at, &*self.random),
                hash,
                role,
                tenant: of,
                name: "a key".into(),
                created: at,
                last_used: of.map(|_| at),
                revoked: (of.is_none()).then_some(at),
            }
        });
        let audit = [Some(tenant), None].map(|of| AuditRow {
            id: AuditId::new(at, &*self.random),
            tenant: of,
            at,
            actor: "operator".into(),
            action: "tenant.created".into(),
            target: tenant.to_string(),
            detail: r#"{"a":1}"#.into(),
        });
        let event_type = EventTypeRow {
            tenant,
            name: "order.created".into(),
            description: "An order".into(),
            schema: Some(r#"{"type":"object"}"#.into()),
            example: None,
            archived: public_id == "acme",
            created: at,
            updated: at,
        };
        let step_secret = StepSecretWrite::Put {
            row: StepSecretRow { tenant, name: "API_KEY".into(), version: 3, created: at, updated: at },
            sealed: self.store.seal("secret.sealed", tenant.as_bytes(), b"a value"),
        };
        let connection = ConnectionRow {
            tenant,
            id: ConnectionId::from_bytes(*tenant.as_bytes()),
            name: "crm".into(),
            provider: "custom".into(),
            settings: r#"{"clientId":"ä"}"#.into(),
            sealed: self.store.seal("connection.sealed", tenant.as_bytes(), b"tokens"),
            state: ConnectionState::Active,
            expires: Some(at),
            error: Some("it was down".into()),
            version: 7,
            lease: None,
            created: at,
            updated: at,
        };
        let profile = ProfileRow {
            name: "custom".into(),
            version: if public_id == "acme" { "3" } else { "4" }.into(),
            source: "name = \"custom\"\n".into(),
            builtin: false,
            current_since: at,
        };
        let write = ConfigWrite {
            at,
            tenant: Some(TenantWrite { row, over: Over::Nothing, pins: true, unless_history: false }),
            webhooks: written.collect(),
            event_types: vec![event_type],
            step_secrets: vec![step_secret],
            connections: vec![ConnectionWrite::Insert(connection)],
            keys: keys.into(),
            profile: Some(ProfileWrite { row: profile }),
            jobs,
            audit: audit.into(),
            idempotency: Some(IdempotencyRow {
                scope: *tenant.as_bytes(),
                key: "configured".into(),
                fingerprint: [9; 32],
                answer: b"an \0 answer \xff".to_vec(),
            }),
            ..ConfigWrite::default()
        };
        assert_eq!(self.store.config_write(&write).await.unwrap(), ConfigOutcome::Done);
        self.tenants.push((tenant, webhooks));
    }

    /// A tenant as of a second version, and one that is being removed.
    async fn change_configuration(&mut self) {
        for (at, (tenant, webhooks)) in self.tenants.clone().into_iter().enumerate() {
            let mut row = self.store.tenant_get(tenant).await.unwrap().unwrap();
            let over = Over::Version(row.version);
            row.version += 1;
            row.name = format!("renamed {at}");
            row.updated = self.now;
            let mut webhook = self.store.webhook_get(tenant, webhooks[1]).await.unwrap().unwrap();
            webhook.events = r#"["*"]"#.into();
            webhook.deleted = (at == 1).then_some(self.now);
            let write = ConfigWrite {
                at: self.now,
                tenant: Some(TenantWrite { row, over, pins: true, unless_history: false }),
                webhooks: vec![WebhookWrite { row: webhook, secrets: None }],
                ..ConfigWrite::default()
            };
            assert_eq!(self.store.config_write(&write).await.unwrap(), ConfigOutcome::Done);
        }
        self.configure("leaving").await;
        let (leaving, _) = self.tenants.pop().unwrap();
        let mut row = self.store.tenant_get(leaving).await.unwrap().unwrap();
        let over = Over::Version(row.version);
        row.version += 1;
        row.deleted = Some(self.now);
        let tenant = Some(TenantWrite { row, over, pins: false, unless_history: false });
        let write = ConfigWrite { at: self.now, tenant, ..ConfigWrite::default() };
        assert_eq!(self.store.config_write(&write).await.unwrap(), ConfigOutcome::Done);
    }

    pub(crate) fn event(&self, event_type: &str) -> NewEvent {
        NewEvent {
            id: EventId::from_uuid(self.ids.lock().unwrap().next(self.now, &*self.random)),
            external_id: None,
            kind: EventKind::Normal,
            event_type: event_type.into(),
            time: self.now,
            time_given: false,
            data: Bytes::from_static(br#"{"n":1,"text":"\u0000 \ud83d\ude00"}"#),
            tenant_version: 1,
            depth: 0,
            deliveries: Vec::new(),
        }
    }

    pub(crate) fn delivery(
        &self,
        event: EventId,
        webhook: WebhookId,
        kind: DeliveryKind,
        claimed: bool,
    ) -> NewDelivery {
        NewDelivery {
            id: first_delivery_id(event, &*self.random),
            event,
            webhook,
            kind,
            due: self.now,
            reason: Reason::Waiting,
            claim: claimed.then(|| Lease::first(self.now.plus(HOUR))),
        }
    }

    pub(crate) async fn commit(&self, commit: Commit) -> CommitOutcome {
        self.store.commit_enqueue(commit).unwrap().await.unwrap().unwrap()
    }

    /// Two records: one that is waited for and has fired, one that is nobody's; and a scan.
    async fn records(&self, at: usize) {
        let (tenant, _) = self.tenants[at];
        let event = self.event("order.overdue");
        let write = |scope: [u8; 16], tenant: Option<TenantId>| RecordWrite {
            key: RecordKey { scope, kind: "order".into(), id: format!("o-{at}") },
            expected: None,
            to: RecordTo::Content(RecordContent {
                tenant,
                version: 7,
                data: Bytes::from_static(b"{\"n\":1.50}"),
            }),
            due: Vec::new(),
            marks: Vec::new(),
            errors: Vec::new(),
        };
        let own = RecordWrite {
            due: vec![RuleDue { rule: "late".into(), tenant, at: self.now.plus(HOUR) }],
            marks: vec![("overdue".into(), MarkChange::Set { tenant, event: Some(event.id) })],
            errors: vec![RuleFault { rule: "odd".into(), tenant, detail: "no such member".into() }],
            ..write(*tenant.as_bytes(), Some(tenant))
        };
        let records = vec![own, write([7; 16], None)];
        self.commit(Commit { events: vec![event], records, ..Commit::new(tenant, self.now) }).await;
        assert!(self.store.scan_begin(tenant, self.now, self.now).await.unwrap());
    }

    /// A workflow with its trigger, an authorization under way, requests, and runs in every state.
    /// Sessions, and an inbox with what came to it.
    async fn dashboard(&self, tenant: TenantId) {
        let (at, random) = (self.now, &*self.random);
        let session = |tenant, key, ended| {
            let mut token_hash = [0; 32];
            postrider_domain::random::Random::fill(random, &mut token_hash);
            SessionWrite::Insert(SessionRow {
                id: SessionId::new(at, random),
                token_hash,
                kind: SESSION_PORTAL,
                role: 2,
                tenant,
                key,
                portal: r#"{"name":"M\u00fcller"}"#.to_owned(),
                created: at,
                expires: at.plus(HOUR),
                ended,
            })
        };
        let key = KeyId::new(at, random);
        let id = InboxId::new(at, random);
        let inbox = InboxRow { tenant, id, slug: id.to_string(), status: 503, created: at };
        let write = ConfigWrite {
            at,
            sessions: vec![session(Some(tenant), None, None), session(None, Some(key), Some(at))],
            inboxes: vec![InboxWrite::Put(inbox)],
            ..ConfigWrite::default()
        };
        assert_eq!(self.store.config_write(&write).await.unwrap(), ConfigOutcome::Done);
        let request = InboxRequestRow {
            tenant,
            inbox: id,
            id: InboxRequestId::new(at, random),
            received: at,
            method: "POST".to_owned(),
            headers: r#"[["a","\u0000"]]"#.to_owned(),
            body: Bytes::from_static(&[0, 255, 10]),
            body_bytes: 70_000,
            status: 0,
        };
        assert_eq!(self.store.inbox_receive(&request).await.unwrap(), Some(503));
    }

    pub(crate) async fn inbound(&self, tenant: TenantId) {
        let (at, random) = (self.now, &*self.random);
        let (workflow, trigger) = (WorkflowId::new(at, random), TriggerId::new(at, random));
        let secret = [0, 1].map(|_| RunId::new(at, random));
        // As it was configured.
        let connection = ConnectionId::from_bytes(*tenant.as_bytes());
        let row = |version| WorkflowRow {
            tenant,
            id: workflow,
            name: "leads".into(),
            version,
            description: "Müller \u{1F600}".into(),
            definition: format!(r#"{{"steps":[],"description":"{version}\\u0001"}}"#),
            created: at,
            updated: at.plus(HOUR),
            deleted: None,
        };
        let secrets = secret.iter().enumerate().map(|(place, id)| TriggerSecretRow {
            tenant,
            trigger,
            id: *id.as_bytes(),
            sealed: self.store.seal("trigger_secret.sealed", id.as_bytes(), b"of a trigger"),
            expires_at: (place == 1).then(|| at.plus(DAY)),
            created: at,
        });
        let of_trigger = TriggerRow {
            tenant,
            id: trigger,
            workflow,
            kind: TriggerKind::Webhook,
            name: "webhook".into(),
            enabled: true,
            slug: Some(format!("slug-{tenant}")),
            settings: r#"{"verification":{"preset":"github"}}"#.into(),
            since: at,
            created: at,
            updated: at.plus(HOUR),
            deleted: None,
        };
        for version in 1..=2 {
            let first = version == 1;
            let triggers = first
                .then(|| TriggerWrite { row: of_trigger.clone(), secrets: Some(secrets.clone().collect()) });
            let write = ConfigWrite {
                at,
                workflows: vec![row(version)],
                triggers: triggers.into_iter().collect(),
                ..ConfigWrite::default()
            };
            assert_eq!(self.store.config_write(&write).await.unwrap(), ConfigOutcome::Done);
        }
        let mut state_hash = [0; 32];
        postrider_domain::random::Random::fill(random, &mut state_hash);
        let sealed = self.store.seal("connection_flow.sealed", connection.as_bytes(), b"the verifier");
        let flow = ConnectionFlowRow { state_hash, tenant, connection, sealed, expires: at.plus(HOUR) };
        self.store.connection_flow_put(&flow, 3).await.unwrap();
        self.runs(tenant, workflow, trigger).await;
    }

    async fn runs(&self, tenant: TenantId, workflow: WorkflowId, trigger: TriggerId) {
        let (at, random) = (self.now, &*self.random);
        let run = || NewRun {
            id: RunId::new(at, random),
            workflow,
            version: 2,
            trigger: Some(trigger),
            kind: TriggerKind::Webhook,
            event: None,
            replay_of: None,
            parent: None,
            input: Bytes::from_static(b"{\"n\":1.50,\"text\":\"\\u0000\"}"),
            depth: 3,
            slot: None,
            claim: Some(Lease::first(at.plus(HOUR))),
            ended: false,
            error: None,
            steps: Vec::new(),
        };
        let request = |cause| NewRequest {
            id: RequestId::new(at, random),
            trigger,
            cause,
            status: 202,
            detail: Some("why".into()),
            received: at,
            method: "POST".into(),
            query: "a=b".into(),
            peer: "192.0.2.7".into(),
            headers: Bytes::from_static(b"[[\"a\",\"b\"]]"),
            body: (cause != RequestCause::Accepted).then(|| Bytes::from_static(b"no json \0\xff")),
            body_bytes: 70_000,
        };
        let intake = |run, cause: Option<RequestCause>| Intake {
            tenant,
            with_event: None,
            request: cause.map(request),
            run,
            dedup: None,
            tick: None,
        };
        let first = run();
        let related = NewRun {
            event: Some(EventId::lowest_at(at)),
            replay_of: Some(first.id),
            parent: Some(first.id),
            kind: TriggerKind::Replay,
            ..run()
        };
        let slot = || Some(Slot { key: "k".into(), max: 1, conflict: Conflict::Queue });
        let (waits, hears) = (run(), run());
        let (due, holds, queued) = (
            NewRun { claim: None, ..run() },
            NewRun { slot: slot(), ..run() },
            NewRun { slot: slot(), ..run() },
        );
        let failed = NewRun { error: Some("No such input.".into()), ..run() };
        let cancelled = run();
        let intakes = vec![
            Intake {
                dedup: Some(Dedup { trigger, key: "seen".into(), kept: DAY }),
                tick: Some((trigger, at)),
                ..intake(Some(first.clone()), Some(RequestCause::Accepted))
            },
            intake(None, Some(RequestCause::VerificationFailed)),
            intake(Some(related), None),
            intake(Some(waits.clone()), None),
            intake(Some(hears.clone()), None),
            intake(Some(due), None),
            intake(Some(holds), None),
            intake(Some(queued), None),
            intake(Some(failed), None),
            intake(Some(cancelled.clone()), None),
        ];
        self.commit(Commit { intakes, ..Commit::new(tenant, at) }).await;
        let step = |path: &str, seq, status| StepRow {
            path: path.into(),
            seq,
            kind: "http".into(),
            status,
            tries: 2,
            started: at,
            finished: (status != StepStatus::Pending).then_some(at),
            until: Some(at.plus(DAY)),
            link: Some([9; 16]),
            output: (status == StepStatus::Succeeded).then(|| Bytes::from_static(b"{\"a\":\"\\u0000\"}")),
            error: (status == StepStatus::Failed).then(|| "It did not work.".into()),
        };
        let write = |run: &NewRun, hold, to| RunWrite {
            tenant,
            run: run.id,
            workflow,
            hold,
            slot: None,
            parent: None,
            steps: Vec::new(),
            unless_emitted: None,
            attempts: Vec::new(),
            to,
        };
        let done = RunTo::Ended {
            state: RunState::Succeeded,
            output: Some(Bytes::from_static(b"[1.50]")),
            error: None,
        };
        let stopped =
            RunTo::Ended { state: RunState::Cancelled, output: None, error: Some("Somebody did.".into()) };
        let event_after = Some(EventId::lowest_at(at));
        let runs = vec![
            RunWrite {
                steps: vec![step("a", 0, StepStatus::Succeeded), step("b", 1, StepStatus::Failed)],
                attempts: vec![("a".into(), attempt(1, at, false)), ("a".into(), attempt(2, at, true))],
                ..write(&first, Hold::Claim(1), done)
            },
            write(&waits, Hold::Claim(1), RunTo::Waiting { due: Some(at.plus(DAY)), event_after: None }),
            RunWrite {
                steps: vec![step("c", 0, StepStatus::Pending)],
                ..write(&hears, Hold::Claim(1), RunTo::Waiting { due: Some(at.plus(2 * DAY)), event_after })
            },
            write(&cancelled, Hold::Any, stopped),
        ];
        self.commit(Commit { runs, ..Commit::new(tenant, at) }).await;
    }

    /// Accepts an event with one delivery.
    pub(crate) async fn accept(&self, at: usize, kind: DeliveryKind, claimed: bool) -> (EventId, DeliveryId) {
        let (tenant, webhooks) = self.tenants[at];
        let mut event = self.event("order.created");
        let delivery = self.delivery(event.id, webhooks[0], kind, claimed);
        let ids = (event.id, delivery.id);
        event.deliveries.push(delivery);
        self.commit(Commit { events: vec![event], ..Commit::new(tenant, self.now) }).await;
        ids
    }

    /// What the attempt `number` under claim `fence` came to.
    pub(crate) async fn settle(
        &self,
        at: usize,
        ids: (EventId, DeliveryId),
        kind: DeliveryKind,
        number: u32,
        end: (DeliveryState, Reason),
    ) {
        let (tenant, webhooks) = self.tenants[at];
        let settlement = Settlement {
            delivery: ids.1,
            event: ids.0,
            webhook: webhooks[0],
            kind,
            fence: number.into(),
            attempt: Arc::new(attempt(number, self.now, end.0 == DeliveryState::Delivered)),
            state: end.0,
            reason: end.1,
            due: (end.0 == DeliveryState::Scheduled).then(|| self.now.plus(HOUR)),
            step: number,
        };
        let outcome =
            self.commit(Commit { settled: vec![settlement], ..Commit::new(tenant, self.now) }).await;
        assert!(matches!(outcome, CommitOutcome::Done { settled, .. } if settled == [true]));
    }

    pub(crate) async fn deliver(&self, at: usize) -> (EventId, DeliveryId) {
        let ids = self.accept(at, DeliveryKind::Normal, true).await;
        self.settle(at, ids, DeliveryKind::Normal, 1, DELIVERED).await;
        ids
    }

    /// In every state, of every kind, with every kind of attempt; some stay open.
    async fn deliveries_of_every_kind(&mut self, at: usize) {
        let (tenant, webhooks) = self.tenants[at];
        for kind in [DeliveryKind::Normal, DeliveryKind::Test] {
            for end in [DELIVERED, FAILED, RETRY] {
                let ids = self.accept(at, kind, true).await;
                self.settle(at, ids, kind, 1, end).await;
            }
        }
        // Cancelled, one of them with a lost attempt before.
        self.accept(at, DeliveryKind::Normal, true).await;
        self.reap(AfterCrash::SendAgain).await;
        self.accept(at, DeliveryKind::Normal, false).await;
        self.store.delivery_cancel(self.now, tenant, webhooks[0], Reason::WebhookOff, None).await.unwrap();
        // Failed, and scheduled, with a lost outcome.
        self.accept(at, DeliveryKind::Normal, true).await;
        self.reap(AfterCrash::Fail).await;
        self.accept(at, DeliveryKind::Normal, true).await;
        self.reap(AfterCrash::SendAgain).await;
        // Replays of what was delivered.
        let (event, _) = self.deliver(at).await;
        for claimed in [false, true] {
            let replay = NewDelivery {
                id: DeliveryId::new(self.now, &*self.random),
                ..self.delivery(event, webhooks[0], DeliveryKind::Replay, claimed)
            };
            self.commit(Commit { replays: vec![replay], ..Commit::new(tenant, self.now) }).await;
        }
        // Sent to another URL, once more.
        let elsewhere = NewDelivery {
            id: DeliveryId::new(self.now, &*self.random),
            ..self.delivery(event, webhooks[0], DeliveryKind::Test, true)
        };
        let audit = AuditRow {
            id: AuditId::new(self.now, &*self.random),
            tenant: Some(tenant),
            at: self.now,
            actor: "operator".into(),
            action: "delivery.resent_elsewhere".into(),
            target: elsewhere.id.to_string(),
            detail: "{}".into(),
        };
        let resend = Resend { delivery: elsewhere.id, url: "https://dev.example.com/".into(), audit };
        let commit =
            Commit { replays: vec![elsewhere], resends: vec![resend], ..Commit::new(tenant, self.now) };
        self.commit(commit).await;
        // Under way, waiting, and to no webhook at all.
        self.accept(at, DeliveryKind::Normal, true).await;
        self.accept(at, DeliveryKind::Normal, false).await;
        let alone = NewEvent {
            external_id: Some(format!("brought \u{e9} {}", self.now.unix_ms())),
            kind: EventKind::Test,
            depth: 3,
            tenant_version: 2,
            data: Bytes::from(format!(r#"{{"large":"{}"}}"#, "x".repeat(200_000))),
            ..self.event("order.unknown")
        };
        let idempotency = NewIdempotency {
            scope: *tenant.as_bytes(),
            key: format!("key {}", self.now.unix_ms()),
            fingerprint: [3; 32],
            answer: Box::new(|events| format!("{events:?}").into_bytes()),
        };
        let commit =
            Commit { events: vec![alone], idempotency: Some(idempotency), ..Commit::new(tenant, self.now) };
        self.commit(commit).await;
    }

    /// Everything under way is lost.
    async fn reap(&self, after: AfterCrash) {
        self.store.lease_reap(self.now, None, Box::new(move |_, _| Some(after))).await.unwrap();
    }

    /// Everything that another store can be asked about this installation, as lines.
    pub(crate) async fn picture(&self, store: &Store) -> Vec<String> {
        let mut lines = Vec::new();
        let mut see = |what: &str, seen: &dyn std::fmt::Debug| lines.push(format!("{what}: {seen:?}"));
        let mut tenants = store.tenants_any_tenant().await.unwrap();
        tenants.sort_by_key(|tenant| tenant.id);
        let mut webhooks = store.webhooks_any_tenant().await.unwrap();
        webhooks.sort_by_key(|webhook| webhook.id);
        let mut secrets = store.secrets_any_tenant().await.unwrap();
        secrets.sort_by_key(|secret| secret.id);
        for secret in &secrets {
            let opened = store.open_sealed("webhook.secret", &secret.id, &secret.sealed).unwrap();
            see(
                "secret",
                &(String::from_utf8_lossy(&opened), secret.state, secret.activate_at, secret.expires_at),
            );
        }
        for webhook in &webhooks {
            if let Some(headers) = &webhook.headers {
                see(
                    "headers",
                    &store.open_sealed("webhook.headers", webhook.id.as_bytes(), headers).unwrap(),
                );
            }
        }
        let mut keys = store.keys_any_tenant().await.unwrap();
        keys.sort_by_key(|key| key.id);
        let mut profiles = store.profiles_all().await.unwrap();
        profiles.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        for tenant in &tenants {
            for connection in store.connection_list(tenant.id, None, 10).await.unwrap() {
                let id = connection.id;
                let opened =
                    store.open_sealed("connection.sealed", id.as_bytes(), &connection.sealed).unwrap();
                see("connection", &(connection.name, connection.settings, connection.error, opened));
            }
            for (name, sealed) in store.step_secret_values(tenant.id, &["API_KEY"]).await.unwrap() {
                let opened = store.open_sealed("secret.sealed", tenant.id.as_bytes(), &sealed).unwrap();
                see("step secret", &(name, opened));
            }
        }
        see("tenants", &tenants);
        see("webhooks", &webhooks);
        see("keys", &keys);
        see("profiles", &profiles);
        see("event types", &store.event_types_any_tenant().await.unwrap());
        see("audit", &store.audit_list(None, None, 100).await.unwrap());
        for (tenant, job) in &self.jobs {
            see("job", &store.job_get(*tenant, *job).await.unwrap());
        }
        see("ledger", &store.ledger(None).await.unwrap());
        see("nobody's", &store.records(&[7; 16], "order", "", 9).await.unwrap());
        let mut due = store.webhooks_due_any_tenant().await.unwrap();
        due.sort();
        see("due", &due);
        let begin = Timestamp::from_unix_ms(START_MS);
        let flows = store.workflows(None).await.unwrap();
        see("workflows", &flows);
        see("triggers", &store.triggers(None).await.unwrap());
        for secret in store.trigger_secrets(None).await.unwrap() {
            see("secret", &store.open_sealed("trigger_secret.sealed", &secret.id, &secret.sealed).unwrap());
            see("until", &(secret.trigger, secret.expires_at, secret.created));
        }
        for flow in &flows {
            for version in 1..=flow.version {
                see("definition", &store.workflow_definition(flow.tenant, flow.id, version).await.unwrap());
            }
        }
        for trigger in store.triggers(None).await.unwrap() {
            see("clock", &store.trigger_clock(trigger.tenant, trigger.id).await.unwrap());
        }
        see("waits", &store.run_waits(None).await.unwrap());
        let mut due = store.workflows_due_any_tenant().await.unwrap();
        due.sort();
        see("due", &due);
        for (tenant, _) in &self.tenants {
            for run in store.runs(*tenant, RunFilter::default(), 1000).await.unwrap() {
                see("run", &run);
                see("input", &store.run_input(*tenant, run.id).await.unwrap());
                see("output", &store.run_output(*tenant, run.id).await.unwrap());
                see("steps", &store.run_steps(*tenant, run.id).await.unwrap());
                see("attempts", &store.run_attempts(*tenant, run.id).await.unwrap());
            }
            for request in store.requests(*tenant, RequestFilter::default(), 1000).await.unwrap() {
                see("request", &store.request_get(*tenant, request.request.id).await.unwrap());
            }
            see("secrets", &store.step_secrets(*tenant).await.unwrap());
            for (name, sealed) in store.step_secret_values(*tenant, &["API_KEY"]).await.unwrap() {
                see(&name, &store.open_sealed("secret.sealed", tenant.as_bytes(), &sealed).unwrap());
            }
            for grant in store.connection_list(*tenant, None, 100).await.unwrap() {
                see("connection", &grant);
                let sealed = store.open_sealed("connection.sealed", grant.id.as_bytes(), &grant.sealed);
                see("grant", &sealed.unwrap());
            }
        }
        for (tenant, webhooks) in &self.tenants {
            see("tenant", &store.tenant_get(*tenant).await.unwrap());
            see("ledger", &store.ledger(Some(*tenant)).await.unwrap());
            see("answer", &store.config_answer(*tenant.as_bytes(), "configured", begin).await.unwrap());
            for version in 1..=2 {
                see("pinned", &store.tenant_pinned(*tenant, version).await.unwrap());
                let mut versions = store.webhook_versions(*tenant, version).await.unwrap();
                versions.sort_by_key(|version| version.webhook);
                see("versions", &versions);
            }
            for webhook in webhooks {
                see("stats", &store.webhook_stats(*tenant, *webhook, self.now).await.unwrap());
                see("hours", &store.webhook_hours(*tenant, *webhook, begin, self.now).await.unwrap());
                see("due", &store.webhook_earliest_due(*tenant, *webhook).await.unwrap());
            }
            let all = EventFilter::default();
            let oldest = Order::OldestFirst { after: None };
            let events = store.event_list(*tenant, &all, oldest, 100_000).await.unwrap();
            for event in &events {
                see("event", event);
                if let Some(id) = &event.external_id {
                    see("found", &store.event_find(*tenant, id).await.unwrap().map(|event| event.id));
                    let key = format!("key {}", event.accepted.unix_ms());
                    see(
                        "answer",
                        &store.config_answer(*tenant.as_bytes(), &key, event.accepted).await.unwrap(),
                    );
                }
                for mut delivery in store.deliveries_of(*tenant, event.id).await.unwrap() {
                    // Says something of the next attempt, and there is none any more.
                    delivery.resend &= !delivery.state.is_final();
                    see("delivery", &delivery);
                    see("attempts", &store.attempts(*tenant, delivery.id).await.unwrap());
                }
            }
            for record in store.records(tenant.as_bytes(), "order", "", 100).await.unwrap() {
                let key = record.key;
                see(
                    "record",
                    &store.record_states(&key.scope, &key.kind, &[&key.id], Rules::With).await.unwrap(),
                );
                see("faults", &store.record_faults(&key).await.unwrap());
            }
            see("scans", &store.scans_since(*tenant, begin, 9).await.unwrap());
            for inbox in store.inboxes(*tenant).await.unwrap() {
                see("inbox", &inbox);
                see("came", &store.inbox_requests(*tenant, inbox.id, None, 9).await.unwrap());
            }
            see("sessions", &store.portal_session_list(*tenant, None, 9).await.unwrap());
            for state in DeliveryState::ALL {
                let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
                let listed = store.delivery_list(*tenant, &filter, 100_000).await.unwrap();
                see("listed", &listed.iter().map(|delivery| delivery.id).collect::<Vec<_>>());
            }
        }
        lines
    }

    /// Deliveries of all tenants in a state.
    pub(crate) async fn in_state(&self, store: &Store, state: DeliveryState) -> Vec<DeliveryId> {
        let mut all = Vec::new();
        for (tenant, _) in &self.tenants {
            let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
            let listed = store.delivery_list(*tenant, &filter, 100_000).await.unwrap();
            all.extend(listed.iter().map(|delivery| delivery.id));
        }
        all.sort_unstable();
        all
    }

    /// Everything that a server on the store would ever take to send.
    pub(crate) async fn claimable(&self, store: &Store) -> Vec<DeliveryId> {
        let now = self.now.plus(400 * DAY);
        let mut all = Vec::new();
        for (tenant, webhooks) in &self.tenants {
            for webhook in webhooks {
                let want = Want { tenant: *tenant, webhook: *webhook, count: 10_000 };
                let answers = store.delivery_claim(now, now.plus(HOUR), vec![want]).await.unwrap();
                all.extend(answers.iter().flat_map(|answer| &answer.claimed).map(|claimed| claimed.delivery));
            }
        }
        all.sort_unstable();
        all
    }

    /// Every run that a server on the store would ever take.
    pub(crate) async fn runs_claimable(&self, store: &Store) -> Vec<RunId> {
        let now = self.now.plus(400 * DAY);
        let wants = store.workflows(None).await.unwrap().into_iter();
        let wants =
            wants.map(|flow| RunWant { tenant: flow.tenant, workflow: flow.id, count: 100 }).collect();
        let answers = store.run_claim(now, now.plus(HOUR), wants).await.unwrap();
        let mut all: Vec<_> =
            answers.iter().flat_map(|answer| &answer.claimed).map(|(run, _)| *run).collect();
        all.sort_unstable();
        all
    }

    /// Events of a tenant as who polls gets them, `rows` at a time.
    pub(crate) async fn polled(&self, store: &Store, at: usize, rows: usize) -> Vec<EventId> {
        let mut all: Vec<EventId> = Vec::new();
        loop {
            let order = Order::OldestFirst { after: all.last().copied() };
            let page =
                store.event_list(self.tenants[at].0, &EventFilter::default(), order, rows).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page.iter().map(|event| event.id));
        }
    }
}

pub(crate) const DELIVERED: (DeliveryState, Reason) = (DeliveryState::Delivered, Reason::Accepted);
pub(crate) const FAILED: (DeliveryState, Reason) = (DeliveryState::Failed, Reason::RetriesExhausted);
pub(crate) const RETRY: (DeliveryState, Reason) = (DeliveryState::Scheduled, Reason::RetryDue);

fn attempt(number: u32, started: Timestamp, success: bool) -> AttemptRow {
    AttemptRow {
        number,
        started,
        class: if success { AttemptClass::Success } else { AttemptClass::Timeout },
        status: success.then_some(204),
        detail: (!success).then(|| "The endpoint did not answer in time.".into()),
        timing: AttemptTiming {
            dns_us: 1,
            connect_us: 2,
            tls_us: 3,
            wait_us: 4,
            body_us: 5,
            total_us: 20_000,
        },
        peer: success.then(|| "192.0.2.1:443".into()),
        reused: success,
        resend: false,
        body_sha256: success.then_some([7; 32]),
        request_bytes: 512,
        response_head: Bytes::from_static(b"HTTP/1.1 204 No Content\r\n"),
        response_body: if success { Bytes::from_static(b"ok\0\xff") } else { Bytes::new() },
        response_bytes: 4,
    }
}
