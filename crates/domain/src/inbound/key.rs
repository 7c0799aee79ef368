//! Keys: from a secret's text, and whether a signature is theirs. Shared secrets are compared in constant time, after
//! their length.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, signature};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::scheme::{Algorithm, Encoding, KeyForm, Scheme};
use super::signed::Piece;
use super::spki::{self, KeyKind};

/// A secret as its provider gave it; the longest are public RSA keys as PEM.
pub(super) const SECRET_BYTES_MAX: usize = 4096;
/// Bytes of a `whsec_` secret, by Standard Webhooks.
const WHSEC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What signatures are checked with. Never shows itself.
pub(super) enum Key {
    Mac(hmac::Key),
    /// Stands in the text that is hashed.
    Hashed(Zeroizing<Vec<u8>>),
    /// Is itself what the request shows.
    Token(Zeroizing<Vec<u8>>),
    Public(signature::UnparsedPublicKey<Vec<u8>>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The key that a secret stands for; an error is a sentence about the form that is expected, without the secret.
    pub(super) fn parse(algorithm: Algorithm, form: KeyForm, secret: &str) -> Result<Self, String> {
        if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
            return Err(format!("A secret has 1 to {SECRET_BYTES_MAX} bytes."));
        }
        let expected = || format!("The secret must be {}.", describe(algorithm, form));
        let bytes = bytes(algorithm, form, secret).ok_or_else(expected)?;
        Ok(Self::from_bytes(algorithm, bytes))
    }

    /// The key that these bytes are: for trying a secret as it was perhaps misread.
    pub(super) fn from_bytes(algorithm: Algorithm, bytes: Zeroizing<Vec<u8>>) -> Self {
        let public = |algorithm: &'static dyn signature::VerificationAlgorithm| {
            Self::Public(signature::UnparsedPublicKey::new(algorithm, bytes.to_vec()))
        };
        match algorithm {
            Algorithm::HmacSha1 => Self::Mac(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes)),
            Algorithm::HmacSha256 => Self::Mac(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
            Algorithm::HmacSha512 => Self::Mac(hmac::Key::new(hmac::HMAC_SHA512, &bytes)),
            Algorithm::Ed25519 => public(&signature::ED25519),
            Algorithm::EcdsaP256Sha256 => public(&signature::ECDSA_P256_SHA256_ASN1),
            Algorithm::RsaSha256 => public(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Sha256 => Self::Hashed(bytes),
            Algorithm::Token | Algorithm::Basic => Self::Token(bytes),
        }
    }

    /// What the signature should be; `None` where only the private half of the key could tell.
    pub(super) fn expected(&self, pieces: &[Piece<'_>]) -> Option<Zeroizing<Vec<u8>>> {
        let secret = match self {
            Self::Hashed(secret) => secret.as_slice(),
            _ => b"",
        };
        match self {
            Self::Mac(key) => {
                let mut mac = hmac::Context::with_key(key);
                pieces.iter().for_each(|piece| mac.update(piece.bytes(secret)));
                Some(Zeroizing::new(mac.sign().as_ref().to_vec()))
            }
            Self::Hashed(_) => {
                let mut hash = digest::Context::new(&digest::SHA256);
                pieces.iter().for_each(|piece| hash.update(piece.bytes(secret)));
                Some(Zeroizing::new(hash.finish().as_ref().to_vec()))
            }
            Self::Token(token) => Some(token.clone()),
            Self::Public(_) => None,
        }
    }

    /// Whether one of the signatures is the one over the pieces.
    pub(super) fn holds(&self, pieces: &[Piece<'_>], signatures: &[Vec<u8>]) -> bool {
        if let Self::Public(key) = self {
            let mut message = Vec::new();
            pieces.iter().for_each(|piece| message.extend_from_slice(piece.bytes(b"")));
            return signatures.iter().any(|signature| key.verify(&message, signature).is_ok());
        }
        let Some(expected) = self.expected(pieces) else { return false };
        // A slice of another length is unequal without a look at its bytes.
        signatures.iter().any(|signature| expected.as_slice().ct_eq(signature.as_slice()).into())
    }

    /// A MAC over bytes, for handshakes that ask for one.
    pub(super) fn mac(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Mac(key) => Some(hmac::sign(key, bytes).as_ref().to_vec()),
            _ => None,
        }
    }
}

fn bytes(algorithm: Algorithm, form: KeyForm, secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = Zeroizing::new(match form {
        KeyForm::Utf8 => secret.as_bytes().to_vec(),
        KeyForm::UserPassword => {
            secret.split_once(':').filter(|(user, _)| !user.is_empty())?;
            secret.as_bytes().to_vec()
        }
        KeyForm::Whsec => BASE64.decode(secret.strip_prefix("whsec_")?).ok()?,
        KeyForm::Whpk => BASE64.decode(secret.strip_prefix("whpk_")?).ok()?,
        KeyForm::Hex => hex::decode(secret).ok()?,
        KeyForm::Base64 => BASE64.decode(secret).ok()?,
        KeyForm::Spki => spki::public_key(secret, spki_kind(algorithm))?,
    });
    let fits = match (form, algorithm) {
        (KeyForm::Whsec, _) => WHSEC_BYTES.contains(&bytes.len()),
        (_, Algorithm::Ed25519) => bytes.len() == 32,
        _ => !bytes.is_empty(),
    };
    fits.then_some(bytes)
}

fn spki_kind(algorithm: Algorithm) -> KeyKind {
    match algorithm {
        Algorithm::RsaSha256 => KeyKind::Rsa,
        Algorithm::Ed25519 => KeyKind::Ed25519,
        _ => KeyKind::P256,
    }
}

/// The form of a secret, as the end of a sentence.
pub(super) fn describe(algorithm: Algorithm, form: KeyForm) -> &'static str {
    match (form, algorithm) {
        (KeyForm::Utf8, Algorithm::Token) => "the token itself",
        (KeyForm::Utf8, _) => "the text that the provider shows",
        (KeyForm::UserPassword, _) => "`username:password`",
        (KeyForm::Whsec, _) => "`whsec_` followed by 24 to 64 bytes in base64",
        (KeyForm::Whpk, _) => "`whpk_` followed by an Ed25519 public key (32 bytes) in base64",
        (KeyForm::Hex, Algorithm::Ed25519) => "an Ed25519 public key: 64 hexadecimal digits",
        (KeyForm::Hex, _) => "a key in hexadecimal digits",
        (KeyForm::Base64, Algorithm::Ed25519) => "an Ed25519 public key (32 bytes) in base64",
        (KeyForm::Base64, _) => "a key in base64",
        (KeyForm::Spki, Algorithm::RsaSha256) => {
            "an RSA public key: `-----BEGIN PUBLIC KEY-----`, or its base64"
        }
        (KeyForm::Spki, Algorithm::Ed25519) => {
            "an Ed25519 public key: `-----BEGIN PUBLIC KEY-----`, or its base64"
        }
        (KeyForm::Spki, _) => "a P-256 public key: `-----BEGIN PUBLIC KEY-----`, or its base64",
    }
}

