//! The address policy of an installation: [`crate::classify`] with the operator's exceptions, and the rules on names and ports.
//!
//! It is asked twice about every target: when its URL is written ([`crate::Target::parse`]) and at every dial, with the
//! addresses that its name has at that moment.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

use crate::address::{AddressVerdict, classify, is_nat64};
use crate::target::{Target, TargetHost, UrlRefusal};

/// Ports that no webhook receiver listens on, but whose services can be talked into something by an HTTP request: mail, shells,
/// names, databases, brokers, cluster control. The list of the Fetch standard ("port blocking"), and those of today's data
/// stores. The allow list does not open them.
const DENIED_PORTS: [u16; 116] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995, 1433, 1434,
    1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3268, 3269, 3306, 3389, 3659, 4045, 4190,
    4369, 5060, 5061, 5432, 5672, 5984, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
    8086, 9042, 9092, 9160, 9200, 9300, 10080, 10250, 10255, 11211, 11434, 26257, 27017, 27018, 27019,
];

/// What may be dialled. Cheap to clone when the allow list is short, which it is.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    allow: AllowList,
}

/// `egress.allow`: ranges and names that are open although the rules forbid them, for development and closed networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    ranges: Vec<IpNet>,
    names: Vec<AllowedName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AllowedName {
    Exact(String),
    /// `*.corp.internal`: kept with its dot, `.corp.internal`.
    Below(String),
}

/// An entry of the allow list that is neither a range nor a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "egress.allow: {entry:?} is neither an address, nor a range like 10.0.0.0/8, nor a name like app or *.corp.internal"
)]
pub struct AllowListError {
    pub entry: String,
}

/// The host stands for addresses that may not be dialled. For logs; [`Failure::detail`](crate::Failure) is what tenants read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blocked {
    Address(IpAddr, AddressVerdict),
    /// 64:ff9b::/96 written in a URL.
    Nat64Literal,
    Name,
    Port(u16),
}

impl AllowList {
    /// Each entry is an address, a range (`10.0.0.0/8`), a name, or `*.` and a name for everything below it.
    pub fn parse(entries: &[String]) -> Result<Self, AllowListError> {
        let mut list = Self::default();
        for entry in entries {
            let text = entry.trim();
            if text.is_empty() {
                continue;
            }
            if let Some(range) = parse_range(text) {
                list.ranges.push(range);
            } else if let Some(name) = parse_name(text) {
                list.names.push(name);
            } else {
                return Err(AllowListError { entry: entry.clone() });
            }
        }
        Ok(list)
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.names.is_empty()
    }

    fn lists_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.ranges.iter().any(|range| range.contains(&address))
    }

    /// `name` as in [`TargetHost::Name`]: lower case, no trailing dot.
    fn lists_name(&self, name: &str) -> bool {
        self.names.iter().any(|allowed| match allowed {
            AllowedName::Exact(exact) => name == exact,
            AllowedName::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
        })
    }

    /// Whether a range is listed that a name other than `localhost` could have addresses in.
    fn opens_a_network(&self) -> bool {
        self.ranges.iter().any(|range| !range.addr().is_loopback())
    }
}

fn parse_range(text: &str) -> Option<IpNet> {
    let text = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    text.parse::<IpNet>().ok().map(|range| range.trunc())
}

fn parse_name(text: &str) -> Option<AllowedName> {
    let (below, name) = match text.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, text),
    };
    if name.contains(['*', '/', ':', ' ']) {
        return None;
    }
    let Ok(Host::Domain(name)) = Host::parse(name) else {
        return None;
    };
    let name = name.trim_end_matches('.').to_owned();
    if name.is_empty() {
        return None;
    }
    Some(if below { AllowedName::Below(format!(".{name}")) } else { AllowedName::Exact(name) })
}

impl Policy {
    pub fn new(allow: AllowList) -> Self {
        Self { allow }
    }

    /// Whether `address` may be dialled for `host`, which is a name in lower case or an address as text.
    ///
    /// A name that the rules on names forbid needs an address in a listed range, or to be listed itself.
    pub fn permits(&self, address: IpAddr, host: &str) -> bool {
        let name = host.trim_end_matches('.').trim_start_matches('[').trim_end_matches(']');
        if self.allow.lists_name(name) || self.allow.lists_address(address) {
            return true;
        }
        let is_literal = name.parse::<IpAddr>().is_ok();
        classify(address).is_public() && (is_literal || !is_internal_name(name))
    }

