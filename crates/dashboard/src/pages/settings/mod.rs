//! A tenant's settings: what everybody may read, what operators change, and the one webhook of a single-webhook profile.

pub(crate) mod form;
mod save;
mod show;
mod webhook;

use crate::page::Page;

pub(crate) static PAGES: &[&Page] = &[&show::SHOW, &save::SAVE, &webhook::SAVE, &webhook::DELETE];
