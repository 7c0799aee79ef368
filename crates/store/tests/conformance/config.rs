use postrider_store::{Commit, StoreError};

use crate::world::World;

const INSERT: &str = "INSERT INTO profile (name, version, source, created_ms) VALUES ($1, $2, $3, $4)";
const COUNT: &str = "SELECT COUNT(*) AS n FROM profile WHERE name = $1";

async fn count(world: &World, name: &str) -> i64 {
    world.store().read().one(COUNT, &[name.into()]).await.unwrap().get("n").unwrap()
}

pub(crate) async fn a_cold_write_that_is_dropped_is_undone(world: &World) {
    for (commit, expected) in [(false, 0), (true, 1)] {
        let mut tx = world.store().write().await.unwrap();
        let values = ["p".into(), "1".into(), "".into(), world.now().into()];
        assert_eq!(tx.execute(INSERT, &values).await.unwrap(), 1);
        assert_eq!(tx.one(COUNT, &["p".into()]).await.unwrap().get::<i64>("n").unwrap(), 1);
        if commit {
            tx.commit().await.unwrap();
        } else {
            drop(tx);
        }
        assert_eq!(count(world, "p").await, expected);
    }
}

pub(crate) async fn null_is_not_read_into_a_plain_type(world: &World) {
    let row = world.store().read().one("SELECT MAX(created_ms) AS n FROM profile", &[]).await.unwrap();
    assert!(matches!(row.get::<i64>("n"), Err(StoreError::Corrupt(_))));
    assert!(matches!(row.get::<String>("n"), Err(StoreError::Corrupt(_))));
    assert_eq!(row.get::<Option<i64>>("n").unwrap(), None);
    assert!(row.get::<Option<i64>>("absent").is_err());
}

pub(crate) async fn a_statement_with_too_few_values_is_refused(world: &World) {
    let mut tx = world.store().write().await.unwrap();
    let values = ["p".into(), "1".into(), "".into()];
    assert!(matches!(tx.execute(INSERT, &values).await, Err(StoreError::Internal(_))));
}

pub(crate) async fn a_taken_key_is_told_as_such(world: &World) {
    let values = ["p".into(), "1".into(), "".into(), world.now().into()];
    for expected in [true, false] {
        let mut tx = world.store().write().await.unwrap();
        let written = tx.execute(INSERT, &values).await;
        assert_eq!(written.is_ok(), expected);
        if let Err(error) = written {
            assert!(matches!(error, StoreError::Duplicate(_)), "{error}");
        }
        tx.commit().await.unwrap();
    }
}

pub(crate) async fn cold_and_hot_writes_take_turns(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let hot = async {
        for _ in 0..50 {
            world.accept_scheduled(tenant, webhook).await;
        }
    };
    let cold = async {
        for n in 0..50 {
            let mut tx = world.store().write().await.unwrap();
            let version = n.to_string();
            let values = ["p".into(), (&version).into(), "".into(), world.now().into()];
            tx.execute(INSERT, &values).await.unwrap();
            tx.commit().await.unwrap();
        }
    };
    tokio::join!(hot, cold);
    assert_eq!((count(world, "p").await, world.event_count(tenant).await), (50, 50));
    // A cold transaction that is open keeps hot work waiting; letting go of it is enough.
    let turn = world.store().write().await.unwrap();
    let commit = Commit { events: vec![world.event("a.b")], ..world.commit(tenant) };
    let mut answer = world.store().commit_enqueue(commit).unwrap();
    assert!(answer.try_recv().is_err());
    drop(turn);
    answer.await.unwrap().unwrap();
}

pub(crate) async fn a_sealed_secret_opens_after_a_restart(world: &World) {
    let sealed = world.store().seal("webhook_secret.sealed", &[3; 16], b"whsec_1");
    world.restart().await;
    let store = world.store();
    assert_eq!(store.open_sealed("webhook_secret.sealed", &[3; 16], &sealed).unwrap().as_slice(), b"whsec_1");
    assert!(store.open_sealed("webhook_secret.sealed", &[4; 16], &sealed).is_err());
    assert!(store.open_sealed("webhook.headers", &[3; 16], &sealed).is_err());
}
