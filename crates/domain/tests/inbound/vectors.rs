//! Every preset against its `presets/*.vectors.json`: published by the provider, or computed by other implementations.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::inbound::{Answer, Incoming, Preset, Verifier, presets, sources};
use domain::time::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};
use postrider_domain as domain;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    /// Where it is from.
    source: String,
    secrets: Vec<String>,
    now: Timestamp,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_base64: Option<String>,
    #[serde(default)]
    verify_token: Option<String>,
    #[serde(default)]
    tolerance_seconds: Option<u64>,
    /// `accepted`, `open_handshake`, `signed_handshake`, or the code of the refusal.
    expect: String,
    #[serde(default)]
    dedup: Option<String>,
    #[serde(default)]
    answer: Option<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: u16,
    content_type: String,
    body: String,
}

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../presets");

#[test]
fn every_preset_answers_its_golden_vectors() {
    let mut count = 0;
    for preset in presets() {
        let path = format!("{DIRECTORY}/{}.vectors.json", preset.name());
        let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let vectors: Vec<Vector> =
            serde_json::from_str(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(
            vectors.iter().any(|vector| vector.expect == "accepted"),
            "{path} has nothing that is accepted"
        );
        for vector in vectors {
            check(preset, &vector);
            count += 1;
        }
    }
    assert!(count >= 150, "only {count} vectors ran");
}

fn check(preset: &Arc<Preset>, vector: &Vector) {
    let what = format!("{}: {}", preset.name(), vector.name);
    assert!(!vector.source.is_empty(), "{what}");
    let secrets: Vec<&str> = vector.secrets.iter().map(String::as_str).collect();
    let tolerance = vector.tolerance_seconds.map(Duration::from_secs);
    let verifier = Verifier::new(preset.clone(), &secrets, tolerance, vector.verify_token.as_deref())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut headers = HeaderMap::new();
    for (name, value) in &vector.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let body = match (&vector.body, &vector.body_base64) {
        (Some(text), None) => text.clone().into_bytes(),
        (None, Some(base64)) => BASE64.decode(base64).expect("base64"),
        _ => panic!("{what}: has a body or its base64"),
    };
    let query = vector.url.split_once('?').map_or("", |(_, query)| query);
    let incoming =
        Incoming { method: &vector.method, url: &vector.url, query, headers: &headers, body: &body };

    if let Some(answer) = verifier.open_handshake(&incoming) {
        assert_eq!(vector.expect, "open_handshake", "{what}");
        return check_answer(&what, &answer, vector);
    }
    let verified = match verifier.verify(&incoming, vector.now) {
        Ok(verified) => verified,
        Err(refusal) => {
            assert_eq!(refusal.code.as_str(), vector.expect, "{what}: {}", refusal.detail);
            return;
        }
    };
    if let Some(answer) = verifier.signed_handshake(&incoming, &verified) {
        assert_eq!(vector.expect, "signed_handshake", "{what}");
        return check_answer(&what, &answer, vector);
    }
    assert_eq!(vector.expect, "accepted", "{what}");
    let json = preset.parse_body(&headers, &body).ok();
    let id = verifier.dedup_id(&incoming, &verified, json.as_ref());
    if vector.dedup.is_some() {
        assert_eq!(id, vector.dedup, "{what}");
    }
}

fn check_answer(what: &str, answer: &Answer, vector: &Vector) {
    let expected = vector.answer.as_ref().unwrap_or_else(|| panic!("{what}: the vector has no answer"));
    assert_eq!(String::from_utf8_lossy(&answer.body), expected.body, "{what}");
    assert_eq!(
        (answer.status, answer.content_type),
        (expected.status, expected.content_type.as_str()),
        "{what}"
    );
    assert_eq!(answer.headers, [("X-Content-Type-Options", "nosniff".to_owned())], "{what}");
}

#[test]
fn the_presets_in_code_are_the_files() {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(DIRECTORY).expect("the directory") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        files.extend(name.strip_suffix(".toml").map(|name| (name.to_owned(), "toml")));
        files.extend(name.strip_suffix(".vectors.json").map(|name| (name.to_owned(), "vectors.json")));
    }
    files.sort();
    let mut known = Vec::new();
    for (name, source) in sources() {
        let preset = Preset::parse(source).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        assert_eq!(preset.name(), *name);
        assert!(domain::inbound::preset(name).is_some(), "{name}");
        known.push(((*name).to_owned(), "toml"));
        known.push(((*name).to_owned(), "vectors.json"));
    }
    known.sort();
    assert_eq!(files, known);
    assert!(domain::inbound::preset("custom").is_none());
}
