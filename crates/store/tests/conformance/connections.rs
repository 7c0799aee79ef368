use std::time::Duration;

use postrider_domain::connection::ConnectionState;
use postrider_domain::id::{ConnectionId, TenantId};
use postrider_store::config::{
    ConfigOutcome, ConfigWrite, ConnectionFlowRow, ConnectionRow, ConnectionWrite, StepSecretRow,
    StepSecretWrite,
};

use crate::world::World;

fn row(world: &World, tenant: TenantId, name: &str) -> ConnectionRow {
    ConnectionRow {
        tenant,
        id: ConnectionId::new(world.now(), &*world.random),
        name: name.to_owned(),
        provider: "custom".to_owned(),
        settings: "{}".to_owned(),
        sealed: vec![0, 255],
        state: ConnectionState::Active,
        expires: Some(world.now()),
        error: None,
        version: 1,
        lease: None,
        created: world.now(),
        updated: world.now(),
    }
}

async fn write(world: &World, change: ConnectionWrite) -> ConfigOutcome {
    let write = ConfigWrite { at: world.now(), connections: vec![change], ..ConfigWrite::default() };
    world.store().config_write(&write).await.unwrap()
}

async fn get(world: &World, row: &ConnectionRow) -> ConnectionRow {
    world.store().connection_get(row.tenant, row.id).await.unwrap().unwrap()
}

pub(crate) async fn a_lease_is_taken_by_one_and_by_another_when_it_ends(world: &World) {
    let made = row(world, world.tenant(), "a");
    assert_eq!(write(world, ConnectionWrite::Insert(made.clone())).await, ConfigOutcome::Done);
    let (store, now) = (world.store(), world.now());
    let until = now.plus(Duration::from_secs(30));
    let mut wishes = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, made) = (store.clone(), made.clone());
        wishes.spawn(async move { store.connection_lease(&made, now, until).await.unwrap() });
    }
    assert_eq!(wishes.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
    let held = get(world, &made).await;
    assert_eq!((held.version, held.lease), (2, Some(until)));
    // Also who has read the row since does not get it, until the lease has ended.
    assert!(!store.connection_lease(&held, now, until).await.unwrap());
    let later = until.plus(Duration::from_secs(30));
    assert!(store.connection_lease(&held, until, later).await.unwrap());
    // The first comes late: what it brings is not taken, and the other's lease holds.
    let late = ConnectionRow { version: 3, sealed: vec![1], ..made.clone() };
    assert!(!store.connection_settle(&late).await.unwrap());
    assert_eq!(get(world, &made).await.lease, Some(later));
    let settled = ConnectionRow { version: 4, sealed: vec![2], error: Some("x".to_owned()), ..made.clone() };
    assert!(store.connection_settle(&settled).await.unwrap());
    let read = get(world, &made).await;
    assert_eq!((read.version, read.lease, read.sealed, read.error.as_deref()), (4, None, vec![2], Some("x")));
}

