//! What the dashboard's pages read.

use std::time::Duration;

use bytes::Bytes;
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState};
use postrider_domain::id::DeliveryId;
use postrider_domain::limits;
use postrider_store::{
    Commit, DeliveryFilter, HourOutcome, Minute, NewEvent, NewestOutcome, Sums, TenantTotals,
};

use crate::world::{DAY, SECOND, World};

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) async fn the_health_of_all_webhooks_is_one_answer(world: &World) {
    let (tenant, other) = (world.tenant(), world.tenant());
    let [idle, old, busy, foreign] = [world.webhook(), world.webhook(), world.webhook(), world.webhook()];
    for webhook in [idle, old, busy] {
        world.register(tenant, webhook).await;
    }
    world.register(other, foreign).await;
    let sending = world.accept_sending(tenant, old, DeliveryKind::Normal).await;
    let long_ago = world.now();
    world.deliver(tenant, sending).await;
    world.pass(2 * DAY);
    let failed = world.accept_sending(tenant, busy, DeliveryKind::Normal).await;
    world.settle(tenant, failed.failed(world.now())).await;
    world.pass(HOUR);
    let delivered = world.accept_sending(tenant, busy, DeliveryKind::Normal).await;
    world.deliver(tenant, delivered).await;
    let test = world.accept_sending(tenant, busy, DeliveryKind::Test).await;
    world.settle(tenant, test.failed(world.now())).await;
    let due = world.now();
    for _ in 0..3 {
        world.accept_scheduled(tenant, busy).await;
    }
    world.accept_scheduled(other, foreign).await;

    let health = world.store().webhooks_health(tenant, world.now()).await.unwrap();
    let of = |webhook| health.iter().find(|health| health.webhook == webhook).expect("it is registered");
    assert_eq!(health.len(), 3);
    let of_idle = of(idle);
    assert_eq!((of_idle.attempts, of_idle.last_fired, of_idle.waiting), (0, None, 0));
    assert_eq!((of_idle.newest, of_idle.earliest_due), (None, None));
    assert_eq!((of(old).attempts, of(old).last_fired, of(old).newest), (0, Some(long_ago), None));
    let busy = of(busy);
    assert_eq!((busy.attempts, busy.succeeded, busy.last_fired), (2, 1, Some(due)));
    assert_eq!(busy.latency, [0, 2, 0, 0, 0, 0, 0, 0]);
    assert_eq!(busy.hours[22], HourOutcome { attempts: 1, succeeded: 0 });
    assert_eq!(busy.hours[23], HourOutcome { attempts: 1, succeeded: 1 });
    assert_eq!(busy.hours[..22], [HourOutcome::default(); 22]);
    assert_eq!((busy.waiting, busy.waiting_at_least, busy.earliest_due), (3, false, Some(due)));
    let newest = NewestOutcome {
        delivery: delivered.delivery,
        state: DeliveryState::Delivered,
        class: Some(AttemptClass::Success),
        status: Some(200),
    };
    assert_eq!(busy.newest, Some(newest));
}

pub(crate) async fn totals_are_of_all_tenants_without_tests(world: &World) {
    let [one, two, quiet] = [world.tenant(), world.tenant(), world.tenant()];
    for tenant in [one, two, quiet] {
        register_tenant(world, tenant).await;
    }
    let webhook = world.webhook();
    world.accept_scheduled(quiet, webhook).await;
    world.pass(2 * DAY);
    let sending = world.accept_sending(one, webhook, DeliveryKind::Normal).await;
    world.deliver(one, sending).await;
    world.accept_scheduled(two, webhook).await;
    world.pass(HOUR);
    let sending = world.accept_sending(one, webhook, DeliveryKind::Normal).await;
    world.settle(one, sending.failed(world.now())).await;
    let test = world.accept_sending(one, webhook, DeliveryKind::Test).await;
    world.deliver(one, test).await;
    let now = world.now();
    let totals = world.store().tenants_totals_any_tenant(now.minus(DAY), now).await.unwrap();
    let of_one = Sums {
        accepted: 2,
        delivered: 1,
        failed: 1,
        cancelled: 0,
        last_hour_accepted: 1,
        last_hour_delivered: 1,
    };
    let of_two = Sums { accepted: 1, last_hour_accepted: 1, ..Sums::default() };
    let mut expected =
        [TenantTotals { tenant: one, sums: of_one }, TenantTotals { tenant: two, sums: of_two }];
    expected.sort_by_key(|totals| totals.tenant);
    assert_eq!(totals.tenants, expected);
    let sums = totals.installation;
    assert_eq!((sums.accepted, sums.delivered, sums.last_hour_accepted), (3, 1, 2));
}

