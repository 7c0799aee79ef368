//! System A, profile `runtight`: events that follow from work orders, templates and assets.

use http::Method;
use postrider_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::stage::{Stage, json_of, names};

fn order(status: &str, due_date: &str) -> Value {
    json!({ "title": "Inspect the press", "priority": "high", "status": status, "wo_type": "corrective",
            "due_date": due_date, "asset_id": "asset-1" })
}

fn template(more: Value) -> Value {
    let mut template = json!({ "title": "Weekly inspection", "priority": "high", "asset_id": "asset-1" });
    for (name, value) in more.as_object().into_iter().flatten() {
        template[name] = value.clone();
    }
    template
}

#[tokio::test]
async fn wo_created_when_a_work_order_is_new() {
    let stage = Stage::of("runtight").await;
    stage.put("work_order/wo-1", &order("open", "2026-05-01")).await;
    stage.put("work_order/wo-1", &order("in_progress", "2026-05-01")).await;
    let events = stage.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["type"], "wo.created");
    assert_eq!(
        events[0]["data"],
        json!({ "work_order_id": "wo-1", "title": "Inspect the press", "priority": "high", "status": "open",
                "wo_type": "corrective", "due_date": "2026-05-01", "asset_id": "asset-1" })
    );
}

#[tokio::test]
async fn wo_completed_when_the_status_becomes_completed_once_per_work_order() {
    let stage = Stage::of("runtight").await;
    let done = || async {
        let mut done = order("completed", "2026-05-01");
        done["completed_at"] = json!("2026-04-11T18:45:10.567Z");
        done["time_spent_minutes"] = json!(35);
        stage.put("work_order/wo-1", &done).await
    };
    stage.put("work_order/wo-1", &order("open", "2026-05-01")).await;
    let caused = done().await;
    assert_eq!(caused["events"][0]["type"], "wo.completed");
    stage.put("work_order/wo-1", &order("open", "2026-05-01")).await;
    done().await;
    // Reopened and completed again, it was told before.
    let completed = stage.until_events("wo.completed", 1).await;
    assert_eq!(completed[0]["data"]["time_spent_minutes"], 35);
    let read = stage.get("/v1/records/work_order/wo-1").await;
    assert_eq!(read["marks"][0]["rule"], "wo.completed");
    assert_eq!(read["marks"][0]["firedAt"], "2026-04-11T09:15:30.250Z");
    assert_eq!(read["marks"][0]["event"], completed[0]["id"]);
}

#[tokio::test]
async fn asset_created_when_an_asset_is_new() {
    let stage = Stage::of("runtight").await;
    stage.put("asset/asset-1", &json!({ "name": "Press", "category": "hydraulic" })).await;
    let events = stage.events().await;
    assert_eq!(events[0]["type"], "asset.created");
    let expected =
        json!({ "asset_id": "asset-1", "name": "Press", "category": "hydraulic", "criticality": null });
    assert_eq!(events[0]["data"], expected);
}

/// From 00:00 of the day after the due date, at the next scan: 06:00 of the wall clock. All within a week.
async fn overdue_at(zone: &str, [begin, due_date, not_yet, scan]: [&str; 4]) {
    let stage = Stage::of_at("runtight", begin).await;
    stage.zone(zone).await;
    stage.put("work_order/wo-1", &order("open", due_date)).await;
    stage.put("work_order/wo-2", &order("completed", due_date)).await;
    stage.put("work_order/wo-3", &order("in_progress", due_date)).await;
    stage.at(not_yet);
    let looked = stage.run_scan().await;
    assert_eq!(looked["looked"], 0, "{zone}: not before its day has passed");
    stage.at(scan);
    let overdue = stage.until_events("wo.overdue", 2).await;
    let mut ids: Vec<_> = overdue.iter().map(|event| event["data"]["work_order_id"].as_str()).collect();
    ids.sort();
    assert_eq!(ids, [Some("wo-1"), Some("wo-3")], "{zone}");
    let time = overdue[0]["time"].as_str().and_then(Timestamp::parse_rfc3339);
    assert_eq!(time, Timestamp::parse_rfc3339(scan), "{zone}");
    assert_eq!(names(&overdue[0]["data"]), ["work_order_id", "title", "priority", "due_date", "asset_id"]);
    for _ in 0..2 {
        stage.run_scan().await;
    }
    stage.until_events("wo.overdue", 2).await;
}

