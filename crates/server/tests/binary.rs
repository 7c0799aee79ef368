//! The binary as people meet it: what it prints, creates and answers, and its exit statuses.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use postrider_egress::{
    AllowList, Egress, EgressConfig, FixedNames, Policy, ReadBody, Request, Reuse, Target,
};
use postrider_testkit::postgres::Postgres;
use postrider_testkit::receiver::{Answer, Gate, Receiver};
use tempfile::TempDir;

fn postrider() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTRIDER_")) {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    postrider().args(arguments).output().expect("the binary runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server without any configuration but where to be, and that receivers of this machine are allowed.
struct Server {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        Self::start_logging(data, "error", Stdio::null())
    }

    /// A node on a PostgreSQL.
    fn start_on(database: &str, master_key: &str) -> Self {
        let mut command = postrider();
        command.env("POSTRIDER_DATABASE_URL", database).env("POSTRIDER_MASTER_KEY", master_key);
        Self::spawn(
            command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error"]).stderr(Stdio::null()),
        )
    }

    fn start_logging(data: &Path, level: &str, log: Stdio) -> Self {
        let mut command = postrider();
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", level, "--data"]).arg(data);
        Self::spawn(command.stderr(log))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = command
            .env("POSTRIDER_EGRESS_ALLOW", "127.0.0.0/8")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let first = lines.next().expect("it says where it listens").expect("in UTF-8");
        let url = first.strip_prefix("Postrider listens on ").expect("its first line").to_owned();
        Self { process, lines, url }
    }

    /// The key that the first start on a folder shows.
    fn operator_key(&mut self) -> String {
        loop {
            let line = self.lines.next().expect("it shows the key").expect("in UTF-8");
            if let Some(key) = operator_key(&line) {
                return key;
            }
        }
    }

    /// The rest of what it printed, after it was told to end and ended well.
    fn stop(mut self) -> String {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(told.success());
        let printed: Vec<String> = self.lines.by_ref().map(|line| line.expect("UTF-8")).collect();
        let status = self.process.wait().expect("it ended");
        assert!(status.success(), "SIGTERM ends it well: {status}");
        printed.join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failed assertion it is still there; otherwise this finds nobody.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn operator_key(printed: &str) -> Option<String> {
    let line = printed.lines().find(|line| line.contains("operator key"))?;
    line.split_whitespace().last().map(str::to_owned)
}

#[test]
fn demo_once_holds() {
    let output = run(&["demo", "--once"]);
    assert!(output.status.success(), "{}{}", out(&output), err(&output));
    let printed = out(&output);
    for system in ["standard", "runtight", "smartmaintenance", "org-jobs", "rcmanager"] {
        let line =
            printed.lines().find(|line| line.starts_with(system)).unwrap_or_else(|| panic!("{printed}"));
        assert!(line.contains(" 200 ") && line.ends_with("verified"), "{line}");
    }
    assert!(printed.contains("22 accepted, 22 delivered, balanced"), "{printed}");
}

#[cfg(unix)]
#[test]
fn serve_without_configuration_makes_a_private_folder_and_shows_the_operator_key_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let printed = Server::start(&data).stop();
    let key = operator_key(&printed).expect("the key is shown at the first start");
    assert!(key.len() >= 32, "{key}");
    let mode = |path: PathBuf| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(data.clone()), 0o700);
    assert_eq!(mode(data.join("master.key")), 0o600);
    let again = Server::start(&data).stop();
    assert_eq!(operator_key(&again), None, "{again}");
}

#[test]
fn keys_are_created_listed_and_revoked_on_a_running_server() {
    let folder = TempDir::new().expect("a folder");
    let operator = operator_key(&Server::start(folder.path()).stop()).expect("the first start shows it");
    let server = Server::start(folder.path());
    let key = |arguments: &[&str]| {
        postrider()
            .arg("key")
            .args(arguments)
            .args(["--server", &server.url])
            .env("POSTRIDER_OPERATOR_KEY", &operator)
            .output()
            .expect("the binary runs")
    };
    let created = key(&["create", "--role", "publisher", "--name", "app"]);
    assert!(created.status.success(), "{}", err(&created));
    assert!(out(&created).trim().len() >= 32);
    let listed = out(&key(&["list"]));
    let line = listed.lines().find(|line| line.ends_with("app")).expect("it is listed");
    assert!(!listed.contains(out(&created).trim()), "a key is never listed");
    let id = line.split_whitespace().next().expect("an id");
    assert!(key(&["revoke", id]).status.success());
    assert!(out(&key(&["list"])).lines().any(|line| line.ends_with("app (revoked)")));
    let refused = key(&["revoke", "key_unknown"]);
    assert!(!refused.status.success() && err(&refused).contains("404"), "{}", err(&refused));
    server.stop();
}

