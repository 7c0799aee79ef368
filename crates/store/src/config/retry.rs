//! Which deliveries a retry of many sends again. As a recovery's, but over all webhooks of a tenant, by more fields, and looked
//! at in parts of a bounded size.

use postrider_domain::id::{DeliveryId, EventId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use crate::db::Value;
use crate::{Store, StoreError};

/// Of one tenant. All fields are joined by and.
#[derive(Debug, Clone, Copy)]
pub struct RetryFilter<'a> {
    pub tenant: TenantId,
    pub webhook: Option<WebhookId>,
    pub event_type: Option<&'a str>,
    /// The HTTP status of the newest answer.
    pub status: Option<u16>,
    /// Made at or after.
    pub from: Timestamp,
    /// Made before.
    pub until: Timestamp,
    /// When the retry began: what was sent again since then is not sent once more.
    pub began: Timestamp,
}

/// A delivery to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retriable {
    pub delivery: DeliveryId,
    pub event: EventId,
    pub webhook: WebhookId,
}

/// A part of what a retry looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPart {
    /// Oldest first.
    pub found: Vec<Retriable>,
    /// Everything up to here was looked at; none: everything there is.
    pub looked_until: Option<DeliveryId>,
}

/// How many, as far as was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub count: u64,
    /// There was more to look at.
    pub at_least: bool,
}

/// From here on a part is full. Index: `delivery_failed`.
const EDGE: &str = "SELECT id FROM delivery WHERE tenant_id = $1 AND state = 3 AND id >= $2 AND id < $3
  ORDER BY id LIMIT 1 OFFSET $4";

/// Neither a test, nor sent again with success, under way, or since the retry began; its payload is there, and its webhook.
/// Of an event's deliveries to one webhook that all failed, a filter takes the last. Indexes: `delivery_failed` or `delivery_webhook`,
/// walked in their order; `delivery_replay` for what followed.
const RETRIABLE: &str = "FROM delivery d JOIN event e ON e.tenant_id = d.tenant_id AND e.id = d.event_id
  WHERE d.tenant_id = $1 AND d.kind <> 1
    AND EXISTS (SELECT 1 FROM webhook w WHERE w.tenant_id = d.tenant_id AND w.id = d.webhook_id AND w.deleted_ms IS NULL)
    AND NOT EXISTS (SELECT 1 FROM delivery r WHERE r.tenant_id = d.tenant_id AND r.event_id = d.event_id AND r.kind = 2
      AND r.webhook_id = d.webhook_id AND r.id <> d.id AND (r.state IN (0, 1, 2) OR r.id >= $2";

impl Store {
    /// How many a filter would send again, counted over the first [`limits::RETRY_COUNT_MAX`] deliveries that failed.
    pub async fn retriable_count(&self, filter: &RetryFilter<'_>) -> Result<Count, StoreError> {
        let from = DeliveryId::lowest_at(filter.from);
        let edge = self.retry_edge(filter, from, limits::RETRY_COUNT_MAX).await?;
        let (sql, values) = by_filter("SELECT COUNT(*) AS n", filter, from, edge);
        let count = self.read().one(sql, &values).await?.get("n")?;
        Ok(Count { count, at_least: edge.is_some() })
    }

    /// The next ones, oldest first; `after`: the last one that was looked at.
    pub async fn retriable(
        &self,
        filter: &RetryFilter<'_>,
        after: Option<DeliveryId>,
    ) -> Result<RetryPart, StoreError> {
        let from = after.map_or(DeliveryId::lowest_at(filter.from), next);
        let edge = self.retry_edge(filter, from, limits::RETRY_BATCH_LOOKED_AT).await?;
        let (sql, mut values) = by_filter(HEAD, filter, from, edge);
        values.push(int(limits::RETRY_BATCH_ROWS));
        let sql = format!("{sql} ORDER BY d.id LIMIT ${}", values.len());
        let found = self.read_retriable(sql, &values).await?;
        let full = found.len() == limits::RETRY_BATCH_ROWS;
        let looked_until = match found.last() {
            Some(last) if full => Some(last.delivery),
            _ => edge.map(previous),
        };
        Ok(RetryPart { found, looked_until })
    }

    /// Of deliveries that are named, at most [`limits::RETRY_IDS_MAX`], those that failed or were cancelled and are to be sent again. Index:
    /// the primary key.
    pub async fn retriable_of(
        &self,
        filter: &RetryFilter<'_>,
        ids: &[DeliveryId],
    ) -> Result<Vec<Retriable>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = vec![filter.tenant.into(), DeliveryId::lowest_at(filter.began).into()];
        let mut sql = format!("{HEAD} {RETRIABLE})) AND d.state IN (3, 4)");
        more_fields(&mut sql, &mut values, filter);
        in_list(&mut sql, &mut values, ids);
        sql.push_str(" ORDER BY d.id");
        self.read_retriable(sql, &values).await
    }

    /// Which of these are deliveries of the tenant. Index: the primary key.
    pub async fn deliveries_known(
        &self,
        tenant: TenantId,
        ids: &[DeliveryId],
    ) -> Result<Vec<DeliveryId>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = vec![tenant.into()];
        let mut sql = "SELECT d.id FROM delivery d WHERE d.tenant_id = $1".to_owned();
        in_list(&mut sql, &mut values, ids);
        self.read().all(sql, &values).await?.iter().map(|row| row.get("id")).collect()
    }

    async fn retry_edge(
        &self,
        filter: &RetryFilter<'_>,
        from: DeliveryId,
        rows: usize,
    ) -> Result<Option<DeliveryId>, StoreError> {
        let until = DeliveryId::lowest_at(filter.until);
        let row =
            self.read().maybe(EDGE, &[filter.tenant.into(), from.into(), until.into(), int(rows)]).await?;
        row.map(|row| row.get("id")).transpose()
    }

    async fn read_retriable(&self, sql: String, values: &[Value<'_>]) -> Result<Vec<Retriable>, StoreError> {
        let rows = self.read().all(sql, values).await?;
        rows.iter()
            .map(|row| {
                Ok(Retriable {
                    delivery: row.get("id")?,
                    event: row.get("event_id")?,
                    webhook: row.get("webhook_id")?,
                })
            })
            .collect()
    }
}

const HEAD: &str = "SELECT d.id, d.event_id, d.webhook_id";

fn by_filter<'a>(
    head: &str,
    filter: &RetryFilter<'a>,
    from: DeliveryId,
    edge: Option<DeliveryId>,
) -> (String, Vec<Value<'a>>) {
    let until = DeliveryId::lowest_at(filter.until);
    let mut values = vec![
        filter.tenant.into(),
        DeliveryId::lowest_at(filter.began).into(),
        until.into(),
        from.into(),
        edge.unwrap_or(until).into(),
    ];
    let mut sql = format!(
        "{head} {RETRIABLE} OR (r.id > d.id AND r.id < $3))) AND d.state = 3 AND d.id >= $4 AND d.id < $5"
    );
    more_fields(&mut sql, &mut values, filter);
    (sql, values)
}

