//! URLs as callers write them, against the policy as operators set it.

use postrider_egress::{AllowList, Policy, Target, UrlRefusal};
use proptest::prelude::*;

fn policy(allow: &[&str]) -> Policy {
    let entries: Vec<_> = allow.iter().map(|entry| (*entry).to_owned()).collect();
    Policy::new(AllowList::parse(&entries).expect("a valid list"))
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Accepted,
    Invalid,
    Forbidden,
}
use Verdict::{Accepted, Forbidden, Invalid};

fn verdict(url: &str, allow: &[&str]) -> Verdict {
    match Target::parse(url, &policy(allow)) {
        Ok(_) => Accepted,
        Err(UrlRefusal::Invalid { .. }) => Invalid,
        Err(UrlRefusal::Forbidden { .. }) => Forbidden,
    }
}

#[track_caller]
fn check(url: &str, allow: &[&str], expected: Verdict) {
    assert_eq!(verdict(url, allow), expected, "{url:?} with {allow:?}");
}

#[test]
fn what_is_accepted_is_written_out_in_one_form() {
    let check = |url: &str, expected: &str| {
        let target = Target::parse(url, &policy(&[])).expect(url);
        assert_eq!(target.as_str(), expected);
        assert_eq!(Target::parse_stored(expected).expect(expected), target);
    };
    check("https://example.com", "https://example.com/");
    check("HTTPS://EXAMPLE.com:443/A?b=c", "https://example.com/A?b=c");
    check("https://example.com/a#part", "https://example.com/a");
    check("https://bücher.example/ä?ö=ü", "https://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC");
    check("https://example。com/", "https://example.com/");
    check("https:\\\\example.com\\a\\..\\b", "https://example.com/b");
    check("https://example.com./", "https://example.com./");
    check("http://example.com:8080/{x}|y?q={z}&a=b c", "http://example.com:8080/%7Bx%7D|y?q={z}&a=b%20c");
}

#[test]
fn what_no_request_can_be_made_of_is_invalid() {
    for url in [
        "",
        "example.com",
        "/path",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "ws://example.com/",
        "https://",
        "https:///",
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://:pass@example.com/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://a..example.com/",
        "https://.example.com/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://1.2.3.4.5/",
        "https://999.1.1.1/",
        "https://exam!ple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com/a\tb",
        "https://exa\nmple.com/",
        "https://example.com/\0",
        "https://example.com/\u{85}",
        " \u{1}https://example.com/",
    ] {
        check(url, &[], Invalid);
    }
}

#[test]
fn lengths_are_bounded_before_and_after_encoding() {
    let path = |bytes: usize| format!("https://example.com/{}", "a".repeat(bytes - 20));
    check(&path(2048), &[], Accepted);
    check(&path(2049), &[], Invalid);
    check(&format!("https://example.com/{}", "ä".repeat(500)), &[], Invalid);
    let label = |bytes: usize| format!("https://{}.example.com/", "a".repeat(bytes));
    check(&label(63), &[], Accepted);
    check(&label(64), &[], Invalid);
    let name = |bytes: usize| format!("https://{}bb/", "a.".repeat(bytes / 2 - 1));
    check(&name(252), &[], Accepted);
    check(&name(254), &[], Invalid);
}

#[test]
fn forbidden_addresses_are_refused_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "0",
        "10.1.2.3",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "168.63.129.16",
        "255.255.255.255",
        "[::]",
        "[fe80::1]",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
    ] {
        check(&format!("http://{host}/"), &[], Forbidden);
        check(&format!("https://{host}:8443/x"), &[], Forbidden);
    }
    // A good address behind a translator is fine at the dial, and not a thing to write.
    check("http://[64:ff9b::8.8.8.8]/", &[], Forbidden);
    check("http://8.8.8.8/", &[], Accepted);
}

#[test]
fn internal_names_are_refused() {
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "x.localhost",
        "app",
        "printer.local",
        "metadata.google.internal",
        "internal",
        "db.INTERNAL.",
    ] {
        check(&format!("http://{host}/"), &[], Forbidden);
    }
    for host in ["localhost.example.com", "notlocalhost.com", "internal.example.com", "a.locals"] {
        check(&format!("http://{host}/"), &[], Accepted);
    }
}

