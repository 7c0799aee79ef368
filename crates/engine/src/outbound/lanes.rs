//! Who may send now. Fair over tenants, then over their webhooks; bounded per webhook, per tenant and in all.
//!
//! Two bounds. A [`Slot`] is the right to hold a claimed delivery in hand, in memory; [`Slot::begin`] gives the right to
//! send, of which there are fewer. So a burst of new events waits for its turn here, for a moment, and costs the store
//! nothing; everything longer waits in the store. A lane knows of a webhook only how many are in hand and when its earliest
//! waiting delivery is due, so memory grows with the number of webhooks, not with the backlog.
//!
//! Called by the acceptor (a new event asks for slots), by `settle` (what is due again, what ended) and by `dispatch`
//! (what may be claimed now). Never does I/O and never waits while holding its lock.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use foldhash::HashMap;
use postrider_domain::id::{TenantId, WebhookId, WorkflowId};
use postrider_domain::limits;
use postrider_domain::time::{Clock, Timestamp};
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// The bounds on deliveries in hand and on attempts in flight.
#[derive(Debug, Clone, Copy)]
pub struct LaneLimits {
    pub in_hand: Bounds,
    pub in_flight: Bounds,
    /// Both in hand and in flight.
    pub per_failing_webhook: usize,
    /// In hand, before publishers wait for their turn.
    pub crowd: Crowd,
}

/// How much of what moves a tenant may have in hand before its publishers wait.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    pub of_tenant: usize,
    pub of_webhook: usize,
}

#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub in_all: usize,
    pub per_tenant: usize,
    pub per_webhook: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self {
            in_hand: Bounds {
                in_all: limits::IN_HAND_MAX,
                per_tenant: limits::IN_HAND_PER_TENANT_MAX,
                per_webhook: limits::IN_HAND_PER_WEBHOOK_MAX,
            },
            in_flight: Bounds {
                in_all: limits::IN_FLIGHT_MAX,
                per_tenant: limits::IN_FLIGHT_PER_TENANT_MAX,
                per_webhook: limits::IN_FLIGHT_PER_WEBHOOK_MAX,
            },
            per_failing_webhook: limits::IN_FLIGHT_PER_FAILING_WEBHOOK_MAX,
            crowd: Crowd { of_tenant: limits::CROWD_OF_TENANT, of_webhook: limits::CROWD_OF_WEBHOOK },
        }
    }
}

impl Crowd {
    /// No publisher waits.
    pub const NEVER: Self = Self { of_tenant: usize::MAX, of_webhook: usize::MAX };
}

impl LaneLimits {
    /// Nothing is sent.
    pub const NOTHING: Self = {
        let none = Bounds { in_all: 0, per_tenant: 0, per_webhook: 0 };
        Self { in_hand: none, in_flight: none, per_failing_webhook: 0, crowd: Crowd::NEVER }
    };
}

/// Whether a new delivery may be taken in hand before it can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    Yes,
    /// A crash would end what is in hand for good (at most once): only what can be sent now.
    No,
}

/// How an attempt went, as far as lanes care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    Well,
    /// The receiver failed.
    Badly,
    /// Says nothing about the receiver: nothing was sent.
    Nowhere,
}

/// What happened to a webhook's registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookChange {
    /// Switched on: what was held drains at a bounded rate.
    Enabled,
    /// Switched off: what is scheduled stays in the store.
    Disabled,
    /// Switched off or deleted for good: what is scheduled, and what still comes, is claimed only to be cancelled.
    Closed,
}

/// Whose work stands in a lane. Runs of a workflow share slots, turns and bounds with deliveries; what is said of webhooks in
/// this file holds for workflows too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneKey {
    Webhook(WebhookId),
    Workflow(WorkflowId),
}

impl From<WebhookId> for LaneKey {
    fn from(webhook: WebhookId) -> Self {
        Self::Webhook(webhook)
    }
}

impl From<WorkflowId> for LaneKey {
    fn from(workflow: WorkflowId) -> Self {
        Self::Workflow(workflow)
    }
}

/// Slots that were reserved for a lane, to be filled by claiming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    pub tenant: TenantId,
    pub lane: LaneKey,
    pub count: usize,
}

pub struct Lanes {
    state: Mutex<State>,
    /// Over all nodes, but for what bounds this one's memory.
    limits: LaneLimits,
    /// How many nodes share what is bounded over all of them.
    nodes: AtomicUsize,
    clock: Arc<dyn Clock>,
    in_flight: Arc<Semaphore>,
    /// There may be something to claim.
    work: Notify,
    /// Nothing is in hand.
    idle: Notify,
}

#[derive(Default)]
struct State {
    in_hand: usize,
    stopped: bool,
    tenants: HashMap<TenantId, TenantLane>,
    webhooks: HashMap<LaneKey, WebhookLane>,
    /// Tenants with something due and, as far as is known, a free slot; taken in turn.
    ready: VecDeque<TenantId>,
    timers: BTreeSet<(Timestamp, LaneKey)>,
}

#[derive(Default)]
struct TenantLane {
    in_hand: usize,
    /// Made by the first that begins.
    in_flight: Option<Gate>,
    /// Publishers who wait for their turn; the first of them holds the lock.
    publishers: usize,
    turn: Arc<AsyncMutex<()>>,
    /// A publisher waited in vain: nobody waits before this.
    slow_until: Option<Timestamp>,
    ready: VecDeque<LaneKey>,
    queued: bool,
}

struct WebhookLane {
    tenant: TenantId,
    in_hand: usize,
    in_flight: Option<Gate>,
    /// Failures since the last success.
    failures: u32,
    /// When the last attempt ended, or the first of those in hand was taken: a webhook whose slots do not move is stalled.
    moved: Timestamp,
    /// The earliest time at which a delivery in the store is due. May be too early, never too late.
    next_due: Option<Timestamp>,
    place: Place,
    off: bool,
    /// Takes no reservation; what is due is claimed, so that the dispatcher can cancel it.
    closed: bool,
    /// Claims are paced, and this is when the next one is allowed.
    paced: Option<Timestamp>,
}

/// Where a webhook with something waiting stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing waits, or it waits for a slot to come free.
    Nowhere,
    Timer(Timestamp),
    Ready,
    Claiming,
}

