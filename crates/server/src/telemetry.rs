//! Logs: to standard error, as text for people or as JSON lines for machines. Standard output belongs to the commands.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::complaint::Complaint;
use crate::config::{Config, LogFormat};

/// Installs the process's log writer. Called once, before anything else starts.
pub(crate) fn start(config: &Config) -> Result<(), Complaint> {
    let filter = EnvFilter::try_new(&config.log_level).map_err(|error| {
        Complaint::new(
            format!("log_level \"{}\" cannot be read", config.log_level),
            error.to_string(),
            "use error, warn, info, debug or trace, or a list like info,postrider_engine=debug",
        )
    })?;
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let installed = match config.log_format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| {
        Complaint::new(
            "the log could not be started",
            error.to_string(),
            "report this: it is a bug of Postrider",
        )
    })
}
