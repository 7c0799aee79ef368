//! What is said to a provider, and what its answers mean. Pure: requests are made from data, answers judged from bytes.
//!
//! Answers are foreign text: nothing of them is shown but an error's code and a shortened description, without control
//! characters and without whatever was secret in the request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use postrider_domain::limits;
use postrider_domain::signature;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::provider::{ClientAuth, Format};

/// What of a provider's own words is shown.
const SHOWN_CHARS_MAX: usize = 200;

/// Who asks.
pub(super) struct Client<'a> {
    pub(super) id: &'a str,
    pub(super) secret: Option<&'a SecretString>,
    pub(super) auth: ClientAuth,
    pub(super) format: Format,
}

/// A request to a provider, but for its URL.
pub(super) struct Said {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What a token request came to.
#[derive(Debug)]
pub(super) enum Answer {
    Tokens(Tokens),
    /// The provider understood and said no. It will say so again.
    Refused(Refusal),
    /// No answer to build on; another try may get one. The sentence ends without saying what to do.
    Unclear(String),
}

/// What a provider gave.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) access: SecretString,
    pub(super) refresh: Option<SecretString>,
    /// Absent: the provider did not say, or said nothing that makes sense.
    pub(super) lifetime: Option<Duration>,
}

/// A provider's no.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What was asked with is good no more: a refresh token that was revoked or used, a code that expired.
    pub(super) grant_is_gone: bool,
    /// `invalid_grant: Token has been revoked.`
    pub(super) words: String,
}

/// A token request. `fields` are those of the grant.
pub(super) fn token_request(client: &Client<'_>, fields: Vec<(&'static str, String)>) -> Said {
    request(client, fields)
}

/// A revocation (RFC 7009 §2.1).
pub(super) fn revocation_request(client: &Client<'_>, token: &SecretString, hint: &'static str) -> Said {
    let fields = vec![("token", token.expose_secret().to_owned()), ("token_type_hint", hint.to_owned())];
    request(client, fields)
}

fn request(client: &Client<'_>, mut fields: Vec<(&'static str, String)>) -> Said {
    let mut headers = HeaderMap::new();
    // Some answer in other formats unless they are asked for this one.
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Postrider/", env!("CARGO_PKG_VERSION"))));
    match (client.secret, client.auth) {
        (Some(secret), ClientAuth::Basic) => {
            headers.insert(AUTHORIZATION, basic(client.id, secret));
        }
        (Some(secret), ClientAuth::Body) => {
            fields.push(("client_id", client.id.to_owned()));
            fields.push(("client_secret", secret.expose_secret().to_owned()));
        }
        // RFC 6749 §3.2.1: a client without a secret says who it is.
        (None, _) => fields.push(("client_id", client.id.to_owned())),
    }
    let (media_type, body) = match client.format {
        Format::Form => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(&fields);
            ("application/x-www-form-urlencoded", form.finish())
        }
        Format::Json => {
            let object: Map<String, Value> =
                fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            ("application/json", Value::Object(object).to_string())
        }
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    Said { headers, body: body.into() }
}

/// RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
fn basic(id: &str, secret: &SecretString) -> HeaderValue {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret.expose_secret()));
    let value = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(value).expect("because base64 can stand in a header");
    value.set_sensitive(true);
    value
}

