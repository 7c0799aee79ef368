//! The driver's end of the sink: its process, and what it counted.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::failure::{Failure, Result};
use crate::http::Connection;

/// The sink stamps arrivals itself, so that asking now and then costs no accuracy.
const POLL: Duration = Duration::from_millis(20);
/// Without any arrival for so long, the rest does not come.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The sink's process. It is killed when it is dropped.
pub(super) struct Sink {
    child: Child,
    pub(super) address: SocketAddr,
}

/// What a slot counted since the last reset.
pub(super) struct Stats {
    pub(super) last_ns: u64,
    /// Rising.
    pub(super) latencies_us: Vec<u64>,
}

impl Sink {
    pub(super) fn start() -> Result<Self> {
        let mut child =
            Command::new(std::env::current_exe()?).arg("bench-sink").stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().expect("because it was asked for");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse()? })
    }

    pub(super) fn url(&self, slot: usize) -> String {
        format!("http://{}/s/{slot}", self.address)
    }

    /// Of a receiver that refuses everything until [`Self::open_gates`], and then counts in the slot.
    pub(super) fn gated_url(&self, slot: usize) -> String {
        format!("http://{}/gate/{slot}", self.address)
    }

    pub(super) fn hanging_url(&self) -> String {
        format!("http://{}/hang", self.address)
    }

    /// Of a receiver that refuses everything.
    pub(super) fn refusing_url(&self) -> String {
        format!("http://{}/refuse", self.address)
    }

    /// Of a receiver that asks to be tried again in a day.
    pub(super) fn later_url(&self) -> String {
        format!("http://{}/later", self.address)
    }

    pub(super) async fn reset(&self) -> Result<()> {
        self.ask("reset").await.map(drop)
    }

    pub(super) async fn open_gates(&self) -> Result<()> {
        self.ask("open").await.map(drop)
    }

    /// The first request that a slot got, head and body.
    pub(super) async fn sample(&self, slot: usize) -> Result<Bytes> {
        self.ask(&format!("sample/{slot}")).await
    }

    /// Waits until a slot has counted `expected` requests, and fails when it counted more.
    pub(super) async fn wait_for(&self, slot: usize, expected: u64) -> Result<Stats> {
        let mut connection = Connection::open(self.address).await?;
        let (mut seen, mut changed) = (0, Instant::now());
        while seen < expected {
            sleep(POLL).await;
            let count = count_of(&json(&ask(&mut connection, &format!("progress/{slot}")).await?)?);
            if count != seen {
                (seen, changed) = (count, Instant::now());
            }
            if changed.elapsed() > SILENCE_MAX {
                return Err(Failure::new(format!(
                    "{seen} of {expected} deliveries arrived, then none for {SILENCE_MAX:?}"
                )));
            }
        }
        let stats = json(&ask(&mut connection, &format!("stats/{slot}")).await?)?;
        if count_of(&stats) > expected {
            return Err(Failure::new(format!("{} deliveries arrived, not {expected}", count_of(&stats))));
        }
        let latencies =
            stats["latenciesUs"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        Ok(Stats { last_ns: stats["lastNs"].as_u64().unwrap_or_default(), latencies_us: latencies })
    }

    async fn ask(&self, what: &str) -> Result<Bytes> {
        ask(&mut Connection::open(self.address).await?, what).await
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // It may be gone already, and nothing is lost with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ask(connection: &mut Connection, what: &str) -> Result<Bytes> {
    let request = Request::get(format!("/control/{what}")).header("host", "sink").body(Full::default())?;
    Ok(connection.send(request).await?.1)
}

fn json(bytes: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice(bytes)?)
}

fn count_of(stats: &Value) -> u64 {
    stats["count"].as_u64().unwrap_or_default()
}
