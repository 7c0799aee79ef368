//! Webhooks: what the pages show, what they make, and what they refuse.

use std::time::Duration;

use postrider_engine::control::Role;
use postrider_testkit::receiver::{Answer, Receiver};

use crate::world::World;

const BASE: &str = "/dashboard/t/acme/webhooks";

async fn acme(profile: &str) -> World {
    let world = World::start().await;
    world.tenant("acme", profile).await;
    world
}

#[tokio::test]
async fn the_start_teaches_who_has_no_webhook() {
    let world = acme("smartmaintenance").await;
    let operator = world.operator().await;
    let page = operator.get("/dashboard/t/acme/").await.expect_status(200);
    page.expect_text("No webhook yet").expect_text("/webhooks/new").expect_text("Create a webhook");
}

#[tokio::test]
async fn a_form_makes_a_webhook_and_shows_its_secret_once() {
    let world = acme("smartmaintenance").await;
    let receiver = Receiver::start().await;
    let operator = world.operator().await;
    let page = operator.get(&format!("{BASE}/new")).await.expect_status(200);
    let form = page.expect_text("task.*").expect_text("task.completed").field("form");
    let url = receiver.url("/hook");
    let fields = [
        ("form", form.as_str()),
        ("url", url.as_str()),
        ("events", "task.*"),
        ("more_events", "user.created"),
        ("secret_choice", "generate"),
        ("header_name_0", "X-Key"),
        ("header_value_0", "hush-hush"),
        ("enabled", "on"),
    ];
    let made = operator.post(&format!("{BASE}/new"), &fields).await.expect_status(200);
    made.expect_text("It is shown this once").expect_text("Code to verify").expect_no_text("hush-hush");
    let tenant = world.tenant_now("acme");
    assert_eq!(tenant.webhooks[0].patterns.as_strings(), ["task.*", "user.created"]);
    // Sent twice, it makes one.
    let again = operator.post(&format!("{BASE}/new"), &fields).await.expect_status(303);
    assert_eq!(world.tenant_now("acme").webhooks.len(), 1);
    let page = operator.get(again.location()).await.expect_status(200).expect_text("X-Key: ********");
    page.expect_no_text("hush-hush");
    // Read, changed and saved as a whole, the header keeps its value.
    let edit = format!("{BASE}/{}/edit", tenant.webhooks[0].id);
    operator.get(&edit).await.expect_status(200).expect_no_text("hush-hush");
    let mask = "********";
    let fields =
        [("url", url.as_str()), ("events", "*"), ("header_name_0", "X-Key"), ("header_value_0", mask)];
    operator.post(&edit, &fields).await.expect_status(303);
    let saved = &world.tenant_now("acme").webhooks[0];
    assert_eq!(saved.headers, [("X-Key".to_owned(), "hush-hush".to_owned())]);
    assert!(!saved.enabled, "a box that is not ticked is off");
}

#[tokio::test]
async fn what_is_refused_is_said_before_and_after_saving() {
    let world = acme("smartmaintenance").await;
    let operator = world.operator().await;
    let (new, check) = (format!("{BASE}/new"), format!("{BASE}/check"));
    for (url, events, said) in [
        ("ftp://example.com/", "*", "http"),
        ("https://10.0.0.1/hook", "*", "not allowed"),
        ("https://127.0.0.1/hook", "nonsense.type", "No event type matches"),
    ] {
        let fields = [("url", url), ("events", events), ("enabled", "on")];
        let part =
            operator.post(&check, &fields).await.expect_status(200).expect_text("This would be refused");
        let page = operator.post(&new, &fields).await;
        assert!((400..500).contains(&page.status), "{}", page.status);
        page.expect_text(url);
        assert!(part.text.contains(said), "{said}: {}", part.text);
    }
    let plain = [("url", "http://127.0.0.1:8080/"), ("events", "*"), ("enabled", "on")];
    operator.post(&check, &plain).await.expect_text("not https");
    assert_eq!(world.tenant_now("acme").webhooks.len(), 0, "a check makes nothing");
    let matches = format!("{BASE}/matches?events=shutdown.*");
    operator.get_part(&matches).await.expect_status(200).expect_text("shutdown.").expect_no_text("<html");
}

