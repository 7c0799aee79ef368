//! Public keys as their providers show them: SubjectPublicKeyInfo, in PEM or the base64 inside it (RFC 5280, 4.1.2.7).
//!
//! Only the frame is read here, to the letter of DER; whether the key inside is a good one, ring says when it is used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    P256,
    Rsa,
    Ed25519,
}

/// Object identifiers with what stands beside them: the named curve, NULL, nothing.
const P256: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The key inside: a point, an RSAPublicKey, 32 bytes. `None` when the text is not such a key.
pub(super) fn public_key(text: &str, kind: KeyKind) -> Option<Vec<u8>> {
    let text = text.trim();
    let inner = match text.strip_prefix(BEGIN) {
        Some(rest) => rest.strip_suffix(END)?,
        None => text,
    };
    let base64: String = inner.chars().filter(|it| !it.is_ascii_whitespace()).collect();
    let der = BASE64.decode(base64).ok()?;
    let (info, rest) = element(&der, SEQUENCE)?;
    let (algorithm, key) = element(info, SEQUENCE)?;
    let expected = match kind {
        KeyKind::P256 => P256,
        KeyKind::Rsa => RSA,
        KeyKind::Ed25519 => ED25519,
    };
    let (bits, after) = element(key, BIT_STRING)?;
    if algorithm != expected || !rest.is_empty() || !after.is_empty() {
        return None;
    }
    // The first byte says how many bits of the last one do not count.
    let key = bits.strip_prefix(b"\0")?;
    let fits = match kind {
        KeyKind::P256 => key.len() == 65 && key[0] == 4,
        KeyKind::Rsa => element(key, SEQUENCE).is_some_and(|(_, rest)| rest.is_empty()),
        KeyKind::Ed25519 => key.len() == 32,
    };
    fits.then(|| key.to_vec())
}

/// The content of the element that `der` begins with, and what follows. Lengths up to 65535, in their shortest form.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => match rest {
            [len, rest @ ..] if *len > 0x7f => (usize::from(*len), rest),
            _ => return None,
        },
        0x82 => match rest {
            [high, low, rest @ ..] if *high > 0 => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return None,
        },
        _ => return None,
    };
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// SendGrid's, as its libraries publish it.
    const SENDGRID: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";

    #[test]
    fn a_key_is_read_with_or_without_its_frame() {
        let key = public_key(SENDGRID, KeyKind::P256).expect("a key");
        assert_eq!((key.len(), key[0]), (65, 4));
        let (first, second) = SENDGRID.split_at(64);
        for framed in [format!("{BEGIN}\n{first}\n{second}\n{END}\n"), format!("  {SENDGRID}\r\n")] {
            assert_eq!(public_key(&framed, KeyKind::P256).as_ref(), Some(&key), "{framed}");
        }
        for (text, kind) in [
            (SENDGRID, KeyKind::Rsa),
            (SENDGRID, KeyKind::Ed25519),
            (&SENDGRID[..120], KeyKind::P256),
            (&format!("{BEGIN}{SENDGRID}"), KeyKind::P256),
            ("", KeyKind::P256),
            ("not a key", KeyKind::P256),
        ] {
            assert_eq!(public_key(text, kind), None, "{text}");
        }
    }

    #[test]
    fn every_truncation_and_every_longer_form_is_refused() {
        let der = BASE64.decode(SENDGRID).expect("base64");
        for end in 0..der.len() {
            assert_eq!(public_key(&BASE64.encode(&der[..end]), KeyKind::P256), None, "{end}");
        }
        let longer = [der.as_slice(), b"\0"].concat();
        assert_eq!(public_key(&BASE64.encode(longer), KeyKind::P256), None);
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_key_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            for kind in [KeyKind::P256, KeyKind::Rsa, KeyKind::Ed25519] {
                let _ = public_key(&BASE64.encode(&bytes), kind);
            }
        }
    }
}
