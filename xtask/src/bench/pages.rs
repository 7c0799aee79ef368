//! Pages: what each of the dashboard takes to answer, and weighs, beside a million deliveries of ten thousand webhooks; and what a
//! live tail costs the deliveries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_ENCODING, LOCATION, SET_COOKIE};
use hyper::{Method, Request};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::load::{self, Closed, Load, Target, batch, percentile};
use super::receiver::Sink;
use super::report::{Asked, Figure, Unit};
use super::scenario::Scale;
use crate::clock::now_ns;
use crate::commands;
use crate::failure::{Failure, Result};
use crate::product::{Api, OPERATOR_KEY, Server};

const TENANTS: usize = 10;
/// Of each tenant: what one may have.
const WEBHOOKS: usize = 1000;
/// Of each tenant. Each goes to all of its webhooks: 1,000,000 deliveries in all.
const EVENTS: usize = 100;
/// Events of one request: one commit with 10,000 deliveries.
const BATCH: usize = 10;
const CONNECTIONS: usize = 8;
/// Of a hundred webhooks of a tenant, so many refuse everything; so many ask to be tried again on another day.
const REFUSING: usize = 2;
const LATER: usize = 3;
/// The standard profile but for its retries: what fails has failed for good a moment later.
const PROFILE: &str = "bench-pages";
const RETRIES: &str = "retries = [\"1s\"]";
/// How far the store has been filled is asked so often.
const POLL: Duration = Duration::from_millis(500);
/// Without any delivery's end for so long, the rest does not come.
const SILENCE_MAX: Duration = Duration::from_secs(60);

const REQUESTS: usize = 50;
const PAGE_MS_MAX: f64 = 150.0;
const PAGE_KIB_MAX: f64 = 100.0;

/// What is looked at, as an operator, of the first tenant. Names in braces stand for what was found in the store.
const PAGES: &[&str] = &[
    "/dashboard/",
    "/dashboard/?q=bench",
    "/dashboard/ledger",
    "/dashboard/keys",
    "/dashboard/profiles",
    "/dashboard/audit",
    "/dashboard/t/{tenant}/",
    "/dashboard/t/{tenant}/webhooks",
    "/dashboard/t/{tenant}/webhooks/new",
    "/dashboard/t/{tenant}/webhooks/{webhook}",
    "/dashboard/t/{tenant}/webhooks/{webhook}?range=1h",
    "/dashboard/t/{tenant}/webhooks/{webhook}?range=30d",
    "/dashboard/t/{tenant}/webhooks/{webhook}/edit",
    "/dashboard/t/{tenant}/webhooks/{webhook}/test",
    "/dashboard/t/{tenant}/deliveries",
    "/dashboard/t/{tenant}/deliveries?state=failed",
    "/dashboard/t/{tenant}/deliveries?state=scheduled",
    "/dashboard/t/{tenant}/deliveries?code=500",
    "/dashboard/t/{tenant}/deliveries?type=never.seen",
    "/dashboard/t/{tenant}/deliveries?webhook={webhook}",
    "/dashboard/t/{tenant}/deliveries/{delivery}",
    "/dashboard/t/{tenant}/deliveries/{delivery}/curl",
    "/dashboard/t/{tenant}/search?q=nothing+has+this",
    "/dashboard/t/{tenant}/events",
    "/dashboard/t/{tenant}/events?type=never.seen",
    "/dashboard/t/{tenant}/events/{event}",
    "/dashboard/t/{tenant}/event-types",
    "/dashboard/t/{tenant}/workflows",
    "/dashboard/t/{tenant}/requests",
    "/dashboard/t/{tenant}/runs",
    "/dashboard/t/{tenant}/secrets",
    "/dashboard/t/{tenant}/connections",
    "/dashboard/t/{tenant}/inbox",
    "/dashboard/t/{tenant}/dry-run",
    "/dashboard/t/{tenant}/signature",
    "/dashboard/t/{tenant}/audit",
    "/dashboard/t/{tenant}/scans",
    "/dashboard/t/{tenant}/settings",
];
const LIVE: &str = "/dashboard/t/{tenant}/deliveries/live";

/// Counts what is delivered to fill the store.
const FILL_SLOT: usize = 1;
const LIVE_SLOT: usize = 0;
/// Has one webhook only: there a delivery is an event.
const LIVE_TENANT: &str = "bench-live";
const LIVE_RATE: u32 = 1000;

