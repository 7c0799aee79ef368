//! `cargo xtask openapi`: the document that the binary serves, as a file for those who read the repository.

use std::fs;
use std::process::Command;

use crate::commands::{self, Build};
use crate::failure::{Failure, Result};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail when the file is not what the binary says.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let program = commands::build("postrider-server", "postrider", Build::Debug)?;
    let output = Command::new(&program).arg("openapi").output()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("`postrider openapi` failed: {complaint}")));
    }
    let document: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let text = format!("{document:#}\n");

    let path = commands::root().join("docs/openapi.json");
    if options.check {
        return if fs::read_to_string(&path).is_ok_and(|have| have == text) {
            Ok(())
        } else {
            Err(Failure::new("docs/openapi.json is out of date: run `cargo xtask openapi`"))
        };
    }
    fs::write(&path, text)?;
    println!("wrote {}", path.display());
    Ok(())
}
