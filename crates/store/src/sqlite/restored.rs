//! After a restore: what is open ends as failed, in bounded transactions.

use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_domain::time::Timestamp;
use rusqlite::params;

use super::writer::Batch;
use super::{Sqlite, cancel, code, id, ms, settle};
use crate::StoreError;
use crate::db::Value;
use crate::restored::{END_JOBS, INSTALLATION, JOB_ENDED, ROWS_MAX, Restored};
use crate::work::AttemptRow;

/// Index: `delivery_due`.
const SCHEDULED: &str = "SELECT tenant_id, id, kind FROM delivery WHERE state = 0
  ORDER BY tenant_id, webhook_id, due_ms LIMIT ?1";
/// By the log of claims, then the primary key.
const SENDING: &str =
    "SELECT tenant_id, id, webhook_id, kind, attempts, resend, claimed_ms FROM sending LIMIT ?1";
/// Index: the primary key.
const END_SENDING: &str =
    "UPDATE delivery SET state = ?3, reason = ?4, settled_ms = ?5, resend = 0, claimed_ms = NULL,
    lease_ms = NULL, last_class = ?6, last_status = NULL
  WHERE tenant_id = ?1 AND id = ?2 AND state = 1";

impl Sqlite {
    pub(crate) async fn end_open(&self, now: Timestamp) -> Result<Restored, StoreError> {
        let mut restored = Restored::default();
        for (run, count) in [
            (
                end_sending as fn(&mut Batch<'_>, &mut Timestamp) -> Result<usize, StoreError>,
                &mut restored.sending,
            ),
            (end_scheduled, &mut restored.scheduled),
        ] {
            loop {
                let ended = self.writer.call(ROWS_MAX, now, run).await?;
                *count += ended as u64;
                if ended < ROWS_MAX {
                    break;
                }
            }
        }
        let mut tx = self.write().await?;
        let values = [JOB_ENDED.into(), now.into(), Value::Id(Some(INSTALLATION))];
        restored.jobs = tx.execute(END_JOBS, &values).await?;
        tx.commit().await?;
        Ok(restored)
    }
}

fn end_scheduled(batch: &mut Batch<'_>, now: &mut Timestamp) -> Result<usize, StoreError> {
    let rows: Vec<(TenantId, DeliveryId, i64)> = batch
        .connection
        .prepare_cached(SCHEDULED)?
        .query_map(params![ROWS_MAX as i64], |row| {
            Ok((id(row, 0, TenantId::from_bytes)?, id(row, 1, DeliveryId::from_bytes)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (tenant, delivery, kind) in &rows {
        let kind = code(DeliveryKind::from_code(*kind), "delivery kind")?;
        cancel::end(batch, *tenant, *delivery, kind, *now, DeliveryState::Failed, Reason::Restored)?;
    }
    Ok(rows.len())
}

struct Sending {
    tenant: TenantId,
    delivery: DeliveryId,
    webhook: WebhookId,
    kind: i64,
    attempts: u32,
    resend: bool,
    claimed: Timestamp,
}

fn end_sending(batch: &mut Batch<'_>, now: &mut Timestamp) -> Result<usize, StoreError> {
    let rows: Vec<Sending> = batch
        .connection
        .prepare_cached(SENDING)?
        .query_map(params![ROWS_MAX as i64], |row| {
            Ok(Sending {
                tenant: id(row, 0, TenantId::from_bytes)?,
                delivery: id(row, 1, DeliveryId::from_bytes)?,
                webhook: id(row, 2, WebhookId::from_bytes)?,
                kind: row.get(3)?,
                attempts: row.get(4)?,
                resend: row.get(5)?,
                claimed: ms(row, 6)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    for row in &rows {
        let kind = code(DeliveryKind::from_code(row.kind), "delivery kind")?;
        batch.execute(
            END_SENDING,
            params![
                row.tenant.as_bytes(),
                row.delivery.as_bytes(),
                DeliveryState::Failed.code(),
                Reason::Restored.code(),
                now.unix_ms(),
                AttemptClass::Unknown.code(),
            ],
        )?;
        let attempt = AttemptRow::unknown(row.attempts, row.claimed, row.resend);
        settle::write_attempt(batch, row.tenant, row.delivery, row.webhook, kind, &attempt)?;
        batch.counters.ended(row.tenant, *now, kind, DeliveryState::Failed);
        batch.claims.ended(row.delivery);
    }
    if rows.len() < ROWS_MAX {
        batch.claims.look(batch.connection)?;
    }
    Ok(rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        for (sql, plan) in [
            (SCHEDULED, "COVERING INDEX delivery_due"),
            (SENDING, "delivery USING PRIMARY KEY (id=?)"),
            (END_SENDING, "PRIMARY KEY (id=? AND tenant_id=?)"),
            (END_JOBS, "job_running"),
        ] {
            plans::check(sql, &[plan]);
        }
    }
}
