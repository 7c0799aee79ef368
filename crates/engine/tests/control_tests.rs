//! Control against a real store: every refusal leaves everything as it was, every change leaves its trace.

#[path = "control/support.rs"]
mod support;

#[path = "control/jobs.rs"]
mod jobs;
#[path = "control/keys.rs"]
mod keys;
#[path = "control/profiles.rs"]
mod profiles;
#[path = "control/secrets.rs"]
mod secrets;
#[path = "control/sessions.rs"]
mod sessions;
#[path = "control/tenants.rs"]
mod tenants;
#[path = "control/webhooks.rs"]
mod webhooks;
