//! The way in, and what keeps strangers out.

use crate::world::World;

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