/// Of the tenant whose events the live tail showed: 40,000 of them, each with one delivery.
const PAGES_AFTER_TAIL: &[&str] = &[
    "/dashboard/t/{live}/search?q=nothing+has+this",
    "/dashboard/t/{live}/deliveries?type=never.seen",
    "/dashboard/t/{live}/deliveries?code=500",
    "/dashboard/t/{live}/events?type=never.seen",
];

pub(super) async fn measure(server: &Server, sink: &Sink, scale: Scale) -> Result<Vec<Figure>> {
    let filled = fill(server, sink, scale).await?;
    let mut api = server.api().await?;
    let session = sign_in(&mut api).await?;
    if session.is_none() {
        println!("    the dashboard is not there: nobody can sign in");
    }
    let session = session.unwrap_or_default();
    let mut figures = Vec::new();
    for page in PAGES {
        figures.extend(look(&mut api, &session, &filled.name(page), page).await?);
    }
    figures.extend(tail(server, sink, &session, scale).await?);
    for page in PAGES_AFTER_TAIL {
        figures.extend(look(&mut api, &session, &page.replace("{live}", LIVE_TENANT), page).await?);
    }
    figures.push(Figure::new("peak memory", server.memory_peak_mib()?, Unit::Mib, Asked::Nothing));
    Ok(figures)
}

/// What pages are asked of.
struct Filled {
    tenant: String,
    webhook: String,
    delivery: String,
    event: String,
}

impl Filled {
    fn name(&self, page: &str) -> String {
        page.replace("{tenant}", &self.tenant)
            .replace("{webhook}", &self.webhook)
            .replace("{delivery}", &self.delivery)
            .replace("{event}", &self.event)
    }
}

/// Publishes until the store holds what is asked for: over HTTP, as everybody would.
async fn fill(server: &Server, sink: &Sink, scale: Scale) -> Result<Filled> {
    let began = Instant::now();
    let mut api = server.api().await?;
    let source = std::fs::read_to_string(commands::root().join("profiles/standard.toml"))?;
    let profile = json!({"source": of_the_bench(&source)?});
    api.call(Method::POST, "/v1/profiles", "", &profile).await?;
    let tenants: Vec<_> = (0..TENANTS).map(|n| format!("bench-{n}")).collect();
    for id in &tenants {
        let tenant = json!({"id": id, "name": id, "profile": PROFILE});
        api.call(Method::POST, "/v1/tenants", "", &tenant).await?;
    }

    let webhooks = scale.of(WEBHOOKS);
    let (names, urls) = (tenants.clone(), [sink.url(FILL_SLOT), sink.refusing_url(), sink.later_url()]);
    let ask = move |api: &Api, n: usize| {
        let number = n / TENANTS;
        let url = match number % 100 {
            place if place < REFUSING => &urls[1],
            place if place < REFUSING + LATER => &urls[2],
            _ => &urls[0],
        };
        let webhook = json!({"name": format!("Receiver {number}"), "url": url, "events": ["*"]});
        api.request(Method::POST, "/v1/webhooks", &names[n % TENANTS], Bytes::from(webhook.to_string()))
    };
    let creations = Load { server: server.address, ask: Arc::new(ask), takes: created };
    load::closed_loop(&creations, TENANTS * webhooks, CONNECTIONS).await?;
    println!("    {} webhooks after {:.0?}", TENANTS * webhooks, began.elapsed());

    let target = Target { server: server.address, tenants: Arc::new(tenants.clone()) };
    let batches = Closed {
        path: "/v1/events/batch",
        body: batch(BATCH),
        requests: TENANTS * EVENTS / BATCH,
        connections: CONNECTIONS,
    };
    load::closed(&target, &batches).await?;
    settled(&mut api, &tenants, webhooks).await?;
    println!("    {} deliveries after {:.0?}", TENANTS * webhooks * EVENTS, began.elapsed());

    let tenant = tenants[0].clone();
    let delivery = api.get("/v1/deliveries?limit=1&state=failed", &tenant).await?["data"][0].clone();
    let id = |name: &str| delivery[name].as_str().map(str::to_owned);
    let ids = (id("webhookId"), id("id"), id("eventId"));
    let (Some(webhook), Some(delivery), Some(event)) = ids else {
        return Err(Failure::new(format!("a listed delivery misses an id: {delivery}")));
    };
    Ok(Filled { tenant, webhook, delivery, event })
}

