//! Paths into JSON: `data.id`, `items[].id`, `[].id`. They name values of compact JSON bytes, before anything of a body is
//! believed, and of parsed JSON after.

use std::fmt;

use serde_json::Value;

use crate::json;

/// Values that one path names at most: providers send a hundred items in a request.
pub(super) const VALUES_MAX: usize = 1000;
const STEPS_MAX: usize = 8;
const PATH_BYTES_MAX: usize = 200;

/// Where a value stands. A step with `[]` goes into every element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// Empty: the value itself, for an array at the top.
    key: String,
    each: bool,
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a path; write `data.id`, `items[].id` or `[].id`");
        if text.is_empty() || text.len() > PATH_BYTES_MAX {
            return Err(wrong());
        }
        let mut steps = Vec::new();
        for (at, part) in text.split('.').enumerate() {
            let (key, each) = match part.strip_suffix("[]") {
                Some(key) => (key, true),
                None => (part, false),
            };
            let whole_array = at == 0 && each;
            if (key.is_empty() && !whole_array) || key.contains(['[', ']', '{', '}']) {
                return Err(wrong());
            }
            steps.push(Step { key: key.to_owned(), each });
        }
        if steps.len() > STEPS_MAX {
            return Err(format!("`{text}` has more than {STEPS_MAX} steps"));
        }
        Ok(Self(steps))
    }

    /// Whether it can name more than one value.
    pub(super) fn is_many(&self) -> bool {
        self.0.iter().any(|step| step.each)
    }

    /// The values in compact, valid JSON, as slices of it; at most [`VALUES_MAX`] and one more, by which one sees that there
    /// are too many. An element without the value is `None`: it must not pass for one that is not there.
    pub(super) fn find_all<'j>(&self, json: &'j [u8]) -> Vec<Option<&'j [u8]>> {
        let mut found = vec![Some(json)];
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                let member = value.and_then(|value| match step.key.as_str() {
                    "" => Some(value),
                    key => json::members(value)
                        .filter(|(name, _)| json::key_is(name, key))
                        .last()
                        .map(|(_, it)| it),
                });
                match member {
                    Some(array) if step.each => {
                        let room = (VALUES_MAX + 1).saturating_sub(next.len());
                        next.extend(json::elements(array).take(room).map(Some));
                    }
                    member => next.push(member),
                }
            }
            found = next;
        }
        found
    }

    /// The one value; `None` where it is missing.
    pub(super) fn find<'j>(&self, json: &'j [u8]) -> Option<&'j [u8]> {
        self.find_all(json).into_iter().next().flatten()
    }

    /// The same in parsed JSON.
    pub(super) fn find_in<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![value];
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                let member = if step.key.is_empty() { Some(value) } else { value.get(&step.key) };
                match member {
                    Some(Value::Array(items)) if step.each => {
                        let room = VALUES_MAX.saturating_sub(next.len());
                        next.extend(items.iter().take(room));
                    }
                    Some(member) if !step.each => next.push(member),
                    _ => {}
                }
            }
            found = next;
        }
        found
    }

    /// Puts `new` at the path, making objects on the way; in every element where the path has `[]`.
    pub(super) fn set(&self, value: &mut Value, new: &Value) {
        set(&self.0, value, new);
    }

    /// Puts the next of `new` at `inner` in each value that this path names, in their order.
    pub(super) fn set_each(&self, value: &mut Value, inner: &Self, new: &mut dyn Iterator<Item = Value>) {
        each(&self.0, value, &mut |item| {
            if let Some(new) = new.next() {
                inner.set(item, &new);
            }
        });
    }
}

fn each(steps: &[Step], value: &mut Value, act: &mut dyn FnMut(&mut Value)) {
    let Some((step, rest)) = steps.split_first() else {
        act(value);
        return;
    };
    let member = if step.key.is_empty() { Some(value) } else { value.get_mut(&step.key) };
    match member {
        Some(Value::Array(items)) if step.each => items.iter_mut().for_each(|item| each(rest, item, act)),
        Some(member) if !step.each => each(rest, member, act),
        _ => {}
    }
}

fn set(steps: &[Step], value: &mut Value, new: &Value) {
    let Some((step, rest)) = steps.split_first() else {
        *value = new.clone();
        return;
    };
    let member = if step.key.is_empty() {
        value
    } else {
        if !value.is_object() {
            *value = Value::Object(serde_json::Map::new());
        }
        &mut value[step.key.as_str()]
    };
    match member {
        Value::Array(items) if step.each => items.iter_mut().for_each(|item| set(rest, item, new)),
        _ if step.each => {}
        member => set(rest, member, new),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            let each = if step.each { "[]" } else { "" };
            write!(f, "{dot}{}{each}", step.key)?;
        }
        Ok(())
    }
}

/// The text of a JSON scalar as it is signed or compared: a string's text, a number or truth value as written, nothing for
/// null. `None` for objects and arrays.
pub(super) fn scalar(value: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    match value.first()? {
        b'"' => json::text(value),
        b'{' | b'[' => None,
        b'n' => Some("".into()),
        _ => std::str::from_utf8(value).ok().map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_and_shown() {
        for text in ["id", "data.id", "items[].id", "[].id", "a[].b[].c"] {
            assert_eq!(Path::parse(text).expect("a path").to_string(), text);
        }
        for text in ["", ".", "a.", ".a", "a..b", "a.[]", "a[0]", "a[]b", "{a}", "a.b.c.d.e.f.g.h.i"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_same_values_are_found_in_bytes_and_in_parsed_json() {
        let json = r#"{"id":"x","items":[{"id":1},{"id":"two"},{}],"none":null,"a":{"b":true}}"#;
        let value: Value = serde_json::from_str(json).expect("JSON");
        for (path, expected) in [
            ("id", vec![Some("x")]),
            ("items[].id", vec![Some("1"), Some("two"), None]),
            ("none", vec![Some("")]),
            ("a.b", vec![Some("true")]),
            ("a", vec![None]),
            ("missing", vec![None]),
            ("a.b.c", vec![None]),
        ] {
            let path = Path::parse(path).expect("a path");
            let found: Vec<Option<String>> = path
                .find_all(json.as_bytes())
                .into_iter()
                .map(|value| value.and_then(scalar).map(|text| text.into_owned()))
                .collect();
            let expected: Vec<Option<String>> =
                expected.into_iter().map(|it| it.map(str::to_owned)).collect();
            assert_eq!(found, expected, "{path}");
            let present = path.find_all(json.as_bytes()).into_iter().flatten().count();
            assert_eq!(path.find_in(&value).len(), present, "{path}");
        }
    }

    #[test]
    fn more_items_than_the_bound_are_seen_to_be_more() {
        let json = format!("[{}]", vec!["{}"; 5000].join(","));
        assert_eq!(Path::parse("[]").expect("a path").find_all(json.as_bytes()).len(), VALUES_MAX + 1);
    }
}
