//! What all tenants had over some hours, for the operator's first page.

use std::time::Duration;

use postrider_domain::id::TenantId;
use postrider_domain::time::Timestamp;

use crate::{Store, StoreError};

/// Without tests (kind 1). Index: the primary key of `ledger_hour`, a range for each tenant; on PostgreSQL `ledger_part_hour`.
const TOTALS: &str = "SELECT t.id AS id, CAST(SUM(l.accepted) AS BIGINT) AS accepted,
    CAST(SUM(l.delivered) AS BIGINT) AS delivered, CAST(SUM(l.failed) AS BIGINT) AS failed,
    CAST(SUM(l.cancelled) AS BIGINT) AS cancelled,
    CAST(SUM(CASE WHEN l.hour_ms = $2 THEN l.accepted ELSE 0 END) AS BIGINT) AS last_accepted,
    CAST(SUM(CASE WHEN l.hour_ms = $2 THEN l.delivered ELSE 0 END) AS BIGINT) AS last_delivered
  FROM tenant t JOIN ledger_hour l ON l.tenant_id = t.id
  WHERE l.hour_ms >= $1 AND l.kind <> 1 GROUP BY t.id ORDER BY t.id";

/// On PostgreSQL: what the view sums. It would sort all rows of a day to sum each hour first, and only the day is asked for.
const PARTS: &str = "ledger_part l";

/// Pairs of event and webhook, by when they were accepted or came to their end. Tests are in none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    pub accepted: u64,
    pub delivered: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Of the last hour that is full.
    pub last_hour_accepted: u64,
    pub last_hour_delivered: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantTotals {
    pub tenant: TenantId,
    pub sums: Sums,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Those that had something, in the order of their ids.
    pub tenants: Vec<TenantTotals>,
    pub installation: Sums,
}

impl Store {
    /// Over the running hour and as many full ones as `since` lies back: whole hours, the one of `since` included.
    pub async fn tenants_totals_any_tenant(
        &self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Totals, StoreError> {
        let last_hour = now.hour().minus(Duration::from_secs(3600));
        let sql = if self.is_shared() { TOTALS.replace("ledger_hour l", PARTS) } else { TOTALS.to_owned() };
        let rows = self.read().all(sql, &[since.hour().into(), last_hour.into()]).await?;
        let mut totals = Totals { tenants: Vec::with_capacity(rows.len()), installation: Sums::default() };
        for row in &rows {
            let sums = Sums {
                accepted: row.get("accepted")?,
                delivered: row.get("delivered")?,
                failed: row.get("failed")?,
                cancelled: row.get("cancelled")?,
                last_hour_accepted: row.get("last_accepted")?,
                last_hour_delivered: row.get("last_delivered")?,
            };
            totals.installation = totals.installation.and(sums);
            totals.tenants.push(TenantTotals { tenant: row.get("id")?, sums });
        }
        Ok(totals)
    }
}

impl Sums {
    fn and(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            delivered: self.delivered + other.delivered,
            failed: self.failed + other.failed,
            cancelled: self.cancelled + other.cancelled,
            last_hour_accepted: self.last_hour_accepted + other.last_hour_accepted,
            last_hour_delivered: self.last_hour_delivered + other.last_hour_delivered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(TOTALS, &["l USING PRIMARY KEY (tenant_id=? AND hour_ms>?)"]);
    }
}
