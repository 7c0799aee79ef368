//! What a form or a query says: names with values, in order.

/// Pairs as a browser sends them. Unknown names are left alone: a browser's extensions may add some.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of a name, without the spaces around it; none when it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// As it was sent.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a name that is not empty.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// A checkbox.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The same, as a query, with some names replaced; those with an empty value are left out.
    pub(crate) fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let kept = self.0.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in kept.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        let query = query.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }
}

/// A value as a part of a path or a query.
pub(crate) fn escaped(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let form = Form::parse(b"name=+A+%26+B+&events=a.*&events=&events=b&off=");
        assert_eq!(form.text("name"), Some("A & B"));
        assert_eq!(form.all("events").collect::<Vec<_>>(), ["a.*", "b"]);
        assert_eq!((form.text("off"), form.is_on("off"), form.is_on("on")), (None, true, false));
    }

    #[test]
    fn a_query_is_kept_but_for_what_changes() {
        let form = Form::parse(b"state=failed&cursor=x&type=a%20b");
        assert_eq!(form.with(&[("cursor", ""), ("state", "sending")]), "?type=a+b&state=sending");
        assert_eq!(Form::default().with(&[]), "");
    }
}
