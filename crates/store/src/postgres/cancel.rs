//! What ends or moves many scheduled deliveries at once, in bounded statements.

use postrider_domain::delivery::{DeliveryState, Reason};
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use sqlx::Row as _;

use super::{Postgres, in_time, small, uuid};
use crate::StoreError;

/// Rows changed in one statement: accepting must not notice.
const ROWS_MAX: i64 = limits::RETENTION_BATCH_ROWS as i64;

/// What has ended moves to the history and is counted, in one statement.
macro_rules! ended {
    ($picked:literal) => {
        concat!(
            "WITH picked AS (",
            $picked,
            "), ended AS (
    DELETE FROM delivery_open d USING picked p WHERE d.tenant_id = p.tenant_id AND d.id = p.id AND d.state = 0
    RETURNING d.tenant_id, d.id, d.event_id, d.webhook_id, d.kind, d.last_class, d.attempts, d.step, d.fence, d.created_ms,
      d.last_status),
  kept AS (
    INSERT INTO delivery_settled (tenant_id, id, event_id, webhook_id, kind, state, reason, last_class, attempts, step,
      fence, created_ms, settled_ms, last_status)
    SELECT tenant_id, id, event_id, webhook_id, kind, $3, $4, last_class, attempts, step, fence, created_ms, $5, last_status
    FROM ended),
  counted AS (
    INSERT INTO ledger_part (tenant_id, hour_ms, kind, writer, accepted, delivered, failed, cancelled)
    SELECT tenant_id, $5 / 3600000 * 3600000, kind, $6, 0, 0, COUNT(*) FILTER (WHERE $3 = 3), COUNT(*) FILTER (WHERE $3 = 4)
    FROM ended GROUP BY tenant_id, kind ORDER BY tenant_id, kind
    ON CONFLICT (tenant_id, hour_ms, kind, writer) DO UPDATE SET failed = ledger_part.failed + excluded.failed,
      cancelled = ledger_part.cancelled + excluded.cancelled)
  SELECT COUNT(*) AS n FROM ended"
        )
    };
}

/// Index: `delivery_due`. What was made after the cause is not its business: a webhook that is on again gets it.
const CANCEL: &str = ended!(
    "SELECT tenant_id, id FROM delivery_open WHERE tenant_id = $1 AND webhook_id = $2 AND state = 0 AND due_ms < $7
      AND created_ms <= $5 ORDER BY due_ms LIMIT $8 FOR UPDATE SKIP LOCKED"
);
/// Index: the primary key.
const END_ONE: &str = ended!(
    "SELECT tenant_id, id FROM delivery_open WHERE tenant_id = $1 AND id = $7 AND webhook_id = $2 AND state = 0 FOR UPDATE"
);
/// Index: `delivery_due`, of each of the tenant's webhooks that has something scheduled.
const MAKE_DUE: &str = "WITH picked AS (
    SELECT tenant_id, id FROM delivery_open WHERE tenant_id = $1 AND state = 0 AND due_ms > $2 AND reason = $3
    ORDER BY webhook_id, due_ms LIMIT $5 FOR UPDATE SKIP LOCKED)
  UPDATE delivery_open d SET due_ms = $2, reason = $4 FROM picked p WHERE d.tenant_id = p.tenant_id AND d.id = p.id";

impl Postgres {
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
            let cancelled = sqlx::query(CANCEL)
                .bind(uuid(tenant.as_bytes()))
                .bind(uuid(webhook.as_bytes()))
                .bind(small(DeliveryState::Cancelled.code()))
                .bind(small(reason.code()))
                .bind(now.unix_ms())
                .bind(self.writer())
                .bind(due_before.unix_ms())
                .bind(ROWS_MAX)
                .fetch_one(&self.pool);
            let ended: i64 = in_time(cancelled).await?.try_get("n")?;
            all += ended.unsigned_abs();
            if ended < ROWS_MAX {
                return Ok(all);
            }
        }
    }

    /// Ends a scheduled delivery without an attempt.
    pub(super) async fn end_one(
        &self,
        now: Timestamp,
        tenant: TenantId,
        webhook: WebhookId,
        delivery: DeliveryId,
        state: DeliveryState,
        reason: Reason,
    ) -> Result<(), StoreError> {
        let ended = sqlx::query(END_ONE)
            .bind(uuid(tenant.as_bytes()))
            .bind(uuid(webhook.as_bytes()))
            .bind(small(state.code()))
            .bind(small(reason.code()))
            .bind(now.unix_ms())
            .bind(self.writer())
            .bind(uuid(delivery.as_bytes()))
            .execute(&self.pool);
        in_time(ended).await?;
        Ok(())
    }

    pub(crate) async fn delivery_make_due(
        &self,
        now: Timestamp,
        tenant: TenantId,
    ) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let moved = sqlx::query(MAKE_DUE)
                .bind(uuid(tenant.as_bytes()))
                .bind(now.unix_ms())
                .bind(small(Reason::WaitingForScan.code()))
                .bind(small(Reason::Waiting.code()))
                .bind(ROWS_MAX)
                .execute(&self.pool);
            let moved = in_time(moved).await?.rows_affected();
            all += moved;
            if moved < ROWS_MAX.unsigned_abs() {
                return Ok(all);
            }
        }
    }
}
