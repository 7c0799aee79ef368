//! `/webhooks/{webhook}/secret`: a new signing secret without a request that the receiver cannot verify.
//!
//! Where the signature header carries a list, both secrets sign for a while. Where it carries one value, the new secret is
//! pending: shown at once, used from its date or from its confirmation.

use std::time::Duration;

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::catalogue::Webhook;
use postrider_engine::control::{Created, Repeatable, SecretRotation, WebhookChanged};
use secrecy::{ExposeSecret, SecretString};

use super::{in_path, link, secret_once};
use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone, facts, time};
use crate::visit::Visit;

pub(super) static SHOW: Page = Page {
    method: Method::GET,
    path: "/webhooks/{webhook}/secret",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(show(visit)),
};

pub(super) static ROTATE: Page = Page {
    method: Method::POST,
    path: "/webhooks/{webhook}/secret",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(rotate(visit)),
};

/// How long the old secret goes on beside the new one.
const OVERLAPS: &[(&str, &str)] = &[
    ("86400", "a day"),
    ("0", "not at all: it is known to somebody who should not know it"),
    ("3600", "an hour"),
    ("604800", "a week"),
    ("2592000", "30 days"),
];

async fn show(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    Ok(visit.page(visit.t("Rotate the secret"), page(&visit, &webhook, None)))
}

fn page(visit: &Visit, webhook: &Webhook, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let listed = visit.tenant().profile().signature.carries_list;
    let pending = webhook.secret_pending(visit.now);
    html! {
        (parts::heading(t("Rotate the secret"), html! {
            a .button .ghost href=(link(visit, webhook.id, "")) { (t("Back to the webhook")) }
        }))
        p .lead { (webhook.name) }
        (parts::refusal(problem))
        (in_force(visit, webhook))
        @if pending {
            (waiting(visit, webhook))
        } @else {
            (parts::form(visit, &link(visit, webhook.id, "/secret"), html! {
                @if webhook.keys.is_empty() {
                    p { (t("Requests are not signed yet. The new secret signs from the next request on.")) }
                } @else if listed {
                    p { (t("Both secrets sign for a while: change the receiver's within that time, and no request is ever refused.")) }
                } @else {
                    p { (t("A request carries one signature, so the new secret waits: give it to the receiver first, then confirm it here, or let it take over at a time.")) }
                }
                (fields::text(Field { name: "secret", label: t("Secret of your own"), problem,
                    hint: t("One is generated when this is left empty."), ..Field::default() }, "password"))
                @if listed && !webhook.keys.is_empty() {
                    @let options: Vec<(&str, &str)> = OVERLAPS.iter().map(|(value, label)| (*value, t(label))).collect();
                    (fields::choice(Field { name: "overlap", label: t("The old secret goes on for"),
                        value: visit.form.text("overlap").unwrap_or("86400"), problem, ..Field::default() }, &options))
                }
                @if !listed && !webhook.keys.is_empty() {
                    (fields::text(Field { name: "activateAt", label: t("Takes over at"), problem,
                        value: visit.form.text("activateAt").unwrap_or_default(),
                        hint: t("Left empty, it waits until you confirm it."), ..Field::default() }, "datetime-local"))
                }
                div .actions { button type="submit" name="do" value="begin" { (t("Make the new secret")) } }
            }))
        }
    }
}

fn in_force(visit: &Visit, webhook: &Webhook) -> Markup {
    let t = |text| visit.t(text);
    let signing = webhook.keys_at(visit.now).count();
    let retires = webhook.keys.iter().filter_map(|key| key.until).filter(|until| *until > visit.now).min();
    facts(&[
        (t("Secrets that sign now"), html! { (signing) }),
        (
            t("The next one retires"),
            html! { @match retires { Some(at) => (time::moment(visit, at)), None => (t("none does")) } },
        ),
    ])
}

