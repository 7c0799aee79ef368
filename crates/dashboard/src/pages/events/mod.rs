//! Events: what was accepted, and what became of each at every webhook.

mod find;
mod list;
mod outcomes;
pub(crate) mod search;
mod show;

use crate::page::Page;

pub(crate) static PAGES: &[&Page] = &[&list::LIST, &show::SHOW, &search::SEARCH];
