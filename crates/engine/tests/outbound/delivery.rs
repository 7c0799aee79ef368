//! What becomes of deliveries: delivered, retried on schedule, failed; and what is told of it.

use std::time::Duration;

use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::{DELIVERY_EXHAUSTED, WEBHOOK_DISABLED};
use postrider_engine::outbound::ingest::Publication;
use postrider_engine::outbound::lanes::{Bounds, Crowd, LaneLimits};
use postrider_engine::{Answered, EngineError};
use postrider_store::EventOutcome;
use postrider_testkit::receiver::{Answer, Gate, Receiver};

use crate::house::{House, is_new};

#[tokio::test]
async fn an_accepted_event_reaches_every_matching_webhook_once() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("standard").await;
    house.webhook(&tenant, &receiver.url("/all"), &["*"]).await;
    house.webhook(&tenant, &receiver.url("/some"), &["order.*"]).await;
    house.webhook(&tenant, &receiver.url("/none"), &["invoice.paid"]).await;
    let published = house.publish(&tenant, "order.created").await;
    assert!(is_new(&published));
    assert_eq!(published.matched, 2);
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(deliveries.len(), 2);
    for delivery in &deliveries {
        assert_eq!((delivery.state, delivery.reason), (DeliveryState::Delivered, Reason::Accepted));
        let attempts = house.engine.store().attempts(tenant.id, delivery.id).await.expect("attempts");
        assert_eq!(attempts.len(), 1);
        assert_eq!((attempts[0].number, attempts[0].class), (1, AttemptClass::Success));
        assert!(attempts[0].body_sha256.is_some());
    }
    let mut paths: Vec<_> = receiver.received().into_iter().map(|received| received.path.clone()).collect();
    paths.sort();
    assert_eq!(paths, ["/all", "/some"]);
    house.ledger_balances().await;
}

#[tokio::test]
async fn a_failing_receiver_is_asked_again_at_the_profile_s_exact_delays_and_then_no_more() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    let tenant = house.tenant("smartmaintenance").await;
    house.webhook(&tenant, &receiver.url("/"), &["task.completed"]).await;
    house.publish(&tenant, "task.completed").await;
    for seconds in [1, 5, 25, 125, 625] {
        assert_eq!(house.until_due(&tenant).await, Duration::from_secs(seconds));
    }
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(
        (deliveries[0].state, deliveries[0].reason),
        (DeliveryState::Failed, Reason::RetriesExhausted)
    );
    assert_eq!(deliveries[0].attempts, 6);
    let bodies: Vec<_> = receiver.received().iter().map(|received| received.body.clone()).collect();
    assert_eq!(bodies.len(), 6);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "a retry renders the same body");
    house.ledger_balances().await;
}

#[tokio::test]
async fn retry_after_moves_the_next_attempt_later_and_never_earlier() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer_next([
        Answer::status(503).header("Retry-After", "120"),
        Answer::status(429).header("Retry-After", "1"),
        Answer::ok(),
    ]);
    let tenant = house.tenant("standard").await;
    house.webhook(&tenant, &receiver.url("/"), &["*"]).await;
    house.publish(&tenant, "order.created").await;
    assert_eq!(house.until_due(&tenant).await, Duration::from_secs(120));
    let second = house.until_due(&tenant).await;
    assert!(
        (Duration::from_secs(270)..=Duration::from_secs(330)).contains(&second),
        "{second:?} is 5 min ± 10 %"
    );
    assert_eq!(house.all_ended(&tenant).await[0].state, DeliveryState::Delivered);
}

