//! How a receiver checks a signature, as data: for pages that write code for it, and for people who write their own.

use super::Profile;
use super::signer::{SignaturePart, Signed};
use super::template::{Format, Placeholder, Source, TimeFormat};
use crate::signature::{KeyKind, SecretForm};

/// The way to check a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    pub kind: KeyKind,
    pub header: String,
    /// What stands before the signature in the header, `sha256=`, `v1,` or `v1a,`; nothing stands behind it.
    pub prefix: String,
    /// `hex` or `base64`.
    pub encoding: &'static str,
    /// What is signed, in this order.
    pub signed: Vec<Stretch>,
    /// What divides several signatures, of which one must hold.
    pub separator: Option<String>,
    /// What a shared secret looks like.
    pub secret_form: SecretForm,
    /// The header that says, in seconds, when the request was signed; a receiver refuses what is too old.
    pub time_header: Option<String>,
}

/// A stretch of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stretch {
    Text(String),
    /// The value of this header.
    Header(String),
    /// The raw body.
    Body,
}

impl Profile {
    /// `None`: this profile does not sign with such keys, or in a form that only its own description tells.
    pub fn recipe(&self, kind: KeyKind) -> Option<Recipe> {
        let signer = self.signer()?;
        let template = signer.template(kind)?;
        let (prefix, encoding, content) = match template.0.as_slice() {
            [SignaturePart::Signature { encoding, content }] => (String::new(), encoding, content),
            [SignaturePart::Text(prefix), SignaturePart::Signature { encoding, content }] => {
                (prefix.clone(), encoding, content)
            }
            _ => return None,
        };
        let mut signed = Vec::with_capacity(content.len());
        let mut time_header = None;
        for stretch in content {
            signed.push(match stretch {
                Signed::Text(text) => Stretch::Text(text.clone()),
                Signed::Body => Stretch::Body,
                Signed::Value(placeholder) => {
                    let header = self.header_with(placeholder)?;
                    let seconds = placeholder.format == Format::Time(TimeFormat::UnixSeconds);
                    if placeholder.source == Source::AttemptTime && seconds {
                        time_header = Some(header.clone());
                    }
                    Stretch::Header(header)
                }
            });
        }
        Some(Recipe {
            kind,
            header: signer.header.clone(),
            prefix,
            encoding: encoding.name(),
            signed,
            separator: signer.separator.clone(),
            secret_form: self.signature.secret_form,
            time_header,
        })
    }

    /// The header by which a receiver knows that it had an event before. None: only the body tells, if anything does.
    pub fn idempotency_header(&self) -> Option<&str> {
        let names_it =
            |placeholder: &Placeholder| matches!(placeholder.source, Source::DeliveryUuid | Source::EventId);
        let found = self.headers().iter().find(|(_, template)| template.only().is_some_and(names_it));
        found.map(|(name, _)| name.as_str())
    }

    fn header_with(&self, placeholder: &Placeholder) -> Option<String> {
        let found = self.headers().iter().find(|(_, template)| template.only() == Some(placeholder));
        found.map(|(name, _)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builtin_profiles;

    #[test]
    fn every_built_in_profile_tells_how_it_signs() {
        for (name, header, prefix, encoding, listed, idempotency) in [
            ("standard", "webhook-signature", "v1,", "base64", true, Some("webhook-id")),
            ("runtight", "X-Webhook-Signature", "sha256=", "hex", false, None),
            ("smartmaintenance", "X-SMTM-Signature", "sha256=", "hex", false, Some("X-SMTM-Delivery")),
            ("org-jobs", "X-Webhook-Signature", "sha256=", "hex", false, None),
            ("rcmanager", "X-ProPitbox-Signature", "", "hex", false, None),
        ] {
            let profiles = builtin_profiles();
            let profile = profiles.iter().find(|profile| profile.name == name).expect("a built-in profile");
            let recipe = profile.recipe(KeyKind::Shared).expect("it signs");
            let told =
                (recipe.header.as_str(), recipe.prefix.as_str(), recipe.encoding, recipe.separator.is_some());
            assert_eq!(told, (header, prefix, encoding, listed), "{name}");
            assert_eq!(profile.idempotency_header(), idempotency, "{name}");
            assert_eq!(profile.recipe(KeyKind::Ed25519).is_some(), name == "standard");
        }
    }

    #[test]
    fn what_is_signed_beside_the_body_is_found_in_the_headers() {
        let profiles = builtin_profiles();
        let standard =
            profiles.iter().find(|profile| profile.name == "standard").expect("a built-in profile");
        let recipe = standard.recipe(KeyKind::Shared).expect("it signs");
        let header = |name: &str| Stretch::Header(name.to_owned());
        let dot = || Stretch::Text(".".to_owned());
        assert_eq!(
            recipe.signed,
            [header("webhook-id"), dot(), header("webhook-timestamp"), dot(), Stretch::Body]
        );
        assert_eq!(recipe.time_header.as_deref(), Some("webhook-timestamp"));
        let public = standard.recipe(KeyKind::Ed25519).expect("it signs");
        assert_eq!(public.prefix, "v1a,");
        assert_eq!(Recipe { kind: KeyKind::Shared, prefix: recipe.prefix.clone(), ..public }, recipe);
    }
}
