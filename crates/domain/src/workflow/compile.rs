//! From a definition to a compiled workflow. Whatever could be wrong about it in a run, and can be known before, is told here.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::definition::{BlockId, ConcurrencyRule, Kind, OnConflict, OnError, Step, StepAt, StepKind, Wait};
use super::http::{self, HttpStep, LATE, METHODS, Success};
use super::reader::{Errors, Fields, Item};
use super::schema::InputSchema;
use super::template::{Cut, EXPRESSION_KEY, LITERAL_KEY, Part, Template, cut};
use super::{DefinitionError, Workflow};
use crate::event::is_event_type;
use crate::expression::{EXPRESSION_BYTES_MAX, Expression, Room};
use crate::limits;
use crate::nearest::nearest;
use crate::pattern::Patterns;

const ID_BYTES_MAX: usize = 64;
/// What every expression of a step can name.
const VARIABLES: [&str; 5] = ["input", "steps", "run", "trigger", "now"];
/// Names that a loop cannot take for its item: those above, and what has a meaning elsewhere.
const RESERVED: [&str; 13] = [
    "input",
    "steps",
    "run",
    "trigger",
    "now",
    "secrets",
    "connections",
    "event",
    "index",
    "true",
    "false",
    "null",
    "in",
];

pub(super) fn compile(definition: &Value) -> Result<Workflow, Vec<DefinitionError>> {
    let mut errors = Errors::default();
    // Bounded before anything walks through it.
    let mut room = Room::new(2 * limits::WORKFLOW_BYTES_MAX);
    let size = room.take(definition);
    if size.is_err() || definition.to_string().len() > limits::WORKFLOW_BYTES_MAX {
        let large = format!("a definition has at most {} KiB", limits::WORKFLOW_BYTES_MAX / 1024);
        let message = size.err().filter(|message| message.contains("nested")).unwrap_or(large);
        errors.add("", message);
        return Err(errors.into_list());
    }
    let mut compiler = Compiler {
        errors,
        steps: Vec::new(),
        blocks: Vec::new(),
        ids: HashSet::new(),
        visible: Vec::new(),
        items: Vec::new(),
        secret_names: BTreeSet::new(),
        connection_names: BTreeSet::new(),
        called: BTreeSet::new(),
    };
    let workflow = compiler.workflow(definition);
    match workflow {
        Some(workflow) if compiler.errors.is_empty() => Ok(workflow),
        _ => Err(compiler.errors.into_list()),
    }
}

struct Compiler {
    errors: Errors,
    steps: Vec<Step>,
    blocks: Vec<Vec<StepAt>>,
    ids: HashSet<String>,
    /// The steps whose results the current place sees, the nearest last.
    visible: Vec<String>,
    /// The names of the items of the loops around it.
    items: Vec<String>,
    secret_names: BTreeSet<String>,
    connection_names: BTreeSet<String>,
    called: BTreeSet<String>,
}

/// Where an expression stands: each place has its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Step,
    /// Headers, query and body of an `http` step: made when it is sent, and kept nowhere.
    Request,
    /// The items of a loop, which are looked at again for each item.
    Items,
    /// What an event is asked.
    Filter,
    /// Of the workflow itself, before a run begins.
    Key,
}

impl Compiler {
    fn workflow(&mut self, definition: &Value) -> Option<Workflow> {
        let mut root = Item::root(definition).fields(&mut self.errors)?;
        let description = root.take("description").and_then(|item| {
            let text = item.text(&mut self.errors)?;
            if text.len() > limits::DESCRIPTION_BYTES_MAX {
                let message = format!("it has at most {} bytes", limits::DESCRIPTION_BYTES_MAX);
                self.errors.add(&item.path, message);
            }
            Some(text.to_owned())
        });
        let input = root.take("input").and_then(|item| {
            InputSchema::compile(item.value).map_err(|message| self.errors.add(&item.path, message)).ok()
        });
        let concurrency = root.take("concurrency").and_then(|item| self.concurrency(&item));
        let block = match root.take("steps") {
            Some(item) => self.block(&item, 1, 0),
            None => Some(self.new_block(Vec::new())),
        };
        // Those of the outermost list are what the output can name.
        let outermost = block.map_or(&[][..], |block| &self.blocks[block.0]);
        self.visible = outermost.iter().map(|at| self.steps[at.0].id.clone()).collect();
        let output = root.take("output").and_then(|item| self.template(&item, Place::Step));
        root.finish(&mut self.errors);
        Some(Workflow {
            description,
            input,
            concurrency,
            steps: std::mem::take(&mut self.steps),
            blocks: std::mem::take(&mut self.blocks),
            root: block?,
            output,
            secret_names: std::mem::take(&mut self.secret_names),
            connection_names: std::mem::take(&mut self.connection_names),
            called: std::mem::take(&mut self.called),
        })
    }

    fn concurrency(&mut self, item: &Item<'_>) -> Option<ConcurrencyRule> {
        let mut fields = item.fields(&mut self.errors)?;
        let max = match fields.take("max") {
            Some(item) => item.whole(1, u64::from(limits::WORKFLOW_CONCURRENCY_MAX), &mut self.errors),
            None => Some(1),
        };
        let key = fields.take("key").map(|item| self.condition(&item, Place::Key));
        let on_conflict = match fields.take("onConflict") {
            Some(item) => {
                let all = [OnConflict::Queue, OnConflict::Skip, OnConflict::CancelPrevious];
                item.choice(&all.map(|choice| (choice.as_str(), choice)), &mut self.errors)
            }
            None => Some(OnConflict::Queue),
        };
        fields.finish(&mut self.errors);
        let key = match key {
            Some(key) => Some(key?),
            None => None,
        };
        Some(ConcurrencyRule { max: u32::try_from(max?).ok()?, key, on_conflict: on_conflict? })
    }

    fn new_block(&mut self, steps: Vec<StepAt>) -> BlockId {
        self.blocks.push(steps);
        BlockId(self.blocks.len() - 1)
    }

    /// A list of steps. What stands in it is not seen outside it. `path_bytes`: how long the paths of its steps are at most,
    /// before their ids.
    fn block(&mut self, item: &Item<'_>, depth: usize, path_bytes: usize) -> Option<BlockId> {
        if depth > limits::WORKFLOW_DEPTH_MAX {
            let message = format!(
                "lists of steps stand inside each other at most {} times",
                limits::WORKFLOW_DEPTH_MAX
            );
            self.errors.add(&item.path, message);
            return None;
        }
        let items = item.list(&mut self.errors)?;
        let outside = self.visible.len();
        let mut steps = Vec::with_capacity(items.len());
        for item in &items {
            if self.ids.len() == limits::WORKFLOW_STEPS_MAX {
                self.errors
                    .add(&item.path, format!("a workflow has at most {} steps", limits::WORKFLOW_STEPS_MAX));
                break;
            }
            steps.extend(self.step(item, depth, path_bytes));
        }
        self.visible.truncate(outside);
        Some(self.new_block(steps))
    }

