//! Records and what rules know of them: what a commit writes, and reads.

use std::collections::HashMap;

use bytes::Bytes;
use postrider_domain::id::{EventId, TenantId};
use postrider_domain::time::Timestamp;

use crate::db::{Row, Value};
use crate::{Store, StoreError};

/// Which record. `scope`: its tenant's id, or its profile's where the record names its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    pub scope: [u8; 16],
    pub kind: String,
    pub id: String,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub key: RecordKey,
    pub tenant: Option<TenantId>,
    pub version: i64,
    /// Compact JSON.
    pub data: Bytes,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// What becomes of a record, with the marks and due times of its rules: part of a commit.
#[derive(Debug, Clone)]
pub struct RecordWrite {
    pub key: RecordKey,
    /// The version that was read. Where another is stored by now, the commit ends in [`StoreError::Moved`] and changes nothing.
    /// `None`: there was no such record.
    pub expected: Option<i64>,
    pub to: RecordTo,
    /// When rules look at it again.
    pub due: Vec<RuleDue>,
    pub marks: Vec<(String, MarkChange)>,
    /// What rules could not decide.
    pub errors: Vec<RuleFault>,
}

#[derive(Debug, Clone)]
pub enum RecordTo {
    /// Other due times than those of the write are forgotten.
    Content(RecordContent),
    Deleted,
    /// It stays; these due times have come. Where one is no longer stored, somebody else was quicker: [`StoreError::Moved`].
    Looked(Vec<RuleDue>),
}

/// A rule that could not decide, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    pub rule: String,
    pub tenant: TenantId,
    /// A sentence.
    pub detail: String,
}

/// The last fault of a rule with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFault {
    pub key: RecordKey,
    pub rule: String,
    pub tenant: TenantId,
    pub at: Timestamp,
    /// How often it was seen.
    pub times: u64,
    pub detail: String,
}

/// A record with what its rules know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordState {
    pub record: Option<StoredRecord>,
    pub marks: Vec<StoredMark>,
    pub due: Vec<RuleDue>,
}

#[derive(Debug, Clone)]
pub struct RecordContent {
    pub tenant: Option<TenantId>,
    /// Above every version that it had.
    pub version: i64,
    pub data: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDue {
    pub rule: String,
    pub tenant: TenantId,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkChange {
    /// `None`: without an event.
    Set {
        tenant: TenantId,
        event: Option<EventId>,
    },
    Cleared {
        tenant: TenantId,
    },
}

/// That a rule has fired for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMark {
    pub rule: String,
    /// For which it fired: a record may move.
    pub tenant: TenantId,
    pub fired: Timestamp,
    pub event: Option<EventId>,
}

const COLUMNS: &str = "SELECT scope, kind, id, tenant_id, version, data, created_ms, updated_ms FROM record";
/// Marks and due times, in the order of rules. Index: the primary keys.
const RULES: [&str; 3] = [
    "SELECT id, rule, tenant_id, fired_ms, event_id, NULL AS due_ms FROM record_mark WHERE scope = $1 AND kind = $2 AND id IN (",
    ") UNION ALL SELECT id, rule, tenant_id, NULL AS fired_ms, NULL AS event_id, due_ms FROM record_due \
     WHERE scope = $1 AND kind = $2 AND id IN (",
    ") ORDER BY rule",
];
/// Index: `record_tenant`.
const OF_TENANT: &str = "SELECT scope, kind, id, tenant_id, version, data, created_ms, updated_ms FROM record
  WHERE tenant_id = $1 AND scope <> tenant_id AND kind = $2 AND id > $3 ORDER BY id LIMIT $4";
/// Index: the primary key.
const OF_SCOPE: &str = "SELECT scope, kind, id, tenant_id, version, data, created_ms, updated_ms FROM record
  WHERE scope = $1 AND kind = $2 AND id > $3 ORDER BY id LIMIT $4";
/// Index: the primary key.
const FAULTS: &str = "SELECT scope, kind, id, rule, tenant_id, at_ms, times, detail FROM rule_error
  WHERE scope = $1 AND kind = $2 AND id = $3 ORDER BY rule";
/// Index: `rule_error_time`.
const FAULTS_OF_TENANT: &str = "SELECT scope, kind, id, rule, tenant_id, at_ms, times, detail FROM rule_error
  WHERE tenant_id = $1 ORDER BY at_ms DESC LIMIT $2";
/// Index: `record_due_time`.
const DUE: &str = "SELECT scope, kind, id, rule, due_ms FROM record_due WHERE tenant_id = $1 AND due_ms <= $2
  ORDER BY due_ms LIMIT $3";
/// Statements with fewer than so many keys are filled up by repeating one: each length is a statement of its own, to be
/// prepared and kept.
const KEYS: [usize; 3] = [1, 16, 128];
/// Tenants that are asked about in one statement.
const TENANTS_ASKED_MAX: usize = 100;
/// More of them take SQLite's driver longer than several statements: it asks for the name of each placeholder, which SQLite
/// looks for from the first on.
const KEYS_MAX: usize = 128;

impl Store {
    /// Records of a kind, in the order of `ids`. Not one snapshot: what is written while this reads may be seen in part; the
    /// versions of a commit say so.
    pub async fn record_states(
        &self,
        scope: &[u8; 16],
        kind: &str,
        ids: &[&str],
        rules: Rules,
    ) -> Result<Vec<RecordState>, StoreError> {
        let mut states = Vec::with_capacity(ids.len());
        for some in ids.chunks(KEYS_MAX) {
            states.extend(self.some_states(scope, kind, some, rules).await?);
        }
        Ok(states)
    }

