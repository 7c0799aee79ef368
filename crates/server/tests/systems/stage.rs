//! One tenant of one system, a receiver, and a caller: what each test stands on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use postrider_domain::random::Random;
use postrider_domain::time::{Clock as _, Timestamp};
use postrider_egress::{AllowList, Egress, EgressConfig, Policy};
use postrider_engine::control::Installation;
use postrider_engine::outbound::lanes::LaneLimits;
use postrider_engine::{Engine, Parts};
use postrider_store::{Database, MasterKey, OpenOptions, Store};
use postrider_testkit::clock::ManualClock;
use postrider_testkit::home::database_of;
use postrider_testkit::names::NoNames;
use postrider_testkit::random::SeededRandom;
use postrider_testkit::receiver::{Received, Receiver};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tower::ServiceExt as _;

const OPERATOR: &str = "test-operator-key-0123456789abcdef";
pub(crate) const TENANT: &str = "tenant-uuid";
pub(crate) const SECRET: &str = "a-shared-secret-of-more-than-24-bytes";
/// How long a test waits for what other tasks do. Not a pause: what is done is seen at once.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) receiver: Receiver,
    engine: Engine,
    router: Router,
    folder: TempDir,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) json: Value,
    text: String,
}

impl Reply {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.json
    }

    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{}", self.text);
    }
}

impl Stage {
    /// A tenant of `profile`, as each of the systems would have it.
    pub(crate) async fn of(profile: &str) -> Self {
        Self::of_since(profile, ManualClock::default()).await
    }

    /// The same, begun at another moment, RFC 3339.
    pub(crate) async fn of_at(profile: &str, moment: &str) -> Self {
        let clock = ManualClock::at(Timestamp::parse_rfc3339(moment).expect("a time"));
        Self::of_since(profile, clock).await
    }

    async fn of_since(profile: &str, clock: ManualClock) -> Self {
        let stage = Self::bare(clock).await;
        let tenant = json!({
            "id": TENANT,
            "name": "PT Kahatex",
            "profile": profile,
            "plan": "pro",
            "timezone": "Asia/Jakarta",
            "attributes": { "company_id": 1 },
        });
        stage.as_operator(Method::POST, "/v1/tenants", &tenant).await.ok();
        stage
    }

    /// Without a tenant.
    pub(crate) async fn bare(clock: ManualClock) -> Self {
        let folder = TempDir::new().expect("a folder for the store");
        let clock = Arc::new(clock);
        let engine = start(folder.path(), &clock).await;
        let router = router_of(&engine);
        Self { clock, receiver: Receiver::start().await, engine, router, folder }
    }

    /// Stops as SIGTERM does, and starts again on the same folder.
    pub(crate) async fn restart(self) -> Self {
        let now = self.clock.now();
        self.restart_at(&now.to_string()).await
    }

    /// The same, after some time.
    pub(crate) async fn restart_at(self, moment: &str) -> Self {
        let Self { clock, receiver, engine, router, folder } = self;
        drop(router);
        engine.stop(Duration::from_secs(5)).await;
        engine.store().close().await;
        drop(engine);
        clock.set(Timestamp::parse_rfc3339(moment).expect("a time"));
        let engine = start(folder.path(), &clock).await;
        let router = router_of(&engine);
        Self { clock, receiver, engine, router, folder }
    }

    /// A request with a key; `body` is sent when it is not null.
    pub(crate) async fn ask(&self, key: &str, method: Method, path: &str, body: &Value) -> Reply {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_raw(key, method, path, text).await
    }

