//! The answer: the domain's finding, in words.

use http::Method;
use postrider_domain::capture::{self, Captured};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::verify::{Capture, Finding, signed_body, verify};

use super::{ask, shown};
use crate::form::Form;
use crate::page::{Answer, Page, Who};
use crate::visit::Visit;

pub(super) static JUDGE: Page = Page {
    method: Method::POST,
    path: "/signature",
    who: Who::Reader,
    handle: |visit| Box::pin(async move { judge(&visit) }),
};

fn judge(visit: &Visit) -> Answer {
    let title = visit.t("Signature helper");
    match judged(visit) {
        Ok(answer) => Ok(visit.page(title, ask::form(visit, answer, None))),
        Err(problem) => {
            let status = problem.code.status();
            Ok(visit.page_with_status(status, title, ask::form(visit, maud::html! {}, Some(&problem))))
        }
    }
}

fn judged(visit: &Visit) -> Result<maud::Markup, Problem> {
    let own = visit.tenant().profile().clone();
    let profile = match visit.form.text("profile") {
        Some(name) if visit.is_operator() => visit.engine().catalogue().profile(name).unwrap_or(own),
        _ => own,
    };
    // As it was typed: a space around it is one of the things that may be wrong.
    let secret = visit.form.raw("secret").filter(|secret| !secret.is_empty());
    let secret =
        secret.ok_or_else(|| Problem::at(Code::MissingField, "secret", "Type the webhook's secret."))?;
    let request = captured(&visit.form)?;
    let received = visit.form.is_on("now").then_some(visit.now);
    let capture = Capture { headers: &request.headers, body: &request.body, received };
    let finding = verify(&profile, capture, secret);
    let signed = match finding {
        Finding::BodyChanged { .. } => signed_body(&profile, capture, secret),
        _ => None,
    };
    Ok(shown::finding(visit, &finding, &request, signed.as_deref()))
}

/// A browser sends a text's line ends as CR LF whatever they were.
fn captured(form: &Form) -> Result<Captured, Problem> {
    let ends = if form.text("line-ends") == Some("crlf") { "\r\n" } else { "\n" };
    let lines = |text: &str| text.replace("\r\n", "\n").replace('\n', ends);
    if let Some(headers) = form.text("headers") {
        let headers = headers
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(capture::header_line)
            .collect::<Result<_, _>>();
        let headers = headers.map_err(|error| {
            Problem::at(Code::InvalidField, "headers", format!("A line is no header: {error}."))
        })?;
        return Ok(Captured { headers, body: lines(form.raw("body").unwrap_or_default()).into_bytes() });
    }
    let Some(request) = form.text("request") else {
        return Err(Problem::at(
            Code::MissingField,
            "request",
            "Paste a request, or its headers and body in two fields.",
        ));
    };
    // Only the beginning may be trimmed: the body goes to the last byte.
    let request = form.raw("request").unwrap_or(request).trim_start();
    capture::parse(request.replace("\r\n", "\n").as_bytes()).map_err(|error| {
        Problem::at(Code::InvalidField, "request", format!("This cannot be read as a request: {error}."))
    })
}