#[tokio::test]
async fn foreign_text_is_text_and_a_foreign_webhook_is_not_there() {
    let world = acme("smartmaintenance").await;
    world.tenant("other", "smartmaintenance").await;
    let foreign = world.webhook("other", "https://127.0.0.1/x", &["*"]).await;
    let operator = world.operator().await;
    for path in ["", "/edit", "/delete", "/secret", "/test", "/verify"] {
        operator.get(&format!("{BASE}/{foreign}{path}")).await.expect_status(404);
    }
    operator.post(&format!("{BASE}/{foreign}/delete"), &[]).await.expect_status(404);
    operator.post(&format!("{BASE}/{foreign}/active"), &[("on", "0")]).await.expect_status(404);
    let script = "<script>alert(1)</script>";
    let fields =
        [("url", "https://127.0.0.1/<b>"), ("name", script), ("description", script), ("events", "*")];
    operator.post(&format!("{BASE}/new"), &fields).await.expect_status(200).expect_no_text(script);
    let id = world.tenant_now("acme").webhooks[0].id;
    for page in [
        BASE.to_owned(),
        format!("{BASE}/{id}"),
        format!("{BASE}/{id}/edit"),
        "/dashboard/t/acme/".to_owned(),
    ] {
        operator.get(&page).await.expect_status(200).expect_no_text(script);
    }
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let world = acme("standard").await;
    let id = world.webhook("acme", "https://127.0.0.1/x", &["*"]).await;
    let viewer = world.member("acme", Role::Viewer).await;
    let page = viewer.get(&format!("/portal/webhooks/{id}")).await.expect_status(200);
    page.expect_no_text("/delete").expect_no_text("Rotate secret").expect_text("/portal/webhooks");
    viewer.get("/portal/webhooks").await.expect_status(200).expect_no_text("role=\"switch\"");
    viewer.get(&format!("/portal/webhooks/{id}/edit")).await.expect_status(403);
    viewer.post(&format!("/portal/webhooks/{id}/active"), &[("on", "0")]).await.expect_status(403);
    assert!(world.tenant_now("acme").webhooks[0].enabled);
}

#[tokio::test]
async fn a_switch_works_with_and_without_script() {
    let world = acme("smartmaintenance").await;
    let id = world.webhook("acme", "https://127.0.0.1/x", &["*"]).await;
    let operator = world.operator().await;
    let active = format!("{BASE}/{id}/active");
    assert_eq!(operator.post(&active, &[("on", "0")]).await.expect_status(303).location(), BASE);
    operator.get(BASE).await.expect_text("aria-checked=\"false\"");
    operator.get("/dashboard/t/acme/").await.expect_text("Switched off by a person.");
    let row = operator.post_part(&active, &[("on", "1")]).await.expect_status(200);
    row.expect_text("aria-checked=\"true\"").expect_no_text("<html");
}

#[tokio::test]
async fn a_test_shows_the_request_and_the_answer_as_they_were() {
    let world = acme("smartmaintenance").await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(422).header("X-Why", "odd").body("<b>no</b>"));
    let id = world.webhook("acme", &receiver.url("/hook"), &["*"]).await;
    let operator = world.operator().await;
    let form = operator.get(&format!("{BASE}/{id}/test?type=task.completed")).await.expect_status(200);
    let form = form.field("form");
    let fields = [("form", form.as_str()), ("type", "task.completed"), ("data", "{\"task\": \"<i>7</i>\"}")];
    let sent = operator.post(&format!("{BASE}/{id}/test"), &fields).await.expect_status(303);
    world.settled().await;
    let page = operator.get_part(sent.location()).await.expect_status(200).expect_no_text("every 1s");
    let received = receiver.wait_for(1).await;
    let body = String::from_utf8(received[0].body.to_vec()).expect("a body is text");
    let shown = page.text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    assert!(shown.contains(&body), "{body}\n{shown}");
    assert!(shown.contains("<b>no</b>") && !page.text.contains("<b>no</b>"), "{shown}");
    page.expect_text("422").expect_text("Where the time went");
    let again = operator.post(&format!("{BASE}/{id}/test"), &fields).await.expect_status(303);
    assert_eq!(again.location(), sent.location(), "a double click sends one");
    let bad = operator.post(&format!("{BASE}/{id}/test"), &[("type", "task.completed"), ("data", "{")]).await;
    bad.expect_status(400).expect_text("This is not JSON");
}

#[tokio::test]
async fn failures_are_told_with_what_to_do_and_can_be_sent_again() {
    let world = acme("org-jobs").await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(404));
    let id = world.webhook("acme", &receiver.url("/hook"), &["*"]).await;
    let operator = world.operator().await;
    let page = format!("{BASE}/{id}");
    operator.get(&page).await.expect_status(200).expect_text("No event has been published");
    world.publish("acme", "job.created", r#"{"job": {"id": "7"}}"#).await;
    world.settled().await;
    let failed = operator.get(&page).await.expect_status(200).expect_text("404").expect_text(">failing<");
    let failed = failed.expect_text("Check the path of the URL").expect_text("Newest failed deliveries");
    let (_, retry) =
        failed.text.split_once(&format!("{page}/retry/")).expect("a failed delivery can be retried");
    let retry = format!("{page}/retry/{}", retry.split('"').next().expect("an address ends"));
    operator.get("/dashboard/t/acme/").await.expect_text(">failing<").expect_text("0 %");
    operator.post(&retry, &[]).await.expect_status(303);
    receiver.wait_for(2).await;
    world.settled().await;
    for range in ["1h", "24h", "7d", "30d", "nonsense"] {
        let page = operator.get(&format!("{page}?range={range}")).await.expect_status(200);
        page.expect_text("The numbers as a table");
    }
    // The range of a recovery ends before now.
    world.clock.advance(Duration::from_secs(1));
    let far = [("from", "2999-01-01T00:00")];
    operator
        .post(&format!("{page}/recover"), &far)
        .await
        .expect_status(422)
        .expect_text("a time that is past");
    let since = [("from", "2026-01-01T00:00")];
    let done = operator.post(&format!("{page}/recover"), &since).await.expect_status(303);
    operator.get(done.location()).await.expect_text("is being sent again");
    receiver.wait_for(3).await;
}

