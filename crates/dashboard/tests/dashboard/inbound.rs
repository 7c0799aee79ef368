//! Pages of what comes in: workflows, triggers, requests, runs, secrets and connections.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::HeaderMap;
use postrider_domain::id::{RunId, TriggerId};
use postrider_engine::control::Role;
use postrider_engine::inbound::receive::Came;

use crate::world::{Visitor, World};

/// What must stay text wherever somebody puts it.
pub(crate) const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";

const EMIT: &str = "\
steps:
  - id: tell
    type: transform
    output: { said: \"{{ input.said }}\" }
";

/// A tenant with a workflow `leads`, by its admin.
async fn leads<'w>(world: &'w World, tenant: &str) -> Visitor<'w> {
    world.tenant(tenant, "standard").await;
    let admin = world.member(tenant, Role::Admin).await;
    let definition = format!("description: '{}'\n{EMIT}", HOSTILE.replace('\'', "''"));
    let fields = [("name", "leads"), ("definition", definition.as_str())];
    let made = admin.post("/portal/workflows/new", &fields).await.expect_status(303);
    assert_eq!(made.location(), "/portal/workflows/leads?done=saved");
    admin
}

/// A webhook trigger of it, with a secret that was made; its id.
async fn hook(world: &World, admin: &Visitor<'_>, tenant: &str) -> TriggerId {
    let fields =
        [("type", "webhook"), ("name", HOSTILE), ("preset", "header-secret"), ("generateSecret", "on")];
    let made = admin.post("/portal/workflows/leads/triggers/new", &fields).await.expect_status(200);
    made.expect_text("it is not shown again")
        .expect_text("X-Webhook-Secret: YOUR_SECRET")
        .expect_no_text("<script>");
    world.tenant_now(tenant).inbound.triggers[0].id
}

/// Starts a run by hand, and waits for its end.
async fn ran(world: &World, admin: &Visitor<'_>, tenant: &str) -> RunId {
    let input = serde_json::json!({ "said": HOSTILE }).to_string();
    let begun = admin.post("/portal/workflows/leads/start", &[("input", &input)]).await.expect_status(303);
    let run = begun.location().strip_prefix("/portal/runs/").expect("the way leads to the run").to_owned();
    let run = RunId::parse(&run).expect("a run has an id of ours");
    let tenant = world.tenant_now(tenant).id;
    loop {
        let row = world.engine.store().run_get(tenant, run).await.expect("the store reads");
        if row.expect("the run is there").state.is_final() {
            return run;
        }
        postrider_testkit::clock::turn().await;
    }
}

