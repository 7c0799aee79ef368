//! Migrations: numbered files, run in order at start, each in one transaction, each remembered with its hash.
//!
//! Numbers are shared by both databases. A file that has been released is never changed: a start with another text
//! under the same number is refused.

use postrider_domain::time::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use crate::StoreError;

pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    /// Programs whose newest migration is this one, or a later one, still work on the schema that it leaves.
    pub(crate) works_with: i64,
}

impl Migration {
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.sql).into()
    }
}

const SQLITE: &[Migration] = &[
    Migration {
        number: 1,
        name: "base",
        sql: include_str!("../../../migrations/sqlite/0001_base.sql"),
        works_with: 1,
    },
    Migration {
        number: 2,
        name: "control",
        sql: include_str!("../../../migrations/sqlite/0002_control.sql"),
        works_with: 2,
    },
    Migration {
        number: 3,
        name: "sending",
        sql: include_str!("../../../migrations/sqlite/0003_sending.sql"),
        works_with: 2,
    },
    Migration {
        number: 4,
        name: "records",
        sql: include_str!("../../../migrations/sqlite/0004_records.sql"),
        works_with: 2,
    },
    Migration {
        number: 5,
        name: "inbound",
        sql: include_str!("../../../migrations/sqlite/0005_inbound.sql"),
        works_with: 2,
    },
    Migration {
        number: 6,
        name: "dashboard",
        sql: include_str!("../../../migrations/sqlite/0006_dashboard.sql"),
        // An older program would send what is meant for another URL to the webhook's own.
        works_with: 6,
    },
];

pub(crate) const POSTGRES: &[Migration] = &[
    Migration {
        number: 1,
        name: "base",
        sql: include_str!("../../../migrations/postgres/0001_base.sql"),
        works_with: 1,
    },
    Migration {
        number: 2,
        name: "control",
        sql: include_str!("../../../migrations/postgres/0002_control.sql"),
        works_with: 2,
    },
    Migration {
        number: 3,
        name: "sending",
        sql: include_str!("../../../migrations/postgres/0003_sending.sql"),
        works_with: 2,
    },
    Migration {
        number: 4,
        name: "records",
        sql: include_str!("../../../migrations/postgres/0004_records.sql"),
        works_with: 2,
    },
    Migration {
        number: 5,
        name: "inbound",
        sql: include_str!("../../../migrations/postgres/0005_inbound.sql"),
        works_with: 2,
    },
    Migration {
        number: 6,
        name: "dashboard",
        sql: include_str!("../../../migrations/postgres/0006_dashboard.sql"),
        // An older program would send what is meant for another URL to the webhook's own.
        works_with: 6,
    },
];

const CREATE: &str = "CREATE TABLE IF NOT EXISTS migration (
  number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, sha256 BLOB NOT NULL, applied_ms INTEGER NOT NULL) STRICT";
const LIST: &str = "SELECT number, sha256 FROM migration ORDER BY number";
const RECORD: &str = "INSERT INTO migration (number, name, sha256, applied_ms) VALUES (?1, ?2, ?3, ?4)";

/// Brings the schema to what this program needs. `now` is remembered as the time of what was applied.
pub(crate) fn migrate_sqlite(connection: &mut Connection, now: Timestamp) -> Result<(), StoreError> {
    apply(connection, SQLITE, now)
}

fn apply(connection: &mut Connection, migrations: &[Migration], now: Timestamp) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(CREATE)?;
    let applied: Vec<(i64, [u8; 32])> = transaction
        .prepare(LIST)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (number, sha256) in &applied {
        match migrations.iter().find(|migration| migration.number == *number) {
            None => {
                return Err(StoreError::Migration(format!(
                    "The data folder was used by a newer Postrider (migration {number} is not known here). Start that one."
                )));
            }
            Some(known) if known.hash() != *sha256 => {
                return Err(StoreError::Migration(format!(
                    "Migration {number} was applied with another text than this program's. Start the program that made \
                     this data folder, or use a new folder."
                )));
            }
            Some(_) => {}
        }
    }
    for migration in &migrations[applied.len()..] {
        transaction.execute_batch(migration.sql)?;
        transaction
            .execute(RECORD, params![migration.number, migration.name, migration.hash(), now.unix_ms()])?;
        tracing::info!(number = migration.number, name = migration.name, "store.migrated");
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration {
        number: 1,
        name: "one",
        sql: "CREATE TABLE one (a INTEGER NOT NULL) STRICT",
        works_with: 1,
    };
    const TWO: Migration = Migration {
        number: 2,
        name: "two",
        sql: "ALTER TABLE one ADD COLUMN b INTEGER NOT NULL DEFAULT 0",
        works_with: 1,
    };
    const CHANGED: Migration =
        Migration { number: 1, name: "one", sql: "CREATE TABLE one (a TEXT NOT NULL) STRICT", works_with: 1 };
    const BROKEN: Migration = Migration {
        number: 2,
        name: "broken",
        sql: "CREATE TABLE half (a INTEGER) STRICT; CREATE TABLE one (a INTEGER)",
        works_with: 1,
    };

    fn connection() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn each_migration_runs_once() {
        let mut connection = connection();
        let now = Timestamp::from_unix_ms(1);
        apply(&mut connection, &[ONE], now).unwrap();
        apply(&mut connection, &[ONE, TWO], now).unwrap();
        apply(&mut connection, &[ONE, TWO], now).unwrap();
        connection.execute("INSERT INTO one (a, b) VALUES (1, 2)", []).unwrap();
    }

    #[test]
    fn a_changed_or_unknown_migration_is_refused() {
        let mut connection = connection();
        let now = Timestamp::from_unix_ms(1);
        apply(&mut connection, &[ONE, TWO], now).unwrap();
        for known in [&[CHANGED, TWO][..], &[ONE][..]] {
            assert!(matches!(apply(&mut connection, known, now), Err(StoreError::Migration(_))));
        }
    }

    #[test]
    fn a_failed_migration_leaves_nothing_behind() {
        let mut connection = connection();
        let now = Timestamp::from_unix_ms(1);
        apply(&mut connection, &[ONE], now).unwrap();
        assert!(apply(&mut connection, &[ONE, BROKEN], now).is_err());
        assert!(connection.prepare("SELECT a FROM half").is_err());
        apply(&mut connection, &[ONE, TWO], now).unwrap();
    }

    #[test]
    fn the_shipped_migrations_are_numbered_without_gaps() {
        for (at, migration) in SQLITE.iter().enumerate() {
            assert_eq!(migration.number, at as i64 + 1, "{}", migration.name);
            assert!(migration.works_with <= migration.number);
            let same = POSTGRES.get(at).map(|other| (other.number, other.name, other.works_with));
            assert_eq!(same, Some((migration.number, migration.name, migration.works_with)));
        }
        assert_eq!(SQLITE.len(), POSTGRES.len());
    }
}
