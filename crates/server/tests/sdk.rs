//! The TypeScript SDK against the real binary: built, tested alone, then tested here, with every example of its README.
//!
//! Node 20 or later with npm is needed, and npm's registry once. They are used in `sdk/typescript` itself, since its tests read the
//! workspace; what they leave there is not kept in the repository.

mod binary_running;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use binary_running::Binary;

const KEY: &str = "sdk-operator-key-0123456789abcdef";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_sdk_does_what_its_tests_and_its_readme_say() {
    npm(&["ci", "--no-audit", "--no-fund", "--prefer-offline"], &[]);
    npm(&["run", "build"], &[]);
    npm(&["test"], &[]);

    let server = Server::start();
    server.call("/v1/tenants", json!({ "id": "acme", "profile": "standard", "plan": "pro" })).await;
    let made = server.call("/v1/keys", json!({ "role": "admin", "tenant": "acme", "name": "SDK" })).await;
    let url = format!("http://{}", server.binary.address);
    let tenant_key = made["key"].as_str().expect("a key is shown when it is created");
    let told = [
        ("POSTRIDER_URL", url.as_str()),
        ("POSTRIDER_OPERATOR_KEY", KEY),
        ("POSTRIDER_TENANT_KEY", tenant_key),
    ];
    npm(&["run", "test:server"], &told);
}

/// As system C's text has them, but for the host and the slug.
const CREATE: &str = r#"curl -X POST https://api.runtools.ai/v1/workflows/incoming-leads/triggers \
-H "X-API-Key: $RUNTOOLS_API_KEY" \
-H "Content-Type: application/json" \
-d '{
"type": "webhook",
"name": "Lead capture",
"enabled": true,
"secret": "replace-with-a-long-random-secret"
}'"#;
const INVOKE: &str = r#"curl -X POST https://api.runtools.ai/v1/workflows/webhooks/<webhook-slug> \
-H "Content-Type: application/json" \
-H "X-Webhook-Secret: replace-with-a-long-random-secret" \
-d '{
"event": "lead.created",
"email": "person@example.com",
"company": "Acme"
}'"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_curl_calls_of_system_c_run_as_they_are_written() {
    let server = Server::start();
    server.call("/v1/tenants", json!({ "id": "acme", "profile": "standard", "plan": "pro" })).await;
    let made = server.call("/v1/keys", json!({ "role": "admin", "tenant": "acme", "name": "curl" })).await;
    let key = made["key"].as_str().expect("a key is shown when it is created");
    let put = "curl -X PUT https://api.runtools.ai/v1/workflows/incoming-leads -H \"X-API-Key: $RUNTOOLS_API_KEY\" \
               -H 'Content-Type: application/json' -d '{\"steps\": []}'";
    server.shell(put, key);
    let trigger = server.shell(CREATE, key);
    assert_eq!(trigger["secret"], "replace-with-a-long-random-secret", "{trigger}");
    let url = trigger["webhookUrl"].as_str().expect("a URL");
    let slug = url.rsplit('/').next().expect("a slug");
    let taken = server.shell(&INVOKE.replace("<webhook-slug>", slug), key);
    assert_eq!(taken["duplicate"], false, "{taken}");
    let run = format!(
        "curl https://api.runtools.ai/v1/runs/{} -H \"X-API-Key: $RUNTOOLS_API_KEY\"",
        taken["runId"].as_str().expect("a run")
    );
    let run = server.shell(&run, key);
    assert_eq!(run["input"]["email"], "person@example.com", "{run}");
}

/// Runs npm in the SDK's folder, or says what it told.
fn npm(arguments: &[&str], variables: &[(&str, &str)]) {
    let shown = format!("`npm {}` in sdk/typescript", arguments.join(" "));
    let mut command = Command::new("npm");
    command.args(arguments).envs(variables.iter().copied()).current_dir(folder());
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!(
            "{shown} failed\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!(
            "{shown} cannot be run ({error}). It needs Node 20 or later with npm: on Debian, \
             sudo apt-get install --yes nodejs npm"
        ),
    }
}

fn folder() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in a folder");
    crates.with_file_name("sdk").join("typescript")
}

/// The real binary.
struct Server {
    binary: Binary,
}

impl Server {
    fn start() -> Self {
        Self { binary: Binary::start(KEY, "error") }
    }

    /// What a shell prints that runs a call with our host in it.
    fn shell(&self, call: &str, key: &str) -> Value {
        let call = call.replace("https://api.runtools.ai", &format!("http://{}", self.binary.address));
        let output = Command::new("sh").args(["-c", &call]).env("RUNTOOLS_API_KEY", key).output();
        let output = output.expect("there is a shell");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{call}\n{told}\nIt needs curl: on Debian, sudo apt-get install --yes curl"
        );
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{call}\n{error}: {}", String::from_utf8_lossy(&output.stdout)))
    }

    /// Creates something as the operator.
    async fn call(&self, path: &str, body: Value) -> Value {
        let socket = TcpSocket::new_v4().expect("a socket");
        let stream = socket.connect(self.binary.address).await.expect("the server listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        let driving = tokio::spawn(connection);
        let request = http::Request::post(path)
            .header("Host", self.binary.address.to_string())
            .header("Authorization", format!("Bearer {KEY}"))
            .header("Content-Type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
        driving.abort();
        assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("an answer is JSON")
    }
}
