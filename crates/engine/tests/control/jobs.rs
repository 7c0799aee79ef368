use std::time::Duration;

use bytes::Bytes;
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::EventKind;
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::problem::Code;
use postrider_domain::time::{Clock, Timestamp};
use postrider_engine::accept::Accept;
use postrider_engine::control::{
    Job, JobKind, JobState, NewKey, NewWebhook, Repeatable, RetrySelection, Role,
};
use postrider_engine::outbound::dispatch::{Audience, PublishOutcome};
use postrider_engine::outbound::ingest::Draft;
use postrider_store::{AttemptRow, AttemptTiming, Claimed, Commit, CommitOutcome, Settlement, Want};
use secrecy::ExposeSecret;

use crate::support::*;

/// Publishes `count` events to the tenant's webhooks. Nothing is sent: their deliveries wait.
pub(crate) async fn publish(house: &House, tenant: &str, event_type: &str, count: usize) {
    let tenant = house.tenant(tenant);
    let draft = Draft {
        external_id: None,
        kind: EventKind::Normal,
        event_type: event_type.into(),
        time: None,
        data: Bytes::from_static(b"{}"),
        depth: 0,
        warnings: Vec::new(),
    };
    let published = house.outbound.publish(&tenant, vec![draft; count], Audience::Matching, None).await;
    match published.expect("the store takes them") {
        PublishOutcome::Done(published) => assert_eq!(published.len(), count),
        _ => panic!("there was no idempotency key"),
    }
}

/// State and reason of each delivery of a tenant, oldest first.
pub(crate) async fn states(house: &House, tenant: &str) -> Vec<(DeliveryState, Reason)> {
    const SQL: &str = "SELECT state, reason FROM delivery WHERE tenant_id = $1 ORDER BY id";
    let mut states = Vec::new();
    for row in house.store.read().all(SQL, &[house.tenant(tenant).id.into()]).await.expect("a read") {
        states.push((row.get("state").expect("a state"), row.get("reason").expect("a reason")));
    }
    states
}

/// Claims up to `count` deliveries that are due, and ends each so.
async fn settle(
    house: &House,
    tenant: TenantId,
    webhook: WebhookId,
    count: u32,
    state: DeliveryState,
) -> usize {
    let now = house.clock.now();
    let want = Want { tenant, webhook, count };
    let answers = house
        .store
        .delivery_claim(now, now.plus(Duration::from_secs(60)), vec![want])
        .await
        .expect("a claim");
    let claimed: Vec<Claimed> = answers.into_iter().flat_map(|answer| answer.claimed).collect();
    let settled: Vec<Settlement> = claimed.iter().map(|claimed| settlement(claimed, state, now)).collect();
    let count = settled.len();
    let mut answer = house
        .outbound
        .accept
        .submit(|mint| Commit { settled, ..Commit::new(tenant, mint.now) })
        .expect("the queue has room");
    match Accept::outcome(&mut answer).await.expect("the store takes it") {
        CommitOutcome::Done { settled, .. } => assert!(settled.iter().all(|settled| *settled)),
        other => panic!("{other:?}"),
    }
    count
}

fn settlement(claimed: &Claimed, state: DeliveryState, now: Timestamp) -> Settlement {
    let delivered = state == DeliveryState::Delivered;
    Settlement {
        delivery: claimed.delivery,
        event: claimed.event.id,
        webhook: claimed.webhook,
        kind: claimed.kind,
        fence: claimed.fence,
        attempt: std::sync::Arc::new(AttemptRow {
            number: claimed.attempt,
            started: now,
            class: if delivered { AttemptClass::Success } else { AttemptClass::Status },
            status: Some(if delivered { 200 } else { 500 }),
            detail: None,
            timing: AttemptTiming::default(),
            peer: None,
            reused: false,
            resend: false,
            body_sha256: None,
            request_bytes: 0,
            response_head: Bytes::new(),
            response_body: Bytes::new(),
            response_bytes: 0,
        }),
        state,
        reason: if delivered { Reason::Accepted } else { Reason::RetriesExhausted },
        due: None,
        step: 0,
    }
}

