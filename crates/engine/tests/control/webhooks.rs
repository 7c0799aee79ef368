use postrider_domain::delivery::{DeliveryState, Reason};
use postrider_domain::id::WebhookId;
use postrider_domain::limits;
use postrider_domain::problem::Code;
use postrider_engine::catalogue::DisabledReason;
use postrider_engine::control::{NewWebhook, Repeatable, Role, TenantPatch, WebhookChanged, WebhookPatch};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::*;

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// `rcmanager.txt`, both requests as they are written there.
#[tokio::test]
async fn e_webhooks_are_made_as_its_text_writes_them() {
    let house = House::new().await;
    house.create_tenant("rc", "rcmanager").await;
    let first = webhook("https://app.com/hook", &["vehicle.*", "maintenance.task.*", "parts.inventory.low"]);
    let made = house.create_webhook("rc", first).await;
    assert_eq!(made.webhook.name, "app.com");
    assert!(made.webhook.enabled);
    assert!(made.secret.expect("one is generated").expose_secret().len() >= 32);
    assert!(made.warnings.is_empty());
    assert!(made.webhook.patterns.matches("maintenance.task.created"));

    let second = NewWebhook {
        description: Some("Production webhook endpoint".to_owned()),
        ..webhook(
            "https://yourapp.com/webhooks/pro-pitbox",
            &["vehicle.created", "vehicle.updated", "maintenance.task.created"],
        )
    };
    let made = house.create_webhook("rc", second).await;
    assert_eq!(made.webhook.description, "Production webhook endpoint");
    assert_eq!(house.tenant("rc").webhooks.len(), 2);
}

#[tokio::test]
async fn a_webhook_comes_back_after_a_restart_as_it_was_made() {
    let house = House::new().await;
    house.create_tenant("acme", "smartmaintenance").await;
    let new = NewWebhook {
        name: Some("SAP-PM bridge".to_owned()),
        headers: headers(&[("Authorization", "Bearer xyz-token-of-the-bridge")]),
        secret: Some("a secret that the caller brought".into()),
        description: Some("two\nlines".to_owned()),
        enabled: Some(false),
        ..webhook("https://example.com:8443/in?x=1#part", &["task.*", "user.created"])
    };
    let made = house.create_webhook("acme", new).await;
    assert_eq!(made.webhook.url, "https://example.com:8443/in?x=1");
    let house = house.restarted().await;
    let tenant = house.tenant("acme");
    let read = tenant.webhook(made.webhook.id).expect("it is there");
    assert_eq!(format!("{read:?}"), format!("{:?}", made.webhook));
    assert_eq!(read.keys_at(postrider_domain::time::Clock::now(&*house.clock)).count(), 1);
    assert_eq!(read.disabled_reason, None);
    assert!(read.disabled_at.is_some());
}

#[tokio::test]
async fn secrets_and_header_values_are_nowhere_on_disk_and_in_no_audit() {
    let house = House::new().await;
    house.create_tenant("acme", "smartmaintenance").await;
    let (secret, token) = ("very secret signing secret 4711", "Bearer token-of-the-receiver-0815");
    let new = NewWebhook {
        headers: headers(&[("Authorization", token)]),
        secret: Some(secret.into()),
        ..webhook("https://example.com/", &["*"])
    };
    let id = house.create_webhook("acme", new).await.webhook.id;
    let patch = WebhookPatch { generate_secret: true, ..WebhookPatch::default() };
    let changed =
        house.control.webhook_update(&OPERATOR, &house.tenant("acme"), id, patch).await.expect("a change");
    let generated = changed.secret.expect("a secret was asked for");
    house.control.webhook_delete(&OPERATOR, &house.tenant("acme"), id).await.expect("a deletion");
    let audit = format!("{:?}", house.audit().await);
    for hidden in [secret, token, generated.expose_secret()] {
        assert!(!house.is_on_disk(hidden), "{hidden}");
        assert!(!audit.contains(hidden), "{hidden}");
    }
    // The name of the webhook is: the search itself works.
    assert!(house.is_on_disk("example.com"));
    assert!(audit.contains("Authorization"));
}

