//! An application's PostgreSQL, a server with the tenant `acme`, and the way between connector and server, which can be cut.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use std::io::{BufRead as _, BufReader};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use postrider_egress::{
    AllowList, Budgets, Egress, EgressConfig, FixedNames, Policy, ReadBody, Request, Reuse, Target,
};
use postrider_testkit::postgres::{Database, Postgres, look_until};
use postrider_testkit::proxy::FaultProxy;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

const OPERATOR: &str = "test-operator-key-0123456789abcdef";
pub(crate) const TENANT: &str = "acme";
/// How long a test waits for what other processes do. Not a pause: what is done is seen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);

pub(crate) struct Stage {
    /// `None` where the test has a PostgreSQL of its own.
    _database: Option<Database>,
    pub(crate) url: String,
    pub(crate) server: Server,
    pub(crate) proxy: FaultProxy,
    /// A publisher's, of all tenants.
    pub(crate) key: String,
    pub(crate) folder: TempDir,
}

impl Stage {
    pub(crate) async fn start(name: &str) -> Self {
        let database = Postgres::shared_database(name);
        let url = database.url.clone();
        Self::start_on(url, Some(database)).await
    }

    /// On an application's database at this URL.
    pub(crate) async fn start_on(url: String, database: Option<Database>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let server = Server::start(&folder.path().join("data"));
        let proxy = FaultProxy::start(server.address()).await;
        let api = server.api();
        api.post("/v1/tenants", &json!({ "id": TENANT, "profile": "rcmanager" })).await;
        let key = api.post("/v1/keys", &json!({ "role": "publisher", "name": "connect" })).await;
        let key = key["key"].as_str().expect("a key").to_owned();
        Self { _database: database, url, server, proxy, key, folder }
    }

    /// Runs statements at the source.
    pub(crate) async fn sql(&self, statements: &'static str) {
        let mut session = self.session().await;
        sqlx::raw_sql(statements).execute(&mut session).await.unwrap_or_else(|error| panic!("{error}"));
    }

    pub(crate) async fn session(&self) -> PgConnection {
        session(&self.url).await
    }

