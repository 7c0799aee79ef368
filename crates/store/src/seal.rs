//! Sealing of secrets: XChaCha20-Poly1305 under the installation's master key.
//!
//! A sealed value is `version (1) ‖ key id (8) ‖ nonce (24) ‖ ciphertext and tag`. The field's name and the row's id are
//! authenticated with it, so that a value moved to another row or column does not open. The key id is the beginning of
//! the key's SHA-256: it tells a wrong key from a damaged value.

use std::fs;
use std::io::Write;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use postrider_domain::random::Random;
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::StoreError;

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// What a store proves its master key by: sealed at the first start, opened at every other.
pub(crate) const CANARY_FIELD: &str = "meta.canary";
pub(crate) const CANARY_ROW: [u8; 16] = [0; 16];
pub(crate) const CANARY_TEXT: &[u8] = b"postrider";

/// The file in the data folder that holds the master key when none is given.
const KEY_FILE: &str = "master.key";

/// 32 bytes that open everything sealed. Never shown, logged or kept outside this type.
pub type MasterKey = SecretBox<[u8; 32]>;

/// Seals and opens under one master key.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
    key_id: [u8; KEY_ID_BYTES],
    /// For fingerprints: derived, so that no text of ours is ever authenticated with the key that seals.
    fingerprint_key: SecretBox<[u8; 32]>,
}

impl Sealer {
    pub(crate) fn new(master: &MasterKey) -> Self {
        let key = master.expose_secret();
        let digest = Sha256::digest(key);
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        let fingerprint_key = SecretBox::new(Box::new(keyed_hash(key, &[b"postrider.fingerprint"])));
        Self { cipher: XChaCha20Poly1305::new(&Key::from(*key)), key_id, fingerprint_key }
    }

    /// Tells whether two contents are the same, without telling what they are: a plain hash of a short secret could be
    /// searched for.
    pub(crate) fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 32] {
        keyed_hash(self.fingerprint_key.expose_secret(), parts)
    }

    pub(crate) fn seal(
        &self,
        random: &dyn Random,
        field: &'static str,
        row: &[u8; 16],
        plaintext: &[u8],
    ) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce);
        let payload = Payload { msg: plaintext, aad: &bound_to(field, row) };
        let ciphertext = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("because only a text of 256 GiB cannot be encrypted");
        let mut sealed = Vec::with_capacity(HEAD_BYTES + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        sealed
    }

    pub(crate) fn open(
        &self,
        field: &'static str,
        row: &[u8; 16],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        if sealed.len() < HEAD_BYTES || sealed[0] != VERSION {
            return Err(StoreError::Sealed(field));
        }
        if sealed[1..=KEY_ID_BYTES] != self.key_id {
            return Err(StoreError::MasterKey(format!(
                "The sealed value of {field} was made with another master key. Start with the key this store was made with."
            )));
        }
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&sealed[1 + KEY_ID_BYTES..HEAD_BYTES]);
        let payload = Payload { msg: &sealed[HEAD_BYTES..], aad: &bound_to(field, row) };
        self.cipher
            .decrypt(&XNonce::from(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| StoreError::Sealed(field))
    }
}

fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("because HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// What a value is bound to. Field names hold no NUL, so no two pairs give the same bytes.
fn bound_to(field: &str, row: &[u8; 16]) -> Vec<u8> {
    let mut bound = Vec::with_capacity(field.len() + 17);
    bound.extend_from_slice(field.as_bytes());
    bound.push(0);
    bound.extend_from_slice(row);
    bound
}

/// The master key for a data folder: the one given, or the folder's own, which the first start makes (`is_new_store`).
pub(crate) fn master_key(
    dir: &Path,
    given: Option<MasterKey>,
    is_new_store: bool,
    random: &dyn Random,
) -> Result<MasterKey, StoreError> {
    if let Some(given) = given {
        return Ok(given);
    }
    let path = dir.join(KEY_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let mut key = Box::new([0; 32]);
            hex::decode_to_slice(text.trim(), &mut *key).map_err(|_| {
                StoreError::MasterKey(format!("{} must hold 64 hex digits and nothing else.", path.display()))
            })?;
            Ok(SecretBox::new(key))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_new_store => {
            let mut key = Box::new([0; 32]);
            random.fill(&mut *key);
            write_key(&path, &key).map_err(|error| {
                StoreError::MasterKey(format!("{} cannot be written: {error}.", path.display()))
            })?;
            Ok(SecretBox::new(key))
        }
        Err(error) => Err(StoreError::MasterKey(format!(
            "{} cannot be read: {error}. This store was made with a master key: put the file back, or give the key in \
             POSTRIDER_MASTER_KEY.",
            path.display()
        ))),
    }
}

/// The file is complete and on disk before anything is sealed with it.
fn write_key(path: &Path, key: &[u8; 32]) -> std::io::Result<()> {
    let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(key))));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // The name must survive a power loss too.
    match path.parent() {
        Some(dir) => fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn sealer(key: u8) -> Sealer {
        Sealer::new(&SecretBox::new(Box::new([key; 32])))
    }

    #[test]
    fn a_sealed_value_opens_only_for_its_key_its_field_and_its_row() {
        let random = Counting(0.into());
        let sealed = sealer(1).seal(&random, "webhook.headers", &[7; 16], b"Authorization: x");
        assert_eq!(
            sealer(1).open("webhook.headers", &[7; 16], &sealed).unwrap().as_slice(),
            b"Authorization: x"
        );
        assert!(matches!(
            sealer(2).open("webhook.headers", &[7; 16], &sealed),
            Err(StoreError::MasterKey(_))
        ));
        assert!(matches!(sealer(1).open("webhook.secret", &[7; 16], &sealed), Err(StoreError::Sealed(_))));
        assert!(matches!(sealer(1).open("webhook.headers", &[8; 16], &sealed), Err(StoreError::Sealed(_))));
    }

    #[test]
    fn a_fingerprint_tells_equal_contents_only_to_who_has_the_key() {
        let of = |key, text: &[u8]| sealer(key).fingerprint(&[text]);
        assert_eq!(of(1, b"secret"), of(1, b"secret"));
        assert_ne!(of(1, b"secret"), of(1, b"Secret"));
        assert_ne!(of(1, b"secret"), of(2, b"secret"));
        assert_ne!(of(1, b"secret")[..], Sha256::digest(b"secret")[..]);
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let random = Counting(0.into());
        let sealed = sealer(1).seal(&random, "f", &[7; 16], b"secret");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer(1).open("f", &[7; 16], &changed).is_err(), "byte {at}");
            assert!(sealer(1).open("f", &[7; 16], &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_same_text_is_never_sealed_to_the_same_bytes() {
        let random = Counting(0.into());
        let one = sealer(1).seal(&random, "f", &[7; 16], b"secret");
        assert_ne!(one, sealer(1).seal(&random, "f", &[7; 16], b"secret"));
        assert!(!one.windows(6).any(|window| window == b"secret"));
    }
}
