//! Receivers that share no code and no author with our signer, against the real binary.
//!
//! `tests/oracles` holds programs that check signatures as each system's documentation tells receivers to, and with the
//! packages of Standard Webhooks. Here they are installed into `target/oracles`, started, and sent what is hard to sign
//! alike: text beyond ASCII, floats and integers that JavaScript prints in its own way, odd keys, empty and nested values.

mod binary_running;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use binary_running::Binary;

const KEY: &str = "oracle-operator-key-0123456789abcdef";
const SHARED: &str = "a-shared-secret-of-more-than-24-bytes";
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Values that two programs easily write in two ways. JSON as text: how it is written is what matters.
const HARD: [&str; 12] = [
    r#"{"text":"Grüße, 世界 🚗 \u00e9 \u2028"}"#,
    r#"{"float":1.0,"large":1e21,"small":1e-7,"negative":-0.0,"sum":0.30000000000000004}"#,
    r#"{"beyond":9007199254740993,"huge":123456789012345678901234567890,"least":-9223372036854775808}"#,
    r#"{"exponent":1E+2,"fraction":100.50,"third":0.1e1}"#,
    r#"{"nested":{"a":[[],[{}],{"b":[1,[2,[3]]]}]},"empty":{},"none":[],"nothing":null,"blank":""}"#,
    r#"{"b":1,"10":2,"2":3,"a":4,"01":5,"-1":6,"4294967295":7,"4294967294":8}"#,
    r#"{"twice":1,"other":2,"twice":3}"#,
    r#"{"escapes":"\"\\\/\b\f\n\r\t\u0000\u001f\u007f"}"#,
    r#"{"pair":"\ud83d\ude97","html":"<script>&amp;</script>","quote":"it's"}"#,
    r#"{"__proto__":{"polluted":true},"constructor":1,"toString":"x"}"#,
    r#"{ "spaced" : [ 1 , 2 ] ,
        "lines" : true }"#,
    r#"{"":"an empty key","ключ":"a key beyond ASCII","a b":"a key with a space"}"#,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_receiver_of_runtight_accepts_and_values_arrive_verbatim() {
    let receiver = Oracle::node("runtight.mjs", &[SHARED]);
    // The fields that this system sends are named: hard values go into one of them.
    verbatim("runtight", "wo.created", receiver, |hard| {
        format!(r#"{{"work_order_id":"wo-1","title":{hard}}}"#)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_steps_of_smartmaintenance_accept_and_values_arrive_verbatim() {
    let receiver = Oracle::node("smartmaintenance.mjs", &[SHARED]);
    verbatim("smartmaintenance", "task.completed", receiver, |hard| {
        format!(r#"{{"task_id":1,"note":{hard}}}"#)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_function_of_org_jobs_accepts_and_values_arrive_verbatim() {
    let receiver = Oracle::node("org-jobs.cjs", &[SHARED]);
    verbatim("org-jobs", "job.created", receiver, |hard| {
        format!(
            r#"{{"job":{{"id":"j","name":"n","customer":{hard},"ownerUserId":"u","createdAt":"c","updatedAt":"d"}}}}"#
        )
    })
    .await;
}

/// This receiver signs what `JSON.stringify` makes of the body that express parsed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_express_handler_of_rcmanager_accepts_what_it_stringified_again() {
    let mut receiver = Oracle::node("rcmanager.cjs", &[SHARED]);
    let server = Server::start();
    server.tenant("rcmanager").await;
    let url = format!("http://127.0.0.1:{}/webhooks/pro-pitbox", receiver.port);
    server.webhook("rcmanager", &url, SHARED).await;
    for hard in HARD {
        let data = format!(r#"{{"vehicle":{{"id":"veh_1"}},"more":{hard}}}"#);
        server.publish("rcmanager", "vehicle.created", &data).await;
        let seen = receiver.next();
        assert_eq!((seen.status, seen.accepted.as_slice()), (200, &[true][..]), "{hard}\n{}", seen.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_npm_package_verifies_the_standard_profile_over_a_rotation() {
    rotation(Oracle::node("standard.mjs", &[OLD, NEW])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pypi_package_verifies_the_standard_profile_over_a_rotation() {
    rotation(Oracle::python("standard.py", &[OLD, NEW])).await;
}

/// Publishes every hard value; each must be accepted and stand in the body as it was written, whitespace apart.
async fn verbatim(profile: &str, event_type: &str, mut receiver: Oracle, data_of: impl Fn(&str) -> String) {
    let server = Server::start();
    server.tenant(profile).await;
    let url = format!("http://127.0.0.1:{}/hook", receiver.port);
    if profile == "org-jobs" {
        let change = json!({ "settings": { "webhook": { "url": url, "enabled": true, "secret": SHARED } } });
        server.call("PATCH", &format!("/v1/tenants/{profile}"), None, change.to_string()).await;
    } else {
        server.webhook(profile, &url, SHARED).await;
    }
    for hard in HARD {
        server.publish(profile, event_type, &data_of(hard)).await;
        let seen = receiver.next();
        assert_eq!((seen.status, seen.accepted.as_slice()), (200, &[true][..]), "{hard}\n{}", seen.text());
        let compact = without_whitespace(hard);
        assert!(seen.text().contains(&compact), "{compact}\nis not verbatim in\n{}", seen.text());
    }
}

/// The secret is rotated: before, receivers hold the old one; during the overlap either is enough; after it the new one.
async fn rotation(mut receiver: Oracle) {
    let server = Server::start();
    server.tenant("standard").await;
    let url = format!("http://127.0.0.1:{}/hook", receiver.port);
    let webhook = server.webhook("standard", &url, OLD).await;
    let rotate = format!("/v1/webhooks/{}/secret/rotate", webhook["id"].as_str().expect("an id"));
    for hard in HARD {
        server.publish("standard", "order.created", hard).await;
        let seen = receiver.next();
        assert_eq!(
            (seen.status, seen.accepted.as_slice()),
            (200, &[true, false][..]),
            "{hard}\n{}",
            seen.text()
        );
        assert!(seen.text().contains(&without_whitespace(hard)), "{hard}\n{}", seen.text());
        seen.rust_crate_accepts(OLD);
    }
    server
        .call("POST", &rotate, Some("standard"), json!({ "secret": NEW, "overlapSeconds": 3600 }).to_string())
        .await;
    server.publish("standard", "order.created", "{}").await;
    let seen = receiver.next();
    assert_eq!(
        (seen.status, seen.accepted.as_slice()),
        (200, &[true, true][..]),
        "during the overlap either is enough"
    );
    seen.rust_crate_accepts(OLD);
    seen.rust_crate_accepts(NEW);
    // A secret that replaces all others at once ends the overlap.
    let only = json!({ "secret": NEW }).to_string();
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().expect("an id"));
    server.call("PATCH", &path, Some("standard"), only).await;
    server.publish("standard", "order.created", "{}").await;
    let seen = receiver.next();
    assert_eq!(
        (seen.status, seen.accepted.as_slice()),
        (200, &[false, true][..]),
        "after it, the new one only"
    );
    seen.rust_crate_accepts(NEW);
}

/// Removes whitespace outside of strings.
fn without_whitespace(json: &str) -> String {
    let (mut text, mut in_string, mut escaped) = (String::new(), false, false);
    for letter in json.chars() {
        if in_string || !letter.is_ascii_whitespace() {
            text.push(letter);
        }
        in_string ^= letter == '"' && !escaped;
        escaped = in_string && letter == '\\' && !escaped;
    }
    text
}

/// The real binary.
struct Server {
    binary: Binary,
}

impl Server {
    fn start() -> Self {
        Self { binary: Binary::start(KEY, "error") }
    }

    async fn call(&self, method: &str, path: &str, tenant: Option<&str>, body: String) -> Value {
        let socket = TcpSocket::new_v4().expect("a socket");
        let stream = socket.connect(self.binary.address).await.expect("the server listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        let driving = tokio::spawn(connection);
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("Host", self.binary.address.to_string())
            .header("Authorization", format!("Bearer {KEY}"))
            .header("Content-Type", "application/json");
        if let Some(tenant) = tenant {
            request = request.header("Postrider-Tenant", tenant);
        }
        let shown = body.clone();
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
        driving.abort();
        assert!(status.is_success(), "{method} {path} {shown}\n{status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    }

    /// A tenant named after its profile, delivering at once.
    async fn tenant(&self, profile: &str) {
        let tenant = json!({
            "id": profile, "profile": profile, "plan": "pro", "attributes": { "company_id": 1 },
            "settings": { "delivery": "immediate" },
        });
        self.call("POST", "/v1/tenants", None, tenant.to_string()).await;
    }

    async fn webhook(&self, tenant: &str, url: &str, secret: &str) -> Value {
        let new = json!({ "url": url, "events": ["*"], "secret": secret });
        self.call("POST", "/v1/webhooks", Some(tenant), new.to_string()).await
    }

    async fn publish(&self, tenant: &str, event_type: &str, data: &str) {
        let event = format!(r#"{{"type":"{event_type}","data":{data}}}"#);
        self.call("POST", "/v1/events", Some(tenant), event).await;
    }
}

/// What a receiver saw and thought of it.
struct Seen {
    accepted: Vec<bool>,
    status: u64,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Seen {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body is UTF-8")
    }

    /// The third implementation, in Rust, asked about the same request.
    #[track_caller]
    fn rust_crate_accepts(&self, secret: &str) {
        let mut headers = http::HeaderMap::new();
        for (name, value) in &self.headers {
            let name = http::HeaderName::try_from(name).expect("a header's name");
            headers.insert(name, value.parse().expect("a header's value"));
        }
        let webhook = standardwebhooks::Webhook::new(secret).expect("a good secret");
        webhook.verify(&self.body, &headers).expect("the Rust package accepts it as well");
    }
}

/// A receiver of `tests/oracles`, running.
struct Oracle {
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    process: Child,
    /// It ends when this is closed, also when the test dies.
    _input: ChildStdin,
}

impl Oracle {
    fn node(file: &str, secrets: &[&str]) -> Self {
        let folder = node_folder();
        Self::start(OsStr::new("node"), &folder, file, secrets)
    }

    fn python(file: &str, secrets: &[&str]) -> Self {
        let folder = python_folder();
        let python = folder.join(if cfg!(windows) { "venv/Scripts/python.exe" } else { "venv/bin/python" });
        Self::start(python.as_os_str(), &folder, file, secrets)
    }

    fn start(program: &OsStr, folder: &Path, file: &str, secrets: &[&str]) -> Self {
        let mut process = Command::new(program)
            .arg(file)
            .current_dir(folder)
            .env("WEBHOOK_SECRETS", secrets.join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} {file} in {}: {error}", program.display(), folder.display()));
        let input = process.stdin.take().expect("its input is piped");
        let lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let mut oracle = Self { port: 0, lines, process, _input: input };
        let port = oracle.line()["port"].as_u64().expect("its first line is its port");
        oracle.port = u16::try_from(port).expect("a port");
        oracle
    }

    fn line(&mut self) -> Value {
        let line = self.lines.next().expect("the receiver runs").expect("its lines are UTF-8");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Waits for the next request.
    fn next(&mut self) -> Seen {
        let line = tokio::task::block_in_place(|| self.line());
        let accepted =
            line["accepted"].as_array().expect("verdicts").iter().map(|verdict| verdict == true).collect();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Seen {
            accepted,
            status: line["status"].as_u64().expect("a status"),
            headers: line["headers"]
                .as_object()
                .expect("headers")
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            body: base64::engine::general_purpose::STANDARD.decode(text(&line["body"])).expect("base64"),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // Both fail when it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate lies two folders below the workspace")
}

/// Where the receivers are installed: the build's own folder, wherever it was told to be.
fn installed(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("a folder in the target folder")
        .join("oracles")
        .join(kind)
}

/// The Node receivers beside the packages of their lock file.
fn node_folder() -> PathBuf {
    let folder = installed("node");
    prepare("node", &folder, "package-lock.json", |folder| {
        must_run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder));
    });
    folder
}

/// The Python receivers beside an environment with their requirements.
fn python_folder() -> PathBuf {
    let folder = installed("python");
    prepare("python", &folder, "requirements.txt", |folder| {
        must_run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(folder));
        let pip = if cfg!(windows) { "venv/Scripts/pip.exe" } else { "venv/bin/pip" };
        must_run(
            Command::new(folder.join(pip))
                .args(["install", "--quiet", "--requirement", "requirements.txt"])
                .current_dir(folder),
        );
    });
    folder
}

/// Copies the receivers, and installs what they need unless that was done for the same list. Tests run in several processes
/// at once: one at a time comes through here.
fn prepare(kind: &str, folder: &Path, list: &str, install: impl FnOnce(&Path)) {
    let source = workspace().join("tests/oracles").join(kind);
    std::fs::create_dir_all(folder).expect("a folder in the target folder");
    let turn = std::fs::File::create(folder.join("turn")).expect("a lock");
    turn.lock().expect("a turn");
    for file in std::fs::read_dir(&source).expect("the receivers are there") {
        let file = file.expect("a receiver");
        if file.file_type().expect("a type").is_file() {
            std::fs::copy(file.path(), folder.join(file.file_name())).expect("copied");
        }
    }
    let wanted = std::fs::read_to_string(source.join(list)).expect("a list of packages");
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|done| done == wanted) {
        return;
    }
    install(folder);
    std::fs::write(done, wanted).expect("noted");
}

/// Runs a command to its end, or says how to run it by hand.
fn must_run(command: &mut Command) {
    let shown = format!("{command:?} (in {})", command.get_current_dir().unwrap_or(Path::new(".")).display());
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!(
            "this did not work, and the receivers need it: {shown}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("this could not be run, and the receivers need it: {shown}: {error}"),
    }
}
