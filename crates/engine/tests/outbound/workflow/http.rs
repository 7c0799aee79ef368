//! Requests of steps: what goes out, again and again, and what is written down of it.

use std::time::Duration;

use postrider_domain::delivery::AttemptClass;
use postrider_domain::limits;
use postrider_domain::run::{RunState, StepStatus};
use postrider_engine::control::Actor;
use postrider_testkit::receiver::{Answer, Gate};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Runs, SECOND, Stage, left};

fn fetch(stage: &Stage, more: Value) -> Value {
    let mut step = json!({"id": "fetch", "type": "http", "url": stage.receiver.url("/x")});
    for (name, value) in more.as_object().expect("an object") {
        step[name] = value.clone();
    }
    json!([step])
}

#[tokio::test]
async fn every_try_has_the_same_key_and_a_row_and_comes_when_the_step_says() {
    let stage = Stage::open().await;
    stage.receiver.answer_next([Answer::status(500).body("one"), Answer::status(502)]);
    stage
        .steps(fetch(&stage, json!({"retries": ["1s", "5s", "9s"], "method": "POST", "body": {"n": 1}})))
        .await;
    let began = stage.now_by_clock();
    let run = stage.begin(json!({})).await;
    assert_eq!(stage.pass_until_due(run).await, SECOND);
    stage.receiver.wait_for(2).await;
    assert_eq!(stage.pass_until_due(run).await, 5 * SECOND);
    let row = stage.ended(run).await;
    assert_eq!((row.state, row.error), (RunState::Succeeded, None));
    let received = stage.receiver.received();
    assert_eq!(received.len(), 3);
    for one in &received {
        assert_eq!(one.header("idempotency-key"), Some(format!("{run}:fetch").as_str()));
        assert_eq!((one.method.as_str(), &one.body[..]), ("POST", &b"{\"n\":1}"[..]));
        assert_eq!(one.header("content-type"), Some("application/json"));
        assert!(one.header("user-agent").is_some_and(|agent| agent.starts_with("Postrider/")));
    }
    let attempts = stage.attempts_of(run).await;
    let seen: Vec<_> = attempts.iter().map(|one| (one.number, one.class, one.status)).collect();
    use AttemptClass::{Status, Success};
    assert_eq!(seen, [(1, Status, Some(500)), (2, Status, Some(502)), (3, Success, Some(200))]);
    assert_eq!(&attempts[0].response_body[..], b"one");
    let times: Vec<_> = attempts.iter().map(|one| one.started.since(began)).collect();
    assert_eq!(times, [Duration::ZERO, SECOND, 6 * SECOND]);
    let step = stage.step(run, "fetch").await;
    assert_eq!((step.status, step.tries, step.started), (StepStatus::Succeeded, 3, began));
}

#[tokio::test]
async fn a_step_of_a_loop_has_a_key_for_each_round() {
    let stage = Stage::open().await;
    stage
        .steps(json!([{"id": "each", "type": "forEach", "items": {"$expr": "[1, 2]"},
            "steps": [{"id": "send", "type": "http", "url": stage.receiver.url("/{{ item }}"),
                       "headers": {"Idempotency-Key": "{{ item == 2 ? 'mine' : '' }}"}}]}]))
        .await;
    let run = stage.begin(json!({})).await;
    stage.ended(run).await;
    let received = stage.receiver.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[1].header("idempotency-key"), Some("mine"), "one of the step's own stays");
}

