//! Jobs: work on many rows, a batch at a time, that goes on after a restart.

use postrider_domain::id::{DeliveryId, EventId, JobId, TenantId, WebhookId};
use postrider_domain::time::Timestamp;

use crate::db::{Row, WriteTx};
use crate::{Store, StoreError};

pub const JOB_RUNNING: i64 = 0;
pub const JOB_DONE: i64 = 1;
pub const JOB_FAILED: i64 = 2;

/// A job as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// None: of the installation.
    pub tenant: Option<TenantId>,
    pub id: JobId,
    pub kind: i64,
    pub state: i64,
    /// A JSON object.
    pub params: String,
    /// How far it came.
    pub position: Option<Vec<u8>>,
    pub done: u64,
    pub total: Option<u64>,
    /// What went wrong; empty when nothing did.
    pub detail: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub finished: Option<Timestamp>,
}

/// Which failed deliveries a recovery sends again.
#[derive(Debug, Clone, Copy)]
pub struct RecoverRange {
    pub tenant: TenantId,
    pub webhook: WebhookId,
    /// Accepted at or after this moment.
    pub from: Timestamp,
    /// Accepted before this moment.
    pub until: Timestamp,
    /// When the recovery began: what was sent again since then is not sent once more.
    pub began: Timestamp,
}

/// The tenant of what concerns the installation.
const INSTALLATION: TenantId = TenantId::from_bytes([0; 16]);
const COLUMNS: &str = "SELECT tenant_id, id, kind, state, params, position, done, total, detail, created_ms, updated_ms, \
     finished_ms FROM job";

/// What failed, or was held for too long, and was not sent again with success, is not under way, and is the last of its
/// event in the range. Test events (kind 1) are never recovered. Index: `delivery_webhook`; `delivery_replay` for what
/// followed; the event's own for its payload, which retention may have removed.
macro_rules! recoverable {
    ($head:literal, $tail:literal) => {
        concat!(
            $head,
            " FROM delivery d WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.id >= $3 AND d.id < $4 ",
            "AND d.kind <> 1 AND (d.state = 3 OR (d.state = 4 AND d.reason = 13)) ",
            "AND EXISTS (SELECT 1 FROM event e WHERE e.tenant_id = d.tenant_id AND e.id = d.event_id) ",
            "AND NOT EXISTS (SELECT 1 FROM delivery r WHERE r.tenant_id = d.tenant_id AND r.event_id = d.event_id ",
            "AND r.kind = 2 AND r.webhook_id = d.webhook_id AND r.id <> d.id ",
            "AND (r.state IN (0, 1, 2) OR r.id >= $5 OR (r.id > d.id AND r.id < $4)))",
            $tail
        )
    };
}

impl JobRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let tenant: TenantId = row.get("tenant_id")?;
        Ok(Self {
            tenant: (tenant != INSTALLATION).then_some(tenant),
            id: row.get("id")?,
            kind: row.get("kind")?,
            state: row.get("state")?,
            params: row.get("params")?,
            position: row.get("position")?,
            done: row.get("done")?,
            total: row.get("total")?,
            detail: row.get("detail")?,
            created: row.get("created_ms")?,
            updated: row.get("updated_ms")?,
            finished: row.get("finished_ms")?,
        })
    }
}

impl Store {
    /// One job of a tenant, or of the installation. Index: the primary key.
    pub async fn job_get(&self, tenant: Option<TenantId>, job: JobId) -> Result<Option<JobRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE tenant_id = $1 AND id = $2");
        let row = self.read().maybe(sql, &[tenant.unwrap_or(INSTALLATION).into(), job.into()]).await?;
        row.as_ref().map(JobRow::read).transpose()
    }

    /// Jobs that are not finished, oldest first. Index: `job_running`.
    pub async fn jobs_running_any_tenant(&self, limit: usize) -> Result<Vec<JobRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE state = 0 ORDER BY tenant_id, id LIMIT $1");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read().all(sql, &[limit.into()]).await?.iter().map(JobRow::read).collect()
    }

    /// Remembers how far a job came. Index: the primary key.
    pub async fn job_progress(&self, row: &JobRow) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        progress(&mut tx, row).await?;
        tx.commit().await
    }

    pub async fn recoverable_count(&self, range: RecoverRange) -> Result<u64, StoreError> {
        const SQL: &str = recoverable!("SELECT COUNT(*) AS n", "");
        self.read().one(SQL, &range_values(range, DeliveryId::lowest_at(range.from))).await?.get("n")
    }

    /// The next failed deliveries to send again, oldest first, with their events; `after`: the last one that was.
    pub async fn recoverable(
        &self,
        range: RecoverRange,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<(DeliveryId, EventId)>, StoreError> {
        const SQL: &str = recoverable!("SELECT d.id, d.event_id", " ORDER BY d.id LIMIT $6");
        // Ids are numbers of 16 bytes: the next after one is the first that has not been looked at.
        let from = match after {
            Some(after) => {
                DeliveryId::from_bytes(u128::from_be_bytes(*after.as_bytes()).saturating_add(1).to_be_bytes())
            }
            None => DeliveryId::lowest_at(range.from),
        };
        let mut values = range_values(range, from).to_vec();
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let rows = self.read().all(SQL, &values).await?;
        rows.iter().map(|row| Ok((row.get("id")?, row.get("event_id")?))).collect()
    }
}

fn range_values(range: RecoverRange, from: DeliveryId) -> [crate::db::Value<'static>; 5] {
    [
        range.tenant.into(),
        range.webhook.into(),
        from.into(),
        DeliveryId::lowest_at(range.until).into(),
        DeliveryId::lowest_at(range.began).into(),
    ]
}

pub(super) async fn insert(tx: &mut WriteTx, row: &JobRow) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO job (tenant_id, id, kind, state, params, position, done, total, detail, created_ms, updated_ms, \
         finished_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let values = [
        row.tenant.unwrap_or(INSTALLATION).into(),
        row.id.into(),
        row.kind.into(),
        row.state.into(),
        (&row.params).into(),
        row.position.as_deref().into(),
        count(row.done).into(),
        row.total.map(count).into(),
        (&row.detail).into(),
        row.created.into(),
        row.updated.into(),
        row.finished.into(),
    ];
    tx.execute(SQL, &values).await.map(drop)
}

pub(super) async fn progress(tx: &mut WriteTx, row: &JobRow) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE job SET state = $3, position = $4, done = $5, total = $6, detail = $7, updated_ms = $8, \
         finished_ms = $9 WHERE tenant_id = $1 AND id = $2";
    let values = [
        row.tenant.unwrap_or(INSTALLATION).into(),
        row.id.into(),
        row.state.into(),
        row.position.as_deref().into(),
        count(row.done).into(),
        row.total.map(count).into(),
        (&row.detail).into(),
        row.updated.into(),
        row.finished.into(),
    ];
    tx.execute(SQL, &values).await.map(drop)
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
