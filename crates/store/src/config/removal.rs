//! Removing everything of a tenant, a bounded batch at a time. The audit stays, and so
//! do answers kept for idempotency keys, which know no tenant and go after a day.

use postrider_domain::id::TenantId;

use super::jobs::{self, JobRow};
use crate::{Store, StoreError};

/// What one batch of a removal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    pub rows: u64,
    /// Nothing of the tenant is left.
    pub finished: bool,
}

/// The attempts of at most `$2` deliveries of tenant `$1`. Indexes: `delivery_webhook`, then the primary key.
const ATTEMPTS: &str = "DELETE FROM attempt WHERE tenant_id = $1 AND delivery_id IN \
     (SELECT id FROM delivery WHERE tenant_id = $1 ORDER BY webhook_id, id LIMIT $2)";
/// The same deliveries, in the same transaction: a result that is still on its way finds none and leaves nothing. Indexes:
/// `delivery_webhook`, then the primary key.
const DELIVERIES: &str = "DELETE FROM delivery WHERE tenant_id = $1 AND id IN \
     (SELECT id FROM delivery WHERE tenant_id = $1 ORDER BY webhook_id, id LIMIT $2)";
/// Each deletes at most `$2` rows of tenant `$1`, by the table's key; after the deliveries. The tenant's row goes last, so
/// that a removal that was cut short is found again.
const STATEMENTS: [&str; 37] = [
    "DELETE FROM event WHERE tenant_id = $1 AND id IN (SELECT id FROM event WHERE tenant_id = $1 ORDER BY id LIMIT $2)",
    "DELETE FROM ledger_hour WHERE tenant_id = $1 AND (hour_ms, kind) IN \
     (SELECT hour_ms, kind FROM ledger_hour WHERE tenant_id = $1 ORDER BY hour_ms, kind LIMIT $2)",
    "DELETE FROM webhook_hour WHERE tenant_id = $1 AND (webhook_id, hour_ms) IN \
     (SELECT webhook_id, hour_ms FROM webhook_hour WHERE tenant_id = $1 ORDER BY webhook_id, hour_ms LIMIT $2)",
    "DELETE FROM record WHERE scope = $1 AND (kind, id) IN \
     (SELECT kind, id FROM record WHERE scope = $1 ORDER BY kind, id LIMIT $2)",
    "DELETE FROM record WHERE tenant_id = $1 AND scope <> tenant_id AND (kind, id) IN \
     (SELECT kind, id FROM record WHERE tenant_id = $1 AND scope <> tenant_id ORDER BY kind, id LIMIT $2)",
    "DELETE FROM record_due WHERE tenant_id = $1 AND (scope, kind, id, rule) IN \
     (SELECT scope, kind, id, rule FROM record_due WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM record_mark WHERE scope = $1 AND (kind, id, rule, tenant_id) IN \
     (SELECT kind, id, rule, tenant_id FROM record_mark WHERE scope = $1 ORDER BY kind, id, rule LIMIT $2)",
    "DELETE FROM record_mark WHERE tenant_id = $1 AND scope <> tenant_id AND (scope, kind, id, rule) IN \
     (SELECT scope, kind, id, rule FROM record_mark WHERE tenant_id = $1 AND scope <> tenant_id LIMIT $2)",
    "DELETE FROM rule_error WHERE tenant_id = $1 AND (scope, kind, id, rule) IN \
     (SELECT scope, kind, id, rule FROM rule_error WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM scan WHERE tenant_id = $1 AND tick_ms IN (SELECT tick_ms FROM scan WHERE tenant_id = $1 LIMIT $2)",
    // Of the same runs, which go after them.
    "DELETE FROM run_attempt WHERE tenant_id = $1 AND run_id IN \
     (SELECT id FROM run WHERE tenant_id = $1 ORDER BY workflow_id, id LIMIT $2)",
    "DELETE FROM run_step WHERE tenant_id = $1 AND run_id IN \
     (SELECT id FROM run WHERE tenant_id = $1 ORDER BY workflow_id, id LIMIT $2)",
    "DELETE FROM run_data WHERE tenant_id = $1 AND run_id IN \
     (SELECT id FROM run WHERE tenant_id = $1 ORDER BY workflow_id, id LIMIT $2)",
    "DELETE FROM run_wait WHERE tenant_id = $1 AND run_id IN (SELECT run_id FROM run_wait WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM run WHERE tenant_id = $1 AND id IN (SELECT id FROM run WHERE tenant_id = $1 ORDER BY workflow_id, id LIMIT $2)",
    "DELETE FROM request WHERE tenant_id = $1 AND id IN (SELECT id FROM request WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM trigger_dedup WHERE tenant_id = $1 AND (trigger_id, key) IN \
     (SELECT trigger_id, key FROM trigger_dedup WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM trigger_clock WHERE tenant_id = $1 AND trigger_id IN (SELECT trigger_id FROM trigger_clock WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM trigger_secret WHERE tenant_id = $1 AND (trigger_id, id) IN \
     (SELECT trigger_id, id FROM trigger_secret WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM workflow_trigger WHERE tenant_id = $1 AND id IN (SELECT id FROM workflow_trigger WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM workflow_version WHERE tenant_id = $1 AND (workflow_id, version) IN \
     (SELECT workflow_id, version FROM workflow_version WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM workflow WHERE tenant_id = $1 AND id IN (SELECT id FROM workflow WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM connection_flow WHERE tenant_id = $1 AND state_hash IN (SELECT state_hash FROM connection_flow WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM connection WHERE tenant_id = $1 AND id IN (SELECT id FROM connection WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM dashboard_session WHERE tenant_id = $1 AND id IN (SELECT id FROM dashboard_session WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM inbox_request WHERE tenant_id = $1 AND id IN (SELECT id FROM inbox_request WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM inbox WHERE tenant_id = $1 AND id IN (SELECT id FROM inbox WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM delivery_elsewhere WHERE tenant_id = $1 AND delivery_id IN \
     (SELECT delivery_id FROM delivery_elsewhere WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM secret WHERE tenant_id = $1 AND name IN (SELECT name FROM secret WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM webhook_secret WHERE tenant_id = $1 AND (webhook_id, id) IN \
     (SELECT webhook_id, id FROM webhook_secret WHERE tenant_id = $1 ORDER BY webhook_id, id LIMIT $2)",
    "DELETE FROM webhook_version WHERE tenant_id = $1 AND (webhook_id, version) IN \
     (SELECT webhook_id, version FROM webhook_version WHERE tenant_id = $1 ORDER BY webhook_id, version LIMIT $2)",
    "DELETE FROM webhook WHERE tenant_id = $1 AND id IN (SELECT id FROM webhook WHERE tenant_id = $1 ORDER BY id LIMIT $2)",
    "DELETE FROM event_type WHERE tenant_id = $1 AND type IN \
     (SELECT type FROM event_type WHERE tenant_id = $1 ORDER BY type LIMIT $2)",
    "DELETE FROM api_key WHERE tenant_id = $1 AND id IN (SELECT id FROM api_key WHERE tenant_id = $1 ORDER BY id LIMIT $2)",
    "DELETE FROM job WHERE tenant_id = $1 AND id IN (SELECT id FROM job WHERE tenant_id = $1 ORDER BY id LIMIT $2)",
    "DELETE FROM tenant_version WHERE tenant_id = $1 AND version IN \
     (SELECT version FROM tenant_version WHERE tenant_id = $1 ORDER BY version LIMIT $2)",
    "DELETE FROM tenant WHERE id IN (SELECT id FROM tenant WHERE id = $1 LIMIT $2)",
];

