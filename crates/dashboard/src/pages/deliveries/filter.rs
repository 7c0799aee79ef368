//! Which deliveries a list shows: read from an address or a form, and the form that asks for it. The list, what follows it live,
//! and a retry of all that match read the same names.

use maud::{Markup, html};
use postrider_domain::delivery::{AttemptClass, DeliveryState};
use postrider_domain::id::{DeliveryId, WebhookId};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;
use postrider_engine::catalogue::Tenant;
use postrider_store::DeliveryFilter;

use crate::form::Form;
use crate::parts::fields::{self, Field};
use crate::parts::list;
use crate::visit::Visit;

/// What of an address is the filter; the rest is where the list goes on.
pub(super) const NAMES: [&str; 6] = ["state", "type", "webhook", "code", "from", "until"];

/// A menu of more webhooks than this is no menu any more, and makes the page heavy: then an id or a name is typed.
const MENU_MAX: usize = 100;

/// # Errors
/// At the field which says what cannot be meant.
pub(super) fn read(visit: &Visit, given: &Form) -> Result<DeliveryFilter, Problem> {
    let state = match given.text("state") {
        None => None,
        Some(text) => Some(DeliveryState::parse(text).ok_or_else(|| {
            Problem::at(Code::InvalidField, "state", "There is no such state. Choose one of the list.")
        })?),
    };
    let webhook = match given.text("webhook") {
        None => None,
        Some(text) => Some(find_webhook(visit.tenant(), text)?),
    };
    let (status, class) = match given.text("code") {
        None => (None, None),
        Some(text) => read_code(text)?,
    };
    let before = match given.text("cursor") {
        None => None,
        Some(text) => Some(DeliveryId::parse(text).map_err(|_| {
            Problem::at(
                Code::InvalidField,
                "cursor",
                "This place of the list is unknown. Begin with the newest.",
            )
        })?),
    };
    Ok(DeliveryFilter {
        state,
        webhook,
        event_type: given.text("type").map(str::to_owned),
        from: visit.time("from")?,
        until: visit.time("until")?,
        status,
        class,
        before,
    })
}

/// An id, or the name of exactly one webhook. Deleted ones are known by their id.
fn find_webhook(tenant: &Tenant, text: &str) -> Result<WebhookId, Problem> {
    if let Ok(id) = WebhookId::parse(text) {
        return Ok(id);
    }
    let mut named = tenant.webhooks.iter().filter(|webhook| webhook.name == text);
    match (named.next(), named.next()) {
        (Some(webhook), None) => Ok(webhook.id),
        (Some(_), Some(_)) => Err(Problem::at(
            Code::InvalidField,
            "webhook",
            "Several webhooks have this name. Give the id of the one that is meant.",
        )),
        (None, _) => Err(Problem::at(Code::InvalidField, "webhook", "No webhook has this id or name.")),
    }
}

/// An HTTP status, or how an attempt without one ended.
fn read_code(text: &str) -> Result<(Option<u16>, Option<AttemptClass>), Problem> {
    let status = text.parse::<u16>().ok().filter(|status| (100..600).contains(status));
    let class = AttemptClass::ALL.into_iter().find(|class| class.as_str() == text);
    match (status, class) {
        (None, None) => Err(Problem::at(
            Code::InvalidField,
            "code",
            "This is no HTTP code. Give three digits, or a word like timeout, dns or connect.",
        )),
        found => Ok(found),
    }
}

/// The filter as an address says it, without the place in the list.
pub(super) fn query(given: &Form) -> String {
    let kept: Vec<(&str, &str)> = NAMES.iter().filter_map(|name| Some((*name, given.text(name)?))).collect();
    Form::default().with(&kept)
}

/// The filter as fields of another form.
pub(super) fn hidden(given: &Form) -> Markup {
    html! {
        @for name in NAMES {
            @if let Some(value) = given.text(name) { input type="hidden" name=(name) value=(value); }
        }
    }
}

/// Whether anything is left out.
pub(super) fn is_on(given: &Form) -> bool {
    NAMES.iter().any(|name| given.text(name).is_some())
}

/// The form above the list.
pub(super) fn form(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let value = |name| visit.query.text(name).unwrap_or_default();
    let field = |name, label| Field { name, label, value: value(name), problem, ..Field::default() };
    let states = [
        ("", t("All states")),
        ("scheduled", t("scheduled")),
        ("sending", t("sending")),
        ("delivered", t("delivered")),
        ("failed", t("failed")),
        ("cancelled", t("cancelled")),
    ];
    let (from, until) = (local(visit, "from"), local(visit, "until"));
    let time = |name, label, value| Field { name, label, value, problem, ..Field::default() };
    list::filters(
        visit,
        &visit.link("/deliveries"),
        html! {
            (fields::choice(field("state", t("State")), &states))
            (fields::text(field("type", t("Event type")), "text"))
            (webhooks(visit, field("webhook", t("Webhook"))))
            (fields::text(field("code", t("HTTP code")), "text"))
            (fields::text(time("from", t("Made from"), &from), "datetime-local"))
            (fields::text(time("until", t("Made before"), &until), "datetime-local"))
        },
    )
}

fn webhooks(visit: &Visit, field: Field<'_>) -> Markup {
    let webhooks = &visit.tenant().webhooks;
    if webhooks.len() > MENU_MAX {
        return fields::text(field, "text");
    }
    let ids: Vec<String> = webhooks.iter().map(|webhook| webhook.id.to_string()).collect();
    let mut options = vec![("", visit.t("All webhooks"))];
    options.extend(ids.iter().zip(webhooks).map(|(id, webhook)| (id.as_str(), webhook.name.as_str())));
    // One that was deleted, or that was named otherwise, is still asked for.
    let chosen = find_webhook(visit.tenant(), field.value).map(|id| id.to_string()).unwrap_or_default();
    if !chosen.is_empty() && !ids.contains(&chosen) {
        options.push((&chosen, &chosen));
    }
    fields::choice(Field { value: &chosen, ..field }, &options)
}

/// A time as the browser's field wants it, whichever way it was given.
pub(crate) fn local(visit: &Visit, name: &str) -> String {
    match visit.query.text(name).map(|text| (text, Timestamp::parse_rfc3339(text))) {
        None => String::new(),
        Some((text, None)) => text.to_owned(),
        Some((_, Some(at))) => at.to_jiff().to_zoned(visit.zone()).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
    }
}
