//! A name server for tests: nothing foreign is asked.

use postrider_egress::{Resolve, ResolveError, Resolving};

/// Knows no name at all.
#[derive(Debug)]
pub struct NoNames;

impl Resolve for NoNames {
    fn addresses<'a>(&'a self, _name: &'a str) -> Resolving<'a> {
        Box::pin(async { Err(ResolveError::NoAddress) })
    }
}
