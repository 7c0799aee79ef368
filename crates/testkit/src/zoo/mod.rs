//! The zoo: receivers that break every rule an HTTP client may hope for, as a list.
//!
//! A test goes through [`Behaviour::ALL`], sends one request to a [`Hostile`] of each, and compares with
//! [`Behaviour::expected`]. Nothing a receiver does may cost more than one attempt, its deadline and a little memory.

mod act;
mod host;

use postrider_domain::delivery::AttemptClass;

pub use host::Hostile;

/// The size of [`Behaviour::HugeBody`]: far beyond any cap, small enough that a client which reads it all survives.
pub const HUGE_BODY_BYTES: usize = 64 * 1024 * 1024;

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Behaviour {
    // Before the request is read.
    /// The listen backlog is full: a connection never comes about.
    NeverAccepts,
    /// Takes the connection and leaves what is sent in a small buffer.
    NeverReads,
    ResetAtAccept,
    FinAtAccept,
    // Silence and slowness.
    NeverAnswers,
    /// The head of an answer, one byte at a time.
    HeadDrips,
    /// A 200, then its body one byte at a time.
    BodyDrips,
    // Too much.
    HugeBody,
    EndlessChunkedBody,
    /// A small body that says `Content-Encoding: gzip` and unpacks to 160 times its size.
    GzipBomb,
    /// 10,000 headers.
    ManyHeaders,
    /// One header of 1 MB.
    HugeHeader,
    /// 10,000 interim answers, then a 200.
    InterimFlood,
    /// Interim answers and nothing else, as fast as they are read.
    InterimForever,
    /// The same, one at a time.
    InterimDrips,
    /// A chunk whose extension never ends.
    ChunkExtensionForever,
    /// A chunked body followed by trailers that never end.
    TrailersForever,
    // Broken off.
    ResetAfterRequest,
    ResetMidHead,
    ResetAfterHead,
    ResetMidBody,
    FinBeforeAnswer,
    FinMidHead,
    // Wrong about its own length.
    LengthTooLong,
    /// More body than announced; the rest looks like a second answer.
    LengthTooShort,
    /// Two lengths that differ.
    LengthTwice,
    LengthNegative,
    LengthWithChunked,
    ChunkSizeOverflows,
    /// A complete answer and, in the same packet, another one that nobody asked for.
    GarbageAfterBody,
    // Strange words.
    Switching101,
    Status0,
    Status99,
    Status600,
    Status1000,
    /// Speaks another protocol: the banner of an SSH server.
    NotHttp,
    /// Answers an HTTP/1.1 request with HTTP/2 frames.
    SpeaksHttp2,
    NulInHeader,
    // Redirects.
    RedirectToSelf,
    RedirectToForbidden,
    // Retry-After, on a 503.
    RetryAfterNegative,
    RetryAfterHuge,
    RetryAfterNan,
    RetryAfterText,
    RetryAfterYear9999,
    // Bodies that are hard to store and to show.
    BodyNul,
    BodyInvalidUtf8,
    BodyMarkup,
    // TLS.
    TlsExpired,
    TlsSelfSigned,
    TlsWrongName,
    /// Takes the connection and says nothing to the handshake.
    TlsStalled,
    /// Answers the handshake in plain HTTP.
    TlsPlain,
    TlsResetMidHandshake,
}

/// Which rule decides about success: the two that a profile can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A 2xx status; the body is read for the log only.
    StatusOnly,
    /// A 2xx status, and the body read to its end in time and within the cap.
    BodyComplete,
}

impl Behaviour {
    pub const ALL: [Self; 54] = [
        Self::NeverAccepts,
        Self::NeverReads,
        Self::ResetAtAccept,
        Self::FinAtAccept,
        Self::NeverAnswers,
        Self::HeadDrips,
        Self::BodyDrips,
        Self::HugeBody,
        Self::EndlessChunkedBody,
        Self::GzipBomb,
        Self::ManyHeaders,
        Self::HugeHeader,
        Self::InterimFlood,
        Self::InterimForever,
        Self::InterimDrips,
        Self::ChunkExtensionForever,
        Self::TrailersForever,
        Self::ResetAfterRequest,
        Self::ResetMidHead,
        Self::ResetAfterHead,
        Self::ResetMidBody,
        Self::FinBeforeAnswer,
        Self::FinMidHead,
        Self::LengthTooLong,
        Self::LengthTooShort,
        Self::LengthTwice,
        Self::LengthNegative,
        Self::LengthWithChunked,
        Self::ChunkSizeOverflows,
        Self::GarbageAfterBody,
        Self::Switching101,
        Self::Status0,
        Self::Status99,
        Self::Status600,
        Self::Status1000,
        Self::NotHttp,
        Self::SpeaksHttp2,
        Self::NulInHeader,
        Self::RedirectToSelf,
        Self::RedirectToForbidden,
        Self::RetryAfterNegative,
        Self::RetryAfterHuge,
        Self::RetryAfterNan,
        Self::RetryAfterText,
        Self::RetryAfterYear9999,
        Self::BodyNul,
        Self::BodyInvalidUtf8,
        Self::BodyMarkup,
        Self::TlsExpired,
        Self::TlsSelfSigned,
        Self::TlsWrongName,
        Self::TlsStalled,
        Self::TlsPlain,
        Self::TlsResetMidHandshake,
    ];

