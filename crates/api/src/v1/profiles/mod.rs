//! `/v1/profiles`: wire contracts, as data.

pub(crate) mod create;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod put;

use postrider_domain::profile::Profile;
use serde::Serialize;

use crate::shape::{Field, Kind, Shape};

pub(crate) static PROFILE: Shape = Shape {
    name: "Profile",
    fields: &[
        Field::new("name", Kind::Text, "What tenants name it by.").required(),
        Field::new("title", Kind::Text, "What people call it.").required(),
        Field::new("version", Kind::Text, "Changes with the source; events pin it.").required(),
        Field::new("source", Kind::Text, "The TOML that it is made from."),
    ],
};

/// `source` is left out of lists.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    name: &'a str,
    title: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

impl<'a> View<'a> {
    pub(crate) fn listed(profile: &'a Profile) -> Self {
        Self { name: &profile.name, title: &profile.title, version: &profile.version, source: None }
    }

    pub(crate) fn whole(profile: &'a Profile) -> Self {
        Self { source: Some(&profile.source), ..Self::listed(profile) }
    }
}

pub(crate) static STORED: Shape = Shape {
    name: "ProfileStored",
    fields: &[
        Field::new("name", Kind::Text, "What tenants name it by.").required(),
        Field::new("title", Kind::Text, "What people call it.").required(),
        Field::new("version", Kind::Text, "Changes with the source; events pin it.").required(),
        Field::new("changed", Kind::Bool, "False: this very version was there already.").required(),
        Field::new("tenants", Kind::Count, "Tenants whose next events use it.").required(),
    ],
};

static SOURCE: Shape = Shape {
    name: "ProfileSource",
    fields: &[Field::new("source", Kind::Text, "The profile as TOML.").required()],
};

const EXAMPLE: &str = r#"{"source": "name = \"mine\"\ntitle = \"Mine\"\n…"}"#;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredView {
    name: String,
    title: String,
    version: String,
    changed: bool,
    tenants: u64,
}

impl StoredView {
    fn of(stored: &postrider_engine::control::ProfileStored) -> Self {
        let profile = &stored.profile;
        Self {
            name: profile.name.clone(),
            title: profile.title.clone(),
            version: profile.version.clone(),
            changed: stored.changed,
            tenants: stored.tenants,
        }
    }
}
