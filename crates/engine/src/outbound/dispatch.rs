//! From durable to on its way: what was accepted with a slot is sent at once, what waits is claimed when its lane is free.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use foldhash::HashMap;

use postrider_domain::delivery::{DeliveryKind, Reason};
use postrider_domain::id::{DeliveryId, EventId, RunId, TenantId, WebhookId, WorkflowId};
use postrider_domain::limits;
use postrider_domain::profile::{DeliveryMode, OnDisable};
use postrider_domain::random::Random;
use postrider_domain::time::{Clock, Timestamp};
use postrider_egress::Egress;
use postrider_store::runs::{Intake, RunWrite};
use postrider_store::{
    Claimed, Commit, CommitOutcome, Elsewhere, EventOutcome, Heard, JobMark, Lease, NewDelivery, NewEvent,
    NewIdempotency, RecordWrite, Settled, Settlement, Store, StoreError, StoredEvent,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::arrivals::Arrivals;
use super::attempt::{self, Destination, EventInHand, Work};
use super::due::{self, FirstDue};
use super::in_hand::InHand;
use super::ingest::Draft;
use super::lanes::{Ahead, LaneKey, Lanes, Slot, Turn, Want, WebhookChange};
use super::matcher::{self, Candidate, Question};
use super::settle;
use super::stirrings::Stirrings;
use crate::accept::{Accept, Answer, Mint};
use crate::catalogue::{Catalogue, Pinned, Tenant, Webhook};
use crate::inbox::Inboxes;
use crate::metrics::Metrics;

/// Something that another flow must act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The receiver answered 410 and the profile switches the webhook off.
    /// `updated`: the registration that it answered; a later one has not been asked.
    WebhookGone { tenant: TenantId, webhook: WebhookId, updated: Timestamp },
}

/// Notices that nobody has taken yet. A lost one is made again by the webhook's next 410.
pub const NOTICES_MAX: usize = 1024;

/// To the tenant, whose event cannot be rendered any more.
pub(crate) const UNREADABLE: &str = "What this event was accepted with, the profile's version and the tenant's values, can no longer be read. \
                          Ask the operator to check the data folder, and publish the event again.";

/// Rounds of the runtime for which a delivery lets others go first. Under load, what comes in is then in the writer's queue
/// while the disk syncs, and the deliveries have that time for themselves. Otherwise a round takes no time.
const ROUNDS_BEHIND: usize = 3;
/// How often other nodes are told of a webhook's backlog.
const TELL_EVERY: Duration = Duration::from_secs(1);
const POISON: &str = "because no holder of this lock panics";
/// Deliveries claimed in one transaction.
const CLAIM_MAX: usize = 256;

/// What the stations of this flow share.
pub struct Outbound {
    pub store: Store,
    pub egress: Arc<Egress>,
    pub catalogue: Arc<Catalogue>,
    pub lanes: Arc<Lanes>,
    pub in_hand: InHand,
    pub accept: Accept,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub metrics: Arc<Metrics>,
    pub notices: mpsc::Sender<Notice>,
    /// Results that the store has answered about. Never more than deliveries in hand.
    pub settled: mpsc::UnboundedSender<Settled<Box<settle::Open>>>,
    /// What may be claimed of runs, for the flow that works on them. One for each of their lanes at most.
    run_wants: mpsc::UnboundedSender<Vec<(WorkflowId, Want)>>,
    pub inboxes: Inboxes,
    /// Set once, when the engine is put together.
    pub follow: OnceLock<Follow>,
    pub arrivals: Arrivals,
    pub stirrings: Arc<Stirrings>,
    abandoned: AtomicBool,
    /// Does for all nodes what one must do.
    leads: AtomicBool,
    /// When other nodes were last told that more is due for a webhook than this one can send.
    told: Mutex<HashMap<WebhookId, Timestamp>>,
}

/// An event that was handed to the writer, and what is to be done once it is durable.
pub struct PlannedEvent {
    tenant: Arc<Tenant>,
    stored: Arc<StoredEvent>,
    deliveries: Vec<PlannedDelivery>,
}

struct PlannedDelivery {
    id: DeliveryId,
    kind: DeliveryKind,
    webhook: Arc<Webhook>,
    due: Timestamp,
    slot: Option<Slot>,
}

/// An event that follows from something else.
pub struct Caused {
    pub tenant: Arc<Tenant>,
    pub draft: Draft,
    /// Made by the tenant's scan: it waits for no other.
    pub at_once: bool,
}

/// A run that an event starts: made by the flow that knows runs, committed with the event.
pub struct Follower {
    pub tenant: TenantId,
    pub workflow: WorkflowId,
    pub intake: MakeIntake,
}

