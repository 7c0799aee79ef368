//! The profile format: what it refuses, and where it says the fault lies.

use postrider_domain::profile::{Profile, ProfileError, SchemaMode, builtin, builtin_profiles};

/// A profile that is right; each test changes one thing.
const GOOD: &str = r#"name = "example"
title = "Example"

[envelope]
event = "{event.type}"
at = "{event.time|unix-seconds}"
fixed = { version = 2, stable = true }
note = "{tenant.name} / {attempt.number}"
data = "{event.data}"

[body]
numbers = "verbatim"

[headers]
X-Event = "{event.type}"
X-Time = "{attempt.time|unix-seconds}"

[signature]
secret = "optional"
header = "X-Signature"
value = "t={attempt.time|unix-seconds},v1={hmac-sha256-hex:{attempt.time|unix-seconds}.{body}}"

[delivery]
timeout = "15s"
retries = ["500ms", "1d"]
jitter = 0.25
success = { statuses = "200-204,208", body = "complete" }

[[event]]
type = "thing.made"
description = "A thing is made."
schema = { type = "object", required = ["id"] }
example = { id = 1, price = 1.5 }
"#;

fn errors(source: &str) -> Vec<ProfileError> {
    match Profile::parse(source) {
        Ok(_) => panic!("this was taken:\n{source}"),
        Err(errors) => errors,
    }
}

/// Replaces `from` by `to` in the good profile, and expects one error, on the line where `from` begins, that says
/// `message`.
fn check(from: &str, to: &str, message: &str) {
    let at = GOOD.find(from).unwrap_or_else(|| panic!("the good profile has no `{from}`"));
    let line = 1 + GOOD[..at].matches('\n').count();
    let errors = errors(&GOOD.replacen(from, to, 1));
    assert_eq!(errors.len(), 1, "{to}: {errors:?}");
    assert!(errors[0].message.contains(message), "{to}: {}", errors[0].message);
    assert_eq!(errors[0].line, Some(line), "{to}: {}", errors[0].message);
}

#[test]
fn the_good_profile_is_taken() {
    let profile = Profile::parse(GOOD).expect("good");
    assert_eq!(profile.version.len(), 16);
    assert!(profile.delivery.success.holds(208) && !profile.delivery.success.holds(205));
    assert_eq!(profile.delivery.retries[1].as_secs(), 86_400);
    assert_eq!(profile.catalogue.schema_mode, SchemaMode::Warn);
    assert_eq!(profile.header_names(), ["Content-Type", "User-Agent", "X-Event", "X-Time", "X-Signature"]);
    assert_eq!(profile.catalogue.types[0].family, "thing");
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_what_there_is() {
    check("title =", "titel =", "unknown key `titel` in the profile; it has name, title, envelope");
    check(
        "jitter =",
        "jiter =",
        "unknown key `jiter` in [delivery]; it has mode, scan_at, timeout, retries, jitter",
    );
    check("numbers = \"verbatim\"", "digits = 2", "unknown key `digits` in [body]; it has numbers");
    check("description =", "colour = 1\ndescription =", "unknown key `colour` in [[event]]");
}

#[test]
fn an_unknown_placeholder_or_format_is_told_with_the_list() {
    check(
        "\"{event.type}\"\nat",
        "\"{event.kind}\"\nat",
        "unknown placeholder {event.kind}; here are {event.id} {event.type}",
    );
    check(
        "{event.time|unix-seconds}",
        "{event.time|iso}",
        "it takes rfc3339-millis, rfc3339-seconds, rfc3339-seconds-in-tenant-zone, unix-seconds",
    );
    check("{event.data}", "{event.data|only-when-true}", "it takes omit-when-missing, only-when-operational");
    check("{tenant.name}", "{tenant.name|upper}", "takes no format");
    check("{tenant.name}", "{tenant.attributes.}", "unknown placeholder");
    check("{tenant.name}", "{tenant.name", "without '}'");
    check("{tenant.name}", "tenant.name}", "without '{'");
    check("X-Event = \"{event.type}\"", "X-Event = \"{event.data.x}\"", "unknown placeholder {event.data.x}");
    check("X-Event = \"{event.type}\"", "X-Event = \"{body}\"", "unknown placeholder {body}");
}

#[test]
fn a_signature_that_receivers_could_not_verify_is_refused() {
    check(".{body}}", "}", "must include {body}");
    check("{hmac-sha256-hex:", "{hmac-md5:", "unknown signature {hmac-md5:…}; here is {hmac-sha256-hex:");
    check("{hmac-sha256-hex:", "{ed25519-base64:", "unknown signature {ed25519-base64:…}");
    check(":{attempt.time|unix-seconds}.", ":{event.id}.", "no header carries");
    check("header = \"X-Signature\"", "header = \"x-event\"", "given twice");
    check(
        "[signature]\nsecret = \"optional\"\nheader = \"X-Signature\"",
        "[signature]",
        "[signature] needs `header`",
    );
}

#[test]
fn headers_of_the_connection_and_odd_ones_are_refused() {
    check("X-Event =", "Content-Length =", "belongs to the connection");
    check("X-Event =", "HOST =", "belongs to the connection");
    check("X-Event =", "\"X Event\" =", "is not a header name");
    check("X-Time =", "x-event =", "given twice");
    check("\"{event.type}\"\nX-Time", "\"a\\u000Ab\"\nX-Time", "visible ASCII");
}

#[test]
fn delivery_rules_have_bounds() {
    check("\"15s\"", "\"0s\"", "above 0 and at most 60 s");
    check("\"15s\"", "\"61s\"", "at most 60 s");
    check("\"15s\"", "15", "text in quotes");
    check("\"500ms\"", "\"500\"", "must be like");
    check("\"1d\"", "\"31d\"", "at most");
    check("\"1d\"", "\"99999999999999999999d\"", "must be like");
    check("0.25", "0.75", "0 to 0.5");
    check("0.25", "nan", "0 to 0.5");
    check("jitter = 0.25", "at_most_once = true", "cannot go with `retries`");
    check("jitter = 0.25", "scan_at = \"24:00\"", "like \"06:00\"");
    check("jitter = 0.25", "mode = \"later\"", "\"immediate\" or \"scan\"");
    check("200-204,208", "3xx", "must be like");
    check("200-204,208", "2xx,", "must be like");
    check("200-204,208", "299-200", "must be like");
    let many = vec!["\"1s\""; 51].join(", ");
    check("\"500ms\", \"1d\"", &many, "at most 50 steps");
}

#[test]
fn an_event_type_is_checked_with_its_example() {
    check("thing.made", "thing..made", "is not an event type");
    check("thing.made", "webhook.disabled", "is Postrider's own");
    check(
        "{ id = 1, price = 1.5 }",
        "{ price = 1.5 }",
        "breaks its schema at \"\": \"id\" is a required property",
    );
    check("{ id = 1, price = 1.5 }", "'{\"id\": 1,}'", "expected a key");
    check("{ type = \"object\", required = [\"id\"] }", "{ type = \"objekt\" }", "`schema`");
    check(
        "{ type = \"object\", required = [\"id\"] }",
        "{ \"$ref\" = \"https://example.com/schema.json\" }",
        "a schema cannot refer to https://example.com/schema.json",
    );
    check(
        "{ type = \"object\", required = [\"id\"] }",
        "{ \"$ref\" = \"file:///etc/passwd\" }",
        "a schema cannot refer to file:///etc/passwd",
    );
    check("description =", "data_fields = [\"id\", \"id\"]\ndescription =", "given twice");
    check("description =", "data_fields = [\"id\", \"id.x\"]\ndescription =", "given twice");
    check("description =", "data_fields = [\"id.\"]\ndescription =", "is not a path");
    let lacks = GOOD.to_owned() + "data_fields = [\"id\", \"name\", \"colour?\"]\n";
    assert!(errors(&lacks)[0].message.contains("lacks `name`"));
    let twice = format!("{GOOD}{}", &GOOD[GOOD.find("[[event]]").expect("an event")..]);
    assert!(errors(&twice)[0].message.contains("`thing.made` is given twice"));
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let errors = errors("name = \"x\"\ntitle = \n");
    assert_eq!(errors[0].line, Some(2), "{errors:?}");
}

#[test]
fn every_error_is_told_at_once_in_the_order_of_the_source() {
    let source =
        GOOD.replace("X-Event =", "Host =").replace("\"15s\"", "\"x\"").replace("{event.data}", "{x}");
    let lines: Vec<_> = errors(&source).into_iter().map(|error| error.line).collect();
    assert_eq!(lines, [Some(9), Some(15), Some(24)]);
}

#[test]
fn a_profile_needs_a_name_an_envelope_and_events() {
    let errors = errors("");
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    assert!(messages.iter().any(|message| message.contains("needs `name`")), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("needs `envelope`")), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("event types")), "{messages:?}");
    check("name = \"example\"", "name = \"Example\"", "a-z, 0-9 and -");
    let long = format!("{GOOD}#{}", "x".repeat(512 * 1024));
    assert!(self::errors(&long)[0].message.contains("at most"));
}

