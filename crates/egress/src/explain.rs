//! From errors of the libraries to a class and a sentence. By kinds and types, never by the text of an error.
//!
//! The sentences are for tenants: they name what the tenant wrote and what the receiver did, and nothing of our network.

use std::io;

use rustls::{AlertDescription, CertificateError};

use crate::connect::ReadLimit;
use crate::http1::HeadError;
use crate::policy::Blocked;
use crate::target::Target;
use crate::{Failure, FailureClass, ResolveError};

/// A failure before any byte of the request.
pub(crate) fn failure(class: FailureClass, detail: impl Into<String>) -> Failure {
    Failure { class, detail: detail.into(), bytes_sent: false }
}

/// The reason goes to the operator's log. The tenant gets the same sentence for all of them: what a name resolves to inside our
/// network is not for it to learn.
pub(crate) fn blocked(target: &Target, reason: &Blocked) -> Failure {
    tracing::info!(host = target.host_text(), port = target.port(), %reason, "dial.blocked");
    failure(FailureClass::Blocked, "The address of this endpoint is not allowed.")
}

pub(crate) fn blocked_name(target: &Target) -> Failure {
    blocked(target, &Blocked::Name)
}

pub(crate) fn unresolved(name: &str, error: &ResolveError) -> Failure {
    match error {
        ResolveError::NoAddress => {
            failure(FailureClass::Dns, format!("The name {name} does not exist or has no address."))
        }
        ResolveError::Unanswered(reason) => {
            tracing::debug!(host = name, reason, "dns.unanswered");
            failure(
                FailureClass::Dns,
                format!("The name {name} could not be resolved: no name server answered."),
            )
        }
    }
}

pub(crate) fn unconnected(error: &io::Error) -> Failure {
    let detail = match error.kind() {
        io::ErrorKind::ConnectionRefused => "The endpoint refused the connection.",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            "The endpoint reset the connection while it was being made."
        }
        io::ErrorKind::TimedOut => "The endpoint did not accept the connection in time.",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            "The endpoint's network cannot be reached."
        }
        _ => "No connection to the endpoint could be made.",
    };
    failure(FailureClass::Connect, detail)
}

/// A TLS handshake that failed.
pub(crate) fn insecure(target: &Target, error: &io::Error) -> Failure {
    let host = target.host_text();
    let detail = match tls_error(error) {
        Some(error) => tls_sentence(host, error),
        None if ReadLimit::is(error) => "The endpoint sends more than a TLS handshake takes.".to_owned(),
        None => "The endpoint closed the connection during the TLS handshake.".to_owned(),
    };
    failure(FailureClass::Tls, detail)
}

fn tls_sentence(host: &str, error: &rustls::Error) -> String {
    use CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "The endpoint's certificate has expired.".to_owned()
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "The endpoint's certificate is not valid yet.".to_owned()
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                format!("The endpoint's certificate is not for {host}.")
            }
            // A bad signature is one by somebody who bears the name of an authority.
            Certificate::UnknownIssuer | Certificate::BadSignature => {
                "The endpoint's certificate was issued by nobody that is trusted (self-signed, or an intermediate \
                 certificate is missing)."
                    .to_owned()
            }
            Certificate::Revoked => "The endpoint's certificate is revoked.".to_owned(),
            _ => "The endpoint's certificate is not acceptable.".to_owned(),
        },
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "The endpoint wants a client certificate.".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            format!("The endpoint does not serve {host} over TLS.")
        }
        rustls::Error::AlertReceived(_) => "The endpoint broke off the TLS handshake.".to_owned(),
        rustls::Error::InvalidMessage(_) => "The endpoint does not speak TLS on this port.".to_owned(),
        rustls::Error::PeerIncompatible(_) => "The endpoint and we have no TLS version or cipher in common.".to_owned(),
        _ => "The TLS connection to the endpoint failed.".to_owned(),
    }
}

/// A request that got no response. Whether bytes of it went out is for the caller to add; the same holds for the others here.
pub(crate) fn closed() -> Failure {
    failure(FailureClass::Reset, "The endpoint closed the connection before it answered.")
}

pub(crate) fn timed_out() -> Failure {
    failure(FailureClass::Timeout, "The endpoint did not answer in time.")
}

/// The connection failed while it was written to or read from.
pub(crate) fn broken(target: &Target, error: &io::Error) -> Failure {
    if ReadLimit::is(error) {
        return failure(FailureClass::Protocol, "The endpoint sends more than an answer takes.");
    }
    match tls_error(error) {
        Some(tls) => failure(FailureClass::Tls, tls_sentence(target.host_text(), tls)),
        // More records at once than rustls holds.
        None if error.kind() == io::ErrorKind::InvalidData => {
            failure(FailureClass::Tls, "The TLS connection to the endpoint failed.")
        }
        None => failure(FailureClass::Reset, "The endpoint broke the connection before it answered."),
    }
}

pub(crate) fn unasked() -> Failure {
    failure(FailureClass::Protocol, "The endpoint sent data before it was asked.")
}

pub(crate) fn endless_interim() -> Failure {
    failure(
        FailureClass::Protocol,
        "The endpoint sends interim responses (1xx) or empty lines without an end.",
    )
}

pub(crate) fn bad_head(error: HeadError) -> Failure {
    let detail = match error {
        HeadError::TooLarge => "The endpoint's response has more or larger headers than are accepted.",
        HeadError::Status => "The endpoint's response has no valid status.",
        HeadError::Http2 => "The endpoint answered in HTTP/2, which was not offered.",
        HeadError::Invalid => "The endpoint's response is not valid HTTP/1.1.",
    };
    failure(FailureClass::Protocol, detail)
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>()
}