/// Makes what goes into the event's commit, once it is known.
pub type MakeIntake = Box<dyn FnOnce(RunId, &StoredEvent) -> Intake + Send>;

/// Which runs a draft starts. Asked before the commit, outside of its lock.
pub type Follow = Box<dyn Fn(&Arc<Tenant>, &Draft) -> Vec<Follower> + Send + Sync>;

fn lanes_of(followers: &[(usize, Follower)]) -> Vec<(TenantId, WorkflowId)> {
    followers.iter().map(|(_, follower)| (follower.tenant, follower.workflow)).collect()
}

fn intake(follower: Follower, run: RunId, event: &StoredEvent, with_event: Option<usize>) -> Intake {
    Intake { with_event, ..(follower.intake)(run, event) }
}

/// What one draft became.
#[derive(Debug, Clone)]
pub struct Published {
    pub outcome: EventOutcome,
    pub event: Arc<StoredEvent>,
    /// Deliveries that were made.
    pub matched: usize,
}

/// What a call to publish became.
pub enum PublishOutcome {
    Done(Vec<Published>),
    /// The idempotency key was used before with the same request: this was the answer.
    Replayed(Vec<u8>),
    /// The idempotency key was used before with another request.
    KeyReused,
}

/// To whom a draft goes.
pub enum Audience<'a> {
    /// Whoever the matcher finds.
    Matching,
    /// The same, at once where a tenant's events wait for its scan: this is the scan.
    MatchingNow,
    /// One webhook, also when it is off: a test. Its slot is reserved beforehand.
    Only(&'a Arc<Webhook>, Slot),
}

impl Outbound {
    #[expect(clippy::too_many_arguments, reason = "put together in one place, the engine's start")]
    pub fn new(
        store: Store,
        egress: Arc<Egress>,
        catalogue: Arc<Catalogue>,
        lanes: Arc<Lanes>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        metrics: Arc<Metrics>,
        notices: mpsc::Sender<Notice>,
        settled: mpsc::UnboundedSender<Settled<Box<settle::Open>>>,
        run_wants: mpsc::UnboundedSender<Vec<(WorkflowId, Want)>>,
        inboxes: Inboxes,
    ) -> Self {
        let accept = Accept::new(store.clone(), clock.clone(), random.clone());
        // Among nodes it has to be found out.
        let leads = AtomicBool::new(!store.is_shared());
        Self {
            store,
            egress,
            catalogue,
            lanes,
            in_hand: InHand::default(),
            accept,
            clock,
            random,
            metrics,
            notices,
            settled,
            run_wants,
            inboxes,
            follow: OnceLock::new(),
            arrivals: Arrivals::default(),
            stirrings: Arc::default(),
            abandoned: AtomicBool::new(false),
            leads,
            told: Mutex::default(),
        }
    }

    /// Accepts drafts in one transaction, with their deliveries, and sends what has a slot. A publisher that is quicker
    /// than the deliveries of its events waits a moment: in the store, each would cost a claim. What became durable is
    /// dispatched even when the caller stops waiting.
    pub async fn publish(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        drafts: Vec<Draft>,
        mut audience: Audience<'_>,
        idempotency: Option<NewIdempotency>,
    ) -> Result<PublishOutcome, StoreError> {
        let turn = match audience {
            Audience::Matching | Audience::MatchingNow => self.turn(tenant).await,
            Audience::Only(..) => None,
        };
        let mut followers = match audience {
            Audience::Matching | Audience::MatchingNow => self.followers(tenant, &drafts),
            Audience::Only(..) => Vec::new(),
        };
        let followed = lanes_of(&followers);
        let mut planned = Vec::with_capacity(drafts.len());
        let answer = self.accept.submit(|mint| {
            let mut events = Vec::with_capacity(drafts.len());
            let mut intakes = Vec::new();
            for (place, draft) in drafts.into_iter().enumerate() {
                let (event, plan) = self.plan(tenant, draft, &mut audience, mint);
                for (_, follower) in followers.extract_if(.., |(of, _)| *of == place) {
                    intakes.push(intake(follower, mint.run(), &plan.stored, Some(place)));
                }
                events.push(event);
                planned.push(plan);
            }
            Commit { events, intakes, idempotency, ..Commit::new(tenant.id, mint.now) }
        })?;
        drop(turn);
        Committing { outbound: self.clone(), answer: Some(answer), planned, followed, apart: false }
            .finish()
            .await
    }

