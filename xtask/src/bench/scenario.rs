//! The scenarios, as a table. Each starts a server of its own.

use std::fmt::{self, Display, Formatter};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use postrider_testkit::postgres::Postgres;
use tempfile::TempDir;
use tokio::time::sleep;

use super::Kind;

use super::load::{self, Closed, Target, batch, median, percentile, publication};
use super::raw::{self, Sample};
use super::receiver::{Sink, Stats};
use super::report::{Asked, Figure, Unit};
use crate::failure::{Failure, Result};
use crate::product::{Api, Home, Server, free_address};

pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) on: &'static [Kind],
    pub(super) run: for<'a> fn(&'a World<'a>) -> Running<'a>,
}

pub(super) type Running<'a> = Pin<Box<dyn Future<Output = Result<Vec<Figure>>> + 'a>>;

/// The floors are where acceptance begins: go for twice that.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "single",
        what: "one tenant, one webhook, closed loop of 64",
        on: BOTH,
        run: |world| Box::pin(single(world)),
    },
    Scenario {
        name: "tenants",
        what: "100 tenants with a webhook each, closed loop of 64",
        on: BOTH,
        run: |world| Box::pin(tenants(world)),
    },
    Scenario {
        name: "fanout",
        what: "one tenant with ten webhooks, closed loop of 64",
        on: BOTH,
        run: |world| Box::pin(fanout(world)),
    },
    Scenario {
        name: "batch",
        what: "one tenant, one webhook, batches of 100, closed loop of 8",
        on: BOTH,
        run: |world| Box::pin(batches(world)),
    },
    Scenario { name: "steady", what: "50 events a second", on: BOTH, run: |world| Box::pin(steady(world)) },
    Scenario {
        name: "backlog",
        what: "100,000 deliveries wait for a dead endpoint while another one is served",
        on: BOTH,
        run: |world| Box::pin(backlog(world)),
    },
    Scenario {
        name: "neighbours",
        what: "a served endpoint beside a dead one and beside one that hangs, against alone: five pairs each",
        on: BOTH,
        run: |world| Box::pin(neighbours(world)),
    },
    Scenario {
        name: "records",
        what: "an import of 1,000,000 records, and a scan that finds 10,000 of them due",
        on: BOTH,
        run: |world| Box::pin(records(world)),
    },
    Scenario {
        name: "inbound",
        what: "requests to triggers, and runs of a transform and an emit from the request to their end, closed loops of 64",
        on: BOTH,
        run: |world| Box::pin(inbound(world)),
    },
    Scenario {
        name: "pages",
        what: "every page of the dashboard, and its live tail, beside 1,000,000 deliveries of 10,000 webhooks",
        on: BOTH,
        run: |world| Box::pin(pages(world)),
    },
    Scenario {
        name: "nodes",
        what: "two nodes against one, one tenant with a webhook on each: three pairs",
        on: &[Kind::Postgres],
        run: |world| Box::pin(nodes(world)),
    },
    Scenario {
        name: "claims",
        what: "claims while 1,000,000 deliveries wait",
        on: &[Kind::Postgres],
        run: |world| Box::pin(claims(world)),
    },
];

const BOTH: &[Kind] = &[Kind::Sqlite, Kind::Postgres];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Full,
    /// For trying the bench out.
    Tenth,
}

impl Scale {
    pub(super) fn of(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Tenth => full / 10,
        }
    }
}

const EVENTS: usize = 20_000;
const CONNECTIONS: usize = 64;
const RAW_REQUESTS: usize = 60_000;
/// The sink's slot for what is measured.
const SLOT: usize = 0;
const WARM_EVENTS: usize = 500;

const MEMORY_MIB_MAX: f64 = 120.0;
const CPU_MS_MAX: f64 = 0.12;
const NEIGHBOUR_MAX: f64 = 1.2;

