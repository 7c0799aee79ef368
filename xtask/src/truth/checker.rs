//! The judge: three accounts of one run in, everything that does not fit out. Pure, and fed with each kind of lie below.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An event by the id that the producer gave it, at a webhook by the label in its URL. A delivery in all three accounts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pair {
    pub(crate) event: String,
    pub(crate) webhook: String,
}

/// What the producer knows of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) tenant: String,
    pub(crate) event_type: String,
    /// It read a 202. Otherwise it does not know, and both fates are allowed.
    pub(crate) acknowledged: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub(crate) tenant: String,
    /// Event types that it gets.
    pub(crate) types: BTreeSet<String>,
}

/// One request as an endpoint wrote it down, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pair: Pair,
    pub(crate) body_sha256: String,
    /// What the endpoint answered.
    pub(crate) status: u16,
}

/// A delivery as our log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) pair: Pair,
    pub(crate) state: String,
    pub(crate) attempts: Vec<Attempt>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// `success`, `status`, `unknown`, …
    pub(crate) class: String,
    /// Of the body that was sent; empty when it is not known what was sent.
    pub(crate) body_sha256: String,
}

/// The ledger of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) tenant: String,
    pub(crate) accepted: u64,
    pub(crate) scheduled: u64,
    pub(crate) sending: u64,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    /// What the product says of itself.
    pub(crate) balanced: bool,
}

impl Ledger {
    pub(crate) fn open(&self) -> u64 {
        self.scheduled + self.sending
    }
}

/// Everything that is known about a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// By event id.
    pub(crate) published: BTreeMap<String, Published>,
    /// By label.
    pub(crate) webhooks: BTreeMap<String, Webhook>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) log: Vec<Logged>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// Acknowledged, and a webhook that wants it never accepted it.
    Lost(Pair),
    /// Acknowledged, and the log has no delivery, or one that did not end as delivered.
    NotDelivered(Pair, String),
    /// An endpoint saw more requests than the log has attempts.
    Unlogged(Pair, String),
    /// An endpoint saw what nobody published, or what was not for it.
    Stray(Pair),
    /// The log has a success that no endpoint gave, or a delivery that nobody caused.
    Invented(Pair, String),
    /// Accepted more often than attempts were cut short by a kill.
    Duplicate(Pair, String),
    /// The requests of one delivery, or a request and its attempt row, differ in their bytes.
    BodyDiffers(Pair),
    /// One event and webhook, two deliveries.
    DeliveredTwice(Pair),
    Ledger(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, pair, more) = match self {
            Self::Lost(pair) => ("lost", pair, ""),
            Self::NotDelivered(pair, how) => ("not delivered", pair, how.as_str()),
            Self::Unlogged(pair, how) => ("un-logged", pair, how.as_str()),
            Self::Stray(pair) => ("phantom at the receiver", pair, ""),
            Self::Invented(pair, how) => ("phantom in the log", pair, how.as_str()),
            Self::Duplicate(pair, how) => ("unexplained duplicate", pair, how.as_str()),
            Self::BodyDiffers(pair) => ("different bodies", pair, ""),
            Self::DeliveredTwice(pair) => ("two deliveries", pair, ""),
            Self::Ledger(what) => return write!(f, "ledger: {what}"),
        };
        write!(f, "{what}: event {} at webhook {} {more}", pair.event, pair.webhook)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) lost: usize,
    pub(crate) unlogged: usize,
    pub(crate) phantom: usize,
    /// Accepting answers beyond the first of each event and webhook.
    pub(crate) duplicates: usize,
    /// Attempts in flight at a kill, as the log has them.
    pub(crate) unknown: usize,
    pub(crate) attempts: usize,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) violations: Vec<Violation>,
    pub(crate) counts: Counts,
}

/// What the endpoints saw of one delivery.
#[derive(Default)]
struct SeenPair<'a> {
    requests: usize,
    accepted: usize,
    bodies: BTreeSet<&'a str>,
}