fn of_the_bench(standard: &str) -> Result<String> {
    let line = |line: &str| match line {
        line if line.starts_with("name =") => format!("name = \"{PROFILE}\""),
        line if line.starts_with("retries =") => RETRIES.to_owned(),
        line => line.to_owned(),
    };
    let source = standard.lines().map(line).collect::<Vec<_>>().join("\n");
    if source.contains(PROFILE) && source.contains(RETRIES) {
        Ok(source)
    } else {
        Err(Failure::new("profiles/standard.toml has no line with its name, or none with its retries"))
    }
}

fn created(status: u16, answer: &Bytes) -> Result<()> {
    if status == 201 { Ok(()) } else { Err(load::refused(status, answer)) }
}

/// Waits until every delivery has ended but those that wait for another day.
async fn settled(api: &mut Api, tenants: &[String], webhooks: usize) -> Result<()> {
    let per_hundred = |count: usize| (webhooks / 100 * count * EVENTS * tenants.len()) as u64;
    let (all, failed, later) = (per_hundred(100), per_hundred(REFUSING), per_hundred(LATER));
    let (mut last, mut changed) = (Value::Null, Instant::now());
    loop {
        let (mut delivered, mut given_up, mut scheduled, mut sending) = (0, 0, 0, 0);
        for tenant in tenants {
            let ledger = api.get("/v1/ledger", tenant).await?;
            let count = |name: &str| ledger[name].as_u64().unwrap_or_default();
            delivered += count("delivered");
            given_up += count("failed");
            scheduled += count("scheduled");
            sending += count("sending");
        }
        if (delivered, given_up, scheduled, sending) == (all - failed - later, failed, later, 0) {
            return Ok(());
        }
        let now =
            json!({"delivered": delivered, "failed": given_up, "scheduled": scheduled, "sending": sending});
        if now != last {
            (last, changed) = (now, Instant::now());
        }
        if changed.elapsed() > SILENCE_MAX {
            return Err(Failure::new(format!(
                "of {all} deliveries nothing moves for {SILENCE_MAX:?}: {last}"
            )));
        }
        sleep(POLL).await;
    }
}

/// The cookie of a session as the operator; none where there is no dashboard.
async fn sign_in(api: &mut Api) -> Result<Option<String>> {
    let request = Request::post("/dashboard/login")
        .header("host", api.host())
        .header("origin", format!("http://{}", api.host()))
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(format!("key={OPERATOR_KEY}")))?;
    let answer = api.whole(request).await?;
    if answer.status() == 404 {
        return Ok(None);
    }
    let cookies: Vec<_> = answer
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .collect();
    match cookies.is_empty() {
        false => Ok(Some(cookies.join("; "))),
        true => Err(Failure::new(format!("signing in answered {} without a cookie", answer.status()))),
    }
}

/// Asks for a page over and over. What is not there is said, and has no figures.
async fn look(api: &mut Api, session: &str, path: &str, page: &str) -> Result<Vec<Figure>> {
    let (mut micros, mut bytes) = (Vec::new(), 0);
    for _ in 0..REQUESTS {
        let request = Request::get(path)
            .header("host", api.host())
            .header("cookie", session)
            .header("accept", "text/html")
            .header("accept-encoding", "gzip")
            .body(Full::default())?;
        let began = Instant::now();
        let answer = api.whole(request).await?;
        micros.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        if answer.status() != 200 {
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            return Err(Failure::new(format!("{page}: {} {}", answer.status(), to.unwrap_or_default())));
        }
        if answer.headers().get(CONTENT_ENCODING).is_none_or(|coding| coding != "gzip") {
            println!("    {page} is not compressed");
        }
        bytes = bytes.max(answer.body().len());
    }
    micros.sort_unstable();
    let ms = |share| percentile(&micros, share) / 1e3;
    let place = page.trim_start_matches("/dashboard");
    Ok(vec![
        Figure::new(&format!("{place} p50"), ms(0.5), Unit::Ms, Asked::Nothing),
        Figure::new(&format!("{place} p95"), ms(0.95), Unit::Ms, Asked::Max(PAGE_MS_MAX)),
        Figure::new(&format!("{place} gzip"), bytes as f64 / 1024.0, Unit::Kib, Asked::Max(PAGE_KIB_MAX)),
    ])
}

