//! Every preset through a trigger's URL: its vectors, the cases that are made from its data, and its handshakes byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use postrider_domain::inbound::cases::{Case, Expected, cases};
use postrider_domain::inbound::sign::SystemRandom;
use postrider_domain::inbound::{BodyRefusal, Preset, presets};
use postrider_domain::time::{Clock as _, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::inbound::{acme, hook, recorder, requests_of, runs_of};
use crate::world::{PUBLIC_URL, Reply, World};

const NOW: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../presets");
/// Signed by no provider; tells the rows of the history apart.
const CASE: HeaderName = HeaderName::from_static("x-case");
/// Whose handshakes providers ask for before they send anything.
const WITH_HANDSHAKES: [&str; 10] =
    ["discord", "dropbox", "meta", "ms-graph", "okta", "onfleet", "slack", "twitch", "x", "zoom"];

#[derive(Deserialize)]
struct Vector {
    name: String,
    secrets: Vec<String>,
    now: Timestamp,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_base64: Option<String>,
    verify_token: Option<String>,
    tolerance_seconds: Option<u64>,
    expect: String,
    dedup: Option<String>,
    answer: Option<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    content_type: String,
    body: String,
}

/// A request that is sent, and what must come of it.
struct Sending<'a> {
    what: String,
    method: &'a str,
    path: String,
    headers: HeaderMap,
    body: &'a [u8],
    /// `Err`: the codes of which one is the reason.
    verified: Result<(), Vec<String>>,
}

