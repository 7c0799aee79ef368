//! `retention_sweep`: history that has been kept long enough goes, in bounded transactions.

use std::time::Duration;

use postrider_domain::id::{EventId, TenantId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use rusqlite::params;

use super::Sqlite;
use super::id;
use super::writer::Batch;
use crate::StoreError;
use crate::work::{FIRST_DELIVERY_SHARED_BYTES, Swept};

const ROWS_MAX: usize = limits::RETENTION_BATCH_ROWS;
/// How long the hourly statistics of a webhook are kept: a month, and a day for the month's ends in all zones.
const HOURS_KEPT: Duration = Duration::from_secs(32 * 24 * 3600);

/// Index: `event_id`.
const EVENTS: &str = "SELECT id FROM event WHERE tenant_id = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?4";
/// All of an event's deliveries: the first ones by the range of the primary key, replays by `delivery_replay`.
const DELIVERIES: &str = "SELECT id, state, created_ms FROM delivery
    WHERE tenant_id = ?1 AND id BETWEEN ?3 AND ?4 AND event_id = ?2 AND kind <> 2
  UNION ALL SELECT id, state, created_ms FROM delivery WHERE tenant_id = ?1 AND event_id = ?2 AND kind = 2";
/// Index: the primary key.
const ATTEMPTS_DELETE: &str = "DELETE FROM attempt WHERE tenant_id = ?1 AND delivery_id = ?2";
/// Index: the primary key.
const ELSEWHERE_DELETE: &str = "DELETE FROM delivery_elsewhere WHERE tenant_id = ?1 AND delivery_id = ?2";
/// Index: the primary key.
const DELIVERY_DELETE: &str = "DELETE FROM delivery WHERE tenant_id = ?1 AND id = ?2";
/// Index: `event_id`.
const EVENT_DELETE: &str = "DELETE FROM event WHERE tenant_id = ?1 AND id = ?2";
/// Index: `idempotency_created`.
const IDEMPOTENCY_DELETE: &str = "DELETE FROM idempotency WHERE (scope, key) IN
  (SELECT scope, key FROM idempotency WHERE created_ms <= ?1 ORDER BY created_ms LIMIT ?2)";
/// All hours but a webhook's last, which knows when it fired last. Index: the primary key.
const HOURS_DELETE: &str = "DELETE FROM webhook_hour WHERE tenant_id = ?1 AND (webhook_id, hour_ms) IN
  (SELECT webhook_id, hour_ms FROM webhook_hour h WHERE tenant_id = ?1 AND hour_ms < ?2
     AND EXISTS (SELECT 1 FROM webhook_hour n WHERE n.tenant_id = h.tenant_id AND n.webhook_id = h.webhook_id
                   AND n.hour_ms > h.hour_ms) LIMIT ?3)";

struct Retention {
    tenant: TenantId,
    /// What was accepted before this goes.
    before: Timestamp,
    /// Events up to this one were looked at.
    after: EventId,
}

struct Hours {
    tenant: TenantId,
    before: Timestamp,
}

impl Sqlite {
    pub(crate) async fn retention_sweep(
        &self,
        now: Timestamp,
        tenant: TenantId,
        kept: Duration,
    ) -> Result<Swept, StoreError> {
        let before = now.minus(kept);
        let mut all = Swept::default();
        let mut after = EventId::from_bytes([0; 16]);
        loop {
            let (swept, looked_at) =
                self.writer.call(ROWS_MAX, Retention { tenant, before, after }, sweep).await?;
            all.events += swept.events;
            all.deliveries += swept.deliveries;
            all.attempts += swept.attempts;
            match looked_at {
                Some(event) => after = event,
                None => break,
            }
        }
        let before = now.minus(HOURS_KEPT).hour();
        while self.writer.call(ROWS_MAX, Hours { tenant, before }, sweep_hours).await? == ROWS_MAX {}
        Ok(all)
    }

    pub(crate) async fn idempotency_sweep(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let forgotten = self.writer.call(ROWS_MAX, before, sweep_idempotency).await?;
            all += forgotten as u64;
            if forgotten < ROWS_MAX {
                return Ok(all);
            }
        }
    }
}

