//! How the portal looks in one session: what the product team gives with it, checked. Pure.
//!
//! What passes here goes into pages and into their headers: a logo is a URL and an origin an origin, each as a browser
//! writes it, so that neither can say anything else there.

use std::net::IpAddr;

use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_egress::Target;
use serde::{Deserialize, Serialize};

use super::check;

/// How the portal looks, and who may show it inside their pages. All of it may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Look {
    /// Of the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The URL of a picture: https, or http on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// `#rrggbb`, in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accent: Option<String>,
    /// One of [`LANGUAGES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Sites that may show the portal inside their pages: `https://app.example.com`, without a slash at the end. Empty: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
}

/// What the portal is written in.
pub const LANGUAGES: [&str; 2] = ["en", "de"];

impl Look {
    /// The origin that the logo comes from, for the header that names where pictures may come from.
    pub fn logo_origin(&self) -> Option<String> {
        Some(origin(&Target::parse_stored(self.logo.as_deref()?).ok()?))
    }

    /// As it is to be kept: URLs as a browser writes them.
    pub(super) fn checked(self) -> Result<Self, Problem> {
        if let Some(name) = &self.name {
            check::name("name", name)?;
        }
        if let Some(language) = self.language.as_deref().filter(|language| !LANGUAGES.contains(language)) {
            return Err(Problem::at(
                Code::InvalidField,
                "language",
                format!(
                    "The portal is not written in `{}`. It is in {}.",
                    language.chars().take(20).collect::<String>(),
                    LANGUAGES.join(" and ")
                ),
            ));
        }
        if self.origins.len() > limits::PORTAL_ORIGINS_MAX {
            return Err(Problem::at(
                Code::TooManyItems,
                "origins",
                format!("At most {} origins may show the portal.", limits::PORTAL_ORIGINS_MAX),
            ));
        }
        let logo = self.logo.map(|logo| checked_url("logo", &logo)).transpose()?;
        let accent = self.accent.map(|accent| checked_accent(&accent)).transpose()?;
        let mut origins = Vec::new();
        for (at, given) in self.origins.iter().enumerate() {
            let origin = checked_origin(&format!("origins[{at}]"), given)?;
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        Ok(Self { logo: logo.map(|logo| logo.as_str().to_owned()), accent, origins, ..self })
    }
}

fn checked_accent(text: &str) -> Result<String, Problem> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Problem::at(Code::InvalidField, "accent", "A colour is written `#rrggbb`, such as `#0a7f5a`."))
}

fn checked_origin(field: &str, text: &str) -> Result<String, Problem> {
    let target = checked_url(field, text)?;
    let origin = origin(&target);
    let is_bare = target.as_str().strip_suffix('/') == Some(&*origin) && !text.contains(['?', '#']);
    if is_bare {
        return Ok(origin);
    }
    Err(Problem::at(
        Code::InvalidField,
        field,
        "An origin is a scheme, a host and perhaps a port, such as `https://app.example.com`, and no path.",
    ))
}

/// https; on this machine http too, where a product is being built.
fn checked_url(field: &str, text: &str) -> Result<Target, Problem> {
    let target = Target::parse_stored(text)
        .map_err(|refusal| Problem::at(Code::UrlInvalid, field, refusal.detail().to_owned()))?;
    if target.is_https() || is_this_machine(target.host_text()) {
        return Ok(target);
    }
    Err(Problem::at(
        Code::HttpsRequired,
        field,
        "The URL must be https; http is for localhost and 127.0.0.1 only.",
    ))
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// As a browser writes it: without the port that goes without saying.
fn origin(target: &Target) -> String {
    let (scheme, usual) = if target.is_https() { ("https", 443) } else { ("http", 80) };
    match target.port() {
        port if port == usual => format!("{scheme}://{}", target.host_text()),
        port => format!("{scheme}://{}:{port}", target.host_text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_a_browser_would_write() {
        let look = Look {
            name: Some("Acme".to_owned()),
            logo: Some("HTTPS://CDN.example.com:443/a b.svg#x".to_owned()),
            accent: Some("#0A7F5a".to_owned()),
            language: Some("de".to_owned()),
            origins: [
                "https://App.example.com/",
                "https://app.example.com:443",
                "http://localhost:3000",
                "http://[::1]:80",
                "https://münchen.example",
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        let kept = look.checked().expect("it is allowed");
        assert_eq!(kept.logo.as_deref(), Some("https://cdn.example.com/a%20b.svg"));
        assert_eq!(kept.logo_origin().as_deref(), Some("https://cdn.example.com"));
        assert_eq!(kept.accent.as_deref(), Some("#0a7f5a"));
        let origins = [
            "https://app.example.com",
            "http://localhost:3000",
            "http://[::1]",
            "https://xn--mnchen-3ya.example",
        ];
        assert_eq!(kept.origins, origins);
        assert_eq!(kept.clone().checked(), Ok(kept));
    }

    #[test]
    fn what_could_say_something_else_in_a_page_or_a_header_is_refused() {
        let look = Look::default;
        let text = |text: &str| Some(text.to_owned());
        let at = |origin: &str| Look { origins: vec!["https://a.example".into(), origin.into()], ..look() };
        for (look, code, field) in [
            (Look { name: text(" "), ..look() }, Code::InvalidField, "name"),
            (Look { name: text("a\nb"), ..look() }, Code::InvalidField, "name"),
            (Look { logo: text("http://cdn.example.com/a.svg"), ..look() }, Code::HttpsRequired, "logo"),
            (Look { logo: text("data:image/svg+xml,<svg/>"), ..look() }, Code::UrlInvalid, "logo"),
            (Look { logo: text("javascript:alert(1)"), ..look() }, Code::UrlInvalid, "logo"),
            (Look { logo: text("https://a:b@cdn.example.com/"), ..look() }, Code::UrlInvalid, "logo"),
            (Look { logo: text("/logo.svg"), ..look() }, Code::UrlInvalid, "logo"),
            (Look { accent: text("0a7f5a"), ..look() }, Code::InvalidField, "accent"),
            (Look { accent: text("#0a7f5"), ..look() }, Code::InvalidField, "accent"),
            (Look { accent: text("#0a7f5a;"), ..look() }, Code::InvalidField, "accent"),
            (Look { accent: text("#é7f5a"), ..look() }, Code::InvalidField, "accent"),
            (Look { language: text("fr"), ..look() }, Code::InvalidField, "language"),
            (Look { language: text("DE"), ..look() }, Code::InvalidField, "language"),
            (at("https://app.example.com/x"), Code::InvalidField, "origins[1]"),
            (at("https://app.example.com/?"), Code::InvalidField, "origins[1]"),
            (at("https://app.example.com/#"), Code::InvalidField, "origins[1]"),
            (at("https://*.example.com"), Code::UrlInvalid, "origins[1]"),
            (at("https://a.example;script-src *"), Code::UrlInvalid, "origins[1]"),
            (at("http://app.example.com"), Code::HttpsRequired, "origins[1]"),
            (at("http://127.0.0.1.example.com"), Code::HttpsRequired, "origins[1]"),
            (at("null"), Code::UrlInvalid, "origins[1]"),
            (at("*"), Code::UrlInvalid, "origins[1]"),
            (
                Look { origins: vec!["https://a.example".to_owned(); 11], ..look() },
                Code::TooManyItems,
                "origins",
            ),
        ] {
            let shown = format!("{look:?}");
            let refused = look.checked().expect_err(&shown);
            assert_eq!((refused.code, refused.field.as_deref()), (code, Some(field)), "{shown}");
        }
    }
}
