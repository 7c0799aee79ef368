//! The clock starts runs: at each of its moments once, over changes of clocks, outages and edits.

use std::sync::Arc;

use postrider_domain::run::{RunState, TriggerKind};
use postrider_domain::time::Timestamp;
use postrider_engine::control::TriggerPatch;
use postrider_engine::inbound::trigger::Trigger;
use postrider_engine::outbound::lanes::LaneLimits;
use postrider_testkit::clock::{ManualClock, turn};
use postrider_testkit::receiver::Receiver;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{HOUR, Runs, SECOND, Stage};
use crate::house::House;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("a time")
}

/// A workflow without steps, at a time.
async fn stage_at(now: &str) -> Stage {
    let folder = TempDir::new().expect("a folder");
    let house = House::open_in(folder, Arc::new(ManualClock::at(at(now))), LaneLimits::default()).await;
    let tenant = house.tenant("standard").await;
    let stage = Stage { house, tenant, receiver: Receiver::start().await };
    stage.steps(json!([])).await;
    stage
}

async fn cron(stage: &Stage, settings: Value) -> Arc<Trigger> {
    stage.trigger("flow", TriggerKind::Cron, settings).await
}

/// The moments that started runs, oldest first.
async fn moments(stage: &Stage) -> Vec<String> {
    let mut moments = Vec::new();
    for row in stage.runs().await {
        assert_eq!(row.kind, TriggerKind::Cron);
        let input = stage.input(row.id).await;
        moments.push(input["scheduledAt"].as_str().expect("a moment").to_owned());
    }
    moments.sort();
    moments
}

/// Waits until whoever looks at the clock has decided everything until now: a trigger of every second that is made for this
/// shows it. Answers nothing; other triggers are decided in the same look.
async fn looked(stage: &Stage) {
    stage.put("looks", json!({"steps": []})).await;
    let settings = json!({"every": "1s", "catchUp": "none", "input": {"scheduledAt": "looks"}});
    let trigger = stage.trigger("looks", TriggerKind::Cron, settings).await;
    let patience = tokio::time::Instant::now() + 30 * SECOND;
    let of = |row: &postrider_store::runs::RunRow| row.trigger == Some(trigger.id);
    while !stage.runs().await.iter().any(of) {
        assert!(tokio::time::Instant::now() < patience, "nobody looks");
        stage.clock.advance(SECOND);
        turn().await;
    }
    let actor = postrider_engine::control::Actor::postrider();
    stage.engine.control().workflow_delete(&actor, &stage.tenant(), "looks").await.expect("deleted");
}

async fn own(stage: &Stage) -> Vec<String> {
    moments(stage).await.into_iter().filter(|moment| moment != "looks").collect()
}

async fn until_own(stage: &Stage, count: usize) -> Vec<String> {
    let patience = tokio::time::Instant::now() + 30 * SECOND;
    loop {
        let own = own(stage).await;
        if own.len() >= count {
            return own;
        }
        assert!(tokio::time::Instant::now() < patience, "waited in vain for {count}: {own:?}");
        turn().await;
    }
}

#[tokio::test]
async fn a_change_of_clocks_neither_loses_nor_doubles_a_moment() {
    for (zone, pattern, from, expected) in [
        // The hour from two to three is not there.
        (
            "America/New_York",
            "30 2 * * *",
            "2026-03-07T00:00:00Z",
            vec!["2026-03-07T07:30:00.000Z", "2026-03-08T07:00:00.000Z", "2026-03-09T06:30:00.000Z"],
        ),
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-03-28T00:00:00Z",
            vec!["2026-03-28T01:30:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"],
        ),
        // It comes twice.
        (
            "America/New_York",
            "30 1 * * *",
            "2026-10-31T00:00:00Z",
            vec!["2026-10-31T05:30:00.000Z", "2026-11-01T05:30:00.000Z", "2026-11-02T06:30:00.000Z"],
        ),
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T00:00:00Z",
            vec!["2026-10-24T00:30:00.000Z", "2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"],
        ),
    ] {
        let stage = stage_at(from).await;
        let settings = json!({"cron": pattern, "timezone": zone, "catchUp": {"all": 100}});
        let trigger = cron(&stage, settings).await;
        let shown: Vec<_> =
            trigger.next_times(stage.now_by_clock(), 3).iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "what is shown is what comes: {zone} {pattern}");
        for (count, moment) in expected.iter().enumerate() {
            stage.clock.set(at(moment).minus(SECOND));
            assert_eq!(own(&stage).await.len(), count);
            stage.clock.set(at(moment));
            assert_eq!(until_own(&stage, count + 1).await, expected[..=count], "{zone} {pattern}");
        }
        looked(&stage).await;
        assert_eq!(own(&stage).await, expected, "{zone} {pattern}");
    }
}

