//! Conditions over JSON, in CEL. Compiled once, where they are written; bounded in size, in depth, and in how often they look
//! at each element of their input.
//!
//! Numbers without a fraction are integers, all others floating point; they compare with each other. A member that is not
//! there is an error at run time: ask `has(new.member)` first.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::parser::PrattParser;
use cel::{Context, Env};
use serde_json::Value;

/// More than any condition that people read.
pub const EXPRESSION_BYTES_MAX: usize = 4096;
/// Operations, lists and calls inside each other. Reading and running them takes stack.
pub const EXPRESSION_DEPTH_MAX: usize = 48;
/// Names, literals and operations.
pub const EXPRESSION_NODES_MAX: usize = 1000;
/// `all`, `exists`, `map`, `filter` inside each other multiply what they look at: one of them looks at each element once.
pub const COMPREHENSION_DEPTH_MAX: usize = 1;
/// What running one says when it goes wrong is shown to people.
const MESSAGE_CHARS_MAX: usize = 300;

/// A compiled condition.
#[derive(Debug)]
pub struct Expression {
    source: String,
    tree: IdedExpr,
    uses: Vec<Use>,
}

/// What of a variable an expression looks at: the whole, or of an object one member.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    variable: String,
    member: Option<String>,
}

/// Why a source is no condition, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// 1 for the first line of the expression.
    pub line: usize,
    /// 1 for the first character of the line.
    pub column: usize,
    pub message: String,
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl Expression {
    /// Compiles a condition that may name `variables` and nothing else.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        if source.len() > EXPRESSION_BYTES_MAX {
            return Err(at_start(format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes")));
        }
        let parser = PrattParser::new()
            .max_recursion_depth(EXPRESSION_DEPTH_MAX as u16)
            .max_expression_node_count(EXPRESSION_NODES_MAX);
        let tree = parser.parse(source).map_err(|errors| match errors.errors.first() {
            Some(error) => ExpressionError {
                line: usize::try_from(error.pos.0).unwrap_or(1).max(1),
                column: usize::try_from(error.pos.1).unwrap_or(1).max(1),
                message: error.msg.clone(),
            },
            None => at_start("it is no expression".to_owned()),
        })?;
        let mut check = Check { source, known: variables.to_vec(), inside: 0, uses: Vec::new() };
        check.expression(&tree, 0)?;
        let uses = check.uses;
        Ok(Self { source: source.to_owned(), tree, uses })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it holds. The error is a sentence: what went wrong, as on a member that is not there.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, String> {
        // Names of its own, and so nothing that another run could see.
        let mut context = Context::with_env(STANDARD.clone());
        for (name, known) in &scope.0 {
            let value = match known {
                Known::Text(text) => text.as_str().into(),
                Known::Json(value) => self.looked_at(name, *value),
            };
            context.add_variable_from_value(*name, value);
        }
        match cel::Value::resolve(&self.tree, &context) {
            Ok(cel::Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("it is {}, not true or false", shortened(&format!("{other:?}")))),
            Err(error) => Err(shortened(&error.to_string())),
        }
    }

    /// Of a value, what the expression can see: records are large, and conditions name a member or two.
    fn looked_at(&self, name: &str, value: Option<&Value>) -> cel::Value {
        let uses = || self.uses.iter().filter(|known| known.variable == name);
        let Some(value) = value.filter(|_| uses().next().is_some()) else { return cel::Value::Null };
        let Some(members) = value.as_object().filter(|_| uses().all(|known| known.member.is_some())) else {
            return to_cel(value);
        };
        let seen: HashMap<String, cel::Value> = uses()
            .filter_map(|known| members.get_key_value(known.member.as_ref()?))
            .map(|(key, value)| (key.clone(), to_cel(value)))
            .collect();
        seen.into()
    }
}

/// The functions of the language. Made once: there are hundreds.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// What a condition's names stand for.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a>(Vec<(&'static str, Known<'a>)>);

#[derive(Debug, Clone)]
enum Known<'a> {
    Json(Option<&'a Value>),
    Text(String),
}

impl<'a> Scope<'a> {
    /// A value that is nothing is `null`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Option<&'a Value>) -> Self {
        self.0.push((name, Known::Json(value)));
        self
    }

    #[must_use]
    pub fn with_text(mut self, name: &'static str, text: String) -> Self {
        self.0.push((name, Known::Text(text)));
        self
    }
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => cel::Value::Int(integer),
            None => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(to_cel).collect::<Vec<_>>().into(),
        Value::Object(members) => {
            let members: HashMap<String, cel::Value> =
                members.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect();
            members.into()
        }
    }
}

