use std::time::Duration;

use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::AuditId;
use postrider_domain::time::Timestamp;
use postrider_store::config::AuditRow;
use postrider_store::{Commit, CommitOutcome, NewDelivery, NewEvent, NewIdempotency, Resend, Swept};

use crate::world::{DAY, SECOND, Sending, World};

const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

async fn sweep(world: &World, tenant: postrider_domain::id::TenantId) -> Swept {
    world.store().retention_sweep(world.now(), tenant, KEPT).await.unwrap()
}

pub(crate) async fn what_is_old_goes_with_all_that_hangs_on_it(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let old = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, old).await;
    let other = world.tenant();
    let foreign = world.accept_sending(other, webhook, DeliveryKind::Normal).await;
    world.deliver(other, foreign).await;
    world.pass(SECOND);
    let young = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, young).await;

    world.pass(KEPT - SECOND);
    assert_eq!(sweep(world, tenant).await, Swept::default());
    world.pass(Duration::from_millis(1));
    assert_eq!(sweep(world, tenant).await, Swept { events: 1, deliveries: 1, attempts: 1 });
    let store = world.store();
    assert_eq!(store.event_get(tenant, old.event).await.unwrap(), None);
    assert_eq!(store.delivery_get(tenant, old.delivery).await.unwrap(), None);
    assert!(store.attempts(tenant, old.delivery).await.unwrap().is_empty());
    assert!(store.event_get(tenant, young.event).await.unwrap().is_some());
    assert!(store.event_get(other, foreign.event).await.unwrap().is_some());
}

pub(crate) async fn what_is_open_stays(world: &World) {
    let tenant = world.tenant();
    let webhooks = [world.webhook(), world.webhook()];
    let (scheduled, _) = world.accept_scheduled(tenant, webhooks[0]).await;
    let sending = world.accept_sending(tenant, webhooks[0], DeliveryKind::Normal).await;
    // One of two is final: the event stays whole.
    let mut event = world.event("a.b");
    event.deliveries = webhooks.iter().map(|webhook| world.delivery(event.id, *webhook)).collect();
    let half = event.id;
    world.accept(tenant, event).await;
    let store = world.store();
    let cancelled = store
        .delivery_cancel(
            world.now(),
            tenant,
            webhooks[1],
            postrider_domain::delivery::Reason::WebhookOff,
            None,
        )
        .await
        .unwrap();
    assert_eq!(cancelled, 1);
    world.pass(KEPT + DAY);
    assert_eq!(sweep(world, tenant).await, Swept::default());
    assert!(store.event_get(tenant, scheduled).await.unwrap().is_some());
    assert!(store.event_get(tenant, sending.event).await.unwrap().is_some());
    assert_eq!(store.deliveries_of(tenant, half).await.unwrap().len(), 2);
}

pub(crate) async fn a_young_replay_keeps_its_event(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, sending).await;
    world.pass(KEPT - DAY);
    let mut replay = world.replay(sending.event, webhook);
    replay.claim = Some(world.lease());
    let replayed = Sending { delivery: replay.id, kind: DeliveryKind::Replay, ..sending };
    world.done(Commit { replays: vec![replay], ..world.commit(tenant) }).await;
    world.deliver(tenant, replayed).await;
    world.pass(2 * DAY);
    assert_eq!(sweep(world, tenant).await, Swept::default());
    world.pass(KEPT);
    assert_eq!(sweep(world, tenant).await, Swept { events: 1, deliveries: 2, attempts: 2 });
}

pub(crate) async fn more_than_a_batch_goes_in_one_call(world: &World) {
    let tenant = world.tenant();
    let events: Vec<NewEvent> = (0..1300).map(|_| world.event("a.b")).collect();
    world.done(Commit { events, ..world.commit(tenant) }).await;
    // One event with more deliveries than a batch has rows, and one that stays in the middle.
    let webhook = world.webhook();
    world.accept_scheduled(tenant, webhook).await;
    let mut wide = world.event("a.b");
    wide.deliveries = (0..700).map(|_| world.delivery(wide.id, world.webhook())).collect();
    let webhooks: Vec<_> = wide.deliveries.iter().map(|delivery| delivery.webhook).collect();
    world.accept(tenant, wide).await;
    let off = postrider_domain::delivery::Reason::WebhookOff;
    for webhook in webhooks {
        world.store().delivery_cancel(world.now(), tenant, webhook, off, None).await.unwrap();
    }
    world.pass(KEPT + DAY);
    assert_eq!(sweep(world, tenant).await, Swept { events: 1301, deliveries: 700, attempts: 0 });
    assert_eq!(world.event_count(tenant).await, 1);
}

