//! One file a command.

pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod key;
pub(crate) mod openapi;
pub(crate) mod profile;
pub(crate) mod serve;
pub(crate) mod verify;
