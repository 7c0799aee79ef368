//! What only a server that several processes share can show.

use std::time::Duration;

use bytes::Bytes;
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState};
use postrider_domain::id::{RunId, TenantId};
use postrider_domain::run::RunState;
use postrider_store::runs::{
    Conflict, Hold, Intake, IntakeOutcome, NewRun, RunFilter, RunTo, RunWant, RunsReaped, Slot,
};
use postrider_store::{
    AfterCrash, Beat, Commit, CommitOutcome, Database, EventFilter, EventOutcome, Heard, NewEvent,
    NewIdempotency, OpenOptions, Order, ReapReport, Store, StoreError, Want,
};
use postrider_testkit::proxy::FaultProxy;
use sqlx::{Connection as _, PgConnection};

use crate::runs::{Flow, take};
use crate::world::{DAY, LEASE, Sending, World};

/// Short enough to wait for, long enough for two beats on a busy machine.
const NODE_LEASE: Duration = Duration::from_millis(1500);

async fn second(world: &World) -> Store {
    Store::open(world.again()).await.unwrap()
}

async fn brief(world: &World) -> Store {
    Store::open(OpenOptions { node_lease: NODE_LEASE, ..world.again() }).await.unwrap()
}

async fn reap(world: &World, store: &Store) -> ReapReport {
    let rule = Box::new(|_, _| Some(AfterCrash::SendAgain));
    store.lease_reap(world.now(), Some(world.now()), rule).await.unwrap()
}

/// Beats until it is this node's to take over from a dead one.
async fn until_a_node_is_dead(store: &Store) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !store.node_beat().await.unwrap().dead {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("a node stops to be alive when it stops to beat");
}

async fn commit(store: &Store, commit: Commit) -> Result<CommitOutcome, StoreError> {
    store.commit_enqueue(commit)?.await.unwrap()
}

