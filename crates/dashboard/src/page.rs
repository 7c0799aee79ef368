//! What a page is, and the one way a request goes through any of them: who asks, may they, is the form ours, then the page.

use std::pin::Pin;
use std::sync::Arc;

use axum::RequestExt;
use axum::body::Body;
use axum::extract::RawPathParams;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::catalogue::Tenant;
use postrider_engine::control::{Look, Role, WebhookUse, check_webhooks};

use crate::fault::Fault;
use crate::form::Form;
use crate::layout::Shell;
use crate::session::{self, Bearer};
use crate::visit::Visit;
use crate::{App, fault, guard};

pub(crate) type Answer = Result<Response, Fault>;
pub(crate) type Handler = fn(Visit) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

pub(crate) struct Page {
    pub(crate) method: Method,
    /// Below `/dashboard` for a page of the installation; below the tenant's own base for a page of a tenant.
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    pub(crate) handle: Handler,
}

/// Who may see a page, or send its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Everybody,
    Operator,
    /// Operators, on a page of a tenant.
    TenantOperator,
    /// Everybody who is signed in to this tenant.
    Reader,
    /// Of those, who may see webhooks and what was sent to them: a profile may keep them to admins.
    WebhookReader,
    /// Operators, and admins of the tenant.
    Admin,
    /// Of those, where the tenant's plan has webhooks.
    WebhookAdmin,
}

/// Which of the two faces shows a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// The whole installation.
    Dashboard,
    /// One tenant, in its product team's colours.
    Portal,
}

/// A form: the largest field is an event's data.
const FORM_BYTES_MAX: usize = 1024 * 1024;

impl Page {
    pub(crate) async fn serve(
        &'static self,
        app: Arc<App>,
        face: Face,
        mut request: Request<Body>,
    ) -> Response {
        let path: Vec<(String, String)> = match request.extract_parts::<RawPathParams>().await {
            Ok(path) => path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            Err(_) => {
                let fault = Fault::from(Problem::not_found("page"));
                return guard::protect(fault.page(&Shell::bare(face)), face, None);
            }
        };
        let (parts, body) = request.into_parts();
        let (bearer, look) = match visitor(&app, face, &parts.headers, &path).await {
            Ok(visitor) => visitor,
            Err(fault) => return guard::protect(fault.page(&Shell::bare(face)), face, None),
        };
        let mut visit = Visit::new(app, face, bearer, look.clone(), path, parts);
        let answer = match self.admit(&mut visit, body).await {
            Ok(()) => {
                let shell = visit.shell();
                (self.handle)(visit).await.unwrap_or_else(|fault| fault.page(&shell))
            }
            Err(Stop::SignIn) if face == Face::Dashboard && self.method == Method::GET => {
                session::to_sign_in(&visit.here())
            }
            Err(Stop::SignIn) => fault::signed_out(face, &visit.shell()),
            Err(Stop::Fault(fault)) => fault.page(&visit.shell()),
        };
        guard::protect(answer, face, look.as_ref())
    }

    async fn admit(&'static self, visit: &mut Visit, body: Body) -> Result<(), Stop> {
        if self.who != Who::Everybody {
            let bearer = visit.bearer().ok_or(Stop::SignIn)?;
            if self.who != Who::Operator {
                let tenant = find_tenant(visit, bearer)?;
                visit.set_tenant(tenant);
            }
        }
        if let Some(bearer) = visit.bearer() {
            self.check_role(bearer, visit.tenant_if_any().map(|tenant| &**tenant))?;
        }
        if self.method != Method::GET {
            let body = Limited::new(body, FORM_BYTES_MAX).collect().await.map_err(|_| {
                Problem::new(Code::BodyTooLarge, "The form is too large. Send less, at most 1 MiB in all.")
            })?;
            let form = Form::parse(&body.to_bytes());
            guard::check_origin(&visit.headers, visit.bearer(), &form)?;
            visit.form = form;
        }
        Ok(())
    }

    fn check_role(&self, bearer: &Bearer, tenant: Option<&Tenant>) -> Result<(), Problem> {
        let role = bearer.session.role;
        let forbidden = |detail: &str| Err(Problem::new(Code::Forbidden, detail));
        match self.who {
            Who::Operator | Who::TenantOperator if role != Role::Operator => {
                forbidden("This page is for operators of the installation.")
            }
            Who::Admin | Who::WebhookAdmin if !matches!(role, Role::Operator | Role::Admin) => {
                forbidden("You may look, and change nothing. Ask an admin to do this.")
            }
            Who::WebhookReader | Who::WebhookAdmin => {
                let wanted = if self.who == Who::WebhookAdmin { WebhookUse::Write } else { WebhookUse::Read };
                let tenant = tenant.expect("because these pages are of a tenant");
                check_webhooks(&bearer.session.actor(), wanted, tenant)
            }
            _ => Ok(()),
        }
    }
}

/// Who asks, and whose look and frame the answer has: also where a portal's session has ended, so that the page which frames it
/// shows that and no refusal of the browser's.
async fn visitor(
    app: &App,
    face: Face,
    headers: &HeaderMap,
    path: &[(String, String)],
) -> Result<(Option<Bearer>, Option<Look>), Fault> {
    if let Some(bearer) = session::of_request(app, face, headers).await? {
        let look = bearer.session.look.clone();
        return Ok((Some(bearer), Some(look)));
    }
    if face == Face::Dashboard {
        return Ok((None, None));
    }
    let opened = path.iter().filter(|(name, _)| name == "token").map(|(_, value)| value.as_str());
    for token in opened.chain(session::tokens(app, face, headers)) {
        if let Some(look) = app.engine.control().portal_look(token).await? {
            return Ok((None, Some(look)));
        }
    }
    Ok((None, None))
}

/// The tenant that a page is about: the portal's own, or the one in the path.
fn find_tenant(visit: &Visit, bearer: &Bearer) -> Result<Arc<Tenant>, Problem> {
    let catalogue = visit.engine().catalogue();
    let tenant = match visit.face {
        Face::Portal => bearer.session.tenant.and_then(|own| catalogue.tenant(own)),
        Face::Dashboard => {
            let tenant = catalogue.tenant_by_public_id(visit.path("tenant"));
            tenant.filter(|tenant| bearer.session.tenant.is_none_or(|own| own == tenant.id))
        }
    };
    tenant.ok_or_else(|| Problem::not_found("tenant"))
}

/// Why a request does not come to its page.
enum Stop {
    SignIn,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// A page that was moved: the browser asks for it with GET.
pub(crate) fn see_other(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(http::header::LOCATION, to.to_owned())]).into_response()
}