#[tokio::test]
async fn an_answer_decides_whether_and_when_it_is_tried_again() {
    let stage = Stage::open().await;
    let retry = |text: &str| Answer::status(503).header("Retry-After", text);
    // The answer; the step; how long until the next try, if there is one.
    for (answer, more, expected) in [
        (Answer::status(404), json!({}), None),
        (Answer::status(400), json!({}), None),
        (Answer::status(301).header("Location", "/elsewhere"), json!({}), None),
        (Answer::status(429), json!({}), Some(2)),
        (Answer::status(599), json!({}), Some(2)),
        (retry("60"), json!({}), Some(60)),
        (retry("1"), json!({}), Some(2)),
        (retry("soon"), json!({}), Some(2)),
        (retry("9999999"), json!({}), Some(24 * 3600)),
        (retry("Sat, 11 Apr 2026 09:16:30 GMT"), json!({}), Some(59)),
        (Answer::status(500).header("Retry-After", "60"), json!({}), Some(2)),
        (Answer::status(429), json!({"retries": []}), None),
        (Answer::status(500), json!({"success": [500]}), None),
    ] {
        let mut step = json!({"retries": ["2s"]});
        for (name, value) in more.as_object().expect("an object") {
            step[name] = value.clone();
        }
        // A second: what the HTTP date says is counted from the clock.
        stage.receiver.answer_next([answer.clone()]);
        stage.steps(fetch(&stage, step.clone())).await;
        let before = stage.receiver.received().len();
        let run = stage.begin(json!({})).await;
        match expected {
            Some(seconds) => {
                let due = stage.due(run).await;
                let wait = due.since(stage.now_by_clock()).as_secs_f64().floor();
                assert_eq!(wait, f64::from(seconds), "{answer:?}");
                stage.engine.runner().cancel(&stage.tenant(), run).await.expect("it waits");
            }
            None => {
                let row = stage.ended(run).await;
                let good = step["success"].is_array();
                assert_eq!(row.state == RunState::Succeeded, good, "{answer:?} {:?}", row.error);
                let told = row.error.unwrap_or_default();
                assert!(good || told.contains(&answer.status.to_string()), "{told}");
            }
        }
        assert_eq!(stage.receiver.received().len(), before + 1, "{answer:?}");
    }
}

