//! The engine: the way of an event, the configuration it follows, and the clock's work.
//!
//! [`Engine`] is what the API, the pages and the binary hold. Folders are flows, files are stations, in reading order:
//! `catalogue` is what all of them know of the configuration; `accept` is the only door to disk; `outbound` takes an
//! event to its receivers; `derive` makes events of records and of time; `inbound` takes requests, and `workflow` does
//! their runs; `inbox` is a receiver to try webhooks with; `control` writes the configuration; `connections` gets tokens for steps; `clock` does what time asks for;
//! `nodes` lives with other processes on the same database.

pub mod accept;
mod budgets;
pub mod catalogue;
pub mod clock;
pub mod connections;
pub mod control;
pub mod derive;
mod error;
pub mod inbound;
pub mod inbox;
pub mod metrics;
mod nodes;
mod notices;
pub mod outbound;
mod tasks;
pub mod workflow;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_domain::delivery::DeliveryKind;
use postrider_domain::event::EventKind;
use postrider_domain::id::{DeliveryId, TenantId};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::random::Random;
use postrider_domain::time::Clock;
use postrider_egress::Egress;
use postrider_store::config::InboxRow;
use postrider_store::{NewIdempotency, Store, StoreError, StoredEvent};
use tokio::sync::mpsc;

pub use budgets::egress_budgets;
use catalogue::{Catalogue, Tenant, Webhook};
use connections::Connections;
use control::{Actor, Control, Installation};
use derive::Derive;
use derive::scan::Scanned;
pub use error::EngineError;
use inbound::Inbound;
use inbox::Inboxes;
use metrics::Metrics;
use outbound::dispatch::{Audience, NOTICES_MAX, Outbound, PublishOutcome, Published, ReplayOutcome};
use outbound::explain::{self, Explained};
use outbound::ingest::{self, Draft, Publication};
use outbound::lanes::{LaneLimits, Lanes};
use outbound::settle;
use outbound::stirrings::Changes;
use tasks::Tasks;
use workflow::Runner;

/// What an engine is made of.
pub struct Parts {
    pub store: Store,
    pub egress: Arc<Egress>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub installation: Installation,
    pub lanes: LaneLimits,
    /// The base of every URL that is handed out: what URLs of inboxes begin with. None where nobody listens.
    pub public_url: Option<String>,
}

const POISON: &str = "because no holder of this lock panics";
/// How often it is looked whether all tasks are there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A running engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    outbound: Arc<Outbound>,
    control: Control,
    connections: Connections,
    derive: Arc<Derive>,
    runner: Arc<Runner>,
    inbound: Arc<Inbound>,
    tasks: Mutex<Tasks>,
}

/// The answer to publishing: fresh, or what the same idempotency key got before.
#[derive(Debug)]
pub enum Answered<T> {
    Fresh(T),
    Replayed(Vec<u8>),
}

