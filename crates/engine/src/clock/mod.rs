//! What time asks for: crashed attempts, held deliveries that are held no longer, retention, and each tenant's scan.

mod scans;
mod sweep;
mod triggers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::time::Timestamp;
use postrider_store::{AfterCrash, StoreError};
use tokio::task::JoinSet;

use crate::outbound::dispatch::Outbound;
use crate::outbound::lanes::WebhookChange;

pub use scans::scans;
pub use triggers::triggers;

/// How often the sweeps look. What they find was due for minutes to weeks: a minute more does not matter.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Idle sockets are looked through more often: each is a file descriptor at somebody else's machine too.
const SOCKETS_EVERY: Duration = Duration::from_secs(5);

/// At start: attempts that a crash cut off get their row and their deliveries go on; the lanes learn what waits.
pub async fn recover(outbound: &Arc<Outbound>) -> Result<(), StoreError> {
    for tenant in outbound.catalogue.tenants() {
        for webhook in tenant.webhooks.iter().filter(|webhook| !webhook.enabled) {
            outbound.webhook_changed(&tenant, webhook.id, WebhookChange::Disabled);
        }
    }
    reap(outbound, None).await?;
    for (tenant, webhook, due) in outbound.store.webhooks_due_any_tenant().await? {
        outbound.lanes.scheduled(tenant, webhook.into(), due);
    }
    Ok(())
}

/// Settles claims whose lease ended before `expired_before`; at start, all of them.
async fn reap(outbound: &Arc<Outbound>, expired_before: Option<Timestamp>) -> Result<(), StoreError> {
    let now = outbound.clock.now();
    let at_most_once: HashMap<_, _> = outbound
        .catalogue
        .tenants()
        .into_iter()
        .map(|tenant| (tenant.id, tenant.profile().delivery.at_most_once))
        .collect();
    let in_hand = outbound.in_hand.clone();
    let shared = outbound.store.is_shared();
    let rule = move |tenant, delivery| match at_most_once.get(&tenant) {
        // A result that waits for the store, or a wall clock that stepped, looks like a claim that ran out.
        _ if in_hand.holds(delivery) => None,
        Some(true) => Some(AfterCrash::Fail),
        Some(false) => Some(AfterCrash::SendAgain),
        // Made on another node a moment ago: what its profile promises is known by the next look.
        None if shared => None,
        None => Some(AfterCrash::SendAgain),
    };
    let reaped = outbound.store.lease_reap(now, expired_before, Box::new(rule)).await?;
    for (tenant, webhook) in &reaped.due {
        outbound.lanes.scheduled(*tenant, (*webhook).into(), now);
    }
    if reaped.sent_again + reaped.failed > 0 {
        tracing::warn!(sent_again = reaped.sent_again, failed = reaped.failed, "lease.reaped");
    }
    Ok(())
}

/// Settles claims that ran out, and those of nodes that died.
pub(crate) async fn reap_expired(outbound: &Arc<Outbound>) -> Result<(), StoreError> {
    reap(outbound, Some(outbound.clock.now())).await
}

/// Until the process ends.
pub async fn run(outbound: Arc<Outbound>) {
    let mut next_sweep = outbound.clock.now().plus(SWEEP_EVERY);
    // One at a time; it ends with this task.
    let mut rolling = JoinSet::new();
    loop {
        outbound.clock.sleep(SOCKETS_EVERY).await;
        outbound.egress.sweep_idle();
        let now = outbound.clock.now();
        // A clock that was set back must not put it off.
        if now < next_sweep && next_sweep.since(now) <= SWEEP_EVERY {
            continue;
        }
        next_sweep = outbound.clock.now().plus(SWEEP_EVERY);
        if !outbound.leads() {
            // What is its own it looks after itself.
            if let Err(error) = reap_expired(&outbound).await {
                tracing::error!(%error, "reap.failed");
            }
            continue;
        }
        while rolling.try_join_next().is_some() {}
        if rolling.is_empty() && outbound.store.is_shared() {
            rolling.spawn(sweep::roll(outbound.clone()));
        }
        if let Err(error) = sweep::sweep(&outbound).await {
            tracing::error!(%error, "sweep.failed");
        }
    }
}
