//! One change of many: a line of an import, an item of a batch.

use postrider_domain::problem::{Code, Problem};
use postrider_engine::derive::records::{Change, Condition, Edit, Written, content};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{CausedView, WarningView, caused, check_record_id, warnings};
use crate::json::malformed;
use crate::problem::ProblemBody;
use crate::shape::{Field, Kind, Shape};
use crate::v1::{PROBLEM, WARNING};

pub(super) static CHANGE: Shape = Shape {
    name: "RecordChange",
    fields: &[
        Field::new("id", Kind::Text, "The caller's id.").required(),
        Field::new("data", Kind::AnyObject, "The whole record."),
        Field::new("deleted", Kind::Bool, "True, without `data`: the record is gone."),
        Field::new(
            "old",
            Kind::AnyObject,
            "What the record was before, by its source: heeded only for one that was never told here.",
        ),
    ],
};

pub(super) static ITEM: Shape = Shape {
    name: "RecordChangeResult",
    fields: &[
        Field::new("line", Kind::Count, "Of an import: the line, from 1."),
        Field::new("status", Kind::Count, "200, or the status of the problem.").required(),
        Field::new("id", Kind::Text, "The caller's id."),
        Field::new(
            "became",
            Kind::Word(&["created", "updated", "unchanged", "deleted"]),
            "What the change did.",
        ),
        Field::new("events", Kind::List(&Kind::Object(&super::CAUSED)), "Events that follow from it."),
        Field::new("warnings", Kind::List(&Kind::Object(&WARNING)), "What is worth knowing."),
        Field::new("problem", Kind::Object(&PROBLEM), "Why the change was refused."),
    ],
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    id: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    deleted: bool,
    #[serde(borrow)]
    old: Option<&'a RawValue>,
}

/// A change as it was sent, or why it is none; with its id as far as that is known.
pub(super) fn read(json: &[u8]) -> (Option<String>, Result<Change, Problem>) {
    let line: Line<'_> = match serde_json::from_slice(json) {
        Ok(line) => line,
        Err(error) => return (None, Err(explain(json, &error))),
    };
    let change = change(&line);
    (Some(line.id), change)
}

/// In the words of the shape, if it is JSON at all.
fn explain(json: &[u8], error: &serde_json::Error) -> Problem {
    match serde_json::from_slice(json) {
        Ok(value) => CHANGE.check(&value, "").err().unwrap_or_else(|| malformed(error)),
        Err(error) => {
            let problem = malformed(&error);
            Problem { detail: problem.detail.replacen("The body", "The change", 1), ..problem }
        }
    }
}

fn change(line: &Line<'_>) -> Result<Change, Problem> {
    check_record_id(&line.id)?;
    let edit = match (line.data, line.deleted) {
        (Some(data), false) => Edit::Put(content(data.get())?),
        (None, true) => Edit::Delete,
        (Some(_), true) => {
            let detail = "`deleted` says that the record is gone, `data` what it is. Send one of them.";
            return Err(Problem::at(Code::InvalidField, "deleted", detail));
        }
        (None, false) => {
            let detail = "`data` is required: the whole record, or `deleted: true`.";
            return Err(Problem::at(Code::MissingField, "data", detail));
        }
    };
    let old = line.old.map(|old| content(old.get())).transpose();
    let old = old.map_err(|problem| Problem { field: Some("old".to_owned()), ..problem })?;
    Ok(Change { id: line.id.clone(), edit, old, condition: Condition::None })
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ItemView<'a> {
    Done {
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
        status: u16,
        id: &'a str,
        became: &'static str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        events: Vec<CausedView<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<WarningView<'a>>,
    },
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
        status: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        problem: ProblemBody,
    },
}

impl<'a> ItemView<'a> {
    pub(super) fn of(line: Option<u64>, id: Option<&'a str>, made: &'a Result<Written, Problem>) -> Self {
        match made {
            Ok(written) => Self::Done {
                line,
                status: 200,
                id: id.unwrap_or_default(),
                became: written.became.as_str(),
                events: caused(written),
                warnings: warnings(&written.warnings),
            },
            Err(problem) => Self::Refused {
                line,
                status: problem.code.status(),
                id,
                problem: ProblemBody::of(problem.clone()),
            },
        }
    }
}
