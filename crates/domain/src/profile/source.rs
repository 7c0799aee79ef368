//! TOML with line numbers: every key asked for is allowed, every other is an error.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ProfileError;

/// What is wrong, gathered so that one reading tells all of it.
pub(super) struct Errors<'s> {
    source: &'s str,
    list: Vec<ProfileError>,
}

impl<'s> Errors<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, list: Vec::new() }
    }

    /// `at`: the byte at fault.
    pub(super) fn add(&mut self, at: Option<usize>, message: impl Into<String>) {
        let line =
            at.map(|at| 1 + self.source.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count());
        self.list.push(ProfileError { line, message: message.into() });
    }

    /// `inside`: a byte of `text`, which is the value of the key at `at`. Where the text stands in the source as it is, the
    /// message says its line and column; where it is written with escapes, those of the key.
    pub(super) fn add_inside(&mut self, at: usize, text: &str, inside: usize, message: &str) {
        let found =
            self.source.get(at..).and_then(|rest| rest.find(text)).map_or(at, |start| at + start + inside);
        let line_start = self.source[..found].rfind('\n').map_or(0, |newline| newline + 1);
        let column = 1 + self.source[line_start..found].chars().count();
        self.add(Some(found), format!("column {column}: {message}"));
    }

    pub(super) fn into_list(mut self) -> Vec<ProfileError> {
        self.list.sort_by_key(|error| error.line);
        self.list
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Reads the document. `None` when it is not TOML; the errors then say where.
pub(super) fn document<'s>(source: &'s str, errors: &mut Errors<'_>) -> Option<Table<'s>> {
    let (table, problems) = DeTable::parse_recoverable(source);
    for problem in &problems {
        errors.add(problem.span().map(|span| span.start), problem.message());
    }
    problems.is_empty().then(|| Table::new("the profile".to_owned(), table.span().start, table.into_inner()))
}

/// A table being read.
pub(super) struct Table<'s> {
    /// How it is called in errors: `[delivery]`.
    name: String,
    pub(super) at: usize,
    entries: Vec<Item<'s>>,
    asked: Vec<String>,
}

/// A key with its value.
pub(super) struct Item<'s> {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) at: usize,
    value: DeValue<'s>,
}

