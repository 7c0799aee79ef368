//! A JSON Schema as a list of what the data has: for people, so it shows what they look for and leaves the rest to the JSON.

use maud::{Markup, html};
use postrider_domain::limits::JSON_DEPTH_MAX;
use serde_json::Value;

use crate::words::Words;

/// Members that are shown of one schema. A few references to each other can stand for any number of them.
const NODES_MAX: usize = 500;
/// Values of an enum that are shown.
const ENUM_MAX: usize = 30;
/// Keywords whose value is shown as it is, with how people say them.
const BOUNDS: &[(&str, &str)] = &[
    ("format", "format"),
    ("const", "always"),
    ("default", "default"),
    ("pattern", "matches"),
    ("minimum", "at least"),
    ("exclusiveMinimum", "more than"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "less than"),
    ("minLength", "characters from"),
    ("maxLength", "characters to"),
    ("minItems", "items from"),
    ("maxItems", "items to"),
];

/// One way through a schema.
struct Walk<'a> {
    words: Words,
    root: &'a Value,
    /// References that are open, innermost last: one of these again is a loop.
    open: Vec<&'a str>,
    left: usize,
}

pub(super) fn tree(words: Words, schema: &Value) -> Markup {
    let t = |text| words.say(text);
    let mut walk = Walk { words, root: schema, open: Vec::new(), left: NODES_MAX };
    html! {
        ul .schema { (walk.node("data", false, schema, 0)) }
        @if walk.left == 0 { p .hint { (t("At most {} members are shown here; the JSON has them all.").replace("{}", &NODES_MAX.to_string())) } }
    }
}

impl<'a> Walk<'a> {
    fn node(&mut self, name: &str, required: bool, schema: &'a Value, depth: usize) -> Markup {
        if self.left == 0 || depth >= JSON_DEPTH_MAX {
            return html! {};
        }
        self.left -= 1;
        let words = self.words;
        let t = |text| words.say(text);
        let reference = schema.get("$ref").and_then(Value::as_str);
        let again = reference.is_some_and(|reference| self.open.contains(&reference));
        let target = reference.filter(|_| !again).and_then(|reference| self.find(reference));
        let shown = target.unwrap_or(schema);
        if let Some(reference) = reference.filter(|_| target.is_some()) {
            self.open.push(reference);
        }
        let markup = html! {
            li {
                code { (name) }
                " " span .hint { (type_of(words, shown)) }
                @if required { " " span .badge { (t("required")) } }
                @if again { " " span .hint { (t("the same again:")) " " (reference.unwrap_or_default()) } }
                @for (keyword, said) in BOUNDS {
                    @if let Some(value) = shown.get(*keyword) { " " span .hint { (t(said)) " " code { (plain(value)) } } }
                }
                @if let Some(Value::Array(values)) = shown.get("enum") { (one_of_values(words, values)) }
                @if let Some(description) = described(schema, shown) { p { (description) } }
                (self.children(shown, depth))
            }
        };
        if target.is_some() {
            self.open.pop();
        }
        markup
    }

    fn children(&mut self, schema: &'a Value, depth: usize) -> Markup {
        let words = self.words;
        let t = |text| words.say(text);
        let mut items: Vec<Markup> = Vec::new();
        let required = |name: &str| {
            let required = schema.get("required").and_then(Value::as_array);
            required.is_some_and(|required| required.iter().any(|known| known == name))
        };
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (name, property) in properties {
                items.push(self.node(name, required(name), property, depth + 1));
            }
        }
        if let Some(each @ Value::Object(_)) = schema.get("items") {
            items.push(self.node(t("each item"), false, each, depth + 1));
        }
        if let Some(each @ Value::Object(_)) = schema.get("additionalProperties") {
            items.push(self.node(t("every other member"), false, each, depth + 1));
        }
        for (keyword, said) in [("oneOf", t("one of")), ("anyOf", t("any of")), ("allOf", t("all of"))] {
            let Some(Value::Array(variants)) = schema.get(keyword) else { continue };
            for variant in variants {
                items.push(self.node(said, false, variant, depth + 1));
            }
        }
        html! { @if !items.is_empty() { ul { @for item in &items { (item) } } } }
    }

    /// Within this schema only: others are refused when a type is registered.
    fn find(&self, reference: &str) -> Option<&'a Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

fn type_of(words: Words, schema: &Value) -> String {
    let t = |text| words.say(text);
    match schema {
        Value::Bool(true) => return t("anything").to_owned(),
        Value::Bool(false) => return t("nothing").to_owned(),
        _ => {}
    }
    match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            names.join(&format!(" {} ", t("or")))
        }
        _ if schema.get("properties").is_some() => "object".to_owned(),
        _ => t("any").to_owned(),
    }
}

fn described<'a>(near: &'a Value, target: &'a Value) -> Option<&'a str> {
    let text = |schema: &'a Value| schema.get("description").or_else(|| schema.get("title"))?.as_str();
    text(near).or_else(|| text(target))
}

fn one_of_values(words: Words, values: &[Value]) -> Markup {
    let t = |text| words.say(text);
    html! {
        p .hint {
            (t("one of")) " "
            @for (at, value) in values.iter().take(ENUM_MAX).enumerate() {
                @if at > 0 { ", " }
                code { (plain(value)) }
            }
            @if values.len() > ENUM_MAX { " " (t("and")) " " (values.len() - ENUM_MAX) " " (t("more")) }
        }
    }
}

/// A value in little room.
fn plain(value: &Value) -> String {
    const CHARS_MAX: usize = 100;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_reads_as_a_list() {
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": {
                "id": {"type": "integer", "minimum": 1, "description": "Of the <order>."},
                "state": {"enum": ["open", "closed"]},
                "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
            },
            "$defs": {"line": {"type": "object", "properties": {"sku": {"type": ["string", "null"]}}}},
        });
        let shown = tree(Words::of(None), &schema).into_string();
        for expected in [
            "<code>id</code>",
            "required",
            "at least <code>1</code>",
            "Of the &lt;order&gt;.",
            "<code>open</code>, <code>closed</code>",
            "each item",
            "string or null",
        ] {
            assert!(shown.contains(expected), "{expected} in {shown}");
        }
    }

    #[test]
    fn references_that_go_round_or_multiply_end() {
        let round =
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}}}});
        assert!(tree(Words::of(None), &round).into_string().contains("the same again: #/$defs/a"));
        let itself = json!({"properties": {"next": {"$ref": "#"}}});
        assert!(tree(Words::of(None), &itself).into_string().len() < 10_000);
        let mut defs = serde_json::Map::new();
        for n in 0..40 {
            let next = format!("#/$defs/d{}", n + 1);
            defs.insert(format!("d{n}"), json!({"properties": {"x": {"$ref": next}, "y": {"$ref": next}}}));
        }
        let wide = json!({"$ref": "#/$defs/d0", "$defs": defs});
        assert!(tree(Words::of(None), &wide).into_string().contains("At most"));
    }
}
