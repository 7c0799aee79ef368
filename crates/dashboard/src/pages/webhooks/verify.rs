//! `/webhooks/{webhook}/verify`: code that checks this webhook's signature, ready to copy.

use http::Method;
use maud::{Markup, html};
use postrider_domain::profile::{Recipe, SecretForm, Stretch};
use postrider_domain::signature::KeyKind;
use postrider_engine::catalogue::KeyInForce;

use super::{in_path, link, recipe};
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, facts, text, time};
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
    let now = visit.now;
    let keys: Vec<&KeyInForce> =
        webhook.keys.iter().filter(|key| key.until.is_none_or(|until| now < until)).collect();
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
        (parts::notice(Tone::Waiting, html! {
            p { strong { (t("Sign the raw body.")) } " " (t("Take the bytes as they came, before any JSON parser: parsed and written again they may differ, and nothing holds any more.")) }
        }))
        @for (index, kind) in kinds(&keys).into_iter().enumerate() {
            @match visit.tenant().profile().recipe(kind) {
                Some(recipe) => (code(&visit, &keys, &recipe, index == 0)),
                None => p { (t("This profile does not sign its requests, or signs them in a form of its own: see its description.")) },
            }
        }
        p { (t("Does a signature not hold? Paste a request and see which part is wrong:")) " "
            a href=(visit.link(&format!("/signature?webhook={}", webhook.id))) { (t("Signature helper")) } }
    }))
}

/// Of the keys that sign now or from a time on, newest first; without any, what a secret would be.
fn kinds(keys: &[&KeyInForce]) -> Vec<KeyKind> {
    let mut kinds = Vec::new();
    for key in keys {
        if !kinds.contains(&key.key.kind()) {
            kinds.push(key.key.kind());
        }
    }
    match kinds.is_empty() {
        true => vec![KeyKind::Shared],
        false => kinds,
    }
}

fn code(visit: &Visit, keys: &[&KeyInForce], recipe: &Recipe, first: bool) -> Markup {
    let t = |text| visit.t(text);
    let form = format!("{}<{}>", recipe.prefix, recipe.encoding);
    let algorithm = algorithm(recipe.kind);
    html! {
        h2 { (t("What is signed, and how")) ": " (algorithm) }
        (facts(&[
            (t("Header"), html! { code { (recipe.header) } }),
            (t("Its form"), html! { code { (form) }
                @if recipe.separator.is_some() { " " (t("several, divided by a space; one of them must hold, so that secrets can change without a gap")) } }),
            (t("Signed"), signed(visit, recipe)),
            (t("Algorithm"), html! { (algorithm) ", " (recipe.encoding) }),
            (t("Key"), key(visit, keys, recipe)),
            (t("Time"), html! { @match &recipe.time_header {
                Some(header) => { code { (header) } " " (t("refuse what is more than five minutes old")) },
                None => (t("none is signed: remember what you have handled, so that a copy does nothing")),
            } }),
        ]))
        h2 { (t("Code")) ": " (algorithm) }
        @for (index, (language, code)) in recipe::codes(recipe).into_iter().enumerate() {
            details .more open[first && index == 0] {
                summary { (language) }
                (text::block(visit.words(), &format!("{language}, {algorithm}"), &code))
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

fn key(visit: &Visit, keys: &[&KeyInForce], recipe: &Recipe) -> Markup {
    let t = |text| visit.t(text);
    html! {
        @match (recipe.kind, recipe.secret_form) {
            (KeyKind::Shared, SecretForm::Utf8) => (t("the secret's text as it is")),
            (KeyKind::Shared, SecretForm::Whsec) => (t("what stands after whsec_, decoded from base64")),
            (KeyKind::Ed25519, _) => {
                @for key in keys {
                    @if let Some(public) = key.key.public_key() {
                        div {
                            code { (public) }
                            @if visit.now < key.from { " " (t("signs from")) " " (time::moment(visit, key.from)) }
                            @if let Some(until) = key.until { " " (t("signs until")) " " (time::moment(visit, until)) }
                        }
                    }
                }
                div .hint { (t("The public half: the key is what stands after whpk_, decoded from base64.")) }
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