impl<'s> Table<'s> {
    fn new(name: String, at: usize, table: DeTable<'s>) -> Self {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let at = key.span().start;
            entries.push(Item { key: key.into_inner().into_owned(), at, value: value.into_inner() });
        }
        Self { name, at, entries, asked: Vec::new() }
    }

    /// The entry of a key, which is thereby allowed.
    pub(super) fn take(&mut self, key: &str) -> Option<Item<'s>> {
        self.asked.push(key.to_owned());
        let at = self.entries.iter().position(|item| item.key == key)?;
        Some(self.entries.remove(at))
    }

    /// The same, and an error where it is missing.
    pub(super) fn need(&mut self, key: &str, errors: &mut Errors<'_>) -> Option<Item<'s>> {
        let item = self.take(key);
        if item.is_none() {
            errors.add(Some(self.at), format!("{} needs `{key}`", self.name));
        }
        item
    }

    /// A table inside this one.
    pub(super) fn table(&mut self, key: &str, errors: &mut Errors<'_>) -> Option<Table<'s>> {
        self.take(key)?.table(errors)
    }

    /// An array of tables inside this one.
    pub(super) fn tables(&mut self, key: &str, errors: &mut Errors<'_>) -> Vec<Table<'s>> {
        let Some(item) = self.take(key) else { return Vec::new() };
        let mut tables = Vec::new();
        if let DeValue::Array(array) = item.value {
            for element in array {
                let at = element.span().start;
                match element.into_inner() {
                    DeValue::Table(table) => tables.push(Table::new(format!("[[{key}]]"), at, table)),
                    _ => errors.add(Some(at), format!("`{key}` must be a list of tables: write [[{key}]]")),
                }
            }
        } else {
            errors.add(Some(item.at), format!("`{key}` must be a list of tables: write [[{key}]]"));
        }
        tables
    }

    /// Every entry that is left, in the order of the source: for tables whose keys are free.
    pub(super) fn into_entries(self) -> Vec<Item<'s>> {
        self.entries
    }

    /// Tells every key that nobody asked for.
    pub(super) fn finish(self, errors: &mut Errors<'_>) {
        for item in &self.entries {
            let allowed = self.asked.join(", ");
            errors
                .add(Some(item.at), format!("unknown key `{}` in {}; it has {allowed}", item.key, self.name));
        }
    }
}

impl<'s> Item<'s> {
    fn wrong<T>(&self, expected: &str, errors: &mut Errors<'_>) -> Option<T> {
        errors.add(Some(self.at), format!("`{}` must be {expected}", self.key));
        None
    }

    pub(super) fn table(self, errors: &mut Errors<'_>) -> Option<Table<'s>> {
        match self.value {
            DeValue::Table(table) => Some(Table::new(format!("[{}]", self.key), self.at, table)),
            _ => self.wrong("a table", errors),
        }
    }

    pub(super) fn string(&self, errors: &mut Errors<'_>) -> Option<String> {
        match &self.value {
            DeValue::String(text) => Some(text.to_string()),
            _ => self.wrong("text in quotes", errors),
        }
    }

    pub(super) fn bool(&self, errors: &mut Errors<'_>) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(value),
            _ => self.wrong("true or false", errors),
        }
    }

    pub(super) fn number(&self, errors: &mut Errors<'_>) -> Option<f64> {
        let number = match &self.value {
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        };
        if number.is_none() { self.wrong("a number", errors) } else { number }
    }

    pub(super) fn strings(&self, errors: &mut Errors<'_>) -> Option<Vec<String>> {
        const EXPECTED: &str = "a list of texts in quotes";
        let DeValue::Array(array) = &self.value else { return self.wrong(EXPECTED, errors) };
        let mut strings = Vec::with_capacity(array.len());
        for element in array {
            match element.get_ref() {
                DeValue::String(text) => strings.push(text.to_string()),
                _ => return self.wrong(EXPECTED, errors),
            }
        }
        Some(strings)
    }

    /// One of a list of words, for those who also take something else.
    pub(super) fn maybe_choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let DeValue::String(text) = &self.value else { return None };
        choices.iter().find(|(name, _)| *name == text.as_ref()).map(|(_, value)| *value)
    }

    /// One of a closed list of words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)], errors: &mut Errors<'_>) -> Option<T> {
        let found = self.maybe_choice(choices);
        if found.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            errors.add(Some(self.at), format!("`{}` must be {}", self.key, names.join(" or ")));
        }
        found
    }

    /// JSON, written as text or as TOML. Text is kept as it is, whitespace apart.
    pub(super) fn json(&self, depth_max: usize, errors: &mut Errors<'_>) -> Option<Vec<u8>> {
        if let DeValue::String(text) = &self.value {
            return match crate::json::compact(text, depth_max) {
                Ok(json) => Some(json),
                Err(error) => {
                    errors.add(Some(self.at), format!("`{}`: {error}", self.key));
                    None
                }
            };
        }
        match to_json(&self.value) {
            Some(value) => Some(value.to_string().into_bytes()),
            None => self.wrong("JSON as text in quotes, or a table that JSON can hold", errors),
        }
    }

    /// The kind of value, for those who take several.
    pub(super) fn kind(self, errors: &mut Errors<'_>) -> Kind<'s> {
        match self.value {
            DeValue::String(text) => Kind::Text(text.to_string()),
            DeValue::Table(_) => self.table(errors).map_or(Kind::Other, Kind::Table),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                to_json(&self.value).map_or(Kind::Other, Kind::Literal)
            }
            DeValue::Datetime(_) | DeValue::Array(_) => Kind::Other,
        }
    }
}

/// A value of the envelope.
pub(super) enum Kind<'s> {
    Text(String),
    Table(Table<'s>),
    Literal(Value),
    Other,
}

fn to_json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(integer) => {
            Value::from(i64::from_str_radix(integer.as_str(), integer.radix()).ok()?)
        }
        DeValue::Float(float) => Value::Number(serde_json::Number::from_f64(float.as_str().parse().ok()?)?),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(array) => {
            let mut items = Vec::with_capacity(array.len());
            for element in array {
                items.push(to_json(Spanned::get_ref(element))?);
            }
            Value::Array(items)
        }
        DeValue::Table(table) => {
            let mut members = serde_json::Map::new();
            for (key, element) in table {
                members.insert(key.get_ref().to_string(), to_json(element.get_ref())?);
            }
            Value::Object(members)
        }
    })
}
