//! `lease_reap`: claims whose holder is gone.

use std::collections::BTreeSet;

use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use rusqlite::params;

use super::Sqlite;
use super::writer::Batch;
use super::{code, id, ms, settle};
use crate::work::{AfterCrash, AttemptRow, ReapReport};
use crate::{AfterCrashRule, StoreError};

const ROWS_MAX: usize = limits::RETENTION_BATCH_ROWS;

/// By the log of claims, then the primary key.
const EXPIRED: &str =
    "SELECT tenant_id, id, webhook_id, kind, attempts, resend, claimed_ms, lease_ms FROM sending
  WHERE lease_ms < ?1 AND (lease_ms, id) > (?3, ?4) ORDER BY lease_ms, id LIMIT ?2";
/// Index: the primary key.
const REAP: &str = "UPDATE delivery SET state = ?3, reason = ?4, due_ms = ?5, settled_ms = ?6, resend = ?7,
    claimed_ms = NULL, lease_ms = NULL, last_class = ?8, last_status = NULL
  WHERE tenant_id = ?1 AND id = ?2 AND state = 1";

struct Reap {
    now: Timestamp,
    expired_before: Timestamp,
    rule: std::sync::Arc<AfterCrashRule>,
    after: Place,
}

/// Where a look for expired claims stands: the last one that it read.
type Place = (Timestamp, [u8; 16]);

struct Expired {
    tenant: TenantId,
    delivery: DeliveryId,
    webhook: WebhookId,
    kind: DeliveryKind,
    attempts: u32,
    resend: bool,
    claimed: Timestamp,
    lease: Timestamp,
}

impl Sqlite {
    pub(crate) async fn lease_reap(
        &self,
        now: Timestamp,
        expired_before: Option<Timestamp>,
        rule: AfterCrashRule,
    ) -> Result<ReapReport, StoreError> {
        let expired_before = expired_before.unwrap_or(Timestamp::from_unix_ms(i64::MAX));
        let rule = std::sync::Arc::new(rule);
        let mut report = ReapReport::default();
        let mut due = BTreeSet::new();
        let mut after = (Timestamp::from_unix_ms(i64::MIN), [0; 16]);
        loop {
            let input = Reap { now, expired_before, rule: rule.clone(), after };
            let (reaped, next) = self.writer.call(ROWS_MAX, input, reap).await?;
            report.sent_again += reaped.sent_again;
            report.failed += reaped.failed;
            due.extend(reaped.due);
            match next {
                Some(next) => after = next,
                None => {
                    report.due = due.into_iter().collect();
                    return Ok(report);
                }
            }
        }
    }
}

/// Also answers where to go on, unless that was all.
fn reap(batch: &mut Batch<'_>, reap: &mut Reap) -> Result<(ReapReport, Option<Place>), StoreError> {
    let mut report = ReapReport::default();
    let expired = expired(batch, reap)?;
    let next = expired.get(ROWS_MAX - 1).map(|row| (row.lease, *row.delivery.as_bytes()));
    for row in expired {
        let Some(after) = (reap.rule)(row.tenant, row.delivery) else { continue };
        let again = after == AfterCrash::SendAgain;
        let (state, reason) = if again {
            (DeliveryState::Scheduled, Reason::Interrupted)
        } else {
            (DeliveryState::Failed, Reason::OutcomeUnknown)
        };
        batch.execute(
            REAP,
            params![
                row.tenant.as_bytes(),
                row.delivery.as_bytes(),
                state.code(),
                reason.code(),
                again.then(|| reap.now.unix_ms()),
                (!again).then(|| reap.now.unix_ms()),
                again,
                AttemptClass::Unknown.code(),
            ],
        )?;
        let attempt = AttemptRow::unknown(row.attempts, row.claimed, row.resend);
        settle::write_attempt(batch, row.tenant, row.delivery, row.webhook, row.kind, &attempt)?;
        batch.counters.ended(row.tenant, reap.now, row.kind, state);
        batch.claims.ended(row.delivery);
        if again {
            report.sent_again += 1;
            report.due.push((row.tenant, row.webhook));
        } else {
            report.failed += 1;
        }
    }
    if next.is_none() {
        batch.claims.look(batch.connection)?;
    }
    Ok((report, next))
}

fn expired(batch: &mut Batch<'_>, reap: &Reap) -> Result<Vec<Expired>, StoreError> {
    let statement = batch.statement(EXPIRED)?;
    let mut rows = statement.query(params![
        reap.expired_before.unix_ms(),
        ROWS_MAX as i64,
        reap.after.0.unix_ms(),
        reap.after.1
    ])?;
    let mut expired = Vec::new();
    while let Some(row) = rows.next()? {
        expired.push(Expired {
            tenant: id(row, 0, TenantId::from_bytes)?,
            delivery: id(row, 1, DeliveryId::from_bytes)?,
            webhook: id(row, 2, WebhookId::from_bytes)?,
            kind: code(DeliveryKind::from_code(row.get(3)?), "delivery kind")?,
            attempts: row.get(4)?,
            resend: row.get(5)?,
            claimed: ms(row, 6)?,
            lease: ms(row, 7)?,
        });
    }
    Ok(expired)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        for (sql, plan) in [
            (EXPIRED, &["delivery USING PRIMARY KEY (id=?)"][..]),
            (REAP, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
        ] {
            plans::check(sql, plan);
        }
    }
}
