//! What is forgotten of runs and requests: by age, and of refused requests by number.

use std::time::Duration;

use postrider_domain::id::{RequestId, RunId, TenantId, TriggerId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use crate::{Store, StoreError};

/// Index: the primary key: ids rise with time. Only what has ended.
const OLD_RUNS: &str =
    "SELECT id FROM run WHERE tenant_id = $1 AND id < $2 AND state >= 3 ORDER BY id LIMIT $3";
const OF_RUN: [&str; 4] = [
    "DELETE FROM run_attempt WHERE run_id = $1 AND tenant_id = $2",
    "DELETE FROM run_step WHERE run_id = $1 AND tenant_id = $2",
    "DELETE FROM run_data WHERE run_id = $1 AND tenant_id = $2",
    "DELETE FROM run WHERE id = $1 AND tenant_id = $2",
];
/// Index: the primary key. One whose run is still kept goes with it.
const OLD_REQUESTS: &str = "DELETE FROM request WHERE tenant_id = $1 AND id IN (SELECT q.id FROM request q
  WHERE q.tenant_id = $1 AND q.id < $2
    AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = q.run_id AND r.tenant_id = q.tenant_id) ORDER BY q.id LIMIT $3)";
/// The oldest of those that stay. Index: `request_trigger`.
const LAST_KEPT: &str = "SELECT id FROM request WHERE tenant_id = $1 AND trigger_id = $2 AND cause <> 0 ORDER BY id DESC LIMIT 1 OFFSET $3";
const REFUSED: &str = "DELETE FROM request WHERE tenant_id = $1 AND id IN (SELECT id FROM request
  WHERE tenant_id = $1 AND trigger_id = $2 AND id <= $3 AND cause <> 0 ORDER BY id LIMIT $4)";
/// Index: `trigger_dedup_created`.
const DEDUP: &str = "DELETE FROM trigger_dedup WHERE (tenant_id, trigger_id, key) IN
  (SELECT tenant_id, trigger_id, key FROM trigger_dedup WHERE created_ms < $1 LIMIT $2)";

/// Runs that go in one transaction, each with all its steps.
const RUNS_AT_ONCE: i64 = 50;

fn rows() -> i64 {
    i64::try_from(limits::RETENTION_BATCH_ROWS).unwrap_or(i64::MAX)
}

impl Store {
    /// Removes a bounded batch of a tenant's runs that were made longer than `kept` ago and have ended, and of its requests from
    /// then. Answers how many went.
    pub async fn runs_sweep(
        &self,
        now: Timestamp,
        tenant: TenantId,
        kept: Duration,
    ) -> Result<u64, StoreError> {
        let before = now.minus(kept);
        let values = [tenant.into(), RunId::lowest_at(before).into(), RUNS_AT_ONCE.into()];
        let old = self.read().all(OLD_RUNS, &values).await?;
        let mut tx = self.write().await?;
        let mut gone = 0;
        for row in &old {
            let run: RunId = row.get("id")?;
            for sql in OF_RUN {
                gone += tx.execute(sql, &[run.into(), tenant.into()]).await?;
            }
        }
        let requests = [tenant.into(), RequestId::lowest_at(before).into(), rows().into()];
        gone += tx.execute(OLD_REQUESTS, &requests).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Removes the oldest refused requests of a trigger beyond the newest `kept`.
    pub async fn requests_trim(
        &self,
        tenant: TenantId,
        trigger: TriggerId,
        kept: usize,
    ) -> Result<u64, StoreError> {
        let kept = i64::try_from(kept).unwrap_or(i64::MAX);
        let last = self.read().all(LAST_KEPT, &[tenant.into(), trigger.into(), kept.into()]).await?;
        let Some(last) = last.first() else { return Ok(0) };
        let last: RequestId = last.get("id")?;
        let mut tx = self.write().await?;
        let gone = tx.execute(REFUSED, &[tenant.into(), trigger.into(), last.into(), rows().into()]).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Forgets what triggers took before a moment, a bounded batch.
    pub async fn dedup_sweep(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let gone = tx.execute(DEDUP, &[before.into(), rows().into()]).await?;
        tx.commit().await?;
        Ok(gone)
    }
}
