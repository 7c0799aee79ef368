//! A definition written in YAML, as the JSON that it stands for.
//!
//! Taken: block and flow collections, scalars of YAML 1.2's core schema (so that `no` and `on` are text). Refused: anchors and
//! aliases, whose expansion has no bound, tags, a second document, and a key given twice.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use crate::limits;

/// Reads YAML. The error is a sentence with its line and column.
pub fn from_yaml(text: &str) -> Result<Value, String> {
    if text.len() > limits::WORKFLOW_BYTES_MAX {
        return Err(format!("a definition has at most {} KiB", limits::WORKFLOW_BYTES_MAX / 1024));
    }
    let mut parser = Parser::new_from_str(text);
    let mut document = None;
    let mut open: Vec<Open> = Vec::new();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| told(*error.marker(), error.info()))?;
        let at = span.start;
        let refuse = |message: &str| Err(told(at, message));
        let value = match event {
            Event::Alias(_) => return refuse("aliases are not taken here: write the value out"),
            Event::Scalar(.., anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return refuse("anchors are not taken here: write the value out");
            }
            Event::Scalar(.., Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => return refuse("tags are not taken here"),
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() == limits::JSON_DEPTH_MAX {
                    return refuse(&format!("it is nested deeper than {} levels", limits::JSON_DEPTH_MAX));
                }
                open.push(match event {
                    Event::SequenceStart(..) => Open::List(Vec::new()),
                    _ => Open::Object(Map::new(), None),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Value::Array(items),
                Some(Open::Object(members, None)) => Value::Object(members),
                _ => return refuse("something ends that did not begin"),
            },
            Event::Scalar(text, style, ..) => match open.last_mut() {
                // A key is text, whatever it looks like.
                Some(Open::Object(members, key @ None)) => {
                    if members.contains_key(text.as_ref()) {
                        return refuse("this key is given twice");
                    }
                    *key = Some(text.into_owned());
                    continue;
                }
                _ if style == ScalarStyle::Plain => match plain(&text) {
                    Some(value) => value,
                    None => return refuse("JSON has no such number"),
                },
                _ => Value::String(text.into_owned()),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => continue,
        };
        match open.last_mut() {
            Some(Open::List(items)) => items.push(value),
            Some(Open::Object(members, key)) => match key.take() {
                Some(key) => {
                    members.insert(key, value);
                }
                None => return refuse("a key must be text"),
            },
            None if document.is_some() => return refuse("a definition is one document"),
            None => document = Some(value),
        }
    }
    document.ok_or_else(|| "the document is empty".to_owned())
}

/// A collection that has begun. Of an object, the key whose value comes.
enum Open {
    List(Vec<Value>),
    Object(Map<String, Value>, Option<String>),
}

fn told(at: Marker, message: &str) -> String {
    format!("line {}, column {}: {message}", at.line(), at.col() + 1)
}

/// The core schema. `None`: a number that JSON cannot hold.
fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return None,
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return None;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        let digits = text
            .strip_prefix(prefix)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if let Some(number) = digits.and_then(|digits| u64::from_str_radix(digits, radix).ok()) {
            return Some(Value::from(number));
        }
    }
    let digit = unsigned.bytes().find(|byte| *byte != b'.').is_some_and(|byte| byte.is_ascii_digit());
    let number = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if !digit || !number {
        return Some(Value::String(text.to_owned()));
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::from(number));
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(Value::from(number));
    }
    match text.parse::<f64>() {
        Ok(number) => Number::from_f64(number).map(Value::Number),
        // As `1.2.3` and `2026-04-11`.
        Err(_) => Some(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_the_json_that_it_stands_for() {
        for (text, expected) in [
            ("a: 1", json!({"a": 1})),
            ("- a\n- {b: [1, 2.5, -3, 1e3]}", json!(["a", {"b": [1, 2.5, -3, 1000.0]}])),
            ("on: no\noff: yes\nx: on", json!({"on": "no", "off": "yes", "x": "on"})),
            (
                "a: ~\nb: null\nc:\nd: 'null'\ne: true\nf: \"1\"",
                json!({"a": null, "b": null, "c": null, "d": "null", "e": true, "f": "1"}),
            ),
            (
                "a: 2026-04-11\nb: 10:30\nc: 1.2.3\nd: 0x1F\ne: 0o17\nf: 010\ng: +5\nh: 18446744073709551615\ni: .5\nj: e5\nk: 1-2",
                json!({
                    "a": "2026-04-11", "b": "10:30", "c": "1.2.3", "d": 31, "e": 15, "f": 10, "g": 5, "h": u64::MAX, "i": 0.5,
                    "j": "e5", "k": "1-2",
                }),
            ),
            ("1: one\ntrue: two", json!({"1": "one", "true": "two"})),
            ("text: |\n  a\n  b\nfolded: >-\n  a\n  b\n", json!({"text": "a\nb\n", "folded": "a b"})),
            ("url: https://a.example/{{ input.id }}", json!({"url": "https://a.example/{{ input.id }}"})),
            ("{\"a\": [{\"$expr\": \"1 + 1\"}]}", json!({"a": [{"$expr": "1 + 1"}]})),
            ("--- # a comment\na: 1\n...\n", json!({"a": 1})),
        ] {
            assert_eq!(from_yaml(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_bound_or_no_json_is_refused_with_its_place() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]";
        for (text, expected) in [
            (bomb, "line 1, column 4: anchors"),
            ("a: *x", "anchor"),
            ("a: !!str 1", "line 1, column 4: tags"),
            ("a: !own {b: 1}", "tags"),
            ("a: 1\na: 2", "line 2, column 1: this key is given twice"),
            ("a: 1\n---\nb: 2", "one document"),
            ("a: .inf", "no such number"),
            ("a: -.Inf", "no such number"),
            ("a: .nan", "no such number"),
            ("a: 1e999", "no such number"),
            ("", "empty"),
            ("# nothing", "empty"),
            ("? [a, b]\n: 1", "a key must be text"),
            ("? {a: 1}\n: 1", "a key must be text"),
            ("a: [1, 2", "line "),
            ("a: 'b", "line "),
            ("a: {{ input.id }}", "a key must be text"),
        ] {
            let why = from_yaml(text).expect_err(text);
            assert!(why.contains(expected), "{text}: {why}");
        }
        assert!(
            from_yaml(&"a".repeat(limits::WORKFLOW_BYTES_MAX + 1)).is_err_and(|why| why.contains("256 KiB"))
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let flow = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(from_yaml(&flow(64)).is_ok());
        let blocks: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        for text in
            [flow(65), flow(10_000), "[".repeat(200_000), "- ".repeat(100_000), "{a: ".repeat(50_000), blocks]
        {
            assert!(from_yaml(&text).is_err_and(|why| why.contains("line ")), "{}", &text[..20]);
        }
        for text in [
            "? ".repeat(100_000),
            "&a ".repeat(50_000),
            "!a ".repeat(50_000),
            "a: ".repeat(80_000),
            "'".repeat(99_999),
        ] {
            assert!(from_yaml(&text).is_err(), "{}", &text[..20]);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ \\n\\t\\[\\]{}:,&*!|>'\"#%@`?~\\-a-c0-9.\\\\]{0,60}", any in any::<String>()) {
            let _ = from_yaml(&text);
            let _ = from_yaml(&any);
        }

        #[test]
        fn json_is_yaml(text in "[a-z \"\\\\\u{e9}{}:#-]{0,12}", number in any::<i64>(), flag in any::<bool>()) {
            let value = json!({"a": [text.clone(), number, flag, null], "b": {text: {}}});
            prop_assert_eq!(from_yaml(&value.to_string()), Ok(value.clone()));
            prop_assert_eq!(from_yaml(&serde_json::to_string_pretty(&value).expect("JSON")), Ok(value));
        }
    }
}
