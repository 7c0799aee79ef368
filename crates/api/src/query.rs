//! Query parameters, with the same strictness as bodies: an unknown one is refused, not ignored.

use http::Uri;

use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;

use crate::shape::nearest;

/// More parameters than any endpoint knows: beyond it nobody is asking a question.
const PARAMETERS_MAX: usize = 32;

/// A parameter that an endpoint knows, for reading and for the document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Count,
    Time,
    /// Whatever else there is: nothing of it is read.
    Others,
}

impl Parameter {
    pub(crate) const fn text(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc, form: Form::Text }
    }

    pub(crate) const fn time(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc, form: Form::Time }
    }
}

pub(crate) const LIMIT: Parameter =
    Parameter { name: "limit", doc: "Rows on a page, 1 to 100; 25 when not given.", form: Form::Count };
pub(crate) const CURSOR: Parameter =
    Parameter { name: "cursor", doc: "`nextCursor` of the page before.", form: Form::Text };

/// For requests whose parameters others choose.
pub(crate) const OTHERS: Parameter = Parameter { name: "", doc: "", form: Form::Others };

/// The decoded parameters of a request, in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Self::default()) };
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(text.as_bytes()).into_owned().take(PARAMETERS_MAX + 1).collect();
        if pairs.len() > PARAMETERS_MAX {
            let detail = format!("A request may have at most {PARAMETERS_MAX} query parameters.");
            return Err(Problem::new(Code::InvalidField, detail));
        }
        Ok(Self(pairs))
    }

    /// The parameters of `uri`, each of which must be in `known`, and stand once.
    pub(crate) fn from_uri(uri: &Uri, known: &[Parameter]) -> Result<Self, Problem> {
        let mut query = Self::parse(uri.query())?;
        if known.iter().any(|parameter| parameter.form == Form::Others) {
            query.0.retain(|(name, _)| known.iter().any(|parameter| parameter.name == name));
        }
        for (at, (name, _)) in query.0.iter().enumerate() {
            if !known.iter().any(|parameter| parameter.name == name) {
                let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
                let detail = match (nearest(name, &names), names.is_empty()) {
                    (Some(nearest), _) => {
                        format!("There is no query parameter `{name}`. Did you mean `{nearest}`?")
                    }
                    (None, false) => {
                        format!("There is no query parameter `{name}`. Known here: {}.", names.join(", "))
                    }
                    (None, true) => {
                        format!("There is no query parameter `{name}`; this request takes none.")
                    }
                };
                return Err(Problem::at(Code::UnknownField, name, detail));
            }
            if query.0[..at].iter().any(|(earlier, _)| earlier == name) {
                let detail = format!("The query parameter `{name}` stands twice.");
                return Err(Problem::at(Code::InvalidField, name, detail));
            }
        }
        Ok(query)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn count(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.read(name, "a whole number of at least 0", |text| text.parse().ok())
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.read(name, "a time like 2026-01-31T09:30:00Z (RFC 3339)", Timestamp::parse_rfc3339)
    }

    /// A parameter in the form that `read` understands; `expected` is said when it does not.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let refused = || Problem::at(Code::InvalidField, name, format!("`{name}` must be {expected}."));
        read(text).map(Some).ok_or_else(refused)
    }

    /// What a list's cursor is bound to: everything but the place in the list. Sorted, so that order does not matter.
    pub(crate) fn filters(&self) -> Vec<(&str, &str)> {
        let mut filters: Vec<(&str, &str)> = self
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| *name != LIMIT.name && *name != CURSOR.name)
            .collect();
        filters.sort_unstable();
        filters
    }
}
