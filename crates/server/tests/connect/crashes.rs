//! Both sides die, at any moment, and no event is lost, none is there twice, and none changes places.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use postrider_testkit::postgres::{Postgres, look_until};
use postrider_testkit::random::SeededRandom;
use serde_json::{Value, json};

use crate::stage::{PATIENCE, Stage, TENANT, session};

const VEHICLES: &str = "CREATE TABLE vehicles (id text PRIMARY KEY, n bigint NOT NULL)";
const SHARED_ROWS: u64 = 5;

/// What a writer has committed: for each of its own rows, the events that must follow.
type Told = BTreeMap<String, Vec<(String, Value)>>;

/// Changes rows of its own and rows that all share, until it is told to stop. A shared row only counts up.
async fn write(
    url: String,
    name: &'static str,
    random: Arc<SeededRandom>,
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Told {
    let mut session = session(&url).await;
    let mut told = Told::new();
    let mut there: BTreeMap<String, i64> = BTreeMap::new();
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let shared = format!("shared-{}", random.below(SHARED_ROWS));
        let own = format!("{name}-{}", random.below(20));
        let rolled_back = random.below(10) == 0;
        next += 1;
        let (change, event) = match there.get(&own) {
            None => ("INSERT INTO vehicles (id, n) VALUES ($1, $2)", "vehicle.created"),
            Some(_) if random.below(4) == 0 => {
                ("DELETE FROM vehicles WHERE id = $1 AND $2 > 0", "vehicle.deleted")
            }
            Some(_) => ("UPDATE vehicles SET n = $2 WHERE id = $1", "vehicle.updated"),
        };
        let both = async {
            sqlx::query("BEGIN").execute(&mut session).await?;
            sqlx::query("UPDATE vehicles SET n = n + 1 WHERE id = $1")
                .bind(&shared)
                .execute(&mut session)
                .await?;
            sqlx::query(change).bind(&own).bind(next).execute(&mut session).await?;
            sqlx::query(if rolled_back { "ROLLBACK" } else { "COMMIT" }).execute(&mut session).await
        };
        both.await.unwrap_or_else(|error| panic!("{error}"));
        if rolled_back {
            continue;
        }
        let data = match event {
            "vehicle.deleted" => {
                there.remove(&own);
                json!({ "id": own })
            }
            _ => {
                there.insert(own.clone(), next);
                json!({ "id": own, "n": next })
            }
        };
        told.entry(own).or_default().push((event.to_owned(), data));
        done.fetch_add(1, Ordering::Relaxed);
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_at_any_moment_nothing_is_lost_and_nothing_comes_twice() {
    const KILLS: u64 = 8;
    let mut stage = Stage::start("killed").await;
    stage.sql(VEHICLES).await;
    stage.sql("INSERT INTO vehicles SELECT 'shared-' || n, 0 FROM generate_series(0, 4) AS n").await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    let random = Arc::new(SeededRandom::fresh());
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut connector = stage.connector();
    let writers: Vec<_> = ["x", "y"]
        .map(|name| tokio::spawn(write(stage.url.clone(), name, random.clone(), done.clone(), stop.clone())))
        .into();
    for kill in 0..KILLS {
        let until = done.load(Ordering::Relaxed) + 50 + random.below(250);
        assert!(look_until(PATIENCE, || done.load(Ordering::Relaxed) >= until), "the writers stand still");
        if kill % 2 == 0 {
            connector.kill();
            connector = stage.connector();
        } else {
            stage.kill_server();
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut expected = Told::new();
    for writer in writers {
        expected.append(&mut writer.await.expect("a writer that ends well"));
    }
    stage.delivered().await;
    connector.stop();
    let mut events = stage.vehicle_events().await;
    for row in 0..SHARED_ROWS {
        let events = events.remove(&format!("shared-{row}")).expect("its events");
        let counts: Vec<i64> =
            events.iter().map(|(_, vehicle)| vehicle["n"].as_i64().expect("a number")).collect();
        // Up to what the source has, by one each time.
        let last = *counts.last().expect("it was changed");
        assert_eq!(counts, (1..=last).collect::<Vec<_>>(), "shared-{row}");
    }
    assert_eq!(events, expected);
    let mut rows = BTreeMap::new();
    for (id, n) in sqlx::query_as::<_, (String, i64)>("SELECT id, n FROM vehicles")
        .fetch_all(&mut stage.session().await)
        .await
        .expect("rows")
    {
        rows.insert(id.clone(), json!({ "id": id, "n": n }));
    }
    assert_eq!(stage.records(TENANT, "vehicle").await, rows);
    eprintln!("{} commits, {KILLS} kills", done.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_answer_is_lost_has_its_effect_once() {
    let stage = Stage::start("answer_lost").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage.sql("INSERT INTO vehicles SELECT 'v' || n, n FROM generate_series(1, 300) AS n").await;
    stage.sql("DELETE FROM vehicles; INSERT INTO vehicles VALUES ('v1', 1)").await;
    // Carried out, and not heard of; the connector asks again.
    let cut = stage.proxy.cut_after_request(b"postrider-outbox-");
    stage.once();
    in_time(cut).await;
    // The same once more, where the connector dies with it.
    let cut = stage.proxy.cut_after_request(b"postrider-outbox-");
    stage.sql("UPDATE vehicles SET n = 2").await;
    let connector = stage.connector();
    in_time(cut).await;
    connector.kill();
    stage.once();
    let events = stage.vehicle_events().await;
    assert_eq!(events.values().map(Vec::len).sum::<usize>(), 602);
    let of_v1: Vec<&str> = events["v1"].iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(of_v1, ["vehicle.created", "vehicle.deleted", "vehicle.created", "vehicle.updated"]);
}

/// Waits until a request went through.
async fn in_time(cut: tokio::sync::oneshot::Receiver<()>) {
    let through = tokio::time::timeout(PATIENCE, cut).await;
    through.expect("a request in time").expect("because the proxy is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_restarted_and_killed_under_it() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.expect("a server");
    let stage = Stage::start_on(postgres.url(), None).await;
    stage.sql(VEHICLES).await;
    stage.sql("INSERT INTO vehicles VALUES ('a', 0)").await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    let connector = stage.connector();
    for round in 0..4 {
        for _ in 0..30 {
            stage.sql("UPDATE vehicles SET n = n + 1").await;
        }
        if round % 2 == 0 {
            postgres.restart();
        } else {
            postgres.kill();
            postgres.start_again();
        }
    }
    stage.sql("UPDATE vehicles SET n = n + 1").await;
    stage.delivered().await;
    connector.says("the source is away");
    connector.says("the source is back");
    connector.stop();
    let events = stage.vehicle_events().await;
    let counts: Vec<i64> =
        events["a"].iter().map(|(_, vehicle)| vehicle["n"].as_i64().expect("a number")).collect();
    assert_eq!(counts, (1..=121).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postrider_is_away_the_application_writes_and_the_connector_can_be_stopped() {
    let stage = Stage::start("away").await;
    stage.sql(VEHICLES).await;
    stage.apply("vehicles", "vehicle", &["--tenant", TENANT]);
    stage.proxy.cut();
    let connector = stage.connector();
    stage.sql("INSERT INTO vehicles VALUES ('a', 1), ('b', 1)").await;
    connector.says("Postrider is away");
    stage.sql("UPDATE vehicles SET n = 2").await;
    connector.stop();
    assert_eq!(stage.count("SELECT count(*) FROM postrider_outbox").await, 4);
    let connector = stage.connector();
    assert!(look_until(PATIENCE, || connector.log().matches("Postrider is away").count() == 2));
    stage.proxy.mend();
    stage.delivered().await;
    connector.says("Postrider is back");
    connector.stop();
    let events = stage.vehicle_events().await;
    assert_eq!(events.values().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
}
