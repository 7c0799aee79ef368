//! A batch of changes as a request, and what the answer says of each. Pure.

use bytes::Bytes;
use postrider_domain::json::{self, JsonError};
use postrider_domain::limits::{IMPORT_LINE_BYTES_MAX, JSON_DEPTH_MAX, RECORD_BYTES_MAX};
use postrider_domain::problem::Code;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Changes of one kind and tenant, in order, that are told together.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) number: i64,
    pub(crate) kind: String,
    pub(crate) tenant: Option<String>,
    pub(crate) changes: Vec<Change>,
}

/// One row of the outbox.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) old: Side,
    pub(crate) new: Side,
}

/// A row before or after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Side {
    Absent,
    Json(String),
    /// Larger than any record; it was not read.
    TooLarge {
        bytes: i64,
    },
}

/// A change that is not accepted, now or later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused {
    pub(crate) seq: i64,
    pub(crate) problem: Value,
}

/// What is sent of a batch.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// `None`: nothing of it can be sent.
    pub(crate) body: Option<Bytes>,
    /// Which changes the body has, in its order.
    sent: Vec<Sent>,
    /// What no request could carry.
    pub(crate) refused: Vec<Refused>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    seq: i64,
    deletes: bool,
}

impl Batch {
    /// The same for the same batch, byte for byte.
    pub(crate) fn prepare(&self) -> Prepared {
        let (mut items, mut sent, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for change in &self.changes {
            match change.item() {
                Ok(item) => {
                    items.push(item);
                    sent.push(Sent { seq: change.seq, deletes: change.new == Side::Absent });
                }
                Err(problem) => refused.push(Refused { seq: change.seq, problem }),
            }
        }
        let body = format!("{{\"changes\":[{}]}}", items.join(","));
        let body = (!sent.is_empty()).then(|| Bytes::from(body));
        Prepared { body, sent, refused }
    }
}

impl Change {
    fn item(&self) -> Result<String, Value> {
        let mut item = format!("{{\"id\":{}", Value::from(self.id.as_str()));
        match &self.new {
            Side::Absent => item.push_str(",\"deleted\":true"),
            Side::Json(data) => item.push_str(&format!(",\"data\":{}", compact(data)?)),
            Side::TooLarge { bytes } => {
                let detail = format!(
                    "The row has {bytes} bytes as JSON; a record has at most {RECORD_BYTES_MAX}. Choose columns that leave out what no rule and no event needs."
                );
                return Err(problem(Code::BodyTooLarge, &detail));
            }
        }
        // Heeded only for a record that was never told, and what cannot be one was never told.
        if let Side::Json(old) = &self.old
            && let Ok(old) = compact(old)
            && old.len() <= RECORD_BYTES_MAX
        {
            item.push_str(&format!(",\"old\":{old}"));
        }
        item.push('}');
        Ok(item)
    }
}

impl Prepared {
    /// Whoever sends the same again says so by this key. It has the content in it: a source that was restored from a backup
    /// counts its batches from an earlier number again.
    pub(crate) fn idempotency_key(&self, outbox: Uuid, batch: i64) -> String {
        let hash = Sha256::digest(self.body.as_deref().unwrap_or_default());
        format!("postrider-outbox-{outbox}-{batch}-{}", hex::encode(&hash[..16]))
    }

    /// What the server has refused of what was sent. An error: the answer is not one to such a request.
    pub(crate) fn refusals(&self, answer: &Value) -> Result<Vec<Refused>, String> {
        let items = answer["data"].as_array().ok_or("it has no list `data`")?;
        if items.len() != self.sent.len() {
            return Err(format!("it has {} items for {} changes", items.len(), self.sent.len()));
        }
        let mut refused = Vec::new();
        for (sent, item) in self.sent.iter().zip(items) {
            let status = item["status"].as_u64().ok_or("an item has no status")?;
            let problem = &item["problem"];
            // What was never told is gone already.
            let gone = sent.deletes && problem["code"] == Code::NotFound.as_str();
            if status != 200 && !gone {
                refused.push(Refused { seq: sent.seq, problem: problem.clone() });
            }
        }
        Ok(refused)
    }
}

/// A row's JSON, if it could be a record's: one that is broken would spoil the request for all others.
fn compact(raw: &str) -> Result<String, Value> {
    json::compact(raw, JSON_DEPTH_MAX)
        .map_err(|error| match error {
            JsonError::TooDeep { .. } => error.to_string(),
            JsonError::Malformed { .. } => format!("The row's JSON cannot be read: {error}"),
        })
        .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()))
        .map_err(|detail| problem(Code::MalformedJson, &detail))
}