    /// Accepts events that follow from a change of records, of one tenant or several, in the transaction that writes the
    /// records, and with the progress of the run whose step changes them. `scope`: whose records they are; what has the same
    /// scope keeps its order. `writes` makes the writes from the events' ids, which come in the order of `caused`.
    /// [`StoreError::Moved`]: a record is not what was expected any more, or the run is in other hands.
    pub async fn publish_caused(
        self: &Arc<Self>,
        scope: TenantId,
        caused: Vec<Caused>,
        writes: impl FnOnce(&[EventId]) -> (Vec<RecordWrite>, Vec<RunWrite>),
        idempotency: Option<NewIdempotency>,
    ) -> Result<PublishOutcome, StoreError> {
        let mut turns: Vec<(TenantId, Option<Turn>)> = Vec::new();
        for Caused { tenant, .. } in &caused {
            if !turns.iter().any(|(known, _)| *known == tenant.id) {
                turns.push((tenant.id, self.turn(tenant).await));
            }
        }
        let mut planned: Vec<(TenantId, PlannedEvent)> = Vec::with_capacity(caused.len());
        let mut followers = Vec::new();
        for (place, one) in caused.iter().enumerate() {
            let drafts = std::slice::from_ref(&one.draft);
            followers.extend(self.followers(&one.tenant, drafts).into_iter().map(|(_, one)| (place, one)));
        }
        let followed = lanes_of(&followers);
        let answer = self.accept.submit(|mint| {
            let mut commit = Commit::new(scope, mint.now);
            let mut ids = Vec::with_capacity(caused.len());
            for (place, Caused { tenant, draft, at_once }) in caused.into_iter().enumerate() {
                let mut audience = if at_once { Audience::MatchingNow } else { Audience::Matching };
                let (event, plan) = self.plan(&tenant, draft, &mut audience, mint);
                for (_, follower) in followers.extract_if(.., |(of, _)| *of == place) {
                    // Such events bring no ids: they are new.
                    commit.intakes.push(intake(follower, mint.run(), &plan.stored, None));
                }
                ids.push(event.id);
                planned.push((tenant.id, plan));
                let of_others = commit.elsewhere.iter_mut().find(|other| other.tenant == tenant.id);
                match of_others {
                    _ if tenant.id == scope => commit.events.push(event),
                    Some(others) => others.events.push(event),
                    None => commit.elsewhere.push(Elsewhere { tenant: tenant.id, events: vec![event] }),
                }
            }
            // In the order of outcomes.
            let tenants: Vec<TenantId> = commit.elsewhere.iter().map(|other| other.tenant).collect();
            planned.sort_by_key(|(tenant, _)| tenants.iter().position(|other| other == tenant));
            let (records, runs) = writes(&ids);
            Commit { records, runs, idempotency, ..commit }
        })?;
        drop(turns);
        let planned = planned.into_iter().map(|(_, plan)| plan).collect();
        Committing { outbound: self.clone(), answer: Some(answer), planned, followed, apart: false }
            .finish()
            .await
    }

    /// Accepts an event that a run's step makes, with the run's progress: one does not become durable without the other.
    pub async fn publish_of_run(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        draft: Draft,
        write: impl FnOnce(EventId) -> RunWrite,
    ) -> Result<Published, StoreError> {
        let turn = self.turn(tenant).await;
        let followers = self.followers(tenant, std::slice::from_ref(&draft));
        let followed = lanes_of(&followers);
        let mut planned = Vec::with_capacity(1);
        let answer = self.accept.submit(|mint| {
            let (event, plan) = self.plan(tenant, draft, &mut Audience::Matching, mint);
            let follow = |(_, follower)| intake(follower, mint.run(), &plan.stored, Some(0));
            let intakes = followers.into_iter().map(follow).collect();
            let runs = vec![write(event.id)];
            planned.push(plan);
            Commit { events: vec![event], runs, intakes, ..Commit::new(tenant.id, mint.now) }
        })?;
        drop(turn);
        let committing =
            Committing { outbound: self.clone(), answer: Some(answer), planned, followed, apart: false };
        match committing.finish().await? {
            PublishOutcome::Done(published) => published.into_iter().next().ok_or(StoreError::Closed),
            PublishOutcome::Replayed(_) | PublishOutcome::KeyReused => {
                Err(StoreError::Internal("nobody gave an idempotency key".into()))
            }
        }
    }

    /// Runs that these drafts start, each with its draft's place.
    fn followers(&self, tenant: &Arc<Tenant>, drafts: &[Draft]) -> Vec<(usize, Follower)> {
        if tenant.inbound.on_events().next().is_none() {
            return Vec::new();
        }
        let Some(follow) = self.follow.get() else { return Vec::new() };
        let of_one = |(place, draft)| follow(tenant, draft).into_iter().map(move |one| (place, one));
        drafts.iter().enumerate().flat_map(of_one).collect()
    }

