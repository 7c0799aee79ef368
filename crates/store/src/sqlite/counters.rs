//! What a batch adds to the ledger and to the statistics, summed in memory and written once per batch.

use std::collections::BTreeMap;

use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState};
use postrider_domain::id::{TenantId, WebhookId};
use postrider_domain::time::Timestamp;
use rusqlite::{Connection, params};

use super::int;
use crate::work::AttemptRow;
use crate::{LATENCY_BUCKETS_MS, StoreError};

const LEDGER: &str =
    "INSERT INTO ledger_hour (tenant_id, hour_ms, kind, accepted, delivered, failed, cancelled)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
  ON CONFLICT (tenant_id, hour_ms, kind) DO UPDATE SET accepted = accepted + excluded.accepted,
    delivered = delivered + excluded.delivered, failed = failed + excluded.failed,
    cancelled = cancelled + excluded.cancelled";
const WEBHOOK: &str =
    "INSERT INTO webhook_hour (tenant_id, webhook_id, hour_ms, attempts, succeeded, last_fired_ms,
    le_10ms, le_30ms, le_100ms, le_300ms, le_1s, le_3s, le_10s, over_10s)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
  ON CONFLICT (tenant_id, webhook_id, hour_ms) DO UPDATE SET attempts = attempts + excluded.attempts,
    succeeded = succeeded + excluded.succeeded, last_fired_ms = MAX(last_fired_ms, excluded.last_fired_ms),
    le_10ms = le_10ms + excluded.le_10ms, le_30ms = le_30ms + excluded.le_30ms,
    le_100ms = le_100ms + excluded.le_100ms, le_300ms = le_300ms + excluded.le_300ms,
    le_1s = le_1s + excluded.le_1s, le_3s = le_3s + excluded.le_3s, le_10s = le_10s + excluded.le_10s,
    over_10s = over_10s + excluded.over_10s";

/// Sorted maps: rows are written in the order of their keys.
#[derive(Default)]
pub(crate) struct Counters {
    ledger: BTreeMap<(TenantId, Timestamp, DeliveryKind), Ledger>,
    webhooks: BTreeMap<(TenantId, WebhookId, Timestamp), Webhook>,
}

#[derive(Default)]
struct Ledger {
    accepted: u64,
    delivered: u64,
    failed: u64,
    cancelled: u64,
}

#[derive(Default)]
struct Webhook {
    attempts: u64,
    succeeded: u64,
    last_fired: Timestamp,
    latency: [u64; LATENCY_BUCKETS_MS.len() + 1],
}

impl Counters {
    pub(super) fn accepted(&mut self, tenant: TenantId, at: Timestamp, kind: DeliveryKind) {
        self.ledger.entry((tenant, at.hour(), kind)).or_default().accepted += 1;
    }

    /// A delivery came to `state`; only final states count.
    pub(super) fn ended(
        &mut self,
        tenant: TenantId,
        at: Timestamp,
        kind: DeliveryKind,
        state: DeliveryState,
    ) {
        if !state.is_final() {
            return;
        }
        let ledger = self.ledger.entry((tenant, at.hour(), kind)).or_default();
        match state {
            DeliveryState::Delivered => ledger.delivered += 1,
            DeliveryState::Failed => ledger.failed += 1,
            DeliveryState::Cancelled => ledger.cancelled += 1,
            DeliveryState::Scheduled | DeliveryState::Sending => {}
        }
    }

    /// Tests count in no statistic. Of an attempt whose outcome was lost there is no latency to count.
    pub(super) fn attempted(
        &mut self,
        tenant: TenantId,
        webhook: WebhookId,
        kind: DeliveryKind,
        attempt: &AttemptRow,
    ) {
        if kind == DeliveryKind::Test {
            return;
        }
        let row = self.webhooks.entry((tenant, webhook, attempt.started.hour())).or_default();
        row.attempts += 1;
        row.last_fired = row.last_fired.max(attempt.started);
        if attempt.class == AttemptClass::Success {
            row.succeeded += 1;
        }
        if attempt.class != AttemptClass::Unknown {
            let took_us = attempt.timing.total_us;
            let bucket = LATENCY_BUCKETS_MS.iter().position(|bound_ms| took_us <= bound_ms * 1000);
            row.latency[bucket.unwrap_or(LATENCY_BUCKETS_MS.len())] += 1;
        }
    }

    pub(crate) fn write(self, connection: &Connection) -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(LEDGER)?;
        for ((tenant, hour, kind), sum) in self.ledger {
            statement.execute(params![
                tenant.as_bytes(),
                hour.unix_ms(),
                kind.code(),
                int(sum.accepted),
                int(sum.delivered),
                int(sum.failed),
                int(sum.cancelled),
            ])?;
        }
        let mut statement = connection.prepare_cached(WEBHOOK)?;
        for ((tenant, webhook, hour), sum) in self.webhooks {
            let [l0, l1, l2, l3, l4, l5, l6, l7] = sum.latency.map(int);
            statement.execute(params![
                tenant.as_bytes(),
                webhook.as_bytes(),
                hour.unix_ms(),
                int(sum.attempts),
                int(sum.succeeded),
                sum.last_fired.unix_ms(),
                l0,
                l1,
                l2,
                l3,
                l4,
                l5,
                l6,
                l7,
            ])?;
        }
        Ok(())
    }
}
