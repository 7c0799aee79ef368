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
            return Err(Problem::at(
                Code::PatternMatchesNothing,
                format!("events[{at}]"),
                format!(
                    "No event type matches `{}`. The nearest: {}.",
                    pattern.to_text(),
                    nearest(&pattern.to_text(), &offered)
                ),
            ));
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
