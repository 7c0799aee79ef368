use postrider_domain::problem::Code;
use postrider_domain::profile::DeliveryMode;
use postrider_engine::control::{
    Installation, NewTenant, Repeatable, Role, TenantChanged, TenantPatch, webhook_settings,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::*;

fn settings(value: Value) -> TenantPatch {
    TenantPatch { settings: Some(object(value)), ..TenantPatch::default() }
}

#[tokio::test]
async fn a_tenant_comes_back_after_a_restart_as_it_was_made() {
    let house = House::new().await;
    let new = NewTenant {
        name: Some("PT Kahatex".to_owned()),
        timezone: Some("Asia/Jakarta".to_owned()),
        attributes: Some(object(json!({ "company_id": 1 }))),
        settings: Some(object(json!({ "delivery": "scan", "scanAt": "05:30", "retentionDays": 7 }))),
        ..tenant("kahatex", "smartmaintenance")
    };
    let made = fresh(house.control.tenant_create(&OPERATOR, new, None).await).tenant;
    let house = house.restarted().await;
    let read = house.tenant("kahatex");
    assert_eq!(format!("{read:?}"), format!("{made:?}"));
    assert_eq!(read.delivery_mode(), DeliveryMode::Scan);
    assert_eq!(read.scan_at(), (5, 30));
    assert_eq!(read.pinned.values.timezone.iana_name(), Some("Asia/Jakarta"));
    assert_eq!(read.pinned.values.attributes["company_id"], 1);
}

#[tokio::test]
async fn an_id_is_made_when_none_is_brought() {
    let house = House::new().await;
    let new = NewTenant { profile: "standard".to_owned(), ..NewTenant::default() };
    let made = fresh(house.control.tenant_create(&OPERATOR, new, None).await).tenant;
    assert_eq!(*made.public_id, *made.id.to_string());
    assert_eq!(made.pinned.values.name, *made.public_id);
}

#[tokio::test]
async fn bad_tenants_are_refused_and_change_nothing() {
    let house = House::new().await;
    house.create_tenant("taken", "standard").await;
    let good = || tenant("t", "standard");
    let long = "x".repeat(201);
    let deep = json!({ "x": "y".repeat(17_000) });
    for (new, code, field) in [
        (tenant("taken", "standard"), Code::IdTaken, "id"),
        (tenant("", "standard"), Code::InvalidField, "id"),
        (tenant("a.b", "standard"), Code::InvalidField, "id"),
        (tenant(&"x".repeat(129), "standard"), Code::InvalidField, "id"),
        (tenant("t", "nosuch"), Code::InvalidField, "profile"),
        (NewTenant { name: Some("a\0b".to_owned()), ..good() }, Code::InvalidField, "name"),
        (NewTenant { name: Some(" ".to_owned()), ..good() }, Code::InvalidField, "name"),
        (NewTenant { name: Some(long), ..good() }, Code::InvalidField, "name"),
        (NewTenant { plan: Some(String::new()), ..good() }, Code::InvalidField, "plan"),
        (NewTenant { timezone: Some("Mars/Olympus".to_owned()), ..good() }, Code::InvalidField, "timezone"),
        (NewTenant { attributes: Some(object(deep)), ..good() }, Code::InvalidField, "attributes"),
        (
            NewTenant { attributes: Some(object(json!({ "a": ["\0"] }))), ..good() },
            Code::InvalidField,
            "attributes",
        ),
    ] {
        refuses(&house, code, Some(field), house.control.tenant_create(&OPERATOR, new, None)).await;
    }
    for (value, code, field) in [
        (json!({ "delivrey": "scan" }), Code::UnknownField, "settings.delivrey"),
        (json!({ "delivery": "later" }), Code::InvalidField, "settings.delivery"),
        (json!({ "scanAt": "25:00" }), Code::InvalidField, "settings.scanAt"),
        (json!({ "requireHttps": "yes" }), Code::InvalidField, "settings.requireHttps"),
        (json!({ "retentionDays": 0 }), Code::InvalidField, "settings.retentionDays"),
        (json!({ "webhook": { "url": "https://example.com/" } }), Code::InvalidField, "settings.webhook"),
        (json!({ "webhook": 1 }), Code::InvalidField, "settings.webhook"),
        (json!({ "webhook": { "uri": "" } }), Code::UnknownField, "settings.webhook.uri"),
    ] {
        let new = NewTenant { settings: Some(object(value)), ..good() };
        refuses(&house, code, Some(field), house.control.tenant_create(&OPERATOR, new, None)).await;
    }
    let exposed = NewTenant {
        settings: Some(object(json!({ "exposedEventTypes": ["task.completed", "task.complete"] }))),
        ..tenant("t", "smartmaintenance")
    };
    let field = Some("settings.exposedEventTypes[1]");
    refuses(&house, Code::UnknownEventType, field, house.control.tenant_create(&OPERATOR, exposed, None))
        .await;
}

#[tokio::test]
async fn a_repeated_creation_gets_the_first_answer() {
    let house = House::new().await;
    let answer = |made: &TenantChanged| made.tenant.public_id.as_bytes().to_vec();
    let again = |content| Some(Repeatable { idem: idem("k", content), answer: &answer });
    let new = || tenant("acme", "standard");
    fresh(house.control.tenant_create(&OPERATOR, new(), again(1)).await);
    assert_eq!(replayed(house.control.tenant_create(&OPERATOR, new(), again(1)).await), b"acme");
    let reused = house.control.tenant_create(&OPERATOR, tenant("other", "standard"), again(2));
    refuses(&house, Code::IdempotencyKeyReused, Some("Idempotency-Key"), reused).await;

    house.clock.advance(postrider_domain::limits::IDEMPOTENCY_KEPT);
    fresh(house.control.tenant_create(&OPERATOR, tenant("other", "standard"), again(2)).await);
}

#[tokio::test]
async fn only_changes_that_events_pin_make_a_new_pinned_version() {
    let house = House::new().await;
    let made = house.create_tenant("acme", "standard").await;
    let id = made.id;
    let plan = TenantPatch { plan: Some(None), ..TenantPatch::default() };
    let changed = house.control.tenant_update(&OPERATOR, id, plan).await.expect("a plan may go").tenant;
    assert_eq!((changed.version, changed.pinned_since), (2, 1));
    let name = TenantPatch { name: Some("Acme Ltd".to_owned()), ..TenantPatch::default() };
    let changed = house.control.tenant_update(&OPERATOR, id, name).await.expect("a name may change").tenant;
    assert_eq!((changed.version, changed.pinned_since), (3, 3));

    let then = house.store.tenant_pinned(id, 2).await.expect("a read").expect("a version");
    assert_eq!((then.since, then.name.as_str()), (1, "acme"));
    let now = house.store.tenant_pinned(id, 3).await.expect("a read").expect("a version");
    assert_eq!((now.since, now.name.as_str()), (3, "Acme Ltd"));
    let house = house.restarted().await;
    assert_eq!(house.tenant("acme").pinned_since, 3);
}

#[tokio::test]
async fn settings_are_merged_and_null_removes() {
    let house = House::new().await;
    let id = house.create_tenant("acme", "runtight").await.id;
    let set = settings(json!({ "delivery": "immediate", "requireHttps": true }));
    house.control.tenant_update(&OPERATOR, id, set).await.expect("settings");
    let unset = settings(json!({ "delivery": null, "scanAt": "07:00" }));
    let tenant = house.control.tenant_update(&OPERATOR, id, unset).await.expect("settings").tenant;
    assert_eq!(tenant.delivery_mode(), DeliveryMode::Scan);
    assert_eq!(tenant.settings.require_https, Some(true));
    assert_eq!(tenant.scan_at(), (7, 0));
}

#[tokio::test]
async fn an_admin_changes_its_webhook_and_nothing_else() {
    let house = House::new().await;
    let acme = house.create_tenant("acme", "org-jobs").await.id;
    let other = house.create_tenant("other", "org-jobs").await.id;
    let admin = of(acme, Role::Admin);
    for patch in [
        TenantPatch { plan: Some(None), ..TenantPatch::default() },
        TenantPatch { name: Some("x".to_owned()), ..TenantPatch::default() },
        settings(json!({ "requireHttps": false, "webhook": null })),
    ] {
        refuses(&house, Code::Forbidden, None, house.control.tenant_update(&admin, acme, patch)).await;
    }
    let set = || settings(json!({ "webhook": { "url": "https://example.com/hook" } }));
    refuses(&house, Code::NotFound, None, house.control.tenant_update(&admin, other, set())).await;
    for role in [Role::Viewer, Role::Publisher] {
        let actor = of(acme, role);
        let asked = house.control.tenant_update(&actor, acme, set());
        refuses(&house, Code::Forbidden, None, asked).await;
    }
    house.control.tenant_update(&admin, acme, set()).await.expect("its own webhook");
}

#[tokio::test]
async fn settings_webhook_is_a_view_of_the_one_webhook() {
    let house = House::new().await;
    let id = house.create_tenant("org", "org-jobs").await.id;
    assert_eq!(webhook_settings(&house.tenant("org")), None);
    let missing = settings(json!({ "webhook": { "enabled": true } }));
    let asked = house.control.tenant_update(&OPERATOR, id, missing);
    refuses(&house, Code::MissingField, Some("settings.webhook.url"), asked).await;
    let bad = settings(json!({ "webhook": { "url": "ftp://example.com/" } }));
    let asked = house.control.tenant_update(&OPERATOR, id, bad);
    refuses(&house, Code::UrlInvalid, Some("settings.webhook.url"), asked).await;

    let secret = "a secret of the organisation, long enough";
    let set = settings(json!({ "webhook": { "url": "https://example.com/hook", "secret": secret } }));
    let changed = house.control.tenant_update(&OPERATOR, id, set).await.expect("a webhook");
    assert_eq!(changed.secret.as_ref().map(ExposeSecret::expose_secret), Some(secret));
    assert_eq!(changed.tenant.version, 2);
    let shown = webhook_settings(&changed.tenant).expect("there is one");
    let shown = serde_json::to_value(shown).expect("JSON");
    assert_eq!(shown["url"], "https://example.com/hook");
    assert_eq!((&shown["enabled"], &shown["secretSet"]), (&json!(true), &json!(true)));
    assert!(!shown.to_string().contains(secret));
    assert!(!house.is_on_disk(secret));

    let created = house.control.webhook_create(
        &OPERATOR,
        &changed.tenant,
        postrider_engine::control::NewWebhook {
            url: "https://example.com/2".to_owned(),
            ..Default::default()
        },
        None,
    );
    refuses(&house, Code::SingleWebhook, None, created).await;

    let off = settings(json!({ "webhook": { "enabled": false, "secret": null } }));
    let changed = house.control.tenant_update(&OPERATOR, id, off).await.expect("off and unsigned");
    let shown = webhook_settings(&changed.tenant).expect("there is one");
    assert!(!shown.enabled && !shown.secret_set);

    let gone = settings(json!({ "webhook": { "url": null } }));
    let changed = house.control.tenant_update(&OPERATOR, id, gone).await.expect("deleted");
    assert_eq!(webhook_settings(&changed.tenant), None);
    assert!(changed.tenant.webhooks.is_empty());
    let house = house.restarted().await;
    assert!(house.tenant("org").webhooks.is_empty());
    let actions: Vec<String> = house.audit().await.into_iter().map(|entry| entry.action).collect();
    assert!(actions.contains(&"webhook.deleted".to_owned()), "{actions:?}");
}

#[tokio::test]
async fn a_tenant_can_be_made_with_its_webhook_and_a_generated_secret() {
    let house = House::new().await;
    let new = NewTenant {
        settings: Some(object(
            json!({ "webhook": { "url": "http://example.com/hook", "generateSecret": true, "enabled": false } }),
        )),
        ..tenant("org", "org-jobs")
    };
    let made = fresh(house.control.tenant_create(&OPERATOR, new, None).await);
    let secret = made.secret.expect("a secret was asked for");
    assert!(secret.expose_secret().len() >= 32);
    assert_eq!(made.warnings[0].code, "url_not_https");
    let house = house.restarted().await;
    let shown = webhook_settings(&house.tenant("org")).expect("there is one");
    assert!(shown.secret_set && !shown.enabled);
}

#[tokio::test]
async fn a_tenant_with_events_cannot_change_its_profile() {
    let house = House::new().await;
    let id = house.create_tenant("acme", "standard").await.id;
    let to = |profile: &str| TenantPatch { profile: Some(profile.to_owned()), ..TenantPatch::default() };
    house.control.tenant_update(&OPERATOR, id, to("rcmanager")).await.expect("it has no events yet");
    crate::jobs::publish(&house, "acme", "vehicle.created", 1).await;
    let asked = house.control.tenant_update(&OPERATOR, id, to("standard"));
    refuses(&house, Code::TenantHasHistory, Some("profile"), asked).await;
    house.control.tenant_update(&OPERATOR, id, to("rcmanager")).await.expect("its own profile is no change");
}

#[tokio::test]
async fn a_tenant_moves_only_to_a_profile_that_its_webhooks_fit() {
    let house = House::new().await;
    let id = house.create_tenant("acme", "smartmaintenance").await.id;
    house.create_webhook("acme", webhook("https://example.com/", &["task.completed"])).await;
    for profile in ["rcmanager", "runtight"] {
        let patch = TenantPatch { profile: Some(profile.to_owned()), ..TenantPatch::default() };
        let asked = house.control.tenant_update(&OPERATOR, id, patch);
        refuses(&house, Code::Conflict, Some("profile"), asked).await;
    }
}

#[tokio::test]
async fn the_installations_rule_on_https_holds_unless_the_tenant_has_its_own() {
    let house = House::with(Installation { require_https: true }, &["127.0.0.0/8"]).await;
    let id = house.create_tenant("acme", "standard").await.id;
    let make = |url: &str| webhook(url, &["*"]);
    let acme = house.tenant("acme");
    let asked = house.control.webhook_create(&OPERATOR, &acme, make("http://example.com/"), None);
    refuses(&house, Code::HttpsRequired, Some("url"), asked).await;
    house.create_webhook("acme", make("http://127.0.0.1:8080/")).await;
    let lax = settings(json!({ "requireHttps": false }));
    house.control.tenant_update(&OPERATOR, id, lax).await.expect("an operator decides");
    let made = house.create_webhook("acme", make("http://example.com/")).await;
    assert_eq!(made.warnings[0].code, "url_not_https");
}
