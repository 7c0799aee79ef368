//! `/webhooks/{webhook}/edit`: change what a webhook says of itself.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_engine::catalogue::Webhook;
use postrider_engine::control::WebhookChanged;

use super::form::{Entry, Purpose, enter_saves, fields};
use super::{in_path, link};
use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts;
use crate::visit::Visit;

pub(super) static FORM: Page = Page {
    method: Method::GET,
    path: "/webhooks/{webhook}/edit",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(form(visit)),
};

pub(super) static SAVE: Page = Page {
    method: Method::POST,
    path: "/webhooks/{webhook}/edit",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(save(visit)),
};

async fn form(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    Ok(visit.page(visit.t("Change the webhook"), page(&visit, &webhook, &Entry::of(&webhook), None)))
}

fn page(visit: &Visit, webhook: &Webhook, entry: &Entry, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    html! {
        (parts::heading(t("Change the webhook"), html! {}))
        p .lead { (webhook.name) }
        (parts::refusal(problem))
        (parts::form(visit, &link(visit, webhook.id, "/edit"), html! {
            (enter_saves())
            (fields(visit, entry, Purpose::Change(webhook), problem))
            p .hint { (t("The secret changes on its own page, without a request that cannot be verified:")) " "
                a href=(link(visit, webhook.id, "/secret")) { (t("Rotate the secret")) } }
            div .actions {
                button type="submit" { (t("Save")) }
                a .button .ghost href=(link(visit, webhook.id, "")) { (t("Cancel")) }
            }
        }))
    }
}

async fn save(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    let entry = Entry::read(&visit.form);
    if visit.form.text("do") == Some("matches") {
        return Ok(visit.page(visit.t("Change the webhook"), page(&visit, &webhook, &entry, None)));
    }
    match change(&visit, &webhook).await {
        Ok(changed) => Ok(see_other(&link(&visit, changed.webhook.id, "?done=saved"))),
        Err(fault) => {
            let problem = fault.problem()?;
            let body = page(&visit, &webhook, &entry, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Change the webhook"), body))
        }
    }
}

async fn change(visit: &Visit, webhook: &Webhook) -> Result<WebhookChanged, Fault> {
    let patch = Entry::read(&visit.form).into_patch(visit, webhook)?;
    let control = visit.engine().control();
    Ok(control.webhook_update(&visit.actor(), visit.tenant(), webhook.id, patch).await?)
}
