//! The cold way to the database: configuration, reads, anything that is not on the way of an event.
//!
//! Statements are portable SQL with `$1` placeholders, kept as consts beside the method that runs them. What they are
//! given and what they answer goes through [`Value`] and [`Row`], which are the same for every database: only this file
//! knows a driver. Two traps of SQLite's driver are closed here: a placeholder without a value would be NULL, and NULL
//! read into a plain type would be zero or empty; both are errors.

use bytes::Bytes;
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::EventKind;
use postrider_domain::id::{AuditId, DeliveryId, EventId, JobId, KeyId, TenantId, WebhookId};
use postrider_domain::time::Timestamp;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqlitePool, ValueRef as _};
use tokio::sync::OwnedMutexGuard;

use crate::StoreError;

/// What is bound to a placeholder. The variant says the type also when the value is absent, as other databases want.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Id(Option<[u8; 16]>),
    Int(Option<i64>),
    Text(Option<&'a str>),
    Bytes(Option<&'a [u8]>),
}

macro_rules! value_from_ids {
    ($($id:ty),*) => {$(
        impl From<$id> for Value<'_> {
            fn from(id: $id) -> Self {
                Self::Id(Some(*id.as_bytes()))
            }
        }
        impl From<Option<$id>> for Value<'_> {
            fn from(id: Option<$id>) -> Self {
                Self::Id(id.map(|id| *id.as_bytes()))
            }
        }
        impl Column for $id {
            fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
                cell.id().map(Self::from_bytes)
            }
        }
    )*};
}
value_from_ids!(TenantId, WebhookId, EventId, DeliveryId, KeyId, JobId, AuditId);

macro_rules! value_from_codes {
    ($($code:ty),*) => {$(
        impl From<$code> for Value<'_> {
            fn from(value: $code) -> Self {
                Self::Int(Some(value.code()))
            }
        }
        impl Column for $code {
            fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
                Self::from_code(cell.int()?).ok_or(Unreadable("not a known code"))
            }
        }
    )*};
}
value_from_codes!(DeliveryState, DeliveryKind, Reason, AttemptClass, EventKind);

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}
impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}
/// Booleans are 0 and 1 in both databases.
impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}
impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(value.unix_ms()))
    }
}
impl From<Option<Timestamp>> for Value<'_> {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Int(value.map(Timestamp::unix_ms))
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value))
    }
}
impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Some(value))
    }
}
impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value)
    }
}
impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Some(value))
    }
}
impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}
impl<'a> From<&'a [u8; 32]> for Value<'a> {
    fn from(value: &'a [u8; 32]) -> Self {
        Self::Bytes(Some(value))
    }
}
impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Self::Bytes(value)
    }
}

/// One row of an answer.
pub struct Row(SqliteRow);

impl Row {
    /// The column named so in the statement. NULL is an error unless `T` is an `Option`.
    pub fn get<T: Column>(&self, name: &str) -> Result<T, StoreError> {
        T::read(Cell { row: &self.0, name })
            .map_err(|Unreadable(why)| StoreError::Corrupt(format!("column {name}: {why}")))
    }
}

/// Why a cell is not what it should be.
pub struct Unreadable(&'static str);

/// One cell, before it is a Rust type.
#[derive(Clone, Copy)]
pub struct Cell<'a> {
    row: &'a SqliteRow,
    name: &'a str,
}

impl<'a> Cell<'a> {
    fn is_null(self) -> Result<bool, Unreadable> {
        match self.row.try_get_raw(self.name) {
            Ok(value) => Ok(value.is_null()),
            Err(_) => Err(Unreadable("the statement answers no such column")),
        }
    }

    fn checked<T>(self) -> Result<T, Unreadable>
    where
        T: sqlx::Decode<'a, Sqlite> + sqlx::Type<Sqlite>,
    {
        if self.is_null()? {
            return Err(Unreadable("is NULL"));
        }
        self.row.try_get(self.name).map_err(|_| Unreadable("has another type"))
    }

    fn int(self) -> Result<i64, Unreadable> {
        self.checked()
    }

    fn id(self) -> Result<[u8; 16], Unreadable> {
        self.checked::<&[u8]>()?.try_into().map_err(|_| Unreadable("is not 16 bytes long"))
    }
}

/// A type that a column can be read as.
pub trait Column: Sized {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable>;
}

