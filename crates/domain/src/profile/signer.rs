//! The signature header: what is signed, and how the signature is written.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Message;
use super::template::{Place, Placeholder, Token, tokens};
use crate::signature::{KeyKind, SigningKey};

/// A profile's `[signature]`, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) header: String,
    /// For shared secrets.
    pub(crate) shared: SignatureTemplate,
    /// For Ed25519 keys, where the profile knows them.
    pub(crate) asymmetric: Option<SignatureTemplate>,
    /// What divides the signatures of several keys; `None`: the newest key alone signs.
    pub(crate) separator: Option<String>,
}

/// One signature as it stands in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignatureTemplate(pub(crate) Vec<SignaturePart>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignaturePart {
    Text(String),
    Value(Placeholder),
    Signature { encoding: Encoding, content: Vec<Signed> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Hex,
    Base64,
}

/// A stretch of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signed {
    Text(String),
    Value(Placeholder),
    Body,
}

const SCHEMES: [(&str, KeyKind, Encoding); 3] = [
    ("hmac-sha256-hex", KeyKind::Shared, Encoding::Hex),
    ("hmac-sha256-base64", KeyKind::Shared, Encoding::Base64),
    ("ed25519-base64", KeyKind::Ed25519, Encoding::Base64),
];

impl Signer {
    /// Writes the header's value. False, and nothing written, when there is no key for it.
    pub(crate) fn write<'k>(
        &self,
        out: &mut Vec<u8>,
        message: &Message<'_>,
        body: &[u8],
        mut keys: impl Iterator<Item = &'k SigningKey>,
    ) -> bool {
        let Some(separator) = &self.separator else {
            return keys.next().is_some_and(|key| self.write_one(out, message, body, key));
        };
        let start = out.len();
        for key in keys {
            let before = out.len();
            if before > start {
                out.extend_from_slice(separator.as_bytes());
            }
            if !self.write_one(out, message, body, key) {
                out.truncate(before);
            }
        }
        out.len() > start
    }

    fn write_one(&self, out: &mut Vec<u8>, message: &Message<'_>, body: &[u8], key: &SigningKey) -> bool {
        let Some(template) = self.template(key.kind()) else { return false };
        for part in &template.0 {
            match part {
                SignaturePart::Text(text) => out.extend_from_slice(text.as_bytes()),
                SignaturePart::Value(placeholder) => {
                    placeholder.write_text(out, message, message.data);
                }
                SignaturePart::Signature { encoding, content } => {
                    let mut signing = key.begin();
                    for stretch in content {
                        match stretch {
                            Signed::Text(text) => signing.update(text.as_bytes()),
                            Signed::Body => signing.update(body),
                            Signed::Value(placeholder) => {
                                // The end of `out` serves as scratch space.
                                let before = out.len();
                                placeholder.write_text(out, message, message.data);
                                signing.update(&out[before..]);
                                out.truncate(before);
                            }
                        }
                    }
                    encoding.write(out, signing.end().as_ref());
                }
            }
        }
        true
    }

    /// The header's form for people: `sha256=<hex>`.
    pub(crate) fn form(&self, kind: KeyKind) -> String {
        let template = self.template(kind).unwrap_or(&self.shared);
        let mut form = String::new();
        for part in &template.0 {
            match part {
                SignaturePart::Text(text) => form.push_str(text),
                SignaturePart::Value(_) => form.push_str("<value>"),
                SignaturePart::Signature { encoding, .. } => {
                    form.push('<');
                    form.push_str(encoding.name());
                    form.push('>');
                }
            }
        }
        form
    }

    pub(crate) fn template(&self, kind: KeyKind) -> Option<&SignatureTemplate> {
        match kind {
            KeyKind::Shared => Some(&self.shared),
            KeyKind::Ed25519 => self.asymmetric.as_ref(),
        }
    }
}