/// Compares the three accounts. To be called when nothing is open any more.
pub(crate) fn check(story: &Story, ledgers: &[Ledger]) -> Findings {
    let mut seen: BTreeMap<&Pair, SeenPair<'_>> = BTreeMap::new();
    for request in &story.seen {
        let pair = seen.entry(&request.pair).or_default();
        pair.requests += 1;
        pair.accepted += usize::from((200..300).contains(&request.status));
        pair.bodies.insert(&request.body_sha256);
    }
    let mut logged: BTreeMap<&Pair, &Logged> = BTreeMap::new();
    let mut violations = Vec::new();
    for delivery in &story.log {
        if logged.insert(&delivery.pair, delivery).is_some() {
            violations.push(Violation::DeliveredTwice(delivery.pair.clone()));
        }
    }

    for pair in expected(story) {
        if seen.get(&pair).is_none_or(|seen| seen.accepted == 0) {
            violations.push(Violation::Lost(pair.clone()));
        }
        let state = logged.get(&pair).map_or("absent", |delivery| delivery.state.as_str());
        if state != "delivered" {
            violations.push(Violation::NotDelivered(pair, format!("({state})")));
        }
    }
    let mut counts = Counts::default();
    let nothing = SeenPair::default();
    for pair in seen.keys().chain(logged.keys()).copied().collect::<BTreeSet<_>>() {
        let (seen, logged) = (seen.get(pair).unwrap_or(&nothing), logged.get(pair).copied());
        judge(story, pair, seen, logged, &mut counts, &mut violations);
    }
    for ledger in ledgers {
        check_ledger(story, ledger, &mut violations);
    }

    let count = |is: fn(&Violation) -> bool| violations.iter().filter(|violation| is(violation)).count();
    counts.lost = count(|violation| matches!(violation, Violation::Lost(_)));
    counts.unlogged = count(|violation| matches!(violation, Violation::Unlogged(..)));
    counts.phantom = count(|violation| matches!(violation, Violation::Stray(_) | Violation::Invented(..)));
    Findings { violations, counts }
}

/// Every acknowledged event at every webhook that wants it.
fn expected(story: &Story) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (event, published) in story.published.iter().filter(|(_, published)| published.acknowledged) {
        for (label, _) in story.webhooks.iter().filter(|(_, webhook)| wants(webhook, published)) {
            pairs.push(Pair { event: event.clone(), webhook: label.clone() });
        }
    }
    pairs
}

fn wants(webhook: &Webhook, event: &Published) -> bool {
    webhook.tenant == event.tenant && webhook.types.contains(&event.event_type)
}

fn judge(
    story: &Story,
    pair: &Pair,
    seen: &SeenPair<'_>,
    logged: Option<&Logged>,
    counts: &mut Counts,
    violations: &mut Vec<Violation>,
) {
    let attempts = logged.map_or(&[][..], |delivery| &delivery.attempts);
    let of_class = |class: &str| attempts.iter().filter(|attempt| attempt.class == class).count();
    let (successes, unknown) = (of_class("success"), of_class("unknown"));
    counts.attempts += attempts.len();
    counts.unknown += unknown;

    let published = story.published.get(&pair.event);
    let webhook = story.webhooks.get(&pair.webhook);
    if !published.zip(webhook).is_some_and(|(event, webhook)| wants(webhook, event)) {
        violations.push(match logged {
            Some(delivery) if seen.requests == 0 => {
                Violation::Invented(pair.clone(), format!("({} though nobody published it)", delivery.state))
            }
            _ => Violation::Stray(pair.clone()),
        });
    }
    if seen.requests > attempts.len() {
        let how = format!("({} requests, {} attempts)", seen.requests, attempts.len());
        violations.push(Violation::Unlogged(pair.clone(), how));
    }
    let delivered = logged.is_some_and(|delivery| delivery.state == "delivered");
    if successes > seen.accepted || (delivered && successes == 0) {
        let how = format!("({successes} successes logged, {} given)", seen.accepted);
        violations.push(Violation::Invented(pair.clone(), how));
    }
    let duplicates = seen.accepted.saturating_sub(1);
    counts.duplicates += duplicates;
    // An accepting answer of which the log has no success can only belong to an attempt that a kill cut short.
    if duplicates > unknown {
        let how = format!("({duplicates} duplicates, {unknown} attempts cut short)");
        violations.push(Violation::Duplicate(pair.clone(), how));
    }
    let told = attempts.iter().map(|attempt| attempt.body_sha256.as_str()).filter(|hash| !hash.is_empty());
    if seen.bodies.iter().copied().chain(told).collect::<BTreeSet<_>>().len() > 1 {
        violations.push(Violation::BodyDiffers(pair.clone()));
    }
}

