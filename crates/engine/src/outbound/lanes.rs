//! Who may send now. Fair over tenants, then over their webhooks; bounded per webhook, per tenant and in all.
//!
//! A lane knows of a webhook only how many attempts are in flight and when its earliest waiting delivery is due; the
//! deliveries themselves wait in the store. So memory grows with the number of webhooks, not with the backlog.
//!
//! Called by the acceptor (a new event asks for slots), by `settle` (what is due again, what ended) and by `dispatch`
//! (what may be claimed now). Never does I/O and never waits while holding its lock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_domain::id::{TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::{Clock, Timestamp};
use tokio::sync::Notify;

/// The bounds on attempts in flight.
#[derive(Debug, Clone, Copy)]
pub struct LaneLimits {
    pub in_all: usize,
    pub per_tenant: usize,
    pub per_webhook: usize,
    pub per_failing_webhook: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self {
            in_all: limits::IN_FLIGHT_MAX,
            per_tenant: limits::IN_FLIGHT_PER_TENANT_MAX,
            per_webhook: limits::IN_FLIGHT_PER_WEBHOOK_MAX,
            per_failing_webhook: limits::IN_FLIGHT_PER_FAILING_WEBHOOK_MAX,
        }
    }
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

/// Slots that were reserved for a webhook, to be filled by claiming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    pub tenant: TenantId,
    pub webhook: WebhookId,
    pub count: usize,
}

pub struct Lanes {
    state: Mutex<State>,
    limits: LaneLimits,
    clock: Arc<dyn Clock>,
    /// There may be something to claim.
    work: Notify,
    /// Nothing is in flight.
    idle: Notify,
}

#[derive(Default)]
struct State {
    in_flight: usize,
    stopped: bool,
    tenants: HashMap<TenantId, TenantLane>,
    webhooks: HashMap<WebhookId, WebhookLane>,
    /// Tenants with something due and, as far as is known, a free slot; taken in turn.
    ready: VecDeque<TenantId>,
    timers: BTreeSet<(Timestamp, WebhookId)>,
}

#[derive(Default)]
struct TenantLane {
    in_flight: usize,
    ready: VecDeque<WebhookId>,
    queued: bool,
}

