//! The way in, and what keeps strangers out.

use postrider_engine::control::{Actor, Created, Look, NewPortalSession, Role};
use secrecy::ExposeSecret as _;

use crate::world::{OPERATOR, Reply, World};

#[tokio::test]
async fn a_page_of_a_tenant_is_for_those_who_are_signed_in() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let stranger = world.stranger();
    let reply = stranger.get("/dashboard/t/acme/").await.expect_status(303);
    assert!(reply.location().starts_with("/dashboard/login"), "{}", reply.location());
    stranger.get("/portal/").await.expect_status(401);
    let operator = world.operator().await;
    operator.get("/dashboard/t/acme/").await.expect_status(200);
    operator.get("/dashboard/t/nobody/").await.expect_status(404);
}

#[tokio::test]
async fn a_form_without_its_sessions_token_does_nothing() {
    let world = World::start().await;
    let operator = world.operator().await;
    operator.post_without_token("/dashboard/sign-out", &[]).await.expect_status(403);
    operator.get("/dashboard/").await.expect_status(200);
}

#[tokio::test]
async fn who_is_signed_in_can_sign_in_anew_with_the_form_as_it_is() {
    let world = World::start().await;
    let operator = world.operator().await;
    let form = operator.get("/dashboard/login").await.expect_status(200);
    let fields = [("csrf", form.csrf()), ("key", OPERATOR.to_owned())];
    let fields = fields.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
    let reply = operator.post_without_token("/dashboard/login", &fields).await.expect_status(303);
    assert_eq!(reply.location(), "/dashboard/");
    // The link that `serve` prints, too.
    let link = world.engine.control().operator_link().await.expect("a link can be made");
    let at = format!("/dashboard/link/{}", link.expose_secret());
    let form = operator.get(&at).await.expect_status(200);
    operator.post_without_token(&at, &[("csrf", form.csrf().as_str())]).await.expect_status(303);
    operator.post_without_token(&at, &[("csrf", form.csrf().as_str())]).await.expect_status(403);
}

#[tokio::test]
async fn a_link_into_another_portal_asks_first() {
    let world = World::start().await;
    let (acme, other) = (world.tenant("acme", "standard").await, world.tenant("other", "standard").await);
    let open = async |tenant| {
        let new = NewPortalSession { role: Role::Admin, look: Look::default(), lifetime: None };
        let made = world.engine.control().portal_session_create(&Actor::postrider(), tenant, new, None).await;
        let Ok(Created::Fresh(made)) = made else { panic!("a session can be made") };
        format!("/portal/open/{}", made.token.expose_secret())
    };
    let (own, foreign) = (open(&acme).await, open(&other).await);
    let member = world.member("acme", Role::Admin).await;
    // Another link of the same tenant is no surprise.
    member.get(&own).await.expect_status(303);
    let asked = member.get(&foreign).await.expect_status(200);
    assert!(!asked.headers.contains_key("set-cookie"), "nothing is changed by looking");
    asked.expect_text("Another portal");
    let gone = member.post(&foreign, &[]).await.expect_status(303);
    let cookie = gone.headers["set-cookie"].to_str().expect("a cookie is ASCII").to_owned();
    assert!(cookie.starts_with("postrider-portal=prs_") && cookie.contains("HttpOnly"), "{cookie}");
    // What signs in with a key is no link.
    world.stranger().get("/portal/open/prs_unknown").await.expect_status(403);
}

#[tokio::test]
async fn a_portal_that_is_over_says_so_in_its_frame_and_its_language() {
    let world = World::start().await;
    let tenant = world.tenant("acme", "standard").await;
    let origins = vec!["https://app.example.com".to_owned()];
    let look = Look { origins, language: Some("de".to_owned()), ..Look::default() };
    let new = NewPortalSession { role: Role::Admin, look, lifetime: None };
    let control = world.engine.control();
    let made = control.portal_session_create(&Actor::postrider(), &tenant, new, None).await;
    let Ok(Created::Fresh(made)) = made else { panic!("a session can be made") };
    let link = format!("/portal/open/{}", made.token.expose_secret());
    let member = world.opened(&link).await;
    let frame = |reply: &Reply| reply.headers["content-security-policy"].to_str().unwrap().to_owned();
    // A page that is not there has the menu of those that are.
    let missing = member.get("/portal/deliveries/dlv_unknown").await.expect_status(404);
    assert!(frame(&missing).contains("frame-ancestors https://app.example.com"), "{}", frame(&missing));
    missing.expect_text("href=\"/portal/webhooks\"").expect_text("Zustellungen");
    member.post("/portal/sign-out", &[]).await.expect_status(303);
    for path in ["/portal/", "/portal/webhooks", &link] {
        let over = member.get(path).await;
        let status = over.status;
        assert!(frame(&over).contains("frame-ancestors https://app.example.com"), "{path}: {status}");
        over.expect_no_text("href=\"/portal/webhooks\"");
    }
    member.get("/portal/").await.expect_status(401).expect_text("Diese Sitzung ist beendet.");
    member
        .get(&link)
        .await
        .expect_status(403)
        .expect_text("Dieser Link ist abgelaufen oder wurde widerrufen.");
    let stranger = world.stranger().get("/portal/").await.expect_status(401);
    assert!(frame(&stranger).contains("frame-ancestors 'none'"), "{}", frame(&stranger));
}

#[tokio::test]
async fn a_session_that_is_over_does_not_hide_one_that_holds() {
    let world = World::start().await;
    let tenant = world.tenant("acme", "standard").await;
    let open = async |origins: &[&str]| {
        let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        let new =
            NewPortalSession { role: Role::Admin, look: Look { origins, ..Look::default() }, lifetime: None };
        let made =
            world.engine.control().portal_session_create(&Actor::postrider(), &tenant, new, None).await;
        let Ok(Created::Fresh(made)) = made else { panic!("a session can be made") };
        world.opened(&format!("/portal/open/{}", made.token.expose_secret())).await
    };
    let (over, mut holds) = (open(&["https://app.example.com"]).await, open(&[]).await);
    let left = over.post("/portal/sign-out", &[]).await.expect_status(303);
    assert!(!left.headers.contains_key("set-cookie"), "its frame goes on to say that it is over");
    // A browser may send both: one is of a frame, one of a page by itself.
    let own = holds.cookie.clone();
    holds.cookie = format!("{}; {own}", over.cookie);
    holds.get("/portal/").await.expect_status(200);
    let left = holds.post("/portal/sign-out", &[]).await.expect_status(303);
    assert!(left.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    holds.get("/portal/").await.expect_status(401);
}