#[tokio::test]
async fn bad_webhooks_are_refused_and_change_nothing() {
    let house = House::new().await;
    house.create_tenant("sm", "smartmaintenance").await;
    let good = || webhook("https://example.com/", &["task.completed"]);
    let url = |url: &str| webhook(url, &["task.completed"]);
    let with = |pairs: &[(&str, &str)]| NewWebhook { headers: headers(pairs), ..good() };
    let many: Vec<(String, String)> = (0..65).map(|n| (format!("X-{n}"), String::new())).collect();
    for (new, code, field) in [
        (url("ftp://example.com/"), Code::UrlInvalid, "url"),
        (url("no url"), Code::UrlInvalid, "url"),
        (url("https://user:password@example.com/"), Code::UrlInvalid, "url"),
        (url("https://example.com:0/"), Code::UrlInvalid, "url"),
        (url("http://127.0.0.1/"), Code::UrlForbidden, "url"),
        (url("http://[::ffff:10.0.0.1]/"), Code::UrlForbidden, "url"),
        (url("http://metadata.google.internal/"), Code::UrlForbidden, "url"),
        (url("https://localhost/"), Code::UrlForbidden, "url"),
        (NewWebhook { events: None, ..good() }, Code::MissingField, "events"),
        (webhook("https://example.com/", &[]), Code::PatternInvalid, "events"),
        (webhook("https://example.com/", &["task.*", "task.*.x"]), Code::PatternInvalid, "events[1]"),
        (webhook("https://example.com/", &["task.complete"]), Code::PatternMatchesNothing, "events[0]"),
        (with(&[("Host", "x")]), Code::HeaderForbidden, "headers.Host"),
        (with(&[("X-Forwarded-For", "x")]), Code::HeaderForbidden, "headers.X-Forwarded-For"),
        (with(&[("x-smtm-event", "x")]), Code::HeaderForbidden, "headers.x-smtm-event"),
        (with(&[("User-Agent", "x")]), Code::HeaderForbidden, "headers.User-Agent"),
        (with(&[("X-SMTM-Signature", "x")]), Code::HeaderForbidden, "headers.X-SMTM-Signature"),
        (with(&[("X Y", "x")]), Code::HeaderInvalid, "headers.X Y"),
        (with(&[("X-A", "a\r\nHost: b")]), Code::HeaderInvalid, "headers.X-A"),
        (with(&[("X-A", "1"), ("x-a", "2")]), Code::HeaderInvalid, "headers.x-a"),
        (NewWebhook { headers: many, ..good() }, Code::TooManyItems, "headers"),
        (NewWebhook { name: Some("\0".to_owned()), ..good() }, Code::InvalidField, "name"),
        (NewWebhook { description: Some("\0".to_owned()), ..good() }, Code::InvalidField, "description"),
        (NewWebhook { secret: Some("".into()), ..good() }, Code::SecretInvalid, "secret"),
        (NewWebhook { secret: Some("x".repeat(257).into()), ..good() }, Code::SecretInvalid, "secret"),
        (
            NewWebhook { secret: Some("x".into()), generate_secret: true, ..good() },
            Code::InvalidField,
            "generateSecret",
        ),
    ] {
        let tenant = house.tenant("sm");
        refuses(&house, code, Some(field), house.control.webhook_create(&OPERATOR, &tenant, new, None)).await;
    }
    house.create_tenant("std", "standard").await;
    for secret in ["plain text that is long enough", "whsec_c2hvcnQ=", "whsec_???"] {
        let new = NewWebhook { secret: Some(secret.into()), ..webhook("https://example.com/", &["*"]) };
        let tenant = house.tenant("std");
        let asked = house.control.webhook_create(&OPERATOR, &tenant, new, None);
        refuses(&house, Code::SecretInvalid, Some("secret"), asked).await;
    }
    house.create_tenant("org", "org-jobs").await;
    let tenant = house.tenant("org");
    let asked =
        house.control.webhook_create(&OPERATOR, &tenant, webhook("https://x.org/", &["job.created"]), None);
    refuses(&house, Code::InvalidField, Some("events"), asked).await;
}

#[tokio::test]
async fn bad_changes_are_refused_and_change_nothing() {
    let house = House::new().await;
    house.create_tenant("rc", "rcmanager").await;
    let id = house.create_webhook("rc", webhook("https://example.com/", &["*"])).await.webhook.id;
    for (patch, code, field) in [
        (
            WebhookPatch { url: Some("http://10.0.0.1/".to_owned()), ..Default::default() },
            Code::UrlForbidden,
            "url",
        ),
        (
            WebhookPatch { events: Some(strings(&["vehicles.*"])), ..Default::default() },
            Code::PatternMatchesNothing,
            "events[0]",
        ),
        (WebhookPatch { name: Some(String::new()), ..Default::default() }, Code::InvalidField, "name"),
        (WebhookPatch { secret: Some(None), ..Default::default() }, Code::SecretInvalid, "secret"),
        (
            WebhookPatch { headers: Some(headers(&[("Cookie", "x")])), ..Default::default() },
            Code::HeaderForbidden,
            "headers.Cookie",
        ),
    ] {
        let tenant = house.tenant("rc");
        refuses(&house, code, Some(field), house.control.webhook_update(&OPERATOR, &tenant, id, patch)).await;
    }
}

