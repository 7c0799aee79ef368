//! The providers that connections can name: data of `connections/providers.toml`, never a branch on a name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use postrider_domain::connection::Grant;
use serde::{Deserialize, Serialize};

/// What is known of a provider. Everything but the name can be absent for `custom`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    pub name: String,
    pub title: String,
    #[serde(default = "every_grant")]
    pub grants: Vec<Grant>,
    pub authorization_url: Option<String>,
    pub token_url: Option<String>,
    pub revocation_url: Option<String>,
    pub issuer: Option<String>,
    #[serde(default)]
    pub auth: ClientAuth,
    #[serde(default)]
    pub(super) format: Format,
    #[serde(default = "a_space")]
    pub scope_separator: String,
    /// Asked for besides the caller's own.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// More parameters of the authorization URL.
    #[serde(default)]
    pub(super) authorize: BTreeMap<String, String>,
    /// Of answers, besides Bearer.
    #[serde(default)]
    pub(super) token_types: Vec<String>,
    pub note: Option<String>,
}

/// How a client says who it is (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    #[default]
    Basic,
    Body,
}

impl ClientAuth {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Body => "body",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Basic, Self::Body].into_iter().find(|known| known.as_str() == text)
    }
}

/// Of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    #[default]
    Form,
    Json,
}

fn every_grant() -> Vec<Grant> {
    Grant::ALL.to_vec()
}

fn a_space() -> String {
    " ".to_owned()
}

/// The provider of connections that name none.
pub const CUSTOM: &str = "custom";

/// All of them, in the order of the file.
pub fn providers() -> &'static [Provider] {
    &PROVIDERS
}

pub fn provider(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|known| known.name == name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<Provider>,
}

static PROVIDERS: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    let source = include_str!("../../../../connections/providers.toml");
    // A test reads it, so a binary with a broken file is never built.
    let file: File = toml::from_str(source).expect("because a test reads the file");
    file.provider
});

#[cfg(test)]
mod tests {
    use postrider_egress::{AllowList, Policy, Target};

    use super::super::grant::is_scope;
    use super::*;

    #[test]
    fn every_provider_can_be_used_as_it_stands() {
        let policy = Policy::new(AllowList::default());
        let mut names = Vec::new();
        for known in providers() {
            let Provider { name, .. } = known;
            assert!(!names.contains(name), "{name} stands twice");
            names.push(name.clone());
            assert!(!known.grants.is_empty() && !known.title.is_empty(), "{name}");
            let urls = [&known.authorization_url, &known.token_url, &known.revocation_url, &known.issuer];
            for url in urls.into_iter().flatten() {
                let target =
                    Target::parse(url, &policy).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
                assert!(target.is_https(), "{name}: {url}");
            }
            assert!(known.scopes.iter().all(|scope| is_scope(scope)), "{name}");
            assert!([" ", ","].contains(&known.scope_separator.as_str()), "{name}");
            for ours in ["response_type", "client_id", "redirect_uri", "state", "code_challenge", "scope"] {
                assert!(!known.authorize.contains_key(ours), "{name}: {ours} is not the file's to say");
            }
            if name == CUSTOM {
                continue;
            }
            assert!(known.token_url.is_some(), "{name}");
            let asks_people = known.grants.contains(&Grant::AuthorizationCode);
            assert_eq!(asks_people, known.authorization_url.is_some(), "{name}");
        }
        for wanted in
            ["google", "microsoft", "github", "slack", "hubspot", "salesforce", "linear", "notion", CUSTOM]
        {
            assert!(names.iter().any(|name| name == wanted), "{wanted}");
        }
    }
}
