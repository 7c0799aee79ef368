//! `retention_sweep`: history that has been kept long enough goes, in bounded statements. Whole days that nobody keeps any
//! more are dropped by their partition (`days`); this is for tenants who keep less than others.

use std::time::Duration;

use postrider_domain::id::{EventId, TenantId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use sqlx::Row as _;
use uuid::Uuid;

use super::{Postgres, in_time, uuid};
use crate::StoreError;
use crate::work::{FIRST_DELIVERY_SHARED_BYTES, Swept};

const ROWS_MAX: usize = limits::RETENTION_BATCH_ROWS;
/// How long the hourly statistics of a webhook are kept: a month, and a day for the month's ends in all zones.
const HOURS_KEPT: Duration = Duration::from_secs(32 * 24 * 3600);

/// Index: the primary key.
const EVENTS: &str = "SELECT id FROM event WHERE tenant_id = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT $4";
/// An event is needed while a delivery of it is open, or was made anew since. Indexes: the primary key of what is unfinished
/// by the range of the first deliveries' ids; `delivery_open_replay`; `delivery_replay`.
const NEEDED: &str = "SELECT 1 AS one
  WHERE EXISTS (SELECT 1 FROM delivery_open WHERE tenant_id = $1 AND id BETWEEN $4 AND $5 AND event_id = $2)
  OR EXISTS (SELECT 1 FROM delivery_open WHERE tenant_id = $1 AND event_id = $2 AND kind = 2)
  OR EXISTS (SELECT 1 FROM delivery_settled WHERE tenant_id = $1 AND event_id = $2 AND kind = 2 AND created_ms >= $3)";
/// Indexes: the primary key by the range that an event shares with its first deliveries; `delivery_replay`.
const DELIVERIES: &str = "SELECT id FROM delivery_settled WHERE tenant_id = $1 AND id BETWEEN $3 AND $4 AND event_id = $2 AND kind <> 2
  UNION ALL SELECT id FROM delivery_settled WHERE tenant_id = $1 AND event_id = $2 AND kind = 2
  LIMIT $5";
/// Indexes: the primary keys.
const DELIVERIES_DELETE: &str =
    "WITH tried AS (DELETE FROM attempt WHERE tenant_id = $1 AND delivery_id = ANY($2) RETURNING 1),
    elsewhere AS (DELETE FROM delivery_elsewhere WHERE tenant_id = $1 AND delivery_id = ANY($2)),
    ended AS (DELETE FROM delivery_settled WHERE tenant_id = $1 AND id = ANY($2) RETURNING 1)
  SELECT (SELECT COUNT(*) FROM tried) AS attempts, (SELECT COUNT(*) FROM ended) AS deliveries";
/// Indexes: the primary keys.
const EVENT_DELETE: &str =
    "WITH gone AS (DELETE FROM event WHERE tenant_id = $1 AND id = $2 RETURNING tenant_id, external_id, id)
  DELETE FROM event_external x USING gone g
  WHERE x.tenant_id = g.tenant_id AND x.external_id = g.external_id AND x.event_id = g.id";
/// Index: `idempotency_created`.
const IDEMPOTENCY_DELETE: &str = "DELETE FROM idempotency WHERE (scope, key) IN
  (SELECT scope, key FROM idempotency WHERE created_ms <= $1 ORDER BY created_ms LIMIT $2)";
/// All hours but a webhook's last, which knows when it fired last. Index: the primary key.
const HOURS_DELETE: &str =
    "DELETE FROM webhook_part WHERE tenant_id = $1 AND (webhook_id, hour_ms, writer) IN
  (SELECT webhook_id, hour_ms, writer FROM webhook_part h WHERE tenant_id = $1 AND hour_ms < $2
     AND EXISTS (SELECT 1 FROM webhook_part n WHERE n.tenant_id = h.tenant_id AND n.webhook_id = h.webhook_id
                   AND n.hour_ms > h.hour_ms) LIMIT $3)";

impl Postgres {
    pub(crate) async fn retention_sweep(
        &self,
        now: Timestamp,
        tenant: TenantId,
        kept: Duration,
    ) -> Result<Swept, StoreError> {
        let before = now.minus(kept);
        let mut swept = Swept::default();
        let mut after = Uuid::nil();
        loop {
            let events = sqlx::query(EVENTS)
                .bind(uuid(tenant.as_bytes()))
                .bind(after)
                .bind(uuid(EventId::lowest_at(before).as_bytes()))
                .bind(ROWS_MAX as i64)
                .fetch_all(&self.pool);
            let events = in_time(events).await?;
            for row in &events {
                after = row.try_get("id")?;
                self.sweep_event(tenant, after, before, &mut swept).await?;
            }
            if events.len() < ROWS_MAX {
                break;
            }
        }
        let before = now.minus(HOURS_KEPT).hour();
        while self.delete_some(HOURS_DELETE, Some(tenant), before).await? == ROWS_MAX as u64 {}
        Ok(swept)
    }

    async fn sweep_event(
        &self,
        tenant: TenantId,
        event: Uuid,
        before: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let tenant = uuid(tenant.as_bytes());
        let mut first = event.into_bytes();
        first[FIRST_DELIVERY_SHARED_BYTES..].fill(0);
        let mut last = first;
        last[FIRST_DELIVERY_SHARED_BYTES..].fill(0xff);
        let (first, last) = (Uuid::from_bytes(first), Uuid::from_bytes(last));
        let needed = sqlx::query(NEEDED)
            .bind(tenant)
            .bind(event)
            .bind(before.unix_ms())
            .bind(first)
            .bind(last)
            .fetch_optional(&self.pool);
        let needed = in_time(needed).await?;
        if needed.is_some() {
            return Ok(());
        }
        loop {
            let deliveries = sqlx::query_scalar(DELIVERIES)
                .bind(tenant)
                .bind(event)
                .bind(first)
                .bind(last)
                .bind(ROWS_MAX as i64)
                .fetch_all(&self.pool);
            let deliveries: Vec<Uuid> = in_time(deliveries).await?;
            if deliveries.is_empty() {
                break;
            }
            let gone = sqlx::query(DELIVERIES_DELETE).bind(tenant).bind(&deliveries).fetch_one(&self.pool);
            let row = in_time(gone).await?;
            swept.attempts += row.try_get::<i64, _>("attempts")?.unsigned_abs();
            swept.deliveries += row.try_get::<i64, _>("deliveries")?.unsigned_abs();
            if deliveries.len() < ROWS_MAX {
                break;
            }
        }
        in_time(sqlx::query(EVENT_DELETE).bind(tenant).bind(event).execute(&self.pool)).await?;
        swept.events += 1;
        Ok(())
    }

    pub(crate) async fn idempotency_sweep(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let forgotten = self.delete_some(IDEMPOTENCY_DELETE, None, before).await?;
            all += forgotten;
            if forgotten < ROWS_MAX as u64 {
                return Ok(all);
            }
        }
    }

    async fn delete_some(
        &self,
        sql: &'static str,
        tenant: Option<TenantId>,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut query = sqlx::query(sql);
        if let Some(tenant) = tenant {
            query = query.bind(uuid(tenant.as_bytes()));
        }
        let done = in_time(query.bind(before.unix_ms()).bind(ROWS_MAX as i64).execute(&self.pool)).await?;
        Ok(done.rows_affected())
    }
}
