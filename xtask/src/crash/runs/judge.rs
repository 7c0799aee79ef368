//! The judge of runs: what the sender was told, what the receivers wrote down, and what our own log says. Pure, and fed with
//! each kind of lie below.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the sender knows of an invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Invoked {
    /// It read a 2xx. Otherwise it does not know, and both fates are allowed.
    pub(super) acknowledged: bool,
    /// The runs that answers named, those to repetitions among them.
    pub(super) told: BTreeSet<String>,
}

/// A request of a step, as the receiver wrote it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) idempotency_key: String,
    /// The invocation, by its body.
    pub(super) invocation: String,
    pub(super) status: u16,
}

/// A run as our log has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) id: String,
    /// By its input.
    pub(super) invocation: String,
    pub(super) state: String,
    /// Classes of its step's requests, in their order.
    pub(super) attempts: Vec<String>,
    /// What its `emit` step made.
    pub(super) event: Option<String>,
}

/// An event that says which run made it: at the webhook's receiver, or in our log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Emitted {
    pub(super) event: String,
    pub(super) run: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Story {
    /// By the id that the sender gave each.
    pub(super) invoked: BTreeMap<String, Invoked>,
    pub(super) asked: Vec<Asked>,
    /// Events that the webhook's receiver took.
    pub(super) received: Vec<Emitted>,
    pub(super) runs: Vec<Logged>,
    pub(super) events: Vec<Emitted>,
    /// Runs that read otherwise after they had ended.
    pub(super) changed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Violation {
    /// Acknowledged, and there is no such run.
    Lost(String),
    /// Whatever is on disk has to come to its end.
    NotSucceeded(String, String),
    /// One dedup id, several runs.
    Twice(String),
    /// An answer named a run that is not the invocation's.
    OtherRun(String, String),
    /// The receiver saw more requests than the log has attempts.
    Unlogged(String, String),
    /// A request of no run, under another key, or with another invocation's body.
    Stray(String),
    /// The log has a success that the receiver did not give.
    Invented(String),
    /// Succeeded more often than attempts were cut short by a kill.
    Duplicate(String, String),
    /// Not exactly one event, or not the one that its step names.
    Events(String, String),
    /// The event did not arrive, or another one did.
    NotDelivered(String, String),
    Changed(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(invocation) => write!(f, "lost: {invocation} was acknowledged and has no run"),
            Self::NotSucceeded(run, state) => write!(f, "not succeeded: {run} is {state}"),
            Self::Twice(invocation) => write!(f, "twice: {invocation} has more than one run"),
            Self::OtherRun(invocation, told) => write!(f, "another run: {invocation} was told {told}"),
            Self::Unlogged(run, how) => write!(f, "un-logged: requests of {run} ({how})"),
            Self::Stray(key) => write!(f, "phantom at the receiver: a request under the key {key}"),
            Self::Invented(run) => {
                write!(f, "phantom in the log: a success of {run} that the receiver did not give")
            }
            Self::Duplicate(run, how) => write!(f, "unexplained repetition: {run} ({how})"),
            Self::Events(run, how) => write!(f, "events: {run} ({how})"),
            Self::NotDelivered(run, how) => write!(f, "not delivered: the event of {run} ({how})"),
            Self::Changed(run) => write!(f, "changed after its end: {run}"),
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) attempts: usize,
    /// Attempts under way at a kill, as the log has them.
    pub(super) unknown: usize,
    /// Requests that succeeded, beyond the first of each run.
    pub(super) repeated: usize,
}

/// Compares the accounts. To be called when nothing is open any more.
pub(super) fn check(story: &Story) -> (Vec<Violation>, Counts) {
    let (mut violations, mut counts) = (Vec::new(), Counts::default());
    let mut runs: BTreeMap<&str, &Logged> = BTreeMap::new();
    let mut by_invocation: BTreeMap<&str, &Logged> = BTreeMap::new();
    for run in &story.runs {
        runs.insert(&run.id, run);
        if by_invocation.insert(&run.invocation, run).is_some() {
            violations.push(Violation::Twice(run.invocation.clone()));
        }
    }
    for (id, invoked) in &story.invoked {
        let run = by_invocation.get(id.as_str()).copied();
        if invoked.acknowledged && run.is_none() {
            violations.push(Violation::Lost(id.clone()));
        }
        for told in invoked.told.iter().filter(|told| run.is_none_or(|run| run.id != **told)) {
            violations.push(Violation::OtherRun(id.clone(), told.clone()));
        }
    }
    let mut asked: BTreeMap<&str, Vec<&Asked>> = BTreeMap::new();
    for request in &story.asked {
        let run = request.idempotency_key.strip_suffix(":ask").and_then(|run| runs.get(run));
        match run.filter(|run| run.invocation == request.invocation) {
            Some(run) => asked.entry(&run.id).or_default().push(request),
            None => violations.push(Violation::Stray(request.idempotency_key.clone())),
        }
    }
    let (made, received) = (by_run(&story.events), by_run(&story.received));
    for run in runs.values() {
        if run.state != "succeeded" {
            violations.push(Violation::NotSucceeded(run.id.clone(), run.state.clone()));
        }
        let requests = asked.get(run.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        judge_requests(run, requests, &mut counts, &mut violations);
        judge_events(run, &made, &received, &mut violations);
    }
    for emitted in story.events.iter().chain(&story.received) {
        if !runs.contains_key(emitted.run.as_str()) {
            violations.push(Violation::Events(emitted.run.clone(), format!("{} of no run", emitted.event)));
        }
    }
    violations.extend(story.changed.iter().cloned().map(Violation::Changed));
    (violations, counts)
}

/// The different events of each run.
fn by_run(emitted: &[Emitted]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut by_run: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in emitted {
        by_run.entry(&one.run).or_default().insert(&one.event);
    }
    by_run
}

fn judge_requests(run: &Logged, asked: &[&Asked], counts: &mut Counts, violations: &mut Vec<Violation>) {
    let logged = |class: &str| run.attempts.iter().filter(|attempt| *attempt == class).count();
    let (unknown, succeeded) = (logged("unknown"), logged("success"));
    let accepted = asked.iter().filter(|request| (200..300).contains(&request.status)).count();
    counts.attempts += run.attempts.len();
    counts.unknown += unknown;
    counts.repeated += accepted.saturating_sub(1);
    let how =
        || format!("{} requests, {accepted} of them succeeded; attempts: {:?}", asked.len(), run.attempts);
    if asked.len() > run.attempts.len() {
        violations.push(Violation::Unlogged(run.id.clone(), how()));
    }
    // What was cut short may have arrived or not; everything else is known to have been answered so.
    let refused = asked.len() - accepted;
    if accepted < succeeded || asked.len() + unknown < run.attempts.len() {
        violations.push(Violation::Invented(run.id.clone()));
    }
    if accepted > succeeded + unknown || succeeded > 1 || refused > logged("status") + unknown {
        violations.push(Violation::Duplicate(run.id.clone(), how()));
    }
}

fn judge_events(
    run: &Logged,
    made: &BTreeMap<&str, BTreeSet<&str>>,
    received: &BTreeMap<&str, BTreeSet<&str>>,
    violations: &mut Vec<Violation>,
) {
    let named: BTreeSet<&str> = run.event.iter().map(String::as_str).collect();
    let none = BTreeSet::new();
    let made = made.get(run.id.as_str()).unwrap_or(&none);
    if made.len() != 1 || *made != named {
        violations.push(Violation::Events(run.id.clone(), format!("made {made:?}, names {named:?}")));
    }
    let received = received.get(run.id.as_str()).unwrap_or(&none);
    if received != made {
        violations.push(Violation::NotDelivered(run.id.clone(), format!("made {made:?}, came {received:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One invocation that went as it should; its first request was cut off by a kill, and had arrived.
    fn story() -> Story {
        let invoked = Invoked { acknowledged: true, told: BTreeSet::from(["run_1".to_owned()]) };
        let asked =
            Asked { idempotency_key: "run_1:ask".to_owned(), invocation: "i1".to_owned(), status: 200 };
        let emitted = Emitted { event: "evt_1".to_owned(), run: "run_1".to_owned() };
        Story {
            invoked: BTreeMap::from([("i1".to_owned(), invoked)]),
            asked: vec![asked.clone(), asked],
            received: vec![emitted.clone(), emitted.clone()],
            runs: vec![Logged {
                id: "run_1".to_owned(),
                invocation: "i1".to_owned(),
                state: "succeeded".to_owned(),
                attempts: vec!["unknown".to_owned(), "success".to_owned()],
                event: Some("evt_1".to_owned()),
            }],
            events: vec![emitted],
            changed: Vec::new(),
        }
    }

    #[test]
    fn a_true_story_holds() {
        let (violations, counts) = check(&story());
        assert_eq!(violations, []);
        assert_eq!(counts, Counts { attempts: 2, unknown: 1, repeated: 1 });
    }

    #[test]
    fn what_nobody_was_told_of_may_have_no_run() {
        let unheard = BTreeMap::from([("i1".to_owned(), Invoked::default())]);
        assert_eq!(check(&Story { invoked: unheard, ..Story::default() }).0, []);
    }

    #[test]
    fn every_lie_is_found() {
        let told = |lie: &dyn Fn(&mut Story)| {
            let mut story = story();
            lie(&mut story);
            check(&story).0
        };
        let run = || "run_1".to_owned();
        let has = |violations: &[Violation], wanted: &dyn Fn(&Violation) -> bool| {
            assert!(violations.iter().any(wanted), "{violations:?}");
        };
        has(&told(&|story| story.runs.clear()), &|found| *found == Violation::Lost("i1".to_owned()));
        has(&told(&|story| story.runs[0].state = "running".to_owned()), &|found| {
            *found == Violation::NotSucceeded(run(), "running".to_owned())
        });
        let second = |story: &mut Story| {
            let second = Logged { id: "run_2".to_owned(), ..story.runs[0].clone() };
            story.runs.push(second);
        };
        has(&told(&second), &|found| *found == Violation::Twice("i1".to_owned()));
        let other = |story: &mut Story| {
            let invoked = story.invoked.get_mut("i1").expect("it is there");
            invoked.told.insert("run_9".to_owned());
        };
        has(&told(&other), &|found| matches!(found, Violation::OtherRun(_, told) if told == "run_9"));
        has(&told(&|story| drop(story.runs[0].attempts.remove(0))), &|found| {
            matches!(found, Violation::Unlogged(..))
        });
        has(&told(&|story| story.asked[0].idempotency_key = "another".to_owned()), &|found| {
            *found == Violation::Stray("another".to_owned())
        });
        has(&told(&|story| story.asked[0].invocation = "i2".to_owned()), &|found| {
            matches!(found, Violation::Stray(_))
        });
        has(&told(&|story| story.asked.clear()), &|found| *found == Violation::Invented(run()));
        has(&told(&|story| story.runs[0].attempts[0] = "success".to_owned()), &|found| {
            matches!(found, Violation::Duplicate(..))
        });
        let another = |story: &mut Story| {
            story.events.push(Emitted { event: "evt_2".to_owned(), run: run() });
        };
        has(&told(&another), &|found| matches!(found, Violation::Events(..)));
        has(&told(&|story| story.runs[0].event = None), &|found| matches!(found, Violation::Events(..)));
        has(&told(&|story| story.received.clear()), &|found| matches!(found, Violation::NotDelivered(..)));
        let stray = |story: &mut Story| story.events[0].run = "run_9".to_owned();
        has(&told(&stray), &|found| matches!(found, Violation::Events(of, _) if of == "run_9"));
        has(&told(&|story| story.changed.push(run())), &|found| *found == Violation::Changed(run()));
    }
}