    fn step(&mut self, item: &Item<'_>, depth: usize, path_bytes: usize) -> Option<StepAt> {
        let mut fields = item.fields(&mut self.errors)?;
        let id = fields.need("id", &mut self.errors).and_then(|item| self.id(&item));
        let kind = fields.need("type", &mut self.errors).and_then(|item| {
            let all = StepKind::ALL.map(|kind| (kind.as_str(), kind));
            item.choice(&all, &mut self.errors)
        });
        let when = fields.take("when").map(|item| self.condition(&item, Place::Step));
        // Unknown ids still take their place, so that one error does not make twenty.
        let id = id.unwrap_or_default();
        let path_bytes = path_bytes + id.len();
        if path_bytes > limits::STEP_PATH_BYTES_MAX {
            let message = format!(
                "the ids of the steps around it and its own are too long together: at most {} bytes with what \
                 stands between them",
                limits::STEP_PATH_BYTES_MAX
            );
            self.errors.add(&fields.path, message);
        }
        let Some(kind) = kind else {
            // What belongs to it cannot be known.
            self.visible.push(id);
            return None;
        };
        let retries = self.retries(&mut fields, kind);
        let timeout = self.timeout(&mut fields, kind);
        let inside = Inside { depth: depth + 1, path_bytes };
        // What stands inside a step sees the step, as what comes after it does; its own expressions do not.
        let compiled = self.kind(&mut fields, kind, &id, inside);
        if !self.visible.contains(&id) {
            self.visible.push(id.clone());
        }
        let on_error = match fields.take("onError") {
            Some(item) => self.on_error(&item, kind, inside),
            None => Some(OnError::Fail),
        };
        fields.finish(&mut self.errors);
        let when = match when {
            Some(when) => Some(when?),
            None => None,
        };
        self.steps.push(Step { id, when, kind: compiled?, on_error: on_error?, retries, timeout });
        Some(StepAt(self.steps.len() - 1))
    }

    fn id(&mut self, item: &Item<'_>) -> Option<String> {
        let id = item.text(&mut self.errors)?;
        let fits = id.len() <= ID_BYTES_MAX
            && id.starts_with(|first: char| first.is_ascii_lowercase())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
        if !fits {
            let message = "an id begins with a-z and has 1 to 64 of a-z, 0-9, _ and -";
            self.errors.add(&item.path, message);
            return None;
        }
        if !self.ids.insert(id.to_owned()) {
            self.errors
                .add(&item.path, format!("there is another step `{id}`: ids are unique in a workflow"));
            return None;
        }
        Some(id.to_owned())
    }

    fn retries(&mut self, fields: &mut Fields<'_>, kind: StepKind) -> Vec<Duration> {
        if !matches!(kind, StepKind::Http | StepKind::Call) {
            if fields.has("retries") {
                let _known = fields.take("retries");
                let message =
                    "`retries` belong to http and call: what other steps do comes out the same each time";
                self.errors.add(&fields.path, message);
            }
            return Vec::new();
        }
        let Some(item) = fields.take("retries") else { return Vec::new() };
        let Some(items) = item.list(&mut self.errors) else { return Vec::new() };
        if items.len() > limits::STEP_RETRIES_MAX {
            self.errors
                .add(&item.path, format!("a step is tried again at most {} times", limits::STEP_RETRIES_MAX));
            return Vec::new();
        }
        items
            .iter()
            .filter_map(|item| item.duration(limits::STEP_RETRY_DELAY_MAX, &mut self.errors))
            .collect()
    }

    fn timeout(&mut self, fields: &mut Fields<'_>, kind: StepKind) -> Option<Duration> {
        let (default, max) = match kind {
            StepKind::Http => (Some(limits::STEP_TIMEOUT), limits::STEP_TIMEOUT_MAX),
            StepKind::Call => (None, limits::WAIT_MAX),
            _ => {
                if fields.has("timeout") {
                    let _known = fields.take("timeout");
                    let message = "`timeout` belongs to http and call, and to the `event` of a wait";
                    self.errors.add(&fields.path, message);
                }
                return None;
            }
        };
        match fields.take("timeout") {
            Some(item) => item.duration(max, &mut self.errors).or(default),
            None => default,
        }
    }

    fn on_error(&mut self, item: &Item<'_>, kind: StepKind, inside: Inside) -> Option<OnError> {
        let handled = match item.value {
            Value::Object(_) => {
                let mut fields = item.fields(&mut self.errors)?;
                let steps = fields.need("steps", &mut self.errors);
                fields.finish(&mut self.errors);
                OnError::Steps(self.nested(&steps?, inside, "!/")?)
            }
            _ => {
                let choices = [("fail", OnError::Fail), ("continue", OnError::Continue)];
                match choices.iter().find(|(name, _)| item.value.as_str() == Some(name)) {
                    Some((_, choice)) => *choice,
                    None => {
                        return item.wrong("\"fail\", \"continue\" or {\"steps\": […]}", &mut self.errors);
                    }
                }
            }
        };
        if kind == StepKind::Fail && handled != OnError::Fail {
            self.errors.add(&item.path, "a fail step is there to fail: it has no other `onError`");
        }
        Some(handled)
    }

    /// A list of steps inside a step. `between`: what stands between the step's path and those of the steps in the list.
    fn nested(&mut self, item: &Item<'_>, inside: Inside, between: &str) -> Option<BlockId> {
        self.block(item, inside.depth, inside.path_bytes + between.len())
    }

    fn kind(&mut self, fields: &mut Fields<'_>, kind: StepKind, id: &str, inside: Inside) -> Option<Kind> {
        match kind {
            StepKind::Http => self.http(fields).map(Kind::Http),
            StepKind::Transform => {
                let output = self.needed(fields, "output")?;
                Some(Kind::Transform { output })
            }
            StepKind::Condition => {
                let holds = fields.need("if", &mut self.errors);
                let holds = holds.and_then(|item| self.condition(&item, Place::Step));
                self.visible.push(id.to_owned());
                let then = fields.need("then", &mut self.errors);
                let then = then.and_then(|item| self.nested(&item, inside, "/then/"));
                let otherwise = match fields.take("else") {
                    Some(item) => self.nested(&item, inside, "/else/"),
                    None => Some(self.new_block(Vec::new())),
                };
                Some(Kind::Condition { holds: holds?, then: then?, otherwise: otherwise? })
            }
            StepKind::ForEach => self.for_each(fields, id, inside),
            StepKind::Emit => self.emit(fields),
            StepKind::Wait => self.wait(fields).map(Kind::Wait),
            StepKind::Respond => self.respond(fields),
            StepKind::Fail => {
                let message = self.needed(fields, "message")?;
                Some(Kind::Fail { message })
            }
            StepKind::Call => self.call(fields),
        }
    }

