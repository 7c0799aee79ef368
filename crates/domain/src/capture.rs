//! A captured request as people paste it, read into headers and body: a request as it was on the wire, what `curl -v` printed, or
//! JSON with `headers` and `body`.
//!
//! The body is taken to the last byte: a signature is over bytes. Nothing is guessed that would change them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use crate::limits;

/// Headers and body of a captured request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why what was pasted is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it has more than {} bytes", limits::CAPTURE_BYTES_MAX)]
    TooLong,
    #[error("there is no empty line after its headers, so that it has no body")]
    NoBody,
    #[error("\"{0}\" is not a header, which is a name, a colon and a value")]
    NotAHeader(String),
    #[error("its JSON is not an object with `headers` and `body`: {0}")]
    NotJson(String),
}

/// Of a line that is told as wrong.
const SHOWN_CHARS: usize = 80;

/// Reads whatever of the three it is.
pub fn parse(bytes: &[u8]) -> Result<Captured, Unreadable> {
    if bytes.len() > limits::CAPTURE_BYTES_MAX {
        return Err(Unreadable::TooLong);
    }
    match bytes.trim_ascii_start() {
        rest if rest.starts_with(b"{") => from_json(rest),
        rest if is_curl(rest) => from_curl(rest),
        _ => from_wire(bytes),
    }
}

/// One header as a line.
pub fn header_line(line: &str) -> Result<(String, String), Unreadable> {
    match line.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(Unreadable::NotAHeader(line.chars().take(SHOWN_CHARS).collect())),
    }
}

/// The head up to the first empty line, and everything after it as the body, to the last byte. Lines of the head may end with
/// or without CR; the request line may be missing.
pub fn from_wire(bytes: &[u8]) -> Result<Captured, Unreadable> {
    let ends = [&b"\r\n\r\n"[..], &b"\n\n"[..]];
    let end = ends
        .iter()
        .filter_map(|end| Some((bytes.windows(end.len()).position(|window| window == *end)?, end.len())))
        .min();
    let Some((head_end, gap)) = end else { return Err(Unreadable::NoBody) };
    let head = String::from_utf8_lossy(&bytes[..head_end]);
    let mut headers = Vec::new();
    for (number, line) in head.lines().enumerate() {
        if number == 0 && is_request_line(line) {
            continue;
        }
        headers.push(header_line(line)?);
    }
    Ok(Captured { headers, body: bytes[head_end + gap..].to_vec() })
}

fn is_request_line(line: &str) -> bool {
    line.contains(" HTTP/")
}

/// Lines of curl's begin with `*`, `>`, `<` or a brace.
fn is_curl(bytes: &[u8]) -> bool {
    matches!(bytes, [b'*' | b'>', b' ', ..])
}

/// Of what `curl -v` printed: the head that it sent, in lines that begin with `> `, and what stands after it that is none of
/// curl's own lines. curl does not print a request's body; people paste it behind.
fn from_curl(bytes: &[u8]) -> Result<Captured, Unreadable> {
    let mut headers = Vec::new();
    let mut rest = bytes;
    let mut head_ended = false;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let line = rest[..end].trim_ascii_end();
        match line {
            [b'>'] if !headers.is_empty() => head_ended = true,
            [b'>'] => {}
            [b'>', b' ', line @ ..] if !head_ended => {
                let line = String::from_utf8_lossy(line);
                if !is_request_line(&line) {
                    headers.push(header_line(&line)?);
                }
            }
            [b'*' | b'<' | b'>', b' ', ..] | [b'<'] => {}
            [b'{' | b'}', b' ', b'[', ..] if line.ends_with(b"data]") => {}
            [] if !head_ended => {}
            _ if head_ended => break,
            _ => {
                let line = String::from_utf8_lossy(line);
                return Err(Unreadable::NotAHeader(line.chars().take(SHOWN_CHARS).collect()));
            }
        }
        rest = &rest[end..];
    }
    if !head_ended {
        return Err(Unreadable::NoBody);
    }
    Ok(Captured { headers, body: rest.to_vec() })
}

