//! `lease_reap`: claims whose holder is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_domain::id::{DeliveryId, EventId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::settle::{self, RESEND, Settle};
use super::{Postgres, code, in_time};
use crate::work::{AfterCrash, AttemptRow, ReapReport, Settlement};
use crate::{AfterCrashRule, StoreError};

const ROWS_MAX: i64 = limits::RETENTION_BATCH_ROWS as i64;

/// A node's claims that ran out; of another node only while that is not alive, by the database's clock. `$6`: this node.
/// Index: `delivery_sending`.
const RUN_OUT: &str =
    "SELECT tenant_id, id, event_id, webhook_id, kind, fence, attempts, step, resend, claimed_ms
  FROM delivery_open WHERE state = 1 AND node_id = $1 AND lease_ms < $2 AND (tenant_id, id) > ($3, $4)
    AND ($1 = $6 OR NOT EXISTS (SELECT 1 FROM node WHERE id = $1 AND alive_until > clock_timestamp()))
  ORDER BY tenant_id, id LIMIT $5 FOR UPDATE SKIP LOCKED";
/// Who holds claims and is not alive, by the database's clock, known by a row or not. Index: `delivery_sending`, from one
/// holder to the next.
const DEAD_HOLDERS: &str = "WITH RECURSIVE holder (id) AS (
    (SELECT node_id FROM delivery_open WHERE node_id IS NOT NULL ORDER BY node_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.node_id FROM delivery_open d WHERE d.node_id > h.id ORDER BY d.node_id LIMIT 1)
    FROM holder h WHERE h.id IS NOT NULL)
  SELECT id FROM holder WHERE id <> $1 AND id NOT IN (SELECT id FROM node WHERE alive_until > clock_timestamp())";

impl Postgres {
    pub(crate) async fn lease_reap(
        &self,
        now: Timestamp,
        expired_before: Option<Timestamp>,
        rule: AfterCrashRule,
    ) -> Result<ReapReport, StoreError> {
        let mut report = ReapReport::default();
        let mut due = BTreeSet::new();
        let expired_before = expired_before.map_or(i64::MAX, Timestamp::unix_ms);
        self.reap_all(self.node.id, now, expired_before, &rule, &mut report, &mut due).await?;
        if self.node.may_take_over() {
            let dead = self.node.dead();
            let holders = sqlx::query_scalar(DEAD_HOLDERS).bind(self.node.id).fetch_all(&self.pool);
            for holder in in_time(holders).await? {
                self.reap_all(holder, now, i64::MAX, &rule, &mut report, &mut due).await?;
            }
            self.node.took_over_from(dead, &self.pool).await?;
        }
        report.due = due.into_iter().collect();
        Ok(report)
    }

    async fn reap_all(
        &self,
        holder: Uuid,
        now: Timestamp,
        expired_before: i64,
        rule: &AfterCrashRule,
        report: &mut ReapReport,
        due: &mut BTreeSet<(TenantId, WebhookId)>,
    ) -> Result<(), StoreError> {
        let mut after = (Uuid::nil(), Uuid::nil());
        loop {
            let mut tx = in_time(self.pool.begin()).await?;
            let rows = sqlx::query(RUN_OUT)
                .bind(holder)
                .bind(expired_before)
                .bind(after.0)
                .bind(after.1)
                .bind(ROWS_MAX)
                .bind(self.node.id)
                .fetch_all(&mut *tx);
            let rows = in_time(rows).await?;
            let mut settles = Vec::with_capacity(rows.len());
            for row in &rows {
                after = (row.try_get("tenant_id")?, row.try_get("id")?);
                let tenant = TenantId::from_bytes(after.0.into_bytes());
                if let Some(after_crash) = rule(tenant, DeliveryId::from_bytes(after.1.into_bytes())) {
                    settles.push(lost(row, tenant, now, after_crash)?);
                }
            }
            let (again, failed): (Vec<Settle>, Vec<Settle>) =
                settles.into_iter().partition(|settle| settle.settlement.state == DeliveryState::Scheduled);
            for some in [&again, &failed] {
                if !some.is_empty() {
                    in_time(settle::write_with(&mut tx, some, self.writer(), RESEND)).await?;
                }
            }
            in_time(tx.commit()).await?;
            report.sent_again += again.len() as u64;
            report.failed += failed.len() as u64;
            due.extend(again.iter().map(|settle| (settle.tenant, settle.settlement.webhook)));
            if (rows.len() as i64) < ROWS_MAX {
                return Ok(());
            }
        }
    }
}

/// The result of an attempt of which nobody knows how it went.
fn lost(
    row: &PgRow,
    tenant: TenantId,
    now: Timestamp,
    after_crash: AfterCrash,
) -> Result<Settle, StoreError> {
    let id = |name| Ok::<_, StoreError>(row.try_get::<Uuid, _>(name)?.into_bytes());
    let count = |name| Ok::<_, StoreError>(u32::try_from(row.try_get::<i32, _>(name)?).unwrap_or(0));
    let claimed = Timestamp::from_unix_ms(row.try_get::<Option<i64>, _>("claimed_ms")?.unwrap_or(0));
    let resend = row.try_get::<i16, _>("resend")? == RESEND;
    let (state, reason, due) = match after_crash {
        AfterCrash::SendAgain => (DeliveryState::Scheduled, Reason::Interrupted, Some(now)),
        AfterCrash::Fail => (DeliveryState::Failed, Reason::OutcomeUnknown, None),
    };
    Ok(Settle {
        tenant,
        at: now,
        settlement: Settlement {
            delivery: DeliveryId::from_bytes(id("id")?),
            event: EventId::from_bytes(id("event_id")?),
            webhook: WebhookId::from_bytes(id("webhook_id")?),
            kind: code(DeliveryKind::from_code(row.try_get::<i16, _>("kind")?.into()), "delivery kind")?,
            fence: row.try_get("fence")?,
            attempt: Arc::new(AttemptRow::unknown(count("attempts")?, claimed, resend)),
            state,
            reason,
            due,
            step: count("step")?,
        },
    })
}
