//! `GET /v1/connections/callback`: where a provider sends the person back, and a page that says what happened.
//!
//! No key is asked for: the one-time `state` decides. Whatever is wrong with it, the page says the same.

use axum::response::IntoResponse;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};
use postrider_engine::connections::{Callback, CallbackOutcome};

use super::CALLBACK;
use crate::auth::{Access, Gate};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::query::{OTHERS, Parameter};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: CALLBACK,
    tag: "Connections",
    summary: "Where a provider sends people back",
    detail: "The redirect URI to register at providers. Answers a page for people: what happened, and what to do.",
    access: Access::Everybody,
    gate: Gate::Open,
    query: &[
        Parameter::text("state", "Of the link; good once."),
        Parameter::text("code", "What the connection gets its tokens for."),
        Parameter::text("error", "Why there is none."),
        Parameter::text("error_description", "The provider's words about it."),
        Parameter::text("iss", "Who answers (RFC 9207)."),
        // Providers send more of their own: session_state, scope, hd, …
        OTHERS,
    ],
    takes: Takes::Nothing,
    gives: Gives::Page,
    handle: |call| Box::pin(handle(call)),
};

/// Nothing is loaded from anywhere, the page is shown in no frame, and the address with its code goes to nobody.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn handle(call: Call) -> Answer {
    let text = |name: &str| call.query.text(name).map(str::to_owned);
    let callback = Callback {
        state: text("state").unwrap_or_default(),
        code: text("code"),
        error: text("error"),
        error_description: text("error_description"),
        iss: text("iss"),
    };
    let outcome = call.app.engine.connections().complete(callback).await?;
    Ok(match outcome {
        CallbackOutcome::Connected { name } => page(
            StatusCode::OK,
            "Connected",
            &format!("The connection {name} is authorized. Workflows can use it from now on."),
            "You can close this window.",
        ),
        CallbackOutcome::LinkIsGone => page(
            StatusCode::BAD_REQUEST,
            "This link is good no more",
            "A link to authorize a connection works once, for ten minutes. This one was used, is too old, or was changed on its \
             way. Nothing was changed.",
            "Go back to where you came from and start again.",
        ),
        CallbackOutcome::Declined { name, words } => page(
            StatusCode::BAD_REQUEST,
            "Not connected",
            &format!(
                "The connection {name} was not authorized: you or the provider declined. The provider said: {words}."
            ),
            "If that was not meant, go back to where you came from and start again.",
        ),
        CallbackOutcome::Failed { name, detail } => page(
            StatusCode::BAD_REQUEST,
            "Not connected",
            &format!("The connection {name} was not authorized. {detail}"),
            "Whoever manages the connection sees the same in its `error`.",
        ),
    })
}

fn page(status: StatusCode, title: &str, what: &str, todo: &str) -> axum::response::Response {
    let (what, todo) = (escaped(what), escaped(todo));
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n\
         <style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}}</style>\n\
         <h1>{title}</h1>\n<p>{what}</p>\n<p>{todo}</p>\n</html>\n"
    );
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, html).into_response()
}

/// Foreign text, as text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_of_others_stays_text() {
        assert_eq!(escaped("<b a=\"1\">'&"), "&lt;b a=&quot;1&quot;&gt;&#39;&amp;");
    }
}
