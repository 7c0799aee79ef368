//! Lists: newest first, in bounded pages, from cursors that belong to them.

use http::Method;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn pages_show_every_row_once_newest_first_whatever_is_added_meanwhile() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    for n in 0..7 {
        world.publish("acme", &json!({"id": format!("e{n}"), "type": "a.b", "data": n})).await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.operator(Method::GET, format!("/v1/events?limit=3{cursor}"), "acme").send().await;
        let page = page.expect_status(200);
        let rows = page.json["data"].as_array().expect("a list has data");
        assert!(rows.len() <= 3);
        seen.extend(rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()));
        world.publish("acme", &json!({"type": "later.on", "data": 1})).await;
        match page.json["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["e6", "e5", "e4", "e3", "e2", "e1", "e0"]);
}

#[tokio::test]
async fn a_cursor_of_another_list_filter_or_tenant_is_refused() {
    let world = World::start().await;
    for tenant in ["one", "two"] {
        world.tenant(tenant, "standard").await;
        for n in 0..3 {
            world.publish(tenant, &json!({"type": "a.b", "data": n})).await;
        }
    }
    let page = world.operator(Method::GET, "/v1/events?limit=1", "one").send().await;
    let cursor = page.str("/nextCursor");
    world
        .operator(Method::GET, format!("/v1/events?limit=2&cursor={cursor}"), "one")
        .send()
        .await
        .expect_status(200);
    for (path, tenant) in [
        (format!("/v1/events?cursor={cursor}"), "two"),
        (format!("/v1/events?type=a.b&cursor={cursor}"), "one"),
        (format!("/v1/events?order=asc&cursor={cursor}"), "one"),
        (format!("/v1/deliveries?cursor={cursor}"), "one"),
        (format!("/v1/events?cursor={}", &cursor[1..]), "one"),
        ("/v1/events?cursor=".to_owned(), "one"),
    ] {
        let reply = world.operator(Method::GET, path, tenant).send().await;
        reply.expect_problem(422, "cursor_invalid", "cursor");
    }
}

#[tokio::test]
async fn events_can_be_polled_in_order() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let mut last = String::new();
    let mut seen = Vec::new();
    for round in 0..3 {
        for n in 0..3 {
            world.publish("acme", &json!({"type": "a.b", "data": round * 3 + n})).await;
        }
        let after = if last.is_empty() { String::new() } else { format!("&after={last}") };
        let page = world.operator(Method::GET, format!("/v1/events?order=asc{after}"), "acme").send().await;
        for event in page.expect_status(200).json["data"].as_array().expect("a list has data") {
            seen.push(event["data"].clone());
            last = event["id"].as_str().expect("an id").to_owned();
        }
    }
    assert_eq!(json!(seen), json!([0, 1, 2, 3, 4, 5, 6, 7, 8]));
    // Its place outlives the event: whoever was away for longer than events are kept can go on.
    world.clock.advance(std::time::Duration::from_secs(40 * 86_400));
    let forgotten = "evt_01jrhvt000e008000000000000";
    let page =
        world.operator(Method::GET, format!("/v1/events?order=asc&after={forgotten}"), "acme").send().await;
    page.expect_status(200);
}

#[tokio::test]
async fn lists_are_filtered() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let a = world.webhook("acme", "https://a.example.com/", &["a.*"]).await;
    world.webhook("acme", "https://b.example.com/", &["*"]).await;
    world.publish("acme", &json!({"id": "first", "type": "a.b", "data": 1})).await;
    world.clock.advance(std::time::Duration::from_secs(3600));
    world.publish("acme", &json!({"id": "second", "type": "c.d", "data": 1})).await;
    let a = a["id"].as_str().expect("an id");
    for (path, expected) in [
        ("/v1/deliveries".to_owned(), vec!["second", "first", "first"]),
        (format!("/v1/deliveries?webhook={a}"), vec!["first"]),
        ("/v1/deliveries?type=c.d".to_owned(), vec!["second"]),
        ("/v1/deliveries?from=2026-04-11T10:00:00Z".to_owned(), vec!["second"]),
        ("/v1/deliveries?until=2026-04-11T10:00:00Z&type=c.d".to_owned(), vec![]),
        ("/v1/deliveries?state=delivered".to_owned(), vec![]),
    ] {
        let page = world.operator(Method::GET, &path, "acme").send().await.expect_status(200).json;
        let found: Vec<&str> =
            page["data"].as_array().into_iter().flatten().filter_map(|row| row["eventId"].as_str()).collect();
        assert_eq!(found, expected, "{path}");
    }
    for (path, expected) in [
        ("/v1/events?type=a.b", json!(["first"])),
        ("/v1/events?from=2026-04-11T10:00:00Z", json!(["second"])),
        ("/v1/events?until=2026-04-11T10:00:00Z&order=asc", json!(["first"])),
    ] {
        let page = world.operator(Method::GET, path, "acme").send().await.expect_status(200).json;
        let found: Vec<Value> =
            page["data"].as_array().into_iter().flatten().map(|row| row["id"].clone()).collect();
        assert_eq!(json!(found), expected, "{path}");
    }
}

#[tokio::test]
async fn configuration_is_listed_in_pages_too() {
    let world = World::start().await;
    for n in 0..4 {
        world.tenant(&format!("t{n}"), "standard").await;
        world.webhook("t0", &format!("https://hooks.example.com/{n}"), &["*"]).await;
    }
    for (path, tenant) in [
        ("/v1/tenants", ""),
        ("/v1/webhooks", "t0"),
        ("/v1/profiles", ""),
        ("/v1/audit", "t0"),
        ("/v1/event-types", "t0"),
        ("/v1/keys", ""),
    ] {
        let whole = world.whole_list(path, tenant).await;
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let page =
                world.operator(Method::GET, format!("{path}?limit=1{cursor}"), tenant).send().await.json;
            paged.extend(page["data"].as_array().expect("a list has data").iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, whole, "{path}");
        assert!(!whole.is_empty(), "{path}");
    }
}
