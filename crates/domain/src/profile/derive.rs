//! The record kinds and rules of a profile: `[[record]]` and `[[rule]]`.

use std::time::Duration;

use super::parse::bounded;
use super::source::{Errors, Item, Kind, Table};
use super::{EventCatalogue, Schema, SchemaMode};
use crate::expression::Expression;
use crate::json;
use crate::limits;
use crate::rules::{
    Due, Generator, Mapping, Member, Node, On, Place, RecordKind, Rule, SPREAD, Source, VARIABLES,
};

const KIND_BYTES_MAX: usize = 64;
const DAYS_MAX: f64 = 36_500.0;
/// A year of daily occurrences, made up for in one transaction.
const MISSED_MAX: f64 = 366.0;

pub(super) fn records(root: &mut Table<'_>, errors: &mut Errors<'_>) -> Vec<RecordKind> {
    let mut kinds: Vec<RecordKind> = Vec::new();
    for table in root.tables("record", errors) {
        let at = table.at;
        let Some(kind) = record(table, errors) else { continue };
        if kinds.iter().any(|known| known.name == kind.name) {
            errors.add(Some(at), format!("record kind `{}` is given twice", kind.name));
        }
        kinds.push(kind);
    }
    kinds
}

fn record(mut table: Table<'_>, errors: &mut Errors<'_>) -> Option<RecordKind> {
    let name = table.need("kind", errors).and_then(|item| {
        let name = item.string(errors)?;
        let fits = (1..=KIND_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !fits {
            errors.add(Some(item.at), "`kind` has 1 to 64 of a-z, 0-9 and _");
        }
        fits.then_some(name)
    });
    let schema = table.take("schema").and_then(|item| {
        let text = String::from_utf8(item.json(limits::JSON_DEPTH_MAX, errors)?).ok()?;
        Schema::compile(&text).map_err(|error| errors.add(Some(item.at), format!("`schema`: {error}"))).ok()
    });
    let mut schema_mode = SchemaMode::Warn;
    if let Some(item) = table.take("schema_mode") {
        let choices = [("off", SchemaMode::Off), ("warn", SchemaMode::Warn), ("reject", SchemaMode::Reject)];
        schema_mode = item.choice(&choices, errors).unwrap_or(schema_mode);
    }
    let tenant_from = table.take("tenant_from").and_then(|item| path(&item, errors));
    table.finish(errors);
    Some(RecordKind { name: name?, schema, schema_mode, tenant_from })
}

pub(super) fn rules(
    root: &mut Table<'_>,
    kinds: &[RecordKind],
    catalogue: &EventCatalogue,
    errors: &mut Errors<'_>,
) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for table in root.tables("rule", errors) {
        let at = table.at;
        let Some(rule) = rule(table, kinds, catalogue, errors) else { continue };
        if rules.iter().any(|known| known.name == rule.name) {
            let message =
                format!("rule `{}` is given twice; a second rule for an event needs a `name`", rule.name);
            errors.add(Some(at), message);
        }
        rules.push(rule);
    }
    rules
}

fn rule(
    mut table: Table<'_>,
    kinds: &[RecordKind],
    catalogue: &EventCatalogue,
    errors: &mut Errors<'_>,
) -> Option<Rule> {
    let event = event(&mut table, catalogue, errors);
    let name = table.take("name").and_then(|item| item.string(errors)).or_else(|| event.clone());
    let record = kind_of(&mut table, "record", kinds, errors);
    let at = table.at;
    let on = table.need("on", errors).and_then(|item| item.choice(&WORDS, errors));
    let due = table.table("due", errors).and_then(|table| due(table, errors));
    let on = match (on?, due) {
        (Word::Due, Some(due)) => On::Due(due),
        (Word::Due, None) => {
            errors.add(Some(at), "a rule on = \"due\" needs due = { field = … }");
            return None;
        }
        (_, Some(_)) => {
            errors.add(Some(at), "`due` belongs to on = \"due\"");
            return None;
        }
        (Word::Created, None) => On::Created,
        (Word::Changed, None) => On::Changed,
        (Word::Deleted, None) => On::Deleted,
        (Word::BecomesTrue, None) => On::BecomesTrue,
    };
    let when = table.take("when").and_then(|item| expression(&item, errors));
    if on == On::BecomesTrue && when.is_none() {
        errors.add(Some(at), "a rule on = \"becomes-true\" needs `when`: what becomes true");
    }
    let watch_item = table.take("watch");
    let watch = match watch_item {
        Some(item) if on != On::Changed => {
            errors.add(Some(item.at), "`watch` belongs to on = \"changed\"");
            Vec::new()
        }
        Some(item) => paths(&item, errors).unwrap_or_default(),
        None => Vec::new(),
    };
    let once = table.take("once").and_then(|item| item.bool(errors)).unwrap_or(false);
    let rearm = table.take("rearm").and_then(|item| {
        if !once {
            errors.add(Some(item.at), "`rearm` belongs to a rule with once = true");
        }
        expression(&item, errors)
    });
    let data = match table.need("data", errors) {
        Some(item) => item.table(errors).map(|table| mapping(table, Place::Rule, errors)),
        None => None,
    };
    table.finish(errors);
    Some(Rule {
        name: name?,
        event: event?,
        record: record?,
        on,
        when,
        watch,
        once,
        rearm,
        data: Mapping(data?),
    })
}

