//! The inbox: receivers of Postrider's own, for who has none yet, and what came to them.

mod change;
mod list;
mod requests;
mod show;
mod verdict;

use crate::page::Page;

pub(crate) static PAGES: &[&Page] =
    &[&list::LIST, &change::NEW, &show::SHOW, &requests::REQUESTS, &change::STATUS, &change::DELETE];