/// The bytes that a signature's text stands for; `None` when it is not in the encoding, or has another length than every
/// signature of the algorithm.
pub(super) fn decode(scheme: &Scheme, text: &[u8]) -> Option<Vec<u8>> {
    let bytes = match scheme.signature.encoding {
        Encoding::Hex => hex::decode(text).ok()?,
        Encoding::Base64 => BASE64.decode(text).ok()?,
        Encoding::Text => text.to_vec(),
    };
    let fits = match scheme.algorithm.signature_bytes() {
        Some(len) => bytes.len() == len,
        None => !bytes.is_empty(),
    };
    fits.then_some(bytes)
}

/// The other way round.
pub(super) fn encode(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex => hex::encode(bytes),
        Encoding::Base64 => BASE64.encode(bytes),
        Encoding::Text => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_another_form_is_refused_with_the_form_and_without_the_secret() {
        for (algorithm, form, secret, good) in [
            (Algorithm::HmacSha256, KeyForm::Utf8, "whsec_taken as it is", true),
            (Algorithm::HmacSha256, KeyForm::Whsec, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
            (Algorithm::HmacSha256, KeyForm::Whsec, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false),
            (Algorithm::HmacSha256, KeyForm::Whsec, "whsec_c2hvcnQ=", false),
            (Algorithm::HmacSha256, KeyForm::Hex, "00ffAA", true),
            (Algorithm::HmacSha256, KeyForm::Hex, "00ffA", false),
            (Algorithm::HmacSha256, KeyForm::Base64, "AAEC", true),
            (Algorithm::HmacSha256, KeyForm::Base64, "AAEC=", false),
            (Algorithm::Ed25519, KeyForm::Hex, "00ff", false),
            (Algorithm::Ed25519, KeyForm::Whpk, "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", true),
            (Algorithm::Basic, KeyForm::UserPassword, "user:pass:word", true),
            (Algorithm::Basic, KeyForm::UserPassword, "no colon", false),
            (Algorithm::Basic, KeyForm::UserPassword, ":only-one", false),
            (Algorithm::EcdsaP256Sha256, KeyForm::Spki, "certificate", false),
            (Algorithm::HmacSha256, KeyForm::Utf8, "", false),
        ] {
            let key = Key::parse(algorithm, form, secret);
            assert_eq!(key.is_ok(), good, "{form:?} {secret}");
            match key {
                Ok(key) => assert_eq!(format!("{key:?}"), "Key"),
                Err(error) => assert!(secret.is_empty() || !error.contains(secret), "{error}"),
            }
        }
    }
}
