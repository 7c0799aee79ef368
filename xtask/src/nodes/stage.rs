//! Where a scenario is played: PostgreSQL, three nodes, receivers and a producer of its own; and the judgement.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postrider_testkit::postgres::Postgres;
use postrider_testkit::proxy::FaultProxy;
use postrider_testkit::random::SeededRandom;
use rustix::process::Signal;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, timeout};

use super::account::Account;
use super::{Run, Scenario, watch};
use crate::failure::{Failure, Result};
use crate::product::{self, Api, Home, Server};
use crate::truth::checker::{self, Story};
use crate::truth::endpoint::Endpoints;
use crate::truth::producer::{self, Prepared, Producer};
use crate::truth::{self, log};

pub(super) const NODES: usize = 3;
/// Between two events of each of the producer's twelve workers. What a run leaves has to be read through the API, row by
/// row: 40 events a second with five deliveries each, for a quarter of a minute or for ten.
const PACE: Duration = Duration::from_millis(300);
/// One answer in four takes up to this long, so that a fault at any moment meets attempts of each node in flight.
const SLOW_MAX: Duration = Duration::from_secs(1);
/// Leases of a node and of the leader are 10 s each, the slow look at what is due comes every 10 s. A claim whose answer
/// was lost is found by the minute's sweep, when its own lease (30 s and a margin) is over.
const SETTLE_MAX: Duration = Duration::from_secs(180);
/// How long a node may take to say that it cannot accept. Who publishes waits for the batch before its own, which gets no
/// answer for 12 s or no connection for 5 s, and then for its own, which gets no connection for 5 s, once or twice: 22 s
/// were measured. And this machine is busy.
const REFUSES_MAX: Duration = Duration::from_secs(40);
/// How long a node may take to work again when everything around it does.
pub(super) const RECOVERS_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// What is between nodes and database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    Direct,
    /// A proxy for each node.
    Proxied,
    /// Nothing, and the database has a synchronous standby, which nodes know of.
    WithStandby,
}

/// Which program a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    New,
    Old,
}

pub(super) struct Stage {
    pub(super) faults: u32,
    /// Every node ended well: nothing may have been cut short.
    pub(super) graceful: bool,
    pub(super) random: Arc<SeededRandom>,
    pub(super) postgres: Postgres,
    pub(super) standby: Option<Postgres>,
    pub(super) proxies: Vec<FaultProxy>,
    pub(super) endpoints: Endpoints,
    pub(super) producer: Producer,
    pub(super) account: Account,
    nodes: Vec<Option<Server>>,
    urls: Vec<String>,
    programs: [PathBuf; 2],
    prepared: Prepared,
    folder: PathBuf,
}

impl Stage {
    /// Starts everything, and the load.
    pub(super) async fn set(scenario: &Scenario, run: &Run, folder: &Path, faults: u32) -> Result<Self> {
        fs::create_dir(folder)?;
        let postgres = block_in_place(Postgres::start);
        let mut urls = vec![postgres.url(); NODES];
        let (mut standby, mut proxies) = (None, Vec::new());
        match scenario.ground {
            Ground::Direct => {}
            Ground::Proxied => {
                for url in &mut urls {
                    let proxy = FaultProxy::start(postgres.address()).await;
                    *url = proxy.url(&postgres.url());
                    proxies.push(proxy);
                }
            }
            Ground::WithStandby => {
                let second = block_in_place(|| postgres.standby());
                let both = format!("{},{}", postgres.address(), second.address());
                urls = vec![postgres.url().replace(&postgres.address().to_string(), &both); NODES];
                standby = Some(second);
            }
        }
        let programs = [run.new.clone(), run.old.clone()];
        let endpoints = Endpoints::start(Arc::clone(&run.random), SLOW_MAX).await;
        let first = start(&programs[scenario.first as usize], &urls, 0, folder).await?;
        // Before there are others: a change is known to the node that made it at once, and to others a moment later.
        let prepared = producer::prepare(&mut first.api().await?, &endpoints).await?;
        let mut nodes = vec![Some(first)];
        for n in 1..NODES {
            nodes.push(Some(start(&programs[scenario.first as usize], &urls, n, folder).await?));
        }
        let addresses = nodes.iter().flatten().map(|node| node.address).collect();
        let producer = Producer::start(addresses, PACE, &run.random);
        Ok(Self {
            faults,
            graceful: false,
            random: Arc::clone(&run.random),
            postgres,
            standby,
            proxies,
            endpoints,
            producer,
            account: Account::default(),
            nodes,
            urls,
            programs,
            prepared,
            folder: folder.to_owned(),
        })
    }