#[tokio::test]
async fn a_short_secret_and_plain_http_are_taken_with_a_warning() {
    let house = House::new().await;
    house.create_tenant("acme", "smartmaintenance").await;
    let new = NewWebhook { secret: Some("short".into()), ..webhook("http://example.com/", &["*"]) };
    let made = house.create_webhook("acme", new).await;
    let codes: Vec<&str> = made.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["url_not_https", "secret_short"]);
    let unsigned = house.create_webhook("acme", webhook("https://example.com/", &["*"])).await;
    assert!(unsigned.secret.is_none() && unsigned.webhook.keys.is_empty());
}

#[tokio::test]
async fn types_that_an_installation_does_not_expose_cannot_be_asked_for() {
    let house = House::new().await;
    let id = house.create_tenant("acme", "smartmaintenance").await.id;
    let exposed = json!({ "exposedEventTypes": ["task.completed"] });
    let patch = TenantPatch { settings: Some(object(exposed)), ..TenantPatch::default() };
    house.control.tenant_update(&OPERATOR, id, patch).await.expect("settings");
    let tenant = house.tenant("acme");
    let asked =
        house.control.webhook_create(&OPERATOR, &tenant, webhook("https://example.com/", &["user.*"]), None);
    refuses(&house, Code::PatternMatchesNothing, Some("events[0]"), asked).await;
    house.create_webhook("acme", webhook("https://example.com/", &["task.*"])).await;
}

#[tokio::test]
async fn a_plan_without_webhooks_makes_and_changes_none() {
    let house = House::new().await;
    let id = house.create_tenant("a", "runtight").await.id;
    let webhook_id = house.create_webhook("a", webhook("https://example.com/", &["*"])).await.webhook.id;
    let free = TenantPatch { plan: Some(Some("free".to_owned())), ..TenantPatch::default() };
    house.control.tenant_update(&OPERATOR, id, free).await.expect("an operator changes the plan");
    let tenant = house.tenant("a");
    let code = Code::PlanExcludesWebhooks;
    let create =
        house.control.webhook_create(&OPERATOR, &tenant, webhook("https://example.com/", &["*"]), None);
    refuses(&house, code, None, create).await;
    let update = house.control.webhook_update(&OPERATOR, &tenant, webhook_id, WebhookPatch::default());
    refuses(&house, code, None, update).await;
    house.control.webhook_delete(&OPERATOR, &tenant, webhook_id).await.expect("leaving is always allowed");
}

#[tokio::test]
async fn another_tenants_webhook_does_not_exist() {
    let house = House::new().await;
    let acme = house.create_tenant("acme", "standard").await;
    house.create_tenant("other", "standard").await;
    let theirs = house.create_webhook("other", webhook("https://example.com/", &["*"])).await;
    let admin = of(acme.id, Role::Admin);
    for (tenant, id) in [
        (&acme, theirs.webhook.id),
        (&theirs.tenant, theirs.webhook.id),
        (&acme, WebhookId::from_bytes([9; 16])),
    ] {
        let patch = WebhookPatch { enabled: Some(false), ..WebhookPatch::default() };
        refuses(&house, Code::NotFound, None, house.control.webhook_update(&admin, tenant, id, patch)).await;
        refuses(&house, Code::NotFound, None, house.control.webhook_delete(&admin, tenant, id)).await;
    }
}

#[tokio::test]
async fn viewers_and_publishers_change_no_webhook() {
    let house = House::new().await;
    let acme = house.create_tenant("acme", "standard").await;
    let id = house.create_webhook("acme", webhook("https://example.com/", &["*"])).await.webhook.id;
    for role in [Role::Viewer, Role::Publisher] {
        let actor = of(acme.id, role);
        let new = webhook("https://example.com/", &["*"]);
        refuses(&house, Code::Forbidden, None, house.control.webhook_create(&actor, &acme, new, None)).await;
        let patch = WebhookPatch::default();
        refuses(&house, Code::Forbidden, None, house.control.webhook_update(&actor, &acme, id, patch)).await;
        refuses(&house, Code::Forbidden, None, house.control.webhook_delete(&actor, &acme, id)).await;
    }
}

