use std::time::Duration;

use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_store::{Commit, NewEvent, Want};

use crate::world::{LEASE, SECOND, Sending, World};

pub(crate) async fn what_is_due_is_claimed_earliest_first_and_once(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(world.accept_scheduled(tenant, webhook).await.1);
        world.pass(SECOND);
    }
    let first = world.claim(tenant, webhook, 3).await;
    let ids: Vec<_> = first.claimed.iter().map(|claimed| claimed.delivery).collect();
    assert_eq!(ids, made[..3]);
    let next = world.get(tenant, made[3]).await;
    assert_eq!(first.next_due, next.due);
    let second = world.claim(tenant, webhook, 10).await;
    let ids: Vec<_> = second.claimed.iter().map(|claimed| claimed.delivery).collect();
    assert_eq!((ids.as_slice(), second.next_due), (&made[3..], None));
    assert!(world.claim(tenant, webhook, 10).await.claimed.is_empty());

    let claimed = &first.claimed[0];
    assert_eq!((claimed.attempt, claimed.fence, claimed.step, claimed.resend), (1, 1, 0, false));
    assert_eq!(&*claimed.event.event_type, "task.completed");
    let stored = world.get(tenant, made[0]).await;
    assert_eq!((stored.state, stored.attempts, stored.due), (DeliveryState::Sending, 1, None));
}

pub(crate) async fn what_is_not_due_is_told_and_left(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let due = world.now().plus(SECOND);
    let mut event = world.event("a.b");
    event.deliveries.push(world.delivery(event.id, webhook));
    event.deliveries[0].due = due;
    world.accept(tenant, event).await;
    let answer = world.claim(tenant, webhook, 10).await;
    assert_eq!((answer.claimed.len(), answer.next_due), (0, Some(due)));
    world.pass(SECOND);
    assert_eq!(world.claim(tenant, webhook, 10).await.claimed.len(), 1);
}

pub(crate) async fn wants_are_answered_in_their_order(world: &World) {
    let (one, two) = (world.tenant(), world.tenant());
    let webhooks = [world.webhook(), world.webhook(), world.webhook()];
    let mut event = world.event("a.b");
    event.deliveries = vec![world.delivery(event.id, webhooks[0]), world.delivery(event.id, webhooks[1])];
    world.accept(one, event).await;
    world.accept_scheduled(two, webhooks[2]).await;
    let wants = [(two, webhooks[2]), (one, webhooks[1]), (two, webhooks[0]), (one, webhooks[0])]
        .map(|(tenant, webhook)| Want { tenant, webhook, count: 5 });
    let until = world.now().plus(LEASE);
    let answers = world.store().delivery_claim(world.now(), until, wants.to_vec()).await.unwrap();
    let got: Vec<_> = answers.iter().map(|answer| (answer.webhook, answer.claimed.len())).collect();
    assert_eq!(got, [(webhooks[2], 1), (webhooks[1], 1), (webhooks[0], 0), (webhooks[0], 1)]);
    // The payload of one event is in memory once, whoever gets it.
    assert!(std::sync::Arc::ptr_eq(&answers[1].claimed[0].event, &answers[3].claimed[0].event));
}

pub(crate) async fn a_claim_of_another_tenant_finds_nothing(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    world.accept_scheduled(tenant, webhook).await;
    let answer = world.claim(world.tenant(), webhook, 10).await;
    assert_eq!((answer.claimed.len(), answer.next_due), (0, None));
}

pub(crate) async fn a_claim_handed_back_is_due_and_uses_no_attempt(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let (_, delivery) = world.accept_scheduled(tenant, webhook).await;
    world.claim(tenant, webhook, 1).await;
    assert!(world.store().delivery_hand_back(Some(world.now()), tenant, delivery, 1).await.unwrap());
    let stored = world.get(tenant, delivery).await;
    assert_eq!((stored.state, stored.attempts, stored.claimed), (DeliveryState::Scheduled, 0, None));
    assert!(world.store().attempts(tenant, delivery).await.unwrap().is_empty());
    let again = world.claim(tenant, webhook, 1).await;
    assert_eq!((again.claimed[0].attempt, again.claimed[0].fence), (1, 2));
}

