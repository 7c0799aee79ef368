//! Deliveries and their attempts.

use std::sync::Arc;

use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::id::{DeliveryId, EventId, TenantId, WebhookId};
use postrider_domain::limits;
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

/// On SQLite: a tenant's webhooks that ever got something, found by leaps over `delivery_webhook`.
macro_rules! with_hooks {
    ($rest:literal) => {
        concat!(
            "WITH RECURSIVE hook (id) AS (SELECT MIN(webhook_id) FROM delivery WHERE tenant_id = $1 ",
            "UNION ALL SELECT (SELECT MIN(n.webhook_id) FROM delivery n WHERE n.tenant_id = $1 AND n.webhook_id > hook.id) ",
            "FROM hook WHERE hook.id IS NOT NULL) ",
            $rest
        )
    };
}
/// The newest delivery of each in a range of ids. Index: `delivery_webhook`.
const HOOKS: &str = with_hooks!(
    "SELECT id, (SELECT d.id FROM delivery d WHERE d.tenant_id = $1 AND d.webhook_id = hook.id AND d.id < $2 AND d.id >= $3
      ORDER BY d.id DESC LIMIT 1) AS newest FROM hook WHERE id IS NOT NULL"
);
/// From this id on, no webhook has more than `$4` deliveries. Index: `delivery_webhook`.
const EDGE_BY_HOOKS: &str = with_hooks!(
    "SELECT MAX(edge) AS edge FROM (SELECT (SELECT d.id FROM delivery d WHERE d.tenant_id = $1 AND d.webhook_id = hook.id
      AND d.id < $2 AND d.id >= $3 ORDER BY d.id DESC LIMIT 1 OFFSET $4) AS edge FROM hook WHERE id IS NOT NULL)"
);
/// What the list by webhooks begins with. Indexes: `delivery_webhook`, a range for each webhook.
const FROM_HOOKS: &str = "FROM hook CROSS JOIN delivery d ON d.webhook_id = hook.id";
const HOOKS_HEAD: &str = with_hooks!("");
/// From this id on there are `$3` deliveries of all tenants. Index: the primary key.
const EDGE_BY_KEY: &str =
    "SELECT id AS edge FROM delivery WHERE id < $1 AND id >= $2 ORDER BY id DESC LIMIT 1 OFFSET $3";

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
    /// Of the newest finished attempt.
    pub status: Option<u16>,
    pub class: Option<AttemptClass>,
    /// The last one of the page before, or until where was looked.
    pub before: Option<DeliveryId>,
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    pub deliveries: Vec<StoredDelivery>,
    /// Fewer than asked for were found, and there is more to look at: everything from this id on was looked at, go on before
    /// it. None: the page is full, or there is nothing more.
    pub looked_until: Option<DeliveryId>,
}

