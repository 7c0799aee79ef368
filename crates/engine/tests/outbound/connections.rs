//! OAuth 2 connections against a provider that gives each refresh token once, as strict ones do: a second use of one ends all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_domain::connection::{ConnectionState, Grant};
use postrider_domain::id::TenantId;
use postrider_domain::limits;
use postrider_domain::problem::Code;
use postrider_domain::signature;
use postrider_domain::time::Clock;
use postrider_engine::EngineError;
use postrider_engine::catalogue::Tenant;
use postrider_engine::connections::{
    Callback, CallbackOutcome, ClientAuth, Connection, ConnectionPatch, Retry,
};
use postrider_engine::control::{Actor, Created, NewConnection, Role, Who};
use postrider_testkit::receiver::{Answer, Gate, Received, Receiver};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::house::House;

const SECRET: &str = "client-secret-hush-4711";
const REDIRECT: &str = "https://postrider.test/v1/connections/callback";
const HOUR: Duration = Duration::from_secs(3600);

/// Its tokens are `access-N-hush` and `refresh-N-hush`.
struct Provider {
    receiver: Receiver,
    rules: Arc<Mutex<Rules>>,
}

struct Rules {
    given: u32,
    /// The one refresh token that is good.
    refresh: Option<String>,
    /// What else stands in an answer.
    more: Value,
    /// Whether an answer holds a new refresh token.
    rotates: bool,
    gate: Option<Gate>,
}

impl Provider {
    async fn start() -> Self {
        let receiver = Receiver::start().await;
        let more = json!({"token_type": "Bearer", "expires_in": 3600});
        let rules = Rules { given: 0, refresh: None, more, rotates: true, gate: None };
        let rules = Arc::new(Mutex::new(rules));
        let shared = rules.clone();
        receiver.answer_with(move |received| shared.lock().expect("no test panics in here").answer(received));
        Self { receiver, rules }
    }

    fn set(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().expect("no test panics in here"));
    }

    /// How often tokens were asked for.
    fn asked(&self) -> usize {
        self.receiver.received().iter().filter(|received| received.path == "/token").count()
    }

    fn last(&self) -> HashMap<String, String> {
        form(self.receiver.received().last().expect("a request came"))
    }
}

