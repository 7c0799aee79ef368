//! Which headers a tenant may add to requests. Checked when they are written; what passed is sent as it is.

use http::{HeaderName, HeaderValue};

/// Headers of one target: each is repeated in every request.
pub const HEADERS_MAX: usize = 64;
/// Names and values together.
pub const HEADERS_BYTES_MAX: usize = 16 * 1024;

/// Framing and routing of the message (RFC 9110 §7, RFC 9112 §6), which are ours; credentials of a browser; and what
/// clouds' metadata services ask for as a proof that a request was meant.
const FORBIDDEN: [&str; 25] = [
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "metadata",
    "metadata-flavor",
    "metadata-token",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-aliyun-ecs-metadata-token",
    "x-aliyun-ecs-metadata-token-ttl-seconds",
    "x-aws-ec2-metadata-token",
    "x-aws-ec2-metadata-token-ttl-seconds",
    "x-google-metadata-request",
    "x-metadata-token",
    "x-original-url",
    "x-real-ip",
];
const FORBIDDEN_PREFIXES: [&str; 2] = ["proxy-", "x-forwarded-"];

/// Why a header was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRefusal {
    /// As the caller wrote it; empty when the refusal is about all of them.
    pub name: String,
    pub kind: HeaderRefusalKind,
    /// A sentence that says what to do. Never the value, which may be a secret.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderRefusalKind {
    InvalidName,
    InvalidValue,
    Forbidden,
    /// The profile sets it.
    Reserved,
    Duplicate,
    TooMany,
    TooLarge,
}

/// Checks a tenant's own headers. `reserved` are the names that the profile sets; case does not matter.
///
/// The values are marked sensitive: they do not show in debug output.
pub fn check_headers(
    headers: &[(String, String)],
    reserved: &[&str],
) -> Result<Vec<(HeaderName, HeaderValue)>, HeaderRefusal> {
    if headers.len() > HEADERS_MAX {
        let detail = format!("There are {} headers; at most {HEADERS_MAX} are allowed.", headers.len());
        return Err(refusal("", HeaderRefusalKind::TooMany, detail));
    }
    let mut checked: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(headers.len());
    let mut bytes = 0;
    for (name, value) in headers {
        let (header_name, header_value) = check_one(name, value, reserved)?;
        if checked.iter().any(|(earlier, _)| *earlier == header_name) {
            let detail =
                format!("The header {header_name} is given twice; case does not matter in header names.");
            return Err(refusal(name, HeaderRefusalKind::Duplicate, detail));
        }
        bytes += name.len() + value.len();
        checked.push((header_name, header_value));
    }
    if bytes > HEADERS_BYTES_MAX {
        let detail =
            format!("The headers have {bytes} bytes together; at most {HEADERS_BYTES_MAX} are allowed.");
        return Err(refusal("", HeaderRefusalKind::TooLarge, detail));
    }
    Ok(checked)
}

fn check_one(name: &str, value: &str, reserved: &[&str]) -> Result<(HeaderName, HeaderValue), HeaderRefusal> {
    use HeaderRefusalKind::{Forbidden, InvalidName, InvalidValue, Reserved};
    let Ok(header_name) = HeaderName::from_bytes(name.as_bytes()) else {
        let detail = "A header name consists of ASCII letters, digits and any of !#$%&'*+-.^_`|~.".to_owned();
        return Err(refusal(name, InvalidName, detail));
    };
    if reserved.iter().any(|reserved| reserved.eq_ignore_ascii_case(header_name.as_str())) {
        let detail = format!("The header {header_name} is set by the profile and cannot be replaced.");
        return Err(refusal(name, Reserved, detail));
    }
    if is_forbidden(header_name.as_str()) {
        return Err(refusal(name, Forbidden, format!("The header {header_name} cannot be set.")));
    }
    // No CR, LF or NUL, and no bytes on whose meaning receivers differ (RFC 9110 §5.5).
    let value = Some(value).filter(|value| value.is_ascii()).map(HeaderValue::from_str);
    let Some(Ok(mut header_value)) = value else {
        let detail = format!(
            "The value of {header_name} contains a character other than visible ASCII, space and tab."
        );
        return Err(refusal(name, InvalidValue, detail));
    };
    header_value.set_sensitive(true);
    Ok((header_name, header_value))
}

/// `name` in lower case.
fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.contains(&name) || FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn refusal(name: &str, kind: HeaderRefusalKind, detail: String) -> HeaderRefusal {
    HeaderRefusal { name: name.to_owned(), kind, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Result<(), HeaderRefusalKind>) {
        let owned: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let result = check_headers(&owned, &["X-Signature", "content-type"]);
        assert_eq!(result.map(|_| ()).map_err(|refusal| refusal.kind), expected, "{headers:?}");
    }

    #[test]
    fn ordinary_headers_pass() {
        check(&[], Ok(()));
        check(
            &[("Authorization", "Bearer abc"), ("X-Api-Key", "k"), ("x-empty", ""), ("X-Tab", "a\tb")],
            Ok(()),
        );
    }

    #[test]
    fn framing_routing_and_credential_headers_are_refused_in_any_case() {
        for name in FORBIDDEN {
            check(&[(name, "x")], Err(HeaderRefusalKind::Forbidden));
            check(&[(&name.to_uppercase(), "x")], Err(HeaderRefusalKind::Forbidden));
        }
        check(&[("Proxy-Authorization", "x")], Err(HeaderRefusalKind::Forbidden));
        check(&[("X-Forwarded-For", "x")], Err(HeaderRefusalKind::Forbidden));
    }

    #[test]
    fn the_profiles_own_headers_are_refused() {
        check(&[("x-sIgnature", "x")], Err(HeaderRefusalKind::Reserved));
        check(&[("Content-Type", "x")], Err(HeaderRefusalKind::Reserved));
    }

    #[test]
    fn nothing_can_break_out_of_its_line() {
        for value in ["a\r\nB: c", "a\n", "a\r", "a\0", "\u{7f}", "é"] {
            check(&[("X-A", value)], Err(HeaderRefusalKind::InvalidValue));
        }
        for name in ["", "a b", "a:b", "a\r\nb", "é", "a\0"] {
            check(&[(name, "x")], Err(HeaderRefusalKind::InvalidName));
        }
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        check(&[("X-A", "1"), ("x-a", "2")], Err(HeaderRefusalKind::Duplicate));
    }

    #[test]
    fn number_and_size_are_bounded() {
        let many: Vec<_> = (0..=HEADERS_MAX).map(|n| (format!("x-{n}"), String::new())).collect();
        assert!(check_headers(&many[1..], &[]).is_ok());
        assert_eq!(check_headers(&many, &[]).expect_err("too many").kind, HeaderRefusalKind::TooMany);
        let large = |bytes: usize| [("x-a".to_owned(), "v".repeat(bytes - 3))];
        assert!(check_headers(&large(HEADERS_BYTES_MAX), &[]).is_ok());
        let refused = check_headers(&large(HEADERS_BYTES_MAX + 1), &[]).expect_err("too large");
        assert_eq!(refused.kind, HeaderRefusalKind::TooLarge);
    }

    #[test]
    fn values_do_not_show_in_debug_output() {
        let checked = check_headers(&[("X-A".to_owned(), "hush".to_owned())], &[]).expect("allowed");
        assert!(!format!("{checked:?}").contains("hush"));
    }
}