/// How a list finds its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By the index of what is asked for.
    Own,
    /// Along the key of all tenants: on SQLite, where that is the quicker one.
    Key,
    /// Along each of the tenant's webhooks: on SQLite.
    Hooks,
    /// Along the history of one webhook; on PostgreSQL also along the tenant's. Rows that do not match are dropped.
    History,
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

    /// At most `rows` of a tenant's deliveries, newest first: fewer only when there are no more. Where few rows match, it looks
    /// at all that there are: for programs, which page through a list. Pages take [`Self::delivery_page`].
    pub async fn delivery_list(
        &self,
        tenant: TenantId,
        filter: &DeliveryFilter,
        rows: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let mut filter = filter.clone();
        let mut found = Vec::new();
        loop {
            let page = self.delivery_page(tenant, &filter, rows - found.len()).await?;
            found.extend(page.deliveries);
            match page.looked_until {
                Some(until) => filter.before = Some(until),
                None => return Ok(found),
            }
        }
    }

    /// At most `rows` of a tenant's deliveries, newest first, after a look at no more than [`limits::DELIVERIES_LOOKED_AT_MAX`] rows.
    ///
    /// Indexes: `delivery_failed` for what failed; `delivery_due` and the view `sending` for what is open, read whole and
    /// sorted where it is little; else the history, in the order of ids: of one webhook by `delivery_webhook`, of a tenant by the
    /// primary key on PostgreSQL, and on SQLite by its webhooks' histories or by the key of all tenants.
    pub async fn delivery_page(
        &self,
        tenant: TenantId,
        filter: &DeliveryFilter,
        rows: usize,
    ) -> Result<DeliveryPage, StoreError> {
        let (below, from) = range(filter);
        let drops_more = filter.event_type.is_some() || filter.status.is_some() || filter.class.is_some();
        match filter.state {
            Some(DeliveryState::Sending) => return self.page(tenant, filter, Way::Own, None, rows).await,
            Some(DeliveryState::Scheduled) if !self.much_is_scheduled(tenant, filter).await? => {
                return self.page(tenant, filter, Way::Own, None, rows).await;
            }
            Some(DeliveryState::Failed) => {
                let edge = match drops_more || filter.webhook.is_some() {
                    true => self.edge(tenant, filter, Way::Own).await?,
                    false => None,
                };
                return self.page(tenant, filter, Way::Own, edge, rows).await;
            }
            _ => {}
        }
        let drops = drops_more || filter.state.is_some();
        if filter.webhook.is_some() || self.is_shared() {
            let edge = if drops { self.edge(tenant, filter, Way::History).await? } else { None };
            return self.page(tenant, filter, Way::History, edge, rows).await;
        }
        let mut hooks = Vec::new();
        for row in self.read().all(HOOKS, &[tenant.into(), below.into(), from.into()]).await? {
            if let Some(newest) = row.get::<Option<DeliveryId>>("newest")? {
                hooks.push((newest, row.get("id")?));
            }
        }
        if hooks.is_empty() {
            return Ok(DeliveryPage { deliveries: Vec::new(), looked_until: None });
        }
        if !drops {
            return self.merged(tenant, filter, hooks, rows).await;
        }
        // Each bounds the rows that it looks at; the one that comes further back is taken.
        let each = limits::DELIVERIES_LOOKED_AT_MAX / hooks.len();
        let values = [tenant.into(), below.into(), from.into(), int(each.max(1))];
        let by_hooks: Option<DeliveryId> = self.read().one(EDGE_BY_HOOKS, &values).await?.get("edge")?;
        let values = [below.into(), from.into(), int(limits::DELIVERIES_LOOKED_AT_MAX - 1)];
        let by_key = self.read().maybe(EDGE_BY_KEY, &values).await?;
        let by_key: Option<DeliveryId> = by_key.map(|row| row.get("edge")).transpose()?;
        let way = if by_key <= by_hooks { Way::Key } else { Way::Hooks };
        self.page(tenant, filter, way, by_key.min(by_hooks), rows).await
    }

    async fn page(
        &self,
        tenant: TenantId,
        filter: &DeliveryFilter,
        way: Way,
        edge: Option<DeliveryId>,
        rows: usize,
    ) -> Result<DeliveryPage, StoreError> {
        let (sql, values) = list(tenant, filter, way, edge, rows);
        let found = self.read().all(sql, &values).await?;
        let deliveries: Vec<StoredDelivery> = found.iter().map(read).collect::<Result<_, _>>()?;
        let looked_until = edge.filter(|_| deliveries.len() < rows);
        Ok(DeliveryPage { deliveries, looked_until })
    }

    /// Of webhooks with their newest deliveries: those are asked that can have one of the newest `rows`, and no others.
    async fn merged(
        &self,
        tenant: TenantId,
        filter: &DeliveryFilter,
        mut hooks: Vec<(DeliveryId, WebhookId)>,
        rows: usize,
    ) -> Result<DeliveryPage, StoreError> {
        hooks.sort_unstable_by(|a, b| b.cmp(a));
        let mut found: Vec<StoredDelivery> = Vec::new();
        for (newest, webhook) in hooks {
            let last = found.get(rows.saturating_sub(1)).map(|delivery| delivery.id);
            if last.is_some_and(|last| newest < last) {
                break;
            }
            let filter = DeliveryFilter { webhook: Some(webhook), ..filter.clone() };
            found.extend(self.page(tenant, &filter, Way::History, last, rows).await?.deliveries);
            found.sort_unstable_by_key(|delivery| std::cmp::Reverse(delivery.id));
            found.truncate(rows);
        }
        Ok(DeliveryPage { deliveries: found, looked_until: None })
    }

    /// The oldest of as many as may be looked at; none when there are fewer.
    async fn edge(
        &self,
        tenant: TenantId,
        filter: &DeliveryFilter,
        way: Way,
    ) -> Result<Option<DeliveryId>, StoreError> {
        let (sql, values) = edge(tenant, filter, way);
        let row = self.read().maybe(sql, &values).await?;
        row.map(|row| row.get("id")).transpose()
    }

    /// Whether more is scheduled than is to be read and sorted for one page.
    async fn much_is_scheduled(&self, tenant: TenantId, filter: &DeliveryFilter) -> Result<bool, StoreError> {
        let mut select =
            Select::new("SELECT COUNT(*) AS n FROM (SELECT 1 FROM delivery", "tenant_id =", tenant.into());
        if let Some(webhook) = filter.webhook {
            select.and("webhook_id =", webhook.into());
        }
        select.and_code("state =", DeliveryState::Scheduled.code());
        select.more(" LIMIT ", int(limits::DELIVERIES_LOOKED_AT_MAX + 1), ") AS few");
        let (sql, values) = select.end();
        let count: u64 = self.read().one(sql, &values).await?.get("n")?;
        Ok(count > limits::DELIVERIES_LOOKED_AT_MAX as u64)
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

/// The ids that a filter leaves: below the first, from the second on.
fn range(filter: &DeliveryFilter) -> (DeliveryId, DeliveryId) {
    let until = filter.until.map(DeliveryId::lowest_at);
    let below = [filter.before, until].into_iter().flatten().min();
    let from = filter.from.map(DeliveryId::lowest_at);
    (below.unwrap_or(DeliveryId::from_bytes([0xff; 16])), from.unwrap_or(DeliveryId::from_bytes([0; 16])))
}

fn int(count: usize) -> Value<'static> {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

/// Along what a list walks: the id at which it has looked at enough.
fn edge<'a>(tenant: TenantId, filter: &'a DeliveryFilter, way: Way) -> (String, Vec<Value<'a>>) {
    let mut select = Select::new("SELECT d.id FROM delivery d", "d.tenant_id =", tenant.into());
    match (way, filter.webhook) {
        // All failures of the tenant are walked over.
        (Way::Own, _) => select.and_code("d.state =", DeliveryState::Failed.code()),
        (_, Some(webhook)) => select.and("d.webhook_id =", webhook.into()),
        (_, None) => {}
    }
    let (below, from) = range(filter);
    select.and("d.id <", below.into());
    select.and("d.id >=", from.into());
    let (sql, values) = select.finish("d.id DESC", 1);
    (format!("{sql} OFFSET {}", limits::DELIVERIES_LOOKED_AT_MAX - 1), values)
}