/// What every scenario finds.
pub(super) struct World<'a> {
    pub(super) server: &'a Path,
    /// In which each server gets a database of its own; none: it gets a data folder.
    pub(super) postgres: Option<Postgres>,
    pub(super) databases: AtomicUsize,
    pub(super) sink: Sink,
    pub(super) scale: Scale,
    pub(super) sample: Option<Sample>,
}

impl World<'_> {
    fn kind(&self) -> Kind {
        if self.postgres.is_some() { Kind::Postgres } else { Kind::Sqlite }
    }

    /// What is asked of a figure depends on the database behind it.
    fn asked(&self, sqlite: Asked, postgres: Asked) -> Asked {
        match self.kind() {
            Kind::Sqlite => sqlite,
            Kind::Postgres => postgres,
        }
    }

    /// An empty database, if the bench is on PostgreSQL.
    fn database(&self) -> Option<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        self.postgres.as_ref().map(|postgres| postgres.create_database(&format!("bench_{number}")))
    }

    /// Has the product make one delivery, whose bytes the raw client will repeat.
    pub(super) async fn take_sample(&mut self) -> Result<Sample> {
        let house = House::open(self, 1, &[self.sink.url(SLOT)]).await?;
        house.publish(1).await?;
        self.sink.wait_for(SLOT, 1).await?;
        let sample = Sample::parse(&self.sink.sample(SLOT).await?)?;
        house.close().await?;
        self.sample = Some(sample.clone());
        Ok(sample)
    }

    pub(super) async fn raw(&self) -> Result<f64> {
        let sample = self.sample.as_ref().ok_or_else(|| Failure::new("no sample was taken"))?;
        raw::measure(&self.sink, sample, self.scale.of(RAW_REQUESTS)).await
    }
}

/// A server with its tenants, all alike.
struct House {
    server: Server,
    target: Target,
    folder: TempDir,
    database: Option<String>,
}

impl House {
    async fn open(world: &World<'_>, tenants: usize, urls: &[String]) -> Result<Self> {
        world.sink.reset().await?;
        let folder = tempfile::Builder::new().prefix("postrider-bench-").tempdir()?;
        let database = world.database();
        let server = start(world, database.as_deref(), &folder).await?;
        let mut api = server.api().await?;
        let tenants: Vec<_> = (0..tenants).map(|n| format!("bench-{n}")).collect();
        for tenant in &tenants {
            furnish(&mut api, tenant, urls).await?;
        }
        let target = Target { server: server.address, tenants: Arc::new(tenants) };
        Ok(Self { server, target, folder, database })
    }

    /// Publishes a closed loop of single events and gives the moment of the first.
    async fn publish(&self, events: usize) -> Result<u64> {
        let load = Closed {
            path: "/v1/events",
            body: publication(None),
            requests: events,
            connections: CONNECTIONS,
        };
        load::closed(&self.target, &load).await
    }

    async fn close(self) -> Result<()> {
        self.server.kill().await
    }
}

async fn start(world: &World<'_>, database: Option<&str>, folder: &TempDir) -> Result<Server> {
    let data = folder.path().join("data");
    let home = database.map_or(Home::Folder(&data), Home::Postgres);
    Server::start_at(world.server, home, &folder.path().join("server.log")).await
}

async fn furnish(api: &mut Api, tenant: &str, urls: &[String]) -> Result<()> {
    api.create_tenant(tenant).await?;
    for url in urls {
        api.create_webhook(tenant, url, &["*"]).await?;
    }
    Ok(())
}

/// Sockets are open, caches are warm and code is paged in; what follows is counted from zero.
async fn warm(world: &World<'_>, house: &House, webhooks: usize) -> Result<()> {
    house.publish(WARM_EVENTS).await?;
    world.sink.wait_for(SLOT, (WARM_EVENTS * webhooks) as u64).await?;
    world.sink.reset().await
}

