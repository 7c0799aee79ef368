//! One attempt: what was sent, what came back, byte for byte, where the time went, and what it means.

use maud::{Markup, html};
use postrider_domain::delivery::AttemptClass;
use postrider_domain::signature::sha256;
use postrider_engine::outbound::rendered::RenderedRequest;
use postrider_store::{AttemptRow, AttemptTiming};

use super::{Tone, badge, facts, text, time};
use crate::visit::Visit;

/// Everything about an attempt. `request`: as it was sent, or why it cannot be shown.
pub(crate) fn attempt(
    visit: &Visit,
    attempt: &AttemptRow,
    request: Result<&RenderedRequest, &str>,
) -> Markup {
    let t = |text| visit.t(text);
    html! {
        (verdict(visit, attempt))
        h3 { (t("Where the time went")) }
        (split(visit, &attempt.timing))
        div .columns {
            section {
                h3 { (t("The request")) }
                @match request {
                    Ok(request) => (request_as_sent(visit, attempt, request)),
                    Err(why) => p .hint { (why) },
                }
            }
            section {
                h3 { (t("The answer")) }
                (answer(visit, attempt))
            }
        }
        (told(visit, attempt))
    }
}

/// The same without verdict and request: for a timeline, which says these in its own way.
pub(crate) fn received(visit: &Visit, attempt: &AttemptRow) -> Markup {
    html! {
        (split(visit, &attempt.timing))
        (answer(visit, attempt))
        (told(visit, attempt))
    }
}

fn connection(visit: &Visit, attempt: &AttemptRow) -> &'static str {
    visit.t(match (attempt.peer.is_some(), attempt.reused) {
        (true, true) => "kept open from an earlier request",
        (true, false) => "a new one",
        (false, _) => "none was made",
    })
}

fn told(visit: &Visit, attempt: &AttemptRow) -> Markup {
    let t = |text| visit.t(text);
    html! {
        (facts(&[
            (t("Attempt"), html! { (attempt.number) }),
            (t("Started"), time::moment(visit, attempt.started)),
            (t("Address"), html! { @match &attempt.peer { Some(peer) => code { (peer) }, None => (t("none was talked to")) } }),
            (t("Connection"), html! { (connection(visit, attempt)) }),
            (t("Body sent"), html! { (text::size(attempt.request_bytes)) }),
        ]))
    }
}

/// What it came to, in words.
pub(crate) fn verdict(visit: &Visit, attempt: &AttemptRow) -> Markup {
    let good = attempt.class == AttemptClass::Success;
    let tone = if good { Tone::Good } else { Tone::Bad };
    html! {
        div class={ "notice " (tone.class()) } {
            p {
                (outcome_badge(visit, attempt.class, attempt.status)) " "
                (visit.t(meaning(attempt.class))) " "
                @if !good { (visit.t(advice(attempt.class, attempt.status))) }
            }
            @if let Some(detail) = &attempt.detail { p { (detail) } }
            @if attempt.resend {
                p { (visit.t("The outcome of the request before this one was lost, so the receiver may have had the event twice.")) }
            }
        }
    }
}

/// A status, or the class where no answer came.
pub(crate) fn outcome_badge(visit: &Visit, class: AttemptClass, status: Option<u16>) -> Markup {
    let tone = if class == AttemptClass::Success { Tone::Good } else { Tone::Bad };
    match status {
        Some(status) => badge(tone, &status.to_string()),
        None => badge(tone, visit.t(class_name(class))),
    }
}

pub(crate) const fn class_name(class: AttemptClass) -> &'static str {
    match class {
        AttemptClass::Success => "success",
        AttemptClass::Status => "refused",
        AttemptClass::Body => "answer incomplete",
        AttemptClass::Timeout => "timeout",
        AttemptClass::Dns => "name not found",
        AttemptClass::Connect => "no connection",
        AttemptClass::Tls => "TLS failed",
        AttemptClass::Reset => "connection lost",
        AttemptClass::Protocol => "not HTTP",
        AttemptClass::BlockedTarget => "address not allowed",
        AttemptClass::Unknown => "outcome unknown",
        AttemptClass::NotRenderable => "not renderable",
    }
}

/// What happened.
pub(crate) const fn meaning(class: AttemptClass) -> &'static str {
    match class {
        AttemptClass::Success => "The receiver accepted it.",
        AttemptClass::Status => "The receiver answered, and refused it.",
        AttemptClass::Body => "The receiver accepted it, and its answer broke off.",
        AttemptClass::Timeout => "No complete answer came in time.",
        AttemptClass::Dns => "The receiver's host name could not be resolved.",
        AttemptClass::Connect => "No connection could be made to the receiver.",
        AttemptClass::Tls => "The TLS handshake with the receiver failed.",
        AttemptClass::Reset => "The receiver closed the connection before its answer was complete.",
        AttemptClass::Protocol => "What came back was not an HTTP answer that can be read.",
        AttemptClass::BlockedTarget => "The address behind the URL is not allowed here, so nothing was sent.",
        AttemptClass::Unknown => "Postrider stopped while sending: the receiver may have had it, or not.",
        AttemptClass::NotRenderable => "The event could not be written in this format, so nothing was sent.",
    }
}