#[tokio::test]
async fn wo_overdue_from_midnight_after_the_due_date_in_the_tenant_s_zone() {
    let times = ["2026-04-10T00:00:00Z", "2026-04-11", "2026-04-11T16:59:59.999Z", "2026-04-11T23:00:00Z"];
    overdue_at("Asia/Jakarta", times).await;
}

#[tokio::test]
async fn wo_overdue_over_the_change_of_clocks_in_new_york_and_in_berlin() {
    // Clocks go forward on 8 March: the day begins at 05:00 UTC, and 06:00 of the wall clock is at 10:00.
    let times = ["2026-03-06T00:00:00Z", "2026-03-07", "2026-03-08T04:59:59.999Z", "2026-03-08T10:00:00Z"];
    overdue_at("America/New_York", times).await;
    // And back on 1 November.
    let times = ["2026-10-30T00:00:00Z", "2026-10-31", "2026-11-01T03:59:59.999Z", "2026-11-01T11:00:00Z"];
    overdue_at("America/New_York", times).await;
    let times = ["2026-03-27T00:00:00Z", "2026-03-28", "2026-03-28T22:59:59.999Z", "2026-03-29T04:00:00Z"];
    overdue_at("Europe/Berlin", times).await;
    let times = ["2026-10-23T00:00:00Z", "2026-10-24", "2026-10-24T21:59:59.999Z", "2026-10-25T05:00:00Z"];
    overdue_at("Europe/Berlin", times).await;
}

#[tokio::test]
async fn wo_overdue_over_a_leap_day() {
    let times = ["2028-02-27T00:00:00Z", "2028-02-28", "2028-02-28T23:59:59.999Z", "2028-02-29T06:00:00Z"];
    overdue_at("UTC", times).await;
    let times = ["2028-02-28T00:00:00Z", "2028-02-29", "2028-02-29T23:59:59.999Z", "2028-03-01T06:00:00Z"];
    overdue_at("UTC", times).await;
}

#[tokio::test]
async fn wo_overdue_also_when_first_seen_late_and_when_it_is_open_again() {
    let stage = Stage::of("runtight").await;
    stage.put("work_order/late", &order("open", "2026-03-01")).await;
    stage.put("work_order/again", &order("on_hold", "2026-03-01")).await;
    stage.put("work_order/moved", &order("open", "2026-03-01")).await;
    stage.put("work_order/moved", &order("open", "2026-04-20")).await;
    stage.put("work_order/never", &order("open", "")).await;
    let first = stage.run_scan().await;
    assert_eq!(
        (&first["looked"], &first["events"]),
        (&json!(1), &json!(1)),
        "what is on hold is not waited for"
    );
    stage.put("work_order/again", &order("open", "2026-03-01")).await;
    stage.run_scan().await;
    let overdue = stage.until_events("wo.overdue", 2).await;
    let ids: Vec<_> = overdue.iter().map(|event| event["data"]["work_order_id"].as_str()).collect();
    assert_eq!(ids, [Some("late"), Some("again")]);
    stage.at("2026-04-20T23:00:00Z");
    assert_eq!(stage.until_events("wo.overdue", 3).await[2]["data"]["work_order_id"], "moved");
}

