//! `postrider demo`: the newcomer's first minute. A real server on a temporary store, a receiver beside it, one tenant per
//! profile; every step goes through the HTTP API, and what arrives is checked the way each system's documentation tells
//! receivers to check it, by code that shares nothing with the signer.

mod inbound;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::tz::TimeZone;
use postrider_domain::random::Random as _;
use postrider_domain::schedule;
use postrider_domain::time::{Clock as _, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::serve::until_told_to_end;
use crate::cli::AfterDemo;
use crate::client::Client;
use crate::complaint::Complaint;
use crate::config::Config;
use crate::os::{AdvancedClock, OsRandom, SystemClock};
use crate::{telemetry, wire};

/// No step takes this long on a machine that works: a webhook on loopback takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// The demo's own requests are small.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The first retry of the profile that the failing endpoint uses, and by how much it may be late on a busy machine.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LATE_AT_MOST: Duration = Duration::from_secs(2);
/// How often the API is asked whether a result is written yet: its answer to the receiver's 200 takes a commit.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// One profile at work.
struct System {
    profile: &'static str,
    plan: Option<&'static str>,
    acts: &'static [Act],
    way: Way,
    /// What arrives, in the order of names. Of none: each type of the profile.
    events: &'static [&'static str],
    /// Whether a received request proves itself, as the system's text tells receivers to find out.
    check: fn(&HeaderMap, &[u8], &str) -> Result<(), String>,
    how: &'static str,
}

/// What the application does.
#[derive(Clone, Copy)]
enum Act {
    /// Registers the type, and publishes its example.
    Register(&'static str, &'static str),
    /// Publishes the example of each type of the profile.
    PublishEach,
    /// Writes a record; what follows is the profile's affair. `{tenant}`, `{yesterday}` and `{daily}` stand for values.
    Put(&'static str, &'static str),
}

/// What is special about a system's way from configuration to delivery.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Immediate,
    /// Goes out with the daily scan, to whose hour the demo's clock goes ahead.
    Scan,
    /// The tenant's one webhook, in its settings.
    InSettings,
}

