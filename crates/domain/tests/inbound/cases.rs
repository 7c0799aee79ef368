//! The cases that are made from each preset's own data, and what holds for all presets.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use domain::inbound::cases::{Case, Expected, cases};
use domain::inbound::sign::{Draft, Sent, SystemRandom, sign};
use domain::inbound::{Incoming, Preset, RefusalCode, Verifier, presets};
use domain::time::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};
use postrider_domain as domain;
use proptest::prelude::*;

const URL: &str = "https://hooks.example.com/in/t1?tenant=a%3Ab%20c";
const NOW: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

fn verifier(preset: &Preset, case: &Case) -> Verifier {
    let secrets: Vec<&str> = case.secrets.iter().map(String::as_str).collect();
    Verifier::new(preset.clone().into(), &secrets, case.tolerance, None)
        .unwrap_or_else(|error| panic!("{}: {}: {error}", preset.name(), case.name))
}

fn check(preset: &Preset, case: &Case) {
    let verifier = verifier(preset, case);
    let incoming = case.request.incoming();
    let found = verifier.verify(&incoming, NOW);
    let holds = match (&found, &case.expected) {
        (Ok(_), Expected::Accepted) => true,
        (Err(refusal), Expected::Refused(codes)) => codes.contains(&refusal.code),
        _ => false,
    };
    assert!(holds, "{}: {}: {found:?}\n{:?}", preset.name(), case.name, case.request);
    assert_eq!(verifier.explain(&incoming, NOW).accepted, found.is_ok());
    assert!(verifier.open_handshake(&incoming).is_none(), "{}: {}", preset.name(), case.name);
}

#[test]
fn every_preset_holds_in_every_case_that_is_made_for_it() {
    let random = SystemRandom::new();
    for preset in presets() {
        let cases = cases(preset, URL, NOW, &random);
        assert!(cases.len() >= 14, "{} has only {} cases", preset.name(), cases.len());
        let names: HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len(), "{}: names stand twice", preset.name());
        let has = |name: &str| names.iter().any(|known| known.ends_with(name));
        assert!(has("a signed request") && has("by another secret"), "{}", preset.name());
        if preset.signs_body() {
            assert!(has("one byte more") && has("no body"), "{}", preset.name());
        }
        if preset.has_timestamp() {
            assert!(has("older than may be") && has("as far ahead as may be"), "{}", preset.name());
        }
        for case in cases {
            check(preset, &case);
        }
    }
}

/// A preset of a trigger's own has them too; here with every algorithm whose keys are numbers.
#[test]
fn a_custom_preset_holds_in_the_cases_that_are_made_for_it() {
    for (algorithm, key, encoding) in [
        ("hmac-sha1", "base64", "hex"),
        ("hmac-sha512", "whsec", "base64"),
        ("ed25519", "spki", "base64"),
        ("ed25519", "base64", "hex"),
        ("ecdsa-p256-sha256", "spki", "hex"),
    ] {
        let spec = serde_json::json!({
            "scheme": [{
                "algorithm": algorithm,
                "key": key,
                "signed": "{method} {url} {timestamp}\n{id}\n{header:Content-Type} {body}",
                "signature": { "header": ["X-Sig", "Y-Sig"], "separator": ",", "prefix": "s=", "encoding": encoding },
                "timestamp": { "part": "t=", "unit": "ms" },
                "id": { "json": "id" },
            }],
        });
        let preset = Preset::custom(&spec).unwrap_or_else(|errors| panic!("{algorithm}: {errors:?}"));
        let cases = cases(&preset, URL, NOW, &SystemRandom::new());
        assert!(cases.len() > 20, "{algorithm}: {}", cases.len());
        for case in cases.iter().filter(|case| !case.name.contains("another time")) {
            check(&preset, case);
        }
    }
}

#[test]
fn a_verifier_shows_no_secret() {
    for preset in presets() {
        for case in cases(preset, URL, NOW, &SystemRandom::new()) {
            let shown = format!("{:?}", verifier(preset, &case));
            let explained = verifier(preset, &case).explain(&case.request.incoming(), NOW);
            let explained = serde_json::to_string(&explained).expect("JSON");
            for secret in &case.secrets {
                assert!(!shown.contains(secret), "{shown}");
                assert!(!explained.contains(secret), "{explained}");
                if !preset.signs_body() {
                    // Tokens: not even what they begin with.
                    assert!(!explained.contains(&secret[..6]), "{explained}");
                }
            }
        }
    }
}

