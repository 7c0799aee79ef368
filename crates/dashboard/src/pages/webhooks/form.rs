//! The form of a webhook: what is in it, how it is read, and how it is shown.

use std::collections::BTreeMap;

use maud::{Markup, html};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::{SecretForm, SecretRule};
use postrider_engine::catalogue::Webhook;
use postrider_engine::control::{NewWebhook, WebhookPatch};
use secrecy::SecretString;

use super::{checks, types};
use crate::form::Form;
use crate::parts::fields::{self, Field};
use crate::visit::Visit;

/// Stands for a header's value that is stored: the values often hold credentials, and are never shown again.
const MASK: &str = "********";
/// Rows for headers, beside those that are filled.
const SPARE_HEADER_ROWS: usize = 3;
/// Of a form, as many are read: more than a webhook may have.
const HEADER_ROWS_MAX: usize = 64;
/// Types with a checkbox each; of a longer catalogue the others are named in the field for further patterns.
const TYPES_SHOWN_MAX: usize = 300;

/// What a form says, or what it begins with.
#[derive(Default)]
pub(super) struct Entry {
    name: String,
    url: String,
    patterns: Vec<String>,
    /// `none`, `generate` or `own`; `keep` for a webhook that is there.
    secret_choice: String,
    secret: Option<SecretString>,
    headers: Vec<(String, String)>,
    description: String,
    enabled: bool,
}

/// What the form is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    New,
    Change(&'a Webhook),
}

impl Entry {
    /// For a new webhook, at `url` where that is known.
    pub(super) fn empty(visit: &Visit, url: &str) -> Self {
        let required = visit.tenant().profile().signature.secret == SecretRule::Required;
        Self {
            url: url.to_owned(),
            secret_choice: if required { "generate" } else { "none" }.to_owned(),
            enabled: true,
            ..Self::default()
        }
    }

    pub(super) fn of(webhook: &Webhook) -> Self {
        Self {
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            patterns: webhook.patterns.as_strings(),
            secret_choice: String::new(),
            secret: None,
            headers: webhook.headers.iter().map(|(name, _)| (name.clone(), MASK.to_owned())).collect(),
            description: webhook.description.clone(),
            enabled: webhook.enabled,
        }
    }

    pub(super) fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            url: text("url"),
            patterns: patterns(form),
            secret_choice: text("secret_choice"),
            secret: form.text("secret").map(SecretString::from),
            headers: headers(form),
            description: text("description"),
            enabled: form.is_on("enabled"),
        }
    }

    pub(super) fn into_new(self, visit: &Visit) -> Result<NewWebhook, Problem> {
        // Whoever enters one means it, whatever is chosen above.
        let own = self.secret_choice == "own" || self.secret.is_some();
        if own && self.secret.is_none() {
            return Err(Problem::at(
                Code::MissingField,
                "secret",
                "Enter the secret, or have one generated.",
            ));
        }
        let selects = visit.tenant().profile().webhook.selects_events;
        Ok(NewWebhook {
            name: Some(self.name).filter(|name| !name.is_empty()),
            url: self.url,
            events: selects.then_some(self.patterns),
            secret: self.secret.filter(|_| own),
            generate_secret: !own && self.secret_choice == "generate",
            headers: unmasked(self.headers, &[])?,
            description: Some(self.description),
            enabled: Some(self.enabled),
        })
    }

    pub(super) fn into_patch(self, visit: &Visit, webhook: &Webhook) -> Result<WebhookPatch, Problem> {
        let selects = visit.tenant().profile().webhook.selects_events;
        Ok(WebhookPatch {
            name: Some(self.name).filter(|name| !name.is_empty()),
            url: Some(self.url),
            events: selects.then_some(self.patterns),
            // A secret changes on its own page, without a gap.
            secret: None,
            generate_secret: false,
            headers: Some(unmasked(self.headers, &webhook.headers)?),
            description: Some(Some(self.description).filter(|text| !text.is_empty())),
            enabled: Some(self.enabled),
        })
    }
}

