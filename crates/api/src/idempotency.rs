//! `Idempotency-Key`: a creating request that is repeated gets the answer of the first one, for 24 hours.
//!
//! The store keeps key and answer in the transaction that creates; this file only says what "the same request" is.

use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};

use postrider_domain::id::TenantId;
use postrider_domain::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::Idem;
use postrider_store::Store;

use crate::auth::PROFILE_HEADER;

pub(crate) const HEADER: &str = "idempotency-key";

/// The idempotency key of a request, if it has one. A key belongs to a tenant (or the installation) and an endpoint:
/// two tenants, or two endpoints, may use the same one. The content is everything that decides about the answer; it is
/// kept as a keyed hash, since a body may hold a secret.
pub(crate) fn read(
    store: &Store,
    headers: &HeaderMap,
    method: &Method,
    path: &str,
    tenant: Option<TenantId>,
    body: &[u8],
) -> Result<Option<Idem>, Problem> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()));
    let Some(key) = key else {
        return Err(Problem::at(
            Code::IdempotencyKeyInvalid,
            "Idempotency-Key",
            format!("An idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters."),
        ));
    };
    let tenant = tenant.map_or([0; 16], |tenant| *tenant.as_bytes());
    let mut hash = Sha256::new();
    for part in [tenant.as_slice(), method.as_str().as_bytes(), b" ", path.as_bytes()] {
        hash.update(part);
    }
    if let Some(profile) = headers.get(PROFILE_HEADER) {
        hash.update([0]);
        hash.update(profile.as_bytes());
    }
    let scope: [u8; 16] = hash.finalize()[..16].try_into().expect("because the slice has that length");
    Ok(Some(Idem { scope, key: key.to_owned(), fingerprint: store.fingerprint(&[&scope, body]) }))
}
