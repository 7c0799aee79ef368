//! The operators' pages: tenants, keys, profiles, settings, the audit log.

use postrider_engine::control::Role;

use crate::world::World;

#[tokio::test]
async fn tenants_are_made_found_and_shown_as_text() {
    let world = World::start().await;
    let operator = world.operator().await;
    let fields = [("id", "acme"), ("name", "<b>Acme</b>"), ("profile", "standard"), ("form", "one")];
    let made = operator.post("/dashboard/tenants/new", &fields).await.expect_status(303);
    assert_eq!(made.location(), "/dashboard/t/acme/settings?done=created");
    let again = operator.post("/dashboard/tenants/new", &fields).await.expect_status(303);
    assert_eq!(again.location(), made.location(), "the same form makes one tenant");
    operator.get(made.location()).await.expect_status(200).expect_text("The tenant is there.");
    let page = operator.get("/dashboard/").await.expect_status(200);
    page.expect_text("&lt;b&gt;Acme&lt;/b&gt;").expect_no_text("<b>Acme");
    operator.get("/dashboard/?q=ACM").await.expect_text("/dashboard/t/acme/");
    operator.get("/dashboard/?q=other").await.expect_no_text("/dashboard/t/acme/");
    let refused = operator.post("/dashboard/tenants/new", &[("id", "acme"), ("profile", "standard")]).await;
    refused.expect_status(409).expect_text("id=\"id-error\"").expect_text("value=\"acme\"");
    let refused =
        operator.post("/dashboard/tenants/new", &[("profile", "standard"), ("attributes", "[1]")]).await;
    refused.expect_status(422).expect_text("id=\"attributes-error\"");
    operator.get_part("/dashboard/ledger").await.expect_status(200).expect_text("balanced");
    operator.get("/dashboard/ledger").await.expect_status(200).expect_text("<h1>");
}

#[tokio::test]
async fn a_tenant_is_deleted_only_by_who_types_its_id() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let operator = world.operator().await;
    operator.get("/dashboard/t/acme/settings/delete").await.expect_status(200);
    operator.post("/dashboard/t/acme/settings/delete", &[("id", "Acme")]).await.expect_status(422);
    operator.get("/dashboard/t/acme/settings").await.expect_status(200);
    let admin = world.member("acme", Role::Admin).await;
    admin.post("/portal/settings/delete", &[("id", "acme")]).await.expect_status(403);
    let deleted =
        operator.post("/dashboard/t/acme/settings/delete", &[("id", "acme")]).await.expect_status(303);
    operator.get(deleted.location()).await.expect_status(200).expect_text("Rows removed");
    operator.get("/dashboard/t/acme/settings").await.expect_status(404);
    operator.get("/dashboard/jobs/job_nothing").await.expect_status(404);
}

#[tokio::test]
async fn a_key_is_shown_once_signs_in_and_ends() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world.tenant("other", "standard").await;
    let operator = world.operator().await;
    let fields = [("role", "viewer"), ("tenant", "acme"), ("name", "<i>"), ("form", "one")];
    let made = operator.post("/dashboard/keys", &fields).await.expect_status(200);
    let (_, rest) = made.text.split_once("<code>").expect("the key stands in a block");
    let key = rest.split('<').next().expect("a key ends").to_owned();
    operator.post("/dashboard/keys", &fields).await.expect_status(200).expect_no_text(&key);
    let list = operator.get("/dashboard/keys").await.expect_status(200).expect_no_text(&key);
    let list = list.expect_text("&lt;i&gt;").expect_no_text("<i>");
    let viewer = world.signed_in(&key, "/portal/").await;
    let (_, rest) = list.text.split_once("/dashboard/keys/key_").expect("the newest key can be revoked");
    let id = format!("key_{}", rest.split('/').next().expect("an id ends"));
    operator.post(&format!("/dashboard/t/other/keys/{id}/revoke"), &[]).await.expect_status(404);
    viewer.get("/portal/").await.expect_status(200);
    operator.post(&format!("/dashboard/t/acme/keys/{id}/revoke"), &[]).await.expect_status(303);
    viewer.get("/portal/").await.expect_status(401);
    operator.post("/dashboard/keys", &[("role", "admin")]).await.expect_text("id=\"tenant-error\"");
    operator.post("/dashboard/keys", &[("role", "king")]).await.expect_status(422);
    operator.get("/dashboard/t/acme/keys").await.expect_status(200).expect_text("revoked");
}

