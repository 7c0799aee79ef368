//! The request body: the envelope's members in order, and the event's data in them.

/// A field of the data that a type's body carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {}