/// A request that is refused, since its secret is none.
async fn refused(world: &World, tenant: &str) -> String {
    let tenant = world.tenant_now(tenant);
    let slug = tenant.inbound.triggers[0].slug.clone().expect("a webhook trigger has a URL");
    let mut headers = HeaderMap::new();
    headers.insert("x-odd", "<script>alert(1)</script>".parse().expect("a header may say this"));
    headers.insert("content-type", "application/json".parse().expect("a header may say this"));
    let came = Came {
        method: "POST".to_owned(),
        url: String::new(),
        query: "q=<script>alert(1)</script>".to_owned(),
        headers,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let inbound = world.engine.inbound();
    let admitted = inbound.admit(&slug, &came).await.expect("the store writes").expect("it is let in");
    let body = Bytes::from(serde_json::json!({ "a": HOSTILE }).to_string());
    inbound.take(admitted, came, body, None).await.expect("the store writes");
    let rows =
        world.engine.store().requests(tenant.id, Default::default(), 1).await.expect("the store reads");
    rows[0].request.id.to_string()
}

#[tokio::test]
async fn what_came_from_elsewhere_is_text_on_every_page() {
    let world = World::start().await;
    let admin = leads(&world, "acme").await;
    let trigger = hook(&world, &admin, "acme").await;
    let run = ran(&world, &admin, "acme").await;
    let request = refused(&world, "acme").await;
    for (path, shows) in [
        ("/portal/workflows".to_owned(), "&lt;script&gt;"),
        ("/portal/workflows/leads".to_owned(), "&lt;script&gt;"),
        ("/portal/workflows/leads/edit".to_owned(), "&lt;script&gt;"),
        (format!("/portal/workflows/leads/triggers/{trigger}"), "&lt;script&gt;"),
        (format!("/portal/workflows/leads/triggers/{trigger}/edit"), "&lt;script&gt;"),
        ("/portal/requests".to_owned(), "not verified"),
        (format!("/portal/requests/{request}"), "&lt;script&gt;"),
        ("/portal/runs".to_owned(), "succeeded"),
        (format!("/portal/runs/{run}"), "&lt;script&gt;"),
        (format!("/portal/runs/{run}/step?path=tell"), "&lt;script&gt;"),
        (format!("/portal/runs?workflow={}", "%3Cscript%3E"), "There is nothing here"),
        (format!("/portal/requests?trigger={}", "%22%3E%3Cscript%3E"), "Requests"),
    ] {
        let page = admin.get(&path).await;
        page.expect_text(shows).expect_no_text("<script>alert").expect_no_text("<img src=x");
    }
}

#[tokio::test]
async fn of_another_tenant_nothing_is_there() {
    let world = World::start().await;
    let admin = leads(&world, "acme").await;
    let trigger = hook(&world, &admin, "acme").await;
    let run = ran(&world, &admin, "acme").await;
    let request = refused(&world, "acme").await;
    world.tenant("beta", "standard").await;
    let other = world.member("beta", Role::Admin).await;
    for path in [
        format!("/portal/runs/{run}"),
        format!("/portal/runs/{run}/step?path=tell"),
        format!("/portal/requests/{request}"),
        "/portal/workflows/leads".to_owned(),
        format!("/portal/workflows/leads/triggers/{trigger}"),
        format!("/dashboard/t/acme/runs/{run}"),
    ] {
        let reply = other.get(&path).await;
        assert!(matches!(reply.status, 401 | 404 | 303), "{path} answers {}", reply.status);
        reply.expect_no_text("alert(1)");
    }
    for path in [
        format!("/portal/runs/{run}/replay"),
        format!("/portal/runs/{run}/cancel"),
        format!("/portal/requests/{request}/replay"),
        format!("/portal/workflows/leads/triggers/{trigger}/off"),
        "/portal/workflows/leads/delete".to_owned(),
    ] {
        other.post(&path, &[]).await.expect_status(404);
    }
    assert!(world.tenant_now("acme").inbound.triggers[0].enabled);
    admin.get(&format!("/portal/runs/{run}")).await.expect_status(200);
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let world = World::start().await;
    let admin = leads(&world, "acme").await;
    let trigger = hook(&world, &admin, "acme").await;
    let run = ran(&world, &admin, "acme").await;
    let request = refused(&world, "acme").await;
    let viewer = world.member("acme", Role::Viewer).await;
    let slug = world.tenant_now("acme").inbound.triggers[0].slug.clone().expect("it has a URL");
    let page = viewer.get(&format!("/portal/workflows/leads/triggers/{trigger}")).await.expect_status(200);
    // Who has the URL may send.
    page.expect_no_text(&slug).expect_no_text("/off");
    for path in ["workflows", "workflows/leads", "runs", "requests", "secrets", "connections", "event-types"]
    {
        let page = viewer.get(&format!("/portal/{path}")).await.expect_status(200);
        page.expect_no_text("name=\"definition\"").expect_no_text("/delete").expect_no_text("/start");
    }
    for path in [
        "workflows/new".to_owned(),
        "workflows/leads/edit".to_owned(),
        "workflows/leads/start".to_owned(),
        "workflows/leads/delete".to_owned(),
        "workflows/leads/triggers/new".to_owned(),
        format!("workflows/leads/triggers/{trigger}/edit"),
        format!("workflows/leads/triggers/{trigger}/off"),
        format!("workflows/leads/triggers/{trigger}/secret"),
        format!("workflows/leads/triggers/{trigger}/url"),
        format!("workflows/leads/triggers/{trigger}/test"),
        format!("workflows/leads/triggers/{trigger}/delete"),
        format!("requests/{request}/replay"),
        format!("runs/{run}/replay"),
        format!("runs/{run}/cancel"),
        "secrets".to_owned(),
        "secrets/TOKEN/delete".to_owned(),
        "connections/new".to_owned(),
        "connections/crm/authorize".to_owned(),
        "connections/crm/edit".to_owned(),
        "connections/crm/refresh".to_owned(),
        "connections/crm/revoke".to_owned(),
        "connections/crm/delete".to_owned(),
        "register-event-type".to_owned(),
        "event-types/x/archive".to_owned(),
    ] {
        viewer.post(&format!("/portal/{path}"), &[]).await.expect_status(403);
    }
    viewer.get("/portal/connections/crm/edit").await.expect_status(403);
}

#[tokio::test]
async fn what_is_wrong_with_a_definition_is_told_with_its_place() {
    let world = World::start().await;
    let admin = leads(&world, "acme").await;
    let broken =
        format!("steps:\n  - id: a\n    type: nothing\n    said: '{}'\n", HOSTILE.replace('\'', "''"));
    for (definition, told) in
        [(broken.as_str(), "steps[0]"), ("{\"steps\": [", "line 1"), ("steps: [", "line")]
    {
        let page = admin.post("/portal/workflows/leads/edit", &[("definition", definition)]).await;
        assert!((400..500).contains(&page.status), "{}", page.status);
        page.expect_text(told).expect_text("aria-invalid").expect_no_text("<script>alert");
    }
    let page = admin.post("/portal/workflows/new", &[("name", HOSTILE), ("definition", EMIT)]).await;
    page.expect_status(422).expect_text("name-error").expect_no_text("<script>alert");
    let page = admin.post("/portal/workflows/leads/start", &[("input", "{")]).await;
    page.expect_text("input-error").expect_text("line 1");
}

#[tokio::test]
async fn a_run_is_followed_until_it_ends_and_done_once_more() {
    let world = World::start().await;
    let admin = leads(&world, "acme").await;
    let run = ran(&world, &admin, "acme").await;
    let part = admin.get_part(&format!("/portal/runs/{run}")).await.expect_status(200);
    assert!(part.text.starts_with("<div id=\"course\""), "{}", part.text);
    // Without the trigger the page asks no more.
    part.expect_no_text("hx-trigger").expect_text("step-tell");
    let form = admin.get(&format!("/portal/runs/{run}")).await.field("form");
    let again = |from: &'static str| [("form", form.clone()), ("from", from.to_owned())];
    let fields = again("tell");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let path = format!("/portal/runs/{run}/replay");
    let first = admin.post(&path, &fields).await.expect_status(303);
    let second = admin.post(&path, &fields).await.expect_status(303);
    assert_eq!(first.location(), second.location(), "a form that is sent twice starts one run");
    assert!(!first.location().ends_with(&run.to_string()));
}

#[tokio::test]
async fn a_trigger_is_switched_given_another_secret_and_another_url() {
    let world = World::start().await;
    let admin = leads(&world, "acme").await;
    let trigger = hook(&world, &admin, "acme").await;
    let path = format!("/portal/workflows/leads/triggers/{trigger}");
    let now = || world.tenant_now("acme").inbound.triggers[0].clone();
    admin.post(&format!("{path}/off"), &[]).await.expect_status(303);
    assert!(!now().enabled);
    admin.post(&format!("{path}/on"), &[]).await.expect_status(303);
    let slug = now().slug.clone();
    admin.post(&format!("{path}/url"), &[]).await.expect_status(303);
    assert_ne!(now().slug, slug);
    admin.post(&format!("{path}/secret"), &[("overlapSeconds", "3600")]).await.expect_text("not shown again");
    assert_eq!(now().verifiers.len(), 2, "the old secret goes on for its overlap");
    let secret = "a-secret-of-the-provider-that-is-long-enough";
    admin
        .post(&format!("{path}/secret"), &[("secret", secret), ("overlapSeconds", "0")])
        .await
        .expect_status(303);
    let fields = [("headers", "Content-Type: application/json\r\nX-Webhook-Secret: no"), ("body", "{}")];
    admin.post(&format!("{path}/test"), &fields).await.expect_text("refused").expect_no_text(secret);
    let request = format!(
        "POST / HTTP/1.1\r\nContent-Type: application/json\r\nX-Webhook-Secret: {secret}\r\n\r\n{{\"a\": 1}}"
    );
    admin.post(&format!("{path}/test"), &[("request", &request)]).await.expect_text("It would start a run.");
    let fields = [("name", "Mine"), ("preset", "header-secret"), ("filter", "input.a ==")];
    admin.post(&format!("{path}/edit"), &fields).await.expect_status(422).expect_text("filter-error");
    let fields = [
        ("name", "Mine"),
        ("preset", "header-secret"),
        ("filter", "input.a == 1"),
        ("dedupBy", "header"),
        ("dedup", "X-Id"),
    ];
    admin.post(&format!("{path}/edit"), &fields).await.expect_status(303);
    assert_eq!((now().name.as_str(), now().settings.filter.as_deref()), ("Mine", Some("input.a == 1")));
    admin.post(&format!("{path}/delete"), &[]).await.expect_status(303);
    assert!(world.tenant_now("acme").inbound.triggers.is_empty());
}

#[tokio::test]
async fn a_clock_says_its_next_times() {
    let world = World::start().await;
    let admin = leads(&world, "acme").await;
    let fields =
        [("type", "cron"), ("cron", "0 6 * * *"), ("timezone", "Europe/Berlin"), ("input", "{\"a\": 1}")];
    let made = admin.post("/portal/workflows/leads/triggers/new", &fields).await.expect_status(303);
    let page = admin.get(made.location()).await.expect_status(200);
    assert_eq!(page.text.matches("<li><time").count(), 5, "{}", page.text);
    let fields = [("type", "cron"), ("cron", "at six")];
    admin
        .post("/portal/workflows/leads/triggers/new", &fields)
        .await
        .expect_status(422)
        .expect_text("cron-error");
}

#[tokio::test]
async fn no_secret_comes_out_again() {
    let world = World::start().await;
    let admin = leads(&world, "acme").await;
    let value = "s3cret-of-the-crm";
    admin.post("/portal/secrets", &[("name", "CRM_KEY"), ("value", value)]).await.expect_status(303);
    admin.get("/portal/secrets").await.expect_text("CRM_KEY").expect_no_text(value);
    let refused = admin.post("/portal/secrets", &[("name", HOSTILE), ("value", value)]).await;
    refused
        .expect_status(422)
        .expect_text("name-error")
        .expect_no_text(value)
        .expect_no_text("<script>alert");
    admin.post("/portal/secrets/CRM_KEY/delete", &[]).await.expect_status(303);
    admin.post("/portal/secrets/CRM_KEY/delete", &[]).await.expect_status(404);

    let fields = [
        ("name", "crm"),
        ("provider", "custom"),
        ("grant", "authorization_code"),
        ("clientId", HOSTILE),
        ("clientSecret", value),
        ("authorizationUrl", "http://127.0.0.1:8090/authorize"),
        ("tokenUrl", "http://127.0.0.1:8090/token"),
    ];
    let made = admin.post("/portal/connections/new", &fields).await.expect_status(303);
    for path in [made.location(), "/portal/connections"] {
        admin.get(path).await.expect_text("pending").expect_no_text(value).expect_no_text("<script>alert");
    }
    let path = made.location().split('?').next().expect("an address has a path").to_owned();
    let page = admin.post(&format!("{path}/authorize"), &[]).await.expect_status(200);
    page.expect_text("href=\"http://127.0.0.1:8090/authorize?").expect_no_text(value);
    admin.get("/portal/connections/new?provider=%3Cscript%3Ealert").await.expect_no_text("<script>alert");
    admin.post(&format!("{path}/delete"), &[]).await.expect_status(303);
}

#[tokio::test]
async fn the_secret_and_the_scopes_of_a_connection_change_on_its_page() {
    let world = World::start().await;
    let admin = leads(&world, "acme").await;
    let changes = async || admin.get("/portal/audit").await.text.matches(">connection.updated<").count();
    for (grant, authorize) in [("authorization_code", true), ("client_credentials", false)] {
        let fields = [
            ("name", grant),
            ("provider", "custom"),
            ("grant", grant),
            ("clientId", "postrider"),
            ("clientSecret", "the-first-secret"),
            ("scopes", "a b"),
            ("authorizationUrl", "http://127.0.0.1:8090/authorize"),
            ("tokenUrl", "http://127.0.0.1:8090/token"),
        ];
        let made = admin.post("/portal/connections/new", &fields).await.expect_status(303);
        let path = made.location().split('?').next().expect("an address has a path").to_owned();
        let edit = format!("{path}/edit");
        let shown = ("scopesShown", "a b");
        let form = admin.get(&edit).await.expect_status(200).expect_no_text("the-first-secret");
        assert_eq!(form.text.contains("withoutSecret"), authorize, "{grant} may be a public client");

        // Nothing was changed, so nothing was saved.
        let before = changes().await;
        let same = admin.post(&edit, &[shown, ("scopes", " a\nb ")]).await.expect_status(303);
        assert_eq!((same.location(), changes().await), (path.as_str(), before));

        let saved = admin.post(&edit, &[shown, ("scopes", "a c")]).await.expect_status(303);
        let told = if authorize { "Authorize it again for the other scopes." } else { "Saved." };
        admin.get(saved.location()).await.expect_text(told).expect_text("<code>a c</code>");
        // Who had the form open before and gives a secret leaves the scopes as somebody else made them.
        let secret = [shown, ("scopes", "a b"), ("clientSecret", "the-second-secret")];
        let saved = admin.post(&edit, &secret).await.expect_status(303);
        let page = admin.get(saved.location()).await.expect_text("Saved.").expect_text("<code>a c</code>");
        page.expect_no_text("the-second-secret");
        assert_eq!(changes().await, before + 2);

        let both = [("clientSecret", "the-third-secret"), ("withoutSecret", "on")];
        let refused = admin.post(&edit, &both).await.expect_status(422);
        refused.expect_text("clientSecret-error").expect_no_text("the-third-secret");
        let public = admin.post(&edit, &[("withoutSecret", "on")]).await;
        assert_eq!(public.status, if authorize { 303 } else { 422 });
        admin.get(&edit).await.expect_status(200).expect_no_text("withoutSecret");
        assert_eq!(changes().await, before + 2 + usize::from(authorize));

        admin.post(&format!("{path}/revoke"), &[]).await.expect_status(303);
        let next =
            if authorize { "Authorize it again to use it." } else { "give the secret to use it again" };
        admin.get(&path).await.expect_text("revoked").expect_text(next);
        if !authorize {
            admin.post(&edit, &[("clientSecret", "the-last-secret")]).await.expect_status(303);
            admin.get(&path).await.expect_text("pending").expect_text("It is ready.");
        }
    }
}