impl Engine {
    /// Loads the configuration, settles what a crash left behind, and begins to send.
    pub async fn start(parts: Parts) -> Result<Self, EngineError> {
        let catalogue = Arc::new(Catalogue::default());
        let lanes = Lanes::new(parts.lanes, parts.clock.clone());
        let (notices, inbox) = mpsc::channel(NOTICES_MAX);
        let (settled, results) = mpsc::unbounded_channel();
        let (run_wants, wanted_runs) = mpsc::unbounded_channel();
        let outbound = Arc::new(Outbound::new(
            parts.store,
            parts.egress,
            catalogue,
            lanes,
            parts.clock,
            parts.random,
            Arc::new(Metrics::default()),
            notices,
            settled,
            run_wants,
            Inboxes::new(parts.public_url.as_deref()),
        ));
        let control = Control::new(outbound.clone(), parts.installation);
        nodes::enter(&outbound).await?;
        control.load_all().await?;
        clock::recover(&outbound).await?;
        let derive = Arc::new(Derive::new(outbound.clone()));
        let connections = Connections::new(outbound.clone(), control.clone());
        let runner = Runner::new(outbound.clone(), derive.clone(), control.clone(), connections.clone());
        let runner = Arc::new(runner);
        runner.follow_events();
        runner.look(None, true).await?;
        let inbound = Arc::new(Inbound::new(outbound.clone(), runner.clone()));
        let tasks = Mutex::default();
        let inner = Inner {
            outbound: outbound.clone(),
            control,
            connections: connections.clone(),
            derive: derive.clone(),
            runner: runner.clone(),
            inbound,
            tasks,
        };
        let engine = Self(Arc::new(inner));
        let mut tasks = Tasks::default();
        tasks.spawn(outbound.clone().dispatch());
        tasks.spawn(settle::conclude_all(outbound.clone(), results));
        tasks.spawn(notices::act(engine.control().clone(), outbound.clone(), inbox));
        tasks.spawn(clock::run(outbound.clone()));
        tasks.spawn(clock::scans(derive));
        tasks.spawn(clock::triggers(runner.clone()));
        tasks.spawn(workflow::claims(runner.clone(), wanted_runs));
        tasks.spawn(workflow::looks(runner.clone()));
        tasks.spawn(workflow::waits(runner));
        tasks.spawn(connections.keep_fresh());
        tasks.spawn(engine.control().clone().run_jobs());
        tasks.spawn(nodes::beat(engine.control().clone(), outbound.clone()));
        tasks.spawn(nodes::listen(engine.control().clone(), outbound.clone()));
        *engine.0.tasks.lock().expect(POISON) = tasks;
        Ok(engine)
    }

    pub fn control(&self) -> &Control {
        &self.0.control
    }

    /// OAuth 2 grants, for steps and for those who manage them.
    pub fn connections(&self) -> &Connections {
        &self.0.connections
    }

    pub fn derive(&self) -> &Derive {
        &self.0.derive
    }

    pub fn runner(&self) -> &Arc<Runner> {
        &self.0.runner
    }

    pub fn inbound(&self) -> &Arc<Inbound> {
        &self.0.inbound
    }

    /// The inbox behind a URL, when it may take a request from outside now. `Err`: the answer.
    pub async fn inbox_admit(&self, slug: &str) -> Result<Result<InboxRow, inbox::Answered>, EngineError> {
        Ok(inbox::admit(&self.0.outbound, slug, inbox::Sender::Anybody).await?)
    }

    /// Writes a request from outside down, of an inbox that [`Self::inbox_admit`] found.
    pub async fn inbox_receive(
        &self,
        inbox: &InboxRow,
        came: inbox::Came,
    ) -> Result<inbox::Answered, EngineError> {
        Ok(inbox::write(&self.0.outbound, inbox, inbox::Sender::Anybody, came).await?)
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.0.outbound.catalogue
    }

    pub(crate) fn outbound(&self) -> &Arc<Outbound> {
        &self.0.outbound
    }

    /// For reading.
    pub fn store(&self) -> &Store {
        &self.0.outbound.store
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.outbound.clock
    }

    pub fn random(&self) -> &Arc<dyn Random> {
        &self.0.outbound.random
    }

    pub fn egress(&self) -> &Egress {
        &self.0.outbound.egress
    }

    /// Deliveries in hand: about to be sent, under way, or being written down. When there is none, every lane has heard of
    /// what the last ones came to.
    pub fn in_hand(&self) -> usize {
        self.0.outbound.lanes.in_hand()
    }

    /// Tells when something changes in a tenant, for a page that is open. Of this process's work only: look now and then, too.
    ///
    /// # Errors
    /// `overloaded`, when as many watch as may.
    pub fn changes(&self, tenant: TenantId) -> Result<Changes, Problem> {
        self.0.outbound.stirrings.watch(tenant)
    }

    /// Lets go everybody who watches, before the listener waits for requests under way.
    pub fn end_watches(&self) {
        self.0.outbound.stirrings.end();
    }

    /// What became of an event at every webhook, or exactly why not.
    pub async fn explain(&self, tenant: &Tenant, event: &StoredEvent) -> Result<Explained, StoreError> {
        explain::explain(self.store(), tenant, event).await
    }

