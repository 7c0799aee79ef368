//! What a write did to a record.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::json as bytes;

/// A record's content: an object. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// Compact JSON, numbers as they were sent.
    pub json: Arc<[u8]>,
    pub value: Arc<Value>,
}

impl Content {
    /// `json`: compact and valid. The error is a sentence.
    pub fn read(json: Vec<u8>) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(&json).map_err(|error| format!("not JSON: {error}"))?;
        match value {
            Value::Object(_) => Ok(Self { json: json.into(), value: Arc::new(value) }),
            _ => Err("a record is a JSON object".to_owned()),
        }
    }

    pub fn at(&self, path: &[String]) -> Option<&Value> {
        path.iter().try_fold(&*self.value, |value, key| value.get(key))
    }

    /// This content after a JSON merge patch (RFC 7396), compact JSON too. What the patch does not name keeps its text. The
    /// error is a sentence.
    pub fn patched(&self, patch: &[u8]) -> Result<Self, String> {
        Self::read(merged(Some(&self.json), patch)?)
    }
}

fn merged(target: Option<&[u8]>, patch: &[u8]) -> Result<Vec<u8>, String> {
    if !patch.starts_with(b"{") {
        return Ok(patch.to_vec());
    }
    let (mut members, mut places) = each_once::<Vec<u8>>(target.unwrap_or_default())?;
    for (key, value) in each_once::<&[u8]>(patch)?.0 {
        let place = *places.entry(key.clone()).or_insert_with(|| {
            members.push((key, None));
            members.len() - 1
        });
        let old = members[place].1.take();
        members[place].1 = match value {
            None | Some(b"null") => None,
            Some(value) => Some(merged(old.as_deref(), value)?),
        };
    }
    let mut out = vec![b'{'];
    for (key, value) in members.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        if out.len() > 1 {
            out.push(b',');
        }
        bytes::write_string(&mut out, key);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    Ok(out)
}

type Named<V> = (Vec<(String, Option<V>)>, HashMap<String, usize>);

/// The members of an object, of duplicate keys the last, and the place of each.
fn each_once<'a, V: From<&'a [u8]>>(object: &'a [u8]) -> Result<Named<V>, String> {
    let mut members: Vec<(String, Option<V>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (key, value) in bytes::members(object) {
        let key = bytes::text(key).ok_or("a key is not Unicode text")?.into_owned();
        match places.get(&key) {
            Some(place) => members[*place].1 = Some(value.into()),
            None => {
                places.insert(key.clone(), members.len());
                members.push((key, Some(value.into())));
            }
        }
    }
    Ok((members, places))
}

/// The watched paths whose values differ. Without any watched path: the members of the object itself.
pub fn changes(old: &Content, new: &Content, watched: &[Vec<String>]) -> Vec<Vec<String>> {
    if !watched.is_empty() {
        return watched.iter().filter(|path| old.at(path) != new.at(path)).cloned().collect();
    }
    let keys = |content: &Content| -> Vec<String> {
        content.value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
    };
    let mut all = keys(new);
    all.extend(keys(old).into_iter().filter(|key| new.value.get(key).is_none()));
    all.into_iter().filter(|key| old.value.get(key) != new.value.get(key)).map(|key| vec![key]).collect()
}

/// The members of an object, found once: an object may have tens of thousands, and each may have changed.
struct Members<'a>(HashMap<Cow<'a, str>, &'a [u8]>);

impl<'a> Members<'a> {
    fn of(content: &'a Content) -> Self {
        Self(
            bytes::members(&content.json)
                .filter_map(|(key, value)| Some((bytes::text(key)?, value)))
                .collect(),
        )
    }

    fn at(&self, path: &[String]) -> &'a [u8] {
        let (first, rest) = path.split_first().expect("because a path has a key");
        self.0.get(first.as_str()).and_then(|value| bytes::find(value, rest)).unwrap_or(b"null")
    }
}

/// A list of `{field, oldValue, newValue}`; what is missing is null.
pub(super) fn listed(old: &Content, new: &Content, paths: &[Vec<String>]) -> Vec<u8> {
    let (old, new) = (Members::of(old), Members::of(new));
    let mut out = vec![b'['];
    for path in paths {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"field\":");
        bytes::write_string(&mut out, &path.join("."));
        out.extend_from_slice(b",\"oldValue\":");
        out.extend_from_slice(old.at(path));
        out.extend_from_slice(b",\"newValue\":");
        out.extend_from_slice(new.at(path));
        out.push(b'}');
    }
    out.push(b']');
    out
}

/// An object of what changed, with the new values; what was removed is null.
pub(super) fn gathered(new: &Content, paths: &[Vec<String>]) -> Vec<u8> {
    let mut out = Vec::new();
    gather(&Members::of(new), paths, 0, &mut out);
    out
}

/// `paths`: those that begin with the same `depth` keys.
fn gather(new: &Members<'_>, paths: &[Vec<String>], depth: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut told: HashSet<&str> = HashSet::new();
    for path in paths {
        let key = path[depth].as_str();
        if !told.insert(key) {
            continue;
        }
        if told.len() > 1 {
            out.push(b',');
        }
        bytes::write_string(out, key);
        out.push(b':');
        if path.len() == depth + 1 {
            out.extend_from_slice(new.at(path));
            continue;
        }
        let beside: Vec<Vec<String>> = paths.iter().filter(|path| path[depth] == key).cloned().collect();
        match beside.iter().find(|path| path.len() == depth + 1) {
            Some(whole) => out.extend_from_slice(new.at(whole)),
            None => gather(new, &beside, depth + 1, out),
        }
    }
    out.push(b'}');
}