#[test]
fn built_in_profiles_have_their_files_name_and_a_full_catalogue() {
    let counts =
        [("standard", 0), ("runtight", 5), ("smartmaintenance", 11), ("org-jobs", 3), ("rcmanager", 8)];
    let profiles = builtin_profiles();
    assert_eq!(profiles.len(), builtin().len());
    for ((name, count), profile) in counts.into_iter().zip(&profiles) {
        assert_eq!(profile.name, name);
        assert_eq!(profile.catalogue.types.len(), count, "{name}");
        for event_type in &profile.catalogue.types {
            assert!(!event_type.description.is_empty(), "{name}: {}", event_type.name);
            let schema = event_type.schema.as_ref().expect("a schema");
            schema.validate(&event_type.example).expect("an example that follows its schema");
            assert!(schema.validate(&serde_json::json!("text")).is_err(), "{name}: {}", event_type.name);
        }
    }
    let mut families: Vec<&str> =
        profiles[2].catalogue.types.iter().map(|event_type| event_type.family.as_str()).collect();
    families.dedup();
    assert_eq!(families, ["task", "repair_request", "shutdown", "user", "audit"]);
}

#[test]
fn schema_issues_are_bounded_and_say_where() {
    let profile = &builtin_profiles()[2];
    let issues = profile
        .catalogue
        .validate("task.completed", &serde_json::json!({"task_id": "x"}))
        .expect_err("a text where a number belongs");
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0].path, "/task_id");
    let schema =
        postrider_domain::profile::Schema::compile(r#"{"items": {"type": "string"}}"#).expect("good");
    let many = serde_json::Value::Array(vec![serde_json::json!(1); 1000]);
    assert_eq!(schema.validate(&many).expect_err("wrong").len(), 10);
    assert!(profile.catalogue.validate("not.known", &many).is_ok());
}

#[test]
fn operational_types_are_in_every_catalogue() {
    for profile in builtin_profiles() {
        for name in ["webhook.disabled", "delivery.exhausted"] {
            assert!(
                profile.catalogue.get(name).is_some() && !profile.catalogue.has(name),
                "{}",
                profile.name
            );
        }
    }
}
