//! An installation of its own for each test, and a caller.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use jsonschema::Validator;
use postrider_api::TrustedProxies;
use postrider_domain::random::Random;
use postrider_domain::time::{Clock, Timestamp};
use postrider_egress::{AllowList, Egress, EgressConfig, Policy};
use postrider_engine::control::Installation;
use postrider_engine::outbound::lanes::LaneLimits;
use postrider_engine::{Engine, Parts};
use postrider_store::{Database, MasterKey, OpenOptions, Store};
use postrider_testkit::clock::ManualClock;
use postrider_testkit::home::database_of;
use postrider_testkit::names::NoNames;
use postrider_testkit::random::SeededRandom;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) const OPERATOR: &str = "test-operator-key-0123456789abcdef";

/// What URLs of inboxes begin with: each answers what it is told.
pub(crate) const INBOXES: &str = "/inbox/";
/// Where strangers send to.
pub(crate) const HOOKS: &str = "/v1/workflows/webhooks/";
pub(crate) const PUBLIC_URL: &str = "http://postrider.test";

/// An installation whose egress allows loopback, so that test receivers can be registered.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Engine,
    pub(crate) router: Router,
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null where the body is not JSON.
    pub(crate) json: Value,
}

/// A request that is being put together.
pub(crate) struct Ask<'w> {
    world: &'w World,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
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

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Installation { require_https: false }).await
    }

    pub(crate) async fn start_with(installation: Installation) -> Self {
        Self::start_behind(installation, TrustedProxies::default()).await
    }

    /// Calls in process come from 0.0.0.0.
    pub(crate) async fn start_behind(installation: Installation, trusted_proxies: TrustedProxies) -> Self {
        let folder = TempDir::new().expect("a folder for the store");
        let clock = Arc::new(ManualClock::default());
        let random: Arc<dyn Random> = Arc::new(SeededRandom::fresh());
        let store = Store::open(store_options(folder.path(), random.clone(), clock.now()))
            .await
            .expect("a store opens in an empty folder");
        let engine = Engine::start(Parts {
            store,
            egress: Arc::new(egress()),
            clock: clock.clone(),
            random,
            installation,
            lanes: LaneLimits::default(),
            public_url: Some(PUBLIC_URL.to_owned()),
        })
        .await
        .expect("an engine starts on an empty store");
        let given = Some(SecretString::from(OPERATOR));
        engine.control().ensure_operator_key(given).await.expect("the operator's key is good");
        let options = postrider_api::Options { public_url: PUBLIC_URL.to_owned(), trusted_proxies };
        let router = postrider_api::router(engine.clone(), options);
        let document: Value =
            serde_json::from_str(&postrider_api::openapi_json()).expect("the document is JSON");
        Self { clock, engine, router, document, validators: Mutex::default(), _folder: folder }
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn ask(&self, method: Method, path: impl Into<String>) -> Ask<'_> {
        Ask { world: self, method, path: path.into(), headers: HeaderMap::new(), body: Vec::new() }
    }

    /// As the operator, for a tenant.
    pub(crate) fn operator(&self, method: Method, path: impl Into<String>, tenant: &str) -> Ask<'_> {
        let ask = self.ask(method, path).key(OPERATOR);
        if tenant.is_empty() { ask } else { ask.header("Postrider-Tenant", tenant) }
    }

    /// A tenant named after its profile.
    pub(crate) async fn tenant(&self, id: &str, profile: &str) {
        let body = json!({"id": id, "profile": profile, "plan": "pro", "attributes": {"company_id": 17}});
        self.operator(Method::POST, "/v1/tenants", "").json(&body).send().await.expect_status(201);
    }

    pub(crate) async fn key(&self, role: &str, tenant: Option<&str>) -> String {
        let mut body = json!({"role": role, "name": format!("{role} of a test")});
        if let Some(tenant) = tenant {
            body["tenant"] = tenant.into();
        }
        let reply = self.operator(Method::POST, "/v1/keys", "").json(&body).send().await.expect_status(201);
        reply.json["key"].as_str().expect("a new key is shown").to_owned()
    }

    /// A webhook of `tenant`, as the API shows it.
    pub(crate) async fn webhook(&self, tenant: &str, url: &str, events: &[&str]) -> Value {
        // Ids are made in the order of their milliseconds, and tests ask for lists in that order.
        self.clock.advance(Duration::from_millis(1));
        let body = json!({"url": url, "events": events});
        let reply = self.operator(Method::POST, "/v1/webhooks", tenant).json(&body).send().await;
        reply.expect_status(201).json
    }

    pub(crate) async fn publish(&self, tenant: &str, body: &Value) -> Value {
        self.operator(Method::POST, "/v1/events", tenant).json(body).send().await.expect_status(202).json
    }

    /// Everything that a refused request must leave as it was.
    pub(crate) async fn state(&self, tenants: &[&str]) -> Value {
        // What was published before is under way by itself.
        while self.engine.in_hand() > 0 {
            postrider_testkit::clock::turn().await;
        }
        let mut state = json!({
            "tenants": self.whole_list("/v1/tenants", "").await,
            "keys": self.whole_list("/v1/keys", "").await,
            "profiles": self.whole_list("/v1/profiles", "").await,
            "audit": self.whole_list("/v1/audit", "").await,
        });
        for tenant in tenants {
            state[tenant] = json!({
                "webhooks": self.whole_list("/v1/webhooks", tenant).await,
                "events": self.whole_list("/v1/events", tenant).await,
                "deliveries": self.whole_list("/v1/deliveries", tenant).await,
                "eventTypes": self.whole_list("/v1/event-types", tenant).await,
                "ledger": self.operator(Method::GET, "/v1/ledger", tenant).send().await.expect_status(200).json,
            });
        }
        state
    }

    pub(crate) async fn whole_list(&self, path: &str, tenant: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{mark}limit=100{cursor}");
            let page = self.operator(Method::GET, path, tenant).send().await;
            let page = page.expect_status(200).json;
            rows.extend(page["data"].as_array().expect("a list has data").iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    /// Waits until a delivery has ended, and gives it.
    pub(crate) async fn ended(&self, tenant: &str, delivery: &str) -> Value {
        loop {
            let path = format!("/v1/deliveries/{delivery}");
            let shown = self.operator(Method::GET, path, tenant).send().await.expect_status(200).json;
            if !shown["endedAt"].is_null() {
                return shown;
            }
            // The result is on its way through the writer, in other tasks of this very runtime.
            postrider_testkit::clock::turn().await;
        }
    }

    /// Panics unless `reply` is what the document says of this request.
    fn check_against_document(&self, method: &Method, path: &str, reply: &Reply) {
        // A provider's preset says what a trigger's URL answers; the document has what it answers of itself.
        if path.starts_with(HOOKS) || path.starts_with(INBOXES) {
            return;
        }
        let Some(operation) = self.operation(method, path) else { return };
        let responses = &operation["responses"];
        let response = responses.get(reply.status.to_string()).unwrap_or(&responses["default"]);
        let refused = responses.get(reply.status.to_string()).is_none();
        if refused {
            assert!(
                reply.status >= 400,
                "{method} {path} answered {}, which is not in the document",
                reply.status
            );
        }
        let Some(content) = response.get("content").and_then(Value::as_object) else {
            assert_eq!(reply.text, "", "{method} {path} answers nothing");
            return;
        };
        let (media_type, content) = content.iter().next().expect("a content has a media type");
        let given = reply.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
        assert_eq!(given, media_type, "{method} {path}");
        if !media_type.contains("json") || path == "/openapi.json" {
            return;
        }
        let validator = self.validator(&content["schema"]);
        let faults: Vec<String> = validator
            .iter_errors(&reply.json)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{method} {path} {}: {}\n{}", reply.status, faults.join("; "), reply.text);
    }

    /// Made once for each schema: there are few, and making one takes longer than an answer.
    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut known = self.validators.lock().expect("because nobody panics while it is locked");
        let made = || {
            let schema = json!({"allOf": [schema], "components": self.document["components"]});
            Arc::new(jsonschema::validator_for(&schema).expect("the document's schemas are schemas"))
        };
        known.entry(schema.to_string()).or_insert_with(made).clone()
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let paths = self.document["paths"].as_object().expect("the document has paths");
        let fits = |known: &str| {
            known.split('/').count() == path.split('/').count()
                && known
                    .split('/')
                    .zip(path.split('/'))
                    .all(|(known, given)| known == given || known.starts_with('{'))
        };
        // A literal segment wins over a parameter, as in the router.
        let exact = paths.get(path);
        let item = exact.or_else(|| paths.iter().find(|(known, _)| fits(known)).map(|(_, item)| item))?;
        item.get(method.as_str().to_ascii_lowercase())
    }
}

