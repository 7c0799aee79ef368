//! The server under test: a process on a data folder, and the part of its API that tests and benches use.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::failure::{Failure, Result};
use crate::http::Connection;

/// Only ever used for servers on loopback that live for a test.
pub(crate) const OPERATOR_KEY: &str = "operator-key-of-a-test-0123456789abcdef";
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// A server that is not ready by then will not become it.
const START_MAX: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(5);
/// What `/proc/PID/stat` counts in: `USER_HZ`, 100 on every Linux that runs this.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server. It is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
    /// From the start of the process until it said that it is ready.
    pub(crate) started_in: Duration,
}

/// Where a server keeps what must last.
#[derive(Clone, Copy)]
pub(crate) enum Home<'a> {
    /// A data folder, created when missing.
    Folder(&'a Path),
    /// A PostgreSQL, which other servers may share.
    Postgres(&'a str),
}

impl Server {
    /// Starts `program` on a data folder, its output appended to `data`/../server.log.
    pub(crate) async fn start(program: &Path, data: &Path) -> Result<Self> {
        Self::start_at(program, Home::Folder(data), &data.with_file_name("server.log")).await
    }

    /// Starts `program`, its output appended to `log`.
    pub(crate) async fn start_at(program: &Path, home: Home<'_>, log: &Path) -> Result<Self> {
        let mut server = Self::spawn(program, home, log).await?;
        let began = Instant::now();
        server.await_ready(began).await?;
        server.started_in = began.elapsed();
        Ok(server)
    }

    /// The same without waiting until it is ready.
    pub(crate) async fn spawn(program: &Path, home: Home<'_>, log: &Path) -> Result<Self> {
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        let address = free_address().await?;
        let (name, value) = match home {
            Home::Folder(data) => ("POSTRIDER_DATA", data.as_os_str()),
            Home::Postgres(url) => ("POSTRIDER_DATABASE_URL", url.as_ref()),
        };
        let child = Command::new(program)
            .arg("serve")
            .env("POSTRIDER_LISTEN", address.to_string())
            .env(name, value)
            .env("POSTRIDER_OPERATOR_KEY", OPERATOR_KEY)
            .env("POSTRIDER_MASTER_KEY", MASTER_KEY)
            .env("POSTRIDER_EGRESS_ALLOW", "127.0.0.0/8")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure::from(error).while_(&program.display().to_string()))?;
        Ok(Self { child, address, log: log.to_owned(), started_in: Duration::ZERO })
    }

    async fn await_ready(&mut self, began: Instant) -> Result<()> {
        let mut last = "it does not listen".to_owned();
        while began.elapsed() < START_MAX {
            if let Some(status) = self.child.try_wait()? {
                return Err(Failure::new(format!("the server stopped ({status}){}", self.last_words())));
            }
            match ready(self.address).await {
                Ok(200) => return Ok(()),
                Ok(status) => last = format!("/readyz answers {status}"),
                Err(failure) => last = failure.to_string(),
            }
            sleep(START_POLL).await;
        }
        Err(Failure::new(format!("the server is not ready after {START_MAX:?}: {last}{}", self.last_words())))
    }

    /// The end of the server's log, for a failure's message.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(20)..];
        format!("; the end of {}:\n{}", self.log.display(), tail.join("\n"))
    }

    /// For signals.
    pub(crate) fn id(&self) -> Result<u32> {
        self.child.id().ok_or_else(|| Failure::new("the server has stopped"))
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.id()?).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| Failure::new("the server has no number"))?;
        Ok(kill_process(id, signal)?)
    }

    /// SIGTERM, and waits until the process has ended well.
    pub(crate) async fn end(mut self, patience: Duration) -> Result<()> {
        self.signal(Signal::TERM)?;
        match timeout(patience, self.child.wait()).await {
            Ok(ended) if ended.as_ref().is_ok_and(ExitStatus::success) => Ok(()),
            Ok(ended) => {
                Err(Failure::new(format!("the server did not end well ({}){}", ended?, self.last_words())))
            }
            Err(_) => {
                Err(Failure::new(format!("the server has not ended after {patience:?}{}", self.last_words())))
            }
        }
    }

    /// Waits until it is ready, and says how long that took.
    pub(crate) async fn became_ready(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.await_ready(began).await?;
        Ok(began.elapsed())
    }

    /// Processor time that the process used until now, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(self.proc("stat")?)?;
        // The name of the program, in parentheses, may hold spaces; user and system time are the 14th and 15th field.
        let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let ticks =
            after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / TICKS_PER_SECOND)
    }

    /// The most memory that the process ever held (`VmHWM`), in MiB.
    pub(crate) fn memory_peak_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(self.proc("status")?)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib =
            line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0).ok_or_else(|| Failure::new("the process has no VmHWM line"))
    }

    fn proc(&self, file: &str) -> Result<PathBuf> {
        let id = self.id()?;
        Ok(PathBuf::from(format!("/proc/{id}/{file}")))
    }

    pub(crate) async fn api(&self) -> Result<Api> {
        Api::connect(self.address).await
    }
}