#[test]
fn secrets_are_refused_when_there_are_none_or_too_many() {
    for preset in presets() {
        let new = |secrets: &[&str]| Verifier::new(preset.clone(), secrets, None, None);
        assert!(new(&[]).is_err() && new(&[""]).is_err(), "{}", preset.name());
        assert!(new(&["user:secret"; 5]).is_err(), "{}", preset.name());
        assert!(new(&[&"s:".repeat(5000)]).is_err(), "{}", preset.name());
    }
    let preset = domain::inbound::preset("standard-webhooks").expect("a preset").clone();
    let error = Verifier::new(preset.clone(), &["secret"], None, None).expect_err("refused");
    assert_eq!(
        error,
        "The secret must be `whsec_` followed by 24 to 64 bytes in base64, or `whpk_` followed by an Ed25519 public key \
         (32 bytes) in base64."
    );
    assert!(Verifier::new(preset, &["whsec_c2hvcnQ="], None, Some("")).is_err());
    let gitlab = domain::inbound::preset("gitlab").expect("a preset").clone();
    let error =
        Verifier::new(gitlab, &["whsec_c2hvcnQ="], None, None).expect_err("no token that looks alike");
    assert!(error.contains("24 to 64 bytes"), "{error}");
}

#[test]
fn a_tolerance_of_the_trigger_counts_instead_of_the_presets() {
    let preset = domain::inbound::preset("stripe").expect("a preset");
    let draft = Draft {
        method: "POST",
        url: URL,
        headers: HeaderMap::new(),
        body: b"{}",
        timestamp: NOW.minus(Duration::from_secs(400)),
        id: "",
    };
    let sent = sign(preset, "secret", &draft, &SystemRandom::new()).expect("signed");
    for (tolerance, expected) in [(None, false), (Some(399), false), (Some(400), true)] {
        let tolerance = tolerance.map(Duration::from_secs);
        let verifier = Verifier::new(preset.clone(), &["secret"], tolerance, None).expect("good");
        assert_eq!(verifier.verify(&sent.incoming(), NOW).is_ok(), expected, "{tolerance:?}");
    }
}

fn explained(
    preset: &str,
    secret: &str,
    signed_with: &str,
    change: impl Fn(&mut Sent),
) -> domain::inbound::Explanation {
    let preset = domain::inbound::preset(preset).expect("a preset");
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let draft = Draft {
        method: "POST",
        url: URL,
        headers,
        body: b"{\"a\":1,\"b\":\"x, y\"}",
        timestamp: NOW,
        id: "msg_1",
    };
    let mut sent = sign(preset, signed_with, &draft, &SystemRandom::new()).expect("signed");
    change(&mut sent);
    let verifier = Verifier::new(preset.clone(), &[secret], None, None).expect("good");
    verifier.explain(&sent.incoming(), NOW.plus(Duration::from_secs(7)))
}

#[test]
fn the_usual_mistakes_are_named() {
    let body = |text: &'static str| move |sent: &mut Sent| sent.body = text.as_bytes().to_vec();
    let url = |text: &'static str| move |sent: &mut Sent| sent.url = text.to_owned();
    let keep = |_: &mut Sent| {};
    let name = |explained: domain::inbound::Explanation| explained.mistake.map(|mistake| mistake.code);
    for (text, expected) in [
        ("{\"a\":1,\"b\":\"x, y\"}\n", Some("whitespace_added")),
        ("{ \"a\": 1, \"b\": \"x, y\" }", Some("body_rewritten")),
        ("\u{feff}{\"a\":1,\"b\":\"x, y\"}", Some("byte_order_mark")),
        ("{\"a\":2,\"b\":\"x, y\"}", None),
    ] {
        assert_eq!(name(explained("github", "secret", "secret", body(text))), expected, "{text}");
    }
    for (secret, signed_with, expected) in [
        ("secret\n", "secret", Some("secret_whitespace")),
        ("c2VjcmV0", "whsec_c2VjcmV0", Some("secret_prefix_missing")),
        ("whsec_c2VjcmV0", "c2VjcmV0", Some("secret_prefix_extra")),
        ("whsec_c2VjcmV0", "secret", Some("secret_decoded")),
        ("736563726574", "secret", Some("secret_decoded")),
        ("secret", "another", None),
    ] {
        assert_eq!(name(explained("stripe", secret, signed_with, keep)), expected, "{secret:?}");
    }
    for (changed, expected) in [
        ("https://hooks.example.com/in/t1/?tenant=a%3Ab%20c", Some("url_slash")),
        ("http://hooks.example.com/in/t1?tenant=a%3Ab%20c", Some("url_scheme")),
        ("https://hooks.example.com:443/in/t1?tenant=a%3Ab%20c", Some("url_port")),
        ("https://elsewhere.example.com/in/t1?tenant=a%3Ab%20c", None),
    ] {
        assert_eq!(name(explained("square", "secret", "secret", url(changed))), expected, "{changed}");
    }
}