/// A row of the configuration, as control writes it.
async fn register_tenant(world: &World, tenant: postrider_domain::id::TenantId) {
    const SQL: &str = "INSERT INTO tenant (id, public_id, profile, profile_version, name, plan, timezone, attributes, settings,
      version, created_ms, updated_ms, deleted_ms) VALUES ($1, $2, 'standard', '1', 'name', NULL, 'UTC', '{}', '{}', 1, $3, $3, NULL)";
    let mut tx = world.store().write().await.unwrap();
    tx.execute(SQL, &[tenant.into(), (&tenant.to_string()).into(), world.now().into()]).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn a_list_of_many_webhooks_is_in_the_order_of_its_deliveries(world: &World) {
    let tenant = world.tenant();
    let webhooks: Vec<_> = (0..12).map(|_| world.webhook()).collect();
    let mut made = Vec::new();
    for n in 0..60usize {
        // One is busier than all others together, and some are quiet for long.
        let webhook = if n % 2 == 0 { webhooks[0] } else { webhooks[n / 2 % 11 + 1] };
        made.push(world.accept_scheduled(tenant, webhook).await.1);
        if n % 3 == 0 {
            world.pass(Duration::from_millis(1));
        }
    }
    made.sort_unstable();
    made.reverse();
    for page in [1, 7, 25, 100] {
        let mut filter = DeliveryFilter::default();
        let mut seen: Vec<DeliveryId> = Vec::new();
        loop {
            let found = world.store().delivery_page(tenant, &filter, page).await.unwrap();
            assert_eq!(found.looked_until, None);
            let Some(last) = found.deliveries.last() else { break };
            filter.before = Some(last.id);
            seen.extend(found.deliveries.iter().map(|delivery| delivery.id));
        }
        assert_eq!(seen, made, "pages of {page}");
    }
}

pub(crate) async fn deliveries_are_found_by_what_their_last_attempt_came_to(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let failed = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.settle(tenant, failed.failed(world.now())).await;
    world.pass(SECOND);
    let delivered = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, delivered).await;
    let retried = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.settle(tenant, retried.retry(world.now(), world.now().plus(HOUR), 1)).await;
    world.accept_scheduled(tenant, webhook).await;
    let all = DeliveryFilter::default;
    let failed_state = Some(DeliveryState::Failed);
    for (filter, expected) in [
        (DeliveryFilter { status: Some(500), ..all() }, &[retried.delivery, failed.delivery][..]),
        (DeliveryFilter { status: Some(200), ..all() }, &[delivered.delivery]),
        (DeliveryFilter { class: Some(AttemptClass::Status), ..all() }, &[retried.delivery, failed.delivery]),
        (DeliveryFilter { class: Some(AttemptClass::Timeout), ..all() }, &[]),
        (DeliveryFilter { status: Some(500), state: failed_state, ..all() }, &[failed.delivery]),
        (DeliveryFilter { status: Some(404), state: failed_state, ..all() }, &[]),
        (
            DeliveryFilter { status: Some(500), webhook: Some(webhook), from: Some(world.now()), ..all() },
            &[retried.delivery],
        ),
        (DeliveryFilter { status: Some(500), webhook: Some(world.webhook()), ..all() }, &[]),
    ] {
        let page = world.store().delivery_page(tenant, &filter, 10).await.unwrap();
        let ids: Vec<_> = page.deliveries.iter().map(|delivery| delivery.id).collect();
        assert_eq!((ids.as_slice(), page.looked_until), (expected, None), "{filter:?}");
    }
}

pub(crate) async fn a_rare_filter_looks_at_a_part_and_says_how_far_it_came(world: &World) {
    let (tenant, webhooks) = (world.tenant(), [world.webhook(), world.webhook()]);
    let rare = NewEvent { deliveries: Vec::new(), ..world.event("a.rare") };
    let delivery = world.delivery(rare.id, webhooks[0]);
    let wanted = delivery.id;
    world.accept(tenant, NewEvent { deliveries: vec![delivery], ..rare }).await;
    world.pass(SECOND);
    let more = limits::DELIVERIES_LOOKED_AT_MAX + 500;
    let mut left = more;
    while left > 0 {
        let mut events = Vec::new();
        for n in 0..left.min(1000) {
            let mut event = world.event("a.common");
            // Most go to the second: more than its health counts.
            event.deliveries = vec![world.delivery(event.id, webhooks[usize::from(n % 100 != 0)])];
            events.push(event);
        }
        left -= events.len();
        world.done(Commit { events, ..world.commit(tenant) }).await;
        world.pass(Duration::from_millis(1));
    }
    for filter in [
        DeliveryFilter { event_type: Some("a.rare".into()), ..DeliveryFilter::default() },
        DeliveryFilter {
            event_type: Some("a.rare".into()),
            state: Some(DeliveryState::Scheduled),
            ..DeliveryFilter::default()
        },
    ] {
        let first = world.store().delivery_page(tenant, &filter, 10).await.unwrap();
        assert!(first.deliveries.is_empty());
        let until = first.looked_until.expect("there is more to look at");
        let on = DeliveryFilter { before: Some(until), ..filter.clone() };
        let second = world.store().delivery_page(tenant, &on, 10).await.unwrap();
        assert_eq!(second.deliveries.iter().map(|found| found.id).collect::<Vec<_>>(), [wanted]);
        assert_eq!(second.looked_until, None);
        let all = world.store().delivery_list(tenant, &filter, 10).await.unwrap();
        assert_eq!(all.iter().map(|found| found.id).collect::<Vec<_>>(), [wanted]);
    }
    let health = world.store().webhooks_health(tenant, world.now()).await.unwrap();
    assert!(health.is_empty(), "none of them is registered");
    world.register(tenant, webhooks[1]).await;
    let health = world.store().webhooks_health(tenant, world.now()).await.unwrap();
    assert_eq!(health[0].waiting, limits::WAITING_COUNTED_PER_WEBHOOK_MAX as u64);
    assert!(health[0].waiting_at_least);
}