async fn replays(house: &House) -> u64 {
    const SQL: &str = "SELECT COUNT(*) AS n FROM delivery WHERE kind = $1";
    let row = house.store.read().one(SQL, &[DeliveryKind::Replay.into()]).await.expect("a read");
    row.get("n").expect("a count")
}

async fn work_off(house: &House) {
    while house.control.jobs_step().await.expect("a batch") {}
}

const HOUR: Duration = Duration::from_secs(3600);

struct Scene {
    house: House,
    tenant: TenantId,
    webhook: WebhookId,
    from: Timestamp,
    until: Timestamp,
}

/// A webhook with `failed` failures in the range, and one before, one after, one success and one that waits in it.
async fn scene(failed: usize) -> Scene {
    let house = House::new().await;
    let tenant = house.create_tenant("rc", "rcmanager").await.id;
    let webhook = house.create_webhook("rc", webhook("https://example.com/", &["*"])).await.webhook.id;
    let event = "vehicle.created";
    publish(&house, "rc", event, 1).await;
    settle(&house, tenant, webhook, 1, DeliveryState::Failed).await;
    house.clock.advance(HOUR);
    let from = house.clock.now();
    publish(&house, "rc", event, failed).await;
    while settle(&house, tenant, webhook, 256, DeliveryState::Failed).await > 0 {}
    publish(&house, "rc", event, 1).await;
    settle(&house, tenant, webhook, 1, DeliveryState::Delivered).await;
    house.clock.advance(HOUR);
    let until = house.clock.now();
    publish(&house, "rc", event, 1).await;
    settle(&house, tenant, webhook, 1, DeliveryState::Failed).await;
    house.clock.advance(HOUR);
    Scene { house, tenant, webhook, from, until }
}

impl Scene {
    async fn recover(&self) -> Job {
        let tenant = self.house.tenant("rc");
        fresh(self.house.control.recover(&OPERATOR, &tenant, self.webhook, self.from, self.until, None).await)
    }

    async fn job(&self, job: &Job) -> Job {
        let read = self.house.control.job_get(Some(self.tenant), job.id).await.expect("a read");
        read.expect("the job is there")
    }
}

#[tokio::test]
async fn a_recovery_sends_again_what_failed_in_its_range_and_nothing_else() {
    let scene = scene(3).await;
    let job = scene.recover().await;
    assert_eq!((job.state, job.total, job.done), (JobState::Running, 3, 0));
    work_off(&scene.house).await;
    let job = scene.job(&job).await;
    assert_eq!((job.state, job.total, job.done), (JobState::Done, 3, 3));
    assert!(job.ended.is_some());
    assert_eq!(replays(&scene.house).await, 3);
    // Its replays are under way: a second recovery finds nothing.
    assert_eq!(scene.recover().await.total, 0);
    // They failed again, outside of the range: what failed in it did not arrive.
    settle(&scene.house, scene.tenant, scene.webhook, 2, DeliveryState::Delivered).await;
    settle(&scene.house, scene.tenant, scene.webhook, 1, DeliveryState::Failed).await;
    scene.house.clock.advance(HOUR);
    assert_eq!(scene.recover().await.total, 1);
    work_off(&scene.house).await;
    assert_eq!(replays(&scene.house).await, 4);
}

#[tokio::test]
async fn a_recovery_goes_on_after_a_restart_and_repeats_nothing() {
    let failed = 2 * limits::RECOVER_BATCH_ROWS + 7;
    let scene = scene(failed).await;
    let job = scene.recover().await;
    assert!(scene.house.control.jobs_step().await.expect("a batch"));
    assert_eq!(scene.job(&job).await.done, limits::RECOVER_BATCH_ROWS as u64);
    // What was sent again may fail again while the recovery goes on: it is not sent a third time.
    settle(&scene.house, scene.tenant, scene.webhook, 100, DeliveryState::Failed).await;
    let Scene { house, tenant, webhook, from, until } = scene;
    let scene = Scene { house: house.restarted().await, tenant, webhook, from, until };
    work_off(&scene.house).await;
    let job = scene.job(&job).await;
    assert_eq!((job.state, job.total, job.done), (JobState::Done, failed as u64, failed as u64));
    assert_eq!(replays(&scene.house).await, failed as u64);
}