/// The same load with somebody looking at the live tail and with nobody, on the filled store.
async fn tail(server: &Server, sink: &Sink, session: &str, scale: Scale) -> Result<Vec<Figure>> {
    server.api().await?.create_tenant(LIVE_TENANT).await?;
    server.api().await?.create_webhook(LIVE_TENANT, &sink.url(LIVE_SLOT), &["*"]).await?;
    let Some(reader) = Reader::open(server.address, session).await? else {
        println!("    {LIVE} is not there");
        return Ok(Vec::new());
    };
    drop(reader);
    let seconds = Duration::from_secs(if scale == Scale::Full { 20 } else { 5 });
    let (alone, _) = delivered(server, sink, seconds).await?;
    let reader = Reader::open(server.address, session).await?;
    let reader = reader.ok_or_else(|| Failure::new("the live tail was there, and is no more"))?;
    let (watched, p99) = delivered(server, sink, seconds).await?;
    let read = reader.bytes.load(Ordering::Relaxed) as f64 / 1024.0;
    Ok(vec![
        Figure::new("delivered, nobody looks", alone, Unit::PerSecond, Asked::Nothing),
        Figure::new("delivered, a live tail", watched, Unit::PerSecond, Asked::Nothing),
        Figure::new("with a live tail against without", watched / alone, Unit::Times, Asked::Min(0.9)),
        Figure::new("delivered p99, a live tail", p99, Unit::Ms, Asked::Nothing),
        Figure::new("read of the live tail", read, Unit::Kib, Asked::Nothing),
    ])
}

/// Deliveries a second at the sink while events are published at a steady rate, and the p99 of their way in milliseconds.
async fn delivered(server: &Server, sink: &Sink, duration: Duration) -> Result<(f64, f64)> {
    sink.reset().await?;
    let target = Target { server: server.address, tenants: Arc::new(vec![LIVE_TENANT.to_owned()]) };
    let began = now_ns();
    let acks = load::open(&target, LIVE_RATE, duration).await?;
    let stats = sink.wait_for(LIVE_SLOT, acks.len() as u64).await?;
    let seconds = stats.last_ns.saturating_sub(began) as f64 / 1e9;
    Ok((acks.len() as f64 / seconds, percentile(&stats.latencies_us, 0.99) / 1e3))
}

/// Somebody who looks at the live tail of [`LIVE_TENANT`] until dropped.
struct Reader {
    bytes: Arc<AtomicU64>,
    reading: JoinHandle<()>,
}

impl Reader {
    /// `None`: there is no such page.
    async fn open(server: SocketAddr, session: &str) -> Result<Option<Self>> {
        let path = LIVE.replace("{tenant}", LIVE_TENANT);
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {server}\r\ncookie: {session}\r\naccept: text/event-stream\r\n\r\n"
        );
        let mut stream = TcpSocket::new_v4()?.connect(server).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut part = vec![0; 64 * 1024];
        let length = stream.read(&mut part).await?;
        if !part[..length].starts_with(b"HTTP/1.1 200") {
            return Ok(None);
        }
        let bytes = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&bytes);
        let reading = tokio::spawn(async move {
            // It ends with the server, or when the reader is dropped.
            while let Ok(length @ 1..) = stream.read(&mut part).await {
                count.fetch_add(length as u64, Ordering::Relaxed);
            }
        });
        Ok(Some(Self { bytes, reading }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchs_profile_is_the_standard_one_with_other_retries() {
        let standard = include_str!("../../../profiles/standard.toml");
        let source = of_the_bench(standard).expect("it has both lines");
        let changed = standard.lines().zip(source.lines()).filter(|(before, after)| before != after);
        assert_eq!(changed.map(|(_, after)| after).collect::<Vec<_>>(), ["name = \"bench-pages\"", RETRIES]);
    }

    #[test]
    fn every_name_in_a_pages_path_is_filled_in() {
        let id = |id: &str| id.to_owned();
        let filled = Filled { tenant: id("t"), webhook: id("w"), delivery: id("d"), event: id("e") };
        for page in PAGES {
            assert!(!filled.name(page).contains(['{', '}']), "{page}");
        }
    }
}
