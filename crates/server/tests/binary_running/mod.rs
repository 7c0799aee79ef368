//! The real binary, running on a folder of its own, for tests that talk to it over HTTP.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Killed when it is dropped, and its folder removed.
pub(crate) struct Binary {
    pub(crate) address: SocketAddr,
    process: Child,
    folder: tempfile::TempDir,
}

impl Binary {
    /// Starts a server that may send to this machine. `key`: its operator's. Its log goes to `log` in its folder.
    pub(crate) fn start(key: &str, log_level: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the store");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_postrider"))
            .args(["serve", "--listen", "127.0.0.1:0", "--egress-allow", "127.0.0.1"])
            .args(["--log-level", log_level, "--data"])
            .arg(folder.path().join("data"))
            .env("POSTRIDER_OPERATOR_KEY", key)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let first = lines.next().expect("it says where it listens").expect("in UTF-8");
        let address = first.rsplit_once("http://").and_then(|(_, address)| address.trim().parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address in {first:?}"));
        // What it prints later must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { address, process, folder }
    }

    /// Holds `data` and `log`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        // Both fail when it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder().join("log")).unwrap_or_default();
            eprintln!(
                "the server's log ends with:\n{}",
                log[log.floor_char_boundary(log.len().saturating_sub(4000))..].trim()
            );
        }
    }
}