#[tokio::test]
async fn what_was_held_for_too_long_is_recovered_and_what_was_paused_is_not() {
    let house = House::new().await;
    let tenant = house.create_tenant("rc", "rcmanager").await;
    let id = house.create_webhook("rc", webhook("https://example.com/", &["*"])).await.webhook.id;
    let from = house.clock.now();
    for (reason, total) in [(Reason::HeldTooLong, 2), (Reason::WebhookOff, 2)] {
        publish(&house, "rc", "vehicle.created", 2).await;
        let now = house.clock.now();
        house.store.delivery_cancel(now, tenant.id, id, reason, None).await.expect("a cancellation");
        house.clock.advance(HOUR);
        let job = fresh(house.control.recover(&OPERATOR, &tenant, id, from, house.clock.now(), None).await);
        assert_eq!(job.total, total, "{reason:?}");
    }
}

#[tokio::test]
async fn bad_recoveries_are_refused_and_change_nothing() {
    let scene = scene(1).await;
    let (house, id) = (&scene.house, scene.webhook);
    let tenant = house.tenant("rc");
    let later = house.clock.now().plus(HOUR);
    for (from, until) in [(scene.until, scene.from), (scene.from, scene.from), (later, later.plus(HOUR))] {
        let asked = house.control.recover(&OPERATOR, &tenant, id, from, until, None);
        refuses(house, Code::InvalidField, Some("from"), asked).await;
    }
    let other = house.create_tenant("other", "rcmanager").await;
    let asked = house.control.recover(&OPERATOR, &other, id, scene.from, scene.until, None);
    refuses(house, Code::NotFound, None, asked).await;
    for role in [Role::Viewer, Role::Publisher] {
        let actor = of(tenant.id, role);
        let asked = house.control.recover(&actor, &tenant, id, scene.from, scene.until, None);
        refuses(house, Code::Forbidden, None, asked).await;
    }
    assert!(!house.control.jobs_step().await.expect("no job"));
}

#[tokio::test]
async fn a_repeated_recovery_is_one_job_and_a_foreign_one_does_not_exist() {
    let scene = scene(2).await;
    let tenant = scene.house.tenant("rc");
    let answer = |job: &Job| job.id.to_string().into_bytes();
    let ask = || {
        let again = Some(Repeatable { idem: idem("k", 1), answer: &answer });
        scene.house.control.recover(&OPERATOR, &tenant, scene.webhook, scene.from, scene.until, again)
    };
    let job = fresh(ask().await);
    assert_eq!(replayed(ask().await), job.id.to_string().into_bytes());
    let other = scene.house.create_tenant("other", "rcmanager").await.id;
    assert_eq!(scene.house.control.job_get(Some(other), job.id).await.expect("a read"), None);
}

#[tokio::test]
async fn a_recovery_of_a_webhook_that_is_deleted_meanwhile_fails_and_says_so() {
    let scene = scene(1).await;
    let job = scene.recover().await;
    let tenant = scene.house.tenant("rc");
    scene.house.control.webhook_delete(&OPERATOR, &tenant, scene.webhook).await.expect("a deletion");
    work_off(&scene.house).await;
    let job = scene.job(&job).await;
    assert_eq!((job.state, job.detail.as_deref()), (JobState::Failed, Some("The webhook was deleted.")));
    assert_eq!(replays(&scene.house).await, 0);
}

fn selected(selection: RetrySelection, scene: &Scene) -> RetrySelection {
    RetrySelection { from: Some(scene.from), until: Some(scene.until), ..selection }
}

/// Ids of a tenant's deliveries in a state, oldest first.
async fn ids_in(house: &House, tenant: TenantId, state: DeliveryState) -> Vec<DeliveryId> {
    const SQL: &str = "SELECT id FROM delivery WHERE tenant_id = $1 AND state = $2 ORDER BY id";
    let rows = house.store.read().all(SQL, &[tenant.into(), state.into()]).await.expect("a read");
    rows.iter().map(|row| row.get("id").expect("an id")).collect()
}

