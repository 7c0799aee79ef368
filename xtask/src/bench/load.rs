//! The two kinds of load: as fast as the product answers, and so many a second whatever it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::sink::SENT_AT;
use crate::clock::now_ns;
use crate::failure::{Failure, Result};
use crate::product::Api;

/// A rendered body of the standard profile has 512 bytes: its data, and some 70 bytes of envelope around it.
const DATA_BYTES: usize = 443;
pub(super) const EVENT_TYPE: &str = "bench.event";

/// Where the load goes.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) server: SocketAddr,
    /// Used in turn.
    pub(super) tenants: Arc<Vec<String>>,
}

/// A publication whose data, rendered, makes a body of 512 bytes. `sent_at` goes in for the sink to time.
pub(super) fn publication(sent_at: Option<u64>) -> Bytes {
    Bytes::from(format!(r#"{{"type":"{EVENT_TYPE}","data":{}}}"#, data(sent_at)))
}

pub(super) fn batch(events: usize) -> Bytes {
    let event = format!(r#"{{"type":"{EVENT_TYPE}","data":{}}}"#, data(None));
    Bytes::from(format!(r#"{{"events":[{}]}}"#, vec![event; events].join(",")))
}

fn data(sent_at: Option<u64>) -> String {
    let timed = sent_at.map(|ns| format!("{}{ns},", String::from_utf8_lossy(SENT_AT))).unwrap_or_default();
    let frame = timed.len() + r#"{"pad":""}"#.len();
    format!(r#"{{{timed}"pad":"{}"}}"#, "x".repeat(DATA_BYTES.saturating_sub(frame)))
}

/// What a closed loop sends.
#[derive(Clone)]
pub(super) struct Closed {
    pub(super) path: &'static str,
    pub(super) body: Bytes,
    pub(super) requests: usize,
    pub(super) connections: usize,
}

/// The request of a number, from 0.
type Ask = dyn Fn(&Api, usize) -> Result<Request<Full<Bytes>>> + Send + Sync;

/// What is asked of a server over and over, and which answers will do.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) server: SocketAddr,
    pub(super) ask: Arc<Ask>,
    pub(super) takes: fn(u16, &Bytes) -> Result<()>,
}

impl Load {
    async fn send(&self, api: &mut Api, n: usize) -> Result<()> {
        let request = (self.ask)(api, n)?;
        let (status, answer) = api.ask(request).await?;
        (self.takes)(status, &answer)
    }
}

/// Publishes until all is answered, and gives the moment before the first request, in nanoseconds.
pub(super) async fn closed(target: &Target, load: &Closed) -> Result<u64> {
    let (tenants, path, body) = (Arc::clone(&target.tenants), load.path, load.body.clone());
    let ask =
        move |api: &Api, n: usize| api.request(Method::POST, path, &tenants[n % tenants.len()], body.clone());
    let publications = Load { server: target.server, ask: Arc::new(ask), takes: accepted };
    closed_loop(&publications, load.requests, load.connections).await
}

/// Sends until all is answered, and gives the moment before the first request, in nanoseconds.
pub(super) async fn closed_loop(load: &Load, requests: usize, connections: usize) -> Result<u64> {
    let mut apis = Vec::new();
    for _ in 0..connections.min(requests) {
        apis.push(Api::connect(load.server).await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let began = now_ns();
    let mut workers = JoinSet::new();
    for mut api in apis {
        let (next, load) = (Arc::clone(&next), load.clone());
        workers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= requests {
                    return Ok::<_, Failure>(());
                }
                load.send(&mut api, n).await?;
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(began)
}

/// A single publication answers 202; a batch 200, and then each of its items has to be accepted.
fn accepted(status: u16, answer: &Bytes) -> Result<()> {
    match status {
        202 => Ok(()),
        200 => {
            let items: Value = serde_json::from_slice(answer)?;
            let items = items["data"].as_array().into_iter().flatten();
            let all = items.clone().count() > 0 && items.clone().all(|item| item["status"] == 202);
            if all { Ok(()) } else { Err(refused(status, answer)) }
        }
        _ => Err(refused(status, answer)),
    }
}

pub(super) fn refused(status: u16, answer: &Bytes) -> Failure {
    Failure::new(format!("answered {status}: {}", String::from_utf8_lossy(answer)))
}

/// Publishes `rate` events a second for `duration`, each when its time has come, however long the earlier ones take.
/// Gives how long each took to be acknowledged, in microseconds, rising.
pub(super) async fn open(target: &Target, rate: u32, duration: Duration) -> Result<Vec<u64>> {
    let tenants = Arc::clone(&target.tenants);
    let ask = move |api: &Api, n: usize| {
        let body = publication(Some(now_ns()));
        api.request(Method::POST, "/v1/events", &tenants[n % tenants.len()], body)
    };
    let publications = Load { server: target.server, ask: Arc::new(ask), takes: accepted };
    open_loop(&publications, rate, duration).await
}

/// Sends `rate` requests a second for `duration`, each when its time has come. Gives how long each took to be answered, in
/// microseconds, rising.
pub(super) async fn open_loop(load: &Load, rate: u32, duration: Duration) -> Result<Vec<u64>> {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let requests = (f64::from(rate) * duration.as_secs_f64()) as usize;
    let mut idle = Vec::new();
    let mut sending: JoinSet<Result<(u64, Api)>> = JoinSet::new();
    let mut latencies = Vec::with_capacity(requests);
    for n in 0..requests {
        ticks.tick().await;
        while let Some(done) = sending.try_join_next() {
            let (latency, api) = done??;
            latencies.push(latency);
            idle.push(api);
        }
        let api = idle.pop();
        let load = load.clone();
        sending.spawn(async move {
            let mut api = match api {
                Some(api) => api,
                None => Api::connect(load.server).await?,
            };
            let began = Instant::now();
            load.send(&mut api, n).await?;
            Ok((u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX), api))
        });
    }
    while let Some(done) = sending.join_next().await {
        latencies.push(done??.0);
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// The value below which a share of the sorted values lies; `share` is 0 to 1.
pub(super) fn percentile(sorted: &[u64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or_default() as f64
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_publication_has_the_same_size() {
        let data = |body: Bytes| -> String {
            let body: Value = serde_json::from_slice(&body).expect("a publication is JSON");
            body["data"].to_string()
        };
        assert_eq!(data(publication(None)).len(), DATA_BYTES);
        assert_eq!(data(publication(Some(1_795_000_000_000_000_000))).len(), DATA_BYTES);
        let batch: Value = serde_json::from_slice(&batch(3)).expect("a batch is JSON");
        assert_eq!(batch["events"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn percentiles_and_medians() {
        let hundred: Vec<u64> = (1..=101).collect();
        assert_eq!((percentile(&hundred, 0.5), percentile(&hundred, 0.99)), (51.0, 100.0));
        assert_eq!(percentile(&[], 0.5), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn a_batch_with_a_refused_item_is_not_accepted() {
        let answer = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert!(accepted(200, &answer(r#"{"data":[{"status":202},{"status":202}]}"#)).is_ok());
        assert!(accepted(200, &answer(r#"{"data":[{"status":202},{"status":422}]}"#)).is_err());
        assert!(accepted(200, &answer(r#"{"data":[]}"#)).is_err());
        assert!(accepted(503, &answer("{}")).is_err());
    }
}
