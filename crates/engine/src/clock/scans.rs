//! Each tenant's scan at its hour, and, where events go out at once, what comes due by the minute.
//!
//! A scan is for a tick: the hour and minute of the tenant's wall clock. It looks at what was due by then, so that one that is
//! late, after a restart or an hour without a leader, finds what it would have found; and none at all when nothing is due,
//! which costs a question for a hundred tenants. One that was cut short goes on.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::id::TenantId;
use postrider_domain::limits;
use postrider_domain::profile::DeliveryMode;
use postrider_domain::schedule;
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use tokio::task::{self, JoinSet};

use crate::catalogue::Tenant;
use crate::derive::Derive;

/// How late what comes due without a scan is looked at, at most; and how soon a new tenant's first scan is known of.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How soon a node that has begun to lead notices it.
const LEAD_LOOK_EVERY: Duration = Duration::from_secs(5);
/// What is forgotten is months old.
const FORGET_EVERY: Duration = Duration::from_secs(6 * 3600);

/// What is looked at for a tenant.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// A tick that is to be claimed.
    Tick(Timestamp),
    /// One that was begun before, here or by a node that died.
    GoOn(Timestamp),
    /// What is due by now, where events go out at once.
    Now(Timestamp),
}

/// Until the process ends.
pub async fn scans(derive: Arc<Derive>) {
    let clock = derive.outbound.clock.clone();
    let mut refill_at = clock.now();
    let mut station = Station {
        derive,
        looked: HashMap::new(),
        queue: VecDeque::new(),
        waiting: HashSet::new(),
        more: HashSet::new(),
        under_way: HashMap::new(),
        tasks: JoinSet::new(),
        rest: HashMap::new(),
        forget_at: Timestamp::default(),
    };
    loop {
        let now = clock.now();
        if !station.derive.outbound.leads() {
            station.queue.clear();
            station.waiting.clear();
            station.more.clear();
            station.looked.clear();
            refill_at = now.plus(LEAD_LOOK_EVERY);
        } else if now >= refill_at || refill_at.since(now) > LOOK_EVERY {
            // Later than now, always: the loop rests, or has something to catch up with.
            refill_at = now.plus(LOOK_EVERY);
            match station.refill().await {
                Ok(next) => refill_at = refill_at.min(next),
                Err(error) => tracing::error!(%error, "scan.waits"),
            }
            if let Err(error) = station.forget().await {
                tracing::error!(%error, "scan.not_forgotten");
            }
        }
        station.start();
        tokio::select! {
            () = clock.sleep_until(refill_at) => {}
            Some(ended) = station.tasks.join_next_with_id() => {
                let asked_again = match ended {
                    Ok((task, ended)) => station.ended(task, ended.map_err(|error| error.to_string())),
                    Err(error) => station.ended(error.id(), Err(error.to_string())),
                };
                if asked_again {
                    refill_at = clock.now();
                }
            }
        }
    }
}

struct Station {
    derive: Arc<Derive>,
    /// The last tick of each tenant that was found to have nothing due, or was put into the queue.
    looked: HashMap<TenantId, Timestamp>,
    /// What waits for a place.
    queue: VecDeque<(TenantId, Work)>,
    waiting: HashSet<TenantId>,
    /// Tenants of whom more was found while something of them was under way.
    more: HashSet<TenantId>,
    under_way: HashMap<task::Id, TenantId>,
    tasks: JoinSet<Result<(), StoreError>>,
    /// Tenants whose scan did not come to its end, until it is tried again.
    rest: HashMap<TenantId, Timestamp>,
    /// When what is old is forgotten next.
    forget_at: Timestamp,
}