fn more_fields<'a>(sql: &mut String, values: &mut Vec<Value<'a>>, filter: &RetryFilter<'a>) {
    let mut and = |condition: &str, value: Value<'a>| {
        values.push(value);
        sql.push_str(&format!(" AND {condition} ${}", values.len()));
    };
    if let Some(webhook) = filter.webhook {
        and("d.webhook_id =", webhook.into());
    }
    if let Some(event_type) = filter.event_type {
        and("e.type =", event_type.into());
    }
    if let Some(status) = filter.status {
        and("d.last_status =", i64::from(status).into());
    }
}

fn in_list(sql: &mut String, values: &mut Vec<Value<'_>>, ids: &[DeliveryId]) {
    let first = values.len() + 1;
    values.extend(ids.iter().map(|id| Value::from(*id)));
    let places: Vec<String> = (first..=values.len()).map(|n| format!("${n}")).collect();
    sql.push_str(&format!(" AND d.id IN ({})", places.join(", ")));
}

/// Ids are numbers of 16 bytes.
fn next(id: DeliveryId) -> DeliveryId {
    DeliveryId::from_bytes(u128::from_be_bytes(*id.as_bytes()).saturating_add(1).to_be_bytes())
}

fn previous(id: DeliveryId) -> DeliveryId {
    DeliveryId::from_bytes(u128::from_be_bytes(*id.as_bytes()).saturating_sub(1).to_be_bytes())
}

fn int(count: usize) -> Value<'static> {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        let at = Timestamp::from_unix_ms(0);
        let tenant = TenantId::from_bytes([0; 16]);
        let id = DeliveryId::from_bytes([0; 16]);
        let filter = RetryFilter {
            tenant,
            webhook: None,
            event_type: Some("a.b"),
            status: Some(500),
            from: at,
            until: at,
            began: at,
        };
        plans::check(EDGE, &["COVERING INDEX delivery_failed (tenant_id=? AND id>? AND id<?)"]);
        let (sql, _) = by_filter(HEAD, &filter, id, None);
        plans::check(
            &format!("{sql} ORDER BY d.id LIMIT 1"),
            &["d USING INDEX delivery_failed (tenant_id=? AND id>? AND id<?)", "delivery_replay"],
        );
        let mut named = format!("{HEAD} {RETRIABLE})) AND d.state IN (3, 4)");
        in_list(&mut named, &mut vec![tenant.into(), id.into()], &[id, id]);
        plans::check(&named, &["d USING PRIMARY KEY (id=? AND tenant_id=?)"]);
    }
}
