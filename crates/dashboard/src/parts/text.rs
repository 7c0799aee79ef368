//! Text that came from elsewhere: bodies, headers, JSON. Always escaped, always bounded.

use maud::{Markup, html};

use crate::words::Words;

/// Of one block on a page; the rest is said to be there.
const SHOWN_BYTES_MAX: usize = 32 * 1024;

/// A block of text as it is, with a button that copies it.
pub(crate) fn block(words: Words, label: &str, text: &str) -> Markup {
    let t = |text| words.say(text);
    let mut end = text.len().min(SHOWN_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let rest = text.len() - end;
    html! {
        figure .block {
            figcaption {
                span { (label) }
                button type="button" .ghost data-copy data-copied=(t("Copied")) data-marked=(t("Marked: copy it now")) hidden { (t("Copy")) }
            }
            // It scrolls by itself, so the keyboard has to reach it.
            pre tabindex="0" role="region" aria-label=(label) { code { (text[..end]) } }
            @if rest > 0 { p .hint { "… " (rest) " " (t("more bytes")) } }
        }
    }
}

/// Bytes that may be text.
pub(crate) fn bytes(words: Words, label: &str, bytes: &[u8]) -> Markup {
    let t = |text| words.say(text);
    match std::str::from_utf8(bytes) {
        Ok(text) => block(words, label, text),
        Err(_) => html! {
            (block(words, label, &hex_dump(bytes)))
            p .hint { (t("This is not text; its bytes are shown in hexadecimal.")) }
        },
    }
}

/// JSON with line breaks and otherwise as it was written, numbers and doubled names too: what is signed is told by bytes. What is
/// no JSON is shown as it is.
pub(crate) fn json(words: Words, label: &str, given: &[u8]) -> Markup {
    let is_small = given.len() <= SHOWN_BYTES_MAX;
    let raw = is_small.then(|| serde_json::from_slice::<&serde_json::value::RawValue>(given));
    match raw {
        Some(Ok(raw)) => block(words, label, &indented(raw.get())),
        Some(Err(_)) | None => bytes(words, label, given),
    }
}

/// `json` is JSON.
fn indented(json: &str) -> String {
    /// Deeper lines are not moved further: brackets alone must not make a page of spaces.
    const DEPTH_MAX: usize = 32;
    let mut text = String::with_capacity(json.len() * 2);
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth.min(DEPTH_MAX)));
    };
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut letters = json.chars().filter(|letter| !matches!(letter, '\r')).peekable();
    while let Some(letter) = letters.next() {
        if in_string {
            text.push(letter);
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        match letter {
            '"' => {
                in_string = true;
                text.push(letter);
            }
            '{' | '[' => {
                text.push(letter);
                while letters.peek().is_some_and(|next| next.is_ascii_whitespace()) {
                    letters.next();
                }
                match letters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => text.push(letter),
        }
    }
    text
}

/// The beginning of what may be long, where several stand on one page.
pub(crate) fn excerpt(words: Words, label: &str, given: &[u8]) -> Markup {
    const EXCERPT_BYTES_MAX: usize = 1024;
    let t = |text| words.say(text);
    if given.len() <= EXCERPT_BYTES_MAX {
        return json(words, label, given);
    }
    let beginning = String::from_utf8_lossy(&given[..EXCERPT_BYTES_MAX]);
    html! {
        (block(words, label, &beginning))
        p .hint { "… " (given.len() - EXCERPT_BYTES_MAX) " " (t("more bytes")) }
    }
}

/// At most the first 2 KiB, 16 bytes to a line.
fn hex_dump(bytes: &[u8]) -> String {
    const DUMPED_BYTES_MAX: usize = 2048;
    let lines = bytes[..bytes.len().min(DUMPED_BYTES_MAX)].chunks(16);
    lines.map(hex::encode).collect::<Vec<_>>().join("\n")
}

/// How much something is, for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A count with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// `None`: nothing was tried.
pub(crate) fn percent(part: u64, whole: u64) -> Option<String> {
    // 99.96 % is not all of it, and is not shown as if it were.
    let tenths = (part * 1000).checked_div(whole)?;
    Some(if tenths % 10 == 0 {
        format!("{} %", tenths / 10)
    } else {
        format!("{}.{} %", tenths / 10, tenths % 10)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1\u{2009}234\u{2009}567");
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(9996, 10000).as_deref(), Some("99.9 %"));
        assert_eq!(percent(5, 5).as_deref(), Some("100 %"));
        assert_eq!(size(1536), "1.5 KiB");
    }

    #[test]
    fn json_gets_lines_and_keeps_its_own_numbers_and_names() {
        let given = r#"{ "a":12.50,"a":1e400,"s":"{,\\\"}:","e":[],"o":{ } , "l":[1,{"x":null}]}"#;
        let shown = indented(given);
        assert_eq!(
            shown,
            "{\n  \"a\": 12.50,\n  \"a\": 1e400,\n  \"s\": \"{,\\\\\\\"}:\",\n  \"e\": [],\n  \"o\": {},\n  \"l\": [\n    1,\n    {\n      \"x\": null\n    }\n  ]\n}"
        );
    }

    #[test]
    fn foreign_text_stays_text() {
        let words = Words::of(None);
        let shown = block(words, "Body", "</pre><script>alert(1)</script>").into_string();
        assert!(!shown.contains("<script>"), "{shown}");
        assert!(bytes(words, "Body", &[0, 159, 255]).into_string().contains("009fff"));
        assert!(json(words, "Body", b"{\"a\":1}").into_string().contains("&quot;a&quot;: 1"));
    }
}
