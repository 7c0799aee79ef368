use postrider_domain::problem::Code;
use postrider_domain::profile::builtin;
use postrider_engine::control::{EventTypePut, NewWebhook, ProfileStored, Repeatable, Role};
use serde_json::json;

use crate::support::*;

/// A built-in profile under another name.
fn copy_of(name: &str, as_name: &str) -> String {
    let (_, source) = builtin().iter().find(|(known, _)| *known == name).expect("a built-in profile");
    source.replacen(&format!("name = \"{name}\""), &format!("name = \"{as_name}\""), 1)
}

#[tokio::test]
async fn built_in_profiles_are_there_and_are_stored_once() {
    let house = House::new().await;
    let names: Vec<String> =
        house.outbound.catalogue.profiles().iter().map(|profile| profile.name.clone()).collect();
    assert_eq!(names, ["org-jobs", "rcmanager", "runtight", "smartmaintenance", "standard"]);
    let state = house.state().await;
    let house = house.restarted().await;
    assert_eq!(house.state().await, state);
}

#[tokio::test]
async fn a_new_version_moves_its_tenants_and_keeps_the_old_one_readable() {
    let house = House::new().await;
    let source = copy_of("smartmaintenance", "mine");
    let first = fresh(house.control.profile_put(&OPERATOR, &source, None).await);
    assert!(first.changed && first.tenants == 0);
    let tenant = house.create_tenant("acme", "mine").await;
    let made = house.create_webhook(
        "acme",
        NewWebhook {
            secret: Some("a secret of some length".into()),
            ..webhook("https://example.com/", &["*"])
        },
    );
    let made = made.await;

    let unchanged = fresh(house.control.profile_put(&OPERATOR, &source, None).await);
    assert!(!unchanged.changed);
    assert_eq!(house.tenant("acme").version, made.tenant.version);

    let next = source.replacen("SmartMaintenance/1.0", "Mine/2.0", 1);
    let second = fresh(house.control.profile_put(&OPERATOR, &next, None).await);
    assert!(second.changed && second.tenants == 1);
    let moved = house.tenant("acme");
    assert_eq!(moved.profile().version, second.profile.version);
    assert_eq!((moved.version, moved.pinned_since), (3, 3));
    assert_eq!(moved.webhooks[0].keys.len(), 1);
    let then = house.store.tenant_pinned(tenant.id, 2).await.expect("a read").expect("a version");
    assert_eq!(then.profile_version, first.profile.version);

    let house = house.restarted().await;
    let versions = [&first.profile.version, &second.profile.version];
    for version in versions {
        assert!(house.outbound.catalogue.profile_version("mine", version).is_some());
    }
    assert_eq!(house.tenant("acme").profile().version, second.profile.version);
    // Back to the first one: it becomes the one in use again.
    let back = fresh(house.control.profile_put(&OPERATOR, &source, None).await);
    assert!(back.changed);
    let house = house.restarted().await;
    let profile = house.outbound.catalogue.profile("mine").expect("it is there");
    assert_eq!(profile.version, first.profile.version);
    assert_eq!(house.tenant("acme").profile().version, first.profile.version);
}

#[tokio::test]
async fn bad_profiles_are_refused_with_every_error_and_change_nothing() {
    let house = House::new().await;
    let broken = copy_of("smartmaintenance", "mine").replacen("{event.type}", "{event.typo}", 1);
    let before = house.state().await;
    let problem = refused(house.control.profile_put(&OPERATOR, &broken, None).await);
    assert_eq!((problem.code, problem.field.as_deref()), (Code::ProfileInvalid, Some("source")));
    assert!(problem.detail.contains("line "), "{}", problem.detail);
    assert_eq!(house.state().await, before);
    for (source, code, field) in [
        (String::new(), Code::ProfileInvalid, Some("source")),
        ("name = ".to_owned(), Code::ProfileInvalid, Some("source")),
        ("x".repeat(600_000), Code::ProfileInvalid, Some("source")),
        (builtin()[0].1.to_owned(), Code::ProfileInUse, None),
    ] {
        refuses(&house, code, field, house.control.profile_put(&OPERATOR, &source, None)).await;
    }
    let tenant = house.create_tenant("acme", "standard").await;
    for role in [Role::Admin, Role::Publisher] {
        let source = copy_of("standard", "mine");
        let actor = of(tenant.id, role);
        refuses(&house, Code::Forbidden, None, house.control.profile_put(&actor, &source, None)).await;
    }
}

