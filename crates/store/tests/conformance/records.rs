use std::time::Duration;

use bytes::Bytes;
use postrider_domain::id::TenantId;
use postrider_store::{
    Commit, Elsewhere, MarkChange, RecordContent, RecordKey, RecordState, RecordTo, RecordWrite, RuleDue,
    RuleFault, Rules, StoreError,
};

use crate::world::World;

fn key(tenant: TenantId, id: &str) -> RecordKey {
    RecordKey { scope: *tenant.as_bytes(), kind: "part".to_owned(), id: id.to_owned() }
}

fn content(tenant: TenantId, version: i64, data: &'static str) -> RecordTo {
    let data = Bytes::from_static(data.as_bytes());
    RecordTo::Content(RecordContent { tenant: Some(tenant), version, data })
}

fn write(key: &RecordKey, expected: Option<i64>, to: RecordTo) -> RecordWrite {
    RecordWrite { key: key.clone(), expected, to, due: Vec::new(), marks: Vec::new(), errors: Vec::new() }
}

async fn state(world: &World, key: &RecordKey) -> RecordState {
    let states = world.store().record_states(&key.scope, &key.kind, &[&key.id], Rules::With).await;
    states.unwrap().pop().unwrap()
}

async fn commit(world: &World, tenant: TenantId, records: Vec<RecordWrite>) -> Result<(), StoreError> {
    world.try_commit(Commit { records, ..world.commit(tenant) }).await.map(drop)
}

