//! Events, and what the tenant's webhooks were when one was accepted.

use postrider_domain::id::{EventId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use super::Select;
use crate::db::Row;
use crate::open::Backend;
use crate::work::StoredEvent;
use crate::{Store, StoreError};

pub(super) const COLUMNS: &str =
    "SELECT id, external_id, kind, type, time_ms, accepted_ms, tenant_version, depth, data FROM event";
/// Index: `event_id`.
const BY_ID: &str =
    "SELECT id, external_id, kind, type, time_ms, accepted_ms, tenant_version, depth, data FROM event
  WHERE tenant_id = $1 AND id = $2";
/// Index: `event_external`.
const BY_EXTERNAL_ID: &str =
    "SELECT id, external_id, kind, type, time_ms, accepted_ms, tenant_version, depth, data
  FROM event WHERE tenant_id = $1 AND external_id = $2";
/// Where a list that drops rows has looked at enough. Index: `event_id`.
const EDGE: &str =
    "SELECT id FROM event WHERE tenant_id = $1 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT 1 OFFSET $4";
/// On PostgreSQL: which transaction wrote an event. Index: the primary key.
const WRITTEN_BY: &str = "SELECT xid::text AS xid FROM event WHERE tenant_id = $1 AND id = $2";
/// The newest row of each webhook at or below a version of the tenant. Index: the primary key.
const WEBHOOK_VERSIONS: &str = "SELECT webhook_id, version, name, events, enabled, deleted, created_ms
  FROM webhook_version v WHERE tenant_id = $1 AND version = (SELECT MAX(n.version) FROM webhook_version n
    WHERE n.tenant_id = v.tenant_id AND n.webhook_id = v.webhook_id AND n.version <= $2)
  ORDER BY webhook_id";

/// Which events a list shows; all fields are joined by and.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub event_type: Option<String>,
    /// Accepted at or after.
    pub from: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
}

/// A list's direction and where it goes on.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    NewestFirst {
        before: Option<EventId>,
    },
    /// In the order of acceptance: who goes on after the last event seen misses none.
    OldestFirst {
        after: Option<EventId>,
    },
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    pub events: Vec<StoredEvent>,
    /// Fewer than asked for were found, and there is more to look at: go on before this id. None: the page is full, or there is
    /// nothing more.
    pub looked_until: Option<EventId>,
}

/// What decided whether a webhook got an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookVersion {
    pub webhook: WebhookId,
    /// The tenant's version in which this became so.
    pub version: i64,
    pub name: String,
    /// A JSON array of patterns.
    pub events: String,
    pub enabled: bool,
    pub deleted: bool,
    pub created: Timestamp,
}

