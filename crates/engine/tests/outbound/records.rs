//! Rules that fire once, over writes that are repeated, crashes, scans that race, and nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::rules::Content;
use postrider_engine::EngineError;
use postrider_engine::catalogue::Tenant;
use postrider_engine::derive::place::Place;
use postrider_engine::derive::records::{Change, Condition, Edit, Written};
use postrider_store::{EventFilter, Order};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::house::{House, all_of};

const ORDERS: usize = 3;

/// What happens to an installation of system A.
#[derive(Debug, Clone)]
enum Step {
    Put {
        order: usize,
        status: &'static str,
        due: Option<bool>,
    },
    Delete {
        order: usize,
    },
    Scan,
    /// Two at once.
    Race,
    PowerLoss,
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![Just("open"), Just("in_progress"), Just("completed"), Just("on_hold")];
    let put = (0..ORDERS, status, proptest::option::of(any::<bool>()))
        .prop_map(|(order, status, due)| Step::Put { order, status, due });
    prop_oneof![
        6 => put,
        1 => (0..ORDERS).prop_map(|order| Step::Delete { order }),
        2 => Just(Step::Scan),
        1 => Just(Step::Race),
        1 => Just(Step::PowerLoss),
    ]
}

/// What should have been told, as anybody would work it out by hand.
#[derive(Default)]
struct Model {
    orders: BTreeMap<usize, (&'static str, Option<bool>)>,
    told: BTreeSet<(String, String)>,
}

impl Model {
    fn tell(&mut self, event: &str, order: usize) {
        self.told.insert((event.to_owned(), id(order)));
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put { order, status, due } => {
                self.tell("wo.created", *order);
                let before = self.orders.insert(*order, (status, *due));
                if *status == "completed" && before.is_none_or(|(before, _)| before != "completed") {
                    self.tell("wo.completed", *order);
                }
            }
            Step::Delete { order } => drop(self.orders.remove(order)),
            Step::Scan | Step::Race => {
                for (order, (status, due)) in self.orders.clone() {
                    if due == Some(true) && ["open", "in_progress"].contains(&status) {
                        self.tell("wo.overdue", order);
                    }
                }
            }
            Step::PowerLoss => {}
        }
    }
}

fn id(order: usize) -> String {
    format!("wo-{order}")
}

fn content(value: &Value) -> Content {
    Content::read(value.to_string().into_bytes()).expect("an object")
}

async fn change(
    house: &House,
    tenant: &Arc<Tenant>,
    kind: &str,
    id: &str,
    edit: Edit,
) -> Result<Written, EngineError> {
    let place = Place::find(house.engine.catalogue(), kind, Some(tenant), false, None)
        .expect("a kind of the profile");
    let change = Change { id: id.to_owned(), edit, old: None, condition: Condition::None };
    house.engine.derive().record_change(&place, change).await
}

/// Every event with the work order that it tells of.
async fn told(house: &House, tenant: &Tenant) -> Vec<(String, String)> {
    let oldest = Order::OldestFirst { after: None };
    let events = house.engine.store().event_list(tenant.id, &EventFilter::default(), oldest, 1000).await;
    let events = events.expect("events");
    let order = |data: &[u8]| {
        let data: Value = serde_json::from_slice(data).expect("JSON");
        data["work_order_id"].as_str().expect("an id").to_owned()
    };
    events.iter().map(|event| (event.event_type.to_string(), order(&event.data))).collect()
}

async fn take(house: House, tenant: &Arc<Tenant>, step: &Step) -> House {
    match step {
        Step::Put { order, status, due } => {
            let due = due.map(|past| if past { "2026-04-01" } else { "2027-04-01" });
            let order_content = json!({"title": "t", "status": status, "due_date": due});
            let put = Edit::Put(content(&order_content));
            change(&house, tenant, "work_order", &id(*order), put).await.expect("a record is written");
        }
        Step::Delete { order } => {
            // It may not be there.
            let _ = change(&house, tenant, "work_order", &id(*order), Edit::Delete).await;
        }
        Step::Scan => {
            house.engine.derive().look(tenant.id, house.now_by_clock()).await.expect("a scan");
        }
        Step::Race => {
            let look = || house.engine.derive().look(tenant.id, house.now_by_clock());
            let (one, other) = tokio::join!(look(), look());
            one.and(other).expect("both scans end well");
        }
        Step::PowerLoss => return house.after_power_loss().await,
    }
    house
}

