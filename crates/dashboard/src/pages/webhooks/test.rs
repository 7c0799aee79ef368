//! `/webhooks/{webhook}/test`: choose a type, change its example, send it to this webhook alone.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::{DeliveryId, EventId};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::EventType;
use postrider_engine::Answered;
use postrider_engine::catalogue::Webhook;
use postrider_engine::control::Idem;
use postrider_engine::outbound::ingest::Publication;
use postrider_store::{EventOutcome, NewIdempotency};
use std::sync::Arc;

use super::{in_path, link, types};
use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone};
use crate::visit::Visit;

pub(super) static FORM: Page = Page {
    method: Method::GET,
    path: "/webhooks/{webhook}/test",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(form(visit)),
};

pub(super) static SEND: Page = Page {
    method: Method::POST,
    path: "/webhooks/{webhook}/test",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(send(visit)),
};

async fn form(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    let types = types(visit.tenant());
    let asked = visit.query.text("type");
    let chosen = match asked {
        Some(name) => types.iter().find(|known| known.name == name),
        None => types.iter().find(|known| webhook.patterns.matches(&known.name)).or(types.first()),
    };
    let data = chosen.map_or_else(|| "{}".to_owned(), |known| example(known));
    let chosen = chosen.map(|known| known.name.as_str()).or(asked).unwrap_or_default();
    Ok(visit.page(visit.t("Send a test event"), page(&visit, &webhook, &types, chosen, &data, None)))
}

fn example(known: &EventType) -> String {
    serde_json::to_string_pretty(&known.example).unwrap_or_else(|_| "{}".to_owned())
}

fn page(
    visit: &Visit,
    webhook: &Webhook,
    types: &[&EventType],
    chosen: &str,
    data: &str,
    problem: Option<&Problem>,
) -> Markup {
    let t = |text| visit.t(text);
    let mut options: Vec<(&str, &str)> =
        types.iter().map(|known| (known.name.as_str(), known.name.as_str())).collect();
    if !chosen.is_empty() && !options.iter().any(|(name, _)| *name == chosen) {
        options.push((chosen, chosen));
    }
    let here = link(visit, webhook.id, "/test");
    html! {
        (parts::heading(t("Send a test event"), html! {
            a .button .ghost href=(link(visit, webhook.id, "")) { (t("Back to the webhook")) }
        }))
        p .lead { (webhook.name) ": " code { (webhook.url) } }
        p { (t("It goes to this webhook alone, marked as a test, and counts in no statistic.")) }
        @if !webhook.enabled {
            (parts::notice(Tone::Waiting, html! { p { (t("The webhook is off. A test is sent all the same.")) } }))
        }
        (parts::refusal(problem))
        @if options.is_empty() {
            form method="get" action=(here) .form {
                (fields::text(Field { name: "type", label: t("Event type"), value: chosen, required: true,
                    hint: t("No type is registered here; any name will do, such as order.created."), ..Field::default() }, "text"))
                div .actions { button .ghost type="submit" { (t("Use this type")) } }
            }
        } @else {
            form method="get" action=(here) .form {
                div .field {
                    label for="type" { (t("Event type")) }
                    select id="type" name="type" data-submits {
                        @for (value, label) in &options { option value=(value) selected[*value == chosen] { (label) } }
                    }
                }
                div .actions data-without-script { button .ghost type="submit" { (t("Load its example")) } }
            }
        }
        @if !chosen.is_empty() {
            (parts::form(visit, &here, html! {
                input type="hidden" name="type" value=(chosen);
                (fields::area(Field { name: "data", label: t("Data"), value: data, problem,
                    hint: t("JSON. The type's example, which you may change."), ..Field::default() }, 12))
                div .actions { button type="submit" { (t("Send it now")) } }
            }))
        }
    }
}

async fn send(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    let event_type = visit.form.text("type").unwrap_or_default().to_owned();
    let data = visit.form.text("data").unwrap_or("{}").to_owned();
    match publish(&visit, &webhook, &event_type, &data).await {
        Ok(delivery) => Ok(see_other(&link(&visit, webhook.id, &format!("/test/{delivery}")))),
        Err(fault) => {
            let problem = fault.problem()?;
            let types = types(visit.tenant());
            let body = page(&visit, &webhook, &types, &event_type, &data, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Send a test event"), body))
        }
    }
}

async fn publish(
    visit: &Visit,
    webhook: &Arc<Webhook>,
    event_type: &str,
    data: &str,
) -> Result<DeliveryId, Fault> {
    if event_type.is_empty() {
        return Err(Problem::at(Code::MissingField, "type", "Choose an event type.").into());
    }
    // What is stored is written into bodies as it is: it must be one JSON value.
    if let Err(error) = serde_json::from_str::<&serde_json::value::RawValue>(data) {
        let detail = format!("This is not JSON: {error}.");
        return Err(Problem::at(Code::MalformedJson, "data", detail).into());
    }
    let (engine, tenant) = (visit.engine(), visit.tenant());
    let publication = Publication { id: None, event_type, time: None, data, depth: 0 };
    let answered = engine.publish_test(tenant, webhook, &publication, visit.idem().map(keep)).await?;
    let event = match answered {
        Answered::Fresh(published) => published.event.id,
        Answered::Replayed(id) => {
            id.try_into().map(EventId::from_bytes).map_err(|_| Problem::not_found("event"))?
        }
    };
    let deliveries = engine.store().deliveries_of(tenant.id, event).await?;
    Ok(deliveries.first().ok_or_else(|| Problem::not_found("delivery"))?.id)
}

/// The id of the test event is all that a repetition needs.
fn keep(idem: Idem) -> NewIdempotency {
    let write = |outcomes: &[EventOutcome]| match outcomes.first() {
        Some(EventOutcome::New(id) | EventOutcome::Same(id)) => id.as_bytes().to_vec(),
        Some(EventOutcome::Different) | None => Vec::new(),
    };
    NewIdempotency {
        scope: idem.scope,
        key: idem.key,
        fingerprint: idem.fingerprint,
        answer: Box::new(write),
    }
}