#[tokio::test]
async fn an_interval_knows_no_change_of_clocks() {
    let stage = stage_at("2026-03-28T23:30:00Z").await;
    let trigger = cron(&stage, json!({"every": "45m", "catchUp": {"all": 100}})).await;
    let mut expected = Vec::new();
    for n in 1..=6 {
        let moment = at("2026-03-28T23:30:00Z").plus(n * 45 * 60 * SECOND);
        expected.push(moment.to_string());
        stage.clock.set(moment);
        assert_eq!(until_own(&stage, expected.len()).await, expected);
    }
    assert_eq!(trigger.next_times(at("2026-03-29T00:14:59.999Z"), 1), [at("2026-03-29T00:15:00Z")]);
    assert_eq!(trigger.next_times(at("2026-03-29T00:15:00Z"), 1), [at("2026-03-29T01:00:00Z")]);
}

#[tokio::test]
async fn after_three_days_away_it_catches_up_as_it_is_told() {
    let hours = |hours: &[u32]| {
        hours.iter().map(|n| at("2026-04-11T00:00:00Z").plus(*n * HOUR).to_string()).collect::<Vec<_>>()
    };
    // Hourly, since midnight, of which one moment was seen. Back at half past an hour.
    for (catch_up, expected) in [
        (json!("none"), hours(&[1])),
        (json!("latest"), hours(&[1, 73])),
        (json!({"all": 5}), hours(&[1, 69, 70, 71, 72, 73])),
        (json!({"all": 1000}), hours(&(1..=73).collect::<Vec<_>>())),
    ] {
        for clock in [json!({"cron": "0 * * * *"}), json!({"every": "1h"})] {
            let mut stage = stage_at("2026-04-11T00:00:00Z").await;
            let mut settings = clock.clone();
            settings["catchUp"] = catch_up.clone();
            cron(&stage, settings).await;
            stage.clock.advance(HOUR);
            until_own(&stage, 1).await;
            stage.engine.stop(SECOND).await;
            stage.clock.advance(72 * HOUR + HOUR / 2);
            stage = stage.restarted().await;
            // Of many it takes some at a look, so that others have their turn.
            let patience = tokio::time::Instant::now() + 30 * SECOND;
            while own(&stage).await.len() < expected.len() {
                assert!(
                    tokio::time::Instant::now() < patience,
                    "{catch_up} {clock}: {:?}",
                    own(&stage).await
                );
                stage.clock.advance(SECOND);
                turn().await;
            }
            looked(&stage).await;
            assert_eq!(own(&stage).await, expected, "{catch_up} {clock}");
            // From here on it goes on as ever.
            stage.clock.set(at("2026-04-14T02:00:00Z"));
            let next = hours(&[74]);
            assert_eq!(until_own(&stage, expected.len() + 1).await, [expected.clone(), next].concat());
        }
    }
}

#[tokio::test]
async fn a_moment_that_came_a_moment_ago_is_not_missed() {
    for (late, runs) in [(59, 1), (61, 0)] {
        let mut stage = stage_at("2026-04-11T00:00:00Z").await;
        cron(&stage, json!({"every": "1h", "catchUp": "none"})).await;
        stage.engine.stop(SECOND).await;
        stage.clock.advance(HOUR + late * SECOND);
        stage = stage.restarted().await;
        looked(&stage).await;
        assert_eq!(own(&stage).await.len(), runs, "{late} s late");
    }
}