#[tokio::test]
async fn a_tenant_has_a_bounded_number_of_webhooks() {
    let house = House::new().await;
    house.create_tenant("acme", "standard").await;
    for n in 0..limits::WEBHOOKS_PER_TENANT_MAX {
        house.create_webhook("acme", webhook(&format!("https://example.com/{n}"), &["*"])).await;
    }
    let tenant = house.tenant("acme");
    let problem = refused(
        house.control.webhook_create(&OPERATOR, &tenant, webhook("https://example.com/", &["*"]), None).await,
    );
    assert_eq!(problem.code, Code::WebhookLimit);
    assert_eq!(house.tenant("acme").webhooks.len(), limits::WEBHOOKS_PER_TENANT_MAX);
}

#[tokio::test]
async fn a_repeated_creation_does_not_show_the_secret_again() {
    let house = House::new().await;
    house.create_tenant("acme", "standard").await;
    let answer = |made: &WebhookChanged| {
        json!({ "id": made.webhook.id, "secretShown": made.secret.is_some() }).to_string().into_bytes()
    };
    let again = || Some(Repeatable { idem: idem("k", 1), answer: &answer });
    let new = || webhook("https://example.com/", &["*"]);
    let tenant = house.tenant("acme");
    let made = fresh(house.control.webhook_create(&OPERATOR, &tenant, new(), again()).await);
    let repeated = replayed(house.control.webhook_create(&OPERATOR, &tenant, new(), again()).await);
    let repeated: serde_json::Value = serde_json::from_slice(&repeated).expect("JSON");
    assert_eq!(repeated, json!({ "id": made.webhook.id, "secretShown": true }));
    assert_eq!(house.tenant("acme").webhooks.len(), 1);
}

#[tokio::test]
async fn the_audit_tells_who_did_what_and_outlives_the_webhook() {
    let house = House::new().await;
    let acme = house.create_tenant("acme", "smartmaintenance").await;
    let admin = of(acme.id, Role::Admin);
    let new = webhook("https://example.com/", &["task.*"]);
    let id = fresh(house.control.webhook_create(&admin, &acme, new, None).await).webhook.id;
    let off = WebhookPatch { enabled: Some(false), ..WebhookPatch::default() };
    house.control.webhook_update(&admin, &acme, id, off).await.expect("off");
    house.control.webhook_delete(&OPERATOR, &acme, id).await.expect("deleted");

    let entries = house.control.audit(Some(acme.id), None, 10).await.expect("the audit");
    let told: Vec<(&str, &str, &str)> = entries
        .iter()
        .map(|entry| (entry.action.as_str(), entry.actor_role.as_str(), entry.target.as_str()))
        .collect();
    let id = id.to_string();
    assert_eq!(
        told,
        [
            ("webhook.deleted", "operator", id.as_str()),
            ("webhook.updated", "admin", id.as_str()),
            ("webhook.created", "admin", id.as_str()),
            ("tenant.created", "operator", "acme"),
        ]
    );
    let deleted = entries.iter().find(|entry| entry.action == "webhook.deleted").expect("a deletion");
    let before = deleted.before.as_ref().expect("how it was");
    assert_eq!((&before["url"], &before["enabled"]), (&json!("https://example.com/"), &json!(false)));
    assert_eq!((deleted.actor.as_str(), deleted.tenant.as_deref()), ("postrider", Some("acme")));
    let created = entries.iter().find(|entry| entry.action == "webhook.created").expect("a creation");
    assert!(created.actor.starts_with("key_"));
}

