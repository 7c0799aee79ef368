//! JSON as bytes: made compact without touching what it says, and read by slices of itself.
//!
//! The product promises data as it was sent: number text, key order and escapes. A document model would lose them, so
//! bodies are cut and joined as bytes.

use std::borrow::Cow;

/// Why text is not JSON that we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("not valid JSON: {what} at byte {at}")]
    Malformed { at: usize, what: &'static str },
    #[error("nested deeper than {depth_max} levels")]
    TooDeep { depth_max: usize },
}

/// The same JSON without whitespace outside strings; everything else byte for byte. Checks the grammar (RFC 8259) and
/// that objects and arrays nest at most `depth_max` deep.
pub fn compact(raw: &str, depth_max: usize) -> Result<Vec<u8>, JsonError> {
    let mut scanner = Scanner { bytes: raw.as_bytes(), at: 0, depth_max };
    let mut out = Vec::with_capacity(raw.len());
    scanner.skip_whitespace();
    scanner.value(&mut out, 0)?;
    scanner.skip_whitespace();
    if scanner.at != raw.len() {
        return Err(scanner.malformed("something after the end"));
    }
    Ok(out)
}

/// Whether `text` is a number of JSON's grammar, and nothing else.
pub fn is_number(text: &str) -> bool {
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0, depth_max: 0 };
    scanner.number_end().is_ok() && scanner.at == text.len()
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth_max: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn malformed(&self, what: &'static str) -> JsonError {
        JsonError::Malformed { at: self.at, what }
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => self.object(out, depth),
            Some(b'[') => self.array(out, depth),
            Some(b'"') => self.string(out),
            Some(b't') => self.word(out, b"true"),
            Some(b'f') => self.word(out, b"false"),
            Some(b'n') => self.word(out, b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(out),
            _ => Err(self.malformed("expected a value")),
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), JsonError> {
        self.enter(out, depth)?;
        if self.leave(out, b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.malformed("expected a key"));
            }
            self.string(out)?;
            self.skip_whitespace();
            if self.peek() != Some(b':') {
                return Err(self.malformed("expected ':'"));
            }
            self.take(out);
            self.value(out, depth + 1)?;
            self.skip_whitespace();
            if self.leave(out, b'}') {
                return Ok(());
            }
            if self.peek() != Some(b',') {
                return Err(self.malformed("expected ',' or '}'"));
            }
            self.take(out);
        }
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), JsonError> {
        self.enter(out, depth)?;
        if self.leave(out, b']') {
            return Ok(());
        }
        loop {
            self.value(out, depth + 1)?;
            self.skip_whitespace();
            if self.leave(out, b']') {
                return Ok(());
            }
            if self.peek() != Some(b',') {
                return Err(self.malformed("expected ',' or ']'"));
            }
            self.take(out);
        }
    }

    fn enter(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), JsonError> {
        if depth >= self.depth_max {
            return Err(JsonError::TooDeep { depth_max: self.depth_max });
        }
        self.take(out);
        Ok(())
    }

    /// Copies one structural byte and goes to the next token.
    fn take(&mut self, out: &mut Vec<u8>) {
        out.push(self.bytes[self.at]);
        self.at += 1;
        self.skip_whitespace();
    }

    fn leave(&mut self, out: &mut Vec<u8>, bracket: u8) -> bool {
        let ends = self.peek() == Some(bracket);
        if ends {
            out.push(bracket);
            self.at += 1;
        }
        ends
    }

    fn word(&mut self, out: &mut Vec<u8>, word: &'static [u8]) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.malformed("expected a value"));
        }
        out.extend_from_slice(word);
        self.at += word.len();
        Ok(())
    }

    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let start = self.at;
        self.at += 1;
        loop {
            self.at += plain_len(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.malformed("a control character in a string")),
                None => return Err(self.malformed("a string without end")),
            }
        }
        self.at += 1;
        out.extend_from_slice(&self.bytes[start..self.at]);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u')
                if self.bytes.len() >= self.at + 6
                    && self.bytes[self.at + 2..self.at + 6].iter().all(u8::is_ascii_hexdigit) =>
            {
                self.at += 6;
            }
            _ => return Err(self.malformed("an unknown escape in a string")),
        }
        Ok(())
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let start = self.at;
        self.number_end()?;
        out.extend_from_slice(&self.bytes[start..self.at]);
        Ok(())
    }

    fn number_end(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.malformed("expected a digit")) } else { Ok(()) }
    }
}

