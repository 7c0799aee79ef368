//! The history of what came to triggers: every cause of a refusal, what is kept of a request, its replay, and what `…/test`
//! says of one that is pasted.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use postrider_api::TrustedProxies;
use postrider_domain::inbound::preset;
use postrider_domain::inbound::sign::{Draft, SystemRandom, content_type, sign};
use postrider_domain::limits;
use postrider_domain::time::Clock as _;
use postrider_engine::control::Installation;
use serde_json::{Value, json};

use crate::inbound::{acme, ended, hook, invoke, recorder, requests_of, run_of, runs_of, trigger_path};
use crate::world::{Ask, Reply, World};

const OURS: &str = "a-secret-of-at-least-24-bytes";

fn ours(more: &Value) -> Value {
    let mut made = json!({"type": "webhook", "secret": OURS});
    made.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    made
}

fn send<'w>(world: &'w World, trigger: &Value) -> Ask<'w> {
    invoke(world, trigger).header("X-Webhook-Secret", OURS)
}

async fn one(world: &World, request: &Value) -> Value {
    let path = format!("/v1/requests/{}", request["id"].as_str().expect("an id"));
    world.operator(Method::GET, path, "acme").send().await.expect_status(200).json
}

async fn replay(world: &World, request: &Value) -> Reply {
    let path = format!("/v1/requests/{}/replay", request["id"].as_str().expect("an id"));
    world.operator(Method::POST, path, "acme").send().await
}

/// A trigger's settings, a request to it, and what must come of it.
struct Refusal {
    settings: Value,
    method: Method,
    secret: &'static str,
    content_type: &'static str,
    body: &'static str,
    status: u16,
    /// Of the answer; nothing where it is a success.
    code: &'static str,
    cause: &'static str,
}

impl Default for Refusal {
    /// One that would be taken.
    fn default() -> Self {
        Self {
            settings: json!({}),
            method: Method::POST,
            secret: OURS,
            content_type: "application/json",
            body: "{\"a\": 1}",
            status: 202,
            code: "",
            cause: "accepted",
        }
    }
}

async fn check(world: &World, refusal: Refusal) {
    let what = format!("{} of {}", refusal.cause, refusal.settings);
    let trigger = recorder(world, &ours(&refusal.settings)).await;
    let ask = world.ask(refusal.method, hook(&trigger)).header("X-Webhook-Secret", refusal.secret);
    let reply = ask.header("Content-Type", refusal.content_type).untyped(refusal.body).send().await;
    assert_eq!(reply.status, refusal.status, "{what}: {}", reply.text);
    if !refusal.code.is_empty() {
        assert_eq!(reply.json["code"], refusal.code, "{what}");
        assert_eq!(reply.headers["content-type"], "application/problem+json", "{what}");
    }
    let rows = requests_of(world, &trigger).await;
    assert_eq!(rows.len(), 1, "{what}");
    assert_eq!(rows[0]["cause"], refusal.cause, "{what}: {}", rows[0]);
    assert_eq!(rows[0]["status"], refusal.status, "{what}");
    let taken = refusal.cause == "accepted";
    assert_eq!(rows[0]["runId"].is_string(), taken, "{what}");
    assert_eq!(rows[0]["detail"].as_str().is_some_and(|it| it.len() > 20), !taken, "{what}: {}", rows[0]);
    assert_eq!(runs_of(world, &trigger).await.len(), usize::from(taken), "{what}");
}