    async fn turn(&self, tenant: &Tenant) -> Option<Turn> {
        let webhooks = tenant.webhooks.iter().map(|webhook| webhook.id.into());
        self.lanes.turn(tenant.id, webhooks).await
    }

    /// New deliveries of events that are stored: manual retries and recoveries. They go out through the lanes.
    pub async fn replay(
        self: &Arc<Self>,
        tenant: TenantId,
        pairs: &[(EventId, WebhookId)],
        idempotency: Option<NewIdempotency>,
        job: Option<JobMark>,
    ) -> Result<ReplayOutcome, StoreError> {
        let mut ids = Vec::with_capacity(pairs.len());
        let mut now = Timestamp::default();
        let mut answer = self.accept.submit(|mint| {
            now = mint.now;
            let replays = pairs
                .iter()
                .map(|(event, webhook)| {
                    let id = mint.replay();
                    ids.push(id);
                    NewDelivery {
                        id,
                        event: *event,
                        webhook: *webhook,
                        kind: DeliveryKind::Replay,
                        due: mint.now,
                        reason: Reason::Waiting,
                        claim: None,
                    }
                })
                .collect();
            Commit { replays, idempotency, job, ..Commit::new(tenant, mint.now) }
        })?;
        match Accept::outcome(&mut answer).await? {
            CommitOutcome::Done { replays, .. } => {
                self.stirrings.stirred(tenant);
                for ((_, webhook), _) in pairs.iter().zip(&replays).filter(|(_, made)| **made) {
                    self.lanes.scheduled(tenant, (*webhook).into(), now);
                }
                Ok(ReplayOutcome::Done(
                    ids.into_iter().zip(replays).map(|(id, made)| made.then_some(id)).collect(),
                ))
            }
            CommitOutcome::Replayed(answer) => Ok(ReplayOutcome::Replayed(answer)),
            CommitOutcome::KeyReused => Ok(ReplayOutcome::KeyReused),
        }
    }

    /// A settled attempt and an event that follows from it, in one transaction.
    pub fn submit_settled_with_event(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        settlement: Settlement,
        draft: Draft,
    ) -> Result<(Answer, Vec<PlannedEvent>), StoreError> {
        let mut planned = Vec::new();
        let answer = self.accept.submit(|mint| {
            let (mut event, mut plan) = self.plan(tenant, draft, &mut Audience::Matching, mint);
            // Its deliveries go through the lanes: the caller has only the store's word on the settlement to wait for.
            for (new, delivery) in event.deliveries.iter_mut().zip(&mut plan.deliveries) {
                new.claim = None;
                delivery.slot = None;
            }
            planned.push(plan);
            Commit { events: vec![event], settled: vec![settlement], ..Commit::new(tenant.id, mint.now) }
        })?;
        Ok((answer, planned))
    }

    /// Tells the lanes of the deliveries of events that became durable.
    pub fn scheduled_of(&self, planned: &[PlannedEvent]) {
        for event in planned {
            self.stirrings.stirred(event.tenant.id);
            for delivery in &event.deliveries {
                self.lanes.scheduled(event.tenant.id, delivery.webhook.id.into(), delivery.due);
            }
        }
    }

    /// A webhook was switched on or off, or deleted. Called after the change is durable and in the catalogue.
    pub fn webhook_changed(&self, tenant: &Tenant, webhook: WebhookId, change: WebhookChange) {
        let change = match change {
            // The switch is read when the scan comes: what is due then is claimed, and cancelled.
            WebhookChange::Disabled if tenant.delivery_mode() == DeliveryMode::Scan => WebhookChange::Enabled,
            WebhookChange::Disabled if tenant.profile().delivery.on_disable == OnDisable::Cancel => {
                WebhookChange::Closed
            }
            change => change,
        };
        self.lanes.webhook_changed(tenant.id, webhook.into(), change);
    }

    /// Claims and sends what is due, until the lanes are stopped.
    pub async fn dispatch(self: Arc<Self>) {
        while !self.lanes.is_stopped() {
            if !self.store.node_is_alive() {
                // Others may be taking over: what is claimed now would be taken away at once.
                self.clock.sleep(limits::STORE_RETRY).await;
                continue;
            }
            let wants = self.lanes.wants(CLAIM_MAX);
            if wants.is_empty() {
                self.lanes.work().await;
                continue;
            }
            let mut deliveries = Vec::with_capacity(wants.len());
            let mut runs = Vec::new();
            for want in wants {
                match want.lane {
                    LaneKey::Webhook(webhook) => deliveries.push((webhook, want)),
                    LaneKey::Workflow(workflow) => runs.push((workflow, want)),
                }
            }
            if !runs.is_empty() && self.run_wants.send(runs).is_err() {
                // Nobody works on runs any more: the process is ending.
                return;
            }
            if !deliveries.is_empty() {
                self.claim(deliveries).await;
            }
        }
    }