struct WebhookLane {
    tenant: TenantId,
    in_flight: usize,
    /// Failures since the last success.
    failures: u32,
    /// When the last attempt ended, or the first of those in flight began: a webhook whose slots do not move is stalled.
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
const PACE_STEP_MS: i64 = 1000 / limits::DRAIN_PER_SECOND as i64;
/// Paced claims come together: twenty a second, not one per delivery.
const PACE_GRID_MS: i64 = 50;
/// Deliveries that one webhook may claim in one turn: others get theirs in the same transaction.
const TURN_MAX: usize = 64;

const POISON: &str = "because no holder of this lock panics";

impl Lanes {
    pub fn new(limits: LaneLimits, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), limits, clock, work: Notify::new(), idle: Notify::new() })
    }

    /// A slot for a new delivery's first attempt, if one is free and nothing waits before it.
    pub fn reserve(self: &Arc<Self>, tenant: TenantId, webhook: WebhookId) -> Option<Slot> {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        if state.stopped || self.free(&mut state, tenant, webhook, now) == 0 {
            return None;
        }
        let lane = state.webhook(tenant, webhook, now);
        let waits = lane.next_due.is_some_and(|due| due <= now);
        if lane.off || lane.closed || lane.paced.is_some() || waits {
            return None;
        }
        state.take(tenant, webhook, 1, now);
        Some(Slot { lanes: self.clone(), tenant, webhook, went: Went::Nowhere })
    }

    /// A slot for a test, also when the webhook is off or failing: a few beyond the webhook's own bound, none beyond the
    /// tenant's or when all are taken.
    pub fn reserve_test(self: &Arc<Self>, tenant: TenantId, webhook: WebhookId) -> Option<Slot> {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        let of_tenant = state.tenants.get(&tenant).map_or(0, |lane| lane.in_flight);
        let of_webhook = state.webhooks.get(&webhook).map_or(0, |lane| lane.in_flight);
        let of_webhook_max = self.limits.per_webhook + self.limits.per_failing_webhook;
        if state.stopped
            || state.in_flight >= self.limits.in_all
            || of_tenant >= self.limits.per_tenant
            || of_webhook >= of_webhook_max
        {
            return None;
        }
        state.take(tenant, webhook, 1, now);
        Some(Slot { lanes: self.clone(), tenant, webhook, went: Went::Nowhere })
    }

    /// A delivery of this webhook stands in the store, due at `due`.
    pub fn scheduled(&self, tenant: TenantId, webhook: WebhookId, due: Timestamp) {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        let lane = state.webhook(tenant, webhook, now);
        lane.next_due = Some(lane.next_due.map_or(due, |next| next.min(due)));
        state.place(webhook, now);
        drop(state);
        self.work.notify_one();
    }

    pub fn webhook_changed(&self, tenant: TenantId, webhook: WebhookId, change: WebhookChange) {
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
        while left > 0 && !state.stopped && state.in_flight < self.limits.in_all {
            let Some(tenant) = state.ready.pop_front() else { break };
            if state.tenants.entry(tenant).or_default().in_flight >= self.limits.per_tenant {
                // Queued again when one of the tenant's slots comes free.
                state.tenants.entry(tenant).or_default().queued = false;
                continue;
            }
            let Some(webhook) = state.next_of(tenant) else { continue };
            let free = self.free(&mut state, tenant, webhook, now).min(left).min(TURN_MAX);
            if free == 0 {
                // At its own bound: placed again when one of its slots comes free.
                continue;
            }
            let count = state.paced_count(webhook, free, now);
            if count == 0 {
                state.place(webhook, now);
                continue;
            }
            state.take(tenant, webhook, count, now);
            let lane = state.webhook(tenant, webhook, now);
            lane.place = Place::Claiming;
            // From here on: the earliest that `scheduled` tells of while the claim is under way.
            lane.next_due = None;
            wants.push(Want { tenant, webhook, count });
            left -= count;
        }
        wants
    }

    /// The claim for `want` brought `claimed` deliveries, for which slots are returned, and `next_due` is the
    /// earliest that still waits.
    pub fn claimed(self: &Arc<Self>, want: Want, claimed: usize, next_due: Option<Timestamp>) -> Vec<Slot> {
        let now = self.clock.now();
        let mut state = self.state.lock().expect(POISON);
        let lane = state.webhook(want.tenant, want.webhook, now);
        lane.place = Place::Nowhere;
        // What was told of meanwhile may be in the claim already: then the next claim finds less. Too early is safe.
        lane.next_due = match (lane.next_due, next_due) {
            (Some(told), Some(left)) => Some(told.min(left)),
            (told, left) => told.or(left),
        };
        if lane.failures < limits::FAILING_AFTER && lane.next_due.is_none_or(|due| due > now) {
            lane.paced = None;
        }
        let unused = want.count - claimed;
        // Pace is spent on what is sent, not on what was asked for.
        lane.paced = lane.paced.map(|allowed| allowed.minus(pace_of(unused)));
        state.release(want.tenant, want.webhook, unused, now);
        drop(state);
        self.work.notify_one();
        (0..claimed)
            .map(|_| Slot {
                lanes: self.clone(),
                tenant: want.tenant,
                webhook: want.webhook,
                went: Went::Nowhere,
            })
            .collect()
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

    /// Waits until nothing is in flight.
    pub async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight() == 0 {
                return;
            }
            idle.await;
        }
    }

    pub fn in_flight(&self) -> usize {
        self.state.lock().expect(POISON).in_flight
    }

    fn free(&self, state: &mut State, tenant: TenantId, webhook: WebhookId, now: Timestamp) -> usize {
        let in_all = self.limits.in_all.saturating_sub(state.in_flight);
        let of_tenant = self
            .limits
            .per_tenant
            .saturating_sub(state.tenants.get(&tenant).map_or(0, |lane| lane.in_flight));
        let lane = state.webhook(tenant, webhook, now);
        let stalled = lane.in_flight > 0 && now.since(lane.moved) > STALLED_AFTER;
        let cap = if lane.failures >= limits::FAILING_AFTER || stalled {
            self.limits.per_failing_webhook
        } else {
            self.limits.per_webhook
        };
        in_all.min(of_tenant).min(cap.saturating_sub(lane.in_flight))
    }

    fn ended(&self, tenant: TenantId, webhook: WebhookId, went: Went) {
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
        let idle = state.in_flight == 0;
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
    fn webhook(&mut self, tenant: TenantId, webhook: WebhookId, now: Timestamp) -> &mut WebhookLane {
        self.webhooks.entry(webhook).or_insert_with(|| WebhookLane {
            tenant,
            in_flight: 0,
            failures: 0,
            moved: now,
            next_due: None,
            place: Place::Nowhere,
            off: false,
            closed: false,
            paced: None,
        })
    }

    fn take(&mut self, tenant: TenantId, webhook: WebhookId, count: usize, now: Timestamp) {
        self.in_flight += count;
        self.tenants.entry(tenant).or_default().in_flight += count;
        let lane = self.webhook(tenant, webhook, now);
        if lane.in_flight == 0 {
            lane.moved = now;
        }
        lane.in_flight += count;
    }

    /// Gives slots back. True when somebody who waits for one may now have it.
    fn release(&mut self, tenant: TenantId, webhook: WebhookId, count: usize, now: Timestamp) -> bool {
        self.in_flight -= count;
        self.tenants.entry(tenant).or_default().in_flight -= count;
        self.webhook(tenant, webhook, now).in_flight -= count;
        self.place(webhook, now);
        self.queue_tenant(tenant);
        !self.ready.is_empty()
    }

    /// Puts a webhook where its state says: among the ready, among the timers, or nowhere.
    fn place(&mut self, webhook: WebhookId, now: Timestamp) {
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
            (Some(due), Some(allowed)) => Some(due.max(on_pace_grid(allowed))),
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
    fn next_of(&mut self, tenant: TenantId) -> Option<WebhookId> {
        let lane = self.tenants.entry(tenant).or_default();
        lane.queued = false;
        let webhook = lane.ready.pop_front();
        self.queue_tenant(tenant);
        let webhook = webhook?;
        self.webhooks.get_mut(&webhook)?.place = Place::Nowhere;
        Some(webhook)
    }

    /// How many of `free` slots the webhook's pace allows.
    fn paced_count(&mut self, webhook: WebhookId, free: usize, now: Timestamp) -> usize {
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return 0 };
        let Some(allowed) = lane.paced else { return free };
        // At most a second's worth is made up for.
        let from = allowed.unix_ms().max(now.unix_ms() - 1000);
        let by_now = (now.unix_ms() - from).div_euclid(PACE_STEP_MS) + 1;
        let count = free.min(usize::try_from(by_now).unwrap_or(0));
        lane.paced = Some(Timestamp::from_unix_ms(from).plus(pace_of(count)));
        count
    }
}