fn check_ledger(story: &Story, ledger: &Ledger, violations: &mut Vec<Violation>) {
    let tenant = &ledger.tenant;
    let ended = ledger.delivered + ledger.failed + ledger.cancelled;
    if !ledger.balanced || ledger.accepted != ledger.open() + ended {
        violations.push(Violation::Ledger(format!("{tenant} does not balance: {ledger:?}")));
    }
    let of_tenant = |label: &str| story.webhooks.get(label).is_some_and(|webhook| webhook.tenant == *tenant);
    let rows: Vec<_> = story.log.iter().filter(|delivery| of_tenant(&delivery.pair.webhook)).collect();
    let delivered = rows.iter().filter(|delivery| delivery.state == "delivered").count();
    if (ledger.accepted, ledger.delivered) != (rows.len() as u64, delivered as u64) {
        violations.push(Violation::Ledger(format!(
            "{tenant} counts {} accepted and {} delivered, its rows {} and {delivered}",
            ledger.accepted,
            ledger.delivered,
            rows.len(),
        )));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(event: &str, webhook: &str) -> Pair {
        Pair { event: event.to_owned(), webhook: webhook.to_owned() }
    }

    fn attempt(class: &str) -> Attempt {
        let body_sha256 = if class == "unknown" { String::new() } else { "h".to_owned() };
        Attempt { class: class.to_owned(), body_sha256 }
    }

    fn seen(event: &str, webhook: &str, status: u16) -> Seen {
        Seen { pair: pair(event, webhook), body_sha256: "h".to_owned(), status }
    }

    /// Two events; `w1` wants both, `w2` one. One attempt was answered with 500, one was cut short by a kill after its
    /// endpoint had accepted it.
    fn honest() -> (Story, Vec<Ledger>) {
        let types = |types: &[&str]| types.iter().map(|name| (*name).to_owned()).collect();
        let published = |event_type: &str| Published {
            tenant: "t".to_owned(),
            event_type: event_type.to_owned(),
            acknowledged: true,
        };
        let logged = |event, webhook, classes: &[&str]| Logged {
            pair: pair(event, webhook),
            state: "delivered".to_owned(),
            attempts: classes.iter().map(|class| attempt(class)).collect(),
        };
        let story = Story {
            published: [("e1", "a"), ("e2", "b")].map(|(id, of)| (id.to_owned(), published(of))).into(),
            webhooks: [
                ("w1".to_owned(), Webhook { tenant: "t".to_owned(), types: types(&["a", "b"]) }),
                ("w2".to_owned(), Webhook { tenant: "t".to_owned(), types: types(&["a"]) }),
            ]
            .into(),
            seen: vec![
                seen("e1", "w1", 200),
                seen("e2", "w1", 500),
                seen("e2", "w1", 200),
                seen("e1", "w2", 200),
                seen("e1", "w2", 200),
            ],
            log: vec![
                logged("e1", "w1", &["success"]),
                logged("e2", "w1", &["status", "success"]),
                logged("e1", "w2", &["unknown", "success"]),
            ],
        };
        let ledger =
            Ledger { tenant: "t".to_owned(), accepted: 3, delivered: 3, balanced: true, ..Ledger::default() };
        (story, vec![ledger])
    }

    /// Spoils an honest story, and expects exactly this to be found.
    fn check_spoilt(spoil: impl FnOnce(&mut Story, &mut Ledger), expected: &[Violation]) {
        let (mut story, mut ledgers) = honest();
        spoil(&mut story, &mut ledgers[0]);
        assert_eq!(check(&story, &ledgers).violations, expected);
    }

    #[test]
    fn an_honest_run_has_no_violation_and_its_duplicate_is_counted() {
        let (story, ledgers) = honest();
        let findings = check(&story, &ledgers);
        assert_eq!(findings.violations, []);
        let counts = Counts { duplicates: 1, unknown: 1, attempts: 5, ..Counts::default() };
        assert_eq!(findings.counts, counts);
    }

    #[test]
    fn an_event_that_no_endpoint_accepted_is_lost() {
        check_spoilt(
            |story, _| {
                story.seen.remove(0);
            },
            &[
                Violation::Lost(pair("e1", "w1")),
                Violation::Invented(pair("e1", "w1"), "(1 successes logged, 0 given)".to_owned()),
            ],
        );
    }

    #[test]
    fn an_event_that_left_no_trace_is_lost() {
        check_spoilt(
            |story, ledger| {
                story.seen.remove(0);
                story.log.remove(0);
                (ledger.accepted, ledger.delivered) = (2, 2);
            },
            &[
                Violation::Lost(pair("e1", "w1")),
                Violation::NotDelivered(pair("e1", "w1"), "(absent)".to_owned()),
            ],
        );
    }

    #[test]
    fn a_delivery_that_ended_otherwise_is_found() {
        check_spoilt(
            |story, ledger| {
                story.log[0].state = "failed".to_owned();
                (ledger.delivered, ledger.failed) = (2, 1);
            },
            &[Violation::NotDelivered(pair("e1", "w1"), "(failed)".to_owned())],
        );
    }

    #[test]
    fn an_event_that_was_not_acknowledged_may_be_absent() {
        check_spoilt(
            |story, _| {
                let unacknowledged = Published { acknowledged: false, ..story.published["e1"].clone() };
                story.published.insert("e3".to_owned(), unacknowledged);
            },
            &[],
        );
    }

    #[test]
    fn a_request_without_an_attempt_is_unlogged() {
        check_spoilt(
            |story, _| story.seen.push(seen("e2", "w1", 500)),
            &[Violation::Unlogged(pair("e2", "w1"), "(3 requests, 2 attempts)".to_owned())],
        );
    }

    #[test]
    fn an_event_at_the_wrong_endpoint_is_a_phantom() {
        check_spoilt(
            |story, _| story.seen.push(seen("e2", "w2", 500)),
            &[
                Violation::Stray(pair("e2", "w2")),
                Violation::Unlogged(pair("e2", "w2"), "(1 requests, 0 attempts)".to_owned()),
            ],
        );
    }

    #[test]
    fn a_delivery_of_an_event_that_nobody_published_is_a_phantom() {
        check_spoilt(
            |story, ledger| {
                let mut delivery = story.log[0].clone();
                delivery.pair = pair("e9", "w1");
                delivery.state = "failed".to_owned();
                delivery.attempts.clear();
                story.log.push(delivery);
                (ledger.accepted, ledger.failed) = (4, 1);
            },
            &[Violation::Invented(pair("e9", "w1"), "(failed though nobody published it)".to_owned())],
        );
    }

    #[test]
    fn a_success_that_no_endpoint_gave_is_a_phantom() {
        check_spoilt(
            |story, _| story.seen[0].status = 500,
            &[
                Violation::Lost(pair("e1", "w1")),
                Violation::Invented(pair("e1", "w1"), "(1 successes logged, 0 given)".to_owned()),
            ],
        );
    }

    #[test]
    fn a_duplicate_needs_an_attempt_that_was_cut_short() {
        check_spoilt(
            |story, _| {
                story.seen[1].status = 200;
                story.log[1].attempts[0].class = "timeout".to_owned();
            },
            &[Violation::Duplicate(pair("e2", "w1"), "(1 duplicates, 0 attempts cut short)".to_owned())],
        );
    }

    #[test]
    fn two_deliveries_of_one_event_to_one_webhook_are_found() {
        check_spoilt(
            |story, ledger| {
                story.log.push(story.log[0].clone());
                (ledger.accepted, ledger.delivered) = (4, 4);
            },
            &[Violation::DeliveredTwice(pair("e1", "w1"))],
        );
    }

    #[test]
    fn bytes_that_change_between_attempts_are_found() {
        check_spoilt(
            |story, _| story.seen[2].body_sha256 = "other".to_owned(),
            &[Violation::BodyDiffers(pair("e2", "w1"))],
        );
        check_spoilt(
            |story, _| story.log[0].attempts[0].body_sha256 = "other".to_owned(),
            &[Violation::BodyDiffers(pair("e1", "w1"))],
        );
    }

    #[test]
    fn a_ledger_that_does_not_add_up_is_found() {
        for spoil in [|ledger: &mut Ledger| ledger.balanced = false, |ledger: &mut Ledger| ledger.sending = 1]
        {
            let (story, mut ledgers) = honest();
            spoil(&mut ledgers[0]);
            let violations = check(&story, &ledgers).violations;
            assert!(matches!(&violations[..], [Violation::Ledger(_)]), "{violations:?}");
        }
    }

    #[test]
    fn a_ledger_that_counts_other_than_the_rows_is_found() {
        let (story, mut ledgers) = honest();
        (ledgers[0].accepted, ledgers[0].delivered) = (4, 4);
        let violations = check(&story, &ledgers).violations;
        assert!(matches!(&violations[..], [Violation::Ledger(_)]), "{violations:?}");
    }
}