    async fn claim(self: &Arc<Self>, wants: Vec<(WebhookId, Want)>) {
        let mut live = Vec::with_capacity(wants.len());
        for (webhook, want) in wants {
            match self.claimable(webhook, want) {
                Claimable::Yes => live.push((webhook, want)),
                Claimable::Held => drop(self.lanes.claimed(want, 0, None)),
                Claimable::Cancel(reason) => {
                    // Apart: a long backlog takes many transactions, and others are waiting to be claimed. The lane is
                    // busy until it is through, so there is one at a time for each webhook.
                    let outbound = self.clone();
                    tokio::spawn(async move { outbound.cancel(webhook, want, reason).await });
                }
            }
        }
        if live.is_empty() {
            return;
        }
        let now = self.clock.now();
        // The longest attempt of any profile: a claim may mix tenants, and a lease too long only delays a takeover.
        let until = now.plus(limits::TIMEOUT_MAX + limits::LEASE_MARGIN);
        let asked = live
            .iter()
            .map(|(webhook, want)| postrider_store::Want {
                tenant: want.tenant,
                webhook: *webhook,
                count: u32::try_from(want.count).unwrap_or(u32::MAX),
            })
            .collect();
        let began = Instant::now();
        let answered = self.store.delivery_claim(now, until, asked).await;
        self.metrics.claim_done(began.elapsed());
        match answered {
            Ok(answers) => {
                for ((webhook, want), answer) in live.into_iter().zip(answers) {
                    if answer.next_due.is_some_and(|due| due <= now) {
                        self.tell_of_backlog(want.tenant, webhook);
                    }
                    let slots = self.lanes.claimed(want, answer.claimed.len(), answer.next_due);
                    for (claimed, slot) in answer.claimed.into_iter().zip(slots) {
                        self.send_claimed(claimed, slot);
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "claim.waits");
                let again = now.plus(Duration::from_secs(1));
                for (_, want) in live {
                    drop(self.lanes.claimed(want, 0, Some(again)));
                }
            }
        }
    }

    fn claimable(&self, webhook: WebhookId, want: Want) -> Claimable {
        let Some(tenant) = self.catalogue.tenant(want.tenant) else { return Claimable::Held };
        match tenant.webhook(webhook) {
            None => Claimable::Cancel(Reason::WebhookDeleted),
            Some(webhook) if webhook.enabled => Claimable::Yes,
            Some(_) if tenant.delivery_mode() == DeliveryMode::Scan => Claimable::Cancel(Reason::Paused),
            Some(_) if tenant.profile().delivery.on_disable == OnDisable::Cancel => {
                Claimable::Cancel(Reason::WebhookOff)
            }
            Some(_) => Claimable::Held,
        }
    }

    async fn cancel(&self, webhook: WebhookId, want: Want, reason: Reason) {
        let now = self.clock.now();
        if !self.is_so(want.tenant, webhook, reason).await {
            drop(self.lanes.claimed(want, 0, Some(now.plus(Duration::from_secs(1)))));
            return;
        }
        let due_before = (reason == Reason::Paused).then(|| now.plus(Duration::from_millis(1)));
        let next = match self.store.delivery_cancel(now, want.tenant, webhook, reason, due_before).await {
            // What is due later waits for its own time.
            Ok(cancelled) => {
                self.stirrings.stirred(want.tenant);
                match self.next_due(want.tenant, webhook, now).await {
                    // Made after this moment, by a clock that was ahead.
                    Some(due) if cancelled == 0 && due <= now => Some(now.plus(Duration::from_secs(1))),
                    next => next,
                }
            }
            Err(error) => {
                tracing::error!(%error, "cancel.waits");
                Some(now.plus(Duration::from_secs(1)))
            }
        };
        drop(self.lanes.claimed(want, 0, next));
    }

    /// Whether the store says the same of a webhook as this node's catalogue, which may not have heard yet what another node
    /// changed: what is cancelled stays so.
    async fn is_so(&self, tenant: TenantId, webhook: WebhookId, reason: Reason) -> bool {
        if !self.store.is_shared() {
            return true;
        }
        match self.store.webhook_get(tenant, webhook).await {
            Ok(Some(webhook)) if webhook.deleted.is_none() => {
                reason != Reason::WebhookDeleted && !webhook.enabled
            }
            Ok(_) => true,
            Err(error) => {
                tracing::error!(%error, "cancel.waits");
                false
            }
        }
    }

    /// When the earliest delivery that still waits is due: a claim of none.
    async fn next_due(&self, tenant: TenantId, webhook: WebhookId, now: Timestamp) -> Option<Timestamp> {
        let none = postrider_store::Want { tenant, webhook, count: 0 };
        match self.store.delivery_claim(now, now, vec![none]).await {
            Ok(answers) => answers.first().and_then(|answer| answer.next_due),
            Err(_) => Some(now.plus(Duration::from_secs(1))),
        }
    }

    /// Starts the attempt of a delivery that was claimed from the store.
    fn send_claimed(self: &Arc<Self>, claimed: Claimed, slot: Slot) {
        let outbound = self.clone();
        tokio::spawn(async move {
            let Some(tenant) = outbound.catalogue.tenant(claimed.tenant) else { return };
            let later = outbound.clock.now().plus(Duration::from_secs(1));
            let back = HandBack::of(&claimed);
            let Some(webhook) = tenant.webhook(claimed.webhook).cloned() else {
                outbound.hand_back(back, Some(later)).await;
                return;
            };
            let (webhook, destination) = match outbound.destination(&claimed, webhook).await {
                Ok(found) => found,
                // Never to the webhook instead.
                Err(error) => {
                    tracing::error!(%error, delivery = %claimed.delivery, "claim.handed_back");
                    outbound.hand_back(back, Some(later)).await;
                    return;
                }
            };
            let mut readable = true;
            let pinned = match outbound.pinned(&tenant, claimed.event.tenant_version).await {
                Ok(pinned) => pinned,
                // Damage: it will not be readable later either.
                Err(error @ (StoreError::Corrupt(_) | StoreError::NotFound)) => {
                    tracing::error!(%error, delivery = %claimed.delivery, "claim.not_renderable");
                    readable = false;
                    tenant.pinned.clone()
                }
                Err(error) => {
                    tracing::error!(%error, delivery = %claimed.delivery, "claim.handed_back");
                    outbound.hand_back(back, Some(later)).await;
                    return;
                }
            };
            let work = Work {
                tenant,
                webhook,
                destination,
                pinned,
                event: EventInHand::new(claimed.event),
                delivery: claimed.delivery,
                kind: claimed.kind,
                fence: claimed.fence,
                attempt: claimed.attempt,
                step: claimed.step,
                resend: claimed.resend,
                slot,
            };
            if readable {
                outbound.run(work).await;
            } else {
                let held = outbound.in_hand.hold(work.delivery);
                let attempted = attempt::not_renderable(&outbound, UNREADABLE);
                settle::settle(&outbound, work, held, &attempted);
            }
        });
    }

    /// Returns a claim of which nothing was sent, also to a store that cannot write for a while: one that is only let go reads
    /// `unknown` later. `due`: `None` for at once, in its old place.
    async fn hand_back(&self, back: HandBack, due: Option<Timestamp>) {
        let _held = self.in_hand.hold(back.delivery);
        while let Err(error) =
            self.store.delivery_hand_back(due, back.tenant, back.delivery, back.fence).await
        {
            tracing::error!(%error, delivery = %back.delivery, "hand_back.waits");
            if self.is_abandoned() || matches!(error, StoreError::Closed) {
                return;
            }
            self.clock.sleep(limits::STORE_RETRY).await;
        }
        self.lanes.scheduled(back.tenant, back.webhook.into(), due.unwrap_or_else(|| self.clock.now()));
    }

    /// Waits for this delivery's turn, sends it, and writes down what came of it.
    pub(super) async fn run(self: &Arc<Self>, work: Work) {
        let held = self.in_hand.hold(work.delivery);
        let epoch = self.store.node_epoch();
        for _ in 0..ROUNDS_BEHIND {
            tokio::task::yield_now().await;
        }
        let sending = work.slot.begin().await;
        // A node that was frozen, or cut off, sends nothing that another may be sending by now, also after it was heard again.
        let is_ours = || self.store.node_is_alive() && self.store.node_epoch() == epoch;
        let Some(sending) = sending.filter(|_| is_ours()) else {
            let back = HandBack {
                tenant: work.tenant.id,
                webhook: work.webhook.id,
                delivery: work.delivery,
                fence: work.fence,
            };
            self.hand_back(back, None).await;
            return;
        };
        // Boxed: tasks are moved when they begin and when they end, and most of an attempt's state is only sometimes used.
        let attempted = Box::pin(attempt::attempt(self, &work)).await;
        drop(sending);
        settle::settle(self, work, held, &attempted);
    }

    /// What events of this version of the tenant pinned.
    pub async fn pinned(&self, tenant: &Tenant, version: i64) -> Result<Arc<Pinned>, StoreError> {
        if let Some(pinned) = self.catalogue.pinned_at(tenant, version) {
            return Ok(pinned);
        }
        let pinned = self.catalogue.read_pinned(&self.store, tenant, version).await?;
        self.catalogue.older_put(tenant.id, version, pinned.clone());
        Ok(pinned)
    }

    /// Whether this node does what one must do for all.
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    /// True: it has begun to lead just now.
    pub fn set_leads(&self, leads: bool) -> bool {
        !self.leads.swap(leads, Ordering::Relaxed) && leads
    }

    /// More of a webhook's deliveries are due than this node may have in flight: others may help. Told now and then: whoever
    /// has heard of it claims until nothing is left.
    fn tell_of_backlog(self: &Arc<Self>, tenant: TenantId, webhook: WebhookId) {
        if self.lanes.nodes() < 2 {
            return;
        }
        let now = self.clock.now();
        {
            let mut told = self.told.lock().expect(POISON);
            if told.get(&webhook).is_some_and(|last| now.since(*last) < TELL_EVERY && *last <= now) {
                return;
            }
            told.retain(|_, last| now.since(*last) < TELL_EVERY);
            told.insert(webhook, now);
        }
        let outbound = self.clone();
        tokio::spawn(async move {
            if let Err(error) = outbound.store.tell(Heard::Due(tenant, webhook)).await {
                tracing::debug!(%error, "backlog.not_told");
            }
        });
    }

    /// Hands a notice to whoever acts on it.
    pub fn notify(&self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            tracing::warn!(?notice, "notice.dropped");
        }
    }

