//! The receivers: one recording server, told apart by path, that fails and dawdles now and then.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_testkit::random::SeededRandom;
use postrider_testkit::receiver::{Answer, Gate, Received, Receiver};
use sha2::{Digest, Sha256};

use super::checker::{Pair, Seen};

/// One delivery in so many is refused at its first attempt.
const REFUSED_ONE_IN: u64 = 20;
/// One answer in so many is slow, so that faults meet attempts in flight.
const SLOW_ONE_IN: u64 = 4;

pub(crate) struct Endpoints {
    receiver: Receiver,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Endpoints {
    /// `slow_max`: how long a slow answer may take.
    pub(crate) async fn start(random: Arc<SeededRandom>, slow_max: Duration) -> Self {
        let receiver = Receiver::start().await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let mut times = HashMap::new();
        receiver.answer_with(move |received| {
            let pair = pair(received);
            let before: &mut u32 = times.entry(pair.clone()).or_default();
            *before += 1;
            let refused = *before == 1 && random.one_in(REFUSED_ONE_IN);
            let status = if refused { 503 } else { 200 };
            let body_sha256 = hex::encode(Sha256::digest(&received.body));
            record.lock().expect("because nothing panics while it holds the lock").push(Seen {
                pair,
                body_sha256,
                status,
            });
            answer(status, &random, slow_max)
        });
        Self { receiver, seen }
    }

    pub(crate) fn url(&self, label: &str) -> String {
        self.receiver.url(&format!("/{label}"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.receiver.address()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().expect("because nothing panics while it holds the lock").len()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("because nothing panics while it holds the lock").clone()
    }
}

/// The event by `webhook-id` (Standard Webhooks 1.0), the webhook by its path.
fn pair(received: &Received) -> Pair {
    Pair {
        event: received.header("webhook-id").unwrap_or("(no webhook-id)").to_owned(),
        webhook: received.path.trim_start_matches('/').to_owned(),
    }
}

fn answer(status: u16, random: &SeededRandom, slow_max: Duration) -> Answer {
    let answer = Answer::status(status);
    if !random.one_in(SLOW_ONE_IN) {
        return answer;
    }
    let wait = Duration::from_millis(random.below(slow_max.as_millis() as u64));
    let gate = Gate::closed();
    let answer = answer.behind(&gate);
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        gate.open();
    });
    answer
}