fn settings(patch: Value) -> TriggerPatch {
    TriggerPatch { settings: patch.as_object().cloned().expect("an object"), ..TriggerPatch::default() }
}

#[tokio::test]
async fn an_edit_in_the_middle_of_a_period_counts_from_then_on() {
    let from = "2026-04-11T00:00:00Z";
    // What is changed after forty minutes of an hour, and when it comes then.
    for (patch, expected) in [
        (settings(json!({"every": "2h"})), "2026-04-11T02:40:00.000Z"),
        (settings(json!({"every": "10m"})), "2026-04-11T00:50:00.000Z"),
        (settings(json!({"every": null, "cron": "15 * * * *"})), "2026-04-11T01:15:00.000Z"),
        (settings(json!({"every": null, "cron": "30 * * * *"})), "2026-04-11T01:30:00.000Z"),
        // Nothing of its times: they stay.
        (settings(json!({"overlap": "queue"})), "2026-04-11T01:00:00.000Z"),
        (TriggerPatch { name: Some("other".into()), ..TriggerPatch::default() }, "2026-04-11T01:00:00.000Z"),
    ] {
        let stage = stage_at(from).await;
        let trigger = cron(&stage, json!({"every": "1h", "catchUp": {"all": 100}})).await;
        stage.clock.advance(40 * 60 * SECOND);
        let changed = stage.change("flow", trigger.id, patch).await;
        assert_eq!(changed.next_times(stage.now_by_clock(), 1), [at(expected)]);
        stage.clock.set(at(expected).minus(SECOND));
        assert!(own(&stage).await.is_empty());
        stage.clock.set(at(expected));
        assert_eq!(until_own(&stage, 1).await, [expected]);
    }
}

#[tokio::test]
async fn what_is_off_starts_nothing_and_catches_up_on_nothing() {
    let mut stage = stage_at("2026-04-11T00:00:00Z").await;
    let trigger = cron(&stage, json!({"every": "1h", "catchUp": {"all": 100}})).await;
    stage.clock.advance(HOUR);
    until_own(&stage, 1).await;
    let switch = |enabled| TriggerPatch { enabled: Some(enabled), ..TriggerPatch::default() };
    stage.change("flow", trigger.id, switch(false)).await;
    stage.clock.advance(5 * HOUR);
    looked(&stage).await;
    assert_eq!(own(&stage).await.len(), 1);
    stage = stage.restarted().await;
    stage.clock.advance(HOUR / 2);
    let on = stage.change("flow", trigger.id, switch(true)).await;
    let next = on.next_times(stage.now_by_clock(), 1)[0];
    assert_eq!(next, stage.now_by_clock().plus(HOUR), "an interval counts from when it was switched on");
    looked(&stage).await;
    assert_eq!(own(&stage).await.len(), 1);
    stage.clock.set(next);
    assert_eq!(until_own(&stage, 2).await[1], next.to_string());
    // Once deleted it is silent.
    let actor = postrider_engine::control::Actor::postrider();
    stage
        .engine
        .control()
        .trigger_delete(&actor, &stage.tenant(), "flow", trigger.id)
        .await
        .expect("deleted");
    stage.clock.advance(5 * HOUR);
    looked(&stage).await;
    assert_eq!(own(&stage).await.len(), 2);
}

#[tokio::test]
async fn a_moment_while_a_run_goes_on_is_skipped_or_waits() {
    for (overlap, states) in [
        (json!({}), [RunState::Succeeded, RunState::Cancelled, RunState::Cancelled, RunState::Running]),
        (
            json!({"overlap": "skip"}),
            [RunState::Succeeded, RunState::Cancelled, RunState::Cancelled, RunState::Running],
        ),
        (
            json!({"overlap": "queue"}),
            [RunState::Succeeded, RunState::Waiting, RunState::Queued, RunState::Queued],
        ),
    ] {
        let stage = stage_at("2026-04-11T00:00:00Z").await;
        stage.steps(json!([{"id": "w", "type": "wait", "for": "25m"}])).await;
        let mut settings = json!({"every": "10m"});
        settings.as_object_mut().expect("an object").extend(overlap.as_object().cloned().expect("an object"));
        cron(&stage, settings).await;
        for count in 1..=4 {
            stage.clock.set(at("2026-04-11T00:00:00Z").plus(count * 600 * SECOND));
            until_own(&stage, count as usize).await;
            let rows = stage.runs().await;
            stage
                .until(rows[0].id, |row| {
                    row.state.is_final() || row.due.is_some_and(|due| due > stage.now_by_clock())
                })
                .await;
            if count == 3 {
                // Its end comes between two moments.
                let first = stage.due(rows[0].id).await;
                stage.clock.set(first);
                stage.ended(rows[0].id).await;
            }
        }
        let rows = stage.runs().await;
        for (row, state) in rows.iter().zip(states) {
            let expected = if state == RunState::Running { RunState::Waiting } else { state };
            stage.in_state(row.id, expected).await;
        }
    }
}

