//! `settings.webhook`: the one webhook of a tenant whose profile has one.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_engine::control::{TenantChanged, TenantPatch, webhook_settings};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::show;
use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone, text};
use crate::visit::Visit;

pub(super) static SAVE: Page = Page {
    method: Method::POST,
    path: "/settings/webhook",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(save(visit)),
};

pub(super) static DELETE: Page = Page {
    method: Method::POST,
    path: "/settings/webhook/delete",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(delete(visit)),
};

pub(super) fn card(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let tenant = visit.tenant();
    let webhook = webhook_settings(tenant);
    html! {
        section .card {
            h2 { (t("Webhook")) }
            @if !visit.may_change() || !tenant.plan_has_webhooks() {
                @match &webhook {
                    Some(webhook) => (parts::facts(&[
                        (t("URL"), parts::outward(&webhook.url)),
                        (t("State"), state(visit, webhook.enabled)),
                        (t("Secret"), html! { (if webhook.secret_set { t("set") } else { t("none: requests are not signed") }) }),
                    ])),
                    None => p { (t("No webhook is set.")) },
                }
                @if !tenant.plan_has_webhooks() { p .hint { (t("The tenant's plan does not include webhooks.")) } }
            } @else {
                @let typed = visit.form.raw("settings.webhook.url");
                @let url = typed.or(webhook.as_ref().map(|webhook| webhook.url.as_str())).unwrap_or_default();
                @let enabled = match typed { Some(_) => visit.form.is_on("enabled"), None => webhook.as_ref().is_none_or(|webhook| webhook.enabled) };
                @let secret_set = webhook.as_ref().is_some_and(|webhook| webhook.secret_set);
                @let secret_changes = secret_changes(visit, secret_set);
                (parts::form(visit, &visit.link("/settings/webhook"), html! {
                    (fields::text(Field { name: "settings.webhook.url", label: t("URL"), value: url, hint: t("Where events go. https, unless the installation allows http."), required: true, problem }, "url"))
                    (fields::check("enabled", t("Send events there"), enabled))
                    (fields::choice(Field { name: "secret-change", label: t("Signing secret"), value: visit.form.text("secret-change").unwrap_or_default(), hint: if secret_set { t("Requests are signed with a secret. It is never shown again.") } else { t("No secret is set: requests are not signed.") }, ..Field::default() }, &secret_changes))
                    (fields::text(Field { name: "settings.webhook.secret", label: t("Your own secret"), value: "", hint: t("Only where you chose to use the one below."), problem, ..Field::default() }, "password"))
                    div .actions { button type="submit" { (t("Save webhook")) } }
                }))
                @if webhook.is_some() {
                    form method="post" action=(visit.link("/settings/webhook/delete")) .inline {
                        (parts::hidden(visit))
                        button .danger type="submit" data-confirm=(t("Delete the webhook? Nothing is sent any more.")) { (t("Delete webhook")) }
                    }
                }
            }
        }
    }
}

/// What a form can do with the secret, the likeliest first.
fn secret_changes(visit: &Visit, secret_set: bool) -> Vec<(&'static str, &'static str)> {
    let t = |text| visit.t(text);
    if secret_set {
        return vec![
            ("", t("Keep it")),
            ("generate", t("Generate a new one, and show it once")),
            ("given", t("Use the one below")),
            ("remove", t("Remove it")),
        ];
    }
    vec![
        ("generate", t("Generate one, and show it once")),
        ("given", t("Use the one below")),
        ("", t("None")),
    ]
}

fn state(visit: &Visit, enabled: bool) -> Markup {
    if enabled { parts::badge(Tone::Good, visit.t("on")) } else { parts::badge(Tone::Plain, visit.t("off")) }
}

async fn save(visit: Visit) -> Answer {
    let mut webhook = Map::new();
    webhook.insert("url".to_owned(), visit.form.text("settings.webhook.url").unwrap_or_default().into());
    webhook.insert("enabled".to_owned(), visit.form.is_on("enabled").into());
    match visit.form.text("secret-change") {
        Some("generate") => drop(webhook.insert("generateSecret".to_owned(), true.into())),
        Some("remove") => drop(webhook.insert("secret".to_owned(), Value::Null)),
        Some("given") => {
            let secret = visit.form.raw("settings.webhook.secret").unwrap_or_default();
            webhook.insert("secret".to_owned(), secret.into());
        }
        _ => {}
    }
    match change(&visit, Value::Object(webhook)).await {
        Ok(changed) => Ok(saved(&visit, &changed)),
        Err(error) => {
            let problem = error.problem()?;
            let body = show::body(&visit, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Settings"), body))
        }
    }
}

async fn delete(visit: Visit) -> Answer {
    change(&visit, Value::Null).await?;
    Ok(see_other(&visit.link("/settings?done=webhook-deleted")))
}

async fn change(visit: &Visit, webhook: Value) -> Result<TenantChanged, Fault> {
    let settings = json!({ "webhook": webhook }).as_object().cloned();
    let patch = TenantPatch { settings, ..TenantPatch::default() };
    Ok(visit.engine().control().tenant_update(&visit.actor(), visit.tenant().id, patch).await?)
}

/// A secret is shown here and nowhere else.
fn saved(visit: &Visit, changed: &TenantChanged) -> axum::response::Response {
    let t = |text| visit.t(text);
    if changed.secret.is_none() && changed.warnings.is_empty() {
        return see_other(&visit.link("/settings?done=webhook"));
    }
    visit.page(t("The webhook is saved"), html! {
        (parts::heading(t("The webhook is saved"), html! {}))
        @for warning in &changed.warnings { (parts::notice(Tone::Waiting, html! { p { (warning.detail) } })) }
        @if let Some(secret) = &changed.secret {
            p { (t("This is its signing secret. It is shown once: put it into your receiver now.")) }
            (text::block(visit.words(), t("Signing secret"), secret.expose_secret()))
        }
        p { a .button href=(visit.link("/settings")) { (t("I have it")) } }
    })
}
