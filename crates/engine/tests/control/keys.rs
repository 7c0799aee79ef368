use std::time::Duration;

use postrider_domain::id::{KeyId, TenantId};
use postrider_domain::problem::Code;
use postrider_domain::time::Clock;
use postrider_engine::catalogue::ApiKey;
use postrider_engine::control::{KeyCreated, NewKey, Repeatable, Role};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::support::*;

fn key(role: Role, tenant: Option<TenantId>) -> NewKey {
    NewKey { role, tenant, name: "a key".to_owned() }
}

fn found(house: &House, key: &SecretString) -> Option<std::sync::Arc<ApiKey>> {
    house.outbound.catalogue.key(&Sha256::digest(key.expose_secret()).into())
}

#[tokio::test]
async fn a_key_works_at_once_and_after_a_restart_and_is_not_on_disk() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await.id;
    let mut keys = Vec::new();
    for (role, tenant) in [
        (Role::Operator, None),
        (Role::Publisher, None),
        (Role::Publisher, Some(tenant)),
        (Role::Admin, Some(tenant)),
        (Role::Viewer, Some(tenant)),
    ] {
        let made = fresh(house.control.key_create(&OPERATOR, key(role, tenant), None).await);
        let known = found(&house, &made.key).expect("it works at once");
        assert_eq!((known.id, known.role, known.tenant), (made.id, role, tenant));
        // 24 bytes in hex: 192 bits.
        assert_eq!(made.key.expose_secret().len(), 3 + 48);
        keys.push(made);
    }
    let house = house.restarted().await;
    for made in &keys {
        let known = found(&house, &made.key).expect("it works after a restart");
        assert_eq!((known.id, known.role, known.tenant), (made.id, made.role, made.tenant));
        assert!(!house.is_on_disk(made.key.expose_secret()));
    }
    let listed = house.control.keys(Some(tenant), None, 10).await.expect("keys");
    assert_eq!(listed.len(), 3);
}

#[tokio::test]
async fn bad_keys_are_refused_and_change_nothing() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await.id;
    let named = |name: &str| NewKey { name: name.to_owned(), ..key(Role::Publisher, None) };
    for (new, code, field) in [
        (key(Role::Admin, None), Code::MissingField, Some("tenant")),
        (key(Role::Viewer, None), Code::MissingField, Some("tenant")),
        (key(Role::Operator, Some(tenant)), Code::InvalidField, Some("tenant")),
        (key(Role::Admin, Some(TenantId::from_bytes([9; 16]))), Code::NotFound, None),
        (named(""), Code::InvalidField, Some("name")),
        (named("POSTRIDER_OPERATOR_KEY"), Code::InvalidField, Some("name")),
    ] {
        refuses(&house, code, field, house.control.key_create(&OPERATOR, new, None)).await;
    }
    for role in [Role::Admin, Role::Viewer, Role::Publisher] {
        let actor = of(tenant, role);
        let asked = house.control.key_create(&actor, key(Role::Viewer, Some(tenant)), None);
        refuses(&house, Code::Forbidden, None, asked).await;
    }
}

#[tokio::test]
async fn a_revoked_key_ends_at_once_and_for_good() {
    let house = House::new().await;
    let made = fresh(house.control.key_create(&OPERATOR, key(Role::Publisher, None), None).await);
    house.control.key_revoke(&OPERATOR, made.id).await.expect("a revocation");
    assert!(found(&house, &made.key).is_none());
    house.control.key_revoke(&OPERATOR, made.id).await.expect("a second time changes nothing");
    let house = house.restarted().await;
    assert!(found(&house, &made.key).is_none());
    let listed = house.control.keys(None, None, 10).await.expect("keys");
    assert!(listed[0].revoked.is_some());
    let unknown = house.control.key_revoke(&OPERATOR, KeyId::from_bytes([9; 16]));
    refuses(&house, Code::NotFound, None, unknown).await;
    let actions: Vec<String> = house.audit().await.into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions.iter().filter(|action| *action == "key.revoked").count(), 1);
}