/// How long a webhook's slots may stand still before it gets no more than a failing one.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// How many may be in flight at once, a number that changes with that of nodes.
struct Gate {
    permits: Arc<Semaphore>,
    width: usize,
}

impl Default for Gate {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), width: 0 }
    }
}

impl Gate {
    /// Made as wide as it is to be; while more are in flight than that, as near as it can be.
    fn wide(&mut self, width: usize) -> Arc<Semaphore> {
        if width > self.width {
            self.permits.add_permits(width - self.width);
            self.width = width;
        } else if width < self.width {
            self.width -= self.permits.forget_permits(self.width - width);
        }
        self.permits.clone()
    }
}

/// How quickly a webhook is sent what waits. Claims come together, on a grid, not one for each delivery.
#[derive(Clone, Copy)]
struct Pace {
    step_ms: i64,
    grid_ms: i64,
}

const DRAINING: Pace = Pace { step_ms: 1000 / limits::DRAIN_PER_SECOND as i64, grid_ms: 50 };
/// A grid of what a failing webhook may have in hand at once.
const FAILING: Pace = {
    let step_ms = 1000 / limits::FAILING_PER_SECOND as i64;
    Pace { step_ms, grid_ms: step_ms * limits::IN_FLIGHT_PER_FAILING_WEBHOOK_MAX as i64 }
};
/// A webhook moves when its last result became durable so short a time ago: several syncs of a slow disk.
const MOVES_WITHIN: Duration = Duration::from_millis(100);
/// How often a publisher who waits looks whether there is room.
const TURN_LOOK: Duration = Duration::from_millis(1);
/// Deliveries that one webhook may claim in one turn: others get theirs in the same transaction.
const TURN_MAX: usize = 128;

const POISON: &str = "because no holder of this lock panics";

