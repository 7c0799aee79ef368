//! Triggers: what may be registered, their secrets and their URLs, and that the same request starts one run.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use postrider_domain::inbound::preset;
use postrider_domain::inbound::sign::{Draft, Sent, SystemRandom, content_type, sign};
use postrider_domain::time::Clock as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::inbound::{acme, hook, invoke, recorder, requests_of, run_of, runs_of, trigger_path};
use crate::world::{Ask, Reply, World};

const OURS: &str = "a-secret-of-at-least-24-bytes";
const TRIGGERS: &str = "/v1/workflows/leads/triggers";

fn create<'w>(world: &'w World, made: &Value) -> Ask<'w> {
    world.operator(Method::POST, TRIGGERS, "acme").json(made)
}

fn patch<'w>(world: &'w World, trigger: &Value, change: &Value) -> Ask<'w> {
    world.operator(Method::PATCH, trigger_path(trigger), "acme").json(change)
}

async fn rotate(world: &World, trigger: &Value, rotation: &Value) -> Value {
    let path = format!("{}/secret/rotate", trigger_path(trigger));
    world.operator(Method::POST, path, "acme").json(rotation).send().await.expect_status(200).json
}

/// With our own secret in its header.
async fn with_secret(world: &World, trigger: &Value, secret: &str) -> u16 {
    let ask = invoke(world, trigger).header("X-Webhook-Secret", secret).raw("{}");
    ask.send().await.status
}

/// As Stripe signs, now, with each of these secrets.
fn signed(world: &World, trigger: &Value, secrets: &[&str]) -> Sent {
    let stripe = preset("stripe").expect("a preset");
    let url = trigger["webhookUrl"].as_str().expect("a URL");
    let draft = Draft {
        method: "POST",
        url,
        headers: content_type("application/json"),
        body: b"{\"type\": \"ping\"}",
        timestamp: world.clock.now(),
        id: "",
    };
    let one = |secret: &&str| sign(stripe, secret, &draft, &SystemRandom::new()).expect("it signs");
    let mut sent = one(&secrets[0]);
    let mut value = String::new();
    for other in secrets.iter().map(one) {
        let header = other.headers["stripe-signature"].to_str().expect("text").to_owned();
        let (time, signature) = header.split_once(',').expect("a time and a signature");
        value = if value.is_empty() { time.to_owned() } else { value } + "," + signature;
    }
    sent.headers.insert("stripe-signature", HeaderValue::from_str(&value).expect("a value"));
    sent
}

async fn signed_with(world: &World, trigger: &Value, secrets: &[&str]) -> u16 {
    let sent = signed(world, trigger, secrets);
    world.ask(Method::POST, hook(trigger)).headers(&sent.headers).untyped(sent.body).send().await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_posts_at_once_with_one_dedup_id_start_one_run() {
    const POSTS: usize = 200;
    let world = acme().await;
    let github = json!({"type": "webhook", "verification": {"preset": "github", "secrets": [OURS]}});
    let trigger = recorder(&world, &github).await;
    let draft = Draft {
        method: "POST",
        url: trigger["webhookUrl"].as_str().expect("a URL"),
        headers: content_type("application/json"),
        body: b"{\"zen\": \"Keep it logically awesome.\"}",
        timestamp: world.clock.now(),
        id: "",
    };
    let preset = preset("github").expect("a preset");
    let mut sent = sign(preset, OURS, &draft, &SystemRandom::new()).expect("it signs");
    sent.headers.insert("x-github-delivery", HeaderValue::from_static("one"));
    let mut posts = JoinSet::new();
    for _ in 0..POSTS {
        let request = world.ask(Method::POST, hook(&trigger)).headers(&sent.headers).untyped(&*sent.body);
        posts.spawn(world.router.clone().oneshot(request.request()));
    }
    let mut statuses = BTreeMap::new();
    let mut runs = Vec::new();
    while let Some(post) = posts.join_next().await {
        let reply = Reply::of(post.expect("no post panics").expect("the router always answers")).await;
        assert_eq!(reply.json["duplicate"], reply.status == 200, "{}", reply.text);
        runs.push(run_of(&reply));
        *statuses.entry(reply.status).or_insert(0) += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(202, 1), (200, POSTS - 1)]));
    runs.dedup();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let known: Vec<Value> =
        runs_of(&world, &trigger).await.into_iter().map(|run| run["id"].clone()).collect();
    assert_eq!(known, [json!(runs[0])]);
    let mut causes = BTreeMap::new();
    for row in requests_of(&world, &trigger).await {
        assert_eq!(row["runId"], runs[0].as_str());
        *causes.entry(row["cause"].as_str().expect("a cause").to_owned()).or_insert(0) += 1;
    }
    assert_eq!(causes, BTreeMap::from([("accepted".to_owned(), 1), ("duplicate".to_owned(), POSTS - 1)]));
}