/// How long a paced webhook takes for `count` deliveries.
fn pace_of(count: usize) -> Duration {
    Duration::from_millis(PACE_STEP_MS.unsigned_abs() * count as u64)
}

fn on_pace_grid(allowed: Timestamp) -> Timestamp {
    Timestamp::from_unix_ms((allowed.unix_ms() + PACE_GRID_MS - 1).div_euclid(PACE_GRID_MS) * PACE_GRID_MS)
}

/// The right to one attempt. Dropping it gives the slot back.
pub struct Slot {
    lanes: Arc<Lanes>,
    tenant: TenantId,
    webhook: WebhookId,
    went: Went,
}

impl Slot {
    /// How the attempt went. Without it, the slot's end says nothing about the receiver.
    pub fn went(&mut self, went: Went) {
        self.went = went;
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

    fn webhook(n: u8) -> WebhookId {
        WebhookId::from_bytes([n; 16])
    }

    const SMALL: LaneLimits = LaneLimits { in_all: 6, per_tenant: 4, per_webhook: 3, per_failing_webhook: 1 };

    fn lanes() -> (Arc<ManualClock>, Arc<Lanes>) {
        let clock = Arc::new(ManualClock::at(at(0)));
        (clock.clone(), Lanes::new(SMALL, clock))
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
        let mut slots: Vec<_> = (0..9).filter_map(|_| lanes.reserve(tenant(1), webhook(1))).collect();
        assert_eq!(slots.len(), 3);
        slots.extend((0..9).filter_map(|_| lanes.reserve(tenant(1), webhook(2))));
        assert_eq!(slots.len(), 4);
        slots.extend((0..9).filter_map(|_| lanes.reserve(tenant(2), webhook(3))));
        assert_eq!(slots.len(), 6);
        drop(slots);
        assert_eq!(lanes.in_flight(), 0);
        assert!(lanes.reserve(tenant(3), webhook(4)).is_some());
    }

    #[test]
    fn turns_go_round_the_tenants_and_their_webhooks() {
        let (_, lanes) = lanes();
        for hook in [1, 2] {
            lanes.scheduled(tenant(1), webhook(hook), at(0));
        }
        lanes.scheduled(tenant(2), webhook(3), at(0));
        let wants = lanes.wants(100);
        let order: Vec<_> = wants.iter().map(|want| (want.webhook, want.count)).collect();
        // Tenant 1's first takes its three, tenant 2's its three; nothing is left in all for tenant 1's second.
        assert_eq!(order, [(webhook(1), 3), (webhook(3), 3)]);
        for want in wants {
            assert_eq!(lanes.claimed(want, 0, None).len(), 0);
        }
        assert_eq!(lanes.wants(100).iter().map(|want| want.webhook).collect::<Vec<_>>(), [webhook(2)]);
    }

    #[test]
    fn a_webhook_at_its_bound_gets_its_turn_when_a_slot_comes_free() {
        let (_, lanes) = lanes();
        let mut slots: Vec<_> = (0..3).filter_map(|_| lanes.reserve(tenant(1), webhook(1))).collect();
        lanes.scheduled(tenant(1), webhook(1), at(0));
        assert_eq!(lanes.wants(100), []);
        succeed(slots.pop().expect("three slots"));
        let wants = lanes.wants(100);
        assert_eq!(wants, [Want { tenant: tenant(1), webhook: webhook(1), count: 1 }]);
        drop(lanes.claimed(wants[0], 1, None));
        assert_eq!(lanes.wants(100), []);
    }

    #[test]
    fn a_tenant_at_its_bound_gets_its_turn_when_any_of_its_slots_comes_free() {
        let (_, lanes) = lanes();
        let mut slots: Vec<_> = (0..3).filter_map(|_| lanes.reserve(tenant(1), webhook(1))).collect();
        slots.extend(lanes.reserve(tenant(1), webhook(2)));
        lanes.scheduled(tenant(1), webhook(3), at(0));
        assert_eq!(lanes.wants(100), []);
        slots.pop();
        assert_eq!(lanes.wants(100), [Want { tenant: tenant(1), webhook: webhook(3), count: 1 }]);
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
            fail(lanes.reserve(tenant(1), webhook(1)).expect("a free slot"));
        }
        assert!(lanes.reserve(tenant(1), webhook(1)).is_none(), "new deliveries queue behind the pace");
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
        let paced = 2 * limits::DRAIN_PER_SECOND;
        assert!((paced - 20..=paced).contains(&claims), "{claims}");
        let mut wants = lanes.wants(100);
        while wants.is_empty() {
            clock.set(clock.now().plus(Duration::from_millis(1)));
            wants = lanes.wants(100);
        }
        lanes.claimed(wants[0], 1, None).into_iter().for_each(succeed);
        let slots: Vec<_> = (0..9).filter_map(|_| lanes.reserve(tenant(1), webhook(1))).collect();
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
        let first = lanes.reserve(tenant(1), webhook(1)).expect("a free slot");
        clock.set(at(1500));
        assert!(lanes.reserve(tenant(1), webhook(1)).is_none());
        succeed(first);
        assert!(lanes.reserve(tenant(1), webhook(1)).is_some());
    }