    /// Results that cannot be written are given up from here on: the process is about to end.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// One draft: its webhooks, their slots, and the rows to write.
    fn plan(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        draft: Draft,
        audience: &mut Audience<'_>,
        mint: &mut Mint<'_>,
    ) -> (NewEvent, PlannedEvent) {
        let now = mint.now;
        let event = mint.event();
        let mut deliveries = Vec::new();
        let at_once = matches!(audience, Audience::MatchingNow);
        let (kind, first_due) = match std::mem::replace(audience, Audience::Matching) {
            Audience::Only(webhook, slot) => {
                let webhook = webhook.clone();
                let (id, kind) = (mint.delivery_of(event), DeliveryKind::Test);
                deliveries.push(PlannedDelivery { id, kind, webhook, due: now, slot: Some(slot) });
                (kind, FirstDue::Now)
            }
            Audience::Matching | Audience::MatchingNow => {
                let first_due = if at_once { FirstDue::Now } else { due::first_due(tenant, now) };
                let kind = DeliveryKind::Normal;
                let ahead = if tenant.profile().delivery.at_most_once { Ahead::No } else { Ahead::Yes };
                let question = Question {
                    kind: draft.kind,
                    event_type: &draft.event_type,
                    mode: tenant.delivery_mode(),
                };
                let alive = self.store.node_is_alive();
                for webhook in &tenant.webhooks {
                    let candidate = Candidate { patterns: &webhook.patterns, enabled: webhook.enabled };
                    if matcher::interested(question, candidate).is_err() {
                        continue;
                    }
                    let slot = match first_due {
                        // One that is off while its tenant's scan runs is cancelled where that is written down: at its claim.
                        FirstDue::Now if alive && webhook.enabled => {
                            self.lanes.reserve(tenant.id, webhook.id.into(), ahead)
                        }
                        FirstDue::Now | FirstDue::AtScan(_) => None,
                    };
                    let (id, webhook) = (mint.delivery_of(event), webhook.clone());
                    deliveries.push(PlannedDelivery { id, kind, webhook, due: first_due.time(now), slot });
                }
                (kind, first_due)
            }
        };
        let lease_until = now.plus(tenant.profile().delivery.timeout + limits::LEASE_MARGIN);
        let rows = deliveries
            .iter()
            .map(|delivery| NewDelivery {
                id: delivery.id,
                event,
                webhook: delivery.webhook.id,
                kind,
                due: delivery.due,
                reason: first_due.reason(),
                claim: delivery.slot.as_ref().map(|_| Lease::first(lease_until)),
            })
            .collect();
        let stored = Arc::new(StoredEvent {
            id: event,
            external_id: draft.external_id.clone(),
            kind: draft.kind,
            event_type: draft.event_type.clone(),
            time: draft.time.unwrap_or(now),
            accepted: now,
            data: draft.data.clone(),
            tenant_version: tenant.version,
            depth: draft.depth,
        });
        let new = NewEvent {
            id: event,
            external_id: draft.external_id,
            kind: draft.kind,
            event_type: draft.event_type,
            time: draft.time.unwrap_or(now),
            time_given: draft.time.is_some(),
            data: draft.data,
            tenant_version: tenant.version,
            depth: draft.depth,
            deliveries: rows,
        };
        (new, PlannedEvent { tenant: tenant.clone(), stored, deliveries })
    }

