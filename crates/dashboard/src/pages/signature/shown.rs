//! A finding, with the place where a body was changed.

use maud::{Markup, html};
use postrider_domain::capture::Captured;
use postrider_domain::verify::Finding;

use crate::parts::{self, Tone, text};
use crate::visit::Visit;

pub(super) fn finding(visit: &Visit, finding: &Finding, request: &Captured, signed: Option<&[u8]>) -> Markup {
    let t = |text| visit.t(text);
    let tone = match finding {
        Finding::Holds => Tone::Good,
        Finding::ProfileDoesNotSign => Tone::Plain,
        _ => Tone::Bad,
    };
    html! {
        (parts::notice(tone, html! {
            @if tone == Tone::Bad { p { strong { (t("It does not hold for this request as it is.")) } } }
            p { (sentence(visit, finding)) }
        }))
        @if let Some(signed) = signed { (difference(visit, &request.body, signed)) }
        details .more {
            summary { (t("What was read")) }
            (parts::facts(&[
                (t("Headers"), html! { (request.headers.len()) }),
                (t("Body"), html! { (text::size(request.body.len() as u64)) }),
            ]))
            (text::bytes(visit.words(), t("Body"), &request.body))
        }
    }
}

/// Sentences with a name or a number of the request in them are in English.
pub(crate) fn sentence(visit: &Visit, finding: &Finding) -> String {
    let sentence = finding.sentence();
    visit.words().known(&sentence).map_or(sentence, str::to_owned)
}

/// Bytes that are shown before and after the first that differs.
const AROUND: usize = 24;

fn difference(visit: &Visit, given: &[u8], signed: &[u8]) -> Markup {
    let t = |text| visit.t(text);
    let at = given.iter().zip(signed).take_while(|(given, signed)| given == signed).count();
    html! {
        section .card {
            h2 { (t("Where it differs")) }
            p { (t("The first byte that differs is number")) " " strong { (at + 1) } "." }
            (parts::facts(&[
                (t("You pasted"), html! { (around(given, at, t("end"))) " " span .hint { (given.len()) " " (t("bytes")) } }),
                (t("Was signed"), html! { (around(signed, at, t("end"))) " " span .hint { (signed.len()) " " (t("bytes")) } }),
            ]))
        }
    }
}

/// `end`: the word for where nothing more comes.
fn around(body: &[u8], at: usize, end: &str) -> Markup {
    let from = at.saturating_sub(AROUND);
    let to = body.len().min(at + AROUND);
    html! {
        code {
            @if from > 0 { "…" }
            (printable(&body[from..at.min(body.len())]))
            @match body.get(at) {
                Some(byte) => { mark { (printable(&[*byte])) } (printable(&body[(at + 1).min(to)..to])) },
                None => mark { "⟨" (end) "⟩" },
            }
            @if to < body.len() { "…" }
        }
    }
}

/// What cannot be seen has a sign.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' ' => text.push('␠'),
            b'\n' => text.push('␊'),
            b'\r' => text.push('␍'),
            b'\t' => text.push('␉'),
            0x21..=0x7e => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_is_marked_and_nothing_is_markup() {
        let around = |body: &[u8], at| around(body, at, "end");
        assert_eq!(around(b"{\"a\": 1}", 5).into_string(), "<code>{&quot;a&quot;:<mark>␠</mark>1}</code>");
        assert_eq!(around(b"ab", 2).into_string(), "<code>ab<mark>⟨end⟩</mark></code>");
        assert_eq!(around(b"ab\n", 2).into_string(), "<code>ab<mark>␊</mark></code>");
        assert!(around(b"<script>", 0).into_string().contains("<mark>&lt;</mark>script"));
        let long = around(&[b'x'; 100], 50).into_string();
        assert!(long.starts_with("<code>…x") && long.ends_with("x…</code>"), "{long}");
        assert_eq!(printable("é\t".as_bytes()), "\\xc3\\xa9␉");
    }
}
