//! Whether every fixed text of the pages has been translated: the sources are read as text.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use postrider_domain::connection::ConnectionState;
use postrider_domain::delivery::Reason;
use postrider_domain::run::{RunState, TriggerKind};
use postrider_domain::verify::{BodyChange, Finding, SecretMisreading};
use postrider_engine::catalogue::Role;
use postrider_engine::outbound::matcher::No;

const GERMAN: &str = include_str!("../../lang/de.tsv");

/// Functions that choose a text which others give to `t`: every literal in them is such a text.
const CHOOSERS: &[(&str, &str)] = &[
    ("layout.rs", "fn role_name("),
    ("pages/connections/show.rs", "fn next("),
    ("pages/deliveries/advice.rs", "fn mend("),
    ("pages/deliveries/row.rs", "fn class_words("),
    ("pages/event_types/mod.rs", "fn label("),
    ("pages/requests/words.rs", "fn said_of("),
    ("pages/runs/show.rs", "fn no_steps("),
    ("pages/runs/steps.rs", "fn state("),
    ("pages/triggers/mod.rs", "fn kind_label("),
    ("pages/webhooks/standing.rs", "fn label("),
    ("pages/webhooks/standing.rs", "fn why("),
    ("pages/webhooks/why.rs", "fn off_because("),
    ("parts/attempt.rs", "fn advice("),
    ("parts/attempt.rs", "fn class_name("),
    ("parts/attempt.rs", "fn connection("),
    ("parts/attempt.rs", "fn meaning("),
    ("parts/mod.rs", "fn state_badge("),
];

/// Tables of a name and its text: every second literal in them is given to `t`.
const TABLES: &[(&str, &str)] = &[
    ("pages/event_types/schema.rs", "const BOUNDS:"),
    ("pages/webhooks/charts.rs", "static RANGES:"),
    ("pages/webhooks/secret.rs", "OVERLAPS:"),
];

fn source_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

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

/// What a string literal says, and what comes behind it; `rest` begins behind its first quote.
fn literal(rest: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = rest.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return (text, chars.as_str()),
            '\\' => match chars.next().expect("a literal ends with a quote") {
                // The line goes on where its next word begins.
                '\n' => chars = chars.as_str().trim_start().chars(),
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
        .map(|rest| literal(rest).0)
        .collect()
}

/// The literals of a function or a table, which ends with a line that stands as far in as its first.
fn literals_of(source: &str, beginning: &str, end: char) -> Vec<String> {
    let at = source.find(beginning).unwrap_or_else(|| panic!("there is no {beginning}"));
    let line = source[..at].rfind('\n').map_or(0, |before| before + 1);
    let indent: String = source[line..].chars().take_while(|char| *char == ' ').collect();
    let length = source[at..].find(&format!("\n{indent}{end}")).expect("what begins has an end");
    let mut rest = &source[at..at + length];
    let mut found = Vec::new();
    while let Some((_, behind)) = rest.split_once('"') {
        let (text, after) = literal(behind);
        found.push(text);
        rest = after;
    }
    assert!(!found.is_empty(), "{beginning} has no text");
    found
}

fn read(name: &str) -> String {
    std::fs::read_to_string(source_directory().join(name)).expect("the source is there")
}

/// Those that have no German.
fn missing(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let known: HashSet<&str> =
        GERMAN.lines().filter_map(|line| line.split_once('\t')).map(|(english, _)| english).collect();
    let texts: HashSet<String> = texts.into_iter().collect();
    let mut missing: Vec<String> = texts.into_iter().filter(|text| !known.contains(text.as_str())).collect();
    missing.sort();
    missing
}

#[test]
fn literals_are_read_as_rust_reads_them() {
    let source =
        "visit.t(\"One\") format(\"no\") t(\n    \"Two \\\n     \\\"words\\\"\",\n) shell.t(name) it(\"no\")";
    assert_eq!(given_to_t(source), ["One", "Two \"words\""]);
    let source = "mod a {\n    fn it() {\n        if x { \"One\" }\n        { \"Two\" }\n    }\n \"no\"\n}";
    assert_eq!(literals_of(source, "fn it(", '}'), ["One", "Two"]);
}

#[test]
fn every_fixed_text_of_the_pages_has_a_german_translation() {
    let sources = sources(&source_directory());
    let texts: HashSet<String> = sources.iter().flat_map(|source| given_to_t(source)).collect();
    assert!(texts.len() > 500, "the scan found only {} texts", texts.len());
    let missing = missing(texts);
    assert!(missing.is_empty(), "not in lang/de.tsv: {missing:#?}");
}

#[test]
fn every_text_that_a_function_or_a_table_chooses_has_a_german_translation() {
    let chosen = CHOOSERS.iter().flat_map(|(file, name)| literals_of(&read(file), name, '}'));
    let tables = TABLES.iter().map(|(file, name)| literals_of(&read(file), name, ']'));
    let labels = tables.flat_map(|literals| literals.into_iter().skip(1).step_by(2));
    let missing = missing(chosen.chain(labels));
    assert!(missing.is_empty(), "not in lang/de.tsv: {missing:#?}");
}

#[test]
fn every_fixed_text_of_the_engine_has_a_german_translation() {
    let mut texts: Vec<String> = Vec::new();
    texts.extend(Reason::ALL.iter().map(|reason| reason.sentence().to_owned()));
    texts.extend(RunState::ALL.iter().map(|state| state.as_str().to_owned()));
    texts.extend(TriggerKind::ALL.iter().map(|kind| kind.as_str().to_owned()));
    texts.extend(ConnectionState::ALL.iter().map(|state| state.as_str().to_owned()));
    texts.extend(Role::ALL.iter().map(|role| role.as_str().to_owned()));
    let noes = [
        No::PatternsDoNotMatch,
        No::WebhookOff,
        No::OperationalNotNamed,
        No::TestOfAnotherWebhook,
        No::NotRegisteredThen,
    ];
    texts.extend(noes.iter().map(|no| no.sentence().to_owned()));
    let changes = [
        BodyChange::WhitespaceAround,
        BodyChange::LineEndLost,
        BodyChange::LineEnds,
        BodyChange::Spaced,
        BodyChange::Rewritten,
        BodyChange::ByteOrderMark,
    ];
    let misreadings =
        [SecretMisreading::Whitespace, SecretMisreading::TextAsKey, SecretMisreading::DecodedAsKey];
    let findings = [Finding::Holds, Finding::ProfileDoesNotSign, Finding::Mismatch]
        .into_iter()
        .chain(changes.map(|change| Finding::BodyChanged { change }))
        .chain(misreadings.map(|misreading| Finding::SecretMisread { misreading }));
    texts.extend(findings.map(|finding| finding.sentence()));
    let missing = missing(texts);
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