pub(crate) async fn a_claim_cannot_be_handed_back_twice(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    let back = |fence| {
        let store = world.store();
        let now = world.now();
        async move { store.delivery_hand_back(Some(now), tenant, sending.delivery, fence).await.unwrap() }
    };
    assert!(!back(7).await);
    assert!(back(1).await);
    assert!(!back(1).await);
    let claimed = world.claim(tenant, webhook, 1).await.claimed.remove(0);
    assert!(!back(1).await);
    assert!(world.deliver(tenant, Sending::of(&claimed)).await);
    assert!(!back(2).await);
}

pub(crate) async fn cancelling_takes_what_is_scheduled_and_nothing_else(world: &World) {
    let (tenant, webhook, other) = (world.tenant(), world.webhook(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    let (_, neighbour) = world.accept_scheduled(tenant, other).await;
    let events: Vec<NewEvent> = (0..1200)
        .map(|_| {
            let mut event = world.event("a.b");
            event.deliveries.push(world.delivery(event.id, webhook));
            event
        })
        .collect();
    let last = events[1199].deliveries[0].id;
    world.done(Commit { events, ..world.commit(tenant) }).await;
    let cancel = |reason| {
        let store = world.store();
        let now = world.now();
        async move { store.delivery_cancel(now, tenant, webhook, reason, None).await.unwrap() }
    };
    assert_eq!(cancel(Reason::WebhookDeleted).await, 1200);
    assert_eq!(cancel(Reason::WebhookDeleted).await, 0);
    assert_eq!(world.state(tenant, last).await, (DeliveryState::Cancelled, Reason::WebhookDeleted));
    assert_eq!(world.get(tenant, last).await.settled, Some(world.now()));
    assert_eq!(world.state(tenant, sending.delivery).await.0, DeliveryState::Sending);
    assert_eq!(world.state(tenant, neighbour).await.0, DeliveryState::Scheduled);
}

pub(crate) async fn cancelling_can_stop_at_a_moment(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let (_, early) = world.accept_scheduled(tenant, webhook).await;
    let border = world.pass(SECOND);
    let (_, late) = world.accept_scheduled(tenant, webhook).await;
    let cancelled = world
        .store()
        .delivery_cancel(world.now(), tenant, webhook, Reason::Paused, Some(border))
        .await
        .unwrap();
    assert_eq!(cancelled, 1);
    assert_eq!(world.state(tenant, early).await, (DeliveryState::Cancelled, Reason::Paused));
    assert_eq!(world.state(tenant, late).await.0, DeliveryState::Scheduled);
}

pub(crate) async fn what_was_made_after_the_cause_is_not_cancelled(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let (_, before) = world.accept_scheduled(tenant, webhook).await;
    let switched_off = world.now();
    world.pass(SECOND);
    let (_, after) = world.accept_scheduled(tenant, webhook).await;
    let store = world.store();
    let cancel = store.delivery_cancel(switched_off, tenant, webhook, Reason::WebhookOff, None);
    assert_eq!(cancel.await.unwrap(), 1);
    assert_eq!(world.state(tenant, before).await.0, DeliveryState::Cancelled);
    assert_eq!(world.state(tenant, after).await.0, DeliveryState::Scheduled);
}

pub(crate) async fn a_scan_makes_due_what_waits_for_it(world: &World) {
    let tenant = world.tenant();
    let webhooks = [world.webhook(), world.webhook()];
    let tomorrow = world.now().plus(Duration::from_secs(86_400));
    let mut events = Vec::new();
    for n in 0..1200 {
        let mut event = world.event("a.b");
        let mut delivery = world.delivery(event.id, webhooks[n % 2]);
        delivery.due = tomorrow;
        delivery.reason = Reason::WaitingForScan;
        event.deliveries.push(delivery);
        events.push(event);
    }
    let mut retry = world.event("a.b");
    let mut delivery = world.delivery(retry.id, webhooks[0]);
    delivery.due = tomorrow;
    delivery.reason = Reason::RetryDue;
    let retry_id = delivery.id;
    retry.deliveries.push(delivery);
    events.push(retry);
    world.done(Commit { events, ..world.commit(tenant) }).await;

    assert_eq!(world.store().delivery_make_due(world.now(), world.tenant()).await.unwrap(), 0);
    assert_eq!(world.store().delivery_make_due(world.now(), tenant).await.unwrap(), 1200);
    assert_eq!(world.store().delivery_make_due(world.now(), tenant).await.unwrap(), 0);
    for webhook in webhooks {
        assert_eq!(world.claim(tenant, webhook, 2000).await.claimed.len(), 600);
    }
    assert_eq!(world.get(tenant, retry_id).await.due, Some(tomorrow));
}