/// Looks at a whole expression before it ever runs.
struct Check<'a> {
    source: &'a str,
    known: Vec<&'a str>,
    /// So many expressions the current one stands in.
    inside: usize,
    uses: Vec<Use>,
}

impl<'a> Check<'a> {
    /// `depth`: in so many comprehensions.
    fn expression(&mut self, expression: &'a IdedExpr, depth: usize) -> Result<(), ExpressionError> {
        if self.inside == EXPRESSION_DEPTH_MAX {
            return Err(at_start(format!(
                "more than {EXPRESSION_DEPTH_MAX} operations stand inside each other"
            )));
        }
        self.inside += 1;
        let checked = self.parts(expression, depth);
        self.inside -= 1;
        checked
    }

    fn used(&mut self, variable: &str, member: Option<&str>) {
        let used = Use { variable: variable.to_owned(), member: member.map(str::to_owned) };
        if !self.uses.contains(&used) {
            self.uses.push(used);
        }
    }

    fn parts(&mut self, expression: &'a IdedExpr, depth: usize) -> Result<(), ExpressionError> {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => {
                self.used(name, None);
                // Those of macros begin with a sign that no name has.
                if name.starts_with('@') || self.known.contains(&name.as_str()) {
                    return Ok(());
                }
                let known = self.known.join(", ");
                Err(self.at_word(name, format!("`{name}` is not known here; there are {known}")))
            }
            Expr::Call(call) => {
                if let Some(target) = &call.target {
                    self.expression(target, depth)?;
                }
                call.args.iter().try_for_each(|argument| self.expression(argument, depth))
            }
            Expr::Select(select) => {
                let seen = self.uses.len();
                self.expression(&select.operand, depth)?;
                // Of a variable itself, only this member.
                if let Expr::Ident(name) = &select.operand.expr {
                    self.uses.truncate(seen);
                    self.used(name, Some(&select.field));
                }
                Ok(())
            }
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.expression(element, depth)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| self.entry(&entry.expr, depth)),
            Expr::Struct(made) => made.entries.iter().try_for_each(|entry| self.entry(&entry.expr, depth)),
            Expr::Comprehension(comprehension) => {
                if depth == COMPREHENSION_DEPTH_MAX {
                    let message = "all, exists, map and filter cannot stand inside each other";
                    return Err(at_start(message.to_owned()));
                }
                self.expression(&comprehension.iter_range, depth + 1)?;
                self.expression(&comprehension.accu_init, depth + 1)?;
                let outside = self.known.len();
                self.known.push(&comprehension.iter_var);
                self.known.extend(comprehension.iter_var2.as_deref());
                self.known.push(&comprehension.accu_var);
                let inside = [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result];
                let checked = inside.into_iter().try_for_each(|part| self.expression(part, depth + 1));
                self.known.truncate(outside);
                checked
            }
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr, depth: usize) -> Result<(), ExpressionError> {
        match entry {
            EntryExpr::StructField(field) => self.expression(&field.value, depth),
            EntryExpr::MapEntry(entry) => {
                self.expression(&entry.key, depth)?;
                self.expression(&entry.value, depth)
            }
        }
    }

    /// At the first place where a name stands by itself. The parser keeps no places of what it could read.
    fn at_word(&self, word: &str, message: String) -> ExpressionError {
        let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let stands = |at: &usize| {
            let (before, after) = (&self.source[..*at], &self.source[at + word.len()..]);
            !before.ends_with(is_part) && !before.ends_with('.') && !after.starts_with(is_part)
        };
        let at = self.source.match_indices(word).map(|(at, _)| at).find(stands).unwrap_or(0);
        let before = &self.source[..at];
        ExpressionError {
            line: 1 + before.matches('\n').count(),
            column: 1 + before.chars().rev().take_while(|char| *char != '\n').count(),
            message,
        }
    }
}