/// What to do next.
pub(crate) const fn advice(class: AttemptClass, status: Option<u16>) -> &'static str {
    match (class, status) {
        (AttemptClass::Success, _) => "Nothing is to be done.",
        (_, Some(401 | 403)) => "Check the secret, and the extra headers that the receiver asks for.",
        (_, Some(404 | 405)) => "Check the path of the URL, and that it takes POST.",
        (_, Some(400 | 415 | 422)) => {
            "Look at the answer's body: the receiver did not like the payload or its signature."
        }
        (_, Some(408 | 429)) => "The receiver is too busy. Wait for the retries, or let it take more.",
        (_, Some(410)) => "The receiver is gone for good. Change the URL or delete the webhook.",
        (_, Some(300..=399)) => "Redirects are not followed. Enter the address that it leads to as the URL.",
        (_, Some(500..=599)) => "Look into the receiver's own log: it failed while it handled the request.",
        (AttemptClass::Timeout | AttemptClass::Body, _) => {
            "Let the receiver answer first and work afterwards, and check that it is up."
        }
        (AttemptClass::Dns, _) => "Check the host in the URL for typing errors, and its DNS.",
        (AttemptClass::Connect | AttemptClass::Reset, _) => {
            "Check that the receiver runs, listens on this port, and is let through by its firewall."
        }
        (AttemptClass::Tls, _) => {
            "Check the receiver's certificate: its name, its date, and its whole chain."
        }
        (AttemptClass::Protocol, _) => "Check that a web server listens at this port.",
        (AttemptClass::BlockedTarget, _) => "Use an address that is reachable from the internet.",
        (AttemptClass::Unknown, _) => "Check on the receiver's side whether it came; it can be sent again.",
        (AttemptClass::NotRenderable, _) => "Change the event's data and publish it again.",
        (AttemptClass::Status, _) => "Look at the answer below.",
    }
}

/// The request's head and body.
fn request_as_sent(visit: &Visit, attempt: &AttemptRow, request: &RenderedRequest) -> Markup {
    let t = |text| visit.t(text);
    let same = attempt.body_sha256.is_none_or(|sent| sent == sha256(&request.body));
    html! {
        (request_blocks(visit, request))
        @if !same {
            p .hint { (t("These are the bytes that would be sent now: they differ from those of this attempt.")) }
        }
    }
}

/// A request, as it goes over the wire.
pub(crate) fn request_blocks(visit: &Visit, request: &RenderedRequest) -> Markup {
    let mut head = format!("{} {}\n", request.method, request.url);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\n"));
    }
    html! {
        (text::block(visit.words(), visit.t("Request headers"), head.trim_end()))
        (text::bytes(visit.words(), visit.t("Request body"), &request.body))
    }
}

fn answer(visit: &Visit, attempt: &AttemptRow) -> Markup {
    let t = |text| visit.t(text);
    let kept = attempt.response_body.len() as u64;
    html! {
        @if attempt.response_head.is_empty() {
            p .hint { (t("No answer came.")) }
        } @else {
            (text::block(visit.words(), t("Answer headers"), &String::from_utf8_lossy(&attempt.response_head)))
            @if attempt.response_body.is_empty() {
                p .hint { (t("The answer had no body.")) }
            } @else {
                (text::bytes(visit.words(), t("Answer body"), &attempt.response_body))
            }
            @if kept < attempt.response_bytes {
                p .hint { (t("Kept:")) " " (text::size(kept)) " / " (text::size(attempt.response_bytes)) }
            }
        }
    }
}

/// The five parts of an attempt's time as one bar, with their numbers.
pub(crate) fn split(visit: &Visit, timing: &AttemptTiming) -> Markup {
    const WIDTH: f64 = 720.0;
    let t = |text| visit.t(text);
    let parts = [
        (t("DNS"), timing.dns_us),
        (t("Connection"), timing.connect_us),
        (t("TLS"), timing.tls_us),
        (t("Waiting for the answer"), timing.wait_us),
        (t("Reading the answer"), timing.body_us),
    ];
    let whole = parts.iter().map(|(_, us)| us).sum::<u64>().max(1);
    let mut x = 0.0;
    let mut rects = Vec::with_capacity(parts.len());
    for (index, (label, us)) in parts.iter().enumerate() {
        let width = *us as f64 / whole as f64 * WIDTH;
        rects.push(html! {
            rect class={ "part-" (index) } x=(format!("{x:.1}")) y="0" width=(format!("{width:.1}")) height="14" {
                title { (label) ": " (time::micros(*us)) }
            }
        });
        x += width;
    }
    html! {
        svg .time-split role="img" aria-label=(t("Where the time went")) viewBox=(format!("0 0 {WIDTH} 14")) preserveAspectRatio="none" {
            @for rect in rects { (rect) }
        }
        ul .legend {
            @for (index, (label, us)) in parts.iter().enumerate() {
                li { svg width="10" height="10" aria-hidden="true" { rect class={ "part-" (index) } width="10" height="10" {} } " " (label) ": " (time::micros(*us)) }
            }
            li { (t("In all")) ": " (time::micros(timing.total_us)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_advice() {
        for class in AttemptClass::ALL {
            for status in [None, Some(302), Some(401), Some(404), Some(500)] {
                assert!(advice(class, status).ends_with('.'), "{class:?} {status:?}");
            }
            assert!(meaning(class).ends_with('.'), "{class:?}");
        }
    }
}
