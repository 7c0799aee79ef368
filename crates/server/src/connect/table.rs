//! A table of the source, looked at before its triggers are written: what would only show when the application writes is
//! found here.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::outbox::{SourceError, in_time};
use super::sql::{Notify, Table, TenantOf, Told};
use crate::complaint::Complaint;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

const TABLE: &str = "SELECT c.oid::int8 AS oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";

const NEAR: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE lower(c.relname) = lower($1) AND c.relkind IN ('r', 'p') ORDER BY 1 LIMIT 5";

const COLUMNS: &str = "SELECT attname::text AS name FROM pg_catalog.pg_attribute
  WHERE attrelid = $1::int8::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// Columns that tell each row from every other at any moment: unique by themselves, never null, checked when a row is
/// written and not later, so that an id is taken only after it was given up.
const IDS: &str = "SELECT a.attname::text AS name, bool_or(i.indisprimary) AS is_key
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = $1::int8::oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
    AND i.indnkeyatts = 1 AND a.attnotnull
  GROUP BY 1 ORDER BY 1";

/// What a person asked for; what was left open is found in the table.
pub(crate) struct Asked {
    pub(crate) outbox_schema: String,
    pub(crate) table: Table,
    pub(crate) kind: String,
    /// `None`: the primary key's one column.
    pub(crate) id_column: Option<String>,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) tenant: TenantOf,
    pub(crate) notify: Notify,
}

/// The table as it is to be told, if it can be.
pub(crate) async fn check(connection: &mut PgConnection, asked: Asked) -> Result<Told, SourceError> {
    let table = &asked.table;
    let Some(oid) = oid(connection, table).await? else { return Err(missing(connection, table).await?) };
    let columns: Vec<String> = in_time(ANSWER_TIMEOUT, async {
        let rows = sqlx::query(COLUMNS).bind(oid).fetch_all(&mut *connection).await?;
        rows.iter().map(|row| row.try_get("name")).collect()
    })
    .await?;
    let ids: Vec<(String, bool)> = in_time(ANSWER_TIMEOUT, async {
        let rows = sqlx::query(IDS).bind(oid).fetch_all(&mut *connection).await?;
        rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("is_key")?))).collect()
    })
    .await?;
    let wanted = asked.columns.iter().flatten().chain(match &asked.tenant {
        TenantOf::Column(column) => Some(column),
        TenantOf::Nobody | TenantOf::One(_) => None,
    });
    for column in wanted.chain(&asked.id_column) {
        if !columns.contains(column) {
            return Err(wrong(
                format!("{} has no column {column}", table.shown()),
                format!("its columns are {}", columns.join(", ")),
                "write the name as it is in the table, case included",
            ));
        }
    }
    let id_column = match &asked.id_column {
        Some(column) if ids.iter().any(|(id, _)| id == column) => column.clone(),
        Some(column) => {
            return Err(wrong(
                format!("{column} does not tell one row of {} from another", table.shown()),
                "an id needs a unique index on it alone, that is not deferrable, and NOT NULL",
                &candidates(&ids),
            ));
        }
        None => match ids.iter().find(|(_, is_key)| *is_key) {
            Some((key, _)) => key.clone(),
            None => {
                return Err(wrong(
                    format!("it is not clear what the id of a row of {} is", table.shown()),
                    "it has no primary key of one column that is not deferrable",
                    &candidates(&ids),
                ));
            }
        },
    };
    let Asked { outbox_schema, table, kind, columns, tenant, notify, .. } = asked;
    Ok(Told { outbox_schema, table, kind, id_column, columns, tenant, notify })
}

/// Runs SQL that [`super::sql`] has written, with its own `BEGIN` and `COMMIT`.
pub(crate) async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), SourceError> {
    let running = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection);
    in_time(ANSWER_TIMEOUT, running).await?;
    Ok(())
}

/// Whether the outbox is there, in the connection's schema.
pub(crate) async fn outbox_is_there(connection: &mut PgConnection) -> Result<bool, SourceError> {
    in_time(ANSWER_TIMEOUT, async {
        let row = sqlx::query("SELECT to_regclass('postrider_outbox') IS NOT NULL").fetch_one(connection);
        row.await?.try_get(0)
    })
    .await
}

async fn oid(connection: &mut PgConnection, table: &Table) -> Result<Option<i64>, SourceError> {
    in_time(ANSWER_TIMEOUT, async {
        let row = sqlx::query(TABLE).bind(&table.schema).bind(&table.name).fetch_optional(connection).await?;
        row.map(|row| row.try_get("oid")).transpose()
    })
    .await
}

async fn missing(connection: &mut PgConnection, table: &Table) -> Result<SourceError, SourceError> {
    let near: Vec<String> = in_time(ANSWER_TIMEOUT, async {
        let rows = sqlx::query(NEAR).bind(&table.name).fetch_all(connection).await?;
        rows.iter().map(|row| row.try_get("name")).collect()
    })
    .await?;
    let there_are = match near.is_empty() {
        true => "no schema has one of this name that you may see".to_owned(),
        false => format!("there is {}", near.join(", ")),
    };
    let what = format!("there is no table {}", table.shown());
    Ok(wrong(what, there_are, "write --table as it is in the database, case included"))
}

fn candidates(ids: &[(String, bool)]) -> String {
    match ids.is_empty() {
        true => "add such an index, and name its column with --id-column".to_owned(),
        false => {
            let names: Vec<&str> = ids.iter().map(|(name, _)| name.as_str()).collect();
            format!("name one of these with --id-column: {}", names.join(", "))
        }
    }
}

fn wrong(what: String, why: impl Into<String>, remedy: &str) -> SourceError {
    SourceError::Wrong(Complaint::new(what, why, remedy))
}
