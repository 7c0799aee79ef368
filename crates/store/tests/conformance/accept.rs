use std::time::Duration;

use bytes::Bytes;
use postrider_domain::delivery::{DeliveryState, Reason};
use postrider_domain::id::JobId;
use postrider_store::{
    Commit, CommitOutcome, EventOutcome, JobMark, NewEvent, NewIdempotency, StoreError, Value,
};

use crate::world::{SECOND, World};

pub(crate) async fn a_commit_is_there_whole_when_it_is_acknowledged(world: &World) {
    let (tenant, on, off) = (world.tenant(), world.webhook(), world.webhook());
    let mut event = world.event("task.completed");
    let id = event.id;
    let mut claimed = world.delivery(id, on);
    claimed.claim = Some(world.lease());
    let waiting = world.delivery(id, off);
    let (claimed_id, waiting_id) = (claimed.id, waiting.id);
    event.deliveries = vec![claimed, waiting];
    assert_eq!(world.accept(tenant, event).await, EventOutcome::New(id));

    let stored = world.store().event_get(tenant, id).await.unwrap().unwrap();
    assert_eq!((&*stored.event_type, &stored.data[..]), ("task.completed", &br#"{"n":1}"#[..]));
    let claimed = world.get(tenant, claimed_id).await;
    assert_eq!((claimed.state, claimed.attempts), (DeliveryState::Sending, 1));
    assert_eq!((claimed.due, claimed.claimed), (None, Some(world.now())));
    let waiting = world.get(tenant, waiting_id).await;
    assert_eq!((waiting.state, waiting.reason), (DeliveryState::Scheduled, Reason::Waiting));
    assert_eq!((waiting.attempts, waiting.due), (0, Some(world.now())));
}

pub(crate) async fn a_commit_that_fails_leaves_nothing(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let good = world.event("a.good");
    let mut bad = world.event("a.bad");
    bad.deliveries.push(world.delivery(world.event_id(), webhook));
    let commit = Commit { events: vec![good, bad], ..world.commit(tenant) };
    assert!(matches!(world.try_commit(commit).await, Err(StoreError::Internal(_))));
    assert_eq!(world.event_count(tenant).await, 0);
}

fn named(world: &World, id: &str, data: &'static str) -> NewEvent {
    NewEvent {
        external_id: Some(id.to_owned()),
        data: Bytes::from_static(data.as_bytes()),
        ..world.event("task.completed")
    }
}

pub(crate) async fn the_same_id_with_the_same_content_is_the_same_event(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let mut first = named(world, "order-1", "{}");
    let id = first.id;
    first.deliveries.push(world.delivery(id, webhook));
    assert_eq!(world.accept(tenant, first).await, EventOutcome::New(id));

    world.pass(SECOND);
    let mut again = named(world, "order-1", "{}");
    again.deliveries.push(world.delivery(again.id, webhook));
    assert_eq!(world.accept(tenant, again).await, EventOutcome::Same(id));
    assert_eq!(world.store().deliveries_of(tenant, id).await.unwrap().len(), 1);
    assert_eq!(world.store().event_find(tenant, "order-1").await.unwrap().unwrap().id, id);
}

pub(crate) async fn the_same_id_with_other_content_is_refused_and_its_neighbours_are_not(world: &World) {
    let tenant = world.tenant();
    world.accept(tenant, named(world, "order-1", "{}")).await;
    let other_data = named(world, "order-1", r#"{"other":1}"#);
    let other_type = NewEvent { event_type: "task.created".into(), ..named(world, "order-1", "{}") };
    let neighbour = named(world, "order-2", "{}");
    let new = neighbour.id;
    let commit = Commit { events: vec![other_data, other_type, neighbour], ..world.commit(tenant) };
    let done = world.done(commit).await;
    assert_eq!(done.events, [EventOutcome::Different, EventOutcome::Different, EventOutcome::New(new)]);
    assert_eq!(world.event_count(tenant).await, 2);
}

pub(crate) async fn a_given_time_is_part_of_the_content(world: &World) {
    let tenant = world.tenant();
    let first = NewEvent { time_given: true, ..named(world, "order-1", "{}") };
    let (id, time) = (first.id, first.time);
    world.accept(tenant, first).await;
    let same = NewEvent { time_given: true, time, ..named(world, "order-1", "{}") };
    assert_eq!(world.accept(tenant, same).await, EventOutcome::Same(id));
    let other = NewEvent { time_given: true, time: time.plus(SECOND), ..named(world, "order-1", "{}") };
    assert_eq!(world.accept(tenant, other).await, EventOutcome::Different);
    world.pass(SECOND);
    assert_eq!(world.accept(tenant, named(world, "order-1", "{}")).await, EventOutcome::Same(id));
}

pub(crate) async fn an_id_belongs_to_its_tenant(world: &World) {
    for tenant in [world.tenant(), world.tenant()] {
        let event = named(world, "order-1", "{}");
        let id = event.id;
        assert_eq!(world.accept(tenant, event).await, EventOutcome::New(id));
    }
}

pub(crate) async fn ids_brought_twice_in_one_commit_make_one_event(world: &World) {
    let tenant = world.tenant();
    let events =
        vec![named(world, "order-1", "{}"), named(world, "order-1", "{}"), named(world, "order-1", "[]")];
    let id = events[0].id;
    let done = world.done(Commit { events, ..world.commit(tenant) }).await;
    assert_eq!(done.events, [EventOutcome::New(id), EventOutcome::Same(id), EventOutcome::Different]);
}

fn idempotency(key: &str, asked: u8) -> NewIdempotency {
    NewIdempotency {
        scope: [9; 16],
        key: key.to_owned(),
        fingerprint: [asked; 32],
        answer: Box::new(|events| format!("{} events", events.len()).into_bytes()),
    }
}

fn keyed(world: &World, tenant: postrider_domain::id::TenantId, key: &str, asked: u8) -> Commit {
    Commit {
        events: vec![world.event("task.completed")],
        idempotency: Some(idempotency(key, asked)),
        ..world.commit(tenant)
    }
}

pub(crate) async fn an_idempotency_key_answers_again_and_does_nothing(world: &World) {
    let tenant = world.tenant();
    world.done(keyed(world, tenant, "k", 1)).await;
    world.pass(SECOND);
    let again = world.try_commit(keyed(world, tenant, "k", 1)).await.unwrap();
    assert_eq!(again, CommitOutcome::Replayed(b"1 events".to_vec()));
    assert_eq!(world.event_count(tenant).await, 1);
    world.done(keyed(world, tenant, "K", 1)).await;
    assert_eq!(world.event_count(tenant).await, 2);
}

pub(crate) async fn an_idempotency_key_with_another_request_is_refused(world: &World) {
    let tenant = world.tenant();
    world.done(keyed(world, tenant, "k", 1)).await;
    let other = world.try_commit(keyed(world, tenant, "k", 2)).await.unwrap();
    assert_eq!(other, CommitOutcome::KeyReused);
    assert_eq!(world.event_count(tenant).await, 1);
}

pub(crate) async fn an_idempotency_key_is_forgotten_after_a_day(world: &World) {
    let tenant = world.tenant();
    world.done(keyed(world, tenant, "k", 1)).await;
    world.pass(Duration::from_secs(24 * 3600));
    world.done(keyed(world, tenant, "k", 2)).await;
    let again = world.try_commit(keyed(world, tenant, "k", 2)).await.unwrap();
    assert!(matches!(again, CommitOutcome::Replayed(_)), "{again:?}");
}

pub(crate) async fn commits_are_durable_in_the_order_of_the_queue(world: &World) {
    let tenant = world.tenant();
    let turn = world.store().write().await.unwrap();
    let mut answers = Vec::new();
    for n in 0..1000 {
        let event = NewEvent {
            external_id: Some("the-one".into()),
            data: Bytes::from(n.to_string()),
            ..world.event("a.b")
        };
        let commit = Commit { events: vec![event], ..world.commit(tenant) };
        answers.push(world.store().commit_enqueue(commit).unwrap());
    }
    drop(turn);
    for (n, answer) in answers.into_iter().enumerate() {
        let CommitOutcome::Done { events, .. } = answer.await.unwrap().unwrap() else { panic!() };
        assert_eq!(matches!(events[0], EventOutcome::New(_)), n == 0, "commit {n}");
    }
    let stored = world.store().event_find(tenant, "the-one").await.unwrap().unwrap();
    assert_eq!(&stored.data[..], b"0");
}

pub(crate) async fn a_delivery_with_a_foreign_id_is_refused(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let mut event = world.event("task.completed");
    event.deliveries.push(world.replay(event.id, webhook));
    world.pass(SECOND);
    event.deliveries[0].id = postrider_domain::id::DeliveryId::new(world.now(), &*world.random);
    let commit = Commit { events: vec![event], ..world.commit(tenant) };
    assert!(matches!(world.try_commit(commit).await, Err(StoreError::Internal(_))));
}

pub(crate) async fn a_replay_of_a_removed_event_is_not_made(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let (event, _) = world.accept_scheduled(tenant, webhook).await;
    let replays = vec![world.replay(event, webhook), world.replay(world.event_id(), webhook)];
    let made = replays[0].id;
    let done = world.done(Commit { replays, ..world.commit(tenant) }).await;
    assert_eq!(done.replays, [true, false]);
    assert_eq!(world.state(tenant, made).await.0, DeliveryState::Scheduled);
}

pub(crate) async fn a_job_moves_with_its_work(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let job = JobId::new(world.now(), &*world.random);
    const INSERT: &str =
        "INSERT INTO job (tenant_id, id, kind, state, params, position, done, total, detail, created_ms,
        updated_ms, finished_ms) VALUES ($1, $2, 0, 0, '{}', NULL, 0, 10, '', $3, $3, NULL)";
    let mut tx = world.store().write().await.unwrap();
    tx.execute(INSERT, &[tenant.into(), job.into(), world.now().into()]).await.unwrap();
    tx.commit().await.unwrap();

    let (event, _) = world.accept_scheduled(tenant, webhook).await;
    let step = |after: Option<u8>, to: u8| {
        let replays = vec![world.replay(event, webhook)];
        let mark = JobMark { job, after: after.map(|at| vec![at]), position: vec![to], done: 1 };
        Commit { replays, job: Some(mark), ..world.commit(tenant) }
    };
    world.done(step(None, 1)).await;
    world.done(step(Some(1), 2)).await;
    // Who stands where somebody else has been writes nothing.
    let late = world.try_commit(step(Some(1), 2)).await;
    assert!(matches!(late, Err(StoreError::Moved(_))), "{late:?}");
    assert_eq!(world.store().deliveries_of(tenant, event).await.unwrap().len(), 3);
    let row = world
        .store()
        .read()
        .one("SELECT position, done FROM job WHERE tenant_id = $1 AND id = $2", &[tenant.into(), job.into()])
        .await
        .unwrap();
    assert_eq!(row.get::<Vec<u8>>("position").unwrap(), [2]);
    assert_eq!(row.get::<i64>("done").unwrap(), 2);
}

pub(crate) async fn text_and_bytes_come_back_as_they_went_in(world: &World) {
    let tenant = world.tenant();
    for (n, data) in [&b"{\"a\":\"\\u0000\"}"[..], &[0xff, 0x00, 0xfe], "\"żółć 🦊\"".as_bytes(), b""]
        .into_iter()
        .enumerate()
    {
        let external_id = format!("ż'\"; -- {n}");
        let event = NewEvent {
            external_id: Some(external_id.clone()),
            data: Bytes::from_static(data),
            ..world.event("a.b")
        };
        world.accept(tenant, event).await;
        let stored = world.store().event_find(tenant, &external_id).await.unwrap().unwrap();
        assert_eq!((&stored.data[..], stored.external_id), (data, Some(external_id)));
    }
    let row = world.store().read().one("SELECT $1 AS n", &[Value::Int(Some(i64::MIN))]).await.unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), i64::MIN);
}