    /// Sends what became durable with a slot, and tells the lanes of the rest.
    fn durable(self: &Arc<Self>, planned: PlannedEvent) {
        let tenant = &planned.tenant;
        let mut in_hand: Option<Arc<EventInHand>> = None;
        let fence = Lease::first(Timestamp::default()).fence;
        for delivery in planned.deliveries {
            let Some(slot) = delivery.slot else {
                self.lanes.scheduled(tenant.id, delivery.webhook.id.into(), delivery.due);
                continue;
            };
            let event = in_hand.get_or_insert_with(|| EventInHand::new(planned.stored.clone())).clone();
            let work = Work {
                tenant: tenant.clone(),
                webhook: delivery.webhook,
                destination: Destination::Webhook,
                pinned: tenant.pinned.clone(),
                event,
                delivery: delivery.id,
                kind: delivery.kind,
                fence,
                attempt: 1,
                step: 0,
                resend: false,
                slot,
            };
            let outbound = self.clone();
            tokio::spawn(async move { outbound.run(work).await });
        }
    }
}

/// A claim to give back.
struct HandBack {
    tenant: TenantId,
    webhook: WebhookId,
    delivery: DeliveryId,
    fence: i64,
}

impl HandBack {
    fn of(claimed: &Claimed) -> Self {
        Self {
            tenant: claimed.tenant,
            webhook: claimed.webhook,
            delivery: claimed.delivery,
            fence: claimed.fence,
        }
    }
}

