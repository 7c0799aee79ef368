//! `/v1/keys`: API keys. A key is shown once; what is kept is its hash.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;

use postrider_engine::control::Role;

use crate::shape::Kind;

/// The words for [`Role`], in its order.
const ROLES: Kind = Kind::Word(&["operator", "publisher", "admin", "viewer"]);

fn role(text: &str) -> Role {
    Role::parse(text).expect("because the shape lets no other word pass")
}
