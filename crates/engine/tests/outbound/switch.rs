//! Webhooks that are switched off, on again, or deleted while deliveries wait.

use std::time::Duration;

use postrider_domain::delivery::{DeliveryState, Reason};
use postrider_domain::limits;
use postrider_domain::time::Clock;
use postrider_engine::control::Actor;
use postrider_testkit::receiver::{Answer, Receiver};

use crate::house::House;

#[tokio::test]
async fn what_was_scheduled_is_held_while_the_webhook_is_off_and_goes_out_when_it_is_on() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer_next([Answer::status(500)]);
    let tenant = house.tenant("smartmaintenance").await;
    let webhook = house.webhook(&tenant, &receiver.url("/"), &["task.completed"]).await;
    house.publish(&tenant, "task.completed").await;
    house.until(&tenant, |all| all[0].state == DeliveryState::Scheduled).await;
    house.switch(&webhook, false).await;
    assert_eq!(house.publish(&tenant, "task.completed").await.matched, 0, "no delivery while it is off");
    house.clock.advance(Duration::from_secs(3600));
    house.switch(&webhook, true).await;
    house.clock.advance(Duration::from_secs(1));
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].state, DeliveryState::Delivered);
    assert_eq!(receiver.received().len(), 2);
    house.ledger_balances().await;
}

#[tokio::test]
async fn what_is_held_for_too_long_is_cancelled_with_its_reason() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    let tenant = house.tenant("smartmaintenance").await;
    let webhook = house.webhook(&tenant, &receiver.url("/"), &["task.completed"]).await;
    house.publish(&tenant, "task.completed").await;
    house.until(&tenant, |all| all[0].state == DeliveryState::Scheduled).await;
    house.switch(&webhook, false).await;
    house.clock.sleeper().await;
    house.clock.advance(limits::HELD_MAX + Duration::from_secs(1));
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!((deliveries[0].state, deliveries[0].reason), (DeliveryState::Cancelled, Reason::HeldTooLong));
    assert_eq!(receiver.received().len(), 1);
    house.ledger_balances().await;
}

#[tokio::test]
async fn deleting_a_webhook_cancels_what_is_scheduled_and_keeps_the_history() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    let tenant = house.tenant("smartmaintenance").await;
    let webhook = house.webhook(&tenant, &receiver.url("/"), &["task.completed"]).await;
    house.publish(&tenant, "task.completed").await;
    house.until(&tenant, |all| all[0].state == DeliveryState::Scheduled).await;
    house
        .engine
        .control()
        .webhook_delete(&Actor::postrider(), &house.now(&tenant), webhook.id)
        .await
        .expect("it is deleted");
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(
        (deliveries[0].state, deliveries[0].reason),
        (DeliveryState::Cancelled, Reason::WebhookDeleted)
    );
    let due = house.clock.now().plus(Duration::from_secs(3600));
    house.clock.set(due);
    house.publish(&tenant, "task.completed").await;
    assert_eq!(receiver.received().len(), 1);
    let attempts = house.engine.store().attempts(tenant.id, deliveries[0].id).await.expect("attempts");
    assert_eq!(attempts.len(), 1);
    house.ledger_balances().await;
}