enum Claimable {
    Yes,
    /// Off, and held: switching it on brings it back.
    Held,
    Cancel(Reason),
}

/// What a replay became.
pub enum ReplayOutcome {
    /// For each pair: the new delivery, or none where the event's payload is past its retention.
    Done(Vec<Option<DeliveryId>>),
    Replayed(Vec<u8>),
    KeyReused,
}

/// Work at the writer. Dropped before the writer's word (the caller hung up), it goes on in a task of its own: what is
/// durable must be sent.
struct Committing {
    outbound: Arc<Outbound>,
    answer: Option<Answer>,
    planned: Vec<PlannedEvent>,
    /// Workflows whose runs the events start.
    followed: Vec<(TenantId, WorkflowId)>,
    /// Finished apart already: dropped once more, the runtime is ending, and would drop it for ever.
    apart: bool,
}

impl Committing {
    async fn finish(mut self) -> Result<PublishOutcome, StoreError> {
        let outcome = match &mut self.answer {
            Some(answer) => Accept::outcome(answer).await,
            None => Err(StoreError::Closed),
        };
        self.answer = None;
        let events = match outcome? {
            CommitOutcome::Done { events, .. } => events,
            CommitOutcome::Replayed(answer) => return Ok(PublishOutcome::Replayed(answer)),
            CommitOutcome::KeyReused => return Ok(PublishOutcome::KeyReused),
        };
        for (tenant, workflow) in std::mem::take(&mut self.followed) {
            self.outbound.lanes.scheduled(tenant, workflow.into(), self.outbound.clock.now());
        }
        let mut published = Vec::with_capacity(events.len());
        for (outcome, planned) in events.into_iter().zip(std::mem::take(&mut self.planned)) {
            let event = planned.stored.clone();
            let new = matches!(outcome, EventOutcome::New(_));
            let matched = if new { planned.deliveries.len() } else { 0 };
            if new {
                self.outbound.metrics.event_accepted(matched);
                tracing::debug!(tenant = %planned.tenant.public_id, event = %event.id, event_type = &*event.event_type, matched, "event.accepted");
                self.outbound.arrivals.came(planned.tenant.id);
                self.outbound.stirrings.stirred(planned.tenant.id);
                self.outbound.durable(planned);
            }
            published.push(Published { outcome, event, matched });
        }
        Ok(PublishOutcome::Done(published))
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take().filter(|_| !self.apart) else { return };
        let rest = Self {
            outbound: self.outbound.clone(),
            answer: Some(answer),
            planned: std::mem::take(&mut self.planned),
            followed: std::mem::take(&mut self.followed),
            apart: true,
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = rest.finish().await {
                    tracing::warn!(%error, "accept.failed_after_the_caller_left");
                }
            });
        }
    }
}
