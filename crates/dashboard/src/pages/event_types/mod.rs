//! `/event-types`: what a tenant's events can be, who subscribes to them, and what their data looks like.

mod edit;
mod list;
mod schema;
mod show;

use std::sync::Arc;

use postrider_domain::profile::EventType;
use postrider_engine::catalogue::{Tenant, Webhook};

use crate::page::Page;
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[&list::LIST, &show::SHOW, &show::ARCHIVE, &edit::EDIT, &edit::SAVE];

/// Where a type comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The profile brings it.
    Profile,
    /// It was registered, and can be changed.
    Registered,
    /// Postrider makes it about its own work.
    Operational,
}

impl Origin {
    const fn label(self) -> &'static str {
        match self {
            Self::Profile => "of the profile",
            Self::Registered => "registered",
            Self::Operational => "of Postrider",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Known<'a> {
    event_type: &'a EventType,
    origin: Origin,
    exposed: bool,
}

/// All types of a tenant: the profile's in its order, then the registered ones by name, then Postrider's own.
fn all(tenant: &Tenant) -> Vec<Known<'_>> {
    let catalogue = &tenant.profile().catalogue;
    let exposed = |name: &String| {
        tenant.settings.exposed_event_types.as_ref().is_none_or(|exposed| exposed.contains(name))
    };
    let mut registered: Vec<&EventType> = tenant.types.values().map(|registered| &**registered).collect();
    registered.sort_by(|a, b| a.name.cmp(&b.name));
    let known = |event_type, origin, exposed| Known { event_type, origin, exposed };
    let mut types = Vec::new();
    types.extend(catalogue.types.iter().map(|one| known(one, Origin::Profile, exposed(&one.name))));
    types.extend(registered.into_iter().map(|one| known(one, Origin::Registered, true)));
    types.extend(catalogue.operational.iter().map(|one| known(one, Origin::Operational, true)));
    types
}

fn find<'a>(tenant: &'a Tenant, name: &str) -> Option<Known<'a>> {
    all(tenant).into_iter().find(|known| known.event_type.name == name)
}

/// The webhooks whose patterns match a type.
fn subscribers<'a>(tenant: &'a Tenant, name: &str) -> impl Iterator<Item = &'a Arc<Webhook>> {
    tenant.webhooks.iter().filter(move |webhook| webhook.patterns.matches(name))
}

/// Types are registered by who runs the installation, where the catalogue is open.
fn may_register(visit: &Visit) -> bool {
    visit.is_operator() && visit.tenant().profile().catalogue.open
}
