//! The producer: publishes as long as it is told to, remembers every answer, and does not give up when the server dies.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use postrider_testkit::random::SeededRandom;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::checker::{Published, Webhook};
use super::endpoint::Endpoints;
use crate::failure::Result;
use crate::product::Api;

pub(super) const TENANTS: [&str; 4] = ["crash-1", "crash-2", "crash-3", "crash-4"];
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
/// Between two events of a worker. Together they publish 300 events a second at most, with five deliveries
/// each: the log of 200 kills can then still be read through the API, row by row.
const PACE: Duration = Duration::from_millis(40);

pub(super) struct Prepared {
    /// By label.
    pub(super) webhooks: BTreeMap<String, Webhook>,
    /// By the webhook's id.
    pub(super) labels: BTreeMap<String, String>,
}

/// Creates tenants and webhooks.
pub(super) async fn prepare(api: &mut Api, endpoints: &Endpoints) -> Result<Prepared> {
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
    numbers: AtomicUsize,
}

pub(super) struct Producer {
    /// Where the server is; none ends the load.
    server: watch::Sender<Option<SocketAddr>>,
    notes: Arc<Notes>,
    workers: JoinSet<()>,
}

impl Producer {
    pub(super) fn start(address: SocketAddr, random: Arc<SeededRandom>) -> Self {
        let server = watch::Sender::new(Some(address));
        let notes = Arc::new(Notes::default());
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            workers.spawn(work(server.subscribe(), Arc::clone(&notes), Arc::clone(&random)));
        }
        Self { server, notes, workers }
    }

    /// The server has come back, at this address.
    pub(super) fn go_on(&self, address: SocketAddr) {
        self.server.send_replace(Some(address));
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.notes.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends the load and gives everything that was ever sent.
    pub(super) async fn stop(mut self) -> BTreeMap<String, Published> {
        self.server.send_replace(None);
        while self.workers.join_next().await.is_some() {}
        std::mem::take(&mut *self.notes.published.lock().expect("because the workers have ended"))
    }
}

struct Event {
    id: String,
    tenant: &'static str,
    body: Bytes,
    /// Sent again until it is acknowledged; the others are given up when the connection breaks.
    stubborn: bool,
}

async fn work(server: watch::Receiver<Option<SocketAddr>>, notes: Arc<Notes>, random: Arc<SeededRandom>) {
    let mut unfinished: Option<Event> = None;
    loop {
        // Copied out at once: a borrow that is held would keep the next address from being announced.
        let at = *server.borrow();
        let Some(address) = at else { return };
        if let Ok(mut api) = Api::connect(address).await {
            publish(&mut api, &mut unfinished, &notes, &random, || *server.borrow() == at).await;
        }
        // The server is dead or moved. A port that refuses answers at once, hence the pace.
        tokio::time::sleep(PACE).await;
    }
}

/// Publishes over one connection until it breaks or is of no use any more.
async fn publish(
    api: &mut Api,
    unfinished: &mut Option<Event>,
    notes: &Notes,
    random: &SeededRandom,
    wanted: impl Fn() -> bool,
) {
    while wanted() {
        let event = unfinished.take().unwrap_or_else(|| draw(notes, random));
        match api.send(Method::POST, "/v1/events", event.tenant, event.body.clone()).await {
            Ok((202, _)) => acknowledge(notes, &event.id),
            // Overloaded: not accepted, and we were told so.
            Ok((503, _)) => {}
            Ok((status, answer)) => {
                let answer = String::from_utf8_lossy(&answer);
                println!("event {} was answered with {status}: {answer}", event.id);
            }
            Err(_broken) => {
                *unfinished = event.stubborn.then_some(event);
                return;
            }
        }
        tokio::time::sleep(PACE).await;
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
    notes
        .published
        .lock()
        .expect("because nothing panics while it holds the lock")
        .insert(id.clone(), published);
    Event { id, tenant, body: Bytes::from(body), stubborn: number.is_multiple_of(2) }
}

fn acknowledge(notes: &Notes, id: &str) {
    notes.acknowledged.fetch_add(1, Ordering::Relaxed);
    let mut published = notes.published.lock().expect("because nothing panics while it holds the lock");
    published.get_mut(id).expect("because an event is noted before it is sent").acknowledged = true;
}
