//! Inboxes, receivers of our own to try webhooks with, and the newest requests that came to each.

use bytes::Bytes;
use postrider_domain::id::{InboxId, InboxRequestId, TenantId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use crate::db::{Row, WriteTx};
use crate::{Store, StoreError};

/// An inbox as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    pub tenant: TenantId,
    pub id: InboxId,
    /// The last part of its URL, which nobody guesses.
    pub slug: String,
    /// That it answers.
    pub status: u16,
    pub created: Timestamp,
}

/// A change of a tenant's inboxes.
#[derive(Debug)]
pub enum InboxWrite {
    Put(InboxRow),
    /// With what came to it.
    Delete {
        tenant: TenantId,
        id: InboxId,
    },
}

/// A request that came to an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRequestRow {
    pub tenant: TenantId,
    pub inbox: InboxId,
    pub id: InboxRequestId,
    pub received: Timestamp,
    pub method: String,
    /// A JSON array of `[name, value]`.
    pub headers: String,
    /// The beginning of the body.
    pub body: Bytes,
    /// Of the whole body.
    pub body_bytes: u64,
    /// That was answered.
    pub status: u16,
}

const INBOX: &str = "SELECT tenant_id, id, slug, status, created_ms FROM inbox";
const BY_SLUG: &str = "SELECT tenant_id, id, slug, status, created_ms FROM inbox WHERE slug = $1";
const REQUESTS: &str = "SELECT tenant_id, inbox_id, id, received_ms, method, headers, body, body_bytes, status \
     FROM inbox_request WHERE tenant_id = $1 AND inbox_id = $2";
/// Changes nothing, and keeps others from the row until the transaction ends: no request is written to an inbox that is being
/// deleted, and of two at once each sees the other's.
const HOLD: &str = "UPDATE inbox SET status = status WHERE tenant_id = $1 AND id = $2 RETURNING status";
const INSERT: &str = "INSERT INTO inbox_request (tenant_id, inbox_id, id, received_ms, method, headers, body, body_bytes, status) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
/// Of all inboxes of a tenant, which hold 2,000 at the most. Index: the primary key.
const OLD: &str = "SELECT id FROM inbox_request WHERE tenant_id = $1 AND received_ms < $2 LIMIT 1";
const SWEEP: &str = "DELETE FROM inbox_request WHERE tenant_id = $1 AND received_ms < $2";
const PRUNE: &str = "DELETE FROM inbox_request WHERE tenant_id = $1 AND inbox_id = $2 AND id <= (SELECT id FROM inbox_request \
     WHERE tenant_id = $1 AND inbox_id = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)";

impl InboxRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            id: row.get("id")?,
            slug: row.get("slug")?,
            status: row.get("status")?,
            created: row.get("created_ms")?,
        })
    }
}

impl InboxRequestRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.get("tenant_id")?,
            inbox: row.get("inbox_id")?,
            id: row.get("id")?,
            received: row.get("received_ms")?,
            method: row.get("method")?,
            headers: row.get("headers")?,
            body: row.get("body")?,
            body_bytes: row.get("body_bytes")?,
            status: row.get("status")?,
        })
    }
}

impl Store {
    /// A tenant's inboxes, newest first, which has a bound. Index: the primary key.
    pub async fn inboxes(&self, tenant: TenantId) -> Result<Vec<InboxRow>, StoreError> {
        let sql = format!("{INBOX} WHERE tenant_id = $1 ORDER BY id DESC");
        self.read().all(sql, &[tenant.into()]).await?.iter().map(InboxRow::read).collect()
    }

    /// Index: the primary key.
    pub async fn inbox_get(&self, tenant: TenantId, inbox: InboxId) -> Result<Option<InboxRow>, StoreError> {
        let sql = format!("{INBOX} WHERE tenant_id = $1 AND id = $2");
        let row = self.read().maybe(sql, &[tenant.into(), inbox.into()]).await?;
        row.as_ref().map(InboxRow::read).transpose()
    }