const SYSTEMS: [System; 5] = [
    System {
        profile: "standard",
        plan: None,
        acts: &[Act::Register(
            "invoice.paid",
            r#"{"invoice": "in_1042", "amount": 129.5, "currency": "CHF"}"#,
        )],
        way: Way::Immediate,
        events: &["invoice.paid"],
        check: standard_holds,
        how: "an event was published; Standard Webhooks: base64 HMAC of id.timestamp.body, timestamp fresh",
    },
    System {
        profile: "smartmaintenance",
        plan: None,
        acts: &[Act::PublishEach],
        way: Way::Immediate,
        events: &[],
        check: |headers, body, secret| prefixed_hex_holds(headers, "x-smtm-signature", body, secret),
        how: "its eleven events were published; sha256= and hex HMAC of the raw body",
    },
    System {
        profile: "org-jobs",
        plan: None,
        acts: &[
            Act::Put(
                "job/job-1",
                r#"{"jobName": "Smith Residence", "status": "draft", "ownerUserId": "u-1",
                "createdAt": "2026-03-01T10:00:00.000Z", "updatedAt": "2026-03-01T10:00:00.000Z"}"#,
            ),
            Act::Put(
                "job/job-1",
                r#"{"jobName": "Smith Residence", "status": "draft", "ownerUserId": "u-1",
                "createdAt": "2026-03-01T10:00:00.000Z", "updatedAt": "2026-03-02T10:00:00.000Z",
                "sharing": {"organizationId": "{tenant}"}}"#,
            ),
            Act::Put(
                "job/job-1",
                r#"{"jobName": "Smith Residence - Fire Damage", "status": "inventory", "ownerUserId": "u-1",
                "createdAt": "2026-03-01T10:00:00.000Z", "updatedAt": "2026-03-03T10:00:00.000Z",
                "sharing": {"organizationId": "{tenant}"}}"#,
            ),
        ],
        way: Way::InSettings,
        events: &["job.created", "job.updated"],
        check: |headers, body, secret| prefixed_hex_holds(headers, "x-webhook-signature", body, secret),
        how: "a job was written, linked to the organisation, renamed; sha256= and hex HMAC of the raw body",
    },
    System {
        profile: "rcmanager",
        plan: None,
        acts: &[
            Act::Put("vehicle/v-1", r#"{"name": "Slash 4x4"}"#),
            Act::Put("part/p-1", r#"{"name": "Pinion", "quantity": 6, "threshold": 5}"#),
            Act::Put("part/p-1", r#"{"name": "Pinion", "quantity": 5, "threshold": 5}"#),
            Act::Put("part/p-1", r#"{"name": "Pinion", "quantity": 4, "threshold": 5}"#),
        ],
        way: Way::Immediate,
        events: &["parts.inventory.low", "vehicle.created"],
        check: rewritten_body_holds,
        how: "a vehicle was written, and stock fell to 5 and 4: low once; hex HMAC of the body parsed and written again",
    },
    System {
        profile: "runtight",
        plan: Some("pro"),
        acts: &[
            Act::Put(
                "work_order/wo-1",
                r#"{"title": "Inspect the press", "priority": "high", "status": "open",
                "wo_type": "corrective", "due_date": "{yesterday}", "asset_id": "a-1"}"#,
            ),
            Act::Put(
                "pm_template/pm-1",
                r#"{"title": "Weekly inspection", "priority": "low", "asset_id": "a-1", "cron": "{daily}"}"#,
            ),
        ],
        way: Way::Scan,
        events: &["pm.due", "wo.created", "wo.created", "wo.overdue"],
        check: |headers, body, secret| prefixed_hex_holds(headers, "x-webhook-signature", body, secret),
        how: "a work order and a template were written, and the clock went ahead to the daily scan at 06:00",
    },
];

/// The endpoint that fails once, then recovers.
const FAILING: &str = "failing";

pub(crate) async fn run(after: AfterDemo) -> Result<ExitCode, Complaint> {
    let told_to_end = until_told_to_end()?;
    let folder = tempfile::tempdir().map_err(|error| {
        Complaint::new(
            "no temporary folder could be made",
            error.to_string(),
            "set TMPDIR to a folder that can be written",
        )
    })?;
    let key = operator_key();
    let config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: folder.path().join("data"),
        operator_key: Some(key.clone()),
        egress_allow: vec!["127.0.0.1".to_owned()],
        log_level: "error".to_owned(),
        ..Config::default()
    };
    telemetry::start(&config)?;
    let mut receiver = Receiver::start().await?;
    let clock = Arc::new(AdvancedClock::new());
    let running = wire::start(&config, clock.clone()).await?;
    let api = format!("http://{}", running.address());
    let client = Client::new(&api, key.clone())?;

    println!(
        "Postrider {} on {api}, a receiver on http://{}, a store that goes when this ends.\n",
        env!("CARGO_PKG_VERSION"),
        receiver.address
    );
    println!("{:<18} {:<26} {:<7} {:>10}  signature", "system", "event", "status", "latency");
    let mut held = true;
    let (last, others) = SYSTEMS.split_last().expect("because there are five");
    for system in others {
        held &= told(show(&client, &mut receiver, system, &clock).await);
    }
    held &= told(show_retry(&client, &mut receiver).await);
    held &= told(inbound::show(&client, &mut receiver).await);
    // The clock goes ahead: nothing that is measured comes after it.
    println!();
    held &= told(show(&client, &mut receiver, last, &clock).await);
    held &= told(show_ledgers(&client).await);
    println!("\n{}", if held { "All of it held." } else { "Not all of it held: see the lines above." });

    if after == AfterDemo::StayUp {
        invite(&api, &key);
        tokio::pin!(told_to_end);
        loop {
            tokio::select! {
                () = &mut told_to_end => break,
                arrived = receiver.arrivals.recv() => {
                    let Some(arrived) = arrived else { break };
                    println!("received {} on {}, answered {}: {}", arrived.event_type, arrived.path, arrived.status, arrived.verdict());
                }
            }
        }
    }
    running.stop().await;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what went wrong with one part, and lets the others be shown.
fn told(outcome: Result<(), Complaint>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(complaint) => {
            println!("{complaint}");
            false
        }
    }
}

fn operator_key() -> SecretString {
    let mut bytes = [0u8; 32];
    OsRandom.fill(&mut bytes);
    SecretString::from(format!("demo_{}", hex::encode(bytes)))
}

fn tenant_of(profile: &str) -> String {
    format!("demo-{profile}")
}

/// One system: tenant, webhook, what the application does, and a line for what arrives.
async fn show(
    client: &Client,
    receiver: &mut Receiver,
    system: &System,
    clock: &AdvancedClock,
) -> Result<(), Complaint> {
    let tenant = tenant_of(system.profile);
    create_tenant(client, &tenant, system).await?;
    let url = receiver.url(system.profile);
    let secret = create_webhook(client, &tenant, &url, system).await?;
    receiver.expect(system.profile, system.check, &secret, &[]);
    let mut began = Instant::now();
    let mut published = Vec::new();
    for act in system.acts {
        published.extend(act.done(client, &tenant, clock).await?);
    }
    let expected = match system.events {
        [] => published,
        events => events.iter().map(|event| (*event).to_owned()).collect(),
    };
    if system.way == Way::Scan {
        began = Instant::now();
        clock.advance(until_scan(clock.now()));
    }
    let mut arrived = Vec::with_capacity(expected.len());
    for _ in &expected {
        arrived.push(receiver.next(system.profile).await?);
    }
    arrived.sort_by(|one, other| one.event_type.cmp(&other.event_type));
    for arrival in &arrived {
        line(system.profile, &arrival.event_type, arrival, began);
    }
    let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    expected.sort_unstable();
    let types: Vec<&str> = arrived.iter().map(|arrival| arrival.event_type.as_str()).collect();
    if types != expected {
        return Err(did_not_hold(format!("{types:?} arrived instead of {expected:?}")));
    }
    let count = arrived.len();
    arrived.into_iter().try_for_each(|arrival| arrival.proof)?;
    println!("{:<18} {}", "", system.how);
    until_delivered(client, &tenant, count).await
}

impl Act {
    /// Answers the types of what was published.
    async fn done(
        self,
        client: &Client,
        tenant: &str,
        clock: &AdvancedClock,
    ) -> Result<Vec<String>, Complaint> {
        match self {
            Self::Register(event_type, example) => {
                let example: Value = serde_json::from_str(example).unwrap_or_default();
                let body = json!({ "type": event_type, "example": example });
                client.expect(Method::POST, "/v1/event-types", Some(tenant), Some(&body)).await?;
                let event = json!({ "type": event_type, "data": example });
                client.expect(Method::POST, "/v1/events", Some(tenant), Some(&event)).await?;
                Ok(vec![event_type.to_owned()])
            }
            Self::PublishEach => {
                let known = client.expect(Method::GET, "/v1/event-types", Some(tenant), None).await?;
                let known = known["data"].as_array().cloned().unwrap_or_default();
                let mut published = Vec::new();
                for known in known.iter().filter(|known| known["origin"] == "profile") {
                    let event = json!({ "type": known["type"], "data": known["example"] });
                    client.expect(Method::POST, "/v1/events", Some(tenant), Some(&event)).await?;
                    published.extend(known["type"].as_str().map(str::to_owned));
                }
                Ok(published)
            }
            Self::Put(record, content) => {
                let today = schedule::date_in(clock.now(), &zone());
                let yesterday = today.yesterday().unwrap_or(today).to_string();
                let content = content
                    .replace("{tenant}", tenant)
                    .replace("{yesterday}", &yesterday)
                    .replace("{daily}", "0 6 * * *");
                let content: Value = serde_json::from_str(&content).unwrap_or_default();
                client
                    .expect(Method::PUT, &format!("/v1/records/{record}"), Some(tenant), Some(&content))
                    .await?;
                Ok(Vec::new())
            }
        }
    }
}

/// The demo's tenants live there.
const ZONE: &str = "Asia/Jakarta";

fn zone() -> TimeZone {
    TimeZone::get(ZONE).unwrap_or(TimeZone::UTC)
}

/// How long it is until the next 06:00 of the tenants' wall clock.
fn until_scan(now: Timestamp) -> Duration {
    schedule::next_scan(now, &zone(), (6, 0)).since(now)
}

fn line(system: &str, event: &str, arrived: &Arrival, began: Instant) {
    let latency = arrived.at.duration_since(began).as_secs_f64() * 1000.0;
    println!(
        "{system:<18} {event:<26} {:<7} {latency:>7.1} ms  {}",
        arrived.status.as_u16(),
        arrived.verdict()
    );
}

async fn create_tenant(client: &Client, tenant: &str, system: &System) -> Result<(), Complaint> {
    let mut body = json!({
        "id": tenant,
        "name": "PT Kahatex",
        "profile": system.profile,
        "timezone": ZONE,
        "attributes": { "company_id": 1 },
    });
    if let Some(plan) = system.plan {
        body["plan"] = plan.into();
    }
    client.expect(Method::POST, "/v1/tenants", None, Some(&body)).await.map(drop)
}

/// Registers the webhook and returns its secret, which the server made.
async fn create_webhook(
    client: &Client,
    tenant: &str,
    url: &str,
    system: &System,
) -> Result<String, Complaint> {
    let secret = if system.way == Way::InSettings {
        let change =
            json!({ "settings": { "webhook": { "url": url, "enabled": true, "generateSecret": true } } });
        let changed =
            client.expect(Method::PATCH, &format!("/v1/tenants/{tenant}"), None, Some(&change)).await?;
        changed["settings"]["webhook"]["secret"].clone()
    } else {
        let new = json!({ "url": url, "events": ["*"], "generateSecret": true });
        client.expect(Method::POST, "/v1/webhooks", Some(tenant), Some(&new)).await?["secret"].clone()
    };
    secret
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| did_not_hold("the webhook's secret was not shown when it was made"))
}

