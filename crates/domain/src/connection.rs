//! Words for OAuth 2 connections: where one stands, and how it comes to its tokens.

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Nobody authorized it yet; or, with client credentials, no step used it yet.
    Pending,
    /// It has a token, or what gets it one.
    Active,
    /// The provider refused for good: somebody has to do something.
    Failed,
    /// Somebody ended it.
    Revoked,
}

impl ConnectionState {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Failed, Self::Revoked];

    /// As stored. Append only.
    pub const fn code(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Active => 1,
            Self::Failed => 2,
            Self::Revoked => 3,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// As the API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Failed => "failed",
            Self::Revoked => "revoked",
        }
    }
}

/// How a connection comes to its tokens (RFC 6749 §4.1 and §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// A person consents at the provider.
    AuthorizationCode,
    /// The client asks for itself.
    ClientCredentials,
}

impl Grant {
    pub const ALL: [Self; 2] = [Self::AuthorizationCode, Self::ClientCredentials];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_lead_back() {
        for state in ConnectionState::ALL {
            assert_eq!(ConnectionState::from_code(state.code()), Some(state));
        }
        for grant in Grant::ALL {
            assert_eq!(Grant::parse(grant.as_str()), Some(grant));
        }
        assert_eq!((ConnectionState::from_code(4), Grant::parse("password")), (None, None));
    }
}
