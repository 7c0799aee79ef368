use std::sync::Arc;
use std::time::Duration;

use postrider_domain::id::SessionId;
use postrider_domain::limits;
use postrider_domain::problem::Code;
use postrider_domain::time::Clock;
use postrider_engine::catalogue::{ApiKey, Tenant};
use postrider_engine::control::{
    Actor, Look, NewKey, NewPortalSession, PortalSessionCreated, Repeatable, Role, Session, SessionKind, Who,
};
use postrider_store::config::{ConfigWrite, SESSION_PORTAL, SESSION_SIGNED_IN, SessionRow, SessionWrite};
use secrecy::{ExposeSecret, SecretString};

use crate::support::*;

async fn api_key(house: &House, role: Role, tenant: Option<&Tenant>) -> Arc<ApiKey> {
    let new = NewKey { role, tenant: tenant.map(|tenant| tenant.id), name: "a key".to_owned() };
    let made = fresh(house.control.key_create(&OPERATOR, new, None).await);
    let hash = postrider_domain::signature::sha256(made.key.expose_secret().as_bytes());
    house.outbound.catalogue.key(&hash).expect("a new key works")
}

fn portal(role: Role) -> NewPortalSession {
    NewPortalSession { role, look: Look::default(), lifetime: None }
}

async fn open(house: &House, tenant: &Arc<Tenant>, role: Role) -> (SecretString, Session) {
    let made = fresh(house.control.portal_session_create(&OPERATOR, tenant, portal(role), None).await);
    let session = find(house, &made.token).await.expect("a new session is good");
    (made.token, session)
}

async fn find(house: &House, token: &SecretString) -> Option<Session> {
    house.control.session_find(token.expose_secret()).await.expect("the store answers")
}

#[tokio::test]
async fn who_signs_in_acts_with_the_rights_of_the_key_until_it_is_revoked() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await;
    for (role, of) in [(Role::Operator, None), (Role::Admin, Some(&*tenant)), (Role::Viewer, Some(&*tenant))]
    {
        let key = api_key(&house, role, of).await;
        let (token, session) = house.control.session_sign_in(&key).await.expect("it signs in");
        assert_eq!(find(&house, &token).await.as_ref(), Some(&session));
        assert_eq!((session.kind, session.role, session.tenant), (SessionKind::SignedIn, role, key.tenant));
        assert_eq!(session.expires, house.clock.now().plus(limits::SESSION_LIFETIME));
        let actor = session.actor();
        assert_eq!((actor.role, actor.who, actor.tenant), (role, Who::Session(session.id), key.tenant));
        assert_eq!(actor.name(), session.id.to_string());
        let entry = house.audit().await.remove(0);
        assert_eq!((entry.action.as_str(), entry.actor), ("session.signed_in", key.id.to_string()));
        assert_eq!((entry.target, entry.tenant.is_some()), (session.id.to_string(), of.is_some()));
        assert!(!house.is_on_disk(token.expose_secret()));
        house.control.key_revoke(&OPERATOR, key.id).await.expect("a revocation");
        assert_eq!(find(&house, &token).await, None);
    }
    let publisher = api_key(&house, Role::Publisher, None).await;
    refuses(&house, Code::Forbidden, None, house.control.session_sign_in(&publisher)).await;
}

#[tokio::test]
async fn a_session_ends_when_it_is_signed_out_of_or_has_expired() {
    let house = House::new().await;
    let key = api_key(&house, Role::Operator, None).await;
    let (token, session) = house.control.session_sign_in(&key).await.expect("it signs in");
    let (other, _) = house.control.session_sign_in(&key).await.expect("it signs in");
    house.control.session_end(&session).await.expect("it signs out");
    assert_eq!(find(&house, &token).await, None);
    assert_eq!(house.audit().await[0].action, "session.signed_out");
    assert!(find(&house, &other).await.is_some());
    let house = house.restarted().await;
    assert!(find(&house, &other).await.is_some(), "a restart signs nobody out");
    house.clock.advance(limits::SESSION_LIFETIME);
    assert_eq!(find(&house, &other).await, None);
    for text in ["", "prs_", "pr_0123", "prs_ä", &"x".repeat(1000)] {
        assert_eq!(house.control.session_find(text).await.expect("an answer"), None);
    }
}

