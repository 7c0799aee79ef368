//! JSON as JavaScript writes it: the text for which `JSON.stringify(JSON.parse(text)) === text`.
//!
//! Some receivers verify a signature over `JSON.stringify(req.body)`, the body parsed and written again. They accept a
//! body only if it is already in that form (ECMA-262, `JSON.parse` and `SerializeJSONProperty`): numbers as doubles in
//! ECMAScript's notation, of duplicate keys the last value at the first one's place, keys that look like array
//! indices first and ascending, and no escape that is not needed.

use std::borrow::Cow;
use std::collections::HashMap;

/// The body around an event's data nests a little deeper than the data alone.
const DEPTH_MAX: usize = crate::limits::JSON_DEPTH_MAX + 16;

/// Why a document has no such form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct NotRepresentable {
    /// The value at fault, as `task.items[3].price`; empty for the whole document.
    pub path: String,
    pub why: &'static str,
}

impl NotRepresentable {
    fn new(why: &'static str) -> Self {
        Self { path: String::new(), why }
    }

    fn under(mut self, step: &str) -> Self {
        let divided = self.path.is_empty() || self.path.starts_with('[');
        self.path.insert_str(0, if divided { "" } else { "." });
        self.path.insert_str(0, step);
        self
    }
}

/// Rewrites a document into the form that `JSON.stringify(JSON.parse(json))` gives back.
///
/// Refuses numbers beyond a double (`1e400`), lone surrogates, and what is not JSON.
pub fn rewrite(json: &str) -> Result<Vec<u8>, NotRepresentable> {
    let mut parser = Parser { text: json, bytes: json.as_bytes(), at: 0 };
    let value = parser.value(0)?;
    parser.skip_whitespace();
    if parser.at != json.len() {
        return Err(NotRepresentable::new("something after the end of the document"));
    }
    let mut out = Vec::with_capacity(json.len());
    value.write(&mut out);
    Ok(out)
}

enum Value<'a> {
    Word(&'static str),
    Number(f64),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    /// In the order in which JavaScript enumerates it.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Value<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Word(word) => out.extend_from_slice(word.as_bytes()),
            Value::Number(number) => write_number(out, *number),
            Value::String(text) => crate::json::write_string(out, text),
            Value::Array(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Value::Object(members) => {
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    crate::json::write_string(out, key);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

fn write_number(out: &mut Vec<u8>, number: f64) {
    // Covers -0, which JavaScript writes as 0.
    if number == 0.0 {
        out.push(b'0');
    } else {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
    }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

const MALFORMED: &str = "not valid JSON";

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_whitespace();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, NotRepresentable> {
        self.skip_whitespace();
        match self.peek() {
            Some(b'{' | b'[') if depth >= DEPTH_MAX => Err(NotRepresentable::new("nested too deeply")),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, NotRepresentable> {
        self.at += 1;
        let mut members = Members::default();
        if self.eat(b'}') {
            return Ok(Value::Object(Vec::new()));
        }
        loop {
            self.skip_whitespace();
            if self.peek() != Some(b'"') {
                return Err(NotRepresentable::new(MALFORMED));
            }
            let key = self.string()?;
            if !self.eat(b':') {
                return Err(NotRepresentable::new(MALFORMED));
            }
            let value = self.value(depth + 1).map_err(|problem| problem.under(&key))?;
            members.set(key, value);
            if self.eat(b'}') {
                return Ok(Value::Object(members.in_order()));
            }
            if !self.eat(b',') {
                return Err(NotRepresentable::new(MALFORMED));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, NotRepresentable> {
        self.at += 1;
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            let item =
                self.value(depth + 1).map_err(|problem| problem.under(&format!("[{}]", items.len())))?;
            items.push(item);
            if self.eat(b']') {
                return Ok(Value::Array(items));
            }
            if !self.eat(b',') {
                return Err(NotRepresentable::new(MALFORMED));
            }
        }
    }

    fn word(&mut self) -> Result<Value<'a>, NotRepresentable> {
        for word in ["true", "false", "null"] {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(Value::Word(word));
            }
        }
        Err(NotRepresentable::new(MALFORMED))
    }

    fn number(&mut self) -> Result<Value<'a>, NotRepresentable> {
        let rest = &self.text[self.at..];
        let end = rest
            .bytes()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let text = &rest[..end];
        // Rust's grammar is wider than JSON's, hence the check; both round to the nearest double, ties to even.
        if !crate::json::is_number(text) {
            return Err(NotRepresentable::new(MALFORMED));
        }
        let number: f64 = text.parse().map_err(|_| NotRepresentable::new(MALFORMED))?;
        if !number.is_finite() {
            return Err(NotRepresentable::new("a number beyond what a double holds (about 1.8e308)"));
        }
        self.at += end;
        Ok(Value::Number(number))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, NotRepresentable> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at += crate::json::plain_len(self.bytes.get(at..).unwrap_or_default());
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                _ => return Err(NotRepresentable::new(MALFORMED)),
            }
        }
        self.at = at + 1;
        let inner = &self.text[start..at];
        if escaped { unescape(inner).map(Cow::Owned) } else { Ok(Cow::Borrowed(inner)) }
    }
}

fn unescape(inner: &str) -> Result<String, NotRepresentable> {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).ok_or(NotRepresentable::new(MALFORMED))?;
        rest = rest.get(at + 2..).ok_or(NotRepresentable::new(MALFORMED))?;
        out.push(match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, after) = unicode(rest)?;
                rest = after;
                character
            }
            _ => return Err(NotRepresentable::new(MALFORMED)),
        });
    }
    out.push_str(rest);
    Ok(out)
}