/// Measures one closed loop from the first publication to the last delivery at the sink.
async fn throughput(
    world: &World<'_>,
    house: House,
    load: Closed,
    deliveries: usize,
    ratio_min: Asked,
) -> Result<Vec<Figure>> {
    let cpu_before = house.server.cpu_seconds()?;
    let began = load::closed(&house.target, &load).await?;
    let stats = world.sink.wait_for(SLOT, deliveries as u64).await?;
    let cpu = house.server.cpu_seconds()? - cpu_before;
    let memory = house.server.memory_peak_mib()?;
    house.close().await?;
    let seconds = stats.last_ns.saturating_sub(began) as f64 / 1e9;
    Ok(vec![
        Figure::new("delivered", deliveries as f64 / seconds, Unit::PerSecond, ratio_min),
        Figure::new(
            "server CPU per delivery",
            cpu * 1e3 / deliveries as f64,
            Unit::Ms,
            world.asked(Asked::Max(CPU_MS_MAX), Asked::Nothing),
        ),
        Figure::new("peak memory", memory, Unit::Mib, Asked::Max(MEMORY_MIB_MAX)),
    ])
}

fn singles(events: usize) -> Closed {
    Closed { path: "/v1/events", body: publication(None), requests: events, connections: CONNECTIONS }
}

async fn single(world: &World<'_>) -> Result<Vec<Figure>> {
    let house = House::open(world, 1, &[world.sink.url(SLOT)]).await?;
    warm(world, &house, 1).await?;
    let events = world.scale.of(EVENTS);
    let asked = world.asked(Asked::RatioMin(0.15), Asked::RatioMin(0.08));
    throughput(world, house, singles(events), events, asked).await
}

async fn tenants(world: &World<'_>) -> Result<Vec<Figure>> {
    let house = House::open(world, 100, &[world.sink.url(SLOT)]).await?;
    warm(world, &house, 1).await?;
    let events = world.scale.of(EVENTS);
    throughput(world, house, singles(events), events, Asked::Nothing).await
}

async fn fanout(world: &World<'_>) -> Result<Vec<Figure>> {
    const WEBHOOKS: usize = 10;
    let house = House::open(world, 1, &vec![world.sink.url(SLOT); WEBHOOKS]).await?;
    warm(world, &house, WEBHOOKS).await?;
    let events = world.scale.of(EVENTS) / WEBHOOKS * 2;
    let asked = world.asked(Asked::RatioMin(0.35), Asked::RatioMin(0.20));
    throughput(world, house, singles(events), events * WEBHOOKS, asked).await
}

async fn batches(world: &World<'_>) -> Result<Vec<Figure>> {
    const BATCH: usize = 100;
    const CONNECTIONS: usize = 8;
    let house = House::open(world, 1, &[world.sink.url(SLOT)]).await?;
    warm(world, &house, 1).await?;
    let batches = world.scale.of(EVENTS * 2) / BATCH;
    let load =
        Closed { path: "/v1/events/batch", body: batch(BATCH), requests: batches, connections: CONNECTIONS };
    let asked = world.asked(Asked::RatioMin(0.25), Asked::Nothing);
    throughput(world, house, load, batches * BATCH, asked).await
}

const STEADY_RATE: u32 = 50;

async fn steady(world: &World<'_>) -> Result<Vec<Figure>> {
    let house = House::open(world, 1, &[world.sink.url(SLOT)]).await?;
    warm(world, &house, 1).await?;
    let seconds = if world.scale == Scale::Full { 20 } else { 5 };
    let (acks, stats) = timed(world, &house, STEADY_RATE, Duration::from_secs(seconds)).await?;
    house.close().await?;
    let arrivals = &stats.latencies_us;
    let ms = |sorted: &[u64], share| percentile(sorted, share) / 1e3;
    Ok(vec![
        Figure::new(
            "acknowledged p50",
            ms(&acks, 0.5),
            Unit::Ms,
            world.asked(Asked::Nothing, Asked::Max(4.0)),
        ),
        Figure::new("acknowledged p95", ms(&acks, 0.95), Unit::Ms, Asked::Nothing),
        Figure::new(
            "acknowledged p99",
            ms(&acks, 0.99),
            Unit::Ms,
            world.asked(Asked::Nothing, Asked::Max(20.0)),
        ),
        Figure::new(
            "delivered p50",
            ms(arrivals, 0.5),
            Unit::Ms,
            world.asked(Asked::Max(4.0), Asked::Nothing),
        ),
        Figure::new("delivered p95", ms(arrivals, 0.95), Unit::Ms, Asked::Nothing),
        Figure::new(
            "delivered p99",
            ms(arrivals, 0.99),
            Unit::Ms,
            world.asked(Asked::Max(15.0), Asked::Nothing),
        ),
    ])
}

