//! The ledger: what was accepted, against what became of it.

use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::TenantId;

use crate::{Store, StoreError};

/// Counters and a real count of what is open, in one statement: one moment. Indexes: the primary key of `ledger_hour`,
/// `delivery_due`; what is under way by the view `sending`.
const OF_TENANT: &str = "SELECT kind, CAST(SUM(accepted) AS BIGINT) AS accepted, CAST(SUM(delivered) AS BIGINT) AS delivered,
    CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(cancelled) AS BIGINT) AS cancelled, CAST(0 AS BIGINT) AS scheduled,
    CAST(0 AS BIGINT) AS sending FROM ledger_hour WHERE tenant_id = $1 GROUP BY kind
  UNION ALL SELECT kind, 0, 0, 0, 0, COUNT(*), 0 FROM delivery WHERE tenant_id = $1 AND state = 0 GROUP BY kind
  UNION ALL SELECT kind, 0, 0, 0, 0, 0, COUNT(*) FROM sending WHERE tenant_id = $1 GROUP BY kind";
/// The same over all tenants.
const OF_ALL: &str = "SELECT kind, CAST(SUM(accepted) AS BIGINT) AS accepted, CAST(SUM(delivered) AS BIGINT) AS delivered,
    CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(cancelled) AS BIGINT) AS cancelled, CAST(0 AS BIGINT) AS scheduled,
    CAST(0 AS BIGINT) AS sending FROM ledger_hour GROUP BY kind
  UNION ALL SELECT kind, 0, 0, 0, 0, COUNT(*), 0 FROM delivery WHERE state = 0 GROUP BY kind
  UNION ALL SELECT kind, 0, 0, 0, 0, 0, COUNT(*) FROM sending GROUP BY kind";

/// Pairs of event and webhook of one kind, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerRow {
    pub kind: DeliveryKind,
    pub accepted: u64,
    pub scheduled: u64,
    pub sending: u64,
    pub delivered: u64,
    pub failed: u64,
    pub cancelled: u64,
}

impl LedgerRow {
    /// What was accepted is somewhere, and only once.
    pub const fn is_balanced(&self) -> bool {
        self.accepted == self.scheduled + self.sending + self.delivered + self.failed + self.cancelled
    }
}

impl Store {
    /// One row per kind, in the order of `DeliveryKind::ALL`. `None`: over all tenants.
    pub async fn ledger(&self, tenant: Option<TenantId>) -> Result<[LedgerRow; 3], StoreError> {
        let rows = match tenant {
            Some(tenant) => self.read().all(OF_TENANT, &[tenant.into()]).await?,
            None => self.read().all(OF_ALL, &[]).await?,
        };
        let mut ledger = DeliveryKind::ALL.map(|kind| LedgerRow {
            kind,
            accepted: 0,
            scheduled: 0,
            sending: 0,
            delivered: 0,
            failed: 0,
            cancelled: 0,
        });
        for row in &rows {
            let kind: DeliveryKind = row.get("kind")?;
            for sum in ledger.iter_mut().filter(|sum| sum.kind == kind) {
                sum.accepted += row.get::<u64>("accepted")?;
                sum.scheduled += row.get::<u64>("scheduled")?;
                sum.sending += row.get::<u64>("sending")?;
                sum.delivered += row.get::<u64>("delivered")?;
                sum.failed += row.get::<u64>("failed")?;
                sum.cancelled += row.get::<u64>("cancelled")?;
            }
        }
        Ok(ledger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        for (sql, plan) in [
            (
                OF_TENANT,
                &[
                    "ledger_hour USING PRIMARY KEY (tenant_id=?)",
                    "COVERING INDEX delivery_due (tenant_id=?)",
                    "delivery USING PRIMARY KEY (id=? AND tenant_id=?)",
                ][..],
            ),
            (
                OF_ALL,
                &["SCAN ledger_hour", "COVERING INDEX delivery_due", "delivery USING PRIMARY KEY (id=?)"][..],
            ),
        ] {
            plans::check(sql, plan);
        }
    }
}
