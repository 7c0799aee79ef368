//! Where a request goes: a URL, parsed once, with everything in it that a send needs already made.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use url::{Host, Url};

use crate::policy::Policy;

/// As the URL is given, and as it is written out again.
pub const URL_BYTES_MAX: usize = 2048;
const LABEL_BYTES_MAX: usize = 63;
/// RFC 1035 §2.3.4, without the trailing dot.
const NAME_BYTES_MAX: usize = 253;

/// A parsed URL. A clone is a reference count.
#[derive(Clone)]
pub struct Target(Arc<Parts>);

struct Parts {
    url: String,
    https: bool,
    host: TargetHost,
    /// As in the URL: what `Host` says, without the port. An IPv6 literal keeps its brackets.
    host_text: String,
    port: u16,
    /// Path and query, as the request line has it.
    path: String,
    host_header: HeaderValue,
    server_name: ServerName<'static>,
    /// Scheme, host and port: what a socket is good for.
    origin: Arc<str>,
}

/// Lower case, without a trailing dot: what rules are applied to and what is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetHost {
    Name(String),
    Address(IpAddr),
}

/// A URL that cannot be a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlRefusal {
    /// It would be refused anywhere.
    Invalid { detail: String },
    /// This installation's policy refuses it. The detail names `egress.allow` where that would help.
    Forbidden { detail: String },
}

impl UrlRefusal {
    pub fn detail(&self) -> &str {
        match self {
            Self::Invalid { detail } | Self::Forbidden { detail } => detail,
        }
    }
}

impl Target {
    /// For a URL that is being written: everything that can be refused without asking a name server is refused here.
    pub fn parse(url: &str, policy: &Policy) -> Result<Self, UrlRefusal> {
        let target = Self::parse_stored(url)?;
        policy.check_written(&target)?;
        Ok(target)
    }

    /// For a URL that was accepted before. Today's policy may be stricter than the one it was written under; that is for the
    /// dial to say, in an attempt.
    pub fn parse_stored(url: &str) -> Result<Self, UrlRefusal> {
        parse(url).map(|parts| Self(Arc::new(parts))).map_err(|detail| UrlRefusal::Invalid { detail })
    }

    /// The WHATWG serialisation, without a fragment. To be stored: parsing it again gives the same target.
    pub fn as_str(&self) -> &str {
        &self.0.url
    }

    pub fn is_https(&self) -> bool {
        self.0.https
    }

    /// Whether the operator opened this target, by its name or by its address's range.
    pub fn is_allow_listed(&self, policy: &Policy) -> bool {
        policy.lists(self)
    }

    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The host as the URL has it.
    pub fn host_text(&self) -> &str {
        &self.0.host_text
    }

    pub(crate) fn host(&self) -> &TargetHost {
        &self.0.host
    }

    pub(crate) fn path(&self) -> &str {
        &self.0.path
    }

    pub(crate) fn host_header(&self) -> &HeaderValue {
        &self.0.host_header
    }

    pub(crate) fn origin(&self) -> &Arc<str> {
        &self.0.origin
    }

    pub(crate) fn server_name(&self) -> &ServerName<'static> {
        &self.0.server_name
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Target {}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn parse(text: &str) -> Result<Parts, String> {
    if text.len() > URL_BYTES_MAX {
        return Err(format!("The URL has {} bytes; at most {URL_BYTES_MAX} are allowed.", text.len()));
    }
    // The parser would drop tabs and line ends, so that what was reviewed is not what is called.
    if text.chars().any(char::is_control) {
        return Err("The URL contains a control character.".to_owned());
    }
    let mut url = Url::parse(text).map_err(|error| format!("The URL is not valid: {error}."))?;
    let https = match url.scheme() {
        "https" => true,
        "http" => false,
        other => return Err(format!("The URL's scheme is {other}; http and https are supported.")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("The URL contains a user name or password; use a header instead.".to_owned());
    }
    // Never sent, so it is not kept.
    url.set_fragment(None);
    if url.as_str().len() > URL_BYTES_MAX {
        let length = url.as_str().len();
        return Err(format!("The URL has {length} bytes when encoded; at most {URL_BYTES_MAX} are allowed."));
    }
    let port = url.port_or_known_default().expect("because http and https have a default port");
    if port == 0 {
        return Err("The URL's port is 0, which no server can have.".to_owned());
    }
    let (host, server_name) = match url.host() {
        Some(Host::Domain(name)) => parse_name(name)?,
        Some(Host::Ipv4(address)) => literal(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => literal(IpAddr::V6(address)),
        None => return Err("The URL has no host.".to_owned()),
    };
    let host_text = url.host_str().expect("because the host was just looked at").to_owned();
    let authority = match url.port() {
        Some(port) => format!("{host_text}:{port}"),
        None => host_text.clone(),
    };
    let host_header = HeaderValue::from_str(&authority)
        .map_err(|_| "The URL's host cannot stand in a header.".to_owned())?;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    Uri::from_str(&path).map_err(|error| format!("The URL's path or query is not valid: {error}."))?;
    let origin = format!("{}://{host_text}:{port}", url.scheme()).into();
    Ok(Parts { url: url.into(), https, host, host_text, port, path, host_header, server_name, origin })
}

fn literal(address: IpAddr) -> (TargetHost, ServerName<'static>) {
    (TargetHost::Address(address), ServerName::IpAddress(address.into()))
}

/// `name` from the parser: ASCII, lower case, no percent-encoding, not an address in any spelling.
fn parse_name(name: &str) -> Result<(TargetHost, ServerName<'static>), String> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.is_empty() || bare.len() > NAME_BYTES_MAX {
        return Err(format!("The URL's host has {} bytes; 1 to {NAME_BYTES_MAX} are allowed.", bare.len()));
    }
    if bare.split('.').any(|label| label.is_empty() || label.len() > LABEL_BYTES_MAX) {
        return Err(format!("Each part of the URL's host must have 1 to {LABEL_BYTES_MAX} bytes."));
    }
    // Letters, digits, hyphen and the underscore that some real names have. The parser lets more through.
    if !bare.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err("The URL's host contains a character that a name cannot have.".to_owned());
    }
    let server_name = ServerName::try_from(bare.to_owned())
        .map_err(|_| "The URL's host is not a valid name.".to_owned())?;
    match server_name {
        // By the parser's rules a name that looks like an address is one. This holds even if the parser's rules change.
        ServerName::IpAddress(address) => Ok(literal(address.into())),
        server_name => Ok((TargetHost::Name(bare.to_owned()), server_name)),
    }
}