fn list<'a>(
    tenant: TenantId,
    filter: &'a DeliveryFilter,
    way: Way,
    edge: Option<DeliveryId>,
    rows: usize,
) -> (String, Vec<Value<'a>>) {
    let columns = match (way, filter.state) {
        // What is under way is not looked for, but known.
        (Way::Own, Some(DeliveryState::Sending)) => COLUMNS.replace("FROM delivery d", "FROM sending d"),
        (Way::Hooks, _) => format!("{HOOKS_HEAD}{}", COLUMNS.replace("FROM delivery d", FROM_HOOKS)),
        _ => COLUMNS.to_owned(),
    };
    // The plus keeps the planner from an index that begins with the tenant, which would have to be read whole and sorted.
    let of_tenant = if way == Way::Key { "+d.tenant_id =" } else { "d.tenant_id =" };
    let mut select = Select::new(&columns, of_tenant, tenant.into());
    // What is open is found by its state and then sorted: it is little beside the whole history, which the planner would
    // otherwise walk in the order of the key until it has met enough of it. So the id is put as no key has it.
    let id = match filter.state {
        Some(state) if way == Way::Own && !state.is_final() => "CASE WHEN d.state < 2 THEN d.id END",
        _ => "d.id",
    };
    if let Some(webhook) = filter.webhook {
        select.and("d.webhook_id =", webhook.into());
    }
    if let Some(state) = filter.state {
        match way {
            Way::Own => select.and_code("d.state =", state.code()),
            // A partial index would have to be sorted.
            Way::Key | Way::Hooks | Way::History => select.and("+d.state =", state.into()),
        }
    }
    let from = filter.from.map(DeliveryId::lowest_at).max(edge);
    if let Some(from) = from {
        select.and(&format!("{id} >="), from.into());
    }
    let (below, _) = range(filter);
    if filter.before.is_some() || filter.until.is_some() {
        select.and(&format!("{id} <"), below.into());
    }
    // The plus keeps SQLite from making an index of them, for which it would read the whole table.
    if let Some(status) = filter.status {
        select.and("+d.last_status =", i64::from(status).into());
    }
    if let Some(class) = filter.class {
        select.and("+d.last_class =", class.into());
    }
    if let Some(event_type) = &filter.event_type {
        let of_type = match way {
            // As a condition on the events it would have SQLite read the ids of all of them, for a filter ahead of the join.
            Way::Hooks => {
                "(SELECT t.type FROM event t WHERE t.tenant_id = d.tenant_id AND t.id = d.event_id) ="
            }
            Way::Own | Way::Key | Way::History => "e.type =",
        };
        select.and(of_type, event_type.into());
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
        const LEAPS: [&str; 2] =
            ["delivery_webhook (tenant_id=?)", "delivery_webhook (tenant_id=? AND webhook_id>?)"];
        const OF_HOOK: &str =
            "COVERING INDEX delivery_webhook (tenant_id=? AND webhook_id=? AND id>? AND id<?)";
        plans::check(HOOKS, &[LEAPS[0], LEAPS[1], OF_HOOK]);
        plans::check(EDGE_BY_HOOKS, &[LEAPS[0], LEAPS[1], OF_HOOK]);
        plans::check(EDGE_BY_KEY, &["PRIMARY KEY (id>? AND id<?)"]);
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
        for (way, filter, index) in [
            (
                Way::History,
                DeliveryFilter { webhook, ..all() },
                "delivery_webhook (tenant_id=? AND webhook_id=?)",
            ),
            (
                Way::History,
                DeliveryFilter { webhook, before, ..all() },
                "delivery_webhook (tenant_id=? AND webhook_id=? AND id<?)",
            ),
            (
                Way::History,
                DeliveryFilter { webhook, before, ..state(DeliveryState::Scheduled) },
                "delivery_webhook (tenant_id=? AND webhook_id=? AND id<?)",
            ),
            (Way::Own, state(DeliveryState::Scheduled), "delivery_due (tenant_id=?)"),
            (
                Way::Own,
                DeliveryFilter { before, ..state(DeliveryState::Scheduled) },
                "delivery_due (tenant_id=?)",
            ),
            (Way::Own, state(DeliveryState::Sending), "delivery USING PRIMARY KEY (id=? AND tenant_id=?)"),
            (
                Way::Own,
                DeliveryFilter { before, ..state(DeliveryState::Sending) },
                "delivery USING PRIMARY KEY (id=? AND tenant_id=?)",
            ),
            (Way::Own, state(DeliveryState::Failed), "delivery_failed (tenant_id=?)"),
            (
                Way::Own,
                DeliveryFilter { before, ..state(DeliveryState::Failed) },
                "delivery_failed (tenant_id=? AND id<?)",
            ),
            (
                Way::Own,
                DeliveryFilter { webhook, ..state(DeliveryState::Scheduled) },
                "delivery_due (tenant_id=? AND webhook_id=?)",
            ),
        ] {
            plans::check(&list(tenant, &filter, way, None, 10).0, &[index, EVENT]);
        }
    }

    #[test]
    fn lists_that_drop_rows_look_at_a_range_only() {
        let tenant = TenantId::from_bytes([0; 16]);
        let webhook = Some(WebhookId::from_bytes([0; 16]));
        let at = Some(DeliveryId::from_bytes([0; 16]));
        let filter = DeliveryFilter {
            before: at,
            status: Some(500),
            state: Some(DeliveryState::Cancelled),
            event_type: Some("a.b".into()),
            ..DeliveryFilter::default()
        };
        let of_webhook = DeliveryFilter { webhook, ..filter.clone() };
        let failed = DeliveryFilter { state: Some(DeliveryState::Failed), ..filter.clone() };
        let status = DeliveryFilter { status: Some(500), ..DeliveryFilter::default() };
        let class = DeliveryFilter { class: Some(AttemptClass::Timeout), ..DeliveryFilter::default() };
        let cancelled = DeliveryFilter { state: Some(DeliveryState::Cancelled), ..DeliveryFilter::default() };
        for one in [&status, &class, &cancelled] {
            plans::check(
                &list(tenant, one, Way::Hooks, at, 10).0,
                &["d USING INDEX delivery_webhook (tenant_id=? AND webhook_id=? AND id>?)", EVENT],
            );
        }
        for (way, filter, index) in [
            (Way::Key, &filter, "d USING PRIMARY KEY (id>? AND id<?)"),
            (
                Way::Hooks,
                &filter,
                "d USING INDEX delivery_webhook (tenant_id=? AND webhook_id=? AND id>? AND id<?)",
            ),
            (Way::History, &of_webhook, "delivery_webhook (tenant_id=? AND webhook_id=? AND id>? AND id<?)"),
            (Way::Own, &failed, "delivery_failed (tenant_id=? AND id>? AND id<?)"),
        ] {
            plans::check(&list(tenant, filter, way, at, 10).0, &[index, EVENT]);
        }
        for (way, filter, index) in [
            (
                Way::History,
                &of_webhook,
                "COVERING INDEX delivery_webhook (tenant_id=? AND webhook_id=? AND id>? AND id<?)",
            ),
            (Way::Own, &failed, "COVERING INDEX delivery_failed (tenant_id=? AND id>? AND id<?)"),
        ] {
            plans::check(&edge(tenant, filter, way).0, &[index]);
        }
    }
}
