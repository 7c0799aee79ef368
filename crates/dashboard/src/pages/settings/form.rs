//! The operator's form of a tenant's settings: its fields, and what a filled one asks for.

use maud::{Markup, html};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::{DeliveryMode, SchemaMode};
use postrider_engine::catalogue::Tenant;
use postrider_engine::control::TenantPatch;
use serde_json::{Map, Value, json};

use crate::form::Form;
use crate::parts;
use crate::parts::fields::{self, Field};
use crate::visit::Visit;

/// Where the tenant sets nothing.
pub(super) const RETENTION_DAYS: u32 = 30;

/// What the fields hold: what the tenant has, or what was typed and refused.
struct Filled(Vec<(&'static str, String)>);

impl Filled {
    fn of(tenant: &Tenant) -> Self {
        let settings = json!(tenant.settings);
        let set = |name: &str| match settings.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let values = &tenant.pinned.values;
        let attributes = if values.attributes.is_empty() {
            String::new()
        } else {
            serde_json::to_string_pretty(&values.attributes).unwrap_or_default()
        };
        Self(vec![
            ("name", values.name.clone()),
            ("profile", tenant.profile().name.clone()),
            ("plan", tenant.plan.clone().unwrap_or_default()),
            ("timezone", values.timezone.iana_name().unwrap_or("UTC").to_owned()),
            ("attributes", attributes),
            ("settings.delivery", set("delivery")),
            ("settings.scanAt", set("scanAt")),
            ("settings.requireHttps", set("requireHttps")),
            ("settings.schema", set("schema")),
            ("settings.strictEventTypes", set("strictEventTypes")),
            ("settings.retentionDays", set("retentionDays")),
            (
                "settings.exposedEventTypes",
                tenant.settings.exposed_event_types.as_deref().unwrap_or_default().join("\n"),
            ),
        ])
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str())
    }
}

pub(super) fn card(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let tenant = visit.tenant();
    let mut filled = Filled::of(tenant);
    // A form of this page came back: the fields show what was typed.
    if visit.form.raw("settings.delivery").is_some() {
        for (name, value) in &mut filled.0 {
            *value = visit.form.raw(name).unwrap_or_default().to_owned();
        }
    }
    let field = |name: &'static str, label: &'static str, hint: &'static str| Field {
        name,
        label,
        hint,
        problem,
        ..Field::default()
    };
    let profiles = visit.engine().catalogue().profiles();
    let profiles: Vec<(&str, &str)> =
        profiles.iter().map(|known| (known.name.as_str(), known.title.as_str())).collect();
    let profile = tenant.profile();
    let (hour, minute) = profile.delivery.scan_at;
    let usual = match profile.delivery.mode {
        DeliveryMode::Immediate => "As the profile has it: at once",
        DeliveryMode::Scan => "As the profile has it: with the daily scan",
    };
    let schema = match profile.catalogue.schema_mode {
        SchemaMode::Off => "As the profile has it: not checked",
        SchemaMode::Warn => "As the profile has it: accepted with a warning",
        SchemaMode::Reject => "As the profile has it: refused",
    };
    let scan_hint = format!("HH:MM in the tenant's zone. The profile's {hour:02}:{minute:02} when empty.");
    let kept_hint =
        format!("Payloads and attempts are removed after so many days. {RETENTION_DAYS} when empty.");
    html! {
        section .card {
            h2 { "How events are treated" }
            (parts::form(visit, &visit.link("/settings"), html! {
                (fields::text(Field { value: filled.get("name"), required: true, ..field("name", "Name", "Stands in the bodies of some profiles.") }, "text"))
                (fields::choice(Field { value: filled.get("profile"), ..field("profile", "Profile", "Fixed once the tenant has events or records.") }, &profiles))
                (fields::text(Field { value: filled.get("plan"), ..field("plan", "Plan", "What the tenant pays for. None when empty.") }, "text"))
                (fields::text(Field { value: filled.get("timezone"), ..field("timezone", "Time zone", "An IANA name such as Europe/Berlin.") }, "text"))
                (fields::area(Field { value: filled.get("attributes"), ..field("attributes", "Attributes", "A JSON object of values that profiles put into bodies.") }, 5))
                (fields::choice(Field { value: filled.get("settings.delivery"), ..field("settings.delivery", "Events go out", "") },
                    &[("", usual), ("immediate", "At once"), ("scan", "With the daily scan")]))
                (fields::text(Field { name: "settings.scanAt", label: "Time of the daily scan", value: filled.get("settings.scanAt"), hint: &scan_hint, problem, required: false }, "text"))
                (fields::choice(Field { value: filled.get("settings.requireHttps"), ..field("settings.requireHttps", "Only https webhooks", "") },
                    &[("", "As the installation has it"), ("true", "Yes, refuse http"), ("false", "No, http is allowed")]))
                (fields::choice(Field { value: filled.get("settings.schema"), ..field("settings.schema", "Data that violates its schema", "") },
                    &[("", schema), ("off", "Not checked"), ("warn", "Accepted with a warning"), ("reject", "Refused")]))
                @if profile.catalogue.open {
                    (fields::choice(Field { value: filled.get("settings.strictEventTypes"), ..field("settings.strictEventTypes", "Event types that are not registered", "") },
                        &[("false", "Accepted"), ("true", "Refused")]))
                }
                (fields::text(Field { name: "settings.retentionDays", label: "Days kept", value: filled.get("settings.retentionDays"), hint: &kept_hint, problem, required: false }, "number"))
                (fields::area(Field { value: filled.get("settings.exposedEventTypes"), ..field("settings.exposedEventTypes", "Event types of this product", "One in a line. All of the profile's when empty.") }, 4))
                div .actions { button type="submit" { "Save" } }
            }))
        }
    }
}

