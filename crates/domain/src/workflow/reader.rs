//! A definition's objects with their places: every key asked for is allowed, every other is an error.

use std::time::Duration;

use serde_json::{Map, Value};

use super::DefinitionError;
use crate::limits;
use crate::nearest::nearest;

/// What is wrong, gathered so that one reading tells all of it.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<DefinitionError>);

impl Errors {
    pub(super) fn add(&mut self, path: &str, message: impl Into<String>) {
        self.add_error(DefinitionError {
            path: path.to_owned(),
            line: None,
            column: None,
            message: message.into(),
        });
    }

    pub(super) fn add_error(&mut self, error: DefinitionError) {
        if self.0.len() < limits::WORKFLOW_ERRORS_MAX {
            self.0.push(error);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_list(self) -> Vec<DefinitionError> {
        self.0
    }
}

/// An object being read.
pub(super) struct Fields<'v> {
    pub(super) path: String,
    members: &'v Map<String, Value>,
    asked: Vec<&'static str>,
}

/// A value with its place.
#[derive(Clone)]
pub(super) struct Item<'v> {
    pub(super) path: String,
    pub(super) value: &'v Value,
}

impl<'v> Fields<'v> {
    /// The member of a key, which is thereby allowed.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Item<'v>> {
        self.asked.push(key);
        let value = self.members.get(key)?;
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Some(Item { path, value })
    }

    /// The same, and an error where it is missing.
    pub(super) fn need(&mut self, key: &'static str, errors: &mut Errors) -> Option<Item<'v>> {
        let item = self.take(key);
        if item.is_none() {
            errors.add(&self.path, format!("`{key}` is missing"));
        }
        item
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    /// Tells every key that nobody asked for.
    pub(super) fn finish(self, errors: &mut Errors) {
        for key in self.members.keys() {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            // Keys are foreign text; the nearest to a long one are none.
            let shown: String = key.chars().take(64).collect();
            let message = match shown.len() == key.len() {
                true => format!("`{shown}` is not known here; the nearest are {}", nearest(key, &self.asked)),
                false => format!("`{shown}…` is not known here; there are {}", self.asked.join(", ")),
            };
            errors.add(&self.path, message);
        }
    }
}

impl<'v> Item<'v> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(super) fn wrong<T>(&self, expected: &str, errors: &mut Errors) -> Option<T> {
        errors.add(&self.path, format!("it must be {expected}"));
        None
    }

    pub(super) fn fields(&self, errors: &mut Errors) -> Option<Fields<'v>> {
        match self.value {
            Value::Object(members) => Some(Fields { path: self.path.clone(), members, asked: Vec::new() }),
            _ => self.wrong("an object", errors),
        }
    }

    pub(super) fn list(&self, errors: &mut Errors) -> Option<Vec<Item<'v>>> {
        let Value::Array(values) = self.value else { return self.wrong("a list", errors) };
        let item = |(at, value)| Item { path: format!("{}[{at}]", self.path), value };
        Some(values.iter().enumerate().map(item).collect())
    }

    /// The members of an object whose keys are free.
    pub(super) fn entries(&self, errors: &mut Errors) -> Option<Vec<(&'v str, Item<'v>)>> {
        let Value::Object(members) = self.value else { return self.wrong("an object", errors) };
        let mut entries = Vec::with_capacity(members.len());
        for (key, value) in members {
            let shown: String = key.chars().take(64).collect();
            entries.push((key.as_str(), Item { path: format!("{}.{shown}", self.path), value }));
        }
        Some(entries)
    }

    pub(super) fn text(&self, errors: &mut Errors) -> Option<&'v str> {
        match self.value {
            Value::String(text) => Some(text),
            _ => self.wrong("text", errors),
        }
    }

    pub(super) fn bool(&self, errors: &mut Errors) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            _ => self.wrong("true or false", errors),
        }
    }

    pub(super) fn whole(&self, min: u64, max: u64, errors: &mut Errors) -> Option<u64> {
        match self.value.as_u64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => self.wrong(&format!("a whole number from {min} to {max}"), errors),
        }
    }

    /// One of a closed list of words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)], errors: &mut Errors) -> Option<T> {
        let found = choices.iter().find(|(name, _)| self.value.as_str() == Some(name));
        if found.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            return self.wrong(&names.join(" or "), errors);
        }
        found.map(|(_, value)| *value)
    }

    /// A duration of more than nothing.
    pub(super) fn duration(&self, max: Duration, errors: &mut Errors) -> Option<Duration> {
        let text = self.text(errors)?;
        super::duration(text, max).map_err(|message| errors.add(&self.path, message)).ok()
    }
}