impl Lanes {
    pub fn new(limits: LaneLimits, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            in_flight: Arc::new(Semaphore::new(limits.in_flight.in_all)),
            limits,
            nodes: AtomicUsize::new(1),
            clock,
            work: Notify::new(),
            idle: Notify::new(),
        })
    }

    /// So many nodes are alive: what may be in flight, and at what pace, is shared evenly among them. While that number
    /// changes, for the length of a node's lease at most, they may together exceed a bound by one node's share.
    pub fn share_among(&self, nodes: usize) {
        self.nodes.store(nodes.max(1), Ordering::Relaxed);
    }

    /// How many nodes are alive, as far as this one knows.
    pub fn nodes(&self) -> usize {
        self.nodes.load(Ordering::Relaxed)
    }

    /// This node's share of what may be in flight.
    fn in_flight_bounds(&self) -> Bounds {
        let (all, nodes) = (self.limits.in_flight, self.nodes());
        Bounds {
            in_all: all.in_all,
            per_tenant: all.per_tenant.div_ceil(nodes),
            per_webhook: all.per_webhook.div_ceil(nodes),
        }
    }

    fn per_failing_webhook(&self) -> usize {
        self.limits.per_failing_webhook.div_ceil(self.nodes())
    }

    /// A slot for a new delivery's first attempt, if one is free and nothing waits before it.
    pub fn reserve(self: &Arc<Self>, tenant: TenantId, webhook: LaneKey, ahead: Ahead) -> Option<Slot> {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        if state.stopped || self.free(&mut state, tenant, webhook, ahead, now) == 0 {
            return None;
        }
        let lane = state.webhook(tenant, webhook, now);
        let waits = lane.next_due.is_some_and(|due| due <= now);
        if lane.off || lane.closed || lane.paced.is_some() || waits {
            return None;
        }
        state.take(tenant, webhook, 1, now);
        Some(self.slot(tenant, webhook, Purpose::Delivery))
    }

    /// A slot for a test, also when the webhook is off or failing: a few beyond the webhook's own bound, none beyond the
    /// tenant's or when all are taken.
    pub fn reserve_test(self: &Arc<Self>, tenant: TenantId, webhook: LaneKey) -> Option<Slot> {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        let of_tenant = state.tenants.get(&tenant).map_or(0, |lane| lane.in_hand);
        let of_webhook = state.webhooks.get(&webhook).map_or(0, |lane| lane.in_hand);
        let bounds = self.limits.in_hand;
        if state.stopped
            || state.in_hand >= bounds.in_all
            || of_tenant >= bounds.per_tenant
            || of_webhook >= bounds.per_webhook + self.per_failing_webhook()
        {
            return None;
        }
        state.take(tenant, webhook, 1, now);
        Some(self.slot(tenant, webhook, Purpose::Test))
    }

    /// A delivery of this webhook stands in the store, due at `due`.
    pub fn scheduled(&self, tenant: TenantId, webhook: LaneKey, due: Timestamp) {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        let lane = state.webhook(tenant, webhook, now);
        lane.next_due = Some(lane.next_due.map_or(due, |next| next.min(due)));
        state.place(webhook, now);
        drop(state);
        self.work.notify_one();
    }

    pub fn webhook_changed(&self, tenant: TenantId, webhook: LaneKey, change: WebhookChange) {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        let lane = state.webhook(tenant, webhook, now);
        match change {
            WebhookChange::Enabled => {
                lane.off = false;
                lane.closed = false;
                lane.failures = 0;
                // What waits may be unknown here: a claim finds out.
                lane.next_due = Some(now);
                lane.paced = Some(now);
            }
            WebhookChange::Disabled => lane.off = true,
            WebhookChange::Closed => {
                lane.off = false;
                lane.closed = true;
                lane.paced = None;
                lane.next_due = Some(now);
            }
        }
        state.place(webhook, now);
        drop(state);
        self.work.notify_one();
    }

    /// What may be claimed now, its slots reserved: at most `count_max` in all, in fair turns. Every want must be
    /// answered with [`Self::claimed`].
    pub fn wants(&self, count_max: usize) -> Vec<Want> {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        state.ring_timers(now);
        let mut wants = Vec::new();
        let mut left = count_max;
        // What is claimed from the store can be sent at once: what would only wait here waits there.
        let (bounds, nodes) = (self.in_flight_bounds(), self.nodes());
        while left > 0 && !state.stopped && state.in_hand < bounds.in_all {
            let Some(tenant) = state.ready.pop_front() else { break };
            if state.tenants.entry(tenant).or_default().in_hand >= bounds.per_tenant {
                // Queued again when one of the tenant's slots comes free.
                state.tenants.entry(tenant).or_default().queued = false;
                continue;
            }
            let Some(webhook) = state.next_of(tenant) else { continue };
            let free = self.free(&mut state, tenant, webhook, Ahead::No, now).min(left).min(TURN_MAX);
            if free == 0 {
                // At its own bound: placed again when one of its slots comes free.
                continue;
            }
            let count = state.paced_count(webhook, free, nodes, now);
            if count == 0 {
                state.place(webhook, now);
                continue;
            }
            state.take(tenant, webhook, count, now);
            let lane = state.webhook(tenant, webhook, now);
            lane.place = Place::Claiming;
            // From here on: the earliest that `scheduled` tells of while the claim is under way.
            lane.next_due = None;
            wants.push(Want { tenant, lane: webhook, count });
            left -= count;
        }
        wants
    }

    /// The claim for `want` brought `claimed` deliveries, for which slots are returned, and `next_due` is the
    /// earliest that still waits.
    pub fn claimed(self: &Arc<Self>, want: Want, claimed: usize, next_due: Option<Timestamp>) -> Vec<Slot> {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        let lane = state.webhook(want.tenant, want.lane, now);
        lane.place = Place::Nowhere;
        // What was told of meanwhile may be in the claim already: then the next claim finds less. Too early is safe.
        lane.next_due = match (lane.next_due, next_due) {
            (Some(told), Some(left)) => Some(told.min(left)),
            (told, left) => told.or(left),
        };
        if !lane.is_failing() && lane.next_due.is_none_or(|due| due > now) {
            lane.paced = None;
        }
        let unused = want.count - claimed;
        // Pace is spent on what is sent, not on what was asked for.
        let pace = lane.pace().shared_among(self.nodes());
        lane.paced = lane.paced.map(|allowed| allowed.minus(pace.of(unused)));
        state.release(want.tenant, want.lane, unused, now);
        drop(state);
        self.work.notify_one();
        (0..claimed).map(|_| self.slot(want.tenant, want.lane, Purpose::Delivery)).collect()
    }

    /// Waits until there may be something to claim.
    pub async fn work(&self) {
        let next = self.state.lock().expect(POISON).timers.first().map(|(due, _)| *due);
        match next {
            None => self.work.notified().await,
            Some(due) => {
                tokio::select! {
                    () = self.work.notified() => {}
                    () = self.clock.sleep_until(due) => {}
                }
            }
        }
    }

    /// No slot is given any more.
    pub fn stop(&self) {
        self.state.lock().expect(POISON).stopped = true;
        self.work.notify_one();
    }

    pub fn is_stopped(&self) -> bool {
        self.state.lock().expect(POISON).stopped
    }

    /// Waits until nothing is in hand.
    pub async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_hand() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Deliveries in hand.
    pub fn in_hand(&self) -> usize {
        self.state.lock().expect(POISON).in_hand
    }

    /// A publisher's turn to add to what the tenant has in hand: at once, unless the tenant's webhooks have as much as they
    /// will send in a moment. Publishers pass in the order in which they came. Nobody waits longer than
    /// [`limits::PUBLISH_WAIT_MAX`]: then the store takes what finds no slot, and since the receivers are that slow, nobody
    /// waits for the next [`limits::PUBLISH_WAIT_AGAIN`]. Hold it until the slots are reserved.
    pub async fn turn(
        self: &Arc<Self>,
        tenant: TenantId,
        webhooks: impl Iterator<Item = LaneKey> + Clone,
    ) -> Option<Turn> {
        let began = self.clock.now();
        let queue = {
            let mut state = self.state.lock().expect(POISON);
            let crowded = self.is_crowded(&state, tenant, webhooks.clone(), began);
            let lane = state.tenants.entry(tenant).or_default();
            if lane.is_slow(began) || (!crowded && lane.publishers == 0) {
                return None;
            }
            lane.publishers += 1;
            lane.turn.clone()
        };
        let mut turn = Turn { lanes: self.clone(), tenant, first: None };
        let room = async {
            let first = queue.lock_owned().await;
            loop {
                let now = self.clock.now();
                let goes = {
                    let state = self.state.lock().expect(POISON);
                    state.tenants.get(&tenant).is_some_and(|lane| lane.is_slow(now))
                        || !self.is_crowded(&state, tenant, webhooks.clone(), now)
                };
                if goes {
                    return first;
                }
                // One publisher of a tenant looks so often, whatever their number.
                self.clock.sleep(TURN_LOOK).await;
            }
        };
        tokio::select! {
            biased;
            first = room => turn.first = Some(first),
            () = self.clock.sleep(limits::PUBLISH_WAIT_MAX) => {
                let mut state = self.state.lock().expect(POISON);
                state.tenants.entry(tenant).or_default().slow_until =
                    Some(self.clock.now().plus(limits::PUBLISH_WAIT_AGAIN));
            }
        }
        Some(turn)
    }

    /// Only what moves counts: to wait for a webhook that fails or hangs would gain nothing.
    fn is_crowded(
        &self,
        state: &State,
        tenant: TenantId,
        webhooks: impl Iterator<Item = LaneKey>,
        now: Timestamp,
    ) -> bool {
        let crowd = self.limits.crowd;
        let of_tenant = state.tenants.get(&tenant).map_or(0, |lane| lane.in_hand);
        if of_tenant <= crowd.of_webhook.min(crowd.of_tenant) {
            return false;
        }
        let moving = webhooks
            .filter_map(|webhook| state.webhooks.get(&webhook))
            .filter(|lane| !lane.is_failing() && now.since(lane.moved) <= MOVES_WITHIN);
        let mut in_hand = 0;
        for lane in moving {
            if lane.in_hand > crowd.of_webhook {
                return true;
            }
            in_hand += lane.in_hand;
        }
        in_hand > crowd.of_tenant
    }

    /// Attempts in flight.
    pub fn in_flight(&self) -> usize {
        self.limits.in_flight.in_all.saturating_sub(self.in_flight.available_permits())
    }

    fn slot(self: &Arc<Self>, tenant: TenantId, webhook: LaneKey, purpose: Purpose) -> Slot {
        Slot { lanes: self.clone(), tenant, webhook, purpose, went: Went::Nowhere }
    }

    /// How many more of the webhook's deliveries may be taken in hand.
    fn free(
        &self,
        state: &mut State,
        tenant: TenantId,
        webhook: LaneKey,
        ahead: Ahead,
        now: Timestamp,
    ) -> usize {
        let bounds = match ahead {
            Ahead::Yes => self.limits.in_hand,
            Ahead::No => self.in_flight_bounds(),
        };
        let in_all = bounds.in_all.saturating_sub(state.in_hand);
        let of_tenant = state.tenants.get(&tenant).map_or(0, |lane| lane.in_hand);
        let of_tenant = bounds.per_tenant.saturating_sub(of_tenant);
        let lane = state.webhook(tenant, webhook, now);
        // A step may take its time: what stands still in a workflow's lane says nothing about a receiver.
        let stalled = matches!(webhook, LaneKey::Webhook(_)) && lane.is_stalled(now);
        let slow = lane.is_failing() || stalled;
        let cap = if slow { self.per_failing_webhook() } else { bounds.per_webhook };
        in_all.min(of_tenant).min(cap.saturating_sub(lane.in_hand))
    }

    /// Whether a delivery in hand may be sent when its turn comes, and the gates at which it waits for that.
    /// `passed`: how many of the webhook's permits it has already.
    fn gates(
        &self,
        tenant: TenantId,
        webhook: LaneKey,
        purpose: Purpose,
        passed: usize,
    ) -> Option<[Arc<Semaphore>; 3]> {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        if state.stopped {
            return None;
        }
        let bounds = self.in_flight_bounds();
        let lane = state.webhook(tenant, webhook, now);
        let of_webhook = match purpose {
            // A gate of its own.
            Purpose::Test => Arc::new(Semaphore::new(1)),
            Purpose::Delivery => {
                let gate = lane.in_flight.get_or_insert_with(Gate::default);
                let of_webhook = gate.wide(bounds.per_webhook);
                let others = gate.width.saturating_sub(of_webhook.available_permits() + passed);
                let flooded = lane.is_failing() && others >= self.per_failing_webhook();
                if lane.off || lane.closed || flooded {
                    return None;
                }
                of_webhook
            }
        };
        let lane = state.tenants.entry(tenant).or_default();
        let of_tenant = lane.in_flight.get_or_insert_with(Gate::default).wide(bounds.per_tenant);
        Some([of_webhook, of_tenant, self.in_flight.clone()])
    }

    fn ended(&self, tenant: TenantId, webhook: LaneKey, went: Went) {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        let lane = state.webhook(tenant, webhook, now);
        match went {
            Went::Well => {
                lane.failures = 0;
                lane.moved = now;
            }
            Went::Badly => {
                lane.failures = lane.failures.saturating_add(1);
                lane.moved = now;
                if lane.failures == limits::FAILING_AFTER {
                    lane.paced = Some(now);
                }
            }
            Went::Nowhere => {}
        }
        if went == Went::Well && lane.place != Place::Claiming && lane.next_due.is_none_or(|due| due > now) {
            lane.paced = None;
        }
        // A timer that is now the first must be waited for too.
        let first = state.timers.first().copied();
        let wake = state.release(tenant, webhook, 1, now) || state.timers.first().copied() != first;
        let idle = state.in_hand == 0;
        drop(state);
        if wake {
            self.work.notify_one();
        }
        if idle {
            self.idle.notify_waiters();
        }
    }
}

