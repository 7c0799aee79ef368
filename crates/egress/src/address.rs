//! Which addresses the product may send to: one pure function, [`classify`].
//!
//! The ranges are IANA's special-purpose registries (IPv4: RFC 6890 and successors, IPv6: RFC 6890, 4291, 6052, 3056, 4380),
//! and the addresses at which clouds serve credentials to their machines.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressVerdict {
    Public,
    Forbidden(ForbiddenAddress),
}

impl AddressVerdict {
    pub fn is_public(self) -> bool {
        self == Self::Public
    }
}

/// Why an address is refused. For the operator's log and for the message at write time; at the dial the tenant sees none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForbiddenAddress {
    /// 0.0.0.0/8, `::`
    Unspecified,
    Loopback,
    Private,
    LinkLocal,
    /// 100.64.0.0/10
    CarrierGrade,
    /// Where a cloud serves credentials or control to its machines.
    CloudMetadata,
    Documentation,
    Benchmarking,
    Multicast,
    /// Everything else that is not assigned to a host on the internet.
    Reserved,
    /// A relay or tunnel whose inner address cannot be judged.
    Tunnel,
}

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::CarrierGrade => "carrier-grade NAT",
            Self::CloudMetadata => "cloud metadata",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::Tunnel => "tunnel",
        })
    }
}

/// The verdict on an address, by itself: no allow list, no name.
///
/// IPv6 forms that carry an IPv4 address which the network will use (mapped, NAT64, 6to4) are judged by it.
pub fn classify(address: IpAddr) -> AddressVerdict {
    let forbidden = match address {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => forbidden_v6(v6),
    };
    forbidden.map_or(AddressVerdict::Public, AddressVerdict::Forbidden)
}

/// 64:ff9b::/96: reached through a translator that is named by the network, so nobody needs to write it in a URL.
pub(crate) fn is_nat64(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0])
}

fn forbidden_v4(address: Ipv4Addr) -> Option<ForbiddenAddress> {
    use ForbiddenAddress::*;
    let [a, b, c, d] = address.octets();
    match (a, b, c, d) {
        (169, 254, 169, 254)     // most clouds
        | (168, 63, 129, 16)     // Azure's platform address, in public space
        | (100, 100, 100, 200)   // Alibaba
        | (192, 0, 0, 192) => Some(CloudMetadata), // Oracle
        (0, ..) => Some(Unspecified),
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) => Some(Private),
        (100, 64..=127, ..) => Some(CarrierGrade),
        (127, ..) => Some(Loopback),
        (169, 254, ..) => Some(LinkLocal),
        (192, 0, 0, _) => Some(Reserved),
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => Some(Documentation),
        (192, 88, 99, _) => Some(Tunnel), // 6to4 relays, RFC 7526
        (198, 18..=19, ..) => Some(Benchmarking),
        (224..=239, ..) => Some(Multicast),
        (240..=255, ..) => Some(Reserved), // with 255.255.255.255
        _ => None,
    }
}

fn forbidden_v6(address: Ipv6Addr) -> Option<ForbiddenAddress> {
    use ForbiddenAddress::*;
    if let Some(v4) = address.to_ipv4_mapped() {
        return forbidden_v4(v4);
    }
    if is_nat64(IpAddr::V6(address)) {
        return forbidden_v4(low_v4(address));
    }
    let s = address.segments();
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Loopback),
        [0xfd00, 0x0ec2, ..] => Some(CloudMetadata), // AWS
        [0xfc00..=0xfdff, ..] => Some(Private),
        [0xfe80..=0xfebf, ..] => Some(LinkLocal),
        [0xff00..=0xffff, ..] => Some(Multicast),
        // Global unicast is 2000::/3 and nothing else. Below fall the IPv4-compatible ::/96 and the local NAT64 64:ff9b:1::/48.
        [0..=0x1fff, ..] | [0x4000..=0xffff, ..] => Some(Reserved),
        [0x2001, 0, ..] => Some(Tunnel), // Teredo
        // 2001::/23, protocol assignments: benchmarking, ORCHID, ORCHIDv2 and the like. No host lives there.
        [0x2001, 0x0001..=0x01ff, ..] => Some(Reserved),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Some(Documentation),
        [0x2002, high, low, ..] => forbidden_v4(v4_of(high, low)), // 6to4
        _ => None,
    }
}

fn low_v4(address: Ipv6Addr) -> Ipv4Addr {
    let s = address.segments();
    v4_of(s[6], s[7])
}

fn v4_of(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}
