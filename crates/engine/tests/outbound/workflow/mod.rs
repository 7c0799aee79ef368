//! The way of a run, from what starts it to its end.

mod calls;
mod control;
mod crash;
mod emits;
mod http;
mod nodes;
mod responds;
mod steps;
mod triggers;
mod waits;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use bytes::Bytes;
use postrider_domain::id::{RunId, TriggerId};
use postrider_domain::run::{RunState, StepStatus, TriggerKind};
use postrider_domain::time::{Clock, Timestamp};
use postrider_engine::Answered;
use postrider_engine::catalogue::Tenant;
use postrider_engine::control::{Actor, Created, NewTrigger, TriggerPatch};
use postrider_engine::inbound::receive::{Came, Reply};
use postrider_engine::inbound::registered::RegisteredWorkflow;
use postrider_engine::inbound::trigger::Trigger;
use postrider_store::runs::{RunAttemptRow, RunFilter, RunRow, StepRow};
use postrider_store::{AttemptRow, EventFilter, Order, StoredEvent};
use postrider_testkit::clock::turn;
use postrider_testkit::receiver::Receiver;
use serde_json::{Map, Value, json};

use crate::house::House;

/// A tenant of a house, and somebody that its workflows speak with.
struct Stage {
    house: House,
    tenant: Arc<Tenant>,
    receiver: Receiver,
}

impl Stage {
    async fn open() -> Self {
        Self::of("standard").await
    }

    async fn of(profile: &str) -> Self {
        let house = House::open().await;
        let tenant = house.tenant(profile).await;
        Self { house, tenant, receiver: Receiver::start().await }
    }

    /// The same installation in another process.
    fn seen_by(&self, house: House) -> Stay {
        let tenant = house.engine.catalogue().tenant(self.tenant.id).expect("the tenant is there");
        Stay { house, tenant }
    }

    async fn restarted(self) -> Self {
        let Self { house, tenant, receiver } = self;
        Self { house: house.restarted().await, tenant, receiver }
    }
}

impl std::ops::Deref for Stage {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

/// One node's view of a tenant.
struct Stay {
    house: House,
    tenant: Arc<Tenant>,
}

/// Whoever runs workflows.
trait Runs {
    fn house(&self) -> &House;
    fn tenant(&self) -> Arc<Tenant>;

    async fn put(&self, name: &str, definition: Value) -> Arc<RegisteredWorkflow> {
        let control = self.house().engine.control();
        let put = control.workflow_put(&Actor::postrider(), &self.tenant(), name, definition).await;
        put.expect("the definition is good").workflow
    }

    /// A workflow `flow` of these steps.
    async fn steps(&self, steps: Value) -> Arc<RegisteredWorkflow> {
        self.put("flow", json!({ "steps": steps })).await
    }

    async fn start(&self, name: &str, input: Value) -> RunId {
        let tenant = self.tenant();
        let workflow = tenant.inbound.workflow(name).expect("the workflow is there").clone();
        let engine = &self.house().engine;
        let begun = engine.runner().start_by_hand(&tenant, &workflow, None, Some(input), None).await;
        match begun.expect("it starts") {
            Answered::Fresh(begun) => begun.run,
            Answered::Replayed(_) => panic!("no idempotency key was given"),
        }
    }

    async fn begin(&self, input: Value) -> RunId {
        self.start("flow", input).await
    }

    async fn row(&self, run: RunId) -> RunRow {
        let row = self.house().engine.store().run_get(self.tenant().id, run).await;
        row.expect("an answer").expect("the run is there")
    }

    async fn steps_of(&self, run: RunId) -> Vec<StepRow> {
        self.house().engine.store().run_steps(self.tenant().id, run).await.expect("steps")
    }

    async fn step(&self, run: RunId, path: &str) -> StepRow {
        let steps = self.steps_of(run).await;
        let found = steps.iter().find(|step| step.path == path);
        found.unwrap_or_else(|| panic!("no step {path} in {steps:#?}")).clone()
    }

    async fn attempts_of(&self, run: RunId) -> Vec<AttemptRow> {
        let rows = self.house().engine.store().run_attempts(self.tenant().id, run).await.expect("attempts");
        rows.into_iter().map(|RunAttemptRow { attempt, .. }| attempt).collect()
    }

    async fn output(&self, run: RunId) -> Value {
        let output = self.house().engine.store().run_output(self.tenant().id, run).await.expect("an answer");
        serde_json::from_slice(&output.expect("an output")).expect("JSON")
    }

    /// Waits until `holds` is true of a run. What it waits for needs no time to pass.
    async fn until(&self, run: RunId, holds: impl Fn(&RunRow) -> bool) -> RunRow {
        let patience = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let row = self.row(run).await;
            if holds(&row) {
                return row;
            }
            if tokio::time::Instant::now() > patience {
                panic!("waited in vain: {row:#?} {:#?}", self.steps_of(run).await);
            }
            turn().await;
        }
    }

