//! What a call into the engine can end in, other than well.

use postrider_domain::problem::{Code, Problem};
use postrider_store::StoreError;

/// Whose fault it was: the caller's, or ours.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The caller asked for something that cannot be; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The store could not do it. Nothing was acknowledged; the caller may try again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EngineError {
    pub fn refused(code: Code, detail: impl Into<String>) -> Self {
        Self::Refused(Problem::new(code, detail))
    }
}
