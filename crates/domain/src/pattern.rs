//! Which event types a webhook asks for: an exact type, `vehicle.*` (one or more further segments), or `*`.

use crate::event::{OPERATIONAL_TYPES, is_event_type};
use crate::limits;
use crate::nearest::nearest;
use crate::problem::{Code, Problem};
use crate::profile::EventCatalogue;

/// A webhook's event patterns, checked and ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    /// Everything below this prefix, which ends in a dot.
    Below(String),
    Everything,
}

impl Patterns {
    /// Reads patterns as a caller wrote them. `pattern_invalid` with the item at fault, as `events[2]`.
    pub fn parse(texts: &[String]) -> Result<Self, Problem> {
        if texts.is_empty() {
            return Err(Problem::at(
                Code::PatternInvalid,
                "events",
                "A webhook needs at least one event pattern; `*` asks for every event.",
            ));
        }
        if texts.len() > limits::PATTERNS_PER_WEBHOOK_MAX {
            return Err(Problem::at(
                Code::TooManyItems,
                "events",
                format!("A webhook can have at most {} event patterns.", limits::PATTERNS_PER_WEBHOOK_MAX),
            ));
        }
        let mut patterns = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            let pattern = Pattern::parse(text).ok_or_else(|| {
                Problem::at(
                    Code::PatternInvalid,
                    format!("events[{at}]"),
                    "An event pattern is an event type (`vehicle.created`), a type's beginning with `.*` \
                     (`vehicle.*`), or `*`.",
                )
            })?;
            patterns.push(pattern);
        }
        Ok(Self(patterns))
    }

    /// The patterns of a webhook that does not choose: `*`.
    pub fn everything() -> Self {
        Self(vec![Pattern::Everything])
    }

    pub fn matches(&self, event_type: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(event_type))
    }

    /// Whether a pattern is exactly this type. Operational events go only where they are named so.
    pub fn names_exactly(&self, event_type: &str) -> bool {
        self.0.iter().any(|pattern| matches!(pattern, Pattern::Exact(exact) if exact == event_type))
    }

    /// As they were written.
    pub fn as_strings(&self) -> Vec<String> {
        self.0.iter().map(Pattern::to_text).collect()
    }

    /// Refuses a pattern that can match nothing, naming the nearest types. `registered`: types that were added to the
    /// profile's own; `exposed`: the types that this installation offers, where it offers fewer. In an open catalogue
    /// any type may come, so nothing is refused.
    pub fn check_against(
        &self,
        catalogue: &EventCatalogue,
        registered: &[String],
        exposed: Option<&[String]>,
    ) -> Result<(), Problem> {
        if catalogue.open {
            return Ok(());
        }
        let offered: Vec<&str> = catalogue
            .types
            .iter()
            .map(|event_type| event_type.name.as_str())
            .chain(registered.iter().map(String::as_str))
            .filter(|name| exposed.is_none_or(|exposed| exposed.iter().any(|one| one == name)))
            .collect();
        for (at, pattern) in self.0.iter().enumerate() {
            let operational =
                OPERATIONAL_TYPES.iter().any(|name| *pattern == Pattern::Exact((*name).to_owned()));
            if operational || offered.iter().any(|name| pattern.matches(name)) {
                continue;
            }
            let text = pattern.to_text();
            let detail = match nearest(&text, &offered).as_str() {
                "" => format!("No event type matches `{text}`: there are no event types here."),
                names => format!("No event type matches `{text}`. The nearest: {names}."),
            };
            return Err(Problem::at(Code::PatternMatchesNothing, format!("events[{at}]"), detail));
        }
        Ok(())
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everything);
        }
        match text.strip_suffix(".*") {
            Some(prefix) => is_event_type(prefix).then(|| Self::Below(format!("{prefix}."))),
            None => is_event_type(text).then(|| Self::Exact(text.to_owned())),
        }
    }

    fn matches(&self, event_type: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == event_type,
            Self::Below(prefix) => event_type.len() > prefix.len() && event_type.starts_with(prefix.as_str()),
            Self::Everything => true,
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Exact(exact) => exact.clone(),
            Self::Below(prefix) => format!("{prefix}*"),
            Self::Everything => "*".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::{Profile, builtin_profiles};

    fn patterns(texts: &[&str]) -> Patterns {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Patterns::parse(&texts).expect("good patterns")
    }

    fn profile(name: &str) -> std::sync::Arc<Profile> {
        builtin_profiles().into_iter().find(|known| known.name == name).expect("a built-in profile")
    }

    #[test]
    fn a_pattern_matches_by_segment() {
        for (pattern, event_type, expected) in [
            ("vehicle.created", "vehicle.created", true),
            ("vehicle.created", "vehicle.create", false),
            ("vehicle.created", "vehicle.created.again", false),
            ("vehicle.created", "Vehicle.created", false),
            ("vehicle.*", "vehicle.created", true),
            ("vehicle.*", "vehicle.part.created", true),
            ("vehicle.*", "vehicle", false),
            ("vehicle.*", "vehicles.created", false),
            ("maintenance.task.*", "maintenance.task.created", true),
            ("maintenance.task.*", "maintenance.tasks.created", false),
            ("maintenance.task.*", "maintenance.other", false),
            ("maintenance.*", "maintenance.task.created", true),
            ("*", "anything.at.all", true),
        ] {
            assert_eq!(patterns(&[pattern]).matches(event_type), expected, "{pattern} and {event_type}");
        }
    }

    #[test]
    fn only_the_full_name_asks_for_operational_events() {
        let both = patterns(&["webhook.*", "*", "delivery.exhausted"]);
        assert!(both.names_exactly("delivery.exhausted"));
        assert!(!both.names_exactly("webhook.disabled"));
    }

    #[test]
    fn a_pattern_that_is_none_is_refused_with_its_place() {
        for bad in [
            "", ".", "a.", ".a", "a..b", "*.a", "a.*.b", "a*", "**", "a.**", "a b", "ä", " *", "a.*.*", "a,b",
        ] {
            let problem = Patterns::parse(&["ok".to_owned(), bad.to_owned()]).expect_err(bad);
            assert_eq!(
                (problem.code, problem.field.as_deref()),
                (Code::PatternInvalid, Some("events[1]")),
                "{bad}"
            );
        }
        assert_eq!(Patterns::parse(&[]).expect_err("none").code, Code::PatternInvalid);
        let many = vec!["a".to_owned(); limits::PATTERNS_PER_WEBHOOK_MAX + 1];
        assert_eq!(Patterns::parse(&many).expect_err("too many").code, Code::TooManyItems);
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_refused_with_the_nearest() {
        let profile = profile("rcmanager");
        for good in ["vehicle.*", "maintenance.task.*", "parts.*", "*", "session.ended", "webhook.disabled"] {
            patterns(&[good]).check_against(&profile.catalogue, &[], None).expect(good);
        }
        for (bad, nearest) in [
            ("vehicle.creatd", "vehicle.created"),
            ("vehicles.*", "vehicle.created"),
            ("maintenance.task.created.*", "maintenance.task.created"),
            ("webhook.*", "vehicle"),
        ] {
            let problem = patterns(&["*", bad])
                .check_against(&profile.catalogue, &[], None)
                .expect_err("can match nothing");
            assert_eq!(problem.code, Code::PatternMatchesNothing);
            assert_eq!(problem.field.as_deref(), Some("events[1]"));
            assert!(problem.detail.contains(nearest), "{}", problem.detail);
        }
    }

    #[test]
    fn what_is_registered_or_exposed_decides_what_can_match() {
        let profile = profile("smartmaintenance");
        let exposed = ["task.completed".to_owned(), "user.created".to_owned()];
        for (pattern, fits) in [("task.*", true), ("user.created", true), ("shutdown.*", false), ("*", true)]
        {
            let checked = patterns(&[pattern]).check_against(&profile.catalogue, &[], Some(&exposed));
            assert_eq!(checked.is_ok(), fits, "{pattern}");
        }
        let registered = ["invoice.paid".to_owned()];
        patterns(&["invoice.*"]).check_against(&profile.catalogue, &registered, None).expect("registered");
        assert!(patterns(&["invoice.*"]).check_against(&profile.catalogue, &[], None).is_err());
        let none = patterns(&["*"])
            .check_against(&profile.catalogue, &[], Some(&[]))
            .expect_err("nothing is exposed");
        assert!(none.detail.contains("no event types"), "{}", none.detail);
    }

    #[test]
    fn an_open_catalogue_takes_any_pattern() {
        patterns(&["made.up.*"]).check_against(&profile("standard").catalogue, &[], None).expect("open");
    }

    fn event_type() -> impl Strategy<Value = String> {
        prop::collection::vec("[a-z_0-9-]{1,4}", 1..5).prop_map(|segments| segments.join("."))
    }

    proptest! {
        #[test]
        fn a_type_matches_itself_its_beginnings_and_everything(event_type in event_type()) {
            prop_assert!(patterns(&[&event_type]).matches(&event_type));
            prop_assert!(patterns(&["*"]).matches(&event_type));
            let segments: Vec<&str> = event_type.split('.').collect();
            for length in 1..=segments.len() {
                let pattern = format!("{}.*", segments[..length].join("."));
                prop_assert_eq!(patterns(&[&pattern]).matches(&event_type), length < segments.len());
            }
        }

        #[test]
        fn patterns_read_back_as_they_were_written(event_type in event_type(), below in any::<bool>()) {
            let text = if below { format!("{event_type}.*") } else { event_type };
            prop_assert_eq!(patterns(&[&text]).as_strings(), vec![text]);
        }

        #[test]
        fn no_text_panics(text in any::<String>(), other in any::<String>()) {
            if let Ok(patterns) = Patterns::parse(&[text]) {
                patterns.matches(&other);
            }
        }
    }
}