/// The status of `/readyz`.
pub(crate) async fn ready(address: SocketAddr) -> Result<u16> {
    let mut connection = Connection::open(address).await?;
    let request = Request::get("/readyz").header("host", address.to_string()).body(Full::default())?;
    Ok(connection.send(request).await?.0.as_u16())
}

/// A port that is free now: ours until somebody else takes it, which on a test machine nobody does.
pub(crate) async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?)
}

/// The server's API as its operator, over one connection.
pub(crate) struct Api {
    connection: Connection,
    host: String,
}

impl Api {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self { connection: Connection::open(address).await?, host: address.to_string() })
    }

    /// A request of the operator for a tenant; with a body it is JSON.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        tenant: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("authorization", format!("Bearer {OPERATOR_KEY}"));
        if !tenant.is_empty() {
            request = request.header("postrider-tenant", tenant);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        Ok(request.body(Full::new(body))?)
    }

    /// Sends and gives the status and body, whatever they are. An error means that no whole answer came.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        tenant: &str,
        body: Bytes,
    ) -> Result<(u16, Bytes)> {
        let answer = self.answer(method, path, tenant, body).await?;
        Ok((answer.status().as_u16(), answer.into_body()))
    }

    /// Sends a request as it stands, and gives the status and body.
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes)> {
        let (status, answer) = self.connection.send(request).await?;
        Ok((status.as_u16(), answer))
    }

    /// As [`Self::ask`], for whoever reads the head too.
    pub(crate) async fn whole(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
        self.connection.answer(request).await
    }

    /// As [`Self::send`], for whoever reads the head too.
    pub(crate) async fn answer(
        &mut self,
        method: Method,
        path: &str,
        tenant: &str,
        body: Bytes,
    ) -> Result<Response<Bytes>> {
        let request = self.request(method, path, tenant, body)?;
        self.connection.answer(request).await
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Sends and gives the JSON of a 2xx. `tenant` empty: for the whole installation.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        tenant: &str,
        body: &Value,
    ) -> Result<Value> {
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let (status, answer) = self.send(method.clone(), path, tenant, bytes).await?;
        if !(200..300).contains(&status) {
            let answer = String::from_utf8_lossy(&answer);
            return Err(Failure::new(format!("{method} {path} answered {status}: {answer}")));
        }
        if answer.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&answer)?) }
    }

    pub(crate) async fn get(&mut self, path: &str, tenant: &str) -> Result<Value> {
        self.call(Method::GET, path, tenant, &Value::Null).await
    }

    pub(crate) async fn create_tenant(&mut self, id: &str) -> Result<()> {
        let tenant = json!({"id": id, "name": id, "profile": "standard"});
        self.call(Method::POST, "/v1/tenants", "", &tenant).await.map(drop)
    }

    /// Gives the id of the webhook.
    pub(crate) async fn create_webhook(
        &mut self,
        tenant: &str,
        url: &str,
        events: &[&str],
    ) -> Result<String> {
        let webhook = json!({"url": url, "events": events});
        let created = self.call(Method::POST, "/v1/webhooks", tenant, &webhook).await?;
        created["id"].as_str().map(str::to_owned).ok_or_else(|| Failure::new("a created webhook has no id"))
    }
}