impl State {
    fn webhook(&mut self, tenant: TenantId, webhook: LaneKey, now: Timestamp) -> &mut WebhookLane {
        self.webhooks.entry(webhook).or_insert_with(|| WebhookLane {
            tenant,
            in_hand: 0,
            in_flight: None,
            failures: 0,
            moved: now,
            next_due: None,
            place: Place::Nowhere,
            off: false,
            closed: false,
            paced: None,
        })
    }

    fn take(&mut self, tenant: TenantId, webhook: LaneKey, count: usize, now: Timestamp) {
        self.in_hand += count;
        self.tenants.entry(tenant).or_default().in_hand += count;
        let lane = self.webhook(tenant, webhook, now);
        if lane.in_hand == 0 {
            lane.moved = now;
        }
        lane.in_hand += count;
    }

    /// Gives slots back. True when somebody who waits for one may now have it.
    fn release(&mut self, tenant: TenantId, webhook: LaneKey, count: usize, now: Timestamp) -> bool {
        self.in_hand -= count;
        self.tenants.entry(tenant).or_default().in_hand -= count;
        self.webhook(tenant, webhook, now).in_hand -= count;
        self.place(webhook, now);
        self.queue_tenant(tenant);
        !self.ready.is_empty()
    }

    /// Puts a webhook where its state says: among the ready, among the timers, or nowhere.
    fn place(&mut self, webhook: LaneKey, now: Timestamp) {
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return };
        if lane.place == Place::Claiming || lane.place == Place::Ready {
            // `claimed` and `next_of` place it again.
            return;
        }
        if let Place::Timer(at) = lane.place {
            self.timers.remove(&(at, webhook));
            lane.place = Place::Nowhere;
        }
        let tenant = lane.tenant;
        if lane.off {
            return;
        }
        let due = match (lane.next_due, lane.paced) {
            (Some(due), Some(allowed)) => Some(due.max(lane.pace().on_grid(allowed))),
            (due, _) => due,
        };
        match due {
            Some(due) if due <= now => {
                lane.place = Place::Ready;
                self.tenants.entry(tenant).or_default().ready.push_back(webhook);
                self.queue_tenant(tenant);
            }
            Some(due) => {
                lane.place = Place::Timer(due);
                self.timers.insert((due, webhook));
            }
            None => {}
        }
    }

    fn queue_tenant(&mut self, tenant: TenantId) {
        let lane = self.tenants.entry(tenant).or_default();
        if !lane.queued && !lane.ready.is_empty() {
            lane.queued = true;
            self.ready.push_back(tenant);
        }
    }

    fn ring_timers(&mut self, now: Timestamp) {
        while let Some((at, webhook)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.place(webhook, now);
        }
    }

    /// The tenant's next ready webhook; the tenant goes to the end of the queue if it has more.
    fn next_of(&mut self, tenant: TenantId) -> Option<LaneKey> {
        let lane = self.tenants.entry(tenant).or_default();
        lane.queued = false;
        let webhook = lane.ready.pop_front();
        self.queue_tenant(tenant);
        let webhook = webhook?;
        self.webhooks.get_mut(&webhook)?.place = Place::Nowhere;
        Some(webhook)
    }

    /// How many of `free` slots the webhook's pace allows.
    fn paced_count(&mut self, webhook: LaneKey, free: usize, nodes: usize, now: Timestamp) -> usize {
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return 0 };
        let Some(allowed) = lane.paced else { return free };
        // At most a second's worth is made up for.
        let from = allowed.unix_ms().max(now.unix_ms() - 1000);
        let pace = lane.pace().shared_among(nodes);
        let by_now = (now.unix_ms() - from).div_euclid(pace.step_ms) + 1;
        let count = free.min(usize::try_from(by_now).unwrap_or(0));
        lane.paced = Some(Timestamp::from_unix_ms(from).plus(pace.of(count)));
        count
    }
}