pub(crate) async fn the_ledger_keeps_its_counts(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, sending).await;
    let before = world.store().ledger(Some(tenant)).await.unwrap();
    world.pass(KEPT + DAY);
    assert_eq!(sweep(world, tenant).await.events, 1);
    assert_eq!(world.store().ledger(Some(tenant)).await.unwrap(), before);
}

pub(crate) async fn a_webhook_remembers_when_it_fired_last(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let mut fired = world.now();
    for _ in 0..3 {
        fired = world.pass(DAY);
        let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
        world.deliver(tenant, sending).await;
    }
    let now = world.pass(100 * DAY);
    sweep(world, tenant).await;
    let hours = world.store().webhook_hours(tenant, webhook, Timestamp::from_unix_ms(0), now).await.unwrap();
    assert_eq!(hours.len(), 1);
    let stats = world.store().webhook_stats(tenant, webhook, now).await.unwrap();
    assert_eq!(stats.last_fired, Some(fired));
}

pub(crate) async fn old_answers_are_forgotten(world: &World) {
    let tenant = world.tenant();
    let commit = |asked| Commit {
        idempotency: Some(NewIdempotency {
            scope: [1; 16],
            key: "k".into(),
            fingerprint: [asked; 32],
            answer: Box::new(|_| Vec::new()),
        }),
        ..world.commit(tenant)
    };
    world.done(commit(1)).await;
    let store = world.store();
    let before = world.now();
    assert_eq!(store.idempotency_sweep(Timestamp::from_unix_ms(before.unix_ms() - 1)).await.unwrap(), 0);
    assert!(matches!(world.try_commit(commit(1)).await.unwrap(), CommitOutcome::Replayed(_)));
    assert_eq!(store.idempotency_sweep(before).await.unwrap(), 1);
    world.done(commit(2)).await;
}

pub(crate) async fn where_a_delivery_goes_is_written_with_it_and_goes_with_it(world: &World) {
    let (store, tenant, webhook) = (world.store(), world.tenant(), world.webhook());
    let old = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, old).await;
    let resend = |event| {
        let delivery = NewDelivery {
            kind: DeliveryKind::Test,
            claim: Some(world.lease()),
            ..world.delivery(event, webhook)
        };
        let audit = AuditRow {
            id: AuditId::new(world.now(), &*world.random),
            tenant: Some(tenant),
            at: world.now(),
            actor: "postrider".to_owned(),
            action: "delivery.resent_elsewhere".to_owned(),
            target: delivery.id.to_string(),
            detail: "{}".to_owned(),
        };
        let id = delivery.id;
        let resends = vec![Resend { delivery: id, url: "https://dev.example.com/".to_owned(), audit }];
        (id, Commit { replays: vec![delivery], resends, ..world.commit(tenant) })
    };
    let (id, commit) = resend(old.event);
    assert_eq!(world.done(commit).await.replays, [true]);
    let url = store.delivery_elsewhere(tenant, id).await.unwrap();
    assert_eq!(url.as_deref(), Some("https://dev.example.com/"));
    assert_eq!(store.delivery_elsewhere(world.tenant(), id).await.unwrap(), None);
    assert_eq!(store.audit_list(Some(tenant), None, 10).await.unwrap()[0].target, id.to_string());
    let all: Vec<_> = store.deliveries_of(tenant, old.event).await.unwrap();
    assert_eq!(all.len(), 2);

    // An event that is not there: nothing is written, and nobody did anything.
    let (none, commit) = resend(world.event_id());
    assert_eq!(world.done(commit).await.replays, [false]);
    assert_eq!(store.delivery_elsewhere(tenant, none).await.unwrap(), None);
    assert_eq!(store.audit_list(Some(tenant), None, 10).await.unwrap().len(), 1);

    world.deliver(tenant, Sending { delivery: id, kind: DeliveryKind::Test, ..old }).await;
    world.pass(KEPT + SECOND);
    assert_eq!(sweep(world, tenant).await, Swept { events: 1, deliveries: 2, attempts: 2 });
    assert_eq!(store.delivery_elsewhere(tenant, id).await.unwrap(), None);
}
