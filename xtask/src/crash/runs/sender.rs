//! The sender: invokes triggers as long as it is told to, remembers every answer, and repeats what was not answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response};
use postrider_testkit::random::SeededRandom;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::follower::Followed;
use super::judge::Invoked;
use super::receiver::Other;
use crate::failure::{Failure, Result};
use crate::http::Connection;
use crate::product::Api;

pub(super) const TENANTS: [&str; 2] = ["crash-runs-1", "crash-runs-2"];
pub(super) const EMITTED: &str = "order.done";
pub(super) const AWAITED: &str = "order.paid";
const SECRET: &str = "a-secret-that-nobody-guesses-0123456789";
const WORKERS: usize = 12;
/// Between two invocations of a worker: 200 a second at most, so that the runs of 200 kills can still be read one by one.
const PACE: Duration = Duration::from_millis(60);
const ANSWER_MAX: Duration = Duration::from_secs(10);
const CONNECT_MAX: Duration = Duration::from_secs(2);
const AGAIN_AFTER: Duration = Duration::from_millis(20);
const POISON: &str = "because nothing panics while it holds the lock";

/// The paths of a tenant's triggers.
#[derive(Clone)]
struct Hooks {
    accepts: String,
    /// Answers what the run responds.
    waits: String,
}

/// Creates tenants, workflows, triggers, and the webhook that gets the events.
pub(super) async fn prepare(api: &mut Api, other: &Other) -> Result<Paths> {
    let mut paths = Vec::new();
    for tenant in TENANTS {
        api.create_tenant(tenant).await?;
        api.create_webhook(tenant, &other.events_url(), &[EMITTED]).await?;
        let workflow = json!({"steps": steps(&other.asked_url())});
        api.call(Method::PUT, "/v1/workflows/orders", tenant, &workflow).await?;
        let accepts = create_trigger(api, tenant, "accepted").await?;
        let waits = create_trigger(api, tenant, "wait").await?;
        paths.push(Hooks { accepts, waits });
    }
    Ok(Paths(Arc::new(paths)))
}

/// In the order of [`TENANTS`].
#[derive(Clone)]
pub(super) struct Paths(Arc<Vec<Hooks>>);

/// Each kind of step whose effect must neither be lost nor come twice, between two that have none.
fn steps(asked_url: &str) -> Value {
    json!([
        {"id": "shape", "type": "transform", "output": {"id": {"$expr": "input.id"}}},
        {"id": "ask", "type": "http", "method": "POST", "url": asked_url, "retries": ["100ms", "500ms", "1s"],
         "body": {"$expr": "steps.shape.output"}},
        {"id": "answer", "type": "respond", "when": "input.responds", "status": 201,
         "body": {"runId": "{{ run.id }}", "id": "{{ input.id }}"}},
        {"id": "pause", "type": "wait", "when": "input.pauses", "for": "300ms"},
        {"id": "paid", "type": "wait", "when": "input.awaits",
         "event": {"types": [AWAITED], "filter": "event.data.id == input.id", "timeout": "10m"}},
        {"id": "tell", "type": "emit", "event": {"type": EMITTED, "data": {"run": "{{ run.id }}", "id": "{{ input.id }}"}}},
    ])
}

async fn create_trigger(api: &mut Api, tenant: &str, respond: &str) -> Result<String> {
    let trigger = json!({"type": "webhook", "secret": SECRET, "respond": respond});
    let created = api.call(Method::POST, "/v1/workflows/orders/triggers", tenant, &trigger).await?;
    let slug = created["webhookUrl"].as_str().and_then(|url| url.rsplit('/').next());
    let slug = slug.ok_or_else(|| Failure::new("a created trigger has no URL"))?;
    Ok(format!("/v1/workflows/webhooks/{slug}"))
}

