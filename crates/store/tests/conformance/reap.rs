use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::time::Timestamp;
use postrider_store::{AfterCrash, Commit, NewEvent, ReapReport};

use crate::world::{LEASE, SECOND, Sending, World};

async fn reap(world: &World, before: Option<Timestamp>, after_crash: AfterCrash) -> ReapReport {
    world.store().lease_reap(world.now(), before, Box::new(move |_, _| Some(after_crash))).await.unwrap()
}

pub(crate) async fn a_lost_attempt_reads_unknown_and_is_sent_again(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let started = world.now();
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.pass(SECOND);
    let report = reap(world, None, AfterCrash::SendAgain).await;
    assert_eq!(report, ReapReport { sent_again: 1, failed: 0, due: vec![(tenant, webhook)] });
    assert_eq!(world.state(tenant, sending.delivery).await, (DeliveryState::Scheduled, Reason::Interrupted));
    let attempts = world.store().attempts(tenant, sending.delivery).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(
        (attempts[0].number, attempts[0].class, attempts[0].started),
        (1, AttemptClass::Unknown, started)
    );
    let claimed = world.claim(tenant, webhook, 1).await.claimed.remove(0);
    assert_eq!((claimed.attempt, claimed.step, claimed.resend), (2, 0, true));
}

pub(crate) async fn at_most_once_ends_with_the_outcome_unknown(world: &World) {
    let (once, often) = (world.tenant(), world.tenant());
    let webhook = world.webhook();
    let a = world.accept_sending(once, webhook, DeliveryKind::Normal).await;
    let b = world.accept_sending(often, webhook, DeliveryKind::Normal).await;
    let rule = move |tenant, _| Some(if tenant == once { AfterCrash::Fail } else { AfterCrash::SendAgain });
    let report = world.store().lease_reap(world.now(), None, Box::new(rule)).await.unwrap();
    assert_eq!((report.sent_again, report.failed), (1, 1));
    assert_eq!(world.state(once, a.delivery).await, (DeliveryState::Failed, Reason::OutcomeUnknown));
    assert_eq!(world.get(once, a.delivery).await.last_class, Some(AttemptClass::Unknown));
    assert_eq!(world.store().attempts(once, a.delivery).await.unwrap().len(), 1);
    assert_eq!(world.state(often, b.delivery).await.0, DeliveryState::Scheduled);
    assert!(world.claim(once, webhook, 1).await.claimed.is_empty());
}

pub(crate) async fn a_lease_that_holds_is_left_alone(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    let now = world.pass(LEASE);
    assert_eq!(reap(world, Some(now), AfterCrash::SendAgain).await, ReapReport::default());
    assert!(world.deliver(tenant, sending).await);
    let late = world.pass(SECOND);
    assert_eq!(reap(world, Some(late), AfterCrash::SendAgain).await, ReapReport::default());
}

pub(crate) async fn a_late_result_after_the_reaping_changes_nothing(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let late = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    let now = world.pass(LEASE + SECOND);
    reap(world, Some(now), AfterCrash::SendAgain).await;
    assert!(!world.deliver(tenant, late).await);
    let second = Sending::of(&world.claim(tenant, webhook, 1).await.claimed[0]);
    assert!(!world.deliver(tenant, late).await);
    assert!(world.deliver(tenant, second).await);
    let attempts = world.store().attempts(tenant, late.delivery).await.unwrap();
    let classes: Vec<_> = attempts.iter().map(|attempt| attempt.class).collect();
    assert_eq!(classes, [AttemptClass::Unknown, AttemptClass::Success]);
}

pub(crate) async fn more_than_a_batch_is_reaped_in_one_call(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let events: Vec<NewEvent> = (0..1300)
        .map(|_| {
            let mut event = world.event("a.b");
            let mut delivery = world.delivery(event.id, webhook);
            delivery.claim = Some(world.lease());
            event.deliveries.push(delivery);
            event
        })
        .collect();
    world.done(Commit { events, ..world.commit(tenant) }).await;
    let report = reap(world, None, AfterCrash::SendAgain).await;
    assert_eq!(report, ReapReport { sent_again: 1300, failed: 0, due: vec![(tenant, webhook)] });
}

pub(crate) async fn a_resend_is_marked_once(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    reap(world, None, AfterCrash::SendAgain).await;
    // Handed back unsent, the next one is still the first after the loss.
    let claimed = world.claim(tenant, webhook, 1).await.claimed.remove(0);
    assert!(
        world
            .store()
            .delivery_hand_back(Some(world.now()), tenant, sending.delivery, claimed.fence)
            .await
            .unwrap()
    );
    let claimed = world.claim(tenant, webhook, 1).await.claimed.remove(0);
    assert!(claimed.resend);
    let retry = Sending::of(&claimed).retry(world.now(), world.now(), 1);
    assert!(world.settle(tenant, retry).await);
    assert!(!world.claim(tenant, webhook, 1).await.claimed[0].resend);
}
