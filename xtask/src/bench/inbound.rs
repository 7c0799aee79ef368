//! Inbound: triggers that take requests in, and runs of a `transform` and an `emit` from the request to their end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::{Instant, sleep};

use super::load::{self, Load, percentile};
use super::report::{Asked, Figure, Unit};
use super::scenario::{Running, Scale};
use crate::failure::{Failure, Result};
use crate::product::{Api, Server};

const TENANT: &str = "inbound";
const SECRET: &str = "a-secret-that-nobody-guesses-0123456789";
const BODY_BYTES: usize = 600;
const CONNECTIONS: usize = 64;
const REQUESTS: usize = 60_000;
/// Ten seconds of them and more.
const RUNS: usize = 120_000;
const WARM_REQUESTS: usize = 500;
/// Of the open loop.
const RATE: u32 = 50;
/// Runs accepted and not ended are counted so often.
const POLL: Duration = Duration::from_millis(20);
/// Without any run's end for so long, the rest does not come.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What is measured, each on a server of its own.
pub(super) const PARTS: &[Part] = &[
    |server, scale| Box::pin(accepted(server, scale)),
    |server, scale| Box::pin(accepted_signed(server, scale)),
    |server, scale| Box::pin(steady(server, scale)),
    |server, scale| Box::pin(runs_waited_for(server, scale)),
    |server, scale| Box::pin(runs(server, scale)),
];

type Part = for<'a> fn(&'a Server, Scale) -> Running<'a>;

/// A trigger of a workflow of its own.
struct Hook<'a> {
    server: &'a Server,
    path: String,
    preset: Preset,
}

/// By what the requests are known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Preset {
    /// The text in `X-Webhook-Secret`.
    Secret,
    /// An HMAC of the body, and an id of the delivery, by which it is known again.
    GitHub,
}

/// When the answer comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Respond {
    Accepted,
    /// When the run has ended.
    Wait,
}

impl<'a> Hook<'a> {
    async fn open(server: &'a Server, steps: Value, preset: Preset, respond: Respond) -> Result<Self> {
        let mut api = server.api().await?;
        api.create_tenant(TENANT).await?;
        let workflow = json!({"steps": steps});
        api.call(Method::PUT, "/v1/workflows/bench", TENANT, &workflow).await?;
        let name = match preset {
            Preset::Secret => "header-secret",
            Preset::GitHub => "github",
        };
        let respond = match respond {
            Respond::Accepted => "accepted",
            Respond::Wait => "wait",
        };
        let verification = json!({"preset": name, "secrets": [SECRET]});
        let trigger = json!({"type": "webhook", "verification": verification, "respond": respond});
        let created = api.call(Method::POST, "/v1/workflows/bench/triggers", TENANT, &trigger).await?;
        let slug = created["webhookUrl"].as_str().and_then(|url| url.rsplit('/').next());
        let slug = slug.ok_or_else(|| Failure::new("a created trigger has no URL"))?;
        let hook = Self { server, path: format!("/v1/workflows/webhooks/{slug}"), preset };
        load::closed_loop(&hook.load("warm"), WARM_REQUESTS, CONNECTIONS).await?;
        hook.all_ended(WARM_REQUESTS).await?;
        Ok(hook)
    }

    /// `name`: of the load, so that no two of its requests are the same.
    fn load(&self, name: &'static str) -> Load {
        let (path, preset, body) = (self.path.clone(), self.preset, body());
        let signature = signature(&body);
        let ask = move |api: &Api, n: usize| {
            let request = Request::post(&path).header("host", api.host());
            let request = request.header(CONTENT_TYPE, "application/json");
            let request = match preset {
                Preset::Secret => request.header("x-webhook-secret", SECRET),
                Preset::GitHub => request
                    .header("x-hub-signature-256", &signature)
                    .header("x-github-event", "issues")
                    .header("x-github-delivery", format!("{name}-{n}")),
            };
            Ok(request.body(Full::new(body.clone()))?)
        };
        Load { server: self.server.address, ask: Arc::new(ask), takes }
    }

