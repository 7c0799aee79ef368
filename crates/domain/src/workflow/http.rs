//! An `http` step: the request that is put together, secrets last, and what its answer means.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::facts::Facts;
use super::template::{Part, Template, part_text, text_of};
use crate::expression::{Member, Members, Room, Scope};
use crate::{json, limits};

/// What egress takes for a URL.
const URL_BYTES_MAX: usize = 2048;
/// Names and values of headers together, as egress takes them.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
pub(super) const HEADERS_MAX: usize = 64;
const HEADER_NAME_BYTES_MAX: usize = 256;

/// The variables whose values are known only when a request is sent.
pub(super) const LATE: [&str; 2] = ["secrets", "connections"];

pub(super) const METHODS: [(&str, &str); 7] = [
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("OPTIONS", "OPTIONS"),
];

/// Framing and routing, which belong to the connection; credentials of a browser; and what metadata services of clouds take
/// for a proof that a request was meant. Egress refuses the same ones again when it sends.
const FORBIDDEN_HEADERS: [&str; 19] = [
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
    "x-original-url",
    "x-real-ip",
];
const FORBIDDEN_HEADER_PREFIXES: [&str; 2] = ["proxy-", "x-forwarded-"];

#[derive(Debug)]
pub(super) struct HttpStep {
    pub(super) method: &'static str,
    pub(super) url: Template,
    pub(super) query: Vec<(String, Template)>,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) body: Option<Template>,
    pub(super) connection: Option<String>,
    pub(super) success: Success,
}

/// A request whose values are all there but those of secrets and connections.
#[derive(Clone)]
pub struct HttpCall {
    pub method: &'static str,
    /// Without what `query` adds.
    pub url: String,
    /// Whose access token goes along as `Authorization`, unless the step sets that itself.
    pub connection: Option<String>,
    pub success: Success,
    query: Vec<(String, Template)>,
    headers: Vec<(String, Template)>,
    body: Option<Template>,
    facts: Facts,
}

/// Shows neither headers nor bodies.
impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpCall")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("connection", &self.connection)
            .field("success", &self.success)
            .finish_non_exhaustive()
    }
}

/// The request as it is sent. Its debug output shows neither the query nor headers nor the body, which may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split('?').next().unwrap_or_default();
        let body_bytes = self.body.as_ref().map(Vec::len);
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &url)
            .field("body_bytes", &body_bytes)
            .finish_non_exhaustive()
    }
}

impl HttpStep {
    pub(super) fn call(&self, facts: &Facts) -> Result<HttpCall, String> {
        let scope = facts.scope();
        let room = &mut Room::new(limits::STEP_OUTPUT_BYTES_MAX);
        let url = url(&self.url, &scope, room)?;
        let mut filled = |entries: &[(String, Template)]| -> Result<Vec<(String, Template)>, String> {
            let mut made = Vec::with_capacity(entries.len());
            for (name, template) in entries {
                made.push((name.clone(), template.filled(&LATE, &scope, room)?));
            }
            Ok(made)
        };
        let (query, headers) = (filled(&self.query)?, filled(&self.headers)?);
        let body = match &self.body {
            Some(body) => Some(body.filled(&LATE, &scope, room)?),
            None => None,
        };
        let call = HttpCall {
            method: self.method,
            url,
            connection: self.connection.clone(),
            success: self.success.clone(),
            query,
            headers,
            body,
            facts: facts.clone(),
        };
        // Where nothing is missing, what is wrong is told now.
        if call.secret_names().is_empty() && call.connection_names().is_empty() {
            call.render(&|_| None, &|_| None)?;
        }
        Ok(call)
    }
}

impl HttpCall {
    /// The secrets that it needs.
    pub fn secret_names(&self) -> BTreeSet<&str> {
        self.late_names("secrets")
    }

    /// The connections whose access tokens it needs.
    pub fn connection_names(&self) -> BTreeSet<&str> {
        let mut names = self.late_names("connections");
        names.extend(self.connection.as_deref());
        names
    }

