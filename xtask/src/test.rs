//! `cargo xtask test`: a table of steps, run in order until one fails.

use std::process::Command;

use crate::commands::{self, Build};
use crate::failure::{Failure, Result};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run these steps only (see --list).
    #[arg(long = "only", value_name = "STEP")]
    only: Vec<String>,
    /// Name the steps and stop.
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    what: &'static str,
    needs: &'static [Tool],
    run: fn() -> Result<()>,
}

/// Append a step here. The quick ones come first, since the first failure ends the run.
const STEPS: &[Step] = &[
    Step { name: "format", what: "sources are formatted", needs: &[RUSTFMT], run: format },
    Step { name: "lint", what: "no lint complains", needs: &[CLIPPY], run: lint },
    Step {
        name: "tests",
        what: "every test of the workspace, with the TypeScript SDK, and receivers in Node and Python as oracles",
        needs: &[NEXTEST, NODE, NPM, PYTHON, VENV],
        run: tests,
    },
    // PostgreSQL's programs are installed, or asked for, by the testkit that runs them.
    Step {
        name: "postgres",
        what: "the engine, the API and the systems once more, on PostgreSQL",
        needs: &[NEXTEST],
        run: tests_on_postgres,
    },
    Step { name: "openapi", what: "docs/openapi.json is what the binary serves", needs: &[], run: openapi },
    Step {
        name: "browser",
        what: "every task of the dashboard in a real browser, at desktop and phone width",
        needs: &[NODE, NPM, CHROMIUM],
        run: browser,
    },
    Step { name: "crash", what: "nothing is lost over a few kills", needs: &[], run: crash },
    Step {
        name: "nodes",
        what: "nothing is lost between several nodes on one PostgreSQL",
        needs: &[],
        run: nodes,
    },
    Step { name: "demo", what: "a newcomer's first minute", needs: &[], run: demo },
];

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.list {
        for step in STEPS {
            println!("{:8} {}", step.name, step.what);
        }
        return Ok(());
    }
    let steps = chosen(&options.only)?;
    for (n, step) in steps.iter().enumerate() {
        println!("\n== {}/{} {}: {}", n + 1, steps.len(), step.name, step.what);
        let outcome = step.needs.iter().try_for_each(provide).and_then(|()| (step.run)());
        outcome.map_err(|failure| failure.while_(&format!("step `{}`", step.name)))?;
    }
    println!("\nAll {} steps hold.", steps.len());
    Ok(())
}

fn chosen(only: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = only.iter().find(|name| !STEPS.iter().any(|step| step.name == name.as_str())) {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        return Err(Failure::new(format!("there is no step `{unknown}`; there are {}", known.join(", "))));
    }
    Ok(STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)).collect())
}

fn format() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])
}

fn lint() -> Result<()> {
    cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])
}

fn tests() -> Result<()> {
    cargo(&["nextest", "run", "--workspace"])
}

/// The store's own suite runs on both databases in one go. Left out here is what copies, spoils or reads SQLite's files.
fn tests_on_postgres() -> Result<()> {
    const CHOSEN: &str = "(binary(control_tests) | binary(outbound) | binary(api) | binary(systems)) \
                          - test(crash::) - test(on_disk) - test(damaged)";
    let mut command = Command::new(commands::cargo());
    command.args(["nextest", "run", "--workspace", "--filterset", CHOSEN]);
    commands::run(command.env(postrider_testkit::home::VARIABLE, "postgres").current_dir(commands::root()))
}

fn openapi() -> Result<()> {
    xtask(&["openapi", "--check"])
}

fn browser() -> Result<()> {
    crate::browser::run(&crate::browser::Options::default())
}

/// Enough kills to meet each state of a delivery and of a run more than once; hundreds are `cargo xtask crash --kills 200`, and
/// with `--runs`.
fn crash() -> Result<()> {
    xtask(&["crash", "--kills", "5"])?;
    xtask(&["crash", "--runs", "--kills", "5"])
}

