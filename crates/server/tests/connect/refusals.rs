//! What Postrider does not take: a change for good, or everything for now.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::stage::{Stage, TENANT, err};

const VEHICLES: &str = "CREATE TABLE vehicles (id text PRIMARY KEY, name text, n bigint NOT NULL)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_changes_are_set_aside_and_hold_up_nothing() {
    let stage = Stage::start("refused").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage
        .sql(
            "INSERT INTO vehicles VALUES ('first', 'x', 1);
             INSERT INTO vehicles VALUES ('large', repeat('x', 300000), 1), ('huge', repeat('y', 9000000), 1);
             INSERT INTO vehicles VALUES (E'control\\001', 'x', 1), (repeat('long', 100), 'x', 1), ('', 'x', 1);
             UPDATE vehicles SET n = 2 WHERE id <> 'huge';
             UPDATE vehicles SET name = 'small', n = 3 WHERE id IN ('large', 'huge');
             INSERT INTO vehicles VALUES ('deleted', repeat('z', 9000000), 1);
             DELETE FROM vehicles WHERE id = 'deleted';
             INSERT INTO vehicles VALUES ('last', 'x', 1)",
        )
        .await;
    stage.once();
    assert_eq!(stage.count("SELECT count(*) FROM postrider_outbox").await, 0);
    let refused: Vec<(String, Value)> = sqlx::query_as::<_, (String, String)>(
        "SELECT left(id, 8), problem::text FROM postrider_outbox_refused ORDER BY seq",
    )
    .fetch_all(&mut stage.session().await)
    .await
    .expect("rows")
    .into_iter()
    .map(|(id, problem)| (id, serde_json::from_str(&problem).expect("JSON")))
    .collect();
    let codes: Vec<(&str, &str)> = refused
        .iter()
        .map(|(id, problem)| (id.as_str(), problem["code"].as_str().expect("a code")))
        .collect();
    assert_eq!(
        codes,
        [
            ("large", "body_too_large"),
            ("huge", "body_too_large"),
            ("control\u{1}", "invalid_field"),
            ("longlong", "invalid_field"),
            ("", "invalid_field"),
            ("large", "body_too_large"),
            ("control\u{1}", "invalid_field"),
            ("longlong", "invalid_field"),
            ("", "invalid_field"),
            ("deleted", "body_too_large"),
        ]
    );
    let records = stage.records(TENANT, "vehicle").await;
    assert_eq!(records.keys().collect::<Vec<_>>(), ["first", "huge", "large", "last"]);
    assert_eq!(records["large"], json!({ "id": "large", "name": "small", "n": 3 }));
    assert_eq!(records["first"]["n"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_quarter_mebibyte_go_in_batches_that_fit_a_request() {
    let stage = Stage::start("wide").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage
        .sql("INSERT INTO vehicles SELECT 'v' || n, repeat('x', 200000), 0 FROM generate_series(1, 60) AS n")
        .await;
    stage.sql("UPDATE vehicles SET n = 1").await;
    stage.once();
    assert_eq!(stage.count("SELECT count(*) FROM postrider_outbox_refused").await, 0);
    // Not those that carry all of a row: a page of them is larger than this test reads.
    let updated = stage.server.api().list(TENANT, "/v1/events?order=asc&type=vehicle.updated").await;
    assert_eq!(updated.len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_as_a_whole_stops_with_an_error_and_loses_nothing() {
    let stage = Stage::start("stops").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", "nobody"]);
    let waiting = "SELECT count(*) FROM postrider_outbox";
    stage.sql("INSERT INTO vehicles VALUES ('a', 'x', 1)").await;
    let stops = |arguments: &[&str], key: &str, expected: &[&str]| {
        let mut command = stage.connect(arguments);
        let output = command.env("POSTRIDER_API_KEY", key).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
        for word in expected.iter().chain(&["error: ", "why: ", "do:  "]) {
            assert!(err(&output).contains(word), "{word} in {}", err(&output));
        }
        assert!(!err(&output).contains(key) || key.is_empty(), "{}", err(&output));
    };
    // Not only at the first attempt.
    for _ in 0..2 {
        let wrong = "a-key-that-nobody-has-0123456789abcdef";
        stops(&[], wrong, &["401", "key_invalid", "POSTRIDER_API_KEY", "wait in the outbox"]);
    }
    stops(&[], "", &["POSTRIDER_API_KEY is not set"]);
    stops(&["--once"], &stage.key, &["404", "not_found", "nobody"]);
    stage.sql("UPDATE postrider_outbox SET tenant = 'acme', kind = 'nothing'").await;
    stops(&["--once"], &stage.key, &["unknown_record_kind", "vehicle"]);
    assert_eq!(stage.count(waiting).await, 1);
    stage.sql("UPDATE postrider_outbox SET kind = 'vehicle'").await;
    stage.sql("INSERT INTO vehicles VALUES ('b', 'x', 1)").await;
    stage.sql("UPDATE postrider_outbox SET tenant = 'acme'").await;
    stage.once();
    assert_eq!(stage.records(TENANT, "vehicle").await.len(), 2);
    // What was taken and then removed by hand holds up nothing.
    stage.sql("INSERT INTO vehicles VALUES ('c', 'x', 1)").await;
    stops(&["--once"], &stage.key, &["404", "nobody"]);
    stage.sql("DELETE FROM postrider_outbox").await;
    stage.once();
    assert_eq!(stage.count("SELECT count(*) FROM postrider_outbox_meta WHERE taken IS NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_cannot_be_used_is_told_plainly() {
    let stage = Stage::start("sources").await;
    let without_outbox = stage.run(&["--once"]);
    assert!(
        !without_outbox.status.success() && err(&without_outbox).contains("--apply"),
        "{}",
        err(&without_outbox)
    );
    let wrong_password = stage.url.replacen("postrider:postrider", "postrider:hunter2", 1);
    assert_ne!(wrong_password, stage.url);
    for (url, expected) in [
        (wrong_password.as_str(), "check the user and password"),
        ("", "POSTRIDER_SOURCE_URL"),
        ("mysql://hunter2@x/y", "it is not a URL of a PostgreSQL"),
    ] {
        let output = stage.connect(&["--once"]).env("POSTRIDER_SOURCE_URL", url).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
        assert!(err(&output).contains(expected), "{expected} in {}", err(&output));
        assert!(!err(&output).contains("hunter2"), "{}", err(&output));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_row_is_in_a_log_however_detailed() {
    let stage = Stage::start("connect_log").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage.sql("INSERT INTO vehicles VALUES ('a', 'hush-hush', 1), ('', 'hush-hush', 1)").await;
    // With a password that no other word is part of, and no more rights than the page about it names.
    let role = format!("connect_{}", std::process::id());
    let mut session = stage.session().await;
    let mut run = async |statements: String| {
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut session)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    };
    run(format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2hunter2'")).await;
    run(format!(
        "GRANT SELECT, DELETE ON postrider_outbox TO {role};
         GRANT SELECT, UPDATE ON postrider_outbox_meta TO {role};
         GRANT INSERT ON postrider_outbox_refused TO {role}"
    ))
    .await;
    let url = stage.url.replacen("postrider:postrider", &format!("{role}:hunter2hunter2"), 1);
    let output = stage
        .connect(&["--once", "--log-level", "trace"])
        .env("POSTRIDER_SOURCE_URL", url)
        .output()
        .expect("the binary runs");
    run(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    assert!(output.status.success(), "{}", err(&output));
    let log = err(&output);
    assert!(
        log.contains("DEBUG") && log.contains("connect.told") && log.contains("connect.refused"),
        "{log}"
    );
    for secret in [stage.key.as_str(), "hunter2", "hush-hush"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