    fn late_names(&self, variable: &str) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for (_, template) in self.query.iter().chain(&self.headers) {
            add_names(template, variable, &mut names);
        }
        if let Some(body) = &self.body {
            add_names(body, variable, &mut names);
        }
        names
    }

    /// The request with its secrets. `secrets` and `access_tokens` are asked for each of the names above. The error is a
    /// sentence without values.
    pub fn render(
        &self,
        secrets: &dyn Fn(&str) -> Option<String>,
        access_tokens: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Request, String> {
        let mut secret_values = Members::default();
        for name in self.secret_names() {
            let value = secrets(name).ok_or_else(|| format!("there is no secret `{name}`"))?;
            secret_values.insert(name, Member::Value(Arc::new(Value::String(value))));
        }
        let mut connections = Members::default();
        for name in self.connection_names() {
            let token = access_tokens(name).ok_or_else(|| format!("there is no connection `{name}`"))?;
            let mut members = Members::default();
            members.insert("accessToken", Member::Value(Arc::new(Value::String(token))));
            connections.insert(name, Member::Members(members));
        }
        let scope = self.facts.scope();
        let scope = scope.with_members("secrets", &secret_values).with_members("connections", &connections);
        let room = &mut Room::new(limits::STEP_OUTPUT_BYTES_MAX);

        let mut url = self.url.clone();
        for (name, template) in &self.query {
            let value =
                template.value(&scope, room).map_err(|message| format!("query `{name}`: {message}"))?;
            add_query(&mut url, name, value);
        }
        if url.len() > URL_BYTES_MAX {
            return Err(format!("the URL has {} bytes; at most {URL_BYTES_MAX} are sent", url.len()));
        }
        let mut headers = Vec::with_capacity(self.headers.len() + 2);
        for (name, template) in &self.headers {
            let value =
                template.text(&scope, room).map_err(|message| format!("header `{name}`: {message}"))?;
            headers.push((name.clone(), value));
        }
        let given = |headers: &[(String, String)], name: &str| {
            headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        if let Some(name) = &self.connection
            && !given(&headers, "authorization")
        {
            let token = access_tokens(name).ok_or_else(|| format!("there is no connection `{name}`"))?;
            headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        let body = match &self.body {
            Some(template) => {
                let value = template.value(&scope, room).map_err(|message| format!("body: {message}"))?;
                let (content_type, body) = match value {
                    Value::String(text) => ("text/plain; charset=utf-8", text),
                    value => ("application/json", value.to_string()),
                };
                if !given(&headers, "content-type") {
                    headers.push(("Content-Type".to_owned(), content_type.to_owned()));
                }
                Some(body.into_bytes())
            }
            None => None,
        };
        check_header_values(&headers)?;
        Ok(Request { method: self.method, url, headers, body })
    }
}

fn add_names<'t>(template: &'t Template, variable: &str, names: &mut BTreeSet<&'t str>) {
    match template {
        Template::Literal(_) => {}
        Template::Typed(expression) => names.extend(expression.members_of(variable)),
        Template::Text(parts) => {
            for part in parts {
                if let Part::Expression(expression) = part {
                    names.extend(expression.members_of(variable));
                }
            }
        }
        Template::List(items) => items.iter().for_each(|item| add_names(item, variable, names)),
        Template::Object(members) => members.iter().for_each(|(_, item)| add_names(item, variable, names)),
    }
}

/// Literal text stays as it is. A value behind literal text is percent-encoded, so that it cannot leave its place: an id of
/// `../admin?all=1` names no other path. A value at the very beginning is a URL, or the beginning of one.
fn url(template: &Template, scope: &Scope<'_>, room: &mut Room) -> Result<String, String> {
    let mut url = String::new();
    let mut encoded = false;
    match template {
        Template::Text(parts) => {
            for part in parts {
                match part {
                    Part::Literal(text) => url.push_str(text),
                    Part::Expression(expression) => {
                        let text = part_text(expression, scope, room)?;
                        match url.is_empty() {
                            true => url.push_str(&text),
                            false => {
                                percent_encode(&text, &mut url);
                                encoded = true;
                            }
                        }
                    }
                }
                if url.len() > URL_BYTES_MAX {
                    return Err(format!("the URL has more than {URL_BYTES_MAX} bytes"));
                }
            }
        }
        other => url = text_of(other.value(scope, room)?),
    }
    if url.len() > URL_BYTES_MAX {
        return Err(format!("the URL has more than {URL_BYTES_MAX} bytes"));
    }
    if !has_scheme(&url) {
        return Err("the URL does not begin with http:// or https://".to_owned());
    }
    if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
        return Err("the URL has a space, a control character or a #".to_owned());
    }
    // Dots are left as they are by encoding; as a whole segment they would name another path.
    let path = url.split('?').next().unwrap_or_default();
    if encoded && path.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
        return Err("a part of the URL's path is `.` or `..`".to_owned());
    }
    Ok(url)
}

