//! Records of a commit: a few statements, whatever their number.

use postrider_domain::id::TenantId;
use postrider_domain::time::Timestamp;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::uuid;
use crate::StoreError;
use crate::records::{MarkChange, RecordKey, RecordTo, RecordWrite};

const INSERT: &str = "INSERT INTO record (scope, kind, id, tenant_id, version, data, created_ms, updated_ms)
  SELECT r.scope, r.kind, r.id, r.tenant_id, r.version, r.data, $7, $7
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::int8[], $6::bytea[])
    AS r (scope, kind, id, tenant_id, version, data)
  ON CONFLICT DO NOTHING";
/// Index: the primary key.
const UPDATE: &str =
    "UPDATE record d SET tenant_id = r.tenant_id, version = r.version, data = r.data, updated_ms = $7
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::int8[], $6::bytea[], $8::int8[])
    AS r (scope, kind, id, tenant_id, version, data, expected)
  WHERE d.scope = r.scope AND d.kind = r.kind AND d.id = r.id AND d.version = r.expected";
/// Index: the primary key.
const DELETE: &str = "DELETE FROM record d
  USING unnest($1::uuid[], $2::text[], $3::text[], $4::int8[]) AS r (scope, kind, id, expected)
  WHERE d.scope = r.scope AND d.kind = r.kind AND d.id = r.id AND d.version = r.expected";
/// Index: the primary key.
const DUE_DELETE: &str = "DELETE FROM record_due d
  USING unnest($1::uuid[], $2::text[], $3::text[]) AS r (scope, kind, id)
  WHERE d.scope = r.scope AND d.kind = r.kind AND d.id = r.id";
const DUE_WRITE: &str = "INSERT INTO record_due (scope, kind, id, rule, tenant_id, due_ms)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::int8[])";
const MARK_WRITE: &str = "INSERT INTO record_mark (scope, kind, id, rule, tenant_id, fired_ms, event_id)
  SELECT r.scope, r.kind, r.id, r.rule, r.tenant_id, $7, r.event_id
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[])
    AS r (scope, kind, id, rule, tenant_id, event_id)
  ON CONFLICT (scope, kind, id, rule, tenant_id) DO UPDATE SET fired_ms = excluded.fired_ms, event_id = excluded.event_id";
/// Index: the primary key.
const MARK_DELETE: &str = "DELETE FROM record_mark d
  USING unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[]) AS r (scope, kind, id, rule, tenant_id)
  WHERE d.scope = r.scope AND d.kind = r.kind AND d.id = r.id AND d.rule = r.rule AND d.tenant_id = r.tenant_id";

/// Index: the primary key. In one order for all: nodes that write the same records do not wait for each other crosswise.
const LOCK: &str = "SELECT 1 FROM record d
  JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS r (scope, kind, id)
    ON d.scope = r.scope AND d.kind = r.kind AND d.id = r.id
  ORDER BY d.scope, d.kind, d.id FOR UPDATE OF d";
/// Index: the primary key. Locked: of two that look at once, one comes second.
const LOOK: &str = "SELECT count(*) FROM (SELECT 1 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int8[])
    AS r (scope, kind, id, expected)
  JOIN record d ON d.scope = r.scope AND d.kind = r.kind AND d.id = r.id AND d.version = r.expected FOR UPDATE OF d) AS found";
/// Index: the primary key.
const DUE_TAKE: &str = "DELETE FROM record_due d
  USING unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int8[]) AS r (scope, kind, id, rule, due_ms)
  WHERE d.scope = r.scope AND d.kind = r.kind AND d.id = r.id AND d.rule = r.rule AND d.due_ms = r.due_ms";
const FAULT_WRITE: &str =
    "INSERT INTO rule_error AS e (scope, kind, id, rule, tenant_id, at_ms, times, detail)
  SELECT r.scope, r.kind, r.id, r.rule, r.tenant_id, $7, 1, r.detail
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[])
    AS r (scope, kind, id, rule, tenant_id, detail)
  ON CONFLICT (scope, kind, id, rule) DO UPDATE SET tenant_id = excluded.tenant_id, at_ms = excluded.at_ms,
    times = e.times + 1, detail = excluded.detail";

