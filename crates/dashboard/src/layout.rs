//! The frame of every page: head, navigation, and the place for what the page is about.

use maud::{DOCTYPE, Markup, html};
use postrider_engine::catalogue::Role;

use crate::assets::VERSION;
use crate::guard::CSRF_FIELD;
use crate::page::Face;
use crate::visit::Visit;
use crate::words::Words;

/// What the frame shows of the visit.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    words: Words,
    face: Face,
    /// Where the page's start is.
    pub(crate) home: String,
    /// The base of the tenant's pages; none on pages of the installation.
    tenant_base: Option<String>,
    tenant_name: String,
    role: Option<Role>,
    sees_webhooks: bool,
    has_records: bool,
    path: String,
    /// Where to come back to: this page, or its start where this was the answer to a form.
    here: String,
    csrf: String,
    theme: Option<&'static str>,
    name: Option<String>,
    logo: Option<String>,
    has_accent: bool,
}

/// Sections of a tenant's pages: a heading, and links with who sees them.
const SECTIONS: &[(&str, &[Item])] = &[
    (
        "Sending",
        &[
            Item::webhooks("Health", "/"),
            Item::webhooks("Webhooks", "/webhooks"),
            Item::webhooks("Deliveries", "/deliveries"),
            Item::all("Events", "/events"),
            Item::all("Event types", "/event-types"),
            Item { records: true, ..Item::all("Records", "/records") },
        ],
    ),
    (
        "Receiving",
        &[
            Item::all("Workflows", "/workflows"),
            Item::all("Requests", "/requests"),
            Item::all("Runs", "/runs"),
            Item::all("Secrets", "/secrets"),
            Item::all("Connections", "/connections"),
        ],
    ),
    (
        "Tools",
        &[
            Item::webhooks("Inbox", "/inbox"),
            Item::admins("Dry run", "/dry-run"),
            Item::all("Signature helper", "/signature"),
        ],
    ),
    (
        "Administration",
        &[
            Item::admins("Audit", "/audit"),
            Item::all("Scans", "/scans"),
            Item::admins("Portal links", "/portal-links"),
            Item::all("Settings", "/settings"),
        ],
    ),
];

/// Pages of the installation.
const INSTALLATION: &[(&str, &str)] = &[
    ("Tenants", "/dashboard/"),
    ("Profiles", "/dashboard/profiles"),
    ("Keys", "/dashboard/keys"),
    ("Audit", "/dashboard/audit"),
];

struct Item {
    label: &'static str,
    path: &'static str,
    webhooks: bool,
    admins: bool,
    records: bool,
}

impl Item {
    const fn all(label: &'static str, path: &'static str) -> Self {
        Self { label, path, webhooks: false, admins: false, records: false }
    }

    const fn webhooks(label: &'static str, path: &'static str) -> Self {
        Self { webhooks: true, ..Self::all(label, path) }
    }

    const fn admins(label: &'static str, path: &'static str) -> Self {
        Self { admins: true, ..Self::all(label, path) }
    }
}

impl Shell {
    /// Where nothing is known of who asks.
    pub(crate) fn bare(face: Face) -> Self {
        Self {
            words: Words::of(None),
            face,
            home: if face == Face::Portal { "/portal/" } else { "/dashboard/" }.to_owned(),
            tenant_base: None,
            tenant_name: String::new(),
            role: None,
            sees_webhooks: false,
            has_records: false,
            path: String::new(),
            here: String::new(),
            csrf: String::new(),
            theme: None,
            name: None,
            logo: None,
            has_accent: false,
        }
    }

    pub(crate) fn of(visit: &Visit) -> Self {
        let look = visit.look().clone();
        let tenant = visit.tenant_if_any();
        Self {
            words: visit.words(),
            face: visit.face,
            home: visit.link("/"),
            tenant_base: tenant.map(|_| visit.link("")),
            tenant_name: tenant.map(|tenant| tenant.pinned.values.name.clone()).unwrap_or_default(),
            role: visit.bearer().map(|bearer| bearer.session.role),
            sees_webhooks: visit.may_see_webhooks(),
            has_records: tenant.is_some_and(|tenant| !tenant.profile().records.is_empty()),
            path: visit.uri.path().to_owned(),
            here: visit.here(),
            csrf: visit.csrf().to_owned(),
            theme: visit.theme(),
            name: look.name,
            logo: look.logo,
            // Its sheet is for who is signed in.
            has_accent: look.accent.is_some() && visit.bearer().is_some(),
        }
    }

