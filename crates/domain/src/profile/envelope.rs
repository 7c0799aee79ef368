//! The request body: the envelope's members in order, and the event's data in them.

use super::Message;
use super::template::{Placeholder, Template, segments};
use crate::json;

/// The body, compiled.
#[derive(Debug, Clone)]
pub(super) struct Envelope(pub(super) Vec<Member>);

#[derive(Debug, Clone)]
pub(super) struct Member {
    /// `"event":`, as it stands in the body.
    pub(super) key: Vec<u8>,
    pub(super) value: Node,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    /// JSON that is the same in every body.
    Literal(Vec<u8>),
    /// A whole value, which keeps its JSON type.
    Value(Placeholder),
    /// Text with values in it: a JSON string.
    Text(Template),
    Object(Vec<Member>),
}

impl Envelope {
    pub(super) fn write(&self, out: &mut Vec<u8>, message: &Message<'_>, data: &[u8]) {
        write_members(&self.0, out, message, data);
    }

    /// Whether every message of one event gets the same body.
    pub(super) fn depends_on_event_only(&self) -> bool {
        self.0.iter().all(|member| member.value.depends_on_event_only())
    }
}

fn write_members(members: &[Member], out: &mut Vec<u8>, message: &Message<'_>, data: &[u8]) {
    out.push(b'{');
    let first = out.len();
    for member in members {
        let before = out.len();
        if before > first {
            out.push(b',');
        }
        out.extend_from_slice(&member.key);
        if !member.value.write(out, message, data) {
            out.truncate(before);
        }
    }
    out.push(b'}');
}

impl Node {
    fn depends_on_event_only(&self) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Value(placeholder) => placeholder.depends_on_event_only(),
            Self::Text(template) => template.depends_on_event_only(),
            Self::Object(members) => members.iter().all(|member| member.value.depends_on_event_only()),
        }
    }

    /// False when the member is left out.
    fn write(&self, out: &mut Vec<u8>, message: &Message<'_>, data: &[u8]) -> bool {
        match self {
            Self::Literal(json) => out.extend_from_slice(json),
            Self::Value(placeholder) => return placeholder.write_json(out, message, data),
            Self::Text(template) => {
                let mut text = Vec::new();
                if !template.write_text(&mut text, message, data) {
                    return false;
                }
                json::write_string(out, &String::from_utf8_lossy(&text));
            }
            Self::Object(members) => write_members(members, out, message, data),
        }
        true
    }
}

/// A field of the data that the bodies of one event type carry: the others are dropped, and these come in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    name: String,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// The value as it was sent; null where it is missing.
    Whole,
    /// The value as it was sent; left out where it is missing.
    WholeOrNothing,
    /// An object of its own fields.
    Fields(Vec<Field>),
}

impl Field {
    /// Reads a list of paths: `title`, `job.id`, and with `?` what is left out when it is missing. Paths with the same
    /// beginning make one object.
    pub(super) fn parse_list(paths: &[String]) -> Result<Vec<Self>, String> {
        let mut fields = Vec::new();
        for path in paths {
            let (bare, content) = match path.strip_suffix('?') {
                Some(bare) => (bare, Content::WholeOrNothing),
                None => (path.as_str(), Content::Whole),
            };
            let keys = segments(bare).ok_or_else(|| format!("`{path}` is not a path like `job.id`"))?;
            insert(&mut fields, &keys, content).ok_or_else(|| format!("`{path}` is given twice"))?;
        }
        Ok(fields)
    }

    /// The paths of the fields that every body of the type has.
    pub(super) fn required(fields: &[Self], under: &[String]) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        for field in fields {
            let mut path = under.to_vec();
            path.push(field.name.clone());
            match &field.content {
                Content::Whole => paths.push(path),
                Content::WholeOrNothing => {}
                Content::Fields(inner) => paths.extend(Self::required(inner, &path)),
            }
        }
        paths
    }
}

fn insert(fields: &mut Vec<Field>, keys: &[String], content: Content) -> Option<()> {
    let (name, rest) = keys.split_first()?;
    let known = fields.iter().position(|field| field.name == *name);
    if rest.is_empty() {
        fields.push(Field { name: name.clone(), content });
        return known.is_none().then_some(());
    }
    let at = known.unwrap_or_else(|| {
        fields.push(Field { name: name.clone(), content: Content::Fields(Vec::new()) });
        fields.len() - 1
    });
    match &mut fields[at].content {
        Content::Fields(inner) => insert(inner, rest, content),
        Content::Whole | Content::WholeOrNothing => None,
    }
}

/// The data with exactly these fields, in their order.
pub(super) fn shape(fields: &[Field], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 64);
    write_fields(fields, data, &mut out);
    out
}

fn write_fields(fields: &[Field], data: &[u8], out: &mut Vec<u8>) {
    let members: Vec<(&[u8], &[u8])> = json::members(data).collect();
    out.push(b'{');
    let first = out.len();
    for field in fields {
        let found = members.iter().rev().find(|(key, _)| json::key_is(key, &field.name));
        let value = found.map(|(_, value)| *value);
        if value.is_none() && field.content == Content::WholeOrNothing {
            continue;
        }
        if out.len() > first {
            out.push(b',');
        }
        json::write_string(out, &field.name);
        out.push(b':');
        match (&field.content, value) {
            (Content::Fields(inner), Some(object)) if object.starts_with(b"{") => {
                write_fields(inner, object, out)
            }
            (Content::Whole | Content::WholeOrNothing, Some(value)) => out.extend_from_slice(value),
            _ => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
}