/// What the form changes: what is as it was is not mentioned, since a change of a value that bodies carry is a new version.
pub(super) fn patch(form: &Form, tenant: &Tenant) -> Result<TenantPatch, Problem> {
    let before = Filled::of(tenant);
    let changed = |name: &str| {
        let given = form.raw(name)?.trim().replace("\r\n", "\n");
        (given != before.get(name).trim()).then_some(given)
    };
    let mut settings = Map::new();
    for name in ["delivery", "scanAt", "schema"] {
        if let Some(value) = changed(&format!("settings.{name}")) {
            settings.insert(name.to_owned(), if value.is_empty() { Value::Null } else { value.into() });
        }
    }
    for name in ["requireHttps", "strictEventTypes"] {
        if let Some(value) = changed(&format!("settings.{name}")) {
            settings.insert(
                name.to_owned(),
                if value.is_empty() { Value::Null } else { (value == "true").into() },
            );
        }
    }
    if let Some(days) = changed("settings.retentionDays") {
        settings.insert("retentionDays".to_owned(), days_of(&days)?);
    }
    if let Some(types) = changed("settings.exposedEventTypes") {
        let types: Vec<&str> = types.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        settings.insert(
            "exposedEventTypes".to_owned(),
            if types.is_empty() { Value::Null } else { types.into() },
        );
    }
    let attributes = match changed("attributes") {
        Some(_) => Some(attributes(form)?.unwrap_or_default()),
        None => None,
    };
    Ok(TenantPatch {
        name: changed("name"),
        profile: changed("profile"),
        plan: changed("plan").map(|plan| (!plan.is_empty()).then_some(plan)),
        timezone: changed("timezone"),
        attributes,
        settings: (!settings.is_empty()).then_some(settings),
    })
}

fn days_of(text: &str) -> Result<Value, Problem> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    text.parse::<u32>().map(Value::from).map_err(|_| {
        Problem::at(Code::InvalidField, "settings.retentionDays", "Write a whole number of days, such as 30.")
    })
}

/// The field `attributes` of a form; none when it is empty.
pub(crate) fn attributes(form: &Form) -> Result<Option<Map<String, Value>>, Problem> {
    let Some(text) = form.text("attributes") else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|error| {
        let detail = format!("This is no JSON object: {error}. Write it like {{\"company\": 17}}.");
        Problem::at(Code::InvalidField, "attributes", detail)
    })
}