/// What an answer of a token endpoint means. `kinds`: token types besides Bearer. `secrets`: what must not be repeated.
pub(super) fn judge(status: u16, body: &[u8], kinds: &[String], secrets: &[&str]) -> Answer {
    let object = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        _ if (300..400).contains(&status) => {
            let what = format!("The provider answered {status}, a redirect; redirects are not followed.");
            return Answer::Unclear(what);
        }
        _ => {
            return Answer::Unclear(format!("The provider answered {status}, and not with a JSON object."));
        }
    };
    // Some say no with a 200.
    if let Some(code) = object.get("error").and_then(Value::as_str).filter(|code| !code.is_empty()) {
        return refused(status, code, &object, secrets);
    }
    if !(200..300).contains(&status) {
        return Answer::Unclear(format!("The provider answered {status} without an OAuth error code."));
    }
    let access = match token(&object, "access_token") {
        Ok(Some(access)) => access,
        Ok(None) => return Answer::Unclear("The provider's answer holds no access_token.".to_owned()),
        Err(why) => return Answer::Unclear(why),
    };
    let refresh = match token(&object, "refresh_token") {
        Ok(refresh) => refresh,
        Err(why) => return Answer::Unclear(why),
    };
    let kind = object.get("token_type").and_then(Value::as_str).unwrap_or("Bearer");
    if !kind.eq_ignore_ascii_case("bearer") && !kinds.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
        let kind = shown(kind, secrets);
        return Answer::Refused(Refusal {
            grant_is_gone: false,
            words: format!("its tokens are of the type {kind}, and only Bearer tokens can be used"),
        });
    }
    Answer::Tokens(Tokens { access, refresh, lifetime: object.get("expires_in").and_then(lifetime) })
}

/// What an answer of a revocation endpoint means: none when the token is gone (RFC 7009 §2.2, also when it was before).
pub(super) fn judge_revocation(status: u16, body: &[u8], secrets: &[&str]) -> Option<String> {
    if (200..300).contains(&status) {
        return None;
    }
    let object = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    match object.get("error").and_then(Value::as_str) {
        Some(code) => Some(format!("it answered {status}, {}", words(code, &object, secrets))),
        None => Some(format!("it answered {status}")),
    }
}

fn refused(status: u16, code: &str, object: &Map<String, Value>, secrets: &[&str]) -> Answer {
    let words = words(code, object, secrets);
    let passes = matches!(code, "temporarily_unavailable" | "server_error" | "slow_down" | "ratelimited");
    if passes || status >= 500 || status == 429 {
        return Answer::Unclear(format!("The provider answered {status}, {words}."));
    }
    // The first is the standard's; the others are what GitHub and Slack say instead.
    let gone =
        ["invalid_grant", "bad_refresh_token", "invalid_refresh_token", "token_revoked", "token_expired"];
    Answer::Refused(Refusal { grant_is_gone: gone.contains(&code), words })
}

/// A provider's error code and description, as they may be shown: no full stop at the end.
fn words(code: &str, object: &Map<String, Value>, secrets: &[&str]) -> String {
    let description = object.get("error_description").and_then(Value::as_str).unwrap_or("");
    spoken(code, description, secrets)
}

/// An error code with its description, as they may be shown.
pub(super) fn spoken(code: &str, description: &str, secrets: &[&str]) -> String {
    let (code, description) = (shown(code, secrets), shown(description, secrets));
    let description = description.trim_end_matches('.');
    if description.is_empty() { code } else { format!("{code}: {description}") }
}

/// Foreign text, shortened, on one line, and without what was secret.
fn shown(text: &str, secrets: &[&str]) -> String {
    // Shorter ones stand in any text.
    if secrets.iter().any(|secret| secret.len() >= 4 && text.contains(secret)) {
        return "(its words repeat a secret, and are not shown)".to_owned();
    }
    let mut shown = String::new();
    for letter in text.trim().chars().take(SHOWN_CHARS_MAX + 1) {
        shown.push(if letter.is_control() || is_bidi(letter) { ' ' } else { letter });
    }
    if shown.chars().count() > SHOWN_CHARS_MAX {
        shown = shown.chars().take(SHOWN_CHARS_MAX).collect();
        shown.push('…');
    }
    shown
}

/// Marks that turn the text around them.
fn is_bidi(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A token that can stand in a header; none when it is absent, null or empty.
fn token(object: &Map<String, Value>, name: &str) -> Result<Option<SecretString>, String> {
    let text = match object.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(format!("The provider's answer has a {name} that is no text.")),
    };
    if text.len() > limits::TOKEN_BYTES_MAX {
        let most = limits::TOKEN_BYTES_MAX;
        return Err(format!("The provider's answer has a {name} of more than {most} bytes."));
    }
    if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(format!("The provider's answer has a {name} with characters that no header can hold."));
    }
    Ok((!text.is_empty()).then(|| SecretString::from(text.as_str())))
}