    /// Vets the addresses that a target is about to be dialled at. One that is forbidden spoils all: an answer that mixes is
    /// either a mistake or a trick.
    pub(crate) fn vet(&self, target: &Target, addresses: &[IpAddr]) -> Result<(), Blocked> {
        self.vet_port(target.port())?;
        match target.host() {
            TargetHost::Address(literal) => self.vet_literal(*literal),
            TargetHost::Name(name) => {
                for address in addresses {
                    if !self.permits(*address, name) {
                        return Err(Blocked::Address(*address, classify(*address)));
                    }
                }
                Ok(())
            }
        }
    }

    fn vet_port(&self, port: u16) -> Result<(), Blocked> {
        if DENIED_PORTS.contains(&port) { Err(Blocked::Port(port)) } else { Ok(()) }
    }

    fn vet_literal(&self, literal: IpAddr) -> Result<(), Blocked> {
        if self.allow.lists_address(literal) {
            return Ok(());
        }
        if is_nat64(literal) {
            return Err(Blocked::Nat64Literal);
        }
        match classify(literal) {
            AddressVerdict::Public => Ok(()),
            forbidden => Err(Blocked::Address(literal, forbidden)),
        }
    }

    /// What can be said when a URL is written, before anything is resolved.
    ///
    /// A name that is internal by rule passes only if it is listed, or if it could have an address in a listed range; the dial
    /// decides then. For `localhost` that is known now.
    pub(crate) fn check_written(&self, target: &Target) -> Result<(), UrlRefusal> {
        let verdict = self.vet_port(target.port()).and_then(|()| match target.host() {
            TargetHost::Address(literal) => self.vet_literal(*literal),
            TargetHost::Name(name) => self.check_written_name(name),
        });
        verdict.map_err(|blocked| UrlRefusal::Forbidden { detail: written_detail(target, &blocked) })
    }

    fn check_written_name(&self, name: &str) -> Result<(), Blocked> {
        if self.allow.lists_name(name) || !is_internal_name(name) {
            return Ok(());
        }
        let may_pass = if is_localhost(name) {
            LOCALHOST.iter().any(|address| self.allow.lists_address(*address))
        } else {
            self.allow.opens_a_network()
        };
        if may_pass { Ok(()) } else { Err(Blocked::Name) }
    }

    /// Whether the operator opened this target by name or by range. Such targets need no HTTPS.
    pub(crate) fn lists(&self, target: &Target) -> bool {
        match target.host() {
            TargetHost::Address(literal) => self.allow.lists_address(*literal),
            TargetHost::Name(name) => {
                self.allow.lists_name(name)
                    || (is_localhost(name)
                        && LOCALHOST.iter().any(|address| self.allow.lists_address(*address)))
            }
        }
    }

    /// The addresses of `localhost` (RFC 6761 §6.3: no name server is asked) that are open here.
    pub(crate) fn localhost_addresses(&self, name: &str) -> Vec<IpAddr> {
        LOCALHOST.iter().copied().filter(|address| self.permits(*address, name)).collect()
    }
}

pub(crate) const LOCALHOST: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];

/// `localhost` and everything below it.
pub(crate) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Names that no public name server answers for. `name`: lower case, no trailing dot.
fn is_internal_name(name: &str) -> bool {
    const TOP_LABELS: [&str; 3] = ["localhost", "local", "internal"];
    match name.rsplit_once('.') {
        Some((_, top)) => TOP_LABELS.contains(&top),
        None => true,
    }
}

fn written_detail(target: &Target, blocked: &Blocked) -> String {
    const HINT: &str = "An operator can open it with the setting egress.allow.";
    let host = target.host_text();
    match blocked {
        Blocked::Address(_, AddressVerdict::Forbidden(kind)) => {
            format!("The address {host} is not allowed: it is in a range for {kind} addresses. {HINT}")
        }
        Blocked::Address(_, AddressVerdict::Public) | Blocked::Name => {
            format!("The name {host} is not allowed: it belongs to an internal network. {HINT}")
        }
        Blocked::Nat64Literal => {
            format!("The address {host} is not allowed: write the IPv4 address that it translates to.")
        }
        Blocked::Port(port) => {
            format!("The port {port} is not allowed: it belongs to another service than HTTP.")
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, AddressVerdict::Forbidden(kind)) => {
                write!(f, "{address} is a {kind} address")
            }
            Self::Address(address, AddressVerdict::Public) => {
                write!(f, "an internal name has the public address {address}")
            }
            Self::Nat64Literal => f.write_str("a NAT64 literal"),
            Self::Name => f.write_str("an internal name"),
            Self::Port(port) => write!(f, "port {port}"),
        }
    }
}
