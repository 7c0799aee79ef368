//! What can be said of the signature of a request that came to an inbox: of those webhooks that send there, with their keys.

use maud::{Markup, html};
use postrider_domain::verify::{Capture, Finding, verify_with_keys};
use postrider_engine::inbox::Inbox;
use postrider_store::config::InboxRequestRow;

use crate::pages::signature::finding_sentence;
use crate::parts::{self, Tone};
use crate::visit::Visit;

pub(super) enum Verdict {
    /// No webhook sends here.
    Nobodys,
    /// Those that do sign nothing.
    Unsigned,
    /// The body was cut, and a signature is over all of it.
    TooLong,
    Found(Finding),
}

/// Webhooks whose keys are tried: a check reads the whole body, and anybody may send one.
const WEBHOOKS_TRIED_MAX: usize = 10;

pub(super) fn judge(
    visit: &Visit,
    inbox: &Inbox,
    row: &InboxRequestRow,
    headers: &[(String, String)],
) -> Verdict {
    let tenant = visit.tenant();
    let mut verdict = Verdict::Nobodys;
    let sends_here = tenant.webhooks.iter().filter(|webhook| webhook.inbox.as_deref() == Some(&*inbox.slug));
    for webhook in sends_here.take(WEBHOOKS_TRIED_MAX) {
        if webhook.keys_at(row.received).next().is_none() {
            if matches!(verdict, Verdict::Nobodys) {
                verdict = Verdict::Unsigned;
            }
            continue;
        }
        if row.body_bytes > row.body.len() as u64 {
            return Verdict::TooLong;
        }
        let capture = Capture { headers, body: &row.body, received: Some(row.received) };
        let finding = verify_with_keys(tenant.profile(), capture, webhook.keys_at(row.received));
        let holds = finding.holds();
        if holds || !matches!(verdict, Verdict::Found(_)) {
            verdict = Verdict::Found(finding);
        }
        if holds {
            break;
        }
    }
    verdict
}

pub(super) fn badge(visit: &Visit, verdict: &Verdict) -> Markup {
    let t = |text| visit.t(text);
    match verdict {
        Verdict::Nobodys | Verdict::Unsigned | Verdict::Found(Finding::ProfileDoesNotSign) => {
            parts::badge(Tone::Plain, t("not signed by a webhook"))
        }
        Verdict::TooLong => parts::badge(Tone::Plain, t("too long to check")),
        Verdict::Found(Finding::Holds) => parts::badge(Tone::Good, t("verified")),
        Verdict::Found(_) => parts::badge(Tone::Bad, t("signature does not hold")),
    }
}

pub(super) fn sentence(visit: &Visit, verdict: &Verdict) -> Markup {
    let t = |text| visit.t(text);
    match verdict {
        Verdict::Nobodys => {
            html! { (t("No webhook sends here now, so there is no secret to check its signature with.")) }
        }
        Verdict::Unsigned => {
            html! { (t("The webhook that sends here had no secret, so its requests are not signed.")) }
        }
        Verdict::TooLong => {
            html! { (t("A signature is over the whole body, of which only the beginning is kept.")) }
        }
        Verdict::Found(Finding::Holds) => {
            html! { (t("Verified: the signature holds with the webhook's secret, over exactly these bytes.")) }
        }
        Verdict::Found(finding) => html! { (finding_sentence(visit, finding)) },
    }
}
