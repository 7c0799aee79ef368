//! Signing as a provider does: for tests, tools and documentation. The product itself never signs with this.
//!
//! What the verifier reads, this writes: it is made from the same preset, so golden vectors of other origin stand beside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::rand::SecureRandom;
pub use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::Value;

use super::Incoming;
use super::body::{Kind, kind};
use super::key::{Key, encode};
use super::path::VALUES_MAX;
use super::scheme::{Algorithm, KeyForm, Place, Preset, Scheme, TimestampAt, Unit};
use super::signed::{Piece, Values};
use crate::signature;
use crate::time::Timestamp;

/// A request before it is signed.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    pub method: &'a str,
    /// The public URL with its query.
    pub url: &'a str,
    /// Among them the content type.
    pub headers: HeaderMap,
    pub body: &'a [u8],
    /// Written in the provider's unit, where it signs a time.
    pub timestamp: Timestamp,
    /// Where it signs an id.
    pub id: &'a str,
}

/// A request as the provider would send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub method: String,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn incoming(&self) -> Incoming<'_> {
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        Incoming { method: &self.method, url: &self.url, query, headers: &self.headers, body: &self.body }
    }
}

/// Signs as the provider of a preset does with the secret: the shared one, or the private half of a key pair (Ed25519: `whsk_…`,
/// or the seed in the key's form; P-256: private scalar and public point in hex, divided by `:`; RSA: PKCS #8 in base64). Where the
/// signature or the time stands in the body, the body changes; where a hash of it stands in the query, the URL does. The first
/// header of several is used. `None` when the secret is not of the preset, or the body has no place for what belongs there.
pub fn sign(preset: &Preset, secret: &str, draft: &Draft<'_>, random: &dyn SecureRandom) -> Option<Sent> {
    preset.schemes.iter().find_map(|scheme| sign_by(scheme, &[secret], draft, random))
}

/// The same by one scheme, and by several secrets where the header carries a list: a rotation.
pub(super) fn sign_by(
    scheme: &Scheme,
    secrets: &[&str],
    draft: &Draft<'_>,
    random: &dyn SecureRandom,
) -> Option<Sent> {
    let signers: Option<Vec<Signer>> =
        secrets.iter().map(|secret| Signer::parse(scheme, secret, random)).collect();
    let signers = signers?;
    let time = scheme.timestamp.as_ref().map(|place| shown(draft.timestamp, place.unit));
    let mut sent = Sent {
        method: draft.method.to_owned(),
        url: draft.url.to_owned(),
        headers: draft.headers.clone(),
        body: draft.body.to_vec(),
    };
    match (scheme.timestamp.as_ref().map(|place| &place.at), &time) {
        (Some(TimestampAt::Place(Place::Headers(names))), Some(time)) => {
            put(&mut sent.headers, &names[0], time)?
        }
        (Some(TimestampAt::Place(Place::Json(path))), Some(time)) => {
            let time = time.parse::<i64>().map_or_else(|_| Value::from(time.as_str()), Value::from);
            change(&mut sent.body, |body| path.set(body, &time))?;
        }
        _ => {}
    }
    match &scheme.id {
        Some(Place::Headers(names)) => put(&mut sent.headers, &names[0], draft.id)?,
        Some(Place::Json(path)) => change(&mut sent.body, |body| path.set(body, &Value::from(draft.id)))?,
        None => {}
    }
    if let Some(name) = &scheme.body_hash_query
        && kind(&sent.headers) != Some(Kind::Form)
    {
        let mark = if sent.url.contains('?') { '&' } else { '?' };
        let hash = hex::encode(signature::sha256(&sent.body));
        sent.url.push_str(&format!("{mark}{name}={hash}"));
    }
    match &scheme.signature.at {
        Place::Headers(names) => {
            let json = super::body::compact(&sent.headers, &sent.body);
            let mut parts = Vec::new();
            if let (Some(TimestampAt::Part(prefix)), Some(time)) =
                (scheme.timestamp.as_ref().map(|it| &it.at), &time)
            {
                parts.push(format!("{prefix}{time}"));
            }
            for signer in &signers {
                let incoming = sent.incoming();
                let values = Values {
                    incoming: &incoming,
                    timestamp: time.as_deref(),
                    id: Some(draft.id),
                    json: json.as_deref(),
                };
                let signed = signer.sign(&scheme.signed.render(&values).ok()?, random)?;
                parts.push(format!(
                    "{}{}",
                    scheme.signature.prefix,
                    encode(scheme.signature.encoding, &signed)
                ));
            }
            let value = parts.join(scheme.signature.separator.as_deref().unwrap_or_default());
            put(&mut sent.headers, &names[0], &value)?;
        }
        Place::Json(path) => {
            let json = super::body::compact(&sent.headers, &sent.body)?;
            let items = match &scheme.items {
                Some(items) => items.find_all(&json),
                None => vec![Some(json.as_slice())],
            };
            let mut signatures = Vec::new();
            for item in items.into_iter().take(VALUES_MAX) {
                let incoming = sent.incoming();
                let values = Values {
                    incoming: &incoming,
                    timestamp: time.as_deref(),
                    id: Some(draft.id),
                    json: item,
                };
                let signed = signers.first()?.sign(&scheme.signed.render(&values).ok()?, random)?;
                let text =
                    format!("{}{}", scheme.signature.prefix, encode(scheme.signature.encoding, &signed));
                signatures.push(Value::from(text));
            }
            change(&mut sent.body, |body| match &scheme.items {
                Some(items) => items.set_each(body, path, &mut signatures.into_iter()),
                None => signatures.iter().for_each(|signature| path.set(body, signature)),
            })?;
        }
    }
    Some(sent)
}

