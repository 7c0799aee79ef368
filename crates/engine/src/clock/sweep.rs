//! The minute's sweep, in bounded batches: accepting must not notice.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::delivery::Reason;
use postrider_domain::limits;
use postrider_domain::profile::DeliveryMode;
use postrider_store::StoreError;

use super::reap;
use crate::catalogue::Tenant;
use crate::outbound::dispatch::Outbound;

/// A day is dropped when all of it is too old, and a node had the time for it.
const DAYS_GO_WITHIN: Duration = Duration::from_secs(3 * 24 * 3600);

pub(super) async fn sweep(outbound: &Arc<Outbound>) -> Result<(), StoreError> {
    let now = outbound.clock.now();
    reap(outbound, Some(now)).await?;
    outbound.store.idempotency_sweep(now.minus(limits::IDEMPOTENCY_KEPT)).await?;
    let tenants = outbound.catalogue.tenants();
    let longest = kept_longest(&tenants);
    for tenant in tenants {
        cancel_held_too_long(outbound, &tenant).await?;
        // Where days go whole, rows go by themselves only where their day has gone, or is kept for others.
        let whole_days = outbound.store.is_shared() && tenant.retention() == longest;
        let kept = tenant.retention() + if whole_days { DAYS_GO_WITHIN } else { Duration::ZERO };
        outbound.store.retention_sweep(now, tenant.id, kept).await?;
        outbound.store.inbox_sweep(tenant.id, now.minus(tenant.retention())).await?;
        sweep_inbound(outbound, &tenant).await?;
    }
    outbound.store.dedup_sweep(now.minus(limits::DEDUP_KEPT)).await?;
    while outbound.store.sessions_sweep(now.minus(limits::SESSIONS_KEPT)).await? > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Runs and requests that are old enough, and refused requests beyond those that are kept.
async fn sweep_inbound(outbound: &Arc<Outbound>, tenant: &Tenant) -> Result<(), StoreError> {
    let now = outbound.clock.now();
    while outbound.store.runs_sweep(now, tenant.id, tenant.retention()).await? > 0 {
        tokio::task::yield_now().await;
    }
    let with_url = tenant.inbound.triggers.iter().filter(|trigger| trigger.slug.is_some());
    for trigger in with_url {
        let kept = limits::REFUSALS_KEPT_PER_TRIGGER;
        while outbound.store.requests_trim(tenant.id, trigger.id, kept).await? > 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Whole days, made and dropped. Beside the sweep: where days are large it takes minutes.
pub(super) async fn roll(outbound: Arc<Outbound>) {
    let epoch = outbound.store.node_epoch();
    let longest = kept_longest(&outbound.catalogue.tenants());
    if let Err(error) = outbound.store.history_roll(outbound.clock.now(), longest, epoch).await {
        // Tried again with the next minute's sweep.
        tracing::warn!(%error, "history.not_rolled");
    }
}

fn kept_longest(tenants: &[Arc<Tenant>]) -> Duration {
    tenants.iter().map(|tenant| tenant.retention()).max().unwrap_or(limits::RETENTION_DEFAULT)
}

async fn cancel_held_too_long(outbound: &Arc<Outbound>, tenant: &Tenant) -> Result<(), StoreError> {
    if tenant.delivery_mode() == DeliveryMode::Scan {
        return Ok(());
    }
    let now = outbound.clock.now();
    for webhook in tenant.webhooks.iter().filter(|webhook| !webhook.enabled) {
        if webhook.disabled_at.is_some_and(|at| now.since(at) >= limits::HELD_MAX) {
            outbound.store.delivery_cancel(now, tenant.id, webhook.id, Reason::HeldTooLong, None).await?;
        }
    }
    Ok(())
}