#[test]
fn ports_of_other_services_are_refused_and_no_list_opens_them() {
    for port in [22, 25, 53, 465, 587, 3306, 5432, 6379, 9200, 11211, 27017] {
        check(&format!("http://example.com:{port}/"), &[], Forbidden);
        check(&format!("http://127.0.0.1:{port}/"), &["127.0.0.0/8"], Forbidden);
    }
    for port in [80, 443, 3000, 8000, 8080, 8443, 9000] {
        check(&format!("http://example.com:{port}/"), &[], Accepted);
    }
}

#[test]
fn the_allow_list_opens_ranges_and_names() {
    check("http://127.0.0.1:9000/", &["127.0.0.0/8"], Accepted);
    check("http://127.0.0.1/", &["127.0.0.1"], Accepted);
    check("http://127.0.0.2/", &["127.0.0.1"], Forbidden);
    check("http://[::ffff:127.0.0.1]/", &["127.0.0.0/8"], Accepted);
    check("http://[::1]/", &["127.0.0.0/8"], Forbidden);
    check("http://[::1]/", &["::1"], Accepted);
    check("http://10.2.3.4/", &[" 10.0.0.0/8 ", ""], Accepted);
    check("http://app/", &["app"], Accepted);
    check("http://App./", &["APP"], Accepted);
    check("http://app/", &["apps"], Forbidden);
    check("http://a.corp.internal/", &["*.corp.internal"], Accepted);
    check("http://corp.internal/", &["*.corp.internal"], Forbidden);
    check("http://evilcorp.internal/", &["*.corp.internal"], Forbidden);
    // By its range: for localhost it is known which.
    check("http://localhost/", &["127.0.0.0/8"], Accepted);
    check("http://x.localhost/", &["::1"], Accepted);
    check("http://localhost/", &["10.0.0.0/8"], Forbidden);
    // A name that may turn out to be in a listed range waits for the dial; a loopback range promises no other name.
    check("http://db.internal/", &["10.0.0.0/8"], Accepted);
    check("http://db.internal/", &["127.0.0.0/8"], Forbidden);
}

#[test]
fn a_refusal_names_the_setting_that_would_help() {
    for url in ["http://127.0.0.1/", "http://localhost/", "http://app/"] {
        let refusal = Target::parse(url, &policy(&[])).expect_err(url);
        assert!(refusal.detail().contains("egress.allow"), "{}", refusal.detail());
    }
    let refusal = Target::parse("http://example.com:25/", &policy(&[])).expect_err("a mail port");
    assert!(!refusal.detail().contains("egress.allow"), "{}", refusal.detail());
}

#[test]
fn a_listed_target_says_so() {
    let listed =
        |url: &str, allow: &[&str]| Target::parse_stored(url).expect("valid").is_allow_listed(&policy(allow));
    assert!(listed("http://127.0.0.1:1234/", &["127.0.0.0/8"]));
    assert!(listed("http://localhost/", &["127.0.0.0/8"]));
    assert!(listed("http://app/", &["app"]));
    assert!(!listed("http://example.com/", &["127.0.0.0/8", "app"]));
    assert!(!listed("http://10.0.0.1/", &["127.0.0.0/8"]));
}

#[test]
fn what_is_no_range_and_no_name_is_refused_at_start() {
    for entry in ["10.0.0.0/33", "http://app/", "app:80", "*", "*.", "a b", "10.0.0.0/8/9", "a*b"] {
        let error = AllowList::parse(&[entry.to_owned()]).expect_err(entry);
        assert!(error.to_string().contains("egress.allow"));
    }
}

proptest! {
    /// Whatever is accepted reads the same the second time, and has no forbidden literal in it.
    #[test]
    fn parsing_is_stable(url in "(https?:)?[/\\\\]{0,3}[a-z0-9.@:%\\[\\]。-]{0,20}[/?#a-zA-Z0-9%{} ]{0,10}") {
        if let Ok(target) = Target::parse(&url, &policy(&[])) {
            let again = Target::parse(target.as_str(), &policy(&[])).expect("accepted before");
            prop_assert_eq!(again.as_str(), target.as_str());
        }
    }

    #[test]
    fn every_decimal_spelling_of_an_address_gets_the_address_verdict(bits in any::<u32>()) {
        let dotted = std::net::Ipv4Addr::from(bits);
        let expected = verdict(&format!("http://{dotted}/"), &[]);
        prop_assert_eq!(verdict(&format!("http://{bits}/"), &[]), expected);
    }
}