impl Rules {
    fn answer(&mut self, received: &Received) -> Answer {
        if received.path == "/revoke" {
            return Answer::ok();
        }
        let form = form(received);
        let refused = || {
            Answer::status(400).body(r#"{"error":"invalid_grant","error_description":"Used or revoked."}"#)
        };
        let is_client = form.get("grant_type").map(String::as_str) == Some("client_credentials");
        let given = form.get("refresh_token");
        if given.is_some() && self.refresh.as_ref() != given {
            self.refresh = None;
            return refused();
        }
        self.given += 1;
        let mut body = self.more.clone();
        body["access_token"] = format!("access-{}-hush", self.given).into();
        if !is_client && (self.rotates || self.refresh.is_none()) {
            let refresh = format!("refresh-{}-hush", self.given);
            body["refresh_token"] = refresh.clone().into();
            self.refresh = Some(refresh);
        }
        let answer = Answer::ok().header("Content-Type", "application/json").body(body.to_string());
        match &self.gate {
            Some(gate) => answer.behind(gate),
            None => answer,
        }
    }
}

fn form(received: &Received) -> HashMap<String, String> {
    form_urlencoded::parse(&received.body).into_owned().collect()
}

fn query(url: &str) -> HashMap<String, String> {
    let (_, query) = url.split_once('?').expect("a link has a query");
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn new(provider: &Provider, grant: Grant) -> NewConnection {
    NewConnection {
        name: "crm".to_owned(),
        provider: None,
        grant,
        client_id: "the client".to_owned(),
        client_secret: Some(SECRET.into()),
        scopes: vec!["read".to_owned(), "write".to_owned()],
        authorization_url: Some(provider.receiver.url("/authorize?tenant=7")),
        token_url: Some(provider.receiver.url("/token")),
        revocation_url: Some(provider.receiver.url("/revoke")),
        issuer: None,
        audience: None,
        resource: None,
        auth: None,
    }
}

async fn make(house: &House, tenant: &Tenant, new: NewConnection) -> Connection {
    let created =
        house.engine.control().connection_create(&Actor::postrider(), &house.now(tenant), new, None).await;
    match created.expect("the connection is made") {
        Created::Fresh(made) => made,
        Created::Replayed(_) => panic!("no idempotency key was given"),
    }
}

/// The `state` of a new link.
async fn link(house: &House, tenant: &Tenant) -> HashMap<String, String> {
    let connections = house.engine.connections();
    let link = connections.authorize(&Actor::postrider(), tenant, "crm", REDIRECT.to_owned()).await;
    query(&link.expect("a link").url)
}

async fn come_back(house: &House, callback: Callback) -> CallbackOutcome {
    house.engine.connections().complete(callback).await.expect("an outcome")
}

fn with_code(state: &str) -> Callback {
    Callback { state: state.to_owned(), code: Some("code-hush".to_owned()), ..Callback::default() }
}

/// A connection that somebody has authorized: one request was made, and `access-1-hush` is good for an hour.
async fn authorized(house: &House, tenant: &Tenant, provider: &Provider) {
    make(house, tenant, new(provider, Grant::AuthorizationCode)).await;
    let state = link(house, tenant).await["state"].clone();
    let outcome = come_back(house, with_code(&state)).await;
    assert_eq!(outcome, CallbackOutcome::Connected { name: "crm".to_owned() });
    assert_eq!(provider.asked(), 1);
}

async fn token(house: &House, tenant: TenantId) -> Result<String, (String, Retry)> {
    match house.engine.connections().access_token(tenant, "crm").await {
        Ok(token) => Ok(token.expose_secret().to_owned()),
        Err(error) => Err((error.detail, error.retry)),
    }
}

async fn shown(house: &House, tenant: &Tenant) -> Connection {
    house.engine.connections().get(tenant.id, "crm").await.expect("the connection is there")
}

/// Waits until `holds` is true of the connection, for what stations do by themselves.
async fn until(house: &House, tenant: &Tenant, holds: impl Fn(&Connection) -> bool) -> Connection {
    let patience = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let connection = shown(house, tenant).await;
        if holds(&connection) {
            return connection;
        }
        assert!(tokio::time::Instant::now() < patience, "waited in vain: {connection:?}");
        postrider_testkit::clock::turn().await;
    }
}

#[tokio::test]
async fn a_person_authorizes_once_and_steps_get_tokens() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    let made = make(&house, &tenant, new(&provider, Grant::AuthorizationCode)).await;
    assert_eq!((made.state, made.client_secret_set, made.expires), (ConnectionState::Pending, true, None));
    let (why, retry) = token(&house, tenant.id).await.expect_err("nobody authorized it");
    assert_eq!(retry, Retry::No);
    assert!(why.contains("POST /v1/connections/crm/authorize"), "{why}");

