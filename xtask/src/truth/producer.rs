//! The producer: publishes as long as it is told to, remembers every answer, and does not give up when servers die.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Response};
use postrider_testkit::random::SeededRandom;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::checker::{Published, Webhook};
use super::endpoint::Endpoints;
use crate::failure::{Failure, Result};
use crate::product::Api;

pub(crate) const TENANTS: [&str; 4] = ["crash-1", "crash-2", "crash-3", "crash-4"];
const TYPES: [&str; 3] = ["order.created", "order.paid", "parcel.sent"];
/// Of each tenant, by the types they ask for; one beyond the first gets only a part.
const WEBHOOKS: [&[&str]; 8] = [
    &["*"],
    &["*"],
    &["order.*"],
    &["order.*"],
    &["order.created"],
    &["order.paid"],
    &["parcel.sent"],
    &["parcel.*", "order.paid"],
];
/// Workers that publish side by side.
const WORKERS: usize = 12;
/// A worker that has published so many goes on to the next server: so a server that came back gets its share again.
const EVENTS_EACH_VISIT: usize = 25;
/// A server that says nothing for so long is left. The event may have been accepted: it is sent to the next one.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Between two tries to reach a server. A port that refuses answers at once.
const AGAIN_AFTER: Duration = Duration::from_millis(40);

pub(crate) struct Prepared {
    /// By label.
    pub(crate) webhooks: BTreeMap<String, Webhook>,
    /// By the webhook's id.
    pub(crate) labels: BTreeMap<String, String>,
}

/// Creates tenants and webhooks.
pub(crate) async fn prepare(api: &mut Api, endpoints: &Endpoints) -> Result<Prepared> {
    let (mut webhooks, mut labels) = (BTreeMap::new(), BTreeMap::new());
    for tenant in TENANTS {
        api.create_tenant(tenant).await?;
        for (n, patterns) in WEBHOOKS.iter().enumerate() {
            let label = format!("{tenant}.{n}");
            let id = api.create_webhook(tenant, &endpoints.url(&label), patterns).await?;
            labels.insert(id, label.clone());
            let types = TYPES.iter().filter(|name| patterns.iter().any(|pattern| matches(pattern, name)));
            let types = types.map(|name| (*name).to_owned()).collect();
            webhooks.insert(label, Webhook { tenant: tenant.to_owned(), types });
        }
    }
    Ok(Prepared { webhooks, labels })
}

/// Patterns as the documentation describes them, said again here: the judge must not borrow the product's matcher.
fn matches(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => event_type.starts_with(prefix),
        None => pattern == event_type,
    }
}

#[derive(Default)]
struct Notes {
    published: Mutex<BTreeMap<String, Published>>,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    numbers: AtomicUsize,
    complaints: Mutex<Vec<String>>,
}

/// What the producer was told.
pub(crate) struct Told {
    /// Everything that was ever sent, by event id.
    pub(crate) published: BTreeMap<String, Published>,
    /// Answers 503.
    pub(crate) refused: usize,
    /// Answers that no server may give.
    pub(crate) complaints: Vec<String>,
}

pub(crate) struct Producer {
    /// Where the servers are; none ends the load.
    servers: watch::Sender<Vec<SocketAddr>>,
    notes: Arc<Notes>,
    random: Arc<SeededRandom>,
    workers: JoinSet<()>,
}

impl Producer {
    /// `pace`: between two events of one of the twelve workers.
    pub(crate) fn start(servers: Vec<SocketAddr>, pace: Duration, random: &Arc<SeededRandom>) -> Self {
        let servers = watch::Sender::new(servers);
        let notes = Arc::new(Notes::default());
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let worker = Worker {
                servers: servers.subscribe(),
                notes: Arc::clone(&notes),
                random: Arc::clone(random),
                pace,
                unfinished: None,
            };
            workers.spawn(worker.run(number));
        }
        Self { servers, notes, random: Arc::clone(random), workers }
    }

    /// The servers are at these addresses from now on.
    pub(crate) fn go_on(&self, servers: Vec<SocketAddr>) {
        self.servers.send_replace(servers);
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.notes.acknowledged.load(Ordering::Relaxed)
    }

    /// Publishes one event more, at this server and once.
    pub(crate) async fn publish_at(&self, server: SocketAddr, patience: Duration) -> Result<Response<Bytes>> {
        let event = draw(&self.notes, &self.random);
        let answered = timeout(patience, async {
            let mut api = Api::connect(server).await?;
            api.answer(Method::POST, "/v1/events", event.tenant, event.body.clone()).await
        });
        let answer = answered.await.map_err(|_| Failure::new(format!("no answer within {patience:?}")))??;
        note(&self.notes, &event, &answer);
        Ok(answer)
    }

    /// Ends the load.
    pub(crate) async fn stop(mut self) -> Told {
        self.servers.send_replace(Vec::new());
        while self.workers.join_next().await.is_some() {}
        Told {
            published: std::mem::take(&mut *self.notes.published.lock().expect(POISON)),
            refused: self.notes.refused.load(Ordering::Relaxed),
            complaints: std::mem::take(&mut *self.notes.complaints.lock().expect(POISON)),
        }
    }
}