#[tokio::test]
async fn a_repeated_creation_makes_one_key_and_keeps_no_secret() {
    let house = House::new().await;
    let answer = |made: &KeyCreated| format!("{}", made.id).into_bytes();
    let again = || Some(Repeatable { idem: idem("k", 1), answer: &answer });
    let made = fresh(house.control.key_create(&OPERATOR, key(Role::Publisher, None), again()).await);
    let repeated = replayed(house.control.key_create(&OPERATOR, key(Role::Publisher, None), again()).await);
    assert_eq!(repeated, made.id.to_string().into_bytes());
    assert_eq!(house.store.keys_any_tenant().await.expect("keys").len(), 1);
}

#[tokio::test]
async fn the_first_start_makes_an_operators_key_and_the_second_does_not() {
    let house = House::new().await;
    let made = house.control.ensure_operator_key(None).await.expect("a key").expect("there was none");
    assert_eq!(found(&house, &made).expect("it works").role, Role::Operator);
    assert!(house.control.ensure_operator_key(None).await.expect("fine").is_none());
    let house = house.restarted().await;
    assert!(house.control.ensure_operator_key(None).await.expect("fine").is_none());
    assert!(found(&house, &made).is_some());
}

#[tokio::test]
async fn a_given_operators_key_must_be_strong_and_replaces_the_one_given_before() {
    let house = House::new().await;
    for weak in ["", "short", "0123456789012345678901234567890", "with spaces in it, but long enough ok"] {
        let asked = house.control.ensure_operator_key(Some(weak.into()));
        refuses(&house, Code::KeyTooWeak, Some("POSTRIDER_OPERATOR_KEY"), asked).await;
    }
    let first: SecretString = "0123456789abcdef0123456789abcdef".into();
    let second: SecretString = "fedcba9876543210fedcba9876543210".into();
    assert!(house.control.ensure_operator_key(Some(first.clone())).await.expect("a key").is_none());
    let state = house.state().await;
    house.control.ensure_operator_key(Some(first.clone())).await.expect("the same again");
    assert_eq!(house.state().await, state);
    assert_eq!(found(&house, &first).expect("it works").role, Role::Operator);
    house.control.ensure_operator_key(Some(second.clone())).await.expect("another one");
    assert!(found(&house, &first).is_none() && found(&house, &second).is_some());
    refuses(&house, Code::KeyInvalid, None, house.control.ensure_operator_key(Some(first))).await;
}

#[tokio::test]
async fn a_keys_use_is_written_at_most_once_a_minute() {
    let house = House::new().await;
    let made = fresh(house.control.key_create(&OPERATOR, key(Role::Publisher, None), None).await);
    let last_used = async || house.control.keys(None, None, 1).await.expect("keys")[0].last_used;
    let first = Clock::now(&*house.clock);
    house.control.key_used(made.id);
    assert_eq!(last_used().await, None);
    house.control.key_uses_write().await.expect("a write");
    assert_eq!(last_used().await, Some(first));
    house.clock.advance(Duration::from_secs(59));
    house.control.key_used(made.id);
    house.control.key_uses_write().await.expect("a write");
    assert_eq!(last_used().await, Some(first));
    house.clock.advance(Duration::from_secs(1));
    house.control.key_used(made.id);
    house.control.key_uses_write().await.expect("a write");
    assert_eq!(last_used().await, Some(first.plus(Duration::from_secs(60))));
}

#[tokio::test]
async fn the_uses_of_keys_are_written_together_after_a_minute() {
    let house = House::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(fresh(house.control.key_create(&OPERATOR, key(Role::Publisher, None), None).await).id);
    }
    let running = tokio::spawn(house.control.clone().run_jobs());
    let start = Clock::now(&*house.clock);
    house.control.key_used(ids[0]);
    // It sleeps until the uses are due: nothing is written before.
    assert_eq!(house.clock.sleeper().await, start.plus(Duration::from_secs(60)));
    house.clock.advance(Duration::from_secs(30));
    house.control.key_used(ids[1]);
    house.control.key_used(ids[2]);
    let used = async || {
        let listed = house.control.keys(None, None, 10).await.expect("keys");
        listed.iter().filter(|key| key.last_used.is_some()).count()
    };
    assert_eq!(used().await, 0);
    house.clock.advance(Duration::from_secs(30));
    while used().await == 0 {
        postrider_testkit::clock::turn().await;
    }
    assert_eq!(used().await, 3);
    running.abort();
    assert!(running.await.is_err_and(|ended| ended.is_cancelled()));
}