    /// Forgets what came to a tenant's inboxes before a moment. Index: the primary key.
    pub async fn inbox_sweep(&self, tenant: TenantId, before: Timestamp) -> Result<u64, StoreError> {
        // Most minutes nothing is old enough: the writer is not troubled then.
        if self.read().maybe(OLD, &[tenant.into(), before.into()]).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        let removed = tx.execute(SWEEP, &[tenant.into(), before.into()]).await?;
        tx.commit().await?;
        Ok(removed)
    }

    /// Whose inbox a URL is. Index: the unique one on `slug`.
    pub async fn inbox_by_slug_any_tenant(&self, slug: &str) -> Result<Option<InboxRow>, StoreError> {
        self.read().maybe(BY_SLUG, &[slug.into()]).await?.as_ref().map(InboxRow::read).transpose()
    }

    /// Writes a request down with the status that its inbox answers just now (`row.status` says nothing), and forgets those
    /// that are too many. Answers the status; none: there is no such inbox any more. Index: the primary keys.
    pub async fn inbox_receive(&self, row: &InboxRequestRow) -> Result<Option<u16>, StoreError> {
        let mut tx = self.write().await?;
        let Some(held) = tx.maybe(HOLD, &[row.tenant.into(), row.inbox.into()]).await? else {
            return Ok(None);
        };
        let status: u16 = held.get("status")?;
        let body: &[u8] = &row.body;
        let values = [
            row.tenant.into(),
            row.inbox.into(),
            row.id.into(),
            row.received.into(),
            (&row.method).into(),
            (&row.headers).into(),
            body.into(),
            i64::try_from(row.body_bytes).unwrap_or(i64::MAX).into(),
            i64::from(status).into(),
        ];
        tx.execute(INSERT, &values).await?;
        let kept = limits::INBOX_REQUESTS_MAX as i64;
        tx.execute(PRUNE, &[row.tenant.into(), row.inbox.into(), kept.into()]).await?;
        tx.commit().await?;
        Ok(Some(status))
    }

    /// What came to an inbox, newest first; `before`: the last one of the page before. Index: the primary key.
    pub async fn inbox_requests(
        &self,
        tenant: TenantId,
        inbox: InboxId,
        before: Option<InboxRequestId>,
        limit: usize,
    ) -> Result<Vec<InboxRequestRow>, StoreError> {
        let sql = format!("{REQUESTS} AND id < $3 ORDER BY id DESC LIMIT $4");
        let before = before.unwrap_or(InboxRequestId::from_bytes([0xff; 16]));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read().all(sql, &[tenant.into(), inbox.into(), before.into(), limit.into()]).await?;
        rows.iter().map(InboxRequestRow::read).collect()
    }
}

pub(super) async fn write(tx: &mut WriteTx, write: &InboxWrite) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO inbox (tenant_id, id, slug, status, created_ms) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant_id, id) DO UPDATE SET status = excluded.status";
    const DELETE: &str = "DELETE FROM inbox WHERE tenant_id = $1 AND id = $2";
    const FORGET: &str = "DELETE FROM inbox_request WHERE tenant_id = $1 AND inbox_id = $2";
    match write {
        InboxWrite::Put(row) => {
            let values = [
                row.tenant.into(),
                row.id.into(),
                (&row.slug).into(),
                i64::from(row.status).into(),
                row.created.into(),
            ];
            tx.execute(PUT, &values).await?;
        }
        InboxWrite::Delete { tenant, id } => {
            // The inbox first: who is writing a request to it has ended by then.
            tx.execute(DELETE, &[(*tenant).into(), (*id).into()]).await?;
            tx.execute(FORGET, &[(*tenant).into(), (*id).into()]).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(BY_SLUG, &["(slug=?)"]);
        plans::check(HOLD, &["(tenant_id=? AND id=?)"]);
        const KEY: &str = "(tenant_id=? AND inbox_id=?";
        plans::check(PRUNE, &[KEY, KEY]);
        plans::check(OLD, &["(tenant_id=?)"]);
        plans::check(SWEEP, &["(tenant_id=?)"]);
        plans::check(&format!("{REQUESTS} AND id < $3 ORDER BY id DESC LIMIT $4"), &[KEY]);
        plans::check(&format!("{INBOX} WHERE tenant_id = $1 ORDER BY id DESC"), &["(tenant_id=?)"]);
    }
}