#[tokio::test]
async fn a_link_signs_an_operator_in_once_and_for_a_quarter_of_an_hour() {
    let house = House::new().await;
    let link = house.control.operator_link().await.expect("a link");
    let late = house.control.operator_link().await.expect("a link");
    let use_up = async |link: &SecretString| {
        house.control.session_from_link(link.expose_secret()).await.expect("the store answers")
    };
    assert_eq!(find(&house, &link).await, None, "a link is no session");
    let (first, second) = tokio::join!(use_up(&link), use_up(&link));
    assert_ne!(first.is_some(), second.is_some());
    let (token, session) = first.or(second).expect("one of the two is in");
    assert_eq!((session.role, session.tenant), (Role::Operator, None));
    assert_eq!(find(&house, &token).await, Some(session));
    assert_eq!(house.audit().await[0].actor, "postrider");
    // A session's token is no link.
    assert!(use_up(&token).await.is_none());
    house.clock.advance(limits::OPERATOR_LINK_LIFETIME);
    assert!(use_up(&late).await.is_none());
    assert!(!house.is_on_disk(link.expose_secret()));
}

#[tokio::test]
async fn the_product_opens_the_portal_and_closes_it() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await;
    let other = house.create_tenant("other", "standard").await;
    let look = Look { accent: Some("#0A7F5A".to_owned()), ..Look::default() };
    let new = NewPortalSession { look, lifetime: Some(Duration::from_secs(60)), ..portal(Role::Viewer) };
    let made = fresh(house.control.portal_session_create(&OPERATOR, &tenant, new, None).await);
    let session = find(&house, &made.token).await.expect("it is good");
    assert_eq!(
        (session.kind, session.role, session.tenant),
        (SessionKind::Portal, Role::Viewer, Some(tenant.id))
    );
    assert_eq!(session.look.accent.as_deref(), Some("#0a7f5a"));
    let entry = house.audit().await.remove(0);
    assert_eq!((entry.action.as_str(), entry.tenant.as_deref()), ("portal_session.created", Some("acme")));
    assert!(!house.is_on_disk(made.token.expose_secret()));

    let listed = house.control.portal_sessions(tenant.id, None, 10).await.expect("a list");
    assert_eq!(listed, std::slice::from_ref(&made.session));
    assert!(house.control.portal_sessions(other.id, None, 10).await.expect("a list").is_empty());
    let control = &house.control;
    let foreign = control.portal_session_revoke(&OPERATOR, &other, session.id);
    refuses(&house, Code::NotFound, None, foreign).await;
    let signed_in = api_key(&house, Role::Admin, Some(&tenant)).await;
    let (_, signed_in) = control.session_sign_in(&signed_in).await.expect("it signs in");
    let no_portal = control.portal_session_revoke(&OPERATOR, &tenant, signed_in.id);
    refuses(&house, Code::NotFound, None, no_portal).await;
    control.portal_session_revoke(&of(tenant.id, Role::Admin), &tenant, session.id).await.expect("it ends");
    assert_eq!(find(&house, &made.token).await, None);
    assert_eq!(house.audit().await[0].action, "portal_session.revoked");
    let entries = house.audit().await.len();
    control.portal_session_revoke(&OPERATOR, &tenant, session.id).await.expect("again changes nothing");
    assert_eq!(house.audit().await.len(), entries);
    let listed = control.portal_sessions(tenant.id, None, 10).await.expect("a list");
    assert_eq!(listed[0].ended, Some(house.clock.now()));
}

#[tokio::test]
async fn a_portal_session_ends_with_the_key_behind_it_and_with_its_tenant() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await;
    let key = api_key(&house, Role::Admin, Some(&tenant)).await;
    let (_, signed_in) = house.control.session_sign_in(&key).await.expect("it signs in");
    let by_key = Actor { role: Role::Admin, who: Who::Key(key.id), tenant: Some(tenant.id) };
    let mut tokens = Vec::new();
    for actor in [by_key, signed_in.actor()] {
        let made = house.control.portal_session_create(&actor, &tenant, portal(Role::Admin), None).await;
        tokens.push(fresh(made).token);
    }
    let (stays, _) = open(&house, &tenant, Role::Admin).await;
    house.control.key_revoke(&OPERATOR, key.id).await.expect("a revocation");
    for token in &tokens {
        assert_eq!(find(&house, token).await, None);
    }
    assert!(find(&house, &stays).await.is_some());
    house.control.tenant_delete(&OPERATOR, tenant.id).await.expect("it is deleted");
    assert_eq!(find(&house, &stays).await, None);
    while house.control.jobs_step().await.expect("a step") {}
    assert!(house.control.portal_sessions(tenant.id, None, 10).await.expect("a list").is_empty());
}

