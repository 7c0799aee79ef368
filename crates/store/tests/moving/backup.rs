//! Backups of a data folder, and what a server makes of one that was restored.

use std::fs;
use std::path::Path;

use postrider_domain::delivery::{DeliveryKind, DeliveryState};
use postrider_store::{BackupError, Database, Store, backup_folder};

use crate::installation::{Installation, folder};

/// A data folder with what is in the backup, as an operator makes it.
fn restore(file: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(file, dir.path().join("postrider.db")).unwrap();
    dir
}

async fn open(installation: &Installation, dir: &Path) -> Store {
    Store::open(installation.options(folder(dir))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_the_whole_store_whether_a_server_runs_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let installation = Installation::of_every_kind(folder(dir.path())).await;
    let expected = installation.picture(&installation.store).await;
    for (name, stopped) in [("running", false), ("stopped", true)] {
        if stopped {
            installation.store.close().await;
        }
        let file = dir.path().join(name);
        assert_eq!(backup_folder(dir.path(), &file).unwrap(), fs::metadata(&file).unwrap().len());
        let restored = restore(&file);
        let store = open(&installation, restored.path()).await;
        assert!(installation.picture(&store).await == expected, "{name}");
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_commits_is_of_one_moment_and_has_all_that_was_acknowledged_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut installation = Installation::start(folder(dir.path())).await;
    installation.configure("acme").await;
    let mut before = Vec::new();
    for _ in 0..200 {
        before.push(installation.deliver(0).await);
    }
    let (started, has_started) = std::sync::mpsc::channel();
    let (path, file) = (dir.path().to_owned(), dir.path().join("file"));
    let to = file.clone();
    let copying = tokio::task::spawn_blocking(move || {
        started.send(()).unwrap();
        backup_folder(&path, &to)
    });
    has_started.recv().unwrap();
    while !copying.is_finished() {
        installation.deliver(0).await;
        installation.accept(0, DeliveryKind::Normal, false).await;
    }
    copying.await.unwrap().unwrap();
    installation.store.close().await;

    let restored = restore(&file);
    let store = open(&installation, restored.path()).await;
    assert!(store.ledger(None).await.unwrap().iter().all(|row| row.is_balanced()));
    let (tenant, _) = installation.tenants[0];
    for (event, delivery) in before {
        assert!(store.event_get(tenant, event).await.unwrap().is_some());
        let stored = store.delivery_get(tenant, delivery).await.unwrap().unwrap();
        assert_eq!(stored.state, DeliveryState::Delivered);
        assert_eq!(store.attempts(tenant, delivery).await.unwrap().len(), 1);
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_what_a_crash_left_has_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut installation = Installation::start(folder(dir.path())).await;
    installation.configure("acme").await;
    installation.deliver(0).await;
    let expected = installation.picture(&installation.store).await;
    let crashed = tempfile::tempdir().unwrap();
    for name in ["postrider.db", "postrider.db-wal"] {
        fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
    }
    installation.store.close().await;
    let file = dir.path().join("file");
    backup_folder(crashed.path(), &file).unwrap();
    let restored = restore(&file);
    let store = open(&installation, restored.path()).await;
    assert!(installation.picture(&store).await == expected);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delivered_before_the_backup_is_never_due_again() {
    let dir = tempfile::tempdir().unwrap();
    let installation = Installation::of_every_kind(folder(dir.path())).await;
    let delivered = installation.in_state(&installation.store, DeliveryState::Delivered).await;
    let scheduled = installation.in_state(&installation.store, DeliveryState::Scheduled).await;
    let file = dir.path().join("file");
    backup_folder(dir.path(), &file).unwrap();
    installation.store.close().await;
    let restored = restore(&file);
    let store = open(&installation, restored.path()).await;
    assert_eq!(installation.claimable(&store).await, scheduled);
    assert_eq!(installation.in_state(&store, DeliveryState::Delivered).await, delivered);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_writes_over_nothing_and_leaves_nothing_half_done() {
    let dir = tempfile::tempdir().unwrap();
    let installation = Installation::start(folder(dir.path())).await;
    let (file, unfinished) = (dir.path().join("file"), dir.path().join("file.unfinished"));
    fs::write(&file, "mine").unwrap();
    assert!(matches!(backup_folder(dir.path(), &file), Err(BackupError::Exists(path)) if path == file));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    fs::remove_file(&file).unwrap();

    // Another one at work, or one that was killed.
    fs::write(&unfinished, "").unwrap();
    assert!(matches!(backup_folder(dir.path(), &file), Err(BackupError::Exists(path)) if path == unfinished));
    fs::remove_file(&unfinished).unwrap();

    let nowhere = dir.path().join("nowhere");
    assert!(matches!(backup_folder(&nowhere, &file), Err(BackupError::NoStore(_))));
    assert!(matches!(backup_folder(dir.path(), &nowhere.join("file")), Err(BackupError::File { .. })));
    installation.store.close().await;

    // What is no database is not backed up.
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("postrider.db"), "x".repeat(10_000)).unwrap();
    let file = broken.path().join("file");
    assert!(backup_folder(broken.path(), &file).is_err());
    let left: Vec<_> = fs::read_dir(broken.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["postrider.db"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_is_its_owners_only_and_has_no_key() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mut installation = Installation::start(Database::Folder(dir.path().to_owned())).await;
    installation.configure("acme").await;
    let file = dir.path().join("file");
    backup_folder(dir.path(), &file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(32).any(|window| window == crate::installation::KEY));
    installation.store.close().await;
}
