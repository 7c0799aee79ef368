//! The schema of a workflow's input. Whoever may write workflows writes it, so that what checking costs is bounded here: schemas
//! of profiles are the operator's own.

use std::collections::HashMap;

use jsonschema::PatternOptions;
use serde_json::Value;

/// Schemas inside a schema, each counted as often as it is referred to.
const PARTS_MAX: u64 = 10_000;
/// Those times the values of an input: what one check may look at, some tenths of a second.
const CHECKS_MAX: u64 = 20_000_000;
/// Compiled, of each `pattern`. They run in linear time.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
const MESSAGE_CHARS_MAX: usize = 300;
const DEPTH_MAX: usize = 64;

/// Keywords whose target depends on where they are followed from, or on names elsewhere.
const UNBOUNDED: [&str; 6] =
    ["$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$anchor", "$id"];

#[derive(Debug)]
pub(super) struct InputSchema {
    validator: jsonschema::Validator,
    parts: u64,
}

/// A reference to another document is refused: checking an input must not read the network.
struct Nothing;

impl jsonschema::Retrieve for Nothing {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("a schema cannot refer to {uri}: write what it needs under \"$defs\"").into())
    }
}

impl InputSchema {
    /// Compiles a schema (2020-12 unless it says otherwise). The error is a sentence.
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        let mut counter = Counter { root: schema, known: HashMap::new() };
        let parts = counter.parts(schema, 0)?;
        let patterns =
            PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
        let validator = jsonschema::options()
            .with_retriever(Nothing)
            .with_pattern_options(patterns)
            .build(schema)
            .map_err(|error| shortened(&error.to_string()))?;
        Ok(Self { validator, parts })
    }

    /// The error is a sentence: the first way in which the input does not follow the schema.
    pub(super) fn check(&self, input: &Value) -> Result<(), String> {
        if values_in(input).saturating_mul(self.parts) > CHECKS_MAX {
            return Err("the input is too large to be checked against the workflow's schema".to_owned());
        }
        match self.validator.validate(input) {
            Ok(()) => Ok(()),
            Err(error) => {
                let place = match error.instance_path().as_str() {
                    "" => "the input".to_owned(),
                    path => format!("{} of the input", shortened(path)),
                };
                Err(format!("{place} does not follow the schema: {}", shortened(&error.to_string())))
            }
        }
    }
}

/// Counts how many schemas a schema stands for. Without a bound, thirty definitions that refer to the next one twice each
/// stand for a thousand million.
struct Counter<'s> {
    root: &'s Value,
    /// Of a reference, what its target counts. `None`: it is being counted.
    known: HashMap<&'s str, Option<u64>>,
}

impl<'s> Counter<'s> {
    fn parts(&mut self, schema: &'s Value, depth: usize) -> Result<u64, String> {
        if depth == DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        let mut parts = 1u64;
        match schema {
            Value::Array(items) => {
                for item in items {
                    parts = parts.saturating_add(self.parts(item, depth + 1)?);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    if UNBOUNDED.contains(&key.as_str()) {
                        return Err(format!(
                            "`{key}` is not taken in an input schema: refer to \"#/$defs/…\""
                        ));
                    }
                    let counted = match (key.as_str(), member) {
                        ("$ref", Value::String(target)) => self.target(target, depth)?,
                        // What is under them counts where it is referred to.
                        ("$defs" | "definitions", Value::Object(_)) => 0,
                        _ => self.parts(member, depth + 1)?,
                    };
                    parts = parts.saturating_add(counted);
                }
            }
            _ => {}
        }
        if parts > PARTS_MAX {
            return Err(format!("its references stand for more than {PARTS_MAX} parts"));
        }
        Ok(parts)
    }

    fn target(&mut self, target: &'s str, depth: usize) -> Result<u64, String> {
        match self.known.get(target) {
            Some(Some(parts)) => return Ok(*parts),
            Some(None) => return Err(format!("`{}` refers to itself", shortened(target))),
            None => {}
        }
        let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let Some(schema) = found else {
            return Err(format!(
                "a schema cannot refer to {}: write what it needs under \"$defs\"",
                shortened(target)
            ));
        };
        self.known.insert(target, None);
        let parts = self.parts(schema, depth + 1)?;
        self.known.insert(target, Some(parts));
        Ok(parts)
    }
}