/// `{"headers": {…} or [[name, value], …], "body": text or JSON}`, or `bodyBase64` for what is no text. A body that is JSON
/// itself is written compactly: who has only that has lost the bytes, and is told so by the signature.
fn from_json(bytes: &[u8]) -> Result<Captured, Unreadable> {
    let bad = |why: &str| Unreadable::NotJson(why.to_owned());
    let value: Value = serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))?;
    let Value::Object(mut fields) = value else { return Err(bad("it is no object")) };
    let headers = match fields.remove("headers") {
        Some(Value::Object(headers)) => headers_of_object(headers)?,
        Some(Value::Array(pairs)) => headers_of_pairs(pairs)?,
        _ => return Err(bad("`headers` is missing, or neither an object nor a list")),
    };
    let body = match (fields.remove("body"), fields.remove("bodyBase64")) {
        (Some(Value::String(text)), _) => text.into_bytes(),
        (None | Some(Value::Null), Some(Value::String(text))) => {
            BASE64.decode(text).map_err(|_| bad("`bodyBase64` is not base64"))?
        }
        (Some(Value::Null) | None, _) => return Err(bad("`body` is missing")),
        (Some(body), _) => body.to_string().into_bytes(),
    };
    Ok(Captured { headers, body })
}

fn headers_of_object(headers: Map<String, Value>) -> Result<Vec<(String, String)>, Unreadable> {
    let mut read = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        match value {
            // As many libraries keep headers that may stand more than once.
            Value::Array(values) => {
                for value in values {
                    read.push((name.clone(), header_value(&name, value)?));
                }
            }
            value => {
                let value = header_value(&name, value)?;
                read.push((name, value));
            }
        }
    }
    Ok(read)
}

fn headers_of_pairs(pairs: Vec<Value>) -> Result<Vec<(String, String)>, Unreadable> {
    let mut read = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let wrong = || Unreadable::NotJson("a header in the list is no pair of texts".to_owned());
        let Value::Array(pair) = pair else { return Err(wrong()) };
        let [Value::String(name), value] = <[Value; 2]>::try_from(pair).map_err(|_| wrong())? else {
            return Err(wrong());
        };
        let value = header_value(&name, value)?;
        read.push((name, value));
    }
    Ok(read)
}

