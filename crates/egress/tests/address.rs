//! `classify` against an oracle of its own making: a table of prefixes and bit masks, written from the registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use postrider_egress::{AddressVerdict, ForbiddenAddress, classify};
use proptest::prelude::*;

/// (first address, prefix length)
const BAD_V4: [([u8; 4], u32); 20] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([255, 255, 255, 255], 32),
    ([169, 254, 169, 254], 32),
    ([168, 63, 129, 16], 32),
    ([100, 100, 100, 200], 32),
    ([192, 0, 0, 192], 32),
];

fn bad_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    BAD_V4.iter().any(|(first, length)| {
        let mask = u32::MAX << (32 - length);
        bits & mask == u32::from(Ipv4Addr::from(*first)) & mask
    })
}

fn bad_v6(address: Ipv6Addr) -> bool {
    let bits = u128::from(address);
    let within = |first: u128, length: u32| bits & (u128::MAX << (128 - length)) == first;
    let low = Ipv4Addr::from(bits as u32);
    if within(0xffff_0000_0000, 96) || within(0x0064_ff9b << 96, 96) {
        return bad_v4(low);
    }
    if within(0x2002 << 112, 16) {
        return bad_v4(Ipv4Addr::from((bits >> 80) as u32));
    }
    !within(0x2000 << 112, 3)
        || within(0x2001 << 112, 23)
        || within(0x2001_0db8 << 96, 32)
        || within(0x3fff << 112, 20)
}

fn forbidden(address: impl Into<IpAddr>) -> bool {
    !classify(address.into()).is_public()
}

/// All the ways in which an IPv6 address can carry `address` to where the network would use it.
fn carriers(address: Ipv4Addr) -> [Ipv6Addr; 4] {
    let low = u128::from(u32::from(address));
    [
        Ipv6Addr::from(0xffff_0000_0000 | low),
        Ipv6Addr::from(0x0064_ff9b << 96 | low),
        Ipv6Addr::from(low),
        Ipv6Addr::from(0x2002 << 112 | low << 80 | 0x1234),
    ]
}

fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![any::<u32>().prop_map(Ipv4Addr::from), bad_v4_strategy()]
}

/// An address of one of the bad ranges.
fn bad_v4_strategy() -> impl Strategy<Value = Ipv4Addr> {
    (0..BAD_V4.len(), any::<u32>()).prop_map(|(index, random)| {
        let (first, length) = BAD_V4[index];
        let mask = u32::MAX << (32 - length);
        Ipv4Addr::from((u32::from(Ipv4Addr::from(first)) & mask) | (random & !mask))
    })
}

fn any_v6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        any::<u128>().prop_map(Ipv6Addr::from),
        // Near the borders that random bits never hit.
        (any::<u128>(), 0u16..=0x3fff).prop_map(|(r, s)| Ipv6Addr::from(u128::from(s) << 112 | r >> 16)),
        (any::<u128>(), any::<u16>())
            .prop_map(|(r, s)| Ipv6Addr::from(0x2001 << 112 | u128::from(s) << 96 | r >> 32)),
        (any_v4(), 0usize..4).prop_map(|(v4, form)| carriers(v4)[form]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_ipv4_address_agrees_with_the_oracle(address in any_v4()) {
        prop_assert_eq!(forbidden(address), bad_v4(address), "{}", address);
    }

    #[test]
    fn every_ipv6_address_agrees_with_the_oracle(address in any_v6()) {
        prop_assert_eq!(forbidden(address), bad_v6(address), "{}", address);
    }

    #[test]
    fn a_bad_ipv4_address_is_bad_in_every_carrier(address in bad_v4_strategy()) {
        prop_assert!(forbidden(address));
        for carrier in carriers(address) {
            prop_assert!(forbidden(carrier), "{} carries {}", carrier, address);
        }
    }
}

#[test]
fn the_borders_of_every_ipv4_range_are_where_the_registry_has_them() {
    for (first, length) in BAD_V4 {
        let start = u32::from(Ipv4Addr::from(first));
        let end = start | !(u32::MAX << (32 - length));
        for edge in [start, end] {
            assert!(forbidden(Ipv4Addr::from(edge)), "{}", Ipv4Addr::from(edge));
        }
        for outside in [start.wrapping_sub(1), end.wrapping_add(1)] {
            let outside = Ipv4Addr::from(outside);
            assert_eq!(forbidden(outside), bad_v4(outside), "{outside}");
        }
    }
}

#[test]
fn the_kind_says_why() {
    use ForbiddenAddress::*;
    let check = |text: &str, kind| {
        let address = text.parse::<IpAddr>().expect("an address");
        assert_eq!(classify(address), AddressVerdict::Forbidden(kind), "{text}");
    };
    check("169.254.169.254", CloudMetadata);
    check("168.63.129.16", CloudMetadata);
    check("fd00:ec2::254", CloudMetadata);
    check("::ffff:169.254.169.254", CloudMetadata);
    check("127.8.8.8", Loopback);
    check("::1", Loopback);
    check("::", Unspecified);
    check("192.168.1.1", Private);
    check("fdab::1", Private);
    check("fe80::1", LinkLocal);
    check("fec0::1", Reserved);
    check("ff02::1", Multicast);
    check("::127.0.0.1", Reserved);
    check("64:ff9b:1::a00:1", Reserved);
    check("64:ff9b::7f00:1", Loopback);
    check("2001::1", Tunnel);
    check("2001:20::1", Reserved);
    check("2001:db8::1", Documentation);
    check("3fff:fff::1", Documentation);
    check("2002:7f00:1::", Loopback);
}

#[test]
fn ordinary_hosts_are_public() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "2606:4700::1111",
        "2a00:1450::1",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "172.15.255.255",
        "172.32.0.0",
        "100.128.0.1",
    ] {
        assert!(!forbidden(text.parse::<IpAddr>().expect("an address")), "{text}");
    }
}