#[tokio::test]
async fn every_change_is_a_version_of_what_the_webhook_matched() {
    let house = House::new().await;
    let acme = house.create_tenant("acme", "smartmaintenance").await;
    let id = house.create_webhook("acme", webhook("https://example.com/", &["task.*"])).await.webhook.id;
    let patch = WebhookPatch { events: Some(strings(&["user.*"])), ..WebhookPatch::default() };
    let changed = house.control.webhook_update(&OPERATOR, &acme, id, patch).await.expect("a change");
    assert_eq!(changed.tenant.version, 3);
    house.control.webhook_delete(&OPERATOR, &acme, id).await.expect("a deletion");
    const SQL: &str =
        "SELECT version, events, enabled, deleted FROM webhook_version WHERE tenant_id = $1 ORDER BY version";
    let mut versions: Vec<(i64, String, bool, bool)> = Vec::new();
    for row in house.store.read().all(SQL, &[acme.id.into()]).await.expect("a read") {
        versions.push((
            row.get("version").expect("a number"),
            row.get("events").expect("text"),
            row.get("enabled").expect("a bool"),
            row.get("deleted").expect("a bool"),
        ));
    }
    let row = |version, events: &str, deleted| (version, events.to_owned(), true, deleted);
    assert_eq!(
        versions,
        [row(2, r#"["task.*"]"#, false), row(3, r#"["user.*"]"#, false), row(4, r#"["user.*"]"#, true)]
    );
}

#[tokio::test]
async fn a_webhook_that_answered_gone_is_switched_off_once() {
    let house = House::new().await;
    let acme = house.create_tenant("acme", "standard").await;
    let id = house.create_webhook("acme", webhook("https://example.com/", &["*"])).await.webhook.id;
    let disable = || house.control.webhook_disable(acme.id, id, DisabledReason::Gone);
    assert!(disable().await.expect("it is on"));
    assert!(!disable().await.expect("it is off"));
    let house = house.restarted().await;
    let tenant = house.tenant("acme");
    let webhook = tenant.webhook(id).expect("it is there");
    assert!(!webhook.enabled);
    assert_eq!(webhook.disabled_reason, Some(DisabledReason::Gone));
    let on = WebhookPatch { enabled: Some(true), ..WebhookPatch::default() };
    let changed = house.control.webhook_update(&OPERATOR, &tenant, id, on).await.expect("on again");
    assert_eq!((changed.webhook.disabled_reason, changed.webhook.disabled_at), (None, None));
    assert!(
        !house
            .control
            .webhook_disable(acme.id, WebhookId::from_bytes([9; 16]), DisabledReason::Gone)
            .await
            .expect("unknown")
    );
}

#[tokio::test]
async fn switching_off_holds_or_cancels_as_the_profile_says_and_deleting_cancels() {
    let house = House::new().await;
    for (profile, url_only, event, state, reason) in [
        ("org-jobs", true, "job.created", DeliveryState::Cancelled, Reason::WebhookOff),
        ("rcmanager", false, "vehicle.created", DeliveryState::Scheduled, Reason::Waiting),
        ("runtight", false, "wo.created", DeliveryState::Scheduled, Reason::WaitingForScan),
    ] {
        house.create_tenant(profile, profile).await;
        let mut new = webhook("https://example.com/", &["*"]);
        if url_only {
            new.events = None;
        }
        let id = house.create_webhook(profile, new).await.webhook.id;
        crate::jobs::publish(&house, profile, event, 3).await;
        let off = WebhookPatch { enabled: Some(false), ..WebhookPatch::default() };
        let tenant = house.tenant(profile);
        house.control.webhook_update(&OPERATOR, &tenant, id, off).await.expect("off");
        assert_eq!(crate::jobs::states(&house, profile).await, vec![(state, reason); 3], "{profile}");

        house.control.webhook_delete(&OPERATOR, &tenant, id).await.expect("deleted");
        let reason = if state == DeliveryState::Cancelled { reason } else { Reason::WebhookDeleted };
        let expected = vec![(DeliveryState::Cancelled, reason); 3];
        assert_eq!(crate::jobs::states(&house, profile).await, expected, "{profile}");
    }
}

#[tokio::test]
async fn cancellations_that_a_crash_cut_short_are_finished_at_the_start() {
    let house = House::new().await;
    house.create_tenant("org", "org-jobs").await;
    let new = NewWebhook { url: "https://example.com/".to_owned(), ..NewWebhook::default() };
    house.create_webhook("org", new).await;
    crate::jobs::publish(&house, "org", "job.created", 2).await;
    // What the change writes, without what follows it.
    let mut tx = house.store.write().await.expect("a transaction");
    tx.execute("UPDATE webhook SET enabled = 0", &[]).await.expect("an update");
    tx.commit().await.expect("a commit");
    let house = house.restarted().await;
    assert_eq!(
        crate::jobs::states(&house, "org").await,
        vec![(DeliveryState::Cancelled, Reason::WebhookOff); 2]
    );
}
