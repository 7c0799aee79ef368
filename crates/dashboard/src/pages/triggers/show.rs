//! `…/triggers/{trigger}`: what starts runs here, how to send to it, and what can be done about it.

use http::Method;
use maud::{Markup, html};
use postrider_domain::run::TriggerKind;
use postrider_engine::inbound::registered::RegisteredWorkflow;
use postrider_engine::inbound::trigger::{DedupBy, SECRET_HEADER, Trigger};

use super::{in_path, kind_label, link, state, url};
use crate::page::{Answer, Page, Who};
use crate::pages::workflows;
use crate::parts::{self, Tone, fields, text, time};
use crate::visit::Visit;

pub(crate) static SHOW: Page = Page {
    method: Method::GET,
    path: "/workflows/{workflow}/triggers/{trigger}",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

/// Times of a clock that are shown.
const NEXT_TIMES: usize = 5;

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let (workflow, trigger) = in_path(&visit)?;
    let to = |below: &str| link(&visit, &workflow, &trigger, below);
    let switch = if trigger.enabled { t("Switch off") } else { t("Switch on") };
    let body = html! {
        (parts::heading(&trigger.name, html! {
            (state(&visit, &trigger))
            @if visit.may_change() {
                (parts::act(&visit, &to(if trigger.enabled { "/off" } else { "/on" }), "ghost", switch))
                a .button href=(to("/edit")) { (t("Edit")) }
            }
        }))
        (parts::done(&visit, &[
            ("saved", "Saved. It counts from now on."),
            ("on", "The trigger is on."),
            ("off", "The trigger is off. What comes to it is refused, and written down."),
            ("url", "The trigger has another URL. The old one is unknown from now on: give the new one to the sender."),
            ("rotated", "The new secret is taken from now on, the old ones for the overlap as well."),
        ]))
        (facts(&visit, &workflow, &trigger))
        (how_to_send(&visit, &trigger))
        @if trigger.kind == TriggerKind::Cron { (next_times(&visit, &trigger)) }
        @if visit.may_change() { (what_to_do(&visit, &trigger, &to)) }
    };
    Ok(visit.page(&trigger.name, body))
}

fn facts(visit: &Visit, workflow: &RegisteredWorkflow, trigger: &Trigger) -> Markup {
    let t = |text| visit.t(text);
    let settings = &trigger.settings;
    let mut facts = vec![
        (t("Workflow"), html! { a href=(workflows::link(visit, &workflow.name, "")) { (workflow.name) } }),
        (t("Type"), html! { (t(kind_label(trigger.kind))) }),
        (t("Id"), html! { code { (trigger.id) } }),
    ];
    if trigger.kind == TriggerKind::Webhook {
        facts.push((t("Verified by"), match trigger.preset() {
            Some(preset) => html! { (preset.title()) @if let Some(note) = preset.note() { p .hint { (note) } } },
            None => html! { (parts::badge(Tone::Waiting, t("nothing"))) " " (t("Whoever knows the URL may send.")) },
        }));
        facts.push((t("Methods"), html! { (trigger.methods().join(", ")) }));
        facts.push((t("Largest body"), html! { (text::size(trigger.body_bytes_max() as u64)) }));
        facts.push((
            t("Known again by"),
            match &settings.dedup {
                None => html! { (t("what the preset says")) },
                Some(DedupBy::None) => html! { (t("nothing: every request starts a run")) },
                Some(DedupBy::Header(name)) => html! { (t("the header")) " " code { (name) } },
                Some(DedupBy::Expression(source)) => html! { code { (source) } },
            },
        ));
        facts.push((
            t("Requests"),
            html! {
                a href=(visit.link(&format!("/requests?trigger={}", trigger.id))) { (t("taken and refused")) }
            },
        ));
    }
    if let Some(events) = &settings.events {
        facts.push((t("Events"), html! { code { (events.join(", ")) } }));
    }
    if let Some(filter) = &settings.filter {
        facts.push((t("Filter"), html! { code { (filter) } }));
    }
    if let Some(rate) = settings.rate_limit {
        facts.push((t("Requests a second"), html! { (rate.per_second) }));
    }
    if let Some(addresses) = &settings.allowed_addresses {
        facts.push((t("Addresses"), html! { code { (addresses.join(", ")) } }));
    }
    if let Some(times) = settings.cron.as_ref().or(settings.every.as_ref()) {
        let zone = settings.timezone.as_deref().unwrap_or("UTC");
        facts.push((t("Times"), html! { code { (times) } " " (zone) }));
    }
    facts.push((
        t("Runs"),
        html! {
            a href=(visit.link(&format!("/runs?trigger={}", trigger.id))) { (t("that it started")) }
        },
    ));
    facts.push((t("Changed"), time::moment(visit, trigger.updated)));
    parts::facts(&facts)
}

