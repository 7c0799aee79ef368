//! `/v1`: one folder per noun, one file per endpoint.

pub(crate) mod audit;
pub(crate) mod connections;
pub(crate) mod deliveries;
pub(crate) mod event_types;
pub(crate) mod events;
pub(crate) mod inboxes;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod portal_sessions;
pub(crate) mod profiles;
pub(crate) mod records;
pub(crate) mod requests;
pub(crate) mod rule_errors;
pub(crate) mod runs;
pub(crate) mod scans;
pub(crate) mod secrets;
pub(crate) mod tenants;
pub(crate) mod triggers;
pub(crate) mod webhooks;
pub(crate) mod workflows;

use crate::endpoint::Endpoint;
use crate::shape::{Field, Kind, Shape};

/// Every endpoint of `/v1`, in the order of the document.
pub(crate) static ENDPOINTS: &[&Endpoint] = &[
    &events::publish::ENDPOINT,
    &events::batch::ENDPOINT,
    &events::preview::ENDPOINT,
    &events::list::ENDPOINT,
    &events::get::ENDPOINT,
    &webhooks::create::ENDPOINT,
    &webhooks::list::ENDPOINT,
    &webhooks::get::ENDPOINT,
    &webhooks::update::ENDPOINT,
    &webhooks::delete::ENDPOINT,
    &webhooks::test::ENDPOINT,
    &webhooks::rotate::ENDPOINT,
    &webhooks::stats::ENDPOINT,
    &webhooks::recover::ENDPOINT,
    &deliveries::list::ENDPOINT,
    &deliveries::get::ENDPOINT,
    &deliveries::retry::ENDPOINT,
    &deliveries::retry_many::ENDPOINT,
    &deliveries::resend::ENDPOINT,
    &inboxes::create::ENDPOINT,
    &inboxes::list::ENDPOINT,
    &inboxes::update::ENDPOINT,
    &inboxes::delete::ENDPOINT,
    &inboxes::requests::ENDPOINT,
    &inboxes::receive::ENDPOINT,
    &event_types::list::ENDPOINT,
    &event_types::get::ENDPOINT,
    &event_types::put::ENDPOINT,
    &event_types::archive::ENDPOINT,
    &tenants::create::ENDPOINT,
    &tenants::list::ENDPOINT,
    &tenants::get::ENDPOINT,
    &tenants::update::ENDPOINT,
    &tenants::delete::ENDPOINT,
    &keys::create::ENDPOINT,
    &keys::list::ENDPOINT,
    &keys::revoke::ENDPOINT,
    &portal_sessions::create::ENDPOINT,
    &portal_sessions::list::ENDPOINT,
    &portal_sessions::revoke::ENDPOINT,
    &profiles::create::ENDPOINT,
    &profiles::list::ENDPOINT,
    &profiles::get::ENDPOINT,
    &profiles::put::ENDPOINT,
    &records::put::ENDPOINT,
    &records::patch::ENDPOINT,
    &records::delete::ENDPOINT,
    &records::get::ENDPOINT,
    &records::list::ENDPOINT,
    &records::batch::ENDPOINT,
    &records::import::ENDPOINT,
    &rule_errors::ENDPOINT,
    &workflows::put::ENDPOINT,
    &workflows::list::ENDPOINT,
    &workflows::get::ENDPOINT,
    &workflows::delete::ENDPOINT,
    &workflows::start::ENDPOINT,
    &workflows::runs::ENDPOINT,
    &triggers::create::ENDPOINT,
    &triggers::list::ENDPOINT,
    &triggers::get::ENDPOINT,
    &triggers::update::ENDPOINT,
    &triggers::delete::ENDPOINT,
    &triggers::rotate_secret::ENDPOINT,
    &triggers::rotate_slug::ENDPOINT,
    &triggers::test::ENDPOINT,
    &triggers::hook::ENDPOINT,
    &runs::list::ENDPOINT,
    &runs::get::ENDPOINT,
    &runs::cancel::ENDPOINT,
    &runs::replay::ENDPOINT,
    &requests::list::ENDPOINT,
    &requests::get::ENDPOINT,
    &requests::replay::ENDPOINT,
    &scans::run::ENDPOINT,
    &scans::list::ENDPOINT,
    &secrets::put::ENDPOINT,
    &secrets::list::ENDPOINT,
    &secrets::get::ENDPOINT,
    &secrets::delete::ENDPOINT,
    &connections::create::ENDPOINT,
    &connections::list::ENDPOINT,
    &connections::callback::ENDPOINT,
    &connections::get::ENDPOINT,
    &connections::update::ENDPOINT,
    &connections::delete::ENDPOINT,
    &connections::authorize::ENDPOINT,
    &connections::refresh::ENDPOINT,
    &connections::revoke::ENDPOINT,
    &connections::providers::ENDPOINT,
    &jobs::get::ENDPOINT,
    &ledger::get::ENDPOINT,
    &audit::list::ENDPOINT,
];

/// Something to know that is not a refusal.
pub(crate) static WARNING: Shape = Shape {
    name: "Warning",
    fields: &[
        Field::new("code", Kind::Text, "A stable word.").required(),
        Field::new("detail", Kind::Text, "What it means and what to do.").required(),
    ],
};

/// A refusal (RFC 9457).
pub(crate) static PROBLEM: Shape = Shape {
    name: "Problem",
    fields: &[
        Field::new("type", Kind::Text, "Where the code is explained.").required(),
        Field::new("title", Kind::Text, "The code in words.").required(),
        Field::new("status", Kind::Count, "The HTTP status.").required(),
        Field::new("code", Kind::Text, "A stable word to branch on.").required(),
        Field::new("detail", Kind::Text, "What is wrong and what to do.").required(),
        Field::new("field", Kind::Text, "The field at fault."),
    ],
};