#[tokio::test]
async fn pages_of_the_installation_are_for_operators() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let admin = world.member("acme", Role::Admin).await;
    for path in ["/portal/keys", "/portal/settings/delete"] {
        admin.get(path).await.expect_status(403);
    }
    // Another face, another cookie: whoever came by the portal is nobody here.
    for path in [
        "/dashboard/",
        "/dashboard/keys",
        "/dashboard/profiles",
        "/dashboard/audit",
        "/dashboard/tenants/new",
    ] {
        admin.get(path).await.expect_status(303);
    }
    let viewer = world.member("acme", Role::Viewer).await;
    for path in ["/portal/audit", "/portal/portal-links"] {
        viewer.get(path).await.expect_status(403);
        admin.get(path).await.expect_status(200);
    }
    viewer.get("/portal/scans").await.expect_status(200).expect_no_text("Run the scan now");
    viewer.post("/portal/scans/run", &[]).await.expect_status(403);
}

#[tokio::test]
async fn settings_are_changed_by_operators_and_read_by_the_rest() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let operator = world.operator().await;
    let unchanged = |days: &'static str| {
        [
            ("name", "acme"),
            ("profile", "standard"),
            ("plan", "pro"),
            ("timezone", "UTC"),
            ("settings.delivery", ""),
            ("settings.retentionDays", days),
        ]
    };
    let path = "/dashboard/t/acme/settings";
    operator.post(path, &unchanged("7")).await.expect_status(303);
    let tenant = world.tenant_now("acme");
    assert_eq!(tenant.settings.retention_days, Some(7));
    assert_eq!(tenant.plan.as_deref(), Some("pro"));
    assert!(tenant.pinned_since < tenant.version, "what bodies carry has not changed");
    let refused = operator.post(path, &unchanged("many")).await.expect_status(422);
    refused.expect_text("id=\"settings.retentionDays-error\"").expect_text("value=\"many\"");
    operator.post(path, &unchanged("0")).await.expect_status(422).expect_text("1 to 3650");
    let admin = world.member("acme", Role::Admin).await;
    let page = admin.get("/portal/settings").await.expect_status(200);
    page.expect_text("7 days").expect_no_text("settings.retentionDays");
    admin.post("/portal/settings", &unchanged("9")).await.expect_status(403);
    operator.get("/dashboard/t/acme/audit").await.expect_text("tenant.updated");
}

#[tokio::test]
async fn the_one_webhook_of_a_tenant_is_set_in_its_settings() {
    let world = World::start().await;
    world.tenant("acme", "smartmaintenance").await;
    let admin = world.member("acme", Role::Admin).await;
    admin.get("/portal/settings").await.expect_text("name=\"settings.webhook.url\"");
    let fields =
        [("settings.webhook.url", "http://127.0.0.1:9/in"), ("enabled", "on"), ("secret-change", "generate")];
    let saved = admin.post("/portal/settings/webhook", &fields).await.expect_status(200);
    saved.expect_text("It is shown once");
    let fields = [("settings.webhook.url", "ftp://127.0.0.1"), ("enabled", "on")];
    let refused = admin.post("/portal/settings/webhook", &fields).await;
    assert!((400..500).contains(&refused.status), "{}", refused.status);
    refused.expect_text("value=\"ftp://127.0.0.1\"");
    let viewer = world.member("acme", Role::Viewer).await;
    viewer.post("/portal/settings/webhook/delete", &[]).await.expect_status(403);
    admin.post("/portal/settings/webhook/delete", &[]).await.expect_status(303);
    assert!(world.tenant_now("acme").webhooks.is_empty());
}

#[tokio::test]
async fn a_profile_with_errors_is_told_by_line_and_every_built_in_one_has_its_page() {
    let world = World::start().await;
    let operator = world.operator().await;
    let list = operator.get("/dashboard/profiles").await.expect_status(200);
    list.expect_text("rcmanager");
    for (name, source) in postrider_domain::profile::builtin() {
        operator
            .get(&format!("/dashboard/profiles/{name}"))
            .await
            .expect_status(200)
            .expect_text("What a request looks like");
        let refused = operator.post("/dashboard/profiles/new", &[("source", source)]).await;
        refused.expect_status(409).expect_text("built-in");
    }
    let refused = operator
        .post("/dashboard/profiles/new", &[("source", "name = \"mine\"\r\nnonsense = 1\r\n<script>")])
        .await;
    refused.expect_text("<li>line ").expect_no_text("<script>");
    let (_, source) = postrider_domain::profile::builtin()[0];
    let source = source.replace("name = \"standard\"", "name = \"mine\"");
    let stored = operator.post("/dashboard/profiles/new", &[("source", &source)]).await.expect_status(303);
    operator.get(stored.location()).await.expect_status(200).expect_text("The profile is stored.");
    let other = [("source", source.as_str()), ("profile", "yours")];
    operator
        .post("/dashboard/profiles/new", &other)
        .await
        .expect_status(422)
        .expect_text("you are replacing");
}
