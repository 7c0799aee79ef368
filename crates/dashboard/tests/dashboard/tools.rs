//! Tools of a tenant: the inbox, the signature helper, portal links, scans.

use std::collections::HashSet;

use postrider_engine::control::Role;

use crate::world::{PUBLIC_URL, Visitor, World};

/// Makes an inbox; where its page is, and what its URL is.
async fn inbox(admin: &Visitor<'_>) -> (String, String) {
    let made = admin.post("/portal/inbox/new", &[]).await.expect_status(303);
    let page = admin.get(made.location()).await.expect_status(200);
    let (_, rest) =
        page.text.split_once(&format!("<code>{PUBLIC_URL}/inbox/")).expect("the URL stands in a block");
    let slug = rest.split('<').next().expect("a slug ends");
    (made.location().to_owned(), format!("{PUBLIC_URL}/inbox/{slug}"))
}

#[tokio::test]
async fn what_a_webhook_sends_to_an_inbox_stands_there_verified() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let admin = world.member("acme", Role::Admin).await;
    let (page, url) = inbox(&admin).await;
    admin.get_part(&format!("{page}/requests?seen=")).await.expect_status(204);
    world.webhook("acme", &url, &["*"]).await;
    world.publish("acme", "order.created", r#"{"note":"<script>alert(1)</script>"}"#).await;
    world.settled().await;
    let came = admin.get_part(&format!("{page}/requests?seen=")).await.expect_status(200);
    let came = came.expect_text("Verified: the signature holds").expect_text("webhook-signature");
    came.expect_text("&lt;script&gt;alert(1)").expect_no_text("<script>");
    admin.get(&page).await.expect_status(200).expect_text("every 2s").expect_text("verified");
    admin.post(&format!("{page}/status"), &[("status", "500")]).await.expect_status(303);
    admin.get(&page).await.expect_text("500: it is broken");
    admin.post(&format!("{page}/status"), &[("status", "99")]).await.expect_status(422);
    let viewer = world.member("acme", Role::Viewer).await;
    viewer.get(&page).await.expect_status(200).expect_no_text("Delete inbox");
    viewer.post(&format!("{page}/delete"), &[]).await.expect_status(403);
    admin.post(&format!("{page}/delete"), &[]).await.expect_status(303);
    admin.get(&page).await.expect_status(404);
}

#[tokio::test]
async fn two_forms_that_are_sent_twice_make_two_inboxes() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let admin = world.member("acme", Role::Admin).await;
    for (id, path) in
        [("0123456789abcdef", "/portal/inbox/new"), ("fedcba9876543210", "/portal/inbox/new?for=webhook")]
    {
        let form = [("form", id)];
        let first = admin.post(path, &form).await.expect_status(303);
        let second = admin.post(path, &form).await.expect_status(303);
        assert_eq!(first.location(), second.location());
    }
    let page = admin.get("/portal/inbox").await.expect_status(200);
    let shown: HashSet<&str> =
        page.text.split(&format!("{PUBLIC_URL}/inbox/")).skip(1).map(|rest| &rest[..40]).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
}

#[tokio::test]
async fn an_inbox_is_its_tenants_own() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world.tenant("other", "standard").await;
    let admin = world.member("acme", Role::Admin).await;
    let (page, url) = inbox(&admin).await;
    let other = world.member("other", Role::Admin).await;
    other.get(&page).await.expect_status(404);
    other.get(&format!("{page}/requests")).await.expect_status(404);
    other.post(&format!("{page}/delete"), &[]).await.expect_status(404);
    other.get("/portal/inbox").await.expect_status(200).expect_no_text(&url);
    let made = admin.post("/portal/inbox/new?for=webhook", &[]).await.expect_status(303);
    assert!(
        made.location().starts_with("/portal/webhooks/new?url=http%3A%2F%2F127.0.0.1"),
        "{}",
        made.location()
    );
}