/// An endpoint that answers 500 once: the second attempt comes when the profile's schedule says, signed anew.
async fn show_retry(client: &Client, receiver: &mut Receiver) -> Result<(), Complaint> {
    let system = SYSTEMS
        .iter()
        .find(|system| system.profile == "smartmaintenance")
        .expect("because it is in the table");
    let tenant = tenant_of(FAILING);
    create_tenant(client, &tenant, system).await?;
    let secret = create_webhook(client, &tenant, &receiver.url(FAILING), system).await?;
    receiver.expect(FAILING, system.check, &secret, &[StatusCode::INTERNAL_SERVER_ERROR]);
    let known = client.expect(Method::GET, "/v1/event-types/task.completed", Some(&tenant), None).await?;
    let event = json!({ "type": "task.completed", "data": known["example"] });

    println!("\nAn endpoint that fails once; this profile retries after 1, 5, 25, 125 and 625 s:");
    let began = Instant::now();
    client.expect(Method::POST, "/v1/events", Some(&tenant), Some(&event)).await?;
    let first = receiver.next(FAILING).await?;
    line("smartmaintenance", "task.completed, attempt 1", &first, began);
    let second = receiver.next(FAILING).await?;
    line("smartmaintenance", "task.completed, attempt 2", &second, began);
    let waited = second.at.duration_since(first.at);
    first.proof?;
    second.proof?;
    // The schedule counts from the end of the failed attempt; the receiver's clock starts a little before that.
    if waited < FIRST_RETRY || waited > FIRST_RETRY + LATE_AT_MOST {
        return Err(did_not_hold(format!("the retry came after {} ms", waited.as_millis())));
    }
    if first.headers.get("x-smtm-delivery") != second.headers.get("x-smtm-delivery") {
        return Err(did_not_hold("the retry had another X-SMTM-Delivery than the first attempt"));
    }
    println!("{:<18} after {:.3} s, with the same X-SMTM-Delivery", "", waited.as_secs_f64());
    until_delivered(client, &tenant, 1).await
}

