//! `cargo xtask crash`: load, kill -9 at random moments, restart, and in the end compare what the sender was told, what the
//! receivers wrote down, and what our own log says. The load is events; with `--runs` it is invocations of triggers.

mod runs;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postrider_testkit::random::SeededRandom;
use tokio::time::sleep;

use crate::commands::{self, Build};
use crate::failure::{Failure, Result};
use crate::product::Server;
use crate::truth::checker::{self, Story};
use crate::truth::endpoint::Endpoints;
use crate::truth::producer::{self, Producer};
use crate::truth::{self, log};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Invoke triggers instead of publishing events, and judge their runs.
    #[arg(long)]
    runs: bool,
    /// How often the server is killed.
    #[arg(long, default_value_t = 20, value_name = "N")]
    kills: u32,
    /// Repeats the choices of an earlier run. Timing differs all the same.
    #[arg(long)]
    seed: Option<u64>,
    /// Test the release build.
    #[arg(long)]
    release: bool,
    /// The server to test; built when absent.
    #[arg(long)]
    server: Option<PathBuf>,
    /// Keep the data folder and the server's log, also when all is well.
    #[arg(long)]
    keep: bool,
}

/// A kill comes this long after the server is ready: while it takes up its work again, or well into it.
const LIFE_MS: std::ops::Range<u64> = 20..600;
/// How long the end may take: retries of the standard profile come after 5 s, and then after 5 min. Endpoints fail a
/// delivery once at most, so that the 5 min are never waited for.
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// So many kills hit an attempt under way, or the load is none.
const KILLS_THAT_CUT: u32 = 20;
/// Between two events of a worker. Together they publish 300 events a second at most, with five deliveries
/// each: the log of 200 kills can then still be read through the API, row by row.
const PACE: Duration = Duration::from_millis(40);
/// A slow answer is slower than many restarts.
const SLOW_MAX: Duration = Duration::from_millis(150);

pub(crate) fn run(options: &Options) -> Result<()> {
    let build = if options.release { Build::Release } else { Build::Debug };
    let program = match &options.server {
        Some(server) => server.clone(),
        None => commands::build("postrider-server", "postrider", build)?,
    };
    let folder = tempfile::Builder::new().prefix("postrider-crash-").tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let data = folder.path().join("data");
    let kills = Kills {
        program: &program,
        data: &data,
        count: options.kills,
        random: Arc::new(options.seed.map_or_else(SeededRandom::fresh, SeededRandom::new)),
    };
    let outcome = match options.runs {
        true => runtime.block_on(runs::crash(&kills)),
        false => runtime.block_on(crash(&kills)),
    };
    runtime.shutdown_background();
    if outcome.is_err() || options.keep {
        println!("kept: {}", folder.keep().display());
    }
    outcome
}

/// A server on a data folder, and how often it is killed.
struct Kills<'a> {
    program: &'a Path,
    data: &'a Path,
    count: u32,
    random: Arc<SeededRandom>,
}

impl Kills<'_> {
    async fn start(&self) -> Result<Server> {
        Server::start(self.program, self.data).await
    }

    /// Kills and starts again. `goes_on` hears where the server is each time; `progress` says what has happened so far. Gives
    /// the last server, and how long the slowest restart took.
    async fn all(
        &self,
        mut server: Server,
        goes_on: &dyn Fn(SocketAddr),
        progress: &dyn Fn() -> String,
    ) -> Result<(Server, Duration)> {
        let mut slowest = Duration::ZERO;
        for kill in 1..=self.count {
            let life = LIFE_MS.start + self.random.below(LIFE_MS.end - LIFE_MS.start);
            sleep(Duration::from_millis(life)).await;
            server.kill().await?;
            server = self.start().await.map_err(|failure| failure.while_(&format!("after kill {kill}")))?;
            slowest = slowest.max(server.started_in);
            goes_on(server.address);
            if kill % 10 == 0 || kill == self.count {
                println!("{kill} kills, {}", progress());
            }
        }
        Ok((server, slowest))
    }
}

async fn crash(kills: &Kills<'_>) -> Result<()> {
    let random = &kills.random;
    let endpoints = Endpoints::start(Arc::clone(random), SLOW_MAX).await;
    let server = kills.start().await?;
    let prepared = producer::prepare(&mut server.api().await?, &endpoints).await?;
    let producer = Producer::start(vec![server.address], PACE, random);
    let progress =
        || format!("{} events acknowledged, {} requests seen", producer.acknowledged(), endpoints.count());
    let goes_on = |address| producer.go_on(vec![address]);
    let (server, slowest_restart) = kills.all(server, &goes_on, &progress).await?;
    let told = producer.stop().await;
    let mut api = server.api().await?;
    truth::await_settled(&mut api, SETTLE_MAX)
        .await
        .map_err(|failure| Failure::new(format!("{failure}{}", server.last_words())))?;

    let log = log::read(server.address, prepared.labels).await?;
    let story = Story { published: told.published, webhooks: prepared.webhooks, seen: endpoints.seen(), log };
    // A new connection: the server closes one that was idle while the log was read.
    let ledgers = log::ledgers(&mut server.api().await?).await?;
    let findings = checker::check(&story, &ledgers);
    println!();
    println!("kills                     {}", kills.count);
    println!("slowest restart           {slowest_restart:.1?}");
    truth::print(&story, &findings);
    if story.published.is_empty() || story.seen.is_empty() {
        Err(Failure::new("nothing was published or nothing arrived: this run shows nothing"))
    } else if kills.count >= KILLS_THAT_CUT && findings.counts.unknown == 0 {
        Err(Failure::new("no kill cut an attempt short: this run does not show what becomes of one"))
    } else if let Some(complaint) = told.complaints.first() {
        Err(Failure::new(format!("{} answers that may not be given: {complaint}", told.complaints.len())))
    } else if findings.violations.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("{} violations, seed {}", findings.violations.len(), random.seed())))
    }
}
