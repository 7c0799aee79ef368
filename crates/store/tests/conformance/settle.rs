use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};

use crate::world::{SECOND, Sending, World, attempt};

pub(crate) async fn a_result_is_written_with_its_attempt(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    let started = world.now();
    let ended = world.pass(SECOND);
    let result = sending.result(
        attempt(1, started, AttemptClass::Success),
        DeliveryState::Delivered,
        Reason::Accepted,
    );
    assert!(world.settle(tenant, result).await);
    let stored = world.get(tenant, sending.delivery).await;
    assert_eq!((stored.state, stored.reason), (DeliveryState::Delivered, Reason::Accepted));
    assert_eq!((stored.settled, stored.claimed, stored.due), (Some(ended), None, None));
    assert_eq!((stored.last_class, stored.last_status), (Some(AttemptClass::Success), Some(200)));
    let attempts = world.store().attempts(tenant, sending.delivery).await.unwrap();
    assert_eq!(attempts, [attempt(1, started, AttemptClass::Success)]);
}

pub(crate) async fn a_retry_is_due_again_and_counts_on(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    let due = world.now().plus(SECOND);
    assert!(world.settle(tenant, sending.retry(world.now(), due, 1)).await);
    assert_eq!(world.state(tenant, sending.delivery).await, (DeliveryState::Scheduled, Reason::RetryDue));
    assert!(world.claim(tenant, webhook, 1).await.claimed.is_empty());
    world.pass(SECOND);
    let claimed = world.claim(tenant, webhook, 1).await.claimed.remove(0);
    assert_eq!((claimed.attempt, claimed.fence, claimed.step), (2, 2, 1));
    assert!(world.settle(tenant, Sending::of(&claimed).failed(world.now())).await);
    let numbers: Vec<u32> = world
        .store()
        .attempts(tenant, sending.delivery)
        .await
        .unwrap()
        .iter()
        .map(|attempt| attempt.number)
        .collect();
    assert_eq!(numbers, [1, 2]);
}

pub(crate) async fn a_result_under_an_older_claim_is_not_taken(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let old = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    assert!(world.store().delivery_hand_back(Some(world.now()), tenant, old.delivery, 1).await.unwrap());
    let new = Sending::of(&world.claim(tenant, webhook, 1).await.claimed[0]);
    assert!(!world.deliver(tenant, old).await);
    assert_eq!(world.state(tenant, old.delivery).await.0, DeliveryState::Sending);
    assert!(world.store().attempts(tenant, old.delivery).await.unwrap().is_empty());
    assert!(world.deliver(tenant, new).await);
}

pub(crate) async fn a_final_state_never_changes(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    assert!(world.deliver(tenant, sending).await);
    let before = world.get(tenant, sending.delivery).await;
    world.pass(SECOND);
    assert!(!world.settle(tenant, sending.failed(world.now())).await);
    let store = world.store();
    assert!(!store.delivery_hand_back(Some(world.now()), tenant, sending.delivery, 1).await.unwrap());
    let cancelled =
        store.delivery_cancel(world.now(), tenant, webhook, Reason::WebhookOff, None).await.unwrap();
    assert_eq!(cancelled, 0);
    assert_eq!(world.get(tenant, sending.delivery).await, before);
}

pub(crate) async fn a_result_for_another_tenant_is_not_taken(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    assert!(!world.deliver(world.tenant(), sending).await);
    assert_eq!(world.state(tenant, sending.delivery).await.0, DeliveryState::Sending);
}
