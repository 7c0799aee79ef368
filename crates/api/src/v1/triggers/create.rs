//! `POST /v1/workflows/{workflow}/triggers`: register what starts runs.

use http::{Method, StatusCode};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::run::TriggerKind;
use postrider_engine::control::{NewTrigger, Role};

use super::{TRIGGER, VERIFICATION, View, said};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/workflows/{workflow}/triggers",
    tag: "Triggers",
    summary: "Create a trigger",
    detail: "A webhook trigger gets a URL that nobody guesses, and says how its requests are verified: a `secret` in the header X-Webhook-Secret (given, or made with `generateSecret`), a provider's preset, a `custom` scheme, or an explicit `none`. A secret is shown in this answer and never again.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating(
        &NEW_TRIGGER,
        r#"{"type": "webhook", "name": "Lead capture", "enabled": true, "secret": "replace-with-a-long-random-secret"}"#,
    ),
    gives: Gives::Json(StatusCode::CREATED, &TRIGGER),
    handle: |call| Box::pin(handle(call)),
};

static NEW_TRIGGER: Shape = Shape {
    name: "NewTrigger",
    fields: &[
        Field::new("type", Kind::Word(&["webhook", "cron", "event", "manual"]), "What starts runs.")
            .required(),
        Field::new("name", Kind::Text, "What people call it; the type when absent."),
        Field::new("enabled", Kind::Bool, "Whether it starts runs; true when absent."),
        Field::new("secret", Kind::Text, "Of a webhook: what requests carry in X-Webhook-Secret.").nullable(),
        Field::new(
            "generateSecret",
            Kind::Bool,
            "Of a webhook: make a secret, in the form that its preset takes; refused where the provider signs with a key of its own.",
        ),
        Field::new("verification", Kind::Object(&VERIFICATION), "Of a webhook: how a provider signs.")
            .nullable(),
        Field::new("filter", Kind::Text, "CEL over `input`, `headers`, `method`, `query`.").nullable(),
        Field::new(
            "dedup",
            Kind::Any,
            "Of a webhook: `{\"header\": …}`, `{\"expression\": …}` or `\"none\"`.",
        )
        .nullable(),
        Field::new("rateLimit", Kind::AnyObject, "Of a webhook: `{perSecond, burst?}`.").nullable(),
        Field::new("allowedAddresses", Kind::List(&Kind::Text), "Of a webhook: addresses and networks.")
            .nullable(),
        Field::new("methods", Kind::List(&Kind::Text), "Of a webhook: POST when absent.").nullable(),
        Field::new("maxBytes", Kind::Count, "Of a webhook: 1 MiB when absent, 26 MiB at most.").nullable(),
        Field::new(
            "respond",
            Kind::Word(&["accepted", "wait"]),
            "Of a webhook: whether the answer waits for the run.",
        )
        .nullable(),
        Field::new("waitSeconds", Kind::Count, "Of a webhook: 10 when absent, 60 at most.").nullable(),
        Field::new("cron", Kind::Text, "Of a clock: five fields, such as `0 6 * * *`.").nullable(),
        Field::new("every", Kind::Text, "Of a clock: a true interval, such as `15m`.").nullable(),
        Field::new("timezone", Kind::Text, "Of a clock: an IANA zone; UTC when absent.").nullable(),
        Field::new(
            "catchUp",
            Kind::Any,
            "Of a clock: `\"none\"`, `\"latest\"` (when absent) or `{\"all\": n}`.",
        )
        .nullable(),
        Field::new("overlap", Kind::Word(&["skip", "queue"]), "Of a clock: `skip` when absent.").nullable(),
        Field::new("input", Kind::Any, "Of a clock: what its runs begin with.").nullable(),
        Field::new("events", Kind::List(&Kind::Text), "Of events: patterns.").nullable(),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let kind = fields.text("type").as_deref().and_then(TriggerKind::parse).ok_or_else(|| {
        Problem::at(Code::InvalidField, "type", "A trigger is of type webhook, cron, event or manual.")
    })?;
    let said = said(&mut fields);
    let new = NewTrigger {
        kind,
        name: fields.text("name"),
        enabled: fields.bool("enabled"),
        secrets: said.secrets.unwrap_or_default(),
        generate_secret: fields.bool("generateSecret").unwrap_or(false),
        verify_token: said.verify_token,
        settings: said.settings.into_iter().filter(|(_, value)| !value.is_null()).collect(),
    };
    let (url, now) = (call.app.public_url.as_str(), call.app.engine.clock().now());
    let repeated = |changed: &_| written(&View::of_repetition(url, now, changed));
    let again = repeatable(&call.idem, &repeated);
    let control = call.app.engine.control();
    let created =
        control.trigger_create(&call.actor(), call.tenant(), call.path("workflow"), new, again).await?;
    answer_created(StatusCode::CREATED, created, |changed| written(&View::of_change(url, now, changed)))
}