    /// One number that a statement gives.
    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&mut self.session().await).await.expect("a number")
    }

    /// `postrider connect postgres`, not started yet.
    pub(crate) fn connect(&self, arguments: &[&str]) -> Command {
        let mut command = postrider();
        command
            .args(["connect", "postgres"])
            .args(arguments)
            .env("POSTRIDER_SOURCE_URL", &self.url)
            .env("POSTRIDER_URL", format!("http://{}", self.proxy.address()))
            .env("POSTRIDER_API_KEY", &self.key);
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.connect(arguments).output().expect("the binary runs")
    }

    /// The same, which has to go well. Gives what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", err(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Makes the triggers of a table whose rows are acme's.
    #[track_caller]
    pub(crate) fn apply(&self, table: &str, kind: &str, more: &[&str]) {
        let arguments = ["--apply", "--table", table, "--kind", kind];
        self.ok(&[&arguments, more].concat());
    }

    /// Delivers all there is.
    #[track_caller]
    pub(crate) fn once(&self) {
        self.ok(&["--once", "--log-level", "warn"]);
    }

    /// A connector that runs until it is stopped.
    pub(crate) fn connector(&self) -> Connector {
        let log = self.folder.path().join("connector.log");
        let file = File::options().create(true).append(true).open(&log).expect("a log");
        let mut command = self.connect(&["--log-level", "info"]);
        let process = command.stdout(Stdio::null()).stderr(file).spawn().expect("the binary starts");
        Connector { process, log }
    }

    /// Waits until all that was committed was delivered.
    pub(crate) async fn delivered(&self) {
        let mut session = self.session().await;
        let began = tokio::time::Instant::now();
        loop {
            let left: i64 = sqlx::query_scalar(
                "SELECT (SELECT count(*) FROM postrider_outbox) + (SELECT count(*) FROM postrider_outbox_meta WHERE taken IS NOT NULL)",
            )
            .fetch_one(&mut session)
            .await
            .expect("a number");
            if left == 0 {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{left} changes are left: {}",
                std::fs::read_to_string(self.folder.path().join("connector.log")).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All events of the tenant in the order of acceptance: `(type, data)`.
    pub(crate) async fn events(&self, tenant: &str) -> Vec<(String, Value)> {
        let rows = self.server.api().list(tenant, "/v1/events?order=asc").await;
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        rows.iter().map(|event| (text(&event["type"]), event["data"].clone())).collect()
    }

    /// The events of each vehicle, in order.
    pub(crate) async fn vehicle_events(&self) -> BTreeMap<String, Vec<(String, Value)>> {
        let mut of_each: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
        for (event, data) in self.events(TENANT).await {
            let id = data["vehicle"]["id"].as_str().expect("its id").to_owned();
            of_each.entry(id).or_default().push((event, data["vehicle"].clone()));
        }
        of_each
    }

    /// Records of the tenant by their ids.
    pub(crate) async fn records(&self, tenant: &str, kind: &str) -> BTreeMap<String, Value> {
        let rows = self.server.api().list(tenant, &format!("/v1/records/{kind}?")).await;
        let count = rows.len();
        let records: BTreeMap<String, Value> = rows
            .into_iter()
            .map(|mut row| (row["id"].as_str().expect("an id").to_owned(), row["data"].take()))
            .collect();
        assert_eq!(records.len(), count, "an id twice");
        records
    }

    /// The server dies as with its machine, and a new one goes on with its folder.
    pub(crate) fn kill_server(&mut self) {
        self.server.kill();
        self.server = Server::start(&self.folder.path().join("data"));
        self.proxy.retarget(self.server.address());
    }
}

pub(crate) async fn session(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn postrider() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTRIDER_")) {
        command.env_remove(name);
    }
    command
}

pub(crate) struct Connector {
    process: Child,
    log: PathBuf,
}

impl Connector {
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it ended");
    }

    /// SIGTERM, which has to end it well.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        let status = self.process.wait().expect("it ended");
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// Waits until it has written this into its log.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(look_until(PATIENCE, || self.log().contains(text)), "{text} is not in {}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut process = postrider()
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error", "--data"])
            .arg(data)
            .env("POSTRIDER_OPERATOR_KEY", OPERATOR)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let first = lines.next().expect("it says where it listens").expect("in UTF-8");
        let url = first.strip_prefix("Postrider listens on ").expect("its first line").to_owned();
        // What else it prints has to be read.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().expect("an address")
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(&self.url)
    }

    fn kill(&mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The operator.
pub(crate) struct Api {
    egress: Egress,
    url: String,
}

impl Api {
    fn new(url: &str) -> Self {
        let loopback = AllowList::parse(&["127.0.0.0/8".to_owned()]).expect("a range");
        let pages = 4 * 1024 * 1024;
        let egress = Egress::new(EgressConfig {
            policy: Policy::new(loopback),
            budgets: Budgets {
                response_read_bytes: pages,
                response_kept_bytes: pages,
                ..postrider_engine::egress_budgets()
            },
            resolver: Arc::new(FixedNames::new()),
            extra_roots_pem: Vec::new(),
        });
        Self { egress: egress.expect("roots"), url: url.to_owned() }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.send(Method::POST, path, None, Bytes::from(body.to_string())).await
    }

    /// All pages of a list. `path` has a query already, be it an empty one.
    pub(crate) async fn list(&self, tenant: &str, path: &str) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = format!("{path}&limit=100{cursor}");
            let mut page = self.send(Method::GET, &page, Some(tenant), Bytes::new()).await;
            rows.append(page["data"].as_array_mut().expect("a page"));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    /// An answer to a GET as it is written.
    pub(crate) async fn raw(&self, tenant: &str, path: &str) -> String {
        self.text(Method::GET, path, Some(tenant), Bytes::new()).await
    }

    async fn send(&self, method: Method, path: &str, tenant: Option<&str>, body: Bytes) -> Value {
        serde_json::from_str(&self.text(method, path, tenant, body).await).expect("JSON")
    }

    async fn text(&self, method: Method, path: &str, tenant: Option<&str>, body: Bytes) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {OPERATOR}").parse().expect("a header"));
        if !body.is_empty() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        if let Some(tenant) = tenant {
            headers.insert("postrider-tenant", tenant.parse().expect("a header"));
        }
        let target = Target::parse(&format!("{}{path}", self.url), self.egress.policy()).expect("a URL");
        let request = Request {
            method,
            target,
            headers,
            body,
            timeout: Duration::from_secs(20),
            partition: [0; 16],
            reuse: Reuse::Any,
            body_rule: ReadBody::ToTheEnd,
        };
        let response = self.egress.send(request).await.result.expect("an answer");
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert!((200..300).contains(&response.status), "{path}: {} {text}", response.status);
        text
    }
}