    /// The same with a body as it is written.
    pub(crate) async fn ask_raw(&self, key: &str, method: Method, path: &str, body: String) -> Reply {
        let mut request =
            Request::builder().method(method).uri(path).header("Authorization", format!("Bearer {key}"));
        if key == OPERATOR && !path.starts_with("/v1/tenants") && !path.starts_with("/v1/keys") {
            request = request.header("Postrider-Tenant", TENANT);
        }
        if !body.is_empty() {
            request = request.header("Content-Type", "application/json");
        }
        let request = request.body(Body::from(body)).expect("a test's request is a request");
        let response = self.router.clone().oneshot(request).await.expect("the router always answers");
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("an answer's body is whole").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply { status, json: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    pub(crate) async fn as_operator(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.ask(OPERATOR, method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.as_operator(Method::GET, path, &Value::Null).await.ok()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.as_operator(Method::POST, path, body).await.ok()
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Value {
        self.as_operator(Method::PATCH, path, body).await.ok()
    }

    /// A key of a role of the tenant.
    pub(crate) async fn key(&self, role: &str) -> String {
        let created = self.post("/v1/keys", &json!({ "role": role, "tenant": TENANT, "name": role })).await;
        created["key"].as_str().expect("a new key is shown").to_owned()
    }

    /// A webhook to the receiver, with the secret; `more` is added to the request.
    pub(crate) async fn webhook(&self, events: &[&str], more: Value) -> Value {
        let mut new = json!({ "url": self.receiver.url("/hook"), "events": events, "secret": SECRET });
        for (name, value) in more.as_object().into_iter().flatten() {
            new[name] = value.clone();
        }
        self.post("/v1/webhooks", &new).await
    }

    pub(crate) async fn publish(&self, event_type: &str, data: Value) -> Value {
        self.post("/v1/events", &json!({ "type": event_type, "data": data })).await
    }

    pub(crate) async fn run_scan(&self) -> Value {
        self.as_operator(Method::POST, "/v1/scans/run", &Value::Null).await.ok()
    }

    /// Writes a record, whole: `work_order/wo-1`.
    pub(crate) async fn put(&self, record: &str, content: &Value) -> Value {
        self.as_operator(Method::PUT, &format!("/v1/records/{record}"), content).await.ok()
    }

    /// All events, oldest first.
    pub(crate) async fn events(&self) -> Vec<Value> {
        self.get("/v1/events?limit=100&order=asc").await["data"].as_array().expect("a list").clone()
    }

    /// The types of all events, oldest first.
    pub(crate) async fn types(&self) -> Vec<String> {
        self.events().await.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
    }

    /// Waits until there are so many events of a type, and gives them, oldest first.
    pub(crate) async fn until_events(&self, event_type: &str, count: usize) -> Vec<Value> {
        let began = real_time();
        loop {
            let page = self.get(&format!("/v1/events?type={event_type}&limit=100&order=asc")).await;
            let events = page["data"].as_array().expect("a list").clone();
            if events.len() >= count {
                assert_eq!(events.len(), count, "{events:#?}");
                return events;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain for {count} {event_type}: {events:#?}");
            postrider_testkit::clock::turn().await;
        }
    }

    /// Moves the clock to a moment, RFC 3339.
    pub(crate) fn at(&self, moment: &str) {
        self.clock.set(Timestamp::parse_rfc3339(moment).expect("a time"));
    }

    pub(crate) async fn zone(&self, zone: &str) {
        self.patch("/v1/tenants/tenant-uuid", &json!({ "timezone": zone })).await;
    }

    /// Another engine's work on the same store, as another node's would be.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// All deliveries, oldest first.
    pub(crate) async fn deliveries(&self) -> Vec<Value> {
        let page = self.get("/v1/deliveries?limit=100").await;
        let mut all = page["data"].as_array().expect("a list").clone();
        all.reverse();
        all
    }

    /// Waits until `holds` is true of the deliveries.
    pub(crate) async fn until(&self, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let began = real_time();
        loop {
            let deliveries = self.deliveries().await;
            if holds(&deliveries) {
                return deliveries;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "waited in vain, after {} requests: {deliveries:#?}",
                self.receiver.received().len()
            );
            // By way of another thread, so that this one parks: a loop of bare yields was seen to starve tasks that the
            // store's writer had woken.
            postrider_testkit::clock::turn().await;
        }
    }

    /// Waits until every delivery has ended, and there is one.
    pub(crate) async fn all_ended(&self) -> Vec<Value> {
        self.until(|all| !all.is_empty() && all.iter().all(|delivery| delivery["endedAt"].is_string())).await
    }

    /// The one delivery, ended, with its attempts.
    pub(crate) async fn the_delivery(&self) -> Value {
        let all = self.all_ended().await;
        assert_eq!(all.len(), 1, "{all:#?}");
        self.delivery(&all[0]).await
    }

    pub(crate) async fn delivery(&self, listed: &Value) -> Value {
        self.get(&format!("/v1/deliveries/{}", listed["id"].as_str().expect("an id"))).await
    }

    /// Waits until the one open delivery is scheduled for later, moves the clock there, and says how long that was.
    pub(crate) async fn until_due(&self) -> Duration {
        let now = self.clock.now();
        let due_later = |delivery: &Value| due(delivery).is_some_and(|due| due > now);
        let all = self
            .until(|all| {
                all.iter().any(due_later)
                    && all.iter().all(|delivery| delivery["endedAt"].is_string() || due_later(delivery))
            })
            .await;
        let at = all.iter().filter_map(due).min().expect("something is scheduled");
        self.clock.set(at);
        at.since(now)
    }

    /// The only request that came.
    pub(crate) async fn the_request(&self) -> Received {
        let mut received = self.receiver.wait_for(1).await;
        assert_eq!(received.len(), 1);
        received.remove(0)
    }

    pub(crate) async fn ledger_balances(&self) {
        let ledger = self.get("/v1/ledger").await;
        assert_eq!(ledger["balanced"], true, "{ledger}");
    }
}

/// Not the runtime's clock, which [`almost_wait`] moves.
#[expect(clippy::disallowed_methods, reason = "only bounds how long a test waits in vain")]
fn real_time() -> std::time::Instant {
    std::time::Instant::now()
}

/// Lets an attempt under way come close to the end of its time, without waiting for it: the runtime's clock is moved to
/// shortly before.
pub(crate) async fn almost_wait(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time - Duration::from_millis(50)).await;
    tokio::time::resume();
}

/// When a delivery is sent next.
pub(crate) fn due(delivery: &Value) -> Option<Timestamp> {
    delivery["nextAttemptAt"].as_str().and_then(Timestamp::parse_rfc3339)
}

/// HMAC-SHA256 in hex, as receivers compute it.
pub(crate) fn hmac_hex(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// The body as text.
pub(crate) fn text(received: &Received) -> String {
    String::from_utf8(received.body.to_vec()).expect("a body is UTF-8")
}

pub(crate) fn json_of(received: &Received) -> Value {
    serde_json::from_slice(&received.body).expect("a body is JSON")
}

/// The names of an object's members, in their order.
pub(crate) fn names(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn router_of(engine: &Engine) -> Router {
    let options = postrider_api::Options {
        public_url: "http://postrider.test".to_owned(),
        trusted_proxies: postrider_api::TrustedProxies::default(),
    };
    postrider_api::router(engine.clone(), options)
}

/// The store of a folder, or of the database that stands for it.
fn store_options(folder: &Path, random: Arc<dyn Random>, now: Timestamp) -> OpenOptions {
    match database_of(folder) {
        None => OpenOptions::new(folder, random, now),
        Some(url) => OpenOptions {
            master_key: Some(MasterKey::new(Box::new([7; 32]))),
            ..OpenOptions::of(Database::Postgres(url), random, now)
        },
    }
}

async fn start(folder: &Path, clock: &Arc<ManualClock>) -> Engine {
    let random: Arc<dyn Random> = Arc::new(SeededRandom::fresh());
    let store =
        Store::open(store_options(folder, random.clone(), clock.now())).await.expect("the store opens");
    let engine = Engine::start(Parts {
        store,
        egress: Arc::new(egress()),
        clock: clock.clone(),
        random,
        installation: Installation { require_https: false },
        lanes: LaneLimits::default(),
        public_url: None,
    })
    .await
    .expect("the engine starts");
    engine.control().ensure_operator_key(Some(SecretString::from(OPERATOR))).await.expect("the key is good");
    engine
}

fn egress() -> Egress {
    let allow = AllowList::parse(&["127.0.0.0/8".to_owned()]).expect("a good range");
    Egress::new(EgressConfig {
        policy: Policy::new(allow),
        budgets: postrider_engine::egress_budgets(),
        resolver: Arc::new(NoNames),
        extra_roots_pem: Vec::new(),
    })
    .expect("an egress")
}