#[derive(Default)]
struct Notes {
    invoked: Mutex<BTreeMap<String, Invoked>>,
    acknowledged: AtomicUsize,
    /// Answers that named the run of an earlier request.
    duplicates: AtomicUsize,
    /// Answers that a run itself gave.
    responded: AtomicUsize,
    numbers: AtomicUsize,
    complaints: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

/// What the sender was told.
pub(super) struct Told {
    /// Everything that was ever sent, by its id.
    pub(super) invoked: BTreeMap<String, Invoked>,
    pub(super) duplicates: usize,
    pub(super) responded: usize,
    /// Answers that the server may not give.
    pub(super) complaints: Vec<String>,
}

pub(super) struct Sender {
    notes: Arc<Notes>,
    workers: JoinSet<()>,
}

impl Sender {
    /// `followed` hears of every run that was acknowledged.
    pub(super) fn start(
        server: &watch::Receiver<SocketAddr>,
        paths: &Paths,
        random: &Arc<SeededRandom>,
        followed: &mpsc::UnboundedSender<Followed>,
    ) -> Self {
        let notes = Arc::new(Notes::default());
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let worker = Worker {
                server: server.clone(),
                paths: paths.clone(),
                notes: Arc::clone(&notes),
                random: Arc::clone(random),
                followed: followed.clone(),
                unfinished: None,
            };
            workers.spawn(worker.run());
        }
        Self { notes, workers }
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.notes.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends the load. What has to be repeated is repeated first.
    pub(super) async fn stop(mut self) -> Told {
        self.notes.stopped.store(true, Ordering::Relaxed);
        while self.workers.join_next().await.is_some() {}
        Told {
            invoked: std::mem::take(&mut *self.notes.invoked.lock().expect(POISON)),
            duplicates: self.notes.duplicates.load(Ordering::Relaxed),
            responded: self.notes.responded.load(Ordering::Relaxed),
            complaints: std::mem::take(&mut *self.notes.complaints.lock().expect(POISON)),
        }
    }
}

struct Invocation {
    id: String,
    tenant: &'static str,
    path: String,
    body: Bytes,
    awaits: bool,
    /// Sent again until it is acknowledged; the others are given up when it is not clear what became of them.
    stubborn: bool,
}

struct Worker {
    server: watch::Receiver<SocketAddr>,
    paths: Paths,
    notes: Arc<Notes>,
    random: Arc<SeededRandom>,
    followed: mpsc::UnboundedSender<Followed>,
    unfinished: Option<Invocation>,
}

impl Worker {
    async fn run(mut self) {
        while self.unfinished.is_some() || !self.notes.stopped.load(Ordering::Relaxed) {
            let server = *self.server.borrow();
            if let Ok(Ok(mut connection)) = timeout(CONNECT_MAX, Connection::open(server)).await {
                self.visit(&mut connection).await;
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Invokes over one connection until it is of no use any more.
    async fn visit(&mut self, connection: &mut Connection) {
        loop {
            let invocation = match self.unfinished.take() {
                Some(invocation) => invocation,
                None if self.notes.stopped.load(Ordering::Relaxed) => return,
                None => self.draw(),
            };
            let accepted = match request(&invocation) {
                Ok(request) => match timeout(ANSWER_MAX, connection.answer(request)).await {
                    Ok(Ok(answer)) => self.note(&invocation, &answer),
                    // Broken or silent.
                    Ok(Err(_)) | Err(_) => false,
                },
                Err(_) => false,
            };
            if !accepted {
                self.unfinished = invocation.stubborn.then_some(invocation);
                return;
            }
            sleep(PACE).await;
        }
    }

    /// The next invocation, noted as sent before it is.
    fn draw(&self) -> Invocation {
        let number = self.notes.numbers.fetch_add(1, Ordering::Relaxed);
        let id = format!("i{number}");
        let at = self.random.below(TENANTS.len() as u64) as usize;
        let (responds, pauses, awaits) =
            (self.random.one_in(5), self.random.one_in(4), self.random.one_in(8));
        let hooks = &self.paths.0[at];
        let path = if responds { hooks.waits.clone() } else { hooks.accepts.clone() };
        let body = json!({"id": id, "responds": responds, "pauses": pauses, "awaits": awaits}).to_string();
        self.notes.invoked.lock().expect(POISON).insert(id.clone(), Invoked::default());
        // Nobody makes the event of a run that nobody knows of.
        let stubborn = awaits || number.is_multiple_of(2);
        Invocation { id, tenant: TENANTS[at], path, body: Bytes::from(body), awaits, stubborn }
    }

    /// Remembers what was answered, and that it may not be answered so. True: it was acknowledged.
    fn note(&self, invocation: &Invocation, answer: &Response<Bytes>) -> bool {
        let told: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let status = answer.status().as_u16();
        let complaint = match (status, told["runId"].as_str()) {
            (201, Some(_)) if told["id"] != invocation.id => "what another run responds".to_owned(),
            (200..=202, Some(run)) => {
                self.acknowledged(invocation, run, status, &told);
                return true;
            }
            (503, _) if answer.headers().contains_key("retry-after") => return false,
            (503, _) => "503 without Retry-After".to_owned(),
            _ => format!("{status}: {}", String::from_utf8_lossy(answer.body())),
        };
        let complaint = format!("{} was answered with {complaint}", invocation.id);
        self.notes.complaints.lock().expect(POISON).push(complaint);
        false
    }

    fn acknowledged(&self, invocation: &Invocation, run: &str, status: u16, told: &Value) {
        let notes = &self.notes;
        notes.acknowledged.fetch_add(1, Ordering::Relaxed);
        notes.duplicates.fetch_add(usize::from(told["duplicate"] == true), Ordering::Relaxed);
        notes.responded.fetch_add(usize::from(status == 201), Ordering::Relaxed);
        let mut invoked = notes.invoked.lock().expect(POISON);
        let one = invoked.get_mut(&invocation.id).expect("because an invocation is noted before it is sent");
        one.acknowledged = true;
        one.told.insert(run.to_owned());
        drop(invoked);
        let followed = Followed {
            run: run.to_owned(),
            tenant: invocation.tenant,
            invocation: invocation.id.clone(),
            awaits: invocation.awaits,
        };
        // It is there until every worker has ended.
        let _ = self.followed.send(followed);
    }
}

fn request(invocation: &Invocation) -> Result<Request<Full<Bytes>>> {
    Ok(Request::post(&invocation.path)
        .header("host", "crash")
        .header("content-type", "application/json")
        .header("x-webhook-secret", SECRET)
        .header("idempotency-key", &invocation.id)
        .body(Full::new(invocation.body.clone()))?)
}