    #[test]
    fn a_webhook_that_is_off_claims_nothing_until_it_is_on() {
        let (clock, lanes) = lanes();
        lanes.webhook_changed(tenant(1), webhook(1), WebhookChange::Disabled);
        lanes.scheduled(tenant(1), webhook(1), at(0));
        assert!(lanes.reserve(tenant(1), webhook(1)).is_none());
        assert_eq!(lanes.wants(100), []);
        assert!(lanes.reserve_test(tenant(1), webhook(1)).is_some(), "a test goes out all the same");
        lanes.webhook_changed(tenant(1), webhook(1), WebhookChange::Enabled);
        clock.set(at(PACE_GRID_MS));
        assert_eq!(lanes.wants(100).len(), 1);
    }

    #[test]
    fn a_closed_webhook_takes_nothing_new_and_what_still_comes_is_claimed_to_be_cancelled() {
        let (_, lanes) = lanes();
        lanes.webhook_changed(tenant(1), webhook(1), WebhookChange::Closed);
        assert!(lanes.reserve(tenant(1), webhook(1)).is_none());
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
        assert!(
            lanes.reserve(tenant(1), webhook(1)).is_none(),
            "new deliveries still queue behind what drains"
        );
    }

    #[test]
    fn tests_cannot_take_more_than_their_tenant_may() {
        let (_, lanes) = lanes();
        let slots: Vec<_> = (0..9).filter_map(|_| lanes.reserve_test(tenant(1), webhook(1))).collect();
        assert_eq!(slots.len(), 4);
        assert!(lanes.reserve(tenant(2), webhook(2)).is_some());
    }

    #[test]
    fn a_stopped_lane_gives_no_slot() {
        let (_, lanes) = lanes();
        lanes.scheduled(tenant(1), webhook(1), at(0));
        lanes.stop();
        assert!(lanes.reserve(tenant(1), webhook(1)).is_none());
        assert!(lanes.reserve_test(tenant(1), webhook(1)).is_none());
        assert_eq!(lanes.wants(100), []);
    }
}