impl Station {
    /// Finds what is due. Answers when the next tick of any tenant comes.
    async fn refill(&mut self) -> Result<Timestamp, StoreError> {
        let outbound = self.derive.outbound.clone();
        let now = outbound.clock.now();
        let mut next = now.plus(LOOK_EVERY);
        let (mut ticks, mut at_once): (HashMap<Timestamp, Vec<TenantId>>, Vec<TenantId>) = Default::default();
        let mut seen: HashMap<TenantId, Timestamp> = HashMap::new();
        for tenant in outbound.catalogue.tenants().iter().filter(|tenant| waits_for_time(tenant)) {
            match tenant.delivery_mode() {
                DeliveryMode::Immediate => at_once.push(tenant.id),
                DeliveryMode::Scan => {
                    let (zone, at) = (&tenant.pinned.values.timezone, tenant.scan_at());
                    next = next.min(schedule::next_scan(now, zone, at));
                    let tick = schedule::last_scan(now, zone, at);
                    if self.looked.get(&tenant.id).is_none_or(|looked| *looked < tick) {
                        ticks.entry(tick).or_default().push(tenant.id);
                    } else {
                        seen.insert(tenant.id, tick);
                    }
                }
            }
        }
        self.rest.retain(|_, until| *until > now);
        // Those that are gone, or wait for nothing any more, are forgotten.
        self.looked.retain(|tenant, _| seen.contains_key(tenant));
        for open in outbound.store.scans_open_any_tenant().await? {
            // One that runs now, here or elsewhere, needs no help.
            let may_run = outbound.store.is_shared() && now.since(open.started) < limits::SCAN_TAKEN_OVER;
            if !may_run && !self.derive.is_scanning(open.tenant) {
                self.wait_for_place(open.tenant, Work::GoOn(open.tick));
            }
        }
        for (tick, tenants) in ticks {
            let due: HashSet<TenantId> =
                outbound.store.tenants_due(&tenants, tick).await?.into_iter().collect();
            for tenant in tenants {
                if !due.contains(&tenant) || self.wait_for_place(tenant, Work::Tick(tick)) {
                    self.looked.insert(tenant, tick);
                }
            }
        }
        for tenant in outbound.store.tenants_due(&at_once, now).await? {
            self.wait_for_place(tenant, Work::Now(now));
        }
        Ok(next)
    }

    /// Takes away what is kept for long enough, some hundred rows at a time, and rests when nothing is left.
    async fn forget(&mut self) -> Result<(), StoreError> {
        let now = self.derive.outbound.clock.now();
        if now < self.forget_at {
            return Ok(());
        }
        if self.derive.outbound.store.scans_sweep(now.minus(limits::SCANS_KEPT)).await? == 0 {
            self.forget_at = now.plus(FORGET_EVERY);
        }
        Ok(())
    }

    /// False: something of the tenant is under way or waits; it is asked about again.
    fn wait_for_place(&mut self, tenant: TenantId, work: Work) -> bool {
        if self.rest.contains_key(&tenant) {
            return false;
        }
        if self.under_way.values().any(|other| *other == tenant) || !self.waiting.insert(tenant) {
            self.more.insert(tenant);
            return false;
        }
        self.queue.push_back((tenant, work));
        true
    }

    /// Begins what waits, as far as there are places.
    fn start(&mut self) {
        while self.tasks.len() < limits::SCANS_AT_ONCE
            && let Some((tenant, work)) = self.queue.pop_front()
        {
            self.waiting.remove(&tenant);
            let derive = self.derive.clone();
            let task = self.tasks.spawn(async move {
                match work {
                    Work::Tick(tick) => derive.scan(tenant, tick).await.map(drop),
                    Work::GoOn(tick) => derive.scan_on(tenant, tick).await.map(drop),
                    Work::Now(now) => derive.look(tenant, now).await.map(drop),
                }
            });
            self.under_way.insert(task.id(), tenant);
        }
    }

    /// True: more of the tenant is due, and was put off.
    fn ended(&mut self, task: task::Id, ended: Result<(), String>) -> bool {
        let Some(tenant) = self.under_way.remove(&task) else { return false };
        let more = self.more.remove(&tenant);
        if let Err(error) = ended {
            tracing::error!(%error, %tenant, "scan.cut_short");
            // What it had not done is still due, and its row open: it goes on, or is begun anew.
            self.looked.remove(&tenant);
            self.rest.insert(tenant, self.derive.outbound.clock.now().plus(LOOK_EVERY));
            return false;
        }
        more
    }
}

/// Whether anything of the tenant's profile waits for a moment.
fn waits_for_time(tenant: &Tenant) -> bool {
    let profile = tenant.profile();
    let waits = profile.rules.iter().any(|rule| rule.waits()) || !profile.generators.is_empty();
    waits && tenant.plan_has_webhooks()
}
