//! Languages: pages are written in English; another language is a file of translations, `lang/NAME.tsv`, where a line has
//! the English text, a tab, and its translation.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The languages that a portal can be asked for, with their files.
const LANGUAGES: &[(&str, &str)] = &[("de", include_str!("../lang/de.tsv"))];

type Dictionary = HashMap<&'static str, &'static str>;

static DICTIONARIES: LazyLock<HashMap<&'static str, Dictionary>> = LazyLock::new(|| {
    let entries = |text: &'static str| text.lines().filter_map(|line| line.split_once('\t')).collect();
    LANGUAGES.iter().map(|(name, text)| (*name, entries(text))).collect()
});

/// The words of one language.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    pub(crate) language: &'static str,
    dictionary: Option<&'static Dictionary>,
}

impl Words {
    pub(crate) fn of(language: Option<&str>) -> Self {
        let known = language.and_then(|language| DICTIONARIES.get_key_value(language));
        Self {
            language: known.map_or("en", |(name, _)| name),
            dictionary: known.map(|(_, dictionary)| dictionary),
        }
    }

    /// The text in this language; in English where nobody has translated it.
    pub(crate) fn say(self, text: &'static str) -> &'static str {
        self.known(text).unwrap_or(text)
    }

    /// The translation, where there is one: of texts that may hold a value, and then have none.
    pub(crate) fn known(self, text: &str) -> Option<&'static str> {
        self.dictionary?.get(text).copied()
    }
}