/// The character of a `\u` escape whose four digits `rest` begins with, and what follows it.
fn unicode(rest: &str) -> Result<(char, &str), NotRepresentable> {
    const LONE: &str = "a lone surrogate (\\ud800 to \\udfff without its other half)";
    let (first, rest) = hex4(rest)?;
    if !(0xd800..0xe000).contains(&first) {
        return Ok((char::from_u32(first).ok_or(NotRepresentable::new(LONE))?, rest));
    }
    let low = rest.strip_prefix("\\u").ok_or(NotRepresentable::new(LONE))?;
    let (second, rest) = hex4(low)?;
    if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
        return Err(NotRepresentable::new(LONE));
    }
    let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Ok((char::from_u32(code).ok_or(NotRepresentable::new(LONE))?, rest))
}

fn hex4(text: &str) -> Result<(u32, &str), NotRepresentable> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    Ok((code.ok_or(NotRepresentable::new(MALFORMED))?, &text[4..]))
}

/// An object while it is read.
#[derive(Default)]
struct Members<'a> {
    list: Vec<(Cow<'a, str>, Value<'a>)>,
    /// Where each key stands, kept from this many members on: a hostile object must not cost its square.
    places: HashMap<Cow<'a, str>, usize>,
}

const INDEXED_FROM: usize = 16;

impl<'a> Members<'a> {
    fn set(&mut self, key: Cow<'a, str>, value: Value<'a>) {
        let place = if self.list.len() < INDEXED_FROM {
            self.list.iter().position(|(name, _)| *name == key)
        } else {
            if self.places.is_empty() {
                for (at, (name, _)) in self.list.iter().enumerate() {
                    self.places.insert(name.clone(), at);
                }
            }
            self.places.get(&key).copied()
        };
        match place {
            Some(place) => self.list[place].1 = value,
            None => {
                if self.list.len() >= INDEXED_FROM {
                    self.places.insert(key.clone(), self.list.len());
                }
                self.list.push((key, value));
            }
        }
    }

    fn in_order(mut self) -> Vec<(Cow<'a, str>, Value<'a>)> {
        // A stable sort: array indices ascend, the others keep their order behind them.
        if self.list.iter().any(|(key, _)| array_index(key).is_some()) {
            self.list.sort_by_key(|(key, _)| array_index(key).map_or(u64::MAX, u64::from));
        }
        self.list
    }
}

