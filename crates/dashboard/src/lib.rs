//! The dashboard and the tenant portal: pages, rendered here and sent whole.
//!
//! A page is one table ([`page`]) and a function that reads what a visitor asked for, asks the engine, and writes HTML. Two
//! faces show the same pages of a tenant: the dashboard, for those who run the installation, and the portal, for one tenant's
//! people. Nothing is decided here: what may be done, and what is refused, is the engine's to say, as for the API.
//!
//! Every page reads and every form works without script; script adds what moves. Nothing is fetched from elsewhere.
//!
//! Reading order: `page` (the way of a request), `session` and `guard` (who asks, and what protects them), `visit` (what a
//! page gets), `layout` and `parts` (what pages are made of), then `pages`.

mod assets;
mod fault;
mod form;
mod guard;
mod layout;
mod looks;
mod page;
mod pages;
mod parts;
mod session;
mod visit;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{MethodFilter, get, on};
use postrider_engine::Engine;
use tower_http::compression::CompressionLayer;

use looks::Looks;
use page::{Face, Page};

/// What the pages need to know beyond the engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// The base of every URL that is handed out, without a slash at its end.
    pub public_url: String,
}

/// What every page can reach.
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) public_url: String,
    pub(crate) looks: Looks,
}

/// All pages, to be merged with the API.
pub fn router(engine: Engine, options: Options) -> Router {
    let looks = Looks::new(engine.clock().now());
    let app = Arc::new(App { engine, public_url: options.public_url, looks });
    let mut router = Router::new();
    for page in pages::PUBLIC {
        let face = if page.path.starts_with("/portal/") { Face::Portal } else { Face::Dashboard };
        router = mount(router, page.path.to_owned(), page, face);
    }
    for page in pages::INSTALLATION.iter().copied().flatten() {
        router = mount(router, format!("/dashboard{}", page.path), page, Face::Dashboard);
    }
    for page in pages::TENANT.iter().copied().flatten() {
        router = mount(router, format!("/dashboard/t/{{tenant}}{}", page.path), page, Face::Dashboard);
        router = mount(router, format!("/portal{}", page.path), page, Face::Portal);
    }
    for asset in assets::ALL {
        router = router.route(asset.path, get(move || assets::serve(asset)));
    }
    router.with_state(app).layer(CompressionLayer::new())
}

fn mount(router: Router<Arc<App>>, path: String, page: &'static Page, face: Face) -> Router<Arc<App>> {
    let handler = move |State(app): State<Arc<App>>, request: Request| page.serve(app, face, request);
    let method = MethodFilter::try_from(page.method.clone());
    router.route(&path, on(method.expect("because tables name common methods"), handler))
}