#[tokio::test]
async fn a_retry_of_many_goes_on_after_a_restart_and_sends_each_once() {
    let failed = limits::RETRY_BATCH_ROWS + 500;
    let scene = scene(failed).await;
    let tenant = scene.house.tenant("rc");
    let selection = selected(RetrySelection { status: Some(500), ..RetrySelection::default() }, &scene);
    let count = scene.house.control.retry_count(&tenant, &selection).await.expect("a count");
    assert_eq!((count.count, count.at_least), (failed as u64, false));
    let job = fresh(scene.house.control.retry_many(&OPERATOR, &tenant, selection.clone(), None).await);
    assert_eq!((job.kind, job.total, job.done), (JobKind::Retry, failed as u64, 0));
    assert!(scene.house.control.jobs_step().await.expect("a batch"));
    assert_eq!(scene.job(&job).await.done, limits::RETRY_BATCH_ROWS as u64);
    // What was sent again may fail again meanwhile: it is not sent a third time.
    settle(&scene.house, scene.tenant, scene.webhook, 100, DeliveryState::Failed).await;
    let Scene { house, tenant: id, webhook, from, until } = scene;
    let scene = Scene { house: house.restarted().await, tenant: id, webhook, from, until };
    work_off(&scene.house).await;
    let job = scene.job(&job).await;
    assert_eq!((job.state, job.total, job.done), (JobState::Done, failed as u64, failed as u64));
    assert_eq!(replays(&scene.house).await, failed as u64);
    // What is under way is left out; what failed again out of the range did not arrive.
    let tenant = scene.house.tenant("rc");
    scene.house.clock.advance(HOUR);
    let count = scene.house.control.retry_count(&tenant, &selection).await.expect("a count");
    assert_eq!(count.count, 100);
}

#[tokio::test]
async fn a_retry_takes_what_its_selection_says() {
    let scene = scene(3).await;
    let (house, webhook) = (&scene.house, scene.webhook);
    let other = house
        .create_webhook("rc", crate::support::webhook("https://example.org/", &["vehicle.deleted"]))
        .await;
    let tenant = house.tenant("rc");
    let none = RetrySelection::default;
    let failed = ids_in(house, scene.tenant, DeliveryState::Failed).await;
    let delivered = ids_in(house, scene.tenant, DeliveryState::Delivered).await;
    let named = |ids: &[DeliveryId]| Some(ids.to_vec());
    for (selection, expected) in [
        (RetrySelection { webhook: Some(webhook), ..none() }, 5),
        (RetrySelection { webhook: Some(other.webhook.id), ..none() }, 0),
        (RetrySelection { status: Some(500), ..none() }, 5),
        (RetrySelection { status: Some(404), ..none() }, 0),
        (RetrySelection { event_type: Some("vehicle.created".into()), ..none() }, 5),
        (RetrySelection { event_type: Some("vehicle.sold".into()), ..none() }, 0),
        (selected(none(), &scene), 3),
        (RetrySelection { from: Some(scene.until), ..none() }, 1),
        (RetrySelection { until: Some(scene.from), ..none() }, 1),
        (RetrySelection { ids: named(&failed[..2]), ..none() }, 2),
        (RetrySelection { ids: named(&[failed[0], failed[0], delivered[0]]), ..none() }, 1),
        (RetrySelection { ids: named(&failed), from: Some(scene.until), ..none() }, 1),
    ] {
        let count = house.control.retry_count(&tenant, &selection).await.expect("a count");
        assert_eq!((count.count, count.at_least), (expected, false), "{selection:?}");
    }
    let selection = RetrySelection { ids: named(&failed[..2]), ..none() };
    let job = fresh(house.control.retry_many(&OPERATOR, &tenant, selection.clone(), None).await);
    work_off(house).await;
    assert_eq!((scene.job(&job).await.state, scene.job(&job).await.done), (JobState::Done, 2));
    assert_eq!(replays(house).await, 2);
    assert_eq!(house.control.retry_count(&tenant, &selection).await.expect("a count").count, 0);
    house.control.webhook_delete(&OPERATOR, &tenant, webhook).await.expect("a deletion");
    let tenant = house.tenant("rc");
    let all = RetrySelection { status: Some(500), ..none() };
    assert_eq!(house.control.retry_count(&tenant, &all).await.expect("a count").count, 0);
}

