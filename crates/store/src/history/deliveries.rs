//! Deliveries and their attempts.

use std::sync::Arc;

use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::id::{DeliveryId, EventId, TenantId, WebhookId};
use postrider_domain::time::Timestamp;

use super::Select;
use crate::db::{Row, Value};
use crate::work::{AttemptRow, AttemptTiming, FIRST_DELIVERY_SHARED_BYTES};
use crate::{Store, StoreError};

/// Its event is found by `event_id`.
const COLUMNS: &str =
    "SELECT d.id, d.event_id, e.external_id, e.type, d.webhook_id, d.kind, d.state, d.reason, d.attempts,
    d.step, d.resend, d.created_ms, d.due_ms, d.claimed_ms, d.settled_ms, d.last_class, d.last_status
  FROM delivery d JOIN event e ON e.tenant_id = d.tenant_id AND e.id = d.event_id";
/// Index: the primary key.
const ATTEMPTS: &str =
    "SELECT number, started_ms, class, status, detail, dns_us, connect_us, tls_us, wait_us, body_us,
    total_us, peer, reused, resend, body_sha256, request_bytes, response_head, response_body, response_bytes
  FROM attempt WHERE tenant_id = $1 AND delivery_id = $2 ORDER BY number";
/// Index: `delivery_due`, its first row per webhook.
const DUE: &str = "SELECT tenant_id, webhook_id, due_ms FROM (SELECT w.tenant_id AS tenant_id, w.id AS webhook_id,
    (SELECT MIN(d.due_ms) FROM delivery d WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.id AND d.state = 0)
      AS due_ms FROM webhook w) AS webhooks WHERE due_ms IS NOT NULL";

/// The next of a tenant's webhooks that ever got something. Index: `delivery_webhook`.
const NEXT_WEBHOOK: &str = "SELECT webhook_id FROM delivery WHERE tenant_id = $1 AND webhook_id > $2
  ORDER BY webhook_id LIMIT 1";

/// A delivery as it is stored, with what identifies its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    pub id: DeliveryId,
    pub event: EventId,
    /// The id that the event's publisher brought.
    pub external_id: Option<String>,
    pub event_type: Arc<str>,
    pub webhook: WebhookId,
    pub kind: DeliveryKind,
    pub state: DeliveryState,
    pub reason: Reason,
    /// Claims made, the present one included: each is a request that was begun or is about to be.
    pub attempts: u32,
    /// Steps of the retry schedule used.
    pub step: u32,
    /// The next attempt may be the receiver's second: an earlier outcome was lost.
    pub resend: bool,
    pub created: Timestamp,
    /// While scheduled.
    pub due: Option<Timestamp>,
    /// While sending: when it was claimed for attempt number `attempts`. The request follows at once, or within a second.
    pub claimed: Option<Timestamp>,
    /// Once final.
    pub settled: Option<Timestamp>,
    /// Of the newest finished attempt.
    pub last_class: Option<AttemptClass>,
    pub last_status: Option<u16>,
}

/// Which deliveries a list shows; all fields are joined by and.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub state: Option<DeliveryState>,
    pub webhook: Option<WebhookId>,
    pub event_type: Option<String>,
    /// Made at or after.
    pub from: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
    /// The last one of the page before.
    pub before: Option<DeliveryId>,
}

impl Store {
    /// Index: the primary key.
    pub async fn delivery_get(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
    ) -> Result<Option<StoredDelivery>, StoreError> {
        let mut select = Select::new(COLUMNS, "d.tenant_id =", tenant.into());
        select.and("d.id =", delivery.into());
        let (sql, values) = select.finish("d.id", 1);
        let row = self.read().maybe(sql, &values).await?;
        row.as_ref().map(read).transpose()
    }