    /// Lets the load go on for a while.
    pub(super) async fn wait(&self, ms: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.between(&ms))).await;
    }

    pub(super) fn between(&self, ms: &std::ops::Range<u64>) -> u64 {
        ms.start + self.random.below(ms.end - ms.start)
    }

    pub(super) fn any_node(&self) -> usize {
        self.random.below(NODES as u64) as usize
    }

    fn node(&self, n: usize) -> &Server {
        self.nodes[n].as_ref().expect("because a scenario asks for nodes that run")
    }

    pub(super) fn address(&self, n: usize) -> SocketAddr {
        self.node(n).address
    }

    /// Those of the nodes that run.
    fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().flatten().map(|node| node.address).collect()
    }

    pub(super) async fn kill(&mut self, n: usize) -> Result<()> {
        let node = self.nodes[n].take().expect("because a scenario kills nodes that run");
        node.kill().await
    }

    /// SIGTERM, and waits for the end.
    pub(super) async fn end(&mut self, n: usize, patience: Duration) -> Result<()> {
        let node = self.nodes[n].take().expect("because a scenario ends nodes that run");
        node.end(patience).await
    }

    /// Starts a node, waits until it is ready, and tells the producer.
    pub(super) async fn start(&mut self, n: usize, role: Role) -> Result<()> {
        let mut server = self.spawn(n, role).await?;
        let took = server.became_ready().await?;
        self.nodes[n] = Some(server);
        self.account.took("start", took);
        self.producer.go_on(self.addresses());
        Ok(())
    }

    /// Starts a process that is not one of the nodes yet.
    pub(super) async fn spawn(&self, n: usize, role: Role) -> Result<Server> {
        let log = self.folder.join(format!("node-{n}.log"));
        Server::spawn(&self.programs[role as usize], Home::Postgres(&self.urls[n]), &log).await
    }

    /// The node stands still until [`Stage::thaw`].
    pub(super) fn freeze(&self, n: usize) -> Result<()> {
        self.node(n).signal(Signal::STOP)
    }

    pub(super) fn thaw(&self, n: usize) -> Result<()> {
        self.node(n).signal(Signal::CONT)
    }

    /// Waits until a node says that it cannot accept, to publishers and to whoever watches over it.
    pub(super) async fn refuses(&mut self, n: usize) -> Result<()> {
        let address = self.address(n);
        let began = Instant::now();
        let publisher = async {
            while began.elapsed() < REFUSES_MAX {
                if self.producer.publish_at(address, REFUSES_MAX).await?.status() == 503 {
                    return Ok(began.elapsed());
                }
                sleep(POLL).await;
            }
            Err(Failure::new("it goes on to accept"))
        };
        let watcher = async {
            while began.elapsed() < REFUSES_MAX {
                if readiness(address).await? == 503 {
                    return Ok(began.elapsed());
                }
                sleep(POLL).await;
            }
            Err(Failure::new("/readyz goes on to answer 200"))
        };
        let (publisher, watcher) = tokio::join!(publisher, watcher);
        for (what, outcome) in [("503 to publisher", publisher), ("503 of /readyz", watcher)] {
            match outcome {
                Ok(took) => self.account.took(what, took),
                Err::<_, Failure>(failure) => {
                    self.account.complain(format!("{address}, without its database, {what}: {failure}"));
                }
            }
        }
        Ok(())
    }

    /// Waits until a node accepts and says so.
    pub(super) async fn works(&mut self, n: usize) -> Result<Duration> {
        let address = self.address(n);
        let began = Instant::now();
        let mut last = String::new();
        while began.elapsed() < RECOVERS_MAX {
            match (readiness(address).await, self.producer.publish_at(address, RECOVERS_MAX).await) {
                (Ok(200), Ok(answer)) if answer.status() == 202 => return Ok(began.elapsed()),
                (ready, answer) => {
                    let answer = answer.map(|answer| answer.status());
                    last = format!("/readyz {ready:?}, publishing {answer:?}");
                }
            }
            sleep(POLL).await;
        }
        let words = self.node(n).last_words();
        Err(Failure::new(format!("{address} does not work again after {RECOVERS_MAX:?}: {last}{words}")))
    }

    /// All nodes work. Says how long the slowest took.
    pub(super) async fn all_work(&mut self) -> Result<Duration> {
        let began = Instant::now();
        for n in 0..NODES {
            self.works(n).await?;
        }
        Ok(began.elapsed())
    }

    /// Whether the ledger balances in the middle of everything.
    pub(super) async fn check_ledger(&mut self, n: usize) -> Result<()> {
        let mut api = self.node(n).api().await?;
        for ledger in log::ledgers(&mut api).await? {
            if !ledger.balanced {
                self.account.complain(format!("under load the ledger does not balance: {ledger:?}"));
            }
        }
        Ok(())
    }

    /// Keeps PostgreSQL's account beside the nodes'.
    pub(super) fn keep_log(&self) {
        let standby = self.standby.as_ref().map(Postgres::log).unwrap_or_default();
        // What is kept is for reading after a failure, which is told either way.
        let _ = fs::write(self.folder.join("postgres.log"), self.postgres.log());
        let _ = fs::write(self.folder.join("standby.log"), standby);
    }

    /// Ends the load, waits until everything has ended, and compares.
    pub(super) async fn judge(mut self) -> Result<()> {
        self.keep_log();
        let server = self.address(0);
        let told = self.producer.stop().await;
        let settled = truth::await_settled(&mut Api::connect(server).await?, SETTLE_MAX).await;
        let settled =
            settled.map_err(|failure| Failure::new(format!("{failure}\n{}", watch::open(&self.postgres))))?;
        self.account.took("settling", settled);
        let reading = Instant::now();
        let log = log::read(server, self.prepared.labels).await?;
        self.account.took("reading of the log", reading.elapsed());
        let story = Story {
            published: told.published,
            webhooks: self.prepared.webhooks,
            seen: self.endpoints.seen(),
            log,
        };
        let ledgers = log::ledgers(&mut Api::connect(server).await?).await?;
        let findings = checker::check(&story, &ledgers);
        for n in 0..NODES {
            let log = fs::read_to_string(self.folder.join(format!("node-{n}.log"))).unwrap_or_default();
            self.account.add("results fenced off", log.matches("attempt.fenced").count());
            for line in log.lines().filter(|line| line.contains("panicked at")) {
                self.account.complain(format!("node {n}: {line}"));
            }
        }
        self.account.add("503 to publishers", told.refused);
        let cut_short = findings.counts.duplicates + findings.counts.unknown;
        if self.graceful && cut_short > 0 {
            self.account
                .complain("an attempt was cut short or made twice, though every node ended well".into());
        }
        self.account.print();
        truth::print(&story, &findings);
        for complaint in &told.complaints {
            println!("COMPLAINT {complaint}");
        }
        let wrong = findings.violations.len() + told.complaints.len() + self.account.complaints.len();
        if story.published.is_empty() || story.seen.is_empty() {
            Err(Failure::new("nothing was published or nothing arrived: this run shows nothing"))
        } else if wrong > 0 {
            Err(Failure::new(format!("{wrong} violations")))
        } else {
            Ok(())
        }
    }
}

async fn start(program: &Path, urls: &[String], n: usize, folder: &Path) -> Result<Server> {
    Server::start_at(program, Home::Postgres(&urls[n]), &folder.join(format!("node-{n}.log"))).await
}

/// The status of `/readyz`.
async fn readiness(address: SocketAddr) -> Result<u16> {
    let answer = timeout(REFUSES_MAX, product::ready(address)).await;
    answer.map_err(|_| Failure::new(format!("/readyz says nothing for {REFUSES_MAX:?}")))?
}
