//! What a scenario has to say of itself: how often, how long, and what was not as it must be.

use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Account {
    counts: BTreeMap<&'static str, usize>,
    slowest: BTreeMap<&'static str, Duration>,
    pub(super) complaints: Vec<String>,
}

impl Account {
    pub(super) fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub(super) fn add(&mut self, what: &'static str, more: usize) {
        *self.counts.entry(what).or_default() += more;
    }

    /// Keeps the longest.
    pub(super) fn took(&mut self, what: &'static str, time: Duration) {
        let slowest = self.slowest.entry(what).or_default();
        *slowest = time.max(*slowest);
    }

    pub(super) fn complain(&mut self, what: String) {
        println!("COMPLAINT {what}");
        self.complaints.push(what);
    }

    pub(super) fn print(&self) {
        println!();
        for (what, count) in &self.counts {
            println!("{what:25} {count}");
        }
        for (what, time) in &self.slowest {
            println!("slowest {what:17} {time:.1?}");
        }
    }
}