#[test]
fn a_lost_operator_key_is_replaced_while_the_server_is_stopped() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().to_str().expect("a plain path");
    let none = run(&["key", "new-operator", "--data", data]);
    assert!(!none.status.success() && err(&none).contains("no store"), "{}", err(&none));
    let server = Server::start(folder.path());
    let refused = run(&["key", "new-operator", "--data", data]);
    assert!(!refused.status.success() && err(&refused).contains("another process"), "{}", err(&refused));
    server.stop();
    let made = run(&["key", "new-operator", "--data", data]);
    assert!(made.status.success(), "{}", err(&made));
    let server = Server::start(folder.path());
    let listed = postrider()
        .args(["key", "list", "--server", &server.url])
        .env("POSTRIDER_OPERATOR_KEY", out(&made).trim())
        .output()
        .expect("the binary runs");
    assert!(listed.status.success(), "{}", err(&listed));
    server.stop();
}

#[test]
fn a_second_server_on_the_folder_and_a_taken_port_are_told_plainly() {
    let folder = TempDir::new().expect("a folder");
    let server = Server::start(folder.path());
    let data = folder.path().to_str().expect("a plain path");
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data", data]);
    assert!(!second.status.success() && err(&second).contains("another process"), "{}", err(&second));
    let address = server.url.trim_start_matches("http://");
    let other = TempDir::new().expect("a folder");
    let taken = run(&["serve", "--listen", address, "--data", other.path().to_str().expect("a plain path")]);
    assert!(!taken.status.success(), "{}", out(&taken));
    for word in ["error: ", "why: ", "do:  "] {
        assert!(err(&taken).contains(word), "{}", err(&taken));
    }
    server.stop();
}

#[test]
fn an_unknown_setting_stops_the_start() {
    let variable =
        postrider().arg("serve").env("POSTRIDER_EGRES_ALLOW", "x").output().expect("the binary runs");
    assert!(
        !variable.status.success() && err(&variable).contains("POSTRIDER_EGRESS_ALLOW"),
        "{}",
        err(&variable)
    );
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("postrider.toml");
    std::fs::write(&file, "lisen = \"127.0.0.1:0\"\n").expect("written");
    let file = run(&["serve", "--config", file.to_str().expect("a plain path")]);
    assert!(!file.status.success() && err(&file).contains("did you mean listen?"), "{}", err(&file));
}

#[test]
fn another_master_key_is_refused() {
    let folder = TempDir::new().expect("a folder");
    Server::start(folder.path()).stop();
    let refused = postrider()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .env("POSTRIDER_MASTER_KEY", "ab".repeat(32))
        .output()
        .expect("the binary runs");
    assert!(!refused.status.success() && err(&refused).contains("master key"), "{}", err(&refused));
}

#[test]
fn profile_check_names_each_mistake_with_its_line_and_shows_an_example() {
    let good = run(&[
        "profile",
        "check",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/smartmaintenance.toml"),
    ]);
    assert!(good.status.success(), "{}", err(&good));
    assert!(out(&good).contains("X-SMTM-Signature: sha256="), "{}", out(&good));
    let folder = TempDir::new().expect("a folder");
    let bad = folder.path().join("bad.toml");
    std::fs::write(
        &bad,
        "name = \"bad\"\n[envelope]\nevent = \"{event.typ}\"\n[delivery]\nmode = \"later\"\n",
    )
    .expect("written");
    let bad = run(&["profile", "check", bad.to_str().expect("a plain path")]);
    assert!(!bad.status.success());
    for place in ["bad.toml:3: ", "bad.toml:5: "] {
        assert!(err(&bad).contains(place), "{}", err(&bad));
    }
}