    fn for_each(&mut self, fields: &mut Fields<'_>, id: &str, inside: Inside) -> Option<Kind> {
        let items = fields.need("items", &mut self.errors).and_then(|item| {
            match self.template(&item, Place::Items)? {
                Template::Typed(items) => Some(items),
                _ => item.wrong("{\"$expr\": \"…\"} that gives a list", &mut self.errors),
            }
        });
        let max = match fields.take("max") {
            Some(item) => item.whole(1, limits::FOR_EACH_ITEMS_MAX as u64, &mut self.errors),
            None => Some(limits::FOR_EACH_ITEMS_MAX as u64),
        };
        let name = match fields.take("as") {
            Some(item) => self.item_name(&item),
            None => Some("item".to_owned()),
        };
        if let Some(name) = name.as_ref().filter(|name| self.items.contains(name)) {
            let message =
                format!("`{name}` is the item of the forEach around it: give this one another with `as`");
            self.errors.add(&fields.path, message);
        }
        self.visible.push(id.to_owned());
        self.items.push(name.clone().unwrap_or_default());
        let body = fields.need("steps", &mut self.errors);
        let body = body.and_then(|item| self.nested(&item, inside, "/999/"));
        self.items.pop();
        Some(Kind::ForEach {
            items: items?,
            name: name?.into(),
            max: usize::try_from(max?).ok()?,
            body: body?,
        })
    }

    fn item_name(&mut self, item: &Item<'_>) -> Option<String> {
        let name = item.text(&mut self.errors)?;
        let fits = name.len() <= ID_BYTES_MAX
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            // Words of the language are none.
            && Expression::compile(name, &[name]).is_ok();
        if !fits || RESERVED.contains(&name) {
            return item.wrong("a name like `item` that nothing else has", &mut self.errors);
        }
        Some(name.to_owned())
    }

    fn http(&mut self, fields: &mut Fields<'_>) -> Option<HttpStep> {
        let body_given = fields.has("body");
        let method = match fields.take("method") {
            Some(item) => {
                let method = item.choice(&METHODS, &mut self.errors);
                if body_given && matches!(method, Some("GET" | "HEAD")) {
                    self.errors.add(&item.path, "a GET or HEAD has no body");
                }
                method
            }
            None => Some(if body_given { "POST" } else { "GET" }),
        };
        let url = fields.need("url", &mut self.errors).and_then(|item| self.url(&item));
        let query = match fields.take("query") {
            Some(item) => self.entries(&item, Place::Request),
            None => Some(Vec::new()),
        };
        let headers = match fields.take("headers") {
            Some(item) => self.headers(&item, Place::Request),
            None => Some(Vec::new()),
        };
        let body = match fields.take("body") {
            Some(item) => self.template(&item, Place::Request).map(Some),
            None => Some(None),
        };
        let connection = match fields.take("connection") {
            Some(item) => self.name(&item).map(Some),
            None => Some(None),
        };
        self.connection_names.extend(connection.clone().flatten());
        let success = match fields.take("success") {
            Some(item) => self.success(&item),
            None => Some(Success::default()),
        };
        Some(HttpStep {
            method: method?,
            url: url?,
            query: query?,
            headers: headers?,
            body: body?,
            connection: connection?,
            success: success?,
        })
    }

    fn url(&mut self, item: &Item<'_>) -> Option<Template> {
        item.text(&mut self.errors)?;
        let template = self.template(item, Place::Step)?;
        let literal = match &template {
            Template::Literal(Value::String(text)) => Some(text),
            Template::Text(parts) => match parts.first() {
                Some(Part::Literal(text)) => Some(text),
                _ => None,
            },
            _ => None,
        };
        if let Some(text) = literal
            && !http::has_scheme(text)
        {
            return item
                .wrong("a URL that begins with http:// or https://, or with {{ … }}", &mut self.errors);
        }
        Some(template)
    }

