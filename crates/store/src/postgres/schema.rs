//! The schema's migrations, run by whichever node starts first.
//!
//! A node of the version before may meet a schema that is one step newer, during an upgrade or after a downgrade: each
//! migration says with which programs the schema still works after it (expand first, contract a version later).

use std::time::Duration;

use postrider_domain::time::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::StoreError;
use crate::migrate::{Migration, POSTGRES};

/// A table may be in use by the other nodes of an upgrade. Who comes later waits behind who waits for it: often and briefly is
/// better than once and long.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";
const TRIES: u32 = 60;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Held while migrating: nodes that start together do it one after the other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7305810218427)";
const CREATE: &str = "CREATE TABLE IF NOT EXISTS migration (
  number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, sha256 BYTEA NOT NULL, applied_ms BIGINT NOT NULL,
  works_with BIGINT NOT NULL)";
const LIST: &str = "SELECT number, sha256, works_with FROM migration ORDER BY number";
const RECORD: &str =
    "INSERT INTO migration (number, name, sha256, applied_ms, works_with) VALUES ($1, $2, $3, $4, $5)";

pub(super) async fn migrate(connection: &mut PgConnection, now: Timestamp) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        match apply(connection, POSTGRES, now).await {
            Err(StoreError::Contended(why)) if tries < TRIES => {
                tracing::warn!(tries, why, "store.migration_waits");
                tries += 1;
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
            }
            done => return done,
        }
    }
}

async fn apply(
    connection: &mut PgConnection,
    migrations: &[Migration],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = connection.begin().await?;
    // Long work on a large table is not cut short, and waits for nobody but other migrations.
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
    sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await?;
    sqlx::query(LOCK).execute(&mut *tx).await?;
    sqlx::query(CREATE).execute(&mut *tx).await?;
    let newest = migrations.len() as i64;
    let applied = sqlx::query(LIST).fetch_all(&mut *tx).await?;
    for row in &applied {
        let number: i64 = row.try_get("number")?;
        let known = migrations.iter().find(|migration| migration.number == number);
        let works_with: i64 = row.try_get("works_with")?;
        match known {
            None if works_with <= newest => {
                tracing::warn!(number, "store.newer_schema");
            }
            None => {
                return Err(StoreError::Migration(format!(
                    "The database was used by a newer Postrider (migration {number} is not known here, and does not work with \
                     this version). Start that one."
                )));
            }
            Some(known) if known.hash()[..] != *row.try_get::<&[u8], _>("sha256")? => {
                return Err(StoreError::Migration(format!(
                    "Migration {number} was applied with another text than this program's. Start the program that made this \
                     database, or use another database."
                )));
            }
            Some(_) => {}
        }
    }
    for migration in migrations.iter().skip(applied.len()) {
        sqlx::raw_sql(AssertSqlSafe(migration.sql.to_owned())).execute(&mut *tx).await?;
        sqlx::query(RECORD)
            .bind(migration.number)
            .bind(migration.name)
            .bind(&migration.hash()[..])
            .bind(now.unix_ms())
            .bind(migration.works_with)
            .execute(&mut *tx)
            .await?;
        tracing::info!(number = migration.number, name = migration.name, "store.migrated");
    }
    Ok(tx.commit().await?)
}
