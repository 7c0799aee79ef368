//! An installation of its own for each test, and visitors.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use postrider_domain::delivery::DeliveryState;
use postrider_domain::id::EventId;
use postrider_domain::random::Random;
use postrider_domain::time::{Clock, Timestamp};
use postrider_egress::{AllowList, Egress, EgressConfig, Policy, Resolve};
use postrider_engine::catalogue::Tenant;
use postrider_engine::control::{Actor, Created, Installation, NewKey, NewTenant, NewWebhook, Role};
use postrider_engine::outbound::ingest::Publication;
use postrider_engine::outbound::lanes::LaneLimits;
use postrider_engine::{Answered, Engine, Parts};
use postrider_store::{Database, MasterKey, OpenOptions, Store, StoredDelivery};
use postrider_testkit::clock::ManualClock;
use postrider_testkit::home::database_of;
use postrider_testkit::names::NoNames;
use postrider_testkit::random::SeededRandom;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) const OPERATOR: &str = "test-operator-key-0123456789abcdef";
pub(crate) const PUBLIC_URL: &str = "http://127.0.0.1:8080";

/// An installation whose egress allows loopback, so that test receivers can be registered.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Engine,
    router: Router,
    _folder: TempDir,
}

/// Somebody with a browser: a cookie jar of one cookie, and the token that their forms carry.
pub(crate) struct Visitor<'w> {
    world: &'w World,
    pub(crate) cookie: String,
    csrf: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Arc::new(NoNames)).await
    }

    pub(crate) async fn start_with(names: Arc<dyn Resolve>) -> Self {
        let folder = TempDir::new().expect("a folder for the store");
        let clock = Arc::new(ManualClock::default());
        let random: Arc<dyn Random> = Arc::new(SeededRandom::fresh());
        let store = Store::open(store_options(folder.path(), random.clone(), clock.now()))
            .await
            .expect("a store opens in an empty folder");
        let engine = Engine::start(Parts {
            store,
            egress: Arc::new(egress(names)),
            clock: clock.clone(),
            random,
            installation: Installation { require_https: false },
            lanes: LaneLimits::default(),
            public_url: Some(PUBLIC_URL.to_owned()),
        })
        .await
        .expect("an engine starts on an empty store");
        let given = Some(SecretString::from(OPERATOR));
        engine.control().ensure_operator_key(given).await.expect("the operator's key is good");
        let options = postrider_dashboard::Options { public_url: PUBLIC_URL.to_owned() };
        let router = postrider_dashboard::router(engine.clone(), options);
        Self { clock, engine, router, _folder: folder }
    }

    /// A tenant of the plan that has webhooks everywhere.
    pub(crate) async fn tenant(&self, id: &str, profile: &str) -> Arc<Tenant> {
        let attributes = serde_json::json!({"company_id": 17});
        let attributes = attributes.as_object().expect("an object is an object").clone();
        let new = NewTenant {
            id: Some(id.to_owned()),
            profile: profile.to_owned(),
            plan: Some("pro".to_owned()),
            attributes: Some(attributes),
            name: None,
            timezone: None,
            settings: None,
        };
        fresh(self.engine.control().tenant_create(&root(), new, None).await.expect("a tenant can be made"));
        self.tenant_now(id)
    }

    /// As it is now.
    pub(crate) fn tenant_now(&self, id: &str) -> Arc<Tenant> {
        self.engine.catalogue().tenant_by_public_id(id).expect("the test made this tenant")
    }

    /// A webhook of a tenant; its id.
    pub(crate) async fn webhook(&self, tenant: &str, url: &str, events: &[&str]) -> String {
        let new = NewWebhook {
            url: url.to_owned(),
            events: Some(events.iter().map(|&pattern| pattern.to_owned()).collect()),
            ..NewWebhook::default()
        };
        let tenant = self.tenant_now(tenant);
        let made = self.engine.control().webhook_create(&root(), &tenant, new, None).await;
        fresh(made.expect("a webhook can be made")).webhook.id.to_string()
    }

    /// Publishes an event; its id.
    pub(crate) async fn publish(&self, tenant: &str, event_type: &str, data: &str) -> String {
        let tenant = self.tenant_now(tenant);
        let publication = Publication { id: None, event_type, time: None, data, depth: 0 };
        match self.engine.publish(&tenant, &publication, None).await.expect("the event is accepted") {
            Answered::Fresh((published, _)) => published.event.id.to_string(),
            Answered::Replayed(_) => unreachable!("nothing was said about repetition"),
        }
    }

    /// Until nothing is under way: what was sent has its result, in the store as well.
    pub(crate) async fn settled(&self) {
        while self.engine.in_hand() > 0 {
            postrider_testkit::clock::turn().await;
        }
    }

    /// Somebody who is not signed in.
    /// The only delivery of an event, once `is` holds of it.
    pub(crate) async fn delivery(
        &self,
        tenant: &str,
        event: &str,
        is: impl Fn(&StoredDelivery) -> bool,
    ) -> StoredDelivery {
        let tenant = self.tenant_now(tenant).id;
        let event = EventId::parse(event).expect("the world's events have ids of ours");
        loop {
            let deliveries = self.engine.store().deliveries_of(tenant, event).await.expect("the store reads");
            if let Some(found) = deliveries.into_iter().rfind(|delivery| is(delivery)) {
                return found;
            }
            // What is under way goes on in other tasks of this very runtime.
            postrider_testkit::clock::turn().await;
        }
    }

    /// Moves the clock over a delivery's whole schedule, until it has ended.
    pub(crate) async fn ended(&self, tenant: &str, event: &str) -> StoredDelivery {
        loop {
            let open =
                self.delivery(tenant, event, |delivery| delivery.state != DeliveryState::Sending).await;
            match (open.state.is_final(), open.due) {
                (false, Some(due)) if due > self.clock.now() => self.clock.set(due),
                // Due, and held back for a moment: a webhook that fails again and again is sent to at a pace.
                (false, _) => {
                    self.clock.advance(Duration::from_millis(1));
                    postrider_testkit::clock::turn().await;
                }
                (true, _) => return open,
            }
        }
    }

    pub(crate) fn stranger(&self) -> Visitor<'_> {
        Visitor { world: self, cookie: String::new(), csrf: String::new() }
    }

    pub(crate) async fn operator(&self) -> Visitor<'_> {
        self.signed_in(OPERATOR, "/dashboard/").await
    }

    /// Somebody of a tenant, on the portal.
    pub(crate) async fn member(&self, tenant: &str, role: Role) -> Visitor<'_> {
        let new = NewKey {
            role,
            tenant: Some(self.tenant_now(tenant).id),
            name: format!("{} of a test", role.as_str()),
        };
        let made = self.engine.control().key_create(&root(), new, None).await.expect("a key can be made");
        let key = fresh(made).key;
        self.signed_in(key.expose_secret(), "/portal/").await
    }

    /// Signs in with a key; the token is read from the page at `start`.
    pub(crate) async fn signed_in(&self, key: &str, start: &str) -> Visitor<'_> {
        let reply = self.stranger().post_without_token("/dashboard/login", &[("key", key)]).await;
        self.with_cookie(reply, start).await
    }

    /// By a link of the portal.
    pub(crate) async fn opened(&self, link: &str) -> Visitor<'_> {
        let reply = self.stranger().get(link).await;
        self.with_cookie(reply, "/portal/").await
    }

    async fn with_cookie(&self, reply: Reply, start: &str) -> Visitor<'_> {
        let reply = reply.expect_status(303);
        let mut visitor = self.stranger();
        let cookie = reply.headers["set-cookie"].to_str().expect("a cookie is text");
        visitor.cookie = cookie.split(';').next().expect("a cookie has a beginning").to_owned();
        visitor.csrf = visitor.get(start).await.expect_status(200).csrf();
        visitor
    }
}