/// `expires_in`, which some write as text. What makes no sense is as good as absent: to refuse the answer would lose a
/// refresh token that has replaced the old one already.
fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }?;
    let lifetime = Duration::from_secs(seconds.min(limits::TOKEN_LIFETIME_MAX.as_secs()));
    (!lifetime.is_zero()).then_some(lifetime)
}

fn whole(seconds: f64) -> Option<u64> {
    // Saturates, and is bounded by the caller.
    (seconds >= 1.0).then_some(seconds as u64)
}

/// A scope as RFC 6749 §3.3 allows it, without the comma that some providers separate them with.
pub(crate) fn is_scope(scope: &str) -> bool {
    let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e) && byte != b',';
    !scope.is_empty() && scope.bytes().all(fits)
}

/// 32 random bytes as they stand in URLs: 43 characters, as a PKCE verifier has at least (RFC 7636 §4.1).
pub(super) fn url_safe(bytes: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The `S256` challenge of a verifier (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &str) -> String {
    url_safe(&signature::sha256(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client<'a>(secret: Option<&'a SecretString>, auth: ClientAuth, format: Format) -> Client<'a> {
        Client { id: "a client", secret, auth, format }
    }

    #[test]
    fn the_client_says_who_it_is_as_its_provider_wants() {
        let secret = SecretString::from("s:e%c");
        let fields = || vec![("grant_type", "client_credentials".to_owned())];
        let basic = token_request(&client(Some(&secret), ClientAuth::Basic, Format::Form), fields());
        assert_eq!(basic.body, "grant_type=client_credentials");
        let expected = format!("Basic {}", STANDARD.encode("a+client:s%3Ae%25c"));
        assert_eq!(basic.headers[AUTHORIZATION], expected);
        assert!(!format!("{:?}", basic.headers).contains(&expected));
        let body = token_request(&client(Some(&secret), ClientAuth::Body, Format::Form), fields());
        assert_eq!(body.body, "grant_type=client_credentials&client_id=a+client&client_secret=s%3Ae%25c");
        assert!(!body.headers.contains_key(AUTHORIZATION));
        let public = token_request(&client(None, ClientAuth::Basic, Format::Json), fields());
        assert_eq!(public.body, r#"{"grant_type":"client_credentials","client_id":"a client"}"#);
        assert_eq!(public.headers[CONTENT_TYPE], "application/json");
    }

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_the_standard() {
        let challenge = challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn good_answers_are_read() {
        for (body, refresh, lifetime) in [
            (r#"{"access_token":"a"}"#, None, None),
            (r#"{"access_token":"a","token_type":"bearer","expires_in":3600}"#, None, Some(3600)),
            (r#"{"access_token":"a","token_type":"Bearer","expires_in":"3600"}"#, None, Some(3600)),
            (r#"{"access_token":"a","expires_in":3599.7,"refresh_token":"r"}"#, Some("r"), Some(3599)),
            (r#"{"access_token":"a","expires_in":0}"#, None, None),
            (r#"{"access_token":"a","expires_in":-5}"#, None, None),
            (r#"{"access_token":"a","expires_in":"soon"}"#, None, None),
            (r#"{"access_token":"a","expires_in":null,"refresh_token":null}"#, None, None),
            (r#"{"access_token":"a","expires_in":{},"refresh_token":""}"#, None, None),
            (r#"{"access_token":"a","expires_in":1e300}"#, None, Some(315_360_000)),
            (r#"{"ok":true,"access_token":"a","token_type":"bot"}"#, None, None),
        ] {
            let Answer::Tokens(tokens) = judge(200, body.as_bytes(), &["bot".to_owned()], &[]) else {
                panic!("{body} holds tokens");
            };
            assert_eq!(tokens.access.expose_secret(), "a", "{body}");
            assert_eq!(tokens.refresh.as_ref().map(|token| token.expose_secret()), refresh, "{body}");
            assert_eq!(tokens.lifetime.map(|lifetime| lifetime.as_secs()), lifetime, "{body}");
            assert!(!format!("{tokens:?}").contains("\"a\""));
        }
    }

    #[test]
    fn a_no_is_told_from_trouble() {
        let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(limits::TOKEN_BYTES_MAX + 1));
        for (status, body, kind) in [
            (400, r#"{"error":"invalid_grant"}"#, "gone"),
            (200, r#"{"error":"bad_refresh_token"}"#, "gone"),
            (200, r#"{"ok":false,"error":"token_revoked"}"#, "gone"),
            (401, r#"{"error":"invalid_client"}"#, "no"),
            (400, r#"{"error":"invalid_scope","error_description":"x"}"#, "no"),
            (200, r#"{"access_token":"a","token_type":"DPoP"}"#, "no"),
            (503, r#"{"error":"invalid_grant"}"#, "trouble"),
            (429, r#"{"error":"slow_down"}"#, "trouble"),
            (400, r#"{"error":"temporarily_unavailable"}"#, "trouble"),
            (400, r#"{"error":17}"#, "trouble"),
            (404, "{}", "trouble"),
            (302, "", "trouble"),
            (500, "<html>", "trouble"),
            (200, "<html>", "trouble"),
            (200, "access_token=a&token_type=bearer", "trouble"),
            (200, "[]", "trouble"),
            (200, "", "trouble"),
            (200, "{}", "trouble"),
            (200, r#"{"access_token":""}"#, "trouble"),
            (200, r#"{"access_token":7}"#, "trouble"),
            (200, r#"{"access_token":"a\r\nX: y"}"#, "trouble"),
            (200, r#"{"access_token":"a","refresh_token":["r"]}"#, "trouble"),
            (200, &long, "trouble"),
        ] {
            let found = match judge(status, body.as_bytes(), &[], &[]) {
                Answer::Tokens(_) => "tokens",
                Answer::Refused(Refusal { grant_is_gone: true, .. }) => "gone",
                Answer::Refused(_) => "no",
                Answer::Unclear(_) => "trouble",
            };
            assert_eq!(found, kind, "{status} {body}");
        }
    }

    #[test]
    fn a_providers_words_are_shortened_and_repeat_no_secret() {
        let said = |description: &str, secrets: &[&str]| {
            let body = serde_json::json!({"error": "invalid_grant", "error_description": description});
            match judge(400, body.to_string().as_bytes(), &[], secrets) {
                Answer::Refused(refusal) => refusal.words,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(said("It was revoked.", &["hush"]), "invalid_grant: It was revoked");
        assert_eq!(said("a\r\nb\u{0}c\u{202e}d", &[]), "invalid_grant: a  b c d");
        assert_eq!(said(&"ä".repeat(5000), &[]).chars().count(), "invalid_grant: ".len() + 201);
        assert!(!said("the token hush-hush is bad", &["hush-hush"]).contains("hush"));
    }

    #[test]
    fn a_scope_has_neither_spaces_nor_quotes() {
        for scope in ["openid", "https://www.googleapis.com/auth/drive.readonly", "chat:write", "a/b"] {
            assert!(is_scope(scope), "{scope}");
        }
        for scope in ["", "a b", "a,b", "\"a\"", "a\\b", "ä", "a\n"] {
            assert!(!is_scope(scope), "{scope:?}");
        }
    }

    #[test]
    fn a_revocation_is_done_or_says_what_was_answered() {
        assert_eq!(judge_revocation(200, b"whatever", &[]), None);
        let no = judge_revocation(400, br#"{"error":"unsupported_token_type"}"#, &[]).expect("a no");
        assert_eq!(no, "it answered 400, unsupported_token_type");
        assert_eq!(judge_revocation(404, b"<html>", &[]).as_deref(), Some("it answered 404"));
    }
}