#[tokio::test]
async fn every_refusal_has_its_status_and_its_cause() {
    let world = acme().await;
    for refusal in [
        Refusal::default(),
        Refusal {
            settings: json!({"enabled": false}),
            status: 404,
            code: "not_found",
            cause: "disabled",
            ..Refusal::default()
        },
        Refusal {
            secret: "wrong",
            status: 401,
            code: "verification_failed",
            cause: "verification_failed",
            ..Refusal::default()
        },
        Refusal {
            method: Method::PUT,
            status: 405,
            code: "method_not_allowed",
            cause: "method",
            ..Refusal::default()
        },
        Refusal {
            settings: json!({"methods": ["PUT"]}),
            status: 405,
            code: "method_not_allowed",
            cause: "method",
            ..Refusal::default()
        },
        Refusal {
            content_type: "application/xml",
            status: 415,
            code: "unsupported_media_type",
            cause: "content_type",
            ..Refusal::default()
        },
        Refusal {
            body: "{\"a\": ",
            status: 400,
            code: "malformed_json",
            cause: "unparsable",
            ..Refusal::default()
        },
        Refusal {
            settings: json!({"maxBytes": 7}),
            status: 413,
            code: "body_too_large",
            cause: "too_large",
            ..Refusal::default()
        },
        Refusal { settings: json!({"maxBytes": 8}), ..Refusal::default() },
        Refusal {
            settings: json!({"filter": "input.a == 2"}),
            status: 200,
            cause: "filtered",
            ..Refusal::default()
        },
        Refusal {
            settings: json!({"filter": "input.b == 2"}),
            status: 200,
            cause: "filtered",
            ..Refusal::default()
        },
        Refusal { settings: json!({"filter": "input.a == 1"}), ..Refusal::default() },
        Refusal {
            settings: json!({"allowedAddresses": ["192.0.2.0/24"]}),
            status: 403,
            code: "forbidden",
            cause: "address",
            ..Refusal::default()
        },
        Refusal { settings: json!({"methods": ["PUT"]}), method: Method::PUT, ..Refusal::default() },
    ] {
        check(&world, refusal).await;
    }
}

/// Slug, enabled, method, address, rate, body, signature, type, parse, dedup, filter.
#[tokio::test]
async fn of_two_things_that_are_wrong_the_one_that_comes_first_counts() {
    let world = acme().await;
    for refusal in [
        Refusal {
            settings: json!({"enabled": false, "allowedAddresses": ["192.0.2.1"]}),
            method: Method::PUT,
            secret: "wrong",
            status: 404,
            code: "not_found",
            cause: "disabled",
            ..Refusal::default()
        },
        Refusal {
            settings: json!({"allowedAddresses": ["192.0.2.1"]}),
            method: Method::PUT,
            status: 405,
            code: "method_not_allowed",
            cause: "method",
            ..Refusal::default()
        },
        Refusal {
            settings: json!({"allowedAddresses": ["192.0.2.1"], "maxBytes": 1}),
            secret: "wrong",
            status: 403,
            code: "forbidden",
            cause: "address",
            ..Refusal::default()
        },
        Refusal {
            settings: json!({"maxBytes": 1}),
            secret: "wrong",
            status: 413,
            code: "body_too_large",
            cause: "too_large",
            ..Refusal::default()
        },
        Refusal {
            secret: "wrong",
            body: "{",
            status: 401,
            code: "verification_failed",
            cause: "verification_failed",
            ..Refusal::default()
        },
        Refusal {
            secret: "wrong",
            content_type: "application/xml",
            status: 401,
            code: "verification_failed",
            cause: "verification_failed",
            ..Refusal::default()
        },
        Refusal {
            settings: json!({"filter": "false"}),
            secret: "wrong",
            status: 401,
            code: "verification_failed",
            cause: "verification_failed",
            ..Refusal::default()
        },
        Refusal {
            settings: json!({"filter": "false"}),
            body: "{",
            status: 400,
            code: "malformed_json",
            cause: "unparsable",
            ..Refusal::default()
        },
        Refusal {
            settings: json!({"filter": "false", "dedup": {"expression": "input.a.b"}}),
            status: 400,
            code: "malformed_json",
            cause: "unparsable",
            ..Refusal::default()
        },
    ] {
        check(&world, refusal).await;
    }
}