#[tokio::test]
async fn a_request_is_known_again_by_what_the_trigger_says() {
    let world = acme().await;
    let by = |dedup: Value| json!({"type": "webhook", "secret": OURS, "dedup": dedup});
    let send = async |trigger: &Value, header: &str, body: &str| {
        let ask = invoke(&world, trigger).header("X-Webhook-Secret", OURS).header("X-Id", header);
        ask.header("Idempotency-Key", "k").raw(body).send().await
    };
    for (dedup, same, other) in [
        (json!({"header": "X-Id"}), ("a", r#"{"id": 1}"#), ("b", r#"{"id": 1}"#)),
        (json!({"expression": "input.id"}), ("b", r#"{"id": 1, "n": 2}"#), ("a", r#"{"id": 2}"#)),
    ] {
        let trigger = recorder(&world, &by(dedup)).await;
        let first = send(&trigger, "a", r#"{"id": 1}"#).await.expect_status(202);
        let again = send(&trigger, same.0, same.1).await.expect_status(200);
        assert_eq!(again.json["runId"], first.json["runId"]);
        send(&trigger, other.0, other.1).await.expect_status(202);
        assert_eq!(runs_of(&world, &trigger).await.len(), 2);
    }
    let none = recorder(&world, &by(json!("none"))).await;
    for _ in 0..3 {
        send(&none, "a", "{}").await.expect_status(202);
    }
    let by_key = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    send(&by_key, "a", "{}").await.expect_status(202);
    send(&by_key, "b", "[]").await.expect_status(200);
    // What cannot be decided is refused: taken, it could be the second of two.
    let odd = recorder(&world, &by(json!({"expression": "input.id"}))).await;
    for body in [r#"{"id": [1]}"#, "{}", r#"{"id": true}"#] {
        send(&odd, "a", body).await.expect_problem(400, "malformed_json", "");
    }
    assert!(runs_of(&world, &odd).await.is_empty());
}

#[tokio::test]
async fn a_secret_changes_on_the_senders_side_first_without_a_gap() {
    let world = acme().await;
    let made = json!({"type": "webhook", "verification": {"preset": "stripe", "secrets": ["whsec_old"]}});
    let trigger = recorder(&world, &made).await;
    assert_eq!(signed_with(&world, &trigger, &["whsec_old"]).await, 202);
    // The provider has made its new one, and signs with both until it forgets the old one.
    assert_eq!(signed_with(&world, &trigger, &["whsec_new", "whsec_old"]).await, 202);
    assert_eq!(signed_with(&world, &trigger, &["whsec_new"]).await, 401);
    let rotation = json!({"secret": "whsec_new", "overlapSeconds": 3600});
    let rotated = rotate(&world, &trigger, &rotation).await;
    assert_eq!((&rotated["secret"], &rotated["id"]), (&json!("whsec_new"), &trigger["id"]));
    for secrets in [&["whsec_new", "whsec_old"][..], &["whsec_new"], &["whsec_old"]] {
        assert_eq!(signed_with(&world, &trigger, secrets).await, 202, "{secrets:?}");
    }
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(signed_with(&world, &trigger, &["whsec_old"]).await, 401);
    assert_eq!(signed_with(&world, &trigger, &["whsec_new"]).await, 202);
}

#[tokio::test]
async fn a_secret_changes_on_our_side_first_and_the_old_one_ends_with_the_overlap() {
    let world = acme().await;
    let trigger = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    let rotated = rotate(&world, &trigger, &json!({})).await;
    let new = rotated["secret"].as_str().expect("it is shown once").to_owned();
    assert_eq!(rotated["webhookUrl"], trigger["webhookUrl"]);
    assert_ne!(new, OURS);
    for (secret, status) in [(OURS, 202), (new.as_str(), 202), ("neither", 401)] {
        assert_eq!(with_secret(&world, &trigger, secret).await, status, "{secret}");
    }
    // A day, to the moment.
    world.clock.advance(Duration::from_secs(24 * 3600) - Duration::from_millis(1));
    assert_eq!(with_secret(&world, &trigger, OURS).await, 202);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(with_secret(&world, &trigger, OURS).await, 401);
    assert_eq!(with_secret(&world, &trigger, &new).await, 202);
    let shown = world.operator(Method::GET, trigger_path(&trigger), "acme").send().await.expect_status(200);
    assert!(shown.json.get("secret").is_none() && !shown.text.contains(&new), "{}", shown.text);
    assert_eq!(shown.json["secretSet"], true);
}

#[tokio::test]
async fn each_old_secret_ends_at_its_own_time() {
    let world = acme().await;
    let trigger = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    let second = "the-second-secret-of-24-bytes";
    let third = "the-third-secret-of-24-bytes-";
    rotate(&world, &trigger, &json!({"secret": second, "overlapSeconds": 100})).await;
    rotate(&world, &trigger, &json!({"secret": third, "overlapSeconds": 200})).await;
    for (seconds, first, between) in
        [(0, 202, 202), (99, 202, 202), (1, 401, 202), (99, 401, 202), (1, 401, 401)]
    {
        world.clock.advance(Duration::from_secs(seconds));
        let found = (
            with_secret(&world, &trigger, OURS).await,
            with_secret(&world, &trigger, second).await,
            with_secret(&world, &trigger, third).await,
        );
        assert_eq!(found, (first, between, 202), "{seconds} seconds later");
    }
}

#[tokio::test]
async fn a_secret_can_be_replaced_at_once() {
    let world = acme().await;
    let trigger = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    let second = "another-secret-of-24-bytes-or-more";
    rotate(&world, &trigger, &json!({"secret": second, "overlapSeconds": 0})).await;
    assert_eq!(with_secret(&world, &trigger, OURS).await, 401);
    assert_eq!(with_secret(&world, &trigger, second).await, 202);
    // With PATCH too, and then also one that was still in its overlap is gone.
    rotate(&world, &trigger, &json!({})).await;
    let patched = patch(&world, &trigger, &json!({"generateSecret": true})).send().await.expect_status(200);
    let third = patched.str("/secret");
    assert_eq!(with_secret(&world, &trigger, second).await, 401);
    assert_eq!(with_secret(&world, &trigger, &third).await, 202);
    patch(&world, &trigger, &json!({"secret": OURS})).send().await.expect_status(200);
    assert_eq!(with_secret(&world, &trigger, &third).await, 401);
    assert_eq!(with_secret(&world, &trigger, OURS).await, 202);
}

#[tokio::test]
async fn a_secret_that_is_made_is_one_that_the_preset_takes() {
    let world = acme().await;
    for (preset, begins) in [("standard-webhooks", "whsec_"), ("basic", "postrider:"), ("github", "")] {
        let made = json!({"type": "webhook", "generateSecret": true, "verification": {"preset": preset}});
        let trigger = recorder(&world, &made).await;
        let first = trigger["secret"].as_str().expect("it is shown").to_owned();
        let path = format!("{}/secret/rotate", trigger_path(&trigger));
        let rotated = world.operator(Method::POST, path, "acme").json(&json!({})).send().await;
        let second = rotated.expect_status(200).str("/secret");
        for secret in [&first, &second] {
            assert!(secret.starts_with(begins) && secret.len() > 40, "{preset}: {} bytes", secret.len());
        }
        assert_ne!(first, second);
    }
    let made = json!({"type": "webhook", "generateSecret": true, "verification": {"preset": "discord"}});
    create(&world, &made).send().await.expect_status(422);
}

#[tokio::test]
async fn a_rotation_that_cannot_be_changes_nothing() {
    let world = acme().await;
    let ours = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    let open = recorder(&world, &json!({"type": "webhook", "verification": {"preset": "none"}})).await;
    let whsec = json!({"preset": "standard-webhooks", "secrets": [format!("whsec_{}", "QUFB".repeat(8))]});
    let standard = recorder(&world, &json!({"type": "webhook", "verification": whsec})).await;
    let clock = recorder(&world, &json!({"type": "cron", "every": "1h"})).await;
    let path = |trigger: &Value, what: &str| format!("{}/{what}/rotate", trigger_path(trigger));
    let ask = |trigger: &Value, body: &Value| {
        world.operator(Method::POST, path(trigger, "secret"), "acme").json(body)
    };
    let before = world.whole_list(TRIGGERS, "acme").await;
    for (ask, status, code, field) in [
        (ask(&ours, &json!({"overlapSeconds": 2_592_001})), 422, "invalid_field", "overlapSeconds"),
        (ask(&ours, &json!({"overlapSeconds": "1d"})), 422, "invalid_field", "overlapSeconds"),
        (ask(&ours, &json!({"overlap": 1})), 422, "unknown_field", "overlap"),
        (ask(&standard, &json!({"secret": "no-whsec"})), 422, "secret_invalid", "verification.secrets"),
        (ask(&open, &json!({})), 409, "conflict", ""),
        (ask(&clock, &json!({})), 409, "conflict", ""),
        (world.operator(Method::POST, path(&clock, "slug"), "acme"), 409, "conflict", ""),
    ] {
        ask.send().await.expect_problem(status, code, field);
    }
    assert_eq!(world.whole_list(TRIGGERS, "acme").await, before);
    assert_eq!(with_secret(&world, &ours, OURS).await, 202);
}

#[tokio::test]
async fn another_url_leaves_the_old_one_unknown_and_the_trigger_what_it_was() {
    let world = acme().await;
    let trigger = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    assert_eq!(with_secret(&world, &trigger, OURS).await, 202);
    let path = format!("{}/slug/rotate", trigger_path(&trigger));
    let rotated = world.operator(Method::POST, path, "acme").send().await.expect_status(200).json;
    assert_eq!(rotated["id"], trigger["id"]);
    assert_ne!(rotated["webhookUrl"], trigger["webhookUrl"]);
    assert!(rotated.get("secret").is_none());
    assert_eq!(with_secret(&world, &trigger, OURS).await, 404);
    assert_eq!(with_secret(&world, &rotated, OURS).await, 202);
    assert_eq!(requests_of(&world, &rotated).await.len(), 2, "nothing is noted of a URL that is unknown");
}

#[tokio::test]
async fn a_trigger_that_is_off_or_gone_is_unknown_to_strangers() {
    let world = acme().await;
    let trigger = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    let unknown = world.ask(Method::POST, "/v1/workflows/webhooks/no-such-slug").raw("{}").send().await;
    patch(&world, &trigger, &json!({"enabled": false})).send().await.expect_status(200);
    let off = invoke(&world, &trigger).header("X-Webhook-Secret", OURS).raw("{}").send().await;
    assert_eq!(off.text, unknown.text, "one that is off and one that never was are answered alike");
    off.expect_problem(404, "not_found", "");
    let row = requests_of(&world, &trigger).await.pop().expect("it is noted");
    assert_eq!(
        (&row["cause"], &row["status"], &row["runId"]),
        (&json!("disabled"), &json!(404), &Value::Null)
    );
    patch(&world, &trigger, &json!({"enabled": true})).send().await.expect_status(200);
    assert_eq!(with_secret(&world, &trigger, OURS).await, 202);
    let delete = || world.operator(Method::DELETE, trigger_path(&trigger), "acme");
    delete().send().await.expect_status(204);
    delete().send().await.expect_problem(404, "not_found", "");
    assert_eq!(with_secret(&world, &trigger, OURS).await, 404);
    assert!(runs_of(&world, &trigger).await.len() == 1, "its runs stay in the history");
    // A workflow takes its triggers along.
    let trigger = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    world.operator(Method::DELETE, "/v1/workflows/leads", "acme").send().await.expect_status(204);
    assert_eq!(with_secret(&world, &trigger, OURS).await, 404);
}

#[tokio::test]
async fn a_trigger_that_cannot_be_is_refused_and_nothing_is_made() {
    let world = acme().await;
    recorder(&world, &json!({"type": "manual"})).await;
    let webhook = |more: Value| {
        let mut made = json!({"type": "webhook", "secret": OURS});
        made.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        made
    };
    let by = |verification: Value| json!({"type": "webhook", "verification": verification});
    let before = world.whole_list(TRIGGERS, "acme").await;
    let audited = world.whole_list("/v1/audit", "acme").await.len();
    let (scheme, secrets) = ("verification.scheme", "verification.secrets");
    for (made, code, field) in [
        (json!({"type": "webhook"}), "missing_field", "secret"),
        (json!({"type": "webhook", "verification": null}), "missing_field", "secret"),
        (json!({"name": "x"}), "missing_field", "type"),
        (json!({"type": "carrier-pigeon"}), "invalid_field", "type"),
        (by(json!({"preset": "github"})), "missing_field", secrets),
        (by(json!({"preset": "github", "secrets": []})), "missing_field", secrets),
        (by(json!({"preset": "githup", "secrets": ["s"]})), "invalid_field", "verification.preset"),
        (by(json!({"preset": "none", "secrets": ["s"]})), "invalid_field", "verification.preset"),
        (by(json!({"secrets": ["s"]})), "missing_field", "verification.preset"),
        (by(json!({"preset": "custom", "secrets": ["s"]})), "missing_field", scheme),
        (by(json!({"preset": "custom", "secrets": ["s"], "scheme": {"a": 1}})), "invalid_field", scheme),
        (by(json!({"preset": "github", "secrets": ["s"], "scheme": {}})), "invalid_field", scheme),
        (by(json!({"preset": "github", "secrets": ["1", "2", "3", "4", "5"]})), "too_many_items", secrets),
        (by(json!({"preset": "stripe", "secrets": [""]})), "secret_invalid", secrets),
        (by(json!({"preset": "standard-webhooks", "secrets": [OURS]})), "secret_invalid", secrets),
        (by(json!({"preset": "standard-webhooks", "secrets": ["whsec_QUFB"]})), "secret_invalid", secrets),
        (by(json!({"preset": "onfleet", "secrets": ["not hexadecimal"]})), "secret_invalid", secrets),
        (by(json!({"preset": "discord", "secrets": ["00ff"]})), "secret_invalid", secrets),
        (by(json!({"preset": "sendgrid", "secrets": ["MFkw"]})), "secret_invalid", secrets),
        (by(json!({"preset": "basic", "secrets": ["no-colon"]})), "secret_invalid", secrets),
        (
            by(json!({"preset": "stripe", "secrets": ["s"], "tolerance": 86_401})),
            "invalid_field",
            "verification.tolerance",
        ),
        (
            by(json!({"preset": "stripe", "secrets": ["s"], "tolerance": "5m"})),
            "invalid_field",
            "verification.tolerance",
        ),
        (webhook(json!({"generateSecret": true})), "invalid_field", "generateSecret"),
        (webhook(json!({"filter": "input.a =="})), "invalid_field", "filter"),
        (webhook(json!({"filter": "secrets.a == 1"})), "invalid_field", "filter"),
        (webhook(json!({"dedup": {"expression": "input."}})), "invalid_field", "dedup.expression"),
        (webhook(json!({"dedup": {"header": "no header"}})), "invalid_field", "dedup.header"),
        (webhook(json!({"dedup": "all"})), "invalid_field", "dedup"),
        (webhook(json!({"rateLimit": {"perSecond": 0}})), "invalid_field", "rateLimit"),
        (webhook(json!({"rateLimit": {"perSecond": 1, "burst": 0}})), "invalid_field", "rateLimit"),
        (webhook(json!({"rateLimit": {"perMinute": 1}})), "invalid_field", "rateLimit"),
        (webhook(json!({"allowedAddresses": ["example.com"]})), "invalid_field", "allowedAddresses"),
        (webhook(json!({"allowedAddresses": vec!["10.0.0.1"; 101]})), "too_many_items", "allowedAddresses"),
        (webhook(json!({"methods": []})), "invalid_field", "methods"),
        (webhook(json!({"methods": ["post"]})), "invalid_field", "methods"),
        (webhook(json!({"maxBytes": 0})), "invalid_field", "maxBytes"),
        (webhook(json!({"maxBytes": 26 * 1024 * 1024 + 1})), "invalid_field", "maxBytes"),
        (webhook(json!({"respond": "later"})), "invalid_field", "respond"),
        (webhook(json!({"waitSeconds": 61})), "invalid_field", "waitSeconds"),
        (webhook(json!({"waitSeconds": 0})), "invalid_field", "waitSeconds"),
        (webhook(json!({"name": "a\u{0}b"})), "invalid_field", "name"),
        (webhook(json!({"cron": "0 6 * * *"})), "invalid_field", "cron"),
        (webhook(json!({"events": ["*"]})), "invalid_field", "events"),
        (webhook(json!({"input": {}})), "invalid_field", "input"),
        (webhook(json!({"maxbytes": 1})), "unknown_field", "maxbytes"),
        (json!({"type": "cron"}), "missing_field", "cron"),
        (json!({"type": "cron", "cron": "0 6 * *"}), "invalid_field", "cron"),
        (json!({"type": "cron", "cron": "61 * * * *"}), "invalid_field", "cron"),
        (json!({"type": "cron", "cron": "0 6 * * *", "every": "1h"}), "invalid_field", "every"),
        (json!({"type": "cron", "every": "0s"}), "invalid_field", "every"),
        (json!({"type": "cron", "every": "soon"}), "invalid_field", "every"),
        (json!({"type": "cron", "every": "1h", "timezone": "UTC"}), "invalid_field", "timezone"),
        (json!({"type": "cron", "cron": "0 6 * * *", "timezone": "Mars/North"}), "invalid_field", "timezone"),
        (json!({"type": "cron", "every": "1h", "catchUp": {"all": 0}}), "invalid_field", "catchUp"),
        (json!({"type": "cron", "every": "1h", "catchUp": {"all": 1001}}), "invalid_field", "catchUp"),
        (json!({"type": "cron", "every": "1h", "catchUp": "some"}), "invalid_field", "catchUp"),
        (json!({"type": "cron", "every": "1h", "overlap": "kill"}), "invalid_field", "overlap"),
        (json!({"type": "cron", "every": "1h", "filter": "true"}), "invalid_field", "filter"),
        (json!({"type": "cron", "every": "1h", "secret": OURS}), "invalid_field", "secret"),
        (json!({"type": "event"}), "missing_field", "events"),
        (json!({"type": "event", "events": ["a.*.b"]}), "pattern_invalid", "events[0]"),
        (json!({"type": "event", "events": ["a"], "input": 1}), "invalid_field", "input"),
        (json!({"type": "event", "events": ["a"], "methods": ["POST"]}), "invalid_field", "methods"),
        (json!({"type": "manual", "every": "1h"}), "invalid_field", "every"),
        (json!({"type": "manual", "dedup": "none"}), "invalid_field", "dedup"),
        (json!({"type": "manual", "generateSecret": true}), "invalid_field", "secret"),
    ] {
        let reply = create(&world, &made).send().await;
        assert_eq!(reply.json["field"].as_str(), Some(field), "{made}: {}", reply.text);
        reply.expect_problem(422, code, field);
    }
    assert_eq!(world.whole_list(TRIGGERS, "acme").await, before);
    assert_eq!(world.whole_list("/v1/audit", "acme").await.len(), audited);
}

#[tokio::test]
async fn a_refusal_says_what_there_is_and_where_it_is_wrong() {
    let world = acme().await;
    recorder(&world, &json!({"type": "manual"})).await;
    for (made, words) in [
        (
            json!({"type": "webhook", "verification": {"preset": "githup", "secrets": ["s"]}}),
            &["github", "stripe", "custom", "none"][..],
        ),
        (json!({"type": "webhook"}), &["generateSecret", "preset", "\"none\""]),
        (json!({"type": "webhook", "secret": OURS, "filter": "input.a ==\n  input."}), &["line 2", "column"]),
        (
            json!({"type": "webhook", "verification": {"preset": "standard-webhooks", "secrets": ["s"]}}),
            &["whsec_", "24 to 64 bytes"],
        ),
        (json!({"type": "webhook", "secret": OURS, "maxBytes": 27_262_977}), &["27262976"]),
    ] {
        let detail = create(&world, &made).send().await.expect_status(422).str("/detail");
        for word in words {
            assert!(detail.contains(word), "{made}: {detail}");
        }
    }
}

#[tokio::test]
async fn a_trigger_of_another_workflow_or_tenant_does_not_exist() {
    let world = acme().await;
    world.tenant("other", "standard").await;
    let trigger = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    let id = trigger["id"].as_str().expect("an id");
    let elsewhere = json!({"steps": []});
    let put = |name: &str, tenant: &str| {
        world.operator(Method::PUT, format!("/v1/workflows/{name}"), tenant).json(&elsewhere)
    };
    put("deals", "acme").send().await.expect_status(201);
    put("leads", "other").send().await.expect_status(201);
    let made = json!({"type": "webhook", "secret": OURS});
    for (tenant, path) in [
        ("acme", format!("/v1/workflows/deals/triggers/{id}")),
        ("acme", "/v1/workflows/leads/triggers/trg_01h455vb4pex5vsknk084sn02q".to_owned()),
        ("acme", "/v1/workflows/leads/triggers/nonsense".to_owned()),
        ("acme", format!("/v1/workflows/nobody/triggers/{id}")),
        ("other", format!("/v1/workflows/leads/triggers/{id}")),
    ] {
        let ask = |method: Method, more: &str| world.operator(method, format!("{path}{more}"), tenant);
        for ask in [
            ask(Method::GET, ""),
            ask(Method::PATCH, "").raw(r#"{"enabled": false}"#),
            ask(Method::DELETE, ""),
            ask(Method::POST, "/secret/rotate"),
            ask(Method::POST, "/slug/rotate"),
            ask(Method::POST, "/test").raw(r#"{"headers": {}}"#),
        ] {
            ask.send().await.expect_problem(404, "not_found", "");
        }
    }
    let nowhere = world.operator(Method::POST, "/v1/workflows/nobody/triggers", "acme").json(&made);
    nowhere.send().await.expect_problem(404, "not_found", "");
    let filtered = format!("/v1/requests?trigger={id}");
    assert_eq!(with_secret(&world, &trigger, OURS).await, 202);
    assert!(world.whole_list(&filtered, "other").await.is_empty());
    for role in ["viewer", "publisher"] {
        let key = world.key(role, Some("acme")).await;
        let ask = world.ask(Method::POST, TRIGGERS).key(&key).json(&made);
        ask.send().await.expect_problem(403, "forbidden", "");
    }
    assert_eq!(world.whole_list(TRIGGERS, "acme").await.len(), 1);
}

#[tokio::test]
async fn a_secret_is_shown_in_the_answer_that_made_it_and_never_again() {
    let world = acme().await;
    recorder(&world, &json!({"type": "manual"})).await;
    let made = json!({"type": "webhook", "name": "Leads", "generateSecret": true});
    let ask = || create(&world, &made).header("Idempotency-Key", "k");
    let first = ask().send().await.expect_status(201);
    let secret = first.str("/secret");
    assert!(secret.len() >= 32 && first.json["warnings"] == json!([]), "{}", first.text);
    let second = ask().send().await.expect_status(201);
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(second.json["secretShown"], true);
    assert_eq!(second.json["id"], first.json["id"]);
    let path = format!("{}/secret/rotate", trigger_path(&first.json));
    let rotate = || world.operator(Method::POST, path.as_str(), "acme").header("Idempotency-Key", "r");
    let rotated = rotate().send().await.expect_status(200).str("/secret");
    let again = rotate().send().await.expect_status(200);
    assert_eq!(again.json["secretShown"], true, "{}", again.text);
    let trigger = first.json.clone();
    assert_eq!(with_secret(&world, &trigger, &rotated).await, 202);
    assert_eq!(world.whole_list(TRIGGERS, "acme").await.len(), 2, "nothing was made twice");
    let shown = world.operator(Method::GET, trigger_path(&trigger), "acme").send().await.text;
    let listed = json!(world.whole_list(TRIGGERS, "acme").await).to_string();
    let audit = json!(world.whole_list("/v1/audit", "acme").await).to_string();
    for text in [&second.text, &again.text, &shown, &listed, &audit] {
        assert!(!text.contains(&secret) && !text.contains(&rotated), "{text}");
    }
}

#[tokio::test]
async fn what_is_weak_draws_a_warning() {
    let world = acme().await;
    recorder(&world, &json!({"type": "manual"})).await;
    for (made, code) in [
        (json!({"type": "webhook", "verification": {"preset": "none"}}), "not_verified"),
        (json!({"type": "webhook", "secret": "short"}), "secret_short"),
    ] {
        let reply = create(&world, &made).send().await.expect_status(201);
        assert_eq!(reply.json["warnings"][0]["code"], code, "{}", reply.text);
    }
}

/// Changes one setting, sees it, and takes it away again.
#[tokio::test]
async fn each_setting_changes_alone_and_null_takes_it_away() {
    let world = acme().await;
    let webhook = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    let clock = recorder(&world, &json!({"type": "cron", "cron": "0 6 * * *"})).await;
    let event = recorder(&world, &json!({"type": "event", "events": ["order.*"]})).await;
    for (trigger, name, value, without) in [
        (&webhook, "filter", json!("input.a == 1"), Value::Null),
        (&webhook, "dedup", json!({"header": "X-Id"}), Value::Null),
        (&webhook, "dedup", json!("none"), Value::Null),
        (&webhook, "rateLimit", json!({"perSecond": 2.5, "burst": 10}), Value::Null),
        (&webhook, "allowedAddresses", json!(["192.0.2.0/24", "2001:db8::1"]), Value::Null),
        (&webhook, "methods", json!(["PUT", "POST"]), webhook["methods"].clone()),
        (&webhook, "maxBytes", json!(100), json!(1_048_576)),
        (&webhook, "respond", json!("wait"), json!("accepted")),
        (&webhook, "waitSeconds", json!(5), Value::Null),
        (&clock, "timezone", json!("Europe/Berlin"), Value::Null),
        (&clock, "catchUp", json!({"all": 5}), json!("latest")),
        (&clock, "overlap", json!("queue"), json!("skip")),
        (&clock, "input", json!({"a": 1}), Value::Null),
        (&event, "filter", json!("input.a == 1"), Value::Null),
    ] {
        let before = world.operator(Method::GET, trigger_path(trigger), "acme").send().await.json;
        let change = |value: &Value| json!({ name: value });
        let changed = patch(&world, trigger, &change(&value)).send().await.expect_status(200).json;
        assert_eq!(changed[name], value);
        let back = patch(&world, trigger, &change(&Value::Null)).send().await.expect_status(200).json;
        assert_eq!(back[name], without, "{name}");
        let mut shown = world.operator(Method::GET, trigger_path(trigger), "acme").send().await.json;
        shown["updatedAt"] = before["updatedAt"].clone();
        assert_eq!(shown, before, "{name} left something behind");
    }
    for (trigger, change) in [
        (&webhook, json!({"name": "Renamed"})),
        (&webhook, json!({"enabled": false})),
        (&clock, json!({"cron": "*/5 * * * *"})),
        (&event, json!({"events": ["lead.*"]})),
    ] {
        let changed = patch(&world, trigger, &change).send().await.expect_status(200).json;
        for (name, value) in change.as_object().expect("an object") {
            assert_eq!(&changed[name], value);
        }
    }
    let interval = json!({"cron": null, "every": "15m"});
    let changed = patch(&world, &clock, &interval).send().await.expect_status(200).json;
    assert_eq!(changed["nextTimes"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn a_change_that_cannot_be_changes_nothing() {
    let world = acme().await;
    let webhook = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    let clock = recorder(&world, &json!({"type": "cron", "cron": "0 6 * * *"})).await;
    let event = recorder(&world, &json!({"type": "event", "events": ["order.*"]})).await;
    let before = world.whole_list(TRIGGERS, "acme").await;
    for (trigger, change, code, field) in [
        (&webhook, json!({"filter": "input."}), "invalid_field", "filter"),
        (&webhook, json!({"maxBytes": 0}), "invalid_field", "maxBytes"),
        (&webhook, json!({"cron": "0 6 * * *"}), "invalid_field", "cron"),
        (
            &webhook,
            json!({"verification": {"preset": "standard-webhooks"}}),
            "secret_invalid",
            "verification.secrets",
        ),
        (&webhook, json!({"verification": {"preset": "nobody"}}), "invalid_field", "verification.preset"),
        (&webhook, json!({"type": "cron"}), "unknown_field", "type"),
        (&webhook, json!({"secret": null}), "invalid_field", "secret"),
        (&webhook, json!({"name": null}), "invalid_field", "name"),
        (&webhook, json!({"enabled": "no"}), "invalid_field", "enabled"),
        (&clock, json!({"cron": null}), "missing_field", "cron"),
        (&clock, json!({"every": "1h"}), "invalid_field", "every"),
        (&clock, json!({"secret": OURS}), "invalid_field", "secret"),
        (&event, json!({"events": null}), "missing_field", "events"),
    ] {
        let reply = patch(&world, trigger, &change).send().await;
        assert_eq!(reply.json["field"].as_str(), Some(field), "{change}: {}", reply.text);
        reply.expect_problem(422, code, field);
    }
    assert_eq!(world.whole_list(TRIGGERS, "acme").await, before);
    assert_eq!(with_secret(&world, &webhook, OURS).await, 202);
}

#[tokio::test]
async fn the_preset_changes_with_its_secrets_and_an_open_trigger_forgets_them() {
    let world = acme().await;
    let trigger = recorder(&world, &json!({"type": "webhook", "secret": OURS})).await;
    let stripe = json!({"verification": {"preset": "stripe", "secrets": ["whsec_a", "whsec_b"]}});
    let changed = patch(&world, &trigger, &stripe).send().await.expect_status(200);
    assert_eq!(changed.json["verification"], json!({"preset": "stripe"}));
    assert!(!changed.text.contains("whsec_"), "{}", changed.text);
    assert_eq!(with_secret(&world, &trigger, OURS).await, 401);
    for (secret, status) in [("whsec_a", 202), ("whsec_b", 202), ("whsec_c", 401)] {
        assert_eq!(signed_with(&world, &trigger, &[secret]).await, status, "{secret}");
    }
    let open = json!({"verification": {"preset": "none"}});
    let changed = patch(&world, &trigger, &open).send().await.expect_status(200).json;
    assert_eq!(
        (&changed["secretSet"], &changed["warnings"][0]["code"]),
        (&json!(false), &json!("not_verified"))
    );
    invoke(&world, &trigger).headers(&HeaderMap::new()).untyped("{}").send().await.expect_status(202);
    let back = json!({"verification": {"preset": "stripe"}});
    patch(&world, &trigger, &back).send().await.expect_problem(422, "missing_field", "verification.secrets");
}