    let sent = link(&house, &tenant).await;
    for (name, value) in [
        ("tenant", "7"),
        ("response_type", "code"),
        ("client_id", "the client"),
        ("redirect_uri", REDIRECT),
        ("scope", "read write"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(sent[name], value, "{name}");
    }
    assert!(sent["state"].len() >= 43, "256 random bits");
    assert_eq!(
        come_back(&house, with_code(&sent["state"])).await,
        CallbackOutcome::Connected { name: "crm".into() }
    );

    let received = &provider.receiver.received()[0];
    let basic = received.header("authorization").expect("the client says who it is");
    assert!(basic.starts_with("Basic "));
    assert_eq!(received.header("accept"), Some("application/json"));
    let asked = form(received);
    let verifier = &asked["code_verifier"];
    let challenge = base64_url(&signature::sha256(verifier.as_bytes()));
    assert_eq!(sent["code_challenge"], challenge);
    for (name, value) in
        [("grant_type", "authorization_code"), ("code", "code-hush"), ("redirect_uri", REDIRECT)]
    {
        assert_eq!(asked[name], value, "{name}");
    }
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-1-hush"));
    let connection = shown(&house, &tenant).await;
    assert_eq!(connection.state, ConnectionState::Active);
    assert_eq!(connection.expires, Some(house.clock.now().plus(HOUR)));
    assert!(!format!("{connection:?}").contains("hush"));
    let by_id = house.engine.connections().access_token(tenant.id, &connection.id.to_string()).await;
    assert_eq!(by_id.expect("by its id as well").expose_secret(), "access-1-hush");
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn a_token_is_renewed_on_use_when_a_tenth_of_its_life_is_left() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    house.clock.advance(HOUR - Duration::from_secs(361));
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-1-hush"));
    assert_eq!(provider.asked(), 1);
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-2-hush"));
    assert_eq!(provider.last()["refresh_token"], "refresh-1-hush");
    // The new refresh token is the one that is used next.
    house.clock.advance(HOUR + HOUR);
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-3-hush"));
    assert_eq!(provider.last()["refresh_token"], "refresh-2-hush");
    assert_eq!(provider.asked(), 3);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_although_nobody_uses_it() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    let first = shown(&house, &tenant).await.expires;
    house.clock.advance(HOUR - Duration::from_secs(300));
    until(&house, &tenant, |connection| connection.expires > first).await;
    assert_eq!(provider.asked(), 2);
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-2-hush"));
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let house = House::open().await;
    let provider = Provider::start().await;
    provider.set(|rules| rules.rotates = false);
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    for n in 2..5 {
        house.clock.advance(HOUR);
        assert_eq!(token(&house, tenant.id).await, Ok(format!("access-{n}-hush")));
        assert_eq!(provider.last()["refresh_token"], "refresh-1-hush");
    }
}

#[tokio::test]
async fn of_many_that_need_a_token_at_once_one_asks_for_it() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    house.clock.advance(HOUR);
    let gate = Gate::closed();
    provider.set(|rules| rules.gate = Some(gate.clone()));
    let mut steps = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let engine = house.engine.clone();
        let tenant = tenant.id;
        steps.spawn(async move { engine.connections().access_token(tenant, "crm").await });
    }
    provider.receiver.wait_for(2).await;
    gate.open();
    for result in steps.join_all().await {
        assert_eq!(result.expect("a token").expose_secret(), "access-2-hush");
    }
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn of_two_nodes_that_need_a_token_at_once_one_asks_for_it() {
    let [one, other] = House::two_nodes().await;
    let provider = Provider::start().await;
    let tenant = one.tenant("standard").await;
    authorized(&one, &tenant, &provider).await;
    for round in 2..6 {
        let gate = Gate::closed();
        provider.set(|rules| rules.gate = Some(gate.clone()));
        one.clock.advance(HOUR);
        let mut steps = tokio::task::JoinSet::new();
        for n in 0..10 {
            let engine = if n % 2 == 0 { one.engine.clone() } else { other.engine.clone() };
            let tenant = tenant.id;
            steps.spawn(async move { engine.connections().access_token(tenant, "crm").await });
        }
        provider.receiver.wait_for(round).await;
        gate.open();
        for result in steps.join_all().await {
            assert_eq!(result.expect("a token").expose_secret(), format!("access-{round}-hush"));
        }
        assert_eq!(provider.asked(), round);
    }
}

#[tokio::test]
async fn a_connection_whose_refresh_died_with_its_node_is_free_when_the_lease_ends() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    // Not to be renewed yet: nobody of this process has it.
    house.clock.advance(HOUR - Duration::from_secs(370));
    let store = house.engine.store();
    let row = store.connection_by_name(tenant.id, "crm").await.expect("a read").expect("a row");
    let now = house.clock.now();
    assert!(store.connection_lease(&row, now, now.plus(limits::CONNECTION_LEASE)).await.expect("a write"));
    assert!(!store.connection_lease(&row, now, now.plus(limits::CONNECTION_LEASE)).await.expect("a write"));
    house.clock.advance(limits::CONNECTION_LEASE - Duration::from_secs(10));
    let (engine, id) = (house.engine.clone(), tenant.id);
    let step = tokio::spawn(async move { engine.connections().access_token(id, "crm").await });
    for _ in 0..50 {
        postrider_testkit::clock::turn().await;
    }
    assert_eq!(provider.asked(), 1, "somebody else has it");
    house.clock.advance(Duration::from_secs(10));
    let token = step.await.expect("no panic").expect("a token");
    assert_eq!(token.expose_secret(), "access-2-hush");
    // Whoever had it before comes too late.
    let late = postrider_store::config::ConnectionRow { version: row.version + 2, ..row };
    assert!(!store.connection_settle(&late).await.expect("a write"));
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn a_refresh_token_that_is_refused_is_not_tried_again() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    provider.set(|rules| rules.refresh = None);
    house.clock.advance(HOUR);
    for _ in 0..10 {
        let (why, retry) = token(&house, tenant.id).await.expect_err("it was revoked");
        assert_eq!(retry, Retry::No);
        assert!(why.contains("invalid_grant: Used or revoked"), "{why}");
        assert!(why.contains("Authorize the connection again: POST /v1/connections/crm/authorize"), "{why}");
        house.clock.advance(HOUR);
    }
    assert_eq!(provider.asked(), 2);
    let connection = shown(&house, &tenant).await;
    assert_eq!((connection.state, connection.expires), (ConnectionState::Failed, None));
    let actor = Actor::postrider();
    let by_hand = house.engine.connections().refresh(&actor, &tenant, "crm").await;
    assert_eq!(problem(by_hand).0, Code::ConnectionNotAuthorized);
    // Somebody does what the sentence says.
    let state = link(&house, &tenant).await["state"].clone();
    come_back(&house, with_code(&state)).await;
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-2-hush"));
    assert_eq!(shown(&house, &tenant).await.error, None);
}