#[test]
fn verify_says_by_its_exit_status_whether_a_signature_holds() {
    let verify = |request: &str, secret: &str| {
        let mut process = postrider()
            .args(["verify", "--profile", "smartmaintenance", "--secret", secret])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        process.stdin.take().expect("piped").write_all(request.as_bytes()).expect("written");
        let output = process.wait_with_output().expect("it ended");
        (output.status.code(), out(&output))
    };
    // echo -n '{"a":1}' | openssl dgst -sha256 -hmac b
    let head = "POST /hook HTTP/1.1\r\nHost: x\r\n\
                X-SMTM-Signature: sha256=d54c5d8ab6f9c901219ecd3daefa3caef1db488be95b5404767c7070889bcf04\r\n\r\n";
    assert_eq!(verify(&format!("{head}{{\"a\":1}}"), "b").0, Some(0));
    assert_eq!(verify(&format!("{head}{{\"a\":2}}"), "b").0, Some(1));
    let (status, said) = verify(&format!("{head}{{\"a\": 1}}"), "b");
    assert!(status == Some(1) && said.contains("whitespace"), "{said}");
    assert_eq!(verify("no request", "b").0, Some(2));
}

#[test]
fn doctor_finds_nothing_in_the_way_of_a_new_folder_and_names_what_is() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("a plain path");
    let good = run(&["doctor", "--listen", "127.0.0.1:0", "--data", data]);
    assert!(good.status.success(), "{}{}", out(&good), err(&good));
    assert!(!Path::new(data).exists(), "it changes nothing");
    let bad = run(&["doctor", "--listen", "192.0.2.1:80", "--data", data, "--egress-allow", "10.0.0.0/99"]);
    assert_eq!(bad.status.code(), Some(1), "{}", out(&bad));
    assert!(out(&bad).contains("2 to put right"), "{}", out(&bad));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_looks_at_the_postgresql_that_nodes_would_share() {
    let database = Postgres::shared_database("doctor");
    let doctor = |url: &str, key: Option<&str>| {
        let mut command = postrider();
        command.args(["doctor", "--listen", "127.0.0.1:0"]).env("POSTRIDER_DATABASE_URL", url);
        command.envs(key.map(|key| ("POSTRIDER_MASTER_KEY", key)));
        let output = command.output().expect("the binary runs");
        (output.status.code(), out(&output))
    };
    let key = "7".repeat(64);
    let (code, said) = doctor(&database.url, Some(&key));
    assert_eq!(code, Some(0), "{said}");
    for expected in
        ["PostgreSQL", "the first start creates the tables", "more; a node takes", "as the server's"]
    {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    assert!(!said.contains("data folder"), "{said}");
    let (code, said) = doctor(&database.url, None);
    assert!(code == Some(1) && said.contains("POSTRIDER_MASTER_KEY"), "{said}");
    let (code, said) = doctor("postgres://u:hunter2@127.0.0.1:1/db", Some(&key));
    assert!(code == Some(1) && said.contains("check that the server runs"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn openapi_prints_the_document() {
    let document: serde_json::Value = serde_json::from_slice(&run(&["openapi"]).stdout).expect("JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    assert!(document["paths"]["/v1/events"]["post"].is_object());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_a_log_however_detailed() {
    const SECRET: &str = "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiB0aGUgdGVzdA==";
    const HEADER: &str = "Bearer hush-hush-token";
    let folder = TempDir::new().expect("a folder");
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).expect("a file");
    let mut server = Server::start_logging(&folder.path().join("data"), "trace", file.into());
    let key = server.operator_key();
    let receiver = Receiver::start().await;
    let failing = Receiver::start().await;
    failing.answer(Answer::status(500));
    let api = Api::new(&server.url, &key);
    api.post("/v1/tenants", r#"{"id":"acme","profile":"standard"}"#).await;
    for (url, answer) in
        [(receiver.url("/a?token=hush-hush-query"), &receiver), (failing.url("/b"), &failing)]
    {
        let webhook = format!(
            r#"{{"url":"{url}","events":["*"],"secret":"{SECRET}","headers":{{"Authorization":"{HEADER}"}}}}"#
        );
        api.post("/v1/webhooks", &webhook).await;
        api.post("/v1/events", r#"{"type":"order.created","data":{"card":"hush-hush-data"}}"#).await;
        let received = answer.wait_for(1).await;
        assert_eq!(received[0].header("authorization"), Some(HEADER));
    }
    // A body that is not JSON, and a wrong key, are the likeliest to be quoted.
    let wrong = format!(r#"{{"url":"{}","secret":"{SECRET}""#, receiver.url("/c"));
    assert_eq!(api.send("/v1/webhooks", &wrong).await, 400);
    assert_eq!(Api::new(&server.url, &format!("{key}x")).send("/v1/webhooks", "{}").await, 401);
    server.stop();

    let log = std::fs::read_to_string(&log).expect("the log");
    assert!(log.contains("DEBUG") && log.lines().count() > 50, "it logs in detail: {log}");
    for secret in [&key, SECRET, &SECRET["whsec_".len()..], HEADER, "hush-hush"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

/// How often each event was received, by its id in the profile `standard`.
fn times_received(receiver: &Receiver) -> Vec<usize> {
    let mut times = std::collections::BTreeMap::<String, usize>::new();
    for request in receiver.received() {
        *times.entry(request.header("webhook-id").expect("an id").to_owned()).or_default() += 1;
    }
    times.into_values().collect()
}

async fn webhook(api: &Api, receiver: &Receiver, events: &str) {
    let body = format!(r#"{{"url":"{}","events":["{events}"]}}"#, receiver.url("/"));
    api.post("/v1/webhooks", &body).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_moves_to_postgresql_and_nothing_is_sent_twice() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().to_str().expect("a plain path");
    let database = Postgres::shared_database("moved");
    let receiver = Receiver::start().await;
    let mut server = Server::start(folder.path());
    let key = server.operator_key();
    let api = Api::new(&server.url, &key);
    api.post("/v1/tenants", r#"{"id":"acme","profile":"standard"}"#).await;
    webhook(&api, &receiver, "*").await;
    for n in 0..30 {
        api.post("/v1/events", &format!(r#"{{"type":"order.created","data":{{"n":{n}}}}}"#)).await;
    }
    receiver.wait_for(30).await;
    let migrate = || {
        let mut command = postrider();
        command.args(["migrate-to", "--data", data]).env("POSTRIDER_DATABASE_URL", &database.url);
        command
    };
    let refused = migrate().output().expect("the binary runs");
    assert!(!refused.status.success() && err(&refused).contains("another process"), "{}", err(&refused));
    server.stop();
    assert!(err(&run(&["migrate-to", "--data", data])).contains("POSTRIDER_DATABASE_URL"));

    let mut killed =
        migrate().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut said = BufReader::new(killed.stderr.take().expect("piped")).lines();
    said.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("tenant ")))
        .expect("it copies")
        .expect("UTF-8");
    killed.kill().expect("it is ours");
    killed.wait().expect("it ended");
    let done = run(&["migrate-to", "--data", data, &database.url]);
    assert!(done.status.success(), "{}", err(&done));
    for word in ["Every row was read back and is the same", "POSTRIDER_MASTER_KEY", "master.key"] {
        assert!(out(&done).contains(word), "{}", out(&done));
    }
    let master_key = std::fs::read_to_string(folder.path().join("master.key")).expect("the key");
    assert!(!out(&done).contains(master_key.trim()) && !err(&done).contains(master_key.trim()));

    let server = Server::start_on(&database.url, master_key.trim());
    let api = Api::new(&server.url, &key);
    api.post("/v1/events", r#"{"type":"order.created","data":{"n":30}}"#).await;
    receiver.wait_for(31).await;
    assert_eq!(times_received(&receiver), [1; 31]);
    let again = migrate().output().expect("the binary runs");
    assert!(!again.status.success() && err(&again).contains("already"), "{}", err(&again));
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_made_beside_a_running_server_and_what_is_restored_sends_nothing_by_itself() {
    let folder = TempDir::new().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("file"));
    let [data_text, file_text] = [&data, &file].map(|path| path.to_str().expect("a plain path"));
    let [receiver, hanging] = [Receiver::start().await, Receiver::start().await];
    hanging.answer(Answer::ok().behind(&Gate::closed()));
    let mut server = Server::start(&data);
    let key = server.operator_key();
    let api = Api::new(&server.url, &key);
    api.post("/v1/tenants", r#"{"id":"acme","profile":"standard"}"#).await;
    webhook(&api, &receiver, "order.*").await;
    webhook(&api, &hanging, "invoice.*").await;
    for n in 0..5 {
        api.post("/v1/events", &format!(r#"{{"type":"order.created","data":{{"n":{n}}}}}"#)).await;
    }
    receiver.wait_for(5).await;
    server.stop();
    let server = Server::start(&data);
    Api::new(&server.url, &key).post("/v1/events", r#"{"type":"invoice.created","data":{}}"#).await;
    hanging.wait_for(1).await;
    let backup = || run(&["backup", "--data", data_text, file_text]);
    let made = backup();
    assert!(made.status.success() && out(&made).contains("master.key"), "{}{}", out(&made), err(&made));
    let again = backup();
    assert!(!again.status.success() && err(&again).contains("exists"), "{}", err(&again));
    drop(server);

    let restored = folder.path().join("restored");
    std::fs::create_dir(&restored).expect("a folder");
    std::fs::copy(&file, restored.join("postrider.db")).expect("copied");
    std::fs::copy(data.join("master.key"), restored.join("master.key")).expect("copied");
    let ended = run(&["restored", "--data", restored.to_str().expect("a plain path")]);
    assert!(ended.status.success(), "{}", err(&ended));
    let line =
        |word: &str| out(&ended).lines().find(|line| line.contains(word)).map(|line| line.trim().to_owned());
    assert!(line("were being sent").is_some_and(|line| line.starts_with("1 ")), "{}", out(&ended));
    assert!(line("waited to be sent").is_some_and(|line| line.starts_with("0 ")), "{}", out(&ended));

    let server = Server::start(&restored);
    Api::new(&server.url, &key).post("/v1/events", r#"{"type":"order.created","data":{"n":5}}"#).await;
    receiver.wait_for(6).await;
    assert_eq!(times_received(&receiver), [1; 6]);
    server.stop();
    assert_eq!(hanging.received().len(), 1);
}

#[test]
fn backups_of_postgresql_are_left_to_its_own_tools_and_an_empty_folder_is_told() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().to_str().expect("a plain path");
    let file = folder.path().join("file");
    let file = file.to_str().expect("a plain path");
    let refused = run(&["backup", "--database-url", "postgres://u@127.0.0.1:1/d", file]);
    assert!(!refused.status.success() && err(&refused).contains("pg_dump"), "{}", err(&refused));
    for arguments in [&["backup", "--data", data, file][..], &["restored", "--data", data]] {
        let refused = run(arguments);
        assert!(!refused.status.success() && err(&refused).contains("no store"), "{}", err(&refused));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

/// A caller of the tenant `acme`.
struct Api {
    egress: Egress,
    url: String,
    key: String,
}

impl Api {
    fn new(url: &str, key: &str) -> Self {
        let loopback = AllowList::parse(&["127.0.0.0/8".to_owned()]).expect("a range");
        let egress = Egress::new(EgressConfig {
            policy: Policy::new(loopback),
            budgets: postrider_engine::egress_budgets(),
            resolver: Arc::new(FixedNames::new()),
            extra_roots_pem: Vec::new(),
        });
        Self { egress: egress.expect("roots"), url: url.to_owned(), key: key.to_owned() }
    }

    /// The status of the answer.
    async fn send(&self, path: &str, body: &str) -> u16 {
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", self.key).parse().expect("a header");
        headers.insert("authorization", bearer);
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("postrider-tenant", HeaderValue::from_static("acme"));
        let target = Target::parse(&format!("{}{path}", self.url), self.egress.policy()).expect("a URL");
        let request = Request {
            method: Method::POST,
            target,
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
            timeout: Duration::from_secs(10),
            partition: [0; 16],
            reuse: Reuse::Any,
            body_rule: ReadBody::ToTheEnd,
        };
        self.egress.send(request).await.result.expect("an answer").status
    }

    async fn post(&self, path: &str, body: &str) {
        let status = self.send(path, body).await;
        assert!((200..300).contains(&status), "{path}: {status}");
    }
}
