//! What a trigger's form says, as settings; and settings, as a form that says the same.

use postrider_domain::problem::{Code, Problem};
use postrider_domain::run::TriggerKind;
use postrider_engine::inbound::trigger::{CUSTOM, CatchUp, DedupBy, Overlap, Respond, Trigger};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::form::Form;
use crate::pages::typed;

pub(super) struct Said {
    pub(super) name: Option<String>,
    pub(super) secrets: Vec<SecretString>,
    pub(super) generate: bool,
    pub(super) verify_token: Option<SecretString>,
    /// Every setting of the kind; null where the form leaves it empty.
    pub(super) settings: Map<String, Value>,
}

pub(super) fn read(form: &Form, kind: TriggerKind) -> Result<Said, Problem> {
    let mut settings = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        settings.insert(name.to_owned(), value.unwrap_or(Value::Null));
    };
    let text = |name: &str| form.text(name).map(|text| Value::from(text.to_owned()));
    let several = |name: &str| {
        let words = typed::words(form, name);
        (!words.is_empty()).then(|| json!(words))
    };
    match kind {
        TriggerKind::Webhook => {
            set("verification", Some(verification(form)?));
            set("filter", text("filter"));
            set("dedup", dedup(form)?);
            set("methods", several("methods"));
            set("allowedAddresses", several("allowedAddresses"));
            set("maxBytes", count(form, "maxBytes")?);
            set("respond", text("respond"));
            set("waitSeconds", count(form, "waitSeconds")?);
            set("rateLimit", rate(form)?);
        }
        TriggerKind::Cron => {
            set("cron", text("cron"));
            set("every", text("every"));
            set("timezone", text("timezone"));
            set("catchUp", catch_up(form)?);
            set("overlap", text("overlap"));
            set("input", typed::json(form, "input")?);
        }
        TriggerKind::Event => {
            set("events", several("events"));
            set("filter", text("filter"));
        }
        _ => set("input", typed::json(form, "input")?),
    }
    // As it was typed: spaces may belong to it.
    let secret = form.raw("secret").filter(|secret| !secret.is_empty());
    let token = form.raw("verifyToken").filter(|token| !token.is_empty());
    Ok(Said {
        name: form.text("name").map(str::to_owned),
        secrets: secret.map(SecretString::from).into_iter().collect(),
        generate: form.is_on("generateSecret"),
        verify_token: token.map(SecretString::from),
        settings,
    })
}

fn verification(form: &Form) -> Result<Value, Problem> {
    let preset = form.text("preset").unwrap_or_default();
    let mut verification = Map::from_iter([("preset".to_owned(), Value::from(preset))]);
    if let Some(tolerance) = count(form, "tolerance")? {
        verification.insert("tolerance".to_owned(), tolerance);
    }
    if preset == CUSTOM
        && let Some(scheme) = typed::json(form, "scheme")?
    {
        verification.insert("scheme".to_owned(), scheme);
    }
    Ok(Value::Object(verification))
}

fn dedup(form: &Form) -> Result<Option<Value>, Problem> {
    let by = form.text("dedupBy").unwrap_or_default();
    let value = form.text("dedup");
    match (by, value) {
        ("", _) => Ok(None),
        ("none", _) => Ok(Some("none".into())),
        (by, Some(value)) => Ok(Some(json!({ by: value }))),
        (_, None) => {
            Err(Problem::at(Code::MissingField, "dedup", "Name the header, or write the expression."))
        }
    }
}

fn rate(form: &Form) -> Result<Option<Value>, Problem> {
    let Some(text) = form.text("rateLimit") else { return Ok(None) };
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() => Ok(Some(json!({ "perSecond": rate }))),
        _ => Err(Problem::at(Code::InvalidField, "rateLimit", "This is no number.")),
    }
}

fn catch_up(form: &Form) -> Result<Option<Value>, Problem> {
    match form.text("catchUp") {
        Some("all") => Ok(Some(json!({ "all": count(form, "catchUpMax")?.unwrap_or_else(|| 100.into()) }))),
        choice => Ok(choice.map(Value::from)),
    }
}

fn count(form: &Form, field: &str) -> Result<Option<Value>, Problem> {
    let Some(text) = form.text(field) else { return Ok(None) };
    let count = text
        .parse::<u64>()
        .map_err(|_| Problem::at(Code::InvalidField, field, "This is no whole number."))?;
    Ok(Some(count.into()))
}

/// A form as [`read`] takes it, of a trigger that is there. It holds no secret.
pub(super) fn form_of(trigger: &Trigger) -> Form {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    let mut put = |name: &str, value: String| {
        pairs.append_pair(name, &value);
    };
    let settings = &trigger.settings;
    put("name", trigger.name.clone());
    if let Some(verification) = &settings.verification {
        put("preset", verification.preset.clone());
        put("tolerance", verification.tolerance.map(|seconds| seconds.to_string()).unwrap_or_default());
        if let Some(scheme) = &verification.scheme {
            put("scheme", serde_json::to_string_pretty(scheme).unwrap_or_default());
        }
    }
    match &settings.dedup {
        None => {}
        Some(DedupBy::None) => put("dedupBy", "none".to_owned()),
        Some(DedupBy::Header(name)) => {
            put("dedupBy", "header".to_owned());
            put("dedup", name.clone());
        }
        Some(DedupBy::Expression(source)) => {
            put("dedupBy", "expression".to_owned());
            put("dedup", source.clone());
        }
    }
    match settings.catch_up {
        None => {}
        Some(CatchUp::None) => put("catchUp", "none".to_owned()),
        Some(CatchUp::Latest) => put("catchUp", "latest".to_owned()),
        Some(CatchUp::All(most)) => {
            put("catchUp", "all".to_owned());
            put("catchUpMax", most.to_string());
        }
    }
    let overlap = |overlap| if overlap == Overlap::Queue { "queue" } else { "skip" };
    let respond = |respond| if respond == Respond::Wait { "wait" } else { "accepted" };
    let texts = [
        ("filter", settings.filter.clone()),
        ("methods", settings.methods.as_ref().map(|methods| methods.join(", "))),
        ("allowedAddresses", settings.allowed_addresses.as_ref().map(|addresses| addresses.join("\n"))),
        ("maxBytes", settings.max_bytes.map(|bytes| bytes.to_string())),
        ("respond", settings.respond.map(|one| respond(one).to_owned())),
        ("waitSeconds", settings.wait_seconds.map(|seconds| seconds.to_string())),
        ("rateLimit", settings.rate_limit.map(|rate| rate.per_second.to_string())),
        ("cron", settings.cron.clone()),
        ("every", settings.every.clone()),
        ("timezone", settings.timezone.clone()),
        ("overlap", settings.overlap.map(|one| overlap(one).to_owned())),
        ("input", settings.input.as_ref().and_then(|input| serde_json::to_string_pretty(input).ok())),
        ("events", settings.events.as_ref().map(|events| events.join("\n"))),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            put(name, value);
        }
    }
    Form::parse(pairs.finish().as_bytes())
}

/// The field of the form that a refusal is about.
pub(super) fn at_the_form(mut problem: Problem) -> Problem {
    let field = match problem.field.as_deref() {
        Some("verification.preset" | "verification") => "preset",
        Some("verification.secrets" | "secret" | "generateSecret" | "secrets") => "secret",
        Some("verification.tolerance") => "tolerance",
        Some(scheme) if scheme.starts_with("verification.scheme") => "scheme",
        Some(other) => other,
        None => return problem,
    };
    problem.field = Some(field.to_owned());
    problem
}