#[tokio::test]
async fn two_that_look_at_one_moment_start_one_run() {
    let stage = stage_at("2026-04-11T00:00:00Z").await;
    let trigger = cron(&stage, json!({"every": "1h", "catchUp": {"all": 100}})).await;
    for n in 1..=20 {
        stage.clock.set(trigger.since.plus(n * HOUR));
        until_own(&stage, n as usize).await;
    }
    let stored = stage.engine.store().trigger_clock(stage.tenant.id, trigger.id).await.expect("an answer");
    assert_eq!(stored, Some(trigger.since.plus(20 * HOUR)));
    // One that was at it all the time, and comes late to every moment.
    let mut taken = 0;
    for n in 1..=20 {
        let intake = postrider_store::runs::Intake {
            tenant: stage.tenant.id,
            with_event: None,
            request: None,
            run: None,
            dedup: None,
            tick: Some((trigger.id, trigger.since.plus(n * HOUR))),
        };
        let now = stage.now_by_clock();
        let commit = postrider_store::Commit {
            intakes: vec![intake],
            ..postrider_store::Commit::new(stage.tenant.id, now)
        };
        let answer = stage.engine.store().commit_enqueue(commit).expect("it is taken").await;
        let outcome = answer.expect("an answer").expect("it is good");
        let postrider_store::CommitOutcome::Done { intakes, .. } = outcome else {
            panic!("no key was given")
        };
        taken += usize::from(intakes[0] == postrider_store::runs::IntakeOutcome::Taken);
    }
    assert_eq!((taken, own(&stage).await.len()), (20, 20));
}

#[tokio::test]
async fn the_next_five_times_are_shown_as_they_come() {
    let stage = stage_at("2026-10-24T12:00:00Z").await;
    for (settings, expected) in [
        (
            json!({"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"}),
            [
                "2026-10-26T05:00:00Z",
                "2026-10-27T05:00:00Z",
                "2026-10-28T05:00:00Z",
                "2026-10-29T05:00:00Z",
                "2026-10-30T05:00:00Z",
            ],
        ),
        (
            json!({"cron": "*/20 1 * * *", "timezone": "America/New_York"}),
            [
                "2026-10-25T05:00:00Z",
                "2026-10-25T05:20:00Z",
                "2026-10-25T05:40:00Z",
                "2026-10-26T05:00:00Z",
                "2026-10-26T05:20:00Z",
            ],
        ),
        (
            json!({"every": "36h"}),
            [
                "2026-10-26T00:00:00Z",
                "2026-10-27T12:00:00Z",
                "2026-10-29T00:00:00Z",
                "2026-10-30T12:00:00Z",
                "2026-11-01T00:00:00Z",
            ],
        ),
        (
            json!({"cron": "0 0 29 2 *"}),
            [
                "2028-02-29T00:00:00Z",
                "2032-02-29T00:00:00Z",
                "2036-02-29T00:00:00Z",
                "2040-02-29T00:00:00Z",
                "2044-02-29T00:00:00Z",
            ],
        ),
    ] {
        let trigger = cron(&stage, settings).await;
        assert_eq!(trigger.next_times(stage.now_by_clock(), 5), expected.map(at));
    }
    assert!(cron(&stage, json!({"cron": "0 0 30 2 *"})).await.next_times(stage.now_by_clock(), 5).is_empty());
}