#[tokio::test]
async fn bad_retries_of_many_are_refused_and_change_nothing() {
    let scene = scene(1).await;
    let (house, control) = (&scene.house, &scene.house.control);
    let tenant = house.tenant("rc");
    let other = house.create_tenant("other", "rcmanager").await;
    let none = RetrySelection::default;
    let failed = ids_in(house, scene.tenant, DeliveryState::Failed).await;
    let foreign = DeliveryId::from_bytes([7; 16]);
    let later = house.clock.now().plus(HOUR);
    for (tenant, selection, code, field) in [
        (&tenant, none(), Code::MissingField, None),
        (&tenant, RetrySelection { status: Some(99), ..none() }, Code::InvalidField, Some("status")),
        (&tenant, RetrySelection { from: Some(later), ..none() }, Code::InvalidField, Some("from")),
        (&tenant, RetrySelection { ids: Some(Vec::new()), ..none() }, Code::InvalidField, Some("ids")),
        (
            &tenant,
            RetrySelection { ids: Some(vec![foreign; limits::RETRY_IDS_MAX + 1]), ..none() },
            Code::TooManyItems,
            Some("ids"),
        ),
        (&tenant, RetrySelection { ids: Some(vec![failed[0], foreign]), ..none() }, Code::NotFound, None),
        (&other, RetrySelection { ids: Some(failed.clone()), ..none() }, Code::NotFound, None),
        (&other, RetrySelection { webhook: Some(scene.webhook), ..none() }, Code::NotFound, None),
    ] {
        let asked = control.retry_many(&OPERATOR, tenant, selection.clone(), None);
        refuses(house, code, field, asked).await;
        refuses(house, code, field, control.retry_count(tenant, &selection)).await;
    }
    for role in [Role::Viewer, Role::Publisher] {
        let selection = RetrySelection { status: Some(500), ..none() };
        let actor = of(tenant.id, role);
        refuses(house, Code::Forbidden, None, control.retry_many(&actor, &tenant, selection, None)).await;
    }
    assert!(!house.control.jobs_step().await.expect("no job"));
}

/// Tables that hold rows of a tenant, and the column that says so.
const TABLES: [(&str, &str); 13] = [
    ("tenant", "id"),
    ("tenant_version", "tenant_id"),
    ("webhook", "tenant_id"),
    ("webhook_version", "tenant_id"),
    ("webhook_secret", "tenant_id"),
    ("api_key", "tenant_id"),
    ("event_type", "tenant_id"),
    ("job", "tenant_id"),
    ("event", "tenant_id"),
    ("delivery", "tenant_id"),
    ("attempt", "tenant_id"),
    ("ledger_hour", "tenant_id"),
    ("webhook_hour", "tenant_id"),
];

