//! The process stops between the claim and the result.

use postrider_domain::delivery::{AttemptClass, DeliveryState, Reason};
use postrider_domain::event::WEBHOOK_DISABLED;
use postrider_engine::catalogue::DisabledReason;
use postrider_testkit::receiver::{Answer, Gate, Receiver};

use crate::house::House;

/// A request is at the receiver, unanswered, when the power goes.
async fn cut_off(profile: &str, event_type: &str, data: &str) -> (Receiver, House, House, Gate) {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    receiver.answer_next([Answer::ok().behind(&gate)]);
    let tenant = house.tenant(profile).await;
    if profile == "org-jobs" {
        let patch = postrider_engine::control::TenantPatch {
            settings: serde_json::json!({"webhook": {"url": receiver.url("/")}}).as_object().cloned(),
            ..Default::default()
        };
        let actor = postrider_engine::control::Actor::postrider();
        house.engine.control().tenant_update(&actor, tenant.id, patch).await.expect("the webhook is set");
    } else {
        house.webhook(&tenant, &receiver.url("/"), &["*"]).await;
    }
    house.try_publish(&tenant, event_type, None, data).await.expect("accepted");
    receiver.wait_for(1).await;
    let after = house.after_power_loss().await;
    (receiver, house, after, gate)
}

#[tokio::test]
async fn an_interrupted_attempt_reads_unknown_and_is_sent_again_at_once_marked() {
    let (receiver, _before, after, _gate) = cut_off("standard", "order.created", "{}").await;
    let tenant = after.engine.catalogue().tenant_by_public_id("a-standard").expect("the tenant survived");
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    let delivery = after.all_ended(&tenant).await.remove(0);
    assert_eq!((delivery.state, delivery.attempts, delivery.step), (DeliveryState::Delivered, 2, 0));
    let attempts = after.engine.store().attempts(tenant.id, delivery.id).await.expect("attempts");
    assert_eq!(attempts[0].class, AttemptClass::Unknown);
    assert_eq!((attempts[1].class, attempts[1].resend), (AttemptClass::Success, true));
    after.ledger_balances().await;
}

#[tokio::test]
async fn a_profile_that_promises_at_most_one_request_never_makes_a_second() {
    let (receiver, _before, after, _gate) =
        cut_off("org-jobs", "job.deleted", "{\"job\":{\"id\":\"1\"}}").await;
    let tenant = after.engine.catalogue().tenant_by_public_id("a-org-jobs").expect("the tenant survived");
    let delivery = after.all_ended(&tenant).await.remove(0);
    assert_eq!((delivery.state, delivery.reason), (DeliveryState::Failed, Reason::OutcomeUnknown));
    let attempts = after.engine.store().attempts(tenant.id, delivery.id).await.expect("attempts");
    assert_eq!(attempts.iter().map(|attempt| attempt.class).collect::<Vec<_>>(), [AttemptClass::Unknown]);
    assert_eq!(receiver.received().len(), 1);
    after.ledger_balances().await;
}

#[tokio::test]
async fn a_scheduled_retry_survives_the_restart_with_its_time_and_its_step() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    receiver.answer_next([Answer::status(500), Answer::status(500)]);
    let tenant = house.tenant("smartmaintenance").await;
    house.webhook(&tenant, &receiver.url("/"), &["task.completed"]).await;
    house.publish(&tenant, "task.completed").await;
    house.until_due(&tenant).await;
    receiver.wait_for(2).await;
    let before =
        house.until(&tenant, |all| all[0].state == DeliveryState::Scheduled && all[0].attempts == 2).await;
    house.engine.stop(std::time::Duration::from_secs(1)).await;
    let after = house.after_power_loss().await;
    let same = after.deliveries(&tenant).await;
    assert_eq!((same[0].due, same[0].step), (before[0].due, 2));
    assert_eq!(receiver.received().len(), 2, "nothing is sent before its time");
    after.until_due(&tenant).await;
    assert_eq!(after.all_ended(&tenant).await[0].state, DeliveryState::Delivered);
    after.ledger_balances().await;
}

#[tokio::test]
async fn a_stop_waits_for_what_is_in_flight_and_claims_nothing_new() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    receiver.answer_next([Answer::ok().behind(&gate)]);
    let tenant = house.tenant("standard").await;
    house.webhook(&tenant, &receiver.url("/"), &["*"]).await;
    house.publish(&tenant, "order.created").await;
    receiver.wait_for(1).await;
    let engine = house.engine.clone();
    let stopping = tokio::spawn(async move { engine.stop(std::time::Duration::from_secs(60)).await });
    postrider_testkit::clock::turn().await;
    // Accepted while stopping: it is durable, and waits for the next start.
    house.publish(&tenant, "order.created").await;
    gate.open();
    stopping.await.expect("the stop ends");
    let states: Vec<_> = house.deliveries(&tenant).await.iter().map(|delivery| delivery.state).collect();
    assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Scheduled]);
    assert_eq!(receiver.received().len(), 1);
    let after = house.after_power_loss().await;
    receiver.wait_for(2).await;
    after.all_ended(&tenant).await;
    after.ledger_balances().await;
}

/// The webhook is off on disk, and the power goes before its event is.
#[tokio::test]
async fn a_webhook_that_was_switched_off_is_told_of_after_a_crash_and_once() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("standard").await;
    let gone = house.webhook(&tenant, &receiver.url("/gone"), &["*"]).await;
    house.webhook(&tenant, &receiver.url("/ops"), &[WEBHOOK_DISABLED]).await;
    let disabled = house.engine.control().webhook_disable(tenant.id, gone.id, DisabledReason::Gone).await;
    assert!(disabled.expect("it is on"));
    let once = house.after_power_loss().await;
    let received = receiver.wait_for(1).await;
    assert!(String::from_utf8_lossy(&received[0].body).contains(&gone.id.to_string()));
    once.until(&tenant, |all| all.len() == 1 && all[0].state == DeliveryState::Delivered).await;
    let twice = once.after_power_loss().await;
    // What follows is told after what was left to tell.
    twice.publish(&tenant, "order.created").await;
    assert_eq!(twice.all_ended(&tenant).await.len(), 1);
    twice.ledger_balances().await;
}
