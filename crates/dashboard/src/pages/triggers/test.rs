//! `…/triggers/{trigger}/test`: paste a request, and see what the trigger's verifier and filter say of it. Nothing is kept.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use maud::{Markup, html};
use postrider_domain::capture::{self, Captured};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::inbound::receive::Came;
use postrider_engine::inbound::test::Explained;
use postrider_store::StoreError;
use serde_json::Value;

use super::{in_path, link, url};
use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, fields, text};
use crate::visit::Visit;

pub(crate) static FORM: Page = Page {
    method: Method::GET,
    path: "/workflows/{workflow}/triggers/{trigger}/test",
    who: Who::Admin,
    handle: |visit| Box::pin(form_page(visit)),
};

pub(crate) static TEST: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/triggers/{trigger}/test",
    who: Who::Admin,
    handle: |visit| Box::pin(test(visit)),
};

async fn form_page(visit: Visit) -> Answer {
    let (workflow, trigger) = in_path(&visit)?;
    let body = page(&visit, &link(&visit, &workflow, &trigger, ""), &trigger.name, None, None);
    Ok(visit.page(visit.t("Test a request"), body))
}

async fn test(visit: Visit) -> Answer {
    let (workflow, trigger) = in_path(&visit)?;
    let Some(url) = url(&visit, &trigger) else {
        return Err(Problem::new(Code::Conflict, "Only triggers of type `webhook` take requests.").into());
    };
    let to = link(&visit, &workflow, &trigger, "");
    let (came, body) = match pasted(&visit, url) {
        Ok(pasted) => pasted,
        Err(problem) => {
            let body = page(&visit, &to, &trigger.name, Some(&problem), None);
            return Ok(visit.page_with_status(problem.code.status(), visit.t("Test a request"), body));
        }
    };
    let (inbound, name) = (visit.engine().inbound().clone(), trigger.name.clone());
    // A body of a MiB is hashed in several spellings: not beside what serves others.
    let explained = tokio::task::spawn_blocking(move || inbound.explain(&trigger, &came, &body)).await;
    let explained = explained.map_err(|error| {
        Fault::Store(StoreError::Internal(format!("explaining a request panicked: {error}")))
    })?;
    Ok(visit.page(visit.t("Test a request"), page(&visit, &to, &name, None, Some(&explained))))
}

fn pasted(visit: &Visit, url: String) -> Result<(Came, Bytes), Problem> {
    let form = &visit.form;
    let Captured { headers: lines, body } = captured(form)?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let odd = || {
            let detail = format!(
                "The header `{name}` cannot be one: it has a name without spaces and a value of one line."
            );
            Problem::at(Code::HeaderInvalid, "headers", detail)
        };
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| odd())?;
        headers.append(known, HeaderValue::from_str(&value).map_err(|_| odd())?);
    }
    let query = form.text("query").unwrap_or_default().trim_start_matches('?').to_owned();
    let came = Came {
        method: form.text("method").unwrap_or("POST").to_ascii_uppercase(),
        url: if query.is_empty() { url } else { format!("{url}?{query}") },
        query,
        headers,
        peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    Ok((came, body.into()))
}

/// The request as one text, or in its parts. Browsers send every line end of a form as two characters, which no signature
/// would survive.
fn captured(form: &Form) -> Result<Captured, Problem> {
    if let Some(whole) = form.raw("request").filter(|whole| !whole.trim().is_empty()) {
        return capture::parse(whole.replace("\r\n", "\n").as_bytes()).map_err(|why| {
            Problem::at(Code::InvalidField, "request", format!("This cannot be read as a request: {why}."))
        });
    }
    let body = match form.text("bodyBase64") {
        None => form.raw("body").unwrap_or_default().replace("\r\n", "\n").into_bytes(),
        Some(encoded) => BASE64.decode(encoded).map_err(|_| {
            Problem::at(Code::InvalidField, "bodyBase64", "This is not base64 with its padding.")
        })?,
    };
    let lines = form.raw("headers").unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
    let headers = lines.map(|line| {
        capture::header_line(line).map_err(|why| {
            Problem::at(Code::HeaderInvalid, "headers", format!("Write each header as Name: value. {why}."))
        })
    });
    Ok(Captured { headers: headers.collect::<Result<_, _>>()?, body })
}