fn event_of(outcome: CommitOutcome) -> EventOutcome {
    match outcome {
        CommitOutcome::Done { events, .. } => events[0],
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_claim_together_get_different_deliveries() {
    let world = World::postgres().await;
    let other = second(&world).await;
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let events: Vec<NewEvent> = (0..200)
        .map(|_| {
            let mut event = world.event("a.b");
            event.deliveries.push(world.delivery(event.id, webhook));
            event
        })
        .collect();
    world.done(Commit { events, ..world.commit(tenant) }).await;
    let until = world.now().plus(LEASE);
    let claim = async |store: Store| {
        let mut claimed = Vec::new();
        loop {
            let want = Want { tenant, webhook, count: 7 };
            let answers = store.delivery_claim(world.now(), until, vec![want]).await.unwrap();
            claimed.extend(answers[0].claimed.iter().map(|claimed| claimed.delivery));
            if answers[0].next_due.is_none() {
                return claimed;
            }
        }
    };
    let (mut one, two) = tokio::join!(claim(world.store()), claim(other.clone()));
    assert_eq!(one.len() + two.len(), 200);
    one.extend(two);
    one.sort_unstable();
    one.dedup();
    assert_eq!(one.len(), 200);
    other.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_to_beat_is_taken_over_from_and_its_late_results_are_refused() {
    let world = World::postgres().await;
    // The world's own node leads nothing and takes nothing over here.
    let (frozen, alive) = (brief(&world).await, brief(&world).await);
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let mut event = world.event("a.b");
    let mut delivery = world.delivery(event.id, webhook);
    delivery.claim = Some(world.lease());
    let sending = Sending {
        event: event.id,
        delivery: delivery.id,
        webhook,
        kind: DeliveryKind::Normal,
        fence: 1,
        attempt: 1,
    };
    event.deliveries.push(delivery);
    commit(&frozen, Commit { events: vec![event], ..world.commit(tenant) }).await.unwrap();
    assert!(frozen.node_is_alive());
    assert_eq!(reap(&world, &alive).await, ReapReport::default(), "it may be alive");

    until_a_node_is_dead(&alive).await;
    assert!(!frozen.node_is_alive(), "it must not send any more");
    let report = reap(&world, &alive).await;
    assert_eq!(report, ReapReport { sent_again: 1, failed: 0, due: vec![(tenant, webhook)] });

    let late = Commit { settled: vec![sending.delivered(world.now())], ..world.commit(tenant) };
    let CommitOutcome::Done { settled, .. } = commit(&frozen, late).await.unwrap() else { panic!() };
    assert_eq!(settled, [false]);
    assert_eq!(world.state(tenant, sending.delivery).await.0, DeliveryState::Scheduled);
    let attempts = world.store().attempts(tenant, sending.delivery).await.unwrap();
    let classes: Vec<_> = attempts.iter().map(|attempt| attempt.class).collect();
    assert_eq!(classes, [AttemptClass::Unknown]);
    // It is heard again, and works again.
    let Beat { nodes, .. } = frozen.node_beat().await.unwrap();
    assert!(nodes >= 2 && frozen.node_is_alive());
    let want = Want { tenant, webhook, count: 1 };
    let answers = frozen.delivery_claim(world.now(), world.now().plus(LEASE), vec![want]).await.unwrap();
    assert!(answers[0].claimed[0].resend);
    for store in [frozen, alive] {
        store.close().await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_claim_runs_together_get_different_ones() {
    let world = World::postgres().await;
    let other = second(&world).await;
    let flow = Flow::new(&world);
    let intakes: Vec<Intake> = (0..200).map(|_| flow.intake(Some(flow.run()))).collect();
    world.try_commit(Commit { intakes, ..world.commit(flow.tenant) }).await.unwrap();
    let until = world.now().plus(LEASE);
    let claim = async |store: Store| {
        let mut claimed: Vec<RunId> = Vec::new();
        loop {
            let want = RunWant { tenant: flow.tenant, workflow: flow.workflow, count: 7 };
            let answers = store.run_claim(world.now(), until, vec![want]).await.unwrap();
            claimed.extend(answers[0].claimed.iter().map(|(run, _)| *run));
            if answers[0].next_due.is_none() {
                return claimed;
            }
        }
    };
    let (mut one, two) = tokio::join!(claim(world.store()), claim(other.clone()));
    assert_eq!(one.len() + two.len(), 200);
    one.extend(two);
    one.sort_unstable();
    one.dedup();
    assert_eq!(one.len(), 200);
    other.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_a_node_that_is_dead_go_on_elsewhere_and_it_writes_them_no_more() {
    let world = World::postgres().await;
    let (frozen, alive) = (brief(&world).await, brief(&world).await);
    let flow = Flow::new(&world);
    let run = NewRun { claim: Some(world.lease()), ..flow.run() };
    let id = run.id;
    let started = Commit { intakes: vec![flow.intake(Some(run))], ..world.commit(flow.tenant) };
    assert_eq!(take(&frozen, started).await, IntakeOutcome::Started { run: id, claimed: true });
    let late = world.pass(2 * LEASE);
    let reap = async || alive.run_reap(late, Some(late), Box::new(|_| false)).await.unwrap();
    assert_eq!(reap().await, RunsReaped::default(), "it may be alive, whatever this clock says of its claim");
    until_a_node_is_dead(&alive).await;
    assert_eq!(reap().await, RunsReaped { runs: 1, due: vec![(flow.tenant, flow.workflow)] });
    let want = RunWant { tenant: flow.tenant, workflow: flow.workflow, count: 1 };
    let answers = alive.run_claim(late, late.plus(LEASE), vec![want]).await.unwrap();
    assert_eq!(answers[0].claimed, [(id, 3)]);
    let to = RunTo::Ended { state: RunState::Failed, output: None, error: None };
    let write = |fence| Commit {
        runs: vec![flow.write(id, Hold::Claim(fence), to.clone())],
        ..world.commit(flow.tenant)
    };
    let stale = commit(&frozen, write(1)).await;
    assert!(matches!(stale, Err(StoreError::Unavailable(_))), "{stale:?}");
    // It is heard again, and finds that others went on.
    frozen.node_beat().await.unwrap();
    let stale = commit(&frozen, write(1)).await;
    assert!(matches!(stale, Err(StoreError::Moved(_))), "{stale:?}");
    commit(&alive, write(3)).await.unwrap();
    for store in [frozen, alive] {
        store.close().await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_to_two_nodes_at_once_starts_one_run() {
    let world = World::postgres().await;
    let (first, other) = (world.store(), second(&world).await);
    let flow = Flow::new(&world);
    for round in 0..20_u64 {
        let moment = world.now().plus(Duration::from_secs(round));
        let keyed = || Intake { dedup: flow.dedup(&round.to_string()), ..flow.intake(Some(flow.run())) };
        let ticked = || Intake { tick: Some((flow.trigger, moment)), ..flow.intake(Some(flow.run())) };
        let both = |intake: &dyn Fn() -> Intake| {
            [0, 1].map(|_| Commit { intakes: vec![intake()], ..world.commit(flow.tenant) })
        };
        for commits in [both(&keyed), both(&ticked)] {
            let [a, b] = commits;
            let (a, b) = tokio::join!(take(&first, a), take(&other, b));
            let started = |outcome: &IntakeOutcome| matches!(outcome, IntakeOutcome::Started { .. });
            assert_eq!([a, b].iter().filter(|outcome| started(outcome)).count(), 1, "{a:?} {b:?}");
        }
    }
    assert_eq!(first.runs(flow.tenant, RunFilter::default(), 100).await.unwrap().len(), 40);
    other.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_holds_over_nodes() {
    let world = World::postgres().await;
    let (first, other) = (world.store(), second(&world).await);
    let flow = Flow::new(&world);
    let start = || {
        let slot = Slot { key: "k".into(), max: 2, conflict: Conflict::Queue };
        let run = NewRun { slot: Some(slot), claim: Some(world.lease()), ..flow.run() };
        Commit { intakes: vec![flow.intake(Some(run))], ..world.commit(flow.tenant) }
    };
    for _ in 0..10 {
        tokio::join!(
            take(&first, start()),
            take(&other, start()),
            take(&first, start()),
            take(&other, start())
        );
    }
    let all = async || first.runs(flow.tenant, RunFilter::default(), 100).await.unwrap();
    let active = async || {
        let rows = all().await;
        rows.into_iter().filter(|row| row.state == RunState::Running || row.due.is_some()).collect::<Vec<_>>()
    };
    let mut ended = 0;
    loop {
        let rows = active().await;
        if rows.is_empty() {
            break;
        }
        assert_eq!(rows.len(), 2.min(40 - ended));
        // Both end in one moment, each on its node.
        let end = |row: &postrider_store::runs::RunRow| {
            let to = RunTo::Ended { state: RunState::Succeeded, output: None, error: None };
            let hold = if row.state == RunState::Running { Hold::Claim(row.fence) } else { Hold::Any };
            let write =
                postrider_store::runs::RunWrite { slot: row.slot.clone(), ..flow.write(row.id, hold, to) };
            Commit { runs: vec![write], ..world.commit(flow.tenant) }
        };
        let (a, b) = tokio::join!(commit(&first, end(&rows[0])), commit(&other, end(&rows[1])));
        a.unwrap();
        b.unwrap();
        ended += 2;
    }
    assert!(all().await.iter().all(|row| row.state.is_final()));
    other.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_leads_and_another_when_it_is_gone() {
    let world = World::postgres().await;
    let (one, two) = (brief(&world).await, brief(&world).await);
    assert!(one.node_beat().await.unwrap().leads);
    assert!(!two.node_beat().await.unwrap().leads);
    assert!(one.node_beat().await.unwrap().leads);
    // Who leaves well need not be waited for.
    one.close().await;
    assert!(two.node_beat().await.unwrap().leads);
    two.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_or_id_on_two_nodes_makes_one_event() {
    let world = World::postgres().await;
    let other = second(&world).await;
    let tenant = world.tenant();
    for round in 0..20 {
        let keyed = || Commit {
            events: vec![world.event("a.b")],
            idempotency: Some(NewIdempotency {
                scope: [9; 16],
                key: round.to_string(),
                fingerprint: [1; 32],
                answer: Box::new(|_| b"the answer".to_vec()),
            }),
            ..world.commit(tenant)
        };
        let first = world.store();
        let (a, b) = tokio::join!(commit(&first, keyed()), commit(&other, keyed()));
        let replayed = CommitOutcome::Replayed(b"the answer".to_vec());
        assert_eq!([&a, &b].iter().filter(|it| it.as_ref().unwrap() == &replayed).count(), 1, "{a:?} {b:?}");

        let named = || {
            let event = NewEvent {
                external_id: Some(format!("order-{round}")),
                data: Bytes::from_static(b"{}"),
                ..world.event("a.b")
            };
            Commit { events: vec![event], ..world.commit(tenant) }
        };
        let (a, b) = tokio::join!(commit(&first, named()), commit(&other, named()));
        let outcomes = [event_of(a.unwrap()), event_of(b.unwrap())];
        let new = outcomes.iter().filter(|outcome| matches!(outcome, EventOutcome::New(_))).count();
        let same = outcomes.iter().filter(|outcome| matches!(outcome, EventOutcome::Same(_))).count();
        assert_eq!((new, same), (1, 1), "{outcomes:?}");
    }
    assert_eq!(world.event_count(tenant).await, 40);
    other.close().await;
    world.end().await;
}

async fn in_order(world: &World, tenant: TenantId) -> Vec<String> {
    let order = Order::OldestFirst { after: None };
    let events = world.store().event_list(tenant, &EventFilter::default(), order, 100).await.unwrap();
    events.iter().map(|event| event.event_type.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_polls_waits_for_what_was_begun_before_and_misses_nothing() {
    let world = World::postgres().await;
    let tenant = world.tenant();
    let mut slow = PgConnection::connect(&world.server().url).await.unwrap();
    let name = "SELECT set_config('application_name', 'postrider of a test', false)";
    sqlx::query(name).execute(&mut slow).await.unwrap();
    let mut slow = slow.begin().await.unwrap();
    let begun = world.event("a.begun");
    const INSERT: &str =
        "INSERT INTO event (tenant_id, id, kind, type, time_ms, accepted_ms, tenant_version, depth, data)
      VALUES ($1, $2, 0, 'a.begun', 0, 0, 1, 0, '')";
    sqlx::query(INSERT)
        .bind(uuid::Uuid::from_bytes(*tenant.as_bytes()))
        .bind(uuid::Uuid::from_bytes(*begun.id.as_bytes()))
        .execute(&mut *slow)
        .await
        .unwrap();
    world.accept(tenant, world.event("a.later")).await;
    assert_eq!(in_order(&world, tenant).await, Vec::<String>::new());
    slow.commit().await.unwrap();
    assert_eq!(in_order(&world, tenant).await, ["a.begun", "a.later"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_that_nobody_keeps_go_whole_and_what_is_needed_of_them_stays() {
    let world = World::postgres().await;
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let gone = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, gone).await;
    let named = NewEvent { external_id: Some("order-1".into()), ..world.event("a.b") };
    world.accept(tenant, named).await;
    let (open, waits) = world.accept_scheduled(tenant, webhook).await;
    let replayed = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, replayed).await;
    world.pass(20 * DAY);
    let mut replay = world.replay(replayed.event, webhook);
    replay.claim = Some(world.lease());
    let again = Sending { delivery: replay.id, kind: DeliveryKind::Replay, ..replayed };
    world.done(Commit { replays: vec![replay], ..world.commit(tenant) }).await;
    world.deliver(tenant, again).await;

    let store = world.store();
    world.pass(9 * DAY);
    let epoch = store.node_epoch();
    assert_eq!(store.history_roll(world.now(), 30 * DAY, epoch).await.unwrap(), 0);
    world.pass(3 * DAY);
    let earlier = store.history_roll(world.now(), 30 * DAY, epoch + 1).await.unwrap();
    assert_eq!(earlier, 0, "what is kept was found out in another epoch");
    assert!(store.history_roll(world.now(), 30 * DAY, epoch).await.unwrap() > 0);
    assert_eq!(store.event_get(tenant, gone.event).await.unwrap(), None);
    assert_eq!(store.delivery_get(tenant, gone.delivery).await.unwrap(), None);
    assert!(store.attempts(tenant, gone.delivery).await.unwrap().is_empty());
    assert_eq!(store.event_find(tenant, "order-1").await.unwrap(), None);
    let named = NewEvent { external_id: Some("order-1".into()), ..world.event("a.b") };
    assert!(matches!(world.accept(tenant, named).await, EventOutcome::New(_)), "its id is free again");

    assert!(store.event_get(tenant, open).await.unwrap().is_some());
    assert_eq!(world.state(tenant, waits).await.0, DeliveryState::Scheduled);
    assert_eq!(world.claim(tenant, webhook, 5).await.claimed.len(), 1);
    assert_eq!(store.deliveries_of(tenant, replayed.event).await.unwrap().len(), 2);
    assert_eq!(store.attempts(tenant, replayed.delivery).await.unwrap().len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_somebody_reads_stays_until_the_next_try() {
    let world = World::postgres().await;
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let gone = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, gone).await;
    world.pass(32 * DAY);
    let store = world.store();
    // The coming days are there: what waits is the drop.
    store.history_roll(world.now(), 1000 * DAY, store.node_epoch()).await.unwrap();
    let mut reads = PgConnection::connect(&world.server().url).await.unwrap();
    let mut dump = reads.begin().await.unwrap();
    sqlx::query("LOCK TABLE event IN ACCESS SHARE MODE").execute(&mut *dump).await.unwrap();
    let tried = store.history_roll(world.now(), 30 * DAY, store.node_epoch()).await;
    assert!(matches!(tried, Err(StoreError::Contended(_))), "{tried:?}");
    assert!(store.event_get(tenant, gone.event).await.unwrap().is_some());
    world.accept(tenant, world.event("a.b")).await;
    dump.commit().await.unwrap();
    assert!(store.history_roll(world.now(), 30 * DAY, store.node_epoch()).await.unwrap() > 0);
    assert_eq!(store.event_get(tenant, gone.event).await.unwrap(), None);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_connection_began_has_ended_before_the_next_begins() {
    let world = World::postgres().await;
    let (proxy, store) = through_a_proxy(&world).await;
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let (_, delivery) = world.accept_scheduled(tenant, webhook).await;
    let now = world.pass(Duration::from_secs(1));
    let claim = async || {
        let want = Want { tenant, webhook, count: 1 };
        store.delivery_claim(now, now.plus(LEASE), vec![want]).await
    };
    // The claim waits in the middle of its statement, as a commit waits for its standby.
    let mut holds = PgConnection::connect(&world.server().url).await.unwrap();
    let mut held = holds.begin().await.unwrap();
    sqlx::query("LOCK TABLE delivery_open IN EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    let (lost, first) = tokio::join!(claim(), async {
        let first = until_another_waits(&mut held, &[]).await;
        proxy.cut();
        first
    });
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    proxy.mend();
    let (answers, waiting) = tokio::join!(claim(), async {
        let waiting = until_another_waits(&mut held, &first).await;
        held.commit().await.unwrap();
        waiting
    });
    assert!(!waiting.contains(&first[0]), "the server still works for the connection that was lost");
    let claimed = &answers.unwrap()[0].claimed[0];
    assert_eq!((claimed.delivery, claimed.attempt), (delivery, 1), "the first claim was never made");
    store.close().await;
    world.end().await;
}

/// Who waits for the table of what is open, once that is somebody else than `known`.
async fn until_another_waits(connection: &mut PgConnection, known: &[i32]) -> Vec<i32> {
    const WAITS: &str = "SELECT pid FROM pg_locks WHERE relation = 'delivery_open'::regclass AND NOT granted";
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let pids: Vec<i32> = sqlx::query_scalar(WAITS).fetch_all(&mut *connection).await.unwrap();
            if pids.iter().any(|pid| !known.contains(pid)) {
                return pids;
            }
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("a statement waits for the table")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_hears_what_others_change_and_what_waits() {
    let world = World::postgres().await;
    let other = second(&world).await;
    let mut listener = other.listener().unwrap();
    assert_eq!(listener.next().await.unwrap(), Heard::Anything);
    let (tenant, webhook) = (world.tenant(), world.webhook());
    for told in [Heard::Due(tenant, webhook), Heard::TenantChanged(tenant), Heard::JobsWait] {
        world.store().tell(told).await.unwrap();
        assert_eq!(listener.next().await.unwrap(), told);
        listener.check().await.unwrap();
    }
    world.store().close().await;
    assert_eq!(listener.next().await.unwrap(), Heard::NodesChanged);
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_lose_work_needs_the_flag() {
    let world = World::postgres().await;
    let name = &world.server().name;
    world.server().sql(&format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    assert!(matches!(Store::open(world.again()).await, Err(StoreError::Unsafe(_))));
    let options = OpenOptions { unsafe_allowed: true, ..world.again() };
    Store::open(options).await.unwrap().close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_needs_the_same_master_key() {
    let world = World::postgres().await;
    let none = OpenOptions { master_key: None, ..world.again() };
    assert!(matches!(Store::open(none).await, Err(StoreError::MasterKey(_))));
    let other = postrider_store::MasterKey::new(Box::new([8; 32]));
    let another = OpenOptions { master_key: Some(other), ..world.again() };
    assert!(matches!(Store::open(another).await, Err(StoreError::MasterKey(_))));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_one_step_newer_is_used_if_it_says_so() {
    let world = World::postgres().await;
    let newer = |works_with: &str| {
        world.server().sql(&format!(
            "DELETE FROM migration WHERE number = 9999;
             INSERT INTO migration VALUES (9999, 'newer', '', 0, {works_with})"
        ));
    };
    let newest = "(SELECT MAX(number) FROM migration WHERE number < 9999)";
    newer(newest);
    Store::open(world.again()).await.unwrap().close().await;
    newer(&format!("1 + {newest}"));
    assert!(matches!(Store::open(world.again()).await, Err(StoreError::Migration(_))));
    world.end().await;
}

#[tokio::test]
async fn a_url_that_leads_nowhere_is_said_without_its_password() {
    let world = World::sqlite().await;
    for url in ["postgres://u:hunter2@127.0.0.1:1/db", "postgres://u:hunter2@host:port/db"] {
        let options = OpenOptions {
            database: Database::Postgres(url.to_owned()),
            master_key: Some(postrider_store::MasterKey::new(Box::new([7; 32]))),
            ..world.again()
        };
        let error = Store::open(options).await.err().expect("nobody is there").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    world.end().await;
}

/// A store whose way to the server can be cut.
async fn through_a_proxy(world: &World) -> (FaultProxy, Store) {
    let proxy = FaultProxy::start(world.server().address).await;
    let options =
        OpenOptions { database: Database::Postgres(proxy.url(&world.server().url)), ..world.again() };
    let store = Store::open(options).await.unwrap();
    (proxy, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_answer_was_lost_is_given_back() {
    let world = World::postgres().await;
    let (proxy, store) = through_a_proxy(&world).await;
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let (_, delivery) = world.accept_scheduled(tenant, webhook).await;
    let claim = async |webhook| {
        let now = world.pass(Duration::from_secs(1));
        let want = Want { tenant, webhook, count: 1 };
        store.delivery_claim(now, now.plus(LEASE), vec![want]).await
    };
    // The statement is known to the connection: what names the webhook next is its call.
    claim(world.webhook()).await.unwrap();
    let committed = proxy.cut_after_request(webhook.as_bytes());
    assert!(matches!(claim(webhook).await, Err(StoreError::Unavailable(_))));
    committed.await.unwrap();
    assert_eq!(world.state(tenant, delivery).await.0, DeliveryState::Sending);
    let answers = claim(webhook).await.unwrap();
    let claimed = &answers[0].claimed[0];
    assert_eq!((claimed.delivery, claimed.attempt, claimed.resend), (delivery, 1, false));
    store.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_leaves_nothing_under_way() {
    let world = World::postgres().await;
    let (proxy, store) = through_a_proxy(&world).await;
    let (tenant, webhook) = (world.tenant(), world.webhook());
    commit(&store, Commit { events: vec![world.event("a.b")], ..world.commit(tenant) }).await.unwrap();
    let mut event = world.event("a.b");
    let mut delivery = world.delivery(event.id, webhook);
    delivery.claim = Some(world.lease());
    let (id, needle) = (delivery.id, *delivery.id.as_bytes());
    event.deliveries.push(delivery);
    let committed = proxy.cut_after_request(&needle);
    let outcome = commit(&store, Commit { events: vec![event], ..world.commit(tenant) }).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    committed.await.unwrap();
    // Whoever published it was told that it failed, and sends nothing: it is due again, for anybody, without an attempt.
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while world.state(tenant, id).await.0 == DeliveryState::Sending {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the line gives it back by itself");
    let claimed = world.claim(tenant, webhook, 1).await.claimed.remove(0);
    assert_eq!((claimed.delivery, claimed.attempt, claimed.resend), (id, 1, false));
    store.close().await;
    world.end().await;
}
