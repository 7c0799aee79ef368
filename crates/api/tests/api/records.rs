//! Records: what is written, what follows, and what is refused.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::world::{Reply, World};

const PROFILE: &str = r#"
name = "shop"
title = "Shop"

[envelope]
type = "{event.type}"
data = "{event.data}"

[catalogue]
open = true

[[record]]
kind = "part"
schema = { type = "object", required = ["name"], properties = { name = { type = "string" } } }
schema_mode = "reject"

[[record]]
kind = "order"

[[rule]]
event = "part.low"
record = "part"
on = "becomes-true"
when = "new.quantity <= new.threshold"
[rule.data]
id = "{id}"
quantity = "{new.quantity}"

[[rule]]
event = "part.named"
record = "part"
on = "changed"
watch = ["name"]
[rule.data]
changes = "{changes}"

[[rule]]
event = "order.late"
record = "order"
on = "due"
due = { field = "promised", after = "1h" }
[rule.data]
id = "{id}"
promised = "{new.promised}"
"#;

async fn shop() -> World {
    let world = World::start().await;
    let body = json!({"source": PROFILE});
    world.operator(Method::POST, "/v1/profiles", "").json(&body).send().await.expect_status(201);
    world.tenant("acme", "shop").await;
    world
}

async fn put(world: &World, tenant: &str, path: &str, body: &Value) -> Reply {
    world.operator(Method::PUT, format!("/v1/records/{path}"), tenant).json(body).send().await
}