pub(crate) async fn a_connection_belongs_to_its_tenant_and_its_version(world: &World) {
    let (tenant, foreign) = (world.tenant(), world.tenant());
    let made = row(world, tenant, "a");
    write(world, ConnectionWrite::Insert(made.clone())).await;
    write(world, ConnectionWrite::Insert(row(world, foreign, "a"))).await;
    let store = world.store();
    assert!(store.connection_get(foreign, made.id).await.unwrap().is_none());
    assert_eq!(store.connection_by_name(tenant, "a").await.unwrap().unwrap().id, made.id);
    assert_eq!(store.connection_list(tenant, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.connection_list(tenant, Some(made.id), 10).await.unwrap().len(), 0);
    assert_eq!(store.connection_count(tenant).await.unwrap(), 1);
    for (tenant, version) in [(foreign, 1), (tenant, 2)] {
        let delete = ConnectionWrite::Delete { tenant, id: made.id, version };
        assert_eq!(write(world, delete).await, ConfigOutcome::Stale);
    }
    let old = ConnectionRow { version: 3, ..made.clone() };
    assert_eq!(write(world, ConnectionWrite::Update(old)).await, ConfigOutcome::Stale);
    let delete = ConnectionWrite::Delete { tenant, id: made.id, version: 1 };
    assert_eq!(write(world, delete).await, ConfigOutcome::Done);
    assert!(store.connection_by_name(tenant, "a").await.unwrap().is_none());
}

pub(crate) async fn what_expires_soon_is_listed_the_first_to_expire_first(world: &World) {
    let tenant = world.tenant();
    let now = world.now();
    let at = |seconds| Some(now.plus(Duration::from_secs(seconds)));
    for (name, expires, state) in [
        ("c", at(30), ConnectionState::Active),
        ("a", at(10), ConnectionState::Active),
        ("failed", at(10), ConnectionState::Failed),
        ("never", None, ConnectionState::Active),
        ("later", at(60), ConnectionState::Active),
        ("b", at(20), ConnectionState::Active),
    ] {
        let row = ConnectionRow { expires, state, ..row(world, tenant, name) };
        write(world, ConnectionWrite::Insert(row)).await;
    }
    let names = async |from: u64, limit| {
        let (from, until) = (now.plus(Duration::from_secs(from)), now.plus(Duration::from_secs(60)));
        let rows = world.store().connections_expiring_any_tenant(from, until, limit).await.unwrap();
        rows.into_iter().map(|row| row.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(0, 10).await, "a b c");
    assert_eq!(names(0, 2).await, "a b");
    assert_eq!(names(20, 10).await, "b c");
}

pub(crate) async fn an_authorization_is_taken_once_and_the_oldest_make_room(world: &World) {
    let tenant = world.tenant();
    let connection = ConnectionId::new(world.now(), &*world.random);
    let store = world.store();
    for n in 0..5u8 {
        let flow = ConnectionFlowRow {
            state_hash: [n; 32],
            tenant,
            connection,
            sealed: vec![n],
            expires: world.now().plus(Duration::from_secs(n.into())),
        };
        store.connection_flow_put(&flow, 3).await.unwrap();
    }
    for (n, there) in [(0, false), (1, false), (2, true), (2, false), (9, false)] {
        assert_eq!(store.connection_flow_take(&[n; 32]).await.unwrap().is_some(), there, "{n}");
    }
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        takers.spawn(async move { store.connection_flow_take(&[3; 32]).await.unwrap().is_some() });
    }
    assert_eq!(takers.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
    assert_eq!(store.connection_flow_sweep(world.now().plus(Duration::from_secs(3))).await.unwrap(), 0);
    assert_eq!(store.connection_flow_sweep(world.now().plus(Duration::from_secs(4))).await.unwrap(), 1);
}

pub(crate) async fn a_secret_is_written_over_read_by_name_and_deleted(world: &World) {
    let (tenant, foreign) = (world.tenant(), world.tenant());
    let put = |tenant, name: &str, version, sealed: u8| {
        let (created, updated) = (world.now(), world.now());
        let row = StepSecretRow { tenant, name: name.to_owned(), version, created, updated };
        StepSecretWrite::Put { row, sealed: vec![sealed] }
    };
    let step_secrets =
        vec![put(tenant, "A", 1, 1), put(tenant, "B", 1, 2), put(foreign, "A", 1, 3), put(tenant, "A", 2, 4)];
    let write = ConfigWrite { at: world.now(), step_secrets, ..ConfigWrite::default() };
    let store = world.store();
    store.config_write(&write).await.unwrap();
    let values = async |tenant, names: &[&str]| {
        let mut values = store.step_secret_values(tenant, names).await.unwrap();
        values.sort();
        values
    };
    assert_eq!(
        values(tenant, &["A", "B", "C"]).await,
        [("A".to_owned(), vec![4]), ("B".to_owned(), vec![2])]
    );
    assert_eq!(values(foreign, &["A", "B"]).await, [("A".to_owned(), vec![3])]);
    assert_eq!(values(tenant, &[]).await, []);
    assert_eq!(store.step_secret_get(tenant, "A").await.unwrap().unwrap().version, 2);
    let step_secrets = vec![StepSecretWrite::Delete { tenant, name: "A".to_owned() }];
    store.config_write(&ConfigWrite { step_secrets, ..ConfigWrite::default() }).await.unwrap();
    assert_eq!(store.step_secrets(tenant).await.unwrap().len(), 1);
    assert_eq!(store.step_secrets(foreign).await.unwrap().len(), 1);
}
