//! A caller of our own HTTP API, for the commands that talk to a running server.
//!
//! It goes through egress like every outbound request of the product, with a policy that opens exactly the server's host.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use postrider_egress::{
    AllowList, BodyEnd, Budgets, Egress, EgressConfig, Policy, ReadBody, Request, Reuse, SystemResolver,
    Target,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::complaint::Complaint;

/// Answers of the API are pages of at most 100 items; the largest is the OpenAPI document.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    egress: Egress,
    server: String,
    key: SecretString,
}

/// What a request says beside its path and body.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct About<'a> {
    /// Whom an operator or publisher acts for.
    pub(crate) tenant: Option<&'a str>,
    /// Of records that name their tenant: the profile that says what they are.
    pub(crate) profile: Option<&'a str>,
    pub(crate) idempotency_key: Option<&'a str>,
}

/// Why there is no answer.
pub(crate) enum NoAnswer {
    /// The request cannot be made, now or later.
    Unsendable(String),
    /// Nobody answered. The request may have been carried out.
    Unheard(String),
}

/// What the server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Null` when the body is not JSON.
    pub(crate) body: Value,
}

impl Client {
    /// `server` is the base URL of a running server.
    pub(crate) fn new(server: &str, key: SecretString) -> Result<Self, Complaint> {
        let host = server
            .parse::<http::Uri>()
            .ok()
            .and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()))
            .ok_or_else(|| {
                Complaint::new(
                    format!("the server's address \"{server}\" cannot be used"),
                    "it is not a URL",
                    "write it like http://127.0.0.1:8080",
                )
            })?;
        let unusable = |why: String| {
            Complaint::new(
                "the client for the server's API could not be made",
                why,
                "run `postrider doctor`, which looks at names and certificates",
            )
        };
        // `localhost` is open by its addresses, every other host by its own name or address.
        let opened =
            if host == "localhost" { vec!["127.0.0.1".to_owned(), "::1".to_owned()] } else { vec![host] };
        let allow = AllowList::parse(&opened).map_err(|error| unusable(error.to_string()))?;
        let egress = Egress::new(EgressConfig {
            policy: Policy::new(allow),
            budgets: Budgets {
                response_read_bytes: ANSWER_BYTES_MAX,
                response_kept_bytes: ANSWER_BYTES_MAX,
                ..postrider_engine::egress_budgets()
            },
            resolver: Arc::new(SystemResolver::new().map_err(|error| unusable(error.to_string()))?),
            extra_roots_pem: Vec::new(),
        })
        .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { egress, server: server.trim_end_matches('/').to_owned(), key })
    }

    /// One request. `path` begins with a slash; `tenant` is whom an operator acts for.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        tenant: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, Complaint> {
        let about = About { tenant, ..About::default() };
        let body = body.map(|body| Bytes::from(body.to_string()));
        self.send(method.clone(), path, about, body).await.map_err(|failure| {
            let (NoAnswer::Unsendable(why) | NoAnswer::Unheard(why)) = failure;
            Complaint::new(
                format!("{method} {}{path} did not work", self.server),
                why,
                "check that the server runs and that its address is right (--server)",
            )
        })
    }

    /// One request with a JSON body that is made already.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        about: About<'_>,
        body: Option<Bytes>,
    ) -> Result<Answer, NoAnswer> {
        let target = Target::parse(&format!("{}{path}", self.server), self.egress.policy())
            .map_err(|refusal| NoAnswer::Unsendable(refusal.detail().to_owned()))?;
        let request = Request {
            method,
            target,
            headers: self.headers(about, body.is_some()).map_err(NoAnswer::Unsendable)?,
            body: body.unwrap_or_default(),
            timeout: TIMEOUT,
            partition: [0; 16],
            reuse: Reuse::Any,
            body_rule: ReadBody::ToTheEnd,
        };
        let response = self.egress.send(request).await.result;
        let response = response.map_err(|failure| NoAnswer::Unheard(failure.detail))?;
        if response.body_end != BodyEnd::Complete {
            return Err(NoAnswer::Unheard("the answer broke off".to_owned()));
        }
        Ok(Answer {
            status: response.status,
            body: serde_json::from_slice(&response.body).unwrap_or(Value::Null),
        })
    }

    /// A request to a trigger's URL, with its secret and no key.
    pub(crate) async fn invoke(
        &self,
        url: &str,
        secret: Option<&str>,
        body: &Value,
    ) -> Result<Answer, Complaint> {
        let told = |why: String| {
            Complaint::new(format!("POST {url} did not work"), why, "check that the server runs")
        };
        let target =
            Target::parse(url, self.egress.policy()).map_err(|refusal| told(refusal.detail().to_owned()))?;
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(secret) = secret {
            let value = HeaderValue::try_from(secret).map_err(|error| told(error.to_string()))?;
            headers.insert(HeaderName::from_static("x-webhook-secret"), value);
        }
        let request = Request {
            method: Method::POST,
            target,
            headers,
            body: Bytes::from(body.to_string()),
            timeout: TIMEOUT,
            partition: [0; 16],
            reuse: Reuse::Any,
            body_rule: ReadBody::ToTheEnd,
        };
        let response = self.egress.send(request).await.result.map_err(|failure| told(failure.detail))?;
        let body = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        Ok(Answer { status: response.status, body })
    }

    /// The same, where anything but a 2xx is an error.
    pub(crate) async fn expect(
        &self,
        method: Method,
        path: &str,
        tenant: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value, Complaint> {
        let shown = format!("{method} {path}");
        let answer = self.call(method, path, tenant, body).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        let detail = answer.body["detail"].as_str().unwrap_or("the server gave no reason");
        let code = answer.body["code"].as_str().unwrap_or("no code");
        Err(Complaint::new(
            format!("the server refused {shown}: {} {code}", answer.status),
            detail,
            match answer.status {
                401 | 403 => {
                    "check the key in POSTRIDER_OPERATOR_KEY; `postrider key new-operator` makes a new one"
                }
                _ => "correct what the reason names",
            },
        ))
    }

    fn headers(&self, about: About<'_>, has_body: bool) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.key.expose_secret()))
            .map_err(|_| "the key has characters that no header can carry".to_owned())?;
        bearer.set_sensitive(true);
        headers.insert(http::header::AUTHORIZATION, bearer);
        let named = [
            ("postrider-tenant", "the tenant's id", about.tenant),
            ("postrider-profile", "the profile's name", about.profile),
            ("idempotency-key", "the idempotency key", about.idempotency_key),
        ];
        for (name, what, value) in named {
            let Some(value) = value else { continue };
            let value = HeaderValue::try_from(value)
                .map_err(|_| format!("{what} has characters that no header can carry"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if has_body {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(headers)
    }
}
