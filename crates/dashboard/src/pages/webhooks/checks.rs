//! Parts of the form that answer while it is filled in: which types the patterns match, and what saving would say.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::WebhookId;
use postrider_domain::pattern::Patterns;
use postrider_domain::problem::{Problem, Warning};
use postrider_engine::EngineError;

use super::form::{Entry, Purpose, patterns};
use super::types;
use crate::fault::Fault;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone};
use crate::visit::Visit;

pub(super) static MATCHES: Page = Page {
    method: Method::GET,
    path: "/webhooks/matches",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(async move { Ok(visit.part(matches_place(&visit, &patterns(&visit.query)))) }),
};

/// The form as it is, with its secret: in a body, where no log sees it.
pub(super) static CHECK: Page = Page {
    method: Method::POST,
    path: "/webhooks/check",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(check(visit)),
};

/// Types named one by one; of more, how many.
const MATCHES_SHOWN: usize = 40;

/// Which types the patterns match, renewed as they change.
pub(super) fn matches_place(visit: &Visit, patterns: &[String]) -> Markup {
    let t = |text| visit.t(text);
    html! {
        div #matches .card aria-live="polite"
            hx-get=(visit.link("/webhooks/matches")) hx-swap="outerHTML" hx-include="[name='events'],[name='more_events']"
            hx-trigger="change from:closest form delay:150ms, input from:#more_events delay:400ms" {
            strong { (t("These patterns match")) }
            @if patterns.is_empty() {
                p .hint { (t("Nothing is chosen yet.")) }
            } @else {
                @match Patterns::parse(patterns) {
                    Ok(parsed) => (matched(visit, &parsed)),
                    Err(problem) => p .error { (problem.detail) },
                }
            }
            div data-without-script { button .ghost type="submit" name="do" value="matches" formnovalidate { (t("Show what matches")) } }
        }
    }
}

fn matched(visit: &Visit, parsed: &Patterns) -> Markup {
    let types = types(visit.tenant());
    let found: Vec<&str> =
        types.iter().map(|known| known.name.as_str()).filter(|name| parsed.matches(name)).collect();
    html! {
        @if found.is_empty() {
            p .hint { (visit.t("None of the types that are known here.")) }
        } @else {
            p {
                @for (index, name) in found.iter().take(MATCHES_SHOWN).enumerate() {
                    @if index > 0 { ", " }
                    code { (name) }
                }
                @if found.len() > MATCHES_SHOWN { " +" (found.len() - MATCHES_SHOWN) }
            }
        }
    }
}

/// Where the answer of [`CHECK`] stands: it has its room from the beginning.
pub(super) fn place(visit: &Visit, purpose: Purpose<'_>) -> Markup {
    place_with(
        visit,
        webhook_of(purpose).as_deref(),
        html! {
            p .hint { (visit.t("What would be refused, and why, is said here as you type, and once more when you save.")) }
        },
    )
}

fn webhook_of(purpose: Purpose<'_>) -> Option<String> {
    match purpose {
        Purpose::New => None,
        Purpose::Change(webhook) => Some(webhook.id.to_string()),
    }
}

fn place_with(visit: &Visit, webhook: Option<&str>, body: Markup) -> Markup {
    html! {
        div #check aria-live="polite" hx-post=(visit.link("/webhooks/check")) hx-swap="outerHTML"
            hx-trigger="change from:closest form delay:250ms" {
            @if let Some(webhook) = webhook { input type="hidden" name="webhook" value=(webhook); }
            (body)
        }
    }
}

async fn check(visit: Visit) -> Answer {
    let webhook = visit.form.text("webhook").map(str::to_owned);
    let outcome = match checked(&visit, webhook.as_deref()).await {
        Ok(warnings) => Ok(warnings),
        Err(error) => Err(Fault::from(error).problem()?),
    };
    Ok(visit.part(place_with(&visit, webhook.as_deref(), said(&visit, outcome))))
}

async fn checked(visit: &Visit, webhook: Option<&str>) -> Result<Vec<Warning>, EngineError> {
    let (control, actor, tenant) = (visit.engine().control(), visit.actor(), visit.tenant());
    let entry = Entry::read(&visit.form);
    let Some(webhook) = webhook else {
        return control.webhook_check(&actor, tenant, entry.into_new(visit)?).await;
    };
    let id = WebhookId::parse(webhook).map_err(|_| Problem::not_found("webhook"))?;
    let webhook = tenant.webhook(id).ok_or_else(|| Problem::not_found("webhook"))?;
    control.webhook_check_change(&actor, tenant, id, entry.into_patch(visit, webhook)?).await
}

fn said(visit: &Visit, outcome: Result<Vec<Warning>, Problem>) -> Markup {
    match outcome {
        Err(problem) => parts::notice(
            Tone::Bad,
            html! {
                p { strong { (visit.t("This would be refused:")) } " " (problem.detail) }
            },
        ),
        Ok(warnings) if warnings.is_empty() => parts::notice(
            Tone::Good,
            html! {
                p { (visit.t("Nothing would be refused.")) }
            },
        ),
        Ok(warnings) => parts::notice(
            Tone::Waiting,
            html! {
                @for warning in warnings { p { (warning.detail) } }
            },
        ),
    }
}
