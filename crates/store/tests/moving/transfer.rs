//! `migrate-to`: what arrives, what is refused, and what is left when it is cut off.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use postrider_domain::delivery::{DeliveryKind, DeliveryState};
use postrider_store::transfer::{
    Progress, Transfer, TransferError, TransferOptions, TransferReport, copy_to_postgres,
};
use postrider_store::{AfterCrash, Commit, Database, MasterKey, NODE_LEASE, Store, StoreError};
use postrider_testkit::postgres::{Database as Server, Postgres};
use tempfile::TempDir;

use crate::installation::{Installation, folder, key};

/// A data folder of a stopped server, and an empty database.
struct Move {
    source: Installation,
    dir: TempDir,
    target: Server,
}

impl Move {
    async fn of(make: impl AsyncFnOnce(Database) -> Installation) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = make(folder(dir.path())).await;
        source.store.close().await;
        Self { source, dir, target: Postgres::shared_database("transfer") }
    }

    async fn of_every_kind() -> Self {
        Self::of(Installation::of_every_kind).await
    }

    /// With one tenant and what it was delivered.
    async fn small() -> Self {
        Self::of(async |database| {
            let mut source = Installation::start(database).await;
            source.configure("acme").await;
            source.deliver(0).await;
            source
        })
        .await
    }

    fn options(&self) -> TransferOptions {
        TransferOptions {
            folder: self.dir.path().to_owned(),
            master_key: key(),
            url: self.target.url.clone(),
            unsafe_allowed: false,
            random: self.source.random.clone(),
            now: self.source.now,
            stop_after_batches: None,
        }
    }

    async fn try_copy(&self) -> Result<TransferReport, TransferError> {
        match copy_to_postgres(self.options(), |_| {}).await? {
            Transfer::Done(report) => Ok(report),
            Transfer::CutOff => panic!("nobody asked for it"),
        }
    }

    async fn copy(&self) -> TransferReport {
        self.try_copy().await.unwrap()
    }

    /// Why nothing was copied, in words.
    async fn refused(&self) -> String {
        match self.try_copy().await {
            Err(TransferError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    async fn cut_off_after(&self, batches: usize) -> bool {
        let options = TransferOptions { stop_after_batches: Some(batches), ..self.options() };
        matches!(copy_to_postgres(options, |_| {}).await.unwrap(), Transfer::CutOff)
    }

    async fn open_source(&self) -> Store {
        Store::open(self.source.options(folder(self.dir.path()))).await.unwrap()
    }

    async fn try_open_target(&self) -> Result<Store, StoreError> {
        Store::open(self.source.options(Database::Postgres(self.target.url.clone()))).await
    }

    async fn open_target(&self) -> Store {
        self.try_open_target().await.unwrap()
    }

    /// Both stores show the same.
    async fn check_same(&self) {
        let (source, target) = (self.open_source().await, self.open_target().await);
        let (expected, found) = (self.source.picture(&source).await, self.source.picture(&target).await);
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len());
        source.close().await;
        target.close().await;
    }

    /// All rows of all tables, for a look whether a database was changed.
    fn dump(&self) -> Vec<String> {
        let tables = self.target.sql(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')
            AND relnamespace = current_schema()::regnamespace ORDER BY 1",
        );
        let rows = |table: &str| self.target.sql(&format!("SELECT t::text FROM \"{table}\" t ORDER BY 1"));
        tables.lines().map(|table| format!("{table}: {}", rows(table))).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_row_arrives_and_looks_the_same() {
    let moved = Move::of_every_kind().await;
    let file = moved.dir.path().join("postrider.db");
    let before = fs::read(&file).unwrap();
    let report = moved.copy().await;
    assert!(report.tables.iter().all(|table| table.source == table.target));
    let empty: Vec<_> = report.tables.iter().filter(|table| table.source == 0).collect();
    assert!(empty.is_empty(), "the source has no row of {empty:?}");
    assert_eq!(report.copied, report.tables.iter().map(|table| table.source).sum::<u64>());
    assert!(report.ledger.iter().all(|count| count.source == count.target && count.source > 0));
    assert!(fs::read(&file).unwrap() == before, "the source was changed");
    let mut left: Vec<_> =
        fs::read_dir(moved.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["lock", "postrider.db"]);
    moved.check_same().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_lie_in_the_partitions_of_their_days() {
    let moved = Move::of_every_kind().await;
    moved.copy().await;
    for table in ["event", "delivery_settled", "attempt"] {
        assert_eq!(moved.target.sql(&format!("SELECT COUNT(*) FROM {table}_rest")), "0", "{table}");
        let days = moved.target.sql(&format!("SELECT COUNT(DISTINCT tableoid) FROM {table}"));
        assert_eq!(days, "4", "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_cut_off_in_every_batch_goes_on_and_is_the_same() {
    let moved = Move::of_every_kind().await;
    let mut cuts = 0;
    while moved.cut_off_after(1).await {
        cuts += 1;
        assert!(cuts < 100, "it never ends");
    }
    assert!(cuts > 15, "{cuts} batches");
    moved.check_same().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_several_batches_goes_on_in_its_middle() {
    let moved = Move::of(async |database| {
        let mut source = Installation::start(database).await;
        source.configure("acme").await;
        let (tenant, webhooks) = source.tenants[0];
        for _ in 0..50 {
            let mut commit = Commit::new(tenant, source.now);
            for _ in 0..100 {
                let mut event = source.event("order.created");
                event.deliveries.push(source.delivery(event.id, webhooks[0], DeliveryKind::Normal, false));
                commit.events.push(event);
            }
            source.commit(commit).await;
        }
        source
    })
    .await;
    let (mut rows, mut cuts) = (BTreeSet::new(), 0);
    loop {
        let options = TransferOptions { stop_after_batches: Some(2), ..moved.options() };
        let told = |progress| {
            if let Progress::GoesOn { rows: before } = progress {
                assert!(rows.insert(before), "nothing was copied since");
            }
        };
        match copy_to_postgres(options, told).await.unwrap() {
            Transfer::CutOff => cuts += 1,
            Transfer::Done(report) => {
                let events = report.tables.iter().find(|table| table.name == "event").unwrap();
                assert_eq!((events.source, events.target), (5000, 5000));
                break;
            }
        }
    }
    // Two of them had copied the first batch of the events, or of the deliveries, and not the second.
    assert!(cuts >= 5, "{cuts} cuts");
    let (source, target) = (moved.open_source().await, moved.open_target().await);
    let polled = moved.source.polled(&source, 0, 500).await;
    assert_eq!(polled.len(), 5000);
    assert!(moved.source.polled(&target, 0, 500).await == polled);
    let open = moved.source.in_state(&source, DeliveryState::Scheduled).await;
    assert!(moved.source.in_state(&target, DeliveryState::Scheduled).await == open);
    source.close().await;
    target.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_copy_lets_no_server_start() {
    let moved = Move::small().await;
    for batches in [0, 3] {
        assert!(moved.cut_off_after(batches).await);
        let refused = moved.try_open_target().await.err().expect("refused");
        assert!(refused.to_string().contains("migrate-to"), "{refused}");
    }
    assert_eq!(moved.target.sql("SELECT COUNT(*) FROM node"), "0", "it was never there");
    moved.copy().await;
    moved.open_target().await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_holds_something_else_is_refused_and_left_as_it_is() {
    let moved = Move::small().await;
    let left = async |word: &str| {
        let before = moved.dump();
        let why = moved.refused().await;
        assert!(why.contains(word), "{why}");
        assert_eq!(moved.dump(), before);
    };
    moved.target.sql("CREATE TABLE orders (id BIGINT PRIMARY KEY)");
    left("orders").await;
    moved.target.sql("DROP TABLE orders");

    // A server was started on it, with the same key even.
    moved.open_target().await.close().await;
    left("installation").await;
    moved.target.sql("DROP SCHEMA public CASCADE");
    moved.target.sql("CREATE SCHEMA public");

    // The schema is there, with a row that nobody of us wrote.
    assert!(moved.cut_off_after(0).await);
    moved.target.sql("DELETE FROM meta");
    moved
        .target
        .sql("INSERT INTO lease (name, node_id, term, held_until) VALUES ('a', gen_random_uuid(), 1, now())");
    moved.target.sql("INSERT INTO ledger_part VALUES (gen_random_uuid(), 0, 0, 0, 0, 0, 0, 0)");
    left("ledger_part").await;
    moved.target.sql("DELETE FROM ledger_part");

    moved.copy().await;
    left("already").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_copy_of_another_folder_is_refused() {
    let mut moved = Move::small().await;
    assert!(moved.cut_off_after(2).await);
    let other = Move::small().await;
    moved.dir = other.dir;
    let before = moved.dump();
    let why = moved.refused().await;
    assert!(why.contains("another data folder"), "{why}");
    assert_eq!(moved.dump(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_has_changed_since_is_refused() {
    let moved = Move::small().await;
    assert!(moved.cut_off_after(2).await);
    // A start and an end that change nothing are no change.
    moved.open_source().await.close().await;
    assert!(moved.cut_off_after(0).await);
    let source = moved.open_source().await;
    let mut tx = source.write().await.unwrap();
    tx.execute("UPDATE tenant SET name = 'other'", &[]).await.unwrap();
    tx.commit().await.unwrap();
    source.close().await;
    let why = moved.refused().await;
    assert!(why.contains("has changed"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_master_key_is_refused() {
    let moved = Move::small().await;
    let options = TransferOptions { master_key: Some(MasterKey::new(Box::new([8; 32]))), ..moved.options() };
    let refused = copy_to_postgres(options, |_| {}).await.expect_err("refused");
    assert!(matches!(refused, TransferError::Source(StoreError::MasterKey(_))), "{refused}");
    assert_eq!(moved.dump(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_in_use_is_refused_and_one_that_is_copied_starts_no_server() {
    let moved = Move::small().await;
    let source = moved.open_source().await;
    let refused = moved.try_copy().await.expect_err("refused");
    assert!(matches!(refused, TransferError::Source(StoreError::InUse(_))), "{refused}");
    source.close().await;

    let mut looks = 0;
    let look = |_| {
        looks += 1;
        let lock = fs::File::options().write(true).open(moved.dir.path().join("lock")).unwrap();
        assert!(lock.try_lock().is_err(), "it is locked all the time");
    };
    assert!(matches!(copy_to_postgres(moved.options(), look).await.unwrap(), Transfer::Done(_)));
    assert!(looks > 10);
    moved.open_source().await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_without_a_store_is_told_and_stays_empty() {
    let mut moved = Move::small().await;
    moved.dir = tempfile::tempdir().unwrap();
    assert!(matches!(moved.try_copy().await, Err(TransferError::NoSource(_))));
    assert_eq!(fs::read_dir(moved.dir.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_on_which_servers_run_is_refused() {
    let moved = Move::small().await;
    assert!(moved.cut_off_after(2).await);
    moved
        .target
        .sql("INSERT INTO node VALUES (gen_random_uuid(), 0, 'a', '1', now(), now() + interval '1 hour')");
    let why = moved.refused().await;
    assert!(why.contains("servers run"), "{why}");
    moved.target.sql("UPDATE node SET alive_until = now()");
    moved.copy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delivered_is_not_sent_again_and_what_is_open_is_sent_once() {
    let moved = Move::of_every_kind().await;
    moved.copy().await;
    let (source, target) = (moved.open_source().await, moved.open_target().await);
    let delivered = moved.source.in_state(&source, DeliveryState::Delivered).await;
    let scheduled = moved.source.in_state(&source, DeliveryState::Scheduled).await;
    let claimed = moved.source.claimable(&target).await;
    assert_eq!(claimed, scheduled);
    let runs = moved.source.runs_claimable(&target).await;
    assert_eq!(runs.len(), 6, "three of each tenant: one is due, one waits for its time, one for an event");
    assert_eq!(moved.source.runs_claimable(&source).await, runs);
    assert!(!delivered.is_empty() && delivered.iter().all(|delivery| !claimed.contains(delivery)));
    assert_eq!(moved.source.in_state(&target, DeliveryState::Delivered).await, delivered);
    source.close().await;
    target.close().await;
}

#[tokio::test]
async fn what_was_under_way_is_taken_over_by_the_first_server() {
    let moved = Move::of(async |database| {
        let mut source = Installation::start(database).await;
        source.configure("acme").await;
        source.accept(0, DeliveryKind::Normal, true).await;
        source
    })
    .await;
    moved.copy().await;
    let target = moved.open_target().await;
    let sending = moved.source.in_state(&target, DeliveryState::Sending).await;
    assert_eq!(sending.len(), 1);
    // A node takes over once it has been heard for the time of a lease, without a gap.
    for _ in 0..5 {
        target.node_beat().await.unwrap();
        tokio::time::pause();
        tokio::time::advance(NODE_LEASE / 4).await;
        tokio::time::resume();
    }
    assert!(target.node_beat().await.unwrap().dead, "it is told at once, not by the next sweep");
    let rule = Box::new(|_, _| Some(AfterCrash::SendAgain));
    let report = target.lease_reap(moved.source.now, None, rule).await.unwrap();
    assert_eq!((report.sent_again, report.due.len()), (1, 1));
    let (tenant, _) = moved.source.tenants[0];
    let stored = target.delivery_get(tenant, sending[0]).await.unwrap().unwrap();
    assert!(stored.resend && stored.state == DeliveryState::Scheduled);
    assert_eq!(target.attempts(tenant, sending[0]).await.unwrap().len(), 1);
    target.close().await;
}

#[tokio::test]
async fn runs_that_were_worked_on_are_taken_over_by_the_first_server() {
    let moved = Move::of(async |database| {
        let mut source = Installation::start(database).await;
        source.configure("acme").await;
        source.inbound(source.tenants[0].0).await;
        source
    })
    .await;
    moved.copy().await;
    let target = moved.open_target().await;
    let reap = async || target.run_reap(moved.source.now, None, Box::new(|_| false)).await.unwrap();
    assert_eq!(reap().await.runs, 0, "nobody takes over before it was heard for the time of a lease");
    for _ in 0..5 {
        target.node_beat().await.unwrap();
        tokio::time::pause();
        tokio::time::advance(NODE_LEASE / 4).await;
        tokio::time::resume();
    }
    target.node_beat().await.unwrap();
    assert_eq!(reap().await.runs, 2, "the one that replays, and the one that holds a slot");
    target.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_polls_finds_the_copied_events_in_their_order_and_new_ones_after_them() {
    let mut moved = Move::of_every_kind().await;
    let source = moved.open_source().await;
    let mut expected = moved.source.polled(&source, 0, 7).await;
    source.close().await;
    moved.copy().await;
    moved.source.store = moved.open_target().await;
    for _ in 0..3 {
        expected.push(moved.source.deliver(0).await.0);
    }
    assert_eq!(moved.source.polled(&moved.source.store, 0, 7).await, expected);
    moved.source.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_postgresql_cannot_hold_is_told_with_its_row() {
    let moved = Move::small().await;
    let (tenant, _) = moved.source.tenants[0];
    let source = moved.open_source().await;
    let mut tx = source.write().await.unwrap();
    tx.execute("UPDATE tenant SET plan = 'a' || char(0) || 'b'", &[]).await.unwrap();
    tx.commit().await.unwrap();
    source.close().await;
    let told = moved.try_copy().await.expect_err("refused").to_string();
    let id: String = tenant.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    for word in ["plan", "tenant", "U+0000", &id] {
        assert!(told.contains(word), "{told}");
    }
}

/// PostgreSQL itself does to the rows what a fault on the way would do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_arrives_changed_or_not_at_all_is_noticed_and_not_kept() {
    for (table, does, word) in [
        ("attempt", "NEW.response_body := NEW.response_body || 'x'::bytea; RETURN NEW", "response_body"),
        ("delivery_settled", "NEW.last_status := NULL; RETURN NEW", "last_status"),
        ("event", "RETURN NULL", "event"),
        ("tenant", "NEW.version := NEW.version + 1; RETURN NEW", "version"),
    ] {
        let moved = Move::small().await;
        assert!(moved.cut_off_after(0).await);
        moved.target.sql(&format!(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; END $$"
        ));
        moved.target.sql(&format!(
            "CREATE TRIGGER spoil BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()"
        ));
        let told = moved.try_copy().await.expect_err("noticed");
        assert!(matches!(told, TransferError::Differs(_)) && told.to_string().contains(word), "{told}");
        assert_eq!(moved.target.sql(&format!("SELECT COUNT(*) FROM {table}")), "0");
        moved.target.sql("DROP FUNCTION spoil CASCADE");
        moved.copy().await;
        moved.check_same().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_from_elsewhere_are_noticed_at_the_end() {
    let moved = Move::small().await;
    assert!(moved.cut_off_after(3).await);
    moved.target.sql("INSERT INTO event_type VALUES (gen_random_uuid(), 'a', '', NULL, NULL, 0, 0, 0)");
    let told = moved.try_copy().await.expect_err("noticed");
    assert!(told.to_string().contains("event_type has 1 rows in the data folder and 2"), "{told}");
    assert!(moved.try_open_target().await.is_err(), "it is not done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_a_crash_left_is_copied_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = Installation::start(folder(dir.path())).await;
    source.configure("acme").await;
    source.deliver(0).await;
    let crashed = tempfile::tempdir().unwrap();
    for name in ["postrider.db", "postrider.db-wal"] {
        fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
    }
    source.store.close().await;
    let moved = Move { source, dir: crashed, target: Postgres::shared_database("transfer") };
    assert!(!Path::exists(&moved.dir.path().join("master.key")));
    let report = moved.copy().await;
    assert!(report.tables.iter().any(|table| table.name == "attempt" && table.target == 1));
    moved.check_same().await;
}
