//! The other side of runs: whom their `http` steps ask, and where their events are delivered. It writes everything down, and
//! fails and dawdles now and then.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_testkit::random::SeededRandom;
use postrider_testkit::receiver::{Answer, Gate, Received, Receiver};
use serde_json::Value;

use super::judge::{Asked, Emitted};

const ASKED: &str = "/ask";
const EVENTS: &str = "/events";
/// The first request of one run in so many is refused.
const REFUSED_ONE_IN: u64 = 20;
/// One answer in so many is slow, so that kills meet requests in flight.
const SLOW_ONE_IN: u64 = 3;
const SLOW_MAX: Duration = Duration::from_millis(150);
const POISON: &str = "because nothing panics while it holds the lock";

#[derive(Default)]
struct Notes {
    asked: Vec<Asked>,
    received: Vec<Emitted>,
    /// Keys that were seen before.
    known: HashSet<String>,
}

pub(super) struct Other {
    receiver: Receiver,
    notes: Arc<Mutex<Notes>>,
}

impl Other {
    pub(super) async fn start(random: Arc<SeededRandom>) -> Self {
        let receiver = Receiver::start().await;
        let notes = Arc::new(Mutex::new(Notes::default()));
        let record = Arc::clone(&notes);
        receiver.answer_with(move |received| {
            let status = record.lock().expect(POISON).note(received, &random);
            answer(status, &random)
        });
        Self { receiver, notes }
    }

    pub(super) fn asked_url(&self) -> String {
        self.receiver.url(ASKED)
    }

    pub(super) fn events_url(&self) -> String {
        self.receiver.url(EVENTS)
    }

    pub(super) fn count(&self) -> usize {
        self.notes.lock().expect(POISON).asked.len()
    }

    pub(super) fn account(&self) -> (Vec<Asked>, Vec<Emitted>) {
        let notes = self.notes.lock().expect(POISON);
        (notes.asked.clone(), notes.received.clone())
    }
}

impl Notes {
    fn note(&mut self, received: &Received, random: &SeededRandom) -> u16 {
        let body: Value = serde_json::from_slice(&received.body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or("(none)").to_owned();
        if received.path == EVENTS {
            let event = received.header("webhook-id").unwrap_or("(none)").to_owned();
            self.received.push(Emitted { event, run: text(&body["data"]["run"]) });
            return 200;
        }
        let key = received.header("idempotency-key").unwrap_or("(none)").to_owned();
        let first = self.known.insert(key.clone());
        let status = if first && random.one_in(REFUSED_ONE_IN) { 503 } else { 200 };
        self.asked.push(Asked { idempotency_key: key, invocation: text(&body["id"]), status });
        status
    }
}

fn answer(status: u16, random: &SeededRandom) -> Answer {
    let answer = Answer::status(status);
    if !random.one_in(SLOW_ONE_IN) {
        return answer;
    }
    let wait = Duration::from_millis(random.below(SLOW_MAX.as_millis() as u64));
    let gate = Gate::closed();
    let answer = answer.behind(&gate);
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        gate.open();
    });
    answer
}