/// Waits until the API says so as well: what the receiver saw and what the log says are two things.
async fn until_delivered(client: &Client, tenant: &str, count: usize) -> Result<(), Complaint> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let deliveries = client.expect(Method::GET, "/v1/deliveries", Some(tenant), None).await?;
        let all = deliveries["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        if all.len() == count && all.iter().all(|delivery| delivery["state"] == "delivered") {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(did_not_hold(format!(
                "the log of {tenant} does not say {count} delivered: {deliveries}"
            )));
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

async fn show_ledgers(client: &Client) -> Result<(), Complaint> {
    let (mut accepted, mut delivered) = (0, 0);
    for name in SYSTEMS.iter().map(|system| system.profile).chain([FAILING, inbound::NAME]) {
        let ledger = client.expect(Method::GET, "/v1/ledger", Some(&tenant_of(name)), None).await?;
        if ledger["balanced"] != true {
            return Err(did_not_hold(format!("the ledger of {name} does not balance: {ledger}")));
        }
        accepted += ledger["accepted"].as_u64().unwrap_or(0);
        delivered += ledger["delivered"].as_u64().unwrap_or(0);
    }
    println!("\nLedger: {accepted} accepted, {delivered} delivered, balanced.");
    if accepted == delivered { Ok(()) } else { Err(did_not_hold("not everything accepted was delivered")) }
}

