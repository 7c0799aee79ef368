//! Every built-in profile against its golden vectors: event, tenant, secret and time in; exact body and headers out.
//!
//! The signatures in the files were computed by other implementations of HMAC and Ed25519.

use domain::id::{DeliveryId, DeliveryUuid};
use domain::profile::{Message, Profile, SigningKey, TenantValues, builtin};
use domain::time::Timestamp;
use postrider_domain as domain;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    event: Event,
    tenant: Tenant,
    delivery: Delivery,
    attempt: Attempt,
    /// Newest first.
    secrets: Vec<String>,
    body: String,
    headers: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    time: Timestamp,
    test: bool,
    /// JSON in a text, so that the file says how its numbers are written.
    data: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tenant {
    id: String,
    name: String,
    timezone: String,
    attributes: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    id: DeliveryId,
    uuid: uuid::Uuid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attempt {
    number: u32,
    time: Timestamp,
}

#[test]
fn every_profile_renders_its_golden_vectors() {
    let mut count = 0;
    for (name, source) in builtin() {
        let profile = Profile::parse(source).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let path = format!("{}/../../profiles/{name}.vectors.json", env!("CARGO_MANIFEST_DIR"));
        let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let vectors: Vec<Vector> =
            serde_json::from_str(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(!vectors.is_empty(), "{path} has no vectors");
        for vector in vectors {
            check(name, &profile, &vector);
            count += 1;
        }
    }
    assert!(count >= 40, "only {count} vectors ran");
}

fn check(name: &str, profile: &Profile, vector: &Vector) {
    let tenant = TenantValues {
        id: vector.tenant.id.clone(),
        name: vector.tenant.name.clone(),
        timezone: jiff::tz::TimeZone::get(&vector.tenant.timezone).expect("a known zone"),
        attributes: vector.tenant.attributes.clone(),
    };
    let message = Message {
        event_id: &vector.event.id,
        event_type: &vector.event.event_type,
        event_time: vector.event.time,
        test: vector.event.test,
        data: vector.event.data.as_bytes(),
        tenant: &tenant,
        delivery_id: vector.delivery.id,
        delivery_uuid: DeliveryUuid::Is(vector.delivery.uuid),
        attempt: vector.attempt.number,
        sent_at: vector.attempt.time,
    };
    let keys: Vec<SigningKey> =
        vector.secrets.iter().map(|secret| profile.signing_key(secret).expect("a good secret")).collect();
    profile.check_data(&vector.event.event_type, message.data).expect("data that can be rendered");
    let body = profile.render_body(&message).expect("data that can be rendered");
    assert_eq!(String::from_utf8_lossy(&body), vector.body, "{name}: {}", vector.name);
    let headers = profile.render_headers(&message, &body, &keys);
    let expected: Vec<(&str, String)> =
        vector.headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(headers, expected, "{name}: {}", vector.name);
}

/// The reference implementation of Standard Webhooks signs the same content to the same text, over a rotation too.
#[test]
fn the_standard_profile_signs_as_its_reference_library_does() {
    let (_, source) = builtin()[0];
    let profile = Profile::parse(source).expect("a good profile");
    let secrets =
        ["whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="];
    let tenant = TenantValues {
        id: "t".to_owned(),
        name: "T".to_owned(),
        timezone: jiff::tz::TimeZone::UTC,
        attributes: serde_json::Map::new(),
    };
    let message = Message {
        event_id: "evt_1",
        event_type: "a.b",
        event_time: Timestamp::from_unix_ms(1_776_996_930_123),
        test: false,
        data: "{\"ä\":[1.0,\"\\u00e9\"]}".as_bytes(),
        tenant: &tenant,
        delivery_id: DeliveryId::from_bytes([1; 16]),
        delivery_uuid: DeliveryUuid::Is(uuid::Uuid::nil()),
        attempt: 2,
        sent_at: Timestamp::from_unix_ms(1_776_996_935_999),
    };
    let body = profile.render_body(&message).expect("good data");
    let mut keys = Vec::new();
    let mut expected = Vec::new();
    for secret in secrets {
        keys.push(profile.signing_key(secret).expect("a good secret"));
        let reference = standardwebhooks::Webhook::new(secret).expect("a good secret");
        expected.push(reference.sign("evt_1", 1_776_996_935, &body).expect("a signature"));
    }
    let headers = profile.render_headers(&message, &body, &keys);
    let signature = headers.iter().find(|(name, _)| *name == "webhook-signature").expect("a signature");
    assert_eq!(signature.1, expected.join(" "));
}