    async fn ended(&self, run: RunId) -> RunRow {
        self.until(run, |row| row.state.is_final()).await
    }

    async fn in_state(&self, run: RunId, state: RunState) -> RunRow {
        self.until(run, |row| row.state == state).await
    }

    /// Waits until the run waits and nobody works on anything, and says until when it does.
    async fn due(&self, run: RunId) -> Timestamp {
        let waits = |row: &RunRow| row.state == RunState::Waiting && self.house().engine.in_hand() == 0;
        let row = self.until(run, waits).await;
        row.due.expect("it waits for a time")
    }

    /// Moves the clock to when the run is due, and says how long that was.
    async fn pass_until_due(&self, run: RunId) -> Duration {
        let due = self.due(run).await;
        let wait = due.since(self.house().clock.now());
        self.house().clock.set(self.house().clock.now().max(due));
        wait
    }

    /// Oldest first.
    async fn runs(&self) -> Vec<RunRow> {
        let store = self.house().engine.store();
        let mut runs = store.runs(self.tenant().id, RunFilter::default(), 10_000).await.expect("runs");
        runs.reverse();
        runs
    }

    async fn all_ended(&self, count: usize) -> Vec<RunRow> {
        let patience = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let runs = self.runs().await;
            if runs.len() >= count && runs.iter().all(|run| run.state.is_final()) {
                return runs;
            }
            assert!(tokio::time::Instant::now() < patience, "waited in vain for {count}: {runs:#?}");
            turn().await;
        }
    }

    async fn input(&self, run: RunId) -> Value {
        let input = self.house().engine.store().run_input(self.tenant().id, run).await.expect("an answer");
        serde_json::from_slice(&input.expect("an input")).expect("JSON")
    }

    /// Oldest first.
    async fn events(&self) -> Vec<StoredEvent> {
        let oldest = Order::OldestFirst { after: None };
        let store = self.house().engine.store();
        store.event_list(self.tenant().id, &EventFilter::default(), oldest, 1000).await.expect("events")
    }

    async fn trigger(&self, workflow: &str, kind: TriggerKind, settings: Value) -> Arc<Trigger> {
        let settings: Map<String, Value> = settings.as_object().cloned().expect("an object");
        let new = NewTrigger {
            kind,
            name: None,
            enabled: None,
            secrets: Vec::new(),
            generate_secret: false,
            verify_token: None,
            settings,
        };
        let control = self.house().engine.control();
        match control.trigger_create(&Actor::postrider(), &self.tenant(), workflow, new, None).await {
            Ok(Created::Fresh(changed)) => changed.trigger,
            other => panic!("the trigger was not made: {other:?}"),
        }
    }

    async fn change(&self, workflow: &str, trigger: TriggerId, patch: TriggerPatch) -> Arc<Trigger> {
        let control = self.house().engine.control();
        let changed =
            control.trigger_update(&Actor::postrider(), &self.tenant(), workflow, trigger, patch).await;
        changed.expect("the trigger is changed").trigger
    }

    /// What a request to a trigger is told.
    async fn invoke(&self, trigger: &Trigger, body: &str, headers: &[(&'static str, &str)]) -> Reply {
        let inbound = self.house().engine.inbound();
        let mut map = HeaderMap::new();
        map.insert("content-type", "application/json".parse().expect("a value"));
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a value"));
        }
        let slug = trigger.slug.as_deref().expect("a webhook trigger");
        let came = Came {
            method: "POST".into(),
            url: format!("https://hooks.example.com/{slug}"),
            query: String::new(),
            headers: map,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        match inbound.admit(slug, &came).await.expect("it is looked at") {
            Ok(admitted) => {
                let body = Bytes::copy_from_slice(body.as_bytes());
                inbound.take(admitted, came, body, None).await.expect("it is taken")
            }
            Err(reply) => reply,
        }
    }
}

impl Runs for Stage {
    fn house(&self) -> &House {
        &self.house
    }

    fn tenant(&self) -> Arc<Tenant> {
        self.house.now(&self.tenant)
    }
}

impl Runs for Stay {
    fn house(&self) -> &House {
        &self.house
    }

    fn tenant(&self) -> Arc<Tenant> {
        self.house.now(&self.tenant)
    }
}

/// What a step left behind.
fn left(step: &StepRow) -> Value {
    step.output.as_deref().map_or(Value::Null, |output| serde_json::from_slice(output).expect("JSON"))
}

fn statuses(steps: &[StepRow]) -> Vec<(&str, StepStatus)> {
    steps.iter().map(|step| (step.path.as_str(), step.status)).collect()
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
