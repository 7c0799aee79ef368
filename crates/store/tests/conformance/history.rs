use std::time::Duration;

use postrider_domain::delivery::{DeliveryKind, DeliveryState};
use postrider_domain::id::DeliveryId;
use postrider_store::{Commit, DeliveryFilter, EventFilter, NewEvent, Order};

use crate::world::{SECOND, World};

pub(crate) async fn pages_skip_nothing_and_repeat_nothing(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let mut made = Vec::new();
    for n in 0..25u64 {
        // Several in one millisecond, then a gap.
        if n % 5 == 0 {
            world.pass(Duration::from_millis(1));
        }
        made.push(world.accept_scheduled(tenant, webhook).await.1);
    }
    made.sort();
    for page in [1, 4, 25, 100] {
        for webhook in [None, Some(webhook)] {
            let mut filter = DeliveryFilter { webhook, ..DeliveryFilter::default() };
            let mut seen: Vec<DeliveryId> = Vec::new();
            loop {
                let rows = world.store().delivery_list(tenant, &filter, page).await.unwrap();
                // What arrives between two pages is newer than both.
                world.pass(SECOND);
                world.accept_scheduled(tenant, world.webhook()).await;
                let Some(last) = rows.last() else { break };
                filter.before = Some(last.id);
                seen.extend(rows.iter().map(|row| row.id).filter(|id| made.contains(id)));
            }
            seen.reverse();
            assert_eq!(seen, made, "pages of {page}");
        }
    }
}

pub(crate) async fn events_are_polled_in_the_order_of_acceptance(world: &World) {
    let tenant = world.tenant();
    let mut made = Vec::new();
    let mut seen = Vec::new();
    let mut after = None;
    for n in 0..30 {
        let event = world.event("a.b");
        made.push(event.id);
        world.accept(tenant, event).await;
        if n % 4 == 0 {
            let order = Order::OldestFirst { after };
            let rows = world.store().event_list(tenant, &EventFilter::default(), order, 3).await.unwrap();
            seen.extend(rows.iter().map(|event| event.id));
            after = seen.last().copied();
        }
    }
    loop {
        let order = Order::OldestFirst { after };
        let rows = world.store().event_list(tenant, &EventFilter::default(), order, 3).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = Some(last.id);
        seen.extend(rows.iter().map(|event| event.id));
    }
    assert_eq!(seen, made);
}

pub(crate) async fn events_are_filtered_by_type_and_time(world: &World) {
    let tenant = world.tenant();
    let mut made = Vec::new();
    for event_type in ["a.b", "a.c", "a.b", "a.b"] {
        made.push(world.event(event_type).id);
        let event = NewEvent { id: made[made.len() - 1], ..world.event(event_type) };
        world.accept(tenant, event).await;
        world.pass(SECOND);
    }
    let list = |filter: EventFilter, order| {
        let store = world.store();
        async move {
            let rows = store.event_list(tenant, &filter, order, 10).await.unwrap();
            rows.iter().map(|event| event.id).collect::<Vec<_>>()
        }
    };
    let newest = Order::NewestFirst { before: None };
    let by_type = EventFilter { event_type: Some("a.b".into()), ..EventFilter::default() };
    assert_eq!(list(by_type.clone(), newest).await, [made[3], made[2], made[0]]);
    let order = Order::NewestFirst { before: Some(made[3]) };
    assert_eq!(list(by_type.clone(), order).await, [made[2], made[0]]);
    let order = Order::OldestFirst { after: Some(made[0]) };
    assert_eq!(list(by_type, order).await, [made[2], made[3]]);
    let between =
        EventFilter { from: Some(made[1].time()), until: Some(made[3].time()), ..EventFilter::default() };
    assert_eq!(list(between, newest).await, [made[2], made[1]]);
}

pub(crate) async fn deliveries_are_filtered_by_every_field(world: &World) {
    let tenant = world.tenant();
    let webhooks = [world.webhook(), world.webhook()];
    let mut made = Vec::new();
    for webhook in webhooks {
        let delivered = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
        world.deliver(tenant, delivered).await;
        let failed = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
        world.settle(tenant, failed.failed(world.now())).await;
        let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
        let (_, scheduled) = world.accept_scheduled(tenant, webhook).await;
        world.pass(SECOND);
        made.push([delivered.delivery, failed.delivery, sending.delivery, scheduled]);
    }
    let list = |filter: DeliveryFilter| {
        let store = world.store();
        async move {
            let rows = store.delivery_list(tenant, &filter, 10).await.unwrap();
            rows.iter().map(|delivery| delivery.id).collect::<Vec<_>>()
        }
    };
    let all = DeliveryFilter::default;
    assert_eq!(list(all()).await.len(), 8);
    let states =
        [DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Sending, DeliveryState::Scheduled];
    for (n, state) in states.into_iter().enumerate() {
        let by_state = DeliveryFilter { state: Some(state), ..all() };
        assert_eq!(list(by_state.clone()).await, [made[1][n], made[0][n]]);
        let both = DeliveryFilter { webhook: Some(webhooks[0]), ..by_state.clone() };
        assert_eq!(list(both).await, [made[0][n]]);
        let until = DeliveryFilter { until: Some(made[1][0].time()), ..by_state.clone() };
        assert_eq!(list(until).await, [made[0][n]]);
        let from = DeliveryFilter { from: Some(made[1][0].time()), ..by_state.clone() };
        assert_eq!(list(from).await, [made[1][n]]);
        let before = DeliveryFilter { before: Some(made[1][n]), ..by_state };
        assert_eq!(list(before).await, [made[0][n]]);
    }
    let by_state = DeliveryFilter { state: Some(DeliveryState::Cancelled), ..all() };
    assert!(list(by_state).await.is_empty());
    for (event_type, count) in [("task.completed", 8), ("task.created", 0)] {
        let by_type = DeliveryFilter { event_type: Some(event_type.into()), ..all() };
        assert_eq!(list(by_type).await.len(), count);
    }
    let by_webhook = DeliveryFilter { webhook: Some(webhooks[1]), ..all() };
    assert_eq!(list(by_webhook).await.len(), 4);
}

