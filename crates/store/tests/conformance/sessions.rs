use std::time::Duration;

use postrider_domain::id::{KeyId, SessionId, TenantId};
use postrider_domain::limits;
use postrider_store::config::{
    ConfigOutcome, ConfigWrite, KeyRow, Over, SESSION_LINK, SESSION_PORTAL, SESSION_SIGNED_IN, SessionRow,
    SessionWrite, TenantRow, TenantWrite,
};

use crate::world::World;

const HOUR: Duration = Duration::from_secs(3600);

fn row(world: &World, kind: i64) -> SessionRow {
    let id = SessionId::new(world.now(), &*world.random);
    let mut token_hash = [3; 32];
    token_hash[..16].copy_from_slice(id.as_bytes());
    SessionRow {
        id,
        token_hash,
        kind,
        role: 2,
        tenant: None,
        key: None,
        portal: r#"{"name":"Müller"}"#.to_owned(),
        created: world.now(),
        expires: world.now().plus(HOUR),
        ended: None,
    }
}

async fn write(world: &World, change: SessionWrite) -> ConfigOutcome {
    let write = ConfigWrite { at: world.now(), sessions: vec![change], ..ConfigWrite::default() };
    world.store().config_write(&write).await.unwrap()
}

async fn insert(world: &World, row: &SessionRow) {
    assert_eq!(write(world, SessionWrite::Insert(row.clone())).await, ConfigOutcome::Done);
}

async fn found(world: &World, row: &SessionRow) -> Option<SessionRow> {
    world.store().session_by_token_any_tenant(&row.token_hash, world.now()).await.unwrap()
}

async fn put_key(world: &World, id: KeyId, revoked: bool) {
    let key = KeyRow {
        id,
        hash: [9; 32],
        role: 2,
        tenant: None,
        name: "k".to_owned(),
        created: world.now(),
        last_used: None,
        revoked: revoked.then(|| world.now()),
    };
    let write = ConfigWrite { at: world.now(), keys: vec![key], ..ConfigWrite::default() };
    assert_eq!(world.store().config_write(&write).await.unwrap(), ConfigOutcome::Done);
}

async fn put_tenant(world: &World, id: TenantId, over: Over, deleted: bool) {
    let version = if over == Over::Nothing { 1 } else { 2 };
    let row = TenantRow {
        id,
        public_id: "acme".to_owned(),
        name: "Acme".to_owned(),
        profile: "standard".to_owned(),
        profile_version: "1".to_owned(),
        plan: None,
        timezone: "UTC".to_owned(),
        attributes: "{}".to_owned(),
        settings: "{}".to_owned(),
        version,
        pinned_since: 1,
        created: world.now(),
        updated: world.now(),
        deleted: deleted.then(|| world.now()),
    };
    let tenant = TenantWrite { row, over, pins: over == Over::Nothing, unless_history: false };
    let write = ConfigWrite { at: world.now(), tenant: Some(tenant), ..ConfigWrite::default() };
    assert_eq!(world.store().config_write(&write).await.unwrap(), ConfigOutcome::Done);
}

pub(crate) async fn a_session_is_found_until_it_ends_or_expires(world: &World) {
    let (ends, expires) = (row(world, SESSION_SIGNED_IN), row(world, SESSION_SIGNED_IN));
    insert(world, &ends).await;
    insert(world, &expires).await;
    assert_eq!(found(world, &ends).await.as_ref(), Some(&ends));
    let other = SessionRow { token_hash: [0; 32], ..ends.clone() };
    assert_eq!(found(world, &other).await, None);
    let at = world.pass(Duration::from_secs(1));
    write(world, SessionWrite::End { id: ends.id }).await;
    assert_eq!(found(world, &ends).await, None);
    // A second end changes nothing.
    world.pass(Duration::from_secs(1));
    write(world, SessionWrite::End { id: ends.id }).await;
    let kept = world.store().session_get_any_tenant(ends.id).await.unwrap().unwrap();
    assert_eq!(kept.ended, Some(at));
    assert!(found(world, &expires).await.is_some());
    world.pass(HOUR - Duration::from_secs(2));
    assert_eq!(found(world, &expires).await, None);
}

pub(crate) async fn a_session_ends_with_its_key_and_with_its_tenant(world: &World) {
    let key = KeyId::new(world.now(), &*world.random);
    let with_key = SessionRow { key: Some(key), ..row(world, SESSION_SIGNED_IN) };
    insert(world, &with_key).await;
    assert_eq!(found(world, &with_key).await, None, "there is no such key");
    put_key(world, key, false).await;
    assert!(found(world, &with_key).await.is_some());
    put_key(world, key, true).await;
    assert_eq!(found(world, &with_key).await, None);

    let tenant = world.tenant();
    let of_tenant = SessionRow { tenant: Some(tenant), ..row(world, SESSION_PORTAL) };
    insert(world, &of_tenant).await;
    assert_eq!(found(world, &of_tenant).await, None, "there is no such tenant");
    put_tenant(world, tenant, Over::Nothing, false).await;
    assert!(found(world, &of_tenant).await.is_some());
    put_tenant(world, tenant, Over::Version(1), true).await;
    assert_eq!(found(world, &of_tenant).await, None);
    let store = world.store();
    let known = store.portal_session_by_token_any_tenant(&of_tenant.token_hash).await.unwrap();
    assert_eq!(known.as_ref(), Some(&of_tenant), "what it showed is known until it is forgotten");
    assert_eq!(store.portal_session_by_token_any_tenant(&with_key.token_hash).await.unwrap(), None);
}