    /// How many runs have succeeded since the server began.
    async fn succeeded(&self, api: &mut Api) -> Result<usize> {
        const LINE: &str = "postrider_runs_ended_total{state=\"succeeded\"} ";
        let (_, text) = api.send(Method::GET, "/metrics", "", Bytes::new()).await?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let count = text.lines().find_map(|line| line.strip_prefix(LINE)?.trim().parse().ok());
        Ok(count.unwrap_or_default())
    }

    /// Waits until so many runs have succeeded, and says when that was seen.
    async fn all_ended(&self, runs: usize) -> Result<u64> {
        let mut api = self.server.api().await?;
        let (mut seen, mut changed) = (0, Instant::now());
        loop {
            let ended = self.succeeded(&mut api).await?;
            if ended >= runs {
                return Ok(crate::clock::now_ns());
            }
            if ended != seen {
                (seen, changed) = (ended, Instant::now());
            }
            if changed.elapsed() > SILENCE_MAX {
                return Err(Failure::new(format!("{ended} of {runs} runs ended, then none")));
            }
            sleep(POLL).await;
        }
    }

    /// What was counted is in the store too: nothing is open, and the newest run has made its event.
    async fn check_stored(&self) -> Result<()> {
        let mut api = self.server.api().await?;
        for state in ["queued", "running", "waiting", "failed", "cancelled"] {
            let page = api.get(&format!("/v1/runs?limit=1&state={state}"), TENANT).await?;
            if let Some(run) = page["data"].get(0) {
                return Err(Failure::new(format!("a run is {state}: {run}")));
            }
        }
        let page = api.get("/v1/runs?limit=1", TENANT).await?;
        let run = page["data"][0]["id"].as_str().unwrap_or_default().to_owned();
        let run = api.get(&format!("/v1/runs/{run}"), TENANT).await?;
        let event = run["steps"][1]["eventId"].as_str().unwrap_or_default();
        api.get(&format!("/v1/events/{event}"), TENANT).await.map(drop)
    }
}

