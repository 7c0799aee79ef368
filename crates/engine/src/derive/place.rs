//! Where records of a kind are kept, and whose they are.

use std::sync::Arc;

use postrider_domain::id::TenantId;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::Profile;
use postrider_domain::rules::{Content, RecordKind, profile_scope};
use serde_json::Value;

use crate::catalogue::{Catalogue, Tenant};

/// A kind of records, where they are kept.
#[derive(Debug, Clone)]
pub struct Place {
    pub scope: [u8; 16],
    pub kind: String,
    pub owner: Owner,
}

/// Whose the records of a place are.
#[derive(Debug, Clone)]
pub enum Owner {
    Tenant(Arc<Tenant>),
    /// Each record names its tenant, one of the profile's, or none. `only`: the caller's key is bound to it.
    Named {
        profile: Arc<Profile>,
        path: Vec<String>,
        only: Option<TenantId>,
    },
}

impl Place {
    /// `tenant`: the one that the caller named or is bound to. `profile`: the one that the caller named.
    pub fn find(
        catalogue: &Catalogue,
        kind: &str,
        tenant: Option<&Arc<Tenant>>,
        bound: bool,
        profile: Option<&str>,
    ) -> Result<Self, Problem> {
        if let Some(tenant) = tenant {
            let found = find_kind(tenant.profile(), kind).ok_or_else(|| unknown(kind, tenant.profile()))?;
            return Ok(match &found.tenant_from {
                None => Self {
                    scope: *tenant.id.as_bytes(),
                    kind: kind.to_owned(),
                    owner: Owner::Tenant(tenant.clone()),
                },
                Some(path) => Self::named(tenant.profile().clone(), path, kind, bound.then_some(tenant.id)),
            });
        }
        if let Some(name) = profile {
            let profile = catalogue.profile(name).ok_or_else(|| {
                let detail = format!("There is no profile `{name}`. GET /v1/profiles lists them.");
                Problem::at(Code::InvalidField, "Postrider-Profile", detail)
            })?;
            let found = find_kind(&profile, kind).ok_or_else(|| unknown(kind, &profile))?;
            let Some(path) = found.tenant_from.clone() else { return Err(tenant_needed(kind)) };
            return Ok(Self::named(profile, &path, kind, None));
        }
        let profiles = catalogue.profiles();
        let with_kind: Vec<&Arc<Profile>> =
            profiles.iter().filter(|profile| find_kind(profile, kind).is_some()).collect();
        let naming: Vec<(&Arc<Profile>, &Vec<String>)> = with_kind
            .iter()
            .filter_map(|profile| Some((*profile, find_kind(profile, kind)?.tenant_from.as_ref()?)))
            .collect();
        match naming[..] {
            [(profile, path)] => Ok(Self::named(profile.clone(), path, kind, None)),
            [] if with_kind.is_empty() => Err(Problem::new(
                Code::UnknownRecordKind,
                format!(
                    "No profile has records of the kind `{kind}`. GET /v1/profiles shows which there are."
                ),
            )),
            [] => Err(tenant_needed(kind)),
            _ => {
                let names: Vec<&str> = naming.iter().map(|(profile, _)| profile.name.as_str()).collect();
                Err(Problem::at(
                    Code::ProfileRequired,
                    "Postrider-Profile",
                    format!(
                        "Several profiles have records of the kind `{kind}`: {}. Name one in the header `Postrider-Profile`.",
                        names.join(", ")
                    ),
                ))
            }
        }
    }

    fn named(profile: Arc<Profile>, path: &[String], kind: &str, only: Option<TenantId>) -> Self {
        let scope = profile_scope(&profile.name);
        Self { scope, kind: kind.to_owned(), owner: Owner::Named { profile, path: path.to_vec(), only } }
    }

    /// The profile that says what records of this place are.
    pub fn profile(&self) -> &Arc<Profile> {
        match &self.owner {
            Owner::Tenant(tenant) => tenant.profile(),
            Owner::Named { profile, .. } => profile,
        }
    }

    pub(crate) fn record_kind(&self) -> Option<&RecordKind> {
        find_kind(self.profile(), &self.kind)
    }

    /// Whether what rules know of a record is needed to judge it.
    pub(crate) fn keeps_marks(&self) -> bool {
        let profile = self.profile();
        let lasting = profile.rules.iter().any(|rule| rule.record == self.kind && rule.lasts());
        // Tenants may have an older version of the profile.
        lasting
            || matches!(self.owner, Owner::Named { .. })
            || profile.generators.iter().any(|generator| generator.record == self.kind)
    }

    /// The tenant of a record with this content. An error where it names one that is not there.
    pub(crate) fn tenant_of(
        &self,
        catalogue: &Catalogue,
        content: &Content,
    ) -> Result<Option<Arc<Tenant>>, Problem> {
        let (profile, path, only) = match &self.owner {
            Owner::Tenant(tenant) => return Ok(Some(tenant.clone())),
            Owner::Named { profile, path, only } => (profile, path, only),
        };
        let field = || format!("data.{}", path.join("."));
        let id = match content.at(path) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(id)) if id.is_empty() => return Ok(None),
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            Some(_) => {
                return Err(Problem::at(
                    Code::InvalidField,
                    field(),
                    "A tenant's id is text, or null for no tenant.",
                ));
            }
        };
        let found = catalogue
            .tenant_by_public_id(&id)
            .filter(|tenant| tenant.profile().name == profile.name)
            .filter(|tenant| only.is_none_or(|only| only == tenant.id));
        found.map(Some).ok_or_else(|| {
            let id: String = id.chars().take(80).collect();
            let detail = format!(
                "The record names the tenant `{id}`, which the profile {} does not have. Create the tenant first, or leave the field out.",
                profile.name
            );
            Problem::at(Code::UnknownTenant, field(), detail)
        })
    }

    /// Whether the caller may know of a record of this tenant.
    pub(crate) fn shows(&self, tenant: Option<TenantId>) -> bool {
        match &self.owner {
            Owner::Tenant(_) | Owner::Named { only: None, .. } => true,
            Owner::Named { only, .. } => tenant == *only,
        }
    }
}

fn find_kind<'p>(profile: &'p Profile, kind: &str) -> Option<&'p RecordKind> {
    profile.records.iter().find(|known| known.name == kind)
}

fn unknown(kind: &str, profile: &Profile) -> Problem {
    let known: Vec<&str> = profile.records.iter().map(|kind| kind.name.as_str()).collect();
    let kind: String = kind.chars().take(80).collect();
    let there_are = match known.is_empty() {
        true => "it has none; publish events instead".to_owned(),
        false => format!("it has {}", known.join(", ")),
    };
    let detail = format!("The profile {} has no records of the kind `{kind}`: {there_are}.", profile.name);
    Problem::new(Code::UnknownRecordKind, detail)
}

fn tenant_needed(kind: &str) -> Problem {
    let detail = format!(
        "A record of the kind `{kind}` belongs to a tenant. Name it in the header `Postrider-Tenant`."
    );
    Problem::new(Code::TenantRequired, detail)
}