const POISON: &str = "because nothing panics while it holds the lock";

struct Event {
    id: String,
    tenant: &'static str,
    body: Bytes,
    /// Sent again until it is acknowledged; the others are given up when it is not clear what became of them.
    stubborn: bool,
}

struct Worker {
    servers: watch::Receiver<Vec<SocketAddr>>,
    notes: Arc<Notes>,
    random: Arc<SeededRandom>,
    pace: Duration,
    /// To be sent again, under the same id: wherever it goes, it is the same event.
    unfinished: Option<Event>,
}

impl Worker {
    async fn run(mut self, number: usize) {
        for visit in number.. {
            // Copied out at once: a borrow that is held would keep the next addresses from being announced.
            let server = match &**self.servers.borrow() {
                [] => return,
                servers => servers[visit % servers.len()],
            };
            if let Ok(Ok(mut api)) = timeout(CONNECT_MAX, Api::connect(server)).await {
                self.visit(&mut api, server).await;
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Publishes over one connection until it is of no use any more.
    async fn visit(&mut self, api: &mut Api, server: SocketAddr) {
        for _ in 0..EVENTS_EACH_VISIT {
            if !self.servers.borrow().contains(&server) {
                return;
            }
            let event = self.unfinished.take().unwrap_or_else(|| draw(&self.notes, &self.random));
            let answering = api.answer(Method::POST, "/v1/events", event.tenant, event.body.clone());
            let accepted = match timeout(ANSWER_MAX, answering).await {
                Ok(Ok(answer)) => {
                    note(&self.notes, &event, &answer);
                    answer.status() == 202
                }
                // Broken or silent.
                Ok(Err(_)) | Err(_) => false,
            };
            if !accepted {
                self.unfinished = event.stubborn.then_some(event);
                return;
            }
            sleep(self.pace).await;
        }
    }
}

/// The next event, noted as sent before it is.
fn draw(notes: &Notes, random: &SeededRandom) -> Event {
    let number = notes.numbers.fetch_add(1, Ordering::Relaxed);
    let tenant = TENANTS[random.below(TENANTS.len() as u64) as usize];
    let event_type = TYPES[random.below(TYPES.len() as u64) as usize];
    let id = format!("e{number}");
    let body = json!({"id": id, "type": event_type, "data": {"number": number}}).to_string();
    let published =
        Published { tenant: tenant.to_owned(), event_type: event_type.to_owned(), acknowledged: false };
    notes.published.lock().expect(POISON).insert(id.clone(), published);
    Event { id, tenant, body: Bytes::from(body), stubborn: number.is_multiple_of(2) }
}

/// Remembers what was answered, and that it may not be answered so.
fn note(notes: &Notes, event: &Event, answer: &Response<Bytes>) {
    let complaint = match answer.status().as_u16() {
        202 => {
            notes.acknowledged.fetch_add(1, Ordering::Relaxed);
            let mut published = notes.published.lock().expect(POISON);
            published.get_mut(&event.id).expect("because an event is noted before it is sent").acknowledged =
                true;
            return;
        }
        503 => {
            notes.refused.fetch_add(1, Ordering::Relaxed);
            if answer.headers().contains_key("retry-after") {
                return;
            }
            "503 without Retry-After".to_owned()
        }
        status => format!("{status}: {}", String::from_utf8_lossy(answer.body())),
    };
    notes.complaints.lock().expect(POISON).push(format!("event {} was answered with {complaint}", event.id));
}
