//! `cargo xtask nodes`: three servers on one PostgreSQL under load, while nodes, the network between them and the database,
//! and the database itself fail. In the end what the producer was told, what the receivers wrote down and what our own log
//! says are compared, as in `crash`.

mod account;
mod failover;
mod freeze;
mod kills;
mod partition;
mod postgres;
mod stage;
mod upgrade;
mod watch;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use postrider_testkit::random::SeededRandom;

use crate::commands::{self, Build};
use crate::failure::{Failure, Result};

use stage::{Ground, Role, Stage};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run these scenarios only: kills, freeze, partition, postgres, failover, upgrade.
    #[arg(long = "only", value_name = "SCENARIO")]
    only: Vec<String>,
    /// Hundreds of faults instead of a few.
    #[arg(long)]
    long: bool,
    /// How many faults each scenario gets, instead of the number of its form.
    #[arg(long, value_name = "N")]
    kills: Option<u32>,
    /// Repeats the choices of an earlier run. Timing differs all the same.
    #[arg(long)]
    seed: Option<u64>,
    /// Test the release build.
    #[arg(long)]
    release: bool,
    /// The server to test; built when absent.
    #[arg(long)]
    server: Option<PathBuf>,
    /// The server of another version, for `upgrade`; the same one when absent.
    #[arg(long)]
    old: Option<PathBuf>,
    /// Keep the logs, also when all is well.
    #[arg(long)]
    keep: bool,
}

struct Scenario {
    name: &'static str,
    what: &'static str,
    /// What is between the nodes and their database.
    ground: Ground,
    /// Which program the nodes begin with.
    first: Role,
    /// How many faults, in the short form and in the long one. None: it is not run.
    short: u32,
    long: u32,
    run: for<'a> fn(&'a mut Stage) -> Played<'a>,
}

type Played<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "kills",
        what: "nodes are killed at random moments and start again",
        ground: Ground::Direct,
        first: Role::New,
        short: 4,
        long: 110,
        run: |stage| Box::pin(kills::play(stage)),
    },
    Scenario {
        name: "freeze",
        what: "a node stands still until another has taken over, and goes on",
        ground: Ground::Direct,
        first: Role::New,
        short: 1,
        long: 6,
        run: |stage| Box::pin(freeze::play(stage)),
    },
    Scenario {
        name: "partition",
        what: "the way between a node and the database is cut, stalls, or ends in the middle of a statement",
        ground: Ground::Proxied,
        first: Role::New,
        short: 6,
        long: 40,
        run: |stage| Box::pin(partition::play(stage)),
    },
    Scenario {
        name: "postgres",
        what: "PostgreSQL is killed and started again",
        ground: Ground::Direct,
        first: Role::New,
        short: 3,
        long: 55,
        run: |stage| Box::pin(postgres::play(stage)),
    },
    Scenario {
        name: "failover",
        what: "the primary is killed and its synchronous standby promoted",
        ground: Ground::WithStandby,
        first: Role::New,
        short: 1,
        long: 1,
        run: |stage| Box::pin(failover::killed(stage)),
    },
    Scenario {
        name: "failover",
        what: "the primary stands still, its synchronous standby is promoted, and the primary comes back",
        ground: Ground::WithStandby,
        first: Role::New,
        short: 0,
        long: 1,
        run: |stage| Box::pin(failover::frozen(stage)),
    },
    Scenario {
        name: "upgrade",
        what: "one node after the other ends well and starts as the other version, and back",
        ground: Ground::Direct,
        first: Role::Old,
        short: 2,
        long: 6,
        run: |stage| Box::pin(upgrade::play(stage)),
    },
];

/// What all scenarios of a run share.
struct Run {
    new: PathBuf,
    old: PathBuf,
    folder: PathBuf,
    random: Arc<SeededRandom>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(unknown) =
        options.only.iter().find(|name| !SCENARIOS.iter().any(|scenario| scenario.name == name.as_str()))
    {
        let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        return Err(Failure::new(format!(
            "there is no scenario `{unknown}`; there are {}",
            known.join(", ")
        )));
    }
    let build = if options.release { Build::Release } else { Build::Debug };
    let new = match &options.server {
        Some(server) => server.clone(),
        None => commands::build("postrider-server", "postrider", build)?,
    };
    let folder = tempfile::Builder::new().prefix("postrider-nodes-").tempdir()?;
    let run = Run {
        old: options.old.clone().unwrap_or_else(|| new.clone()),
        new,
        folder: folder.path().to_owned(),
        random: Arc::new(options.seed.map_or_else(SeededRandom::fresh, SeededRandom::new)),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(play_all(options, &run));
    runtime.shutdown_background();
    if outcome.is_err() || options.keep {
        println!("kept: {}", folder.keep().display());
    }
    outcome
}

/// All chosen scenarios, also after one that failed: each has a database of its own.
async fn play_all(options: &Options, run: &Run) -> Result<()> {
    let mut failed = Vec::new();
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        let chosen = options.only.is_empty() || options.only.iter().any(|name| name == scenario.name);
        let faults = match (if options.long { scenario.long } else { scenario.short }, options.kills) {
            (0, _) => 0,
            (_, Some(wanted)) => wanted,
            (usual, None) => usual,
        };
        if !chosen || faults == 0 {
            continue;
        }
        println!("\n… {}: {}", scenario.name, scenario.what);
        let began = tokio::time::Instant::now();
        let folder = run.folder.join(format!("{number}-{}", scenario.name));
        if let Err(failure) = play(scenario, run, &folder, faults).await {
            println!("FAILED {failure}");
            failed.push(scenario.name);
        }
        println!("this took                 {:.0?}", began.elapsed());
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("failed: {}; seed {}", failed.join(", "), run.random.seed())))
}

async fn play(scenario: &Scenario, run: &Run, folder: &Path, faults: u32) -> Result<()> {
    let mut stage = Stage::set(scenario, run, folder, faults).await?;
    let played = (scenario.run)(&mut stage).await;
    if let Err(failure) = played {
        stage.keep_log();
        return Err(failure);
    }
    stage.judge().await
}
