//! The list of deliveries, what follows it live, and sending again.

use http_body_util::BodyExt;
use postrider_domain::delivery::{DeliveryKind, DeliveryState};
use postrider_engine::control::Role;
use postrider_testkit::receiver::{Answer, Receiver};

use crate::world::World;

const TENANT: &str = "acme";
const BASE: &str = "/dashboard/t/acme";

async fn failing() -> (World, Receiver) {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    world.webhook(TENANT, &receiver.url("/"), &["*"]).await;
    (world, receiver)
}

#[tokio::test]
async fn deliveries_are_found_by_state_type_code_and_webhook() {
    let (world, _receiver) = failing().await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let delivery = world.ended(TENANT, &event).await;
    let operator = world.operator().await;
    let id = format!("id=\"{}\"", delivery.id);
    for query in ["", "?state=failed", "?type=order.paid", "?code=500", "?code=500&state=failed"] {
        operator.get(&format!("{BASE}/deliveries{query}")).await.expect_status(200).expect_text(&id);
    }
    operator.get(&format!("{BASE}/deliveries?webhook={}", delivery.webhook)).await.expect_text(&id);
    for query in
        ["?state=delivered", "?type=order.lost", "?code=404", "?code=timeout", "?until=2001-01-01T00:00"]
    {
        let page = operator.get(&format!("{BASE}/deliveries{query}")).await.expect_status(200);
        page.expect_no_text(&id).expect_text("No delivery matches");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_meant_is_told_at_its_field() {
    let world = World::start().await;
    world.tenant(TENANT, "standard").await;
    let operator = world.operator().await;
    for (query, field) in
        [("code=9999", "code-error"), ("from=yesterday", "from-error"), ("webhook=nobody", "webhook-error")]
    {
        let page = operator.get(&format!("{BASE}/deliveries?{query}")).await;
        assert!((400..500).contains(&page.status), "{}", page.status);
        // A menu has no place for an error of its own; the refusal above it does.
        assert!(page.text.contains(field) || page.text.contains("role=\"alert\""), "{query}: {}", page.text);
    }
    operator.get(&format!("{BASE}/deliveries")).await.expect_text("No deliveries yet");
}

#[tokio::test]
async fn all_that_failed_is_counted_first_and_then_sent_again_once() {
    let (world, receiver) = failing().await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(world.publish(TENANT, "order.paid", "{}").await);
    }
    for event in &events {
        world.ended(TENANT, event).await;
    }
    receiver.answer(Answer::ok());
    let operator = world.operator().await;
    let preview =
        operator.post(&format!("{BASE}/deliveries/retry/preview"), &[("what", "all"), ("code", "500")]).await;
    let preview = preview.expect_status(200).expect_text("<strong>3</strong>");
    let (form, counted) = (preview.field("form"), preview.field("counted"));
    let fields = [("what", "all"), ("code", "500"), ("form", form.as_str()), ("counted", counted.as_str())];
    let started = operator.post(&format!("{BASE}/deliveries/retry"), &fields).await.expect_status(303);
    let again = operator.post(&format!("{BASE}/deliveries/retry"), &fields).await.expect_status(303);
    assert_eq!(started.location(), again.location());
    let job = started.location().to_owned();
    loop {
        let page = operator.get_part(&job).await.expect_status(200);
        if !page.text.contains("every 1s") {
            page.expect_text("Done: 3").expect_text("See the deliveries made").expect_no_text("<html");
            break;
        }
        postrider_testkit::clock::turn().await;
    }
    for event in &events {
        world
            .delivery(TENANT, event, |made| {
                made.kind == DeliveryKind::Replay && made.state == DeliveryState::Delivered
            })
            .await;
    }
    // Nothing is left, and an empty selection is refused.
    let preview = operator.post(&format!("{BASE}/deliveries/retry/preview"), &[("what", "all")]).await;
    preview.expect_status(200).expect_text("There is nothing to send again.");
    let nothing = operator.post(&format!("{BASE}/deliveries/retry/preview"), &[("what", "selected")]).await;
    assert!((400..500).contains(&nothing.status));
    nothing.expect_text("Nothing is selected");
}

#[tokio::test]
async fn one_delivery_is_sent_again_by_its_button_and_a_double_click_makes_one() {
    let (world, receiver) = failing().await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let failed = world.ended(TENANT, &event).await;
    receiver.answer(Answer::ok());
    let operator = world.operator().await;
    let page = operator.get(&format!("{BASE}/deliveries/{}", failed.id)).await;
    let form = page.field("form");
    let to = format!("{BASE}/deliveries/{}/retry", failed.id);
    let first = operator.post(&to, &[("form", &form)]).await.expect_status(303);
    let second = operator.post(&to, &[("form", &form)]).await.expect_status(303);
    assert_eq!(first.location(), second.location());
    assert_ne!(first.location(), format!("{BASE}/deliveries/{}?done=retried", failed.id));
    operator.get(first.location()).await.expect_status(200).expect_text("sent again");
}

#[tokio::test]
async fn a_viewer_sees_no_way_to_send_again_and_is_refused() {
    let (world, _receiver) = failing().await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let failed = world.ended(TENANT, &event).await;
    let viewer = world.member(TENANT, Role::Viewer).await;
    viewer
        .get("/portal/deliveries")
        .await
        .expect_status(200)
        .expect_no_text("Retry selected")
        .expect_no_text("name=\"id\"");
    let page = viewer.get(&format!("/portal/deliveries/{}", failed.id)).await.expect_status(200);
    page.expect_no_text(">Retry</button>");
    viewer
        .get(&format!("/portal/events/{event}"))
        .await
        .expect_status(200)
        .expect_no_text("Send again to all");
    for path in [
        format!("/portal/deliveries/{}/retry", failed.id),
        format!("/portal/deliveries/{}/curl", failed.id),
        "/portal/deliveries/retry".to_owned(),
        "/portal/deliveries/retry/preview".to_owned(),
        "/portal/dry-run".to_owned(),
    ] {
        viewer.post(&path, &[("what", "all")]).await.expect_status(403);
    }
}

#[tokio::test]
async fn a_foreign_tenants_deliveries_events_and_jobs_do_not_exist() {
    let (world, _receiver) = failing().await;
    world.tenant("other", "standard").await;
    let event = world.publish(TENANT, "order.paid", r#"{"secret":"needle"}"#).await;
    let failed = world.ended(TENANT, &event).await;
    let operator = world.operator().await;
    let started =
        operator.post(&format!("{BASE}/deliveries/retry"), &[("what", "all")]).await.expect_status(303);
    let job = started.location().rsplit('/').next().expect("an id").to_owned();
    let stranger = world.member("other", Role::Admin).await;
    for path in [
        format!("/portal/deliveries/{}", failed.id),
        format!("/portal/deliveries/{}/curl", failed.id),
        format!("/portal/events/{event}"),
        format!("/portal/jobs/{job}"),
        format!("{BASE}/deliveries"),
    ] {
        let reply = stranger.get(&path).await;
        assert!(matches!(reply.status, 404 | 303), "{path}: {}", reply.status);
    }
    let selected = [("what", "selected"), ("id", &*failed.id.to_string())];
    stranger.post("/portal/deliveries/retry/preview", &selected).await.expect_status(404);
    stranger.get("/portal/search?q=needle").await.expect_status(200).expect_text("No payload holds");
    let page = stranger.get(&format!("/portal/search?q={}", failed.id)).await.expect_status(200);
    page.expect_text("No payload holds");
}

#[tokio::test]
async fn a_request_is_copied_as_curl_with_hidden_headers_until_an_admin_asks() {
    let (world, _receiver) = failing().await;
    let event = world.publish(TENANT, "order.paid", r#"{"it's":"fine"}"#).await;
    let failed = world.ended(TENANT, &event).await;
    let operator = world.operator().await;
    let page = operator.get(&format!("{BASE}/deliveries/{}/curl", failed.id)).await.expect_status(200);
    page.expect_text("curl --globoff -X").expect_text("webhook-signature").expect_text(&event);
}

#[tokio::test]
async fn who_follows_the_list_is_told_of_new_and_changed_rows() {
    let (world, receiver) = failing().await;
    receiver.answer(Answer::ok());
    let operator = world.operator().await;
    let mut stream = operator.stream(&format!("{BASE}/deliveries/live")).await;
    let event = world.publish(TENANT, "order.paid", "{}").await;
    let delivery =
        world.delivery(TENANT, &event, |delivery| delivery.state == DeliveryState::Delivered).await;
    let mut told = String::new();
    while !told.contains("delivered") {
        tokio::select! {
            biased;
            frame = stream.frame() => {
                let frame = frame.expect("it goes on").expect("it is whole");
                told.push_str(&String::from_utf8_lossy(frame.data_ref().expect("text")));
            }
            // It waits between looks, by the world's clock.
            () = postrider_testkit::clock::turn() => world.clock.advance(std::time::Duration::from_millis(100)),
        }
    }
    assert!(told.contains("event: rows"), "{told}");
    assert!(told.contains(&format!("id=\"{}\"", delivery.id)), "{told}");
    // In the end the session is looked at, and after half an hour it is over.
    world.clock.advance(std::time::Duration::from_secs(31 * 60));
    while !told.contains("event: end") {
        tokio::select! {
            biased;
            frame = stream.frame() => match frame {
                Some(frame) => told.push_str(&String::from_utf8_lossy(frame.expect("whole").data_ref().expect("text"))),
                None => break,
            },
            () = postrider_testkit::clock::turn() => world.clock.advance(std::time::Duration::from_millis(100)),
        }
    }
    assert!(told.contains("event: end"), "{told}");
}
