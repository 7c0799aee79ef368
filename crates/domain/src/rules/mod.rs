//! How a change of a record, or the passing of time, becomes events. Pure: what is known of the record goes in, what follows
//! comes out; nothing here reads a clock or a store.

mod change;
mod generator;
mod mapping;

use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::expression::{Expression, Scope};
use crate::profile::{Schema, SchemaMode};
use crate::schedule;
use crate::signature;
use crate::time::Timestamp;

pub use change::{Content, changes};
pub use generator::{Generated, Generator, Made};
pub use mapping::{Mapping, Sources};
pub(crate) use mapping::{Member, Node, Place, SPREAD, Source};

/// A kind of record that a profile's tenants have.
#[derive(Debug, Clone)]
pub struct RecordKind {
    pub name: String,
    pub schema: Option<Schema>,
    pub schema_mode: SchemaMode,
    /// The record names its tenant at this path. Then it is kept per profile, and may have none.
    pub tenant_from: Option<Vec<String>>,
}

/// What a rule waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum On {
    Created,
    Changed,
    Deleted,
    /// The condition holds now, and did not before.
    BecomesTrue,
    Due(Due),
}

/// The moment that a member of the record names, and how long after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub field: Vec<String>,
    pub after_days: i32,
    pub after: Duration,
}

/// One way in which a record becomes an event.
#[derive(Debug)]
pub struct Rule {
    /// Unique in its profile; marks are kept by it.
    pub name: String,
    pub event: String,
    pub record: String,
    pub on: On,
    pub when: Option<Expression>,
    /// Of `changed`: without a difference in one of these nothing happens. Empty: the whole object.
    pub watch: Vec<Vec<String>>,
    /// At most one event for each record, ever, or until it is armed again.
    pub once: bool,
    /// Of a rule that fires once: where this holds, it may fire again.
    pub rearm: Option<Expression>,
    pub data: Mapping,
}

/// Where records of a kind are kept that name their tenant themselves: not with a tenant, but with the profile.
pub fn profile_scope(profile: &str) -> [u8; 16] {
    let hash = signature::sha256(format!("profile:{profile}").as_bytes());
    hash[..16].try_into().expect("because the slice has that length")
}

/// The names that conditions know.
pub const VARIABLES: [&str; 4] = ["old", "new", "now", "today"];

/// After so long a rule that has come due, and could not decide, is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// A write of a record, as rules see it.
pub struct Write<'a> {
    pub id: &'a str,
    pub old: Option<&'a Content>,
    pub new: Option<&'a Content>,
    pub now: Timestamp,
    pub zone: &'a TimeZone,
    /// Whether the data of events is put together: not where nobody is told.
    pub told: bool,
}

/// What follows from one rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The data of the event that it makes: compact JSON. Empty where nobody is told.
    pub fires: Option<Vec<u8>>,
    /// What becomes of the mark that it has fired for this record.
    pub mark: Mark,
    /// When it is to be looked at again without a write. `None`: never.
    pub due: Option<Timestamp>,
    /// Its condition could not be decided: a sentence.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    #[default]
    Stays,
    Set,
    Cleared,
}

impl Rule {
    /// What a write of a record of its kind leads to. `fired`: when it last fired for this record.
    pub fn after_write(&self, write: &Write<'_>, fired: Option<Timestamp>) -> Outcome {
        let mut outcome = Outcome::default();
        match self.decide(write, fired, &mut outcome) {
            Ok(()) => outcome,
            // Nothing fires, and nothing else stops.
            Err(error) => Outcome { error: Some(error), ..Outcome::default() },
        }
    }

