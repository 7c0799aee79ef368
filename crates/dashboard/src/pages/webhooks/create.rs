//! `/webhooks/new`: register a URL, and see its secret once.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::WebhookId;
use postrider_domain::problem::Problem;
use postrider_engine::control::{Created, Repeatable, WebhookChanged};
use secrecy::ExposeSecret;

use super::form::{Entry, Purpose, enter_saves, fields};
use super::{link, secret_once};
use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::{self, Tone};
use crate::visit::Visit;

pub(super) static FORM: Page = Page {
    method: Method::GET,
    path: "/webhooks/new",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(form(visit)),
};

pub(super) static CREATE: Page = Page {
    method: Method::POST,
    path: "/webhooks/new",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(create(visit)),
};

async fn form(visit: Visit) -> Answer {
    if visit.tenant().profile().webhook.single {
        return Ok(see_other(&visit.link("/webhooks")));
    }
    let entry = Entry::empty(&visit, visit.query.text("url").unwrap_or_default());
    Ok(visit.page(visit.t("New webhook"), page(&visit, &entry, None)))
}

fn page(visit: &Visit, entry: &Entry, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    html! {
        (parts::heading(t("New webhook"), html! {}))
        p .lead { (t("A URL of yours that gets a signed request for each event you choose.")) }
        (parts::refusal(problem))
        div .card {
            p { (t("No receiver yet? An inbox of this page shows what arrives, and its URL is filled in for you.")) }
            (parts::act(visit, &visit.link("/inbox/new?for=webhook"), "ghost", t("Use an inbox as the receiver")))
        }
        (parts::form(visit, &visit.link("/webhooks/new"), html! {
            (enter_saves())
            (fields(visit, entry, Purpose::New, problem))
            div .actions {
                button type="submit" { (t("Create the webhook")) }
                a .button .ghost href=(visit.link("/webhooks")) { (t("Cancel")) }
            }
        }))
    }
}

async fn create(visit: Visit) -> Answer {
    let entry = Entry::read(&visit.form);
    if visit.form.text("do") == Some("matches") {
        return Ok(visit.page(visit.t("New webhook"), page(&visit, &entry, None)));
    }
    match make(&visit).await {
        Ok(Created::Fresh(made)) => Ok(visit.page(visit.t("The webhook is there"), made_page(&visit, &made))),
        // Its secret was shown in the first answer.
        Ok(Created::Replayed(id)) => {
            let id: Option<[u8; 16]> = id.try_into().ok();
            let id = id.map(WebhookId::from_bytes).ok_or_else(|| Problem::not_found("webhook"))?;
            Ok(see_other(&link(&visit, id, "")))
        }
        Err(fault) => {
            let problem = fault.problem()?;
            let body = page(&visit, &entry, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("New webhook"), body))
        }
    }
}

async fn make(visit: &Visit) -> Result<Created<WebhookChanged>, Fault> {
    let new = Entry::read(&visit.form).into_new(visit)?;
    let keep = |made: &WebhookChanged| made.webhook.id.as_bytes().to_vec();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &keep });
    Ok(visit.engine().control().webhook_create(&visit.actor(), visit.tenant(), new, again).await?)
}

/// What was made, and the two steps that follow.
fn made_page(visit: &Visit, made: &WebhookChanged) -> Markup {
    let t = |text| visit.t(text);
    let id = made.webhook.id;
    html! {
        (parts::heading(t("The webhook is there"), html! {}))
        p .lead { (made.webhook.name) ": " code { (made.webhook.url) } }
        @for warning in &made.warnings { (parts::notice(Tone::Waiting, html! { p { (warning.detail) } })) }
        @if let Some(secret) = &made.secret { (secret_once(visit, secret.expose_secret())) }
        h2 { (t("Next")) }
        div .actions {
            a .button href=(link(visit, id, "/test")) { (t("Send a test event")) }
            a .button .ghost href=(link(visit, id, "/verify")) { (t("Code to verify")) }
            a .button .ghost href=(link(visit, id, "")) { (t("Open the webhook")) }
        }
    }
}