fn did_not_hold(why: impl Into<String>) -> Complaint {
    Complaint::new("a part of the demo did not hold", why, "report this: it is a bug of Postrider")
}

fn invite(api: &str, key: &SecretString) {
    let key = key.expose_secret();
    println!("\nIt stays up until Ctrl-C. Look at {api}/docs, or try:\n");
    println!(
        "  curl -s {api}/v1/deliveries -H 'Authorization: Bearer {key}' -H 'Postrider-Tenant: {}'",
        tenant_of(FAILING)
    );
    println!(
        "  curl -s {api}/v1/events -H 'Authorization: Bearer {key}' -H 'Postrider-Tenant: {}' \\\n    \
         -H 'Content-Type: application/json' -d '{{\"type\": \"vehicle.created\", \"data\": {{\"vehicle\": {{\"id\": \"veh_1\"}}}}}}'",
        tenant_of("rcmanager")
    );
    println!(
        "  curl -s {api}/v1/events -H 'Authorization: Bearer {key}' -H 'Postrider-Tenant: {}' \\\n    \
         -H 'Content-Type: application/json' -d '{{\"type\": \"task.completed\", \"data\": {{\"task_id\": 12346}}}}'\n",
        tenant_of("smartmaintenance")
    );
}

// The receiver.

type Check = fn(&HeaderMap, &[u8], &str) -> Result<(), String>;

/// What a path of the receiver knows: how to check a request, the secret, and how to answer the next ones.
struct Endpoint {
    check: Check,
    secret: String,
    answers: Vec<StatusCode>,
}

/// A request that came, and what was made of it.
struct Arrival {
    path: String,
    event_type: String,
    headers: HeaderMap,
    at: Instant,
    status: StatusCode,
    proof: Result<(), Complaint>,
}

impl Arrival {
    fn verdict(&self) -> String {
        match &self.proof {
            Ok(()) => "verified".to_owned(),
            Err(complaint) => format!("NOT VERIFIED: {}", complaint.why),
        }
    }
}

struct Receiver {
    address: SocketAddr,
    endpoints: Arc<Mutex<HashMap<String, Endpoint>>>,
    arrivals: mpsc::Receiver<Arrival>,
    /// Ends the receiver when it is dropped.
    _accepting: JoinSet<()>,
}

impl Receiver {
    async fn start() -> Result<Self, Complaint> {
        let unusable = |error: std::io::Error| {
            Complaint::new(
                "the demo's receiver could not listen",
                error.to_string(),
                "allow listening on 127.0.0.1",
            )
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let endpoints: Arc<Mutex<HashMap<String, Endpoint>>> = Arc::default();
        let (sender, arrivals) = mpsc::channel(64);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, endpoints.clone(), sender));
        Ok(Self { address, endpoints, arrivals, _accepting: accepting })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Tells a path what its requests are signed with, and how to answer the first of them; 200 afterwards.
    fn expect(&self, path: &str, check: Check, secret: &str, answers: &[StatusCode]) {
        let endpoint = Endpoint { check, secret: secret.to_owned(), answers: answers.to_vec() };
        self.endpoints
            .lock()
            .expect("because no holder of this lock panics")
            .insert(path.to_owned(), endpoint);
    }

    /// The next request on a path.
    async fn next(&mut self, path: &str) -> Result<Arrival, Complaint> {
        loop {
            match tokio::time::timeout(PATIENCE, self.arrivals.recv()).await {
                Ok(Some(arrival)) if arrival.path == path => return Ok(arrival),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    return Err(did_not_hold(format!(
                        "nothing arrived on {path} within {} s",
                        PATIENCE.as_secs()
                    )));
                }
            }
        }
    }
}

