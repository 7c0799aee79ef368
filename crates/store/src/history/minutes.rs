//! What was sent to one webhook, by the minute: made from its attempts, and so only for a range that is short.

use postrider_domain::delivery::AttemptClass;
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use crate::{Store, StoreError};

/// Newest first, without tests (kind 1). Indexes: `delivery_webhook`, then the primary key of `attempt`.
const ATTEMPTS: &str = "SELECT a.started_ms, a.class, a.total_us FROM delivery d
  JOIN attempt a ON a.tenant_id = d.tenant_id AND a.delivery_id = d.id
  WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.id >= $3 AND d.id < $4 AND d.kind <> 1 ORDER BY d.id DESC LIMIT $5";

/// As many deliveries are looked at for each attempt that is shown: some wait, and have none.
const DELIVERIES_PER_ATTEMPT: usize = 2;
/// From here on there are so many deliveries. Index: `delivery_webhook`.
const EDGE: &str = "SELECT id FROM delivery WHERE tenant_id = $1 AND webhook_id = $2 AND id >= $3 AND id < $4
  ORDER BY id DESC LIMIT 1 OFFSET $5";

const MINUTE_MS: i64 = 60_000;

/// One minute in which something was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// Its beginning.
    pub minute: Timestamp,
    pub attempts: u64,
    pub succeeded: u64,
    /// Of attempts whose outcome is known; none without any.
    pub p50_ms: Option<u64>,
    pub p95_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minutes {
    /// Oldest first.
    pub minutes: Vec<Minute>,
    /// There was more: of the earliest minutes some or all attempts are missing.
    pub cut: bool,
}

struct Seen {
    minute: i64,
    succeeded: bool,
    /// None where the outcome was lost.
    took_us: Option<u64>,
}

impl Store {
    /// Finished attempts of the deliveries that were made in the range (`until` not included), by the minute in which they
    /// began. At most `rows_max`, and [`limits::MINUTES_ATTEMPTS_MAX`]. Attempts of older deliveries, which are retries, are not among
    /// them: hours count those.
    pub async fn webhook_minutes(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        from: Timestamp,
        until: Timestamp,
        rows_max: usize,
    ) -> Result<Minutes, StoreError> {
        let rows_max = rows_max.min(limits::MINUTES_ATTEMPTS_MAX);
        let (from, until) = (DeliveryId::lowest_at(from), DeliveryId::lowest_at(until));
        let deliveries = int(rows_max * DELIVERIES_PER_ATTEMPT);
        let values = [tenant.into(), webhook.into(), from.into(), until.into(), deliveries];
        let edge = self.read().maybe(EDGE, &values).await?;
        let edge: Option<DeliveryId> = edge.map(|row| row.get("id")).transpose()?;
        let values = [
            tenant.into(),
            webhook.into(),
            edge.unwrap_or(from).into(),
            until.into(),
            // One more tells whether there are more.
            int(rows_max + 1),
        ];
        let mut rows = self.read().all(ATTEMPTS, &values).await?;
        let cut = rows.len() > rows_max || edge.is_some();
        rows.truncate(rows_max);
        let mut seen = Vec::with_capacity(rows.len());
        for row in &rows {
            let started: Timestamp = row.get("started_ms")?;
            let class: AttemptClass = row.get("class")?;
            let took_us: u64 = row.get("total_us")?;
            seen.push(Seen {
                minute: started.unix_ms().div_euclid(MINUTE_MS),
                succeeded: class == AttemptClass::Success,
                took_us: (class != AttemptClass::Unknown).then_some(took_us),
            });
        }
        Ok(Minutes { minutes: by_minute(seen), cut })
    }
}

fn int(count: usize) -> crate::db::Value<'static> {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

fn by_minute(mut seen: Vec<Seen>) -> Vec<Minute> {
    seen.sort_unstable_by_key(|seen| (seen.minute, seen.took_us));
    let mut minutes = Vec::new();
    for of_one in seen.chunk_by(|a, b| a.minute == b.minute) {
        // In order: those that are unknown came first.
        let took: Vec<u64> = of_one.iter().filter_map(|seen| seen.took_us).collect();
        minutes.push(Minute {
            minute: Timestamp::from_unix_ms(of_one[0].minute * MINUTE_MS),
            attempts: of_one.len() as u64,
            succeeded: of_one.iter().filter(|seen| seen.succeeded).count() as u64,
            p50_ms: nearest_rank_ms(&took, 50),
            p95_ms: nearest_rank_ms(&took, 95),
        });
    }
    minutes
}

/// The smallest that so many percent do not exceed, in whole milliseconds, rounded up.
fn nearest_rank_ms(sorted_us: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted_us.len() * percent).div_ceil(100);
    sorted_us.get(rank.checked_sub(1)?).map(|us| us.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(
            EDGE,
            &["COVERING INDEX delivery_webhook (tenant_id=? AND webhook_id=? AND id>? AND id<?)"],
        );
        plans::check(
            ATTEMPTS,
            &[
                "d USING INDEX delivery_webhook (tenant_id=? AND webhook_id=? AND id>? AND id<?)",
                "a USING PRIMARY KEY (delivery_id=?)",
            ],
        );
    }

    #[test]
    fn a_minute_has_its_percentiles_and_none_of_what_was_lost() {
        let seen = |minute, took_us| Seen { minute, succeeded: took_us == Some(1000), took_us };
        let minutes = by_minute(vec![
            seen(2, None),
            seen(1, Some(3000)),
            seen(1, Some(1000)),
            seen(1, None),
            seen(1, Some(2500)),
        ]);
        let minute = |minute: i64| Timestamp::from_unix_ms(minute * MINUTE_MS);
        assert_eq!(
            minutes,
            [
                Minute { minute: minute(1), attempts: 4, succeeded: 1, p50_ms: Some(3), p95_ms: Some(3) },
                Minute { minute: minute(2), attempts: 1, succeeded: 0, p50_ms: None, p95_ms: None },
            ]
        );
    }
}