pub(crate) async fn a_record_is_written_with_the_event_that_it_causes_or_not_at_all(world: &World) {
    let tenant = world.tenant();
    let part = key(tenant, "p-1");
    let records = vec![write(&part, None, content(tenant, 1, r#"{"n":1.50}"#))];
    let with_event = Commit { events: vec![world.event("part.created")], records, ..world.commit(tenant) };
    world.try_commit(with_event).await.unwrap();
    let stored = state(world, &part).await.record.unwrap();
    assert_eq!((stored.version, &stored.data[..], stored.tenant), (1, &br#"{"n":1.50}"#[..], Some(tenant)));
    assert_eq!((stored.created, stored.updated), (world.now(), world.now()));

    let stale = vec![write(&part, Some(7), content(tenant, 8, "{}"))];
    let stale = Commit { events: vec![world.event("part.changed")], records: stale, ..world.commit(tenant) };
    assert!(matches!(world.try_commit(stale).await, Err(StoreError::Moved(_))));
    assert_eq!(world.event_count(tenant).await, 1);
    assert_eq!(state(world, &part).await.record.unwrap().version, 1);
}

pub(crate) async fn a_record_is_written_by_who_has_read_its_last_version(world: &World) {
    let tenant = world.tenant();
    let part = key(tenant, "p-1");
    commit(world, tenant, vec![write(&part, None, content(tenant, 1, "{}"))]).await.unwrap();
    let again = commit(world, tenant, vec![write(&part, None, content(tenant, 2, "{}"))]).await;
    assert!(matches!(again, Err(StoreError::Moved(_))), "it is there");
    world.pass(Duration::from_secs(5));
    commit(world, tenant, vec![write(&part, Some(1), content(tenant, 2, r#"{"a":1}"#))]).await.unwrap();
    let stored = state(world, &part).await.record.unwrap();
    assert_eq!((stored.version, &stored.data[..]), (2, &br#"{"a":1}"#[..]));
    assert!(stored.created < stored.updated);
    assert!(matches!(
        commit(world, tenant, vec![write(&part, Some(1), RecordTo::Deleted)]).await,
        Err(StoreError::Moved(_))
    ));
    commit(world, tenant, vec![write(&part, Some(2), RecordTo::Deleted)]).await.unwrap();
    assert_eq!(state(world, &part).await.record, None);
    assert!(matches!(
        commit(world, tenant, vec![write(&part, Some(2), RecordTo::Deleted)]).await,
        Err(StoreError::Moved(_))
    ));
}

pub(crate) async fn records_are_listed_by_kind_and_belong_to_their_tenant(world: &World) {
    let (tenant, other) = (world.tenant(), world.tenant());
    let writes = ["c", "a", "b"].map(|id| write(&key(tenant, id), None, content(tenant, 1, "{}")));
    commit(world, tenant, writes.to_vec()).await.unwrap();
    commit(world, other, vec![write(&key(other, "a"), None, content(other, 1, "{}"))]).await.unwrap();
    let ids = async |tenant: TenantId, after: &str, rows| {
        let records = world.store().records(tenant.as_bytes(), "part", after, rows).await.unwrap();
        records.into_iter().map(|record| record.key.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(tenant, "", 2).await, ["a", "b"]);
    assert_eq!(ids(tenant, "b", 2).await, ["c"]);
    assert_eq!(ids(other, "", 9).await, ["a"]);
    assert!(world.store().records(tenant.as_bytes(), "vehicle", "", 9).await.unwrap().is_empty());

    let named = |id: &str, of| RecordWrite {
        key: RecordKey { scope: [9; 16], ..key(tenant, id) },
        ..write(&key(tenant, id), None, content(of, 1, "{}"))
    };
    commit(world, tenant, vec![named("x", tenant), named("y", other), named("z", tenant)]).await.unwrap();
    let of = |records: Vec<postrider_store::StoredRecord>| {
        records.into_iter().map(|record| record.key.id).collect::<Vec<_>>()
    };
    assert_eq!(of(world.store().records_naming(tenant, "part", "", 9).await.unwrap()), ["x", "z"]);
    assert_eq!(of(world.store().records_naming(tenant, "part", "x", 9).await.unwrap()), ["z"]);
    assert_eq!(of(world.store().records(&[9; 16], "part", "", 9).await.unwrap()), ["x", "y", "z"]);
}

pub(crate) async fn due_times_and_marks_move_with_their_record(world: &World) {
    let tenant = world.tenant();
    let part = key(tenant, "p-1");
    let (soon, late) = (world.now().plus(Duration::from_secs(5)), world.now().plus(Duration::from_secs(50)));
    let due = |rule: &str, at| RuleDue { rule: rule.to_owned(), tenant, at };
    let event = world.event_id();
    let first = RecordWrite {
        due: vec![due("overdue", late), due("soon", soon)],
        marks: vec![
            ("created".to_owned(), MarkChange::Set { tenant, event: Some(event) }),
            ("silent".to_owned(), MarkChange::Set { tenant, event: None }),
        ],
        ..write(&part, None, content(tenant, 1, "{}"))
    };
    commit(world, tenant, vec![first]).await.unwrap();
    let rules = async |until| {
        let due = world.store().records_due(tenant, until, 9).await.unwrap();
        due.into_iter().map(|(_, due)| due.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules(soon).await, ["soon"]);
    assert_eq!(rules(late).await, ["soon", "overdue"]);
    let marks = state(world, &part).await.marks;
    assert_eq!(marks.iter().map(|mark| mark.event).collect::<Vec<_>>(), [Some(event), None]);

    let second = RecordWrite {
        due: vec![due("overdue", soon)],
        marks: vec![("created".to_owned(), MarkChange::Cleared { tenant })],
        ..write(&part, Some(1), content(tenant, 2, "{}"))
    };
    commit(world, tenant, vec![second]).await.unwrap();
    assert_eq!(rules(late).await, ["overdue"]);
    commit(world, tenant, vec![write(&part, Some(2), RecordTo::Deleted)]).await.unwrap();
    assert!(rules(late).await.is_empty());
    let marks = state(world, &part).await.marks;
    assert_eq!(
        marks.iter().map(|mark| mark.rule.as_str()).collect::<Vec<_>>(),
        ["silent"],
        "marks outlive it"
    );
}

pub(crate) async fn a_due_time_is_taken_once(world: &World) {
    let tenant = world.tenant();
    let part = key(tenant, "p-1");
    let due = |at| RuleDue { rule: "overdue".to_owned(), tenant, at };
    let (first, second) = (world.now(), world.now().plus(Duration::from_secs(50)));
    let made = RecordWrite { due: vec![due(first)], ..write(&part, None, content(tenant, 1, "{}")) };
    commit(world, tenant, vec![made]).await.unwrap();
    assert_eq!(world.store().tenants_due(&[tenant, world.tenant()], first).await.unwrap(), [tenant]);
    let look = |version, at| {
        let marks = vec![("overdue".to_owned(), MarkChange::Set { tenant, event: None })];
        let to = RecordTo::Looked(vec![due(at)]);
        RecordWrite { due: vec![due(second)], marks, ..write(&part, Some(version), to) }
    };
    for wrong in [look(7, first), look(1, second)] {
        assert!(matches!(commit(world, tenant, vec![wrong]).await, Err(StoreError::Moved(_))));
    }
    commit(world, tenant, vec![look(1, first)]).await.unwrap();
    assert!(matches!(commit(world, tenant, vec![look(1, first)]).await, Err(StoreError::Moved(_))));
    let after = state(world, &part).await;
    assert_eq!(after.due, [due(second)]);
    assert_eq!((after.record.unwrap().version, after.marks.len()), (1, 1), "it stays as it is");
    assert!(world.store().tenants_due(&[tenant], first).await.unwrap().is_empty());
}

pub(crate) async fn a_move_is_one_commit_of_two_tenants(world: &World) {
    let (tenant, other) = (world.tenant(), world.tenant());
    let part = key(tenant, "p-1");
    let elsewhere = || vec![Elsewhere { tenant: other, events: vec![world.event("part.created")] }];
    let moved = Commit {
        events: vec![world.event("part.deleted")],
        elsewhere: elsewhere(),
        records: vec![write(&part, None, content(other, 1, "{}"))],
        ..world.commit(tenant)
    };
    world.try_commit(moved).await.unwrap();
    assert_eq!((world.event_count(tenant).await, world.event_count(other).await), (1, 1));
    let stale = Commit {
        elsewhere: elsewhere(),
        records: vec![write(&part, Some(9), RecordTo::Deleted)],
        ..world.commit(tenant)
    };
    assert!(matches!(world.try_commit(stale).await, Err(StoreError::Moved(_))));
    assert_eq!(world.event_count(other).await, 1);
}

pub(crate) async fn what_rules_could_not_decide_is_kept_once_for_a_record_and_rule(world: &World) {
    let tenant = world.tenant();
    let part = key(tenant, "p-1");
    let fault = |detail: &str| vec![RuleFault { rule: "low".to_owned(), tenant, detail: detail.to_owned() }];
    let first = RecordWrite { errors: fault("one"), ..write(&part, None, content(tenant, 1, "{}")) };
    commit(world, tenant, vec![first]).await.unwrap();
    world.pass(Duration::from_secs(5));
    let second = RecordWrite { errors: fault("two"), ..write(&part, Some(1), content(tenant, 2, "{}")) };
    commit(world, tenant, vec![second]).await.unwrap();
    let faults = world.store().record_faults(&part).await.unwrap();
    assert_eq!(faults, world.store().rule_faults(tenant, 9).await.unwrap());
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!((fault.times, fault.detail.as_str(), fault.at), (2, "two", world.now()));
    world.pass(Duration::from_secs(5));
    assert_eq!(world.store().scans_sweep(world.now()).await.unwrap(), 1);
    assert!(world.store().rule_faults(tenant, 9).await.unwrap().is_empty());
}

pub(crate) async fn a_tick_of_the_scan_is_claimed_once(world: &World) {
    let tenant = world.tenant();
    let tick = world.now();
    assert!(world.store().scan_begin(tenant, tick, world.now()).await.unwrap());
    assert!(!world.store().scan_begin(tenant, tick, world.now()).await.unwrap());
    let open = world.store().scans_open_any_tenant().await.unwrap();
    let mut scan = *open.iter().find(|scan| scan.tenant == tenant).unwrap();
    scan = postrider_store::ScanRow { ended: Some(world.now()), looked: 3, events: 2, made: 1, ..scan };
    world.store().scan_end(&scan).await.unwrap();
    assert_eq!(world.store().scans_since(tenant, tick, 9).await.unwrap(), [scan]);
    assert!(!world.store().scans_open_any_tenant().await.unwrap().iter().any(|scan| scan.tenant == tenant));
}

pub(crate) async fn many_records_are_read_in_the_order_of_their_ids(world: &World) {
    let tenant = world.tenant();
    let writes: Vec<_> =
        (0..20).map(|n| write(&key(tenant, &format!("p-{n}")), None, content(tenant, n, "{}"))).collect();
    commit(world, tenant, writes).await.unwrap();
    let ids: Vec<String> = (0..40).rev().map(|n| format!("p-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let states = world.store().record_states(tenant.as_bytes(), "part", &ids, Rules::With).await.unwrap();
    let versions: Vec<_> =
        states.into_iter().map(|state| state.record.map(|record| record.version)).collect();
    let expected: Vec<_> = (0..40).rev().map(|n| (n < 20).then_some(n)).collect();
    assert_eq!(versions, expected);
}

pub(crate) async fn marks_are_of_the_tenant_whose_record_it_was(world: &World) {
    let (tenant, other) = (world.tenant(), world.tenant());
    let part = key(tenant, "p-1");
    let mark = |tenant| vec![("low".to_owned(), MarkChange::Set { tenant, event: None })];
    let made = RecordWrite { marks: mark(tenant), ..write(&part, None, content(tenant, 1, "{}")) };
    commit(world, tenant, vec![made]).await.unwrap();
    let moved = RecordWrite { marks: mark(other), ..write(&part, Some(1), content(other, 2, "{}")) };
    commit(world, tenant, vec![moved]).await.unwrap();
    let of = |state: RecordState| state.marks.iter().map(|mark| mark.tenant).collect::<Vec<_>>();
    let mut both = of(state(world, &part).await);
    both.sort();
    let mut expected = vec![tenant, other];
    expected.sort();
    assert_eq!(both, expected);
    let cleared = vec![("low".to_owned(), MarkChange::Cleared { tenant: other })];
    commit(
        world,
        tenant,
        vec![RecordWrite { marks: cleared, ..write(&part, Some(2), content(other, 3, "{}")) }],
    )
    .await
    .unwrap();
    assert_eq!(of(state(world, &part).await), [tenant]);
    assert_eq!(world.store().record_bytes(&part.scope, "part", &["p-1", "p-2"]).await.unwrap(), 2);
}