async fn accept(
    listener: TcpListener,
    endpoints: Arc<Mutex<HashMap<String, Endpoint>>>,
    arrivals: mpsc::Sender<Arrival>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (endpoints, arrivals) = (endpoints.clone(), arrivals.clone());
        connections.spawn(async move {
            let service = service_fn(|request| receive(request, &endpoints, &arrivals));
            // A client that goes away is nothing to report: what it sent before is.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn receive(
    request: Request<Incoming>,
    endpoints: &Mutex<HashMap<String, Endpoint>>,
    arrivals: &mpsc::Sender<Arrival>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_start_matches('/').to_owned();
    let (body, (status, proof)) = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            let judged = judge(&path, &head.headers, &body, endpoints);
            (body, judged)
        }
        Err(error) => (Bytes::new(), (StatusCode::BAD_REQUEST, Err(error.to_string()))),
    };
    let proof = proof.map_err(did_not_hold);
    let arrival = Arrival { path, event_type: event_type(&body), headers: head.headers, at, status, proof };
    // The demo is ending when nobody listens any more.
    let _ = arrivals.send(arrival).await;
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    Ok(answer)
}

/// As the body tells it: three of the formats call it `event`, two `type`.
fn event_type(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    ["event", "type"].iter().find_map(|name| body[name].as_str()).unwrap_or("something else").to_owned()
}

fn judge(
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    endpoints: &Mutex<HashMap<String, Endpoint>>,
) -> (StatusCode, Result<(), String>) {
    let mut endpoints = endpoints.lock().expect("because no holder of this lock panics");
    let Some(endpoint) = endpoints.get_mut(path) else {
        return (StatusCode::NOT_FOUND, Err(format!("no endpoint {path}")));
    };
    let proof = (endpoint.check)(headers, body, &endpoint.secret);
    let status = match (&proof, endpoint.answers.is_empty()) {
        (Err(_), _) => StatusCode::UNAUTHORIZED,
        (Ok(()), true) => StatusCode::OK,
        (Ok(()), false) => endpoint.answers.remove(0),
    };
    (status, proof)
}

// How each text tells receivers to check a request. None of this is used for signing.

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or_else(|| format!("there is no {name}"))
}

fn mac_holds(secret: &[u8], parts: &[&[u8]], signature: &[u8]) -> Result<(), String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("because HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(signature).map_err(|_| "the signature is another one".to_owned())
}

fn prefixed_hex_holds(headers: &HeaderMap, name: &str, body: &[u8], secret: &str) -> Result<(), String> {
    let value = header(headers, name)?;
    let digits =
        value.strip_prefix("sha256=").ok_or_else(|| format!("{name} does not begin with sha256="))?;
    let signature = hex::decode(digits).map_err(|_| format!("{name} is not hex"))?;
    mac_holds(secret.as_bytes(), &[body], &signature)
}

/// The documented receiver signs the body that it parsed and wrote again.
fn rewritten_body_holds(headers: &HeaderMap, body: &[u8], secret: &str) -> Result<(), String> {
    let parsed: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let signature = hex::decode(header(headers, "x-propitbox-signature")?)
        .map_err(|_| "the signature is not hex".to_owned())?;
    mac_holds(secret.as_bytes(), &[parsed.to_string().as_bytes()], &signature)
}

fn standard_holds(headers: &HeaderMap, body: &[u8], secret: &str) -> Result<(), String> {
    const TOLERANCE: i64 = 5 * 60;
    let (id, sent) = (header(headers, "webhook-id")?, header(headers, "webhook-timestamp")?);
    let age = SystemClock.now().unix_seconds()
        - sent.parse::<i64>().map_err(|_| "webhook-timestamp is no number")?;
    if age.abs() > TOLERANCE {
        return Err(format!("webhook-timestamp is {age} s old"));
    }
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64
        .decode(secret.strip_prefix("whsec_").unwrap_or(secret))
        .map_err(|_| "the secret is not base64".to_owned())?;
    let parts = [id.as_bytes(), b".", sent.as_bytes(), b".", body];
    let signatures = header(headers, "webhook-signature")?;
    let holds = signatures
        .split(' ')
        .filter_map(|signature| base64.decode(signature.strip_prefix("v1,")?).ok())
        .any(|signature| mac_holds(&key, &parts, &signature).is_ok());
    if holds { Ok(()) } else { Err("no signature of webhook-signature is ours".to_owned()) }
}
