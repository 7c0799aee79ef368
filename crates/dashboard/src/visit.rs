//! A request that has come to its page: who asks, about which tenant, and with which words to answer.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use maud::Markup;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;
use postrider_engine::Engine;
use postrider_engine::catalogue::Tenant;
use postrider_engine::control::{Actor, Idem, Look, Role, WebhookUse, check_webhooks};
use postrider_store::Store;
use sha2::{Digest, Sha256};

use crate::App;
use crate::fault::Fault;
use crate::form::Form;
use crate::layout::{self, Shell};
use crate::page::Face;
use crate::session::{self, Bearer};
use crate::words::Words;

pub(crate) struct Visit {
    pub(crate) app: Arc<App>,
    pub(crate) face: Face,
    bearer: Option<Bearer>,
    /// Of the session, also of one that has ended.
    look: Look,
    tenant: Option<Arc<Tenant>>,
    path: Vec<(String, String)>,
    pub(crate) query: Form,
    pub(crate) form: Form,
    pub(crate) headers: HeaderMap,
    pub(crate) uri: Uri,
    method: Method,
    pub(crate) now: Timestamp,
}

impl Visit {
    /// As it came: its tenant is not found and its form not read yet.
    pub(crate) fn new(
        app: Arc<App>,
        face: Face,
        bearer: Option<Bearer>,
        look: Option<Look>,
        path: Vec<(String, String)>,
        parts: http::request::Parts,
    ) -> Self {
        let now = app.engine.clock().now();
        let http::request::Parts { headers, uri, method, .. } = parts;
        let query = Form::parse(uri.query().unwrap_or_default().as_bytes());
        let form = Form::default();
        let look = look.unwrap_or_default();
        Self { app, face, bearer, look, tenant: None, path, query, form, headers, uri, method, now }
    }

    pub(crate) fn set_tenant(&mut self, tenant: Arc<Tenant>) {
        self.tenant = Some(tenant);
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.app.engine
    }

    pub(crate) fn store(&self) -> &Store {
        self.app.engine.store()
    }