fn page(
    visit: &Visit,
    to: &str,
    name: &str,
    problem: Option<&Problem>,
    explained: Option<&Explained>,
) -> Markup {
    let t = |text| visit.t(text);
    let field = |name, label, hint| fields::Field {
        name,
        label,
        value: visit.form.raw(name).unwrap_or_default(),
        hint,
        problem,
        ..fields::Field::default()
    };
    let method = visit.form.text("method").unwrap_or("POST");
    html! {
        (parts::heading(t("Test a request"), html! { a .button .ghost href=(to) { (name) } }))
        p .lead { (t("Paste a request as it was received. What the verifier and the filter say of it stands here; it starts no run, and is not kept.")) }
        (parts::refusal(problem))
        @if let Some(explained) = explained { (outcome(visit, explained)) }
        (parts::form(visit, &format!("{to}/test"), html! {
            (fields::area(field("request", t("The whole request"), t("As it was on the wire, as curl -v printed it, or JSON with headers and body. Or fill in its parts below.")), 10))
            (fields::text(fields::Field { value: method, ..field("method", t("Method"), "") }, "text"))
            (fields::text(field("query", t("Query"), t("Without the question mark, as it was received.")), "text"))
            details .more open[!visit.form.is_on("request") || visit.form.text("headers").is_some()] {
                summary { (t("In its parts")) }
                (fields::area(field("headers", t("Headers"), t("One on a line, as Name: value.")), 6))
                (fields::area(field("body", t("Body"), t("The raw text. Its line ends are taken as one character each.")), 10))
                (fields::text(field("bodyBase64", t("Or the body in base64"), t("Where every byte counts.")), "text"))
            }
            div .actions { button type="submit" { (t("Test")) } }
        }))
    }
}

fn outcome(visit: &Visit, explained: &Explained) -> Markup {
    let t = |text| visit.t(text);
    let tone = if explained.accepted { Tone::Good } else { Tone::Bad };
    let label = if explained.accepted { t("taken") } else { t("refused") };
    html! {
        section .card aria-label=(t("Outcome")) {
            h2 { (t("Outcome")) }
            (parts::notice(tone, html! { p { (parts::badge(tone, label)) " " (explained.detail) } }))
            @for one in &explained.verification { (verified(visit, one)) }
            @if let Some(dedup) = &explained.dedup { p { (t("It would be known again by")) " " code { (dedup) } "." } }
            @if let Some(input) = &explained.input { (text::json(visit.words(), t("What the run would begin with"), input.to_string().as_bytes())) }
        }
    }
}

/// What the verifier found against what it expected: beginnings only, which help nobody to forge one.
fn verified(visit: &Visit, one: &Value) -> Markup {
    let t = |text| visit.t(text);
    let text = |name: &str| one[name].as_str().filter(|text| !text.is_empty());
    let number = |name: &str| one[name].as_i64().map(|number| number.to_string());
    let expected: Vec<&str> =
        one["expected"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut facts: Vec<(&str, Markup)> = Vec::new();
    let mut fact = |label, value: Option<String>| {
        if let Some(value) = value {
            facts.push((label, html! { code { (value) } }));
        }
    };
    fact(t("Signature stands in"), text("place").map(str::to_owned));
    fact(t("Found, beginning"), text("found").map(str::to_owned));
    fact(t("Expected, beginning"), (!expected.is_empty()).then(|| expected.join(", ")));
    fact(t("Body's SHA-256"), text("body_sha256").map(str::to_owned));
    fact(t("Body's bytes"), number("body_bytes"));
    fact(t("Signed, seconds ago"), number("age_seconds"));
    fact(t("Seconds it may be off"), number("tolerance_seconds"));
    html! {
        h3 { (t("Verification")) }
        @if let Some(detail) = text("detail") { p { (detail) } }
        @if let Some(mistake) = one["mistake"]["sentence"].as_str() { p { strong { (mistake) } } }
        @else if let Some(advice) = text("advice") { p { (advice) } }
        (parts::facts(&facts))
    }
}
