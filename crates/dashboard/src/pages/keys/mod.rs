//! API keys, for operators: of the installation, and of one tenant.

mod create;
mod list;
mod revoke;

use crate::page::Page;

pub(crate) static ALL_PAGES: &[&Page] = &[&list::ALL, &create::OF_ALL, &revoke::ALL];

pub(crate) static TENANT_PAGES: &[&Page] = &[&list::OF_TENANT, &create::OF_TENANT, &revoke::OF_TENANT];