fn event(table: &mut Table<'_>, catalogue: &EventCatalogue, errors: &mut Errors<'_>) -> Option<String> {
    let item = table.need("event", errors)?;
    let event = item.string(errors)?;
    if !catalogue.open && !catalogue.types.iter().any(|known| known.name == event) {
        errors.add(Some(item.at), format!("`{event}` is none of the profile's event types"));
    }
    Some(event)
}

fn kind_of(
    table: &mut Table<'_>,
    key: &str,
    kinds: &[RecordKind],
    errors: &mut Errors<'_>,
) -> Option<String> {
    let item = table.need(key, errors)?;
    let record = item.string(errors)?;
    if !kinds.iter().any(|known| known.name == record) {
        let known: Vec<&str> = kinds.iter().map(|kind| kind.name.as_str()).collect();
        let message = format!("`{record}` is none of the profile's record kinds ({})", known.join(", "));
        errors.add(Some(item.at), message);
    }
    Some(record)
}

pub(super) fn generators(
    root: &mut Table<'_>,
    kinds: &[RecordKind],
    rules: &[Rule],
    catalogue: &EventCatalogue,
    errors: &mut Errors<'_>,
) -> Vec<Generator> {
    let mut generators: Vec<Generator> = Vec::new();
    for table in root.tables("generator", errors) {
        let at = table.at;
        let Some(generator) = generator(table, kinds, catalogue, errors) else { continue };
        let known = rules.iter().map(|rule| &rule.name).chain(generators.iter().map(|known| &known.name));
        if known.into_iter().any(|known| *known == generator.name) {
            let message = format!("`{}` is taken by another rule; give it a `name`", generator.name);
            errors.add(Some(at), message);
        }
        if let Some(other) =
            generators.iter().find(|other| other.record == generator.record && other.makes == generator.makes)
        {
            let message = format!(
                "`{}` makes the same records of the same templates: their ids would be the same",
                other.name
            );
            errors.add(Some(at), message);
        }
        generators.push(generator);
    }
    generators
}

fn generator(
    mut table: Table<'_>,
    kinds: &[RecordKind],
    catalogue: &EventCatalogue,
    errors: &mut Errors<'_>,
) -> Option<Generator> {
    let at = table.at;
    let event = event(&mut table, catalogue, errors);
    let name = table.take("name").and_then(|item| item.string(errors)).or_else(|| event.clone());
    let record = kind_of(&mut table, "record", kinds, errors);
    let makes = kind_of(&mut table, "makes", kinds, errors);
    for kind in [&record, &makes].into_iter().flatten() {
        let known = kinds.iter().find(|known| known.name == *kind);
        if known.is_some_and(|known| known.tenant_from.is_some()) {
            errors.add(Some(at), format!("`{kind}` names its tenant: no generator can use it"));
        }
    }
    let mut member = |key: &str, errors: &mut Errors<'_>| match table.take(key) {
        Some(item) => path(&item, errors),
        None => Some(vec![key.to_owned()]),
    };
    let (cron, interval) = (member("cron", errors), member("interval", errors));
    let due_after = table.take("due_after").and_then(|item| path(&item, errors));
    let when = table.take("when").and_then(|item| expression(&item, errors));
    let missed_max = table.take("missed").map_or(Some(1), |item| missed(&item, errors));
    let content = map(&mut table, "content", errors);
    let data = map(&mut table, "data", errors);
    table.finish(errors);
    Some(Generator {
        name: name?,
        record: record?,
        makes: makes?,
        cron: cron?,
        interval: interval?,
        due_after,
        when,
        missed_max: missed_max?,
        content: content?,
        event: event?,
        data: data?,
    })
}

