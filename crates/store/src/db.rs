//! The cold way to the database: configuration, reads, anything that is not on the way of an event.
//!
//! Statements are portable SQL with `$1` placeholders, kept as consts beside the method that runs them. What they are
//! given and what they answer goes through [`Value`] and [`Row`], which are the same for every database: only this file
//! knows a driver. Two traps of SQLite's driver are closed here: a placeholder without a value would be NULL, and NULL
//! read into a plain type would be zero or empty; both are errors.

use bytes::Bytes;
use postrider_domain::connection::ConnectionState;
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::EventKind;
use postrider_domain::id::{
    AuditId, ConnectionId, DeliveryId, EventId, InboxId, InboxRequestId, JobId, KeyId, RequestId, RunId,
    TenantId, TriggerId, WebhookId, WorkflowId,
};
use postrider_domain::run::{RequestCause, RunState, StepStatus, TriggerKind};
use postrider_domain::time::Timestamp;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row as _, Sqlite, SqlitePool, TypeInfo as _, ValueRef as _};
use tokio::sync::{OwnedMutexGuard, OwnedRwLockWriteGuard};
use uuid::Uuid;

use crate::StoreError;
use crate::postgres::in_time;

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
value_from_ids!(
    TenantId,
    WebhookId,
    EventId,
    DeliveryId,
    KeyId,
    JobId,
    AuditId,
    WorkflowId,
    TriggerId,
    RunId,
    RequestId,
    ConnectionId,
    InboxId,
    InboxRequestId
);

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
value_from_codes!(
    DeliveryState,
    DeliveryKind,
    Reason,
    AttemptClass,
    EventKind,
    RunState,
    StepStatus,
    TriggerKind,
    RequestCause,
    ConnectionState
);

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
pub struct Row(AnyRow);

enum AnyRow {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self(AnyRow::Sqlite(row))
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(AnyRow::Postgres(row))
    }
}

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
    row: &'a AnyRow,
    name: &'a str,
}

const NO_COLUMN: Unreadable = Unreadable("the statement answers no such column");
const NULL: Unreadable = Unreadable("is NULL");
const OTHER_TYPE: Unreadable = Unreadable("has another type");

impl<'a> Cell<'a> {
    fn is_null(self) -> Result<bool, Unreadable> {
        match self.row {
            AnyRow::Sqlite(row) => row.try_get_raw(self.name).map(|value| value.is_null()),
            AnyRow::Postgres(row) => row.try_get_raw(self.name).map(|value| value.is_null()),
        }
        .map_err(|_| NO_COLUMN)
    }

    fn checked<T>(self) -> Result<T, Unreadable>
    where
        T: sqlx::Decode<'a, Sqlite> + sqlx::Type<Sqlite> + sqlx::Decode<'a, Postgres> + sqlx::Type<Postgres>,
    {
        if self.is_null()? {
            return Err(NULL);
        }
        match self.row {
            AnyRow::Sqlite(row) => row.try_get(self.name),
            AnyRow::Postgres(row) => row.try_get(self.name),
        }
        .map_err(|_| OTHER_TYPE)
    }

    /// PostgreSQL's narrow columns are integers like all others.
    fn int(self) -> Result<i64, Unreadable> {
        let AnyRow::Postgres(row) = self.row else { return self.checked() };
        if self.is_null()? {
            return Err(NULL);
        }
        let value = row.try_get_raw(self.name).map_err(|_| NO_COLUMN)?;
        match value.type_info().name() {
            "INT2" => row.try_get::<i16, _>(self.name).map(i64::from),
            "INT4" => row.try_get::<i32, _>(self.name).map(i64::from),
            _ => row.try_get(self.name),
        }
        .map_err(|_| OTHER_TYPE)
    }

