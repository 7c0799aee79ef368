//! Pages of the catalogue and of records.

use postrider_domain::rules::Content;
use postrider_engine::control::{Actor, Role};
use postrider_engine::derive::place::Place;
use postrider_engine::derive::records::{Change, Condition, Edit};

use crate::inbound::HOSTILE;
use crate::world::World;

const SHOP: &str = r#"
name = "shop"
title = "Shop"

[envelope]
type = "{event.type}"
data = "{event.data}"

[catalogue]
open = true

[[record]]
kind = "part"

[[rule]]
event = "part.low"
record = "part"
on = "becomes-true"
when = "new.quantity <= new.threshold"
once = true
[rule.data]
id = "{id}"
"#;

#[tokio::test]
async fn a_type_reads_as_a_tree_and_what_it_says_is_text() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let operator = world.operator().await;
    let schema = serde_json::json!({
        "type": "object",
        "required": [HOSTILE],
        "properties": { HOSTILE: {"type": "string", "description": HOSTILE, "enum": [HOSTILE]}, "next": {"$ref": "#"} },
    });
    let (schema, example) = (schema.to_string(), serde_json::json!({ HOSTILE: HOSTILE }).to_string());
    let fields = [
        ("type", "order.created"),
        ("description", HOSTILE),
        ("schema", schema.as_str()),
        ("example", &example),
    ];
    let saved = operator.post("/dashboard/t/acme/register-event-type", &fields).await.expect_status(303);
    assert_eq!(saved.location(), "/dashboard/t/acme/event-types/order.created?done=saved");
    world.webhook("acme", "http://127.0.0.1:8090/", &["order.*"]).await;
    for path in ["event-types", "event-types/order.created", "register-event-type?type=order.created"] {
        let page = operator.get(&format!("/dashboard/t/acme/{path}")).await.expect_status(200);
        page.expect_text("&lt;script&gt;").expect_no_text("<script>alert").expect_no_text("<img src=x");
    }
    let page = operator.get("/dashboard/t/acme/event-types/order.created").await;
    page.expect_text("class=\"schema\"")
        .expect_text("required")
        .expect_text("order.*")
        .expect_text("the same again: #");
    let odd = [("type", "order.created"), ("schema", "{\"type\": ")];
    let refused = operator.post("/dashboard/t/acme/register-event-type", &odd).await;
    refused.expect_text("schema-error").expect_text("line 1");
    // The engine leaves types to those who run the installation.
    let admin = world.member("acme", Role::Admin).await;
    admin.get("/portal/event-types/order.created").await.expect_no_text("/archive");
    admin.post("/portal/event-types/order.created/archive", &[]).await.expect_status(403);
    operator.post("/dashboard/t/acme/event-types/order.created/archive", &[]).await.expect_status(303);
    operator.get("/dashboard/t/acme/event-types/order.created").await.expect_status(404);
}

#[tokio::test]
async fn a_record_shows_what_fired_for_it_and_is_its_tenants_own() {
    let world = World::start().await;
    world.engine.control().profile_put(&Actor::postrider(), SHOP, None).await.expect("the profile is good");
    let tenant = world.tenant("acme", "shop").await;
    world.tenant("beta", "shop").await;
    let place =
        Place::find(world.engine.catalogue(), "part", Some(&tenant), true, None).expect("the kind is there");
    let record = serde_json::json!({ "name": HOSTILE, "quantity": 1, "threshold": 2 }).to_string();
    let content = Content::read(record.into_bytes()).expect("a record is JSON");
    let change =
        Change { id: HOSTILE.to_owned(), edit: Edit::Put(content), old: None, condition: Condition::None };
    world.engine.derive().record_change(&place, change).await.expect("the record is written");
    let viewer = world.member("acme", Role::Viewer).await;
    let list = viewer.get("/portal/records/part").await.expect_status(200);
    list.expect_no_text("<script>alert");
    viewer.get("/portal/records").await.expect_text("part.low");
    let path = format!(
        "/portal/records/part/{}",
        "%22%27%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    );
    let page = viewer.get(&path).await.expect_status(200);
    page.expect_text("/portal/events/evt_").expect_text("&lt;script&gt;").expect_no_text("<script>alert");
    viewer.get("/portal/records/nothing").await.expect_status(404);
    let other = world.member("beta", Role::Viewer).await;
    other.get(&path).await.expect_status(404);
    other.get("/portal/records/part").await.expect_text("No records of this kind yet");
}