    fn headers(&mut self, item: &Item<'_>, place: Place) -> Option<Vec<(String, Template)>> {
        let mut headers: Vec<(String, Template)> = Vec::new();
        let entries = item.entries(&mut self.errors)?;
        if entries.len() > http::HEADERS_MAX {
            self.errors.add(&item.path, format!("a request has at most {} headers", http::HEADERS_MAX));
            return None;
        }
        for (name, item) in entries {
            let checked = match place {
                Place::Request => http::check_header_name(name),
                _ => http::check_answer_header_name(name),
            };
            if let Err(message) = checked {
                self.errors.add(&item.path, message);
                continue;
            }
            if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                self.errors.add(&item.path, "this header is given twice; names compare without case");
                continue;
            }
            let Some(template) = self.template(&item, place) else { continue };
            if let Template::Literal(value) = &template {
                let value = super::template::text_of(value.clone());
                if let Err(message) = http::check_header_values(&[(name.to_owned(), value)]) {
                    self.errors.add(&item.path, message);
                }
            }
            headers.push((name.to_owned(), template));
        }
        Some(headers)
    }

    fn entries(&mut self, item: &Item<'_>, place: Place) -> Option<Vec<(String, Template)>> {
        let mut made = Vec::new();
        for (key, item) in item.entries(&mut self.errors)? {
            if let Some(template) = self.template(&item, place) {
                made.push((key.to_owned(), template));
            }
        }
        Some(made)
    }

    /// `"2xx"`, or a list of statuses.
    fn success(&mut self, item: &Item<'_>) -> Option<Success> {
        const EXPECTED: &str = "like \"2xx\" or [200, 404]: statuses from 200 to 599";
        let values = match item.value {
            Value::Array(values) if !values.is_empty() => values.as_slice(),
            value @ Value::String(_) => std::slice::from_ref(value),
            _ => return item.wrong(EXPECTED, &mut self.errors),
        };
        let mut ranges = Vec::with_capacity(values.len());
        for value in values {
            let range = match value {
                Value::String(text) => match text.as_str() {
                    "2xx" => Some((200, 299)),
                    "3xx" => Some((300, 399)),
                    "4xx" => Some((400, 499)),
                    "5xx" => Some((500, 599)),
                    _ => None,
                },
                value => {
                    let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
                    status.filter(|status| (200..=599).contains(status)).map(|status| (status, status))
                }
            };
            let Some(range) = range else { return item.wrong(EXPECTED, &mut self.errors) };
            ranges.push(range);
        }
        Some(Success(ranges))
    }

    fn emit(&mut self, fields: &mut Fields<'_>) -> Option<Kind> {
        let (event, record) = (fields.take("event"), fields.take("record"));
        let mut inner = match (&event, &record) {
            (Some(item), None) | (None, Some(item)) => item.fields(&mut self.errors)?,
            _ => {
                self.errors.add(&fields.path, "an emit has either an `event` or a `record`");
                return None;
            }
        };
        let made = if event.is_some() { self.emit_event(&mut inner) } else { self.emit_record(&mut inner) };
        inner.finish(&mut self.errors);
        made
    }

    fn emit_event(&mut self, fields: &mut Fields<'_>) -> Option<Kind> {
        let event_type = fields.need("type", &mut self.errors).and_then(|item| {
            let template = self.text(&item)?;
            match &template {
                Template::Literal(Value::String(text)) if !is_event_type(text) => {
                    item.wrong("an event type like `lead.created`", &mut self.errors)
                }
                _ => Some(template),
            }
        });
        let data = self.needed(fields, "data");
        let id = fields.take("id").map(|item| self.text(&item));
        let time = fields.take("time").map(|item| self.text(&item));
        Some(Kind::EmitEvent { event_type: event_type?, data: data?, id: given(id)?, time: given(time)? })
    }

    fn emit_record(&mut self, fields: &mut Fields<'_>) -> Option<Kind> {
        let kind = fields.need("kind", &mut self.errors).and_then(|item| self.text(&item));
        let id = fields.need("id", &mut self.errors).and_then(|item| self.text(&item));
        let deleted = match fields.take("deleted") {
            Some(item) => item.bool(&mut self.errors)?,
            None => false,
        };
        let data = match fields.take("data") {
            Some(item) if deleted => {
                self.errors.add(&item.path, "a record that is deleted has no data");
                None
            }
            Some(item) => self.template(&item, Place::Step).map(Some),
            None if deleted => Some(None),
            None => {
                self.errors.add(&fields.path, "a record has `data`, or `deleted: true`");
                None
            }
        };
        Some(Kind::EmitRecord { kind: kind?, id: id?, data: data? })
    }

    fn wait(&mut self, fields: &mut Fields<'_>) -> Option<Wait> {
        let found = [fields.take("for"), fields.take("until"), fields.take("event")];
        match found {
            [Some(item), None, None] => {
                let template = self.text(&item)?;
                if let Template::Literal(Value::String(text)) = &template {
                    super::duration(text, limits::WAIT_MAX)
                        .map_err(|message| self.errors.add(&item.path, message))
                        .ok()?;
                }
                Some(Wait::For(template))
            }
            [None, Some(item), None] => {
                let template = self.text(&item)?;
                if let Template::Literal(Value::String(text)) = &template
                    && crate::time::Timestamp::parse_rfc3339(text).is_none()
                {
                    return item.wrong("a time like 2026-01-31T09:30:00Z", &mut self.errors);
                }
                Some(Wait::Until(template))
            }
            [None, None, Some(item)] => {
                let mut inner = item.fields(&mut self.errors)?;
                let types = inner.need("types", &mut self.errors).and_then(|item| self.patterns(&item));
                let filter = inner.take("filter").map(|item| self.condition(&item, Place::Filter));
                let timeout = inner.need("timeout", &mut self.errors);
                let timeout = timeout.and_then(|item| item.duration(limits::WAIT_MAX, &mut self.errors));
                inner.finish(&mut self.errors);
                Some(Wait::Event { types: types?, filter: given(filter)?, timeout: timeout? })
            }
            _ => {
                self.errors.add(&fields.path, "a wait has one of `for`, `until` and `event`");
                None
            }
        }
    }

    fn patterns(&mut self, item: &Item<'_>) -> Option<Patterns> {
        let items = item.list(&mut self.errors)?;
        let mut texts = Vec::with_capacity(items.len());
        for item in &items {
            texts.push(item.text(&mut self.errors)?.to_owned());
        }
        Patterns::parse(&texts).map_err(|problem| self.errors.add(&item.path, problem.detail)).ok()
    }

    fn respond(&mut self, fields: &mut Fields<'_>) -> Option<Kind> {
        let status = match fields.take("status") {
            Some(item) => match self.template(&item, Place::Step)? {
                Template::Literal(value)
                    if !value.as_u64().is_some_and(|status| (200..=599).contains(&status)) =>
                {
                    item.wrong("a status from 200 to 599", &mut self.errors)
                }
                template => Some(template),
            },
            None => Some(Template::Literal(Value::from(200))),
        };
        let headers = match fields.take("headers") {
            Some(item) => self.headers(&item, Place::Step),
            None => Some(Vec::new()),
        };
        let body = fields.take("body").map(|item| self.template(&item, Place::Step));
        Some(Kind::Respond { status: status?, headers: headers?, body: given(body)? })
    }

    fn call(&mut self, fields: &mut Fields<'_>) -> Option<Kind> {
        let workflow = fields.need("workflow", &mut self.errors).and_then(|item| self.name(&item));
        let input = fields.take("input").map(|item| self.template(&item, Place::Step));
        let wait = match fields.take("wait") {
            Some(item) => item.bool(&mut self.errors),
            None => Some(true),
        };
        self.called.extend(workflow.clone());
        Some(Kind::Call { workflow: workflow?, input: given(input)?, wait: wait? })
    }

    /// The name of something that is kept elsewhere.
    fn name(&mut self, item: &Item<'_>) -> Option<String> {
        let name = item.text(&mut self.errors)?;
        if !super::is_name(name) {
            return item.wrong("a name: 1 to 64 of a-z, A-Z, 0-9, _ and -", &mut self.errors);
        }
        Some(name.to_owned())
    }

    fn needed(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<Template> {
        let item = fields.need(key, &mut self.errors)?;
        self.template(&item, Place::Step)
    }

    /// A template that is written as text.
    fn text(&mut self, item: &Item<'_>) -> Option<Template> {
        let expression = item.value.as_object().is_some_and(|members| members.contains_key(EXPRESSION_KEY));
        if !item.value.is_string() && !expression {
            return item.wrong("text", &mut self.errors);
        }
        self.template(item, Place::Step)
    }

    fn template(&mut self, item: &Item<'_>, place: Place) -> Option<Template> {
        match item.value {
            Value::String(text) => self.text_template(item, text, place),
            Value::Array(_) => {
                let items = item.list(&mut self.errors)?;
                let made: Vec<Option<Template>> =
                    items.iter().map(|item| self.template(item, place)).collect();
                let made: Vec<Template> = made.into_iter().collect::<Option<_>>()?;
                Some(folded_list(made))
            }
            Value::Object(members) => {
                let special =
                    [EXPRESSION_KEY, LITERAL_KEY].into_iter().find(|key| members.contains_key(*key));
                match special {
                    Some(key) if members.len() > 1 => {
                        item.wrong(&format!("an object with `{key}` alone, or without it"), &mut self.errors)
                    }
                    Some(LITERAL_KEY) => members.get(LITERAL_KEY).cloned().map(Template::Literal),
                    Some(_) => {
                        let value = members.get(EXPRESSION_KEY)?;
                        let item = Item { path: format!("{}.{EXPRESSION_KEY}", item.path), value };
                        let source = item.text(&mut self.errors)?;
                        self.expression(&item.path, source, (1, 1), place).map(Template::Typed)
                    }
                    None => Some(folded_object(self.entries_whole(item, place)?)),
                }
            }
            value => Some(Template::Literal(value.clone())),
        }
    }

    /// All members, or none where one is wrong.
    fn entries_whole(&mut self, item: &Item<'_>, place: Place) -> Option<Vec<(String, Template)>> {
        let entries = item.entries(&mut self.errors)?;
        let all = entries.len();
        let mut made = Vec::with_capacity(all);
        for (key, item) in entries {
            if let Some(template) = self.template(&item, place) {
                made.push((key.to_owned(), template));
            }
        }
        (made.len() == all).then_some(made)
    }

    fn text_template(&mut self, item: &Item<'_>, text: &str, place: Place) -> Option<Template> {
        let cuts = match cut(text) {
            Ok(cuts) => cuts,
            Err(at) => {
                let (line, column) = line_and_column(text, at);
                self.errors.add_error(DefinitionError {
                    path: item.path.clone(),
                    line: Some(line),
                    column: Some(column),
                    message: "this `{{` has no `}}`; write `{{ '{{' }}` for the braces themselves".to_owned(),
                });
                return None;
            }
        };
        let mut parts = Vec::with_capacity(cuts.len());
        for cut in cuts {
            parts.push(match cut {
                Cut::Literal(text) => Some(Part::Literal(text.to_owned())),
                Cut::Expression { source, at } => {
                    let begin = line_and_column(text, at);
                    self.expression(&item.path, source, begin, place).map(Part::Expression)
                }
            });
        }
        let parts: Vec<Part> = parts.into_iter().collect::<Option<_>>()?;
        match parts.as_slice() {
            [Part::Literal(text)] => Some(Template::Literal(Value::String(text.clone()))),
            _ => Some(Template::Text(parts)),
        }
    }

    /// An expression that is written as text by itself.
    fn condition(&mut self, item: &Item<'_>, place: Place) -> Option<Arc<Expression>> {
        let source = item.text(&mut self.errors)?;
        if source.trim_start().starts_with("{{") {
            return item.wrong("the expression itself, without {{ }}", &mut self.errors);
        }
        self.expression(&item.path, source, (1, 1), place)
    }

    /// `begin`: the line and column where the source begins in its text.
    fn expression(
        &mut self,
        path: &str,
        source: &str,
        begin: (usize, usize),
        place: Place,
    ) -> Option<Arc<Expression>> {
        let mut known: Vec<&str> = match place {
            Place::Key => vec!["input"],
            _ => VARIABLES.to_vec(),
        };
        if place != Place::Key && !self.items.is_empty() {
            known.extend(self.items.iter().map(String::as_str));
            known.push("index");
        }
        if place == Place::Filter {
            known.push("event");
        }
        // They are told apart below, with the reason.
        let mut compiled = known.clone();
        compiled.extend(LATE);
        let at = |(line, column): (usize, usize)| match line {
            1 => (begin.0, begin.1 + column - 1),
            line => (begin.0 + line - 1, column),
        };
        let error = |place: (usize, usize), message: String| {
            let (line, column) = at(place);
            DefinitionError { path: path.to_owned(), line: Some(line), column: Some(column), message }
        };
        if source.len() > EXPRESSION_BYTES_MAX {
            let message = format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes");
            self.errors.add_error(error((1, 1), message));
            return None;
        }
        let expression = match Expression::compile(source, &compiled) {
            Ok(expression) => expression,
            Err(wrong) => {
                let mut told = wrong.message.replace(", secrets, connections", "");
                if subtracts_from_name(source) {
                    told.push_str("; a name with a - is written steps['like-this']");
                }
                self.errors.add_error(error((wrong.line, wrong.column), told));
                return None;
            }
        };
        let mut wrong = None;
        for used in expression.uses() {
            let member = used.member.as_deref();
            let message = match (used.variable.as_str(), member) {
                ("secrets" | "connections", _) if place != Place::Request => format!(
                    "`{}` stand only in the headers, query and body of an http step: what else a step makes is \
                     stored and shown",
                    used.variable
                ),
                (name @ ("secrets" | "connections"), None) => {
                    format!("name what you need, as in `{name}.NAME`: it must be known before the run")
                }
                ("secrets" | "connections", Some(name)) if !super::is_name(name) => {
                    "a name has 1 to 64 of a-z, A-Z, 0-9, _ and -".to_owned()
                }
                ("secrets", Some(name)) => {
                    self.secret_names.insert(name.to_owned());
                    continue;
                }
                ("connections", Some(name)) => {
                    self.connection_names.insert(name.to_owned());
                    continue;
                }
                ("now", _) if place == Place::Items => {
                    "`now` changes while the loop goes on: take it in a transform before the loop".to_owned()
                }
                ("steps", None) => "name the step, as in `steps.fetch.output`".to_owned(),
                ("steps", Some(id)) if !self.visible.iter().any(|known| known == id) => {
                    let place = member.map_or((1, 1), |member| expression.place(member));
                    wrong = Some(error(place, self.not_visible(id)));
                    continue;
                }
                _ => continue,
            };
            wrong = Some(error(expression.place(&used.variable), message));
        }
        match wrong {
            Some(wrong) => {
                self.errors.add_error(wrong);
                None
            }
            None => Some(Arc::new(expression)),
        }
    }

    fn not_visible(&self, id: &str) -> String {
        let shown: String = id.chars().take(ID_BYTES_MAX).collect();
        if self.ids.contains(id) {
            return format!(
                "`{shown}` is not seen here: a step sees those before it in its own list and in the lists around it, \
                 and the steps that it stands inside"
            );
        }
        let visible: Vec<&str> =
            self.visible.iter().map(String::as_str).filter(|id| !id.is_empty()).collect();
        match nearest(&shown, &visible).as_str() {
            "" => format!("there is no step `{shown}` before this one"),
            names => format!("there is no step `{shown}` before this one; the nearest are {names}"),
        }
    }
}

