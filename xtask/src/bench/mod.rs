//! `cargo xtask bench`: the release build against the raw limit of the machine, in one run, as ratios.
//!
//! Driver, sink and server are three processes. Every scenario has a server and a data folder of its own, so that its
//! memory and its backlog are its own; the raw limit is measured anew before each, and its median is the yardstick.

mod inbound;
mod load;
mod pages;
mod raw;
mod receiver;
mod records;
mod report;
mod scenario;
pub(crate) mod sink;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicUsize;

use postrider_testkit::postgres::Postgres;

use crate::commands::{self, Build};
use crate::failure::{Failure, Result};

use raw::Sample;
use receiver::Sink;
use report::Report;
use scenario::{SCENARIOS, Scale, World};

/// What a server keeps its work in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run these scenarios only: single, tenants, fanout, batch, steady, backlog, neighbours, records, inbound, pages; on PostgreSQL also nodes, claims.
    #[arg(long = "only", value_name = "SCENARIO")]
    only: Vec<String>,
    /// A tenth of the load: for trying it out, not for quoting.
    #[arg(long)]
    quick: bool,
    /// Where to write the figures.
    #[arg(long, default_value = "bench.json")]
    out: PathBuf,
    /// The server to measure; built when absent.
    #[arg(long)]
    server: Option<PathBuf>,
    /// The database behind the server: `sqlite`, or `postgres`, which the bench starts for itself and which shares the
    /// machine's processors.
    #[arg(long, default_value = "sqlite")]
    database: Kind,
    /// Set when the release build of xtask has been started, since a debug build would measure itself.
    #[arg(long, hide = true)]
    driver: bool,
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
    if !options.driver {
        return start_driver(options);
    }
    let server = match &options.server {
        Some(server) => server.clone(),
        None => commands::built("postrider", Build::Release)?,
    };
    // A bare client is at its best on as many threads as there are processors, and so is the load that is made with it.
    tokio::runtime::Runtime::new()?.block_on(drive(options, &server))
}

fn start_driver(options: &Options) -> Result<()> {
    // Two builds: together, the driver's dependencies would switch on features that the server does not ship with.
    let driver = commands::build("xtask", "xtask", Build::Release)?;
    if options.server.is_none() {
        commands::build("postrider-server", "postrider", Build::Release)?;
    }
    let mut command = Command::new(driver);
    command.args(["bench", "--driver", "--out"]).arg(&options.out);
    for name in &options.only {
        command.args(["--only", name]);
    }
    if options.quick {
        command.arg("--quick");
    }
    if options.database == Kind::Postgres {
        command.args(["--database", "postgres"]);
    }
    if let Some(server) = &options.server {
        command.arg("--server").arg(server);
    }
    commands::run(&mut command)
}

async fn drive(options: &Options, server: &Path) -> Result<()> {
    let sink = Sink::start()?;
    let scale = if options.quick { Scale::Tenth } else { Scale::Full };
    let postgres = (options.database == Kind::Postgres).then(Postgres::start);
    let mut world = World { server, postgres, databases: AtomicUsize::new(0), sink, scale, sample: None };
    let sample: Sample = world.take_sample().await?;
    println!("one delivery: {} bytes of body", sample.body.len());

    let mut report = Report::new(scale, sample.body.len());
    let chosen = SCENARIOS
        .iter()
        .filter(|scenario| scenario.on.contains(&options.database))
        .filter(|scenario| options.only.is_empty() || options.only.iter().any(|name| name == scenario.name));
    for scenario in chosen {
        report.raw(world.raw().await?);
        println!("… {}: {}", scenario.name, scenario.what);
        let figures = (scenario.run)(&world).await.map_err(|failure| failure.while_(scenario.name))?;
        report.add(scenario.name, figures);
    }
    report.raw(world.raw().await?);
    report.print();
    report.write(&options.out)
}
