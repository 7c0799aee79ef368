//! A trigger's own preset: what it may say, and what is refused with the field at fault.

use domain::inbound::Preset;
use postrider_domain as domain;
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "dedup": ["{json:id}"],
        "scheme": [{
            "algorithm": "hmac-sha256",
            "signed": "{timestamp}.{body}",
            "signature": { "header": "X-Sig", "prefix": "v1=", "encoding": "hex" },
            "timestamp": { "header": "X-Time", "unit": "s", "tolerance_seconds": 60 },
        }],
    })
}

/// Replaces the value at a JSON pointer (`null`: takes it away) and expects one error, at the field, that says `message`.
fn check(pointer: &str, new: Value, field: &str, message: &str) {
    let mut spec = good();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = spec.pointer_mut(parent).expect("the parent").as_object_mut().expect("an object");
    match new {
        Value::Null => drop(parent.remove(key)),
        new => drop(parent.insert(key.to_owned(), new)),
    }
    let errors = Preset::custom(&spec).err().unwrap_or_else(|| panic!("{pointer} was taken: {spec}"));
    let found = errors.iter().find(|error| error.field == field && error.message.contains(message));
    assert!(found.is_some(), "{pointer}: {errors:?}");
}

#[test]
fn a_good_one_is_taken() {
    let preset = Preset::custom(&good()).expect("good");
    assert_eq!((preset.name(), preset.title(), preset.refused_status()), ("custom", "custom", 401));
    assert_eq!(preset.accepted().status, 202);
    assert_eq!(preset.methods(), ["POST"]);
    assert!(preset.signs_body() && preset.has_timestamp() && !preset.signs_url());
    assert_eq!(preset.tolerance().map(|it| it.as_secs()), Some(60));
}

#[test]
fn an_unknown_field_is_told_with_what_there_is() {
    check("/colour", json!(1), "colour", "unknown field; here are title, note, methods");
    check("/scheme/0/signd", json!("x"), "scheme[0].signd", "here are algorithm, key, signed, signature");
    check("/scheme/0/signature/enc", json!("x"), "scheme[0].signature.enc", "here are header, json, prefix");
    check("/scheme/0/timestamp/units", json!("x"), "scheme[0].timestamp.units", "tolerance_seconds");
    check("/name", json!("mine"), "name", "unknown field");
}

#[test]
fn a_value_that_is_none_is_told_with_what_is_allowed() {
    check(
        "/scheme/0/algorithm",
        json!("md5"),
        "scheme[0].algorithm",
        "hmac-sha1, hmac-sha256, hmac-sha512, sha256",
    );
    check(
        "/scheme/0/key",
        json!("spki"),
        "scheme[0].key",
        "keys of this algorithm are utf8, whsec, hex, base64",
    );
    check(
        "/scheme/0/signed",
        json!("{boddy}"),
        "scheme[0].signed",
        "unknown placeholder {boddy}; here are {body}",
    );
    check("/scheme/0/signature/encoding", json!("text"), "scheme[0].signature.encoding", "hex or base64");
    check("/scheme/0/signature/header", json!("X Sig"), "scheme[0].signature.header", "not a header name");
    check("/scheme/0/signature/header", json!(["A", "a"]), "scheme[0].signature.header", "twice");
    check("/scheme/0/timestamp/unit", json!("min"), "scheme[0].timestamp.unit", "s, ms, rfc3339");
    for seconds in [json!(0), json!(-1), json!(86_401), json!("300"), json!(1.5)] {
        check(
            "/scheme/0/timestamp/tolerance_seconds",
            seconds,
            "scheme[0].timestamp.tolerance_seconds",
            "1 to 86400",
        );
    }
    check("/methods", json!(["DELETE"]), "methods", "POST, PUT");
    check("/refused", json!(500), "refused", "400 to 499");
    check("/accepted", json!({ "status": 302 }), "accepted.status", "200 to 299");
    check("/dedup", json!(["{body}"]), "dedup", "{header:NAME}");
    check("/scheme", json!([]), "scheme", "at least one");
    check("/scheme", json!({}), "scheme", "list of objects");
    check("/scheme/0/signature", Value::Null, "scheme[0].signature", "is needed");
    check("/note", json!("x".repeat(2001)), "note", "2000 bytes");
    check("/note", json!("x".repeat(20_000)), "", "16384 bytes");
}

#[test]
fn what_would_let_a_request_pass_unsigned_is_refused() {
    check("/scheme/0/signed", json!("{timestamp}"), "scheme[0].signed", "any body is accepted");
    check("/scheme/0/signed", json!("{body}"), "scheme[0].timestamp", "is not signed");
    check("/scheme/0/timestamp", Value::Null, "scheme[0].timestamp", "is needed");
    check("/scheme/0/signed", json!("{id}{timestamp}{body}"), "scheme[0].id", "is needed");
    check("/scheme/0/id", json!({ "header": "X-Id" }), "scheme[0].id", "is not signed");
    check("/scheme/0/signed", json!("{timestamp}{secret}{body}"), "scheme[0].signed", "sha256");
    check("/scheme/0/algorithm", json!("sha256"), "scheme[0].signed", "{secret}");
    check("/scheme/0/algorithm", json!("token"), "scheme[0].signed", "leave it out");
    check("/dedup", json!(["{id}"]), "dedup", "needs `id`");
    check("/scheme/0/body_hash_query", json!("h"), "scheme[0].body_hash_query", "{url}");
    check("/scheme/0/items", json!("items[]"), "scheme[0].items", "signature.json");
    check(
        "/scheme/0/signature",
        json!({ "json": "sig", "encoding": "hex" }),
        "scheme[0].signed",
        "over itself",
    );
    check("/scheme/0/timestamp", json!({ "header": ["A", "B"] }), "scheme[0].timestamp.header", "as many as");
    check("/scheme/0/timestamp", json!({ "part": "t=" }), "scheme[0].timestamp.part", "separator");
}

#[test]
fn a_handshake_that_would_sign_or_echo_too_much_is_refused() {
    let open = |answer: Value| json!([{ "phase": "open", "method": "GET", "answer": answer }]);
    check("/handshake", open(json!({ "text": "{json:a}" })), "handshake[0]", "nobody has signed the body");
    check("/handshake", open(json!({ "text": "hello" })), "handshake[0]", "told apart");
    check("/handshake", open(json!({ "text": "{query:}" })), "handshake[0].answer.text", "{query:NAME}");
    check(
        "/handshake",
        open(json!({ "text": "{hmac-hex:query:c}" })),
        "handshake[0]",
        "signs for whoever asks",
    );
    check("/handshake", json!([{ "phase": "signed" }]), "handshake[0].when", "every request");
    check("/handshake", json!([{ "phase": "later" }]), "handshake[0].phase", "open, signed");
    let both =
        json!([{ "phase": "signed", "when": [{ "value": "json:a", "equals": 1, "verify_token": true }] }]);
    check("/handshake", both, "handshake[0].when[0]", "either");
}
