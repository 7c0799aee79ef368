//! How all webhooks of a tenant are doing, for a page that lists them: one statement, however many there are.

use std::time::Duration;

use postrider_domain::delivery::{AttemptClass, DeliveryState};
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_domain::latency::LATENCY_BUCKETS_MS;
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use crate::db::Row;
use crate::{Store, StoreError};

const HOUR: Duration = Duration::from_secs(3600);
/// The running hour and those before it.
pub const HEALTH_HOURS: usize = 24;
/// Of a webhook's newest deliveries, as many are looked at for one that was tried.
const NEWEST_LOOKED_AT: usize = 5;
/// No webhook has as many attempts in an hour.
const PAIR: i64 = 1 << 31;

/// Index: the primary key.
const COUNT: &str = "SELECT COUNT(*) AS n FROM webhook WHERE tenant_id = $1 AND deleted_ms IS NULL";

/// Indexes: the primary key of `webhook_hour`, for hours and the last of them; `delivery_due` for what waits;
/// `delivery_webhook` for the newest.
///
/// Each webhook's hours come as one text, `hour outcome buckets…` joined by commas: a row for each of 24,000 hours would cost
/// more than all the rest. The last hour of all is only looked for where those of the day have none: PostgreSQL sums a
/// webhook's whole past to find it.
fn health(newest: Newest) -> String {
    let ended = match newest {
        // Bounded by number: what waits is walked over in the order of the key.
        Newest::OfAll => "",
        // What has ended has an index in this order, and what is open has none.
        Newest::OfEnded => "AND d.state >= 2",
    };
    // Two counts of one hour in one number: texts are what takes time here.
    let pair = |high: &str, low: &str| format!("h.{high} * {PAIR} + h.{low}");
    let attempts = pair("attempts", "succeeded");
    let (le_10ms, le_100ms) = (pair("le_10ms", "le_30ms"), pair("le_100ms", "le_300ms"));
    let (le_1s, le_10s) = (pair("le_1s", "le_3s"), pair("le_10s", "over_10s"));
    format!(
        "SELECT w.id AS id,
    (SELECT STRING_AGG(CAST(h.hour_ms AS TEXT) || ' ' || CAST({attempts} AS TEXT) || ' ' || CAST({le_10ms} AS TEXT) || ' '
        || CAST({le_100ms} AS TEXT) || ' ' || CAST({le_1s} AS TEXT) || ' ' || CAST({le_10s} AS TEXT), ',')
      FROM webhook_hour h WHERE h.tenant_id = w.tenant_id AND h.webhook_id = w.id AND h.hour_ms >= $2) AS hours,
    COALESCE((SELECT MAX(r.last_fired_ms) FROM webhook_hour r WHERE r.tenant_id = w.tenant_id AND r.webhook_id = w.id
      AND r.hour_ms >= $2), (SELECT l.last_fired_ms FROM webhook_hour l WHERE l.tenant_id = w.tenant_id
      AND l.webhook_id = w.id ORDER BY l.hour_ms DESC LIMIT 1)) AS last_fired_ms,
    (SELECT COUNT(*) FROM (SELECT 1 FROM delivery d WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.id AND d.state = 0
      LIMIT $3) AS few) AS waiting,
    (SELECT MIN(d.due_ms) FROM delivery d WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.id AND d.state = 0)
      AS earliest_due_ms,
    (SELECT n.id FROM (SELECT d.id, d.kind, d.state, d.last_class FROM delivery d WHERE d.tenant_id = w.tenant_id
        AND d.webhook_id = w.id AND d.id >= $4 {ended} ORDER BY d.id DESC LIMIT {NEWEST_LOOKED_AT}) AS n
      WHERE n.kind <> 1 AND (n.last_class IS NOT NULL OR n.state >= 2) ORDER BY n.id DESC LIMIT 1) AS newest
  FROM webhook w WHERE w.tenant_id = $1 AND w.deleted_ms IS NULL ORDER BY w.id"
    )
}

/// Index: the primary key. `ids`: how many.
fn outcomes(ids: usize) -> String {
    let places: Vec<String> = (0..ids).map(|n| format!("${}", n + 2)).collect();
    format!(
        "SELECT id, state, last_class, last_status FROM delivery WHERE tenant_id = $1 AND id IN ({})",
        places.join(", ")
    )
}

/// How many ids one statement looks up.
const OUTCOMES_AT_ONCE: usize = 500;

#[derive(Clone, Copy)]
enum Newest {
    OfAll,
    OfEnded,
}

/// What was sent to a webhook in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HourOutcome {
    pub attempts: u64,
    pub succeeded: u64,
}

/// What became of a webhook's newest delivery that was tried or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestOutcome {
    pub delivery: DeliveryId,
    pub state: DeliveryState,
    /// Of its newest finished attempt; none where it ended without one.
    pub class: Option<AttemptClass>,
    pub status: Option<u16>,
}

/// How a webhook is doing. Tests are in none of this but what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookHealth {
    pub webhook: WebhookId,
    /// Over the running hour and the 23 before it.
    pub attempts: u64,
    pub succeeded: u64,
    /// Of the same hours, by duration, in the order of [`LATENCY_BUCKETS_MS`]; the last holds what took longer.
    pub latency: [u64; LATENCY_BUCKETS_MS.len() + 1],
    /// The same hours, oldest first.
    pub hours: [HourOutcome; HEALTH_HOURS],
    /// Ever.
    pub last_fired: Option<Timestamp>,
    pub waiting: u64,
    /// The count stopped there: it may be more.
    pub waiting_at_least: bool,
    /// Of what waits: in the past, it waits since then.
    pub earliest_due: Option<Timestamp>,
    /// Of the last 24 hours' deliveries.
    pub newest: Option<NewestOutcome>,
}