/// The patterns that a form asks for: its boxes, then what is in the free field.
pub(super) fn patterns(form: &Form) -> Vec<String> {
    let boxes = form.all("events").map(str::to_owned);
    let further = form.text("more_events").unwrap_or_default();
    let further = further.split([',', ' ', '\n', '\r', '\t']).filter(|text| !text.is_empty());
    let mut patterns: Vec<String> = Vec::new();
    for pattern in boxes.chain(further.map(str::to_owned)) {
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    patterns
}

fn headers(form: &Form) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for row in 0..HEADER_ROWS_MAX {
        let Some(name) = form.text(&format!("header_name_{row}")) else { continue };
        let value = form.text(&format!("header_value_{row}")).unwrap_or_default();
        headers.push((name.to_owned(), value.to_owned()));
    }
    headers
}

/// Headers as they were typed, with masked values put back.
fn unmasked(
    typed: Vec<(String, String)>,
    stored: &[(String, String)],
) -> Result<Vec<(String, String)>, Problem> {
    let mut headers = Vec::with_capacity(typed.len());
    for (name, value) in typed {
        let kept = stored.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        match (value == MASK, kept) {
            (false, _) => headers.push((name, value)),
            (true, Some((_, value))) => headers.push((name, value.clone())),
            (true, None) => {
                let detail = "The stars stand for a value that is stored, and none is stored for this header. Enter the value.";
                return Err(Problem::at(Code::HeaderInvalid, format!("headers.{name}"), detail));
            }
        }
    }
    Ok(headers)
}

/// Enter in a field presses a form's first button: that must be the one that saves, not one that only looks.
pub(super) fn enter_saves() -> Markup {
    html! { button .quiet type="submit" tabindex="-1" aria-hidden="true" {} }
}

/// The form's fields. A secret that was typed is not shown again.
pub(super) fn fields(
    visit: &Visit,
    entry: &Entry,
    purpose: Purpose<'_>,
    problem: Option<&Problem>,
) -> Markup {
    let t = |text| visit.t(text);
    let field = Field { problem, ..Field::default() };
    html! {
        (fields::text(Field { name: "url", label: t("URL"), value: &entry.url, required: true,
            hint: t("Where events go: https, and reachable from here."), ..field }, "url"))
        (fields::text(Field { name: "name", label: t("Name"), value: &entry.name,
            hint: t("What people call it. The URL's host when left empty."), ..field }, "text"))
        @if visit.tenant().profile().webhook.selects_events { (events(visit, entry, problem)) }
        @if matches!(purpose, Purpose::New) { (secret(visit, entry, problem)) }
        (header_rows(visit, entry, problem))
        (fields::area(Field { name: "description", label: t("Description"), value: &entry.description,
            hint: t("For people."), ..field }, 2))
        (fields::check("enabled", t("Active: send events at once"), entry.enabled))
        (checks::place(visit, purpose))
    }
}

/// A checkbox for each type and each family, and a field for what they do not say.
fn events(visit: &Visit, entry: &Entry, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let types = types(visit.tenant());
    let mut families: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for known in types.iter().take(TYPES_SHOWN_MAX) {
        let family = known.name.split('.').next().unwrap_or(&known.name);
        families.entry(family).or_default().push((&known.name, &known.description));
    }
    let has_box = |pattern: &str| {
        let family = pattern.strip_suffix(".*").is_some_and(|family| families.contains_key(family));
        let exact = types.iter().take(TYPES_SHOWN_MAX).any(|known| known.name == pattern);
        pattern == "*" || family || exact
    };
    let further: Vec<&str> =
        entry.patterns.iter().map(String::as_str).filter(|pattern| !has_box(pattern)).collect();
    let error = problem.filter(|problem| {
        problem.field.as_deref().is_some_and(|field| field == "events" || field.starts_with("events["))
    });
    html! {
        fieldset .field {
            legend { (t("Events")) }
            p .hint { (t("Choose types one by one, whole families, or everything that comes.")) }
            @if let Some(problem) = error { p .error role="alert" { (problem.detail) } }
            (pattern_box("*", t("Every event, also of types to come"), entry))
            @for (family, members) in &families {
                @let wildcard = format!("{family}.*");
                fieldset .field {
                    legend { (family) }
                    div .options {
                        @if members.iter().any(|(name, _)| name.len() > family.len()) {
                            (pattern_box(&wildcard, &wildcard, entry))
                        }
                        @for (name, description) in members { (type_box(name, description, entry)) }
                    }
                }
            }
        }
        (fields::area(Field { name: "more_events", label: t("Further patterns"), value: &further.join("\n"),
            hint: t("One a line: a type, or its beginning with .* at the end."), ..Field::default() }, 2))
        (checks::matches_place(visit, &entry.patterns))
    }
}