    pub(crate) fn t(&self, text: &'static str) -> &'static str {
        self.words.say(text)
    }

    fn product(&self) -> &str {
        self.name.as_deref().unwrap_or("Postrider")
    }

    /// Whether a link leads to this page, or to one that lies above it.
    fn is_here(&self, to: &str) -> bool {
        let start =
            self.tenant_base.as_ref().is_some_and(|base| to == format!("{base}/")) || to == "/dashboard/";
        if start { self.path == to } else { self.path == to || self.path.starts_with(&format!("{to}/")) }
    }
}

/// A page, whole.
pub(crate) fn document(shell: &Shell, title: &str, body: Markup) -> Markup {
    let version = &*VERSION;
    let at = if shell.tenant_name.is_empty() { shell.product() } else { &shell.tenant_name };
    html! {
        (DOCTYPE)
        html lang=(shell.words.language) data-theme=[shell.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // No style of its own, no code from attributes; answers that refuse are shown as well.
                meta name="htmx-config" content=r#"{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,"historyCacheSize":0,"responseHandling":[{"code":"204","swap":false},{"code":"...","swap":true}]}"#;
                title { (title) " · " (at) }
                link rel="icon" href=(format!("/dashboard/assets/icon.svg?v={version}")) type="image/svg+xml";
                link rel="stylesheet" href=(format!("/dashboard/assets/app.css?v={version}"));
                @if shell.has_accent {
                    link rel="stylesheet" href="/portal/look.css";
                }
                script src=(format!("/dashboard/assets/htmx.js?v={version}")) defer {}
                script src=(format!("/dashboard/assets/app.js?v={version}")) defer {}
            }
            body hx-headers=[(!shell.csrf.is_empty()).then(|| format!(r#"{{"x-csrf-token":"{}"}}"#, shell.csrf))] {
                a .skip href="#main" { (shell.t("Skip to the content")) }
                @if shell.role.is_some() { (top(shell)) }
                div .frame {
                    @if shell.role.is_some() { (navigation(shell)) }
                    main #main tabindex="-1" { (body) }
                }
                div #said role="status" aria-live="polite" .quiet {}
            }
        }
    }
}

fn top(shell: &Shell) -> Markup {
    html! {
        header .top {
            a .brand href=(if shell.face == Face::Portal { "/portal/" } else { "/dashboard/" }) {
                @match &shell.logo {
                    Some(logo) => img src=(logo) alt="" width="28" height="28" referrerpolicy="no-referrer";,
                    None => img src=(format!("/dashboard/assets/icon.svg?v={}", *VERSION)) alt="" width="28" height="28";,
                }
                span { (shell.product()) }
            }
            @if !shell.tenant_name.is_empty() { span .tenant { (shell.tenant_name) } }
            span .grow {}
            @if let Some(role) = shell.role { span .role { (shell.t(role_name(role))) } }
            form method="post" action=(if shell.face == Face::Portal { "/portal/theme" } else { "/dashboard/theme" }) {
                input type="hidden" name=(CSRF_FIELD) value=(shell.csrf);
                input type="hidden" name="to" value=(shell.here);
                @if shell.theme != Some("dark") {
                    button .ghost .to-dark type="submit" name="theme" value="dark" { (shell.t("Dark")) }
                }
                @if shell.theme != Some("light") {
                    button .ghost .to-light type="submit" name="theme" value="light" { (shell.t("Light")) }
                }
            }
            form method="post" action=(if shell.face == Face::Portal { "/portal/sign-out" } else { "/dashboard/sign-out" }) {
                input type="hidden" name=(CSRF_FIELD) value=(shell.csrf);
                button .ghost type="submit" { (shell.t("Sign out")) }
            }
        }
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Operator => "Operator",
        Role::Publisher => "Publisher",
        Role::Admin => "Admin",
        Role::Viewer => "Viewer",
    }
}

/// The same list twice: open beside the page where there is room, folded above it where there is not.
fn navigation(shell: &Shell) -> Markup {
    html! {
        nav .side aria-label=(shell.t("Pages")) { (links(shell)) }
        details .menu {
            summary { (shell.t("Menu")) }
            nav aria-label=(shell.t("Pages")) { (links(shell)) }
        }
    }
}

fn links(shell: &Shell) -> Markup {
    html! {
        @if shell.role == Some(Role::Operator) && shell.face == Face::Dashboard {
            p .section { (shell.t("Installation")) }
            ul {
                @for (label, to) in INSTALLATION { (link(shell, to, shell.t(label))) }
            }
        }
        @if let Some(base) = &shell.tenant_base {
            @for (heading, items) in SECTIONS {
                @let items: Vec<&Item> = items.iter().filter(|item| shows(shell, item)).collect();
                @if !items.is_empty() {
                    p .section { (shell.t(heading)) }
                    ul {
                        @for item in items { (link(shell, &format!("{base}{}", item.path), shell.t(item.label))) }
                    }
                }
            }
        }
    }
}

fn shows(shell: &Shell, item: &Item) -> bool {
    (!item.webhooks || shell.sees_webhooks)
        && (!item.admins || shell.role != Some(Role::Viewer))
        && (!item.records || shell.has_records)
}

fn link(shell: &Shell, to: &str, label: &str) -> Markup {
    html! {
        li { a href=(to) aria-current=[shell.is_here(to).then_some("page")] { (label) } }
    }
}