    /// At most `rows` of a tenant's deliveries, newest first.
    ///
    /// Indexes: `delivery_webhook` or `delivery_failed`, walked in their order; `delivery_due` and the view
    /// `sending`, read whole for the tenant and sorted. By type, or by a rare final state, rows that do not match are read and dropped on the
    /// way.
    pub async fn delivery_list(
        &self,
        tenant: TenantId,
        filter: &DeliveryFilter,
        rows: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let has_order_of_its_own = matches!(
            filter.state,
            Some(DeliveryState::Scheduled | DeliveryState::Sending | DeliveryState::Failed)
        );
        if filter.webhook.is_some() || has_order_of_its_own {
            return self.delivery_list_one(tenant, filter, rows).await;
        }
        // A tenant has few webhooks: its list is made of theirs, so that no index is kept for it on the way of events.
        let mut found = Vec::new();
        let mut last = WebhookId::from_bytes([0; 16]);
        while let Some(row) = self.read().maybe(NEXT_WEBHOOK, &[tenant.into(), last.into()]).await? {
            last = row.get("webhook_id")?;
            let filter = DeliveryFilter { webhook: Some(last), ..filter.clone() };
            found.extend(self.delivery_list_one(tenant, &filter, rows).await?);
            found.sort_unstable_by_key(|delivery: &StoredDelivery| std::cmp::Reverse(delivery.id));
            found.truncate(rows);
        }
        Ok(found)
    }

    async fn delivery_list_one(
        &self,
        tenant: TenantId,
        filter: &DeliveryFilter,
        rows: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let (sql, values) = list(tenant, filter, rows);
        self.read().all(sql, &values).await?.iter().map(read).collect()
    }

    /// All deliveries of an event, oldest first: the first ones from the range of the primary key that they share with the
    /// event, then replays by `delivery_replay`.
    pub async fn deliveries_of(
        &self,
        tenant: TenantId,
        event: EventId,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let mut first = *event.as_bytes();
        first[FIRST_DELIVERY_SHARED_BYTES..].fill(0);
        let mut last = first;
        last[FIRST_DELIVERY_SHARED_BYTES..].fill(0xff);
        let values = [tenant.into(), event.into(), Value::Id(Some(first)), Value::Id(Some(last))];
        let mut rows = self.read().all(firsts(), &values).await?;
        rows.extend(self.read().all(replays(), &[tenant.into(), event.into()]).await?);
        rows.iter().map(read).collect()
    }

    /// A delivery's finished attempts, oldest first. The one under way is told by the delivery.
    pub async fn attempts(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let rows = self.read().all(ATTEMPTS, &[tenant.into(), delivery.into()]).await?;
        rows.iter().map(read_attempt).collect()
    }

    /// Every webhook that has something scheduled, with the earliest due time.
    pub async fn webhooks_due_any_tenant(&self) -> Result<Vec<(TenantId, WebhookId, Timestamp)>, StoreError> {
        let rows = self.read().all(DUE, &[]).await?;
        rows.iter()
            .map(|row| Ok((row.get("tenant_id")?, row.get("webhook_id")?, row.get("due_ms")?)))
            .collect()
    }
}

fn firsts() -> String {
    format!(
        "{COLUMNS} WHERE d.tenant_id = $1 AND d.id BETWEEN $3 AND $4 AND d.event_id = $2 AND d.kind <> 2 ORDER BY d.id"
    )
}

fn replays() -> String {
    format!("{COLUMNS} WHERE d.tenant_id = $1 AND d.event_id = $2 AND d.kind = 2 ORDER BY d.id")
}

fn list(tenant: TenantId, filter: &DeliveryFilter, rows: usize) -> (String, Vec<Value<'_>>) {
    let columns = match filter.state {
        // What is under way is not looked for, but known.
        Some(DeliveryState::Sending) => COLUMNS.replace("FROM delivery d", "FROM sending d"),
        _ => COLUMNS.to_owned(),
    };
    let mut select = Select::new(&columns, "d.tenant_id =", tenant.into());
    // What is open is found by its state and then sorted: it is little beside the whole history, which the planner would
    // otherwise walk in the order of the key until it has met enough of it. So the id is put as no key has it.
    let id = match filter.state {
        Some(state) if !state.is_final() => "CASE WHEN d.state < 2 THEN d.id END",
        _ => "d.id",
    };
    if let Some(webhook) = filter.webhook {
        select.and("d.webhook_id =", webhook.into());
    }
    if let Some(state) = filter.state {
        select.and_code("d.state =", state.code());
    }
    if let Some(from) = filter.from {
        select.and(&format!("{id} >="), DeliveryId::lowest_at(from).into());
    }
    if let Some(until) = filter.until {
        select.and(&format!("{id} <"), DeliveryId::lowest_at(until).into());
    }
    if let Some(before) = filter.before {
        select.and(&format!("{id} <"), before.into());
    }
    if let Some(event_type) = &filter.event_type {
        select.and("e.type =", event_type.into());
    }
    select.finish(&format!("{id} DESC"), rows)
}

