//! `/records`: the application's own objects as last told, with what rules made of them. To be read: applications write them.

mod list;
mod show;

use postrider_domain::problem::Problem;
use postrider_engine::derive::place::Place;

use crate::page::Page;
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[&list::KINDS, &list::LIST, &show::SHOW];

/// The place of a kind, as this tenant sees it: also an operator sees no other tenant's records on a tenant's page.
fn place(visit: &Visit) -> Result<Place, Problem> {
    let catalogue = visit.engine().catalogue();
    Place::find(catalogue, visit.path("kind"), Some(visit.tenant()), true, None)
        .map_err(|_| Problem::not_found("kind of records"))
}
