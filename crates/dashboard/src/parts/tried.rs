//! One request that was made: where its time went, who answered, and the answer byte for byte.

use maud::{Markup, html};
use postrider_store::{AttemptRow, AttemptTiming};

use super::{facts, text, time};
use crate::visit::Visit;

pub(crate) fn shown(visit: &Visit, row: &AttemptRow) -> Markup {
    let t = |text| visit.t(text);
    html! {
        @if row.timing.total_us > 0 { (split(visit, row.timing)) }
        (facts(&[
            (t("Address"), html! {
                @match &row.peer { Some(peer) => code { (peer) }, None => (t("none: no connection was made")) }
                @if row.reused { " " span .hint { (t("on a connection kept from before")) } }
            }),
            (t("Sent"), html! {
                (text::size(row.request_bytes))
                @if let Some(sha256) = row.body_sha256 { " · SHA-256 " code { (hex::encode(sha256)) } }
            }),
            (t("Received"), html! { (text::size(row.response_bytes)) }),
        ]))
        @if row.resend {
            p .hint { (t("Marked as a resend: the outcome of an earlier attempt was lost, so the receiver may have had it before.")) }
        }
        @if row.response_head.is_empty() && row.response_body.is_empty() {
            p .hint { (t("Nothing came back.")) }
        }
        @if !row.response_head.is_empty() { (text::bytes(t("Head of the answer"), &row.response_head)) }
        @if !row.response_body.is_empty() {
            (text::bytes(t("Body of the answer"), &row.response_body))
            @if row.response_bytes > row.response_body.len() as u64 {
                p .hint { (t("Only the beginning of the body was kept.")) }
            }
        }
    }
}

/// A bar of the phases, and the same as words.
fn split(visit: &Visit, timing: AttemptTiming) -> Markup {
    const WIDTH: u64 = 600;
    let t = |text| visit.t(text);
    let phases = [
        ("DNS", timing.dns_us),
        (t("Connect"), timing.connect_us),
        ("TLS", timing.tls_us),
        (t("Wait"), timing.wait_us),
        (t("Body"), timing.body_us),
    ];
    let total = phases.iter().map(|(_, us)| us).sum::<u64>().max(timing.total_us).max(1);
    let mut x = 0;
    html! {
        svg .split role="img" aria-label=(t("Where the time went")) viewBox=(format!("0 0 {WIDTH} 14")) preserveAspectRatio="none" {
            @for (index, (name, us)) in phases.iter().enumerate() {
                @let width = us * WIDTH / total;
                @if width > 0 {
                    rect class={ "phase-" (index) } x=(x) y="0" width=(width) height="14" { title { (name) } }
                }
                @let _ = x += width;
            }
        }
        ul .legend {
            @for (index, (name, us)) in phases.iter().enumerate() {
                li { span class={ "dot phase-" (index) } aria-hidden="true" {} " " (name) " " (time::micros(*us)) }
            }
            li { (t("in all")) " " strong { (time::micros(timing.total_us)) } }
        }
    }
}