/// Answers what went and, unless all is done, up to which event.
fn sweep(batch: &mut Batch<'_>, retention: &mut Retention) -> Result<(Swept, Option<EventId>), StoreError> {
    let mut swept = Swept::default();
    let mut looked_at = retention.after;
    let events = old_events(batch, retention)?;
    for event in &events {
        let deliveries = deliveries(batch, retention, *event)?;
        if let Some(deliveries) = deliveries {
            for delivery in deliveries {
                if rows(&swept) >= ROWS_MAX as u64 {
                    // The rest of this event goes with the next batch.
                    return Ok((swept, Some(looked_at)));
                }
                let key = params![retention.tenant.as_bytes(), delivery];
                swept.attempts += batch.execute(ATTEMPTS_DELETE, key)? as u64;
                batch.execute(ELSEWHERE_DELETE, key)?;
                swept.deliveries += batch.execute(DELIVERY_DELETE, key)? as u64;
            }
            swept.events +=
                batch.execute(EVENT_DELETE, params![retention.tenant.as_bytes(), event.as_bytes()])? as u64;
        }
        looked_at = *event;
        if rows(&swept) >= ROWS_MAX as u64 {
            return Ok((swept, Some(looked_at)));
        }
    }
    Ok((swept, (events.len() == ROWS_MAX).then_some(looked_at)))
}

fn rows(swept: &Swept) -> u64 {
    swept.events + swept.deliveries + swept.attempts
}

fn old_events(batch: &mut Batch<'_>, retention: &Retention) -> Result<Vec<EventId>, StoreError> {
    let border = EventId::lowest_at(retention.before);
    let statement = batch.statement(EVENTS)?;
    let rows = statement.query_map(
        params![retention.tenant.as_bytes(), retention.after.as_bytes(), border.as_bytes(), ROWS_MAX as i64],
        |row| id(row, 0, EventId::from_bytes),
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The deliveries that go with an event; `None` when one of them keeps it.
fn deliveries(
    batch: &mut Batch<'_>,
    retention: &Retention,
    event: EventId,
) -> Result<Option<Vec<[u8; 16]>>, StoreError> {
    let mut first = *event.as_bytes();
    first[FIRST_DELIVERY_SHARED_BYTES..].fill(0);
    let mut last = first;
    last[FIRST_DELIVERY_SHARED_BYTES..].fill(0xff);
    let statement = batch.statement(DELIVERIES)?;
    let mut rows = statement.query(params![retention.tenant.as_bytes(), event.as_bytes(), first, last])?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        let state: i64 = row.get(1)?;
        let created: i64 = row.get(2)?;
        if state < 2 || created >= retention.before.unix_ms() {
            return Ok(None);
        }
        deliveries.push(row.get(0)?);
    }
    Ok(Some(deliveries))
}

fn sweep_hours(batch: &mut Batch<'_>, hours: &mut Hours) -> Result<usize, StoreError> {
    batch.execute(HOURS_DELETE, params![hours.tenant.as_bytes(), hours.before.unix_ms(), ROWS_MAX as i64])
}

fn sweep_idempotency(batch: &mut Batch<'_>, before: &mut Timestamp) -> Result<usize, StoreError> {
    batch.execute(IDEMPOTENCY_DELETE, params![before.unix_ms(), ROWS_MAX as i64])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        for (sql, plan) in [
            (EVENTS, &["event_id (tenant_id=? AND id>? AND id<?)"][..]),
            (
                DELIVERIES,
                &["PRIMARY KEY (id>? AND id<?)", "delivery_replay (tenant_id=? AND event_id=?)"][..],
            ),
            (ATTEMPTS_DELETE, &["PRIMARY KEY (delivery_id=?)"][..]),
            (ELSEWHERE_DELETE, &["PRIMARY KEY (tenant_id=? AND delivery_id=?)"][..]),
            (DELIVERY_DELETE, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
            (EVENT_DELETE, &["event_id (tenant_id=? AND id=?)"][..]),
            (
                IDEMPOTENCY_DELETE,
                &["idempotency_1 (scope=? AND key=?)", "idempotency_created (created_ms<?)"][..],
            ),
            (
                HOURS_DELETE,
                &[
                    "PRIMARY KEY (tenant_id=? AND webhook_id=? AND hour_ms=?)",
                    "PRIMARY KEY (tenant_id=? AND webhook_id=? AND hour_ms>?)",
                ][..],
            ),
        ] {
            plans::check(sql, plan);
        }
    }
}
