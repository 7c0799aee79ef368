//! One file a command.

pub(crate) mod backup;
pub(crate) mod connect;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod key;
pub(crate) mod migrate_to;
pub(crate) mod openapi;
pub(crate) mod profile;
pub(crate) mod restored;
pub(crate) mod serve;
pub(crate) mod verify;