    /// The tenant that the page is about.
    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        self.tenant.as_ref().expect("because the page is in the tenant's table")
    }

    pub(crate) fn tenant_if_any(&self) -> Option<&Arc<Tenant>> {
        self.tenant.as_ref()
    }

    /// Who is signed in to a face, on pages that belong to none.
    pub(crate) async fn bearer_of(&self, face: Face) -> Result<Option<Bearer>, Fault> {
        session::of_request(&self.app, face, &self.headers).await
    }

    /// Light or dark, where the visitor chose one.
    pub(crate) fn theme(&self) -> Option<&'static str> {
        match session::cookie(&self.headers, "postrider-theme")? {
            "dark" => Some("dark"),
            "light" => Some("light"),
            _ => None,
        }
    }

    pub(crate) fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_ref()
    }

    pub(crate) fn actor(&self) -> Actor {
        self.bearer.as_ref().expect("because the page asks for somebody who is signed in").session.actor()
    }

    pub(crate) fn role(&self) -> Role {
        self.bearer.as_ref().map_or(Role::Viewer, |bearer| bearer.session.role)
    }

    /// Whether controls that change something are shown.
    pub(crate) fn may_change(&self) -> bool {
        matches!(self.role(), Role::Operator | Role::Admin)
    }

    pub(crate) fn is_operator(&self) -> bool {
        self.role() == Role::Operator
    }

    pub(crate) fn may_see_webhooks(&self) -> bool {
        let (Some(bearer), Some(tenant)) = (&self.bearer, &self.tenant) else { return false };
        check_webhooks(&bearer.session.actor(), WebhookUse::Read, tenant).is_ok()
    }

    /// For what lasts longer than a request: whether its session holds and still shows webhooks.
    pub(crate) async fn still_sees_webhooks(&self) -> bool {
        let Ok(Some(bearer)) = self.bearer_of(self.face).await else { return false };
        let tenant = self.engine().catalogue().tenant(self.tenant().id);
        tenant
            .is_some_and(|tenant| check_webhooks(&bearer.session.actor(), WebhookUse::Read, &tenant).is_ok())
    }

    /// Of htmx: a part of a page is wanted, not all of it.
    pub(crate) fn wants_part(&self) -> bool {
        self.headers.contains_key("hx-request")
    }

    /// A value of the path.
    pub(crate) fn path(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).expect("because the page's path has this name")
    }

    /// An id of ours in the path. What does not look like one does not exist.
    pub(crate) fn id<T, E>(
        &self,
        name: &str,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Problem> {
        parse(self.path(name)).map_err(|_| Problem::not_found(what))
    }

    /// The address of another page about the same tenant, on the same face: `to` begins with a slash.
    pub(crate) fn link(&self, to: &str) -> String {
        format!("{}{to}", self.base())
    }

    fn base(&self) -> String {
        match (self.face, &self.tenant) {
            (Face::Portal, _) => "/portal".to_owned(),
            (Face::Dashboard, Some(tenant)) => {
                format!("/dashboard/t/{}", crate::form::escaped(&tenant.public_id))
            }
            (Face::Dashboard, None) => "/dashboard".to_owned(),
        }
    }

    /// The address of this page; of the answer to a form, the start.
    pub(crate) fn here(&self) -> String {
        match self.uri.path_and_query().filter(|_| self.method == Method::GET) {
            Some(here) => here.as_str().to_owned(),
            None => self.link("/"),
        }
    }

    /// What every form carries.
    pub(crate) fn csrf(&self) -> &str {
        self.bearer.as_ref().map_or("", |bearer| bearer.csrf.as_str())
    }

    /// For a form that makes something: sent twice as it is, it makes one. The form has [`Visit::fresh_form_id`] in a field
    /// `form`; one that is changed and sent again counts as another.
    pub(crate) fn idem(&self) -> Option<Idem> {
        let form = self.form.text("form").filter(|form| form.len() <= 64)?;
        let tenant = self.tenant.as_ref().map_or([0; 16], |tenant| *tenant.id.as_bytes());
        let mut hash = Sha256::new();
        hash.update(tenant);
        hash.update(self.uri.path());
        let scope: [u8; 16] = hash.finalize()[..16].try_into().expect("because the slice has that length");
        let fingerprint = self.store().fingerprint(&[&scope, self.form.with(&[]).as_bytes()]);
        let content = hex::encode(&fingerprint.as_ref()[..8]);
        Some(Idem { scope, key: format!("{form}-{content}"), fingerprint })
    }

    /// Names one showing of a form.
    pub(crate) fn fresh_form_id(&self) -> String {
        let mut bytes = [0; 16];
        self.app.engine.random().fill(&mut bytes);
        hex::encode(bytes)
    }

    pub(crate) fn look(&self) -> &Look {
        &self.look
    }

    pub(crate) fn words(&self) -> Words {
        Words::of(self.look.language.as_deref())
    }

    /// The sentence in the visitor's language.
    pub(crate) fn t(&self, text: &'static str) -> &'static str {
        self.words().say(text)
    }

    pub(crate) fn shell(&self) -> Shell {
        Shell::of(self)
    }

    /// A whole page.
    pub(crate) fn page(&self, title: &str, body: Markup) -> Response {
        layout::document(&self.shell(), title, body).into_response()
    }

    /// A whole page that says what was wrong.
    pub(crate) fn page_with_status(&self, status: u16, title: &str, body: Markup) -> Response {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        (status, layout::document(&self.shell(), title, body)).into_response()
    }

    /// A part of a page, for htmx.
    pub(crate) fn part(&self, body: Markup) -> Response {
        body.into_response()
    }

    /// A time that a person typed into a form: as `datetime-local` writes it, in the tenant's zone, or RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.query.text(name).or_else(|| self.form.text(name)) else { return Ok(None) };
        if let Some(at) = Timestamp::parse_rfc3339(text) {
            return Ok(Some(at));
        }
        let zone = self.zone();
        let civil = text.parse::<jiff::civil::DateTime>();
        let at = civil.and_then(|civil| civil.to_zoned(zone)).map_err(|_| {
            Problem::at(Code::InvalidField, name, "This is no time. Write it like 2026-01-31T09:30.")
        })?;
        Ok(Some(Timestamp::from_jiff(at.timestamp())))
    }

    /// The zone in which times are shown: the tenant's.
    pub(crate) fn zone(&self) -> jiff::tz::TimeZone {
        self.tenant.as_ref().map_or(jiff::tz::TimeZone::UTC, |tenant| tenant.pinned.values.timezone.clone())
    }
}
