//! The minute's sweep, in bounded batches: accepting must not notice.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::delivery::Reason;
use postrider_domain::limits;
use postrider_domain::profile::DeliveryMode;
use postrider_store::StoreError;

use super::reap;
use crate::outbound::catalogue::Tenant;
use crate::outbound::dispatch::Outbound;

pub(super) async fn sweep(outbound: &Arc<Outbound>) -> Result<(), StoreError> {
    let now = outbound.clock.now();
    reap(outbound, Some(now)).await?;
    outbound.store.idempotency_sweep(now.minus(limits::IDEMPOTENCY_KEPT)).await?;
    let tenants = outbound.catalogue.tenants();
    let longest = tenants.iter().map(|tenant| kept(tenant)).max().unwrap_or(limits::RETENTION_DEFAULT);
    outbound.store.history_roll(now, longest).await?;
    for tenant in tenants {
        cancel_held_too_long(outbound, &tenant).await?;
        // Where days go whole, those who keep their history the longest need no more than that.
        if !outbound.store.is_shared() || kept(&tenant) < longest {
            outbound.store.retention_sweep(now, tenant.id, kept(&tenant)).await?;
        }
    }
    Ok(())
}

fn kept(tenant: &Tenant) -> Duration {
    tenant
        .settings
        .retention_days
        .map_or(limits::RETENTION_DEFAULT, |days| Duration::from_secs(u64::from(days) * 24 * 3600))
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
