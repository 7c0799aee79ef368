//! Event types that a tenant with an open catalogue registers beside its profile's own.

use std::collections::HashMap;
use std::sync::Arc;

use postrider_domain::event;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::{EventType, Schema};
use postrider_store::StoreError;
use postrider_store::config::{ConfigWrite, EventTypeRow, Over, TenantWrite};
use serde_json::{Value, json};

use super::audit::Act;
use super::change::{After, Turn};
use super::{Actor, Control, Role, assemble, check};
use crate::catalogue::Tenant;
use crate::error::EngineError;

/// `POST /v1/event-types` of a tenant whose profile has an open catalogue; the same name again changes it.
#[derive(Debug, Clone, Default)]
pub struct EventTypePut {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema; remote `$ref` is refused.
    pub schema: Option<Value>,
    /// The data of an example event; absent: `{}`.
    pub example: Option<Value>,
}

/// Types that a tenant can register: all of them are in memory, schemas compiled.
const TYPES_MAX: usize = 1000;
/// A schema, or an example, as JSON.
const TEXT_BYTES_MAX: usize = 64 * 1024;

impl Control {
    /// Registers a type, or changes one: operator, or a publisher of the tenant.
    pub async fn event_type_put(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        put: EventTypePut,
    ) -> Result<Arc<Tenant>, EngineError> {
        actor.require(&[Role::Operator, Role::Publisher], Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        check_open(&tenant)?;
        check_name(&tenant, &put.name)?;
        let description = put.description.unwrap_or_default();
        check::description(&description)?;
        let now = self.now();
        let before = tenant.types.get(&put.name);
        if before.is_none() && tenant.types.len() >= TYPES_MAX {
            return Err(EngineError::refused(
                Code::TooManyItems,
                format!("A tenant registers at most {TYPES_MAX} event types. Archive one first."),
            ));
        }
        let row = EventTypeRow {
            tenant: tenant.id,
            name: put.name,
            description,
            schema: text("schema", put.schema.as_ref())?,
            example: text("example", put.example.as_ref())?,
            archived: false,
            created: now,
            updated: now,
        };
        if let Some(schema) = &row.schema {
            Schema::compile(schema).map_err(|why| {
                Problem::at(Code::InvalidField, "schema", format!("The schema cannot be used: {why}."))
            })?;
        }
        let act = Act {
            action: if before.is_some() { "event_type.updated" } else { "event_type.created" },
            target: row.name.clone(),
            before: before.map(|before| audit_state(before)),
            after: Some(json!({
                "description": row.description,
                "schema": put.schema,
                "example": put.example,
            })),
        };
        let mut types = tenant.types.clone();
        types.insert(row.name.clone(), Arc::new(registered(&row)?));
        self.event_types_commit(turn, actor, &tenant, row, types, act).await
    }

    /// Takes a type out of the catalogue: operator, or a publisher of the tenant. Events of it stay what they are.
    pub async fn event_type_archive(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        name: &str,
    ) -> Result<Arc<Tenant>, EngineError> {
        actor.require(&[Role::Operator, Role::Publisher], Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let Some(before) = tenant.types.get(name) else {
            return Err(Problem::not_found("registered event type").into());
        };
        let now = self.now();
        let row = EventTypeRow {
            tenant: tenant.id,
            name: name.to_owned(),
            description: before.description.clone(),
            schema: before.schema.as_ref().map(|schema| schema.text.clone()),
            example: Some(before.example.to_string()),
            archived: true,
            created: now,
            updated: now,
        };
        let act = Act {
            action: "event_type.archived",
            target: name.to_owned(),
            before: Some(audit_state(before)),
            after: None,
        };
        let mut types = tenant.types.clone();
        types.remove(name);
        self.event_types_commit(turn, actor, &tenant, row, types, act).await
    }

    async fn event_types_commit(
        &self,
        turn: Turn,
        actor: &Actor,
        tenant: &Tenant,
        row: EventTypeRow,
        types: HashMap<String, Arc<EventType>>,
        act: Act,
    ) -> Result<Arc<Tenant>, EngineError> {
        let now = row.updated;
        let mut next = assemble::with_webhooks(tenant, tenant.webhooks.clone(), now);
        next.types = types;
        let next = Arc::new(next);
        let write = ConfigWrite {
            at: now,
            tenant: Some(TenantWrite {
                row: assemble::tenant_row(&next),
                over: Over::Version(tenant.version),
                pins: false,
                unless_history: false,
            }),
            event_types: vec![row],
            audit: vec![self.audit_row(actor, Some(tenant), now, act)],
            ..ConfigWrite::default()
        };
        self.commit(turn, write, After { tenant: Some(next.clone()), ..After::default() }).await?;
        Ok(next)
    }
}

fn check_open(tenant: &Tenant) -> Result<(), Problem> {
    if tenant.profile().catalogue.open {
        return Ok(());
    }
    Err(Problem::new(
        Code::CatalogueClosed,
        "The event types of this profile are fixed. GET /v1/event-types lists them.",
    ))
}

fn check_name(tenant: &Tenant, name: &str) -> Result<(), Problem> {
    if !event::is_event_type(name) {
        return Err(Problem::at(
            Code::InvalidField,
            "type",
            format!(
                "An event type is dotted segments of A-Z a-z 0-9 _ and -, such as order.created, of at most {} bytes.",
                limits::EVENT_TYPE_BYTES_MAX
            ),
        ));
    }
    if tenant.profile().catalogue.get(name).is_some() {
        return Err(Problem::at(
            Code::Conflict,
            "type",
            "This type belongs to the profile, or to Postrider itself. Choose another name.",
        ));
    }
    Ok(())
}

fn text(field: &str, value: Option<&Value>) -> Result<Option<String>, Problem> {
    let Some(value) = value else { return Ok(None) };
    let text = value.to_string();
    if text.len() > TEXT_BYTES_MAX {
        return Err(Problem::at(
            Code::InvalidField,
            field,
            format!("It has {} bytes as JSON; at most {TEXT_BYTES_MAX} are kept.", text.len()),
        ));
    }
    Ok(Some(text))
}

/// A registered type as the catalogue holds it.
pub(super) fn registered(row: &EventTypeRow) -> Result<EventType, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt(format!("the event type {}: {why}", row.name));
    let schema = match &row.schema {
        Some(text) => Some(Schema::compile(text).map_err(corrupt)?),
        None => None,
    };
    let example = row.example.as_deref().unwrap_or("{}");
    EventType::registered(&row.name, &row.description, schema, example).map_err(corrupt)
}

fn audit_state(known: &EventType) -> Value {
    json!({
        "description": known.description,
        "schema": known.schema.as_ref().and_then(|schema| serde_json::from_str::<Value>(&schema.text).ok()),
        "example": known.example,
    })
}
