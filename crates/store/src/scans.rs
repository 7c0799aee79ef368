//! Daily scans: who has claimed which, and what it found.

use postrider_domain::id::TenantId;
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use crate::db::Row;
use crate::{Store, StoreError};

/// A scan as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanRow {
    pub tenant: TenantId,
    /// The moment for which it was due, or at which it was asked for.
    pub tick: Timestamp,
    pub started: Timestamp,
    /// `None`: under way, or cut short.
    pub ended: Option<Timestamp>,
    /// Records that were looked at.
    pub looked: u64,
    /// Events that they caused.
    pub events: u64,
    /// Records that were made from templates.
    pub made: u64,
    /// What rules could not decide.
    pub errors: u64,
}

const COLUMNS: &str =
    "SELECT tenant_id, tick_ms, started_ms, ended_ms, looked, events, made, errors FROM scan";

impl Store {
    /// Claims a tick. False: somebody else has.
    pub async fn scan_begin(
        &self,
        tenant: TenantId,
        tick: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO scan (tenant_id, tick_ms, started_ms, ended_ms, looked, events, made, errors) \
             VALUES ($1, $2, $3, NULL, 0, 0, 0, 0) ON CONFLICT (tenant_id, tick_ms) DO NOTHING";
        let mut tx = self.write().await?;
        let made = tx.execute(SQL, &[tenant.into(), tick.into(), now.into()]).await?;
        tx.commit().await?;
        Ok(made > 0)
    }

    /// Writes down what a scan came to. Index: the primary key.
    pub async fn scan_end(&self, scan: &ScanRow) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE scan SET ended_ms = $3, looked = looked + $4, events = events + $5, made = made + $6, \
             errors = errors + $7 WHERE tenant_id = $1 AND tick_ms = $2";
        let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX).into();
        let values = [
            scan.tenant.into(),
            scan.tick.into(),
            scan.ended.into(),
            count(scan.looked),
            count(scan.events),
            count(scan.made),
            count(scan.errors),
        ];
        let mut tx = self.write().await?;
        tx.execute(SQL, &values).await?;
        tx.commit().await
    }

    /// A tenant's scans at or after a moment, the last first. Index: the primary key.
    pub async fn scans_since(
        &self,
        tenant: TenantId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<ScanRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE tenant_id = $1 AND tick_ms >= $2 ORDER BY tick_ms DESC LIMIT $3");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read().all(sql, &[tenant.into(), since.into(), limit.into()]).await?.iter().map(read).collect()
    }

    /// Scans that were begun and not ended. Index: `scan_open`.
    pub async fn scans_open_any_tenant(&self) -> Result<Vec<ScanRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE ended_ms IS NULL ORDER BY tenant_id");
        self.read().all(sql, &[]).await?.iter().map(read).collect()
    }

    /// Forgets scans that ended, and what rules could not decide, from before a moment: a bounded batch of each, so that accepting
    /// does not notice. A tenant's last scan stays. Answers how many rows.
    pub async fn scans_sweep(&self, before: Timestamp) -> Result<u64, StoreError> {
        const SCANS: &str = "DELETE FROM scan WHERE (tenant_id, tick_ms) IN (SELECT s.tenant_id, s.tick_ms FROM scan s \
             WHERE s.tick_ms < $1 AND s.ended_ms IS NOT NULL \
             AND s.tick_ms < (SELECT MAX(l.tick_ms) FROM scan l WHERE l.tenant_id = s.tenant_id) LIMIT $2)";
        const FAULTS: &str = "DELETE FROM rule_error WHERE (scope, kind, id, rule) IN \
             (SELECT scope, kind, id, rule FROM rule_error WHERE at_ms < $1 LIMIT $2)";
        let rows = i64::try_from(limits::RETENTION_BATCH_ROWS).unwrap_or(i64::MAX);
        let values = [before.into(), rows.into()];
        let mut tx = self.write().await?;
        let rows = tx.execute(SCANS, &values).await? + tx.execute(FAULTS, &values).await?;
        tx.commit().await?;
        Ok(rows)
    }
}

fn read(row: &Row) -> Result<ScanRow, StoreError> {
    Ok(ScanRow {
        tenant: row.get("tenant_id")?,
        tick: row.get("tick_ms")?,
        started: row.get("started_ms")?,
        ended: row.get("ended_ms")?,
        looked: row.get("looked")?,
        events: row.get("events")?,
        made: row.get("made")?,
        errors: row.get("errors")?,
    })
}
