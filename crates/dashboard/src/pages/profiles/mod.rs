//! Profiles, for operators: the wire contracts that tenants can have.

mod list;
mod put;
mod show;
mod sketch;

use crate::page::Page;

pub(crate) static PAGES: &[&Page] = &[&list::LIST, &put::FORM, &put::PUT, &show::SHOW];
