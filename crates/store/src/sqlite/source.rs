//! A data folder that is read from its first row to its last while nobody can write to it: what `migrate-to` copies.
//!
//! The folder is locked as a server locks it, and brought to this program's schema; then it is only read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement, ToSql};
use sha2::{Digest as _, Sha256};

use super::{CANARY_READ, DATABASE_FILE, FolderOptions, Prepared, prepare};
use crate::StoreError;
use crate::transfer::batch::{Batch, Given, Place, parse_position};
use crate::transfer::tables::Table;
use crate::transfer::{LedgerSums, TransferError};

/// What a tenant's deliveries of a kind were counted as. In the order of `LedgerSums`.
const LEDGER: &str =
    "SELECT tenant_id, kind, SUM(accepted), SUM(delivered), SUM(failed), SUM(cancelled), SUM(open) FROM (
    SELECT tenant_id, kind, accepted, delivered, failed, cancelled, 0 AS open FROM ledger_hour
    UNION ALL SELECT tenant_id, kind, 0, 0, 0, 0, 1 FROM delivery WHERE state = 0
    UNION ALL SELECT tenant_id, kind, 0, 0, 0, 0, 1 FROM sending)
  GROUP BY tenant_id, kind";

pub(crate) struct Source {
    connection: Connection,
    /// Sealed with the folder's master key: no other installation has the same.
    pub(crate) canary: Vec<u8>,
    /// Of the file's bytes: another one after any change.
    pub(crate) fingerprint: [u8; 32],
    /// Held until this is dropped: no server starts on the folder meanwhile.
    _lock: File,
}

impl Source {
    /// Blocks for as long as it takes to read the file once.
    pub(crate) fn open(options: FolderOptions) -> Result<Self, TransferError> {
        let path = options.dir.join(DATABASE_FILE);
        if !path.is_file() {
            return Err(TransferError::NoSource(options.dir));
        }
        let Prepared { connection, lock, .. } = prepare(options)?;
        // What a crash left in the log comes into the file. The last connection takes the empty log away when it closes.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(StoreError::from)?;
        connection.close().map_err(|(_, error)| StoreError::from(error))?;
        let connection = reading(&path)?;
        // One view of all tables, whoever else may write to the file.
        connection.execute_batch("BEGIN").map_err(StoreError::from)?;
        let canary = connection.query_row(CANARY_READ, [], |row| row.get(0)).map_err(StoreError::from)?;
        let log = fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len());
        if log > 0 {
            return Err(TransferError::Refused(
                "something other than Postrider has the database file open. Close it, then try again.".into(),
            ));
        }
        let fingerprint = hash(&path).map_err(|error| {
            StoreError::Unavailable(format!("{} cannot be read: {error}", path.display()))
        })?;
        Ok(Self { connection, canary, fingerprint, _lock: lock })
    }

    pub(crate) fn count(&self, table: &Table) -> Result<u64, StoreError> {
        let filter = table.filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        let sql = format!("SELECT COUNT(*) FROM {}{filter}", table.source);
        let count: i64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// Reads the rows after a position, and hands them on in batches until there are no more or nobody wants them.
    pub(crate) fn read(
        &self,
        table: &Table,
        after: Option<&[u8]>,
        mut hand_on: impl FnMut(Batch) -> bool,
    ) -> Result<(), TransferError> {
        let after =
            match after {
                Some(position) => Some(parse_position(table, position).ok_or_else(|| {
                    StoreError::Corrupt(format!("the position of the copy of {}", table.name))
                })?),
                None => None,
            };
        let sql = select(table, after.is_some());
        let mut statement = self.connection.prepare(&sql).map_err(StoreError::from)?;
        let places = rusqlite::params_from_iter(after.into_iter().flatten());
        let mut rows = statement.query(places).map_err(StoreError::from)?;
        let mut batch = Batch::new();
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let value = |at| row.get_ref(at).map_or(Given::Other, given);
            batch.add(table, value).map_err(|(column, why)| TransferError::Unstorable {
                table: table.source,
                column,
                row: table
                    .order
                    .iter()
                    .enumerate()
                    .map(|(at, _)| shown(value(table.columns.len() + at)))
                    .collect(),
                why,
            })?;
            if batch.is_full() && !hand_on(std::mem::replace(&mut batch, Batch::new())) {
                return Ok(());
            }
        }
        if batch.rows() > 0 {
            hand_on(batch);
        }
        Ok(())
    }

    /// The counters of all tenants, with a real count of what is open.
    pub(crate) fn ledger(&self) -> Result<LedgerSums, StoreError> {
        let mut statement: Statement<'_> = self.connection.prepare(LEDGER)?;
        let rows = statement.query_map([], |row| {
            let sums = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
            Ok(((row.get(0)?, row.get(1)?), sums))
        })?;
        Ok(rows.collect::<Result<BTreeMap<_, _>, _>>()?)
    }
}

/// A connection that does not write. Unlike one that cannot, it leaves no empty log behind.
fn reading(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection that cannot write, also beside a server.
pub(super) fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(super::BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Rows in the order of an index, with their places in it after their columns.
fn select(table: &Table, goes_on: bool) -> String {
    let list = |columns: &[crate::transfer::tables::Column]| {
        columns.iter().map(|column| column.from).collect::<Vec<_>>().join(", ")
    };
    let order = list(table.order);
    let after = goes_on.then(|| format!("({order}) > ({})", vec!["?"; table.order.len()].join(", ")));
    let conditions: Vec<&str> = table.filter.into_iter().chain(after.as_deref()).collect();
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    format!("SELECT {}, {order} FROM {}{filter} ORDER BY {order}", list(table.columns), table.source)
}

fn given(value: ValueRef<'_>) -> Given<'_> {
    match value {
        ValueRef::Null => Given::Null,
        ValueRef::Integer(number) => Given::Integer(number),
        ValueRef::Text(text) => Given::Text(text),
        ValueRef::Blob(bytes) => Given::Blob(bytes),
        ValueRef::Real(_) => Given::Other,
    }
}

/// A value of a key, for people who look for the row with SQLite's own program.
fn shown(value: Given<'_>) -> String {
    match value {
        Given::Integer(number) => number.to_string(),
        Given::Text(text) => format!("'{}'", String::from_utf8_lossy(text).escape_default()),
        Given::Blob(bytes) => format!("x'{}'", hex::encode(bytes)),
        Given::Null | Given::Other => "?".to_owned(),
    }
}

impl ToSql for Place {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Id(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id)),
            Self::Number(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

fn hash(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut some = vec![0; 1 << 20];
    loop {
        match file.read(&mut some)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&some[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;
    use crate::transfer::tables::TABLES;

    /// A table that is sorted would be sorted anew after each interruption, and held in memory.
    #[test]
    fn every_table_is_read_in_the_order_of_an_index() {
        let connection = plans::migrated();
        for table in &TABLES {
            for goes_on in [false, true] {
                let sql = select(table, goes_on);
                let mut statement =
                    connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
                let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
                let plan: Vec<String> = statement
                    .query_map(rusqlite::params_from_iter(nothing), |row| row.get("detail"))
                    .and_then(Iterator::collect)
                    .expect("a plan");
                let plan = plan.join("\n");
                assert!(!plan.contains("TEMP B-TREE"), "{plan}\nof\n{sql}");
                assert_eq!(plan.contains("SEARCH"), goes_on, "{plan}\nof\n{sql}");
            }
        }
    }
}