/// `twice`: all of it is done once more, as by a caller who does not know how far it came.
async fn run(steps: &[Step], twice: bool) {
    let mut house = House::open().await;
    let tenant = house.tenant("runtight").await;
    let mut model = Model::default();
    for _ in 0..=usize::from(twice) {
        for step in steps {
            model.step(step);
            house = take(house, &tenant, step).await;
        }
    }
    let mut told = told(&house, &tenant).await;
    let count = told.len();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), count, "nothing is told twice");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), model.told);
    house.ledger_balances().await;
}

fn each_sequence(twice: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&proptest::collection::vec(step(), 1..14), |steps| {
            runtime.block_on(run(&steps, twice));
            Ok(())
        })
        .expect("each sequence holds");
}

#[test]
fn on_disk_any_sequence_of_writes_scans_and_crashes_fires_each_rule_once() {
    each_sequence(false);
}

#[test]
fn on_disk_the_same_sequence_done_twice_fires_nothing_twice() {
    each_sequence(true);
}

#[tokio::test]
async fn many_writers_of_one_record_lose_nothing_and_fire_once() {
    let house = House::open().await;
    let tenant = house.tenant("rcmanager").await;
    let part = |quantity: i64| content(&json!({"quantity": quantity, "threshold": 5}));
    change(&house, &tenant, "part", "p-1", Edit::Put(part(9))).await.expect("a record");
    let patch = |n: usize| {
        let patch = json!({format!("n{n}"): n, "quantity": 3}).to_string();
        change(&house, &tenant, "part", "p-1", Edit::Patch(patch.into_bytes().into()))
    };
    let all = all_of((0..20).map(patch)).await;
    let fired: usize = all.into_iter().map(|written| written.expect("each is written").events.len()).sum();
    assert_eq!(fired, 1, "it became low once");
    let place = Place::find(house.engine.catalogue(), "part", Some(&tenant), false, None).expect("a kind");
    let state = house.engine.derive().record_get(&place, "p-1").await.expect("it is there");
    let data: Value = serde_json::from_slice(&state.record.expect("a record").data).expect("JSON");
    assert!((0..20).all(|n| data[format!("n{n}")] == json!(n)), "{data}");
}

#[tokio::test]
async fn two_nodes_write_and_scan_the_same_records_and_each_rule_fires_once() {
    let [one, other] = House::two_nodes().await;
    let tenant = one.tenant("runtight").await;
    other.heard(|catalogue| catalogue.tenant(tenant.id).is_some()).await;
    let put = |house: &'static str, n: usize| {
        let node = if house == "one" { &one } else { &other };
        let order = content(&json!({"status": "open", "due_date": "2026-04-01", "by": house}));
        let tenant = tenant.clone();
        async move { change(node, &tenant, "work_order", &format!("wo-{n}"), Edit::Put(order)).await }
    };
    let writes = (0..30).flat_map(|n| [put("one", n), put("other", n)]);
    for written in all_of(writes).await {
        written.expect("each is written");
    }
    one.clock.advance(Duration::from_secs(1));
    let look = |house: &House| {
        let (engine, until, tenant) = (house.engine.clone(), house.now_by_clock(), tenant.id);
        async move { engine.derive().look(tenant, until).await.expect("a scan").events }
    };
    let (a, b, c) = tokio::join!(look(&one), look(&other), look(&one));
    assert_eq!(a + b + c, 30, "{a} {b} {c}");
    let tenant = one.engine.catalogue().tenant_by_public_id("a-runtight").expect("the tenant");
    let mut told = told(&one, &tenant).await;
    told.sort();
    let count = told.len();
    told.dedup();
    assert_eq!((told.len(), count), (60, 60), "wo.created and wo.overdue of each");
}