impl Visitor<'_> {
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path).body(Body::empty())).await
    }

    /// What an answer goes on to say.
    pub(crate) async fn stream(&self, path: &str) -> Body {
        let request = self.request(Method::GET, path).body(Body::empty()).expect("a request");
        let response = self.world.router.clone().oneshot(request).await.expect("the router always answers");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response.into_body()
    }

    /// As htmx asks for a part of a page.
    pub(crate) async fn get_part(&self, path: &str) -> Reply {
        let request = self.request(Method::GET, path).header("HX-Request", "true");
        self.send(request.body(Body::empty())).await
    }

    /// A form of ours.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut all = vec![("csrf", self.csrf.as_str())];
        all.extend_from_slice(fields);
        self.post_without_token(path, &all).await
    }

    /// The same, sent by htmx.
    pub(crate) async fn post_part(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path).header("HX-Request", "true");
        let request = request.header("X-CSRF-Token", &self.csrf);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body))).await
    }

    /// A form from elsewhere.
    pub(crate) async fn post_without_token(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body))).await
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(path).header("Host", "127.0.0.1:8080");
        if !self.cookie.is_empty() {
            request = request.header("Cookie", &self.cookie);
        }
        request
    }

    async fn send(&self, request: http::Result<Request<Body>>) -> Reply {
        let request = request.expect("a test's request is a request");
        Reply::of(self.world.router.clone().oneshot(request).await.expect("the router always answers")).await
    }
}

impl Reply {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("an answer's body is whole").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("an answer is text");
        Self { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    #[track_caller]
    pub(crate) fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The page shows this text (as HTML).
    #[track_caller]
    pub(crate) fn expect_text(self, text: &str) -> Self {
        assert!(self.text.contains(text), "the page lacks {text:?}:\n{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn expect_no_text(self, text: &str) -> Self {
        assert!(!self.text.contains(text), "the page has {text:?}:\n{}", self.text);
        self
    }

    pub(crate) fn location(&self) -> &str {
        self.headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or_default()
    }

    /// What the page's forms carry.
    #[track_caller]
    pub(crate) fn csrf(&self) -> String {
        self.field("csrf")
    }

    /// The value of the page's first input of that name.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> String {
        let (_, rest) =
            self.text.split_once(&format!("name=\"{name}\" value=\"")).expect("the page has this field");
        rest.split('"').next().expect("a value ends").to_owned()
    }
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

fn egress(names: Arc<dyn Resolve>) -> Egress {
    let allow = AllowList::parse(&["127.0.0.0/8".to_owned()]).expect("the range is a range");
    Egress::new(EgressConfig {
        policy: Policy::new(allow),
        budgets: postrider_engine::egress_budgets(),
        resolver: names,
        extra_roots_pem: Vec::new(),
    })
    .expect("an egress can be made")
}

fn root() -> Actor {
    Actor::postrider()
}

fn fresh<T>(created: Created<T>) -> T {
    match created {
        Created::Fresh(made) => made,
        Created::Replayed(_) => unreachable!("nothing was said about repetition"),
    }
}