pub(crate) async fn text_in_payloads_is_found_part_by_part(world: &World) {
    let (tenant, foreign) = (world.tenant(), world.tenant());
    let mut made = Vec::new();
    for n in 0..limits::SEARCH_HITS_MAX + 10 {
        let text = if n % 2 == 0 { r#"{"name":"Karl 100%"}"# } else { r#"{"name":"Anna"}"# };
        let event = NewEvent { data: Bytes::from_static(text.as_bytes()), ..world.event("a.b") };
        made.push(event.id);
        world.accept(tenant, event).await;
    }
    world.pass(3 * DAY);
    for text in [r#"{"note":"ask karl"}"#, r#"{"name":"1000"}"#] {
        let event = NewEvent { data: Bytes::copy_from_slice(text.as_bytes()), ..world.event("a.b") };
        made.push(event.id);
        world.accept(tenant, event).await;
    }
    let search = |tenant, text: &'static str, before| {
        let (store, now) = (world.store(), world.now());
        async move { store.event_search(tenant, text, before, now).await.unwrap() }
    };
    let first = search(tenant, "KARL", None).await;
    assert_eq!(first.events.iter().map(|event| event.id).collect::<Vec<_>>(), [made[made.len() - 2]]);
    // A day back, and no further: there is more.
    assert_eq!((first.looked_at, first.complete), (2, false));
    let second = search(tenant, "KARL", first.looked_until).await;
    assert_eq!((second.events.len(), second.complete), (made.len() / 2 - 1, true));
    assert!(search(tenant, "100%", second.looked_until).await.complete);
    assert_eq!(search(tenant, "100%", first.looked_until).await.events.len(), made.len() / 2 - 1);
    assert_eq!(search(tenant, "_", first.looked_until).await.events.len(), 0);
    let all = search(tenant, "name", first.looked_until).await;
    assert_eq!((all.events.len(), all.complete), (limits::SEARCH_HITS_MAX, false));
    let rest = search(tenant, "name", all.looked_until).await;
    assert_eq!((rest.events.len(), rest.complete), (10, true));
    let nothing = search(foreign, "name", None).await;
    assert_eq!((nothing.events.len(), nothing.looked_at, nothing.complete), (0, 0, true));
}

pub(crate) async fn an_hour_is_seen_by_the_minute(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let from = world.now().hour().plus(HOUR);
    world.pass(from.since(world.now()));
    for n in 0..5 {
        let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
        let settlement = if n == 0 { sending.failed(world.now()) } else { sending.delivered(world.now()) };
        world.settle(tenant, settlement).await;
        world.pass(Duration::from_secs(40));
    }
    let test = world.accept_sending(tenant, webhook, DeliveryKind::Test).await;
    world.deliver(tenant, test).await;
    let minute = |n: u32, attempts, succeeded| Minute {
        minute: from.plus(Duration::from_secs(60) * n),
        attempts,
        succeeded,
        p50_ms: Some(20),
        p95_ms: Some(20),
    };
    let until = from.plus(HOUR);
    let all = world.store().webhook_minutes(tenant, webhook, from, until, 100).await.unwrap();
    assert_eq!(all.minutes, [minute(0, 2, 1), minute(1, 1, 1), minute(2, 2, 2)]);
    assert!(!all.cut);
    let newest = world.store().webhook_minutes(tenant, webhook, from, until, 3).await.unwrap();
    assert_eq!((newest.minutes, newest.cut), (vec![minute(1, 1, 1), minute(2, 2, 2)], true));
    let foreign = world.store().webhook_minutes(world.tenant(), webhook, from, until, 3).await.unwrap();
    assert!(foreign.minutes.is_empty());
}