fn header_value(name: &str, value: Value) -> Result<String, Unreadable> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => {
            let name: String = name.chars().take(SHOWN_CHARS).collect();
            Err(Unreadable::NotJson(format!("the header `{name}` has no text for a value")))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn captured(headers: &[(&str, &str)], body: &[u8]) -> Captured {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Captured { headers: headers.iter().map(header).collect(), body: body.to_vec() }
    }

    #[test]
    fn a_request_is_read_with_its_request_line_or_without_and_with_either_line_end() {
        let expected = captured(&[("X-A", "1"), ("X-B", "a:b")], b"{\"a\":\"\\n\"}\n\n");
        for head in ["POST / HTTP/1.1\r\nX-A: 1\r\nX-B:a:b\r\n\r\n", "X-A: 1\nX-B: a:b\n\n"] {
            let mut bytes = head.as_bytes().to_vec();
            bytes.extend_from_slice(&expected.body);
            assert_eq!(parse(&bytes).as_ref(), Ok(&expected));
        }
    }

    #[test]
    fn what_curl_printed_is_read_with_the_body_behind_it() {
        let printed = "* Connected to a.example (10.0.0.1) port 80\n> POST /in HTTP/1.1\r\n> Host: a.example\r\n> X-A: 1\r\n>\r\n\
             * upload completely sent off: 7 bytes\n< HTTP/1.1 200 OK\n< X-A: 2\n<\n{ [2 bytes data]\n";
        let expected = [("Host", "a.example"), ("X-A", "1")];
        for body in ["{\"a\":1}", "{\n  \"a\": 1\n}\n", "> x", ""] {
            // A line that could be curl's is taken for one.
            let body_read = if body == "> x" { "" } else { body };
            let read = parse(format!("{printed}{body}").as_bytes());
            assert_eq!(read, Ok(captured(&expected, body_read.as_bytes())), "{body}");
        }
        assert_eq!(parse(b"> POST / HTTP/1.1\n> X-A: 1\n"), Err(Unreadable::NoBody));
        assert!(matches!(parse(b"* x\nwhat\n"), Err(Unreadable::NotAHeader(_))));
    }

    #[test]
    fn json_is_read_in_the_forms_that_programs_print() {
        let expected = captured(&[("x-a", "1"), ("x-b", "2")], b"{\"a\": 1}\n");
        for json in [
            r#"{"headers": {"x-a": "1", "x-b": 2}, "body": "{\"a\": 1}\n"}"#,
            r#" {"headers": {"x-a": ["1"], "x-b": ["2"]}, "body": "{\"a\": 1}\n", "method": "POST"}"#,
            r#"{"headers": [["x-a", "1"], ["x-b", "2"]], "bodyBase64": "eyJhIjogMX0K"}"#,
        ] {
            assert_eq!(parse(json.as_bytes()).as_ref(), Ok(&expected), "{json}");
        }
        let inner = parse(br#"{"headers": {}, "body": {"b": 1, "a": [1.0]}}"#);
        assert_eq!(inner, Ok(captured(&[], br#"{"b":1,"a":[1.0]}"#)));
        for json in [
            "{",
            "{}",
            r#"{"headers": 1, "body": ""}"#,
            r#"{"headers": {}}"#,
            r#"{"headers": {"a": {}}, "body": ""}"#,
            r#"{"headers": [["a"]], "body": ""}"#,
            r#"{"headers": [[1, "a"]], "body": ""}"#,
            r#"{"headers": {}, "bodyBase64": "?"}"#,
        ] {
            assert!(matches!(parse(json.as_bytes()), Err(Unreadable::NotJson(_))), "{json}");
        }
    }

    #[test]
    fn a_request_without_an_empty_line_or_with_a_broken_header_is_refused() {
        assert_eq!(parse(b"X-A: 1\r\n"), Err(Unreadable::NoBody));
        assert_eq!(parse(b""), Err(Unreadable::NoBody));
        assert!(matches!(parse(b"X-A\n\n{}"), Err(Unreadable::NotAHeader(_))));
        assert_eq!(parse(&vec![b'x'; limits::CAPTURE_BYTES_MAX + 1]), Err(Unreadable::TooLong));
        let long = format!("{}\n\n", "ä".repeat(10_000));
        match parse(long.as_bytes()) {
            Err(Unreadable::NotAHeader(shown)) => assert_eq!(shown.chars().count(), SHOWN_CHARS),
            other => panic!("{other:?}"),
        }
        let deep = format!("{{\"headers\": {}", "[".repeat(100_000));
        assert!(matches!(parse(deep.as_bytes()), Err(Unreadable::NotJson(_))));
    }

    proptest! {
        #[test]
        fn nothing_that_is_pasted_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), lead in 0..4usize) {
            let mut pasted = [&b""[..], b"> ", b"* \n> a: b\n>\n", b"{\"headers\":"][lead].to_vec();
            pasted.extend_from_slice(&bytes);
            let _ = parse(&pasted);
        }

        #[test]
        fn a_body_is_kept_to_the_last_byte(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut pasted = b"POST / HTTP/1.1\r\nX-A: 1\r\n\r\n".to_vec();
            pasted.extend_from_slice(&body);
            prop_assert_eq!(parse(&pasted).map(|captured| captured.body), Ok(body));
        }
    }
}