/// Keys as columns.
#[derive(Default)]
struct Keys<'w> {
    scopes: Vec<Uuid>,
    kinds: Vec<&'w str>,
    ids: Vec<&'w str>,
}

impl<'w> Keys<'w> {
    fn add(&mut self, key: &'w RecordKey) {
        self.scopes.push(uuid(&key.scope));
        self.kinds.push(&key.kind);
        self.ids.push(&key.id);
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Locks what all these writes find there, before the first of them.
pub(super) async fn lock<'w>(
    tx: &mut PgConnection,
    writes: impl Iterator<Item = &'w RecordWrite>,
) -> Result<(), StoreError> {
    let mut keys = Keys::default();
    for write in writes.filter(|write| write.expected.is_some()) {
        keys.add(&write.key);
    }
    if !keys.is_empty() {
        sqlx::query(LOCK).bind(keys.scopes).bind(keys.kinds).bind(keys.ids).execute(tx).await?;
    }
    Ok(())
}

/// The writes of one commit: no two of the same record.
pub(super) async fn write(
    tx: &mut PgConnection,
    at: Timestamp,
    writes: &[RecordWrite],
) -> Result<(), StoreError> {
    // In the order of keys, as they are locked.
    let mut writes: Vec<&RecordWrite> = writes.iter().collect();
    writes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    contents(tx, at, &writes).await?;
    dues(tx, &writes).await?;
    marks(tx, at, &writes).await?;
    faults(tx, at, &writes).await
}

async fn contents(tx: &mut PgConnection, at: Timestamp, writes: &[&RecordWrite]) -> Result<(), StoreError> {
    let tenant_of = |tenant: Option<TenantId>| tenant.map(|tenant| uuid(tenant.as_bytes()));
    for known in [false, true] {
        let (mut keys, mut expected) = (Keys::default(), Vec::new());
        let (mut tenants, mut versions, mut data): (Vec<Option<Uuid>>, Vec<i64>, Vec<&[u8]>) =
            Default::default();
        for write in writes.iter().filter(|write| write.expected.is_some() == known) {
            let RecordTo::Content(to) = &write.to else { continue };
            keys.add(&write.key);
            tenants.push(tenant_of(to.tenant));
            versions.push(to.version);
            data.push(&to.data);
            expected.extend(write.expected);
        }
        if keys.is_empty() {
            continue;
        }
        let wanted = keys.ids.len();
        let mut query = sqlx::query(if known { UPDATE } else { INSERT })
            .bind(keys.scopes)
            .bind(keys.kinds)
            .bind(keys.ids)
            .bind(tenants)
            .bind(versions)
            .bind(data)
            .bind(at.unix_ms());
        if known {
            query = query.bind(expected);
        }
        all_of(wanted, query.execute(&mut *tx).await?.rows_affected())?;
    }
    let (mut gone, mut gone_from) = (Keys::default(), Vec::new());
    let (mut looked, mut looked_at) = (Keys::default(), Vec::new());
    for write in writes {
        let (keys, versions) = match &write.to {
            RecordTo::Content(_) => continue,
            // Only what its rules said of a record that was never told.
            RecordTo::Deleted if write.expected.is_none() => continue,
            RecordTo::Deleted => (&mut gone, &mut gone_from),
            RecordTo::Looked(_) => (&mut looked, &mut looked_at),
        };
        keys.add(&write.key);
        versions.push(write.expected.ok_or(MOVED)?);
    }
    if !gone.is_empty() {
        let wanted = gone.ids.len();
        let gone = sqlx::query(DELETE).bind(gone.scopes).bind(gone.kinds).bind(gone.ids).bind(gone_from);
        all_of(wanted, gone.execute(&mut *tx).await?.rows_affected())?;
    }
    if !looked.is_empty() {
        let wanted = looked.ids.len();
        let found = sqlx::query(LOOK).bind(looked.scopes).bind(looked.kinds).bind(looked.ids).bind(looked_at);
        let found: i64 = found.fetch_one(tx).await?.try_get(0)?;
        all_of(wanted, found.unsigned_abs())?;
    }
    Ok(())
}

const MOVED: StoreError = StoreError::Moved("the record was changed meanwhile");

fn all_of(wanted: usize, written: u64) -> Result<(), StoreError> {
    match written == wanted as u64 {
        true => Ok(()),
        false => Err(MOVED),
    }
}

async fn dues(tx: &mut PgConnection, writes: &[&RecordWrite]) -> Result<(), StoreError> {
    let (mut keys, mut taken) = (Keys::default(), Keys::default());
    let (mut taken_rules, mut taken_at) = (Vec::new(), Vec::new());
    for write in writes {
        if let RecordTo::Looked(come) = &write.to {
            for due in come {
                taken.add(&write.key);
                taken_rules.push(due.rule.as_str());
                taken_at.push(due.at.unix_ms());
            }
        } else if write.expected.is_some() {
            keys.add(&write.key);
        }
    }
    if !taken.is_empty() {
        let wanted = taken.ids.len();
        let gone = sqlx::query(DUE_TAKE).bind(taken.scopes).bind(taken.kinds).bind(taken.ids);
        let gone = gone.bind(taken_rules).bind(taken_at).execute(&mut *tx).await?;
        all_of(wanted, gone.rows_affected())?;
    }
    if !keys.is_empty() {
        let gone = sqlx::query(DUE_DELETE).bind(keys.scopes).bind(keys.kinds).bind(keys.ids);
        gone.execute(&mut *tx).await?;
    }
    let mut keys = Keys::default();
    let (mut rules, mut tenants, mut moments) = (Vec::new(), Vec::new(), Vec::new());
    for write in writes {
        for due in &write.due {
            keys.add(&write.key);
            rules.push(due.rule.as_str());
            tenants.push(uuid(due.tenant.as_bytes()));
            moments.push(due.at.unix_ms());
        }
    }
    if !keys.is_empty() {
        let made = sqlx::query(DUE_WRITE).bind(keys.scopes).bind(keys.kinds).bind(keys.ids);
        made.bind(rules).bind(tenants).bind(moments).execute(tx).await?;
    }
    Ok(())
}

async fn marks(tx: &mut PgConnection, at: Timestamp, writes: &[&RecordWrite]) -> Result<(), StoreError> {
    let (mut set, mut cleared) = (Keys::default(), Keys::default());
    let (mut set_rules, mut cleared_rules): (Vec<&str>, Vec<&str>) = Default::default();
    let (mut tenants, mut events): (Vec<Uuid>, Vec<Option<Uuid>>) = Default::default();
    let mut cleared_tenants = Vec::new();
    for write in writes {
        for (rule, mark) in &write.marks {
            match mark {
                MarkChange::Set { tenant, event } => {
                    set.add(&write.key);
                    set_rules.push(rule);
                    tenants.push(uuid(tenant.as_bytes()));
                    events.push(event.map(|event| uuid(event.as_bytes())));
                }
                MarkChange::Cleared { tenant } => {
                    cleared_tenants.push(uuid(tenant.as_bytes()));
                    cleared.add(&write.key);
                    cleared_rules.push(rule);
                }
            }
        }
    }
    if !set.is_empty() {
        let made = sqlx::query(MARK_WRITE).bind(set.scopes).bind(set.kinds).bind(set.ids).bind(set_rules);
        made.bind(tenants).bind(events).bind(at.unix_ms()).execute(&mut *tx).await?;
    }
    if !cleared.is_empty() {
        let gone = sqlx::query(MARK_DELETE).bind(cleared.scopes).bind(cleared.kinds).bind(cleared.ids);
        gone.bind(cleared_rules).bind(cleared_tenants).execute(tx).await?;
    }
    Ok(())
}

async fn faults(tx: &mut PgConnection, at: Timestamp, writes: &[&RecordWrite]) -> Result<(), StoreError> {
    let mut keys = Keys::default();
    let (mut rules, mut tenants, mut details): (Vec<&str>, Vec<Uuid>, Vec<&str>) = Default::default();
    for write in writes {
        for fault in &write.errors {
            keys.add(&write.key);
            rules.push(&fault.rule);
            tenants.push(uuid(fault.tenant.as_bytes()));
            details.push(&fault.detail);
        }
    }
    if !keys.is_empty() {
        let made = sqlx::query(FAULT_WRITE).bind(keys.scopes).bind(keys.kinds).bind(keys.ids).bind(rules);
        made.bind(tenants).bind(details).bind(at.unix_ms()).execute(tx).await?;
    }
    Ok(())
}