#[tokio::test]
async fn pm_due_when_a_template_makes_a_work_order_which_also_fires_wo_created() {
    let stage = Stage::of("runtight").await;
    // Mondays at 05:00 in Jakarta; 13 April 2026 is one.
    stage.put("pm_template/pm-1", &template(json!({ "cron": "0 5 * * 1", "due_after_days": 3 }))).await;
    stage.webhook(&["pm.due", "wo.created"], Value::Null).await;
    stage.at("2026-04-11T23:00:00Z");
    stage.at("2026-04-12T23:00:00Z");
    let due = stage.until_events("pm.due", 1).await;
    let id = "pm-1:20260413T0500";
    assert_eq!(
        due[0]["data"],
        json!({ "work_order_id": id, "template_id": "pm-1", "title": "Weekly inspection", "priority": "high",
                "due_date": "2026-04-16", "asset_id": "asset-1" })
    );
    let created = &stage.until_events("wo.created", 1).await[0]["data"];
    assert_eq!((&created["work_order_id"], &created["wo_type"]), (&json!(id), &json!("preventive")));
    let made = stage.get(&format!("/v1/records/work_order/{id}")).await;
    assert_eq!((&made["data"]["status"], &made["data"]["template_id"]), (&json!("open"), &json!("pm-1")));
    // Both go out with this very scan.
    let requests = stage.receiver.wait_for(2).await;
    let mut told: Vec<String> =
        requests.iter().map(|request| json_of(request)["event"].to_string()).collect();
    told.sort();
    assert_eq!(told, ["\"pm.due\"", "\"wo.created\""]);
    // What it made is overdue in its turn.
    stage.at("2026-04-16T23:00:00Z");
    assert_eq!(stage.until_events("wo.overdue", 1).await[0]["data"]["work_order_id"], id);
}

#[tokio::test]
async fn pm_due_by_an_interval_of_days_counted_from_the_day_it_was_told() {
    let stage = Stage::of("runtight").await;
    stage.zone("UTC").await;
    stage.put("pm_template/pm-1", &template(json!({ "interval": "2w" }))).await;
    stage.at("2026-04-24T06:00:00Z");
    assert_eq!(stage.run_scan().await["made"], 0);
    stage.at("2026-04-25T06:00:00Z");
    assert_eq!(stage.until_events("pm.due", 1).await[0]["data"]["due_date"], "2026-04-25");
    // Told again with the same schedule, it goes on as it was.
    stage.put("pm_template/pm-1", &template(json!({ "interval": "2w", "priority": "low" }))).await;
    stage.at("2026-05-09T06:00:00Z");
    assert_eq!(stage.until_events("pm.due", 2).await[1]["data"]["priority"], "low");
}

#[tokio::test]
async fn pm_due_once_per_occurrence_also_after_downtime_where_the_last_one_is_made_up_for() {
    let stage = Stage::of("runtight").await;
    stage.zone("UTC").await;
    stage.put("pm_template/pm-1", &template(json!({ "cron": "0 5 * * *" }))).await;
    stage.at("2026-04-12T06:00:00Z");
    stage.until_events("pm.due", 1).await;
    // Three days without Postrider.
    let stage = stage.restart_at("2026-04-15T12:00:00Z").await;
    let due = stage.until_events("pm.due", 2).await;
    let due: Vec<_> = due.iter().map(|event| event["data"]["work_order_id"].as_str()).collect();
    assert_eq!(due, [Some("pm-1:20260412T0500"), Some("pm-1:20260415T0500")]);
    let stage = stage.restart().await;
    stage.run_scan().await;
    stage.until_events("pm.due", 2).await;
}

#[tokio::test]
async fn pm_due_in_a_skipped_hour_at_the_change() {
    let stage = Stage::of_at("runtight", "2026-03-06T12:00:00Z").await;
    stage.zone("America/New_York").await;
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "scanAt": "02:30" } })).await;
    stage.put("pm_template/pm-1", &template(json!({ "cron": "30 2 * * *" }))).await;
    // 8 March has no 02:30: the scan runs, and the template is due, when clocks go from 02:00 to 03:00.
    stage.at("2026-03-08T06:59:59.999Z");
    stage.run_scan().await;
    stage.until_events("pm.due", 1).await;
    stage.at("2026-03-08T07:00:00Z");
    let due = stage.until_events("pm.due", 2).await;
    assert_eq!(due[1]["data"]["work_order_id"], "pm-1:20260308T0300");
}

#[tokio::test]
async fn pm_due_in_a_repeated_hour_once() {
    let stage = Stage::of_at("runtight", "2026-10-31T12:00:00Z").await;
    stage.zone("America/New_York").await;
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "scanAt": "01:30" } })).await;
    stage.put("pm_template/pm-1", &template(json!({ "cron": "30 1 * * *" }))).await;
    stage.at("2026-11-01T05:30:00Z");
    let due = stage.until_events("pm.due", 1).await;
    assert_eq!(due[0]["data"]["work_order_id"], "pm-1:20261101T0130");
    stage.at("2026-11-01T06:30:00Z");
    stage.run_scan().await;
    stage.until_events("pm.due", 1).await;
    stage.at("2026-11-02T06:30:00Z");
    stage.until_events("pm.due", 2).await;
}

