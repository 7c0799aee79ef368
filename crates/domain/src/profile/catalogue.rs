//! The event types of a profile: what each means, what its data looks like, an example.

use std::sync::Arc;

use serde_json::Value;

use super::SchemaMode;
use crate::event::{DELIVERY_EXHAUSTED, WEBHOOK_DISABLED};

/// Schema violations that are told for one event.
pub const SCHEMA_ISSUES_MAX: usize = 10;

/// What a profile's webhooks can carry.
#[derive(Debug, Clone)]
pub struct EventCatalogue {
    /// Types may be registered beside the profile's own, and an unregistered one is accepted unless the tenant is strict.
    pub open: bool,
    pub types: Vec<EventType>,
    pub schema_mode: SchemaMode,
    /// Postrider's own types, which exist beside every catalogue.
    pub operational: Vec<EventType>,
}

/// One event type.
#[derive(Debug, Clone)]
pub struct EventType {
    pub name: String,
    /// What groups it on pages: its first segment, unless the profile names one.
    pub family: String,
    pub description: String,
    pub schema: Option<Schema>,
    /// The data of an example event.
    pub example: Value,
    /// The same as compact JSON, number text and all.
    pub example_json: Vec<u8>,
    pub(super) fields: Vec<super::envelope::Field>,
}

/// A JSON Schema, compiled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema {
    pub text: String,
    validator: Arc<jsonschema::Validator>,
}

/// One way in which data does not follow its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaIssue {
    /// A JSON pointer into the data; empty for the data itself.
    pub path: String,
    pub message: String,
}

/// A reference to another document is refused: checking an event must not read the network.
struct Nothing;

impl jsonschema::Retrieve for Nothing {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("a schema cannot refer to {uri}: write what it needs under \"$defs\"").into())
    }
}

impl Schema {
    /// Compiles a schema (2020-12 unless it says otherwise). The error is a sentence about the schema.
    pub fn compile(text: &str) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let validator = jsonschema::options()
            .with_retriever(Nothing)
            .build(&schema)
            .map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_owned(), validator: Arc::new(validator) })
    }

    pub fn validate(&self, data: &Value) -> Result<(), Vec<SchemaIssue>> {
        if self.validator.is_valid(data) {
            return Ok(());
        }
        let mut issues = Vec::new();
        for error in self.validator.iter_errors(data).take(SCHEMA_ISSUES_MAX) {
            issues.push(SchemaIssue {
                path: error.instance_path().to_string(),
                message: told(&error.to_string()),
            });
        }
        Err(issues)
    }
}

/// The validator quotes the value at fault, which may be long.
fn told(message: &str) -> String {
    const CHARS_MAX: usize = 300;
    match message.char_indices().nth(CHARS_MAX) {
        None => message.to_owned(),
        Some((end, _)) => format!("{}…", &message[..end]),
    }
}

impl EventType {
    /// A type that a tenant registered beside its profile's own. `example`: JSON. The error is a sentence about it.
    pub fn registered(
        name: &str,
        description: &str,
        schema: Option<Schema>,
        example: &str,
    ) -> Result<Self, String> {
        Ok(Self {
            name: name.to_owned(),
            family: name.split('.').next().unwrap_or(name).to_owned(),
            description: description.to_owned(),
            schema,
            example: serde_json::from_str(example).map_err(|error| format!("not JSON: {error}"))?,
            example_json: example.as_bytes().to_vec(),
            fields: Vec::new(),
        })
    }
}

impl EventCatalogue {
    /// A type of the profile, or one of Postrider's own.
    pub fn get(&self, event_type: &str) -> Option<&EventType> {
        self.types.iter().chain(&self.operational).find(|known| known.name == event_type)
    }

    /// Whether the profile itself has this type.
    pub fn has(&self, event_type: &str) -> bool {
        self.types.iter().any(|known| known.name == event_type)
    }

    /// Checks data against its type's schema, whatever the schema mode. A type without schema takes any data.
    pub fn validate(&self, event_type: &str, data: &Value) -> Result<(), Vec<SchemaIssue>> {
        match self.get(event_type).and_then(|known| known.schema.as_ref()) {
            Some(schema) => schema.validate(data),
            None => Ok(()),
        }
    }

    /// The known types nearest to a mistyped one, for the refusal.
    pub fn nearest(&self, event_type: &str) -> String {
        let names: Vec<&str> = self.types.iter().map(|known| known.name.as_str()).collect();
        crate::nearest::nearest(event_type, &names)
    }
}

/// The types that Postrider adds to every catalogue.
pub(super) fn operational_types() -> Vec<EventType> {
    let disabled = serde_json::json!({
        "webhookId": "wh_01jz0000000000000000000000",
        "name": "Warehouse",
        "url": "https://example.com/hooks",
        "reason": "gone",
    });
    let exhausted = serde_json::json!({
        "deliveryId": "dlv_01jz0000000000000000000000",
        "webhookId": "wh_01jz0000000000000000000000",
        "eventId": "evt_01jz0000000000000000000000",
        "eventType": "order.created",
        "reason": "retries_exhausted",
        "attemptCount": 10,
    });
    vec![
        operational_type(WEBHOOK_DISABLED, "Postrider switched a webhook off.", disabled),
        operational_type(DELIVERY_EXHAUSTED, "A delivery failed for good.", exhausted),
    ]
}

fn operational_type(name: &str, description: &str, example: Value) -> EventType {
    EventType {
        name: name.to_owned(),
        family: "operational".to_owned(),
        description: description.to_owned(),
        schema: None,
        example_json: example.to_string().into_bytes(),
        example,
        fields: Vec::new(),
    }
}