/// The URL, and a request that can be pasted into a terminal; the secret's place is held by a word.
pub(super) fn how_to_send(visit: &Visit, trigger: &Trigger) -> Markup {
    let t = |text| visit.t(text);
    let Some(url) = url(visit, trigger) else {
        let hidden = trigger.kind == TriggerKind::Webhook;
        return html! { @if hidden { p .hint { (t("Its URL is shown to admins: who has it may send.")) } } };
    };
    let preset = trigger.preset();
    // Header names are kept in small letters; ours is known by its own spelling.
    let spelled = |name: &http::HeaderName| match SECRET_HEADER.eq_ignore_ascii_case(name.as_str()) {
        true => SECRET_HEADER.to_owned(),
        false => name.to_string(),
    };
    // Of several headers that may carry it, one is enough.
    let token = preset.and_then(|preset| preset.token_headers().next()).map(spelled);
    let signs = preset.is_some() && token.is_none();
    let methods = trigger.methods();
    let method = methods.first().map_or("POST", String::as_str);
    let secrets = token.map(|name| format!(" \\\n  -H '{name}: YOUR_SECRET'")).unwrap_or_default();
    let curl = format!(
        "curl -X {method} '{url}' \\\n  -H 'Content-Type: application/json'{secrets} \\\n  -d '{{\"hello\": \"world\"}}'"
    );
    html! {
        h2 { (t("Send to it")) }
        (text::block(visit.words(), t("URL"), &url))
        @if signs {
            p { (t("The provider signs its requests with the secret: register the URL there. A request without its signature, such as this, is refused, and shows that the URL is right.")) }
        }
        (text::block(visit.words(), t("With curl"), &curl))
    }
}

fn next_times(visit: &Visit, trigger: &Trigger) -> Markup {
    let t = |text| visit.t(text);
    let times = trigger.next_times(visit.now, NEXT_TIMES);
    html! {
        h2 { (t("Its next times")) }
        @if !trigger.enabled { p { (t("While it is off, none of them starts a run.")) } }
        @if times.is_empty() { p { (t("No time is to come.")) } }
        ol { @for time in times { li { (time::moment(visit, time)) } } }
    }
}

fn what_to_do(visit: &Visit, trigger: &Trigger, to: &dyn Fn(&str) -> String) -> Markup {
    let t = |text| visit.t(text);
    html! {
        @if trigger.kind == TriggerKind::Webhook {
            h2 { (t("Test a request")) }
            p { (t("Paste a request, and see what the verifier and the filter say of it. It starts no run.")) }
            p { a .button .ghost href=(to("/test")) { (t("Test a request")) } }
            @if !trigger.verifiers.is_empty() {
                h2 { (t("Rotate the secret")) }
                (parts::form(visit, &to("/secret"), html! {
                    (fields::text(fields::Field {
                        name: "secret",
                        label: t("New secret"),
                        hint: t("The provider's, or your own. Empty: one is made, and shown once."),
                        ..fields::Field::default()
                    }, "password"))
                    (fields::choice(fields::Field {
                        name: "overlapSeconds",
                        label: t("The old ones are taken for"),
                        value: "86400",
                        ..fields::Field::default()
                    }, &[("0", t("no longer")), ("3600", t("an hour more")), ("86400", t("a day more")), ("604800", t("a week more")), ("2592000", t("30 days more"))]))
                    div .actions { button .ghost type="submit" { (t("Rotate the secret")) } }
                }))
            }
            (parts::danger(visit, &to("/url"), t("Give it another URL"), t("The old URL is unknown at once. The trigger keeps its secret and its history.")))
        }
        (parts::danger(visit, &to("/delete"), t("Delete this trigger"), t("Its URL is unknown from then on; its requests and runs stay in the history.")))
    }
}