fn body() -> Bytes {
    let body = |pad: usize| {
        let pad = "x".repeat(pad);
        json!({"event": "lead.created", "email": "person@example.com", "amount": 1250, "pad": pad})
            .to_string()
    };
    Bytes::from(body(BODY_BYTES.saturating_sub(body(0).len())))
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("because any length is a key");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// 202: it is on disk. 200: its run has ended, which must have been well.
fn takes(status: u16, answer: &Bytes) -> Result<()> {
    let told: Value = serde_json::from_slice(answer).unwrap_or_default();
    let good = match status {
        202 => true,
        200 => told["status"] == "succeeded",
        _ => false,
    };
    if good && told["duplicate"] == false { Ok(()) } else { Err(load::refused(status, answer)) }
}

fn steps() -> Value {
    json!([
        {"id": "shape", "type": "transform",
         "output": {"text": "Hello {{ input.email }}", "total": {"$expr": "input.amount * 2"}}},
        {"id": "tell", "type": "emit",
         "event": {"type": "lead.received", "data": {"$expr": "steps.shape.output"}}},
    ])
}

/// Requests to a trigger whose workflow has no steps: their runs record what came in.
async fn accepted(server: &Server, scale: Scale) -> Result<Vec<Figure>> {
    let hook = Hook::open(server, json!([]), Preset::Secret, Respond::Accepted).await?;
    let (rate, cpu) = accept(&hook, scale.of(REQUESTS)).await?;
    let memory = hook.server.memory_peak_mib()?;
    Ok(vec![
        Figure::new("accepted", rate, Unit::PerSecond, Asked::RatioMin(0.15)),
        Figure::new("server CPU per request", cpu, Unit::Ms, Asked::Nothing),
        Figure::new("peak memory", memory, Unit::Mib, Asked::Nothing),
    ])
}

/// The same, each signed as GitHub does, and known again by its id.
async fn accepted_signed(server: &Server, scale: Scale) -> Result<Vec<Figure>> {
    let hook = Hook::open(server, json!([]), Preset::GitHub, Respond::Accepted).await?;
    let (rate, cpu) = accept(&hook, scale.of(REQUESTS)).await?;
    Ok(vec![
        Figure::new("accepted, preset github", rate, Unit::PerSecond, Asked::Nothing),
        Figure::new("server CPU per signed request", cpu, Unit::Ms, Asked::Nothing),
    ])
}

/// Requests a second, and the server's processor time for each in milliseconds.
async fn accept(hook: &Hook<'_>, requests: usize) -> Result<(f64, f64)> {
    let cpu = hook.server.cpu_seconds()?;
    let began = Instant::now();
    load::closed_loop(&hook.load("measured"), requests, CONNECTIONS).await?;
    let took = began.elapsed().as_secs_f64();
    let cpu = hook.server.cpu_seconds()? - cpu;
    Ok((requests as f64 / took, cpu * 1e3 / requests as f64))
}

/// How long an answer takes at fifty requests a second, each of which starts a run with steps.
async fn steady(server: &Server, scale: Scale) -> Result<Vec<Figure>> {
    let duration = Duration::from_secs(if scale == Scale::Full { 30 } else { 5 });
    let hook = Hook::open(server, steps(), Preset::Secret, Respond::Accepted).await?;
    let latencies = load::open_loop(&hook.load("measured"), RATE, duration).await?;
    let ms = |share| percentile(&latencies, share) / 1e3;
    Ok(vec![
        Figure::new("accepted p50 at 50/s", ms(0.5), Unit::Ms, Asked::Nothing),
        Figure::new("accepted p99 at 50/s", ms(0.99), Unit::Ms, Asked::Max(10.0)),
    ])
}

/// Runs whose sender waits for their end: as many are open as there are connections, so that none can pile up.
async fn runs_waited_for(server: &Server, scale: Scale) -> Result<Vec<Figure>> {
    let runs = scale.of(RUNS);
    let hook = Hook::open(server, steps(), Preset::Secret, Respond::Wait).await?;
    let before = hook.succeeded(&mut hook.server.api().await?).await?;
    let (rate, cpu) = accept(&hook, runs).await?;
    hook.all_ended(before + runs).await?;
    hook.check_stored().await?;
    Ok(vec![
        Figure::new("runs, waited for", rate, Unit::PerSecond, Asked::Min(3000.0)),
        Figure::new("server CPU per run waited for", cpu, Unit::Ms, Asked::Nothing),
    ])
}

/// Runs that are accepted as quickly as the server takes them, until the last of them has ended: also those that piled up.
async fn runs(server: &Server, scale: Scale) -> Result<Vec<Figure>> {
    let runs = scale.of(RUNS);
    let hook = Hook::open(server, steps(), Preset::Secret, Respond::Accepted).await?;
    let before = hook.succeeded(&mut hook.server.api().await?).await?;
    let cpu = hook.server.cpu_seconds()?;
    let began = load::closed_loop(&hook.load("measured"), runs, CONNECTIONS).await?;
    let open = (before + runs).saturating_sub(hook.succeeded(&mut hook.server.api().await?).await?);
    let ended = hook.all_ended(before + runs).await?;
    let cpu = hook.server.cpu_seconds()? - cpu;
    hook.check_stored().await?;
    let memory = hook.server.memory_peak_mib()?;
    let seconds = ended.saturating_sub(began) as f64 / 1e9;
    println!("    {open} of {runs} runs were open when the last was accepted; {seconds:.1} s in all");
    Ok(vec![
        Figure::new("runs, to the last end", runs as f64 / seconds, Unit::PerSecond, Asked::Min(3000.0)),
        Figure::new("server CPU per run", cpu * 1e3 / runs as f64, Unit::Ms, Asked::Nothing),
        Figure::new("peak memory of runs", memory, Unit::Mib, Asked::Nothing),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_size() {
        assert_eq!(body().len(), BODY_BYTES);
    }

    #[test]
    fn an_answer_that_says_less_than_success_is_not_taken() {
        let answer = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert!(takes(202, &answer(r#"{"status":"running","duplicate":false}"#)).is_ok());
        assert!(takes(200, &answer(r#"{"status":"succeeded","duplicate":false}"#)).is_ok());
        assert!(takes(200, &answer(r#"{"status":"filtered","duplicate":false}"#)).is_err());
        assert!(takes(202, &answer(r#"{"status":"running","duplicate":true}"#)).is_err());
        assert!(takes(502, &answer(r#"{"status":"failed","duplicate":false}"#)).is_err());
    }
}