/// A pending secret, and the two ways on.
fn waiting(visit: &Visit, webhook: &Webhook) -> Markup {
    let t = |text| visit.t(text);
    let takes_over = webhook.keys.iter().map(|key| key.from).filter(|from| *from > visit.now).min();
    html! {
        (parts::notice(Tone::Waiting, html! {
            p { strong { (t("A new secret waits.")) } " "
                @match takes_over {
                    Some(at) => { (t("It takes over by itself:")) " " (time::countdown(visit, at)) },
                    None => (t("It takes over when you say that the receiver has it.")),
                }
            }
        }))
        (parts::form(visit, &link(visit, webhook.id, "/secret"), html! {
            div .actions {
                button type="submit" name="do" value="confirm" { (t("The receiver has it: use it now")) }
                button .ghost type="submit" name="do" value="cancel" { (t("Forget the new secret")) }
            }
        }))
    }
}

async fn rotate(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    match change(&visit, &webhook).await {
        Ok(Created::Fresh(changed)) => match &changed.secret {
            Some(secret) => {
                let body = made(&visit, &changed, secret.expose_secret());
                Ok(visit.page(visit.t("The new secret"), body))
            }
            None if visit.form.text("do") == Some("cancel") => {
                Ok(see_other(&link(&visit, webhook.id, "?done=cancelled")))
            }
            None => Ok(see_other(&link(&visit, webhook.id, "?done=secret"))),
        },
        Ok(Created::Replayed(_)) => Ok(see_other(&link(&visit, webhook.id, "/secret"))),
        Err(fault) => {
            let problem = fault.problem()?;
            let body = page(&visit, &webhook, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Rotate the secret"), body))
        }
    }
}

async fn change(visit: &Visit, webhook: &Webhook) -> Result<Created<WebhookChanged>, Fault> {
    let rotation = rotation(visit)?;
    let keep = |_: &WebhookChanged| b"{}".to_vec();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &keep });
    let control = visit.engine().control();
    Ok(control.secret_rotate(&visit.actor(), visit.tenant(), webhook.id, rotation, again).await?)
}

fn rotation(visit: &Visit) -> Result<SecretRotation, Problem> {
    match visit.form.text("do") {
        Some("confirm") => return Ok(SecretRotation::Confirm),
        Some("cancel") => return Ok(SecretRotation::Cancel),
        _ => {}
    }
    let overlap = match visit.form.text("overlap").map(str::parse) {
        None => None,
        Some(Ok(seconds)) => Some(Duration::from_secs(seconds)),
        Some(Err(_)) => return Err(Problem::at(Code::InvalidField, "overlap", "Choose one of the times.")),
    };
    Ok(SecretRotation::Begin {
        secret: visit.form.text("secret").map(SecretString::from),
        overlap,
        activate_at: visit.time("activateAt")?,
    })
}

/// The new secret, this once, and what comes next.
fn made(visit: &Visit, changed: &WebhookChanged, secret: &str) -> Markup {
    let t = |text| visit.t(text);
    let webhook = &changed.webhook;
    html! {
        (parts::heading(t("The new secret"), html! {}))
        p .lead { (webhook.name) }
        @for warning in &changed.warnings { (parts::notice(Tone::Waiting, html! { p { (warning.detail) } })) }
        (secret_once(visit, secret))
        h2 { (t("Next")) }
        @if webhook.secret_pending(visit.now) {
            ol {
                li { (t("Give the secret to the receiver, beside the old one.")) }
                li { (t("Come back and confirm it, or wait until its time has come. Until then the old one signs.")) }
            }
        } @else {
            ol {
                li { (t("Give the secret to the receiver.")) }
                li { (t("Send a test event, and see it accepted.")) }
            }
        }
        div .actions {
            a .button href=(link(visit, webhook.id, "/test")) { (t("Send a test event")) }
            a .button .ghost href=(link(visit, webhook.id, "/verify")) { (t("Code to verify")) }
            a .button .ghost href=(link(visit, webhook.id, "/secret")) { (t("Secrets of this webhook")) }
        }
    }
}
