//! `/openapi.json` and `/docs`: complete, and nothing fetched from elsewhere.

use std::collections::HashSet;

use http::Method;
use serde_json::{Value, json};

use crate::world::{HOOKS, INBOXES, World};

#[tokio::test]
async fn every_operation_of_the_document_is_a_route_and_says_what_it_takes() {
    let world = World::start().await;
    let document = world.ask(Method::GET, "/openapi.json").send().await.expect_status(200).json;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "http://postrider.test");
    let mut ids = HashSet::new();
    for (path, item) in document["paths"].as_object().expect("the document has paths") {
        for (method, operation) in item.as_object().expect("a path has operations") {
            let id = operation["operationId"].as_str().expect("an operation has an id");
            assert!(ids.insert(id.to_owned()), "{id} stands twice");
            assert!(!operation["summary"].as_str().unwrap_or("").is_empty(), "{id} has no summary");
            let method: Method = method.to_uppercase().parse().expect("a method");
            let reply = world.ask(method.clone(), path.replace(['{', '}'], "")).send().await;
            assert_ne!(reply.status, 405, "{method} {path} is in the document, but no route");
            if operation["security"] != json!([]) {
                assert_eq!(reply.json["code"], "key_missing", "{method} {path} asks for no key");
            }
        }
    }
}

#[tokio::test]
async fn a_route_that_is_not_in_the_document_does_not_exist() {
    let world = World::start().await;
    let document: Value = serde_json::from_str(&postrider_api::openapi_json()).expect("the document is JSON");
    let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    for (path, item) in document["paths"].as_object().expect("the document has paths") {
        // Which methods a trigger takes is its own affair, and an inbox takes any: all of them arrive.
        for method in methods.iter().filter(|_| !path.starts_with(HOOKS) && !path.starts_with(INBOXES)) {
            let documented = item.get(method.as_str().to_lowercase()).is_some();
            let reply = world.ask(method.clone(), path.replace(['{', '}'], "")).send().await;
            assert_eq!(reply.status != 405, documented, "{method} {path}");
        }
    }
}

/// Every reference leads somewhere, and every example is what its own schema asks for.
#[test]
fn the_document_holds_together() {
    let document: Value = serde_json::from_str(&postrider_api::openapi_json()).expect("the document is JSON");
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("references stay in the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut examples = 0;
    for (path, item) in document["paths"].as_object().expect("the document has paths") {
        for (method, operation) in item.as_object().expect("a path has operations") {
            let Some(content) = operation.pointer("/requestBody/content/application~1json") else { continue };
            let schema = json!({"allOf": [content["schema"]], "components": document["components"]});
            let validator = jsonschema::validator_for(&schema).expect("the document's schemas are schemas");
            let fault = validator.iter_errors(&content["example"]).next().map(|fault| fault.to_string());
            assert_eq!(fault, None, "{method} {path}: {}", content["example"]);
            examples += 1;
        }
    }
    assert!(examples > 10);
}

#[tokio::test]
async fn the_page_to_try_the_api_fetches_nothing_from_elsewhere() {
    let world = World::start().await;
    for path in ["/docs", "/docs/docs.js", "/docs/docs.css"] {
        let reply = world.ask(Method::GET, path).send().await.expect_status(200);
        for elsewhere in ["http://", "https://", "//cdn", "@import", "innerHTML", "eval("] {
            assert!(!reply.text.contains(elsewhere), "{path} holds {elsewhere}");
        }
        let policy = reply.headers["content-security-policy"].to_str().expect("a policy is text");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    }
    let page = world.ask(Method::GET, "/docs").send().await.text;
    for inline in ["<style", "<script>", "style=", "onclick=", "onload=", "onerror="] {
        assert!(!page.contains(inline), "the policy would block {inline}");
    }
}

#[tokio::test]
async fn those_who_watch_over_the_process_get_their_answers() {
    let world = World::start().await;
    world.ask(Method::GET, "/healthz").send().await.expect_status(200);
    world.ask(Method::GET, "/readyz").send().await.expect_status(200);
    world.tenant("acme-secret-name", "standard").await;
    world.publish("acme-secret-name", &json!({"type": "a.b", "data": 1})).await;
    let metrics = world.ask(Method::GET, "/metrics").send().await.expect_status(200).text;
    assert!(metrics.contains("postrider_events_accepted_total 1"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(!metrics.contains("acme"), "no tenant is a label");
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "$ref" => found.push(text.clone()),
                    _ => collect_references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}