/// `"latest"`, or how many of the last.
fn missed(item: &Item<'_>, errors: &mut Errors<'_>) -> Option<usize> {
    if let Some(1) = item.maybe_choice(&[("latest", 1)]) {
        return Some(1);
    }
    let number = item.number(errors)?;
    if number.fract() != 0.0 || !(1.0..=MISSED_MAX).contains(&number) {
        errors.add(Some(item.at), format!("`missed` is \"latest\", or a number from 1 to {MISSED_MAX}"));
        return None;
    }
    Some(number as usize)
}

fn map(table: &mut Table<'_>, key: &str, errors: &mut Errors<'_>) -> Option<Mapping> {
    let table = table.need(key, errors)?.table(errors)?;
    Some(Mapping(mapping(table, Place::Generator, errors)))
}

#[derive(Clone, Copy)]
enum Word {
    Created,
    Changed,
    Deleted,
    BecomesTrue,
    Due,
}

const WORDS: [(&str, Word); 5] = [
    ("created", Word::Created),
    ("changed", Word::Changed),
    ("deleted", Word::Deleted),
    ("becomes-true", Word::BecomesTrue),
    ("due", Word::Due),
];

fn due(mut table: Table<'_>, errors: &mut Errors<'_>) -> Option<Due> {
    let field = table.need("field", errors).and_then(|item| path(&item, errors));
    let after_days = table.take("after_days").map_or(Some(0), |item| {
        let days = item.number(errors)?;
        if days.fract() != 0.0 || days.abs() > DAYS_MAX {
            errors.add(Some(item.at), "`after_days` is a whole number of days");
            return None;
        }
        Some(days as i32)
    });
    let after = table.take("after").map_or(Some(Duration::ZERO), |item| {
        let text = item.string(errors)?;
        bounded(&item, &text, limits::RETRY_DELAY_MAX, errors)
    });
    table.finish(errors);
    Some(Due { field: field?, after_days: after_days?, after: after? })
}

/// With the line and column of the profile's source.
fn expression(item: &Item<'_>, errors: &mut Errors<'_>) -> Option<Expression> {
    let source = item.string(errors)?;
    match Expression::compile(&source, &VARIABLES) {
        Ok(expression) => Some(expression),
        Err(error) => {
            let line = source.split('\n').nth(error.line - 1).unwrap_or_default();
            let inside = line.char_indices().nth(error.column - 1).map_or(line.len(), |(at, _)| at);
            let before: usize = source.split_inclusive('\n').take(error.line - 1).map(str::len).sum();
            errors.add_inside(
                item.at,
                &source,
                before + inside,
                &format!("`{}`: {}", item.key, error.message),
            );
            None
        }
    }
}

fn mapping(table: Table<'_>, place: Place, errors: &mut Errors<'_>) -> Vec<Member> {
    let mut members = Vec::new();
    for item in table.into_entries() {
        let mut key = Vec::new();
        json::write_string(&mut key, &item.key);
        key.push(b':');
        let (at, name) = (item.at, item.key.clone());
        let node = match item.kind(errors) {
            Kind::Text(text) => match Source::parse(&text, place) {
                Some(Ok(source)) if name == SPREAD => Node::Spread(source),
                Some(Ok(source)) => Node::Source(source),
                Some(Err(error)) => {
                    errors.add(Some(at), error);
                    continue;
                }
                None => {
                    let mut literal = Vec::new();
                    json::write_string(&mut literal, &text);
                    Node::Literal(literal)
                }
            },
            Kind::Literal(value) => Node::Literal(value.to_string().into_bytes()),
            Kind::Table(table) => Node::Object(mapping(table, place, errors)),
            Kind::Other => {
                errors.add(
                    Some(at),
                    format!("`{name}` must be text, a number, true, false, or a table of these"),
                );
                continue;
            }
        };
        members.push(Member { key, node });
    }
    members
}

fn path(item: &Item<'_>, errors: &mut Errors<'_>) -> Option<Vec<String>> {
    let text = item.string(errors)?;
    let path = path_of(&text);
    if path.is_none() {
        errors.add(Some(item.at), format!("`{text}` is not a path like `sharing.organizationId`"));
    }
    path
}

fn paths(item: &Item<'_>, errors: &mut Errors<'_>) -> Option<Vec<Vec<String>>> {
    let mut paths = Vec::new();
    for text in item.strings(errors)? {
        match path_of(&text) {
            Some(path) => paths.push(path),
            None => errors.add(Some(item.at), format!("`{text}` is not a path like `settings.customer`")),
        }
    }
    Some(paths)
}

fn path_of(text: &str) -> Option<Vec<String>> {
    let path: Vec<String> = text.split('.').map(str::to_owned).collect();
    path.iter().all(|segment| !segment.is_empty()).then_some(path)
}