impl TenantLane {
    /// Somebody waited in vain a moment ago. A clock that was set back does not make it longer.
    fn is_slow(&self, now: Timestamp) -> bool {
        let left = self.slow_until.map_or(Duration::ZERO, |until| until.since(now));
        !left.is_zero() && left <= limits::PUBLISH_WAIT_AGAIN
    }
}

impl Pace {
    /// The pace at which each of several nodes goes.
    fn shared_among(self, nodes: usize) -> Self {
        Self { step_ms: self.step_ms.saturating_mul(nodes as i64), ..self }
    }

    /// How long `count` deliveries take.
    fn of(self, count: usize) -> Duration {
        Duration::from_millis(self.step_ms.unsigned_abs() * count as u64)
    }

    fn on_grid(self, allowed: Timestamp) -> Timestamp {
        let grid = self.grid_ms;
        Timestamp::from_unix_ms((allowed.unix_ms() + grid - 1).div_euclid(grid) * grid)
    }
}

impl WebhookLane {
    fn pace(&self) -> Pace {
        if self.is_failing() { FAILING } else { DRAINING }
    }

    fn is_failing(&self) -> bool {
        self.failures >= limits::FAILING_AFTER
    }

    fn is_stalled(&self, now: Timestamp) -> bool {
        self.in_hand > 0 && now.since(self.moved) > STALLED_AFTER
    }
}

/// A publisher's turn. Dropping it lets the next one go.
pub struct Turn {
    lanes: Arc<Lanes>,
    tenant: TenantId,
    first: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.lanes.state.lock().expect(POISON);
        state.tenants.entry(self.tenant).or_default().publishers -= 1;
        drop(state);
        drop(self.first.take());
    }
}

/// The right to hold one delivery in hand. Dropping it gives the slot back.
pub struct Slot {
    lanes: Arc<Lanes>,
    tenant: TenantId,
    webhook: LaneKey,
    purpose: Purpose,
    went: Went,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Delivery,
    /// Goes out also when the webhook is off or failing.
    Test,
}

/// The right to send. Dropping it lets the next one begin.
pub struct Sending {
    _permits: [OwnedSemaphorePermit; 3],
}

impl Slot {
    /// Waits until this delivery may be sent: in turn, and not long. `None`: it has to go back to the store, because the
    /// wait is too long, or because of what became of the webhook meanwhile.
    pub async fn begin(&self) -> Option<Sending> {
        let gates = self.lanes.gates(self.tenant, self.webhook, self.purpose, 0)?;
        if let Some(sending) = Sending::now(&gates) {
            return Some(sending);
        }
        let sending = tokio::select! {
            biased;
            sending = Sending::in_turn(gates) => sending?,
            () = self.lanes.clock.sleep(limits::IN_HAND_WAIT_MAX) => return None,
        };
        // Once more: the webhook may be off or failing by now.
        self.lanes.gates(self.tenant, self.webhook, self.purpose, 1).map(|_| sending)
    }
    /// How the attempt went. Without it, the slot's end says nothing about the receiver.
    pub fn went(&mut self, went: Went) {
        self.went = went;
    }
}

impl Sending {
    fn now([webhook, tenant, all]: &[Arc<Semaphore>; 3]) -> Option<Self> {
        let webhook = webhook.clone().try_acquire_owned().ok()?;
        let tenant = tenant.clone().try_acquire_owned().ok()?;
        let all = all.clone().try_acquire_owned().ok()?;
        Some(Self { _permits: [webhook, tenant, all] })
    }

    /// Always in this order, so that nobody waits for somebody who waits for them. `None` never happens: no gate is closed.
    async fn in_turn([webhook, tenant, all]: [Arc<Semaphore>; 3]) -> Option<Self> {
        let webhook = webhook.acquire_owned().await.ok()?;
        let tenant = tenant.acquire_owned().await.ok()?;
        let all = all.acquire_owned().await.ok()?;
        Some(Self { _permits: [webhook, tenant, all] })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.lanes.ended(self.tenant, self.webhook, self.went);
    }
}

