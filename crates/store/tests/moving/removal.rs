//! A tenant that goes takes everything with it, and nothing of others.

use std::collections::BTreeMap;

use postrider_domain::id::{JobId, TenantId};
use postrider_store::Database;
use postrider_store::config::{ConfigWrite, JOB_DONE, JOB_RUNNING, JobRow};
use postrider_testkit::postgres::{Database as Server, Postgres};
use rusqlite::Connection;

use crate::installation::{Installation, folder};

/// The audit tells that there was such a tenant.
const STAYS: [&str; 1] = ["audit"];

enum Home {
    Folder(tempfile::TempDir),
    Server(Server),
}

impl Home {
    fn database(&self) -> Database {
        match self {
            Self::Folder(dir) => folder(dir.path()),
            Self::Server(server) => Database::Postgres(server.url.clone()),
        }
    }

    /// How many rows of a tenant each table holds that knows tenants.
    fn rows_of(&self, tenant: TenantId) -> BTreeMap<String, i64> {
        let id = tenant.uuid().simple().to_string();
        match self {
            Self::Folder(dir) => {
                let file = Connection::open(dir.path().join("postrider.db")).unwrap();
                let tables = "SELECT DISTINCT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
                  WHERE m.type = 'table' AND c.name IN ('tenant_id', 'scope') ORDER BY 1";
                let mut tables = file.prepare(tables).unwrap();
                let names: Vec<String> =
                    tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
                let count = |table: &String| {
                    let columns = file.prepare(&format!("SELECT * FROM \"{table}\" LIMIT 0")).unwrap();
                    let knows = columns.column_names().contains(&"tenant_id");
                    let column = if knows { "tenant_id" } else { "scope" };
                    let sql = format!("SELECT COUNT(*) FROM \"{table}\" WHERE {column} = x'{id}'");
                    file.query_row(&sql, [], |row| row.get(0)).unwrap()
                };
                names.into_iter().map(|name| (name.clone(), count(&name))).collect()
            }
            Self::Server(server) => {
                let tables = server.sql(
                    "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'tenant_id'
                    AND c.relnamespace = current_schema()::regnamespace ORDER BY 1",
                );
                let count = |table: &str| {
                    let sql = format!("SELECT COUNT(*) FROM \"{table}\" WHERE tenant_id = '{id}'");
                    server.sql(&sql).parse().unwrap()
                };
                tables.lines().map(|table| (table.to_owned(), count(table))).collect()
            }
        }
    }
}

async fn check(home: Home) {
    let all = Installation::of_every_kind(home.database()).await;
    let [(gone, _), (stays, _)] = all.tenants[..] else { panic!("two tenants") };
    let before = home.rows_of(stays);
    let had = home.rows_of(gone);
    for table in [
        "workflow",
        "workflow_version",
        "workflow_trigger",
        "trigger_secret",
        "trigger_clock",
        "trigger_dedup",
        "request",
        "run",
        "run_data",
        "run_step",
        "run_attempt",
        "run_wait",
        "secret",
        "connection",
        "connection_flow",
    ] {
        assert!(had[table] > 0, "{table}");
    }
    let mut job = JobRow {
        tenant: None,
        id: JobId::new(all.now, &*all.random),
        kind: 1,
        state: JOB_RUNNING,
        params: "{}".into(),
        position: None,
        done: 0,
        total: None,
        detail: String::new(),
        created: all.now,
        updated: all.now,
        finished: None,
    };
    let jobs = vec![job.clone()];
    all.store.config_write(&ConfigWrite { at: all.now, jobs, ..ConfigWrite::default() }).await.unwrap();
    // Few rows at a time, so that a table takes several batches.
    for batch in 0.. {
        assert!(batch < 10_000, "it never ends");
        let mark = |job: &mut JobRow, removed: postrider_store::config::Removed| {
            job.done += removed.rows;
            if removed.finished {
                job.state = JOB_DONE;
            }
        };
        if all.store.tenant_remove_batch(gone, 2, &mut job, mark).await.unwrap().finished {
            break;
        }
    }
    all.store.close().await;
    let mut left = home.rows_of(gone);
    left.retain(|table, rows| *rows > 0 && !STAYS.contains(&table.as_str()));
    left.remove("idempotency");
    assert_eq!(left, BTreeMap::new());
    assert_eq!(home.rows_of(stays), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_tenant_leaves_nothing_in_a_folder() {
    check(Home::Folder(tempfile::tempdir().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_tenant_leaves_nothing_on_a_server() {
    check(Home::Server(Postgres::shared_database("removal"))).await;
}
