//! What changes of rows become.

use serde_json::json;

use crate::stage::{Stage, TENANT};

const VEHICLES: &str = "CREATE TABLE vehicles (id text PRIMARY KEY, name text, n bigint NOT NULL DEFAULT 0)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserts_updates_and_deletes_become_records_and_events() {
    let stage = Stage::start("rows").await;
    stage.sql(VEHICLES).await;
    stage.sql("INSERT INTO vehicles VALUES ('before', 'was there', 1), ('gone', 'was there', 1)").await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    let connector = stage.connector();
    for statements in [
        "INSERT INTO vehicles VALUES ('a', 'Slash', 1), ('b', 'Rustler', 1)",
        "UPDATE vehicles SET n = 2 WHERE id = 'a'",
        "UPDATE vehicles SET n = n",
        "BEGIN; UPDATE vehicles SET n = 99; DELETE FROM vehicles; ROLLBACK",
        "BEGIN; UPDATE vehicles SET n = 3 WHERE id = 'a'; UPDATE vehicles SET n = 4, name = NULL WHERE id = 'a'; COMMIT",
        "UPDATE vehicles SET n = 2 WHERE id = 'before'",
        "DELETE FROM vehicles WHERE id IN ('b', 'gone')",
        "INSERT INTO vehicles VALUES ('b', 'again', 7)",
        "UPDATE vehicles SET id = 'c' WHERE id = 'b'",
    ] {
        stage.sql(statements).await;
    }
    stage.delivered().await;
    connector.stop();
    let created = |vehicle| ("vehicle.created".to_owned(), vehicle);
    let updated = |vehicle| ("vehicle.updated".to_owned(), vehicle);
    let deleted = |id: &str| ("vehicle.deleted".to_owned(), json!({ "id": id }));
    let events = stage.vehicle_events().await;
    assert_eq!(
        events["a"],
        [
            created(json!({ "id": "a", "name": "Slash", "n": 1 })),
            updated(json!({ "id": "a", "n": 2 })),
            updated(json!({ "id": "a", "n": 3 })),
            updated(json!({ "id": "a", "name": null, "n": 4 })),
        ]
    );
    assert_eq!(
        events["b"],
        [
            created(json!({ "id": "b", "name": "Rustler", "n": 1 })),
            deleted("b"),
            created(json!({ "id": "b", "name": "again", "n": 7 })),
            deleted("b"),
        ]
    );
    assert_eq!(events["c"], [created(json!({ "id": "c", "name": "again", "n": 7 }))]);
    // Never told before: the old row comes with the change.
    assert_eq!(events["before"], [updated(json!({ "id": "before", "n": 2 }))]);
    assert_eq!(events["gone"], [deleted("gone")]);
    assert_eq!(events.len(), 5);
    let records = stage.records(TENANT, "vehicle").await;
    assert_eq!(records.keys().collect::<Vec<_>>(), ["a", "before", "c"]);
    assert_eq!(records["a"], json!({ "id": "a", "name": null, "n": 4 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_of_100_000_rows_arrives_complete_and_each_row_once() {
    let stage = Stage::start("volume").await;
    stage.sql("CREATE TABLE parts (id bigint PRIMARY KEY, name text, quantity int, threshold int)").await;
    stage.apply("parts", "part", &["--tenant", TENANT]);
    // Of each hundred, one is low.
    let began = tokio::time::Instant::now();
    stage
        .sql(
            "INSERT INTO parts SELECT n, 'part ' || n, CASE WHEN n % 100 = 0 THEN 1 ELSE 9 END, 5
             FROM generate_series(1, 100000) AS n",
        )
        .await;
    let written = began.elapsed();
    stage.once();
    eprintln!("100,000 rows: written in {written:?}, delivered after {:?}", began.elapsed());
    assert_eq!(stage.count("SELECT count(*) FROM postrider_outbox").await, 0);
    assert_eq!(stage.count("SELECT count(*) FROM postrider_outbox_refused").await, 0);
    // What is told again and is the same is not counted. To read all records back takes as long as to write them.
    let metrics = stage.server.api().raw(TENANT, "/metrics").await;
    let changed: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("postrider_records_changed_total")).collect();
    let counts: Vec<i64> = changed.iter().filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect();
    assert_eq!(counts.iter().sum::<i64>(), 100_000, "{changed:?}");
    for n in [1, 50_000, 99_999] {
        let record = stage.server.api().raw(TENANT, &format!("/v1/records/part/{n}")).await;
        let expected = format!("\"data\":{{\"id\":{n},\"name\":\"part {n}\"");
        assert!(record.contains(&expected), "{record}");
    }
    let events = stage.events(TENANT).await;
    let low: Vec<&str> = events.iter().map(|(_, data)| data["part"]["id"].as_str().expect("an id")).collect();
    assert_eq!(low, (1..=1000).map(|n| (n * 100).to_string()).collect::<Vec<_>>());
    eprintln!("checked after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_row_is_does_not_depend_on_the_session_that_writes_it() {
    let stage = Stage::start("values").await;
    stage
        .sql(
            "CREATE TABLE parts (
                 id uuid PRIMARY KEY, price numeric, big bigint, ratio float8, at timestamptz, day date, range daterange,
                 took interval, bytes bytea, doc json, docb jsonb, note text)",
        )
        .await;
    stage.apply("parts", "part", &["--tenant", TENANT]);
    stage
        .sql(
            r#"SET timezone = 'Asia/Jakarta'; SET datestyle = 'German'; SET intervalstyle = 'iso_8601';
               SET bytea_output = 'escape'; SET extra_float_digits = -10; SET search_path = pg_temp;
               SET standard_conforming_strings = off; SET synchronous_commit = off;
               INSERT INTO public.parts VALUES (
                 '00000000-0000-0000-0000-000000000001', 12345678901234567890.1200, 9007199254740993, 0.1::float8 + 0.2,
                 '2026-01-31 12:00+00', '2026-01-31', '[2026-01-01,2026-02-01)', '1 day 2 hours', E'\\001', '{"b":1.50, "a":[ ]}',
                 '{"b":1.50,"a":[]}', E'a "b"\n\u00e9 \U0001f600')"#,
        )
        .await;
    stage.once();
    let rows = stage.server.api().raw(TENANT, "/v1/records/part?limit=1").await;
    for expected in [
        r#""price":12345678901234567890.1200"#,
        r#""big":9007199254740993"#,
        r#""ratio":0.30000000000000004"#,
        r#""at":"2026-01-31T12:00:00+00:00""#,
        r#""day":"2026-01-31""#,
        r#""range":"[2026-01-01,2026-02-01)""#,
        r#""took":"1 day 02:00:00""#,
        r#""bytes":"\\x01""#,
        r#""doc":{"b":1.50,"a":[]}"#,
        r#""docb":{"a":[],"b":1.50}"#,
        "\"note\":\"a \\\"b\\\"\\n\u{e9} \u{1f600}\"",
    ] {
        assert!(rows.contains(expected), "{expected} is not in {rows}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_table_deletes_each_of_its_records() {
    let stage = Stage::start("truncate").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT, "--columns", "id,n"]);
    stage.sql("INSERT INTO vehicles SELECT 'v' || n, 'name', n FROM generate_series(1, 700) AS n").await;
    stage.sql("BEGIN; INSERT INTO vehicles VALUES ('last', 'name', 0); TRUNCATE vehicles; COMMIT").await;
    stage.sql("INSERT INTO vehicles VALUES ('v1', 'anew', 1)").await;
    stage.sql("UPDATE vehicles SET name = 'of no interest'").await;
    stage.once();
    let events = stage.vehicle_events().await;
    assert_eq!(events.len(), 701);
    for (id, events) in &events {
        let types: Vec<&str> = events.iter().map(|(event, _)| event.as_str()).collect();
        let expected: &[&str] = match id.as_str() {
            "v1" => &["vehicle.created", "vehicle.deleted", "vehicle.created"],
            _ => &["vehicle.created", "vehicle.deleted"],
        };
        assert_eq!(types, expected, "{id}");
    }
    let records = stage.records(TENANT, "vehicle").await;
    assert_eq!(records.len(), 1);
    assert_eq!(records["v1"], json!({ "id": "v1", "n": 1 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_is_its_tenants_and_moves_with_it() {
    let stage = Stage::start("tenants").await;
    let tenant = json!({ "id": "zeta", "profile": "rcmanager" });
    stage.server.api().post("/v1/tenants", &tenant).await;
    stage.sql("CREATE TABLE vehicles (id int PRIMARY KEY, company text, n int); CREATE TABLE parts (id int PRIMARY KEY)").await;
    stage.apply("vehicles", "vehicle", &["--tenant-column", "company"]);
    stage.apply("parts", "part", &["--tenant", "zeta"]);
    stage
        .sql(
            "INSERT INTO vehicles SELECT n, CASE n % 3 WHEN 0 THEN 'acme' WHEN 1 THEN 'zeta' END, 0
               FROM generate_series(1, 3000) AS n;
             INSERT INTO parts VALUES (1);
             UPDATE vehicles SET company = 'zeta' WHERE id = 3;
             UPDATE vehicles SET company = '' WHERE id = 6;
             UPDATE vehicles SET company = 'acme' WHERE id = 2;
             UPDATE vehicles SET company = 'acme' WHERE id = 3;
             DELETE FROM vehicles WHERE id = 5;",
        )
        .await;
    stage.once();
    let acme = stage.records("acme", "vehicle").await;
    let zeta = stage.records("zeta", "vehicle").await;
    // All multiples of three but 6, and 2.
    assert_eq!(acme.len(), 1000);
    assert!(acme.contains_key("2") && acme.contains_key("3") && !acme.contains_key("6"));
    assert_eq!(zeta.len(), 1000);
    assert!(!zeta.contains_key("3"));
    assert_eq!(stage.records("zeta", "part").await.len(), 1);
    let of_3 = |events: Vec<(String, serde_json::Value)>| -> Vec<String> {
        events.into_iter().filter(|(_, data)| data["vehicle"]["id"] == "3").map(|(event, _)| event).collect()
    };
    assert_eq!(of_3(stage.events("acme").await), ["vehicle.created", "vehicle.deleted", "vehicle.created"]);
    assert_eq!(of_3(stage.events("zeta").await), ["vehicle.created", "vehicle.deleted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_notify_the_connector_looks_by_itself() {
    let stage = Stage::start("no_notify").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT, "--no-notify"]);
    let connector = stage.connector();
    for _ in 0..3 {
        stage
            .sql("UPDATE vehicles SET n = n + 1; INSERT INTO vehicles VALUES (gen_random_uuid(), 'x', 0)")
            .await;
        stage.delivered().await;
    }
    connector.stop();
    assert_eq!(stage.records(TENANT, "vehicle").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_partitions_are_rows_of_the_table() {
    let stage = Stage::start("partitions").await;
    stage
        .sql(
            "CREATE TABLE vehicles (id int PRIMARY KEY, n int NOT NULL) PARTITION BY RANGE (id);
             CREATE TABLE low PARTITION OF vehicles FOR VALUES FROM (0) TO (100)",
        )
        .await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage.sql("CREATE TABLE high PARTITION OF vehicles FOR VALUES FROM (100) TO (200)").await;
    stage.sql("INSERT INTO vehicles VALUES (1, 1), (150, 1)").await;
    stage.sql("UPDATE low SET n = 2").await;
    // Into another partition.
    stage.sql("UPDATE vehicles SET id = 101 WHERE id = 1").await;
    stage.sql("TRUNCATE vehicles; INSERT INTO vehicles VALUES (2, 1)").await;
    stage.once();
    let events = stage.vehicle_events().await;
    let types = |id: &str| -> Vec<&str> {
        events[id].iter().map(|(event, _)| event.trim_start_matches("vehicle.")).collect()
    };
    assert_eq!(types("1"), ["created", "updated", "deleted"]);
    assert_eq!(types("101"), ["created", "deleted"]);
    assert_eq!(types("150"), ["created", "deleted"]);
    assert_eq!(types("2"), ["created"]);
}