/// On PostgreSQL the views cannot be deleted from: the tables behind them, in the same order.
const SHARED: [&str; 5] = [
    "WITH picked AS (SELECT id FROM delivery_settled WHERE tenant_id = $1 ORDER BY id LIMIT $2), \
     tried AS (DELETE FROM attempt WHERE tenant_id = $1 AND delivery_id IN (SELECT id FROM picked)) \
     DELETE FROM delivery_settled WHERE tenant_id = $1 AND id IN (SELECT id FROM picked)",
    "WITH picked AS (SELECT id FROM delivery_open WHERE tenant_id = $1 ORDER BY id LIMIT $2), \
     tried AS (DELETE FROM attempt WHERE tenant_id = $1 AND delivery_id IN (SELECT id FROM picked)) \
     DELETE FROM delivery_open WHERE tenant_id = $1 AND id IN (SELECT id FROM picked)",
    "WITH picked AS (SELECT id, external_id FROM event WHERE tenant_id = $1 ORDER BY id LIMIT $2), \
     named AS (DELETE FROM event_external WHERE tenant_id = $1 AND external_id IN (SELECT external_id FROM picked)) \
     DELETE FROM event WHERE tenant_id = $1 AND id IN (SELECT id FROM picked)",
    "DELETE FROM ledger_part WHERE tenant_id = $1 AND (hour_ms, kind, writer) IN \
     (SELECT hour_ms, kind, writer FROM ledger_part WHERE tenant_id = $1 LIMIT $2)",
    "DELETE FROM webhook_part WHERE tenant_id = $1 AND (webhook_id, hour_ms, writer) IN \
     (SELECT webhook_id, hour_ms, writer FROM webhook_part WHERE tenant_id = $1 LIMIT $2)",
];
/// Of [`STATEMENTS`], those for which [`SHARED`] stands.
const REPLACED: usize = 3;

impl Store {
    /// Removes up to `rows_max` rows of a tenant whose deletion was asked for, and moves `job` (of the installation) on in
    /// the same transaction: `mark` gets what was removed and writes it into the job's row.
    pub async fn tenant_remove_batch(
        &self,
        tenant: TenantId,
        rows_max: usize,
        job: &mut JobRow,
        mark: impl FnOnce(&mut JobRow, Removed) + Send,
    ) -> Result<Removed, StoreError> {
        let mut tx = self.write().await?;
        let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
        let values = [tenant.into(), rows_max.into()];
        let mut rows = 0;
        let (first, rest) = match tx.is_shared() {
            true => (&SHARED[..], &STATEMENTS[REPLACED..]),
            false => {
                rows = tx.execute(ATTEMPTS, &values).await? + tx.execute(DELIVERIES, &values).await?;
                (&[][..], &STATEMENTS[..])
            }
        };
        for sql in first.iter().chain(rest).copied() {
            if rows > 0 {
                break;
            }
            rows = tx.execute(sql, &values).await?;
        }
        let removed = Removed { rows, finished: rows == 0 };
        mark(job, removed);
        jobs::progress(&mut tx, job).await?;
        tx.commit().await?;
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        const PICKED: &str = "COVERING INDEX delivery_webhook (tenant_id=?)";
        plans::check(ATTEMPTS, &["PRIMARY KEY (delivery_id=?)", PICKED]);
        plans::check(DELIVERIES, &["PRIMARY KEY (id=? AND tenant_id=?)", PICKED]);
    }
}
