//! Webhooks whose URL is an inbox of ours: handed over without a socket, and written down like any other.

use std::sync::Arc;

use postrider_domain::delivery::{AttemptClass, DeliveryState, Reason};
use postrider_domain::signature;
use postrider_domain::verify::{Capture, Finding, verify};
use postrider_engine::catalogue::{Tenant, Webhook};
use postrider_engine::control::{Actor, Created, NewTenant, NewWebhook};
use postrider_engine::inbox::Inbox;
use postrider_store::config::InboxRequestRow;
use secrecy::SecretString;
use serde_json::json;

use crate::house::{House, PUBLIC_URL};

pub(crate) const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

async fn inbox(house: &House, tenant: &Arc<Tenant>) -> Inbox {
    match house.engine.control().inbox_create(&Actor::postrider(), tenant, None, None).await {
        Ok(Created::Fresh(inbox)) => inbox,
        other => panic!("the inbox was not made: {other:?}"),
    }
}

/// A webhook that signs and has a header of its own.
pub(crate) async fn webhook(house: &House, tenant: &Tenant, url: &str) -> Arc<Webhook> {
    let new = NewWebhook {
        url: url.to_owned(),
        events: Some(vec!["*".to_owned()]),
        secret: Some(SecretString::from(SECRET)),
        headers: vec![("X-Of-Mine".to_owned(), "hush".to_owned())],
        ..NewWebhook::default()
    };
    match house.engine.control().webhook_create(&Actor::postrider(), &house.now(tenant), new, None).await {
        Ok(Created::Fresh(changed)) => changed.webhook,
        other => panic!("the webhook was not created: {other:?}"),
    }
}

async fn came(house: &House, tenant: &Tenant, inbox: &Inbox) -> Vec<InboxRequestRow> {
    let control = house.engine.control();
    control.inbox_requests(tenant.id, inbox.id, None, 1000).await.expect("a list")
}

#[tokio::test]
async fn an_event_is_in_the_inbox_byte_for_byte_with_a_signature_that_holds() {
    let house = House::open().await;
    let tenant = house.tenant("standard").await;
    house.set(&tenant, json!({"requireHttps": true})).await;
    let inbox = inbox(&house, &tenant).await;
    let url = inbox.url.clone().expect("a URL");
    assert!(url.starts_with(PUBLIC_URL), "{url}");
    webhook(&house, &tenant, &url).await;
    house
        .try_publish(&tenant, "order.created", None, "{\"n\": 1.0, \"ä\": \"\\n\"}")
        .await
        .expect("accepted");
    let delivery = house.all_ended(&tenant).await.remove(0);
    assert_eq!((delivery.state, delivery.reason), (DeliveryState::Delivered, Reason::Accepted));

    let rows = came(&house, &tenant, &inbox).await;
    assert_eq!(rows.len(), 1);
    let headers: Vec<(String, String)> = serde_json::from_str(&rows[0].headers).expect("pairs");
    let capture = Capture { headers: &headers, body: &rows[0].body, received: Some(house.now_by_clock()) };
    assert_eq!(verify(tenant.profile(), capture, SECRET), Finding::Holds, "{headers:?}");
    assert_eq!((rows[0].method.as_str(), rows[0].status), ("POST", 200));
    assert!(headers.contains(&("host".to_owned(), "127.0.0.1:1".to_owned())), "{headers:?}");
    assert!(headers.contains(&("x-of-mine".to_owned(), "********".to_owned())), "{headers:?}");

    let attempt = house.engine.store().attempts(tenant.id, delivery.id).await.expect("attempts").remove(0);
    assert_eq!((attempt.class, attempt.status, attempt.peer), (AttemptClass::Success, Some(200), None));
    assert_eq!(attempt.body_sha256, Some(signature::sha256(&rows[0].body)));
    assert_eq!(attempt.request_bytes, rows[0].body_bytes);
    assert!(String::from_utf8_lossy(&attempt.response_body).contains("\"received\":true"));
    house.ledger_balances().await;
}

#[tokio::test]
async fn an_inbox_that_answers_500_is_asked_again() {
    let house = House::open().await;
    let tenant = house.tenant("standard").await;
    let inbox = inbox(&house, &tenant).await;
    let (control, actor) = (house.engine.control(), Actor::postrider());
    control.inbox_status(&actor, &tenant, inbox.id, 500).await.expect("it answers 500");
    webhook(&house, &tenant, inbox.url.as_deref().expect("a URL")).await;
    house.publish(&tenant, "order.created").await;
    house.until(&tenant, |all| all[0].last_status == Some(500)).await;
    assert_eq!(came(&house, &tenant, &inbox).await[0].status, 500);
    control.inbox_status(&actor, &tenant, inbox.id, 200).await.expect("it answers 200");
    house.until_due(&tenant).await;
    let delivery = house.all_ended(&tenant).await.remove(0);
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 2));
    let rows = came(&house, &tenant, &inbox).await;
    assert_eq!(rows.iter().map(|row| row.status).collect::<Vec<_>>(), [200, 500]);
    assert_eq!(rows[0].body, rows[1].body);
    house.ledger_balances().await;
}

#[tokio::test]
async fn a_foreign_tenants_inbox_answers_404_and_receives_nothing() {
    let house = House::open().await;
    let tenant = house.tenant("standard").await;
    let new = NewTenant {
        id: Some("other".to_owned()),
        profile: "standard".to_owned(),
        plan: Some("pro".to_owned()),
        ..NewTenant::default()
    };
    let other = match house.engine.control().tenant_create(&Actor::postrider(), new, None).await {
        Ok(Created::Fresh(changed)) => changed.tenant,
        other => panic!("the tenant was not created: {other:?}"),
    };
    let theirs = inbox(&house, &other).await;
    webhook(&house, &tenant, theirs.url.as_deref().expect("a URL")).await;
    house.publish(&tenant, "order.created").await;
    house.until_due(&tenant).await;
    let delivery = house.deliveries(&tenant).await.remove(0);
    assert_eq!(delivery.last_status, Some(404));
    assert_eq!(came(&house, &other, &theirs).await, []);
    house.ledger_balances().await;
}

#[tokio::test]
async fn what_is_known_of_inboxes_is_known_after_a_restart() {
    let house = House::open().await;
    let tenant = house.tenant("standard").await;
    let inbox = inbox(&house, &tenant).await;
    webhook(&house, &tenant, inbox.url.as_deref().expect("a URL")).await;
    let house = house.restarted().await;
    house.publish(&tenant, "order.created").await;
    house.all_ended(&tenant).await;
    assert_eq!(came(&house, &tenant, &inbox).await.len(), 1);
}