#[tokio::test]
async fn gone_fails_the_delivery_switches_the_webhook_off_and_tells_who_asked() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer_with(|received| Answer::status(if received.path == "/gone" { 410 } else { 200 }));
    let tenant = house.tenant("standard").await;
    let gone = house.webhook(&tenant, &receiver.url("/gone"), &["*"]).await;
    house.webhook(&tenant, &receiver.url("/ops"), &[WEBHOOK_DISABLED]).await;
    house.publish(&tenant, "order.created").await;
    let received = receiver.wait_for(2).await;
    assert!(received[1].path == "/ops", "the operational event does not go to `*`");
    assert!(String::from_utf8_lossy(&received[1].body).contains(&gone.id.to_string()));
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!((deliveries[0].state, deliveries[0].reason), (DeliveryState::Failed, Reason::Gone));
    let now = house.now(&tenant);
    let gone = now.webhook(gone.id).expect("it is not deleted");
    assert!(!gone.enabled);
    assert!(gone.disabled_reason.is_some());
    assert_eq!(house.publish(&tenant, "order.created").await.matched, 0);
    house.ledger_balances().await;
}

#[tokio::test]
async fn an_exhausted_delivery_is_told_to_webhooks_that_name_it_and_never_about_itself() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    let tenant = house.tenant("smartmaintenance").await;
    house.webhook(&tenant, &receiver.url("/"), &["task.completed", DELIVERY_EXHAUSTED]).await;
    house.publish(&tenant, "task.completed").await;
    for _ in 0..5 {
        house.until_due(&tenant).await;
    }
    // The operational event's own five retries; then nothing follows.
    house.until(&tenant, |all| all.len() == 2).await;
    for _ in 0..5 {
        house.until_due(&tenant).await;
    }
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(deliveries.len(), 2);
    assert_eq!(&*deliveries[1].event_type, DELIVERY_EXHAUSTED);
    assert_eq!(receiver.received().len(), 12);
    house.ledger_balances().await;
}

#[tokio::test]
async fn the_same_id_with_the_same_content_is_one_event_and_with_other_content_a_conflict() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("standard").await;
    house.webhook(&tenant, &receiver.url("/"), &["*"]).await;
    let first = house.try_publish(&tenant, "order.created", Some("order-1"), "{\"n\":1}").await.expect("new");
    let again =
        house.try_publish(&tenant, "order.created", Some("order-1"), "{ \"n\": 1 }").await.expect("same");
    let EventOutcome::New(id) = first.outcome else { panic!("{:?}", first.outcome) };
    assert_eq!(again.outcome, EventOutcome::Same(id));
    let other =
        house.try_publish(&tenant, "order.created", Some("order-1"), "{\"n\":2}").await.expect("an outcome");
    assert_eq!(other.outcome, EventOutcome::Different);
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(deliveries.len(), 1);
    assert_eq!(receiver.received().len(), 1);
    house.ledger_balances().await;
}

#[tokio::test]
async fn a_burst_beyond_every_bound_waits_in_the_store_and_is_delivered_whole() {
    let bounds = Bounds { in_all: 4, per_tenant: 3, per_webhook: 2 };
    let lanes =
        LaneLimits { in_hand: bounds, in_flight: bounds, per_failing_webhook: 1, crowd: Crowd::NEVER };
    let house = House::open_with(lanes).await;
    let gate = Gate::closed();
    let receiver = Receiver::start().await;
    let held = gate.clone();
    receiver.answer_with(move |_| Answer::ok().behind(&held));
    let tenant = house.tenant("standard").await;
    house.webhook(&tenant, &receiver.url("/a"), &["*"]).await;
    house.webhook(&tenant, &receiver.url("/b"), &["*"]).await;
    for _ in 0..20 {
        house.publish(&tenant, "order.created").await;
    }
    receiver.wait_for(3).await;
    let deliveries = house.deliveries(&tenant).await;
    let sending = deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Sending).count();
    assert_eq!(sending, 3, "the tenant's bound");
    house.ledger_balances().await;
    gate.open();
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(deliveries.len(), 40);
    assert!(
        deliveries
            .iter()
            .all(|delivery| delivery.state == DeliveryState::Delivered && delivery.attempts == 1)
    );
    assert_eq!(receiver.received().len(), 40);
    house.ledger_balances().await;
}

