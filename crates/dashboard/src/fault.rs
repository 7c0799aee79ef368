//! A page's way out when it is not a success: a page that says what happened and what to do next.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::html;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::EngineError;
use postrider_store::StoreError;

use crate::layout::{self, Shell};
use crate::page::Face;

/// What went wrong, and whose fault it was.
#[derive(Debug)]
pub(crate) enum Fault {
    Refused(Problem),
    /// Ours; the visitor may try again.
    Store(StoreError),
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(problem) => Self::Refused(problem),
            EngineError::Store(error) => Self::Store(error),
        }
    }
}

impl Fault {
    /// A refusal goes to the form that it is about; our own trouble goes on.
    pub(crate) fn problem(self) -> Result<Problem, Self> {
        match self {
            Self::Refused(problem) => Ok(problem),
            Self::Store(_) => Err(self),
        }
    }

    pub(crate) fn page(self, shell: &Shell) -> Response {
        let (status, title, detail) = match self {
            Self::Refused(problem) => {
                let title = match problem.code {
                    Code::NotFound => "There is nothing here",
                    Code::Forbidden | Code::PlanExcludesWebhooks => "This is not for you",
                    _ => "That did not work",
                };
                (problem.code.status(), title, problem.detail)
            }
            Self::Store(error) => {
                tracing::error!(%error, "page.failed");
                let detail = shell
                    .t("Postrider could not do it just now, and nothing was changed. Try again in a moment.");
                (503, "Postrider has trouble", detail.to_owned())
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = html! {
            h1 { (shell.t(title)) }
            p .lead { (detail) }
            p { a href=(shell.home) { (shell.t("Go to the start")) } }
        };
        (status, layout::document(shell, shell.t(title), body)).into_response()
    }
}

/// For who is not signed in, or no longer.
pub(crate) fn signed_out(face: Face, shell: &Shell) -> Response {
    let t = |text| shell.t(text);
    let body = html! {
        h1 { (t("You are signed out")) }
        @match face {
            Face::Portal => p .lead { (t("This session is over. Open this page from your application again, or sign in with a key once more.")) },
            Face::Dashboard => p .lead { "Your session has ended, and nothing was changed. " a href="/dashboard/login" { "Sign in" } " and do it once more." },
        }
    };
    (StatusCode::UNAUTHORIZED, layout::document(shell, t("You are signed out"), body)).into_response()
}
