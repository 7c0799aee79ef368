//! `attempt_settle`: what an attempt came to, and what becomes of its delivery.

use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_domain::time::Timestamp;
use rusqlite::params;
use tokio::sync::mpsc;

use super::Sqlite;
use super::int;
use super::writer::Batch;
use crate::work::{AttemptRow, Settlement};
use crate::{Settled, StoreError};

/// Only for who holds the claim. Index: the primary key.
const DELIVERY_WRITE: &str =
    "UPDATE delivery SET state = ?4, reason = ?5, step = ?6, due_ms = ?7, settled_ms = ?8,
    claimed_ms = NULL, lease_ms = NULL, resend = 0, last_class = ?9, last_status = ?10
  WHERE tenant_id = ?1 AND id = ?2 AND state = 1 AND fence = ?3";
const ATTEMPT_WRITE: &str =
    "INSERT INTO attempt (tenant_id, delivery_id, number, started_ms, class, status, detail,
    dns_us, connect_us, tls_us, wait_us, body_us, total_us, peer, reused, resend, body_sha256, request_bytes,
    response_head, response_body, response_bytes)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

struct Settle {
    tenant: TenantId,
    at: Timestamp,
    settlement: Settlement,
}

impl Sqlite {
    pub(crate) fn settle_enqueue<P: Send + 'static>(
        &self,
        tenant: TenantId,
        at: Timestamp,
        settlement: Settlement,
        holder: P,
        reader: &mpsc::UnboundedSender<Settled<P>>,
    ) -> Result<(), (P, StoreError)> {
        let input = Settle { tenant, at, settlement };
        let run = |batch: &mut Batch<'_>, settle: &mut Settle| {
            write(batch, settle.tenant, settle.at, &settle.settlement)
        };
        self.writer.enqueue_for(ROWS, input, run, holder, reader.clone())
    }
}

/// The delivery's and the attempt's.
const ROWS: usize = 2;

/// False: the delivery was taken from this claim meanwhile. Its attempt has a row already, which reads `unknown`, and final
/// states never change; so nothing is written.
pub(super) fn write(
    batch: &mut Batch<'_>,
    tenant: TenantId,
    at: Timestamp,
    settlement: &Settlement,
) -> Result<bool, StoreError> {
    let attempt = &settlement.attempt;
    let changed = batch.execute(
        DELIVERY_WRITE,
        params![
            tenant.as_bytes(),
            settlement.delivery.as_bytes(),
            settlement.fence,
            settlement.state.code(),
            settlement.reason.code(),
            settlement.step,
            settlement.due.map(Timestamp::unix_ms),
            settlement.state.is_final().then(|| at.unix_ms()),
            attempt.class.code(),
            attempt.status,
        ],
    )?;
    if changed == 0 {
        tracing::warn!(delivery = %settlement.delivery, attempt = attempt.number, "settle.fenced");
        return Ok(false);
    }
    write_attempt(batch, tenant, settlement.delivery, settlement.webhook, settlement.kind, attempt)?;
    batch.counters.ended(tenant, at, settlement.kind, settlement.state);
    batch.claims.ended(settlement.delivery);
    Ok(true)
}

pub(super) fn write_attempt(
    batch: &mut Batch<'_>,
    tenant: TenantId,
    delivery: DeliveryId,
    webhook: WebhookId,
    kind: DeliveryKind,
    attempt: &AttemptRow,
) -> Result<(), StoreError> {
    let timing = &attempt.timing;
    batch.execute(
        ATTEMPT_WRITE,
        params![
            tenant.as_bytes(),
            delivery.as_bytes(),
            attempt.number,
            attempt.started.unix_ms(),
            attempt.class.code(),
            attempt.status,
            attempt.detail,
            int(timing.dns_us),
            int(timing.connect_us),
            int(timing.tls_us),
            int(timing.wait_us),
            int(timing.body_us),
            int(timing.total_us),
            attempt.peer,
            attempt.reused,
            attempt.resend,
            attempt.body_sha256,
            int(attempt.request_bytes),
            &attempt.response_head[..],
            &attempt.response_body[..],
            int(attempt.response_bytes),
        ],
    )?;
    batch.counters.attempted(tenant, webhook, kind, attempt);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(DELIVERY_WRITE, &["PRIMARY KEY (id=? AND tenant_id=?)"]);
    }
}
