//! Nothing is passed by and nothing changes places, whoever commits when.

use serde_json::json;
use sqlx::PgConnection;

use crate::stage::{Stage, TENANT, err};

const VEHICLES: &str = "CREATE TABLE vehicles (id text PRIMARY KEY, n bigint NOT NULL)";

async fn run(session: &mut PgConnection, statements: &'static str) {
    sqlx::raw_sql(statements).execute(session).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_held_open_is_delivered_after_it_commits() {
    let stage = Stage::start("held_open").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage.sql("INSERT INTO vehicles VALUES ('a', 1), ('b', 1)").await;
    let connector = stage.connector();
    let mut held = stage.session().await;
    run(
        &mut held,
        "BEGIN; INSERT INTO vehicles VALUES ('held', 1); UPDATE vehicles SET n = 2 WHERE id = 'a'",
    )
    .await;
    let first: i64 = sqlx::query_scalar("SELECT max(seq) FROM postrider_outbox")
        .fetch_one(&mut held)
        .await
        .expect("its own changes");
    for _ in 0..5 {
        stage.sql("INSERT INTO vehicles SELECT gen_random_uuid(), 1 FROM generate_series(1, 300)").await;
        stage.sql("UPDATE vehicles SET n = n + 1 WHERE id = 'b'").await;
        stage.delivered().await;
    }
    // The others' places are behind those of the one that is open, and are gone already.
    let last = stage.count("SELECT last_value FROM postrider_outbox_seq_seq").await;
    assert!(last > first + 1500, "{last} {first}");
    let records = stage.records(TENANT, "vehicle").await;
    assert_eq!(records.len(), 1502);
    assert_eq!((&records["a"]["n"], &records["b"]["n"]), (&json!(1), &json!(6)));
    run(&mut held, "UPDATE vehicles SET n = 3 WHERE id = 'a'; COMMIT").await;
    stage.delivered().await;
    connector.stop();
    let records = stage.records(TENANT, "vehicle").await;
    assert_eq!(records.len(), 1503);
    let events = stage.vehicle_events().await;
    let counts: Vec<&serde_json::Value> = events["a"].iter().map(|(_, vehicle)| &vehicle["n"]).collect();
    assert_eq!(counts, [1, 2, 3]);
    assert_eq!(events["held"].len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_one_row_by_many_sessions_keep_their_order() {
    const SESSIONS: i64 = 8;
    const CHANGES: i64 = 60;
    let stage = Stage::start("sessions").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage.sql("INSERT INTO vehicles VALUES ('a', 0), ('b', 0)").await;
    let connector = stage.connector();
    // A transaction whose number is older than those of all that change the row before it.
    let mut old = stage.session().await;
    run(&mut old, "BEGIN; SELECT pg_current_xact_id()").await;
    let url = stage.url.clone();
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let url = url.clone();
            tokio::spawn(async move {
                let mut session = crate::stage::session(&url).await;
                for change in 0..CHANGES {
                    let statements = match (number + change) % 3 {
                        // Its number is drawn before it waits for the row.
                        0 => "BEGIN; SELECT pg_current_xact_id(); UPDATE vehicles SET n = n + 1 WHERE id = 'a'; COMMIT",
                        1 => {
                            "BEGIN; UPDATE vehicles SET n = n + 1 WHERE id = 'a'; ROLLBACK; BEGIN; SAVEPOINT s;
                             UPDATE vehicles SET n = n + 1 WHERE id = 'a'; ROLLBACK TO s;
                             UPDATE vehicles SET n = n + 1 WHERE id = 'a'; COMMIT"
                        }
                        // Always in this order: two that wait for each other would be told so.
                        _ => {
                            "BEGIN; UPDATE vehicles SET n = n + 1 WHERE id = 'a';
                             UPDATE vehicles SET n = n + 1 WHERE id = 'b'; COMMIT"
                        }
                    };
                    run(&mut session, statements).await;
                }
            })
        })
        .collect();
    for session in sessions {
        session.await.expect("a session that ends well");
    }
    run(&mut old, "UPDATE vehicles SET n = n + 1; COMMIT").await;
    stage.delivered().await;
    connector.stop();
    let (a, b) = (
        stage.count("SELECT n FROM vehicles WHERE id = 'a'").await,
        stage.count("SELECT n FROM vehicles WHERE id = 'b'").await,
    );
    assert_eq!(a, SESSIONS * CHANGES + 1);
    let events = stage.vehicle_events().await;
    for (id, n) in [("a", a), ("b", b)] {
        let counts: Vec<i64> =
            events[id].iter().map(|(_, vehicle)| vehicle["n"].as_i64().expect("a number")).collect();
        assert_eq!(counts, (0..=n).collect::<Vec<_>>(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_of_the_application_that_changes_the_row_again_comes_after() {
    let stage = Stage::start("own_triggers").await;
    stage.sql(VEHICLES).await;
    stage
        .sql(
            "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN UPDATE vehicles SET n = n + 100 WHERE id = new.id; RETURN NULL; END $$;
             CREATE TRIGGER \"AAA\" AFTER INSERT OR UPDATE ON vehicles FOR EACH ROW WHEN (new.n < 100) EXECUTE FUNCTION again()",
        )
        .await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage.sql("INSERT INTO vehicles VALUES ('a', 1), ('b', 2); UPDATE vehicles SET n = 3").await;
    stage.once();
    let events = stage.vehicle_events().await;
    for (id, first) in [("a", 1), ("b", 2)] {
        let counts: Vec<&serde_json::Value> = events[id].iter().map(|(_, vehicle)| &vehicle["n"]).collect();
        assert_eq!(counts, [first, first + 100, 3, 103], "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_connector_waits_and_takes_over_from_one_that_is_killed() {
    let stage = Stage::start("two").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    let first = stage.connector();
    stage.sql("INSERT INTO vehicles VALUES ('a', 1)").await;
    stage.delivered().await;
    let second = stage.connector();
    second.says("connect.waits");
    let third = stage.run(&["--once"]);
    assert_eq!(third.status.code(), Some(1));
    assert!(err(&third).contains("another connector works on this outbox"), "{}", err(&third));
    stage.sql("UPDATE vehicles SET n = 2").await;
    stage.delivered().await;
    first.kill();
    second.says("connect.begins");
    stage.sql("UPDATE vehicles SET n = 3").await;
    stage.delivered().await;
    second.stop();
    let counts: Vec<serde_json::Value> =
        stage.vehicle_events().await["a"].iter().map(|(_, vehicle)| vehicle["n"].clone()).collect();
    assert_eq!(counts, [1, 2, 3]);
}
