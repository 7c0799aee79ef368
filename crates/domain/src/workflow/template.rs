//! JSON with expressions in it: what a step is given, before and after the expressions have values.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::expression::{Expression, Room, Scope};

/// A value that is put together: text with `{{ … }}` in it, `{"$expr": "…"}`, lists and objects of these, or JSON as it is.
#[derive(Debug, Clone)]
pub(super) enum Template {
    Literal(Value),
    /// At least one part is an expression.
    Text(Vec<Part>),
    Typed(Arc<Expression>),
    List(Vec<Template>),
    Object(Vec<(String, Template)>),
}

#[derive(Debug, Clone)]
pub(super) enum Part {
    Literal(String),
    Expression(Arc<Expression>),
}

/// An object with this key alone is the value of the expression.
pub(super) const EXPRESSION_KEY: &str = "$expr";
/// An object with this key alone is its value, unread.
pub(super) const LITERAL_KEY: &str = "$literal";

impl Template {
    /// The value. The error is a sentence, which quotes the expression but no values.
    pub(super) fn value(&self, scope: &Scope<'_>, room: &mut Room) -> Result<Value, String> {
        match self {
            Self::Literal(value) => {
                room.take(value)?;
                Ok(value.clone())
            }
            Self::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Expression(expression) => text.push_str(&part_text(expression, scope, room)?),
                    }
                    room.check(text.len())?;
                }
                room.take_text(&text)?;
                Ok(Value::String(text))
            }
            Self::Typed(expression) => {
                expression.value(scope, room).map_err(|message| told(expression, &message))
            }
            Self::List(items) => {
                room.take_scalar(0)?;
                items.iter().map(|item| item.value(scope, room)).collect::<Result<_, _>>().map(Value::Array)
            }
            Self::Object(members) => {
                room.take_scalar(0)?;
                let mut object = Map::new();
                for (key, member) in members {
                    room.take_text(key)?;
                    object.insert(key.clone(), member.value(scope, room)?);
                }
                Ok(Value::Object(object))
            }
        }
    }

    /// The value as text: of text itself, of nothing none, of others compact JSON.
    pub(super) fn text(&self, scope: &Scope<'_>, room: &mut Room) -> Result<String, String> {
        self.value(scope, room).map(text_of)
    }

    /// The same template with the values of all expressions that name none of `later`.
    pub(super) fn filled(&self, later: &[&str], scope: &Scope<'_>, room: &mut Room) -> Result<Self, String> {
        let is_later = |expression: &Expression| later.iter().any(|name| expression.names(name));
        match self {
            Self::Literal(_) => self.value(scope, room).map(Self::Literal),
            Self::Typed(expression) if is_later(expression) => Ok(self.clone()),
            Self::Typed(_) => self.value(scope, room).map(Self::Literal),
            Self::Text(parts) => {
                if !parts.iter().any(|part| matches!(part, Part::Expression(known) if is_later(known))) {
                    return self.value(scope, room).map(Self::Literal);
                }
                let mut filled = Vec::with_capacity(parts.len());
                for part in parts {
                    filled.push(match part {
                        Part::Expression(expression) if !is_later(expression) => {
                            let text = part_text(expression, scope, room)?;
                            room.take_text(&text)?;
                            Part::Literal(text)
                        }
                        part => part.clone(),
                    });
                }
                Ok(Self::Text(filled))
            }
            Self::List(items) => {
                let filled = items.iter().map(|item| item.filled(later, scope, room));
                filled.collect::<Result<_, _>>().map(Self::List)
            }
            Self::Object(members) => {
                let mut filled = Vec::with_capacity(members.len());
                for (key, member) in members {
                    filled.push((key.clone(), member.filled(later, scope, room)?));
                }
                Ok(Self::Object(filled))
            }
        }
    }
}

/// The value as text, which has at most what is left of `room`; nothing is taken from that yet.
pub(super) fn part_text(
    expression: &Expression,
    scope: &Scope<'_>,
    room: &mut Room,
) -> Result<String, String> {
    let value = room.part(|room| expression.value(scope, room));
    value.map(text_of).map_err(|message| told(expression, &message))
}