#[tokio::test]
async fn what_is_durable_is_sent_even_when_the_publisher_hangs_up() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("standard").await;
    house.webhook(&tenant, &receiver.url("/"), &["*"]).await;
    {
        let tenant = house.now(&tenant);
        let publication =
            Publication { id: None, event_type: "order.created", time: None, data: "{}", depth: 0 };
        let mut publishing = Box::pin(house.engine.publish(&tenant, &publication, None));
        // One poll hands the work to the writer; then the caller is gone.
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(publishing.as_mut().poll(cx).is_ready())).await;
        assert!(!polled, "the writer's word cannot be there within one poll of this thread");
    }
    receiver.wait_for(1).await;
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!(deliveries[0].state, DeliveryState::Delivered);
    house.ledger_balances().await;
}

#[tokio::test]
async fn a_manual_retry_is_a_new_delivery_with_the_same_idempotency_key_for_the_receiver() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer_next([Answer::status(500)]);
    let tenant = house.tenant("org-jobs").await;
    let new = postrider_engine::control::TenantPatch {
        settings: serde_json::json!({"webhook": {"url": receiver.url("/"), "enabled": true}})
            .as_object()
            .cloned(),
        ..Default::default()
    };
    let actor = postrider_engine::control::Actor::postrider();
    house.engine.control().tenant_update(&actor, tenant.id, new).await.expect("the webhook is set");
    house.try_publish(&tenant, "job.deleted", None, "{\"job\":{\"id\":\"1\"}}").await.expect("accepted");
    let failed = house.all_ended(&tenant).await.remove(0);
    assert_eq!((failed.state, failed.reason), (DeliveryState::Failed, Reason::SingleAttemptFailed));
    let Ok(Answered::Fresh(retry)) = house.engine.delivery_retry(&house.now(&tenant), failed.id, None).await
    else {
        panic!("the retry was refused");
    };
    let deliveries =
        house.until(&tenant, |all| all.len() == 2 && all.iter().all(|one| one.state.is_final())).await;
    assert_eq!(deliveries[1].id, retry);
    assert_eq!((deliveries[1].kind, deliveries[1].state), (DeliveryKind::Replay, DeliveryState::Delivered));
    assert_eq!(deliveries[1].event, failed.event);
    let unfinished = house.engine.delivery_retry(&house.now(&tenant), retry, None).await;
    assert!(unfinished.is_ok(), "a delivered one may be sent again too");
    house.all_ended(&tenant).await;
    let foreign = postrider_domain::id::DeliveryId::from_bytes([7; 16]);
    assert!(matches!(
        house.engine.delivery_retry(&house.now(&tenant), foreign, None).await,
        Err(EngineError::Refused(problem)) if problem.code == postrider_domain::problem::Code::NotFound
    ));
    house.ledger_balances().await;
}

#[tokio::test]
async fn a_test_event_is_one_request_also_to_a_webhook_that_is_off() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    let tenant = house.tenant("smartmaintenance").await;
    let webhook = house.webhook(&tenant, &receiver.url("/"), &["task.completed"]).await;
    house.switch(&webhook, false).await;
    let now = house.now(&tenant);
    let webhook = now.webhook(webhook.id).expect("it is there");
    let publication =
        Publication { id: None, event_type: "task.assigned", time: None, data: "{\"task_id\":1}", depth: 0 };
    let Ok(Answered::Fresh(_)) = house.engine.publish_test(&now, webhook, &publication, None).await else {
        panic!("the test was refused");
    };
    let deliveries = house.all_ended(&tenant).await;
    assert_eq!((deliveries[0].kind, deliveries[0].state), (DeliveryKind::Test, DeliveryState::Failed));
    assert_eq!(deliveries[0].attempts, 1);
    assert!(String::from_utf8_lossy(&receiver.received()[0].body).contains("\"test\":true"));
    let stats = house
        .engine
        .store()
        .webhook_stats(tenant.id, webhook.id, house.engine.clock().now())
        .await
        .expect("stats");
    assert_eq!(stats.attempts, 0, "tests count in no statistic");
    house.ledger_balances().await;
}