fn shown(time: Timestamp, unit: Unit) -> String {
    match unit {
        Unit::Seconds => time.unix_seconds().to_string(),
        Unit::Milliseconds => time.unix_ms().to_string(),
        Unit::Rfc3339 => time.to_string(),
    }
}

fn put(headers: &mut HeaderMap, name: &HeaderName, value: &str) -> Option<()> {
    headers.insert(name, HeaderValue::from_str(value).ok()?);
    Some(())
}

fn change(body: &mut Vec<u8>, change: impl FnOnce(&mut Value)) -> Option<()> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    change(&mut value);
    *body = value.to_string().into_bytes();
    Some(())
}

/// The provider's half of a key.
enum Signer {
    Shared(Key),
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl Signer {
    fn parse(scheme: &Scheme, secret: &str, random: &dyn SecureRandom) -> Option<Self> {
        match scheme.algorithm {
            Algorithm::Ed25519 => {
                let seed = match scheme.key {
                    KeyForm::Whpk => BASE64.decode(secret.strip_prefix("whsk_")?).ok()?,
                    KeyForm::Hex => hex::decode(secret).ok()?,
                    _ => BASE64.decode(secret).ok()?,
                };
                // A pair is the seed with the public key behind it.
                let pair = Ed25519KeyPair::from_seed_unchecked(seed.get(..32)?).ok()?;
                Some(Self::Ed25519(Box::new(pair)))
            }
            Algorithm::EcdsaP256Sha256 => {
                let (private, public) = secret.split_once(':')?;
                let (private, public) = (hex::decode(private).ok()?, hex::decode(public).ok()?);
                let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
                let pair =
                    EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, &public, random);
                Some(Self::P256(Box::new(pair.ok()?)))
            }
            Algorithm::RsaSha256 => {
                let der = BASE64.decode(secret).ok()?;
                Some(Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(&der).ok()?)))
            }
            _ => Key::parse(scheme.algorithm, scheme.key, secret).ok().map(Self::Shared),
        }
    }

    fn sign(&self, pieces: &[Piece<'_>], random: &dyn SecureRandom) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        pieces.iter().for_each(|piece| message.extend_from_slice(piece.bytes(b"")));
        match self {
            Self::Shared(key) => key.expected(pieces).map(|bytes| bytes.to_vec()),
            Self::Ed25519(pair) => Some(pair.sign(&message).as_ref().to_vec()),
            Self::P256(pair) => Some(pair.sign(random, &message).ok()?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, &message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

/// A content type and nothing else.
pub fn content_type(value: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
    headers
}