/// An open loop; gives acknowledgement latencies and what the sink counted.
async fn timed(world: &World<'_>, house: &House, rate: u32, duration: Duration) -> Result<(Vec<u64>, Stats)> {
    let acks = load::open(&house.target, rate, duration).await?;
    let stats = world.sink.wait_for(SLOT, acks.len() as u64).await?;
    Ok((acks, stats))
}

/// A tenant whose only endpoint refuses connections gets 100,000 deliveries; then another tenant is served.
async fn backlog(world: &World<'_>) -> Result<Vec<Figure>> {
    const BATCH: usize = 1000;
    let dead = "bench-dead";
    let house = House::open(world, 1, &[world.sink.url(SLOT)]).await?;
    furnish(&mut house.server.api().await?, dead, &[dead_url().await?]).await?;
    warm(world, &house, 1).await?;

    let waiting = world.scale.of(100_000);
    let to_dead = Target { server: house.server.address, tenants: Arc::new(vec![dead.to_owned()]) };
    let load =
        Closed { path: "/v1/events/batch", body: batch(BATCH), requests: waiting / BATCH, connections: 4 };
    load::closed(&to_dead, &load).await?;

    let events = world.scale.of(EVENTS);
    let mut figures = {
        let cpu_before = house.server.cpu_seconds()?;
        let began = house.publish(events).await?;
        let stats = world.sink.wait_for(SLOT, events as u64).await?;
        let cpu = house.server.cpu_seconds()? - cpu_before;
        let seconds = stats.last_ns.saturating_sub(began) as f64 / 1e9;
        vec![
            Figure::new("delivered beside it", events as f64 / seconds, Unit::PerSecond, Asked::Nothing),
            Figure::new("server CPU per delivery", cpu * 1e3 / events as f64, Unit::Ms, Asked::Nothing),
        ]
    };
    world.sink.reset().await?;
    let seconds = if world.scale == Scale::Full { 10 } else { 3 };
    let (_, stats) = timed(world, &house, STEADY_RATE, Duration::from_secs(seconds)).await?;
    let p99 = percentile(&stats.latencies_us, 0.99) / 1e3;
    figures.push(Figure::new("delivered p99 at 50/s", p99, Unit::Ms, Asked::Nothing));
    let memory = house.server.memory_peak_mib()?;
    figures.push(Figure::new("peak memory", memory, Unit::Mib, Asked::Max(MEMORY_MIB_MAX)));
    house.close().await?;
    Ok(figures)
}

/// Nobody listens there.
async fn dead_url() -> Result<String> {
    Ok(format!("http://{}/", free_address().await?))
}

/// The same events go to the served endpoint and to its bad neighbour, of the same tenant: the hardest case.
async fn neighbours(world: &World<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, url) in
        [("beside a dead one", dead_url().await?), ("beside one that hangs", world.sink.hanging_url())]
    {
        let mut ratios = Vec::new();
        let pairs = if world.scale == Scale::Full { 5 } else { 1 };
        for pair in 0..pairs {
            // Who goes first changes from pair to pair, so that a drift of the machine cancels out.
            let (alone, beside) = if pair % 2 == 0 {
                let alone = served_p99(world, None).await?;
                (alone, served_p99(world, Some(&url)).await?)
            } else {
                let beside = served_p99(world, Some(&url)).await?;
                (served_p99(world, None).await?, beside)
            };
            println!("    {name}: p99 alone {alone:.2} ms, beside {beside:.2} ms");
            ratios.push(beside / alone);
        }
        figures.push(Figure::new(name, median(ratios), Unit::Times, Asked::Max(NEIGHBOUR_MAX)));
    }
    Ok(figures)
}