    fn decide(
        &self,
        write: &Write<'_>,
        fired: Option<Timestamp>,
        outcome: &mut Outcome,
    ) -> Result<(), String> {
        let mut marked = fired.is_some();
        if marked && let (Some(rearm), Some(new)) = (&self.rearm, write.new) {
            marked = !rearm.holds(&scope(write, write.old, Some(new)))?;
            if !marked {
                outcome.mark = Mark::Cleared;
            }
        }
        let may_fire = !(self.once && marked);
        let mut changed = Vec::new();
        let happens = match (&self.on, write.old, write.new) {
            (On::Created, None, Some(_)) | (On::Deleted, Some(_), None) => true,
            (On::Changed, Some(old), Some(new)) => {
                changed = changes(old, new, &self.watch);
                !changed.is_empty()
            }
            (On::BecomesTrue, old, Some(new)) => {
                let before = match (old, &self.when) {
                    (Some(old), Some(when)) => when.holds(&scope(write, None, Some(old)))?,
                    _ => false,
                };
                !before && self.holds(write, None, Some(new))?
            }
            (On::Due(due), _, Some(new)) => {
                let moment = if may_fire { due.moment(new, write.zone)? } else { None };
                // Once for each moment.
                let moment = moment.filter(|moment| !marked || fired.is_none_or(|fired| fired < *moment));
                outcome.due = match moment {
                    // It has come: where the condition does not hold, it is asked again when the record is written.
                    Some(moment) if moment <= write.now && !self.holds(write, None, Some(new))? => None,
                    moment => moment,
                };
                false
            }
            _ => false,
        };
        let holds = match self.on {
            On::BecomesTrue | On::Due(_) => happens,
            _ => happens && may_fire && self.holds(write, write.old, write.new)?,
        };
        if holds && may_fire {
            self.fire(write, &changed, outcome);
        }
        Ok(())
    }

    /// Whether something of it is kept with a record: a mark, or a due time.
    pub fn lasts(&self) -> bool {
        self.once || matches!(self.on, On::Due(_))
    }

    /// Whether time alone can make it fire.
    pub fn waits(&self) -> bool {
        matches!(self.on, On::Due(_))
    }

    /// What the passing of its due time leads to. `fired`: when it last fired for this record.
    pub fn when_due(&self, write: &Write<'_>, fired: Option<Timestamp>) -> Outcome {
        let mut outcome = Outcome::default();
        let decided = (|| {
            let (On::Due(due), Some(new)) = (&self.on, write.new) else { return Ok(()) };
            if self.once && fired.is_some() {
                return Ok(());
            }
            match due.moment(new, write.zone)? {
                Some(moment) if fired.is_some_and(|fired| moment <= fired) => {}
                Some(moment) if moment > write.now => outcome.due = Some(moment),
                Some(_) if self.holds(write, None, Some(new))? => self.fire(write, &[], &mut outcome),
                // It is asked again when the record is written.
                _ => {}
            }
            Ok(())
        })();
        match decided {
            Ok(()) => outcome,
            // The profile may be mended by then.
            Err(error) => {
                Outcome { error: Some(error), due: Some(write.now.plus(ASKED_AGAIN)), ..Outcome::default() }
            }
        }
    }

    fn holds(&self, write: &Write<'_>, old: Option<&Content>, new: Option<&Content>) -> Result<bool, String> {
        self.when.as_ref().map_or(Ok(true), |when| when.holds(&scope(write, old, new)))
    }

    fn fire(&self, write: &Write<'_>, changed: &[Vec<String>], outcome: &mut Outcome) {
        if self.lasts() {
            outcome.mark = Mark::Set;
        }
        if !write.told {
            outcome.fires = Some(Vec::new());
            return;
        }
        let (changes, gathered) = match (write.old, write.new) {
            (Some(old), Some(new)) if matches!(self.on, On::Changed) => {
                (Some(change::listed(old, new, changed)), Some(change::gathered(new, changed)))
            }
            _ => (None, None),
        };
        outcome.fires = Some(self.data.write(&Sources {
            id: write.id,
            new: write.new.map(|content| &*content.json),
            old: write.old.map(|content| &*content.json),
            changes: changes.as_deref(),
            changed: gathered.as_deref(),
            ..Sources::default()
        }));
    }
}

fn scope<'s>(write: &Write<'_>, old: Option<&'s Content>, new: Option<&'s Content>) -> Scope<'s> {
    Scope::default()
        .with("old", old.map(|content| &*content.value))
        .with("new", new.map(|content| &*content.value))
        .with_text("now", write.now.to_string())
        .with_text("today", schedule::date_in(write.now, write.zone).to_string())
}

