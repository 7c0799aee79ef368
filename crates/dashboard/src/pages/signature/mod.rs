//! The signature helper: which part of a captured request's signature is wrong. Nothing that is typed here is stored or told.

mod ask;
mod judge;
mod shown;

pub(crate) use shown::sentence as finding_sentence;

use crate::page::Page;

pub(crate) static PAGES: &[&Page] = &[&ask::ASK, &judge::JUDGE];