    /// The class that the one attempt must get. More than one where the operating system decides which end of a race
    /// the client sees.
    pub fn expected(self, rule: Rule) -> &'static [AttemptClass] {
        use AttemptClass::{Body, Connect, Protocol, Reset, Status, Success, Timeout, Tls};
        let incomplete: &[AttemptClass] = match rule {
            Rule::StatusOnly => &[Success],
            Rule::BodyComplete => &[Body],
        };
        match self {
            Self::NeverAccepts => &[Connect],
            // The reset may overtake the end of the handshake.
            Self::ResetAtAccept => &[Reset, Connect],
            Self::FinAtAccept
            | Self::ResetAfterRequest
            | Self::ResetMidHead
            | Self::FinBeforeAnswer
            | Self::FinMidHead => &[Reset],
            Self::NeverReads | Self::NeverAnswers | Self::HeadDrips | Self::InterimDrips => &[Timeout],
            Self::BodyDrips
            | Self::HugeBody
            | Self::EndlessChunkedBody
            | Self::ChunkExtensionForever
            | Self::TrailersForever
            | Self::ResetAfterHead
            | Self::ResetMidBody
            | Self::LengthTooLong
            | Self::ChunkSizeOverflows => incomplete,
            Self::GzipBomb
            | Self::LengthTooShort
            | Self::LengthWithChunked
            | Self::GarbageAfterBody
            | Self::BodyNul
            | Self::BodyInvalidUtf8
            | Self::BodyMarkup => &[Success],
            // Interim answers count together against the bound on heads; how the flood is cut into reads decides
            // whether the bound or what follows the flood is seen first.
            Self::InterimFlood => &[Protocol, Success],
            Self::InterimForever => &[Protocol, Timeout],
            Self::ManyHeaders
            | Self::HugeHeader
            | Self::LengthTwice
            | Self::LengthNegative
            | Self::Switching101
            | Self::Status0
            | Self::Status99
            | Self::Status600
            | Self::Status1000
            | Self::NotHttp
            | Self::SpeaksHttp2
            | Self::NulInHeader => &[Protocol],
            Self::RedirectToSelf
            | Self::RedirectToForbidden
            | Self::RetryAfterNegative
            | Self::RetryAfterHuge
            | Self::RetryAfterNan
            | Self::RetryAfterText
            | Self::RetryAfterYear9999 => &[Status],
            Self::TlsExpired
            | Self::TlsSelfSigned
            | Self::TlsWrongName
            | Self::TlsStalled
            | Self::TlsPlain
            | Self::TlsResetMidHandshake => &[Tls],
        }
    }

    /// Whether its URL begins with `https`.
    pub fn is_tls(self) -> bool {
        self.expected(Rule::StatusOnly) == [AttemptClass::Tls]
    }

    /// Whether a request gets as far as being read by it.
    pub fn reads_the_request(self) -> bool {
        !self.is_tls()
            && !matches!(
                self,
                Self::NeverAccepts | Self::NeverReads | Self::ResetAtAccept | Self::FinAtAccept
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_behaviour_is_listed_twice() {
        let distinct: std::collections::HashSet<_> = Behaviour::ALL.into_iter().collect();
        assert_eq!(distinct.len(), Behaviour::ALL.len());
    }

    /// A body can only matter once a good status came.
    #[test]
    fn the_rule_about_bodies_changes_successes_only() {
        for behaviour in Behaviour::ALL {
            let (status_only, complete) =
                (behaviour.expected(Rule::StatusOnly), behaviour.expected(Rule::BodyComplete));
            if status_only != [AttemptClass::Success] {
                assert_eq!(status_only, complete, "{behaviour:?}");
            }
        }
    }
}