#[tokio::test]
async fn a_method_that_is_not_taken_is_told_which_are() {
    let world = acme().await;
    let trigger = recorder(&world, &ours(&json!({"methods": ["PUT", "PATCH"]}))).await;
    for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
        let reply = world.ask(method, hook(&trigger)).header("X-Webhook-Secret", OURS).send().await;
        assert_eq!(reply.headers["allow"], "PUT, PATCH");
        reply.expect_problem(405, "method_not_allowed", "");
    }
}

#[tokio::test]
async fn what_is_too_much_is_asked_to_come_again_and_then_taken() {
    let world = acme().await;
    let trigger =
        recorder(&world, &ours(&json!({"rateLimit": {"perSecond": 1, "burst": 2}, "dedup": "none"}))).await;
    let statuses = async |count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(send(&world, &trigger).raw("{}").send().await.status);
        }
        statuses
    };
    assert_eq!(statuses(3).await, [202, 202, 429]);
    let reply = send(&world, &trigger).raw("{}").send().await;
    assert_eq!(reply.headers["retry-after"], "1");
    reply.expect_problem(429, "rate_limited", "");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(statuses(2).await, [202, 429]);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(statuses(3).await, [202, 202, 429]);
    // Whoever is not verified uses the rate up as well: looking is what costs.
    world.clock.advance(Duration::from_secs(60));
    for _ in 0..2 {
        invoke(&world, &trigger).raw("{}").send().await.expect_status(401);
    }
    assert_eq!(statuses(1).await, [429]);
    let limited = world.whole_list("/v1/requests?cause=rate_limited", "acme").await;
    assert_eq!(limited.len(), 5);
    assert_eq!(runs_of(&world, &trigger).await.len(), 5);
}

#[tokio::test]
async fn an_address_is_what_trusted_proxies_say_it_is() {
    let here = "0.0.0.0".to_owned();
    let trusted = TrustedProxies::parse(&[here, "10.0.0.0/8".to_owned()]).expect("addresses");
    let world = World::start_behind(Installation { require_https: false }, trusted).await;
    world.tenant("acme", "standard").await;
    let trigger =
        recorder(&world, &ours(&json!({"allowedAddresses": ["192.0.2.0/24", "2001:db8::1"]}))).await;
    for (forwarded, status, peer) in [
        ("192.0.2.7", 202, "192.0.2.7"),
        ("203.0.113.1, 192.0.2.7", 202, "192.0.2.7"),
        ("192.0.2.7, 10.1.1.1", 202, "192.0.2.7"),
        ("2001:db8::1", 202, "2001:db8::1"),
        ("::ffff:192.0.2.7", 202, "192.0.2.7"),
        ("203.0.113.1", 403, "203.0.113.1"),
        ("192.0.2.7, 203.0.113.1", 403, "203.0.113.1"),
        ("2001:db8::2", 403, "2001:db8::2"),
        ("nonsense", 403, "0.0.0.0"),
    ] {
        world.clock.advance(Duration::from_millis(1));
        let ask = send(&world, &trigger).header("X-Forwarded-For", forwarded);
        let reply = ask.raw("{}").send().await;
        assert_eq!(reply.status, status, "{forwarded}: {}", reply.text);
        let row = requests_of(&world, &trigger).await.pop().expect("it is noted");
        assert_eq!(row["peer"], peer, "{forwarded}");
        assert_eq!(row["cause"] == "address", status == 403, "{forwarded}: {row}");
    }
    // Nobody's word counts where nobody is trusted.
    let world = acme().await;
    let trigger = recorder(&world, &ours(&json!({"allowedAddresses": ["192.0.2.0/24"]}))).await;
    let ask = send(&world, &trigger).header("X-Forwarded-For", "192.0.2.7");
    ask.raw("{}").send().await.expect_problem(403, "forbidden", "");
}