fn vectors(preset: &Preset) -> Vec<Vector> {
    let path = format!("{VECTORS}/{}.vectors.json", preset.name());
    let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Vector {
    fn header_map(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn body(&self) -> Vec<u8> {
        match (&self.body, &self.body_base64) {
            (_, Some(base64)) => BASE64.decode(base64).expect("base64"),
            (body, None) => body.clone().unwrap_or_default().into_bytes(),
        }
    }

    /// A trigger with the vector's secrets, at the vector's time.
    async fn trigger(&self, world: &World, preset: &Preset) -> Value {
        world.clock.set(self.now.minus(Duration::from_millis(1)));
        let mut verification = json!({"preset": preset.name(), "secrets": self.secrets});
        if let Some(tolerance) = self.tolerance_seconds {
            verification["tolerance"] = tolerance.into();
        }
        if let Some(token) = &self.verify_token {
            verification["verifyToken"] = token.as_str().into();
        }
        let trigger = recorder(world, &json!({"type": "webhook", "verification": verification})).await;
        assert_eq!(world.clock.now(), self.now);
        trigger
    }

    fn path(&self, trigger: &Value) -> String {
        let query = self.url.split_once('?').map(|(_, query)| format!("?{query}"));
        hook(trigger) + &query.unwrap_or_default()
    }
}

async fn send(world: &World, sending: &Sending<'_>) -> Reply {
    let method = Method::from_bytes(sending.method.as_bytes()).expect("a method");
    world.ask(method, sending.path.as_str()).headers(&sending.headers).untyped(sending.body).send().await
}

/// The answer, the row in the history and the runs that a preset promises.
fn check(preset: &Preset, sending: &Sending<'_>, reply: &Reply, row: &Value) {
    let what = &sending.what;
    let detail = row["detail"].as_str().unwrap_or_default();
    assert_eq!(row["status"], reply.status, "{what}: {row}");
    if !preset.methods().iter().any(|method| method == sending.method) {
        assert_eq!((reply.status, &row["cause"]), (405, &json!("method")), "{what}: {}", reply.text);
        return;
    }
    assert_eq!(row["bodyBytes"], sending.body.len(), "{what}");
    if let Err(codes) = &sending.verified {
        assert_eq!(reply.status, preset.refused_status(), "{what}: {}", reply.text);
        assert_eq!(reply.json["code"], "verification_failed", "{what}");
        assert_eq!(row["cause"], "verification_failed", "{what}");
        assert_eq!(row["runId"], Value::Null, "{what}");
        let code = detail.split(':').next().unwrap_or_default().to_owned();
        assert!(codes.contains(&code), "{what}: {detail}, expected one of {codes:?}");
        assert!(!codes.iter().any(|code| reply.text.contains(code.as_str())), "{what} tells a stranger why");
        return;
    }
    match preset.parse_body(&sending.headers, sending.body) {
        Ok(_) => check_accepted(preset, what, reply, row),
        Err(refusal) => {
            let status = if matches!(refusal, BodyRefusal::ContentType { .. }) { 415 } else { 400 };
            let cause = json!(refusal.code());
            assert_eq!((reply.status, &row["cause"]), (status, &cause), "{what}: {}", reply.text);
        }
    }
}

fn check_accepted(preset: &Preset, what: &str, reply: &Reply, row: &Value) {
    assert_eq!(row["cause"], "accepted", "{what}: {row}");
    assert_eq!(reply.status, preset.accepted().status, "{what}: {}", reply.text);
    match &preset.accepted().body {
        Some((kind, body)) => {
            assert_eq!(reply.text.as_bytes(), body, "{what}");
            assert_eq!(reply.headers["content-type"], *kind, "{what}");
        }
        None => {
            assert_eq!(reply.json["runId"], row["runId"], "{what}: {}", reply.text);
            assert_eq!(reply.json["status"], "succeeded", "{what}");
            assert_eq!(reply.json["duplicate"], false, "{what}");
        }
    }
}

/// The run's input is what the body says.
async fn check_run(world: &World, preset: &Preset, sending: &Sending<'_>, row: &Value) {
    let run = row["runId"].as_str().expect("an accepted request has a run");
    let run = world.operator(Method::GET, format!("/v1/runs/{run}"), "acme").send().await.expect_status(200);
    let input = preset.parse_body(&sending.headers, sending.body).expect("what is accepted can be read");
    assert_eq!(run.json["input"], input, "{}", sending.what);
    assert_eq!(run.json["requestId"], row["id"], "{}", sending.what);
}

#[tokio::test]
async fn every_preset_answers_its_vectors_through_a_triggers_url() {
    let world = acme().await;
    let (mut sent, mut duplicates) = (0, 0);
    // Whose vectors sign a URL that is not ours: the cases below are signed for ours.
    for preset in presets().iter().filter(|preset| !preset.signs_url()) {
        for vector in vectors(preset).iter().filter(|vector| vector.answer.is_none()) {
            let trigger = vector.trigger(&world, preset).await;
            let body = vector.body();
            let sending = Sending {
                what: format!("{}: {}", preset.name(), vector.name),
                method: &vector.method,
                path: vector.path(&trigger),
                headers: vector.header_map(),
                body: &body,
                verified: match vector.expect.as_str() {
                    "accepted" => Ok(()),
                    code => Err(vec![code.to_owned()]),
                },
            };
            let reply = send(&world, &sending).await;
            let rows = requests_of(&world, &trigger).await;
            assert_eq!(rows.len(), 1, "{}: {rows:?}", sending.what);
            check(preset, &sending, &reply, &rows[0]);
            let accepted = rows[0]["cause"] == "accepted";
            assert_eq!(runs_of(&world, &trigger).await.len(), usize::from(accepted), "{}", sending.what);
            if accepted {
                check_run(&world, preset, &sending, &rows[0]).await;
                if vector.dedup.is_some() {
                    check_again(&world, preset, &sending, &trigger, &rows[0]).await;
                    duplicates += 1;
                }
            }
            sent += 1;
        }
    }
    assert!(sent >= 100, "only {sent} vectors were sent");
    assert!(duplicates >= 15, "only {duplicates} of them were known again");
}

/// The very same once more starts nothing.
async fn check_again(world: &World, preset: &Preset, sending: &Sending<'_>, trigger: &Value, first: &Value) {
    let reply = send(world, sending).await;
    let accepted = preset.accepted();
    if accepted.body.is_none() {
        assert_eq!(reply.status, 200, "{}: {}", sending.what, reply.text);
        assert_eq!(reply.json["duplicate"], true, "{}", sending.what);
        assert_eq!(reply.json["runId"], first["runId"], "{}", sending.what);
    } else {
        assert_eq!(reply.status, accepted.status, "{}", sending.what);
    }
    assert_eq!(runs_of(world, trigger).await.len(), 1, "{}", sending.what);
    let rows = requests_of(world, trigger).await;
    let again = rows.iter().find(|row| row["id"] != first["id"]).expect("both are in the history");
    assert_eq!((&again["cause"], &again["runId"]), (&json!("duplicate"), &first["runId"]));
}

#[tokio::test]
async fn a_handshake_is_answered_byte_for_byte_and_starts_nothing() {
    let world = acme().await;
    let mut shaken = BTreeSet::new();
    for preset in presets() {
        for vector in vectors(preset) {
            let Some(answer) = &vector.answer else { continue };
            let what = format!("{}: {}", preset.name(), vector.name);
            let trigger = vector.trigger(&world, preset).await;
            let method = Method::from_bytes(vector.method.as_bytes()).expect("a method");
            let is_head = method == Method::HEAD;
            let ask = world.ask(method, vector.path(&trigger)).headers(&vector.header_map());
            let reply = ask.untyped(vector.body()).send().await;
            assert_eq!(reply.status, answer.status, "{what}: {}", reply.text);
            assert_eq!(reply.headers["content-type"], answer.content_type.as_str(), "{what}");
            assert_eq!(reply.headers["x-content-type-options"], "nosniff", "{what}");
            assert_eq!(reply.text, if is_head { "" } else { &answer.body }, "{what}");
            assert!(runs_of(&world, &trigger).await.is_empty(), "{what} started a run");
            let rows = requests_of(&world, &trigger).await;
            let causes: Vec<&Value> = rows.iter().map(|row| &row["cause"]).collect();
            assert_eq!(causes, ["handshake"], "{what}");
            shaken.insert(preset.name().to_owned());
        }
    }
    let missing: Vec<&&str> = WITH_HANDSHAKES.iter().filter(|name| !shaken.contains(**name)).collect();
    assert!(missing.is_empty(), "no handshake of {missing:?}");
}

#[tokio::test]
async fn every_preset_holds_through_a_triggers_url_in_every_case_that_is_made_for_it() {
    let world = acme().await;
    let mut sent = 0;
    for preset in presets() {
        world.clock.set(NOW);
        // The secrets and the tolerance say which trigger; the URL, which some sign, is known when that is made.
        let blind = cases(preset, PUBLIC_URL, NOW, &SystemRandom::new());
        let mut groups: BTreeMap<(Vec<String>, Option<Duration>), Vec<usize>> = BTreeMap::new();
        for (at, case) in blind.iter().enumerate() {
            groups.entry((case.secrets.clone(), case.tolerance)).or_default().push(at);
        }
        for ((secrets, tolerance), places) in groups {
            sent += check_group(&world, preset, &secrets, tolerance, &places).await;
        }
    }
    assert!(sent >= 700, "only {sent} cases were sent");
}

/// Sends the cases of one trigger, each known by its place.
async fn check_group(
    world: &World,
    preset: &Preset,
    secrets: &[String],
    tolerance: Option<Duration>,
    places: &[usize],
) -> usize {
    let mut verification = json!({"preset": preset.name(), "secrets": secrets});
    if let Some(tolerance) = tolerance {
        verification["tolerance"] = tolerance.as_secs().into();
    }
    // Most cases carry the same id, and here each counts.
    let made = json!({"type": "webhook", "verification": verification, "dedup": "none"});
    let trigger = recorder(world, &made).await;
    world.clock.set(NOW);
    let url = trigger["webhookUrl"].as_str().expect("a webhook trigger has a URL");
    let made = cases(preset, url, NOW, &SystemRandom::new());
    let cases: Vec<(usize, &Case)> = places.iter().map(|at| (*at, &made[*at])).collect();
    let mut replies = Vec::new();
    for (at, case) in &cases {
        let sending = sending(preset, *at, case);
        let reply = send(world, &sending).await;
        replies.push((sending, reply));
    }
    let rows = requests_of(world, &trigger).await;
    assert_eq!(rows.len(), cases.len(), "{}", preset.name());
    let mut accepted = 0;
    for ((sending, reply), (at, _)) in replies.iter().zip(&cases) {
        let mark = json!(["x-case", at.to_string()]);
        let row = rows.iter().find(|row| row["headers"].as_array().is_some_and(|it| it.contains(&mark)));
        let row = row.expect("every request is in the history");
        check(preset, sending, reply, row);
        if row["cause"] == "accepted" {
            accepted += 1;
            if accepted == 1 {
                check_run(world, preset, sending, row).await;
            }
        }
        for secret in secrets.iter().filter(|_| preset.token_headers().next().is_some()) {
            assert!(!row["headers"].to_string().contains(secret), "{} shows a token", sending.what);
        }
    }
    assert_eq!(runs_of(world, &trigger).await.len(), accepted, "{}", preset.name());
    cases.len()
}

fn sending<'a>(preset: &Preset, at: usize, case: &'a Case) -> Sending<'a> {
    let mut headers = case.request.headers.clone();
    headers.insert(CASE, at.into());
    Sending {
        what: format!("{}: {}", preset.name(), case.name),
        method: &case.request.method,
        path: case.request.url.strip_prefix(PUBLIC_URL).expect("our own").to_owned(),
        headers,
        body: &case.request.body,
        verified: match &case.expected {
            Expected::Accepted => Ok(()),
            Expected::Refused(codes) => Err(codes.iter().map(ToString::to_string).collect()),
        },
    }
}
