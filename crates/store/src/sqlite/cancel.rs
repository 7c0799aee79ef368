//! What ends or moves many scheduled deliveries at once, in bounded transactions.

use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Sqlite;
use super::writer::Batch;
use super::{code, id};
use crate::StoreError;

/// Rows changed in one transaction: accepting must not notice.
const ROWS_MAX: usize = limits::RETENTION_BATCH_ROWS;

/// Index: `delivery_due`. What was made after the cause is not its business: a webhook that is on again gets it.
const SCHEDULED: &str = "SELECT id, kind FROM delivery
  WHERE tenant_id = ?1 AND webhook_id = ?2 AND state = 0 AND due_ms < ?3 AND created_ms <= ?5 ORDER BY due_ms LIMIT ?4";
/// Index: the primary key.
const END: &str = "UPDATE delivery SET state = ?3, reason = ?4, settled_ms = ?5, due_ms = NULL
  WHERE tenant_id = ?1 AND id = ?2 AND state = 0";
/// The next webhook that has something scheduled. Index: `delivery_due`.
const NEXT_WEBHOOK: &str = "SELECT webhook_id FROM delivery
  WHERE tenant_id = ?1 AND webhook_id > ?2 AND state = 0 ORDER BY webhook_id LIMIT 1";
/// Index: `delivery_due`. What was moved has a due time of now, so a batch never meets it again.
const WAITING_FOR_SCAN: &str = "SELECT id FROM delivery
  WHERE tenant_id = ?1 AND webhook_id = ?2 AND state = 0 AND due_ms > ?3 AND reason = ?4 ORDER BY due_ms LIMIT ?5";
/// Index: the primary key.
const MOVE: &str = "UPDATE delivery SET due_ms = ?3, reason = ?4 WHERE tenant_id = ?1 AND id = ?2";

struct Cancel {
    now: Timestamp,
    tenant: TenantId,
    webhook: WebhookId,
    reason: Reason,
    due_before: Timestamp,
}

struct MakeDue {
    now: Timestamp,
    tenant: TenantId,
    /// Webhooks up to this one are done.
    after: [u8; 16],
}

impl Sqlite {
    pub(crate) async fn delivery_cancel(
        &self,
        now: Timestamp,
        tenant: TenantId,
        webhook: WebhookId,
        reason: Reason,
        due_before: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let due_before = due_before.unwrap_or(Timestamp::from_unix_ms(i64::MAX));
        let mut all = 0;
        loop {
            let input = Cancel { now, tenant, webhook, reason, due_before };
            let ended = self.writer.call(ROWS_MAX, input, cancel).await?;
            all += ended as u64;
            if ended < ROWS_MAX {
                return Ok(all);
            }
        }
    }

    pub(crate) async fn delivery_make_due(
        &self,
        now: Timestamp,
        tenant: TenantId,
    ) -> Result<u64, StoreError> {
        let mut all = 0;
        let mut after = [0; 16];
        loop {
            let (moved, done_until) =
                self.writer.call(ROWS_MAX, MakeDue { now, tenant, after }, make_due).await?;
            all += moved;
            match done_until {
                Some(webhook) => after = webhook,
                None => return Ok(all),
            }
        }
    }
}

fn cancel(batch: &mut Batch<'_>, cancel: &mut Cancel) -> Result<usize, StoreError> {
    let rows: Vec<(DeliveryId, i64)> = batch
        .connection
        .prepare_cached(SCHEDULED)?
        .query_map(
            params![
                cancel.tenant.as_bytes(),
                cancel.webhook.as_bytes(),
                cancel.due_before.unix_ms(),
                ROWS_MAX as i64,
                cancel.now.unix_ms(),
            ],
            |row| Ok((id(row, 0, DeliveryId::from_bytes)?, row.get(1)?)),
        )?
        .collect::<Result<_, _>>()?;
    for (delivery, kind) in &rows {
        let kind = code(DeliveryKind::from_code(*kind), "delivery kind")?;
        end(batch, cancel.tenant, *delivery, kind, cancel.now, DeliveryState::Cancelled, cancel.reason)?;
    }
    Ok(rows.len())
}

/// A scheduled delivery ends without an attempt.
pub(super) fn end(
    batch: &mut Batch<'_>,
    tenant: TenantId,
    delivery: DeliveryId,
    kind: DeliveryKind,
    now: Timestamp,
    state: DeliveryState,
    reason: Reason,
) -> Result<(), StoreError> {
    let changed = batch.execute(
        END,
        params![tenant.as_bytes(), delivery.as_bytes(), state.code(), reason.code(), now.unix_ms()],
    )?;
    if changed == 1 {
        batch.counters.ended(tenant, now, kind, state);
    }
    Ok(())
}

/// Answers how many were moved and, unless all webhooks are done, up to which they are.
fn make_due(batch: &mut Batch<'_>, due: &mut MakeDue) -> Result<(u64, Option<[u8; 16]>), StoreError> {
    let mut moved = 0;
    let mut after = due.after;
    loop {
        let next: Option<[u8; 16]> = batch
            .connection
            .prepare_cached(NEXT_WEBHOOK)?
            .query_row(params![due.tenant.as_bytes(), after], |row| row.get(0))
            .optional()?;
        let Some(webhook) = next else { return Ok((moved as u64, None)) };
        let limit = ROWS_MAX - moved;
        let rows: Vec<[u8; 16]> = batch
            .connection
            .prepare_cached(WAITING_FOR_SCAN)?
            .query_map(
                params![
                    due.tenant.as_bytes(),
                    webhook,
                    due.now.unix_ms(),
                    Reason::WaitingForScan.code(),
                    limit as i64
                ],
                |row| row.get(0),
            )?
            .collect::<Result<_, _>>()?;
        for delivery in &rows {
            batch.execute(
                MOVE,
                params![due.tenant.as_bytes(), delivery, due.now.unix_ms(), Reason::Waiting.code()],
            )?;
        }
        moved += rows.len();
        if moved >= ROWS_MAX {
            return Ok((moved as u64, Some(after)));
        }
        after = webhook;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        for (sql, plan) in [
            (SCHEDULED, &["delivery_due (tenant_id=? AND webhook_id=? AND due_ms<?)"][..]),
            (END, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
            (NEXT_WEBHOOK, &["delivery_due (tenant_id=? AND webhook_id>?)"][..]),
            (WAITING_FOR_SCAN, &["delivery_due (tenant_id=? AND webhook_id=? AND due_ms>?)"][..]),
            (MOVE, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
        ] {
            plans::check(sql, plan);
        }
    }
}
