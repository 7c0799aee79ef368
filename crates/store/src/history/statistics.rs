//! How a webhook has been doing, from hourly buckets: statistics never read history.

use std::time::Duration;

use postrider_domain::id::{TenantId, WebhookId};
use postrider_domain::time::Timestamp;

use crate::{Store, StoreError};

const ROLLING: Duration = Duration::from_secs(24 * 3600);

/// Index: the primary key.
const SUM: &str = "SELECT CAST(COALESCE(SUM(attempts), 0) AS BIGINT) AS attempts,
    CAST(COALESCE(SUM(succeeded), 0) AS BIGINT) AS succeeded
  FROM webhook_hour WHERE tenant_id = $1 AND webhook_id = $2 AND hour_ms > $3";
/// Index: the primary key, its last row.
const LAST: &str = "SELECT last_fired_ms FROM webhook_hour WHERE tenant_id = $1 AND webhook_id = $2
  ORDER BY hour_ms DESC LIMIT 1";
/// Index: the primary key.
const HOURS: &str = "SELECT hour_ms, attempts, succeeded, le_10ms, le_30ms, le_100ms, le_300ms, le_1s, le_3s, le_10s, over_10s
  FROM webhook_hour WHERE tenant_id = $1 AND webhook_id = $2 AND hour_ms >= $3 AND hour_ms < $4 ORDER BY hour_ms";
/// Index: `delivery_due`.
const EARLIEST_DUE: &str = "SELECT MIN(due_ms) AS earliest_due_ms FROM delivery
  WHERE tenant_id = $1 AND webhook_id = $2 AND state = 0";

/// Tests are in none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebhookStats {
    pub last_fired: Option<Timestamp>,
    /// Over the running hour and the 23 before it.
    pub attempts: u64,
    pub succeeded: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookHour {
    /// Its beginning.
    pub hour: Timestamp,
    pub attempts: u64,
    pub succeeded: u64,
    /// Finished attempts by duration, in the order of [`LATENCY_BUCKETS_MS`](crate::LATENCY_BUCKETS_MS); the last holds what took longer.
    pub latency: [u64; 8],
}

impl Store {
    pub async fn webhook_stats(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        now: Timestamp,
    ) -> Result<WebhookStats, StoreError> {
        let since = now.minus(ROLLING).hour();
        let sum = self.read().one(SUM, &[tenant.into(), webhook.into(), since.into()]).await?;
        let last = self.read().maybe(LAST, &[tenant.into(), webhook.into()]).await?;
        Ok(WebhookStats {
            last_fired: last.map(|row| row.get("last_fired_ms")).transpose()?,
            attempts: sum.get("attempts")?,
            succeeded: sum.get("succeeded")?,
        })
    }

    /// The hours in which something was sent, of those that begin in a range; oldest first.
    pub async fn webhook_hours(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<WebhookHour>, StoreError> {
        let values = [tenant.into(), webhook.into(), from.into(), until.into()];
        let rows = self.read().all(HOURS, &values).await?;
        rows.iter()
            .map(|row| {
                Ok(WebhookHour {
                    hour: row.get("hour_ms")?,
                    attempts: row.get("attempts")?,
                    succeeded: row.get("succeeded")?,
                    latency: [
                        row.get("le_10ms")?,
                        row.get("le_30ms")?,
                        row.get("le_100ms")?,
                        row.get("le_300ms")?,
                        row.get("le_1s")?,
                        row.get("le_3s")?,
                        row.get("le_10s")?,
                        row.get("over_10s")?,
                    ],
                })
            })
            .collect()
    }

    /// When the first of what waits for a webhook is due: in the past, it waits since then.
    pub async fn webhook_earliest_due(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read().one(EARLIEST_DUE, &[tenant.into(), webhook.into()]).await?.get("earliest_due_ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        for (sql, plan) in [
            (SUM, &["PRIMARY KEY (tenant_id=? AND webhook_id=? AND hour_ms>?)"][..]),
            (LAST, &["PRIMARY KEY (tenant_id=? AND webhook_id=?)"][..]),
            (HOURS, &["PRIMARY KEY (tenant_id=? AND webhook_id=? AND hour_ms>? AND hour_ms<?)"][..]),
            (EARLIEST_DUE, &["COVERING INDEX delivery_due (tenant_id=? AND webhook_id=?)"][..]),
        ] {
            plans::check(sql, plan);
        }
    }
}