/// The served endpoint's p99 from publication to arrival, in milliseconds.
async fn served_p99(world: &World<'_>, neighbour: Option<&String>) -> Result<f64> {
    const RATE: u32 = 100;
    let mut urls = vec![world.sink.url(SLOT)];
    urls.extend(neighbour.cloned());
    let house = House::open(world, 1, &urls).await?;
    warm(world, &house, 1).await?;
    let seconds = if world.scale == Scale::Full { 10 } else { 3 };
    let (_, stats) = timed(world, &house, RATE, Duration::from_secs(seconds)).await?;
    house.close().await?;
    Ok(percentile(&stats.latencies_us, 0.99) / 1e3)
}

/// The same load on two nodes as on one: what they share the processors for must not cost more than a tenth.
async fn nodes(world: &World<'_>) -> Result<Vec<Figure>> {
    let mut ratios = Vec::new();
    for pair in 0..if world.scale == Scale::Full { 3 } else { 1 } {
        let mut rates = [0.0, 0.0];
        // Who goes first changes from pair to pair.
        for step in 0..2 {
            let two = (step + pair) % 2 == 1;
            rates[usize::from(two)] = nodes_rate(world, two).await?;
        }
        let [one, two] = rates;
        println!("    one node {one:.0}/s, two nodes {two:.0}/s");
        ratios.push(two / one);
    }
    Ok(vec![Figure::new("two nodes against one", median(ratios), Unit::Times, Asked::Min(0.9))])
}

async fn nodes_rate(world: &World<'_>, two: bool) -> Result<f64> {
    let house = House::open(world, 2, &[world.sink.url(SLOT)]).await?;
    let second = match two {
        true => Some(start(world, house.database.as_deref(), &house.folder).await?),
        false => None,
    };
    let mut targets = Vec::new();
    for (n, tenant) in house.target.tenants.iter().enumerate() {
        let server = second.as_ref().filter(|_| n == 1).unwrap_or(&house.server);
        targets.push(Target { server: server.address, tenants: Arc::new(vec![tenant.clone()]) });
    }
    // Nodes know of each other, and sockets are open.
    sleep(Duration::from_secs(3)).await;
    let halves = |events: usize| Closed { connections: CONNECTIONS / 2, ..singles(events / 2) };
    for target in &targets {
        load::closed(target, &halves(WARM_EVENTS)).await?;
    }
    world.sink.wait_for(SLOT, WARM_EVENTS as u64).await?;
    world.sink.reset().await?;
    let events = world.scale.of(EVENTS);
    let load = halves(events);
    let (one, other) = tokio::try_join!(load::closed(&targets[0], &load), load::closed(&targets[1], &load))?;
    let stats = world.sink.wait_for(SLOT, events as u64).await?;
    if let Some(second) = second {
        second.kill().await?;
    }
    house.close().await?;
    Ok(events as f64 / (stats.last_ns.saturating_sub(one.min(other)) as f64 / 1e9))
}