/// A few faults of each kind; hundreds are `cargo xtask nodes --long --release`.
fn nodes() -> Result<()> {
    xtask(&["nodes"])
}

fn demo() -> Result<()> {
    let program = commands::build("postrider-server", "postrider", Build::Debug)?;
    commands::run(Command::new(program).args(["demo", "--once"]).current_dir(commands::root()))
}

/// Another command of this program. By way of cargo: building the tests may have replaced the file we run from.
fn xtask(arguments: &[&str]) -> Result<()> {
    cargo(&[&["run", "--quiet", "--package", "xtask", "--"], arguments].concat())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    commands::run(Command::new(commands::cargo()).args(arguments).current_dir(commands::root()))
}

/// A program that a step needs, how to see whether it is there, and how to get it.
struct Tool {
    name: &'static str,
    probe: (&'static str, &'static [&'static str]),
    get: Get,
}

enum Get {
    /// Part of the toolchain.
    Rustup(&'static str),
    Cargo(&'static str),
    /// A Debian package of this name.
    Apt(&'static str),
}

const RUSTFMT: Tool =
    Tool { name: "rustfmt", probe: ("cargo", &["fmt", "--version"]), get: Get::Rustup("rustfmt") };
const CLIPPY: Tool =
    Tool { name: "clippy", probe: ("cargo", &["clippy", "--version"]), get: Get::Rustup("clippy") };
const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    probe: ("cargo", &["nextest", "--version"]),
    get: Get::Cargo("cargo-nextest"),
};
const NODE: Tool = Tool {
    name: "Node 20 or later",
    probe: ("node", &["--eval", "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)"]),
    get: Get::Apt("nodejs"),
};
const NPM: Tool = Tool { name: "npm", probe: ("npm", &["--version"]), get: Get::Apt("npm") };
const CHROMIUM: Tool =
    Tool { name: "Chromium", probe: ("chromium", &["--version"]), get: Get::Apt("chromium") };
const PYTHON: Tool = Tool { name: "Python 3", probe: ("python3", &["--version"]), get: Get::Apt("python3") };
/// What `python3 -m venv` needs; Debian has it in a package of its own.
const VENV: Tool = Tool {
    name: "Python's venv",
    probe: ("python3", &["-c", "import ensurepip, venv"]),
    get: Get::Apt("python3-venv"),
};

/// Sees to it that the tool is there: installs it where that needs nobody's leave, and says how to otherwise.
fn provide(tool: &Tool) -> Result<()> {
    let (program, arguments) = tool.probe;
    if commands::works(program, arguments) {
        return Ok(());
    }
    println!("{} is missing", tool.name);
    match tool.get {
        Get::Rustup(component) => {
            commands::run(Command::new("rustup").args(["component", "add", component]))?
        }
        Get::Cargo(package) => cargo(&["install", "--locked", package])?,
        Get::Apt(package) => apt(tool.name, package)?,
    }
    if commands::works(program, arguments) {
        return Ok(());
    }
    Err(Failure::new(format!("{} is still missing: `{program} {}` fails", tool.name, arguments.join(" "))))
}

fn apt(name: &str, package: &str) -> Result<()> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !root || !commands::works("apt-get", &["--version"]) {
        return Err(Failure::new(format!(
            "{name} is needed and missing. Install it, on Debian with: sudo apt-get install --yes {package}"
        )));
    }
    commands::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends", package]);
    commands::run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_is_named_with_those_that_exist() {
        let failure = chosen(&["lnit".to_owned()]).err().expect("there is no such step").to_string();
        assert!(failure.contains("`lnit`") && failure.contains("format, lint, tests"), "{failure}");
    }

    #[test]
    fn steps_keep_their_order() {
        let only = ["tests".to_owned(), "format".to_owned()];
        let steps = chosen(&only).expect("both exist");
        assert_eq!(steps.iter().map(|step| step.name).collect::<Vec<_>>(), ["format", "tests"]);
    }
}