fn at_start(message: String) -> ExpressionError {
    ExpressionError { line: 1, column: 1, message }
}

/// Errors of the library quote values, which may be a whole record.
/// Foreign text may be in it.
fn shortened(message: &str) -> String {
    let message = message.replace(char::is_control, " ");
    let message = message.as_str();
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        None => message.to_owned(),
        Some((end, _)) => format!("{}…", &message[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAMES: [&str; 4] = ["old", "new", "now", "today"];

    fn holds(source: &str, new: Value) -> Result<bool, String> {
        let expression = Expression::compile(source, &NAMES).expect("it compiles");
        let scope = Scope::default()
            .with("old", None)
            .with("new", Some(&new))
            .with_text("now", "2026-04-11T10:00:00.000Z".to_owned())
            .with_text("today", "2026-04-11".to_owned());
        expression.holds(&scope)
    }

    #[test]
    fn conditions_read_records() {
        let part =
            || json!({"name": "bolt", "quantity": 5, "threshold": 5, "tags": ["a", "b"], "at": {"x": 1.5}});
        for (source, expected) in [
            ("new.quantity <= new.threshold", true),
            ("new.quantity < new.threshold", false),
            ("new.name == 'bolt' && old == null", true),
            ("has(new.due_date) && new.due_date < today", false),
            ("new.at.x > 1", true),
            ("new.quantity + 0.5 == 5.5 || new.at.x == 1.5", true),
            ("'b' in new.tags", true),
            ("new.tags.exists(tag, tag == 'c')", false),
            ("size(new.tags) == 2 && !(new.name in ['nut', 'screw'])", true),
            ("today < now", true),
            ("size(new) == 5 && new.name == 'bolt'", true),
            ("has(new.at) && new.at.x > 1 && !has(new.due)", true),
        ] {
            assert_eq!(holds(source, part()), Ok(expected), "{source}");
        }
        assert_eq!(holds("new.big > 0", json!({"big": u64::MAX})), Ok(true));
        assert_eq!(holds("new.quantity == 5.0", json!({"quantity": 5})), Ok(true));
        assert_eq!(holds("new.quantity <= 4.5", json!({"quantity": 5})), Ok(false));
    }

    #[test]
    fn what_goes_wrong_at_run_time_is_a_sentence() {
        assert!(holds("new.missing == 1", json!({})).is_err_and(|why| why.contains("missing")));
        assert!(holds("new.name + 1 == 2", json!({"name": "x"})).is_err());
        assert!(holds("new.n / 0 == 1", json!({"n": 1})).is_err());
        assert!(holds("new.name", json!({"name": "x".repeat(10_000)})).is_err_and(|why| why.len() < 2000));
    }

    #[test]
    fn an_expression_that_does_not_compile_says_where() {
        let error = |source: &str| Expression::compile(source, &NAMES).expect_err("it does not compile");
        let of_line_two = error("new.status == 'open' &&\n  new.due <");
        assert_eq!(of_line_two.line, 2, "{of_line_two}");
        let unknown = error("new.status == 'open' || newer.status == 'open'");
        assert_eq!((unknown.line, unknown.column), (1, 25), "{unknown}");
        assert!(unknown.message.contains("old, new, now, today"), "{unknown}");
        assert!(error(&"1 + ".repeat(2000)).message.contains("at most"));
        for nested in [
            format!("{}1{} == 1", "[".repeat(500), "]".repeat(500)),
            format!("{}true", "!(".repeat(500)),
            format!("1{} == 1", " + 1".repeat(400)),
            format!("{}1{} == 1", "size(".repeat(500), ")".repeat(500)),
            format!("new{} == 1", ".a".repeat(900)),
            format!("{}true", "true ? true : ".repeat(200)),
        ] {
            assert!(!error(&nested).message.is_empty());
        }
        assert!(error("[1].all(x, [2].all(y, x < y))").message.contains("inside each other"));
        assert!(error("[1].all(x, x > 0) && x > 0").message.contains("`x` is not known"));
    }
}