#[tokio::test]
async fn a_provider_in_trouble_is_left_alone_and_the_old_token_goes_on() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    // A tenth is left: it is to be renewed, and still good.
    house.clock.advance(HOUR - Duration::from_secs(350));
    let down = Answer::status(503).header("Retry-After", "40").body("<h1>down</h1>");
    provider.receiver.answer_next([down.clone(), down.clone(), down]);
    for _ in 0..10 {
        assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-1-hush"));
    }
    assert_eq!(provider.asked(), 2, "asked once, then left alone");
    let noted = shown(&house, &tenant).await;
    assert_eq!(noted.state, ConnectionState::Active);
    let error = noted.error.expect("it is told");
    assert!(error.contains("The provider answered 503") && error.contains("tried again in 40 s"), "{error}");
    house.clock.advance(Duration::from_secs(400));
    let (why, retry) = token(&house, tenant.id).await.expect_err("it has expired, and the provider is down");
    assert!(matches!(retry, Retry::After(wait) if wait <= limits::PROVIDER_RETRY_MAX), "{why}");
    let asked = provider.asked();
    assert!(token(&house, tenant.id).await.is_err());
    assert_eq!(provider.asked(), asked, "left alone");
    house.clock.advance(limits::PROVIDER_RETRY_MAX);
    // The third trouble may have been the station's.
    if token(&house, tenant.id).await.is_err() {
        house.clock.advance(limits::PROVIDER_RETRY_MAX);
    }
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-2-hush"));
    assert_eq!(shown(&house, &tenant).await.error, None);
}

