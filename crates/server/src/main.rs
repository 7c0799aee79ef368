//! The binary `postrider`: reads the command line and runs one command.

mod cli;
mod client;
mod commands;
mod complaint;
mod config;
mod connect;
mod os;
mod telemetry;
mod wire;

use std::process::ExitCode;

use cli::Call;
use complaint::Complaint;

/// An attempt makes some sixty small allocations, many of them freed on another thread: there the system's allocator spent
/// an eighth of the process's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(cli::parse()) {
        Ok(code) => code,
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::FAILURE
        }
    }
}

fn run(call: Call) -> Result<ExitCode, Complaint> {
    match call {
        Call::Serve(sources) => in_runtime(commands::serve::run(&sources))?,
        Call::Demo(after) => return in_runtime(commands::demo::run(after)),
        Call::Key(call) => in_runtime(commands::key::run(call))?,
        Call::KeyNewOperator(sources) => in_runtime(commands::key::new_operator(&sources))?,
        Call::ProfileCheck(file) => commands::profile::check(&file)?,
        Call::Verify(call) => return Ok(commands::verify::run(&call)),
        Call::Doctor(sources) => return in_runtime(commands::doctor::run(&sources)),
        Call::MigrateTo { sources, url } => in_runtime(commands::migrate_to::run(&sources, url))?,
        Call::ConnectPostgres(call) => in_runtime(commands::connect::postgres(*call))?,
        Call::Backup { sources, file } => commands::backup::run(&sources, &file)?,
        Call::Restored(sources) => in_runtime(commands::restored::run(&sources))?,
        Call::OpenApi => commands::openapi::run()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn in_runtime<T>(work: impl Future<Output = Result<T, Complaint>>) -> Result<T, Complaint> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Complaint::new(
            "the program could not start its threads",
            error.to_string(),
            "raise the limits on threads and open files for this user (ulimit -u, ulimit -n)",
        )
    })?;
    runtime.block_on(work)
}