#[tokio::test]
async fn the_events_of_the_day_go_out_at_the_scan() {
    let stage = Stage::of("runtight").await;
    stage.webhook(&["*"], Value::Null).await;
    stage.put("work_order/wo-1", &order("open", "2026-04-10")).await;
    let waiting = stage.deliveries().await;
    assert_eq!(waiting[0]["reason"], "waiting_for_scan");
    assert!(stage.receiver.received().is_empty());
    stage.at("2026-04-11T23:00:00Z");
    let requests = stage.receiver.wait_for(2).await;
    let mut told: Vec<Value> = requests.iter().map(|request| json_of(request)["event"].clone()).collect();
    told.sort_by_key(Value::to_string);
    assert_eq!(told, ["wo.created", "wo.overdue"], "also what the scan itself finds");
    stage.all_ended().await;
    stage.ledger_balances().await;
    let scans = stage.get("/v1/scans").await;
    let scan = &scans["data"][0];
    assert_eq!((&scan["tick"], &scan["events"]), (&json!("2026-04-11T23:00:00.000Z"), &json!(1)));
}

#[tokio::test]
async fn what_a_scan_finds_while_a_webhook_is_paused_is_cancelled() {
    let stage = Stage::of("runtight").await;
    let webhook = stage.webhook(&["wo.overdue"], Value::Null).await;
    let id = webhook["id"].as_str().expect("an id");
    stage.put("work_order/wo-1", &order("open", "2026-04-10")).await;
    stage.patch(&format!("/v1/webhooks/{id}"), &json!({ "enabled": false })).await;
    stage.at("2026-04-11T23:00:00Z");
    let delivery = stage.the_delivery().await;
    assert_eq!((&delivery["state"], &delivery["reason"]), (&json!("cancelled"), &json!("paused")));
    assert!(stage.receiver.received().is_empty());
}

#[tokio::test]
async fn each_event_at_most_once_per_record_over_restarts_and_racing_scans() {
    let stage = Stage::of("runtight").await;
    for n in 0..60 {
        stage.put(&format!("work_order/wo-{n}"), &order("open", "2026-04-10")).await;
    }
    let stage = stage.restart().await;
    let run = || stage.engine().derive().look(tenant(&stage), now(&stage));
    let (one, two, three) = tokio::join!(run(), run(), run());
    let looked = [one, two, three].map(|scanned| scanned.expect("a scan ends well").events);
    assert_eq!(looked.iter().sum::<u64>(), 60, "{looked:?}");
    let stage = stage.restart().await;
    stage.run_scan().await;
    for n in 0..60 {
        stage.put(&format!("work_order/wo-{n}"), &order("in_progress", "2026-04-09")).await;
    }
    stage.run_scan().await;
    let overdue = stage.get("/v1/events?type=wo.overdue&limit=100").await;
    assert_eq!(overdue["data"].as_array().map(Vec::len), Some(60));
    // Deleted and told again, it is the same work order.
    stage.as_operator(Method::DELETE, "/v1/records/work_order/wo-1", &Value::Null).await.ok();
    assert_eq!(stage.put("work_order/wo-1", &order("open", "2026-04-09")).await["events"], json!([]));
}

fn tenant(stage: &Stage) -> postrider_domain::id::TenantId {
    stage.engine().catalogue().tenant_by_public_id(crate::stage::TENANT).expect("the tenant").id
}

fn now(stage: &Stage) -> Timestamp {
    postrider_domain::time::Clock::now(&*stage.clock)
}

#[tokio::test]
async fn a_plan_without_webhooks_keeps_records_and_what_is_due_until_it_has_them() {
    let stage = Stage::of("runtight").await;
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "plan": "free" })).await;
    stage.put("work_order/wo-1", &order("open", "2026-04-10")).await;
    assert_eq!(stage.run_scan().await["looked"], 0);
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "plan": "pro" })).await;
    stage.run_scan().await;
    assert_eq!(stage.types().await, ["wo.overdue"]);
}
