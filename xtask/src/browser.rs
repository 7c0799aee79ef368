//! `cargo xtask browser`: every task of the dashboard in a real browser, with Playwright Test and Debian's Chromium.
//!
//! The tests are `tests/browser/*.spec.ts`. Each starts a server of its own from the binary that is built here. Pictures of the
//! pages, and traces of what failed, are left in `target/browser`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::{self, Build};
use crate::failure::{Failure, Result};

const FOLDER: &str = "tests/browser";
/// Inside `node_modules`: the lock by which it was installed.
const INSTALLED_BY: &str = "node_modules/.installed-by.json";

#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// The server to test; a debug build when absent.
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// For `playwright test`: files, `--project phone`, `--grep TEXT`, `--debug`, …
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => commands::build("postrider-server", "postrider", Build::Debug)?,
    };
    if !binary.is_file() {
        return Err(Failure::new(format!("there is no program {}", binary.display())));
    }
    let folder = commands::root().join(FOLDER);
    install(&folder)?;
    npm(&folder, &["run", "--silent", "check"])?;
    let mut playwright = Command::new("npx");
    playwright.args(["--no-install", "playwright", "test"]).args(&options.arguments);
    commands::run(playwright.env("POSTRIDER_BINARY", binary).current_dir(folder))
}

/// Installs what the lock names, unless that is there: most runs are of somebody who works on a page.
fn install(folder: &Path) -> Result<()> {
    let lock = fs::read(folder.join("package-lock.json"))?;
    if fs::read(folder.join(INSTALLED_BY)).is_ok_and(|installed_by| installed_by == lock) {
        return Ok(());
    }
    npm(folder, &["ci", "--no-audit", "--no-fund", "--prefer-offline"])?;
    Ok(fs::write(folder.join(INSTALLED_BY), lock)?)
}

fn npm(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut npm = Command::new("npm");
    // The browser is the distribution's, which has its security updates.
    npm.args(arguments).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1").current_dir(folder);
    commands::run(&mut npm)
}