/// The value at `path` inside compact, valid JSON, as a slice of it; `None` when there is no such member. Of duplicate
/// keys the last counts, as in every reader that receivers are likely to use.
pub fn find<'a>(json: &'a [u8], path: &[String]) -> Option<&'a [u8]> {
    let mut value = json;
    for key in path {
        value = members(value).filter(|(name, _)| key_is(name, key)).last()?.1;
    }
    Some(value)
}

/// The members of a compact, valid JSON object: the key with its quotes, and the value. Nothing for other values.
pub fn members(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = object.strip_prefix(b"{").unwrap_or_default();
    std::iter::from_fn(move || {
        let key_end = value_end(rest)?;
        let key = &rest[..key_end];
        let value = rest.get(key_end + 1..)?;
        let end = value_end(value)?;
        rest = value.get(end + 1..).unwrap_or_default();
        Some((key, &value[..end]))
    })
}

/// The elements of a compact, valid JSON array. Nothing for other values.
pub fn elements(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = array.strip_prefix(b"[").unwrap_or_default();
    std::iter::from_fn(move || {
        let end = value_end(rest)?;
        let value = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(value)
    })
}

/// Where the value that `json` begins with ends. `None` where no value begins.
fn value_end(json: &[u8]) -> Option<usize> {
    match json.first()? {
        b'"' => string_end(json),
        b'{' | b'[' => {
            let mut depth = 0usize;
            let mut at = 0;
            while at < json.len() {
                match json[at] {
                    b'"' => {
                        at += string_end(&json[at..])?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.checked_sub(1)?,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            None
        }
        b'}' | b']' | b',' | b':' => None,
        _ => Some(json.iter().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(json.len())),
    }
}

fn string_end(json: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += plain_len(json.get(at..)?);
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// How many bytes `bytes` begins with that stand for themselves in a JSON string: up to the first `"`, `\`, or control
/// character. Eight bytes at a time: most of a payload is text, and byte by byte it took a microsecond per 400 bytes.
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The high bit of each byte that is zero. A borrow may flag bytes above a zero as well, never below: the lowest
    // flag is right.
    let zeroes = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = 0;
    for chunk in bytes.chunks_exact(8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("because a chunk has eight bytes"));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special =
            controls | zeroes(word ^ (ONES * u64::from(b'"'))) | zeroes(word ^ (ONES * u64::from(b'\\')));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// Whether a key with its quotes, as [`members`] gives it, is `key`.
pub fn key_is(quoted: &[u8], key: &str) -> bool {
    let Some(inner) = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return false;
    };
    if !inner.contains(&b'\\') {
        return inner == key.as_bytes();
    }
    text(quoted).is_some_and(|text| text == key)
}

/// The text that a JSON string stands for; `None` when the value is not a string, or has a lone surrogate.
pub fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let inner = std::str::from_utf8(inner).ok()?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_slice::<String>(value).ok().map(Cow::Owned)
}

/// Writes `text` as a JSON string with as few escapes as the grammar allows: what `JSON.stringify` writes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    out.push(b'"');
    loop {
        let (plain, after) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = after.split_first() else { break };
        rest = after;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn compact_takes_away_whitespace_and_nothing_else() {
        for (raw, expected) in [
            (" { \"a\" : 1.0 ,\n\t\"b\" : [ ] } ", "{\"a\":1.0,\"b\":[]}"),
            ("\"  a \\\" b  \"", "\"  a \\\" b  \""),
            ("[1E+21 , -0 , 12345678901234567890]", "[1E+21,-0,12345678901234567890]"),
            ("{\"b\":1,\"a\":2,\"b\":\"\\u00E9\\/\"}", "{\"b\":1,\"a\":2,\"b\":\"\\u00E9\\/\"}"),
            ("\r\n null\t", "null"),
        ] {
            let compacted = compact(raw, 8).expect("valid JSON");
            assert_eq!(String::from_utf8_lossy(&compacted), expected);
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for raw in [
            "",
            " ",
            "{",
            "[",
            "\"",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "[1,]",
            "[,]",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "-",
            "tru",
            "nulls",
            "NaN",
            "1 2",
            "{} {}",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12\"",
            "\"\u{1}\"",
            "\"\n\"",
            "]",
            "}",
            "[1}",
            "{\"a\":1]",
            "\u{feff}{}",
            "\"\\",
        ] {
            assert!(matches!(compact(raw, 8), Err(JsonError::Malformed { .. })), "{raw:?}");
        }
    }

    #[test]
    fn the_elements_of_an_array_are_its_own() {
        for (json, expected) in [
            ("[1,[2,3],{\"a\":[4]},\"],\"]", vec!["1", "[2,3]", "{\"a\":[4]}", "\"],\""]),
            ("[]", vec![]),
            ("{\"a\":1}", vec![]),
            ("1", vec![]),
        ] {
            let found: Vec<&[u8]> = elements(json.as_bytes()).collect();
            assert_eq!(found, expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(), "{json}");
        }
    }

    #[test]
    fn a_key_without_quotes_is_none() {
        for json in [&b"{\0,"[..], b"{x:1}", b"{\":1}", b"{1:2}"] {
            assert_eq!(find(json, &["a".to_owned()]), None);
            members(json).for_each(|(key, _)| assert!(!key_is(key, "")));
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(compact(&nested(64), 64).is_ok());
        assert_eq!(compact(&nested(65), 64), Err(JsonError::TooDeep { depth_max: 64 }));
        assert_eq!(compact(&nested(1_000_000), 64), Err(JsonError::TooDeep { depth_max: 64 }));
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        let json = br#"{"a":{"b":[1,{"x":"}"}],"c":"]\"}"},"\u0061\u0062":5,"a.b":6,"n":null,"d":1,"d":2}"#;
        for (path, expected) in [
            (vec!["a", "b"], Some(r#"[1,{"x":"}"}]"#)),
            (vec!["a", "c"], Some(r#""]\"}""#)),
            (vec!["ab"], Some("5")),
            (vec!["a.b"], Some("6")),
            (vec!["n"], Some("null")),
            (vec!["d"], Some("2")),
            (vec!["n", "x"], None),
            (vec!["a", "b", "0"], None),
            (vec!["missing"], None),
        ] {
            let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
            assert_eq!(find(json, &path), expected.map(str::as_bytes), "{path:?}");
        }
        assert_eq!(find(b"17", &[]), Some(b"17".as_slice()));
    }

    /// Any JSON, with keys and texts that need escapes.
    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            any::<String>().prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn compact_means_what_it_meant(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&value).expect("JSON");
            let compacted = compact(&pretty, 64).expect("valid JSON");
            prop_assert_eq!(String::from_utf8_lossy(&compacted), value.to_string());
        }

        #[test]
        fn compact_agrees_with_a_reader_about_what_is_json(text in "[\\[\\]{}\",:0-9eE+.\\-ntrufalse\\\\ ]{0,12}") {
            // The reader also refuses numbers beyond a double, which are within the grammar.
            let read = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            prop_assert_eq!(compact(&text, 64).is_ok(), read.is_ok(), "{}", text);
        }

        #[test]
        fn members_are_those_that_a_reader_sees(value in any_json()) {
            let text = value.to_string();
            for (key, member) in value.as_object().into_iter().flatten() {
                let found = find(text.as_bytes(), std::slice::from_ref(key)).expect("a member");
                prop_assert_eq!(String::from_utf8_lossy(found), member.to_string());
            }
        }

        #[test]
        fn bytes_that_are_not_json_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = find(&bytes, &["a".to_owned()]);
            let _ = members(&bytes).count();
            let _ = elements(&bytes).count();
            let _ = text(&bytes);
            let _ = compact(&String::from_utf8_lossy(&bytes), 64);
        }

        #[test]
        fn eight_bytes_at_a_time_find_what_one_at_a_time_does(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            prop_assert_eq!(plain_len(&bytes), bytes.iter().position(special).unwrap_or(bytes.len()));
        }

        #[test]
        fn a_string_is_written_as_a_reader_reads_it(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).expect("a string"), text);
        }
    }
}
