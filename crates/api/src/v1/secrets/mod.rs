//! `/v1/secrets`: values that steps use and nobody is shown.

pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod put;

use postrider_domain::time::Timestamp;
use postrider_store::config::StepSecretRow;
use serde::Serialize;

use crate::shape::{Field, Kind, Shape};

pub(crate) static SECRET: Shape = Shape {
    name: "Secret",
    fields: &[
        Field::new("name", Kind::Text, "What steps call it.").required(),
        Field::new("version", Kind::Count, "Rises by one with each value.").required(),
        Field::new("createdAt", Kind::Time, "When it was first written.").required(),
        Field::new("updatedAt", Kind::Time, "When its value was written.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    name: &'a str,
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> View<'a> {
    pub(crate) fn of(row: &'a StepSecretRow) -> Self {
        Self { name: &row.name, version: row.version, created_at: row.created, updated_at: row.updated }
    }
}
