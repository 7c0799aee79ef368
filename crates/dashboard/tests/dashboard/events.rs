//! The list of events, the one search box, and the dry run.

use postrider_engine::control::Role;

use crate::world::World;

const TENANT: &str = "acme";
const BASE: &str = "/dashboard/t/acme";

async fn world() -> World {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    world
}

#[tokio::test]
async fn the_search_box_knows_ids_types_patterns_codes_and_text() {
    let world = world().await;
    let webhook = world.webhook(TENANT, "http://127.0.0.1:49151/", &["*"]).await;
    let event = world.publish(TENANT, "order.paid", r#"{"note":"Hello <Needle>"}"#).await;
    let delivery = world.ended(TENANT, &event).await.id;
    let operator = world.operator().await;
    for (text, to) in [
        (event.clone(), format!("/events/{event}")),
        (webhook.clone(), format!("/webhooks/{webhook}")),
        (delivery.to_string(), format!("/deliveries/{delivery}")),
        ("503".to_owned(), "/deliveries?code=503".to_owned()),
        ("webhook.disabled".to_owned(), "/events?type=webhook.disabled".to_owned()),
        (String::new(), "/events".to_owned()),
    ] {
        let reply = operator.get(&format!("{BASE}/search?q={text}")).await.expect_status(303);
        assert_eq!(reply.location(), format!("{BASE}{to}"));
    }
    let found = operator.get(&format!("{BASE}/search?q=needle")).await.expect_status(200);
    found.expect_text(&event).expect_text("Searched the newest 1 events").expect_text("That is all there is");
    let found = operator.get(&format!("{BASE}/search?q=%3Cscript%3Ealert(1)%3C/script%3E")).await;
    found.expect_status(200).expect_text("No payload holds").expect_no_text("<script>alert");
    let found = operator.get(&format!("{BASE}/search?q={}", "x".repeat(500))).await;
    assert_eq!(found.status / 100, 4);
}

#[tokio::test]
async fn events_are_listed_by_type_and_time() {
    let world = world().await;
    let operator = world.operator().await;
    operator.get(&format!("{BASE}/events")).await.expect_status(200).expect_text("No events yet");
    let paid = world.publish(TENANT, "order.paid", "{}").await;
    let lost = world.publish(TENANT, "order.lost", "{}").await;
    operator.get(&format!("{BASE}/events")).await.expect_text(&paid).expect_text(&lost);
    let page = operator.get(&format!("{BASE}/events?type=order.paid")).await;
    page.expect_text(&paid).expect_no_text(&lost);
    let page = operator.get(&format!("{BASE}/events?until=2001-01-01T00:00")).await;
    page.expect_text("No event matches").expect_no_text(&paid);
    operator.get(&format!("{BASE}/events/evt_nothing")).await.expect_status(404);
}

#[tokio::test]
async fn a_viewer_who_may_not_see_webhooks_gets_the_event_alone() {
    let world = World::start().await;
    world.tenant(TENANT, "runtight").await;
    world.webhook(TENANT, "http://127.0.0.1:49151/hidden", &["wo.*"]).await;
    let event = world.publish(TENANT, "wo.created", "{}").await;
    let viewer = world.member(TENANT, Role::Viewer).await;
    let page = viewer.get(&format!("/portal/events/{event}")).await.expect_status(200);
    page.expect_text("wo.created").expect_no_text("Who got it").expect_no_text("127.0.0.1");
    viewer.get("/portal/deliveries").await.expect_status(403);
}

#[tokio::test]
async fn a_payload_is_shown_and_never_runs() {
    let world = world().await;
    let event = world.publish(TENANT, "order.paid", r#"{"a":"</code><script>alert(1)</script>"}"#).await;
    let operator = world.operator().await;
    let page = operator.get(&format!("{BASE}/events/{event}")).await.expect_status(200);
    page.expect_text("&lt;script&gt;").expect_no_text("<script>alert");
}

#[tokio::test]
async fn a_dry_run_tells_who_would_get_which_bytes_and_keeps_nothing() {
    let world = world().await;
    world.webhook(TENANT, "http://127.0.0.1:49151/yes", &["order.*"]).await;
    world.webhook(TENANT, "http://127.0.0.1:49151/no", &["invoice.*"]).await;
    let operator = world.operator().await;
    operator.get(&format!("{BASE}/dry-run")).await.expect_status(200).expect_text("Nothing is sent");
    let fields = [("type", "order.paid"), ("data", r#"{"total": 7}"#)];
    let page = operator.post(&format!("{BASE}/dry-run"), &fields).await.expect_status(200);
    page.expect_text("Would get it (1)")
        .expect_text("Would not get it (1)")
        .expect_text("At once.")
        .expect_text("webhook-signature: v1,")
        .expect_text("&quot;total&quot;:7")
        .expect_text("None of the webhook's event patterns matches");
    operator.get(&format!("{BASE}/events")).await.expect_text("No events yet");
    let page = operator.post(&format!("{BASE}/dry-run"), &[("type", "order.paid"), ("data", "{no")]).await;
    assert_eq!(page.status / 100, 4);
    page.expect_text("{no</textarea>").expect_text("role=\"alert\"");
}
