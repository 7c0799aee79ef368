//! Tenants, for operators: how all of them are doing, making one, and deleting one.

mod create;
mod delete;
mod facts;
mod list;

use crate::page::Page;

pub(crate) static PAGES: &[&Page] = &[&list::LIST, &facts::LEDGER, &create::FORM, &create::CREATED];

/// Of one tenant.
pub(crate) static TENANT_PAGES: &[&Page] = &[&delete::ASKED, &delete::DELETED];
