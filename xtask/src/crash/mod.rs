//! `cargo xtask crash`: load, kill -9 at random moments, restart, and in the end compare what the producer was told,
//! what the receivers wrote down, and what our own log says.

mod checker;
mod endpoint;
mod log;
mod producer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postrider_testkit::random::SeededRandom;
use tokio::time::{Instant, sleep};

use crate::commands::{self, Build};
use crate::failure::{Failure, Result};
use crate::product::{Api, Server};

use checker::{Findings, Story};
use endpoint::Endpoints;
use producer::{Producer, TENANTS};

#[derive(clap::Args)]
pub(crate) struct Options {
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
const SETTLE_POLL: Duration = Duration::from_millis(200);

pub(crate) fn run(options: &Options) -> Result<()> {
    let build = if options.release { Build::Release } else { Build::Debug };
    let program = match &options.server {
        Some(server) => server.clone(),
        None => commands::build("postrider-server", "postrider", build)?,
    };
    let folder = tempfile::Builder::new().prefix("postrider-crash-").tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(crash(options, &program, &folder.path().join("data")));
    runtime.shutdown_background();
    if outcome.is_err() || options.keep {
        println!("kept: {}", folder.keep().display());
    }
    outcome
}

async fn crash(options: &Options, program: &Path, data: &Path) -> Result<()> {
    let random = Arc::new(options.seed.map_or_else(SeededRandom::fresh, SeededRandom::new));
    let endpoints = Endpoints::start(Arc::clone(&random)).await;
    let mut server = Server::start(program, data).await?;
    let prepared = producer::prepare(&mut server.api().await?, &endpoints).await?;
    let producer = Producer::start(server.address, Arc::clone(&random));

    let mut slowest_restart = Duration::ZERO;
    for kill in 1..=options.kills {
        let life = LIFE_MS.start + random.below(LIFE_MS.end - LIFE_MS.start);
        sleep(Duration::from_millis(life)).await;
        server.kill().await?;
        server = Server::start(program, data)
            .await
            .map_err(|failure| failure.while_(&format!("after kill {kill}")))?;
        slowest_restart = slowest_restart.max(server.started_in);
        producer.go_on(server.address);
        if kill % 10 == 0 || kill == options.kills {
            println!(
                "{kill} kills, {} events acknowledged, {} requests seen",
                producer.acknowledged(),
                endpoints.count()
            );
        }
    }
    let published = producer.stop().await;
    let mut api = server.api().await?;
    await_settled(&mut api)
        .await
        .map_err(|failure| Failure::new(format!("{failure}{}", server.last_words())))?;

    let log = log::read(server.address, prepared.labels).await?;
    let story = Story { published, webhooks: prepared.webhooks, seen: endpoints.seen(), log };
    let ledgers = log::ledgers(&mut api).await?;
    let findings = checker::check(&story, &ledgers);
    report(options.kills, slowest_restart, &story, &findings);
    if story.published.is_empty() || story.seen.is_empty() {
        Err(Failure::new("nothing was published or nothing arrived: this run shows nothing"))
    } else if options.kills >= KILLS_THAT_CUT && findings.counts.unknown == 0 {
        Err(Failure::new("no kill cut an attempt short: this run does not show what becomes of one"))
    } else if findings.violations.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("{} violations, seed {}", findings.violations.len(), random.seed())))
    }
}

/// Waits until no delivery of any tenant is open.
async fn await_settled(api: &mut Api) -> Result<()> {
    let began = Instant::now();
    loop {
        let mut open = 0;
        for tenant in TENANTS {
            open += log::ledger(api, tenant).await?.open();
        }
        if open == 0 {
            return Ok(());
        }
        if began.elapsed() > SETTLE_MAX {
            return Err(Failure::new(format!("{open} deliveries are still open after {SETTLE_MAX:?}")));
        }
        sleep(SETTLE_POLL).await;
    }
}

fn report(kills: u32, slowest_restart: Duration, story: &Story, findings: &Findings) {
    /// Of each kind of violation; the first few tell what is wrong.
    const SHOWN: usize = 30;
    let counts = &findings.counts;
    println!();
    println!("kills                   {kills}");
    println!("slowest restart         {slowest_restart:.1?}");
    println!(
        "events acknowledged     {}",
        story.published.values().filter(|event| event.acknowledged).count()
    );
    println!("requests seen           {}", story.seen.len());
    println!("attempts logged         {}", counts.attempts);
    println!("lost                    {}", counts.lost);
    println!("un-logged               {}", counts.unlogged);
    println!("phantom                 {}", counts.phantom);
    println!(
        "duplicates              {} (attempts cut short by kills: {})",
        counts.duplicates, counts.unknown
    );
    for violation in findings.violations.iter().take(SHOWN) {
        println!("VIOLATION {violation}");
    }
    if findings.violations.len() > SHOWN {
        println!("… and {} more", findings.violations.len() - SHOWN);
    }
}
