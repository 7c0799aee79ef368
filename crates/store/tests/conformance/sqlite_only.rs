//! What only a database in files can show.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use postrider_domain::delivery::DeliveryKind;
use postrider_store::{
    Commit, EventOutcome, MasterKey, NewEvent, OpenOptions, Store, StoreError, Synchronous,
};

use crate::world::{DAY, World};

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_second_process_is_refused_and_may_follow() {
    let world = World::sqlite().await;
    let second = Store::open(world.options(world.dir())).await;
    assert!(matches!(second, Err(StoreError::InUse(_))));
    world.store().close().await;
    Store::open(world.options(world.dir())).await.unwrap().close().await;
}

#[tokio::test]
async fn what_is_acknowledged_is_in_the_files() {
    let world = World::sqlite().await;
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    // The files as a crash would leave them at this moment.
    let crashed = tempfile::tempdir().unwrap();
    copy(world.dir(), crashed.path(), &["postrider.db", "postrider.db-wal", "master.key"]);
    let store = Store::open(world.options(crashed.path())).await.unwrap();
    assert!(store.event_get(tenant, sending.event).await.unwrap().is_some());
    assert!(store.delivery_get(tenant, sending.delivery).await.unwrap().is_some());
    store.close().await;
    world.end().await;
}

#[tokio::test]
async fn a_close_leaves_no_log_behind() {
    let world = World::sqlite().await;
    world.accept_scheduled(world.tenant(), world.webhook()).await;
    world.store().close().await;
    let mut names: Vec<_> =
        fs::read_dir(world.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["lock", "master.key", "postrider.db"]);
}

#[tokio::test]
async fn a_setting_that_may_lose_work_needs_its_flag() {
    for synchronous in [Synchronous::Normal, Synchronous::Off] {
        let world = World::sqlite().await;
        let dir = tempfile::tempdir().unwrap();
        let options =
            |unsafe_allowed| OpenOptions { synchronous, unsafe_allowed, ..world.options(dir.path()) };
        assert!(matches!(Store::open(options(false)).await, Err(StoreError::Unsafe(_))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        Store::open(options(true)).await.unwrap().close().await;
        world.end().await;
    }
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let world = World::sqlite().await;
    world.store().close().await;
    let key = |byte| Some(MasterKey::new(Box::new([byte; 32])));
    let open = |master_key| Store::open(OpenOptions { master_key, ..world.options(world.dir()) });
    assert!(matches!(open(key(1)).await, Err(StoreError::MasterKey(_))));
    open(None).await.unwrap().close().await;

    fs::write(world.dir().join("master.key"), "not a key").unwrap();
    assert!(matches!(open(None).await, Err(StoreError::MasterKey(_))));
    // A lost key is said to be lost; no new one is made in its place.
    fs::remove_file(world.dir().join("master.key")).unwrap();
    assert!(matches!(open(None).await, Err(StoreError::MasterKey(_))));
    assert!(!world.dir().join("master.key").exists());
}

#[tokio::test]
async fn a_given_master_key_is_written_nowhere() {
    let world = World::sqlite().await;
    let dir = tempfile::tempdir().unwrap();
    let options = || OpenOptions {
        master_key: Some(MasterKey::new(Box::new([0xa5; 32]))),
        ..world.options(dir.path())
    };
    Store::open(options()).await.unwrap().close().await;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(32).any(|window| window == [0xa5; 32]));
    }
    Store::open(options()).await.unwrap().close().await;
    world.end().await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_key_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::sqlite().await;
    let inner = world.dir().join("made").join("by-us");
    Store::open(world.options(&inner)).await.unwrap().close().await;
    for (path, mode) in [(inner.join("master.key"), 0o600), (inner, 0o700)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
    world.end().await;
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_passes() {
    let world = World::sqlite().await;
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { pages_max: Some(400), ..world.options(dir.path()) };
    let store = Store::open(options).await.unwrap();
    let tenant = world.tenant();
    let event = || NewEvent { data: Bytes::from(vec![b' '; 64 * 1024]), ..world.event("a.b") };
    let commit =
        |event| store.commit_enqueue(Commit { events: vec![event], ..world.commit(tenant) }).unwrap();

    let mut accepted = Vec::new();
    let refused = loop {
        let event = event();
        let id = event.id;
        match commit(event).await.unwrap() {
            Ok(_) => accepted.push(id),
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                break id;
            }
        }
    };
    assert!(accepted.len() > 10);
    // A batch of several is refused as a whole.
    let answers = [commit(event()), commit(event()), commit(event())];
    for answer in answers {
        assert!(matches!(answer.await.unwrap(), Err(StoreError::Unavailable(_))));
    }
    assert!(matches!(store.ready().await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.event_get(tenant, refused).await.unwrap(), None);
    for id in &accepted {
        assert!(store.event_get(tenant, *id).await.unwrap().is_some());
    }

    world.pass(2 * DAY);
    let swept = store.retention_sweep(world.now(), tenant, DAY).await.unwrap();
    assert_eq!(swept.events, accepted.len() as u64);
    store.ready().await.unwrap();
    let event = event();
    let id = event.id;
    let outcome = commit(event).await.unwrap().unwrap();
    let postrider_store::CommitOutcome::Done { events, .. } = outcome else { panic!() };
    assert_eq!(events, [EventOutcome::New(id)]);
    store.close().await;
    world.end().await;
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let world = World::sqlite().await;
    let mut tx = world.store().write().await.unwrap();
    let sql =
        "INSERT INTO migration (number, name, sha256, applied_ms) VALUES (9999, 'newer', zeroblob(32), 0)";
    tx.execute(sql, &[]).await.unwrap();
    tx.commit().await.unwrap();
    world.store().close().await;
    assert!(matches!(Store::open(world.options(world.dir())).await, Err(StoreError::Migration(_))));
}
