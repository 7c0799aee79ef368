//! `postrider serve`: a server until SIGTERM or SIGINT.

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use crate::complaint::Complaint;
use crate::config::{Config, Sources};
use crate::os::SystemClock;
use crate::{telemetry, wire};

pub(crate) async fn run(sources: &Sources) -> Result<(), Complaint> {
    let config = Config::load(sources)?;
    telemetry::start(&config)?;
    // Asked for before anything starts, so that a signal during the start is not lost.
    let told_to_end = until_told_to_end()?;
    let mut running = wire::start(&config, Arc::new(SystemClock)).await?;

    println!("Postrider listens on http://{}", running.address());
    match &config.database_url {
        Some(_) => println!("  database      PostgreSQL, shared with other nodes"),
        None => println!("  data folder   {}", absolute(&config.data)),
    }
    println!("  try the API   {}/docs", running.public_url());
    if let Some(key) = running.take_new_operator_key() {
        println!("  operator key  {}", key.expose_secret());
        println!(
            "                shown this once; keep it. It goes into the header Authorization: Bearer KEY"
        );
    }
    println!(
        "  dashboard     {}/dashboard/link/{}",
        running.public_url(),
        running.operator_link().expose_secret()
    );
    println!(
        "                signs you in as an operator, once, within a quarter of an hour; later, sign in with a key"
    );
    if let Some((saw, remedy)) = wire::exposure_warning(&config) {
        tracing::warn!("{saw}: {remedy}");
    }

    let broken = tokio::select! {
        () = told_to_end => None,
        why = running.broken() => Some(why),
    };
    eprintln!("Stopping: no new requests; waiting for deliveries under way. A second signal ends at once.");
    let again = until_told_to_end()?;
    tokio::select! {
        () = running.stop() => broken.map_or(Ok(()), |why| Err(Complaint::new(
            "the server had to stop",
            why,
            "start it again, which loses nothing; report this with the log, it is a defect of Postrider",
        ))),
        // What was under way is found by the next start, as after a crash.
        () = again => std::process::exit(130),
    }
}

fn absolute(path: &std::path::Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Resolves at the first SIGTERM or SIGINT after the call.
pub(crate) fn until_told_to_end() -> Result<impl Future<Output = ()>, Complaint> {
    let refused = |error: std::io::Error| {
        Complaint::new(
            "the program cannot listen for signals",
            error.to_string(),
            "check the limits of its container or service",
        )
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        let mut interrupt = tokio::signal::windows::ctrl_c().map_err(refused)?;
        Ok(async move {
            interrupt.recv().await;
        })
    }
}