#[cfg(test)]
mod tests {
    use postrider_testkit::clock::ManualClock;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_800_000_000_000 + ms)
    }

    fn tenant(n: u8) -> TenantId {
        TenantId::from_bytes([n; 16])
    }

    fn webhook(n: u8) -> LaneKey {
        WebhookId::from_bytes([n; 16]).into()
    }

    const BOUNDS: Bounds = Bounds { in_all: 6, per_tenant: 4, per_webhook: 3 };
    const SMALL: LaneLimits =
        LaneLimits { in_hand: BOUNDS, in_flight: BOUNDS, per_failing_webhook: 1, crowd: Crowd::NEVER };

    fn lanes() -> (Arc<ManualClock>, Arc<Lanes>) {
        let clock = Arc::new(ManualClock::at(at(0)));
        (clock.clone(), Lanes::new(SMALL, clock))
    }

    fn reserve(lanes: &Arc<Lanes>, of: u8, to: u8) -> Option<Slot> {
        lanes.reserve(tenant(of), webhook(to), Ahead::Yes)
    }

    fn fail(mut slot: Slot) {
        slot.went(Went::Badly);
    }

    fn succeed(mut slot: Slot) {
        slot.went(Went::Well);
    }

    #[test]
    fn slots_are_bounded_per_webhook_per_tenant_and_in_all() {
        let (_, lanes) = lanes();
        let mut slots: Vec<_> = (0..9).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        assert_eq!(slots.len(), 3);
        slots.extend((0..9).filter_map(|_| reserve(&lanes, 1, 2)));
        assert_eq!(slots.len(), 4);
        slots.extend((0..9).filter_map(|_| reserve(&lanes, 2, 3)));
        assert_eq!(slots.len(), 6);
        drop(slots);
        assert_eq!(lanes.in_hand(), 0);
        assert!(reserve(&lanes, 3, 4).is_some());
    }

    #[test]
    fn nodes_share_what_may_be_in_flight_and_the_pace() {
        let (clock, lanes) = lanes();
        lanes.share_among(3);
        for hook in [1, 2] {
            lanes.scheduled(tenant(1), webhook(hook), at(0));
        }
        // Of three per webhook and four per tenant.
        let counts: Vec<_> = lanes.wants(100).iter().map(|want| want.count).collect();
        assert_eq!(counts, [1, 1]);
        lanes.share_among(1);
        lanes.webhook_changed(tenant(2), webhook(3), WebhookChange::Enabled);
        let alone = drained_in_a_second(&clock, &lanes, 3);
        lanes.share_among(4);
        lanes.webhook_changed(tenant(3), webhook(4), WebhookChange::Enabled);
        let beside_three = drained_in_a_second(&clock, &lanes, 4);
        assert!(
            (alone - 1) / 4 <= beside_three && beside_three <= alone.div_ceil(4) + 1,
            "{alone} {beside_three}"
        );
    }

    /// How many of a webhook's deliveries are wanted within a second, each done at once.
    fn drained_in_a_second(clock: &ManualClock, lanes: &Arc<Lanes>, hook: u8) -> usize {
        let mut drained = 0;
        for _ in 0..100 {
            for want in lanes.wants(100) {
                let slots = lanes.claimed(want, want.count, Some(at(0)));
                if want.lane == webhook(hook) {
                    drained += slots.len();
                }
                slots.into_iter().for_each(succeed);
            }
            clock.advance(Duration::from_millis(10));
        }
        drained
    }

    #[tokio::test]
    async fn a_gate_that_becomes_narrower_lets_those_through_end_first() {
        let mut gate = Gate::default();
        let held: Vec<_> = (0..3).map(|_| gate.wide(4).try_acquire_owned().expect("room")).collect();
        assert!(gate.wide(2).try_acquire_owned().is_err());
        assert_eq!(gate.width, 3);
        drop(held);
        assert_eq!(gate.wide(2).available_permits(), 2);
        assert_eq!(gate.wide(5).available_permits(), 5);
    }

    #[test]
    fn turns_go_round_the_tenants_and_their_webhooks() {
        let (_, lanes) = lanes();
        for hook in [1, 2] {
            lanes.scheduled(tenant(1), webhook(hook), at(0));
        }
        lanes.scheduled(tenant(2), webhook(3), at(0));
        let wants = lanes.wants(100);
        let order: Vec<_> = wants.iter().map(|want| (want.lane, want.count)).collect();
        // Tenant 1's first takes its three, tenant 2's its three; nothing is left in all for tenant 1's second.
        assert_eq!(order, [(webhook(1), 3), (webhook(3), 3)]);
        for want in wants {
            assert_eq!(lanes.claimed(want, 0, None).len(), 0);
        }
        assert_eq!(lanes.wants(100).iter().map(|want| want.lane).collect::<Vec<_>>(), [webhook(2)]);
    }

    #[test]
    fn a_webhook_at_its_bound_gets_its_turn_when_a_slot_comes_free() {
        let (_, lanes) = lanes();
        let mut slots: Vec<_> = (0..3).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        lanes.scheduled(tenant(1), webhook(1), at(0));
        assert_eq!(lanes.wants(100), []);
        succeed(slots.pop().expect("three slots"));
        let wants = lanes.wants(100);
        assert_eq!(wants, [Want { tenant: tenant(1), lane: webhook(1), count: 1 }]);
        drop(lanes.claimed(wants[0], 1, None));
        assert_eq!(lanes.wants(100), []);
    }

    #[test]
    fn a_tenant_at_its_bound_gets_its_turn_when_any_of_its_slots_comes_free() {
        let (_, lanes) = lanes();
        let mut slots: Vec<_> = (0..3).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        slots.extend(reserve(&lanes, 1, 2));
        lanes.scheduled(tenant(1), webhook(3), at(0));
        assert_eq!(lanes.wants(100), []);
        slots.pop();
        assert_eq!(lanes.wants(100), [Want { tenant: tenant(1), lane: webhook(3), count: 1 }]);
    }

    #[test]
    fn what_is_due_later_waits_for_its_time_and_an_earlier_word_wins() {
        let (clock, lanes) = lanes();
        lanes.scheduled(tenant(1), webhook(1), at(5000));
        lanes.scheduled(tenant(1), webhook(1), at(2000));
        lanes.scheduled(tenant(1), webhook(1), at(9000));
        assert_eq!(lanes.wants(100), []);
        clock.set(at(1999));
        assert_eq!(lanes.wants(100), []);
        clock.set(at(2000));
        let wants = lanes.wants(100);
        assert_eq!(wants.len(), 1);
        lanes.claimed(wants[0], 1, Some(at(5000)));
        assert_eq!(lanes.wants(100), []);
        clock.set(at(5000));
        assert_eq!(lanes.wants(100).len(), 1);
    }

    #[test]
    fn what_is_scheduled_while_a_claim_is_under_way_is_not_forgotten() {
        let (_, lanes) = lanes();
        lanes.scheduled(tenant(1), webhook(1), at(0));
        let wants = lanes.wants(100);
        lanes.scheduled(tenant(1), webhook(1), at(0));
        assert_eq!(lanes.wants(100), [], "one claim at a time per webhook");
        drop(lanes.claimed(wants[0], 1, None));
        assert_eq!(lanes.wants(100).len(), 1);
    }

    #[test]
    fn a_failing_webhook_gets_few_slots_and_a_pace_until_it_works_again() {
        let (clock, lanes) = lanes();
        for _ in 0..limits::FAILING_AFTER {
            fail(reserve(&lanes, 1, 1).expect("a free slot"));
        }
        assert!(reserve(&lanes, 1, 1).is_none(), "new deliveries queue behind the pace");
        lanes.scheduled(tenant(1), webhook(1), at(0));
        let mut claims = 0;
        for ms in 0..2000 {
            clock.set(at(ms));
            for want in lanes.wants(100) {
                assert_eq!(want.count, 1, "the bound of a failing webhook");
                claims += 1;
                lanes.claimed(want, 1, Some(at(0))).into_iter().for_each(fail);
            }
        }
        let paced = 2 * limits::FAILING_PER_SECOND;
        assert!((paced - 8..=paced).contains(&claims), "{claims}");
        let mut wants = lanes.wants(100);
        while wants.is_empty() {
            clock.set(clock.now().plus(Duration::from_millis(1)));
            wants = lanes.wants(100);
        }
        lanes.claimed(wants[0], 1, None).into_iter().for_each(succeed);
        let slots: Vec<_> = (0..9).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        assert_eq!(slots.len(), 3);
    }

    #[test]
    fn a_claim_that_finds_less_than_it_asked_for_gives_its_pace_back() {
        let (clock, lanes) = lanes();
        lanes.webhook_changed(tenant(1), webhook(1), WebhookChange::Enabled);
        clock.set(at(1000));
        let left = Some(at(0));
        for _ in 0..1000 {
            let wants = lanes.wants(100);
            assert_eq!(wants.first().map(|want| want.count), Some(3), "a second's pace is still unspent");
            drop(lanes.claimed(wants[0], 0, left));
        }
    }

    #[test]
    fn a_webhook_whose_slots_stand_still_gets_no_more_of_them() {
        let (clock, lanes) = lanes();
        let first = reserve(&lanes, 1, 1).expect("a free slot");
        clock.set(at(1500));
        assert!(reserve(&lanes, 1, 1).is_none());
        succeed(first);
        assert!(reserve(&lanes, 1, 1).is_some());
    }

    #[test]
    fn a_webhook_that_is_off_claims_nothing_until_it_is_on() {
        let (clock, lanes) = lanes();
        lanes.webhook_changed(tenant(1), webhook(1), WebhookChange::Disabled);
        lanes.scheduled(tenant(1), webhook(1), at(0));
        assert!(reserve(&lanes, 1, 1).is_none());
        assert_eq!(lanes.wants(100), []);
        assert!(lanes.reserve_test(tenant(1), webhook(1)).is_some(), "a test goes out all the same");
        lanes.webhook_changed(tenant(1), webhook(1), WebhookChange::Enabled);
        clock.set(at(DRAINING.grid_ms));
        assert_eq!(lanes.wants(100).len(), 1);
    }

    #[test]
    fn a_closed_webhook_takes_nothing_new_and_what_still_comes_is_claimed_to_be_cancelled() {
        let (_, lanes) = lanes();
        lanes.webhook_changed(tenant(1), webhook(1), WebhookChange::Closed);
        assert!(reserve(&lanes, 1, 1).is_none());
        let wants = lanes.wants(100);
        assert_eq!(wants.len(), 1);
        lanes.claimed(wants[0], 0, None);
        assert_eq!(lanes.wants(100), []);
        lanes.scheduled(tenant(1), webhook(1), at(0));
        assert_eq!(lanes.wants(100).len(), 1, "a result that was under way came after the cancellation");
    }

    #[test]
    fn a_success_during_a_claim_does_not_end_the_pace() {
        let (clock, lanes) = lanes();
        lanes.webhook_changed(tenant(1), webhook(1), WebhookChange::Enabled);
        clock.set(at(1000));
        let wants = lanes.wants(100);
        let slots = lanes.claimed(wants[0], wants[0].count, Some(at(0)));
        clock.set(at(2000));
        let under_way = lanes.wants(100);
        slots.into_iter().for_each(succeed);
        for want in under_way {
            lanes.claimed(want, want.count, Some(at(0))).into_iter().for_each(succeed);
        }
        assert!(reserve(&lanes, 1, 1).is_none(), "new deliveries still queue behind what drains");
    }

    #[test]
    fn tests_cannot_take_more_than_their_tenant_may() {
        let (_, lanes) = lanes();
        let slots: Vec<_> = (0..9).filter_map(|_| lanes.reserve_test(tenant(1), webhook(1))).collect();
        assert_eq!(slots.len(), 4);
        assert!(reserve(&lanes, 2, 2).is_some());
    }

    /// In hand: many. In flight: two to a webhook, three of a tenant.
    const BURST: LaneLimits = LaneLimits {
        in_hand: Bounds { in_all: 100, per_tenant: 50, per_webhook: 40 },
        in_flight: Bounds { in_all: 100, per_tenant: 3, per_webhook: 2 },
        per_failing_webhook: 1,
        crowd: Crowd { of_tenant: 6, of_webhook: 4 },
    };

    fn burst() -> (Arc<ManualClock>, Arc<Lanes>) {
        let clock = Arc::new(ManualClock::at(at(0)));
        (clock.clone(), Lanes::new(BURST, clock))
    }

    /// `None`: it waits.
    fn poll<T>(waiting: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        use std::task::{Context, Poll, Waker};
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(begun) => Some(begun),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_is_in_hand_is_sent_in_turn_within_the_bounds_on_flight() {
        let (_, lanes) = burst();
        let slots: Vec<_> = (0..9).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        assert_eq!(slots.len(), 9);
        let mut begins: Vec<_> = slots.iter().map(|slot| Box::pin(slot.begin())).collect();
        let mut sending: Vec<_> = begins.iter_mut().map(poll).collect();
        assert_eq!(sending.iter().filter(|begun| matches!(begun, Some(Some(_)))).count(), 2);
        assert_eq!((lanes.in_hand(), lanes.in_flight()), (9, 2));
        let other = reserve(&lanes, 1, 2).expect("another webhook has slots of its own");
        let other = poll(&mut Box::pin(other.begin())).flatten().expect("the tenant's third");
        assert!(poll(&mut begins[2]).is_none());
        sending.remove(0);
        let third = poll(&mut begins[2]).flatten();
        assert!(third.is_some(), "its turn has come");
        assert!(poll(&mut begins[3]).is_none());
        drop(other);
    }

    #[test]
    fn what_waits_in_hand_for_too_long_goes_back() {
        let (clock, lanes) = burst();
        let slots: Vec<_> = (0..3).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        let _sending: Vec<_> = slots[..2].iter().map(|slot| poll(&mut Box::pin(slot.begin()))).collect();
        let mut third = Box::pin(slots[2].begin());
        assert!(poll(&mut third).is_none());
        clock.advance(limits::IN_HAND_WAIT_MAX);
        assert!(matches!(poll(&mut third), Some(None)));
    }

    #[test]
    fn what_waits_in_hand_goes_back_when_its_webhook_is_switched_off_or_fails() {
        let (_, lanes) = burst();
        let mut slots: Vec<_> = (0..12).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        let off = reserve(&lanes, 1, 2).expect("a slot");
        lanes.webhook_changed(tenant(1), webhook(2), WebhookChange::Disabled);
        assert!(matches!(poll(&mut Box::pin(off.begin())), Some(None)));
        let test = lanes.reserve_test(tenant(1), webhook(2)).expect("a slot");
        assert!(matches!(poll(&mut Box::pin(test.begin())), Some(Some(_))), "a test goes out all the same");
        drop(test);
        let last = slots.split_off(limits::FAILING_AFTER as usize);
        slots.into_iter().for_each(fail);
        let first = poll(&mut Box::pin(last[0].begin())).flatten();
        assert!(first.is_some(), "a failing webhook is sent to");
        assert!(matches!(poll(&mut Box::pin(last[1].begin())), Some(None)), "but not flooded");
    }

    #[test]
    fn what_a_crash_would_end_is_not_taken_in_hand_ahead_of_its_turn() {
        let (_, lanes) = burst();
        let take = || lanes.reserve(tenant(1), webhook(1), Ahead::No);
        let slots: Vec<_> = (0..9).filter_map(|_| take()).collect();
        assert_eq!(slots.len(), 2);
    }

    #[test]
    fn publishers_wait_in_turn_while_their_tenant_has_much_in_hand() {
        let (clock, lanes) = burst();
        let turn = |n| Box::pin(lanes.turn(tenant(n), (1..=3).map(webhook)));
        let mut slots: Vec<_> = (0..4).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        assert!(matches!(poll(&mut turn(1)), Some(None)), "as much as one webhook may have");
        slots.extend(reserve(&lanes, 1, 1));
        let (mut first, mut second) = (turn(1), turn(1));
        assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
        assert!(matches!(poll(&mut turn(2)), Some(None)), "another tenant does not wait");
        succeed(slots.remove(0));
        assert!(poll(&mut turn(1)).is_none(), "there is room, but others came before");
        clock.advance(TURN_LOOK);
        assert!(poll(&mut second).is_none());
        let first = poll(&mut first).flatten().expect("the first's turn");
        slots.extend(reserve(&lanes, 1, 1));
        drop(first);
        assert!(poll(&mut second).is_none(), "the first has taken the room");
        succeed(slots.remove(0));
        clock.advance(TURN_LOOK);
        assert!(poll(&mut second).flatten().is_some());
        drop(second);
        assert!(matches!(poll(&mut turn(1)), Some(None)), "whoever stopped waiting stands in nobody's way");
    }

    #[test]
    fn a_tenant_is_crowded_by_all_its_webhooks_together() {
        let (_, lanes) = burst();
        let _slots: Vec<_> = [1, 1, 1, 2, 2, 2, 3].map(|n| reserve(&lanes, 1, n)).into();
        let of_all = Box::pin(lanes.turn(tenant(1), (1..=3).map(webhook)));
        assert!(poll(&mut { of_all }).is_none());
    }

    #[test]
    fn no_publisher_waits_for_long() {
        let (clock, lanes) = burst();
        let mut slots: Vec<_> = (0..30).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        let turn = || Box::pin(lanes.turn(tenant(1), [webhook(1)].into_iter()));
        let mut first = turn();
        assert!(poll(&mut first).is_none());
        let pause = limits::PUBLISH_WAIT_MAX / 5;
        for _ in 0..3 {
            clock.advance(pause);
            // Slowly, but it moves.
            succeed(slots.remove(0));
        }
        let mut second = turn();
        assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
        clock.advance(2 * pause);
        assert!(poll(&mut first).is_some());
        assert!(
            matches!(poll(&mut turn()), Some(None)),
            "whoever comes now does not queue behind the second"
        );
        drop(first);
        assert!(poll(&mut second).is_some(), "nor does the second wait on");
        drop(second);
        succeed(slots.remove(0));
        assert!(
            matches!(poll(&mut turn()), Some(None)),
            "the receiver is slow: to wait again would gain nothing"
        );
    }

    #[test]
    fn nobody_waits_for_a_webhook_that_hangs_or_fails() {
        let (clock, lanes) = burst();
        let slots: Vec<_> = (0..12).filter_map(|_| reserve(&lanes, 1, 1)).collect();
        let turn = || Box::pin(lanes.turn(tenant(1), [webhook(1)].into_iter()));
        assert!(poll(&mut turn()).is_none());
        clock.advance(MOVES_WITHIN + Duration::from_millis(1));
        assert!(matches!(poll(&mut turn()), Some(None)), "it hangs");
        slots.into_iter().take(limits::FAILING_AFTER as usize).for_each(fail);
        assert!(matches!(poll(&mut turn()), Some(None)), "it fails");
    }

    #[test]
    fn a_stopped_lane_gives_no_slot() {
        let (_, lanes) = lanes();
        lanes.scheduled(tenant(1), webhook(1), at(0));
        lanes.stop();
        assert!(reserve(&lanes, 1, 1).is_none());
        assert!(lanes.reserve_test(tenant(1), webhook(1)).is_none());
        assert_eq!(lanes.wants(100), []);
    }
}