#[tokio::test]
async fn odd_answers_are_no_tokens_and_end_no_connection() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    let elsewhere = Receiver::start().await;
    let huge =
        format!(r#"{{"access_token":"hush","pad":"{}"}}"#, "x".repeat(limits::TOKEN_RESPONSE_BYTES_MAX));
    house.clock.advance(HOUR);
    for (answer, said) in [
        (Answer::ok().body("<html>hush</html>"), "not with a JSON object"),
        (Answer::ok().body(""), "not with a JSON object"),
        (Answer::ok().body(r#"["hush"]"#), "not with a JSON object"),
        (Answer::ok().body(r#"{"access_token":7}"#), "no text"),
        (Answer::ok().body(r#"{"token_type":"Bearer"}"#), "no access_token"),
        (Answer::ok().body("{\"access_token\":\"hush\\r\\nX-Y: z\"}"), "no header can hold"),
        (Answer::ok().body(huge), "longer than 64 KiB"),
        (Answer::status(307).header("Location", &elsewhere.url("/token")), "redirects are not followed"),
        (Answer::status(404).body("{}"), "404"),
        (Answer::status(429).body(r#"{"error":"invalid_grant"}"#), "429"),
        (Answer::status(500).body(r#"{"error":"server_error","error_description":"a\u0000b"}"#), "500"),
    ] {
        house.clock.advance(limits::PROVIDER_RETRY_MAX);
        let before = provider.asked();
        provider.receiver.answer_next([answer]);
        let (why, retry) = token(&house, tenant.id).await.expect_err(said);
        assert!(matches!(retry, Retry::After(_)), "{why}");
        let noted =
            until(&house, &tenant, |now| now.error.as_ref().is_some_and(|error| error.contains(said))).await;
        assert_eq!(noted.state, ConnectionState::Active, "{said}");
        assert!(!why.contains("hush") && !format!("{noted:?}").contains("hush"), "{why}");
        assert_eq!(provider.asked(), before + 1, "{said}");
    }
    assert_eq!(elsewhere.received().len(), 0);
    house.clock.advance(limits::PROVIDER_RETRY_MAX);
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-2-hush"));
}

#[tokio::test]
async fn a_lifetime_that_makes_no_sense_counts_as_an_hour() {
    for expires_in in [json!(null), json!(-1), json!(0), json!("soon"), json!([]), json!("3600")] {
        let house = House::open().await;
        let provider = Provider::start().await;
        provider.set(|rules| rules.more = json!({"token_type": "bearer", "expires_in": expires_in}));
        let tenant = house.tenant("standard").await;
        authorized(&house, &tenant, &provider).await;
        let expires = shown(&house, &tenant).await.expires;
        assert_eq!(expires, Some(house.clock.now().plus(HOUR)), "{expires_in}");
    }
}

#[tokio::test]
async fn a_provider_that_hangs_holds_up_its_own_connection_only() {
    let house = House::open().await;
    let (hanging, provider) = (Provider::start().await, Provider::start().await);
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    let gate = Gate::closed();
    hanging.set(|rules| rules.gate = Some(gate.clone()));
    let slow = NewConnection { name: "slow".to_owned(), ..new(&hanging, Grant::ClientCredentials) };
    make(&house, &tenant, slow).await;
    let (engine, id) = (house.engine.clone(), tenant.id);
    let waiting = tokio::spawn(async move { engine.connections().access_token(id, "slow").await });
    hanging.receiver.wait_for(1).await;
    house.clock.advance(HOUR);
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-2-hush"));
    assert!(!waiting.is_finished());
    gate.open();
    waiting.await.expect("no panic").expect("a token");
}

#[tokio::test]
async fn a_client_asks_for_itself_when_a_step_first_needs_it() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    let new = NewConnection {
        audience: Some("https://api.test".to_owned()),
        auth: Some(ClientAuth::Body),
        ..new(&provider, Grant::ClientCredentials)
    };
    make(&house, &tenant, new).await;
    assert_eq!(provider.asked(), 0);
    for _ in 0..3 {
        assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-1-hush"));
    }
    assert_eq!(provider.asked(), 1);
    let asked = provider.last();
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("scope", "read write"),
        ("audience", "https://api.test"),
        ("client_id", "the client"),
        ("client_secret", SECRET),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    // Nobody asks ahead of time for a client that nothing uses.
    house.clock.advance(HOUR - Duration::from_secs(120));
    for _ in 0..50 {
        postrider_testkit::clock::turn().await;
    }
    assert_eq!(provider.asked(), 1);
    house.clock.advance(HOUR);
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-2-hush"));
    let link = house.engine.connections();
    let link = link.authorize(&Actor::postrider(), &tenant, "crm", REDIRECT.to_owned()).await;
    assert_eq!(problem(link.map(|link| link.url)).0, Code::Conflict);
}

#[tokio::test]
async fn a_client_that_is_refused_waits_for_its_new_secret() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    make(&house, &tenant, new(&provider, Grant::ClientCredentials)).await;
    let words = format!(r#"{{"error":"invalid_client","error_description":"not {SECRET}"}}"#);
    provider.receiver.answer_next([Answer::status(401).body(words)]);
    for _ in 0..5 {
        let (why, retry) = token(&house, tenant.id).await.expect_err("it is refused");
        assert_eq!(retry, Retry::No);
        assert!(why.contains("invalid_client") && why.contains("PATCH /v1/connections/crm"), "{why}");
        assert!(!why.contains("hush"), "{why}");
    }
    assert_eq!(provider.asked(), 1);
    let actor = Actor::postrider();
    let patch = ConnectionPatch { client_secret: Some(Some("another".into())), scopes: None };
    let changed = house.engine.connections().update(&actor, &tenant, "crm", patch).await.expect("a change");
    assert_eq!((changed.state, changed.error), (ConnectionState::Pending, None));
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-1-hush"));
    // New scopes want a new token.
    let patch = ConnectionPatch { scopes: Some(vec!["all".to_owned()]), ..ConnectionPatch::default() };
    house.engine.connections().update(&actor, &tenant, "crm", patch).await.expect("a change");
    assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-2-hush"));
    assert_eq!(provider.last()["scope"], "all");
}

#[tokio::test]
async fn a_link_is_good_once_for_ten_minutes_and_for_its_own_state() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    let state = link(&house, &tenant).await["state"].clone();
    come_back(&house, with_code(&state)).await;
    let late = link(&house, &tenant).await["state"].clone();
    house.clock.advance(limits::CONNECTION_FLOW_KEPT);
    let asked = provider.asked();
    for state in [state.as_str(), &late, "", "never ours", &late[1..]] {
        assert_eq!(come_back(&house, with_code(state)).await, CallbackOutcome::LinkIsGone, "{state}");
    }
    assert_eq!(provider.asked(), asked);
    // Ten at most wait; the oldest goes.
    let mut states = Vec::new();
    for _ in 0..=limits::CONNECTION_FLOWS_MAX {
        house.clock.advance(Duration::from_millis(1));
        states.push(link(&house, &tenant).await["state"].clone());
    }
    assert_eq!(come_back(&house, with_code(&states[0])).await, CallbackOutcome::LinkIsGone);
    assert!(matches!(come_back(&house, with_code(&states[1])).await, CallbackOutcome::Connected { .. }));
}

#[tokio::test]
async fn what_comes_back_without_a_code_leaves_a_working_connection_alone() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    let issuer = Some("https://login.test".to_owned());
    make(&house, &tenant, NewConnection { issuer, ..new(&provider, Grant::AuthorizationCode) }).await;
    let state = link(&house, &tenant).await["state"].clone();
    let good = Callback { iss: Some("https://login.test".to_owned()), ..with_code(&state) };
    assert!(matches!(come_back(&house, good).await, CallbackOutcome::Connected { .. }));
    let refusing =
        Answer::status(400).body(r#"{"error":"invalid_grant","error_description":"code-hush is old"}"#);
    provider.receiver.answer_next([refusing, Answer::status(500)]);
    for (name, callback, said) in [
        (
            "declined",
            Callback {
                error: Some("access_denied".into()),
                error_description: Some("<b>No\r\nthanks</b>".into()),
                ..Callback::default()
            },
            "access_denied: <b>No  thanks</b>",
        ),
        ("nothing", Callback::default(), "neither a code nor an error"),
        (
            "empty",
            Callback { code: Some(String::new()), ..Callback::default() },
            "neither a code nor an error",
        ),
        (
            "another server",
            Callback { iss: Some("https://evil.test".into()), ..with_code("") },
            "another server",
        ),
        ("refused", with_code(""), "refused to give tokens (invalid_grant: (its words repeat a secret"),
        ("trouble", with_code(""), "The provider answered 500"),
    ] {
        let state = link(&house, &tenant).await["state"].clone();
        let outcome = come_back(&house, Callback { state: state.clone(), ..callback.clone() }).await;
        let text = format!("{outcome:?}").replace("\\r", "\r").replace("\\n", "\n");
        assert!(text.contains(said), "{name}: {text}");
        assert!(!text.contains("hush"), "{name}: {text}");
        // Used up all the same.
        let again = come_back(&house, Callback { state, ..callback }).await;
        assert_eq!(again, CallbackOutcome::LinkIsGone, "{name}");
        let connection = shown(&house, &tenant).await;
        assert_eq!(connection.state, ConnectionState::Active, "{name}");
        assert!(connection.error.is_some_and(|error| error.contains("crm/authorize")), "{name}");
        assert_eq!(token(&house, tenant.id).await.as_deref(), Ok("access-1-hush"), "{name}");
    }
}

#[tokio::test]
async fn a_connection_is_ended_at_the_provider_and_here() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    let (actor, connections) = (Actor::postrider(), house.engine.connections());
    let revoked = connections.revoke(&actor, &tenant, "crm").await.expect("it is revoked");
    assert_eq!((revoked.state, revoked.expires, revoked.error), (ConnectionState::Revoked, None, None));
    let told: Vec<_> = provider.receiver.received()[1..].iter().map(form).collect();
    assert_eq!(
        (told[0]["token"].as_str(), told[0]["token_type_hint"].as_str()),
        ("refresh-1-hush", "refresh_token")
    );
    assert_eq!(
        (told[1]["token"].as_str(), told[1]["token_type_hint"].as_str()),
        ("access-1-hush", "access_token")
    );
    let (why, retry) = token(&house, tenant.id).await.expect_err("it is revoked");
    assert!(why.contains("was revoked. Authorize it again") && retry == Retry::No, "{why}");
    let by_hand = connections.refresh(&actor, &tenant, "crm").await;
    assert_eq!(problem(by_hand).0, Code::ConnectionNotAuthorized);

    let state = link(&house, &tenant).await["state"].clone();
    come_back(&house, with_code(&state)).await;
    provider.receiver.answer_next([Answer::status(503), Answer::status(503)]);
    let revoked = connections.revoke(&actor, &tenant, "crm").await.expect("here in any case");
    assert_eq!(revoked.state, ConnectionState::Revoked);
    let error = revoked.error.expect("it is told");
    assert!(error.contains("it answered 503") && error.contains("by hand"), "{error}");
    connections.delete(&actor, &tenant, "crm").await.expect("a deletion");
    let gone = connections.get(tenant.id, "crm").await;
    assert_eq!(problem(gone).0, Code::NotFound);
    let (why, _) = token(&house, tenant.id).await.expect_err("it is gone");
    assert!(why.contains("There is no connection `crm`"), "{why}");
    let audit = house.engine.control().audit(None, None, 100).await.expect("the audit");
    let actions: Vec<&str> = audit.iter().rev().map(|entry| entry.action.as_str()).collect();
    let actions: Vec<&str> = actions.into_iter().filter(|action| action.starts_with("connection.")).collect();
    assert_eq!(
        actions,
        [
            "connection.created",
            "connection.authorized",
            "connection.revoked",
            "connection.authorized",
            "connection.revoked",
            "connection.deleted",
        ]
    );
    assert!(!format!("{audit:?}").contains("hush"));
}

#[tokio::test]
async fn another_tenants_connection_does_not_exist_and_viewers_change_none() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    let other = house.tenant("rcmanager").await;
    let id = shown(&house, &tenant).await.id.to_string();
    let connections = house.engine.connections();
    for name in ["crm", &id] {
        assert_eq!(problem(connections.get(other.id, name).await).0, Code::NotFound);
        let token = connections.access_token(other.id, name).await.expect_err("it is another's");
        assert_eq!(token.retry, Retry::No);
        let actor = Actor::postrider();
        assert_eq!(problem(connections.delete(&actor, &other, name).await).0, Code::NotFound);
    }
    let actor = |role, of: &Tenant| Actor { role, who: Who::Postrider, tenant: Some(of.id) };
    for (actor, code) in [
        (actor(Role::Viewer, &tenant), Code::Forbidden),
        (actor(Role::Publisher, &tenant), Code::Forbidden),
        (actor(Role::Admin, &other), Code::NotFound),
    ] {
        let patch = ConnectionPatch::default();
        assert_eq!(problem(connections.update(&actor, &tenant, "crm", patch).await).0, code);
        assert_eq!(problem(connections.revoke(&actor, &tenant, "crm").await).0, code);
        assert_eq!(problem(connections.delete(&actor, &tenant, "crm").await).0, code);
        assert_eq!(problem(connections.refresh(&actor, &tenant, "crm").await).0, code);
        let link = connections.authorize(&actor, &tenant, "crm", REDIRECT.to_owned()).await;
        assert_eq!(problem(link.map(|link| link.url)).0, code);
    }
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn on_disk_no_token_and_no_secret_stands_in_clear() {
    let house = House::open().await;
    let provider = Provider::start().await;
    let tenant = house.tenant("standard").await;
    authorized(&house, &tenant, &provider).await;
    let state = link(&house, &tenant).await["state"].clone();
    let value = SecretString::from("value-hush-0815");
    let control = house.engine.control();
    let actor = Actor::postrider();
    let put = control.secret_put(&actor, &house.now(&tenant), "API_KEY", &value).await.expect("a secret");
    assert_eq!((put.row.version, put.new), (1, true));
    let mut bytes = Vec::new();
    for file in std::fs::read_dir(house.folder.path()).expect("the folder") {
        bytes.extend(std::fs::read(file.expect("a file").path()).expect("its bytes"));
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("the client"), "the search itself works");
    for hidden in ["hush", &state] {
        assert!(!holds(hidden), "{hidden}");
    }
    let values = control.secret_values(tenant.id, &["API_KEY", "NONE"]).await.expect("the values");
    assert_eq!(values.len(), 1);
    assert_eq!(values["API_KEY"].expose_secret(), "value-hush-0815");
}

/// A refusal's code and field.
fn problem<T>(result: Result<T, EngineError>) -> (Code, Option<String>) {
    match result {
        Err(EngineError::Refused(problem)) => (problem.code, problem.field),
        Err(EngineError::Store(error)) => panic!("the store failed: {error}"),
        Ok(_) => panic!("it was allowed"),
    }
}