    fn id(self) -> Result<[u8; 16], Unreadable> {
        match self.row {
            AnyRow::Sqlite(_) => {
                self.checked::<&[u8]>()?.try_into().map_err(|_| Unreadable("is not 16 bytes long"))
            }
            AnyRow::Postgres(_) if self.is_null()? => Err(NULL),
            AnyRow::Postgres(row) => {
                row.try_get::<Uuid, _>(self.name).map(Uuid::into_bytes).map_err(|_| OTHER_TYPE)
            }
        }
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
impl Column for [u8; 16] {
    fn read(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.id()
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

type SqliteQuery = sqlx::query::Query<'static, Sqlite, SqliteArguments>;
type PostgresQuery = sqlx::query::Query<'static, Postgres, PgArguments>;

/// A statement with its values, for either driver: the same text in both arms.
macro_rules! bound {
    ($sql:expr, $values:expr, $id:expr) => {{
        let mut query = match $sql {
            Sql::Const(text) => sqlx::query(text),
            Sql::Built(text) => sqlx::query(AssertSqlSafe(text)),
        };
        for value in $values {
            query = match *value {
                Value::Id(id) => query.bind(id.map($id)),
                Value::Int(int) => query.bind(int),
                Value::Text(text) => query.bind(text.map(str::to_owned)),
                Value::Bytes(bytes) => query.bind(bytes.map(<[u8]>::to_vec)),
            };
        }
        query
    }};
}

fn sqlite(sql: Sql, values: &[Value<'_>]) -> Result<SqliteQuery, StoreError> {
    check_count(&sql, values)?;
    Ok(bound!(sql, values, |id| id.to_vec()))
}

fn postgres(sql: Sql, values: &[Value<'_>]) -> Result<PostgresQuery, StoreError> {
    check_count(&sql, values)?;
    Ok(bound!(sql, values, Uuid::from_bytes))
}

fn check_count(sql: &Sql, values: &[Value<'_>]) -> Result<(), StoreError> {
    let text = match sql {
        Sql::Const(text) => text,
        Sql::Built(text) => text.as_str(),
    };
    let wanted = placeholders(text);
    if wanted == values.len() {
        return Ok(());
    }
    Err(StoreError::Internal(format!("{} values for {wanted} placeholders in: {text}", values.len())))
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

/// Runs a statement on whichever executor there is, and makes [`Row`]s of what it answers.
macro_rules! run {
    ($any:expr, $enum:ident, $sql:expr, $values:expr, $executor:ident => $on:expr, $method:ident) => {
        match $any {
            $enum::Sqlite($executor) => sqlite($sql.into(), $values)?
                .$method($on)
                .await
                .map(|answer| answer.into_iter().map(Row::from).collect::<Vec<_>>()),
            $enum::Postgres($executor) => in_time(postgres($sql.into(), $values)?.$method($on))
                .await
                .map(|answer| answer.into_iter().map(Row::from).collect::<Vec<_>>()),
        }
    };
}

/// Reads, each of one statement.
#[derive(Clone)]
pub struct Reader {
    pool: Pool,
}

#[derive(Clone)]
enum Pool {
    /// Of connections that cannot write.
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Reader {
    pub(crate) fn sqlite(pool: SqlitePool) -> Self {
        Self { pool: Pool::Sqlite(pool) }
    }

    pub(crate) fn postgres(pool: PgPool) -> Self {
        Self { pool: Pool::Postgres(pool) }
    }

    pub async fn all(&self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        Ok(run!(&self.pool, Pool, sql, values, pool => pool, fetch_all)?)
    }

    pub async fn maybe(&self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(run!(&self.pool, Pool, sql, values, pool => pool, fetch_optional)?.pop())
    }

    /// The one row that must be there; [`StoreError::NotFound`] when it is not.
    pub async fn one(&self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Row, StoreError> {
        self.maybe(sql, values).await?.ok_or(StoreError::NotFound)
    }

    pub(crate) async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

/// A cold transaction that writes. Dropped without [`commit`](Self::commit) it is undone.
///
/// It takes turns with this process's hot work: neither starves the other, and no work is accepted while it is open. Keep
/// it short, and never wait inside it for a hot operation or for the network.
pub struct WriteTx {
    // Declared first, dropped first: the transaction ends before the turn is let go.
    transaction: Transaction,
    _turn: Turn,
}

enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

enum Turn {
    Sqlite { _turn: OwnedMutexGuard<()> },
    Postgres { _turn: OwnedRwLockWriteGuard<()> },
}

impl WriteTx {
    pub(crate) async fn sqlite(pool: &SqlitePool, turn: OwnedMutexGuard<()>) -> Result<Self, StoreError> {
        // A transaction that begins by reading cannot begin to write once another has written in between.
        let transaction = Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?);
        Ok(Self { transaction, _turn: Turn::Sqlite { _turn: turn } })
    }

    /// The turn is waited for last: hot work does not stand still while others have all connections.
    pub(crate) async fn postgres(
        pool: &PgPool,
        turn: impl Future<Output = OwnedRwLockWriteGuard<()>>,
    ) -> Result<Self, StoreError> {
        let transaction = Transaction::Postgres(in_time(pool.begin()).await?);
        Ok(Self { transaction, _turn: Turn::Postgres { _turn: turn.await } })
    }

    /// Whether its database is shared with other processes.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.transaction, Transaction::Postgres(_))
    }

    /// Answers how many rows were changed.
    pub async fn execute(&mut self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(match &mut self.transaction {
            Transaction::Sqlite(transaction) => {
                sqlite(sql.into(), values)?.execute(&mut **transaction).await?.rows_affected()
            }
            Transaction::Postgres(transaction) => {
                in_time(postgres(sql.into(), values)?.execute(&mut **transaction)).await?.rows_affected()
            }
        })
    }

    pub async fn all(&mut self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        Ok(run!(&mut self.transaction, Transaction, sql, values, tx => &mut **tx, fetch_all)?)
    }

    pub async fn maybe(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(run!(&mut self.transaction, Transaction, sql, values, tx => &mut **tx, fetch_optional)?.pop())
    }

    /// The one row that must be there; [`StoreError::NotFound`] when it is not.
    pub async fn one(&mut self, sql: impl Into<Sql>, values: &[Value<'_>]) -> Result<Row, StoreError> {
        self.maybe(sql, values).await?.ok_or(StoreError::NotFound)
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        match self.transaction {
            Transaction::Sqlite(transaction) => transaction.commit().await?,
            Transaction::Postgres(transaction) => in_time(transaction.commit()).await?,
        }
        Ok(())
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