impl Store {
    /// All webhooks of a tenant that are registered now, oldest first.
    pub async fn webhooks_health(
        &self,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Vec<WebhookHealth>, StoreError> {
        let webhooks: u64 = self.read().one(COUNT, &[tenant.into()]).await?.get("n")?;
        let share =
            limits::WAITING_COUNTED_IN_ALL / usize::try_from(webhooks.max(1)).unwrap_or(usize::MAX).max(1);
        let counted = share
            .clamp(limits::WAITING_COUNTED_PER_WEBHOOK_MIN, limits::WAITING_COUNTED_PER_WEBHOOK_MAX)
            as u64;
        let first_hour = now.hour().minus(HOUR * (HEALTH_HOURS as u32 - 1));
        let values = [
            tenant.into(),
            first_hour.into(),
            i64::try_from(counted).unwrap_or(i64::MAX).into(),
            DeliveryId::lowest_at(first_hour).into(),
        ];
        let newest = if self.is_shared() { Newest::OfEnded } else { Newest::OfAll };
        let rows = self.read().all(health(newest), &values).await?;
        let mut found = Vec::with_capacity(rows.len());
        let mut newest = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push(read(row, first_hour, counted)?);
            newest.push(row.get::<Option<DeliveryId>>("newest")?);
        }
        self.fill_outcomes(tenant, &mut found, &newest).await?;
        Ok(found)
    }

    async fn fill_outcomes(
        &self,
        tenant: TenantId,
        found: &mut [WebhookHealth],
        newest: &[Option<DeliveryId>],
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<(DeliveryId, usize)> =
            newest.iter().enumerate().filter_map(|(place, id)| id.map(|id| (id, place))).collect();
        wanted.sort_unstable();
        for some in wanted.chunks(OUTCOMES_AT_ONCE) {
            let mut values = vec![tenant.into()];
            values.extend(some.iter().map(|(id, _)| crate::db::Value::from(*id)));
            for row in self.read().all(outcomes(some.len()), &values).await? {
                let id: DeliveryId = row.get("id")?;
                let Ok(at) = some.binary_search_by_key(&id, |(id, _)| *id) else { continue };
                found[some[at].1].newest = Some(NewestOutcome {
                    delivery: id,
                    state: row.get("state")?,
                    class: row.get("last_class")?,
                    status: row.get("last_status")?,
                });
            }
        }
        Ok(())
    }
}

fn read(row: &Row, first_hour: Timestamp, counted: u64) -> Result<WebhookHealth, StoreError> {
    let waiting: u64 = row.get("waiting")?;
    let mut health = WebhookHealth {
        webhook: row.get("id")?,
        attempts: 0,
        succeeded: 0,
        latency: [0; LATENCY_BUCKETS_MS.len() + 1],
        hours: [HourOutcome::default(); HEALTH_HOURS],
        last_fired: row.get("last_fired_ms")?,
        waiting,
        waiting_at_least: waiting >= counted,
        earliest_due: row.get("earliest_due_ms")?,
        newest: None,
    };
    if let Some(hours) = row.get::<Option<String>>("hours")? {
        for hour in hours.split(',') {
            add_hour(&mut health, hour, first_hour)
                .ok_or_else(|| StoreError::Corrupt(format!("an hour of a webhook: {hour}")))?;
        }
    }
    Ok(health)
}

/// The hour, then counts in pairs: attempts with those that succeeded, and the buckets.
fn add_hour(health: &mut WebhookHealth, text: &str, first_hour: Timestamp) -> Option<()> {
    let mut numbers = text.split(' ').map(|number| number.parse::<i64>().ok());
    let hour = Timestamp::from_unix_ms(numbers.next()??);
    let mut pair = || {
        let pair = numbers.next()??;
        Some((u64::try_from(pair / PAIR).ok()?, u64::try_from(pair % PAIR).ok()?))
    };
    let (attempts, succeeded) = pair()?;
    for two in health.latency.chunks_exact_mut(2) {
        let (shorter, longer) = pair()?;
        two[0] += shorter;
        two[1] += longer;
    }
    health.attempts += attempts;
    health.succeeded += succeeded;
    let place = usize::try_from(hour.since(first_hour).as_secs() / HOUR.as_secs()).ok()?;
    // An hour beyond the running one is of a clock that was ahead: it counts, and has no place.
    if let Some(outcome) = health.hours.get_mut(place) {
        outcome.attempts += attempts;
        outcome.succeeded += succeeded;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(COUNT, &["(tenant_id=?)"]);
        plans::check(
            &health(Newest::OfAll),
            &[
                "h USING PRIMARY KEY (tenant_id=? AND webhook_id=? AND hour_ms>?)",
                "r USING PRIMARY KEY (tenant_id=? AND webhook_id=? AND hour_ms>?)",
                "l USING PRIMARY KEY (tenant_id=? AND webhook_id=?)",
                "COVERING INDEX delivery_due (tenant_id=? AND webhook_id=?)",
                "COVERING INDEX delivery_due (tenant_id=? AND webhook_id=?)",
                "delivery_webhook (tenant_id=? AND webhook_id=? AND id>?)",
            ],
        );
        plans::check(&outcomes(3), &["PRIMARY KEY (id=? AND tenant_id=?)"]);
    }
}
