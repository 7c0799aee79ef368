//! What runs ask of a transaction, whichever database it is in: so that each statement about them is written once.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use postrider_domain::id::WorkflowId;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::{Column as _, PgConnection, Row as _, TypeInfo as _, ValueRef as _};
use uuid::Uuid;

use crate::StoreError;
use crate::db::Value;
use crate::sqlite::Batch;

/// A transaction. Placeholders are `$1`, `$2`, … and stand in a statement for the first time in that order, which is how
/// SQLite numbers them.
pub(crate) trait Exec {
    /// Answers how many rows were changed.
    async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError>;

    async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Vec<Field>>, StoreError>;

    /// Others that change which runs of this workflow are active wait until this transaction has ended.
    async fn lock(&mut self, workflow: WorkflowId) -> Result<(), StoreError>;

    /// This process, where several share the database.
    fn node(&self) -> Option<Uuid>;
}

/// One value of an answer: ids, numbers and nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Null,
    Int(i64),
    Id([u8; 16]),
}

impl Field {
    pub(crate) fn int(self) -> Result<i64, StoreError> {
        match self {
            Self::Int(int) => Ok(int),
            _ => Err(StoreError::Corrupt("a number is none".into())),
        }
    }

    pub(crate) fn id(self) -> Result<[u8; 16], StoreError> {
        match self {
            Self::Id(id) => Ok(id),
            _ => Err(StoreError::Corrupt("an id is none".into())),
        }
    }

    pub(crate) fn maybe_id(self) -> Result<Option<[u8; 16]>, StoreError> {
        if self == Self::Null { Ok(None) } else { self.id().map(Some) }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Id(Some(id)) => ValueRef::Blob(id),
            Self::Int(Some(int)) => ValueRef::Integer(*int),
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Id(None) | Self::Int(None) | Self::Text(None) | Self::Bytes(None) => ValueRef::Null,
        }))
    }
}

impl Exec for Batch<'_> {
    async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(Self::execute(self, sql, rusqlite::params_from_iter(values))? as u64)
    }

    async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Vec<Field>>, StoreError> {
        let statement = self.statement(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let mut fields = Vec::with_capacity(columns);
            for at in 0..columns {
                fields.push(match row.get_ref(at)? {
                    ValueRef::Null => Field::Null,
                    ValueRef::Integer(int) => Field::Int(int),
                    ValueRef::Blob(bytes) => Field::Id(
                        bytes.try_into().map_err(|_| StoreError::Corrupt("an id is not 16 bytes".into()))?,
                    ),
                    _ => return Err(StoreError::Corrupt("a value has another type".into())),
                });
            }
            all.push(fields);
        }
        Ok(all)
    }

    /// There is one writer.
    async fn lock(&mut self, _: WorkflowId) -> Result<(), StoreError> {
        Ok(())
    }

    fn node(&self) -> Option<Uuid> {
        None
    }
}

/// A transaction on a server, of this node.
pub(crate) struct OnServer<'c> {
    pub(crate) tx: &'c mut PgConnection,
    pub(crate) node: Uuid,
}

fn bound<'q>(
    sql: &'static str,
    values: &'q [Value<'_>],
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let mut query = sqlx::query(sql);
    for value in values {
        query = match *value {
            Value::Id(id) => query.bind(id.map(Uuid::from_bytes)),
            Value::Int(int) => query.bind(int),
            Value::Text(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
        };
    }
    query
}

impl Exec for OnServer<'_> {
    async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(bound(sql, values).execute(&mut *self.tx).await?.rows_affected())
    }

    async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Vec<Field>>, StoreError> {
        let rows = bound(sql, values).fetch_all(&mut *self.tx).await?;
        let field = |row: &sqlx::postgres::PgRow, at: usize| {
            if row.try_get_raw(at)?.is_null() {
                return Ok(Field::Null);
            }
            Ok(match row.column(at).type_info().name() {
                "UUID" => Field::Id(row.try_get::<Uuid, _>(at)?.into_bytes()),
                _ => Field::Int(row.try_get(at)?),
            })
        };
        rows.iter().map(|row| (0..row.len()).map(|at| field(row, at)).collect()).collect()
    }

    async fn lock(&mut self, workflow: WorkflowId) -> Result<(), StoreError> {
        let (high, _) = workflow.uuid().as_u64_pair();
        let key = i64::from_ne_bytes(high.to_ne_bytes());
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(key).execute(&mut *self.tx).await?;
        Ok(())
    }

    fn node(&self) -> Option<Uuid> {
        Some(self.node)
    }
}

/// What is ready at once, as everything on SQLite's writer thread is.
pub(crate) fn now_ready<T>(future: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(StoreError::Internal("work of SQLite's writer waited".into())),
    }
}