#[tokio::test]
async fn the_list_is_newest_first_and_filtered_by_trigger_and_cause() {
    let world = acme().await;
    let first = recorder(&world, &ours(&json!({"dedup": "none"}))).await;
    let second = recorder(&world, &ours(&json!({"dedup": "none"}))).await;
    let mut sent = Vec::new();
    for (trigger, secret) in [
        (&first, OURS),
        (&second, OURS),
        (&first, "wrong"),
        (&first, OURS),
        (&second, "wrong"),
        (&first, "wrong"),
    ] {
        world.clock.advance(Duration::from_millis(1));
        let ask = invoke(&world, trigger).header("X-Webhook-Secret", secret).header("X-Webhook-Token", "");
        let reply = ask.raw("{}").send().await;
        sent.insert(0, (trigger["id"].clone(), reply.status));
    }
    let rows = async |filter: &str| -> Vec<(Value, u16)> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/requests?limit=2{filter}{cursor}");
            let page = world.operator(Method::GET, path, "acme").send().await.expect_status(200).json;
            let data = page["data"].as_array().expect("a list has data");
            assert!(data.len() <= 2);
            rows.extend(data.iter().map(|row| {
                assert!(row.get("body").is_none(), "lists have no bodies");
                let status = row["status"].as_u64().expect("a status");
                (row["triggerId"].clone(), u16::try_from(status).expect("small"))
            }));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    };
    let only = |keep: &dyn Fn(&(Value, u16)) -> bool| -> Vec<(Value, u16)> {
        sent.iter().filter(|row| keep(row)).cloned().collect()
    };
    assert_eq!(rows("").await, sent);
    let id = first["id"].as_str().expect("an id");
    assert_eq!(rows(&format!("&trigger={id}")).await, only(&|row| row.0 == id));
    assert_eq!(rows("&cause=verification_failed").await, only(&|row| row.1 == 401));
    let both = format!("&trigger={id}&cause=accepted");
    assert_eq!(rows(&both).await, only(&|row| row.0 == id && row.1 == 202));
    assert_eq!(rows("&trigger=trg_01h455vb4pex5vsknk084sn02q").await, []);
    let page = world.operator(Method::GET, "/v1/requests?limit=1", "acme").send().await;
    let cursor = page.str("/nextCursor");
    for (query, status, code, field) in [
        ("cause=because", 422, "invalid_field", "cause"),
        ("trigger=nonsense", 404, "not_found", ""),
        ("limit=0", 422, "invalid_field", "limit"),
        ("limit=101", 422, "invalid_field", "limit"),
        ("cursor=nonsense", 422, "cursor_invalid", "cursor"),
        (&format!("cause=accepted&cursor={cursor}"), 422, "cursor_invalid", "cursor"),
        ("state=x", 422, "unknown_field", "state"),
    ] {
        let ask = world.operator(Method::GET, format!("/v1/requests?{query}"), "acme");
        ask.send().await.expect_problem(status, code, field);
    }
}