#[tokio::test]
async fn the_signature_helper_says_which_part_is_wrong_and_keeps_no_secret() {
    let world = World::start().await;
    world.tenant("acme", "smartmaintenance").await;
    let viewer = world.member("acme", Role::Viewer).await;
    viewer.get("/portal/signature").await.expect_status(200).expect_text("X-SMTM-Signature");
    // echo -n '{"a":1}' | openssl dgst -sha256 -hmac bbbbbbbb
    const SECRET: &str = "b";
    const SIGNATURE: &str =
        "X-SMTM-Signature: sha256=d54c5d8ab6f9c901219ecd3daefa3caef1db488be95b5404767c7070889bcf04";
    let check = async |request: &str, secret: &str| {
        viewer.post("/portal/signature", &[("request", request), ("secret", secret)]).await
    };
    check(&format!("{SIGNATURE}\r\n\r\n{{\"a\":1}}"), SECRET)
        .await
        .expect_status(200)
        .expect_text("The signature holds.");
    let spaced = check(&format!("{SIGNATURE}\r\n\r\n{{\"a\": 1}}"), SECRET).await.expect_status(200);
    spaced.expect_text("compact form of this body").expect_text("<mark>␠</mark>");
    let other = "another-secret-that-nobody-may-see";
    let wrong = check(&format!("{SIGNATURE}\r\n\r\n{{\"a\":1}}"), other).await.expect_status(200);
    wrong.expect_text("was not made with this secret").expect_no_text(other);
    let form = [("headers", "X-A: <img>"), ("body", "<script>"), ("secret", other)];
    let missing = viewer.post("/portal/signature", &form).await.expect_status(200);
    missing.expect_text("There is no header").expect_no_text("<script>").expect_no_text(other);
    check("X-A: 1", other).await.expect_status(422).expect_text("request-error").expect_no_text(other);
    check("", other).await.expect_status(422);
    viewer
        .post("/portal/signature", &[("request", "a: b\n\nc")])
        .await
        .expect_status(422)
        .expect_text("secret-error");
}

#[tokio::test]
async fn a_portal_link_opens_the_portal_of_its_tenant_until_it_is_revoked() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let admin = world.member("acme", Role::Admin).await;
    let fields = [
        ("role", "admin"),
        ("name", "Product <1>"),
        ("origins", "https://app.example.com"),
        ("expiresInSeconds", "3600"),
        ("form", "one"),
    ];
    let made = admin.post("/portal/portal-links", &fields).await.expect_status(200);
    let (_, rest) = made
        .text
        .split_once(&format!("<code>{PUBLIC_URL}/portal/open/"))
        .expect("the link stands in a block");
    let token = rest.split('<').next().expect("a token ends").to_owned();
    made.expect_text("&lt;iframe src=");
    admin.post("/portal/portal-links", &fields).await.expect_status(200).expect_no_text(&token);
    let opened = world.opened(&format!("/portal/open/{token}")).await;
    opened.get("/portal/settings").await.expect_status(200).expect_text("Product &lt;1&gt;");
    opened.get("/portal/portal-links").await.expect_status(200).expect_no_text("Make link");
    opened.post("/portal/portal-links", &fields).await.expect_status(403);
    let list = admin.get("/portal/portal-links").await.expect_status(200).expect_no_text(&token);
    let (_, rest) = list.text.split_once("/portal/portal-links/ses_").expect("the link can be revoked");
    let id = rest.split('/').next().expect("an id ends");
    admin.post(&format!("/portal/portal-links/ses_{id}/revoke"), &[]).await.expect_status(303);
    opened.get("/portal/settings").await.expect_status(401);
    let refused = admin.post("/portal/portal-links", &[("role", "viewer"), ("accent", "red")]).await;
    refused.expect_status(422).expect_text("accent-error").expect_text("value=\"red\"");
}

#[tokio::test]
async fn a_scan_is_run_by_an_operator_and_an_immediate_tenant_is_told_that_it_has_none() {
    let world = World::start().await;
    world.tenant("daily", "runtight").await;
    world.tenant("acme", "standard").await;
    let operator = world.operator().await;
    operator.get("/dashboard/t/acme/scans").await.expect_status(200).expect_text("go out at once");
    for tenant in ["daily", "acme"] {
        let run = operator.post(&format!("/dashboard/t/{tenant}/scans/run"), &[]).await.expect_status(303);
        operator.get(run.location()).await.expect_status(200).expect_text("The scan has run.");
    }
}