fn values_in(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.iter().map(values_in).sum::<u64>().saturating_add(1),
        Value::Object(members) => members.values().map(values_in).sum::<u64>().saturating_add(1),
        // Of long text, as much as a pattern reads of it.
        Value::String(text) => 1 + text.len() as u64 / 256,
        _ => 1,
    }
}

/// The validator quotes the value at fault, which may be long.
fn shortened(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        None => message.to_owned(),
        Some((end, _)) => format!("{}…", &message[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_input_follows_its_schema_or_it_is_told_where_not() {
        let schema = json!({
            "type": "object",
            "required": ["id"],
            "properties": {"id": {"type": "string", "pattern": "^[a-z]+$"}, "n": {"$ref": "#/$defs/n"}},
            "$defs": {"n": {"type": "integer"}},
        });
        let schema = InputSchema::compile(&schema).expect("a schema");
        assert_eq!(schema.check(&json!({"id": "a", "n": 1})), Ok(()));
        for (input, expected) in [
            (json!({}), "the input does not follow the schema"),
            (json!({"id": 1}), "/id of the input"),
            (json!({"id": "A"}), "/id of the input"),
            (json!({"id": "a", "n": "1"}), "/n of the input"),
            (json!([1]), "the input does not"),
            (json!({"id": "x".repeat(10_000) + "1"}), "…"),
        ] {
            let why = schema.check(&input).expect_err("it does not follow");
            assert!(why.contains(expected) && why.len() < 1000, "{why}");
        }
    }

    #[test]
    fn a_schema_whose_check_has_no_bound_is_refused() {
        let doubling: serde_json::Map<String, Value> = (0..18)
            .map(|at| {
                let next = json!({"$ref": format!("#/$defs/d{}", at + 1)});
                (format!("d{at}"), json!({"allOf": [next, next]}))
            })
            .chain([("d18".to_owned(), json!(true))])
            .collect();
        let nested = (0..80).fold(json!(true), |schema, _| json!({"items": schema}));
        for (schema, expected) in [
            (json!({"$ref": "https://example.com/schema.json"}), "cannot refer to https://example.com"),
            (json!({"$ref": "other.json"}), "cannot refer to other.json"),
            (json!({"$ref": "#/$defs/missing"}), "cannot refer to"),
            (json!({"$ref": "#"}), "refers to itself"),
            (
                json!({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}),
                "refers to itself",
            ),
            (json!({"$defs": doubling, "$ref": "#/$defs/d0"}), "more than 10000 parts"),
            (json!({"$dynamicRef": "#x"}), "`$dynamicRef` is not taken"),
            (json!({"$id": "https://example.com"}), "`$id` is not taken"),
            (nested, "deeper than 64"),
            (json!({"type": "nothing"}), "nothing"),
            (json!({"pattern": "("}), "("),
            (json!({"pattern": "((((a{1,1000}){1,1000}){1,1000}){1,1000})"}), "regex"),
            (json!(7), "7"),
        ] {
            let why = InputSchema::compile(&schema).expect_err("it is refused");
            assert!(why.contains(expected) && why.len() < 1200, "{schema}: {why}");
        }
    }

    #[test]
    fn a_pattern_that_would_go_back_and_forth_runs_in_linear_time() {
        let schema = InputSchema::compile(&json!({"pattern": "^(a+)+$"})).expect("a schema");
        assert!(schema.check(&json!("a".repeat(50_000) + "b")).is_err());
    }

    #[test]
    fn an_input_too_large_for_its_schema_is_refused() {
        let parts: Vec<Value> =
            (0..1000).map(|at| json!({"type": "integer", "not": {"const": -1 - at}})).collect();
        let schema = InputSchema::compile(&json!({"items": {"allOf": parts}})).expect("a schema");
        assert_eq!(schema.check(&json!(vec![1; 1000])), Ok(()));
        assert!(
            schema.check(&json!(vec![1; 100_000])).is_err_and(|why| why.contains("too large to be checked"))
        );
    }
}
