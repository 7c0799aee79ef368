//! Links that open the portal for people who have no key: making one, and ending those that are open.

mod create;
mod list;
mod revoke;

use crate::page::Page;

pub(crate) static PAGES: &[&Page] = &[&list::LIST, &create::CREATE, &revoke::REVOKE];