fn problem(code: Code, detail: &str) -> Value {
    json!({ "status": code.status(), "code": code.as_str(), "detail": detail })
}

/// What PostgreSQL need not send: no record is so large, however it is written.
pub(crate) const ROW_BYTES_MAX: usize = IMPORT_LINE_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn change(seq: i64, id: &str, old: Option<&str>, new: Option<&str>) -> Change {
        let side = |json: Option<&str>| json.map_or(Side::Absent, |json| Side::Json(json.to_owned()));
        Change { seq, id: id.to_owned(), old: side(old), new: side(new) }
    }

    fn batch(changes: Vec<Change>) -> Batch {
        Batch { number: 1, kind: "part".to_owned(), tenant: None, changes }
    }

    #[test]
    fn a_batch_is_written_with_its_numbers_as_they_are() {
        let prepared = batch(vec![
            change(1, "a\"b", None, Some("{\"n\": 12345678901234567890.120}")),
            change(2, "c", Some("{\"n\":1}"), Some("{\"n\":2}")),
            change(3, "c", Some("{\"n\":2}"), None),
        ])
        .prepare();
        assert_eq!(
            prepared.body.as_deref(),
            Some(
                concat!(
                    r#"{"changes":[{"id":"a\"b","data":{"n":12345678901234567890.120}},"#,
                    r#"{"id":"c","data":{"n":2},"old":{"n":1}},"#,
                    r#"{"id":"c","deleted":true,"old":{"n":2}}]}"#
                )
                .as_bytes()
            )
        );
        assert!(prepared.refused.is_empty());
    }

    #[test]
    fn what_no_request_can_carry_is_refused_here_and_holds_up_nothing() {
        let large = Change { new: Side::TooLarge { bytes: 9_000_000 }, ..change(1, "a", None, None) };
        let deep = "[".repeat(200) + &"]".repeat(200);
        let shrunk = Change { old: Side::TooLarge { bytes: 9_000_000 }, ..change(3, "c", None, Some("{}")) };
        let prepared = batch(vec![large.clone(), change(2, "b", None, Some(&deep)), shrunk]).prepare();
        assert_eq!(prepared.refused.iter().map(|refused| refused.seq).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(prepared.refused[0].problem["code"], "body_too_large");
        assert_eq!(prepared.body.as_deref(), Some(br#"{"changes":[{"id":"c","data":{}}]}"#.as_slice()));
        assert!(batch(vec![large]).prepare().body.is_none());
    }

    #[test]
    fn a_deletion_of_what_was_never_told_is_no_refusal_and_a_strange_answer_is_an_error() {
        let prepared = batch(vec![change(1, "a", None, None), change(2, "b", None, Some("{}"))]).prepare();
        let not_found = json!({ "status": 404, "problem": { "code": "not_found" } });
        let answer = json!({ "data": [not_found, not_found] });
        let refused = prepared.refusals(&answer).expect("an answer");
        assert_eq!(refused.iter().map(|refused| refused.seq).collect::<Vec<_>>(), [2]);
        for strange in [json!(null), json!({ "data": [] }), json!({ "data": [{}, {}] })] {
            assert!(prepared.refusals(&strange).is_err(), "{strange}");
        }
    }

    #[test]
    fn the_key_goes_with_the_content() {
        let key = |id: &str, number: i64| {
            batch(vec![change(1, id, None, Some("{}"))]).prepare().idempotency_key(Uuid::nil(), number)
        };
        assert_eq!(key("a", 1), key("a", 1));
        assert_ne!(key("a", 1), key("b", 1));
        assert_ne!(key("a", 1), key("a", 2));
        assert!(key("a", i64::MAX).len() <= postrider_domain::limits::IDEMPOTENCY_KEY_BYTES_MAX);
    }
}