pub(crate) async fn a_link_is_used_by_one_of_many(world: &World) {
    let link = row(world, SESSION_LINK);
    insert(world, &link).await;
    let mut wishes = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, session) = (world.store(), row(world, SESSION_SIGNED_IN));
        let write = ConfigWrite {
            at: world.now(),
            sessions: vec![
                SessionWrite::UseLink { token_hash: link.token_hash },
                SessionWrite::Insert(session.clone()),
            ],
            ..ConfigWrite::default()
        };
        wishes.spawn(async move { (store.config_write(&write).await.unwrap(), session) });
    }
    let mut sessions = 0;
    for (outcome, session) in wishes.join_all().await {
        // Who does not get the link leaves nothing.
        assert_eq!(found(world, &session).await.is_some(), outcome == ConfigOutcome::Done);
        sessions += usize::from(outcome == ConfigOutcome::Done);
    }
    assert_eq!(sessions, 1);
    assert_eq!(found(world, &link).await, None);
    // Neither a session nor a link that has expired can be used as one.
    let (session, late) = (row(world, SESSION_SIGNED_IN), row(world, SESSION_LINK));
    insert(world, &session).await;
    insert(world, &late).await;
    let link = |row: &SessionRow| SessionWrite::UseLink { token_hash: row.token_hash };
    assert_eq!(write(world, link(&session)).await, ConfigOutcome::Stale);
    world.pass(HOUR);
    assert_eq!(write(world, link(&late)).await, ConfigOutcome::Stale);
}

pub(crate) async fn portal_sessions_are_listed_newest_first_and_belong_to_their_tenant(world: &World) {
    let (tenant, foreign) = (world.tenant(), world.tenant());
    let mut made = Vec::new();
    for (kind, tenant) in [
        (SESSION_PORTAL, tenant),
        (SESSION_SIGNED_IN, tenant),
        (SESSION_PORTAL, foreign),
        (SESSION_PORTAL, tenant),
        (SESSION_PORTAL, tenant),
    ] {
        world.pass(Duration::from_millis(1));
        let row = SessionRow { tenant: Some(tenant), ..row(world, kind) };
        insert(world, &row).await;
        made.push(row.id);
    }
    write(world, SessionWrite::End { id: made[3] }).await;
    let page = async |before, limit| {
        let rows = world.store().portal_session_list(tenant, before, limit).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 10).await, [made[4], made[3], made[0]]);
    assert_eq!(page(None, 2).await, [made[4], made[3]]);
    assert_eq!(page(Some(made[3]), 2).await, [made[0]]);
}

pub(crate) async fn open_sessions_are_counted_by_tenant_and_by_key(world: &World) {
    let (tenant, key) = (world.tenant(), KeyId::new(world.now(), &*world.random));
    let of = |kind| SessionRow { tenant: Some(tenant), key: Some(key), ..row(world, kind) };
    let (portal, signed_in, ended) = (of(SESSION_PORTAL), of(SESSION_SIGNED_IN), of(SESSION_PORTAL));
    let short = SessionRow { expires: world.now().plus(Duration::from_secs(60)), ..of(SESSION_PORTAL) };
    for row in [&portal, &signed_in, &ended, &short] {
        insert(world, row).await;
    }
    write(world, SessionWrite::End { id: ended.id }).await;
    let counts = async || {
        let (store, now) = (world.store(), world.now());
        let of_tenant = store.portal_session_count(tenant, now).await.unwrap();
        (of_tenant, store.session_count_of_key_any_tenant(key, now).await.unwrap())
    };
    assert_eq!(counts().await, (2, 1));
    world.pass(Duration::from_secs(60));
    assert_eq!(counts().await, (1, 1));
}

pub(crate) async fn what_expired_long_ago_goes(world: &World) {
    let many = limits::RETENTION_BATCH_ROWS + 1;
    let sessions = (0..many).map(|_| SessionWrite::Insert(row(world, SESSION_PORTAL))).collect();
    let all = ConfigWrite { at: world.now(), sessions, ..ConfigWrite::default() };
    world.store().config_write(&all).await.unwrap();
    let stays = SessionRow { expires: world.now().plus(HOUR * 2), ..row(world, SESSION_PORTAL) };
    insert(world, &stays).await;
    let before = world.now().plus(HOUR);
    assert_eq!(world.store().sessions_sweep(world.now()).await.unwrap(), 0);
    assert_eq!(world.store().sessions_sweep(before).await.unwrap(), limits::RETENTION_BATCH_ROWS as u64);
    assert_eq!(world.store().sessions_sweep(before).await.unwrap(), 1);
    assert_eq!(world.store().sessions_sweep(before).await.unwrap(), 0);
    assert_eq!(found(world, &stays).await, Some(stays));
}