pub(crate) async fn an_event_shows_all_its_deliveries(world: &World) {
    let tenant = world.tenant();
    let webhooks = [world.webhook(), world.webhook()];
    // Neighbours in the same millisecond are not mistaken for it.
    world.accept_scheduled(tenant, webhooks[0]).await;
    let mut event = world.event("a.b");
    let id = event.id;
    event.deliveries = webhooks.iter().map(|webhook| world.delivery(id, *webhook)).collect();
    let mut firsts: Vec<_> = event.deliveries.iter().map(|delivery| delivery.id).collect();
    firsts.sort();
    world.accept(tenant, event).await;
    world.accept_scheduled(tenant, webhooks[0]).await;
    world.pass(SECOND);
    let replay = world.replay(id, webhooks[0]);
    let expected = [firsts[0], firsts[1], replay.id];
    world.done(Commit { replays: vec![replay], ..world.commit(tenant) }).await;
    let found = world.store().deliveries_of(tenant, id).await.unwrap();
    assert_eq!(found.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), expected);
    assert!(found.iter().all(|delivery| delivery.event == id));
}

pub(crate) async fn a_foreign_tenant_sees_nothing(world: &World) {
    let (tenant, foreign, webhook) = (world.tenant(), world.tenant(), world.webhook());
    let mut event = NewEvent { external_id: Some("order-1".into()), ..world.event("a.b") };
    let id = event.id;
    event.deliveries.push(world.delivery(id, webhook));
    let delivery = event.deliveries[0].id;
    world.accept(tenant, event).await;
    let store = world.store();
    assert_eq!(store.event_get(foreign, id).await.unwrap(), None);
    assert_eq!(store.event_find(foreign, "order-1").await.unwrap(), None);
    assert_eq!(store.delivery_get(foreign, delivery).await.unwrap(), None);
    assert!(store.deliveries_of(foreign, id).await.unwrap().is_empty());
    assert!(store.attempts(foreign, delivery).await.unwrap().is_empty());
    assert!(store.delivery_list(foreign, &DeliveryFilter::default(), 10).await.unwrap().is_empty());
    assert_eq!(world.event_count(foreign).await, 0);
    assert_eq!(store.webhook_earliest_due(foreign, webhook).await.unwrap(), None);
    assert!(store.ledger(Some(foreign)).await.unwrap().iter().all(|row| row.accepted == 0));
}

pub(crate) async fn what_is_due_is_listed_per_webhook(world: &World) {
    let (one, two) = (world.tenant(), world.tenant());
    let webhooks = [world.webhook(), world.webhook(), world.webhook()];
    world.register(one, webhooks[0]).await;
    world.register(one, webhooks[1]).await;
    world.register(two, webhooks[2]).await;
    let early = world.now();
    world.accept_scheduled(one, webhooks[0]).await;
    let late = world.pass(SECOND);
    world.accept_scheduled(one, webhooks[0]).await;
    world.accept_scheduled(two, webhooks[2]).await;
    world.accept_sending(one, webhooks[1], DeliveryKind::Normal).await;
    let mut due = world.store().webhooks_due_any_tenant().await.unwrap();
    due.sort();
    let mut expected = vec![(one, webhooks[0], early), (two, webhooks[2], late)];
    expected.sort();
    assert_eq!(due, expected);
}

pub(crate) async fn the_first_of_what_waits_is_found(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    assert_eq!(world.store().webhook_earliest_due(tenant, webhook).await.unwrap(), None);
    let early = world.now();
    for _ in 0..3 {
        world.accept_scheduled(tenant, webhook).await;
        world.pass(SECOND);
    }
    assert_eq!(world.store().webhook_earliest_due(tenant, webhook).await.unwrap(), Some(early));
}

pub(crate) async fn a_webhook_is_seen_as_it_was_at_a_version(world: &World) {
    const SQL: &str = "INSERT INTO webhook_version (tenant_id, webhook_id, version, name, events, enabled, deleted, created_ms)
      VALUES ($1, $2, $3, $4, '[]', 1, $5, $6)";
    let (tenant, a, b) = (world.tenant(), world.webhook(), world.webhook());
    let mut tx = world.store().write().await.unwrap();
    for (webhook, version, name, deleted) in
        [(a, 2, "a2", false), (b, 3, "b3", false), (a, 5, "a5", false), (b, 6, "b6", true)]
    {
        let values = [
            tenant.into(),
            webhook.into(),
            i64::from(version).into(),
            name.into(),
            deleted.into(),
            world.now().into(),
        ];
        tx.execute(SQL, &values).await.unwrap();
    }
    tx.commit().await.unwrap();
    for (version, expected) in [
        (1, &[][..]),
        (2, &["a2"]),
        (3, &["a2", "b3"]),
        (4, &["a2", "b3"]),
        (5, &["a5", "b3"]),
        (9, &["a5", "b6"]),
    ] {
        let mut names: Vec<String> = world
            .store()
            .webhook_versions(tenant, version)
            .await
            .unwrap()
            .into_iter()
            .map(|webhook| webhook.name)
            .collect();
        names.sort();
        assert_eq!(names, expected, "version {version}");
    }
    assert!(world.store().webhook_versions(world.tenant(), 9).await.unwrap().is_empty());
}
