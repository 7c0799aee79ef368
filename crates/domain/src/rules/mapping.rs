//! The data of a derived event, put together from the record that caused it.

use crate::json;

/// The members of an event's data, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping(pub(crate) Vec<Member>);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    /// `"title":`, as it stands in the data.
    pub(crate) key: Vec<u8>,
    pub(crate) node: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// JSON that is always the same.
    Literal(Vec<u8>),
    Source(Source),
    Object(Vec<Member>),
    /// The members of an object that is looked up, but those that stand here already. Its key is not written.
    Spread(Source),
}

/// The key of a member that is a [`Node::Spread`].
pub(crate) const SPREAD: &str = "...";

/// A value that is looked up: `{new.settings.customer}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    root: Root,
    path: Vec<String>,
    /// With a `?` at its end: left out where it is missing, instead of null.
    optional: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Id,
    New,
    Old,
    Changes,
    Changed,
    Made,
    Day,
    Due,
}

/// Whose data is put together: each knows other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Rule,
    Generator,
}

impl Root {
    fn stands_in(self, place: Place) -> bool {
        match self {
            Self::Id | Self::New => true,
            Self::Old | Self::Changes | Self::Changed => place == Place::Rule,
            Self::Made | Self::Day | Self::Due => place == Place::Generator,
        }
    }
}

const ROOTS: [(&str, Root); 8] = [
    ("id", Root::Id),
    ("new", Root::New),
    ("old", Root::Old),
    ("changes", Root::Changes),
    ("changed", Root::Changed),
    ("made", Root::Made),
    ("day", Root::Day),
    ("due", Root::Due),
];

/// What a mapping takes its values from. All JSON is compact.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sources<'a> {
    pub id: &'a str,
    pub new: Option<&'a [u8]>,
    pub old: Option<&'a [u8]>,
    /// A list of `{field, oldValue, newValue}`.
    pub changes: Option<&'a [u8]>,
    /// An object of the members that changed, with their new values.
    pub changed: Option<&'a [u8]>,
    /// Of what a generator makes: the record's id, the day of the occurrence, and the day by which it is due.
    pub made: Option<&'a str>,
    pub day: Option<&'a str>,
    pub due: Option<&'a str>,
}

impl Source {
    /// Reads `{new.title}`. `None`: the text is no placeholder, but itself. The error is a sentence.
    pub(crate) fn parse(text: &str, place: Place) -> Option<Result<Self, String>> {
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        let (bare, optional) = match inner.strip_suffix('?') {
            Some(bare) => (bare, true),
            None => (inner, false),
        };
        let mut words = bare.split('.');
        let word = words.next().unwrap_or_default();
        let known = || ROOTS.iter().filter(|(_, root)| root.stands_in(place));
        let Some((_, root)) = known().find(|(name, _)| *name == word) else {
            let names: Vec<String> = known().map(|(name, _)| format!("{{{name}}}")).collect();
            return Some(Err(format!("`{text}` is not known here; there are {}", names.join(", "))));
        };
        let path: Vec<String> = words.map(str::to_owned).collect();
        let of_object = matches!(root, Root::New | Root::Old | Root::Changed);
        if path.iter().any(String::is_empty) || (!path.is_empty() && !of_object) {
            return Some(Err(format!("`{text}` is not a path like {{new.settings.customer}}")));
        }
        Some(Ok(Self { root: *root, path, optional }))
    }

    /// False when it is left out.
    fn write(&self, out: &mut Vec<u8>, sources: &Sources<'_>) -> bool {
        let text = match self.root {
            Root::Id => Some(sources.id),
            Root::Made => sources.made,
            Root::Day => sources.day,
            Root::Due => sources.due,
            Root::New | Root::Old | Root::Changes | Root::Changed => None,
        };
        if let Some(text) = text {
            json::write_string(out, text);
            return true;
        }
        let object = match self.root {
            Root::Id | Root::Made | Root::Day | Root::Due => None,
            Root::New => sources.new,
            Root::Old => sources.old,
            Root::Changes => sources.changes,
            Root::Changed => sources.changed,
        };
        match object.and_then(|object| json::find(object, &self.path)) {
            Some(value) => out.extend_from_slice(value),
            None if self.optional => return false,
            None => out.extend_from_slice(b"null"),
        }
        true
    }
}

impl Mapping {
    /// Compact JSON.
    pub fn write(&self, sources: &Sources<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        write_members(&self.0, &mut out, sources);
        out
    }
}

fn write_members(members: &[Member], out: &mut Vec<u8>, sources: &Sources<'_>) {
    out.push(b'{');
    let first = out.len();
    for member in members {
        let before = out.len();
        if before > first {
            out.push(b',');
        }
        out.extend_from_slice(&member.key);
        match &member.node {
            Node::Literal(json) => out.extend_from_slice(json),
            Node::Object(members) => write_members(members, out, sources),
            Node::Source(source) => {
                if !source.write(out, sources) {
                    out.truncate(before);
                }
            }
            Node::Spread(source) => {
                out.truncate(before);
                spread(members, source, out, sources);
            }
        }
    }
    out.push(b'}');
}

fn spread(beside: &[Member], source: &Source, out: &mut Vec<u8>, sources: &Sources<'_>) {
    let mut object = Vec::new();
    if !source.write(&mut object, sources) {
        return;
    }
    for (key, value) in json::members(&object) {
        // Theirs end in a colon.
        if beside.iter().any(|member| member.key.strip_suffix(b":") == Some(key)) {
            continue;
        }
        if !out.ends_with(b"{") {
            out.push(b',');
        }
        out.extend_from_slice(key);
        out.push(b':');
        out.extend_from_slice(value);
    }
}