pub(super) fn has_scheme(url: &str) -> bool {
    let begins =
        |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    begins("http://") || begins("https://")
}

/// Of a list each, of nothing none.
fn add_query(url: &mut String, name: &str, value: Value) {
    let values = match value {
        Value::Null => return,
        Value::Array(values) => values,
        value => vec![value],
    };
    for value in values {
        url.push(if url.contains('?') { '&' } else { '?' });
        percent_encode(name, url);
        url.push('=');
        percent_encode(&text_of(value), url);
    }
}

/// Everything but what RFC 3986 calls unreserved.
fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Why a step cannot set a header. The error is a sentence.
pub(super) fn check_header_name(name: &str) -> Result<(), String> {
    let token = (1..=HEADER_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !token {
        return Err("it is not a header name".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    let forbidden = FORBIDDEN_HEADERS.contains(&lower.as_str())
        || FORBIDDEN_HEADER_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    if forbidden { Err(format!("the header {lower} cannot be set")) } else { Ok(()) }
}

/// What an answer would set for the whole origin, which pages of Postrider may share with it.
const FORBIDDEN_IN_ANSWERS: [&str; 5] = [
    "clear-site-data",
    "content-security-policy",
    "service-worker-allowed",
    "set-cookie",
    "strict-transport-security",
];

/// Why a `respond` step cannot set a header. The error is a sentence.
pub(super) fn check_answer_header_name(name: &str) -> Result<(), String> {
    check_header_name(name)?;
    let lower = name.to_ascii_lowercase();
    match FORBIDDEN_IN_ANSWERS.contains(&lower.as_str()) {
        true => Err(format!("the header {lower} cannot be set: it would hold for all of this origin")),
        false => Ok(()),
    }
}

/// Visible ASCII, space and tab: nothing that ends a line. Values are not quoted.
pub(super) fn check_header_values(headers: &[(String, String)]) -> Result<(), String> {
    let mut bytes = 0;
    for (name, value) in headers {
        if value.bytes().any(|byte| byte != b'\t' && !(0x20..0x7f).contains(&byte)) {
            return Err(format!("header `{name}` has a character other than visible ASCII, space and tab"));
        }
        bytes += name.len() + value.len();
    }
    if bytes > HEADERS_BYTES_MAX {
        return Err(format!("the headers have {bytes} bytes together; at most {HEADERS_BYTES_MAX} are sent"));
    }
    Ok(())
}

/// Which statuses are a success: ranges, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success(pub(super) Vec<(u16, u16)>);

impl Default for Success {
    fn default() -> Self {
        Self(vec![(200, 299)])
    }
}

impl Success {
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

/// What an answer means for its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpOutcome {
    Success,
    /// Another attempt may succeed; without retries left the step fails.
    Retry,
    /// Another attempt would get the same answer.
    Fail,
}

/// What a status means. (An attempt without an answer is a [`HttpOutcome::Retry`].)
pub fn http_outcome(status: u16, success: &Success) -> HttpOutcome {
    match status {
        status if success.contains(status) => HttpOutcome::Success,
        429 | 500..=599 => HttpOutcome::Retry,
        _ => HttpOutcome::Fail,
    }
}

/// How long until the next attempt. The server may ask for more time than the step says, never for less.
pub fn retry_delay(delay: Duration, retry_after: Option<Duration>) -> Duration {
    delay.max(retry_after.unwrap_or_default().min(limits::STEP_RETRY_DELAY_MAX))
}

/// What an `http` step leaves behind: `{status, headers, body}`. Names of headers are lower case, `set-cookie` is left out. The
/// body is a value where it is JSON and says so, text otherwise, `null` where there is none.
pub fn http_output<'h>(
    status: u16,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    body: &[u8],
) -> Value {
    let mut shown = Map::new();
    let mut is_json = false;
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let value = String::from_utf8_lossy(value);
        if name == "content-type" {
            let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            is_json = media == "application/json" || media.ends_with("+json");
        }
        if name == "set-cookie" {
            continue;
        }
        match shown.get_mut(&name) {
            Some(Value::String(known)) => {
                known.push_str(", ");
                known.push_str(&value);
            }
            _ => {
                shown.insert(name, Value::String(value.into_owned()));
            }
        }
    }
    let text = String::from_utf8_lossy(body);
    let fits = is_json && json::compact(&text, limits::JSON_DEPTH_MAX - 2).is_ok();
    let body = match fits.then(|| serde_json::from_str(&text).ok()).flatten() {
        Some(value) => value,
        None if body.is_empty() => Value::Null,
        None => Value::String(text.into_owned()),
    };
    let mut output = Map::new();
    output.insert("status".to_owned(), Value::from(status));
    output.insert("headers".to_owned(), Value::Object(shown));
    output.insert("body".to_owned(), body);
    Value::Object(output)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Action, Execution, Next, RunFacts, Workflow};
    use super::*;
    use crate::time::Timestamp;

    const SECRET: &str = "s3cr3t-value";
    const TOKEN: &str = "t0k3n-value";

    fn call(step: Value, input: Value) -> Result<Box<HttpCall>, String> {
        let mut step = step;
        step["id"] = json!("a");
        step["type"] = json!("http");
        let workflow = Workflow::compile(&json!({"steps": [step]})).expect("it compiles");
        let facts = RunFacts {
            run: "run_1".to_owned(),
            workflow: "w".to_owned(),
            started: Timestamp::default(),
            trigger_type: "manual".to_owned(),
            trigger_name: None,
        };
        let mut execution = Execution::new(Arc::new(workflow), &facts, Arc::new(input));
        match execution.next(Timestamp::default()) {
            Next::Step(task) => match task.action {
                Action::Http(call) => Ok(call),
                other => panic!("{other:?}"),
            },
            Next::Settled(_, result) => Err(result.error.unwrap_or_default()),
            other => panic!("{other:?}"),
        }
    }

    fn render(call: &HttpCall) -> Result<Request, String> {
        let secrets = |name: &str| (name == "KEY").then(|| SECRET.to_owned());
        let tokens = |name: &str| (name == "crm").then(|| TOKEN.to_owned());
        call.render(&secrets, &tokens)
    }

    fn check(step: Value, input: Value, expected: (&str, &str, &[(&str, &str)], Option<&str>)) {
        let request = render(&call(step.clone(), input).expect("a request")).expect("it is rendered");
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = request.body.as_ref().map(|body| String::from_utf8_lossy(body));
        assert_eq!(
            (request.method, request.url.as_str(), headers.as_slice(), body.as_deref()),
            expected,
            "{step}"
        );
    }

    #[test]
    fn a_request_is_put_together() {
        check(
            json!({"url": "https://a.example/x?y=1"}),
            json!({}),
            ("GET", "https://a.example/x?y=1", &[], None),
        );
        check(
            json!({
                "method": "PATCH",
                "url": "https://a.example/v1/{{ input.id }}",
                "query": {"q": "{{ input.q }}", "list": {"$expr": "input.list"}, "none": null, "key": "{{ secrets.KEY }}"},
                "headers": {"Authorization": "Bearer {{ secrets.KEY }}", "X-N": "{{ input.n }}"},
                "body": {"n": {"$expr": "input.n + 1"}, "key": {"$expr": "secrets.KEY + input.q"}},
            }),
            json!({"id": 7, "q": "a b&c", "list": [1, "x"], "n": 2}),
            (
                "PATCH",
                "https://a.example/v1/7?q=a%20b%26c&list=1&list=x&key=s3cr3t-value",
                &[
                    ("Authorization", "Bearer s3cr3t-value"),
                    ("X-N", "2"),
                    ("Content-Type", "application/json"),
                ],
                Some(r#"{"n":3,"key":"s3cr3t-valuea b&c"}"#),
            ),
        );
        check(
            json!({"url": "https://a.example", "connection": "crm", "body": "n={{ input.n }}"}),
            json!({"n": 1}),
            (
                "POST",
                "https://a.example",
                &[("Authorization", "Bearer t0k3n-value"), ("Content-Type", "text/plain; charset=utf-8")],
                Some("n=1"),
            ),
        );
        check(
            json!({
                "method": "POST", "url": "https://a.example", "connection": "crm",
                "headers": {"authorization": "Token {{ connections.crm.accessToken }}", "content-type": "text/x"},
                "body": {"$expr": "input.text"},
            }),
            json!({"text": "typed"}),
            (
                "POST",
                "https://a.example",
                &[("authorization", "Token t0k3n-value"), ("content-type", "text/x")],
                Some("typed"),
            ),
        );
    }

    #[test]
    fn a_value_cannot_leave_its_place_in_a_url() {
        for (url, value, expected) in [
            (
                "https://a.example/{{ input }}/x",
                json!("../admin?all=1#"),
                Ok("https://a.example/..%2Fadmin%3Fall%3D1%23/x"),
            ),
            ("https://a.example/{{ input }}", json!("a b\r\né"), Ok("https://a.example/a%20b%0D%0A%C3%A9")),
            (
                "https://{{ input }}.example/",
                json!("evil.example/@"),
                Ok("https://evil.example%2F%40.example/"),
            ),
            ("https://a.example/{{ input }}", json!(null), Ok("https://a.example/")),
            ("https://a.example/v{{ input }}", json!(".."), Ok("https://a.example/v..")),
            ("{{ input }}", json!("https://b.example/a/../b?c=d"), Ok("https://b.example/a/../b?c=d")),
            ("{{ input }}/{{ input }}", json!("https://b"), Ok("https://b/https%3A%2F%2Fb")),
            ("https://a.example/{{ input }}", json!(".."), Err("`.` or `..`")),
            ("https://a.example/{{ input }}{{ input }}/x", json!("."), Err("`.` or `..`")),
            ("{{ input }}", json!("ftp://b.example"), Err("does not begin with http")),
            ("{{ input }}", json!("//b.example"), Err("does not begin with http")),
            ("{{ input }}", json!("https://b.example/\r\nHost: c"), Err("a control character")),
            ("{{ input }}", json!("https://b.example/#x"), Err("a #")),
        ] {
            let made = call(json!({"url": url}), value).map(|call| call.url.clone());
            match (made, expected) {
                (Ok(made), Ok(expected)) => assert_eq!(made, expected, "{url}"),
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{url}: {why}"),
                (made, expected) => panic!("{url}: {made:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn secrets_are_in_the_request_and_nowhere_else() {
        let step = json!({
            "url": "https://a.example", "connection": "crm", "query": {"k": "{{ secrets.KEY }}"},
            "headers": {"X-A": "{{ secrets.KEY }}"}, "body": ["{{ secrets.KEY }}"], "method": "POST",
        });
        let call = call(step, json!({})).expect("a request");
        assert_eq!(call.secret_names(), BTreeSet::from(["KEY"]));
        assert_eq!(call.connection_names(), BTreeSet::from(["crm"]));
        let request = render(&call).expect("it is rendered");
        for shown in [format!("{call:?}"), format!("{request:?}")] {
            assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{shown}");
        }
        let missing = call.render(&|_| None, &|_| None).expect_err("there is none");
        assert_eq!(missing, "there is no secret `KEY`");
        let missing = call.render(&|_| Some(SECRET.to_owned()), &|_| None).expect_err("there is none");
        assert_eq!(missing, "there is no connection `crm`");
    }

    #[test]
    fn an_error_quotes_no_secret() {
        for (key, value) in [
            ("headers", json!({"X-A": "{{ int(secrets.KEY) }}"})),
            ("headers", json!({"X-A": "{{ secrets.KEY.missing }}"})),
            ("headers", json!({"X-A": "{{ input[secrets.KEY] }}"})),
            ("headers", json!({"X-A": "{{ secrets.KEY }}\u{e9}"})),
            ("body", json!({"$expr": "secrets.KEY + 1"})),
            ("body", json!({"$expr": "{secrets.KEY: 1, secrets.KEY: 2}"})),
            ("body", json!({"$expr": "connections.crm.refreshToken"})),
        ] {
            let mut step = json!({"url": "https://a.example"});
            step[key] = value;
            let why = match call(step.clone(), json!({})) {
                Ok(call) => render(&call).expect_err("it cannot be rendered"),
                Err(why) => why,
            };
            assert!(!why.contains(SECRET) && !why.contains(TOKEN), "{step}: {why}");
        }
        let step = json!({"url": "https://a.example", "headers": {"X-A": "{{ secrets.KEY }}"}});
        let call = call(step, json!({})).expect("a request");
        let why = call.render(&|_| Some("a\r\nb".to_owned()), &|_| None).expect_err("two lines");
        assert_eq!(why, "header `X-A` has a character other than visible ASCII, space and tab");
        assert!(
            call.render(&|_| Some("a".repeat(20_000)), &|_| None)
                .is_err_and(|why| why.contains("at most 16384"))
        );
    }

    #[test]
    fn a_status_means_success_another_attempt_or_failure() {
        let default = Success::default();
        let listed = Success(vec![(200, 200), (404, 404), (500, 500)]);
        for (status, success, expected) in [
            (200, &default, HttpOutcome::Success),
            (299, &default, HttpOutcome::Success),
            (301, &default, HttpOutcome::Fail),
            (400, &default, HttpOutcome::Fail),
            (404, &default, HttpOutcome::Fail),
            (404, &listed, HttpOutcome::Success),
            (201, &listed, HttpOutcome::Fail),
            (429, &default, HttpOutcome::Retry),
            (500, &default, HttpOutcome::Retry),
            (500, &listed, HttpOutcome::Success),
            (503, &listed, HttpOutcome::Retry),
            (600, &default, HttpOutcome::Fail),
            (0, &default, HttpOutcome::Fail),
        ] {
            assert_eq!(http_outcome(status, success), expected, "{status} {success:?}");
        }
    }

    #[test]
    fn a_server_can_ask_for_more_time_but_not_for_less() {
        let seconds = Duration::from_secs;
        assert_eq!(retry_delay(seconds(5), None), seconds(5));
        assert_eq!(retry_delay(seconds(5), Some(seconds(1))), seconds(5));
        assert_eq!(retry_delay(seconds(5), Some(seconds(60))), seconds(60));
        assert_eq!(retry_delay(seconds(5), Some(Duration::MAX)), limits::STEP_RETRY_DELAY_MAX);
    }

    #[test]
    fn an_answer_is_shown_as_what_it_says_it_is() {
        let deep = format!("{}{}", "[".repeat(63), "]".repeat(63));
        for (content_type, body, expected) in [
            ("application/json", "{\"a\": 1}", json!({"a": 1})),
            ("Application/Problem+JSON; charset=utf-8", "[1]", json!([1])),
            ("application/json", "{broken", json!("{broken")),
            ("application/json", "", json!(null)),
            ("application/json", deep.as_str(), json!(deep)),
            ("text/plain", "{\"a\": 1}", json!("{\"a\": 1}")),
        ] {
            let headers = [
                ("Content-Type", content_type.as_bytes()),
                ("Set-Cookie", b"a=b"),
                ("X-A", b"1"),
                ("x-a", b"2\xff"),
            ];
            let output = http_output(200, headers, body.as_bytes());
            assert_eq!(output["body"], expected);
            assert_eq!(output["headers"], json!({"content-type": content_type, "x-a": "1, 2\u{fffd}"}));
            assert_eq!(output["status"], json!(200));
        }
    }
}