#[tokio::test]
async fn secrets_rotate_as_the_profile_does() {
    let world = acme("smartmaintenance").await;
    world.tenant("lists", "standard").await;
    let operator = world.operator().await;
    let one = world.webhook("acme", "https://127.0.0.1/x", &["*"]).await;
    let page = format!("{BASE}/{one}/secret");
    operator.post(&page, &[("do", "begin")]).await.expect_status(200).expect_text("shown this once");
    operator.post(&page, &[("do", "begin")]).await.expect_status(200).expect_text("Come back and confirm it");
    operator.get(&page).await.expect_text("A new secret waits.").expect_no_text("shown this once");
    operator.post(&page, &[("do", "confirm")]).await.expect_status(303);
    operator.get(&page).await.expect_no_text("A new secret waits.");
    let listed = world.webhook("lists", "https://127.0.0.1/x", &["*"]).await;
    let page = format!("/dashboard/t/lists/webhooks/{listed}/secret");
    operator.get(&page).await.expect_text("name=\"overlap\"");
    operator
        .post(&page, &[("do", "begin"), ("overlap", "3600")])
        .await
        .expect_status(200)
        .expect_text("whsec_");
}

#[tokio::test]
async fn the_code_to_verify_is_that_of_the_profile() {
    let world = acme("smartmaintenance").await;
    let id = world.webhook("acme", "https://127.0.0.1/x", &["*"]).await;
    let operator = world.operator().await;
    let page = operator.get(&format!("{BASE}/{id}/verify")).await.expect_status(200);
    page.expect_text("X-SMTM-Signature").expect_text("sha256=").expect_text("Sign the raw body");
}

#[tokio::test]
async fn the_code_to_verify_is_that_of_the_keys_that_sign() {
    let world = acme("standard").await;
    let operator = world.operator().await;
    // RFC 8032, section 7.1, tests 1 and 2.
    let first = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let second = "whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=";
    let halves = [
        "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
    ];
    let url = ("url", "https://127.0.0.1/x");
    let fields = [url, ("events", "*"), ("secret_choice", "own"), ("secret", first), ("enabled", "on")];
    operator.post(&format!("{BASE}/new"), &fields).await.expect_status(200);
    let id = world.tenant_now("acme").webhooks[0].id;
    let verify = format!("{BASE}/{id}/verify");
    let page = operator.get(&verify).await.expect_status(200).expect_text(halves[0]).expect_text("v1a,");
    page.expect_text("Ed25519PublicKey").expect_no_text("createHmac").expect_no_text(first);

    // In an overlap both are told, with the time of the one that retires; then the new one alone.
    let rotate = async |secret: &str| {
        let fields = [("do", "begin"), ("secret", secret), ("overlap", "3600")];
        operator.post(&format!("{BASE}/{id}/secret"), &fields).await.expect_status(200);
    };
    rotate(second).await;
    let page = operator.get(&verify).await.expect_text(halves[0]).expect_text(halves[1]);
    assert_eq!(page.text.matches("signs until").count(), 1, "{}", page.text);
    world.clock.advance(Duration::from_secs(3600));
    operator
        .get(&verify)
        .await
        .expect_no_text(halves[0])
        .expect_text(halves[1])
        .expect_no_text("signs until");

    // Two kinds at once have code each, the newer first.
    rotate("").await;
    let page = operator.get(&verify).await.expect_text(halves[1]).expect_text("\"Node, Ed25519\"");
    let [shared, public] = ["HMAC-SHA256</h2>", "Ed25519</h2>"].map(|end| page.text.find(end));
    assert!(shared.is_some() && shared < public, "{}", page.text);
    world.clock.advance(Duration::from_secs(3600));
    operator.get(&verify).await.expect_text("createHmac").expect_no_text("Ed25519");
}

#[tokio::test]
async fn a_deletion_asks_on_a_page_of_its_own() {
    let world = acme("smartmaintenance").await;
    let id = world.webhook("acme", "https://127.0.0.1/x", &["*"]).await;
    let operator = world.operator().await;
    let page = format!("{BASE}/{id}/delete");
    operator.get(&page).await.expect_status(200).expect_text("This cannot be undone.");
    assert_eq!(world.tenant_now("acme").webhooks.len(), 1);
    let done = operator.post(&page, &[]).await.expect_status(303);
    operator.get(done.location()).await.expect_status(200).expect_text("The webhook was deleted.");
    assert_eq!(world.tenant_now("acme").webhooks.len(), 0);
}

#[tokio::test]
async fn a_profile_with_one_webhook_leads_to_the_settings() {
    let world = acme("org-jobs").await;
    let operator = world.operator().await;
    operator.get(BASE).await.expect_status(200).expect_text("lives in the settings");
    operator.get(&format!("{BASE}/new")).await.expect_status(303);
}
