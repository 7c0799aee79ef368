//! The project's own tool: `cargo xtask test | browser | crash | nodes | bench | openapi`.

mod bench;
mod browser;
mod clock;
mod commands;
mod crash;
mod failure;
mod http;
mod nodes;
mod openapi;
mod product;
mod test;
mod truth;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests and measures Postrider.")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run everything that has to hold before a change is merged.
    Test(test::Options),
    /// Do every task of the dashboard in a real browser, at desktop and phone width.
    Browser(browser::Options),
    /// Kill the server at random moments under load, then compare what everybody saw.
    Crash(crash::Options),
    /// Break what several servers on one PostgreSQL have between them, then compare what everybody saw.
    Nodes(nodes::Options),
    /// Measure the release build against the raw limit of this machine.
    Bench(bench::Options),
    /// Write docs/openapi.json from the binary.
    Openapi(openapi::Options),
    /// The bench's receiver, in a process of its own. Started by the bench.
    #[command(hide = true)]
    BenchSink,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Browser(options) => browser::run(&options),
        Task::Crash(options) => crash::run(&options),
        Task::Nodes(options) => nodes::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Openapi(options) => openapi::run(&options),
        Task::BenchSink => bench::sink::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