    /// How many bytes records of a kind have together. Reads none of them.
    pub async fn record_bytes(&self, scope: &[u8; 16], kind: &str, ids: &[&str]) -> Result<u64, StoreError> {
        let mut all = 0;
        for some in ids.chunks(KEYS_MAX) {
            let (list, values) = listed(scope, kind, some);
            let sql = format!(
                "SELECT CAST(COALESCE(SUM(LENGTH(data)), 0) AS BIGINT) AS bytes FROM record \
                 WHERE scope = $1 AND kind = $2 AND id IN ({list})"
            );
            all += self.read().one(sql, &values).await?.get::<u64>("bytes")?;
        }
        Ok(all)
    }

    async fn some_states(
        &self,
        scope: &[u8; 16],
        kind: &str,
        ids: &[&str],
        rules: Rules,
    ) -> Result<Vec<RecordState>, StoreError> {
        let (list, values) = listed(scope, kind, ids);
        let mut states: HashMap<String, RecordState> = HashMap::with_capacity(ids.len());
        // Records first: what is committed after this leaves another version, or takes a due time, and is told by that.
        let sql = format!("{COLUMNS} WHERE scope = $1 AND kind = $2 AND id IN ({list})");
        for row in self.read().all(sql, &values).await? {
            let record = read(&row)?;
            let id = record.key.id.clone();
            states.entry(id).or_default().record = Some(record);
        }
        if rules == Rules::With {
            let sql = format!("{}{list}{}{list}{}", RULES[0], RULES[1], RULES[2]);
            for row in self.read().all(sql, &values).await? {
                let state = states.entry(row.get("id")?).or_default();
                let (rule, tenant) = (row.get("rule")?, row.get("tenant_id")?);
                match row.get::<Option<Timestamp>>("due_ms")? {
                    Some(at) => state.due.push(RuleDue { rule, tenant, at }),
                    None => {
                        let (fired, event) = (row.get("fired_ms")?, row.get("event_id")?);
                        state.marks.push(StoredMark { rule, tenant, fired, event });
                    }
                }
            }
        }
        Ok(ids.iter().map(|id| states.remove(*id).unwrap_or_default()).collect())
    }

    /// A tenant's of a kind that names its tenants, in the order of ids, after `after`.
    pub async fn records_naming(
        &self,
        tenant: TenantId,
        kind: &str,
        after: &str,
        rows: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let rows =
            self.read().all(OF_TENANT, &[tenant.into(), kind.into(), after.into(), rows.into()]).await?;
        rows.iter().map(read).collect()
    }

    /// Of a kind, kept with a tenant; or with a profile, whosever they are. In the order of ids, after `after`.
    pub async fn records(
        &self,
        scope: &[u8; 16],
        kind: &str,
        after: &str,
        rows: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let values = [Value::Id(Some(*scope)), kind.into(), after.into(), rows.into()];
        self.read().all(OF_SCOPE, &values).await?.iter().map(read).collect()
    }