#[tokio::test]
async fn when_the_tries_are_used_up_the_step_has_failed_with_what_came_last() {
    let stage = Stage::open().await;
    stage.receiver.answer(Answer::status(500).header("Content-Type", "application/json").body("{\"why\":1}"));
    let steps = fetch(&stage, json!({"retries": ["1s", "1s"], "onError": "continue"}));
    let after =
        json!({"id": "after", "type": "transform", "output": {"$expr": "steps.fetch.output.body.why"}});
    stage.steps(json!([steps[0], after])).await;
    let run = stage.begin(json!({})).await;
    for sent in 2..=3 {
        stage.pass_until_due(run).await;
        stage.receiver.wait_for(sent).await;
    }
    let row = stage.ended(run).await;
    assert_eq!(row.state, RunState::Succeeded);
    let step = stage.step(run, "fetch").await;
    assert_eq!((step.status, step.tries), (StepStatus::Failed, 3));
    assert!(step.error.is_some_and(|error| error.contains("500") && error.contains("3 times")));
    assert_eq!(left(&stage.step(run, "after").await), json!(1));
    assert_eq!(stage.attempts_of(run).await.len(), 3);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_never_dialled_and_not_tried_again() {
    let stage = Stage::open().await;
    for url in [
        "http://10.1.2.3/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/",
        "http://0x0a000001/",
        "{{ input.url }}",
    ] {
        stage.steps(json!([{"id": "fetch", "type": "http", "url": url, "retries": ["1s"]}])).await;
        let run = stage.begin(json!({"url": "http://192.168.0.1:8080/"})).await;
        let row = stage.ended(run).await;
        assert_eq!(row.state, RunState::Failed, "{url}");
        for attempt in stage.attempts_of(run).await {
            assert_eq!(
                (attempt.class, attempt.status, attempt.peer),
                (AttemptClass::BlockedTarget, None, None)
            );
        }
    }
    for url in ["ftp://127.0.0.1/", "http://", "javascript:1", "http://user@127.0.0.1/"] {
        stage.steps(json!([{"id": "fetch", "type": "http", "url": "{{ input.url }}"}])).await;
        let run = stage.begin(json!({ "url": url })).await;
        let row = stage.ended(run).await;
        assert_eq!(row.state, RunState::Failed, "{url}");
        assert!(stage.attempts_of(run).await.is_empty(), "{url}: nothing was sent");
    }
    assert!(stage.receiver.received().is_empty());
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_try() {
    let stage = Stage::open().await;
    let gate = Gate::closed();
    stage.receiver.answer_next([Answer::ok().behind(&gate)]);
    stage.steps(fetch(&stage, json!({"timeout": "1s", "retries": ["3s"]}))).await;
    let run = stage.begin(json!({})).await;
    assert_eq!(stage.pass_until_due(run).await, 3 * SECOND);
    assert_eq!(stage.ended(run).await.state, RunState::Succeeded);
    let classes: Vec<_> = stage.attempts_of(run).await.into_iter().map(|one| one.class).collect();
    assert_eq!(classes, [AttemptClass::Timeout, AttemptClass::Success]);
}

#[tokio::test]
async fn of_an_answer_is_read_and_kept_what_the_limits_say() {
    let stage = Stage::open().await;
    let long = "x".repeat(limits::RESPONSE_READ_BYTES_MAX + 1);
    for (body, state) in [(&long[..100_000], RunState::Succeeded), (&long[..], RunState::Failed)] {
        stage.receiver.answer(Answer::ok().body(body.to_owned()));
        stage.steps(fetch(&stage, json!({}))).await;
        let run = stage.begin(json!({})).await;
        let row = stage.ended(run).await;
        assert_eq!(row.state, state, "{:?}", row.error);
        let attempts = stage.attempts_of(run).await;
        assert_eq!(attempts.len(), 1);
        assert!(attempts[0].response_body.len() <= limits::RESPONSE_KEPT_BYTES_MAX);
        let step = stage.step(run, "fetch").await;
        match state {
            RunState::Succeeded => assert_eq!(left(&step)["body"], body),
            _ => assert_eq!(attempts[0].class, AttemptClass::Body),
        }
    }
}

const TOKEN: &str = "tok-5f0c1e7b9a3d4826";

/// A workflow that uses a secret wherever it may, and an answer of every kind.
async fn with_secret(stage: &Stage) -> Vec<postrider_domain::id::RunId> {
    let control = stage.engine.control();
    let value = SecretString::from(TOKEN);
    control.secret_put(&Actor::postrider(), &stage.tenant(), "KEY", &value).await.expect("a secret");
    let mut runs = Vec::new();
    for (status, url) in [
        (200, stage.receiver.url("/x")),
        (404, stage.receiver.url("/x")),
        (500, stage.receiver.url("/x")),
        (200, "http://10.0.0.1/".to_owned()),
    ] {
        stage.receiver.answer(Answer::status(status).body("fine"));
        let step = json!([{"id": "fetch", "type": "http", "url": url, "method": "POST",
            "headers": {"Authorization": "Bearer {{ secrets.KEY }}"}, "query": {"k": "{{ secrets.KEY }}"},
            "body": {"key": "{{ secrets.KEY }}", "again": {"$expr": "secrets.KEY"}}, "onError": "continue"}]);
        stage.steps(step).await;
        let run = stage.begin(json!({})).await;
        stage.ended(run).await;
        runs.push(run);
    }
    let received = stage.receiver.received();
    assert_eq!(received.len(), 3);
    for one in received {
        assert_eq!(one.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
        assert!(one.path.contains(TOKEN) && String::from_utf8_lossy(&one.body).matches(TOKEN).count() == 2);
    }
    runs
}

#[tokio::test]
async fn a_secret_goes_out_and_is_shown_nowhere() {
    let stage = Stage::open().await;
    for run in with_secret(&stage).await {
        let store = stage.engine.store();
        let tenant = stage.tenant.id;
        let seen = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            stage.row(run).await,
            stage.steps_of(run).await,
            stage.attempts_of(run).await,
            store.run_input(tenant, run).await,
            store.run_output(tenant, run).await,
        );
        assert!(!seen.contains(TOKEN) && !seen.contains("Bearer"), "{seen}");
    }
    assert!(!format!("{:?}", stage.events().await).contains(TOKEN));
    assert!(!stage.engine.metrics().contains(TOKEN));
}

#[tokio::test]
async fn on_disk_no_byte_of_a_secret_is_to_be_found() {
    let stage = Stage::open().await;
    with_secret(&stage).await;
    let mut files = 0;
    for file in std::fs::read_dir(stage.folder.path()).expect("the folder") {
        let path = file.expect("a file").path();
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).expect("its bytes");
        assert!(!bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()), "{}", path.display());
        files += usize::from(bytes.windows(5).any(|window| window == b"fetch"));
    }
    assert!(files > 0, "what is to be found is looked for in the right place");
}

#[tokio::test]
async fn a_secret_that_is_not_there_fails_the_step_before_anything_is_sent() {
    let stage = Stage::open().await;
    stage.steps(fetch(&stage, json!({"headers": {"A": "{{ secrets.GONE }}"}, "retries": ["1s"]}))).await;
    let run = stage.begin(json!({})).await;
    let row = stage.ended(run).await;
    assert_eq!(row.state, RunState::Failed);
    assert!(row.error.is_some_and(|error| error.contains("GONE")));
    assert!(stage.receiver.received().is_empty() && stage.attempts_of(run).await.is_empty());
}
