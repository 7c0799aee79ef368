//! Other programs: where they are, and running them aloud.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("because xtask lies in the workspace")
}

/// The cargo that runs us, so that a toolchain chosen on the command line is kept.
pub(crate) fn cargo() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    Debug,
    Release,
}

impl Build {
    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// A program of the workspace: a sibling of this one, since both lie in the same target folder.
pub(crate) fn built(program: &str, build: Build) -> Result<PathBuf> {
    let own = env::current_exe()?;
    let target = own
        .parent()
        .and_then(Path::parent)
        .ok_or_else(|| Failure::new("xtask runs from no target folder"))?;
    Ok(target.join(build.folder()).join(program))
}

/// Builds a package and says where its program is.
pub(crate) fn build(package: &str, program: &str, build: Build) -> Result<PathBuf> {
    let mut command = Command::new(cargo());
    command.args(["build", "--package", package]).current_dir(root());
    if build == Build::Release {
        command.arg("--release");
    }
    run(&mut command)?;
    built(program, build)
}

/// Prints the command, runs it, and fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let status = command.status().map_err(|error| Failure::from(error).while_(&line))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{line}` failed ({status})"))) }
}

/// Whether the command can be started and succeeds. Says nothing.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
