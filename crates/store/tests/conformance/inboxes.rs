use bytes::Bytes;
use postrider_domain::id::{InboxId, InboxRequestId, RisingIds, TenantId};
use postrider_domain::limits;
use postrider_store::config::{ConfigWrite, InboxRequestRow, InboxRow, InboxWrite};

use crate::world::World;

async fn write(world: &World, change: InboxWrite) {
    let write = ConfigWrite { at: world.now(), inboxes: vec![change], ..ConfigWrite::default() };
    world.store().config_write(&write).await.unwrap();
}

async fn inbox(world: &World, tenant: TenantId, slug: &str) -> InboxRow {
    let id = InboxId::new(world.now(), &*world.random);
    let row = InboxRow { tenant, id, slug: slug.to_owned(), status: 200, created: world.now() };
    write(world, InboxWrite::Put(row.clone())).await;
    row
}

fn request(world: &World, inbox: &InboxRow, id: InboxRequestId, body: &[u8]) -> InboxRequestRow {
    InboxRequestRow {
        tenant: inbox.tenant,
        inbox: inbox.id,
        id,
        received: world.now(),
        method: "POST".to_owned(),
        headers: r#"[["a","ä"]]"#.to_owned(),
        body: Bytes::copy_from_slice(body),
        body_bytes: 70_000,
        status: 0,
    }
}

pub(crate) async fn an_inbox_keeps_its_newest_requests(world: &World) {
    let (store, tenant) = (world.store(), world.tenant());
    let (one, other) = (inbox(world, tenant, "one").await, inbox(world, tenant, "other").await);
    let mut ids = RisingIds::default();
    let mut next = || InboxRequestId::from_uuid(ids.next(world.now(), &*world.random));
    let first = request(world, &other, next(), &[0, 255, 10]);
    assert_eq!(store.inbox_receive(&first).await.unwrap(), Some(200));
    let mut made = Vec::new();
    for n in 0..limits::INBOX_REQUESTS_MAX + 7 {
        let row = request(world, &one, next(), &n.to_be_bytes());
        assert_eq!(store.inbox_receive(&row).await.unwrap(), Some(200));
        made.push(InboxRequestRow { status: 200, ..row });
    }
    made.reverse();
    made.truncate(limits::INBOX_REQUESTS_MAX);
    assert_eq!(store.inbox_requests(tenant, one.id, None, 1000).await.unwrap(), made);
    let page = store.inbox_requests(tenant, one.id, Some(made[9].id), 5).await.unwrap();
    assert_eq!(page, made[10..15]);
    let kept = store.inbox_requests(tenant, other.id, None, 10).await.unwrap();
    assert_eq!(kept, [InboxRequestRow { status: 200, ..first }]);
}

pub(crate) async fn an_inbox_answers_what_it_is_told_and_belongs_to_its_tenant(world: &World) {
    let (store, tenant) = (world.store(), world.tenant());
    let one = inbox(world, tenant, "told").await;
    write(world, InboxWrite::Put(InboxRow { status: 503, ..one.clone() })).await;
    let row = request(world, &one, InboxRequestId::new(world.now(), &*world.random), b"x");
    assert_eq!(store.inbox_receive(&row).await.unwrap(), Some(503));
    assert_eq!(store.inbox_requests(tenant, one.id, None, 10).await.unwrap()[0].status, 503);
    let found = store.inbox_by_slug_any_tenant("told").await.unwrap().unwrap();
    assert_eq!((found.tenant, found.id, found.status), (tenant, one.id, 503));
    assert_eq!(store.inbox_by_slug_any_tenant("untold").await.unwrap(), None);
    let foreign = world.tenant();
    assert_eq!(store.inbox_get(foreign, one.id).await.unwrap(), None);
    assert_eq!(store.inboxes(foreign).await.unwrap(), []);
    assert_eq!(store.inbox_requests(foreign, one.id, None, 10).await.unwrap(), []);
    let stray = InboxRequestRow { tenant: foreign, ..row };
    assert_eq!(store.inbox_receive(&stray).await.unwrap(), None);
}

pub(crate) async fn an_inbox_is_deleted_with_what_came_to_it(world: &World) {
    let (store, tenant) = (world.store(), world.tenant());
    let (one, other) = (inbox(world, tenant, "goes").await, inbox(world, tenant, "stays").await);
    let mut rows = Vec::new();
    for inbox in [&one, &other] {
        let row = request(world, inbox, InboxRequestId::new(world.now(), &*world.random), b"x");
        store.inbox_receive(&row).await.unwrap();
        rows.push(row);
    }
    write(world, InboxWrite::Delete { tenant, id: one.id }).await;
    assert_eq!(store.inboxes(tenant).await.unwrap(), std::slice::from_ref(&other));
    assert_eq!(store.inbox_requests(tenant, one.id, None, 10).await.unwrap(), []);
    assert_eq!(store.inbox_requests(tenant, other.id, None, 10).await.unwrap().len(), 1);
    // One that was on its way.
    let late = InboxRequestRow { id: InboxRequestId::new(world.now(), &*world.random), ..rows[0].clone() };
    assert_eq!(store.inbox_receive(&late).await.unwrap(), None);
    assert_eq!(store.inbox_requests(tenant, one.id, None, 10).await.unwrap(), []);
}

pub(crate) async fn what_came_to_inboxes_goes_when_it_is_old(world: &World) {
    let (store, tenant) = (world.store(), world.tenant());
    let one = inbox(world, tenant, "ages").await;
    let old = request(world, &one, InboxRequestId::new(world.now(), &*world.random), b"x");
    store.inbox_receive(&old).await.unwrap();
    let border = old.received.plus(std::time::Duration::from_millis(1));
    let young =
        InboxRequestRow { id: InboxRequestId::new(border, &*world.random), received: border, ..old.clone() };
    store.inbox_receive(&young).await.unwrap();
    assert_eq!(store.inbox_sweep(tenant, old.received).await.unwrap(), 0);
    assert_eq!(store.inbox_sweep(world.tenant(), border).await.unwrap(), 0, "of another tenant");
    assert_eq!(store.inbox_sweep(tenant, border).await.unwrap(), 1);
    assert_eq!(store.inbox_requests(tenant, one.id, None, 10).await.unwrap().len(), 1);
}
