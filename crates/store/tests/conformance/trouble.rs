use postrider_domain::delivery::DeliveryKind;
use postrider_domain::limits;
use postrider_store::{Commit, CommitOutcome, NewEvent, NewIdempotency, StoreError};

use crate::world::World;

fn one_event(world: &World, tenant: postrider_domain::id::TenantId) -> Commit {
    Commit { events: vec![world.event("a.b")], ..world.commit(tenant) }
}

pub(crate) async fn one_bad_piece_does_not_fail_its_batch(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let turn = world.store().write().await.unwrap();
    let mut answers = Vec::new();
    for n in 0..9 {
        let mut commit = one_event(world, tenant);
        if n == 4 {
            let mut bad = world.event("a.b");
            bad.deliveries.push(world.delivery(world.event_id(), webhook));
            commit.events.push(bad);
        }
        answers.push(world.store().commit_enqueue(commit).unwrap());
    }
    drop(turn);
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().is_ok(), n != 4, "piece {n}");
    }
    assert_eq!(world.event_count(tenant).await, 8);
}

pub(crate) async fn a_panic_in_a_piece_is_that_pieces_failure(world: &World) {
    let tenant = world.tenant();
    let turn = world.store().write().await.unwrap();
    let mut panics = one_event(world, tenant);
    panics.idempotency = Some(NewIdempotency {
        scope: [0; 16],
        key: "k".into(),
        fingerprint: [0; 32],
        answer: Box::new(|_| panic!("a panic that this behaviour asks for")),
    });
    let before = world.store().commit_enqueue(one_event(world, tenant)).unwrap();
    let panicked = world.store().commit_enqueue(panics).unwrap();
    let after = world.store().commit_enqueue(one_event(world, tenant)).unwrap();
    drop(turn);
    assert!(before.await.unwrap().is_ok());
    assert!(matches!(panicked.await.unwrap(), Err(StoreError::Internal(_))));
    assert!(after.await.unwrap().is_ok());
    world.done(one_event(world, tenant)).await;
    assert_eq!(world.event_count(tenant).await, 3);
}

pub(crate) async fn more_than_the_queue_holds_is_refused_and_results_are_not(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    let turn = world.store().write().await.unwrap();
    let mut answers = Vec::new();
    // The writer has taken one piece and waits for its turn with it, or is about to.
    for _ in 0..limits::WRITER_QUEUE_MAX + 1 {
        match world.store().commit_enqueue(one_event(world, tenant)) {
            Ok(answer) => answers.push(answer),
            Err(error) => assert!(matches!(error, StoreError::Overloaded)),
        }
    }
    assert!(answers.len() >= limits::WRITER_QUEUE_MAX);
    while let Ok(answer) = world.store().commit_enqueue(one_event(world, tenant)) {
        answers.push(answer);
        assert!(answers.len() <= limits::WRITER_QUEUE_MAX + 1);
    }
    let settled = vec![sending.delivered(world.now())];
    let result = world.store().commit_enqueue(Commit { settled, ..world.commit(tenant) }).unwrap();
    drop(turn);
    let CommitOutcome::Done { settled, .. } = result.await.unwrap().unwrap() else { panic!() };
    assert_eq!(settled, [true]);
    let accepted = answers.len();
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(world.event_count(tenant).await, accepted + 1);
}

pub(crate) async fn what_is_queued_at_the_close_is_written(world: &World) {
    let tenant = world.tenant();
    let mut answers = Vec::new();
    for _ in 0..600 {
        answers.push(world.store().commit_enqueue(one_event(world, tenant)).unwrap());
    }
    world.restart().await;
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(world.event_count(tenant).await, 600);
}

pub(crate) async fn after_the_close_work_is_refused(world: &World) {
    let tenant = world.tenant();
    let store = world.store();
    store.close().await;
    assert!(matches!(store.commit_enqueue(one_event(world, tenant)), Err(StoreError::Closed)));
    assert!(matches!(store.idempotency_sweep(world.now()).await, Err(StoreError::Closed)));
    assert!(matches!(store.write().await, Err(StoreError::Closed)));
    assert!(matches!(store.webhooks_due_any_tenant().await, Err(StoreError::Closed)));
    store.close().await;
}

pub(crate) async fn everything_is_there_after_a_restart(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    let delivered = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, delivered).await;
    let event = NewEvent { external_id: Some("order-1".into()), ..world.event("a.b") };
    world.accept(tenant, event).await;
    let store = world.store();
    let before = (
        world.get(tenant, sending.delivery).await,
        world.get(tenant, delivered.delivery).await,
        store.attempts(tenant, delivered.delivery).await.unwrap(),
        store.event_find(tenant, "order-1").await.unwrap(),
        store.ledger(None).await.unwrap(),
    );
    world.restart().await;
    let store = world.store();
    let after = (
        world.get(tenant, sending.delivery).await,
        world.get(tenant, delivered.delivery).await,
        store.attempts(tenant, delivered.delivery).await.unwrap(),
        store.event_find(tenant, "order-1").await.unwrap(),
        store.ledger(None).await.unwrap(),
    );
    assert_eq!(before, after);
    assert!(world.deliver(tenant, sending).await);
}
