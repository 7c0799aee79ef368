//! The form: a request, and the secret that should have signed it.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::Problem;

use crate::page::{Page, Who};
use crate::parts;
use crate::parts::fields::{self, Field};
use crate::visit::Visit;

pub(super) static ASK: Page = Page {
    method: Method::GET,
    path: "/signature",
    who: Who::Reader,
    handle: |visit| {
        Box::pin(async move { Ok(visit.page(visit.t("Signature helper"), form(&visit, html! {}, None))) })
    },
};

/// `answer`: of what was sent before, above the form, whose secret field is always empty.
pub(super) fn form(visit: &Visit, answer: Markup, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let typed = |name: &str| visit.form.raw(name).unwrap_or_default();
    let tenant = visit.tenant();
    let own = tenant.profile();
    let profiles = visit.engine().catalogue().profiles();
    // An operator also helps with other products' requests.
    let choices: Vec<(&str, &str)> = if visit.is_operator() {
        profiles.iter().map(|profile| (profile.name.as_str(), profile.title.as_str())).collect()
    } else {
        vec![(own.name.as_str(), own.title.as_str())]
    };
    let profile = visit.form.text("profile").unwrap_or(&own.name);
    html! {
        (parts::heading(t("Signature helper"), html! {}))
        (answer)
        p { (t("Your receiver refuses a request? Paste it here with the webhook's secret, and see which part is wrong.")) }
        @if let Some((header, expected)) = own.signature_header() {
            p .hint { (t("Requests are signed in the header")) " " code { (header) } ", " (t("in the form")) " " code { (expected) } "." }
        }
        (parts::refusal(problem))
        (parts::form(visit, &visit.link("/signature"), html! {
            (fields::area(Field { name: "request", label: t("The request"), value: typed("request"), problem, required: false,
                hint: t("Headers, an empty line, and the body, as they came; or what curl -v printed with the body behind it; or JSON with headers and body. Browsers change line ends: use the two fields below where the body has several lines.") }, 10))
            details .more open[!typed("headers").is_empty() || !typed("body").is_empty()] {
                summary { (t("Headers and body in two fields")) }
                (fields::area(Field { name: "headers", label: t("Headers"), value: typed("headers"), hint: t("One in a line: name, colon, value."), problem, ..Field::default() }, 5))
                (fields::area(Field { name: "body", label: t("Body"), value: typed("body"), hint: t("The raw bytes, before any JSON parser."), problem, ..Field::default() }, 6))
                (fields::choice(Field { name: "line-ends", label: t("Line ends in the body"), value: typed("line-ends"), ..Field::default() },
                    &[("lf", t("LF, as most programs write them")), ("crlf", t("CR LF"))]))
            }
            @if choices.len() > 1 {
                (fields::choice(Field { name: "profile", label: t("Profile"), value: profile, ..Field::default() }, &choices))
            }
            (fields::text(Field { name: "secret", label: t("Secret"), value: "", hint: t("The webhook's signing secret as your receiver has it. It is neither stored nor shown."), required: true, problem }, "password"))
            (fields::check("now", t("It was received just now: check its time too"), visit.form.is_on("now")))
            div .actions { button type="submit" { (t("Check the signature")) } }
        }))
    }
}