/// Whether a name like `steps.like-this` stands there, which is read as a subtraction.
fn subtracts_from_name(source: &str) -> bool {
    ["steps.", "secrets.", "connections."].iter().any(|root| {
        source.match_indices(root).any(|(at, _)| {
            let name = &source[at + root.len()..];
            let rest = name.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || char == '_');
            rest.starts_with('-')
        })
    })
}

/// Where a step's own lists of steps stand.
#[derive(Clone, Copy)]
struct Inside {
    depth: usize,
    path_bytes: usize,
}

/// Of something that may be absent and, where it is not, may be wrong.
fn given<T>(item: Option<Option<T>>) -> Option<Option<T>> {
    match item {
        Some(Some(item)) => Some(Some(item)),
        Some(None) => None,
        None => Some(None),
    }
}

/// A list without expressions is a value.
fn folded_list(items: Vec<Template>) -> Template {
    if items.iter().any(|item| !matches!(item, Template::Literal(_))) {
        return Template::List(items);
    }
    let value = |item| match item {
        Template::Literal(value) => value,
        _ => Value::Null,
    };
    Template::Literal(Value::Array(items.into_iter().map(value).collect()))
}

fn folded_object(members: Vec<(String, Template)>) -> Template {
    if members.iter().any(|(_, item)| !matches!(item, Template::Literal(_))) {
        return Template::Object(members);
    }
    let value = |(key, item)| match item {
        Template::Literal(value) => (key, value),
        _ => (key, Value::Null),
    };
    Template::Literal(Value::Object(members.into_iter().map(value).collect()))
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let column = 1 + before.chars().rev().take_while(|char| *char != '\n').count();
    (1 + before.matches('\n').count(), column)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(definition: &Value) -> Vec<DefinitionError> {
        match Workflow::compile(definition) {
            Ok(_) => panic!("it compiles: {definition}"),
            Err(errors) => errors,
        }
    }

    fn step(step: Value) -> Value {
        json!({"steps": [step]})
    }

    fn http(key: &str, value: Value) -> Value {
        let mut made = json!({"id": "a", "type": "http", "url": "https://a.example"});
        made[key] = value;
        step(made)
    }

    fn transform(output: Value) -> Value {
        step(json!({"id": "a", "type": "transform", "output": output}))
    }

    #[test]
    fn each_error_says_where_it_is_and_what_to_do() {
        let each = |inner: Value| {
            step(json!({"id": "each", "type": "forEach", "items": {"$expr": "input"}, "steps": [inner]}))
        };
        let hear = |event: Value| step(json!({"id": "a", "type": "wait", "event": event}));
        for (definition, path, expected) in [
            (json!([]), "", "must be an object"),
            (json!({"step": []}), "", "`step` is not known here; the nearest are `steps`"),
            (json!({"description": 1}), "description", "must be text"),
            (json!({"description": "x".repeat(3000)}), "description", "at most 2000 bytes"),
            (json!({"steps": {}}), "steps", "must be a list"),
            (json!({"steps": [1]}), "steps[0]", "must be an object"),
            (
                json!({"input": {"$ref": "https://example.com"}}),
                "input",
                "cannot refer to https://example.com",
            ),
            (json!({"output": "{{ steps.a.output }}"}), "output", "there is no step `a`"),
            // Ids.
            (step(json!({"type": "transform", "output": 1})), "steps[0]", "`id` is missing"),
            (step(json!({"id": "A", "type": "transform", "output": 1})), "steps[0].id", "begins with a-z"),
            (step(json!({"id": "", "type": "transform", "output": 1})), "steps[0].id", "begins with a-z"),
            (step(json!({"id": "a/b", "type": "transform", "output": 1})), "steps[0].id", "begins with a-z"),
            (step(json!({"id": "a".repeat(65), "type": "transform", "output": 1})), "steps[0].id", "1 to 64"),
            (
                json!({"steps": [{"id": "a", "type": "transform", "output": 1},
                    {"id": "b", "type": "condition", "if": "true", "then": [{"id": "a", "type": "transform", "output": 1}]}]}),
                "steps[1].then[0].id",
                "another step `a`",
            ),
            // Types and what belongs to them.
            (step(json!({"id": "a"})), "steps[0]", "`type` is missing"),
            (step(json!({"id": "a", "type": "htttp"})), "steps[0].type", "\"http\" or \"transform\""),
            (step(json!({"id": "a", "type": "transform"})), "steps[0]", "`output` is missing"),
            (
                step(json!({"id": "a", "type": "transform", "outptu": 1, "output": 1})),
                "steps[0]",
                "`outptu` is not known here; the nearest are `output`",
            ),
            (
                step(json!({"id": "a", "type": "transform", "output": 1, "x".repeat(500): 1})),
                "steps[0]",
                "there are",
            ),
            (
                step(json!({"id": "a", "type": "transform", "output": 1, "retries": ["1s"]})),
                "steps[0]",
                "`retries` belong to http and call",
            ),
            (
                step(json!({"id": "a", "type": "transform", "output": 1, "timeout": "1s"})),
                "steps[0]",
                "`timeout` belongs to",
            ),
            (
                step(json!({"id": "a", "type": "fail", "message": "x", "onError": "continue"})),
                "steps[0].onError",
                "there to fail",
            ),
            (http("onError", json!("retry")), "steps[0].onError", "\"fail\", \"continue\" or"),
            (http("onError", json!({})), "steps[0].onError", "`steps` is missing"),
            (http("onError", json!({"steps": 1})), "steps[0].onError.steps", "must be a list"),
            (
                http("onError", json!({"steps": [{"id": "b", "type": "x"}]})),
                "steps[0].onError.steps[0].type",
                "\"http\"",
            ),
            // http.
            (step(json!({"id": "a", "type": "http"})), "steps[0]", "`url` is missing"),
            (http("url", json!(1)), "steps[0].url", "must be text"),
            (http("url", json!("ftp://a.example")), "steps[0].url", "begins with http://"),
            (http("url", json!("a.example/{{ input.a }}")), "steps[0].url", "begins with http://"),
            (
                http("url", json!("https://a.example/{{ secrets.A }}")),
                "steps[0].url",
                "stand only in the headers, query and body",
            ),
            (http("method", json!("get")), "steps[0].method", "\"GET\" or"),
            (
                step(
                    json!({"id": "a", "type": "http", "url": "https://a.example", "method": "GET", "body": 1}),
                ),
                "steps[0].method",
                "no body",
            ),
            (http("headers", json!({"Host": "x"})), "steps[0].headers.Host", "host cannot be set"),
            (
                http("headers", json!({"X-Forwarded-For": "x"})),
                "steps[0].headers.X-Forwarded-For",
                "cannot be set",
            ),
            (http("headers", json!({"a b": "x"})), "steps[0].headers.a b", "not a header name"),
            (http("headers", json!({"A": "x", "a": "y"})), "steps[0].headers.a", "given twice"),
            (http("headers", json!({"A": "x\r\nB: y"})), "steps[0].headers.A", "a character other than"),
            (
                http(
                    "headers",
                    json!(
                        (0..65).map(|at| (format!("x{at}"), json!("y"))).collect::<serde_json::Map<_, _>>()
                    ),
                ),
                "steps[0].headers",
                "at most 64",
            ),
            (http("success", json!("1xx")), "steps[0].success", "like \"2xx\""),
            (http("success", json!([99])), "steps[0].success", "from 200 to 599"),
            (http("success", json!([])), "steps[0].success", "like"),
            (http("connection", json!("a b")), "steps[0].connection", "a name"),
            (http("timeout", json!("301s")), "steps[0].timeout", "at most 300 s"),
            (http("timeout", json!(30)), "steps[0].timeout", "must be text"),
            (http("retries", json!("1s")), "steps[0].retries", "must be a list"),
            (http("retries", json!(["1s", "2d"])), "steps[0].retries[1]", "at most 86400 s"),
            (http("retries", json!(vec!["1s"; 21])), "steps[0].retries", "at most 20 times"),
            (http("retries", json!(["0s"])), "steps[0].retries[0]", "above 0"),
            // Templates.
            (transform(json!("{{ input.a ")), "steps[0].output", "line 1, column 1: this `{{` has no `}}`"),
            (
                transform(json!("a\n b {{ inptu.a }}")),
                "steps[0].output",
                "line 2, column 7: `inptu` is not known here; there are input, steps, run, trigger, now",
            ),
            (transform(json!({"x": [{"$expr": "1 +\n +"}]})), "steps[0].output.x[0].$expr", "line 2"),
            (transform(json!({"$expr": "1", "x": 2})), "steps[0].output", "`$expr` alone"),
            (transform(json!({"$literal": "1", "$expr": "2"})), "steps[0].output", "alone"),
            (transform(json!({"$expr": 1})), "steps[0].output.$expr", "must be text"),
            (transform(json!({"$expr": "1 + ".repeat(2000)})), "steps[0].output.$expr", "at most 4096 bytes"),
            (transform(json!("{{ }}")), "steps[0].output", "column 4"),
            (
                transform(json!("{{ secrets.A }}")),
                "steps[0].output",
                "line 1, column 4: `secrets` stand only in the headers",
            ),
            (transform(json!({"$expr": "has(connections.a)"})), "steps[0].output.$expr", "stored and shown"),
            (transform(json!("{{ event.id }}")), "steps[0].output", "`event` is not known here"),
            (transform(json!("{{ item }}")), "steps[0].output", "`item` is not known here"),
            (http("body", json!({"$expr": "secrets"})), "steps[0].body.$expr", "`secrets.NAME`"),
            (http("body", json!({"$expr": "secrets[input.a]"})), "steps[0].body.$expr", "`secrets.NAME`"),
            (http("body", json!({"$expr": "secrets.map(k, k)"})), "steps[0].body.$expr", "`secrets.NAME`"),
            (
                http("body", json!({"$expr": "[connections].map(c, c.a)"})),
                "steps[0].body.$expr",
                "`connections.NAME`",
            ),
            (http("body", json!({"$expr": "secrets['a b']"})), "steps[0].body.$expr", "a name has 1 to 64"),
            // References.
            (transform(json!("{{ steps.a.output }}")), "steps[0].output", "column 10: `a` is not seen here"),
            (transform(json!("{{ steps.b.output }}")), "steps[0].output", "there is no step `b` before"),
            (transform(json!({"$expr": "size(steps)"})), "steps[0].output.$expr", "name the step"),
            (transform(json!({"$expr": "steps[input.a]"})), "steps[0].output.$expr", "name the step"),
            (
                json!({"steps": [{"id": "my-step", "type": "transform", "output": 1}, {"id": "b", "type": "transform", "output": "{{ steps.my-step.output }}"}]}),
                "steps[1].output",
                "`step` is not known here; there are input, steps, run, trigger, now; a name with a - is written steps['like-this']",
            ),
            (
                json!({"steps": [
                    {"id": "if", "type": "condition", "if": "true", "then": [{"id": "in", "type": "transform", "output": 1}]},
                    {"id": "after", "type": "transform", "output": "{{ steps.in.output }}"},
                ]}),
                "steps[1].output",
                "expected identifier",
            ),
            (
                json!({"steps": [
                    {"id": "if", "type": "condition", "if": "true", "then": [{"id": "x", "type": "transform", "output": 1}]},
                ], "output": "{{ steps.x.output }}"}),
                "output",
                "`x` is not seen here",
            ),
            (
                step(json!({"id": "if", "type": "condition", "if": "true",
                    "then": [{"id": "x", "type": "transform", "output": 1}],
                    "else": [{"id": "y", "type": "transform", "output": "{{ steps.x.output }}"}]})),
                "steps[0].else[0].output",
                "`x` is not seen here",
            ),
            // Conditions, loops, emits, waits, answers, calls.
            (step(json!({"id": "a", "type": "condition", "then": []})), "steps[0]", "`if` is missing"),
            (step(json!({"id": "a", "type": "condition", "if": "true"})), "steps[0]", "`then` is missing"),
            (
                step(json!({"id": "a", "type": "condition", "if": "{{ true }}", "then": []})),
                "steps[0].if",
                "without {{ }}",
            ),
            (
                step(json!({"id": "a", "type": "forEach", "items": [1], "steps": []})),
                "steps[0].items",
                "{\"$expr\": \"…\"}",
            ),
            (
                step(
                    json!({"id": "a", "type": "forEach", "items": {"$expr": "input.filter(x, x < now)"}, "steps": []}),
                ),
                "steps[0].items.$expr",
                "`now` changes",
            ),
            (
                step(
                    json!({"id": "a", "type": "forEach", "items": {"$expr": "input"}, "max": 1001, "steps": []}),
                ),
                "steps[0].max",
                "from 1 to 1000",
            ),
            (
                step(
                    json!({"id": "a", "type": "forEach", "items": {"$expr": "input"}, "as": "steps", "steps": []}),
                ),
                "steps[0].as",
                "a name like `item`",
            ),
            (
                step(
                    json!({"id": "a", "type": "forEach", "items": {"$expr": "input"}, "as": "a-b", "steps": []}),
                ),
                "steps[0].as",
                "a name like",
            ),
            (
                each(json!({"id": "b", "type": "forEach", "items": {"$expr": "item"}, "steps": []})),
                "steps[0].steps[0]",
                "`item` is the item of the forEach around it",
            ),
            (step(json!({"id": "a", "type": "emit"})), "steps[0]", "either an `event` or a `record`"),
            (
                step(json!({"id": "a", "type": "emit", "event": {"type": "a b", "data": 1}})),
                "steps[0].event.type",
                "an event type",
            ),
            (
                step(json!({"id": "a", "type": "emit", "event": {"type": "a"}})),
                "steps[0].event",
                "`data` is missing",
            ),
            (
                step(json!({"id": "a", "type": "emit", "event": {"type": "a", "data": 1, "ids": "x"}})),
                "steps[0].event",
                "`ids` is not known",
            ),
            (
                step(json!({"id": "a", "type": "emit", "record": {"kind": "a", "id": "b"}})),
                "steps[0].record",
                "`deleted: true`",
            ),
            (
                step(
                    json!({"id": "a", "type": "emit", "record": {"kind": "a", "id": "b", "data": 1, "deleted": true}}),
                ),
                "steps[0].record.data",
                "has no data",
            ),
            (step(json!({"id": "a", "type": "wait"})), "steps[0]", "one of `for`, `until` and `event`"),
            (step(json!({"id": "a", "type": "wait", "for": "1s", "until": "x"})), "steps[0]", "one of"),
            (step(json!({"id": "a", "type": "wait", "for": "366d"})), "steps[0].for", "at most 31536000 s"),
            (step(json!({"id": "a", "type": "wait", "until": "tomorrow"})), "steps[0].until", "a time like"),
            (hear(json!({"types": ["a"]})), "steps[0].event", "`timeout` is missing"),
            (
                hear(json!({"types": [], "timeout": "1s"})),
                "steps[0].event.types",
                "at least one event pattern",
            ),
            (
                hear(json!({"types": ["a"], "timeout": "1s", "filter": "evnt.id"})),
                "steps[0].event.filter",
                "now, event",
            ),
            (
                step(json!({"id": "a", "type": "respond", "status": 100})),
                "steps[0].status",
                "from 200 to 599",
            ),
            (
                step(json!({"id": "a", "type": "respond", "headers": {"Set-Cookie": "a=b"}})),
                "steps[0].headers.Set-Cookie",
                "all of this origin",
            ),
            (
                step(json!({"id": "a", "type": "respond", "headers": {"A": "{{ secrets.A }}"}})),
                "steps[0].headers.A",
                "stand only in",
            ),
            (step(json!({"id": "a", "type": "call"})), "steps[0]", "`workflow` is missing"),
            (
                step(json!({"id": "a", "type": "call", "workflow": "{{ input.a }}"})),
                "steps[0].workflow",
                "a name",
            ),
            // Concurrency.
            (json!({"concurrency": {"max": 0}}), "concurrency.max", "from 1 to 1000"),
            (
                json!({"concurrency": {"key": "steps.a"}}),
                "concurrency.key",
                "`steps` is not known here; there are input",
            ),
            (json!({"concurrency": {"key": "secrets.a"}}), "concurrency.key", "stand only in"),
            (
                json!({"concurrency": {"onConflict": "wait"}}),
                "concurrency.onConflict",
                "\"queue\" or \"skip\" or \"cancelPrevious\"",
            ),
            (json!({"concurrency": {"limit": 1}}), "concurrency", "`limit` is not known"),
        ] {
            let errors = errors(&definition);
            let told = errors[0].to_string();
            assert_eq!(errors[0].path, path, "{definition}: {told}");
            assert!(told.contains(expected) && told.len() < 600, "{definition}: {told}");
            assert_eq!(errors.len(), 1, "{definition}: {errors:?}");
        }
    }

    #[test]
    fn all_errors_are_told_at_once_up_to_twenty() {
        let definition = json!({
            "bad": 1,
            "steps": [{"id": "a", "type": "transform", "output": "{{ x }} {{ y }}"}, {"id": "b", "type": "nothing"}, {"id": "c", "type": "wait"}],
            "output": {"$expr": "z"},
        });
        let paths: Vec<String> = errors(&definition).into_iter().map(|error| error.path).collect();
        assert_eq!(
            paths,
            ["steps[0].output", "steps[0].output", "steps[1].type", "steps[2]", "output.$expr", ""]
        );
        let many: Vec<Value> = (0..100).map(|_| json!(1)).collect();
        assert_eq!(errors(&json!({"steps": many})).len(), limits::WORKFLOW_ERRORS_MAX);
    }

    #[test]
    fn definitions_are_bounded() {
        let flat = |count: usize| -> Vec<Value> {
            (0..count).map(|at| json!({"id": format!("s{at}"), "type": "transform", "output": 1})).collect()
        };
        assert!(Workflow::compile(&json!({"steps": flat(200)})).is_ok());
        assert!(errors(&json!({"steps": flat(201)}))[0].message.contains("at most 200 steps"));
        let nested = |depth: usize, id: &str| {
            (0..depth).fold(json!([]), |steps, at| {
                json!([{"id": format!("{id}{at}"), "type": "condition", "if": "true", "then": steps}])
            })
        };
        assert!(Workflow::compile(&json!({"steps": nested(7, "s")})).is_ok());
        assert!(errors(&json!({"steps": nested(8, "s")}))[0].message.contains("at most 8 times"));
        // Seven ids of 61 bytes with `/then/` between them.
        assert!(
            errors(&json!({"steps": nested(7, &"s".repeat(60))}))[0].message.contains("too long together")
        );
        let deep = (0..100).fold(json!(1), |value, _| json!([value]));
        assert!(errors(&transform(deep))[0].message.contains("deeper than 64"));
        for large in [json!("x".repeat(256 * 1024)), json!(vec![0; 100_000])] {
            assert_eq!(errors(&transform(large))[0].message, "a definition has at most 256 KiB");
        }
    }

    #[test]
    fn what_a_step_sees_is_what_came_before_it_and_what_is_around_it() {
        let definition = json!({"steps": [
            {"id": "first", "type": "transform", "output": 1},
            {"id": "each", "type": "forEach", "items": {"$expr": "[steps.first.output]"}, "as": "x", "steps": [
                {"id": "in", "type": "transform", "output": {"$expr": "x + index + steps.first.output + steps.each.output.count"}},
                {"id": "if", "type": "condition", "if": "steps['in'].output > 0 && x > 0", "then": [
                    {"id": "deep", "type": "transform", "output": "{{ steps['if'].output.branch }} {{ steps.first.status }}"},
                ]},
                {"id": "get", "type": "http", "url": "{{ input.url }}", "onError": {"steps": [
                    {"id": "note", "type": "transform", "output": "{{ steps.get.error }}"},
                ]}},
            ]},
            {"id": "my-last", "type": "transform", "output": "{{ steps.each.status }}"},
        ], "output": {"$expr": "steps['my-last'].output"}});
        let workflow = Workflow::compile(&definition).expect("it compiles");
        assert_eq!(workflow.steps().count(), 8);
    }

    #[test]
    fn what_a_workflow_needs_is_known_when_it_is_saved() {
        let definition = json!({"steps": [
            {"id": "a", "type": "http", "url": "https://a.example", "connection": "hubspot",
             "headers": {"X-A": "{{ secrets.API_KEY }}", "X-B": "{{ secrets['other-key'] }}"},
             "query": {"t": "{{ connections.crm.accessToken }}"}, "body": {"$expr": "input.test ? secrets.TEST : secrets.LIVE"}},
            {"id": "b", "type": "call", "workflow": "enrich"},
        ]});
        let workflow = Workflow::compile(&definition).expect("it compiles");
        assert_eq!(workflow.secret_names().collect::<Vec<_>>(), ["API_KEY", "LIVE", "TEST", "other-key"]);
        assert_eq!(workflow.connection_names().collect::<Vec<_>>(), ["crm", "hubspot"]);
        assert_eq!(workflow.called_workflows().collect::<Vec<_>>(), ["enrich"]);
        assert_eq!(workflow.steps().collect::<Vec<_>>(), [("a", StepKind::Http), ("b", StepKind::Call)]);
    }

    #[test]
    fn runs_of_one_key_are_counted_together() {
        let workflow = |concurrency: Value| {
            Workflow::compile(&json!({"concurrency": concurrency})).expect("it compiles")
        };
        let of = |concurrency: Value, input: Value| {
            let found = workflow(concurrency).concurrency(&input)?;
            Ok::<_, String>(found.map(|found| (found.max, found.key, found.on_conflict)))
        };
        assert_eq!(Workflow::compile(&json!({})).expect("it compiles").concurrency(&json!({})), Ok(None));
        assert_eq!(of(json!({}), json!({})), Ok(Some((1, String::new(), OnConflict::Queue))));
        let by_customer = || json!({"max": 2, "key": "input.customer", "onConflict": "cancelPrevious"});
        for (customer, key) in
            [(json!("c-1"), "c-1"), (json!(7), "7"), (json!(null), ""), (json!([1]), "[1]")]
        {
            let found = of(by_customer(), json!({"customer": customer}));
            assert_eq!(found, Ok(Some((2, key.to_owned(), OnConflict::CancelPrevious))));
        }
        assert!(
            of(by_customer(), json!({}))
                .is_err_and(|why| why.contains("`concurrency.key`: `input.customer`: there is no member"))
        );
        assert!(
            of(by_customer(), json!({"customer": "x".repeat(257)}))
                .is_err_and(|why| why.contains("more than 256 bytes"))
        );
        assert!(of(by_customer(), json!({"customer": "x".repeat(300_000)})).is_err());
    }

    #[test]
    fn an_input_that_does_not_follow_the_schema_is_refused() {
        let workflow = Workflow::compile(&json!({"input": {"type": "object", "required": ["id"]}}))
            .expect("it compiles");
        assert_eq!(workflow.check_input(&json!({"id": 1})), Ok(()));
        assert!(
            workflow.check_input(&json!({})).is_err_and(|why| why.contains("\"id\" is a required property"))
        );
        assert_eq!(Workflow::compile(&json!({})).expect("it compiles").check_input(&json!(7)), Ok(()));
    }

    /// The examples of the documentation are definitions that compile.
    #[test]
    fn what_the_documentation_shows_compiles() {
        let documentation = include_str!("../../../../docs/workflows.md");
        let mut examples = 0;
        for block in documentation.split("```yaml\n").skip(1) {
            let text = block.split("```").next().unwrap_or_default();
            let value = super::super::from_yaml(text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
            // A list shows steps, an object with an id one step.
            let definition = match &value {
                Value::Array(_) => json!({"steps": value}),
                Value::Object(members) if members.contains_key("id") => json!({"steps": [value]}),
                _ => value,
            };
            if let Err(errors) = Workflow::compile(&definition) {
                panic!("{errors:#?} in\n{text}");
            }
            examples += 1;
        }
        assert!(examples >= 10, "{examples} examples");
    }
}
