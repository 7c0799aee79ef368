//! Who is signed in: the session's cookie, and the ways to get one.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::Session;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::App;
use crate::fault::Fault;
use crate::form::escaped;
use crate::page::{Face, see_other};

/// A session, and what its forms must carry.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    pub(crate) session: Session,
    /// Follows from the session's token, so that it is the same in every tab and after a restart.
    pub(crate) csrf: String,
}

/// The session of a request, if one of its cookies names one that holds.
pub(crate) async fn of_request(app: &App, face: Face, headers: &HeaderMap) -> Result<Option<Bearer>, Fault> {
    for token in tokens(app, face, headers) {
        let Some(session) = app.engine.control().session_find(token).await? else { continue };
        let mut hash = Sha256::new();
        hash.update(b"postrider csrf:");
        hash.update(token);
        return Ok(Some(Bearer { session, csrf: hex::encode(hash.finalize()) }));
    }
    Ok(None)
}

/// A browser keeps one cookie for pages in a frame and one for pages by themselves, and may send both.
const TOKENS_MAX: usize = 4;

/// The tokens in a request's cookies, good or not.
pub(crate) fn tokens<'a>(app: &App, face: Face, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
    cookies(headers, cookie_name(app, face)).take(TOKENS_MAX)
}

/// The address to sign in at, with the way back.
pub(crate) fn to_sign_in(target: &str) -> Response {
    let to = if target == "/dashboard/" {
        "/dashboard/login".to_owned()
    } else {
        format!("/dashboard/login?to={}", escaped(target))
    };
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

/// Where a page of ours is meant, and nothing else: for the way back after signing in.
pub(crate) fn own_path(target: &str) -> Option<&str> {
    let own = target.starts_with("/dashboard/") || target.starts_with("/portal/");
    (own && !target.contains(['\\', '\r', '\n']) && !target.contains("//")).then_some(target)
}

/// Hands a session to the browser and sends it on.
///
/// # Errors
/// Where the cookie would travel in the open: only https, or a page on this same machine, may have one.
pub(crate) fn begin(
    app: &App,
    face: Face,
    headers: &HeaderMap,
    token: &SecretString,
    session: &Session,
    to: &str,
) -> Result<Response, Problem> {
    let secure = is_secure(app);
    if !secure && !asks_loopback(headers) {
        return Err(Problem::new(
            Code::HttpsRequired,
            "Signing in over plain http works only on this machine itself (localhost). Put Postrider behind https and \
             set POSTRIDER_PUBLIC_URL to its https:// address.",
        ));
    }
    // In a frame the cookie outlasts its session for as long as there is a trace of it: who comes late is told so there.
    let more = if is_framed(face, Some(session)) { limits::SESSIONS_KEPT } else { Duration::ZERO };
    let seconds = (session.expires.since(session.created) + more).as_secs();
    let cookie = format!(
        "{}={}; Path=/; HttpOnly; Max-Age={seconds}; {}",
        cookie_name(app, face),
        token.expose_secret(),
        site(app, face, Some(session)),
    );
    Ok(with_cookie(&cookie, to))
}

/// Takes the cookie away again: a browser wants to hear the same about it as when it was set. One of a frame stays: it opens
/// nothing any more, and tells which site may show that it is over.
pub(crate) fn end(app: &App, face: Face, session: Option<&Session>, to: &str) -> Response {
    if is_framed(face, session) {
        return see_other(to);
    }
    let site = site(app, face, session);
    with_cookie(&format!("{}=; Path=/; HttpOnly; Max-Age=0; {site}", cookie_name(app, face)), to)
}

/// Where a cookie is good: within our own pages or, of a portal in a frame, within the site that frames it.
pub(crate) fn site(app: &App, face: Face, session: Option<&Session>) -> &'static str {
    match (is_secure(app), is_framed(face, session)) {
        (true, true) => "SameSite=None; Secure; Partitioned",
        (true, false) => "SameSite=Lax; Secure",
        (false, _) => "SameSite=Lax",
    }
}

fn is_framed(face: Face, session: Option<&Session>) -> bool {
    face == Face::Portal && session.is_some_and(|session| !session.look.origins.is_empty())
}

fn with_cookie(cookie: &str, to: &str) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, to.to_owned())]).into_response();
    let cookie = HeaderValue::from_str(cookie).expect("because tokens and names are plain ASCII");
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

fn is_secure(app: &App) -> bool {
    app.public_url.starts_with("https://")
}

/// `__Host-` makes browsers insist on https, this host and no other path.
fn cookie_name(app: &App, face: Face) -> &'static str {
    match (face, is_secure(app)) {
        (Face::Dashboard, true) => "__Host-postrider",
        (Face::Dashboard, false) => "postrider",
        (Face::Portal, true) => "__Host-postrider-portal",
        (Face::Portal, false) => "postrider-portal",
    }
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    cookies(headers, name).next()
}

fn cookies<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn asks_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let ip = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || ip.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_only_to_our_own_pages() {
        for (target, own) in [
            ("/dashboard/t/acme/webhooks?state=on", true),
            ("/portal/", true),
            ("https://evil.example/", false),
            ("//evil.example/dashboard/", false),
            ("/dashboard//evil.example", false),
            ("/dashboard/\\evil.example", false),
            ("/v1/events", false),
        ] {
            assert_eq!(own_path(target).is_some(), own, "{target}");
        }
    }

    #[test]
    fn only_this_machine_counts_as_loopback() {
        for (host, loopback) in [
            ("localhost:8080", true),
            ("127.0.0.1:9", true),
            ("[::1]:80", true),
            ("localhost.evil.example", false),
            ("10.0.0.1:80", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            assert_eq!(asks_loopback(&headers), loopback, "{host}");
        }
    }
}