fn read(row: &Row) -> Result<StoredDelivery, StoreError> {
    Ok(StoredDelivery {
        id: row.get("id")?,
        event: row.get("event_id")?,
        external_id: row.get("external_id")?,
        event_type: row.get::<String>("type")?.into(),
        webhook: row.get("webhook_id")?,
        kind: row.get("kind")?,
        state: row.get("state")?,
        reason: row.get("reason")?,
        attempts: row.get("attempts")?,
        step: row.get("step")?,
        resend: row.get("resend")?,
        created: row.get("created_ms")?,
        due: row.get("due_ms")?,
        claimed: row.get("claimed_ms")?,
        settled: row.get("settled_ms")?,
        last_class: row.get("last_class")?,
        last_status: row.get("last_status")?,
    })
}

fn read_attempt(row: &Row) -> Result<AttemptRow, StoreError> {
    Ok(AttemptRow {
        number: row.get("number")?,
        started: row.get("started_ms")?,
        class: row.get("class")?,
        status: row.get("status")?,
        detail: row.get("detail")?,
        timing: AttemptTiming {
            dns_us: row.get("dns_us")?,
            connect_us: row.get("connect_us")?,
            tls_us: row.get("tls_us")?,
            wait_us: row.get("wait_us")?,
            body_us: row.get("body_us")?,
            total_us: row.get("total_us")?,
        },
        peer: row.get("peer")?,
        reused: row.get("reused")?,
        resend: row.get("resend")?,
        body_sha256: row.get("body_sha256")?,
        request_bytes: row.get("request_bytes")?,
        response_head: row.get("response_head")?,
        response_body: row.get("response_body")?,
        response_bytes: row.get("response_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    const EVENT: &str = "event_id (tenant_id=? AND id=?)";

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(ATTEMPTS, &["PRIMARY KEY (delivery_id=?)"]);
        plans::check(DUE, &["COVERING INDEX", "delivery_due (tenant_id=? AND webhook_id=?)"]);
        plans::check(NEXT_WEBHOOK, &["delivery_webhook (tenant_id=? AND webhook_id>?)"]);
        plans::check(&firsts(), &["PRIMARY KEY (id>? AND id<?)"]);
        plans::check(&replays(), &["delivery_replay (tenant_id=? AND event_id=?)"]);
    }

    #[test]
    fn lists_walk_the_index_that_holds_the_least() {
        let tenant = TenantId::from_bytes([0; 16]);
        let webhook = Some(WebhookId::from_bytes([0; 16]));
        let before = Some(DeliveryId::from_bytes([0; 16]));
        let all = DeliveryFilter::default;
        let state = |state| DeliveryFilter { state: Some(state), ..all() };
        for (filter, index) in [
            (DeliveryFilter { webhook, ..all() }, "delivery_webhook (tenant_id=? AND webhook_id=?)"),
            (
                DeliveryFilter { webhook, before, ..all() },
                "delivery_webhook (tenant_id=? AND webhook_id=? AND id<?)",
            ),
            (state(DeliveryState::Scheduled), "delivery_due (tenant_id=?)"),
            (DeliveryFilter { before, ..state(DeliveryState::Scheduled) }, "delivery_due (tenant_id=?)"),
            (state(DeliveryState::Sending), "delivery USING PRIMARY KEY (id=? AND tenant_id=?)"),
            (
                DeliveryFilter { before, ..state(DeliveryState::Sending) },
                "delivery USING PRIMARY KEY (id=? AND tenant_id=?)",
            ),
            (state(DeliveryState::Failed), "delivery_failed (tenant_id=?)"),
            (
                DeliveryFilter { before, ..state(DeliveryState::Failed) },
                "delivery_failed (tenant_id=? AND id<?)",
            ),
            (
                DeliveryFilter { webhook, ..state(DeliveryState::Scheduled) },
                "delivery_due (tenant_id=? AND webhook_id=?)",
            ),
        ] {
            plans::check(&list(tenant, &filter, 10).0, &[index, EVENT]);
        }
    }
}