#[tokio::test]
async fn a_request_is_kept_with_its_very_bytes_and_without_credentials() {
    let world = acme().await;
    let trigger = recorder(&world, &ours(&json!({}))).await;
    let body = "{ \"b\":1,\n\t\"a\" : [1.50, \"\\u00e9\"] }";
    let path = hook(&trigger) + "?lead=7&api_key=s3cret&token=s3cret&flag";
    let ask = world.ask(Method::POST, path).header("X-Webhook-Secret", OURS);
    let ask = ask
        .header("Authorization", "Bearer s3cret")
        .header("Cookie", "sid=s3cret")
        .header("X-Plain", "shown");
    let reply = ask.raw(body).send().await.expect_status(202);
    let listed = requests_of(&world, &trigger).await.remove(0);
    let kept = one(&world, &listed).await;
    assert_eq!((&kept["body"], &kept["bodyBytes"]), (&json!(body), &json!(body.len())));
    assert_eq!(kept["query"], "lead=7&api_key=********&token=********&flag");
    assert_eq!((&kept["method"], &kept["runId"]), (&json!("POST"), &reply.json["runId"]));
    let shown = kept.to_string();
    assert!(!shown.contains("s3cret") && !shown.contains(OURS), "{shown}");
    let headers = kept["headers"].as_array().expect("headers");
    for pair in
        [json!(["x-plain", "shown"]), json!(["authorization", "********"]), json!(["cookie", "********"])]
    {
        assert!(headers.contains(&pair), "{pair} is not in {shown}");
    }
    // A token in a header that only the trigger knows for one.
    let scheme = json!({"scheme": [{"algorithm": "token", "signature": {"header": "X-Odd-Name"}}]});
    let custom = json!({"preset": "custom", "secrets": [OURS], "scheme": scheme});
    let trigger = recorder(&world, &json!({"type": "webhook", "verification": custom})).await;
    invoke(&world, &trigger).header("X-Odd-Name", OURS).raw("{}").send().await.expect_status(202);
    invoke(&world, &trigger).header("X-Odd-Name", "nearly-it").raw("{}").send().await.expect_status(401);
    for row in requests_of(&world, &trigger).await {
        let kept = one(&world, &row).await.to_string();
        assert!(!kept.contains(OURS) && !kept.contains("nearly-it"), "{kept}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_text_is_kept_in_base64_and_a_long_refused_one_in_part() {
    let world = acme().await;
    let trigger = recorder(&world, &ours(&json!({}))).await;
    let bytes = [0xff, 0x00, 0x1f, 0x8b];
    send(&world, &trigger).raw(bytes).send().await.expect_status(400);
    let row = requests_of(&world, &trigger).await.remove(0);
    let kept = one(&world, &row).await;
    assert_eq!((&kept["bodyBase64"], &kept["bodyBytes"]), (&json!(BASE64.encode(bytes)), &json!(4)));
    assert!(kept.get("body").is_none());
    let long = "x".repeat(limits::REFUSED_BODY_KEPT_BYTES + 1);
    world.clock.advance(Duration::from_millis(1));
    send(&world, &trigger).raw(long.as_str()).send().await.expect_status(400);
    let row = requests_of(&world, &trigger).await.remove(1);
    let kept = one(&world, &row).await;
    assert_eq!(kept["body"].as_str().map(str::len), Some(limits::REFUSED_BODY_KEPT_BYTES));
    assert_eq!(kept["bodyBytes"], long.len());
    replay(&world, &row).await.expect_problem(409, "payload_expired", "");
    // A form is kept as it came, beside the object that it became.
    world.clock.advance(Duration::from_millis(1));
    let ask = send(&world, &trigger).header("Content-Type", "application/x-www-form-urlencoded");
    let run = run_of(&ask.untyped("a=1&b=x+y").send().await.expect_status(202));
    let row = requests_of(&world, &trigger).await.remove(2);
    assert_eq!(one(&world, &row).await["body"], "a=1&b=x+y");
    assert_eq!(ended(&world, &run).await["input"], json!({"a": "1", "b": "x y"}));
}

#[tokio::test]
async fn a_duplicate_shows_its_own_body_and_the_run_of_the_first() {
    let world = acme().await;
    let trigger = recorder(&world, &ours(&json!({"dedup": {"header": "X-Id"}}))).await;
    for body in ["{\"n\": 1}", "{\"n\": 2}"] {
        world.clock.advance(Duration::from_millis(1));
        send(&world, &trigger).header("X-Id", "same").raw(body).send().await;
    }
    let rows = requests_of(&world, &trigger).await;
    let causes: Vec<&Value> = rows.iter().map(|row| &row["cause"]).collect();
    assert_eq!(causes, ["accepted", "duplicate"]);
    assert_eq!((&rows[1]["status"], &rows[1]["runId"]), (&json!(200), &rows[0]["runId"]));
    assert_eq!(one(&world, &rows[1]).await["body"], "{\"n\": 2}");
}

#[tokio::test]
async fn a_request_that_was_taken_and_one_that_was_refused_can_be_replayed() {
    let world = acme().await;
    let trigger = recorder(&world, &ours(&json!({"filter": "input.a == 1"}))).await;
    let cases = [(OURS, "{\"a\": 1}", 202), ("wrong", "{\"a\": 1}", 401), (OURS, "{\"a\": 2}", 200)];
    for (secret, body, status) in cases {
        world.clock.advance(Duration::from_millis(1));
        let ask = invoke(&world, &trigger).header("X-Webhook-Secret", secret).header("Idempotency-Key", "k");
        ask.raw(body).send().await.expect_status(status);
    }
    assert_eq!(runs_of(&world, &trigger).await.len(), 1);
    let rows = requests_of(&world, &trigger).await;
    for (row, (_, body, _)) in rows.iter().zip(cases) {
        let reply = replay(&world, row).await.expect_status(202);
        let run = ended(&world, &run_of(&reply)).await;
        assert_eq!(run["input"], serde_json::from_str::<Value>(body).expect("JSON"));
        assert_eq!(run["triggerId"], trigger["id"]);
    }
    assert_eq!(runs_of(&world, &trigger).await.len(), 4);
    assert_eq!(requests_of(&world, &trigger).await.len(), 3, "a replay is no request");
    // The same key once more is the same replay.
    let path = format!("/v1/requests/{}/replay", rows[0]["id"].as_str().expect("an id"));
    let ask = || world.operator(Method::POST, path.as_str(), "acme").header("Idempotency-Key", "again");
    let first = ask().send().await.expect_status(202);
    let second = ask().send().await.expect_status(202);
    assert_eq!(first.json["runId"], second.json["runId"]);
    assert_eq!(runs_of(&world, &trigger).await.len(), 5);
}

#[tokio::test]
async fn what_cannot_be_replayed_says_why_and_starts_nothing() {
    let world = acme().await;
    let closed = ours(&json!({"enabled": false}));
    let narrow = ours(&json!({"maxBytes": 1}));
    let (taken, closed, narrow) = (
        recorder(&world, &ours(&json!({}))).await,
        recorder(&world, &closed).await,
        recorder(&world, &narrow).await,
    );
    for trigger in [&closed, &narrow] {
        send(&world, trigger).raw("{\"a\": 1}").send().await;
        let row = requests_of(&world, trigger).await.remove(0);
        replay(&world, &row).await.expect_problem(409, "payload_expired", "");
    }
    send(&world, &taken).raw("{\"a\": ").send().await.expect_status(400);
    let broken = requests_of(&world, &taken).await.remove(0);
    replay(&world, &broken).await.expect_problem(409, "conflict", "");
    world.clock.advance(Duration::from_millis(1));
    send(&world, &taken).raw("{}").send().await.expect_status(202);
    let good = requests_of(&world, &taken).await.remove(1);
    world.tenant("other", "standard").await;
    let path = format!("/v1/requests/{}", good["id"].as_str().expect("an id"));
    let foreign = world.operator(Method::GET, path.as_str(), "other").send().await;
    foreign.expect_problem(404, "not_found", "");
    let foreign = world.operator(Method::POST, format!("{path}/replay"), "other").send().await;
    foreign.expect_problem(404, "not_found", "");
    world.operator(Method::DELETE, trigger_path(&taken), "acme").send().await.expect_status(204);
    replay(&world, &good).await.expect_problem(409, "conflict", "");
    let unknown = json!({"id": "req_01h455vb4pex5vsknk084sn02q"});
    replay(&world, &unknown).await.expect_problem(404, "not_found", "");
    assert_eq!(world.whole_list("/v1/runs", "acme").await.len(), 1);
}

#[tokio::test]
async fn refused_requests_are_noted_at_a_bounded_rate_and_answered_all_the_same() {
    const FLOOD: usize = 130;
    let world = acme().await;
    let trigger = recorder(&world, &ours(&json!({}))).await;
    let other = recorder(&world, &ours(&json!({}))).await;
    for _ in 0..FLOOD {
        invoke(&world, &trigger).raw("{}").send().await.expect_status(401);
    }
    assert_eq!(requests_of(&world, &trigger).await.len(), 100);
    // Those who do no harm are taken, and another trigger has a measure of its own.
    send(&world, &trigger).raw("{}").send().await.expect_status(202);
    assert_eq!(requests_of(&world, &trigger).await.len(), 101);
    invoke(&world, &other).raw("{}").send().await.expect_status(401);
    assert_eq!(requests_of(&world, &other).await.len(), 1);
    world.clock.advance(Duration::from_secs(1));
    for _ in 0..FLOOD {
        invoke(&world, &trigger).raw("{}").send().await.expect_status(401);
    }
    assert_eq!(requests_of(&world, &trigger).await.len(), 111, "ten a second");
}

/// What `…/test` says of a pasted request.
async fn explained(world: &World, trigger: &Value, pasted: &Value) -> Value {
    let path = format!("{}/test", trigger_path(trigger));
    world.operator(Method::POST, path, "acme").json(pasted).send().await.expect_status(200).json
}

#[tokio::test]
async fn a_pasted_request_is_explained_and_starts_nothing() {
    let world = acme().await;
    let made = json!({
        "type": "webhook",
        "verification": {"preset": "stripe", "secrets": ["whsec_test"]},
        "filter": "input.type == 'ping'",
    });
    let trigger = recorder(&world, &made).await;
    let draft = Draft {
        method: "POST",
        url: trigger["webhookUrl"].as_str().expect("a URL"),
        headers: content_type("application/json"),
        body: b"{\"id\":\"evt_1\",\"type\":\"ping\"}",
        timestamp: world.clock.now(),
        id: "",
    };
    let stripe = preset("stripe").expect("a preset");
    let sent = sign(stripe, "whsec_test", &draft, &SystemRandom::new()).expect("it signs");
    let signature = sent.headers["stripe-signature"].to_str().expect("text").to_owned();
    let pasted = |signature: &str, body: &str| json!({"headers": {"Stripe-Signature": signature, "Content-Type": "application/json"}, "body": body});
    let body = "{\"id\":\"evt_1\",\"type\":\"ping\"}";
    let audited = world.whole_list("/v1/audit", "acme").await.len();
    world.clock.advance(Duration::from_secs(7));

    let good = explained(&world, &trigger, &pasted(&signature, body)).await;
    assert_eq!(
        (&good["accepted"], &good["cause"], &good["dedupId"]),
        (&json!(true), &Value::Null, &json!("evt_1"))
    );
    assert_eq!(good["input"], json!({"id": "evt_1", "type": "ping"}));
    assert_eq!(
        (&good["verification"][0]["age_seconds"], &good["verification"][0]["tolerance_seconds"]),
        (&json!(7), &json!(300))
    );

    let rewritten =
        explained(&world, &trigger, &pasted(&signature, "{\"id\": \"evt_1\", \"type\": \"ping\"}")).await;
    let found = &rewritten["verification"][0];
    assert_eq!(rewritten["cause"], "verification_failed");
    assert_eq!(
        (&found["code"], &found["mistake"]["code"]),
        (&json!("signature_mismatch"), &json!("body_rewritten"))
    );
    let shown = found["found"].as_str().expect("what was found");
    assert!(signature.contains(shown) && shown.len() == 8, "{found}");
    assert_eq!(found["expected"][0].as_str().map(str::len), Some(8));
    assert_ne!(found["expected"][0], shown);
    assert_eq!(found["body_sha256"].as_str().map(str::len), Some(64));

    world.clock.advance(Duration::from_secs(300));
    let late = explained(&world, &trigger, &pasted(&signature, body)).await;
    assert_eq!(
        (&late["cause"], &late["verification"][0]["code"]),
        (&json!("verification_failed"), &json!("timestamp_old"))
    );
    assert_eq!(late["verification"][0]["age_seconds"], 307);
    assert!(late["detail"].as_str().is_some_and(|detail| detail.contains("clock")), "{late}");

    let unsigned = explained(&world, &trigger, &json!({"headers": {}, "body": body})).await;
    assert_eq!(unsigned["verification"][0]["code"], "signature_missing");
    let by_get = explained(&world, &trigger, &json!({"method": "get", "headers": {}})).await;
    assert_eq!((&by_get["accepted"], &by_get["cause"]), (&json!(false), &json!("method")));

    for text in [&good, &rewritten, &late, &unsigned] {
        assert!(!text.to_string().contains("whsec_test"), "{text}");
    }
    assert!(requests_of(&world, &trigger).await.is_empty());
    assert!(runs_of(&world, &trigger).await.is_empty());
    assert_eq!(world.whole_list("/v1/audit", "acme").await.len(), audited);
}

#[tokio::test]
async fn an_explanation_follows_the_request_to_where_it_ends() {
    let world = acme().await;
    let trigger = recorder(&world, &ours(&json!({"filter": "input.a == 1"}))).await;
    let slack = json!({"type": "webhook", "verification": {"preset": "meta", "secrets": ["app"], "verifyToken": "vt"}});
    let meta = recorder(&world, &slack).await;
    let with = |body: &str| json!({"headers": {"X-Webhook-Secret": OURS}, "body": body});
    let in_base64 = json!({"headers": {"X-Webhook-Secret": OURS}, "bodyBase64": BASE64.encode("{\"a\": 1}")});
    let asked = json!({"method": "GET", "headers": {}, "query": "hub.mode=subscribe&hub.verify_token=vt&hub.challenge=7"});
    for (trigger, pasted, cause) in [
        (&trigger, with("{\"a\": 1}"), Value::Null),
        (&trigger, in_base64, Value::Null),
        (&trigger, with("{\"a\": 2}"), json!("filtered")),
        (&trigger, with("{\"b\": 2}"), json!("filtered")),
        (&trigger, with("{"), json!("unparsable")),
        (
            &trigger,
            json!({"headers": {"X-Webhook-Secret": "wrong"}, "body": "{}"}),
            json!("verification_failed"),
        ),
        (
            &trigger,
            json!({"headers": {"X-Webhook-Secret": OURS, "Content-Type": "text/html"}, "body": "{}"}),
            json!("content_type"),
        ),
        (&meta, asked, json!("handshake")),
    ] {
        let found = explained(&world, trigger, &pasted).await;
        assert_eq!(found["cause"], cause, "{pasted}: {found}");
        assert_eq!(found["accepted"], cause.is_null(), "{pasted}");
        assert_eq!(found["input"].is_null(), !cause.is_null(), "{pasted}");
        assert!(!found.to_string().contains(OURS), "{found}");
    }
    let clock = recorder(&world, &json!({"type": "cron", "every": "1h"})).await;
    let ask = |trigger: &Value, pasted: &Value| {
        world.operator(Method::POST, format!("{}/test", trigger_path(trigger)), "acme").json(pasted)
    };
    for (trigger, pasted, status, code, field) in [
        (&clock, json!({"headers": {}}), 409, "conflict", ""),
        (&trigger, json!({"body": "{}"}), 422, "missing_field", "headers"),
        (&trigger, json!({"headers": {"a b": "c"}}), 422, "header_invalid", "headers.a b"),
        (&trigger, json!({"headers": {"a": "b\nc"}}), 422, "header_invalid", "headers.a"),
        (&trigger, json!({"headers": {}, "body": "", "bodyBase64": ""}), 422, "invalid_field", "bodyBase64"),
        (&trigger, json!({"headers": {}, "bodyBase64": "%"}), 422, "invalid_field", "bodyBase64"),
    ] {
        ask(trigger, &pasted).send().await.expect_problem(status, code, field);
    }
    assert!(world.whole_list("/v1/requests", "acme").await.is_empty());
}
