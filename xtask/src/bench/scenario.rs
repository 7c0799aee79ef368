//! The scenarios, as a table. Each starts a server of its own.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::load::{self, Closed, Target, batch, median, percentile, publication};
use super::raw::{self, Sample};
use super::receiver::{Sink, Stats};
use super::report::{Asked, Figure, Unit};
use crate::failure::{Failure, Result};
use crate::product::{Api, Server, free_address};

pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) run: for<'a> fn(&'a World<'a>) -> Running<'a>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Vec<Figure>>> + 'a>>;

/// The floors are where acceptance begins: go for twice that.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "single",
        what: "one tenant, one webhook, closed loop of 64",
        run: |world| Box::pin(single(world)),
    },
    Scenario {
        name: "tenants",
        what: "100 tenants with a webhook each, closed loop of 64",
        run: |world| Box::pin(tenants(world)),
    },
    Scenario {
        name: "fanout",
        what: "one tenant with ten webhooks, closed loop of 64",
        run: |world| Box::pin(fanout(world)),
    },
    Scenario {
        name: "batch",
        what: "one tenant, one webhook, batches of 100, closed loop of 8",
        run: |world| Box::pin(batches(world)),
    },
    Scenario { name: "steady", what: "50 events a second", run: |world| Box::pin(steady(world)) },
    Scenario {
        name: "backlog",
        what: "100,000 deliveries wait for a dead endpoint while another one is served",
        run: |world| Box::pin(backlog(world)),
    },
    Scenario {
        name: "neighbours",
        what: "a served endpoint beside a dead one and beside one that hangs, against alone: five pairs each",
        run: |world| Box::pin(neighbours(world)),
    },
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Full,
    /// For trying the bench out.
    Tenth,
}

impl Scale {
    fn of(self, full: usize) -> usize {
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
    pub(super) sink: Sink,
    pub(super) scale: Scale,
    pub(super) sample: Option<Sample>,
}

impl World<'_> {
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
    _folder: TempDir,
}

impl House {
    async fn open(world: &World<'_>, tenants: usize, urls: &[String]) -> Result<Self> {
        world.sink.reset().await?;
        let folder = tempfile::Builder::new().prefix("postrider-bench-").tempdir()?;
        let server = Server::start(world.server, &folder.path().join("data")).await?;
        let mut api = server.api().await?;
        let tenants: Vec<_> = (0..tenants).map(|n| format!("bench-{n}")).collect();
        for tenant in &tenants {
            furnish(&mut api, tenant, urls).await?;
        }
        let target = Target { server: server.address, tenants: Arc::new(tenants) };
        Ok(Self { server, target, _folder: folder })
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
            Asked::Max(CPU_MS_MAX),
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
    throughput(world, house, singles(events), events, Asked::RatioMin(0.15)).await
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
    throughput(world, house, singles(events), events * WEBHOOKS, Asked::RatioMin(0.35)).await
}

async fn batches(world: &World<'_>) -> Result<Vec<Figure>> {
    const BATCH: usize = 100;
    const CONNECTIONS: usize = 8;
    let house = House::open(world, 1, &[world.sink.url(SLOT)]).await?;
    warm(world, &house, 1).await?;
    let batches = world.scale.of(EVENTS * 2) / BATCH;
    let load =
        Closed { path: "/v1/events/batch", body: batch(BATCH), requests: batches, connections: CONNECTIONS };
    throughput(world, house, load, batches * BATCH, Asked::RatioMin(0.25)).await
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
        Figure::new("acknowledged p50", ms(&acks, 0.5), Unit::Ms, Asked::Nothing),
        Figure::new("acknowledged p95", ms(&acks, 0.95), Unit::Ms, Asked::Nothing),
        Figure::new("acknowledged p99", ms(&acks, 0.99), Unit::Ms, Asked::Nothing),
        Figure::new("delivered p50", ms(arrivals, 0.5), Unit::Ms, Asked::Max(4.0)),
        Figure::new("delivered p95", ms(arrivals, 0.95), Unit::Ms, Asked::Nothing),
        Figure::new("delivered p99", ms(arrivals, 0.99), Unit::Ms, Asked::Max(15.0)),
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
