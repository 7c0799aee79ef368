//! `/webhooks/{webhook}/verify`: code that checks this webhook's signature, ready to copy.

use http::Method;
use maud::{Markup, html};
use postrider_domain::profile::{Recipe, SecretForm, Stretch};
use postrider_domain::signature::KeyKind;
use postrider_engine::catalogue::Webhook;

use super::{in_path, link, recipe};
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, facts, text};
use crate::visit::Visit;

pub(super) static SHOW: Page = Page {
    method: Method::GET,
    path: "/webhooks/{webhook}/verify",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let webhook = in_path(&visit)?;
    let title = t("Code to verify");
    Ok(visit.page(title, html! {
        (parts::heading(title, html! {
            a .button .ghost href=(link(&visit, webhook.id, "")) { (t("Back to the webhook")) }
        }))
        p .lead { (webhook.name) }
        @if webhook.keys.is_empty() {
            (parts::notice(Tone::Waiting, html! {
                p { (t("This webhook has no secret, so its requests are not signed.")) " "
                    a href=(link(&visit, webhook.id, "/secret")) { (t("Make one")) } }
            }))
        }
        @for kind in kinds(&webhook) {
            @match visit.tenant().profile().recipe(kind) {
                Some(recipe) => (code(&visit, &webhook, &recipe)),
                None => p { (t("This profile does not sign its requests, or signs them in a form of its own: see its description.")) },
            }
        }
        p { (t("Does a signature not hold? Paste a request and see which part is wrong:")) " "
            a href=(visit.link(&format!("/signature?webhook={}", webhook.id))) { (t("Signature helper")) } }
    }))
}

/// Of the keys in force, of which there may be two while they change; without any, what a secret would be.
fn kinds(webhook: &Webhook) -> Vec<KeyKind> {
    let in_force = |kind: &KeyKind| webhook.keys.iter().any(|key| key.key.kind() == *kind);
    let kinds = [KeyKind::Shared, KeyKind::Ed25519];
    match webhook.keys.is_empty() {
        true => vec![KeyKind::Shared],
        false => kinds.into_iter().filter(in_force).collect(),
    }
}

fn code(visit: &Visit, webhook: &Webhook, recipe: &Recipe) -> Markup {
    let t = |text| visit.t(text);
    let form = format!("{}<{}>", recipe.prefix, recipe.encoding);
    html! {
        h2 { (t("What is signed, and how")) }
        (facts(&[
            (t("Header"), html! { code { (recipe.header) } }),
            (t("Its form"), html! { code { (form) }
                @if recipe.separator.is_some() { " " (t("several, divided by a space; one of them must hold, so that secrets can change without a gap")) } }),
            (t("Signed"), signed(visit, recipe)),
            (t("Algorithm"), html! { (algorithm(recipe.kind)) ", " (recipe.encoding) }),
            (t("Key"), key(visit, webhook, recipe)),
            (t("Time"), html! { @match &recipe.time_header {
                Some(header) => { code { (header) } " " (t("refuse what is more than five minutes old")) },
                None => (t("none is signed: remember what you have handled, so that a copy does nothing")),
            } }),
        ]))
        (parts::notice(Tone::Waiting, html! {
            p { strong { (t("Sign the raw body.")) } " " (t("Take the bytes as they came, before any JSON parser: parsed and written again they may differ, and nothing holds any more.")) }
        }))
        h2 { (t("Code")) }
        @for (index, (language, code)) in recipe::codes(recipe).into_iter().enumerate() {
            details .more open[index == 0] {
                summary { (language) }
                (text::block(visit.words(), language, &code))
            }
        }
    }
}

fn algorithm(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Shared => "HMAC-SHA256",
        KeyKind::Ed25519 => "Ed25519",
    }
}

fn key(visit: &Visit, webhook: &Webhook, recipe: &Recipe) -> Markup {
    let t = |text| visit.t(text);
    html! {
        @match (recipe.kind, recipe.secret_form) {
            (KeyKind::Shared, SecretForm::Utf8) => (t("the secret's text as it is")),
            (KeyKind::Shared, SecretForm::Whsec) => (t("what stands after whsec_, decoded from base64")),
            (KeyKind::Ed25519, _) => {
                @for public in webhook.keys.iter().filter_map(|key| key.key.public_key()) { code { (public) } " " }
                (t("the public half; what stands after whpk_, decoded from base64, is the key"))
            }
        }
    }
}

fn signed(visit: &Visit, recipe: &Recipe) -> Markup {
    html! {
        @for (index, stretch) in recipe.signed.iter().enumerate() {
            @if index > 0 { " + " }
            @match stretch {
                Stretch::Text(text) => code { "\"" (text) "\"" },
                Stretch::Header(name) => code { (name) },
                Stretch::Body => (visit.t("the raw body")),
            }
        }
    }
}
