//! Delivery by the daily scan.

use std::time::Duration;

use postrider_domain::delivery::{DeliveryState, Reason};
use postrider_domain::time::Timestamp;
use postrider_engine::control::TenantPatch;
use postrider_testkit::receiver::{Answer, Receiver};
use serde_json::json;

use crate::house::House;

const CREATED: &str = "{\"work_order_id\":\"wo-1\",\"title\":\"Press\"}";

#[tokio::test]
async fn events_of_the_day_wait_for_the_scan_and_go_out_with_it() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("runtight").await;
    house.webhook(&tenant, &receiver.url("/"), &["wo.created"]).await;
    for _ in 0..3 {
        house.try_publish(&tenant, "wo.created", None, CREATED).await.expect("accepted");
    }
    let deliveries = house.deliveries(&tenant).await;
    // The clock stands at 09:15 UTC, the tenant has no zone of its own: 06:00 UTC of the next day.
    let scan = Timestamp::parse_rfc3339("2026-04-12T06:00:00Z").expect("a time");
    for delivery in &deliveries {
        assert_eq!((delivery.state, delivery.reason), (DeliveryState::Scheduled, Reason::WaitingForScan));
        assert_eq!(delivery.due, Some(scan));
    }
    house.clock.set(Timestamp::from_unix_ms(scan.unix_ms() - 1));
    assert_eq!(receiver.received().len(), 0);
    house.clock.set(scan);
    let deliveries = house.all_ended(&tenant).await;
    assert!(deliveries.iter().all(|delivery| delivery.state == DeliveryState::Delivered));
    assert_eq!(receiver.received().len(), 3);
    house.ledger_balances().await;
}

#[tokio::test]
async fn an_operator_may_run_the_scan_now_and_each_event_goes_out_at_most_once() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    let tenant = house.tenant("runtight").await;
    house.webhook(&tenant, &receiver.url("/"), &["wo.created"]).await;
    house.try_publish(&tenant, "wo.created", None, CREATED).await.expect("accepted");
    assert_eq!(house.engine.scan_run(&house.now(&tenant)).await.expect("a scan").0, 1);
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(
        (deliveries[0].state, deliveries[0].reason),
        (DeliveryState::Failed, Reason::SingleAttemptFailed)
    );
    assert_eq!(house.engine.scan_run(&house.now(&tenant)).await.expect("a scan").0, 0);
    house.clock.advance(Duration::from_secs(3 * 24 * 3600));
    assert_eq!(receiver.received().len(), 1);
    house.ledger_balances().await;
}

#[tokio::test]
async fn a_webhook_that_is_paused_when_the_scan_comes_gets_nothing_of_that_day() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("runtight").await;
    let webhook = house.webhook(&tenant, &receiver.url("/"), &["wo.created"]).await;
    house.try_publish(&tenant, "wo.created", None, CREATED).await.expect("accepted");
    house.switch(&webhook, false).await;
    house.engine.scan_run(&house.now(&tenant)).await.expect("a scan");
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!((deliveries[0].state, deliveries[0].reason), (DeliveryState::Cancelled, Reason::Paused));
    assert_eq!(receiver.received().len(), 0);
    house.ledger_balances().await;
}

#[tokio::test]
async fn the_switch_is_read_when_the_scan_comes_not_when_the_event_does() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("runtight").await;
    let webhook = house.webhook(&tenant, &receiver.url("/"), &["wo.created"]).await;
    house.switch(&webhook, false).await;
    house.try_publish(&tenant, "wo.created", None, CREATED).await.expect("accepted");
    house.switch(&webhook, true).await;
    house.engine.scan_run(&house.now(&tenant)).await.expect("a scan");
    // Switching on paces what waits: a grid of 50 ms.
    house.clock.advance(Duration::from_millis(50));
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(deliveries[0].state, DeliveryState::Delivered);
    house.ledger_balances().await;
}

#[tokio::test]
async fn what_waits_for_a_paused_webhook_is_cancelled_by_the_scan_also_when_the_mode_was_changed_between() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("runtight").await;
    let webhook = house.webhook(&tenant, &receiver.url("/"), &["wo.created"]).await;
    house.try_publish(&tenant, "wo.created", None, CREATED).await.expect("accepted");
    house.set(&tenant, json!({"delivery": "immediate"})).await;
    house.switch(&webhook, false).await;
    house.set(&tenant, json!({"delivery": "scan"})).await;
    house.engine.scan_run(&house.now(&tenant)).await.expect("a scan");
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!((deliveries[0].state, deliveries[0].reason), (DeliveryState::Cancelled, Reason::Paused));
    assert_eq!(receiver.received().len(), 0);
    house.ledger_balances().await;
}

#[tokio::test]
async fn an_event_whose_pinned_values_are_damaged_ends_and_says_so() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("runtight").await;
    house.webhook(&tenant, &receiver.url("/"), &["wo.created"]).await;
    house.try_publish(&tenant, "wo.created", None, CREATED).await.expect("accepted");
    let renamed = TenantPatch { name: Some("Another name".to_owned()), ..TenantPatch::default() };
    house.update(&tenant, renamed).await;
    let house = house
        .after_damage("UPDATE tenant_version SET timezone = 'Nowhere/At all' WHERE name <> 'Another name'")
        .await;
    house.engine.scan_run(&house.now(&tenant)).await.expect("a scan");
    let delivery = house.all_ended(&tenant).await.remove(0);
    assert_eq!((delivery.state, delivery.reason), (DeliveryState::Failed, Reason::NotRenderable));
    let attempts = house.engine.store().attempts(tenant.id, delivery.id).await.expect("attempts");
    assert!(attempts[0].detail.as_deref().is_some_and(|detail| detail.contains("can no longer be read")));
    assert_eq!(receiver.received().len(), 0);
    house.ledger_balances().await;
}