/// What is signed, in stretches. `None` when `value` does not know a placeholder.
pub(crate) fn signed_parts<'a>(
    content: &'a [Signed],
    body: &'a [u8],
    value: impl Fn(&Placeholder) -> Option<Cow<'a, [u8]>>,
) -> Option<Vec<Cow<'a, [u8]>>> {
    let mut parts = Vec::with_capacity(content.len());
    for stretch in content {
        parts.push(match stretch {
            Signed::Text(text) => Cow::Borrowed(text.as_bytes()),
            Signed::Value(placeholder) => value(placeholder)?,
            Signed::Body => Cow::Borrowed(body),
        });
    }
    Some(parts)
}

impl Encoding {
    fn write(self, out: &mut Vec<u8>, bytes: &[u8]) {
        let start = out.len();
        let length = match self {
            Self::Hex => 2 * bytes.len(),
            Self::Base64 => bytes.len().div_ceil(3) * 4,
        };
        out.resize(start + length, 0);
        let room = &mut out[start..];
        let written = match self {
            Self::Hex => hex::encode_to_slice(bytes, room).is_ok(),
            Self::Base64 => BASE64.encode_slice(bytes, room).is_ok(),
        };
        debug_assert!(written, "the room has the right length");
    }

    pub(crate) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }
}

impl SignatureTemplate {
    /// Reads `sha256={hmac-sha256-hex:{body}}`. It must hold exactly one signature, made with a key of this kind, over
    /// something that includes the body.
    pub(crate) fn parse(template: &str, kind: KeyKind) -> Result<Self, String> {
        let schemes: Vec<String> = SCHEMES
            .iter()
            .filter(|(_, of, _)| *of == kind)
            .map(|(name, ..)| format!("{{{name}:…{{body}}…}}"))
            .collect();
        let schemes = schemes.join(" or ");
        let mut parts = Vec::new();
        let mut signatures = 0;
        for token in tokens(template)? {
            let inner = match token {
                Token::Text(text) => {
                    parts.push(SignaturePart::Text(text.to_owned()));
                    continue;
                }
                Token::Braced(inner) => inner,
            };
            let Some((scheme, content)) = inner.split_once(':') else {
                parts.push(SignaturePart::Value(Placeholder::parse(inner, Place::Line)?));
                continue;
            };
            let known = SCHEMES.iter().find(|(name, of, _)| *name == scheme && *of == kind);
            let (_, _, encoding) =
                known.ok_or_else(|| format!("unknown signature {{{scheme}:…}}; here is {schemes}"))?;
            parts.push(SignaturePart::Signature { encoding: *encoding, content: signed(content)? });
            signatures += 1;
        }
        if signatures != 1 {
            return Err(format!("`{template}` must hold one signature: {schemes}"));
        }
        Ok(Self(parts))
    }

    /// The values that are signed beside the body.
    pub(crate) fn signed_values(&self) -> Vec<&Placeholder> {
        let mut values = Vec::new();
        for part in &self.0 {
            if let SignaturePart::Signature { content, .. } = part {
                for stretch in content {
                    if let Signed::Value(placeholder) = stretch {
                        values.push(placeholder);
                    }
                }
            }
        }
        values
    }

    /// Whether the header itself tells this value.
    pub(crate) fn tells(&self, placeholder: &Placeholder) -> bool {
        self.0.iter().any(|part| matches!(part, SignaturePart::Value(told) if told == placeholder))
    }
}

fn signed(content: &str) -> Result<Vec<Signed>, String> {
    let mut stretches = Vec::new();
    for token in tokens(content)? {
        stretches.push(match token {
            Token::Text(text) => Signed::Text(text.to_owned()),
            Token::Braced("body") => Signed::Body,
            Token::Braced(inner) => Signed::Value(
                Placeholder::parse(inner, Place::Line).map_err(|error| format!("{error} {{body}}"))?,
            ),
        });
    }
    if !stretches.contains(&Signed::Body) {
        return Err(format!("what is signed, `{content}`, must include {{body}}"));
    }
    Ok(stretches)
}
