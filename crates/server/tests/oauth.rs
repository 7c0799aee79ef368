//! Connections of the real binary to an OAuth server that shares no code and no author with it: the npm package
//! `oidc-provider`, certified for OpenID Connect, which requires PKCE, rotates refresh tokens, and ends a grant whose refresh token
//! is used twice. A person's part is played by HTTP: log in, consent, follow redirects.
//!
//! The server lies in `tests/oracles/oauth`; what it needs is installed into `target/oracles` from its lock file.

mod binary_running;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use binary_running::Binary;

const KEY: &str = "oauth-operator-key-0123456789abcdef";
/// With all that has to be encoded before it stands in a header or a form.
const CLIENT_SECRET: &str = "hush: 100% of & this + that = secret";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_consents_and_tokens_are_renewed_rotated_and_revoked() {
    let server = Server::start();
    let mut oauth = Oauth::start(&server);
    let new = json!({
        "name": "crm", "grant": "authorization_code", "clientId": "web app", "clientSecret": CLIENT_SECRET,
        "scopes": ["openid", "api"], "authorizationUrl": oauth.url("/auth"), "tokenUrl": oauth.url("/token"),
        "revocationUrl": oauth.url("/token/revocation"), "issuer": oauth.url(""),
    });
    let made = server.call("POST", "/v1/connections", new.to_string()).await;
    assert_eq!(made["state"], "pending");

    let link = server.call("POST", "/v1/connections/crm/authorize", String::new()).await;
    let back = browse(text(&link, "authorizationUrl"), &server.callback()).await;
    let page = get(&back).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(page.body.contains("The connection crm is authorized"), "{}", page.body);
    let first = oauth.answered("authorization_code");
    let connected = server.call("GET", "/v1/connections/crm", String::new()).await;
    assert_eq!((&connected["state"], &connected["error"]), (&json!("active"), &Value::Null));
    assert!(oauth.takes(text(&first, "access_token")).await, "the token is good");
    let code = back.split("code=").nth(1).and_then(|rest| rest.split('&').next()).expect("a code");
    oauth.given.push(code.to_owned());
    // The same way back a second time.
    let again = get(&back).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.body.contains("good no more"), "{}", again.body);

    let mut last = first;
    for _ in 0..3 {
        let refreshed = server.call("POST", "/v1/connections/crm/refresh", String::new()).await;
        assert_eq!((&refreshed["state"], &refreshed["error"]), (&json!("active"), &Value::Null));
        let next = oauth.answered("refresh_token");
        assert_ne!(text(&next, "refresh_token"), text(&last, "refresh_token"), "it is rotated");
        assert!(oauth.takes(text(&next, "access_token")).await);
        last = next;
    }

    let revoked = server.call("POST", "/v1/connections/crm/revoke", String::new()).await;
    assert_eq!((&revoked["state"], &revoked["error"]), (&json!("revoked"), &Value::Null));
    assert_eq!(oauth.revoked(), ("refresh_token".to_owned(), 200));
    assert_eq!(oauth.revoked(), ("access_token".to_owned(), 200));
    assert!(!oauth.takes(text(&last, "access_token")).await, "it is ended there as well");

    let link = server.call("POST", "/v1/connections/crm/authorize", String::new()).await;
    let page = get(&browse(text(&link, "authorizationUrl"), &server.callback()).await).await;
    assert_eq!(page.status, StatusCode::OK, "authorized again: {}", page.body);
    oauth.answered("authorization_code");
    server.shows_nothing_of(&oauth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_its_server_ended_asks_for_a_new_authorization() {
    let server = Server::start();
    let mut oauth = Oauth::start(&server);
    let new = json!({
        "name": "crm", "grant": "authorization_code", "clientId": "web app", "clientSecret": CLIENT_SECRET,
        "scopes": ["openid"], "authorizationUrl": oauth.url("/auth"), "tokenUrl": oauth.url("/token"),
    });
    server.call("POST", "/v1/connections", new.to_string()).await;
    let link = server.call("POST", "/v1/connections/crm/authorize", String::new()).await;
    get(&browse(text(&link, "authorizationUrl"), &server.callback()).await).await;
    let given = oauth.answered("authorization_code");
    // Somebody else uses the refresh token once more than it is good for.
    for _ in 0..2 {
        let body = [("grant_type", "refresh_token"), ("refresh_token", text(&given, "refresh_token"))];
        oauth.post_as_client("/token", &body).await;
        oauth.line();
    }
    let failed = server.call("POST", "/v1/connections/crm/refresh", String::new()).await;
    assert_eq!(failed["state"], "failed");
    let error = text(&failed, "error");
    assert!(
        error.contains("invalid_grant") && error.contains("POST /v1/connections/crm/authorize"),
        "{error}"
    );
    oauth.line();
    server.shows_nothing_of(&oauth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_gets_tokens_for_itself_and_reads_why_it_gets_none() {
    let server = Server::start();
    let mut oauth = Oauth::start(&server);
    let new = json!({
        "name": "service", "grant": "client_credentials", "clientId": "service", "clientSecret": CLIENT_SECRET,
        "scopes": ["api"], "tokenUrl": oauth.url("/token"), "auth": "body",
    });
    server.call("POST", "/v1/connections", new.to_string()).await;
    let refreshed = server.call("POST", "/v1/connections/service/refresh", String::new()).await;
    assert_eq!((&refreshed["state"], &refreshed["error"]), (&json!("active"), &Value::Null));
    let given = oauth.answered("client_credentials");
    assert_eq!((text(&given, "scope"), text(&given, "token_type")), ("api", "Bearer"));

    let wrong = json!({"clientSecret": "hush, a wrong one"}).to_string();
    server.call("PATCH", "/v1/connections/service", wrong).await;
    let failed = server.call("POST", "/v1/connections/service/refresh", String::new()).await;
    assert_eq!(failed["state"], "failed");
    assert!(text(&failed, "error").contains("invalid_client"), "{failed}");
    oauth.line();
    server.shows_nothing_of(&oauth);
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// What a person does: logs in, consents, and is sent back. Answers where to.
async fn browse(link: &str, callback: &str) -> String {
    let mut cookies: BTreeMap<String, String> = BTreeMap::new();
    let (mut url, mut posts) = (link.to_owned(), None);
    for _ in 0..20 {
        let method = if posts.is_some() { "POST" } else { "GET" };
        let cookie: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.join("; ").parse().expect("cookies"));
        let form = "application/x-www-form-urlencoded".parse().expect("a media type");
        headers.insert(CONTENT_TYPE, form);
        let page = send(method, &url, headers, posts.take().unwrap_or_default()).await;
        for set in page.headers.get_all(SET_COOKIE) {
            let pair = set.to_str().expect("text").split(';').next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a pair");
            cookies.insert(name.to_owned(), value.to_owned());
        }
        if let Some(location) = page.headers.get(LOCATION) {
            let next = location.to_str().expect("text");
            if next.starts_with(callback) {
                return next.to_owned();
            }
            url = absolute(&url, next);
            continue;
        }
        assert_eq!(page.status, StatusCode::OK, "{url}\n{}", page.body);
        url = absolute(&url, between(&page.body, "action=\"", "\""));
        let prompt = between(&page.body, "name=\"prompt\" value=\"", "\"");
        posts = Some(format!("prompt={prompt}&login=anna&password=x"));
    }
    panic!("the person was sent around without end, last to {url}")
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let found = text.split_once(before).and_then(|(_, rest)| rest.split_once(after));
    found.map(|(found, _)| found).unwrap_or_else(|| panic!("no {before} in\n{text}"))
}

fn absolute(base: &str, location: &str) -> String {
    if location.starts_with("http") {
        return location.to_owned();
    }
    let origin_end = base["http://".len()..].find('/').map_or(base.len(), |at| at + "http://".len());
    format!("{}{location}", &base[..origin_end])
}

struct Page {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

async fn get(url: &str) -> Page {
    send("GET", url, HeaderMap::new(), String::new()).await
}

async fn send(method: &str, url: &str, headers: HeaderMap, body: String) -> Page {
    let rest = url.strip_prefix("http://").expect("everything here is on loopback");
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let to: SocketAddr = address.parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    let stream = socket.connect(to).await.expect("the server listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    let driving = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(format!("/{path}"));
    for (name, value) in &headers {
        request = request.header(name, value);
    }
    let request = request.header(HOST, address).body(Full::new(Bytes::from(body))).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    driving.abort();
    let body = String::from_utf8(body.to_vec()).expect("an answer is text");
    Page { status: parts.status, headers: parts.headers, body }
}

/// The real binary, logging all it has.
struct Server {
    binary: Binary,
    /// Every answer of its API.
    answers: std::sync::Mutex<String>,
}

impl Server {
    fn start() -> Self {
        let binary = Binary::start(KEY, "trace");
        let server = Self { binary, answers: std::sync::Mutex::default() };
        let tenant = json!({"id": "acme", "profile": "standard"}).to_string();
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(server.call("POST", "/v1/tenants", tenant))
        });
        server
    }

    fn callback(&self) -> String {
        format!("http://{}/v1/connections/callback", self.binary.address)
    }

    /// For the tenant. The answer is none of a refusal.
    async fn call(&self, method: &str, path: &str, body: String) -> Value {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", KEY.parse().expect("a header"));
        if path != "/v1/tenants" {
            headers.insert("postrider-tenant", "acme".parse().expect("a header"));
        }
        headers.insert(CONTENT_TYPE, "application/json".parse().expect("a media type"));
        let page = send(method, &format!("http://{}{path}", self.binary.address), headers, body).await;
        assert!(page.status.is_success(), "{method} {path}\n{} {}", page.status, page.body);
        self.answers.lock().expect("nothing panics in here").push_str(&page.body);
        serde_json::from_str(&page.body).unwrap_or(Value::Null)
    }

    /// Neither log nor answers nor the files hold a token that was ever given, or the client's secret.
    fn shows_nothing_of(&self, oauth: &Oauth) {
        let log = std::fs::read_to_string(self.binary.folder().join("log")).expect("the log");
        assert!(log.contains("TRACE") || log.contains("DEBUG"), "it logs in detail");
        assert!(log.contains("connection."), "it logs what became of connections");
        let answers = self.answers.lock().expect("nothing panics in here").clone();
        let mut files = Vec::new();
        for file in std::fs::read_dir(self.binary.folder().join("data")).expect("the data folder") {
            files.extend(std::fs::read(file.expect("a file").path()).expect("its bytes"));
        }
        let mut hidden = vec!["hush".to_owned()];
        hidden.extend(oauth.given.iter().cloned());
        assert!(hidden.len() > 1, "tokens were given");
        for secret in hidden {
            assert!(!log.contains(&secret), "in the log: {secret}");
            assert!(!answers.contains(&secret), "in an answer: {secret}");
            assert!(
                !files.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "on disk: {secret}"
            );
        }
    }
}

/// The OAuth server, running.
struct Oauth {
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    process: Child,
    /// Every token and code that it gave.
    given: Vec<String>,
    /// It ends when this is closed, also when the test dies.
    _input: ChildStdin,
}

impl Oauth {
    fn start(server: &Server) -> Self {
        let folder = installed();
        let mut process = Command::new("node")
            .arg("server.mjs")
            .current_dir(&folder)
            .env("REDIRECT_URI", server.callback())
            .env("CLIENT_SECRET", CLIENT_SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("node server.mjs in {}: {error}", folder.display()));
        let input = process.stdin.take().expect("its input is piped");
        let lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let mut oauth = Self { port: 0, lines, process, given: Vec::new(), _input: input };
        let port = oauth.line()["port"].as_u64().expect("its first line is its port");
        oauth.port = u16::try_from(port).expect("a port");
        oauth
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn line(&mut self) -> Value {
        let line = tokio::task::block_in_place(|| self.lines.next()).expect("the server runs");
        let line: Value =
            serde_json::from_str(&line.expect("its lines are UTF-8")).expect("its lines are JSON");
        for token in ["access_token", "refresh_token", "id_token"] {
            self.given.extend(line["answer"][token].as_str().map(str::to_owned));
        }
        line
    }

    /// The next answer of the token endpoint, a good one to this grant.
    fn answered(&mut self, grant: &str) -> Value {
        let line = self.line();
        assert_eq!((&line["grant"], &line["status"]), (&json!(grant), &json!(200)), "{line}");
        line["answer"].clone()
    }

    fn revoked(&mut self) -> (String, u64) {
        let line = self.line();
        (text(&line, "revoked").to_owned(), line["status"].as_u64().expect("a status"))
    }

    /// Whether the server takes an access token of a person.
    async fn takes(&self, token: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().expect("a header"));
        send("GET", &self.url("/me"), headers, String::new()).await.status == StatusCode::OK
    }

    async fn post_as_client(&self, path: &str, fields: &[(&str, &str)]) {
        use base64::Engine as _;
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encode("web app"), encode(CLIENT_SECRET));
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let mut headers = HeaderMap::new();
        headers.insert("authorization", basic.parse().expect("a header"));
        headers.insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().expect("a media type"));
        let fields: HashMap<&str, &str> = fields.iter().copied().collect();
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        send("POST", &self.url(path), headers, body).await;
    }
}

impl Drop for Oauth {
    fn drop(&mut self) {
        // Both fail when it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server beside the packages of its lock file, in the build's own folder. Tests run in several processes at once: one at
/// a time comes through here.
fn installed() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders above");
    let source = workspace.join("tests/oracles/oauth");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder in the target folder");
    let folder = target.join("oracles/oauth");
    std::fs::create_dir_all(&folder).expect("a folder in the target folder");
    let turn = std::fs::File::create(folder.join("turn")).expect("a lock");
    turn.lock().expect("a turn");
    for name in ["package.json", "package-lock.json", "server.mjs"] {
        std::fs::copy(source.join(name), folder.join(name)).expect("copied");
    }
    let wanted = std::fs::read_to_string(source.join("package-lock.json")).expect("the lock file");
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|done| done == wanted) {
        return folder;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
    let by_hand = format!("The OAuth server needs `npm ci` in {}, with Node 20 or later", folder.display());
    let output =
        install.output().unwrap_or_else(|error| panic!("{by_hand}, which could not be run: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{by_hand}, which did not work:\n{}", String::from_utf8_lossy(&said));
    std::fs::write(done, wanted).expect("noted");
    folder
}