    /// Prometheus' text.
    pub fn metrics(&self) -> String {
        let outbound = &self.0.outbound;
        outbound.metrics.encode(self.in_hand(), outbound.lanes.in_flight(), self.egress().idle_sockets())
    }

    /// Accepts one event. Returns when it is durable.
    pub async fn publish(
        &self,
        tenant: &Arc<Tenant>,
        publication: &Publication<'_>,
        idempotency: Option<NewIdempotency>,
    ) -> Result<Answered<(Published, Draft)>, EngineError> {
        let draft = ingest::check(tenant, publication, EventKind::Normal)?;
        let published =
            self.0.outbound.publish(tenant, vec![draft.clone()], Audience::Matching, idempotency).await?;
        match one(published)? {
            Answered::Fresh(published) => Ok(Answered::Fresh((published, draft))),
            Answered::Replayed(answer) => Ok(Answered::Replayed(answer)),
        }
    }

    /// Accepts drafts that [`ingest::check`] let pass, in one transaction.
    pub async fn publish_drafts(
        &self,
        tenant: &Arc<Tenant>,
        drafts: Vec<Draft>,
        idempotency: Option<NewIdempotency>,
    ) -> Result<Answered<Vec<Published>>, EngineError> {
        match self.0.outbound.publish(tenant, drafts, Audience::Matching, idempotency).await? {
            PublishOutcome::Done(published) => Ok(Answered::Fresh(published)),
            PublishOutcome::Replayed(answer) => Ok(Answered::Replayed(answer)),
            PublishOutcome::KeyReused => Err(key_reused().into()),
        }
    }

    /// Sends a test event to one webhook, also when that is off.
    pub async fn publish_test(
        &self,
        tenant: &Arc<Tenant>,
        webhook: &Arc<Webhook>,
        publication: &Publication<'_>,
        idempotency: Option<NewIdempotency>,
    ) -> Result<Answered<Published>, EngineError> {
        let draft = ingest::check(tenant, publication, EventKind::Test)?;
        let slot = self.0.outbound.lanes.reserve_test(tenant.id, webhook.id.into()).ok_or_else(|| {
            EngineError::refused(
                Code::Overloaded,
                "Every sending slot is taken just now. Try again in a few seconds.",
            )
        })?;
        one(self.0.outbound.publish(tenant, vec![draft], Audience::Only(webhook, slot), idempotency).await?)
    }

    /// Sends a delivery that has ended once more, as a new delivery of the same event.
    pub async fn delivery_retry(
        &self,
        tenant: &Tenant,
        delivery: DeliveryId,
        idempotency: Option<NewIdempotency>,
    ) -> Result<Answered<DeliveryId>, EngineError> {
        let old = self
            .store()
            .delivery_get(tenant.id, delivery)
            .await?
            .ok_or_else(|| Problem::not_found("delivery"))?;
        if !old.state.is_final() {
            return Err(EngineError::refused(
                Code::DeliveryNotFinal,
                format!(
                    "The delivery is {}; it can be retried by hand once it has ended.",
                    old.state.as_str()
                ),
            ));
        }
        if tenant.webhook(old.webhook).is_none() {
            return Err(EngineError::refused(
                Code::Conflict,
                "The delivery's webhook was deleted. Publish the event again or register a new webhook.",
            ));
        }
        if old.kind == DeliveryKind::Test
            && self.store().delivery_elsewhere(tenant.id, delivery).await?.is_some()
        {
            return Err(EngineError::refused(
                Code::Conflict,
                "The delivery went to another URL than its webhook's, which a retry would go to. Send it to that URL again with \
                 `resend`, or retry the delivery that it was made of.",
            ));
        }
        one_replay(self.0.outbound.replay(tenant.id, &[(old.event, old.webhook)], idempotency, None).await?)
    }

