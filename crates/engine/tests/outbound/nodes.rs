//! Two nodes on one PostgreSQL.

use std::time::Duration;

use postrider_domain::delivery::DeliveryState;
use postrider_engine::control::{Actor, Created, NewKey, Role};
use postrider_store::Want;
use postrider_testkit::receiver::{Answer, Receiver};

use crate::house::House;

#[tokio::test]
async fn what_one_node_changes_the_other_follows() {
    let [one, other] = House::two_nodes().await;
    let tenant = one.tenant("standard").await;
    other.heard(|catalogue| catalogue.tenant(tenant.id).is_some()).await;
    let webhook = one.webhook(&tenant, "http://127.0.0.1:9001/", &["a.b"]).await;
    let enabled = |house: &House| {
        let tenant = house.engine.catalogue().tenant(tenant.id);
        tenant.and_then(|tenant| tenant.webhook(webhook.id).map(|webhook| webhook.enabled))
    };
    other.heard(|_| enabled(&other) == Some(true)).await;
    other.switch(&webhook, false).await;
    one.heard(|_| enabled(&one) == Some(false)).await;

    let new = NewKey { role: Role::Admin, tenant: Some(tenant.id), name: "theirs".into() };
    let Ok(Created::Fresh(_)) = one.engine.control().key_create(&Actor::postrider(), new, None).await else {
        panic!("the key is made")
    };
    one.engine.control().tenant_delete(&Actor::postrider(), tenant.id).await.expect("it is deleted");
    other.heard(|catalogue| catalogue.tenant(tenant.id).is_none()).await;
}

#[tokio::test]
async fn a_change_is_decided_on_what_another_node_wrote_a_moment_ago() {
    let [one, other] = House::two_nodes().await;
    let tenant = one.tenant("standard").await;
    other.heard(|catalogue| catalogue.tenant(tenant.id).is_some()).await;
    // Each of these is decided before the word of the one before it can have been heard.
    for n in 0..10 {
        let house = if n % 2 == 0 { &one } else { &other };
        house.webhook(&tenant, &format!("http://127.0.0.1:9001/{n}"), &["a.b"]).await;
    }
    for house in [&one, &other] {
        house
            .heard(|catalogue| catalogue.tenant(tenant.id).is_some_and(|now| now.webhooks.len() == 10))
            .await;
    }
}

#[tokio::test]
async fn an_event_goes_to_a_webhook_whichever_node_takes_it_in() {
    let [one, other] = House::two_nodes().await;
    let receiver = Receiver::start().await;
    let tenant = one.tenant("standard").await;
    one.webhook(&tenant, &receiver.url("/"), &["a.b"]).await;
    other.heard(|catalogue| catalogue.tenant(tenant.id).is_some_and(|now| !now.webhooks.is_empty())).await;
    for n in 0..20 {
        let house = if n % 2 == 0 { &one } else { &other };
        house.publish(&tenant, "a.b").await;
    }
    let deliveries = one.all_ended(&tenant).await;
    assert!(deliveries.iter().all(|delivery| delivery.state == DeliveryState::Delivered));
    assert_eq!((deliveries.len(), receiver.received().len()), (20, 20));
    one.ledger_balances().await;
}

#[tokio::test]
async fn a_node_that_stops_hands_its_retries_over() {
    let [one, other] = House::two_nodes().await;
    let receiver = Receiver::start().await;
    receiver.answer_next([Answer::status(500)]);
    let tenant = one.tenant("standard").await;
    one.webhook(&tenant, &receiver.url("/"), &["a.b"]).await;
    other.heard(|catalogue| catalogue.tenant(tenant.id).is_some_and(|now| !now.webhooks.is_empty())).await;
    one.publish(&tenant, "a.b").await;
    one.until(&tenant, |all| all[0].state == DeliveryState::Scheduled).await;
    one.engine.stop(Duration::ZERO).await;
    one.engine.store().close().await;
    other.until_due(&tenant).await;
    let deliveries = other.all_ended(&tenant).await;
    assert_eq!((deliveries[0].state, deliveries[0].attempts), (DeliveryState::Delivered, 2));
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn a_switch_on_one_node_keeps_the_other_from_sending() {
    let [one, other] = House::two_nodes().await;
    let receiver = Receiver::start().await;
    receiver.answer_next([Answer::status(500)]);
    let tenant = one.tenant("smartmaintenance").await;
    let webhook = one.webhook(&tenant, &receiver.url("/"), &["task.completed"]).await;
    one.publish(&tenant, "task.completed").await;
    one.until(&tenant, |all| all[0].state == DeliveryState::Scheduled).await;
    other.heard(|catalogue| catalogue.tenant(tenant.id).is_some_and(|now| !now.webhooks.is_empty())).await;
    other.switch(&webhook, false).await;
    one.heard(|catalogue| {
        catalogue
            .tenant(tenant.id)
            .is_some_and(|tenant| tenant.webhook(webhook.id).is_some_and(|webhook| !webhook.enabled))
    })
    .await;
    one.clock.advance(Duration::from_secs(3600));
    // What is due stays in the store: a claim of either node would find it.
    let want = Want { tenant: tenant.id, webhook: webhook.id, count: 0 };
    let now = postrider_domain::time::Clock::now(&*one.clock);
    let waits = one.engine.store().delivery_claim(now, now, vec![want]).await.expect("an answer");
    assert!(waits[0].next_due.is_some_and(|due| due <= now));
    assert_eq!(receiver.received().len(), 1);
}
