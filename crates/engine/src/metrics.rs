//! What the process counts, in Prometheus' terms. No tenant is ever a label: their number has no bound.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use postrider_domain::delivery::{AttemptClass, DeliveryState};
use postrider_domain::run::RunState;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

type Label = [(&'static str, &'static str); 1];

/// Seconds. From a kept-alive socket on the same host to the longest timeout.
const ATTEMPT_BUCKETS: [f64; 12] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0];

/// Seconds. A claim is a statement or two: from an idle store to one in trouble.
const CLAIM_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0];

pub struct Metrics {
    registry: Registry,
    events_accepted: Counter,
    deliveries_accepted: Counter,
    /// Counters of their own, found by index: a family looks its labels up under a lock.
    deliveries: Vec<Counter>,
    attempts: Vec<Counter>,
    attempt_seconds: Histogram,
    claim_seconds: Histogram,
    records_changed: Counter,
    rule_errors: Counter,
    due_looked_at: Counter,
    runs_started: Counter,
    runs_ended: Vec<Counter>,
    step_requests: Counter,
    in_hand: Gauge<i64, AtomicI64>,
    in_flight: Gauge<i64, AtomicI64>,
    idle_sockets: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("postrider");
        let events_accepted = Counter::default();
        registry.register("events_accepted", "Events accepted", events_accepted.clone());
        let deliveries_accepted = Counter::default();
        registry.register(
            "deliveries_accepted",
            "Deliveries made with their events",
            deliveries_accepted.clone(),
        );
        let by_state = Family::<Label, Counter>::default();
        registry.register("deliveries", "Deliveries that came to a state after an attempt", by_state.clone());
        let by_class = Family::<Label, Counter>::default();
        registry.register("attempts", "Attempts by class", by_class.clone());
        let attempt_seconds = Histogram::new(ATTEMPT_BUCKETS);
        registry.register("attempt_seconds", "Duration of attempts", attempt_seconds.clone());
        let claim_seconds = Histogram::new(CLAIM_BUCKETS);
        registry.register(
            "claim_seconds",
            "Duration of claims of what is due, in the store",
            claim_seconds.clone(),
        );
        let records_changed = Counter::default();
        registry.register("records_changed", "Records written, deleted or made", records_changed.clone());
        let rule_errors = Counter::default();
        registry.register("rule_errors", "What rules could not decide", rule_errors.clone());
        let due_looked_at = Counter::default();
        registry.register(
            "records_due",
            "Due times of records that came and were looked at",
            due_looked_at.clone(),
        );
        let runs_started = Counter::default();
        registry.register("runs_started", "Runs of workflows that began", runs_started.clone());
        let runs_by_state = Family::<Label, Counter>::default();
        registry.register("runs_ended", "Runs of workflows that ended", runs_by_state.clone());
        let runs_ended = RunState::ALL
            .iter()
            .map(|state| runs_by_state.get_or_create_owned(&[("state", state.as_str())]))
            .collect();
        let step_requests = Counter::default();
        registry.register("step_requests", "HTTP requests of steps", step_requests.clone());
        let in_hand = Gauge::default();
        registry.register(
            "deliveries_in_hand",
            "Deliveries claimed and held in memory: about to be sent, under way, or being written down",
            in_hand.clone(),
        );
        let in_flight = Gauge::default();
        registry.register("attempts_in_flight", "Attempts under way", in_flight.clone());
        let idle_sockets = Gauge::default();
        registry.register("idle_sockets", "Kept-alive sockets that nobody uses", idle_sockets.clone());
        Self {
            deliveries: DeliveryState::ALL
                .iter()
                .map(|state| by_state.get_or_create_owned(&[("state", state.as_str())]))
                .collect(),
            attempts: AttemptClass::ALL
                .iter()
                .map(|class| by_class.get_or_create_owned(&[("class", class.as_str())]))
                .collect(),
            registry,
            events_accepted,
            deliveries_accepted,
            attempt_seconds,
            claim_seconds,
            records_changed,
            rule_errors,
            due_looked_at,
            runs_started,
            runs_ended,
            step_requests,
            in_hand,
            in_flight,
            idle_sockets,
        }
    }
}

impl Metrics {
    pub fn event_accepted(&self, deliveries: usize) {
        self.events_accepted.inc();
        self.deliveries_accepted.inc_by(deliveries as u64);
    }

    pub fn delivery_moved(&self, state: DeliveryState) {
        self.deliveries[state.code() as usize].inc();
    }

    pub fn attempt_done(&self, class: AttemptClass, total_us: u64) {
        self.attempts[class.code() as usize].inc();
        self.attempt_seconds.observe(total_us as f64 / 1e6);
    }

    pub fn claim_done(&self, took: Duration) {
        self.claim_seconds.observe(took.as_secs_f64());
    }

    /// `due`: due times that had come and were looked at.
    pub fn records_written(&self, changed: u64, errors: u64, due: u64) {
        self.records_changed.inc_by(changed);
        self.rule_errors.inc_by(errors);
        self.due_looked_at.inc_by(due);
    }

    pub fn run_started(&self) {
        self.runs_started.inc();
    }

    pub fn run_ended(&self, state: RunState) {
        self.runs_ended[state.code() as usize].inc();
    }

    pub fn step_request_done(&self) {
        self.step_requests.inc();
    }

    /// The text that Prometheus reads.
    pub fn encode(&self, in_hand: usize, in_flight: usize, idle_sockets: usize) -> String {
        self.in_hand.set(in_hand as i64);
        self.in_flight.set(in_flight as i64);
        self.idle_sockets.set(idle_sockets as i64);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("because writing to a string does not fail");
        text
    }
}