fn pattern_box(pattern: &str, label: &str, entry: &Entry) -> Markup {
    let id = format!("events-{pattern}");
    html! {
        div .check {
            input id=(id) type="checkbox" name="events" value=(pattern) checked[entry.patterns.iter().any(|known| known == pattern)];
            label for=(id) { (label) }
        }
    }
}

fn type_box(name: &str, description: &str, entry: &Entry) -> Markup {
    let id = format!("events-{name}");
    html! {
        div .check {
            input id=(id) type="checkbox" name="events" value=(name) checked[entry.patterns.iter().any(|known| known == name)];
            label for=(id) title=(description) { code { (name) } }
        }
    }
}

fn secret(visit: &Visit, entry: &Entry, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let policy = &visit.tenant().profile().signature;
    let required = policy.secret == SecretRule::Required;
    let mut choices =
        vec![("generate", t("Generate one, and show it once")), ("own", t("Use one of my own"))];
    if !required {
        choices.insert(0, ("none", t("None: requests are not signed")));
    }
    let hint = match policy.secret_form {
        SecretForm::Whsec => t("Of the form whsec_ with 24 to 64 bytes in base64."),
        SecretForm::Utf8 => t("Any text; the longer the better."),
    };
    html! {
        fieldset .field {
            legend { (t("Signing secret")) }
            p .hint { (t("With it the receiver knows that a request is genuine.")) }
            @for (value, label) in choices {
                div .check {
                    input id={ "secret_choice-" (value) } type="radio" name="secret_choice" value=(value) checked[entry.secret_choice == value];
                    label for={ "secret_choice-" (value) } { (label) }
                }
            }
        }
        (fields::text(Field { name: "secret", label: t("Secret of your own"), hint, problem, ..Field::default() }, "password"))
    }
}

fn header_rows(visit: &Visit, entry: &Entry, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let error =
        problem.filter(|problem| problem.field.as_deref().is_some_and(|field| field.starts_with("headers")));
    let empty = (String::new(), String::new());
    let rows = entry.headers.iter().chain(std::iter::repeat_n(&empty, SPARE_HEADER_ROWS));
    html! {
        fieldset .field {
            legend { (t("Extra headers")) }
            p .hint { (t("Sent with every request. Stored values are shown as stars and stay as they are; a row without a name is left out.")) }
            @if let Some(problem) = error { p .error role="alert" { (problem.detail) } }
            @for (row, (name, value)) in rows.take(HEADER_ROWS_MAX).enumerate() {
                div .columns {
                    input name={ "header_name_" (row) } value=(name) aria-label={ (t("Header name")) " " (row + 1) } placeholder=(t("Name")) autocomplete="off" spellcheck="false";
                    input name={ "header_value_" (row) } value=(value) aria-label={ (t("Header value")) " " (row + 1) } placeholder=(t("Value")) autocomplete="off" spellcheck="false";
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_and_the_free_field_make_the_patterns() {
        let form = Form::parse(b"events=a.*&events=b.c&more_events=d.e%2C+a.*%0Af.*");
        assert_eq!(patterns(&form), ["a.*", "b.c", "d.e", "f.*"]);
    }

    #[test]
    fn stars_keep_what_is_stored_and_nothing_else() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let stored = [pair("X-Key", "hush")];
        let kept =
            unmasked(vec![pair("x-key", MASK), pair("X-New", "v")], &stored).expect("both have values");
        assert_eq!(kept, [pair("x-key", "hush"), pair("X-New", "v")]);
        assert!(unmasked(vec![pair("X-Other", MASK)], &stored).is_err());
    }
}