impl Ask<'_> {
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a test's header has a name");
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        self
    }

    /// Exactly these and no others.
    pub(crate) fn headers(mut self, headers: &HeaderMap) -> Self {
        self.headers = headers.clone();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw(body.to_string())
    }

    /// A body that says it is JSON, whatever it is.
    pub(crate) fn raw(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", "application/json")
    }

    /// A body that says nothing about itself.
    pub(crate) fn untyped(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// As it is, to be sent elsewhere or by another task.
    pub(crate) fn request(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        *request.headers_mut().expect("a test's request is a request") = self.headers;
        request.body(Body::from(self.body)).expect("a test's request is a request")
    }

    pub(crate) async fn send(self) -> Reply {
        let (world, method, path) = (self.world, self.method.clone(), self.path.clone());
        let response = world.router.clone().oneshot(self.request()).await.expect("the router always answers");
        let reply = Reply::of(response).await;
        let path = path.split('?').next().expect("a path has a beginning");
        world.check_against_document(&method, path, &reply);
        reply
    }
}

impl Reply {
    pub(crate) async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("an answer's body is whole").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("an answer is text");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status: parts.status.as_u16(), headers: parts.headers, text, json }
    }

    #[track_caller]
    pub(crate) fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A refusal with this code, at this field (empty: at none).
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str, field: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.json["code"], code, "{}", self.text);
        assert_eq!(self.json["field"].as_str().unwrap_or(""), field, "{}", self.text);
        assert_eq!(self.json["status"], status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let detail = self.json["detail"].as_str().unwrap_or("");
        assert!(detail.len() > 20 && detail.ends_with(['.', '?']), "a detail is a sentence: {detail}");
        self
    }

    pub(crate) fn str(&self, pointer: &str) -> String {
        let found = self.json.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no string at {pointer} in {}", self.text)).to_owned()
    }
}

fn egress() -> Egress {
    let allow = AllowList::parse(&["127.0.0.0/8".to_owned()]).expect("the range is a range");
    Egress::new(EgressConfig {
        policy: Policy::new(allow),
        budgets: postrider_engine::egress_budgets(),
        resolver: Arc::new(NoNames),
        extra_roots_pem: Vec::new(),
    })
    .expect("an egress can be made")
}