/// Eleven endpoints refuse everything until a million deliveries wait for them. Then they recover, and are worked off at
/// the pace at which a receiver is spared after an outage: how long the claims take, by the server's own histogram. What the
/// load left to be written to the disk is written before, so that claims are measured and not that.
async fn claims(world: &World<'_>) -> Result<Vec<Figure>> {
    const WEBHOOKS: usize = 11;
    const BATCH: usize = 200;
    world.sink.reset().await?;
    let house = House::open(world, 1, &vec![world.sink.gated_url(SLOT); WEBHOOKS]).await?;
    let waiting = world.scale.of(1_100_000);
    let load = Closed {
        path: "/v1/events/batch",
        body: batch(BATCH),
        requests: waiting / BATCH / WEBHOOKS,
        connections: 4,
    };
    load::closed(&house.target, &load).await?;
    if let Some(postgres) = &world.postgres {
        tokio::task::block_in_place(|| postgres.sql("CHECKPOINT"));
    }
    let mut api = house.server.api().await?;
    let before = Histogram::read(&mut api, "postrider_claim_seconds").await?;
    world.sink.open_gates().await?;
    sleep(Duration::from_secs(if world.scale == Scale::Full { 30 } else { 5 })).await;
    let claims = Histogram::read(&mut api, "postrider_claim_seconds").await?.since(&before);
    house.close().await?;
    println!("    {} claims: {claims}", claims.count());
    Ok(vec![
        Figure::new("claim p50, at most", claims.bound(0.5) * 1e3, Unit::Ms, Asked::Nothing),
        Figure::new("claim p99, at most", claims.bound(0.99) * 1e3, Unit::Ms, Asked::Max(20.0)),
    ])
}

/// A histogram of the server's, as Prometheus reads it: upper bounds in seconds, with the number of values up to each.
struct Histogram(Vec<(f64, u64)>);

impl Histogram {
    async fn read(api: &mut Api, name: &str) -> Result<Self> {
        let (_, text) = api.send(Method::GET, "/metrics", "", Bytes::new()).await?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let start = format!("{name}_bucket{{le=\"");
        let bucket = |line: &str| {
            let (bound, count) = line.strip_prefix(&start)?.split_once("\"} ")?;
            Some((bound.replace("+Inf", "inf").parse().ok()?, count.trim().parse().ok()?))
        };
        let buckets: Vec<_> = text.lines().filter_map(bucket).collect();
        if buckets.is_empty() { Err(Failure::new(format!("there is no {name}"))) } else { Ok(Self(buckets)) }
    }

    fn since(&self, before: &Self) -> Self {
        Self(self.0.iter().zip(&before.0).map(|(now, before)| (now.0, now.1 - before.1)).collect())
    }

    fn count(&self) -> u64 {
        self.0.last().map_or(0, |(_, count)| *count)
    }

    /// The upper bound of the bucket in which the share of values ends.
    fn bound(&self, share: f64) -> f64 {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        self.0.iter().find(|(_, count)| *count >= wanted.max(1)).map_or(f64::NAN, |(bound, _)| *bound)
    }
}

impl Display for Histogram {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut below = 0;
        for (bound, count) in self.0.iter().filter(|(_, count)| *count > 0) {
            if *count > below {
                write!(f, "{} up to {} ms, ", count - below, bound * 1e3)?;
            }
            below = *count;
        }
        Ok(())
    }
}

async fn records(world: &World<'_>) -> Result<Vec<Figure>> {
    let house = House::open(world, 0, &[]).await?;
    let (records, due) = (world.scale.of(990_000), world.scale.of(10_000));
    let figures = super::records::measure(&house.server, &world.sink.url(SLOT), records, due).await?;
    house.close().await?;
    Ok(figures)
}

async fn inbound(world: &World<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for part in super::inbound::PARTS {
        let house = House::open(world, 0, &[]).await?;
        figures.extend(part(&house.server, world.scale).await?);
        house.close().await?;
    }
    // The floors are the embedded store's.
    for figure in &mut figures {
        figure.asked = world.asked(figure.asked, Asked::Nothing);
    }
    Ok(figures)
}

async fn pages(world: &World<'_>) -> Result<Vec<Figure>> {
    let house = House::open(world, 0, &[]).await?;
    let figures = super::pages::measure(&house.server, &world.sink, world.scale).await?;
    house.close().await?;
    Ok(figures)
}
