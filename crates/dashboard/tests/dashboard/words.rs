//! Whether every fixed text of the pages has been translated: the sources are read as text.

use std::collections::HashSet;
use std::path::Path;

const GERMAN: &str = include_str!("../../lang/de.tsv");

/// The text of every Rust file below a directory.
fn sources(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(std::fs::read_to_string(&path).expect("sources are UTF-8"));
        }
    }
    found
}

/// What a string literal says; `rest` begins behind its first quote.
fn literal(rest: &str) -> String {
    let mut text = String::new();
    let mut chars = rest.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' => return text,
            '\\' => match chars.next().expect("a literal ends with a quote") {
                // The line goes on where its next word begins.
                '\n' => while chars.next_if(|next| next.is_whitespace()).is_some() {},
                'n' => text.push('\n'),
                't' => text.push('\t'),
                escaped => text.push(escaped),
            },
            char => text.push(char),
        }
    }
    panic!("a literal without an end: {rest:.40}")
}

/// The literals that are given to `t` and nothing else, as in `visit.t("Deliveries")`.
fn given_to_t(source: &str) -> Vec<String> {
    let is_call = |at: &usize| {
        let before = source[..*at].chars().next_back();
        !before.is_some_and(|char| char.is_alphanumeric() || char == '_')
    };
    source
        .match_indices("t(")
        .filter(|(at, _)| is_call(at))
        .filter_map(|(at, call)| source[at + call.len()..].trim_start().strip_prefix('"'))
        .map(literal)
        .collect()
}

#[test]
fn literals_are_read_as_rust_reads_them() {
    let source =
        "visit.t(\"One\") format(\"no\") t(\n    \"Two \\\n     \\\"words\\\"\",\n) shell.t(name) it(\"no\")";
    assert_eq!(given_to_t(source), ["One", "Two \"words\""]);
}

#[test]
fn every_fixed_text_of_the_pages_has_a_german_translation() {
    let known: HashSet<&str> =
        GERMAN.lines().filter_map(|line| line.split_once('\t')).map(|(english, _)| english).collect();
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let texts: HashSet<String> = sources.iter().flat_map(|source| given_to_t(source)).collect();
    assert!(texts.len() > 500, "the scan found only {} texts", texts.len());
    let mut missing: Vec<&String> = texts.iter().filter(|text| !known.contains(text.as_str())).collect();
    missing.sort();
    assert!(missing.is_empty(), "not in lang/de.tsv: {missing:#?}");
}

#[test]
fn every_line_of_the_german_file_is_one_text_and_one_translation_in_order() {
    let mut before = "";
    for (index, line) in GERMAN.lines().enumerate() {
        let number = index + 1;
        let parts: Vec<&str> = line.split('\t').collect();
        let &[english, german] = parts.as_slice() else {
            panic!("line {number} has not exactly one tab: {line:?}");
        };
        for part in [english, german] {
            assert!(
                !part.is_empty() && part.trim() == part,
                "line {number} is blank or has spaces at its ends"
            );
        }
        assert!(before < english, "line {number} is doubled or not in order: {english:?}");
        before = english;
    }
}