#[test]
fn an_explanation_tells_what_was_found_and_what_was_expected() {
    let found = explained("stripe", "one", "another", |_| {});
    assert_eq!((found.code, found.accepted), (Some("signature_mismatch"), false));
    assert_eq!((found.age_seconds, found.tolerance_seconds), (Some(7), Some(300)));
    let expected = &found.expected[0];
    let shown = found.found.as_ref().expect("a signature");
    assert!(shown.len() == 8 && expected.len() == 8 && shown != expected, "{found:?}");
    assert_eq!((found.body_bytes, found.body_sha256.len()), (18, 64));
    assert!(found.place.contains("stripe-signature") && found.advice.is_some());
    let found = explained("gitlab", "one-token", "another-token", |_| {});
    assert_eq!((found.found.as_deref(), found.expected.len()), (Some("13 characters"), 0));
    let found = explained("github", "one", "one", |sent| drop(sent.headers.remove("x-hub-signature-256")));
    assert_eq!((found.code, found.found), (Some("signature_missing"), None));
}

#[test]
fn a_json_body_that_is_sent_again_as_a_form_is_not_taken() {
    let preset = |name| domain::inbound::preset(name).expect("a preset");
    let form = domain::inbound::sign::content_type("application/x-www-form-urlencoded");
    let refusal = preset("stripe").parse_body(&form, b"{\"id\":1}").expect_err("refused");
    assert_eq!(refusal.code(), "content_type");
    assert!(preset("slack").parse_body(&form, b"a=1").is_ok());
    for (name, taken) in [("header-secret", true), ("basic", true), ("stripe", false)] {
        assert_eq!(preset(name).parse_body(&HeaderMap::new(), b"").is_ok(), taken, "{name}");
    }
}

#[test]
fn a_verifier_is_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Verifier>();
}

#[test]
fn codes_are_words_and_none_stands_twice() {
    let words: HashSet<&str> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), RefusalCode::ALL.len());
    for word in words {
        assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
    }
}

/// Headers that presets look at, with values that are nearly right.
fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let name = prop_oneof![
        Just("x-hub-signature-256"),
        Just("stripe-signature"),
        Just("webhook-signature"),
        Just("webhook-id"),
        Just("webhook-timestamp"),
        Just("x-gitlab-token"),
        Just("x-twilio-signature"),
        Just("x-signature-ed25519"),
        Just("x-signature-timestamp"),
        Just("authorization"),
        Just("content-type"),
        Just("x-twilio-email-event-webhook-signature"),
        Just("x-twilio-email-event-webhook-timestamp"),
    ];
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "(sha256=|v1,|t=|v1=|Basic )?[0-9a-fA-F+/=,; ]{0,70}".prop_map(String::into_bytes),
        Just(b"application/x-www-form-urlencoded".to_vec()),
        "[0-9]{1,25}".prop_map(String::into_bytes),
    ];
    prop::collection::vec((name, value), 0..8).prop_map(|list| {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        headers
    })
}

static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
    let first = |preset| cases(preset, URL, NOW, &SystemRandom::new()).swap_remove(0);
    presets().iter().map(|preset| verifier(preset, &first(preset))).collect()
});

proptest! {
    #[test]
    fn nothing_that_is_sent_can_panic_or_pass(
        headers in any_headers(),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            "[\\[\\]{}\":,a-z0-9\\\\]{0,60}".prop_map(String::into_bytes),
        ],
        query in "[ -~]{0,60}",
        now in any::<i64>(),
    ) {
        for verifier in VERIFIERS.iter() {
            let url = format!("https://a.example/?{query}");
            let incoming = Incoming { method: "POST", url: &url, query: &query, headers: &headers, body: &body };
            let now = Timestamp::from_unix_ms(now);
            prop_assert!(verifier.verify(&incoming, now).is_err(), "{verifier:?}");
            let _ = verifier.open_handshake(&incoming);
            let _ = verifier.explain(&incoming, now);
        }
    }
}

#[test]
fn a_secret_that_is_made_for_a_preset_verifies_what_is_signed_with_it() {
    let random = SystemRandom::new();
    let mut refused = Vec::new();
    for preset in presets() {
        let name = preset.name();
        let Some(secret) = preset.secret_of(&[7; 32]) else {
            refused.push(name);
            continue;
        };
        assert!(secret.len() > 40, "{name}: {} bytes", secret.len());
        let verifier = Verifier::new(preset.clone(), &[&secret], None, None)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let sample = cases(preset, URL, NOW, &random);
        let sample =
            sample.iter().find(|case| case.name.ends_with("a signed request")).expect("every preset has one");
        let content_type = sample.request.headers.get("content-type").cloned();
        let draft = Draft {
            method: &sample.request.method,
            url: URL,
            headers: content_type.map(|value| ("content-type".parse().unwrap(), value)).into_iter().collect(),
            body: &sample.request.body,
            timestamp: NOW,
            id: "msg_1",
        };
        let sent =
            sign(preset, &secret, &draft, &random).unwrap_or_else(|| panic!("{name}: nothing was signed"));
        verifier.verify(&sent.incoming(), NOW).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
    }
    // Whose secrets are public keys.
    assert!(refused.contains(&"discord") && refused.len() < 10, "{refused:?}");
}
