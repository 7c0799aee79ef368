//! Requests that wait for what their run says.

use postrider_domain::run::{RunState, TriggerKind};
use postrider_engine::inbound::receive::Reply;
use postrider_testkit::receiver::{Answer, Gate};
use serde_json::{Value, json};

use super::{Runs, SECOND, Stage};

const WAITS: &str =
    r#"{"verification":{"preset":"none"},"respond":"wait","waitSeconds":5,"dedup":{"header":"x-id"}}"#;

async fn stage(definition: Value) -> (Stage, std::sync::Arc<postrider_engine::inbound::trigger::Trigger>) {
    let stage = Stage::open().await;
    stage.put("flow", definition).await;
    let settings = serde_json::from_str(WAITS).expect("JSON");
    let trigger = stage.trigger("flow", TriggerKind::Webhook, settings).await;
    (stage, trigger)
}

#[tokio::test]
async fn who_waits_is_told_what_the_run_responds_and_the_run_goes_on() {
    let (stage, trigger) = stage(json!({"steps": [
        {"id": "say", "type": "respond", "status": 201, "headers": {"X-Run": "{{ run.id }}"}, "body": {"id": {"$expr": "input.id"}}},
        {"id": "rest", "type": "wait", "for": "1h"}
    ]}))
    .await;
    let Reply::Responded { run, response } = stage.invoke(&trigger, "{\"id\":7}", &[]).await else {
        panic!("it responds")
    };
    assert_eq!((response.status, response.body), (201, json!({"id": 7})));
    assert!(response.headers.iter().any(|(_, value)| *value == run.to_string()));
    // The step was on disk before it was told.
    assert_eq!(stage.step(run, "say").await.status, postrider_domain::run::StepStatus::Succeeded);
    stage.pass_until_due(run).await;
    assert_eq!(stage.ended(run).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn who_waits_is_told_of_an_end_without_an_answer() {
    for (steps, expected) in [
        (json!([]), RunState::Succeeded),
        (json!([{"id": "t", "type": "transform", "output": 1}]), RunState::Succeeded),
        (json!([{"id": "f", "type": "fail", "message": "no"}]), RunState::Failed),
        (json!([{"id": "w", "type": "wait", "until": "{{ run.startedAt }}"}]), RunState::Succeeded),
    ] {
        let (stage, trigger) = stage(json!({ "steps": steps })).await;
        match stage.invoke(&trigger, "{}", &[]).await {
            Reply::Ended { run, state } => {
                assert_eq!((state, stage.row(run).await.state), (expected, expected), "{steps}");
            }
            other => panic!("{steps}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn who_waits_too_long_is_told_that_it_goes_on() {
    let (stage, trigger) = stage(json!({"steps": [{"id": "w", "type": "wait", "for": "1h"}]})).await;
    let asks = stage.invoke(&trigger, "{}", &[]);
    let passes = async {
        while stage.runs().await.first().is_none_or(|row| row.state != RunState::Waiting) {
            postrider_testkit::clock::turn().await;
        }
        stage.clock.advance(5 * SECOND);
    };
    let (reply, ()) = tokio::join!(asks, passes);
    assert!(matches!(reply, Reply::Run { status: 202, duplicate: false, .. }), "{reply:?}");
}

#[tokio::test]
async fn who_waits_for_a_run_that_is_skipped_replaced_or_cancelled_is_told_at_once() {
    for conflict in ["skip", "cancelPrevious", "queue"] {
        let (stage, trigger) = stage(json!({"steps": []})).await;
        let gate = Gate::closed();
        stage.receiver.answer(Answer::ok().behind(&gate));
        let steps = json!([{"id": "get", "type": "http", "url": stage.receiver.url("/")}]);
        stage.put("flow", json!({"concurrency": {"max": 1, "onConflict": conflict}, "steps": steps})).await;
        let reply = match conflict {
            "skip" => {
                stage.begin(json!({})).await;
                stage.invoke(&trigger, "{}", &[]).await
            }
            "cancelPrevious" => {
                let asks = stage.invoke(&trigger, "{}", &[]);
                let replaces = async {
                    stage.receiver.wait_for(1).await;
                    stage.begin(json!({})).await;
                };
                tokio::join!(asks, replaces).0
            }
            _ => {
                let asks = stage.invoke(&trigger, "{}", &[]);
                let ends = async {
                    stage.receiver.wait_for(1).await;
                    let run = stage.runs().await[0].id;
                    stage.engine.runner().cancel(&stage.tenant(), run).await.expect("it is under way");
                };
                tokio::join!(asks, ends).0
            }
        };
        assert!(matches!(reply, Reply::Ended { state: RunState::Cancelled, .. }), "{conflict}: {reply:?}");
    }
}

#[tokio::test]
async fn a_hundred_of_the_same_at_once_are_one_run() {
    let (stage, trigger) = stage(json!({"steps": []})).await;
    let replies: Vec<_> = (0..100).map(|_| stage.invoke(&trigger, "{}", &[("x-id", "the-same")])).collect();
    let mut runs = Vec::new();
    let mut fresh = 0;
    for reply in crate::house::all_of(replies).await {
        match reply {
            Reply::Ended { run, .. } => (runs, fresh) = ([runs, vec![run]].concat(), fresh + 1),
            Reply::Run { run, duplicate: true, .. } => runs.push(run),
            other => panic!("{other:?}"),
        }
    }
    runs.dedup();
    assert_eq!((runs.len(), fresh), (1, 1));
    assert_eq!(stage.runs().await.len(), 1);
}