async fn rows_of(house: &House, tenant: TenantId) -> Vec<(&'static str, u64)> {
    let mut counts = Vec::new();
    for (table, column) in TABLES {
        let sql = format!("SELECT COUNT(*) AS n FROM {table} WHERE {column} = $1");
        let row = house.store.read().one(sql, &[tenant.into()]).await.expect("a read");
        counts.push((table, row.get("n").expect("a count")));
    }
    counts
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_at_once_and_nothing_of_it_stays_but_the_audit() {
    let house = House::new().await;
    let mut webhooks = Vec::new();
    for name in ["acme", "other"] {
        let tenant = house.create_tenant(name, "standard").await;
        let new = NewWebhook { generate_secret: true, ..webhook("https://example.com/", &["*"]) };
        webhooks.push(house.create_webhook(name, new).await.webhook.id);
        let put = postrider_engine::control::EventTypePut { name: "a.b".to_owned(), ..Default::default() };
        house.control.event_type_put(&OPERATOR, &tenant, put).await.expect("a type");
        publish(&house, name, "a.b", 600).await;
        settle(&house, tenant.id, webhooks[webhooks.len() - 1], 5, DeliveryState::Failed).await;
        house.clock.advance(HOUR);
        let (from, until) = (Timestamp::from_unix_ms(0), house.clock.now());
        let webhook = webhooks[webhooks.len() - 1];
        fresh(house.control.recover(&OPERATOR, &tenant, webhook, from, until, None).await);
    }
    let (acme, other) = (house.tenant("acme").id, house.tenant("other").id);
    let key = NewKey { role: Role::Admin, tenant: Some(acme), name: "theirs".to_owned() };
    let key = fresh(house.control.key_create(&OPERATOR, key, None).await).key;
    let hash: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        key.expose_secret(),
    ))
    .into();
    assert!(house.outbound.catalogue.key(&hash).is_some());
    let before = rows_of(&house, other).await;
    assert!(rows_of(&house, acme).await.iter().all(|(_, rows)| *rows > 0));

    let job = house.control.tenant_delete(&OPERATOR, acme).await.expect("a deletion");
    assert!(house.outbound.catalogue.tenant(acme).is_none());
    assert!(house.outbound.catalogue.key(&hash).is_none());
    // Its id is free again, while its rows go.
    let successor = house.create_tenant("acme", "standard").await.id;
    assert!(house.control.jobs_step().await.expect("a batch"));
    let house = house.restarted().await;
    assert!(house.outbound.catalogue.tenant(acme).is_none());
    assert!(house.outbound.catalogue.key(&hash).is_none());
    while house.control.jobs_step().await.expect("a batch") {}

    assert_eq!(rows_of(&house, acme).await.iter().map(|(_, rows)| rows).sum::<u64>(), 0);
    let job = house.control.job_get(None, job.id).await.expect("a read").expect("it is there");
    assert_eq!((job.state, job.tenant.as_str()), (JobState::Done, "acme"));
    assert!(job.done > 1200);
    assert_eq!(house.tenant("acme").id, successor);
    // Of the other tenant only its own recovery went on.
    let mut after = rows_of(&house, other).await;
    for (table, rows) in &mut after {
        match *table {
            "delivery" => *rows -= 5,
            // It is counted in another hour.
            "ledger_hour" => *rows -= 1,
            _ => {}
        }
    }
    assert_eq!(after, before);
    let audit = house.control.audit(Some(acme), None, 100).await.expect("the audit");
    assert!(audit.iter().any(|entry| entry.action == "tenant.deleted" && entry.before.is_some()));
    assert!(audit.iter().all(|entry| entry.tenant.as_deref() == Some("acme")));
}

#[tokio::test]
async fn only_an_operator_deletes_a_tenant() {
    let house = House::new().await;
    let id = house.create_tenant("acme", "standard").await.id;
    for role in [Role::Admin, Role::Viewer, Role::Publisher] {
        refuses(&house, Code::Forbidden, None, house.control.tenant_delete(&of(id, role), id)).await;
    }
    let unknown = TenantId::from_bytes([9; 16]);
    refuses(&house, Code::NotFound, None, house.control.tenant_delete(&OPERATOR, unknown)).await;
    house.control.tenant_delete(&OPERATOR, id).await.expect("a deletion");
    refuses(&house, Code::NotFound, None, house.control.tenant_delete(&OPERATOR, id)).await;
}

#[tokio::test]
async fn jobs_are_worked_off_when_they_are_asked_for() {
    let scene = scene(3).await;
    let control = scene.house.control.clone();
    let running = tokio::spawn(control.run_jobs());
    let job = scene.recover().await;
    // The last step of a job is durable before its state reads "done"; each look yields to the runner.
    loop {
        let state = scene.job(&job).await.state;
        if state != JobState::Running {
            assert_eq!(state, JobState::Done);
            break;
        }
        postrider_testkit::clock::turn().await;
    }
    running.abort();
    assert!(running.await.is_err_and(|ended| ended.is_cancelled()));
}
