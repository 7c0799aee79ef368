//! What an expression works with: JSON where it stands, and what the expression makes itself.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};

/// A value while an expression runs. Copying one copies a reference: neither the input nor what was made is copied.
#[derive(Debug, Clone)]
pub(super) enum Val<'v> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Text<'v>),
    Bytes(Rc<[u8]>),
    Array(&'v [Value]),
    Object(&'v Map<String, Value>),
    Members(&'v Members),
    /// Made by the expression.
    List(Rc<Vec<Val<'v>>>),
    Map(Rc<Vec<(Val<'v>, Val<'v>)>>),
}

#[derive(Debug, Clone)]
pub(super) enum Text<'v> {
    Lent(&'v str),
    Made(Rc<str>),
}

/// Named values that are put together without copying them: `steps.fetch.output`.
#[derive(Debug, Clone, Default)]
pub struct Members(BTreeMap<String, Member>);

#[derive(Debug, Clone)]
pub enum Member {
    Value(Arc<Value>),
    Members(Members),
}

impl Members {
    pub fn insert(&mut self, name: &str, member: Member) {
        match self.0.get_mut(name) {
            Some(known) => *known = member,
            None => {
                self.0.insert(name.to_owned(), member);
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&Member> {
        self.0.get(name)
    }
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Lent(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'v> Val<'v> {
    pub(super) fn of_json(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(number)) => Self::UInt(number),
                (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::Text(Text::Lent(text)),
            Value::Array(items) => Self::Array(items),
            Value::Object(members) => Self::Object(members),
        }
    }

    pub(super) fn of_member(member: &'v Member) -> Self {
        match member {
            Member::Value(value) => Self::of_json(value),
            Member::Members(members) => Self::Members(members),
        }
    }

    /// What it is, for errors. These never quote a value: it may be large, or a secret.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::UInt(_) | Self::Double(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Array(_) | Self::List(_) => "a list",
            Self::Object(_) | Self::Map(_) | Self::Members(_) => "an object",
        }
    }

    /// How many elements or members. `None`: it has none.
    pub(super) fn len(&self) -> Option<usize> {
        Some(match self {
            Self::Array(items) => items.len(),
            Self::Object(members) => members.len(),
            Self::Members(members) => members.0.len(),
            Self::List(items) => items.len(),
            Self::Map(entries) => entries.len(),
            _ => return None,
        })
    }

    /// The elements of a list, and the keys of an object. `None`: it has none.
    pub(super) fn elements(&self) -> Option<Box<dyn Iterator<Item = Val<'v>> + 'v>> {
        let lent = |text: &'v String| Val::Text(Text::Lent(text));
        Some(match self {
            Self::Array(items) => Box::new(items.iter().map(Val::of_json)),
            Self::Object(members) => Box::new(members.keys().map(lent)),
            Self::Members(members) => Box::new(members.0.keys().map(lent)),
            Self::List(items) => {
                let items = Rc::clone(items);
                Box::new((0..items.len()).map(move |at| items[at].clone()))
            }
            Self::Map(entries) => {
                let entries = Rc::clone(entries);
                Box::new((0..entries.len()).map(move |at| entries[at].0.clone()))
            }
            _ => return None,
        })
    }

    /// Of an object, a member.
    pub(super) fn member(&self, name: &str) -> Option<Val<'v>> {
        match self {
            Self::Object(members) => members.get(name).map(Val::of_json),
            Self::Members(members) => members.0.get(name).map(Val::of_member),
            Self::Map(entries) => {
                let named = |key: &Val<'_>| matches!(key, Val::Text(text) if text.as_str() == name);
                entries.iter().find(|(key, _)| named(key)).map(|(_, value)| value.clone())
            }
            _ => None,
        }
    }

    pub(super) const fn is_object(&self) -> bool {
        matches!(self, Self::Object(_) | Self::Members(_) | Self::Map(_))
    }
}