/// The number of a key that is an array index in ECMAScript: canonical decimal, at most 2^32 - 2.
fn array_index(key: &str) -> Option<u32> {
    let canonical = key == "0" || (!key.starts_with('0') && key.bytes().all(|byte| byte.is_ascii_digit()));
    if !canonical || key.is_empty() {
        return None;
    }
    key.parse::<u32>().ok().filter(|index| *index != u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(json: &str, expected: &str) {
        let rewritten = rewrite(json).expect("representable");
        assert_eq!(String::from_utf8_lossy(&rewritten), expected, "{json}");
        assert_eq!(rewrite(expected).expect("representable"), rewritten, "not a fixed point: {expected}");
    }

    #[test]
    fn numbers_are_written_as_javascript_writes_doubles() {
        for (number, expected) in [
            ("1.0", "1"),
            ("-0", "0"),
            ("-0.0e5", "0"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("123456789012345678901", "123456789012345680000"),
            ("9007199254740993", "9007199254740992"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1.5E-7", "1.5e-7"),
            ("5e-324", "5e-324"),
            ("1e-400", "0"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("4.35", "4.35"),
            ("100", "100"),
        ] {
            check(number, expected);
        }
    }

    #[test]
    fn keys_stand_in_the_order_in_which_javascript_enumerates_them() {
        check(r#"{"b":1,"2":2,"a":3,"10":4,"0":5}"#, r#"{"0":5,"2":2,"10":4,"b":1,"a":3}"#);
        check(
            r#"{"4294967295":1,"01":2,"-1":3,"1.0":4,"":5,"4294967294":6}"#,
            r#"{"4294967294":6,"4294967295":1,"01":2,"-1":3,"1.0":4,"":5}"#,
        );
        check(r#"{"a":1,"b":2,"a":3,"\u0061":4}"#, r#"{"a":4,"b":2}"#);
        check(r#"{"x":1,"__proto__":{"y":2}}"#, r#"{"x":1,"__proto__":{"y":2}}"#);
    }

    #[test]
    fn duplicates_are_found_in_large_objects_too() {
        let mut json = String::from("{");
        for turn in 0..2 {
            for n in 0..100 {
                json.push_str(&format!("\"k{n}\":{turn},"));
            }
        }
        json.pop();
        json.push('}');
        let rewritten = rewrite(&json).expect("representable");
        let value: serde_json::Value = serde_json::from_slice(&rewritten).expect("JSON");
        let members = value.as_object().expect("an object");
        assert_eq!(members.len(), 100);
        assert!(members.values().all(|value| value == 1));
        assert_eq!(rewritten.iter().filter(|byte| **byte == b':').count(), 100);
    }

    #[test]
    fn escapes_are_the_ones_that_javascript_needs() {
        check(
            r#""\/\u0041\u00e9\ud83d\ude00\u000A\u0008\u000c\r\t\u0000\u001F\u007f\u2028\u0022\u005c""#,
            "\"/Aé😀\\n\\b\\f\\r\\t\\u0000\\u001f\u{7f}\u{2028}\\\"\\\\\"",
        );
    }

    #[test]
    fn what_cannot_be_written_so_is_refused_with_its_place() {
        for (json, path) in [
            ("1e400", ""),
            (r#"{"a":[0,{"b":-1e400}]}"#, "a[1].b"),
            (r#"{"a":["x","\ud800"]}"#, "a[1]"),
            (r#"["\udc00\ud800"]"#, "[0]"),
            (r#"{"k":"\ud800\u0041"}"#, "k"),
            (r#"{"k":"\ud800x"}"#, "k"),
        ] {
            assert_eq!(rewrite(json).expect_err("refused").path, path, "{json}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(rewrite(&deep).expect_err("refused").why, "nested too deeply");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for json in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            "+1",
            "--1",
            "1-1",
            "\"\\x\"",
            "\"\\",
            "\"\\u12é4\"",
            "nul",
            "1 1",
            "\"\n\"",
        ] {
            assert!(rewrite(json).is_err(), "{json:?}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_a_fixed_point_and_means_the_same(
            keys in prop::collection::vec("[ab01]{0,3}", 0..20),
            numbers in prop::collection::vec(any::<f64>(), 20),
            text in any::<String>(),
        ) {
            let mut json = String::from("{");
            for (key, number) in keys.iter().zip(&numbers).filter(|(_, number)| number.is_finite()) {
                json.push_str(&format!("\"{key}\":{number:e},"));
            }
            json.push_str(&format!("\"text\":{}}}", serde_json::Value::from(text)));
            let once = rewrite(&json).expect("representable");
            let twice = rewrite(std::str::from_utf8(&once).expect("UTF-8")).expect("representable");
            prop_assert_eq!(&once, &twice);
            let before: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            let after: serde_json::Value = serde_json::from_slice(&once).expect("JSON");
            for (key, value) in before.as_object().expect("an object") {
                if value.is_number() {
                    prop_assert_eq!(value.as_f64(), after[key].as_f64());
                } else {
                    prop_assert_eq!(value, &after[key]);
                }
            }
        }

        #[test]
        fn any_text_is_written_or_refused_but_does_not_panic(text in any::<String>()) {
            let _ = rewrite(&text);
            let _ = rewrite(&format!("\"{text}\""));
        }
    }
}