#[tokio::test]
async fn a_version_that_a_webhook_would_not_fit_is_refused() {
    let house = House::new().await;
    let source = copy_of("smartmaintenance", "mine");
    fresh(house.control.profile_put(&OPERATOR, &source, None).await);
    house.create_tenant("acme", "mine").await;
    let new = NewWebhook {
        headers: vec![("X-Mine".to_owned(), "1".to_owned())],
        ..webhook("https://example.com/", &["*"])
    };
    house.create_webhook("acme", new).await;
    for (what, with) in
        [("secret = \"optional\"", "secret = \"required\""), ("User-Agent =", "X-Mine = \"2\"\nUser-Agent =")]
    {
        let next = source.replacen(what, with, 1);
        assert_ne!(next, source);
        refuses(&house, Code::ProfileInUse, None, house.control.profile_put(&OPERATOR, &next, None)).await;
    }
}

#[tokio::test]
async fn a_repeated_put_gets_the_first_answer() {
    let house = House::new().await;
    let source = copy_of("standard", "mine");
    let answer = |stored: &ProfileStored| stored.changed.to_string().into_bytes();
    let again = || Some(Repeatable { idem: idem("k", 1), answer: &answer });
    fresh(house.control.profile_put(&OPERATOR, &source, again()).await);
    assert_eq!(replayed(house.control.profile_put(&OPERATOR, &source, again()).await), b"true");
}

#[tokio::test]
async fn types_are_registered_changed_and_archived_in_an_open_catalogue() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await;
    let put = |schema: serde_json::Value| EventTypePut {
        name: "order.created".to_owned(),
        description: Some("A customer ordered.".to_owned()),
        schema: Some(schema),
        example: Some(json!({ "id": 17 })),
    };
    let publisher = of(tenant.id, Role::Publisher);
    house
        .control
        .event_type_put(&publisher, &tenant, put(json!({ "type": "object" })))
        .await
        .expect("a type");
    let house = house.restarted().await;
    let tenant = house.tenant("acme");
    let known = &tenant.types["order.created"];
    assert_eq!(known.description, "A customer ordered.");
    assert_eq!(known.example, json!({ "id": 17 }));
    assert!(known.schema.as_ref().expect("a schema").validate(&json!(1)).is_err());

    house
        .control
        .event_type_put(&publisher, &tenant, put(json!({ "type": "integer" })))
        .await
        .expect("a change");
    let tenant = house.tenant("acme");
    assert!(tenant.types["order.created"].schema.as_ref().expect("a schema").validate(&json!(1)).is_ok());

    let archived =
        house.control.event_type_archive(&OPERATOR, &tenant, "order.created").await.expect("archived");
    assert!(archived.types.is_empty());
    let asked = house.control.event_type_archive(&OPERATOR, &archived, "order.created");
    refuses(&house, Code::NotFound, None, asked).await;
    let house = house.restarted().await;
    assert!(house.tenant("acme").types.is_empty());
    // It may come back.
    let tenant = house.tenant("acme");
    house.control.event_type_put(&OPERATOR, &tenant, put(json!(true))).await.expect("a type");
    let actions: Vec<String> = house
        .audit()
        .await
        .into_iter()
        .map(|entry| entry.action)
        .filter(|action| action.starts_with("event_type."))
        .collect();
    assert_eq!(actions.len(), 4);
}

#[tokio::test]
async fn bad_types_are_refused_and_change_nothing() {
    let house = House::new().await;
    let open = house.create_tenant("open", "standard").await;
    let closed = house.create_tenant("closed", "rcmanager").await;
    let named = |name: &str| EventTypePut { name: name.to_owned(), ..EventTypePut::default() };
    let schema = |schema| EventTypePut { schema: Some(schema), ..named("order.created") };
    for (put, code, field) in [
        (named(""), Code::InvalidField, "type"),
        (named("order..created"), Code::InvalidField, "type"),
        (named("webhook.disabled"), Code::Conflict, "type"),
        (schema(json!({ "type": 17 })), Code::InvalidField, "schema"),
        (schema(json!({ "$ref": "https://example.com/schema.json" })), Code::InvalidField, "schema"),
        (schema(json!({ "description": "x".repeat(70_000) })), Code::InvalidField, "schema"),
    ] {
        refuses(&house, code, Some(field), house.control.event_type_put(&OPERATOR, &open, put)).await;
    }
    let asked = house.control.event_type_put(&OPERATOR, &closed, named("order.created"));
    refuses(&house, Code::CatalogueClosed, None, asked).await;
    for role in [Role::Admin, Role::Viewer] {
        let actor = of(open.id, role);
        let asked = house.control.event_type_put(&actor, &open, named("order.created"));
        refuses(&house, Code::Forbidden, None, asked).await;
    }
    let foreign = of(closed.id, Role::Publisher);
    let asked = house.control.event_type_put(&foreign, &open, named("order.created"));
    refuses(&house, Code::NotFound, None, asked).await;
}
