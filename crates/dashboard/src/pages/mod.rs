//! The pages: one file for each, one folder for each noun.

mod audit;
mod connections;
mod deliveries;
mod dry_run;
mod entry;
mod event_types;
mod events;
mod home;
mod inbox;
mod jobs;
mod keys;
mod portal_links;
mod profiles;
mod records;
mod requests;
mod runs;
mod scans;
mod secrets;
mod sent_again;
mod settings;
mod signature;
mod tenants;
mod triggers;
mod typed;
mod webhooks;
mod workflows;

use crate::page::Page;

/// Before anybody is signed in, and what every session has.
pub(crate) static PUBLIC: &[&Page] = &[
    &entry::START,
    &entry::SIGN_IN,
    &entry::SIGNED_IN,
    &entry::LINK,
    &entry::LINK_USED,
    &entry::SIGN_OUT,
    &entry::PORTAL_SIGN_OUT,
    &entry::THEME,
    &entry::PORTAL_THEME,
    &entry::PORTAL_OPEN,
    &entry::PORTAL_CHANGED,
    &entry::PORTAL_LOOK,
];

/// Below `/dashboard`.
pub(crate) static INSTALLATION: &[&[&Page]] =
    &[tenants::PAGES, keys::ALL_PAGES, profiles::PAGES, audit::ALL_PAGES, jobs::PAGES];

/// Below `/dashboard/t/{tenant}`, and below `/portal`.
pub(crate) static TENANT: &[&[&Page]] = &[
    &[&home::HEALTH],
    settings::PAGES,
    tenants::TENANT_PAGES,
    keys::TENANT_PAGES,
    audit::TENANT_PAGES,
    scans::PAGES,
    portal_links::PAGES,
    signature::PAGES,
    inbox::PAGES,
    webhooks::PAGES,
    deliveries::PAGES,
    events::PAGES,
    sent_again::PAGES,
    dry_run::PAGES,
    event_types::PAGES,
    records::PAGES,
    workflows::PAGES,
    triggers::PAGES,
    requests::PAGES,
    runs::PAGES,
    secrets::PAGES,
    connections::PAGES,
];