impl Due {
    /// A date is the beginning of its day in the tenant's zone, a time with an offset that moment. `None`: the record names
    /// none.
    pub fn moment(&self, record: &Content, zone: &TimeZone) -> Result<Option<Timestamp>, String> {
        let text = match record.at(&self.field) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text,
            Some(other) => return Err(self.unreadable(other)),
        };
        if let Ok(date) = text.parse::<civil::Date>()
            && text.len() == "2026-04-11".len()
        {
            let day = date.checked_add(jiff::Span::new().days(self.after_days));
            let day = day.map_err(|_| self.unreadable(&Value::String(text.clone())))?;
            return Ok(schedule::start_of_day(day, zone).map(|start| start.plus(self.after)));
        }
        let days = Duration::from_secs(u64::from(self.after_days.unsigned_abs()) * 24 * 3600);
        match Timestamp::parse_rfc3339(text) {
            Some(moment) if self.after_days < 0 => Ok(Some(moment.minus(days).plus(self.after))),
            Some(moment) => Ok(Some(moment.plus(days).plus(self.after))),
            None => Err(self.unreadable(&Value::String(text.clone()))),
        }
    }

    fn unreadable(&self, value: &Value) -> String {
        let value: String = value.to_string().chars().take(80).collect();
        format!(
            "{} is {value}: neither a date like 2026-04-11 nor a time like 2026-04-11T18:45:00Z",
            self.field.join(".")
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::profile::{Profile, builtin};

    fn content(value: Value) -> Content {
        Content::read(value.to_string().into_bytes()).expect("an object")
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a time")
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a known zone")
    }

    fn profile(name: &str) -> Profile {
        let (_, source) = builtin().iter().find(|(known, _)| *known == name).expect("it is built in");
        Profile::parse(source).expect("it is right")
    }

    fn rule<'p>(profile: &'p Profile, event: &str) -> &'p Rule {
        profile.rules.iter().find(|rule| rule.event == event).expect("the profile has it")
    }

    /// What fires on a write, with its data.
    fn fired(rule: &Rule, old: Option<Value>, new: Option<Value>) -> Option<Value> {
        let (old, new) = (old.map(content), new.map(content));
        let zone = zone("UTC");
        let now = at("2026-04-11T10:00:00Z");
        let write = Write { id: "r-1", old: old.as_ref(), new: new.as_ref(), now, zone: &zone, told: true };
        let outcome = rule.after_write(&write, None);
        assert_eq!(outcome.error, None);
        outcome.fires.map(|data| serde_json::from_slice(&data).expect("JSON"))
    }

    #[test]
    fn a_record_that_is_new_creates_and_one_that_goes_deletes() {
        let profile = profile("rcmanager");
        let vehicle = || Some(json!({"name": "Slash", "speed": 1.50}));
        let created = fired(rule(&profile, "vehicle.created"), None, vehicle());
        assert_eq!(created, Some(json!({"vehicle": {"id": "r-1", "name": "Slash", "speed": 1.5}})));
        assert_eq!(fired(rule(&profile, "vehicle.created"), vehicle(), vehicle()), None);
        let deleted = fired(rule(&profile, "vehicle.deleted"), vehicle(), None);
        assert_eq!(deleted, Some(json!({"vehicle": {"id": "r-1"}})));
        let changed = Some(json!({"name": "Slash", "speed": 2, "owner": {"id": 7}}));
        let updated = fired(rule(&profile, "vehicle.updated"), vehicle(), changed);
        assert_eq!(updated, Some(json!({"vehicle": {"id": "r-1", "speed": 2, "owner": {"id": 7}}})));
        assert_eq!(fired(rule(&profile, "vehicle.updated"), vehicle(), vehicle()), None);
    }

    #[test]
    fn only_watched_fields_update_a_job_and_the_changes_say_which() {
        let profile = profile("org-jobs");
        let updated = rule(&profile, "job.updated");
        let job = |status: &str, customer: Value| {
            Some(
                json!({"jobName": "Smith", "status": status, "settings": {"customer": customer}, "ownerUserId": "u",
                "createdAt": "2026-03-01T10:00:00.000Z", "updatedAt": "2026-03-03T14:30:00.000Z"}),
            )
        };
        assert_eq!(
            fired(updated, job("inventory", json!({"name": "J"})), job("done", json!({"name": "J"}))),
            None
        );
        let data = fired(updated, job("done", json!({"name": "J"})), job("done", json!({"name": "John"})));
        let data = data.expect("a watched field changed");
        let change =
            json!([{"field": "settings.customer", "oldValue": {"name": "J"}, "newValue": {"name": "John"}}]);
        assert_eq!(data["changes"], change);
        assert_eq!(data["job"]["name"], "Smith");
        assert!(data["job"].get("insurance").is_none(), "what is optional and missing is left out");
    }

    #[test]
    fn stock_is_low_once_per_fall() {
        let profile = profile("rcmanager");
        let low = rule(&profile, "parts.inventory.low");
        let part = |quantity: i64| Some(json!({"name": "bolt", "quantity": quantity, "threshold": 5}));
        assert!(fired(low, None, part(5)).is_some(), "new, and low already");
        assert!(fired(low, part(6), part(5)).is_some());
        assert_eq!(fired(low, part(5), part(3)), None, "it was low before");
        assert_eq!(fired(low, part(3), part(9)), None);
        assert!(fired(low, part(9), part(0)).is_some(), "it is armed again");
    }

    #[test]
    fn a_work_order_is_overdue_from_the_day_after_in_the_tenants_zone() {
        let profile = profile("runtight");
        let overdue = rule(&profile, "wo.overdue");
        let order = content(json!({"title": "t", "status": "open", "due_date": "2026-03-08"}));
        for (name, expected) in [
            ("UTC", "2026-03-09T00:00:00Z"),
            ("Asia/Jakarta", "2026-03-08T17:00:00Z"),
            // Clocks went forward on the 8th.
            ("America/New_York", "2026-03-09T04:00:00Z"),
        ] {
            let zone = zone(name);
            let due = at(expected);
            let write =
                |now| Write { id: "wo-1", old: None, new: Some(&order), now, zone: &zone, told: true };
            assert_eq!(
                overdue.after_write(&write(at("2026-03-01T00:00:00Z")), None).due,
                Some(due),
                "{name}"
            );
            let early = overdue.when_due(&write(due.minus(Duration::from_millis(1))), None);
            assert_eq!((early.fires, early.due), (None, Some(due)), "{name}");
            let late = overdue.when_due(&write(due), None);
            assert!(late.fires.is_some() && late.mark == Mark::Set, "{name}");
            assert_eq!(overdue.when_due(&write(due), Some(due)), Outcome::default(), "once");
        }
        let leap = content(json!({"status": "open", "due_date": "2028-02-28"}));
        let zone = zone("UTC");
        let write = Write {
            id: "wo-1",
            old: None,
            new: Some(&leap),
            now: at("2028-01-01T00:00:00Z"),
            zone: &zone,
            told: true,
        };
        assert_eq!(overdue.after_write(&write, None).due, Some(at("2028-02-29T00:00:00Z")));
    }

    #[test]
    fn what_is_completed_is_not_overdue_and_may_be_again_when_it_is_open_again() {
        let profile = profile("runtight");
        let overdue = rule(&profile, "wo.overdue");
        let zone = zone("UTC");
        let order = |status: &str| content(json!({"status": status, "due_date": "2026-03-08"}));
        let (done, open) = (order("completed"), order("open"));
        let now = at("2026-03-20T00:00:00Z");
        let write = |new| Write { id: "wo-1", old: None, new: Some(new), now, zone: &zone, told: true };
        assert_eq!(overdue.when_due(&write(&done), None), Outcome::default());
        assert_eq!(overdue.after_write(&write(&open), None).due, Some(at("2026-03-09T00:00:00Z")));
    }

    #[test]
    fn a_condition_that_cannot_be_decided_fires_nothing_and_says_why() {
        let profile = profile("runtight");
        let overdue = rule(&profile, "wo.overdue");
        let zone = zone("UTC");
        let odd = content(json!({"status": "open", "due_date": "next week"}));
        let write = Write {
            id: "x",
            old: None,
            new: Some(&odd),
            now: at("2026-03-20T00:00:00Z"),
            zone: &zone,
            told: true,
        };
        let outcome = overdue.after_write(&write, None);
        assert!(outcome.error.is_some_and(|error| error.contains("next week")));
        let odd = content(json!({"status": 5, "due_date": "2026-03-08"}));
        let write = Write {
            id: "x",
            old: None,
            new: Some(&odd),
            now: at("2026-03-20T00:00:00Z"),
            zone: &zone,
            told: true,
        };
        assert_eq!(overdue.when_due(&write, None), Outcome::default(), "5 is not among the states");
    }

    fn made(rule: &str) -> Rule {
        let source = format!(
            "name = \"plant\"\n[envelope]\ndata = \"{{event.data}}\"\n[catalogue]\nopen = true\n[[record]]\nkind = \"part\"\n\
             [[rule]]\nevent = \"part.told\"\nrecord = \"part\"\n{rule}\n[rule.data]\nid = \"{{id}}\"\n"
        );
        Profile::parse(&source).expect("it is right").rules.remove(0)
    }

    #[test]
    fn a_rule_that_fires_once_fires_again_where_it_is_armed_anew() {
        let rule = made("on = \"changed\"\nwhen = \"new.n > 5\"\nonce = true\nrearm = \"new.n < 2\"");
        let zone = zone("UTC");
        let now = at("2026-04-11T10:00:00Z");
        let after = |old: i64, new: i64, fired: bool| {
            let (old, new) = (content(json!({"n": old})), content(json!({"n": new})));
            let write = Write { id: "p", old: Some(&old), new: Some(&new), now, zone: &zone, told: true };
            let outcome = rule.after_write(&write, fired.then_some(now));
            (outcome.fires.is_some(), outcome.mark)
        };
        assert_eq!(after(1, 6, false), (true, Mark::Set));
        assert_eq!(after(6, 7, true), (false, Mark::Stays));
        assert_eq!(after(7, 4, true), (false, Mark::Stays));
        assert_eq!(after(4, 1, true), (false, Mark::Cleared));
        assert_eq!(after(1, 9, false), (true, Mark::Set));
    }

    #[test]
    fn a_due_rule_fires_once_for_each_moment_unless_it_fires_once() {
        let rule = made("on = \"due\"\ndue = { field = \"at\", after = \"1h\" }");
        let zone = zone("UTC");
        let part = |moment: &str| content(json!({"at": moment}));
        let (first, later) = (part("2026-04-11T08:00:00+02:00"), part("2026-04-11T09:00:00Z"));
        let now = at("2026-04-11T07:00:00Z");
        let write = |new| Write { id: "p", old: None, new: Some(new), now, zone: &zone, told: true };
        assert_eq!(rule.after_write(&write(&first), None).due, Some(now));
        let fired = rule.when_due(&write(&first), None);
        assert_eq!((fired.fires.is_some(), fired.mark), (true, Mark::Set));
        assert_eq!(rule.after_write(&write(&first), Some(now)).due, None, "it has fired for this moment");
        assert_eq!(rule.when_due(&write(&first), Some(now)).fires, None);
        assert_eq!(rule.after_write(&write(&later), Some(now)).due, Some(at("2026-04-11T10:00:00Z")));
    }

    #[test]
    fn a_merge_patch_does_what_its_document_says() {
        // The examples of RFC 7396, appendix A, whose target is an object.
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(
                content(target).patched(patch.to_string().as_bytes()).expect("an object").value,
                Arc::new(result)
            );
        }
    }

    fn small_record() -> impl Strategy<Value = Value> {
        let field =
            prop_oneof![Just(json!(null)), (0..3i64).prop_map(|n| json!(n)), "[ab]".prop_map(|s| json!(s))];
        proptest::collection::btree_map("[abc]", field, 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    proptest! {
        /// Each change put into the old value gives the new one, where it is watched.
        #[test]
        fn changes_applied_to_the_old_value_give_the_new(old in small_record(), new in small_record()) {
            let (old, new) = (content(old), content(new));
            let all = changes(&old, &new, &[]);
            let mut made = Value::clone(&old.value);
            for path in &all {
                match new.at(path) {
                    Some(value) => made[path[0].as_str()] = value.clone(),
                    None => drop(made.as_object_mut().and_then(|members| members.remove(&path[0]))),
                }
            }
            prop_assert_eq!(&made, &*new.value);
            let listed: Value = serde_json::from_slice(&change::listed(&old, &new, &all)).expect("JSON");
            for (change, path) in listed.as_array().expect("a list").iter().zip(&all) {
                prop_assert_eq!(&change["newValue"], new.at(path).unwrap_or(&Value::Null));
                prop_assert_eq!(&change["oldValue"], old.at(path).unwrap_or(&Value::Null));
            }
        }

        /// A write that changes no watched field fires nothing.
        #[test]
        fn what_is_not_watched_fires_nothing(old in small_record(), new in small_record(), fired in any::<bool>()) {
            let rule = made("on = \"changed\"\nwatch = [\"a\", \"b\"]");
            let zone = zone("UTC");
            let now = at("2026-04-11T10:00:00Z");
            let (old, new) = (content(old), content(new));
            let write = Write { id: "p", old: Some(&old), new: Some(&new), now, zone: &zone, told: true };
            let outcome = rule.after_write(&write, fired.then_some(now));
            let same = ["a", "b"].iter().all(|key| old.value.get(*key) == new.value.get(*key));
            prop_assert_eq!(outcome.fires.is_none(), same);
        }
    }
}