    /// What rules could not decide for a record.
    pub async fn record_faults(&self, key: &RecordKey) -> Result<Vec<StoredFault>, StoreError> {
        let values = [Value::Id(Some(key.scope)), key.kind.as_str().into(), key.id.as_str().into()];
        self.read().all(FAULTS, &values).await?.iter().map(read_fault).collect()
    }

    /// What rules could not decide for a tenant's records, the last first.
    pub async fn rule_faults(&self, tenant: TenantId, rows: usize) -> Result<Vec<StoredFault>, StoreError> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        self.read()
            .all(FAULTS_OF_TENANT, &[tenant.into(), rows.into()])
            .await?
            .iter()
            .map(read_fault)
            .collect()
    }

    /// Of these tenants, those for whose records something has come.
    pub async fn tenants_due(
        &self,
        tenants: &[TenantId],
        until: Timestamp,
    ) -> Result<Vec<TenantId>, StoreError> {
        let mut due = Vec::new();
        for some in tenants.chunks(TENANTS_ASKED_MAX) {
            let mut values: Vec<Value<'_>> = vec![until.into()];
            values.extend(some.iter().map(|tenant| Value::from(*tenant)));
            values.resize(TENANTS_ASKED_MAX + 1, Value::from(some[0]));
            let asks = (2..TENANTS_ASKED_MAX + 2)
                .map(|number| format!("SELECT tenant_id FROM (SELECT tenant_id FROM record_due WHERE tenant_id = ${number} AND due_ms <= $1 LIMIT 1) d"))
                .collect::<Vec<_>>();
            for row in self.read().all(asks.join(" UNION "), &values).await? {
                due.push(row.get("tenant_id")?);
            }
        }
        Ok(due)
    }

    /// What rules wait for and has come, the longest due first.
    pub async fn records_due(
        &self,
        tenant: TenantId,
        until: Timestamp,
        rows: usize,
    ) -> Result<Vec<(RecordKey, RuleDue)>, StoreError> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let rows = self.read().all(DUE, &[tenant.into(), until.into(), rows.into()]).await?;
        rows.iter()
            .map(|row| Ok((key(row)?, RuleDue { rule: row.get("rule")?, tenant, at: row.get("due_ms")? })))
            .collect()
    }
}

/// Whether what rules know of records is read with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    With,
    Without,
}

/// Placeholders for ids, and the values of all: the scope, the kind, the ids.
fn listed<'a>(scope: &[u8; 16], kind: &'a str, ids: &[&'a str]) -> (String, Vec<Value<'a>>) {
    let length = KEYS.into_iter().find(|length| ids.len() <= *length).unwrap_or(KEYS_MAX);
    let mut values: Vec<Value<'a>> = vec![Value::Id(Some(*scope)), kind.into()];
    values.extend(ids.iter().map(|id| Value::from(*id)));
    values.resize(length + 2, Value::from(ids.last().copied().unwrap_or_default()));
    let list = (3..length + 3).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
    (list, values)
}

fn read_fault(row: &Row) -> Result<StoredFault, StoreError> {
    Ok(StoredFault {
        key: key(row)?,
        rule: row.get("rule")?,
        tenant: row.get("tenant_id")?,
        at: row.get("at_ms")?,
        times: row.get("times")?,
        detail: row.get("detail")?,
    })
}

fn key(row: &Row) -> Result<RecordKey, StoreError> {
    Ok(RecordKey { scope: row.get("scope")?, kind: row.get("kind")?, id: row.get("id")? })
}

fn read(row: &Row) -> Result<StoredRecord, StoreError> {
    Ok(StoredRecord {
        key: key(row)?,
        tenant: row.get("tenant_id")?,
        version: row.get("version")?,
        data: row.get("data")?,
        created: row.get("created_ms")?,
        updated: row.get("updated_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(OF_TENANT, &["USING INDEX record_tenant (tenant_id=? AND kind=? AND id>?)"]);
        plans::check(OF_SCOPE, &["USING INDEX sqlite_autoindex_record_1 (scope=? AND kind=? AND id>?)"]);
        plans::check(DUE, &["USING COVERING INDEX record_due_time (tenant_id=? AND due_ms<?)"]);
        plans::check(FAULTS_OF_TENANT, &["USING INDEX rule_error_time (tenant_id=?)"]);
    }
}
