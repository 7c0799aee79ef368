//! Records of a commit.

use postrider_domain::id::TenantId;
use postrider_domain::time::Timestamp;
use rusqlite::params;

use super::writer::Batch;
use crate::StoreError;
use crate::records::{MarkChange, RecordKey, RecordTo, RecordWrite};

const RECORD_INSERT: &str =
    "INSERT INTO record (scope, kind, id, tenant_id, version, data, created_ms, updated_ms)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT DO NOTHING";
/// Index: the primary key.
const RECORD_UPDATE: &str = "UPDATE record SET tenant_id = ?4, version = ?5, data = ?6, updated_ms = ?7
  WHERE scope = ?1 AND kind = ?2 AND id = ?3 AND version = ?8";
/// Index: the primary key.
const RECORD_DELETE: &str = "DELETE FROM record WHERE scope = ?1 AND kind = ?2 AND id = ?3 AND version = ?4";
/// Index: the primary key.
const DUE_DELETE: &str = "DELETE FROM record_due WHERE scope = ?1 AND kind = ?2 AND id = ?3";
const DUE_WRITE: &str =
    "INSERT INTO record_due (scope, kind, id, rule, tenant_id, due_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const MARK_WRITE: &str = "INSERT INTO record_mark (scope, kind, id, rule, tenant_id, fired_ms, event_id)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET fired_ms = excluded.fired_ms, event_id = excluded.event_id";
/// Index: the primary key.
const MARK_DELETE: &str = "DELETE FROM record_mark
  WHERE scope = ?1 AND kind = ?2 AND id = ?3 AND rule = ?4 AND tenant_id = ?5";

/// Index: the primary key.
const RECORD_LOOK: &str = "SELECT 1 FROM record WHERE scope = ?1 AND kind = ?2 AND id = ?3 AND version = ?4";
/// Index: the primary key.
const DUE_TAKE: &str =
    "DELETE FROM record_due WHERE scope = ?1 AND kind = ?2 AND id = ?3 AND rule = ?4 AND due_ms = ?5";
const FAULT_WRITE: &str = "INSERT INTO rule_error (scope, kind, id, rule, tenant_id, at_ms, times, detail)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7) ON CONFLICT DO UPDATE SET tenant_id = excluded.tenant_id, at_ms = excluded.at_ms,
    times = times + 1, detail = excluded.detail";
const MOVED: StoreError = StoreError::Moved("the record was changed meanwhile");

pub(super) fn write(batch: &mut Batch<'_>, at: Timestamp, write: &RecordWrite) -> Result<(), StoreError> {
    let key = &write.key;
    if !write_content(batch, at, write)? {
        return Err(MOVED);
    }
    match &write.to {
        RecordTo::Looked(taken) => {
            for due in taken {
                let values = params![key.scope, key.kind, key.id, due.rule, due.at.unix_ms()];
                if batch.execute(DUE_TAKE, values)? == 0 {
                    return Err(MOVED);
                }
            }
        }
        RecordTo::Content(_) | RecordTo::Deleted if write.expected.is_some() => {
            batch.execute(DUE_DELETE, params![key.scope, key.kind, key.id])?;
        }
        RecordTo::Content(_) | RecordTo::Deleted => {}
    }
    for due in &write.due {
        let values = params![key.scope, key.kind, key.id, due.rule, due.tenant.as_bytes(), due.at.unix_ms()];
        batch.execute(DUE_WRITE, values)?;
    }
    for (rule, mark) in &write.marks {
        match mark {
            MarkChange::Set { tenant, event } => {
                let event = event.map(|event| *event.as_bytes());
                let values =
                    params![key.scope, key.kind, key.id, rule, tenant.as_bytes(), at.unix_ms(), event];
                batch.execute(MARK_WRITE, values)?
            }
            MarkChange::Cleared { tenant } => {
                let values = params![key.scope, key.kind, key.id, rule, tenant.as_bytes()];
                batch.execute(MARK_DELETE, values)?
            }
        };
    }
    for fault in &write.errors {
        let values = params![
            key.scope,
            key.kind,
            key.id,
            fault.rule,
            fault.tenant.as_bytes(),
            at.unix_ms(),
            fault.detail
        ];
        batch.execute(FAULT_WRITE, values)?;
    }
    Ok(())
}

/// False: another version than the expected one is stored.
fn write_content(batch: &mut Batch<'_>, at: Timestamp, write: &RecordWrite) -> Result<bool, StoreError> {
    let RecordKey { scope, kind, id } = &write.key;
    let tenant = |tenant: Option<TenantId>| tenant.map(|tenant| *tenant.as_bytes());
    let now = at.unix_ms();
    let written = match (&write.to, write.expected) {
        (RecordTo::Content(to), None) => batch.execute(
            RECORD_INSERT,
            params![scope, kind, id, tenant(to.tenant), to.version, &to.data[..], now],
        )?,
        (RecordTo::Content(to), Some(expected)) => batch.execute(
            RECORD_UPDATE,
            params![scope, kind, id, tenant(to.tenant), to.version, &to.data[..], now, expected],
        )?,
        (RecordTo::Deleted, Some(expected)) => {
            batch.execute(RECORD_DELETE, params![scope, kind, id, expected])?
        }
        (RecordTo::Looked(_), Some(expected)) => {
            let found = batch.statement(RECORD_LOOK)?.exists(params![scope, kind, id, expected])?;
            usize::from(found)
        }
        // Only what its rules said of a record that was never told.
        (RecordTo::Deleted, None) => 1,
        (RecordTo::Looked(_), None) => 0,
    };
    Ok(written > 0)
}