impl Store {
    pub async fn event_get(
        &self,
        tenant: TenantId,
        event: EventId,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let row = self.read().maybe(BY_ID, &[tenant.into(), event.into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// The newest event of a tenant, by its id. Index: `event_id`.
    pub async fn event_newest(&self, tenant: TenantId) -> Result<Option<EventId>, StoreError> {
        const SQL: &str = "SELECT id FROM event WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1";
        let row = self.read().maybe(SQL, &[tenant.into()]).await?;
        row.map(|row| row.get("id")).transpose()
    }

    /// By the id that its publisher brought.
    pub async fn event_find(
        &self,
        tenant: TenantId,
        external_id: &str,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let row = self.read().maybe(BY_EXTERNAL_ID, &[tenant.into(), external_id.into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// At most `rows` of a tenant's events. Index: `event_id`, walked in its order; on PostgreSQL the primary key, and for the
    /// order of acceptance `event_order`.
    pub async fn event_list(
        &self,
        tenant: TenantId,
        filter: &EventFilter,
        order: Order,
        rows: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let (mut written_by, mut finished) = (None, String::new());
        if let (Order::OldestFirst { after }, Backend::Postgres(postgres)) = (order, self.backend()) {
            if let Some(after) = after {
                let row = self.read().maybe(WRITTEN_BY, &[tenant.into(), after.into()]).await?;
                written_by = row.map(|row| row.get::<String>("xid")).transpose()?;
            }
            finished = postgres.finished_before().await?.to_string();
        }
        let mut select = Select::new(COLUMNS, "tenant_id =", tenant.into());
        if let Some(from) = filter.from {
            select.and("id >=", EventId::lowest_at(from).into());
        }
        if let Some(until) = filter.until {
            select.and("id <", EventId::lowest_at(until).into());
        }
        if let Some(event_type) = &filter.event_type {
            select.and("type =", event_type.into());
        }
        let order_by = match order {
            Order::NewestFirst { before } => {
                if let Some(before) = before {
                    select.and("id <", before.into());
                }
                "id DESC"
            }
            Order::OldestFirst { after } if self.is_shared() => {
                match (after, &written_by) {
                    (Some(after), Some(xid)) => {
                        select.and("(xid, id) > (CAST(", xid.into());
                        select.more(" AS TEXT)::xid8, ", after.into(), ")");
                    }
                    // Retention has removed it: all that is left was written later, but for what it overtook.
                    (Some(after), None) => select.and("id >", after.into()),
                    (None, _) => {}
                }
                // Of what comes later, something may yet come before what is there already.
                select.and("xid < CAST(", (&finished).into());
                select.close(" AS TEXT)::xid8");
                "xid ASC, id ASC"
            }
            Order::OldestFirst { after } => {
                if let Some(after) = after {
                    select.and("id >", after.into());
                }
                "id ASC"
            }
        };
        let (sql, values) = select.finish(order_by, rows);
        self.read().all(sql, &values).await?.iter().map(read).collect()
    }

    /// At most `rows` of a tenant's events, newest first, after a look at no more than [`limits::EVENTS_LOOKED_AT_MAX`] of them: for pages,
    /// where a rare type would be looked for in all that there are. Index: `event_id`; on PostgreSQL the primary key.
    pub async fn event_page(
        &self,
        tenant: TenantId,
        filter: &EventFilter,
        before: Option<EventId>,
        rows: usize,
    ) -> Result<EventPage, StoreError> {
        let mut filter = filter.clone();
        let mut edge = None;
        if filter.event_type.is_some() {
            let until = filter.until.map(EventId::lowest_at);
            let below =
                [before, until].into_iter().flatten().min().unwrap_or(EventId::from_bytes([0xff; 16]));
            let from = filter.from.map_or(EventId::from_bytes([0; 16]), EventId::lowest_at);
            let skip = i64::try_from(limits::EVENTS_LOOKED_AT_MAX - 1).unwrap_or(i64::MAX);
            let values = [tenant.into(), below.into(), from.into(), skip.into()];
            edge = self.read().maybe(EDGE, &values).await?.map(|row| row.get::<EventId>("id")).transpose()?;
        }
        // To the millisecond, so that a little more may be looked at than the edge says.
        filter.from = edge.map(EventId::time).max(filter.from);
        let events = self.event_list(tenant, &filter, Order::NewestFirst { before }, rows).await?;
        let looked_until = edge.filter(|_| events.len() < rows).map(|edge| EventId::lowest_at(edge.time()));
        Ok(EventPage { events, looked_until })
    }

    /// What each of the tenant's webhooks was as of a version of the tenant; none for those that came later.
    pub async fn webhook_versions(
        &self,
        tenant: TenantId,
        version: i64,
    ) -> Result<Vec<WebhookVersion>, StoreError> {
        let rows = self.read().all(WEBHOOK_VERSIONS, &[tenant.into(), version.into()]).await?;
        rows.iter()
            .map(|row| {
                Ok(WebhookVersion {
                    webhook: row.get("webhook_id")?,
                    version: row.get("version")?,
                    name: row.get("name")?,
                    events: row.get("events")?,
                    enabled: row.get("enabled")?,
                    deleted: row.get("deleted")?,
                    created: row.get("created_ms")?,
                })
            })
            .collect()
    }
}

pub(super) fn read(row: &Row) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        id: row.get("id")?,
        external_id: row.get("external_id")?,
        kind: row.get("kind")?,
        event_type: row.get::<String>("type")?.into(),
        time: row.get("time_ms")?,
        accepted: row.get("accepted_ms")?,
        tenant_version: row.get("tenant_version")?,
        depth: row.get("depth")?,
        data: row.get("data")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        for (sql, plan) in [
            (BY_ID, &["event_id (tenant_id=? AND id=?)"][..]),
            (EDGE, &["COVERING INDEX event_id (tenant_id=? AND id>? AND id<?)"][..]),
            (BY_EXTERNAL_ID, &["event_external (tenant_id=? AND external_id=?)"][..]),
            (
                WEBHOOK_VERSIONS,
                &[
                    "v USING PRIMARY KEY (tenant_id=?)",
                    "n USING PRIMARY KEY (tenant_id=? AND webhook_id=? AND version<?)",
                ][..],
            ),
        ] {
            plans::check(sql, plan);
        }
    }
}
