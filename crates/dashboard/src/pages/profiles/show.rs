//! One profile: what it makes of an event, how it sends, and its source.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;
use postrider_domain::profile::{
    BodyRule, DeliveryMode, GonePolicy, OnDisable, Profile, RetryAfterPolicy, SecretForm, SecretRule, builtin,
};

use super::sketch;
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, list, text, time};
use crate::visit::Visit;

pub(super) static SHOW: Page = Page {
    method: Method::GET,
    path: "/profiles/{profile}",
    who: Who::Operator,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let profile = visit.engine().catalogue().profile(visit.path("profile"));
    let profile = profile.ok_or_else(|| Problem::not_found("profile"))?;
    let own = !builtin().iter().any(|(name, _)| *name == profile.name);
    let tenants = visit.engine().catalogue().tenants();
    let tenants = tenants.iter().filter(|tenant| tenant.profile().name == profile.name).count() as u64;
    let actions = html! {
        @if own { a .button .ghost href=(format!("/dashboard/profiles/new?profile={}", escaped(&profile.name))) { "Replace" } }
    };
    Ok(visit.page(&profile.title, html! {
        (parts::heading(&profile.title, actions))
        @if visit.query.text("done") == Some("stored") {
            (parts::notice(Tone::Good, html! { p { "The profile is stored. Events from now on follow it; those before keep their version." } }))
        }
        (parts::facts(&[
            ("Name", html! { code { (profile.name) } @if !own { " " (parts::badge(Tone::Plain, "built in")) } }),
            ("Version", html! { code { (profile.version) } }),
            ("Tenants", html! { (text::count(tenants)) }),
        ]))
        h2 { "How it sends" }
        (delivery(&profile))
        h2 { "How it signs" }
        (signature(&profile))
        (sketch::request(&visit, &profile))
        (types(&profile))
        h2 { "Source" }
        (text::block(visit.words(), "Profile as TOML", &profile.source))
    }))
}

fn delivery(profile: &Profile) -> Markup {
    let delivery = &profile.delivery;
    let (hour, minute) = delivery.scan_at;
    let statuses: Vec<String> = delivery
        .success
        .statuses
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first} to {last}") })
        .collect();
    parts::facts(&[
        (
            "Events go out",
            html! {
                @match delivery.mode {
                    DeliveryMode::Immediate => "at once",
                    DeliveryMode::Scan => { "once a day, at " (format!("{hour:02}:{minute:02}")) " in the tenant's zone" },
                }
            },
        ),
        (
            "Delivered means",
            html! {
                "an answer with " (statuses.join(", "))
                @if delivery.success.body == BodyRule::Complete { ", read to the end of its body" }
                " within " (time::duration(delivery.timeout))
            },
        ),
        ("Tried again", html! { (schedule(profile)) }),
        (
            "Retry-After",
            html! { (match delivery.retry_after { RetryAfterPolicy::Honour => "is followed", RetryAfterPolicy::Ignore => "is ignored" }) },
        ),
        (
            "After 410 Gone",
            html! { (match delivery.gone { GonePolicy::Disable => "the webhook is switched off", GonePolicy::Retry => "it is tried again like after any failure" }) },
        ),
        (
            "Switched off",
            html! { (match delivery.on_disable { OnDisable::Hold => "deliveries that wait are held until it is on again", OnDisable::Cancel => "deliveries that wait are cancelled" }) },
        ),
        (
            "After a crash",
            html! { (if delivery.at_most_once { "a request whose outcome is unknown is never made again" } else { "a request whose outcome is unknown is made again, and marked" }) },
        ),
    ])
}

fn schedule(profile: &Profile) -> String {
    let delivery = &profile.delivery;
    if delivery.retries.is_empty() {
        return "never: there is one attempt".to_owned();
    }
    let delays: Vec<String> = delivery.retries.iter().map(|delay| time::duration(*delay)).collect();
    let spread = match delivery.jitter {
        0.0 => String::new(),
        jitter => format!(", each up to {:.0} % sooner or later", jitter * 100.0),
    };
    format!("{} times, after {}{spread}", delays.len(), delays.join(", "))
}

fn signature(profile: &Profile) -> Markup {
    let Some((header, form)) = profile.signature_header() else {
        return html! { p { "It does not sign its requests." } };
    };
    parts::facts(&[
        ("Header", html! { code { (header) } }),
        ("Form", html! { code { (form) } }),
        (
            "Secret",
            html! { (match profile.signature.secret { SecretRule::Required => "every webhook has one", SecretRule::Optional => "without one, requests are not signed" }) },
        ),
        (
            "The secret is",
            html! { (match profile.signature.secret_form { SecretForm::Utf8 => "text whose own bytes are the key", SecretForm::Whsec => "whsec_ and the key as base64" }) @if profile.signature.asymmetric { ", or an Ed25519 key (whsk_)" } },
        ),
        (
            "While it is rotated",
            html! { (if profile.signature.carries_list { "the header has a signature of each secret" } else { "the old secret signs until the new one is confirmed" }) },
        ),
    ])
}

fn types(profile: &Profile) -> Markup {
    html! {
        h2 { "Event types" }
        @if profile.catalogue.open { p { "A tenant may have types beside these." } }
        @if !profile.catalogue.types.is_empty() {
            details .more {
                summary { "All " (profile.catalogue.types.len()) " types" }
                (list::table("Event types", &["Type", "What it tells"], html! {
                    @for known in &profile.catalogue.types {
                        tr { (list::cell("Type", html! { code { (known.name) } })) (list::cell("What it tells", html! { (known.description) })) }
                    }
                }))
            }
        }
    }
}