    /// Sends a delivery's event once more to another URL, as its webhook would get it. One request, which counts nowhere and after
    /// which the webhook is as before; it gets nothing. `Replayed`: the id of the delivery that the same request made, its 16
    /// bytes, whatever `idempotency` makes.
    ///
    /// # Errors
    /// Of the URL, as for a webhook's; `not_found`; `conflict` when the webhook is gone; `payload_expired`; `overloaded`.
    pub async fn delivery_resend(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        delivery: DeliveryId,
        url: &str,
        idempotency: Option<NewIdempotency>,
    ) -> Result<Answered<DeliveryId>, EngineError> {
        one_replay(self.control().delivery_resend(actor, tenant, delivery, url, idempotency).await?)
    }

    /// Runs a tenant's scan now: what has come due fires, and goes out with what waits for the scan. Answers how many deliveries
    /// had waited, and what the scan came to.
    pub async fn scan_run(&self, tenant: &Tenant) -> Result<(u64, Scanned), EngineError> {
        let tick = self.clock().now();
        // Within a millisecond of another one it finds what that one leaves.
        let scanned = match self.derive().scan(tenant.id, tick).await? {
            Some(scanned) => scanned,
            None => self.derive().scan_on(tenant.id, tick).await?,
        };
        let now = self.clock().now();
        let due = self.store().delivery_make_due(now, tenant.id).await?;
        for webhook in &tenant.webhooks {
            self.0.outbound.lanes.scheduled(tenant.id, webhook.id.into(), now);
        }
        tracing::info!(tenant = %tenant.public_id, due, "scan.run");
        Ok((due, scanned))
    }

    /// Whether work is taken and done just now.
    pub async fn ready(&self) -> Result<(), StoreError> {
        if self.ended().is_some() {
            return Err(StoreError::Closed);
        }
        self.store().ready().await
    }

    /// Waits until something that the engine cannot do without has ended, and says how: it must be started anew.
    pub async fn broken(&self) -> String {
        loop {
            if let Some(how) = self.ended() {
                return how;
            }
            self.clock().sleep(LOOK_EVERY).await;
        }
    }

    fn ended(&self) -> Option<String> {
        if self.store().has_ended() {
            return Some("a writer of the store has ended".to_owned());
        }
        self.0.tasks.lock().expect(POISON).panicked().map(str::to_owned)
    }

    /// Ends well: no new claims, what is under way ends within `grace`, results are written.
    pub async fn stop(&self, grace: Duration) {
        let outbound = &self.0.outbound;
        outbound.lanes.stop();
        tokio::select! {
            () = outbound.lanes.idle() => {}
            () = outbound.clock.sleep(grace) => {
                tracing::warn!(in_hand = outbound.lanes.in_hand(), "stop.grace_over");
            }
        }
        outbound.abandon();
        self.0.connections.stop().await;
        let tasks = std::mem::take(&mut *self.0.tasks.lock().expect(POISON));
        tasks.shutdown().await;
    }
}

fn one(outcome: PublishOutcome) -> Result<Answered<Published>, EngineError> {
    match outcome {
        PublishOutcome::Done(published) => {
            published.into_iter().next().map(Answered::Fresh).ok_or(StoreError::Closed.into())
        }
        PublishOutcome::Replayed(answer) => Ok(Answered::Replayed(answer)),
        PublishOutcome::KeyReused => Err(key_reused().into()),
    }
}

fn one_replay(outcome: ReplayOutcome) -> Result<Answered<DeliveryId>, EngineError> {
    match outcome {
        ReplayOutcome::Done(made) => match made.first().copied().flatten() {
            Some(id) => Ok(Answered::Fresh(id)),
            None => Err(EngineError::refused(
                Code::PayloadExpired,
                "The event's payload is past its retention. Publish the event again.",
            )),
        },
        ReplayOutcome::Replayed(answer) => Ok(Answered::Replayed(answer)),
        ReplayOutcome::KeyReused => Err(key_reused().into()),
    }
}

fn key_reused() -> Problem {
    Problem::at(
        Code::IdempotencyKeyReused,
        "Idempotency-Key",
        "This key was used within 24 hours for another request. Use a new key for a new request.",
    )
}