impl<T: Column> Column for Option<T> {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        if cell.is_null()? { Ok(None) } else { T::read(cell).map(Some) }
    }
}
impl Column for i64 {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.int()
    }
}
impl Column for u64 {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.int()?.try_into().map_err(|_| Unreadable("is negative"))
    }
}
impl Column for u32 {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.int()?.try_into().map_err(|_| Unreadable("is out of range"))
    }
}
impl Column for u16 {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.int()?.try_into().map_err(|_| Unreadable("is out of range"))
    }
}
impl Column for u8 {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.int()?.try_into().map_err(|_| Unreadable("is out of range"))
    }
}
impl Column for bool {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        match cell.int()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Unreadable("is neither 0 nor 1")),
        }
    }
}
impl Column for Timestamp {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.int().map(Self::from_unix_ms)
    }
}
impl Column for String {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.checked()
    }
}
impl Column for Vec<u8> {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.checked()
    }
}
impl Column for Bytes {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.checked::<Vec<u8>>().map(Self::from)
    }
}
impl Column for [u8; 32] {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.checked::<&[u8]>()?.try_into().map_err(|_| Unreadable("is not 32 bytes long"))
    }
}

/// A statement: a const, or one put together from consts. Values never become part of the text.
pub enum Sql {
    Const(&'static str),
    Built(String),
}
impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Const(text)
    }
}
impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self::Built(text)
    }
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

fn query(sql: Sql, values: &[Value<'_>]) -> Result<Query, StoreError> {
    let text = match &sql {
        Sql::Const(text) => text,
        Sql::Built(text) => text.as_str(),
    };
    let wanted = placeholders(text);
    if wanted != values.len() {
        return Err(StoreError::Internal(format!("{wanted} placeholders, {} values: {text}", values.len())));
    }
    let mut query = match sql {
        Sql::Const(text) => sqlx::query(text),
        Sql::Built(text) => sqlx::query(AssertSqlSafe(text)),
    };
    for value in values {
        query = match *value {
            Value::Id(id) => query.bind(id.map(|id| id.to_vec())),
            Value::Int(int) => query.bind(int),
            Value::Text(text) => query.bind(text.map(str::to_owned)),
            Value::Bytes(bytes) => query.bind(bytes.map(<[u8]>::to_vec)),
        };
    }
    Ok(query)
}

/// The highest n of all `$n` in a statement. Statements hold no string literals with a dollar sign.
fn placeholders(text: &str) -> usize {
    text.split('$')
        .skip(1)
        .filter_map(|rest| {
            let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().ok()
        })
        .max()
        .unwrap_or(0)
}

/// Reads, each of one statement, on a connection of its own that cannot write.
#[derive(Clone)]
pub struct Reader {
    pool: SqlitePool,
}

impl Reader {
    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    pub async fn all(&self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let rows = query(sql.into(), values)?.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    pub async fn maybe(&self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(query(sql.into(), values)?.fetch_optional(&self.pool).await?.map(Row))
    }

    /// The one row that must be there; [`StoreError::NotFound`] when it is not.
    pub async fn one(&self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Row, StoreError> {
        Ok(Row(query(sql.into(), values)?.fetch_one(&self.pool).await?))
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A cold transaction that writes. Dropped without [`commit`](Self::commit) it is undone.
///
/// It holds the same fair lock as the writer of hot work: neither starves the other, and no work is accepted while it is
/// open. Keep it short, and never wait inside it for a hot operation or for the network.
pub struct WriteTx {
    // Declared first, dropped first: the transaction ends before the lock is let go.
    transaction: sqlx::Transaction<'static, Sqlite>,
    _turn: OwnedMutexGuard<()>,
}

impl WriteTx {
    pub(crate) async fn begin(pool: &SqlitePool, turn: OwnedMutexGuard<()>) -> Result<Self, StoreError> {
        // A transaction that begins by reading cannot begin to write once another has written in between.
        let transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Self { transaction, _turn: turn })
    }

    /// Answers how many rows were changed.
    pub async fn execute(&mut self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(query(sql.into(), values)?.execute(&mut *self.transaction).await?.rows_affected())
    }

    pub async fn all(&mut self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let rows = query(sql.into(), values)?.fetch_all(&mut *self.transaction).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    pub async fn maybe(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(query(sql.into(), values)?.fetch_optional(&mut *self.transaction).await?.map(Row))
    }

    /// The one row that must be there; [`StoreError::NotFound`] when it is not.
    pub async fn one(&mut self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Row, StoreError> {
        Ok(Row(query(sql.into(), values)?.fetch_one(&mut *self.transaction).await?))
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_by_their_number() {
        for (text, count) in
            [("SELECT 1", 0), ("SELECT $1", 1), ("WHERE a = $2 AND b = $1 AND c = $2", 2), ("LIMIT $10", 10)]
        {
            assert_eq!(placeholders(text), count, "{text}");
        }
    }
}