fn types(reply: &Reply) -> Vec<&str> {
    reply.json["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect()
}

#[tokio::test]
async fn a_record_is_written_read_patched_and_deleted() {
    let world = World::start().await;
    world.tenant("acme", "rcmanager").await;
    let made = put(&world, "acme", "part/p-1", &json!({"name": "bolt", "quantity": 9, "threshold": 5})).await;
    let made = made.expect_status(200);
    assert_eq!((made.str("/became"), made.str("/tenant")), ("created".to_owned(), "acme".to_owned()));
    assert_eq!(made.headers["etag"], format!("\"{}\"", made.str("/version")));
    let again =
        put(&world, "acme", "part/p-1", &json!({"name": "bolt", "quantity": 9, "threshold": 5})).await;
    assert_eq!((again.str("/became"), again.str("/version")), ("unchanged".to_owned(), made.str("/version")));

    let low = world
        .operator(Method::PATCH, "/v1/records/part/p-1", "acme")
        .json(&json!({"quantity": 5, "supplier": {"name": "Smith", "fax": null}}))
        .send()
        .await
        .expect_status(200);
    assert_eq!(types(&low), ["parts.inventory.low"]);
    assert_eq!(
        low.json["data"],
        json!({"name": "bolt", "quantity": 5, "threshold": 5, "supplier": {"name": "Smith"}})
    );
    let event =
        world.operator(Method::GET, format!("/v1/events/{}", low.str("/events/0/id")), "acme").send().await;
    assert_eq!(event.json["data"]["quantity"], 5);

    let read = world.operator(Method::GET, "/v1/records/part/p-1", "acme").send().await.expect_status(200);
    assert_eq!((&read.json["data"], read.str("/version")), (&low.json["data"], low.str("/version")));
    let list = world.whole_list("/v1/records/part", "acme").await;
    assert_eq!(list.len(), 1);
    let delete = || world.operator(Method::DELETE, "/v1/records/part/p-1", "acme").send();
    delete().await.expect_status(204);
    delete().await.expect_problem(404, "not_found", "");
    world.operator(Method::GET, "/v1/records/part/p-1", "acme").send().await.expect_problem(
        404,
        "not_found",
        "",
    );
}

#[tokio::test]
async fn a_patch_leaves_what_it_does_not_name_as_it_was_sent() {
    let world = World::start().await;
    world.tenant("acme", "rcmanager").await;
    let sent = r#"{"n":1.50,"big":123456789012345678901234567890,"a":{"b":1e3,"c":2}}"#;
    world.operator(Method::PUT, "/v1/records/part/p-1", "acme").raw(sent).send().await.expect_status(200);
    let patched =
        world.operator(Method::PATCH, "/v1/records/part/p-1", "acme").raw(r#"{"a":{"c":null}}"#).send().await;
    assert!(
        patched.text.contains(r#""data":{"n":1.50,"big":123456789012345678901234567890,"a":{"b":1e3}}"#),
        "{}",
        patched.text
    );
}

#[tokio::test]
async fn a_stale_version_changes_nothing() {
    let world = World::start().await;
    world.tenant("acme", "rcmanager").await;
    let first = put(&world, "acme", "part/p-1", &json!({"n": 1})).await.headers["etag"].clone();
    let ask = |method: Method, name, tag: &str| {
        world.operator(method, "/v1/records/part/p-1", "acme").header(name, tag).json(&json!({"n": 2})).send()
    };
    let first = first.to_str().expect("a tag is text").to_owned();
    ask(Method::PUT, "If-None-Match", "*").await.expect_problem(412, "precondition_failed", "If-None-Match");
    let second = ask(Method::PUT, "If-Match", &first).await.expect_status(200);
    assert_eq!(types(&second), Vec::<&str>::new());
    for method in [Method::PUT, Method::PATCH] {
        ask(method, "If-Match", &first).await.expect_problem(412, "precondition_failed", "If-Match");
    }
    let delete = |tag: &str| {
        world.operator(Method::DELETE, "/v1/records/part/p-1", "acme").header("If-Match", tag).send()
    };
    delete(&first).await.expect_problem(412, "precondition_failed", "If-Match");
    delete("nonsense").await.expect_problem(412, "precondition_failed", "If-Match");
    delete(&format!("\"{}\"", second.str("/version"))).await.expect_status(204);
    ask(Method::PUT, "If-Match", "*").await.expect_problem(412, "precondition_failed", "If-Match");
    let third = ask(Method::PUT, "If-None-Match", "*").await.expect_status(200);
    assert!(third.str("/version") > second.str("/version"), "versions rise over a deletion");
}

#[tokio::test]
async fn what_is_no_record_is_refused_and_changes_nothing() {
    let world = shop().await;
    put(&world, "acme", "part/p-1", &json!({"name": "bolt", "quantity": 1, "threshold": 0}))
        .await
        .expect_status(200);
    let before = world.state(&["acme"]).await;
    let large = json!({"name": "x".repeat(postrider_domain::limits::RECORD_BYTES_MAX)});
    put(&world, "acme", "part/p-1", &large).await.expect_problem(413, "body_too_large", "data");
    put(&world, "acme", "part/p-1", &json!({"name": 7})).await.expect_problem(
        422,
        "schema_violation",
        "data",
    );
    put(&world, "acme", "part/p-1", &json!([1])).await.expect_problem(422, "invalid_field", "data");
    put(&world, "acme", "parts/p-1", &json!({})).await.expect_problem(404, "unknown_record_kind", "");
    put(&world, "acme", "part/import", &json!({})).await.expect_status(405);
    put(&world, "acme", &format!("part/{}", "x".repeat(201)), &json!({})).await.expect_problem(
        422,
        "invalid_field",
        "id",
    );
    put(&world, "", "part/p-1", &json!({})).await.expect_problem(422, "tenant_required", "");
    let ask = |method, body: &str| world.operator(method, "/v1/records/part/p-1", "acme").raw(body).send();
    ask(Method::PUT, "{").await.expect_problem(400, "malformed_json", "data");
    ask(Method::PUT, &format!("{{\"a\":{}1{}}}", "[".repeat(90), "]".repeat(90))).await.expect_problem(
        422,
        "invalid_field",
        "data",
    );
    ask(Method::PATCH, "[]").await.expect_problem(422, "invalid_field", "");
    ask(Method::PATCH, r#"{"name":null}"#).await.expect_problem(422, "schema_violation", "data");
    let untyped = world.operator(Method::PUT, "/v1/records/part/p-1", "acme").untyped("{}").send().await;
    untyped.expect_problem(415, "unsupported_media_type", "");
    assert_eq!(world.state(&["acme"]).await, before);
    let stored = world.operator(Method::GET, "/v1/records/part/p-1", "acme").send().await;
    assert_eq!(stored.json["data"]["name"], "bolt");
}

#[tokio::test]
async fn a_rule_that_cannot_decide_is_told_with_the_record_and_stops_nothing() {
    let world = shop().await;
    let odd = json!({"name": "bolt"});
    put(&world, "acme", "part/p-1", &odd).await.expect_status(200);
    let renamed = put(&world, "acme", "part/p-1", &json!({"name": "nut"})).await.expect_status(200);
    assert_eq!(types(&renamed), ["part.named"], "the other rule fires");
    let read = world.operator(Method::GET, "/v1/records/part/p-1", "acme").send().await;
    assert_eq!(
        (read.str("/errors/0/rule"), &read.json["errors"][0]["times"]),
        ("part.low".to_owned(), &json!(2))
    );
    assert!(read.str("/errors/0/detail").contains("quantity"), "{}", read.text);
    let all = world.operator(Method::GET, "/v1/rule-errors", "acme").send().await.expect_status(200);
    assert_eq!(all.json["data"], read.json["errors"]);
}

#[tokio::test]
async fn a_profile_whose_rule_does_not_compile_names_line_and_column() {
    let world = World::start().await;
    let source = PROFILE.replace("new.quantity <= new.threshold", "new.quantity <=");
    let refused =
        world.operator(Method::POST, "/v1/profiles", "").json(&json!({"source": source})).send().await;
    assert_eq!(refused.json["code"], "profile_invalid");
    let line = source.lines().position(|line| line.contains("new.quantity <=")).expect("it is there") + 1;
    assert!(refused.str("/detail").contains(&format!("line {line}: column ")), "{}", refused.text);
}

#[tokio::test]
async fn what_comes_due_fires_by_the_minute_where_events_go_out_at_once() {
    let world = shop().await;
    let due = world.clock_now().plus(Duration::from_secs(600));
    put(&world, "acme", "order/o-1", &json!({"promised": due.to_string()})).await.expect_status(200);
    let read = || world.operator(Method::GET, "/v1/records/order/o-1", "acme").send();
    assert_eq!(read().await.str("/due/0/at"), due.plus(Duration::from_secs(3600)).to_string());
    for _ in 0..71 {
        world.clock.advance(Duration::from_secs(60));
        postrider_testkit::clock::turn().await;
    }
    while read().await.json["marks"].as_array().expect("marks").is_empty() {
        world.clock.advance(Duration::from_secs(1));
        postrider_testkit::clock::turn().await;
    }
    let again = put(&world, "acme", "order/o-1", &json!({"promised": due.to_string(), "x": 1})).await;
    assert_eq!(read().await.json["due"], json!([]), "once for a moment: {}", again.text);
    let later = world.clock_now().plus(Duration::from_secs(600));
    put(&world, "acme", "order/o-1", &json!({"promised": later.to_string()})).await;
    assert_eq!(
        read().await.str("/due/0/at"),
        later.plus(Duration::from_secs(3600)).to_string(),
        "and again for another"
    );
    let events = world.whole_list("/v1/events", "acme").await;
    assert_eq!(events.iter().map(|event| event["type"].as_str()).collect::<Vec<_>>(), [Some("order.late")]);
}

#[tokio::test]
async fn a_batch_is_one_transaction_and_its_repetition_has_no_second_effect() {
    let world = World::start().await;
    world.tenant("acme", "rcmanager").await;
    let part = |quantity: i64| json!({"name": "bolt", "quantity": quantity, "threshold": 5});
    let changes = json!({"changes": [
        {"id": "p-1", "data": part(9)},
        {"id": "p-1", "data": part(4)},
        {"id": "p-2", "data": part(3), "old": part(7)},
        {"id": "p-3", "data": part(3), "old": part(2)},
        {"id": "p-1", "data": part(8)},
        {"id": "p-4", "deleted": true},
        {"id": "", "data": {}},
        {"id": "p-1", "data": part(1)},
    ]});
    let ask = || world.operator(Method::POST, "/v1/records/part/batch", "acme").json(&changes);
    let done = ask().send().await.expect_status(200);
    let items = done.json["data"].as_array().expect("items");
    let events: Vec<usize> = items.iter().map(|item| item["events"].as_array().map_or(0, Vec::len)).collect();
    assert_eq!(events, [0, 1, 1, 0, 0, 0, 0, 1], "{}", done.text);
    let status: Vec<_> = items.iter().filter_map(|item| item["status"].as_u64()).collect();
    assert_eq!(status, [200, 200, 200, 200, 200, 404, 422, 200]);
    let low = world.whole_list("/v1/events", "acme").await;
    assert_eq!(low.len(), 3);

    let changes = json!({"changes": [{"id": "p-2", "data": part(9)}, {"id": "p-2", "data": part(2)}]});
    let ask = || {
        let ask = world.operator(Method::POST, "/v1/records/part/batch", "acme");
        ask.header("Idempotency-Key", "one").json(&changes).send()
    };
    let (first, second) = (ask().await.expect_status(200), ask().await.expect_status(200));
    assert_eq!(first.text, second.text);
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(world.whole_list("/v1/events", "acme").await.len(), 4);
    let other =
        world.operator(Method::POST, "/v1/records/part/batch", "acme").header("Idempotency-Key", "one");
    other.json(&json!({"changes": []})).send().await.expect_problem(
        409,
        "idempotency_key_reused",
        "Idempotency-Key",
    );
}

async fn import(world: &World, query: &str, lines: &str) -> Vec<Value> {
    let ask = world.operator(Method::POST, format!("/v1/records/part/import{query}"), "acme");
    let reply =
        ask.header("Content-Type", "application/x-ndjson").untyped(lines).send().await.expect_status(200);
    reply.text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[tokio::test]
async fn an_import_reports_each_line_and_keeps_what_is_good() {
    let world = World::start().await;
    world.tenant("acme", "rcmanager").await;
    let mut lines = String::new();
    for n in 1..=1203 {
        match n {
            7 => lines.push_str("{\"id\": \"p-7\", \"data\": {\"quantity\": \n"),
            8 => lines.push('\n'),
            9 => lines.push_str("{\"id\": \"p-9\", \"colour\": 1}\n"),
            10 => lines.push_str(&format!(
                "{{\"id\": \"p-10\", \"data\": {{\"x\": \"{}\"}}}}\n",
                "x".repeat(600_000)
            )),
            11 => lines.push_str("{\"id\": \"p-6\", \"data\": {\"quantity\": 1, \"threshold\": 2}}\r\n"),
            1203 => lines.push_str("{\"id\": \"p-6\", \"deleted\": true}"),
            n => lines.push_str(&format!(
                "{{\"id\": \"p-{n}\", \"data\": {{\"quantity\": {n}, \"threshold\": 2}}}}\n"
            )),
        }
    }
    let report = import(&world, "", &lines).await;
    let (summary, lines) = report.split_last().expect("a summary");
    assert_eq!(
        summary["summary"],
        json!({"lines": 1202, "created": 1197, "updated": 1, "unchanged": 0, "deleted": 1, "refused": 3, "events": 3,
               "complete": true})
    );
    let refused: Vec<(u64, &str)> = lines
        .iter()
        .filter_map(|line| Some((line["line"].as_u64()?, line.pointer("/problem/code")?.as_str()?)))
        .collect();
    assert_eq!(refused, [(7, "malformed_json"), (9, "unknown_field"), (10, "body_too_large")]);
    assert!(
        lines.iter().zip(&lines[1..]).all(|(one, next)| one["line"].as_u64() < next["line"].as_u64()),
        "in order"
    );
    assert_eq!(world.whole_list("/v1/records/part", "acme").await.len(), 1196);
    let again = import(
        &world,
        "?report=refused",
        "{\"id\": \"p-1\", \"data\": {\"quantity\": 1, \"threshold\": 2}}\n",
    )
    .await;
    assert_eq!(again.len(), 1, "only the summary");
    assert_eq!(again[0]["summary"]["unchanged"], 1);
}

#[tokio::test]
async fn an_import_without_events_sets_marks_and_fires_nothing() {
    let world = World::start().await;
    world.tenant("acme", "runtight").await;
    let lines = r#"{"id": "wo-1", "data": {"status": "open", "due_date": "2020-01-01"}}"#;
    let ask = world.operator(Method::POST, "/v1/records/work_order/import?events=false", "acme");
    ask.header("Content-Type", "application/x-ndjson").untyped(lines).send().await.expect_status(200);
    world.operator(Method::POST, "/v1/scans/run", "acme").send().await.expect_status(202);
    assert!(world.whole_list("/v1/events", "acme").await.is_empty());
    let read = world.operator(Method::GET, "/v1/records/work_order/wo-1", "acme").send().await;
    let marks: Vec<_> = read.json["marks"]
        .as_array()
        .expect("marks")
        .iter()
        .map(|mark| (mark["rule"].as_str(), &mark["event"]))
        .collect();
    assert_eq!(marks, [(Some("wo.created"), &Value::Null), (Some("wo.overdue"), &Value::Null)]);
}

#[tokio::test]
async fn a_record_that_names_its_tenant_is_written_without_naming_one() {
    let world = World::start().await;
    world.tenant("org-1", "org-jobs").await;
    world.tenant("org-2", "org-jobs").await;
    world.tenant("acme", "rcmanager").await;
    let job = |tenant: Value| json!({"jobName": "Smith", "sharing": {"organizationId": tenant}});
    let linked = put(&world, "", "job/j-1", &job(json!("org-1"))).await.expect_status(200);
    assert_eq!((types(&linked), linked.str("/tenant")), (vec!["job.created"], "org-1".to_owned()));
    let moved = put(&world, "", "job/j-1", &job(json!("org-2"))).await.expect_status(200);
    assert_eq!(types(&moved), ["job.deleted", "job.created"]);
    assert_eq!(world.whole_list("/v1/events", "org-1").await.len(), 2);
    assert_eq!(world.whole_list("/v1/events", "org-2").await.len(), 1);
    for wrong in ["nobody", "acme"] {
        let refused = put(&world, "", "job/j-1", &job(json!(wrong))).await;
        refused.expect_problem(422, "unknown_tenant", "data.sharing.organizationId");
    }
    let unlinked = put(&world, "", "job/j-1", &job(Value::Null)).await.expect_status(200);
    assert_eq!((types(&unlinked), &unlinked.json["tenant"]), (vec!["job.deleted"], &Value::Null));
    assert_eq!(world.whole_list("/v1/records/job", "").await.len(), 1);
    assert_eq!(world.whole_list("/v1/records/job", "org-2").await.len(), 0);

    put(&world, "", "job/j-1", &job(json!("org-2"))).await.expect_status(200);
    let key = world.key("publisher", Some("org-1")).await;
    let foreign = |method: Method| world.ask(method, "/v1/records/job/j-1").key(&key);
    foreign(Method::GET).send().await.expect_problem(404, "not_found", "");
    foreign(Method::PUT).json(&job(json!("org-1"))).send().await.expect_problem(404, "not_found", "");
    foreign(Method::DELETE).send().await.expect_problem(404, "not_found", "");
    let own = world.ask(Method::PUT, "/v1/records/job/j-2").key(&key);
    own.json(&job(json!("org-2"))).send().await.expect_problem(
        422,
        "unknown_tenant",
        "data.sharing.organizationId",
    );
}

#[tokio::test]
async fn a_change_that_is_refused_leaves_nothing_to_the_next() {
    let world = shop().await;
    let broken = json!({"id": "p-1", "old": {"name": "nut"}, "data": {"name": 7}});
    let changes =
        json!({"changes": [broken, {"id": "p-1", "data": {"name": "bolt", "quantity": 1, "threshold": 1}}]});
    let done = world.operator(Method::POST, "/v1/records/part/batch", "acme").json(&changes).send().await;
    let second = &done.expect_status(200).json["data"][1];
    assert_eq!(second["became"], "created");
    let types: Vec<_> =
        second["events"].as_array().expect("events").iter().map(|event| event["type"].as_str()).collect();
    assert_eq!(types, [Some("part.low")], "it is new: nobody renamed it");
}

#[tokio::test]
async fn a_record_of_nobody_is_only_linked_by_a_tenants_key() {
    let world = World::start().await;
    world.tenant("org-1", "org-jobs").await;
    put(&world, "", "job/j-1", &json!({"jobName": "hidden"})).await.expect_status(200);
    let key = world.key("publisher", Some("org-1")).await;
    let own = |method: Method| world.ask(method, "/v1/records/job/j-1").key(&key);
    own(Method::PATCH).json(&json!({})).send().await.expect_problem(404, "not_found", "");
    own(Method::DELETE).send().await.expect_problem(404, "not_found", "");
    own(Method::PUT).json(&json!({"jobName": "mine"})).send().await.expect_problem(404, "not_found", "");
    let linked = json!({"jobName": "mine", "sharing": {"organizationId": "org-1"}});
    assert_eq!(types(&own(Method::PUT).json(&linked).send().await.expect_status(200)), ["job.created"]);
}

#[tokio::test]
async fn a_patch_of_many_duplicates_takes_no_time_and_the_last_counts() {
    let world = World::start().await;
    world.tenant("acme", "rcmanager").await;
    let wide: Vec<String> = (0..20_000).map(|n| format!("\"k{n}\":0")).collect();
    let sent = format!("{{\"a\":{{{}}}}}", wide.join(","));
    world.operator(Method::PUT, "/v1/records/part/p-1", "acme").raw(sent).send().await.expect_status(200);
    let patch = format!("{{{}\"a\":{{\"k1\":7}}}}", "\"a\":{\"k2\":null},".repeat(20_000));
    let patched = world.operator(Method::PATCH, "/v1/records/part/p-1", "acme").raw(patch).send().await;
    let data = &patched.expect_status(200).json["data"]["a"];
    assert_eq!((&data["k1"], &data["k2"]), (&json!(7), &json!(0)));
}

#[tokio::test]
async fn what_is_stored_bounds_what_is_changed_at_once() {
    let world = World::start().await;
    world.tenant("acme", "rcmanager").await;
    let large = "x".repeat(200_000);
    let ids: Vec<String> = (0..90).map(|n| format!("p-{n}")).collect();
    for id in &ids {
        put(&world, "acme", &format!("part/{id}"), &json!({"notes": large})).await.expect_status(200);
    }
    let changes: Vec<Value> = ids.iter().map(|id| json!({"id": id, "data": {}})).collect();
    let batch =
        world.operator(Method::POST, "/v1/records/part/batch", "acme").json(&json!({"changes": changes}));
    batch.send().await.expect_problem(422, "too_many_items", "");
    let lines: String = ids.iter().map(|id| format!("{{\"id\":\"{id}\",\"data\":{{}}}}\n")).collect();
    let report = import(&world, "?report=refused", &lines).await;
    assert_eq!(
        (&report[0]["summary"]["updated"], &report[0]["summary"]["complete"]),
        (&json!(90), &json!(true))
    );
}
