//! The API as its callers see it: in process, over a real store, with a clock that stands until a test moves it.
//!
//! Every answer that a test receives is held against `/openapi.json` by `World`, so that what the document says is what
//! the code does.

mod bad_input;
mod configuration;
mod connections;
mod document;
mod events;
mod hostile;
mod idempotency;
mod inbound;
mod inboxes;
mod keys;
mod lists;
mod presets;
mod preview;
mod records;
mod requests;
mod roles;
mod secrets;
mod serving;
mod triggers;
mod webhooks;
mod world;
