//! Why an event did not arrive: each cause is told apart, with its next step, on the event's page and where there is a delivery
//! also on its page.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use postrider_domain::delivery::DeliveryState;
use postrider_domain::id::WebhookId;
use postrider_egress::{Resolve, Resolving};
use postrider_engine::control::{Actor, WebhookPatch};
use postrider_testkit::receiver::{Answer, Receiver};

use crate::world::{Reply, World};

const TENANT: &str = "acme";

async fn event_page(world: &World, event: &str) -> Reply {
    let operator = world.operator().await;
    operator.get(&format!("/dashboard/t/{TENANT}/events/{event}")).await.expect_status(200)
}

async fn delivery_page(world: &World, delivery: impl std::fmt::Display) -> Reply {
    let operator = world.operator().await;
    operator.get(&format!("/dashboard/t/{TENANT}/deliveries/{delivery}")).await.expect_status(200)
}

async fn switch(world: &World, webhook: &str, enabled: bool) {
    let tenant = world.tenant_now(TENANT);
    let id = WebhookId::parse(webhook).expect("an id");
    let patch = WebhookPatch { enabled: Some(enabled), ..WebhookPatch::default() };
    let changed = world.engine.control().webhook_update(&Actor::postrider(), &tenant, id, patch).await;
    changed.expect("a webhook can be switched");
}

#[tokio::test]
async fn a_webhook_that_was_off_is_told_with_the_way_to_switch_it_on() {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    let webhook = world.webhook(TENANT, "http://127.0.0.1:49151/", &["*"]).await;
    switch(&world, &webhook, false).await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let page = event_page(&world, &event).await;
    page.expect_text("The webhook was off when the event was accepted.")
        .expect_text(&format!("href=\"/dashboard/t/{TENANT}/webhooks/{webhook}\">Switch it on</a>"))
        .expect_no_text("Add the type to its events");
}

#[tokio::test]
async fn patterns_that_do_not_match_are_told_with_the_patterns() {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    let webhook = world.webhook(TENANT, "http://127.0.0.1:49151/", &["invoice.*"]).await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let page = event_page(&world, &event).await;
    page.expect_text("None of the webhook's event patterns matches this type.")
        .expect_text("<code>invoice.*</code>")
        .expect_text(&format!("/webhooks/{webhook}/edit\">Add the type to its events</a>"));
}

#[tokio::test]
async fn a_webhook_that_was_registered_later_is_told_with_both_times() {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    event_page(&world, &event).await.expect_text("There is no webhook");
    world.webhook(TENANT, "http://127.0.0.1:49151/", &["*"]).await;
    let page = event_page(&world, &event).await;
    page.expect_text("The webhook was registered after the event was accepted.")
        .expect_text("Registered at")
        .expect_text("Publish the event again");
}

#[tokio::test]
async fn a_delivery_that_failed_for_good_tells_its_answers_and_can_be_sent_again() {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(503).header("Retry-After", "120").body("<b>down</b>"));
    world.webhook(TENANT, &receiver.url("/"), &["order.*"]).await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let delivery = world.ended(TENANT, &event).await;
    assert_eq!(delivery.state, DeliveryState::Failed);
    let page = event_page(&world, &event).await;
    page.expect_text("Every attempt of the schedule failed.")
        .expect_text("the receiver answered")
        .expect_text("The endpoint asks for patience")
        .expect_text("Send again to all that failed");
    let page = delivery_page(&world, delivery.id).await;
    page.expect_text("Attempt 1: 503")
        .expect_text("Retry-After: 120 s")
        .expect_text("<code>order.*</code>")
        .expect_text("&lt;b&gt;down&lt;/b&gt;")
        .expect_text(">Retry</button>")
        .expect_no_text("<b>down</b>")
        .expect_no_text("every 2s");
}

#[tokio::test]
async fn an_endpoint_that_nobody_listens_at_is_told_as_such() {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    world.webhook(TENANT, "http://127.0.0.1:49151/", &["*"]).await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let delivery = world.ended(TENANT, &event).await;
    event_page(&world, &event)
        .await
        .expect_text("no connection")
        .expect_text("Nobody listens at the address");
    delivery_page(&world, delivery.id).await.expect_text("Attempt 1: no connection");
}

/// Leads into a private network.
#[derive(Debug)]
struct Inner;

impl Resolve for Inner {
    fn addresses<'a>(&'a self, _name: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))]) })
    }
}

#[tokio::test]
async fn a_blocked_target_is_told_as_such_and_not_as_a_failing_endpoint() {
    let world = World::start_with(Arc::new(Inner)).await;
    world.tenant(TENANT, "standard").await;
    let webhook = world.webhook(TENANT, "https://hooks.example.com/", &["*"]).await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let delivery = world.ended(TENANT, &event).await;
    let page = event_page(&world, &event).await;
    page.expect_text("The address of the webhook is not allowed.")
        .expect_text(&format!("/webhooks/{webhook}/edit\">Change the URL</a>"))
        .expect_no_text("Nobody listens at the address");
    delivery_page(&world, delivery.id).await.expect_text("Attempt 1: address not allowed");
}

#[tokio::test]
async fn a_retry_that_is_due_is_counted_down() {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    world.webhook(TENANT, &receiver.url("/"), &["*"]).await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let waits = world
        .delivery(TENANT, &event, |delivery| {
            delivery.state == DeliveryState::Scheduled && delivery.attempts == 1
        })
        .await;
    event_page(&world, &event).await.expect_text("the next one is scheduled").expect_text("data-countdown");
    delivery_page(&world, waits.id)
        .await
        .expect_text("The next attempt is at")
        .expect_text("data-countdown")
        .expect_text("hx-trigger=\"every 2s\"")
        .expect_no_text(">Retry</button>");
}

#[tokio::test]
async fn what_waits_for_a_scan_tells_when_it_comes() {
    let world = World::start().await;
    world.tenant(TENANT, "runtight").await;
    world.webhook(TENANT, "http://127.0.0.1:49151/", &["wo.*"]).await;
    let event = world.publish(TENANT, "wo.created", "{}").await;
    let waits = world.delivery(TENANT, &event, |_| true).await;
    event_page(&world, &event).await.expect_text("The next scan is at");
    delivery_page(&world, waits.id).await.expect_text("The delivery goes out with the next scan.");
}

#[tokio::test]
async fn what_is_held_for_a_webhook_that_is_off_says_so() {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    let webhook = world.webhook(TENANT, &receiver.url("/"), &["*"]).await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let waits = world.delivery(TENANT, &event, |delivery| delivery.state == DeliveryState::Scheduled).await;
    switch(&world, &webhook, false).await;
    event_page(&world, &event)
        .await
        .expect_text("The delivery is held")
        .expect_text("Switch the webhook on")
        .expect_no_text("The next attempt is at");
    delivery_page(&world, waits.id).await.expect_text("Held");
}
