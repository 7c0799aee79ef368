//! `restored`: what ends, what can be recovered, and in which order events are polled on another PostgreSQL.

use std::path::PathBuf;
use std::process::Command;

use postrider_domain::delivery::{AttemptClass, DeliveryState, Reason};
use postrider_domain::time::Timestamp;
use postrider_store::config::{JOB_FAILED, JOB_RUNNING, RecoverRange};
use postrider_store::runs::RunFilter;
use postrider_store::{Database, Restored, Store, StoreError, end_restored};
use postrider_testkit::postgres::{Database as Server, Postgres};

use crate::installation::{Installation, folder};

/// Everything is ended, whatever the database, and nothing else is touched.
async fn open_runs(installation: &Installation, store: &Store) -> usize {
    let mut open = 0;
    for (tenant, _) in &installation.tenants {
        let runs = store.runs(*tenant, RunFilter::default(), 1_000).await.unwrap();
        open += runs.iter().filter(|run| !run.state.is_final()).count();
    }
    open
}

async fn check_ended(installation: &Installation, database: Database) {
    let store = Store::open(installation.options(database.clone())).await.unwrap();
    let states = [DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Cancelled];
    let mut before = Vec::new();
    for state in states {
        before.push(installation.in_state(&store, state).await);
    }
    let scheduled = installation.in_state(&store, DeliveryState::Scheduled).await;
    let sending = installation.in_state(&store, DeliveryState::Sending).await;
    assert!(!scheduled.is_empty() && !sending.is_empty());
    let runs = open_runs(installation, &store).await;
    assert!(runs > 0);
    store.close().await;

    let (restored, ledger) = end_restored(installation.options(database.clone())).await.unwrap();
    let expected = Restored {
        scheduled: scheduled.len() as u64,
        sending: sending.len() as u64,
        jobs: 3,
        runs: runs as u64,
        renumbered: 0,
    };
    assert_eq!(restored, expected);
    assert!(
        ledger.iter().all(|row| row.is_balanced() && row.scheduled == 0 && row.sending == 0),
        "{ledger:?}"
    );
    // Once more does no harm.
    let (again, ledger_again) = end_restored(installation.options(database.clone())).await.unwrap();
    assert_eq!((again, ledger_again), (Restored::default(), ledger));

    let store = Store::open(installation.options(database)).await.unwrap();
    assert_eq!(installation.claimable(&store).await, []);
    assert_eq!(open_runs(installation, &store).await, 0);
    let mut ended = [scheduled.clone(), sending.clone(), before[1].clone()].concat();
    ended.sort_unstable();
    before[1] = ended;
    for (state, before) in states.into_iter().zip(before) {
        assert_eq!(installation.in_state(&store, state).await, before, "{state:?}");
    }
    let mut recoverable = 0;
    for (tenant, webhooks) in &installation.tenants {
        let jobs = store.jobs_running_any_tenant(100).await.unwrap();
        assert!(jobs.iter().all(|job| job.tenant.is_none() && job.state == JOB_RUNNING));
        for webhook in webhooks {
            let range = RecoverRange {
                tenant: *tenant,
                webhook: *webhook,
                from: Timestamp::from_unix_ms(0),
                until: installation.now,
                began: installation.now,
            };
            let found = store.recoverable(range, None, 10_000).await.unwrap();
            recoverable +=
                found.iter().filter(|(id, _)| scheduled.contains(id) || sending.contains(id)).count();
        }
        for id in scheduled.iter().chain(&sending) {
            let Some(delivery) = store.delivery_get(*tenant, *id).await.unwrap() else { continue };
            assert_eq!((delivery.state, delivery.reason), (DeliveryState::Failed, Reason::Restored));
            assert_eq!(delivery.settled, Some(installation.now));
            let attempts = store.attempts(*tenant, *id).await.unwrap();
            assert_eq!(attempts.len(), delivery.attempts as usize);
            if sending.contains(id) {
                assert_eq!(attempts.last().unwrap().class, AttemptClass::Unknown);
                assert_eq!(delivery.last_class, Some(AttemptClass::Unknown));
            }
        }
    }
    assert!(recoverable > 0, "a recovery finds them");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_backup_holds_as_open_ends_and_can_be_recovered_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let installation = Installation::of_every_kind(folder(dir.path())).await;
    installation.store.close().await;
    check_ended(&installation, folder(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_backup_holds_as_open_ends_and_can_be_recovered_on_postgresql() {
    let server = Postgres::shared_database("restored");
    let database = Database::Postgres(server.url.clone());
    let installation = Installation::of_every_kind(database.clone()).await;
    installation.store.close().await;
    check_ended(&installation, database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let installation = Installation::start(folder(dir.path())).await;
    let refused = end_restored(installation.options(folder(dir.path()))).await;
    assert!(matches!(refused, Err(StoreError::InUse(_))));
    installation.store.close().await;

    let server = Postgres::shared_database("restored");
    let database = Database::Postgres(server.url.clone());
    let installation = Installation::start(database.clone()).await;
    let refused = end_restored(installation.options(database.clone())).await.unwrap_err();
    assert!(refused.to_string().contains("Servers run"), "{refused}");
    installation.store.close().await;
    end_restored(installation.options(database)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_and_half_a_copy_are_refused() {
    let server = Postgres::shared_database("restored");
    let database = Database::Postgres(server.url.clone());
    let dir = tempfile::tempdir().unwrap();
    let installation = Installation::start(folder(dir.path())).await;
    let refused = end_restored(installation.options(database.clone())).await.unwrap_err();
    assert!(refused.to_string().contains("no store"), "{refused}");
    assert_eq!(server.sql("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
    Store::open(installation.options(database.clone())).await.unwrap().close().await;
    server.sql("INSERT INTO meta VALUES ('migration.state', 'copying')");
    let refused = end_restored(installation.options(database)).await.unwrap_err();
    assert!(refused.to_string().contains("migrate-to"), "{refused}");
    installation.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_starts_until_it_is_through() {
    let server = Postgres::shared_database("restored");
    let database = Database::Postgres(server.url.clone());
    let installation = Installation::of_every_kind(database.clone()).await;
    installation.store.close().await;
    // As it was when somebody cut it off.
    server.sql("INSERT INTO meta VALUES ('restored.state', 'deliveries')");
    let refused = Store::open(installation.options(database.clone())).await.err().expect("refused");
    assert!(refused.to_string().contains("postrider restored"), "{refused}");
    end_restored(installation.options(database.clone())).await.unwrap();
    Store::open(installation.options(database)).await.unwrap().close().await;
}

/// Events seem to be written by transactions of a server that was far ahead of this one.
fn number_ahead(server: &Server) {
    server.sql("UPDATE event SET xid = (xid::text::int8 + 1000000000)::text::xid8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_is_restored_elsewhere_shows_all_events_in_order_to_who_polls() {
    let before = Postgres::shared_database("dumped");
    let mut installation = Installation::of_every_kind(Database::Postgres(before.url.clone())).await;
    let polled = installation.polled(&installation.store, 0, 7).await;
    let delivered = installation.in_state(&installation.store, DeliveryState::Delivered).await;
    installation.store.close().await;
    number_ahead(&before);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dump");
    run(program("pg_dump").args(["--format=custom", "--file"]).arg(&file).args(["--dbname", &before.url]));
    let after = Postgres::shared_database("restored");
    run(program("pg_restore").args(["--no-owner", "--exit-on-error", "--dbname", &after.url]).arg(&file));
    let database = Database::Postgres(after.url.clone());

    let store = Store::open(installation.options(database.clone())).await.unwrap();
    assert_eq!(installation.polled(&store, 0, 7).await, [], "this is what the command is for");
    store.close().await;

    let (restored, ledger) = end_restored(installation.options(database.clone())).await.unwrap();
    assert_eq!(restored.renumbered.to_string(), after.sql("SELECT COUNT(*) FROM event"));
    assert!(ledger.iter().all(|row| row.is_balanced()));
    installation.store = Store::open(installation.options(database)).await.unwrap();
    let mut expected = polled;
    expected.sort_unstable();
    assert_eq!(installation.polled(&installation.store, 0, 7).await, expected);
    assert_eq!(installation.in_state(&installation.store, DeliveryState::Delivered).await, delivered);
    assert_eq!(installation.claimable(&installation.store).await, []);
    // New events come after all of them.
    expected.push(installation.deliver(0).await.0);
    assert_eq!(installation.polled(&installation.store, 0, 7).await, expected);
    installation.store.close().await;
}

/// As a base backup with an archive of the log gives one: the numbers of transactions go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_whole_server_keeps_the_order_of_its_events() {
    let before = Postgres::start();
    let installation = Installation::of_every_kind(Database::Postgres(before.url())).await;
    let polled = installation.polled(&installation.store, 0, 7).await;
    installation.store.close().await;
    let after = before.standby();
    after.promote();
    let database = Database::Postgres(after.url());
    let (restored, ledger) = end_restored(installation.options(database.clone())).await.unwrap();
    assert!(restored.renumbered == 0 && restored.scheduled > 0, "{restored:?}");
    assert!(ledger.iter().all(|row| row.is_balanced()));
    let store = Store::open(installation.options(database)).await.unwrap();
    assert_eq!(installation.polled(&store, 0, 7).await, polled);
    assert_eq!(installation.claimable(&store).await, []);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_numbering_that_was_cut_off_is_brought_to_its_end() {
    let server = Postgres::shared_database("restored");
    let database = Database::Postgres(server.url.clone());
    let installation = Installation::of_every_kind(database.clone()).await;
    installation.store.close().await;
    // The days that had numbers from elsewhere are done; what is left does not look like it any more.
    server.sql("INSERT INTO meta VALUES ('restored.state', 'events too')");
    server.sql("UPDATE event SET xid = '0' WHERE id > (SELECT id FROM event ORDER BY id OFFSET 20 LIMIT 1)");
    let (restored, _) = end_restored(installation.options(database)).await.unwrap();
    assert_eq!(restored.renumbered, 21);
    assert_eq!(server.sql("SELECT COUNT(*) FROM event WHERE xid <> '0'"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_would_send_ends_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut installation = Installation::start(folder(dir.path())).await;
    installation.configure("acme").await;
    let running = installation.store.jobs_running_any_tenant(10).await.unwrap();
    let sends = running.iter().find(|job| job.tenant.is_some()).unwrap();
    installation.store.close().await;
    end_restored(installation.options(folder(dir.path()))).await.unwrap();
    let store = Store::open(installation.options(folder(dir.path()))).await.unwrap();
    let job = store.job_get(sends.tenant, sends.id).await.unwrap().unwrap();
    assert_eq!((job.state, job.finished), (JOB_FAILED, Some(installation.now)));
    assert!(job.detail.contains("backup"), "{}", job.detail);
    store.close().await;
}

/// A program of PostgreSQL's: the newest release's, as the servers of these tests are.
fn program(name: &str) -> Command {
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = packaged.map(|release| release.path()).max_by_key(number);
    match newest.map(|release| release.join("bin").join(name)).filter(|path| path.is_file()) {
        Some(path) => Command::new(path),
        None => Command::new(name),
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
