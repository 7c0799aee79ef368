//! Follows every run that was acknowledged to its end, makes the event that it waits for, and keeps what it looked like when it
//! had ended.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::sender::AWAITED;
use crate::failure::{Failure, Result};
use crate::product::Api;

/// A server that says nothing for so long is asked again.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Between two looks: one run of the load is looked at each time.
const PACE: Duration = Duration::from_millis(2);
const AGAIN_AFTER: Duration = Duration::from_millis(20);

pub(super) struct Followed {
    pub(super) run: String,
    pub(super) tenant: &'static str,
    pub(super) invocation: String,
    /// It waits for an event, until that is made.
    pub(super) awaits: bool,
}

/// Until nobody tells of more runs and all have ended. Gives them as they were then, by their ids.
pub(super) async fn follow(
    server: watch::Receiver<SocketAddr>,
    mut news: mpsc::UnboundedReceiver<Followed>,
) -> BTreeMap<String, Value> {
    let (mut ended, mut open) = (BTreeMap::new(), VecDeque::new());
    let mut api = None;
    loop {
        while let Ok(one) = news.try_recv() {
            open.push_back(one);
        }
        let Some(mut one) = open.pop_front() else {
            match news.recv().await {
                Some(one) => open.push_back(one),
                None => return ended,
            }
            continue;
        };
        let looked = timeout(ANSWER_MAX, look(&mut api, &server, &mut one)).await;
        match looked.unwrap_or_else(|_| Err(Failure::new("no answer"))) {
            Ok(Some(view)) => drop(ended.insert(one.run, view)),
            Ok(None) => open.push_back(one),
            Err(_) => {
                api = None;
                open.push_front(one);
                sleep(AGAIN_AFTER).await;
                continue;
            }
        }
        sleep(PACE).await;
    }
}

/// The run as it is when it has ended.
async fn look(
    api: &mut Option<Api>,
    server: &watch::Receiver<SocketAddr>,
    one: &mut Followed,
) -> Result<Option<Value>> {
    let address = *server.borrow();
    let mut connected = match api.take() {
        Some(connected) => connected,
        None => Api::connect(address).await?,
    };
    let view = connected.get(&format!("/v1/runs/{}", one.run), one.tenant).await?;
    let steps = view["steps"].as_array().into_iter().flatten();
    let waits = steps.clone().any(|step| step["path"] == "paid" && step["status"] == "pending");
    if one.awaits && waits {
        // The same id however often it is sent.
        let id = format!("paid-{}", one.invocation);
        let event = json!({"id": id, "type": AWAITED, "data": {"id": one.invocation}});
        connected.call(Method::POST, "/v1/events", one.tenant, &event).await?;
        one.awaits = false;
    }
    *api = Some(connected);
    Ok((!view["finishedAt"].is_null()).then_some(view))
}