pub(super) fn text_of(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// With the expression, which may be one of many.
pub(super) fn told(expression: &Expression, message: &str) -> String {
    const CHARS_MAX: usize = 100;
    let source = expression.source().trim();
    match source.char_indices().nth(CHARS_MAX) {
        None => format!("`{source}`: {message}"),
        Some((end, _)) => format!("`{}…`: {message}", &source[..end]),
    }
}

/// A text cut at its expressions: literal text, and the source of an expression with where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut<'t> {
    Literal(&'t str),
    Expression { source: &'t str, at: usize },
}

/// Cuts text at `{{ … }}`. The end is found where no quotes and no braces of the expression are open, so that
/// `{{ {'a': {'b': 1}} }}` is one, and `{{ '{{' }}` writes the braces themselves. The error: where a `{{` has no end.
pub(super) fn cut(text: &str) -> Result<Vec<Cut<'_>>, usize> {
    let mut cuts = Vec::new();
    let mut at = 0;
    while let Some(begin) = text[at..].find("{{").map(|found| at + found) {
        if begin > at {
            cuts.push(Cut::Literal(&text[at..begin]));
        }
        let end = expression_end(text, begin + 2).ok_or(begin)?;
        cuts.push(Cut::Expression { source: &text[begin + 2..end], at: begin + 2 });
        at = end + 2;
    }
    if at < text.len() || cuts.is_empty() {
        cuts.push(Cut::Literal(&text[at..]));
    }
    Ok(cuts)
}

/// Where the `}}` stands that ends an expression which begins at `at`.
fn expression_end(text: &str, mut at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = 0usize;
    loop {
        match bytes.get(at)? {
            b'}' if open == 0 && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            b'}' => open = open.saturating_sub(1),
            b'{' => open += 1,
            quote @ (b'\'' | b'"') => {
                // r'…' has no escapes.
                let word = text[..at].bytes().rev().take_while(u8::is_ascii_alphanumeric).count();
                let raw = (1..=2).contains(&word) && text[at - word..at].contains(['r', 'R']);
                at = quoted_end(&bytes[at..], *quote, raw)? + at;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// How long the quoted text is that `bytes` begins with.
fn quoted_end(bytes: &[u8], quote: u8, raw: bool) -> Option<usize> {
    let triple = [quote; 3];
    let mark: &[u8] = if bytes.starts_with(&triple) { &triple } else { &triple[..1] };
    let mut at = mark.len();
    loop {
        match bytes.get(at)? {
            b'\\' if !raw => at += 2,
            _ if bytes[at..].starts_with(mark) => return Some(at + mark.len()),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_cut_at_its_expressions() {
        let expression = |source, at| Cut::Expression { source, at };
        for (text, expected) in [
            ("", vec![Cut::Literal("")]),
            ("plain } } {", vec![Cut::Literal("plain } } {")]),
            ("{{ a }}", vec![expression(" a ", 2)]),
            (
                "x{{a}}y{{b}}",
                vec![Cut::Literal("x"), expression("a", 3), Cut::Literal("y"), expression("b", 9)],
            ),
            ("{{ {'a': {'b': 1}} }}!", vec![expression(" {'a': {'b': 1}} ", 2), Cut::Literal("!")]),
            ("{{ '{{' }}", vec![expression(" '{{' ", 2)]),
            ("{{ '}}' }}", vec![expression(" '}}' ", 2)]),
            ("{{ \"it's }}\" }}", vec![expression(" \"it's }}\" ", 2)]),
            (r"{{ 'a\'}}' }}", vec![expression(r" 'a\'}}' ", 2)]),
            (r"{{ r'a\' }}", vec![expression(r" r'a\' ", 2)]),
            ("{{ '''a'}}''' }}", vec![expression(" '''a'}}''' ", 2)]),
            ("{{}}", vec![expression("", 2)]),
            ("ü{{ü}}", vec![Cut::Literal("ü"), expression("ü", 4)]),
        ] {
            assert_eq!(cut(text), Ok(expected), "{text}");
        }
        for (text, at) in [("{{", 0), ("a {{ b }", 2), ("{{ 'a }}", 0), ("{{a}} {{ {b }}", 6), (r"{{ '\", 0)]
        {
            assert_eq!(cut(text), Err(at), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[{}'\"\\\\ra ü]{0,40}") {
            let _ = cut(&text);
        }
    }
}