#[tokio::test]
async fn who_may_not_open_the_portal_is_refused() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await;
    let other = house.create_tenant("other", "standard").await;
    let (_, inside) = open(&house, &tenant, Role::Admin).await;
    let create = |actor, new| {
        let (control, tenant) = (house.control.clone(), tenant.clone());
        async move { control.portal_session_create(&actor, &tenant, new, None).await }
    };
    for (actor, code) in [
        (of(tenant.id, Role::Viewer), Code::Forbidden),
        (of(tenant.id, Role::Publisher), Code::Forbidden),
        (of(other.id, Role::Admin), Code::NotFound),
        (inside.actor(), Code::Forbidden),
    ] {
        refuses(&house, code, None, create(actor, portal(Role::Viewer))).await;
    }
    let lasting =
        |seconds| NewPortalSession { lifetime: Some(Duration::from_secs(seconds)), ..portal(Role::Viewer) };
    let look = Look { language: Some("fr".to_owned()), ..Look::default() };
    for (new, field) in [
        (portal(Role::Operator), "role"),
        (portal(Role::Publisher), "role"),
        (lasting(59), "expiresInSeconds"),
        (lasting(24 * 3600 + 1), "expiresInSeconds"),
        (lasting(u64::MAX), "expiresInSeconds"),
        (NewPortalSession { look, ..portal(Role::Viewer) }, "language"),
    ] {
        refuses(&house, Code::InvalidField, Some(field), create(OPERATOR, new)).await;
    }
    let viewer = of(tenant.id, Role::Viewer);
    let revoke = house.control.portal_session_revoke(&viewer, &tenant, inside.id);
    refuses(&house, Code::Forbidden, None, revoke).await;
}

#[tokio::test]
async fn the_same_request_again_opens_nothing_new() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await;
    let answer = |made: &PortalSessionCreated| made.session.id.to_string().into_bytes();
    let again = || Some(Repeatable { idem: idem("k", 1), answer: &answer });
    let create = || house.control.portal_session_create(&OPERATOR, &tenant, portal(Role::Admin), again());
    let first = fresh(create().await);
    assert_eq!(replayed(create().await), first.session.id.to_string().into_bytes());
    assert_eq!(house.control.portal_sessions(tenant.id, None, 10).await.expect("a list").len(), 1);
}

#[tokio::test]
async fn open_sessions_have_a_bound_and_none_is_ended_for_another() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await;
    let key = api_key(&house, Role::Admin, Some(&tenant)).await;
    let now = house.clock.now();
    let row = |kind, n: usize| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        bytes[15] = kind as u8;
        let mut token_hash = [0; 32];
        token_hash[..16].copy_from_slice(&bytes);
        SessionWrite::Insert(SessionRow {
            id: SessionId::from_bytes(bytes),
            token_hash,
            kind,
            role: 2,
            tenant: Some(tenant.id),
            key: Some(key.id),
            portal: "{}".to_owned(),
            created: now,
            expires: now.plus(Duration::from_secs(60)),
            ended: None,
        })
    };
    let most = limits::PORTAL_SESSIONS_PER_TENANT_MAX;
    let portals = (0..most).map(|n| row(SESSION_PORTAL, n));
    let sessions =
        portals.chain((0..limits::SESSIONS_PER_KEY_MAX).map(|n| row(SESSION_SIGNED_IN, n))).collect();
    let full = ConfigWrite { at: now, sessions, ..ConfigWrite::default() };
    house.store.config_write(&full).await.expect("they are written");
    let create = || house.control.portal_session_create(&OPERATOR, &tenant, portal(Role::Admin), None);
    refuses(&house, Code::SessionLimit, None, create()).await;
    refuses(&house, Code::SessionLimit, None, house.control.session_sign_in(&key)).await;
    let newest = house.control.portal_sessions(tenant.id, None, 1).await.expect("a list").remove(0);
    house.control.portal_session_revoke(&OPERATOR, &tenant, newest.id).await.expect("it ends");
    fresh(create().await);
    refuses(&house, Code::SessionLimit, None, create()).await;
    house.clock.advance(Duration::from_secs(60));
    fresh(create().await);
    house.control.session_sign_in(&key).await.expect("the others have expired");
}
